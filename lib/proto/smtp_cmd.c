/* SPDX-License-Identifier: ISC */
#include "proto/smtp_cmd.h"
#include "proto/smtp_address.h"

/* What a command takes, RFC 5321 section 4.1.1. */
enum argument {
	NOTHING,		/* any is an error */
	ANYTHING,		/* optional, for NOOP and HELP */
	STRING,			/* must be there */
	FROM, TO,		/* a path and parameters */
	CHUNK,			/* BDAT: a size, and LAST */
	MECHANISM,		/* AUTH: a mechanism, and an initial response */
};

static const struct { const char *name; enum argument argument; } verbs[SMTP_VERBS] = {
	[SMTP_HELO]	= { "HELO",	STRING },
	[SMTP_EHLO]	= { "EHLO",	STRING },
	[SMTP_MAIL]	= { "MAIL",	FROM },
	[SMTP_RCPT]	= { "RCPT",	TO },
	[SMTP_DATA]	= { "DATA",	NOTHING },
	[SMTP_BDAT]	= { "BDAT",	CHUNK },
	[SMTP_RSET]	= { "RSET",	NOTHING },
	[SMTP_NOOP]	= { "NOOP",	ANYTHING },
	[SMTP_QUIT]	= { "QUIT",	NOTHING },
	[SMTP_VRFY]	= { "VRFY",	STRING },
	[SMTP_EXPN]	= { "EXPN",	STRING },
	[SMTP_HELP]	= { "HELP",	ANYTHING },
	[SMTP_STARTTLS]	= { "STARTTLS",	NOTHING },
	[SMTP_AUTH]	= { "AUTH",	MECHANISM },
};

const char *
smtp_verb_text(enum smtp_verb verb)
{
	return verb < SMTP_VERBS ? verbs[verb].name : "?";
}

/* The word at the front of *s, which may be empty, and the white space after it. HTAB counts:
 * RFC 5321 section 4.1.1 has SP alone, but asks to tolerate what trails, and some send it. */
static struct bytes
take_word(struct bytes *s)
{
	struct bytes word = *s;
	size_t i;

	for (i = 0; i < s->n && s->p[i] != ' ' && s->p[i] != '\t'; i++)
		;
	word.n = i;
	*s = bytes_trim(bytes_skip(*s, i));
	return word;
}

/* Index of the '>' that ends a path whose '<' is before s, or s.n. One in a quoted local part
 * does not; a quoted string begins only where a local part can (RFC 5321 section 4.1.2), so
 * that a stray '"' elsewhere cannot swallow the parameters. */
static size_t
find_close(struct bytes s)
{
	bool quoted = false, start = true;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (quoted)
			quoted = s.p[i] != '"';
		else if (s.p[i] == '"' && start)
			quoted = true;
		else if (s.p[i] == '>')
			return i;
		start = !quoted && i < s.n && s.p[i] == ':';
	}
	return s.n;
}

/* "FROM:" Reverse-path [SP Mail-parameters], or "TO:" Forward-path and so on. */
static bool
parse_path(struct bytes arg, struct bytes keyword, struct smtp_cmd *out)
{
	size_t close;

	if (!bytes_case_starts(arg, keyword))
		return false;
	arg = bytes_trim(bytes_skip(arg, keyword.n));	/* liberal: "FROM: <a@b>" */
	if (arg.n == 0 || arg.p[0] != '<')
		return false;
	arg = bytes_skip(arg, 1);
	close = find_close(arg);
	if (close == arg.n)
		return false;
	out->path = bytes_head(arg, close);
	arg = bytes_skip(arg, close + 1);
	if (arg.n > 0 && arg.p[0] != ' ' && arg.p[0] != '\t')
		return false;		/* "<a@b>SIZE=1", "<a@b>>" */
	out->rest = bytes_trim(arg);
	return true;
}

/* RFC 3030 section 2: "BDAT" SP chunk-size [ SP end-marker ]. */
static bool
parse_chunk(struct bytes arg, struct smtp_cmd *out)
{
	struct bytes rest = arg, size = take_word(&rest);

	out->last = rest.n > 0;
	return bytes_u64(size, SMTP_BDAT_MAX, &out->size_octets)
	    && (rest.n == 0 || bytes_case_eq(rest, text("LAST")));
}

/* RFC 4954 section 4; the name as RFC 4422 section 3.1 has it. What follows is base64 or "=",
 * one word: the exchange decodes it. */
static bool
parse_mechanism(struct bytes arg, struct smtp_cmd *out)
{
	struct bytes rest = arg;
	size_t i;

	out->mechanism = take_word(&rest);
	out->rest = rest;
	out->initial = rest.n > 0;
	if (out->mechanism.n == 0 || out->mechanism.n > 20)
		return false;
	for (i = 0; i < out->mechanism.n; i++)
		if (!ascii_alnum(out->mechanism.p[i]) && out->mechanism.p[i] != '-'
		    && out->mechanism.p[i] != '_')
			return false;
	return take_word(&rest).n == out->rest.n;
}

static bool
parse_argument(enum argument kind, struct bytes arg, struct smtp_cmd *out)
{
	out->rest = arg;
	switch (kind) {
	case NOTHING:	return arg.n == 0;
	case ANYTHING:	return true;
	case STRING:	return arg.n > 0;
	case FROM:	return parse_path(arg, text("FROM:"), out);
	case TO:	return parse_path(arg, text("TO:"), out);
	case CHUNK:	return parse_chunk(arg, out);
	case MECHANISM:	return parse_mechanism(arg, out);
	}
	return false;
}

/* No command has a control; HTAB only as white space, which take_word knows. */
static bool
has_control(struct bytes line)
{
	size_t i;

	for (i = 0; i < line.n; i++)
		if ((line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			return true;
	return false;
}

enum smtp_parse
smtp_cmd_parse(struct bytes line, struct smtp_cmd *out)
{
	struct smtp_cmd cmd = { 0 };
	struct bytes rest = line, word;
	size_t v;

	if (line.n == 0 || line.p[0] == ' ' || line.p[0] == '\t')
		return SMTP_BAD_VERB;
	word = take_word(&rest);
	for (v = 0; v < SMTP_VERBS && !bytes_case_eq(word, text(verbs[v].name)); v++)
		;
	if (v == SMTP_VERBS)
		return SMTP_BAD_VERB;
	cmd.verb = out->verb = (enum smtp_verb)v;
	if (has_control(line) || !parse_argument(verbs[v].argument, rest, &cmd))
		return SMTP_BAD_ARG;
	*out = cmd;
	return SMTP_PARSED;
}

/* In a name that only goes into a trace field and a log: what cannot end a word, a comment
 * or a line there. */
static bool
is_harmless(struct bytes s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]) && (s.p[i] == 0 || strchr("._-:[]", s.p[i]) == NULL))
			return false;
	return true;
}

enum smtp_name
smtp_helo_name(struct bytes argument)
{
	enum smtp_domain_kind kind;

	if (smtp_domain_parse(argument, SMTP_TAKE_UTF8, &kind, NULL) == SMTP_ADDRESS_OK)
		return kind == SMTP_DOMAIN_NAME ? SMTP_NAME_DOMAIN : SMTP_NAME_LITERAL;
	if (argument.n == 0 || argument.n > SMTP_DOMAIN_MAX || !is_harmless(argument))
		return SMTP_NAME_BAD;
	return SMTP_NAME_ODD;
}
