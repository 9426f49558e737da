/* SPDX-License-Identifier: ISC */
/*
 * pop3-login/pop3_login.h - settings and the protocol of pop3-login.
 */
#ifndef POP3_LOGIN_POP3_LOGIN_H
#define POP3_LOGIN_POP3_LOGIN_H

#include "daemon/login.h"
#include "mail/settings.h"

struct pop3_login_settings {
	uint64_t	timeout_ms, stress_timeout_ms, sessions, client_sessions, client_rate, failures;
	bool		insecure;
};

extern const struct setting pop3_login_settings[];

/* RFC 1939 section 4, the AUTHORIZATION state. insecure: take passwords from anywhere in clear. */
extern const struct login_protocol pop3_login_protocol;
void	pop3_login_allow_insecure(bool insecure);

#endif
