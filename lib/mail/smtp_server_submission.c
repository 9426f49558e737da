/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_server_submission.c - who has logged in sends as himself: the reverse-path, and every
 * address in a field that says who has written or sent the message, must be the account's (RFC 6409 section 6.1).
 * router says which are.
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

/* RFC 5322 sections 3.6.2, 3.6.6. Of a message that was sent again more than once the latest set of Resent- fields stands above
 * the others, which tell of what has been. */
static const struct field {
	unsigned	what;
	const char	*name;
	bool		once;
	size_t		addresses;	/* at most */
} fields[] = {
	{ FIELD_FROM,		"From",		 true,	16 },
	{ FIELD_SENDER,		"Sender",	 true,	1 },
	{ FIELD_RESENT_FROM,	"Resent-From",	 false,	16 },
	{ FIELD_RESENT_SENDER,	"Resent-Sender", false,	1 },
};

struct smtp_claim { const struct field *field; struct bytes address /* in mail */; };

#define CLAIMS	(16 + 1 + 16 + 1)

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
	s->from.claim = NULL;
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

/* Its first field, without those below it: neighbours of one name are noted as one. */
static struct bytes
first_of(struct bytes run)
{
	for (size_t i = 0; i + 1 < run.n; i++)
		if (run.p[i] == '\n' && run.p[i + 1] != ' ' && run.p[i + 1] != '\t')
			return bytes_head(run, i + 1);
	return run;
}

/* The value of the first such field, folds and all; false: there is none in what was kept. */
static bool
field_value(const struct smtp_server *s, unsigned what, struct bytes *value)
{
	struct bytes header = buf_bytes(&s->from.header);

	for (unsigned i = 0; i < s->head->ranges_n; i++) {
		const struct head_range *r = &s->head->ranges[i];

		if (r->what != what || r->at + r->n > header.n)
			continue;
		*value = first_of(bytes_head(bytes_skip(header, (size_t)r->at), (size_t)r->n));
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
take_addresses(struct smtp_server *s, const struct field *f, struct bytes value)
{
	struct addresses list;

	if (rfc5322_addresses(value, f->addresses, s->mail, &list) != ADDRESSES_OK || list.n == 0)
		return false;
	for (size_t i = 0; i < list.n; i++) {
		struct bytes address;

		if (list.v[i].domain.n == 0)
			return false;
		address = join(s->mail, &list.v[i]);
		if (address.n > SMTP_ADDRESS_MAX)	/* nobody's, and router need not be asked */
			return false;
		must(s->from.n < CLAIMS);
		s->from.claim[s->from.n++] = (struct smtp_claim){ f, address };
	}
	return true;
}

/* The next that has to be asked about: what was the sender's is known. */
static bool
ask_next(struct smtp_server *s)
{
	for (; s->from.at < s->from.n; s->from.at++)
		if (!bytes_eq(s->from.claim[s->from.at].address, s->envelope.sender)) {
			s->from.asked = s->from.claim[s->from.at].address;
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

/* False: the message was refused. */
static bool
take_field(struct smtp_server *s, const struct field *f)
{
	unsigned count = s->head->count[f->what];
	char words[160];
	struct bytes value;

	if (count == 0)
		return true;
	if (f->once && count > 1)
		snprintf(words, sizeof words, "5.6.0 there is more than one %s field (RFC 5322 section 3.6)", f->name);
	else if (field_value(s, f->what, &value) && take_addresses(s, f, value))
		return true;
	else if (f->addresses > 1)
		snprintf(words, sizeof words, "5.6.0 the %s field cannot be read as up to %zu addresses user@domain", f->name, f->addresses);
	else
		snprintf(words, sizeof words, "5.6.0 the %s field cannot be read as one address user@domain", f->name);
	smtp_server_refuse(s, 554, words);
	return false;
}

/* Where there is no From, one is added, with the sender. */
bool
smtp_from_ask(struct smtp_server *s)
{
	const char *odd;

	if (!s->rules->submission)
		return false;
	if ((odd = odd_header(s)) != NULL) {
		smtp_server_refuse(s, 554, odd);
		return false;
	}
	s->from.claim = arena_array(s->mail, CLAIMS, sizeof *s->from.claim);
	for (size_t i = 0; i < LEN(fields); i++)
		if (!take_field(s, &fields[i]))
			return false;
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
		snprintf(words, sizeof words, "5.7.1 %s%s<%.*s> is not an address of the account you have logged in with",
		    s->from.of_content ? s->from.claim[s->from.at].field->name : "", s->from.of_content ? ": " : "", s->from.asked.n > 254 ? 254 : (int)s->from.asked.n,
		    (const char *)s->from.asked.p);
	else
		snprintf(words, sizeof words, "4.3.0 cannot look up now whose address that is; try again later");
	smtp_server_fail(s, verdict == NO ? 553 : 451, words);
	smtp_server_end_transaction(s);
}
