/* SPDX-License-Identifier: ISC */
/*
 * auth/settings.c - what can be set about logins.
 */
#include "auth/auth.h"

#include <stddef.h>

#include "config.h"

#define S struct auth_settings

const struct setting auth_settings[] = {
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_BOOL("allow_insecure_auth",	S, allow_insecure_auth, "no"),
	SET_TEXT("pam_service",		S, pam_service, "hermod"),
	ACCOUNT_SETTINGS(S, account),
	SET_END
};
