/* SPDX-License-Identifier: ISC */
/*
 * imap-login/imap_login.h - the protocol of imap-login.
 */
#ifndef IMAP_LOGIN_IMAP_LOGIN_H
#define IMAP_LOGIN_IMAP_LOGIN_H

#include "daemon/login.h"

#define IMAP_LOGIN_ERRORS_MAX	20	/* commands that are wrong, or not for now; then the session ends */
#define IMAP_LOGIN_COMMANDS_MAX	100	/* of all kinds */
#define IMAP_LOGIN_DROPPED_MAX	65536	/* octets of a refused command that are read on for the next one */

/* RFC 3501 section 3.1, the not authenticated state. */
extern const struct login_protocol imap_login_protocol;

#endif
