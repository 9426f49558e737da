/* SPDX-License-Identifier: ISC */
/*
 * pop3-login/settings.c - what can be set about POP3 before the client is known.
 */
#include "pop3-login/pop3_login.h"

#include <stddef.h>

#define S struct pop3_login_settings

const struct setting pop3_login_settings[] = {
	SET_TIME("login_timeout",	S, timeout_ms, "1m", 1000, 600000),
	SET_TIME("login_stress_timeout", S, stress_timeout_ms, "10s", 1000, 300000),
	SET_NUMBER("login_sessions",	S, sessions, "1000", 4, 50000),
	SET_NUMBER("login_client_sessions", S, client_sessions, "50", 0, 50000),
	SET_NUMBER("login_client_rate",	S, client_rate, "1000", 0, 10000000),
	SET_NUMBER("login_failures",	S, failures, "3", 1, 100),
	SET_BOOL("allow_insecure_auth",	S, insecure, "no"),
	SET_END
};
