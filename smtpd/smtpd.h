/* SPDX-License-Identifier: ISC */
/*
 * smtpd/smtpd.h - the settings of smtpd, beside those of all who serve SMTP (daemon/smtp_session.h).
 */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "mail/settings.h"

struct smtpd_settings {
	uint64_t	 recipients, greet_delay_ms;
	unsigned	 tls;			/* index into its words */
	uint64_t	 sessions, client_sessions, client_rate;
};

enum { SMTPD_TLS_NEVER, SMTPD_TLS_MAY, SMTPD_TLS_MUST };

extern const struct setting smtpd_settings[];

#endif
