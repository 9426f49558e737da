/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_server_submission.c - who has logged in sends as himself: the reverse-path, and every
 * address of the From field, must be the account's (RFC 6409 section 6.1). router says which are.
 *
 * The header section is kept until its end is there, since its fields are read behind it; the content itself
 * is in the queue file by then, which is write-only.
 */
#include <stdio.h>

#include "base/mem.h"
#include "mail/completion.h"
#include "mail/smtp_server_impl.h"
#include "proto/rfc5322_addresses.h"
#include "proto/smtp_address.h"

#define FROM_MAX 16		/* addresses in a From field */

bool
smtp_sender_ask(struct smtp_server *s)
{
	if (!s->rules->submission || s->envelope.sender.n == 0)	/* receipts are sent by nobody: RFC 3798 section 2.1 */
		return false;
	s->from.asked = s->envelope.sender;
	s->mode = WAIT_SENDER;
	return true;
}

void
smtp_sender_forget(struct smtp_server *s)
{
	buf_release(&s->from.header);
	s->from.n = s->from.at = 0;
	s->from.address = NULL;
	s->from.asked = text(NULL);
	s->from.of_content = false;
}

/* Its limit is that of the header section, which head_feed has looked at before. */
void
smtp_from_feed(struct smtp_server *s, struct bytes run)
{
	uint64_t have = s->from.header.n, want = s->head->header_octets;

	if (s->rules->submission && have < want)
		buf_add(&s->from.header, bytes_head(run, (size_t)(want - have)));
}

/* The value of the only From field, folds and all; false: there is none in what was kept. */
static bool
from_field(const struct smtp_server *s, struct bytes *value)
{
	struct bytes header = buf_bytes(&s->from.header);

	for (unsigned i = 0; i < s->head->ranges_n; i++) {
		const struct head_range *r = &s->head->ranges[i];

		if (r->what != FIELD_FROM || r->at + r->n > header.n)
			continue;
		*value = bytes_head(bytes_skip(header, (size_t)r->at), (size_t)r->n);
		bytes_cut(value, ':');
		return true;
	}
	return false;
}

static struct bytes
join(struct arena *a, const struct mailbox_entry *m)
{
	struct bytes out;
	struct buf b;

	buf_init(&b, 2048);
	smtp_address_join(m->local, smtp_lower(m->domain, a), &b);
	out = arena_copy(a, buf_bytes(&b));
	buf_fini(&b);
	return out;
}

static bool
take_addresses(struct smtp_server *s, struct bytes value)
{
	struct addresses list;

	if (rfc5322_addresses(value, FROM_MAX, s->mail, &list) != ADDRESSES_OK || list.n == 0)
		return false;
	s->from.address = arena_array(s->mail, list.n, sizeof *s->from.address);
	for (size_t i = 0; i < list.n; i++) {
		if (list.v[i].domain.n == 0)
			return false;
		s->from.address[s->from.n] = join(s->mail, &list.v[i]);
		if (s->from.address[s->from.n++].n > SMTP_ADDRESS_MAX)	/* nobody's, and router need not be asked */
			return false;
	}
	return true;
}

/* The next that has to be asked about: what was the sender's is known. */
static bool
ask_next(struct smtp_server *s)
{
	for (; s->from.at < s->from.n; s->from.at++)
		if (!bytes_eq(s->from.address[s->from.at], s->envelope.sender)) {
			s->from.asked = s->from.address[s->from.at];
			s->mode = WAIT_SENDER;
			return true;
		}
	return false;
}

/* What the reader could be shown as an author, though it is in no From field; NULL: nothing. */
static const char *
odd_header(const struct smtp_server *s)
{
	const struct buf *h = &s->from.header;

	if (h->n > 0 && (h->p[0] == ' ' || h->p[0] == '\t'))	/* it would go on with a field that is added */
		return "5.6.0 the header begins with a continuation line (RFC 5322 section 2.2.3)";
	if (s->head->count[FIELD_FROM] == 0 && s->head->count[FIELD_RESENT_FROM] > 0)
		return "5.6.0 there is a Resent-From field, and no From field (RFC 5322 section 3.6)";
	return NULL;
}

bool
smtp_from_ask(struct smtp_server *s)
{
	struct bytes value;
	const char *odd;

	if (!s->rules->submission)
		return false;
	if ((odd = odd_header(s)) != NULL) {
		smtp_server_refuse(s, 554, odd);
		return false;
	}
	if (s->head->count[FIELD_FROM] == 0)
		return false;		/* one is added, with the sender */
	if (s->head->count[FIELD_FROM] > 1 || !from_field(s, &value) || !take_addresses(s, value)) {
		smtp_server_refuse(s, 554, s->head->count[FIELD_FROM] > 1
		    ? "5.6.0 there is more than one From field (RFC 5322 section 3.6)"
		    : "5.6.0 the From field cannot be read as up to 16 addresses user@domain");
		return false;
	}
	s->from.of_content = true;
	return ask_next(s);
}

void
smtp_server_sender_checked(struct smtp_server *s, enum verdict verdict)
{
	char words[400];

	must(s->mode == WAIT_SENDER);
	s->mode = COMMANDS;
	if (verdict == YES && s->from.of_content) {
		s->from.at++;
		if (!ask_next(s))
			s->mode = WAIT_COMMIT;
		return;
	}
	if (verdict == YES) {
		s->state = MAIL;
		smtp_server_reply(s, 250, "2.1.0 sender ok");
		return;
	}
	if (verdict == NO)
		snprintf(words, sizeof words, "5.7.1 %s<%.*s> is not an address of the account you have logged in with",
		    s->from.of_content ? "From: " : "", s->from.asked.n > 254 ? 254 : (int)s->from.asked.n,
		    (const char *)s->from.asked.p);
	else
		snprintf(words, sizeof words, "4.3.0 cannot look up now whose address that is; try again later");
	smtp_server_fail(s, verdict == NO ? 553 : 451, words);
	smtp_server_end_transaction(s);
}
