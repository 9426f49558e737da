/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_structure.h"
#include "proto/mime_field.h"
#include "proto/rfc5322_field.h"

/* ---- strings, RFC 3501 section 4.3 ---- */

/* The octet at i as it is sent; -1: it is not, being part of a fold's line end. */
static int
sent(struct bytes s, size_t i)
{
	unsigned char c = s.p[i];

	if (c == '\n' || (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n'))
		return -1;
	return c == '\r' ? ' ' : c == 0 ? '?' : c;
}

static bool
is_escaped(int c)
{
	return c == '"' || c == '\\';
}

static void
put_quoted(struct bytes s, size_t n, struct buf *out)
{
	unsigned char *p = buf_room(out, n + 2);
	size_t i;
	int c;

	if (p == NULL)
		return;
	*p++ = '"';
	for (i = 0; i < s.n; i++) {
		if ((c = sent(s, i)) == -1)
			continue;
		if (is_escaped(c))
			*p++ = '\\';
		*p++ = (unsigned char)c;
	}
	*p = '"';
	out->n += n + 2;
}

static void
put_literal(struct bytes s, size_t n, struct buf *out)
{
	unsigned char *p;
	size_t i;
	int c;

	buf_fmt(out, "{%zu}\r\n", n);
	if ((p = buf_room(out, n)) == NULL)
		return;
	for (i = 0; i < s.n; i++)
		if ((c = sent(s, i)) != -1)
			*p++ = (unsigned char)c;
	out->n += n;
}

static void
put_string(struct bytes s, struct buf *out)
{
	size_t i, n = 0, escaped = 0;
	bool eight = false;
	int c;

	for (i = 0; i < s.n; i++) {
		if ((c = sent(s, i)) == -1)
			continue;
		n++;
		escaped += is_escaped(c);
		eight = eight || c >= 0x80;
	}
	if (eight)
		put_literal(s, n, out);
	else
		put_quoted(s, n + escaped, out);
}

/* p NULL: there is none. */
static void
put_nstring(struct bytes s, struct buf *out)
{
	if (s.p == NULL)
		buf_text(out, "NIL");
	else
		put_string(s, out);
}

/* A field of a part, as it stands behind its colon. */
static void
put_field(struct bytes value, struct buf *out)
{
	put_nstring(bytes_trim(bytes_head(value, IMAP_FIELD_MAX)), out);
}

static void
put_number(size_t n, struct buf *out)
{
	buf_fmt(out, "%zu", n < UINT32_MAX ? n : UINT32_MAX);
}

/* ---- ENVELOPE ---- */

enum envelope_field { DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID, FIELDS };

/* In the order of the grammar. */
static const struct { const char *name; bool addresses; } envelope_fields[FIELDS] = {
	[DATE]	     = { "Date",	false },
	[SUBJECT]    = { "Subject",	false },
	[FROM]	     = { "From",	true },
	[SENDER]     = { "Sender",	true },
	[REPLY_TO]   = { "Reply-To",	true },
	[TO]	     = { "To",		true },
	[CC]	     = { "Cc",		true },
	[BCC]	     = { "Bcc",		true },
	[IN_REPLY_TO] = { "In-Reply-To", false },
	[MESSAGE_ID] = { "Message-ID",	false },
};

/* The first of each name; p NULL: none. */
static void
find_fields(struct bytes header, struct bytes values[FIELDS])
{
	struct field f;
	size_t i;

	memset(values, 0, FIELDS * sizeof *values);
	header = bytes_head(header, MIME_HEADER_MAX);
	while (field_next(&header, &f))
		for (i = 0; i < FIELDS; i++)
			if (values[i].p == NULL && field_is(&f, envelope_fields[i].name))
				values[i] = bytes_head(f.value, IMAP_FIELD_MAX);
}

/* address: personal name, at-domain-list, mailbox name, host name. A group begins with
 * a NIL host, and ends with NIL for all. */
static void
put_address(const struct mailbox_entry *e, struct buf *out)
{
	if (e->kind == ENTRY_GROUP_END) {
		buf_text(out, "(NIL NIL NIL NIL)");
		return;
	}
	buf_char(out, '(');
	if (e->kind == ENTRY_GROUP || e->display.n == 0)
		buf_text(out, "NIL");
	else
		put_string(e->display, out);
	buf_char(out, ' ');
	put_nstring(e->route.n > 0 ? e->route : bytes_of(NULL, 0), out);
	buf_char(out, ' ');
	put_string(e->kind == ENTRY_GROUP ? e->display : e->local, out);
	buf_char(out, ' ');
	if (e->kind == ENTRY_GROUP)
		buf_text(out, "NIL");
	else
		put_string(e->domain, out);
	buf_char(out, ')');
}

/* False: there is nothing in it, and nothing was printed. */
static bool
put_addresses(struct bytes value, struct arena *scratch, struct buf *out)
{
	static const struct mailbox_entry end = { .kind = ENTRY_GROUP_END };
	struct addresses list;
	bool in_group = false;
	size_t i;

	arena_reset(scratch);
	rfc5322_addresses_shown(value, IMAP_ADDRESSES_MAX, scratch, &list);
	if (list.n == 0)
		return false;
	buf_char(out, '(');
	for (i = 0; i < list.n; i++) {
		put_address(&list.v[i], out);
		in_group = list.v[i].kind == ENTRY_GROUP || list.v[i].in_group;
	}
	if (in_group)			/* the rest of it was too much */
		put_address(&end, out);
	buf_char(out, ')');
	return true;
}

static void
put_envelope_field(const struct bytes values[FIELDS], enum envelope_field f, struct arena *scratch,
    struct buf *out)
{
	bool or_from = f == SENDER || f == REPLY_TO;

	if (!envelope_fields[f].addresses)
		put_nstring(values[f], out);
	else if (!put_addresses(values[f], scratch, out)
	    && !(or_from && put_addresses(values[FROM], scratch, out)))
		buf_text(out, "NIL");
}

void
imap_envelope(struct bytes header, struct arena *scratch, struct buf *out)
{
	struct bytes values[FIELDS];
	unsigned i;

	find_fields(header, values);
	for (i = 0; i < FIELDS && !out->full; i++) {
		buf_char(out, i == 0 ? '(' : ' ');
		put_envelope_field(values, (enum envelope_field)i, scratch, out);
	}
	buf_char(out, ')');
}

/* ---- the fields of a part ---- */

/* body-fld-param */
static void
put_params(const struct mime_value *v, struct buf *out)
{
	unsigned char name[MIME_VALUE_MAX + 1];
	const struct mime_param *p;
	size_t i;

	if (v->params_n == 0)
		buf_text(out, "NIL");
	for (i = 0; i < v->params_n; i++) {
		p = &v->params[i];
		buf_char(out, i == 0 ? '(' : ' ');
		memcpy(name, p->name.p, p->name.n);
		name[p->name.n] = '*';			/* RFC 2231 section 4 */
		put_string(bytes_of(name, p->name.n + p->extended), out);
		buf_char(out, ' ');
		put_string(p->value, out);
	}
	if (v->params_n > 0)
		buf_char(out, ')');
}

/* body-fld-dsp */
static void
put_disposition(struct bytes value, struct buf *out)
{
	struct mime_value v;

	mime_content_disposition(value, &v);
	if (v.type.n == 0) {
		buf_text(out, "NIL");
		return;
	}
	buf_char(out, '(');
	put_string(v.type, out);
	buf_char(out, ' ');
	put_params(&v, out);
	buf_char(out, ')');
}

/* body-fld-lang */
static void
put_languages(struct bytes value, struct buf *out)
{
	struct bytes tags[IMAP_LANGUAGES_MAX];
	size_t i, n = mime_languages(bytes_head(value, IMAP_FIELD_MAX), tags, LEN(tags));

	if (n == 0)
		buf_text(out, "NIL");
	for (i = 0; i < n; i++) {
		buf_char(out, i == 0 ? '(' : ' ');
		put_string(tags[i], out);
	}
	if (n > 0)
		buf_char(out, ')');
}

/* body-fld-enc; RFC 2045 section 6.1: 7BIT when nothing is said. */
static void
put_encoding(struct bytes value, struct buf *out)
{
	unsigned char room[MIME_ENCODING_MAX];
	struct bytes encoding = mime_encoding(value, room);

	put_string(encoding.n > 0 ? encoding : text("7BIT"), out);
}

/* What body-ext-1part and body-ext-mpart have in common. */
static void
put_extension(const struct mime_part *p, struct buf *out)
{
	buf_char(out, ' ');
	put_disposition(p->fields[MIME_DISPOSITION], out);
	buf_char(out, ' ');
	put_languages(p->fields[MIME_LANGUAGE], out);
	buf_char(out, ' ');
	put_field(p->fields[MIME_LOCATION], out);
}

/* ---- types ---- */

/* RFC 2045 section 5.2 */
static void
set_default_type(struct mime_value *v)
{
	v->type = text("text");
	v->subtype = text("plain");
	v->params[0] = (struct mime_param){ text("charset"), text("us-ascii"), false };
	v->params_n = 1;
}

/* The type as it is shown, with its parameters. */
static void
shown_type(const struct mime_part *p, struct mime_value *v)
{
	mime_content_type(p->fields[MIME_TYPE], v);
	switch (p->kind) {
	case MIME_SINGLE:
		if (v->subtype.n == 0 && bytes_case_eq(v->type, text("text")))
			v->subtype = text("plain");
		else if (v->type.n == 0 || v->subtype.n == 0)
			set_default_type(v);
		break;
	case MIME_MULTIPART:
		if (v->subtype.n == 0)
			v->subtype = text("mixed");	/* RFC 2046 section 5.1.3 */
		break;
	case MIME_MESSAGE:
		if (v->type.n == 0) {			/* RFC 2046 section 5.1.5 */
			v->type = text("message");
			v->subtype = text("rfc822");
		}
		break;
	case MIME_NO_PARTS:
		set_default_type(v);
		break;
	case MIME_CLOSED:
		v->type = text("application");
		v->subtype = text("octet-stream");
		break;
	}
}

/* One whose envelope and body are shown: media-message. */
static bool
is_media_message(const struct mime_part *p, const struct mime_value *v, unsigned how)
{
	return p->kind == MIME_MESSAGE
	    && ((how & IMAP_GLOBAL) != 0 || bytes_case_eq(v->subtype, text("rfc822")));
}

/* ---- BODY and BODYSTRUCTURE ---- */

struct printer {
	struct bytes	text;		/* of the message */
	unsigned	how;
	struct arena	*scratch;
	struct buf	*out;
};

/* body-type-1part up to what its type adds. */
static void
put_type_and_fields(const struct mime_part *p, const struct mime_value *v, struct buf *out)
{
	put_string(v->type, out);
	buf_char(out, ' ');
	put_string(v->subtype, out);
	buf_char(out, ' ');
	put_params(v, out);
	buf_char(out, ' ');
	put_field(p->fields[MIME_ID], out);
	buf_char(out, ' ');
	put_field(p->fields[MIME_DESCRIPTION], out);
	buf_char(out, ' ');
	put_encoding(p->fields[MIME_ENCODING], out);
	buf_char(out, ' ');
	put_number(mime_part_body(p).sent, out);
}

static void
end_single(const struct printer *w, const struct mime_part *p)
{
	if (w->how & IMAP_EXTENDED) {		/* body-ext-1part */
		buf_char(w->out, ' ');
		put_field(p->fields[MIME_MD5], w->out);
		put_extension(p, w->out);
	}
	buf_char(w->out, ')');
}

/* The beginning of a part; all of it, if nothing inside is shown (false). */
static bool
begin_part(const struct printer *w, const struct mime_part *p)
{
	struct mime_value v;
	struct mime_range r;

	buf_char(w->out, '(');
	if (p->kind == MIME_MULTIPART)
		return true;
	shown_type(p, &v);
	put_type_and_fields(p, &v, w->out);
	if (is_media_message(p, &v, w->how)) {
		r = mime_part_header(p->first);
		buf_char(w->out, ' ');
		imap_envelope(bytes_head(bytes_skip(w->text, r.at), r.n), w->scratch, w->out);
		buf_char(w->out, ' ');
		return true;
	}
	if (bytes_case_eq(v.type, text("text"))) {
		buf_char(w->out, ' ');
		put_number(mime_part_body(p).lines, w->out);
	}
	end_single(w, p);
	return false;
}

/* What comes behind the parts inside. */
static void
end_part(const struct printer *w, const struct mime_part *p)
{
	struct mime_value v;

	buf_char(w->out, ' ');
	if (p->kind == MIME_MESSAGE) {
		put_number(mime_part_body(p).lines, w->out);
		end_single(w, p);
		return;
	}
	shown_type(p, &v);
	put_string(v.subtype, w->out);
	if (w->how & IMAP_EXTENDED) {		/* body-ext-mpart */
		buf_char(w->out, ' ');
		put_params(&v, w->out);
		put_extension(p, w->out);
	}
	buf_char(w->out, ')');
}

void
imap_body(const struct mime_tree *t, unsigned how, struct arena *scratch, struct buf *out)
{
	const struct printer w = { t->text, how, scratch, out };
	const struct mime_part *p = t->root;

	while (p != NULL && !out->full) {
		if (begin_part(&w, p)) {
			p = p->first;
			continue;
		}
		while (p->next == NULL && (p = p->parent) != NULL)
			end_part(&w, p);
		if (p != NULL)
			p = p->next;
	}
}
