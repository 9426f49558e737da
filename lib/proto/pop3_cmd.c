/* SPDX-License-Identifier: ISC */
#include "proto/pop3_cmd.h"

/* What a command takes. */
enum argument {
	NOTHING,
	NAME,			/* all of the rest, trimmed: system user names may hold spaces */
	SECRET,			/* all of the rest, as it is */
	DIGEST,			/* APOP: a name and 32 hexadecimal digits */
	MAY_NUMBER, NUMBER,	/* of a message */
	NUMBER_LINES,		/* TOP */
	MECHANISM,		/* AUTH */
};

static const struct { const char *name; enum argument argument; } verbs[POP3_VERBS] = {
	[POP3_USER] = { "USER", NAME },
	[POP3_PASS] = { "PASS", SECRET },
	[POP3_APOP] = { "APOP", DIGEST },
	[POP3_QUIT] = { "QUIT", NOTHING },
	[POP3_STAT] = { "STAT", NOTHING },
	[POP3_LIST] = { "LIST", MAY_NUMBER },
	[POP3_RETR] = { "RETR", NUMBER },
	[POP3_DELE] = { "DELE", NUMBER },
	[POP3_NOOP] = { "NOOP", NOTHING },
	[POP3_RSET] = { "RSET", NOTHING },
	[POP3_TOP]  = { "TOP",  NUMBER_LINES },
	[POP3_UIDL] = { "UIDL", MAY_NUMBER },
	[POP3_CAPA] = { "CAPA", NOTHING },
	[POP3_STLS] = { "STLS", NOTHING },
	[POP3_AUTH] = { "AUTH", MECHANISM },
};

const char *
pop3_verb_text(enum pop3_verb verb)
{
	return verb < POP3_VERBS ? verbs[verb].name : "?";
}

/* The word at the front of *s, which may be empty, and the spaces after it. */
static struct bytes
take_word(struct bytes *s)
{
	struct bytes word = bytes_head(*s, bytes_find(*s, ' '));

	*s = bytes_trim(bytes_skip(*s, word.n));
	return word;
}

/* RFC 1939 section 3: message numbers start at 1, in base 10. */
static bool
take_number(struct bytes *s, struct pop3_cmd *out)
{
	uint64_t v;

	if (!bytes_u64(take_word(s), UINT32_MAX, &v) || v == 0)
		return false;
	out->number = (uint32_t)v;
	return out->numbered = true;
}

/* A count that is merely large is no error: some clients ask for all lines with 2^31 or more. */
static bool
take_lines(struct bytes *s, struct pop3_cmd *out)
{
	struct bytes word = take_word(s);
	uint64_t v = UINT32_MAX;
	size_t i;

	for (i = 0; i < word.n; i++)
		if (!ascii_digit(word.p[i]))
			return false;
	if (word.n == 0 || word.n > 20)
		return false;
	bytes_u64(word, UINT32_MAX, &v);
	out->lines = (uint32_t)v;
	return true;
}

/* RFC 1939 section 7; the name may hold spaces, the digest is the last word. */
static bool
take_digest(struct bytes arg, struct pop3_cmd *out)
{
	size_t i, space = bytes_rfind(arg, ' ');

	if (space == arg.n)
		return false;
	out->arg = bytes_trim(bytes_head(arg, space));
	out->more = bytes_skip(arg, space + 1);
	for (i = 0; i < out->more.n; i++)
		if (!ascii_digit(out->more.p[i])
		    && (ascii_lower(out->more.p[i]) < 'a' || ascii_lower(out->more.p[i]) > 'f'))
			return false;
	return out->arg.n > 0 && out->more.n == 32;
}

/* RFC 5034 section 4; names as RFC 4422 section 3.1 has them; none at all as in RFC 1734. */
static bool
take_mechanism(struct bytes arg, struct pop3_cmd *out)
{
	struct bytes rest = arg;
	size_t i;

	out->arg = take_word(&rest);
	out->more = rest;
	out->initial = rest.n > 0;
	for (i = 0; i < out->arg.n; i++)
		if (!ascii_alnum(out->arg.p[i]) && out->arg.p[i] != '-' && out->arg.p[i] != '_')
			return false;
	return out->arg.n <= 20 && take_word(&rest).n == out->more.n;
}

static bool
parse_argument(enum argument kind, struct bytes raw, struct pop3_cmd *out)
{
	struct bytes arg = bytes_trim(raw);

	switch (kind) {
	case NOTHING:
		return arg.n == 0;
	case NAME:
		out->arg = arg;
		return arg.n > 0;
	case SECRET:		/* RFC 1939 section 7: "a PASS command ... may treat spaces as part" */
		out->arg = raw;
		return raw.n > 0;
	case DIGEST:
		return take_digest(arg, out);
	case MAY_NUMBER:
		return arg.n == 0 || (take_number(&arg, out) && arg.n == 0);
	case NUMBER:
		return take_number(&arg, out) && arg.n == 0;
	case NUMBER_LINES:
		return take_number(&arg, out) && take_lines(&arg, out) && arg.n == 0;
	case MECHANISM:
		return take_mechanism(arg, out);
	}
	return false;
}

enum pop3_parse
pop3_cmd_parse(struct bytes line, struct pop3_cmd *out)
{
	struct pop3_cmd cmd = { 0 };
	struct bytes word = bytes_head(line, bytes_find(line, ' '));
	size_t v;

	for (v = 0; v < POP3_VERBS && !bytes_case_eq(word, text(verbs[v].name)); v++)
		;
	if (v == POP3_VERBS)
		return POP3_BAD_VERB;
	cmd.verb = out->verb = (enum pop3_verb)v;
	line = bytes_skip(line, word.n + 1);
	/* A password may hold any octet but those a line cannot (the line reader has seen to CR, LF and NUL). */
	if ((verbs[v].argument != SECRET && bytes_has_control(line))
	    || !parse_argument(verbs[v].argument, line, &cmd))
		return POP3_BAD_ARG;
	*out = cmd;
	return POP3_PARSED;
}
