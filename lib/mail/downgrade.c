/* SPDX-License-Identifier: ISC */
#include "base/encode.h"
#include "base/mem.h"
#include "mail/downgrade.h"
#include "proto/mime_encode.h"
#include "proto/mime_field.h"
#include "proto/mime_tree.h"
#include "proto/rfc5322_field.h"

#define LINE_LIMIT	998u	/* octets without CRLF, RFC 5322 section 2.1.1 */
#define LINE_KEPT	1024u	/* of a line, to see whether it is a boundary: "--", MIME_BOUNDARY_MAX, "--" */

/* What the first pass has found for a part, and the second does. */
enum {
	DO_QUOTED = 1, DO_BASE64 = 2,	/* its body is encoded */
	DO_LABEL = 4,			/* its body is not, but its label says more than there will be */
	DO_TYPE = 8,			/* it has no type, and octets that the default one does not */
	DO_VERSION = 16,		/* it is a message in which something is done: MIME-Version, RFC 2045 section 4 */
};

/* A multipart whose boundary is looked for, or a message (without a boundary), as in mime_tree. */
struct level {
	uint32_t	part;		/* of a message: the part that it is */
	unsigned short	at, n;		/* its boundary in the pool */
	bool		digest, message, sealed;
};

/* What a body has that may not be sent. */
struct seen { uint64_t octets, eight, escapes; bool nul, bare, long_line; };

struct downgrade {
	unsigned	what;
	bool		second;			/* pass */
	struct buf	*out;			/* second pass; borrowed during a call */
	const char	*status, *why;		/* the first reason; NULL: none */
	bool		anything;		/* there is something to do */
	uint32_t	crc, crc_first;		/* of all octets, of the first pass */

	/* lines */
	unsigned char	line[LINE_KEPT];
	size_t		line_n;
	bool		inside;			/* the line's beginning was dealt with */
	bool		in_boundary;		/* it is a boundary */
	uint64_t	line_octets;		/* of this line so far, without its end */
	unsigned	held;			/* octets of the line end that is held back: 0, 1 (LF) or 2 */

	/* the part that is open */
	enum { IN_HEADER, IN_BODY, IN_GAP /* between parts, or in a body that cannot be encoded */ } where;
	struct buf	header;			/* owned */
	bool		sealed;			/* in a signed or encrypted multipart */
	bool		text, encoded, fixed, typed;	/* its type is text; it has a transfer encoding; may get none; has a type */
	struct seen	seen;
	struct mime_encoder encoder;

	uint32_t	part, parts;		/* its number; how many there are so far */
	struct buf	todo;			/* owned; an octet a part: DO_ bits */
	struct level	levels[MIME_DEPTH_MAX];
	size_t		levels_n, pool_n;
	unsigned char	pool[MIME_BOUNDARIES];
};

static void
put(struct downgrade *d, struct bytes s)
{
	if (d->second)
		buf_add(d->out, s);
}

static void
impossible(struct downgrade *d, const char *status, const char *why)
{
	if (!d->why) {
		d->status = status;
		d->why = why;
	}
}

/* ---- octets ---- */

static bool
needs(const struct downgrade *d, const struct seen *s)
{
	return ((d->what & DOWNGRADE_8BIT) && s->eight > 0)
	    || ((d->what & DOWNGRADE_LINES) && (s->nul || s->bare || s->long_line));
}

/* Text of a line without its end, or a line end of `end` octets. */
static void
note(struct downgrade *d, struct bytes s, unsigned end, struct seen *seen)
{
	seen->octets += s.n + end;
	seen->bare = seen->bare || end == 1;
	seen->long_line = seen->long_line || d->line_octets > LINE_LIMIT;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		seen->eight += c >= 0x80;
		seen->escapes += c > '~' || c == '=' || (c < ' ' && c != '\t');
		seen->nul = seen->nul || c == '\0';
		seen->bare = seen->bare || c == '\r';
	}
}

/* ---- parts ---- */

static unsigned char *
todo(struct downgrade *d, uint32_t part)
{
	must(part < d->todo.n);
	return &d->todo.p[part];
}

/* Those that are too many share one number: nothing will be done. */
static void
begin_part(struct downgrade *d, bool sealed)
{
	if (d->parts == MIME_PARTS_MAX)
		impossible(d, "5.6.3", "the message has too many parts to be converted");
	else
		d->parts++;
	d->part = d->parts - 1;
	if (d->todo.n < d->parts)
		buf_u8(&d->todo, 0);
	d->where = IN_HEADER;
	d->sealed = sealed;
	d->seen = (struct seen){ 0 };
	buf_clear(&d->header);
}

/* Something is done in this part, so all messages that it is in are MIME messages. */
static void
will_do(struct downgrade *d, unsigned bits)
{
	d->anything = true;
	*todo(d, d->part) |= (unsigned char)bits;
	*todo(d, 0) |= DO_VERSION;
	for (size_t i = 0; i < d->levels_n; i++)
		if (d->levels[i].message)
			*todo(d, d->levels[i].part) |= DO_VERSION;
}

/* RFC 2045 section 6.7: quoted-printable stays legible; where more than a sixth would be quoted, base64 is shorter. */
static void
judge_body(struct downgrade *d)
{
	if (!needs(d, &d->seen))
		return;
	if (d->sealed)
		impossible(d, "5.6.3", "8-bit content is signed or encrypted, and would not be what it was");
	else if (d->encoded)
		impossible(d, "5.6.3", "content is not what its Content-Transfer-Encoding says");
	else if (d->fixed)
		impossible(d, "5.6.3", "8-bit content is in a place where it cannot be encoded");
	else
		will_do(d, (d->text && d->seen.escapes * 6 <= d->seen.octets ? DO_QUOTED : DO_BASE64)
		    | (d->typed || d->seen.eight == 0 ? 0u : DO_TYPE));
}

static void
feed_body(struct downgrade *d, struct bytes s)
{
	if (!d->second)
		return;
	if (*todo(d, d->part) & (DO_QUOTED | DO_BASE64))
		mime_encode(&d->encoder, s, d->out);
	else
		buf_add(d->out, s);
}

/* The line end before a boundary is the boundary's (RFC 2046 section 5.1.1); at the end of all it is the body's. */
static void
take_held(struct downgrade *d)
{
	static const struct bytes crlf = { (const unsigned char *)"\r\n", 2 };

	if (d->held > 0) {
		note(d, bytes_of(NULL, 0), d->held, &d->seen);
		feed_body(d, bytes_skip(crlf, 2 - d->held));
	}
	d->held = 0;
}

static void
end_body(struct downgrade *d, bool at_end)
{
	if (!d->second) {
		judge_body(d);
		return;
	}
	if ((*todo(d, d->part) & (DO_QUOTED | DO_BASE64)) == 0)
		return;
	mime_encode_end(&d->encoder, d->out);
	if (at_end && d->encoder.how == MIME_BASE64 && d->encoder.column > 0)
		buf_text(d->out, "\r\n");
}

/* ---- headers ---- */

static bool
is_sealed(const struct mime_type *type)
{
	return type->class == MIME_IS_MULTIPART
	    && (bytes_case_eq(type->subtype, text("signed")) || bytes_case_eq(type->subtype, text("encrypted")));
}

/* What the transfer encoding says, in room. */
static bool
says(struct bytes encoding, const char *word)
{
	return bytes_case_eq(encoding, text(word));
}

static bool
push(struct downgrade *d, struct bytes boundary, struct level level)
{
	if (d->levels_n == MIME_DEPTH_MAX || boundary.n > sizeof d->pool - d->pool_n)
		return false;
	level.at = (unsigned short)d->pool_n;
	level.n = (unsigned short)boundary.n;
	d->levels[d->levels_n++] = level;
	if (boundary.n > 0)
		memcpy(d->pool + d->pool_n, boundary.p, boundary.n);
	d->pool_n += boundary.n;
	return true;
}

/* A body that is a message, if it can be looked into. */
static bool
enter_message(struct downgrade *d, bool encoded)
{
	bool sealed = d->sealed;

	if (encoded || !push(d, bytes_of(NULL, 0), (struct level){ .part = d->parts, .message = true, .sealed = sealed }))
		return false;
	begin_part(d, sealed);
	return true;
}

/* Whatever is not in a part of it is no body. */
static void
enter_multipart(struct downgrade *d, const struct mime_type *type)
{
	bool sealed = d->sealed || is_sealed(type);

	d->where = IN_GAP;
	if (type->boundary.n > 0)
		push(d, type->boundary, (struct level){ .sealed = sealed,
		    .digest = bytes_case_eq(type->subtype, text("digest")) });
}

/* The first field of that name, what follows the colon; p NULL: none. As mime_tree reads it. */
static struct bytes
first_field(struct bytes header, const char *name)
{
	struct field f;

	while (field_next(&header, &f))
		if (field_is(&f, name))
			return bytes_skip(f.whole, bytes_find(f.whole, ':') + 1);
	return bytes_of(NULL, 0);
}

static bool
in_digest(const struct downgrade *d)
{
	return d->levels_n > 0 && d->levels[d->levels_n - 1].digest;
}

/* "8bit", "binary": true no more, or not needed. Whoever gets it may refuse it for the label alone. */
static void
judge_label(struct downgrade *d, struct bytes encoding)
{
	if (!d->sealed && d->what != DOWNGRADE_UTF8 && (says(encoding, "binary") || (says(encoding, "8bit") && (d->what & DOWNGRADE_8BIT))))
		will_do(d, DO_LABEL);
}

/* Second pass. */
static const char *
new_encoding(const struct downgrade *d, unsigned bits)
{
	return bits & DO_QUOTED ? "quoted-printable" : bits & DO_BASE64 ? "base64" : d->what & DOWNGRADE_8BIT ? "7bit" : "8bit";
}

static void
put_encoding(struct downgrade *d, unsigned bits)
{
	buf_text(d->out, "Content-Transfer-Encoding: ");
	buf_text(d->out, new_encoding(d, bits));
	buf_text(d->out, "\r\n");
}

/* The first field that says how the body is encoded says it anew, others go: not all readers take the first. */
static void
put_header(struct downgrade *d)
{
	unsigned bits = *todo(d, d->part);
	bool encodes = bits & (DO_QUOTED | DO_BASE64 | DO_LABEL), said = false, version = false;
	struct bytes rest = buf_bytes(&d->header);
	struct field f;

	while (field_next(&rest, &f)) {
		version = version || field_is(&f, "MIME-Version");
		if (!encodes || !field_is(&f, "Content-Transfer-Encoding")) {
			buf_add(d->out, f.whole);
			continue;
		}
		if (!said)
			put_encoding(d, bits);
		said = true;
	}
	if ((bits & DO_VERSION) && !version)
		buf_text(d->out, "MIME-Version: 1.0\r\n");
	if (bits & DO_TYPE)		/* RFC 1428 section 3: which charset, only the sender knows */
		buf_text(d->out, "Content-Type: text/plain; charset=unknown-8bit\r\n");
	if ((bits & (DO_QUOTED | DO_BASE64)) && !said)
		put_encoding(d, bits);
	buf_text(d->out, "\r\n");
	if (bits & (DO_QUOTED | DO_BASE64))
		mime_encoder_init(&d->encoder, bits & DO_QUOTED ? MIME_QUOTED : MIME_BASE64);
}

/* The empty line has come. */
static void
enter_body(struct downgrade *d)
{
	unsigned char room[MIME_ENCODING_MAX];
	struct bytes header = buf_bytes(&d->header), value = first_field(header, "Content-Type");
	struct bytes encoding = mime_encoding(first_field(header, "Content-Transfer-Encoding"), room);
	struct mime_type type;
	enum mime_class class;

	mime_type_parse(value, &type);
	class = value.p == NULL && in_digest(d) ? MIME_IS_MESSAGE : type.class;
	d->typed = value.p != NULL;
	d->text = !d->typed || type.type.n == 0 || bytes_case_eq(type.type, text("text"));
	d->fixed = class != MIME_IS_SINGLE || bytes_case_eq(type.type, text("message"));
	d->encoded = encoding.n > 0 && !says(encoding, "7bit") && !says(encoding, "8bit") && !says(encoding, "binary");
	if (!d->second)
		judge_label(d, encoding);
	else
		put_header(d);
	d->where = IN_BODY;
	if (class == MIME_IS_MULTIPART)
		enter_multipart(d, &type);
	else if (class == MIME_IS_MESSAGE)
		enter_message(d, mime_encoded(encoding));
}

/* ---- lines ---- */

/* Of any open multipart: the longest, of equal ones the innermost, as in mime_tree. line is what follows the "--". */
static struct level *
find_level(struct downgrade *d, struct bytes line)
{
	struct level *found = NULL;

	for (struct level *l = d->levels; l < d->levels + d->levels_n; l++)
		if (l->n > 0 && (!found || l->n >= found->n) && bytes_starts(line, bytes_of(d->pool + l->at, l->n)))
			found = l;
	return found;
}

/* Everything that is open ends, but the multiparts up to l (NULL: at the end of all). */
static void
end_part(struct downgrade *d, const struct level *l)
{
	if (d->where == IN_HEADER) {		/* without an empty line, so that there is no body */
		put(d, buf_bytes(&d->header));
		return;
	}
	if (l == NULL)
		take_held(d);
	if (d->where == IN_BODY)
		end_body(d, l == NULL);
	put(d, bytes_skip(text("\r\n"), 2 - d->held));
	d->held = 0;
}

/* chunk: the line, or its beginning where it is long. False: it is no boundary. */
static bool
take_boundary(struct downgrade *d, struct bytes chunk, bool ended)
{
	struct level *l;
	bool closes;

	if (d->levels_n == 0 || !bytes_starts(chunk, text("--")) || !(l = find_level(d, bytes_skip(chunk, 2))))
		return false;
	closes = bytes_starts(bytes_skip(chunk, 2u + l->n), text("--"));
	if (!closes && !ended) {
		if (chunk.n < LINE_KEPT - 1)
			return false;		/* the last line of all, without an end */
		impossible(d, "5.6.3", "the line of a boundary is too long");
	}
	end_part(d, l);
	d->levels_n = (size_t)(l - d->levels) + !closes;
	d->pool_n = l->at + (closes ? 0u : l->n);
	if (closes)
		d->where = IN_GAP;
	else
		begin_part(d, l->sealed);
	return true;
}

/* What is no body, and can only stay as it is. */
static void
judge_line(struct downgrade *d, struct bytes s, unsigned end, const char *status, const char *why)
{
	struct seen seen = { 0 };

	note(d, s, end, &seen);
	if (!needs(d, &seen))
		return;
	if (seen.eight > 0)
		impossible(d, status, why);
	else
		impossible(d, "5.6.3", "a line that is in no body is too long, or has a NUL, CR or LF alone in it");
}

static void
take_header(struct downgrade *d, struct bytes s, struct bytes whole, unsigned end)
{
	if ((d->what & DOWNGRADE_UTF8) && !bytes_is_ascii(s))
		impossible(d, "5.6.7", "a header field needs SMTPUTF8");
	judge_line(d, s, end, "5.6.9", "a header field is not ASCII");
	if (!d->inside && s.n == 0 && end > 0) {
		enter_body(d);
		return;
	}
	buf_add(&d->header, whole);
	if (d->header.full)
		impossible(d, "5.6.3", "a header is too long to be converted");
}

/* A boundary, too. */
static void
take_gap(struct downgrade *d, struct bytes s, struct bytes whole, unsigned end)
{
	judge_line(d, s, end, "5.6.3", "there is 8-bit content outside of the parts of a multipart");
	put(d, whole);
}

static void
take_body(struct downgrade *d, struct bytes s, unsigned end)
{
	if (!d->inside)
		take_held(d);
	note(d, s, 0, &d->seen);
	feed_body(d, s);
	d->held = end;
}

/* A piece of a line, the first unless we are inside of it. */
static void
take_chunk(struct downgrade *d, struct bytes chunk)
{
	bool ended = chunk.p[chunk.n - 1] == '\n';
	unsigned end = !ended ? 0 : chunk.n > 1 && chunk.p[chunk.n - 2] == '\r' ? 2 : 1;
	struct bytes s = bytes_head(chunk, chunk.n - end);

	d->line_octets += s.n;
	if (!d->inside)
		d->in_boundary = take_boundary(d, chunk, ended);
	if (d->in_boundary || d->where == IN_GAP)
		take_gap(d, s, chunk, end);
	else if (d->where == IN_HEADER)
		take_header(d, s, chunk, end);
	else
		take_body(d, s, end);
	d->inside = !ended;
	if (ended)
		d->line_octets = 0;
}

/* A CR at the end of a piece waits: it may be that of a line end. */
static void
flush_line(struct downgrade *d, bool all)
{
	size_t n = d->line_n;

	if (!all && d->line[n - 1] == '\r')
		n--;
	if (n > 0)
		take_chunk(d, bytes_of(d->line, n));
	memmove(d->line, d->line + n, d->line_n - n);
	d->line_n -= n;
}

static void
take(struct downgrade *d, struct bytes in)
{
	while (in.n > 0) {
		struct bytes next = bytes_head(in, sizeof d->line - d->line_n);
		size_t n = bytes_find(next, '\n');

		n += n < next.n;
		memcpy(d->line + d->line_n, in.p, n);
		d->line_n += n;
		if (in.p[n - 1] == '\n')
			flush_line(d, true);
		else if (d->line_n == sizeof d->line)
			flush_line(d, false);
		in = bytes_skip(in, n);
	}
}

static void
finish(struct downgrade *d)
{
	if (d->line_n > 0)
		flush_line(d, true);
	end_part(d, NULL);
}

static void
restart(struct downgrade *d)
{
	d->parts = 0;
	d->levels_n = d->pool_n = d->line_n = 0;
	d->inside = d->in_boundary = false;
	d->line_octets = d->held = 0;
	begin_part(d, false);
}

/* ---- the two passes ---- */

struct downgrade *
downgrade_new(unsigned what)
{
	struct downgrade *d = mem_alloc(sizeof *d);

	must(what > 0 && what <= (DOWNGRADE_8BIT | DOWNGRADE_LINES | DOWNGRADE_UTF8));
	d->what = what;
	buf_init(&d->header, DOWNGRADE_HEADER_MAX);
	buf_init(&d->todo, MIME_PARTS_MAX);
	restart(d);
	return d;
}

void
downgrade_free(struct downgrade **d)
{
	if (!*d)
		return;
	buf_fini(&(*d)->header);
	buf_fini(&(*d)->todo);
	mem_free(*d);
	*d = NULL;
}

void
downgrade_look(struct downgrade *d, struct bytes piece)
{
	d->crc = crc32_of(d->crc, piece);
	take(d, piece);
}

enum downgrade_result
downgrade_looked(struct downgrade *d, const char **status, const char **why)
{
	finish(d);
	if (d->why) {
		*status = d->status;
		*why = d->why;
		return DOWNGRADE_IMPOSSIBLE;
	}
	return d->anything ? DOWNGRADE_POSSIBLE : DOWNGRADE_NEEDLESS;
}

bool
downgrade_write(struct downgrade *d, struct bytes piece, struct buf *out)
{
	must(d->anything && !d->why);
	if (!d->second) {
		d->second = true;
		d->crc_first = d->crc;
		d->crc = 0;
		restart(d);
	}
	d->out = out;
	d->crc = crc32_of(d->crc, piece);
	take(d, piece);
	d->out = NULL;
	return !d->why;
}

bool
downgrade_end(struct downgrade *d, struct buf *out)
{
	must(d->second);
	d->out = out;
	finish(d);
	d->out = NULL;
	return !d->why && d->crc == d->crc_first;
}
