/* SPDX-License-Identifier: ISC */
/*
 * auth/settings.c - what can be set about logins.
 */
#include "auth/auth.h"

#include <stddef.h>
#include <stdio.h>

#include "config.h"
#include "mail/oauth.h"
#include "proto/oauth_claims.h"

#define S struct auth_settings

const char *const token_user_claims[] = { "email", "sub", "username", "preferred_username", NULL };

static bool
is_scope(const char *value, char *why, size_t cap)
{
	if (strlen(value) <= TOKEN_SCOPE_MAX && oauth_is_scope(text(value)))
		return true;
	snprintf(why, cap, "no scope; right would be words with one space between, of printable ASCII without quotes, %d octets at most",
	    TOKEN_SCOPE_MAX);
	return false;
}

const struct setting auth_settings[] = {
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_BOOL("allow_insecure_auth",	S, allow_insecure_auth, "no"),
	SET_TEXT("pam_service",		S, pam_service, "hermod"),
	SET_NUMBER("auth_workers",	S, workers, "2", 1, 32),
	SET_NUMBER("pam_processes",	S, pam_processes, "20", 1, 500),
	SET_NUMBER("directory_workers",	S, directory_workers, "2", 1, 32),
	SET_TEXT_IF("oauth_introspection_url", S, token.introspection_url, "", setting_is_oauth_url),
	SET_TIME("oauth_timeout",	S, token.timeout_ms, "10s", 100, 40000),
	SET_LIST("oauth_jwt_keys",	S, token.jwt_keys, "", setting_is_path),
	SET_TEXT("oauth_issuer",	S, token.issuer, ""),
	SET_TEXT("oauth_audience",	S, token.audience, ""),
	SET_TEXT_IF("oauth_scope",	S, token.scope, "", is_scope),
	SET_WORD("oauth_user_claim",	S, token.user_claim, "email", token_user_claims),
	SET_TEXT_IF("oauth_openid_configuration", S, token.openid_configuration, "", setting_is_oauth_url),
	SET_TIME("oauth_cache_time",	S, token.cache_ms, "1m", 0, 3600000),
	SET_TEXT("gssapi_realm",	S, gssapi_realm, ""),
	SET_TEXT_IF("gssapi_domain",	S, gssapi_domain, "localhost.localdomain", setting_is_domain),
	ACCOUNT_SETTINGS(S, account),
	SET_END
};
