/* SPDX-License-Identifier: ISC */
/*
 * tls/settings.c - what can be set about TLS of POP3 and IMAP, beside mail/tls_settings.h.
 */
#include <stddef.h>

#include "tls/tls.h"

#define S struct tls_limits

const struct setting tls_limits_settings[] = {
	SET_TIME("tls_handshake_timeout", S, handshake_timeout_ms, "1m", 1000, 600000),
	SET_NUMBER("tls_sessions",	S, crowd.sessions, "10000", 4, 50000),
	SET_NUMBER("tls_client_sessions", S, crowd.client_sessions, "200", 0, 50000),
	SET_NUMBER("tls_client_rate",	S, crowd.client_rate, "1000", 0, 10000000),
	SET_TIME("login_stress_timeout", S, crowd.stress_timeout_ms, "10s", 1000, 300000),
	SET_END
};
