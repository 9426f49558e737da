/* SPDX-License-Identifier: ISC */
/*
 * pop3-login/pop3_login.h - the protocol of pop3-login.
 */
#ifndef POP3_LOGIN_POP3_LOGIN_H
#define POP3_LOGIN_POP3_LOGIN_H

#include "daemon/login.h"

/* RFC 1939 section 4, the AUTHORIZATION state. */
extern const struct login_protocol pop3_login_protocol;

#endif
