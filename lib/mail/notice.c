/* SPDX-License-Identifier: ISC */
#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "mail/notice_impl.h"
#include "mail/notice_words.h"
#include "proto/rfc5322_field.h"
#include "proto/rfc5322_write.h"
#include "proto/smtp_reply.h"
#include "proto/utf8.h"

#define LINE_OCTETS	998	/* RFC 5322 section 2.1.1 */
#define MESSAGE_ID_MAX	800	/* octets of another's that are referred to */

/* ---- a look at what is returned ------------------------------------------------------------ */

void
notice_boundary(const unsigned char chance[16], char out[NOTICE_BOUNDARY_MAX])
{
	struct buf b;

	buf_init(&b, NOTICE_BOUNDARY_MAX);
	buf_text(&b, "=_hermod_");
	hex_encode(bytes_of(chance, 16), &b);
	must(bytes_to_text(buf_bytes(&b), out, NOTICE_BOUNDARY_MAX));
	buf_fini(&b);
}

void
notice_look_init(struct notice_look *l, const char *boundary)
{
	*l = (struct notice_look){ .boundary = boundary };
	must(bytes_find(text(boundary + 1), (unsigned char)boundary[0]) == strlen(boundary + 1));
}

/* Its first octet occurs in it once: what does not go on can only begin again. */
static void
look_for_boundary(struct notice_look *l, unsigned char c)
{
	l->matched = c == (unsigned char)l->boundary[l->matched] ? l->matched + 1 : c == (unsigned char)l->boundary[0];
	if (l->boundary[l->matched] == '\0') {
		l->has_boundary = true;
		l->matched = 0;
	}
}

void
notice_look(struct notice_look *l, struct bytes octets)
{
	for (size_t i = 0; i < octets.n; i++) {
		unsigned char c = octets.p[i];

		look_for_boundary(l, c);
		l->eight_bit = l->eight_bit || c >= 0x80;
		if (l->cr != (c == '\n') || c == '\0')
			l->odd = true;
		l->cr = c == '\r';
		l->column = c == '\n' ? 0 : l->column + 1;
		if (l->column > LINE_OCTETS + (size_t)l->cr)
			l->odd = true;
	}
}

void
notice_look_end(struct notice_look *l)
{
	l->odd = l->odd || l->cr;
}

/* ---- of one recipient ------------------------------------------------------------------------- */

struct bytes
notice_address(const struct notice *n, size_t i)
{
	const struct recipient *r = told_recipient(n, i);
	bool member = n->told[i].alias && n->told[i].action != ACTION_EXPANDED;

	return r->original.n == 0 || member ? r->final : r->original;
}

/* A failed recipient may have a code of class 4: RFC 3464 section 2.3.3. */
static bool
class_fits(enum notice_action action, unsigned class)
{
	switch (action) {
	case ACTION_FAILED:	return class == 4 || class == 5;
	case ACTION_DELAYED:	return class == 4;
	default:		return class == 2;
	}
}

void
notice_status(const struct notice *n, size_t i, unsigned status[3])
{
	enum notice_action action = n->told[i].action;

	if (smtp_status_take(told_recipient(n, i)->last_reply, status) > 0 && class_fits(action, status[0]))
		return;
	status[0] = action == ACTION_FAILED ? 5 : action == ACTION_DELAYED ? 4 : 2;	/* RFC 3461 section 6.3 (g) */
	status[1] = status[2] = 0;
}

int64_t
notice_until_s(const struct notice *n)
{
	const struct envelope *e = n->envelope;

	return e->expiry_s > 0 ? e->expiry_s : e->arrival_s + (int64_t)n->rules->lifetime_s;
}

/* ---- what it is going to be ---------------------------------------------------------------------- */

/* RFC 3461 sections 4.3 and 6.2: only of what failed. RFC 8689 section 5: nor what must not be seen on its way, for the way
 * back may be another. */
bool
notice_wants_message(const struct notice_rules *rules, const struct envelope *e, size_t failed, uint64_t octets)
{
	bool full = e->requiretls != TLS_REQUIRED && (e->ret == RET_FULL || (e->ret == RET_UNSAID && rules->full));

	return full && failed > 0 && octets <= rules->full_octets;
}

/* RFC 6533 section 4.4; a header that is not UTF-8 is none of that type. */
static bool
is_global(const struct notice *n)
{
	return n->envelope->smtputf8 && n->header_look->eight_bit && utf8_valid(n->header);
}

/*
 * RFC 6522 section 3: what the way back may not take, and what must not be encoded (message/rfc822: RFC 2046 section 5.2.1),
 * is not returned but for its header. message/global may be encoded (RFC 6532 section 3.7).
 */
static bool
can_return_message(const struct notice *n)
{
	return n->look != NULL && !n->look->odd && (!n->look->eight_bit || n->takes_8bit || n->global);
}

static void
choose_return(struct notice *n)
{
	n->global = is_global(n);
	if (can_return_message(n))
		n->returned = RETURN_MESSAGE;
	else
		n->returned = n->header.n > 0 ? RETURN_HEADER : RETURN_NOTHING;
}

/* How the third part is encoded. */
static enum mime_transfer
return_encoding(const struct notice *n)
{
	const struct notice_look *l = n->returned == RETURN_MESSAGE ? n->look : n->header_look;

	if (!l->odd && (!l->eight_bit || (n->takes_8bit && (n->global || n->returned == RETURN_MESSAGE))))
		return MIME_PLAIN;
	return n->returned == RETURN_MESSAGE ? MIME_BASE64 : MIME_QUOTED;
}

static bool
return_is_8bit(const struct notice *n)
{
	const struct notice_look *l = n->returned == RETURN_MESSAGE ? n->look : n->header_look;

	return n->returned != RETURN_NOTHING && l->eight_bit && return_encoding(n) == MIME_PLAIN;
}

static enum notice_text
choose_text(const struct notice *n)
{
	if (n->to_postmaster)
		return NOTICE_TEXT_POSTMASTER;
	if (n->failed > 0)
		return NOTICE_TEXT_FAILURE;
	return n->told[0].action == ACTION_DELAYED ? NOTICE_TEXT_DELAY : NOTICE_TEXT_SUCCESS;
}

enum stage { HEADER, HUMAN_HEAD, HUMAN, STATUS_HEAD, STATUS, RETURN_HEAD, RETURNED, END, DONE };

void
notice_begin(struct notice *n, struct arena *a)
{
	bool to_utf8 = !bytes_is_ascii(n->to);

	must(n->ntold > 0);
	n->arena = a;
	n->stage = HEADER;
	n->takes_8bit = n->takes_8bit || to_utf8;	/* an address of UTF-8: SMTPUTF8, which has 8BITMIME (RFC 6531 section 3.1) */
	n->status_utf8 = n->envelope->smtputf8 && n->takes_8bit;
	n->text = &n->rules->templates->text[choose_text(n)];
	choose_return(n);
	n->human_8bit = human_has_8bit(n);
	n->smtputf8 = to_utf8 || n->status_utf8 || (n->global && return_encoding(n) == MIME_PLAIN);
	n->body = n->takes_8bit && (n->human_8bit || n->status_utf8 || return_is_8bit(n)) ? BODY_8BITMIME : BODY_7BIT;
}

/* ---- the header of the notification --------------------------------------------------------------- */

/* A message id as it may be repeated: one word of ASCII in <>. Else nothing. */
static struct bytes
their_message_id(const struct notice *n)
{
	struct field f;
	struct bytes id;

	if (!field_find(n->header, "Message-ID", &f))
		return (struct bytes){ 0 };
	id = bytes_trim(field_unfold(f.value, n->arena));
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] <= ' ' || id.p[i] >= 0x7f || (i > 0 && id.p[i] == '<') || (i + 1 < id.n && id.p[i] == '>'))
			return (struct bytes){ 0 };
	return id.n > 2 && id.n <= MESSAGE_ID_MAX && id.p[0] == '<' && id.p[id.n - 1] == '>' ? id : (struct bytes){ 0 };
}

static void
put_address(struct buf *out, const char *name, struct bytes address)
{
	struct buf value;

	buf_init(&value, ADDRESS_MAX + 2);
	buf_char(&value, '<');
	buf_add(&value, bytes_head(address, ADDRESS_MAX));
	buf_char(&value, '>');
	words_field(out, name, buf_bytes(&value), true);
	buf_fini(&value);
}

static void
put_header(const struct notice *n, struct buf *out)
{
	const char *host = n->rules->hostname;
	struct bytes id = their_message_id(n);
	char date[CLOCK_DATE_MAX];

	clock_date(n->now_s, date);
	buf_fmt(out, "Received: by %s (Hermod)\r\n\tid %s; %s\r\n", host, n->id, date);	/* RFC 5321 section 4.4 */
	buf_fmt(out, "Date: %s\r\n", date);
	buf_fmt(out, "From: MAILER-DAEMON <postmaster@%s>\r\n", host);	/* RFC 3464 section 2: who reads the answers */
	put_address(out, "To", n->to);
	words_subject(out, n->text->subject);
	message_id_put(text(n->id), text(host), out);
	if (id.n > 0) {
		buf_fmt(out, "In-Reply-To: %.*s\r\n", BYTES_FMT(id));
		buf_fmt(out, "References: %.*s\r\n", BYTES_FMT(id));
	}
	buf_text(out, "Auto-Submitted: auto-replied\r\n"	/* RFC 3834 section 3.1.7 */
	    "MIME-Version: 1.0\r\n");
	buf_fmt(out, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n",
	    n->status_utf8 ? "global-delivery-status" : "delivery-status", n->boundary);
	if (n->body == BODY_8BITMIME)
		buf_text(out, "Content-Transfer-Encoding: 8bit\r\n");
	buf_text(out, "\r\nThis is a delivery status notification in MIME format (RFC 3464).\r\n");
}

/* ---- parts ------------------------------------------------------------------------------------------- */

/* A boundary, and the header of the part behind it. */
static void
put_part(const struct notice *n, const char *type, const char *description, const char *encoding, struct buf *out)
{
	buf_fmt(out, "\r\n--%s\r\nContent-Type: %s\r\n", n->boundary, type);
	buf_fmt(out, "Content-Description: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", description, encoding);
}

static void
put_human_head(struct notice *n, struct buf *out)
{
	bool quoted = n->human_8bit && !n->takes_8bit;

	put_part(n, "text/plain; charset=utf-8", "Notification", quoted ? "quoted-printable" : n->human_8bit ? "8bit"
	    : "7bit", out);
	mime_encoder_init(&n->encoder, quoted ? MIME_QUOTED : MIME_PLAIN);
	human_begin(n);
}

static void
put_return_head(struct notice *n, struct buf *out)
{
	static const char *const names[] = { [MIME_BASE64] = "base64", [MIME_QUOTED] = "quoted-printable" };
	bool whole = n->returned == RETURN_MESSAGE;
	enum mime_transfer how = return_encoding(n);

	put_part(n, whole ? n->global ? "message/global" : "message/rfc822"
	    : n->global ? "message/global-headers" : "text/rfc822-headers",
	    whole ? "The message" : "The header of the message", how == MIME_PLAIN ? return_is_8bit(n) ? "8bit" : "7bit"
	    : names[how], out);
	mime_encoder_init(&n->encoder, how);
}

/* Its pieces go through the part's encoding. False: it has ended. */
static bool
put_human(struct notice *n, struct buf *out)
{
	struct buf plain;
	bool more;

	buf_init(&plain, NOTICE_PIECE_MAX / 4);
	more = human_next(n, &plain);
	must(!plain.full);
	mime_encode(&n->encoder, buf_bytes(&plain), out);
	if (!more)
		mime_encode_end(&n->encoder, out);
	buf_fini(&plain);
	return more;
}

static bool
put_status(struct notice *n, struct buf *out)
{
	if (n->at == n->ntold)
		return false;
	status_recipient(n, n->at++, out);
	return true;
}

static bool
put_returned_header(struct notice *n, struct buf *out)
{
	struct bytes some = bytes_head(bytes_skip(n->header, n->at), NOTICE_CHUNK);

	mime_encode(&n->encoder, some, out);
	n->at += some.n;
	if (n->at < n->header.n)
		return true;
	mime_encode_end(&n->encoder, out);
	return false;
}

void
notice_content(struct notice *n, struct bytes octets, struct buf *out)
{
	must(n->returned == RETURN_MESSAGE && octets.n <= NOTICE_CHUNK);
	mime_encode(&n->encoder, octets, out);
}

static void
put_stage(struct notice *n, struct buf *out)
{
	switch ((enum stage)n->stage) {
	case HEADER:
		put_header(n, out);
		break;
	case HUMAN_HEAD:
		put_human_head(n, out);
		break;
	case HUMAN:
		if (put_human(n, out))
			return;
		break;
	case STATUS_HEAD:
		put_part(n, n->status_utf8 ? "message/global-delivery-status" : "message/delivery-status",
		    "Delivery report", n->status_utf8 ? "8bit" : "7bit", out);
		status_message(n, out);
		break;
	case STATUS:
		if (put_status(n, out))
			return;
		break;
	case RETURN_HEAD:
		if (n->returned != RETURN_NOTHING)
			put_return_head(n, out);
		break;
	case RETURNED:
		if (n->returned == RETURN_MESSAGE)
			mime_encode_end(&n->encoder, out);
		else if (n->returned == RETURN_HEADER && put_returned_header(n, out))
			return;
		break;
	case END:
		buf_fmt(out, "\r\n--%s--\r\n", n->boundary);
		break;
	case DONE:
		break;
	}
	n->at = 0;
	n->stage++;
}

enum notice_next
notice_next(struct notice *n, struct buf *out)
{
	if (n->stage == DONE)
		return NOTICE_DONE;
	put_stage(n, out);
	must(!out->full);
	return n->stage == RETURNED && n->at == 0 && n->returned == RETURN_MESSAGE ? NOTICE_CONTENT : NOTICE_MORE;
}
