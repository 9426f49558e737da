/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_structure_testing.h - the grammar of RFC 3501 section 9 for envelope and
 * body, read strictly: what imap_structure prints must be it, octet for octet. For the
 * test and the fuzz target alone. Recursive as the grammar is; MIME_DEPTH_MAX bounds it.
 */
#ifndef PROTO_IMAP_STRUCTURE_TESTING_H
#define PROTO_IMAP_STRUCTURE_TESTING_H

#include "base/bytes.h"

struct grammar {
	struct bytes	rest;
	bool		extended;	/* BODYSTRUCTURE: all extension data must be there; else none */
	bool		global;		/* RFC 9051: media-message may be GLOBAL */
	unsigned	bodies;		/* that were read */
};

/* A string constant of the grammar, in any case as in all ABNF. */
static inline bool
g_text(struct grammar *g, const char *s)
{
	if (!bytes_case_starts(g->rest, text(s)))
		return false;
	g->rest = bytes_skip(g->rest, strlen(s));
	return true;
}

static inline bool
g_number(struct grammar *g, uint64_t *out)
{
	size_t n = 0;

	while (n < g->rest.n && ascii_digit(g->rest.p[n]))
		n++;
	if (!bytes_u64(bytes_head(g->rest, n), UINT32_MAX, out))
		return false;
	g->rest = bytes_skip(g->rest, n);
	return true;
}

static inline bool
g_quoted(struct grammar *g)
{
	unsigned char c;
	size_t i;

	for (i = 1; i < g->rest.n; i++) {
		c = g->rest.p[i];
		if (c == '"') {
			g->rest = bytes_skip(g->rest, i + 1);
			return true;
		}
		if (c == 0 || c >= 0x80 || c == '\r' || c == '\n')
			return false;
		if (c == '\\' && (++i == g->rest.n || (g->rest.p[i] != '"' && g->rest.p[i] != '\\')))
			return false;
	}
	return false;
}

static inline bool
g_literal(struct grammar *g)
{
	uint64_t n;

	if (!g_text(g, "{") || !g_number(g, &n) || !g_text(g, "}\r\n") || n > g->rest.n)
		return false;
	if (bytes_find(bytes_head(g->rest, n), 0) < n)	/* CHAR8 is no NUL */
		return false;
	g->rest = bytes_skip(g->rest, n);
	return true;
}

static inline bool
g_string(struct grammar *g)
{
	return g->rest.n > 0 && (g->rest.p[0] == '"' ? g_quoted(g) : g_literal(g));
}

static inline bool
g_nstring(struct grammar *g)
{
	return g_text(g, "NIL") || g_string(g);
}

/* "(" 1*address ")" / nil, and groups that begin and end as section 7.4.2 says. */
static inline bool
g_addresses(struct grammar *g)
{
	bool in_group = false, no_mailbox, no_host;

	if (g_text(g, "NIL"))
		return true;
	if (!g_text(g, "("))
		return false;
	do {
		if (!g_text(g, "(") || !g_nstring(g) || !g_text(g, " ") || !g_nstring(g) || !g_text(g, " "))
			return false;
		no_mailbox = bytes_case_starts(g->rest, text("NIL"));
		if (!g_nstring(g) || !g_text(g, " "))
			return false;
		no_host = bytes_case_starts(g->rest, text("NIL"));
		if (!g_nstring(g) || !g_text(g, ")"))
			return false;
		if (no_mailbox && !no_host)
			return false;
		if (no_host && in_group != no_mailbox)	/* one in another, or the end of none */
			return false;
		in_group = no_host ? !no_mailbox : in_group;
	} while (!g_text(g, ")"));
	return !in_group;
}

static inline bool
g_envelope(struct grammar *g)
{
	static const char kinds[] = "ssaaaaaass";	/* nstring, addresses */
	size_t i;

	for (i = 0; i < sizeof kinds - 1; i++)
		if (!g_text(g, i == 0 ? "(" : " ") || !(kinds[i] == 's' ? g_nstring(g) : g_addresses(g)))
			return false;
	return g_text(g, ")");
}

/* body-fld-param */
static inline bool
g_params(struct grammar *g)
{
	if (g_text(g, "NIL"))
		return true;
	if (!g_text(g, "("))
		return false;
	do
		if (!g_string(g) || !g_text(g, " ") || !g_string(g))
			return false;
	while (g_text(g, " "));
	return g_text(g, ")");
}

/* body-fld-dsp SP body-fld-lang SP body-fld-loc */
static inline bool
g_extension(struct grammar *g)
{
	if (!g_text(g, "NIL") && !(g_text(g, "(") && g_string(g) && g_text(g, " ") && g_params(g) && g_text(g, ")")))
		return false;
	if (!g_text(g, " "))
		return false;
	if (g_text(g, "(")) {
		do
			if (!g_string(g))
				return false;
		while (g_text(g, " "));
		if (!g_text(g, ")"))
			return false;
	} else if (!g_nstring(g)) {
		return false;
	}
	return g_text(g, " ") && g_nstring(g);
}

/* body-fields with the SP before them */
static inline bool
g_fields(struct grammar *g)
{
	uint64_t octets;

	return g_text(g, " ") && g_params(g) && g_text(g, " ") && g_nstring(g) && g_text(g, " ") && g_nstring(g)
	    && g_text(g, " ") && g_string(g) && g_text(g, " ") && g_number(g, &octets);
}

static inline bool	g_body(struct grammar *);

/* body-type-1part, or what RFC 9051 makes of it. */
static inline bool
g_single(struct grammar *g)
{
	uint64_t lines;
	bool is_text;

	if (g_text(g, "\"MESSAGE\" \"RFC822\"") || (g->global && g_text(g, "\"MESSAGE\" \"GLOBAL\""))) {
		if (!g_fields(g) || !g_text(g, " ") || !g_envelope(g) || !g_text(g, " ") || !g_body(g)
		    || !g_text(g, " ") || !g_number(g, &lines))
			return false;
	} else {
		is_text = bytes_case_starts(g->rest, text("\"TEXT\" "));
		if (!g_string(g) || !g_text(g, " ") || !g_string(g) || !g_fields(g)
		    || (is_text && !(g_text(g, " ") && g_number(g, &lines))))
			return false;
	}
	return !g->extended || (g_text(g, " ") && g_nstring(g) && g_text(g, " ") && g_extension(g));
}

/* body-type-mpart */
static inline bool
g_multi(struct grammar *g)
{
	do
		if (!g_body(g))
			return false;
	while (g->rest.n > 0 && g->rest.p[0] == '(');
	return g_text(g, " ") && g_string(g)
	    && (!g->extended || (g_text(g, " ") && g_params(g) && g_text(g, " ") && g_extension(g)));
}

static inline bool
g_body(struct grammar *g)
{
	g->bodies++;
	if (!g_text(g, "(") || g->rest.n == 0)
		return false;
	return (g->rest.p[0] == '(' ? g_multi(g) : g_single(g)) && g_text(g, ")");
}

/* All of s is one envelope. */
static inline bool
grammar_envelope(struct bytes s)
{
	struct grammar g = { .rest = s };

	return g_envelope(&g) && g.rest.n == 0;
}

/* All of s is one body; how many bodies there are in it, 0: it is none. */
static inline unsigned
grammar_body(struct bytes s, bool extended, bool global)
{
	struct grammar g = { .rest = s, .extended = extended, .global = global };

	return g_body(&g) && g.rest.n == 0 ? g.bodies : 0;
}

#endif
