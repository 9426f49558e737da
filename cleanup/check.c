/* SPDX-License-Identifier: ISC */
#include "cleanup/cleanup.h"
#include "mail/nexthop.h"

#define ADDRESS_MAX	1024	/* these as in `deliver` of mail/messages.def */
#define TRANSPORT_MAX	32
#define MAILBOX_MAX	1024
#define TEXT_MAX	1024	/* of all else that a client said */

/* No NUL, CR, LF or other control: it ends up in header fields, logs and other files. */
static bool
is_clean(struct bytes s, size_t max)
{
	return s.n <= max && !bytes_has_control(s);
}

static const char *
check_recipient(struct recipient *r)
{
	if (r->final.n == 0 || !is_clean(r->final, ADDRESS_MAX) || !is_clean(r->original, ADDRESS_MAX))
		return "a recipient's address";
	if (r->transport.n == 0 || !is_clean(r->transport, TRANSPORT_MAX)
	    || !is_clean(r->nexthop, NEXTHOP_MAX) || !is_clean(r->mailbox, MAILBOX_MAX))
		return "a recipient's route";
	if (!is_clean(r->orcpt, ADDRESS_MAX))
		return "ORCPT";
	r->state = RCPT_WAITING;
	r->attempts = r->uncertain = 0;
	r->last_s = 0;
	r->last_reply = r->remote = r->command = r->said = (struct bytes){ 0 };
	return NULL;
}

/* RFC 5322 section 2.2: a name of printable ASCII but the colon, then the colon. */
static bool
begins_field(struct bytes line)
{
	size_t colon = bytes_find(line, ':');

	for (size_t i = 0; i < colon; i++)
		if (line.p[i] <= ' ' || line.p[i] >= 0x7f)
			return false;
	return colon > 0 && colon < line.n;
}

/* Whole header fields: lines that end in CRLF, none of them empty, no CR, LF or NUL elsewhere. */
static bool
is_header_text(struct bytes s)
{
	bool first = true;

	while (s.n > 0) {
		size_t lf = bytes_find(s, '\n');
		struct bytes line = bytes_head(s, lf);

		if (lf == s.n || line.n < 2 || line.p[line.n - 1] != '\r')
			return false;
		line.n--;
		if (bytes_find(line, '\r') < line.n || bytes_find(line, '\0') < line.n)
			return false;
		if (line.p[0] == ' ' || line.p[0] == '\t' ? first : !begins_field(line))
			return false;
		first = false;
		s = bytes_skip(s, lf + 1);
	}
	return !first;
}

static const char *
check_edits(const struct envelope *e, uint64_t octets)
{
	uint64_t at = 0;

	for (size_t i = 0; i < e->nedits; i++) {
		const struct header_edit *d = &e->edits[i];

		if (d->op != EDIT_DELETE && !is_header_text(d->text))
			return "the text of a header edit";
		if (d->op == EDIT_INSERT)
			continue;
		if (d->offset < at || d->offset > octets || d->octets > octets - d->offset)
			return "the range of a header edit";
		at = d->offset + d->octets;
	}
	return NULL;
}

/* It must fit into one `deliver`. */
static const char *
check_size(struct envelope *e, uint64_t octets, struct arena *a)
{
	struct buf segments;
	bool fits;

	e->extents = arena_array(a, 1, sizeof *e->extents);
	e->extents[0] = (struct extent){ QUEUE_CONTENT, octets };
	e->nextents = 1;
	buf_init(&segments, CLEANUP_SEGMENTS);
	fits = envelope_segments(e, &segments);
	buf_fini(&segments);
	return fits ? NULL : "more header edits than a delivery can carry";
}

static const char *
check_client(const struct envelope *e)
{
	if (!is_clean(e->account, TEXT_MAX) || !is_clean(e->client, TEXT_MAX)
	    || !is_clean(e->client_name, TEXT_MAX) || !is_clean(e->helo, TEXT_MAX)
	    || !is_clean(e->protocol, TEXT_MAX) || !is_clean(e->tls, TEXT_MAX)
	    || !is_clean(e->session, TEXT_MAX) || !is_clean(e->journal, TEXT_MAX)
	    || !is_clean(e->envid, TEXT_MAX))
		return "what is known of the client";
	return NULL;
}

/* How much a message may say of where it comes from is known by who hands it in. Whom it is to be reported to hangs on that. */
static const char *
check_peer(const char *peer, struct envelope *e)
{
	if (strcmp(peer, "bounce") == 0)	/* RFC 3461 section 6.1 */
		return e->sender.n > 0 || e->origin < ORIGIN_NOTICE ? "a notification that does not say so, or has a sender" : NULL;
	e->origin = strcmp(peer, "pickup") == 0 ? ORIGIN_LOCAL_USER : ORIGIN_CLIENT;
	return NULL;
}

const char *
check_envelope(const char *peer, struct bytes records, uint64_t octets, int64_t now_s, struct arena *a, struct envelope *e)
{
	const char *wrong;

	if (octets > INT64_MAX / 2)
		return "its size";
	if (records.n > ENVELOPE_MAX / 2 || !envelope_decode(records, a, e))
		return "its records";
	if (e->unknown.n > 0)
		return "a record that is not known";
	if (e->nrcpts == 0)
		return "no recipient";
	if (!is_clean(e->sender, ADDRESS_MAX))
		return "the sender's address";
	if ((wrong = check_peer(peer, e)) || (wrong = check_client(e)) || (wrong = check_edits(e, octets)) || (wrong = check_size(e, octets, a)))
		return wrong;
	for (size_t i = 0; i < e->nrcpts; i++)
		if ((wrong = check_recipient(&e->rcpts[i])))
			return wrong;
	e->arrival_s = now_s;
	e->attempts = e->delay_told = 0;
	e->next_s = 0;
	e->hold_reason = (struct bytes){ 0 };
	return NULL;
}
