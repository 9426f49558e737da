/* SPDX-License-Identifier: ISC */
/*
 * smtpd/smtpd.h - the settings of smtpd.
 */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "mail/settings.h"

struct smtpd_settings {
	const char	*hostname;
	uint64_t	 message_octets, recipients, line_octets, header_octets, header_line_octets;
	uint64_t	 mime_depth, mime_parts, hops, errors, junk;
	unsigned	 bare_newline;		/* index into its words */
	uint64_t	 command_timeout_ms, content_timeout_ms, session_timeout_ms, stress_timeout_ms;
	uint64_t	 greet_delay_ms;
	uint64_t	 sessions, client_sessions, client_rate;
};

enum { BARE_REJECT, BARE_NORMALIZE };

extern const struct setting smtpd_settings[];

#endif
