/* SPDX-License-Identifier: ISC */
/*
 * smtpd/settings.c - what can be set about mail from other hosts.
 */
#include "smtpd/smtpd.h"

#include <stddef.h>

#define S struct smtpd_settings

static const char *const tls[] = { [SMTPD_TLS_NEVER] = "never", [SMTPD_TLS_MAY] = "may", [SMTPD_TLS_MUST] = "must", NULL };

const struct setting smtpd_settings[] = {
	SET_NUMBER("smtpd_recipient_limit", S, recipients, "1000", 100, 50000), /* RFC 5321 section 4.5.3.1.8 */
	SET_WORD("smtpd_tls",		S, tls, "may", tls),
	SET_TIME("smtpd_greet_delay",	S, greet_delay_ms, "0s", 0, 30000),
	SET_NUMBER("smtpd_sessions",	S, sessions, "2000", 4, 50000),
	SET_NUMBER("smtpd_client_sessions", S, client_sessions, "100", 0, 50000),
	SET_NUMBER("smtpd_client_rate",	S, client_rate, "1000", 0, 10000000),
	SET_END
};
