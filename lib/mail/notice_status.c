/* SPDX-License-Identifier: ISC */
/*
 * mail/notice_status.c - the part for programs: message/delivery-status (RFC 3464 sections 2.2, 2.3; RFC 3461 section 6.3),
 * or message/global-delivery-status (RFC 6533 section 4.1).
 */
#include "base/clock.h"
#include "mail/network.h"
#include "mail/notice_impl.h"
#include "mail/notice_words.h"
#include "proto/smtp_cmd.h"
#include "proto/utf8.h"
#include "proto/xtext.h"

#define REPLY_MAX	4096	/* octets of a reply; a frame has less */
#define VALUE_MAX	(64u << 10)	/* octets of a value that is put together here */

static void
put_date(struct buf *out, const char *name, int64_t wall_s)
{
	char date[CLOCK_DATE_MAX];

	buf_fmt(out, "%s: %s\r\n", name, clock_date(wall_s, date));
}

/* "name: type; value" */
static void
put_typed(struct buf *out, const char *name, struct bytes type, struct bytes value, bool utf8)
{
	struct buf all;

	buf_init(&all, VALUE_MAX);
	buf_add(&all, type);
	buf_text(&all, "; ");
	buf_add(&all, value);
	words_field(out, name, buf_bytes(&all), utf8);
	buf_fini(&all);
}

/* ---- of the message --------------------------------------------------------------------------- */

/* Section 2.2.4: the name it gave, and its address as a comment. */
static void
put_received_from(const struct envelope *e, struct buf *out)
{
	enum smtp_name kind = smtp_helo_name(e->helo);
	struct address a;
	struct buf value;

	if (e->origin != ORIGIN_CLIENT || !address_parse(e->client, &a))
		return;
	buf_init(&value, VALUE_MAX);
	if (kind == SMTP_NAME_BAD)
		buf_fmt(&value, "[%.*s]", BYTES_FMT(e->client));
	else
		buf_add(&value, bytes_head(e->helo, ADDRESS_MAX));
	buf_fmt(&value, " (%.*s)", BYTES_FMT(e->client));
	put_typed(out, "Received-From-MTA", text("dns"), buf_bytes(&value), false);
	buf_fini(&value);
}

void
status_message(const struct notice *n, struct buf *out)
{
	const struct envelope *e = n->envelope;

	if (e->envid.n > 0)
		words_field(out, "Original-Envelope-Id", bytes_head(e->envid, ADDRESS_MAX), false);
	put_typed(out, "Reporting-MTA", text("dns"), text(n->rules->hostname), false);
	put_received_from(e, out);
	put_date(out, "Arrival-Date", e->arrival_s);
}

/* ---- of a recipient -------------------------------------------------------------------------------- */

/* RFC 6533 section 3: an address that is not ASCII is of type utf-8, and in a part of 7 bits in its 7-bit form. */
static void
put_address(const struct notice *n, const char *name, struct bytes type, struct bytes address, struct buf *out)
{
	struct buf encoded;

	if (bytes_is_ascii(address) || n->status_utf8) {
		put_typed(out, name, bytes_is_ascii(address) ? type : text("utf-8"), address, n->status_utf8);
		return;
	}
	buf_init(&encoded, VALUE_MAX);
	if (utf8_xtext_encode(address, &encoded))
		put_typed(out, name, text("utf-8"), buf_bytes(&encoded), false);
	else
		put_typed(out, name, type, address, false);
	buf_fini(&encoded);
}

/* Of ORCPT alone: RFC 3461 section 6.3 (d). */
static void
put_original(const struct notice *n, const struct recipient *r, struct buf *out)
{
	struct bytes address = bytes_head(r->orcpt, ADDRESS_MAX), type = bytes_cut(&address, ';');

	if (r->orcpt.n > 0)
		put_address(n, "Original-Recipient", type, address, out);
}

static void
put_action(const struct notice *n, size_t i, struct buf *out)
{
	static const char *const words[] = {
		[ACTION_FAILED] = "failed", [ACTION_DELAYED] = "delayed", [ACTION_DELIVERED] = "delivered",
		[ACTION_RELAYED] = "relayed", [ACTION_EXPANDED] = "expanded",
	};
	unsigned status[3];

	notice_status(n, i, status);
	buf_fmt(out, "Action: %s\r\nStatus: %u.%u.%u\r\n", words[n->told[i].action], status[0], status[1], status[2]);
}

/* "mx.example.org [192.0.2.1]:25" or "unix:/path": the name, or the address where there is no name. */
static void
put_remote(const struct recipient *r, struct buf *out)
{
	struct bytes name = bytes_head(bytes_head(r->remote, ADDRESS_MAX), bytes_find(r->remote, ' '));

	if (name.n == 0)
		return;
	if (bytes_starts(name, text("unix:"))) {
		put_typed(out, "Remote-MTA", text("x-unix"), bytes_skip(name, 5), false);
		return;
	}
	if (name.p[0] == '[')
		name = bytes_head(name, bytes_find(name, ']') + 1);
	put_typed(out, "Remote-MTA", text("dns"), name, false);
}

static bool
begins_with_code(struct bytes line)
{
	return line.n >= 3 && ascii_digit(line.p[0]) && ascii_digit(line.p[1]) && ascii_digit(line.p[2])
	    && (line.n == 3 || line.p[3] == ' ' || line.p[3] == '-');
}

/* RFC 3461 section 9.2: each line of the reply with its code, whether it was kept or not. */
static void
put_reply(struct bytes said, bool utf8, struct buf *out)
{
	struct bytes code = bytes_head(said, 3);
	struct buf value;

	said = bytes_head(said, REPLY_MAX);
	buf_init(&value, VALUE_MAX);
	while (said.n > 0) {
		struct bytes line = bytes_cut(&said, '\n');

		if (begins_with_code(line))
			line = bytes_skip(line, 4);
		buf_add(&value, code);
		buf_char(&value, said.n > 0 ? '-' : ' ');
		buf_add(&value, line);
		if (said.n > 0)
			buf_char(&value, '\n');
	}
	put_typed(out, "Diagnostic-Code", text("smtp"), buf_bytes(&value), utf8);
	buf_fini(&value);
}

static void
put_diagnostic(const struct notice *n, const struct recipient *r, struct buf *out)
{
	if (begins_with_code(bytes_head(r->said, bytes_find(r->said, '\n'))))
		put_reply(r->said, n->status_utf8, out);
	else if (r->last_reply.n > 0)		/* nobody's reply: what this host has found */
		put_typed(out, "Diagnostic-Code", text("x-hermod"), bytes_head(r->last_reply, REPLY_MAX), n->status_utf8);
}

void
status_recipient(const struct notice *n, size_t i, struct buf *out)
{
	const struct recipient *r = told_recipient(n, i);
	enum notice_action action = n->told[i].action;

	buf_text(out, "\r\n");
	put_original(n, r, out);
	put_address(n, "Final-Recipient", text("rfc822"), bytes_head(notice_address(n, i), ADDRESS_MAX), out);
	put_action(n, i, out);
	if (action != ACTION_EXPANDED && action != ACTION_DELIVERED) {
		put_remote(r, out);
		put_diagnostic(n, r, out);
	}
	if (r->last_s > 0)
		put_date(out, "Last-Attempt-Date", r->last_s);
	words_field(out, "Final-Log-ID", text(n->about), false);
	if (action == ACTION_DELAYED)
		put_date(out, "Will-Retry-Until", notice_until_s(n));
}
