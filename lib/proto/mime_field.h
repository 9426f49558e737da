/* SPDX-License-Identifier: ISC */
/*
 * proto/mime_field.h - the values of a part's Content-* fields, taken apart.
 * RFC 2045 sections 5.1 (Content-Type) and 6.1 (Content-Transfer-Encoding),
 * RFC 2183 section 2 (Content-Disposition), RFC 2231 sections 3 and 4 (parameters in
 * pieces, with a charset), RFC 3282 section 2 (Content-Language).
 *
 * Pure; iterative; linear; the results are all the memory there is. Any octets have
 * one answer, the same for who looks at a message as it passes (rfc5322_head) and who
 * shows it later (mime_tree, imap_structure). Values may be given folded. What real
 * mail has wrong is read like this:
 *   - line ends go, wherever they are; a comment or string without end ends with the value;
 *   - a parameter begins after any ';' that is outside the value before it; words
 *     without '=' are passed over;
 *   - a value without quotes ends at white space, '(' or ';'; but when words without '='
 *     and '"' follow up to the next ';' they belong to it ("name=my file.txt");
 *   - of parameters of one name the first counts;
 *   - pieces are joined by number up to the first gap. Whether the whole is extended, the
 *     first piece says; without its two quotes it is not.
 */
#ifndef PROTO_MIME_FIELD_H
#define PROTO_MIME_FIELD_H

#include "base/bytes.h"

/* Octets are counted without line ends. */
#define MIME_TYPE_MAX		1024	/* octets of a Content-Type that decide the structure */
#define MIME_VALUE_MAX		4096	/* octets of a value that are shown; others are not read */
#define MIME_BOUNDARY_MAX	996	/* octets of a boundary: a line has 998 with its "--" */
#define MIME_ENCODING_MAX	255	/* octets of a Content-Transfer-Encoding that are read */
#define MIME_PIECES_MAX		128	/* parameters as they stand; others are not read */
#define MIME_PARAMS_MAX		64	/* parameters with their pieces joined; the same */

enum mime_class { MIME_IS_SINGLE, MIME_IS_MULTIPART, MIME_IS_MESSAGE };

/* As much of a Content-Type as decides what a body is. */
struct mime_type {
	enum mime_class	class;
	struct bytes	type, subtype;	/* in text; may be empty */
	struct bytes	boundary;	/* unquoted, in pool; empty: none that can be used. RFC 2046
					 * section 5.1.1: without white space at its end */
	bool		odd;		/* too long, two boundaries, one too long or in pieces (these
					 * are not joined: few readers do): readers will not agree */
	unsigned char	text[MIME_TYPE_MAX], pool[MIME_TYPE_MAX];
};

/* The results point into *out: it cannot be copied. An empty value is a single part. */
void	mime_type_parse(struct bytes value, struct mime_type *out);

struct mime_param {
	struct bytes	name;		/* without "*" and number, as it is written */
	struct bytes	value;		/* unquoted, pieces joined; extended: charset'language'text,
					 * with %XX for what is no attribute-char */
	bool		extended;
};

struct mime_value {
	struct bytes	type, subtype;	/* Content-Disposition has no subtype; may be empty */
	struct mime_param params[MIME_PARAMS_MAX];	/* in order of their first pieces */
	size_t		params_n;
	bool		odd;		/* something was left out: a limit, a name twice, a gap */
	unsigned char	text[MIME_VALUE_MAX], pool[3 * MIME_VALUE_MAX];	/* 3: %XX */
};

/* About 20 KB; points into itself, as above. */
void	mime_content_type(struct bytes value, struct mime_value *out);
void	mime_content_disposition(struct bytes value, struct mime_value *out);

/* The parameter of that name, in any case; the extended one if there are two. NULL: none. */
const struct mime_param *mime_param_find(const struct mime_value *v, const char *name);
/*
 * The octets that a parameter stands for, into out, which has room for value.n; how
 * many. Charset and language point into the value; both empty when they are not said.
 */
size_t	mime_param_decode(const struct mime_param *p, unsigned char *out, struct bytes *charset,
	    struct bytes *language);

/* What a Content-Transfer-Encoding says, in room. Empty: nothing. */
struct bytes	mime_encoding(struct bytes value, unsigned char room[MIME_ENCODING_MAX]);
/* A Content-Transfer-Encoding that hides line ends: nothing inside can be looked for. */
bool		mime_encoded(struct bytes value);
/* The first max tags of a Content-Language, borrowed; how many. */
size_t		mime_languages(struct bytes value, struct bytes *out, size_t max);

#endif
