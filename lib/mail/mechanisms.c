/* SPDX-License-Identifier: ISC */
#include "mail/mechanisms.h"

#include <stddef.h>
#include <stdio.h>

#include "mail/account.h"
#include "mail/oauth.h"

#define S struct mechanism_settings

enum needs {
	SEES_PASSWORD = 0,		/* whatever it is checked with */
	NEEDS_KEYS,			/* of SCRAM, in the account table */
	NEEDS_CHANNEL,			/* to bind to, and these */
	NEEDS_PLAIN,			/* the password itself, there */
	NEEDS_TOKENS,			/* somebody who says which are good */
	NEEDS_CERTIFICATE,		/* of the client, with an address */
	NEEDS_KEYTAB,			/* gssapi_keytab: master has looked */
};

/* The strongest first. */
static const struct mechanism { const char *name; enum needs needs; } mechanisms[] = {
	{ "EXTERNAL",		NEEDS_CERTIFICATE },
	{ "GSSAPI",		NEEDS_KEYTAB },
	{ "SCRAM-SHA-256-PLUS",	NEEDS_CHANNEL },
	{ "SCRAM-SHA-1-PLUS",	NEEDS_CHANNEL },
	{ "SCRAM-SHA-256",	NEEDS_KEYS },
	{ "SCRAM-SHA-1",	NEEDS_KEYS },
	{ "CRAM-MD5",		NEEDS_PLAIN },
	{ "OAUTHBEARER",	NEEDS_TOKENS },
	{ "XOAUTH2",		NEEDS_TOKENS },
	{ "PLAIN",		SEES_PASSWORD },
	{ "LOGIN",		SEES_PASSWORD },
};

static bool
is_mechanism(const char *item, char *why, size_t cap)
{
	for (size_t i = 0; i < LEN(mechanisms); i++)
		if (bytes_case_eq(text(item), text(mechanisms[i].name)))
			return true;
	snprintf(why, cap, "right would be EXTERNAL, GSSAPI, SCRAM-SHA-256, SCRAM-SHA-1 (each also with -PLUS), CRAM-MD5, OAUTHBEARER, XOAUTH2, "
	    "PLAIN or LOGIN");
	return false;
}

const struct setting mechanism_settings[] = {
	SET_LIST("auth_mechanisms",	S, names, "", is_mechanism),
	SET_BOOL("system_accounts",	S, system_accounts, "yes"),
	SET_WORD("account_directory",	S, directory, "", account_directories),
	SET_BOOL("allow_plain_passwords", S, plain_passwords, "no"),
	SET_TEXT_IF("sasldb_file",	S, sasldb_file, "", account_is_sasldb),
	SET_TEXT_IF("oauth_introspection_url", S, introspection_url, "", setting_is_oauth_url),
	SET_LIST("oauth_jwt_keys",	S, jwt_keys, "", setting_is_path),
	SET_END
};

static bool
checks_tokens(const struct mechanism_settings *s)
{
	return s->introspection_url[0] != '\0' || s->jwt_keys.n > 0;
}

bool
mechanisms_tokens(const struct mechanism_settings *s, char *why, size_t cap)
{
	if (s->introspection_url[0] != '\0' && s->jwt_keys.n > 0) {
		snprintf(why, cap, "oauth_jwt_keys: beside oauth_introspection_url it would not be used; right would be one of the two");
		return false;
	}
	for (size_t i = 0; i < s->names.n && !checks_tokens(s); i++)
		if (bytes_case_eq(text(s->names.item[i]), text("OAUTHBEARER")) || bytes_case_eq(text(s->names.item[i]), text("XOAUTH2"))) {
			snprintf(why, cap, "auth_mechanisms: \"%s\": nothing says which tokens are good; right would be "
			    "oauth_introspection_url or oauth_jwt_keys beside it", s->names.item[i]);
			return false;
		}
	return true;
}

static bool
is_offered(const struct mechanism_settings *s, const struct mechanism *m, unsigned channel)
{
	if ((m->needs == NEEDS_PLAIN && !s->plain_passwords && s->sasldb_file[0] == '\0') || (m->needs == NEEDS_CHANNEL && !(channel & CHANNEL_BINDS))
	    || (m->needs == NEEDS_CERTIFICATE && !(channel & CHANNEL_CERTIFIED)) || (m->needs == NEEDS_TOKENS && !checks_tokens(s)))
		return false;
	for (size_t i = 0; i < s->names.n; i++)
		if (bytes_case_eq(text(s->names.item[i]), text(m->name)))
			return true;
	return s->names.n == 0 && (m->needs == SEES_PASSWORD
	    || (m->needs == NEEDS_KEYS && !s->system_accounts && s->directory == 0));
}

/* There is room: see the table. */
static void
put(char dst[MECHANISMS_MAX], const char *name)
{
	size_t n = strlen(dst);

	snprintf(dst + n, MECHANISMS_MAX - n, "%s%s", n > 0 ? " " : "", name);
}

void
mechanisms_offered(const struct mechanism_settings *s, unsigned channel, char dst[MECHANISMS_MAX])
{
	dst[0] = '\0';
	for (size_t i = 0; i < LEN(mechanisms); i++)
		if (is_offered(s, &mechanisms[i], channel))
			put(dst, mechanisms[i].name);
}

bool
mechanism_in(const char *offered, struct bytes name)
{
	struct bytes list = text(offered);

	while (list.n > 0)
		if (bytes_case_eq(bytes_cut(&list, ' '), name))
			return true;
	return false;
}
