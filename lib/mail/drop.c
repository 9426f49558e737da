/* SPDX-License-Identifier: ISC */
#include "mail/drop.h"

#include "base/encode.h"
#include "base/mem.h"
#include "mail/take.h"

#define HEAD		8	/* of a record: u16 type, u16 zero, u32 octets of its body */
#define SENDER_NULL	1u
#define SENDER_8BIT	2u

static const struct bytes mark = { (const unsigned char *)"HRMDROP1", 8 };

enum { START, MARKED, SENDER, RCPTS, CONTENT, WHOLE };

/* Where a record of this type leads; START: it must not come now. */
static const unsigned char next[WHOLE + 1][DROP_END + 1] = {
	[MARKED]	= { [DROP_SENDER] = SENDER },
	[SENDER]	= { [DROP_RCPT] = RCPTS },
	[RCPTS]		= { [DROP_RCPT] = RCPTS, [DROP_CONTENT] = CONTENT, [DROP_END] = WHOLE },
	[CONTENT]	= { [DROP_CONTENT] = CONTENT, [DROP_END] = WHOLE },
};

/* ---- writing ---- */

static void
put_body(const struct drop_file *f, const struct drop_record *r, struct buf *body)
{
	switch (r->type) {
	case DROP_SENDER:
		buf_u32(body, (r->null_sender ? SENDER_NULL : 0) | (r->body_8bit ? SENDER_8BIT : 0));
		put_text(body, r->sender);
		put_text(body, r->envid);
		break;
	case DROP_RCPT:
		buf_u32(body, r->notify);
		put_text(body, r->recipient);
		break;
	case DROP_CONTENT:
		buf_add(body, r->content);
		break;
	case DROP_END:
		buf_u64(body, f->octets);
		break;				/* the checksum is not known yet */
	}
}

void
drop_put(struct drop_file *f, const struct drop_record *r, struct buf *out)
{
	size_t from = out->n;
	struct buf body;

	if (f->state == START) {
		buf_add(out, mark);
		f->state = MARKED;
	}
	must(next[f->state][r->type] != START);
	f->state = next[f->state][r->type];
	f->octets += r->type == DROP_CONTENT ? r->content.n : 0;
	buf_init(&body, DROP_BODY_MAX);
	put_body(f, r, &body);
	must(!body.full);
	buf_u16(out, (uint16_t)r->type);
	buf_u16(out, 0);
	buf_u32(out, (uint32_t)(body.n + (r->type == DROP_END ? 4 : 0)));
	buf_add(out, buf_bytes(&body));
	buf_fini(&body);
	f->crc = crc32_of(f->crc, bytes_skip(buf_bytes(out), from));
	if (r->type == DROP_END)
		buf_u32(out, f->crc);
}

/* ---- reading ---- */

static bool
take_body(const struct drop_file *f, struct bytes body, uint32_t crc, struct drop_record *r)
{
	bool bad = false;
	uint32_t flags;

	switch (r->type) {
	case DROP_SENDER:
		flags = take_u32(&body, &bad);
		r->null_sender = flags & SENDER_NULL;
		r->body_8bit = flags & SENDER_8BIT;
		r->sender = take_text(&body, &bad);
		r->envid = take_text(&body, &bad);
		return !bad && body.n == 0 && (flags & ~(SENDER_NULL | SENDER_8BIT)) == 0;
	case DROP_RCPT:
		r->notify = take_u32(&body, &bad);
		r->recipient = take_text(&body, &bad);
		return !bad && body.n == 0;
	case DROP_CONTENT:
		r->content = body;
		return body.n > 0;
	default:
		r->octets = take_u64(&body, &bad);
		return take_u32(&body, &bad) == crc && !bad && body.n == 0 && r->octets == f->octets;
	}
}

static enum drop_take
take_record(struct drop_file *f, struct bytes *in, struct drop_record *r)
{
	struct bytes head = bytes_head(*in, HEAD);
	bool bad = false;
	uint16_t type = take_u16(&head, &bad), zero = take_u16(&head, &bad);
	uint32_t n = take_u32(&head, &bad);

	if (bad)
		return DROP_MORE;
	if (type == 0 || type > DROP_END || zero != 0 || n > DROP_BODY_MAX || next[f->state][type] == START
	    || (type == DROP_END && n != 12))
		return DROP_BAD;
	if (in->n < HEAD + n)
		return DROP_MORE;
	*r = (struct drop_record){ .type = (enum drop_type)type };
	f->crc = crc32_of(f->crc, bytes_head(*in, HEAD + n - (type == DROP_END ? 4 : 0)));
	if (!take_body(f, bytes_of(in->p + HEAD, n), f->crc, r))
		return DROP_BAD;
	f->state = next[f->state][type];
	f->octets += r->content.n;
	*in = bytes_skip(*in, HEAD + n);
	return DROP_TAKEN;
}

enum drop_take
drop_take(struct drop_file *f, struct bytes *in, struct drop_record *r)
{
	if (f->state == START) {
		if (in->n < mark.n)
			return bytes_starts(mark, *in) ? DROP_MORE : DROP_BAD;
		if (!bytes_starts(*in, mark))
			return DROP_BAD;
		f->crc = crc32_of(0, mark);
		*in = bytes_skip(*in, mark.n);
		f->state = MARKED;
	}
	if (f->state == WHOLE)
		return DROP_BAD;
	return take_record(f, in, r);
}

bool
drop_whole(const struct drop_file *f)
{
	return f->state == WHOLE;
}
