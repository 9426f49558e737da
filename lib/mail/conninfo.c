/* SPDX-License-Identifier: ISC */
#include "mail/conninfo.h"

#include <stdio.h>

const char *const conninfo_words[CONNINFO_WORDS] = {
	[CONNINFO_HOST] = "host", [CONNINFO_PORT] = "port", [CONNINFO_USER] = "user", [CONNINFO_DBNAME] = "dbname",
	[CONNINFO_SSLMODE] = "sslmode", [CONNINFO_SSLROOTCERT] = "sslrootcert",
	[CONNINFO_CHANNEL_BINDING] = "channel_binding", [CONNINFO_APPLICATION_NAME] = "application_name",
	[CONNINFO_OPTIONS] = "options",
};

static bool
is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct bytes
skip_spaces(struct bytes s)
{
	while (s.n > 0 && is_space(s.p[0]))
		s = bytes_skip(s, 1);
	return s;
}

static struct bytes
cut_word(struct bytes *rest)
{
	size_t n = 0;
	struct bytes word;

	while (n < rest->n && rest->p[n] != '=' && !is_space(rest->p[n]))
		n++;
	word = bytes_head(*rest, n);
	*rest = bytes_skip(*rest, n);
	return word;
}

/* Into the arena. False: a quote or a backslash has no other. */
static bool
cut_value(struct bytes *rest, struct arena *arena, const char **out)
{
	bool quoted = rest->n > 0 && rest->p[0] == '\'';
	char *value = arena_alloc(arena, rest->n + 1);
	size_t i = quoted, n = 0;

	for (; i < rest->n && (quoted ? rest->p[i] != '\'' : !is_space(rest->p[i])); i++) {
		if (rest->p[i] == '\\' && ++i == rest->n)
			return false;
		value[n++] = (char)rest->p[i];
	}
	if (quoted && i++ == rest->n)
		return false;
	*rest = bytes_skip(*rest, i);
	*out = value;
	return true;
}

static bool
say(char *why, size_t cap, const char *what)
{
	snprintf(why, cap, "%s; right would be like host=db.example.org user=mail dbname=mail sslmode=verify-full", what);
	return false;
}

static bool
take(struct bytes word, const char *value, struct conninfo *out, char *why, size_t cap)
{
	unsigned w = 0;

	while (w < CONNINFO_WORDS && !bytes_eq(word, text(conninfo_words[w])))
		w++;
	if (bytes_eq(word, text("password")) || bytes_eq(word, text("passfile")))
		return say(why, cap, "a password does not stand there but in sql_password_file");
	if (w == CONNINFO_WORDS)
		return say(why, cap, "a word that is not known here (host, port, user, dbname, sslmode, sslrootcert, channel_binding, "
		    "application_name, options are)");
	if (out->value[w])
		return say(why, cap, "a word stands there twice");
	out->value[w] = value;
	return true;
}

bool
conninfo_parse(struct bytes s, struct arena *arena, struct conninfo *out, char *why, size_t cap)
{
	struct bytes word;
	const char *value;

	*out = (struct conninfo){ 0 };
	if (s.n > CONNINFO_MAX || bytes_find(s, '\0') < s.n)
		return say(why, cap, "it is too long");
	while ((s = skip_spaces(s)).n > 0) {
		word = cut_word(&s);
		s = skip_spaces(s);
		if (word.n == 0 || s.n == 0 || s.p[0] != '=')
			return say(why, cap, "not a run of word=value");
		s = skip_spaces(bytes_skip(s, 1));
		if (!cut_value(&s, arena, &value))
			return say(why, cap, "a quote is not closed, or nothing follows a backslash");
		if (!take(word, value, out, why, cap))
			return false;
	}
	return true;
}
