/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/envelope.h"
#include "mail/segments.h"
#include "mail/take.h"

/* On disk: numbers are never used again for something else. doc/queue-format.md has each body. */
enum record {
	RECORD_SENDER	= 1,
	RECORD_TIMES	= 2,	/* arrival, expiry */
	RECORD_BODY	= 3,	/* body type, SMTPUTF8, REQUIRETLS, MT-PRIORITY */
	RECORD_DSN	= 4,	/* RET, ENVID */
	RECORD_ACCOUNT	= 5,
	RECORD_CLIENT	= 6,	/* address, name, HELO, protocol, TLS */
	RECORD_VERDICTS	= 7,
	RECORD_IDS	= 8,	/* session, journal */
	RECORD_HOLD	= 9,
	RECORD_ATTEMPT	= 10,	/* attempts, time of the next */
	RECORD_EXTENTS	= 11,	/* all of them */
	RECORD_EDIT	= 12,
	RECORD_RCPT	= 13,	/* one more recipient */
	RECORD_RCPT_STATE = 14,	/* of one that there is */
	RECORD_RCPT_SET	= 15,	/* index, then as RECORD_RCPT: instead of it, or the next */
	RECORD_RCPT_SAID = 16,	/* of one that there is: who said what to which command */
	RECORD_TOLD	= 17,	/* what the sender was told of the whole message */
	RECORD_ORIGIN	= 18,	/* who put it into the queue; left out for a client of SMTP */
	RECORD_LAST	= RECORD_ORIGIN,
};

#define HEAD_OCTETS	8	/* type, flags, length */

/* ---- writing ---- */

static size_t
begin(struct buf *out, enum record type, uint16_t flags)
{
	buf_u16(out, (uint16_t)type);
	buf_u16(out, flags);
	buf_u32(out, 0);
	return out->n;
}

/* Now the length is known. */
static void
end(struct buf *out, size_t start)
{
	size_t n = out->n - start;

	if (out->full)
		return;
	for (unsigned i = 0; i < 4; i++)
		out->p[start - 4 + i] = (unsigned char)(n >> (8 * i));
}

/* A record that is one text, left out when there is none. */
static void
put_whole(struct buf *out, enum record type, uint16_t flags, struct bytes s)
{
	size_t start;

	if (s.n == 0)
		return;
	start = begin(out, type, flags);
	buf_add(out, s);
	end(out, start);
}

static void
put_message(const struct envelope *e, struct buf *out)
{
	size_t start = begin(out, RECORD_SENDER, ENVELOPE_CRITICAL);

	buf_add(out, e->sender);	/* the null one too: a record without octets */
	end(out, start);

	start = begin(out, RECORD_TIMES, 0);
	buf_u64(out, (uint64_t)e->arrival_s);
	buf_u64(out, (uint64_t)e->expiry_s);
	end(out, start);

	start = begin(out, RECORD_BODY, ENVELOPE_CRITICAL);
	buf_u32(out, e->body);
	buf_u32(out, e->smtputf8);
	buf_u32(out, e->requiretls);
	buf_u32(out, (uint32_t)e->mt_priority);
	end(out, start);

	if (e->ret != RET_UNSAID || e->envid.n > 0) {
		start = begin(out, RECORD_DSN, 0);
		buf_u32(out, e->ret);
		buf_add(out, e->envid);
		end(out, start);
	}
}

static void
put_origin(const struct envelope *e, struct buf *out)
{
	size_t start;

	put_whole(out, RECORD_ACCOUNT, 0, e->account);
	if (e->client.n + e->client_name.n + e->helo.n + e->protocol.n + e->tls.n > 0) {
		start = begin(out, RECORD_CLIENT, 0);
		put_text(out, e->client);
		put_text(out, e->client_name);
		put_text(out, e->helo);
		put_text(out, e->protocol);
		put_text(out, e->tls);
		end(out, start);
	}
	if (e->origin != ORIGIN_CLIENT) {
		start = begin(out, RECORD_ORIGIN, 0);
		buf_u32(out, e->origin);
		end(out, start);
	}
	put_whole(out, RECORD_VERDICTS, 0, e->verdicts);
	if (e->session.n + e->journal.n > 0) {
		start = begin(out, RECORD_IDS, 0);
		put_text(out, e->session);
		put_text(out, e->journal);
		end(out, start);
	}
}

static void
put_attempt(const struct envelope *e, struct buf *out)
{
	size_t start = begin(out, RECORD_ATTEMPT, 0);

	buf_u32(out, e->attempts);
	buf_u64(out, (uint64_t)e->next_s);
	end(out, start);
}

static void
put_extents(const struct envelope *e, struct buf *out)
{
	size_t start = begin(out, RECORD_EXTENTS, ENVELOPE_CRITICAL);

	for (size_t i = 0; i < e->nextents; i++) {
		buf_u64(out, e->extents[i].offset);
		buf_u64(out, e->extents[i].octets);
	}
	end(out, start);
}

static void
put_edit(const struct header_edit *d, struct buf *out)
{
	size_t start = begin(out, RECORD_EDIT, ENVELOPE_CRITICAL);

	buf_u32(out, d->op);
	buf_u32(out, d->nth);
	buf_u64(out, d->offset);
	buf_u64(out, d->octets);
	put_text(out, d->name);
	put_text(out, d->text);
	end(out, start);
}

static void
put_recipient_body(const struct recipient *r, struct buf *out)
{
	buf_u32(out, r->notify);
	buf_u32(out, r->state);
	buf_u32(out, r->attempts);
	buf_u32(out, r->uncertain);
	buf_u32(out, r->uid);
	buf_u32(out, r->gid);
	buf_u64(out, (uint64_t)r->last_s);
	put_text(out, r->original);
	put_text(out, r->final);
	put_text(out, r->orcpt);
	put_text(out, r->last_reply);
	put_text(out, r->transport);
	put_text(out, r->nexthop);
	put_text(out, r->mailbox);
}

static bool
has_said(const struct recipient *r)
{
	return r->remote.n + r->command.n + r->said.n > 0;
}

static void
put_said(const struct recipient *r, size_t index, struct buf *out)
{
	size_t start = begin(out, RECORD_RCPT_SAID, 0);

	buf_u32(out, (uint32_t)index);
	put_text(out, r->remote);
	put_text(out, r->command);
	put_text(out, r->said);
	end(out, start);
}

static void
put_told(const struct envelope *e, struct buf *out)
{
	size_t start = begin(out, RECORD_TOLD, 0);

	buf_u32(out, e->delay_told);
	end(out, start);
}

void
envelope_encode(const struct envelope *e, struct buf *out)
{
	put_message(e, out);
	put_origin(e, out);
	put_whole(out, RECORD_HOLD, ENVELOPE_CRITICAL, e->hold_reason);
	put_attempt(e, out);
	put_extents(e, out);
	for (size_t i = 0; i < e->nedits; i++)
		put_edit(&e->edits[i], out);
	for (size_t i = 0; i < e->nrcpts; i++) {
		size_t start = begin(out, RECORD_RCPT, ENVELOPE_CRITICAL);

		put_recipient_body(&e->rcpts[i], out);
		end(out, start);
	}
	for (size_t i = 0; i < e->nrcpts; i++)
		if (has_said(&e->rcpts[i]))
			put_said(&e->rcpts[i], i, out);
	if (e->delay_told)
		put_told(e, out);
	buf_add(out, e->unknown);
}

static void
put_change(const struct recipient *r, size_t index, struct buf *out)
{
	size_t start = begin(out, r->changed == RCPT_CHANGED ? RECORD_RCPT_SET : RECORD_RCPT_STATE,
	    ENVELOPE_CRITICAL);

	buf_u32(out, (uint32_t)index);
	if (r->changed == RCPT_CHANGED) {
		put_recipient_body(r, out);
	} else {
		buf_u32(out, r->state);
		buf_u32(out, r->attempts);
		buf_u32(out, r->uncertain);
		buf_u64(out, (uint64_t)r->last_s);
		buf_add(out, r->last_reply);
	}
	end(out, start);
}

void
envelope_encode_changes(struct envelope *e, struct buf *out)
{
	size_t start = begin(out, RECORD_HOLD, ENVELOPE_CRITICAL);

	buf_add(out, e->hold_reason);	/* it may have been taken back */
	end(out, start);
	put_attempt(e, out);
	if (e->delay_told)
		put_told(e, out);
	for (size_t i = 0; i < e->nrcpts; i++) {
		struct recipient *r = &e->rcpts[i];

		if (r->changed != RCPT_SAME) {
			put_change(r, i, out);
			if (has_said(r))
				put_said(r, i, out);
		}
		r->changed = RCPT_SAME;
	}
}

/* ---- reading ---- */

struct record_view {		/* one record, taken apart no further */
	uint16_t	type, flags;
	struct bytes	body;
	struct bytes	whole;
};

/* False: none is left, or what is left is no record (*bad set). */
static bool
next_record(struct bytes *run, struct record_view *v, bool *bad)
{
	struct bytes before = *run;
	bool wrong = false;

	if (run->n == 0)
		return false;
	v->type = take_u16(run, &wrong);
	v->flags = take_u16(run, &wrong);
	v->body = take_text(run, &wrong);
	v->whole = bytes_head(before, before.n - run->n);
	if (wrong)
		*bad = true;
	return !wrong;
}

static bool
is_known(const struct record_view *v)
{
	return v->type >= RECORD_SENDER && v->type <= RECORD_LAST && (v->flags & ~ENVELOPE_CRITICAL) == 0;
}

struct counts { size_t rcpts, edits, extents, unknown; };

/* The first walk: how much of each there will be. False: malformed, or too many. */
static bool
count(struct bytes run, struct counts *c)
{
	struct record_view v;
	bool bad = false;

	*c = (struct counts){ 0 };
	while (next_record(&run, &v, &bad)) {
		struct bytes body = v.body;

		if (!is_known(&v))
			c->unknown += v.whole.n;
		else if (v.type == RECORD_EDIT)
			c->edits++;
		else if (v.type == RECORD_EXTENTS && v.body.n / 16 > c->extents)
			c->extents = v.body.n / 16;
		else if (v.type == RECORD_RCPT
		    || (v.type == RECORD_RCPT_SET && take_u32(&body, &bad) == c->rcpts))
			c->rcpts++;
	}
	return !bad && c->rcpts <= ENVELOPE_RCPTS && c->edits <= ENVELOPE_EDITS && c->extents <= ENVELOPE_EXTENTS;
}

static bool
get_times(struct envelope *e, struct bytes *b)
{
	bool bad = false;

	e->arrival_s = (int64_t)take_u64(b, &bad);
	e->expiry_s = (int64_t)take_u64(b, &bad);
	return !bad;
}

static bool
get_body(struct envelope *e, struct bytes *b)
{
	bool bad = false;

	e->body = take_u32(b, &bad);
	e->smtputf8 = take_u32(b, &bad);
	e->requiretls = take_u32(b, &bad);
	e->mt_priority = (int32_t)take_u32(b, &bad);
	return !bad && e->body <= BODY_BINARYMIME && e->smtputf8 <= 1 && e->requiretls <= TLS_NOT_REQUIRED
	    && e->mt_priority >= -9 && e->mt_priority <= 9;
}

static bool
get_dsn(struct envelope *e, struct bytes *b)
{
	bool bad = false;

	e->ret = take_u32(b, &bad);
	e->envid = take_octets(b, b->n, &bad);
	return !bad && e->ret <= RET_HDRS;
}

static bool
get_client(struct envelope *e, struct bytes *b)
{
	bool bad = false;

	e->client = take_text(b, &bad);
	e->client_name = take_text(b, &bad);
	e->helo = take_text(b, &bad);
	e->protocol = take_text(b, &bad);
	e->tls = take_text(b, &bad);
	return !bad;
}

static bool
get_ids(struct envelope *e, struct bytes *b)
{
	bool bad = false;

	e->session = take_text(b, &bad);
	e->journal = take_text(b, &bad);
	return !bad;
}

static bool
get_attempt(struct envelope *e, struct bytes *b)
{
	bool bad = false;

	e->attempts = take_u32(b, &bad);
	e->next_s = (int64_t)take_u64(b, &bad);
	return !bad;
}

static bool
get_extents(struct envelope *e, struct bytes *b)
{
	bool bad = false;

	for (e->nextents = 0; b->n > 0 && !bad; e->nextents++) {
		struct extent x = { .offset = take_u64(b, &bad) };

		x.octets = take_u64(b, &bad);
		if (!bad)
			e->extents[e->nextents] = x;
	}
	return !bad;
}

static bool
get_edit(struct envelope *e, struct bytes *b)
{
	struct header_edit *d = &e->edits[e->nedits++];
	bool bad = false;

	d->op = take_u32(b, &bad);
	d->nth = take_u32(b, &bad);
	d->offset = take_u64(b, &bad);
	d->octets = take_u64(b, &bad);
	d->name = take_text(b, &bad);
	d->text = take_text(b, &bad);
	return !bad && d->op <= EDIT_DELETE;
}

static bool
get_recipient(struct recipient *r, struct bytes *b)
{
	bool bad = false;

	*r = (struct recipient){ 0 };
	r->notify = take_u32(b, &bad);
	r->state = take_u32(b, &bad);
	r->attempts = take_u32(b, &bad);
	r->uncertain = take_u32(b, &bad);
	r->uid = take_u32(b, &bad);
	r->gid = take_u32(b, &bad);
	r->last_s = (int64_t)take_u64(b, &bad);
	r->original = take_text(b, &bad);
	r->final = take_text(b, &bad);
	r->orcpt = take_text(b, &bad);
	r->last_reply = take_text(b, &bad);
	r->transport = take_text(b, &bad);
	r->nexthop = take_text(b, &bad);
	r->mailbox = take_text(b, &bad);
	return !bad && r->state <= RCPT_PASSED && r->notify <= 15;
}

/* The one whose index stands next. NULL: there is none. */
static struct recipient *
take_recipient(struct envelope *e, struct bytes *b)
{
	bool bad = false;
	uint32_t index = take_u32(b, &bad);

	return bad || index >= e->nrcpts ? NULL : &e->rcpts[index];
}

static bool
get_recipient_state(struct envelope *e, struct bytes *b)
{
	struct recipient *r = take_recipient(e, b);
	bool bad = false;

	if (!r)
		return false;
	r->state = take_u32(b, &bad);
	r->attempts = take_u32(b, &bad);
	r->uncertain = take_u32(b, &bad);
	r->last_s = (int64_t)take_u64(b, &bad);
	r->last_reply = take_octets(b, b->n, &bad);
	r->remote = r->command = r->said = (struct bytes){ 0 };	/* what was said follows, if anything was */
	return !bad && r->state <= RCPT_PASSED;
}

static bool
get_recipient_at(struct envelope *e, struct bytes *b)
{
	bool bad = false;
	uint32_t index = take_u32(b, &bad);

	if (bad || index > e->nrcpts)
		return false;
	if (index == e->nrcpts)
		e->nrcpts++;
	return get_recipient(&e->rcpts[index], b);
}

static bool
get_said(struct envelope *e, struct bytes *b)
{
	struct recipient *r = take_recipient(e, b);
	bool bad = false;

	if (!r)
		return false;
	r->remote = take_text(b, &bad);
	r->command = take_text(b, &bad);
	r->said = take_text(b, &bad);
	return !bad;
}

static bool
get_told(struct envelope *e, struct bytes *b)
{
	bool bad = false;

	e->delay_told = take_u32(b, &bad);
	return !bad && e->delay_told <= 1;
}

static bool
get_origin(struct envelope *e, struct bytes *b)
{
	bool bad = false;

	e->origin = take_u32(b, &bad);
	return !bad && e->origin <= ORIGIN_NOTICE_POSTMASTER;
}

static struct bytes
rest_of(struct bytes *b)
{
	struct bytes all = *b;

	*b = bytes_skip(*b, b->n);
	return all;
}

/* False: the body is not what its type has, to the last octet. */
static bool
get_known(struct envelope *e, uint16_t type, struct bytes b)
{
	bool good = true;

	switch (type) {
	case RECORD_SENDER:	e->sender = rest_of(&b); break;
	case RECORD_TIMES:	good = get_times(e, &b); break;
	case RECORD_BODY:	good = get_body(e, &b); break;
	case RECORD_DSN:	good = get_dsn(e, &b); break;
	case RECORD_ACCOUNT:	e->account = rest_of(&b); break;
	case RECORD_CLIENT:	good = get_client(e, &b); break;
	case RECORD_VERDICTS:	e->verdicts = rest_of(&b); break;
	case RECORD_IDS:	good = get_ids(e, &b); break;
	case RECORD_HOLD:	e->hold_reason = rest_of(&b); break;
	case RECORD_ATTEMPT:	good = get_attempt(e, &b); break;
	case RECORD_EXTENTS:	good = get_extents(e, &b); break;
	case RECORD_EDIT:	good = get_edit(e, &b); break;
	case RECORD_RCPT:	good = get_recipient(&e->rcpts[e->nrcpts++], &b); break;
	case RECORD_RCPT_STATE:	good = get_recipient_state(e, &b); break;
	case RECORD_RCPT_SET:	good = get_recipient_at(e, &b); break;
	case RECORD_RCPT_SAID:	good = get_said(e, &b); break;
	case RECORD_TOLD:	good = get_told(e, &b); break;
	case RECORD_ORIGIN:	good = get_origin(e, &b); break;
	}
	return good && b.n == 0;
}

bool
envelope_decode(struct bytes records, struct arena *a, struct envelope *e)
{
	struct counts c;
	struct record_view v;
	unsigned char *unknown;
	bool bad = false;

	*e = (struct envelope){ 0 };
	if (records.n > ENVELOPE_RECORDS || !count(records, &c))
		return false;
	e->rcpts = arena_array(a, c.rcpts, sizeof *e->rcpts);
	e->edits = arena_array(a, c.edits, sizeof *e->edits);
	e->extents = arena_array(a, c.extents, sizeof *e->extents);
	unknown = arena_alloc(a, c.unknown);
	e->unknown.p = unknown;
	while (next_record(&records, &v, &bad)) {
		if (is_known(&v)) {
			if (!get_known(e, v.type, v.body))
				return false;
			continue;
		}
		e->unknown_critical = e->unknown_critical || (v.flags & ENVELOPE_CRITICAL) != 0
		    || v.type <= RECORD_LAST;	/* ours, with a flag that is not */
		memcpy(unknown + e->unknown.n, v.whole.p, v.whole.n);
		e->unknown.n += v.whole.n;
	}
	return !bad;
}

/* ---- the message as it goes out ---- */

static uint64_t
content_octets(const struct envelope *e)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < e->nextents; i++) {
		if (e->extents[i].octets > (uint64_t)INT64_MAX - sum)
			return UINT64_MAX;
		sum += e->extents[i].octets;
	}
	return sum;
}

/* Octets [from, to) of the content, wherever its extents are. */
static void
add_content(const struct envelope *e, uint64_t from, uint64_t to, struct buf *out)
{
	uint64_t at = 0;		/* where extent i begins in the content */

	for (size_t i = 0; i < e->nextents && at < to; i++) {
		const struct extent *x = &e->extents[i];
		uint64_t start = from > at ? from - at : 0;
		uint64_t stop = to - at < x->octets ? to - at : x->octets;

		if (start < stop)
			segments_add_file(out, x->offset + start, stop - start);
		at += x->octets;
	}
}

bool
envelope_segments(const struct envelope *e, struct buf *out)
{
	uint64_t total = content_octets(e), at = 0;

	if (total == UINT64_MAX)
		return false;
	for (size_t i = 0; i < e->nedits; i++)
		if (e->edits[i].op == EDIT_INSERT)
			segments_add_text(out, e->edits[i].text);
	for (size_t i = 0; i < e->nedits; i++) {
		const struct header_edit *d = &e->edits[i];

		if (d->op == EDIT_INSERT)
			continue;
		if (d->offset < at || d->offset > total || d->octets > total - d->offset)
			return false;
		add_content(e, at, d->offset, out);
		if (d->op == EDIT_REPLACE)
			segments_add_text(out, d->text);
		at = d->offset + d->octets;
	}
	add_content(e, at, total, out);
	return !out->full;
}
