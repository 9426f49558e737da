/* SPDX-License-Identifier: ISC */
/* Apart from login.c: who knows all settings links no connections for it. */
#include <stddef.h>

#include "daemon/login.h"

#define S struct login_limits

const struct setting login_settings[] = {
	SET_TIME("login_timeout",	S, timeout_ms, "1m", 1000, 600000),
	SET_TIME("login_stress_timeout", S, crowd.stress_timeout_ms, "10s", 1000, 300000),
	SET_NUMBER("login_sessions",	S, crowd.sessions, "1000", 4, 50000),
	SET_NUMBER("login_client_sessions", S, crowd.client_sessions, "50", 0, 50000),
	SET_NUMBER("login_client_rate",	S, crowd.client_rate, "1000", 0, 10000000),
	SET_NUMBER("login_failures",	S, failures, "3", 1, 100),
	SET_BOOL("allow_insecure_auth",	S, insecure, "no"),
	SET_END
};
