/* SPDX-License-Identifier: ISC */
/*
 * smtpd/settings.c - what can be set about mail from other hosts.
 */
#include "smtpd/smtpd.h"

#include <stddef.h>

#define S struct smtpd_settings

static const char *const bare_newline[] = { "reject", "normalize", NULL };

const struct setting smtpd_settings[] = {
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_SIZE("message_size_limit",	S, message_octets, "25M", 1024, 1ull << 40),
	SET_NUMBER("smtpd_recipient_limit", S, recipients, "1000", 100, 50000), /* RFC 5321 section 4.5.3.1.8 */
	SET_SIZE("smtpd_line_limit",	S, line_octets, "4096", 512, 65535),
	SET_SIZE("header_size_limit",	S, header_octets, "256K", 1024, 16 << 20),
	SET_SIZE("header_line_limit",	S, header_line_octets, "16K", 998, 1 << 20),
	SET_NUMBER("mime_depth_limit",	S, mime_depth, "50", 1, 100),
	SET_NUMBER("mime_part_limit",	S, mime_parts, "2000", 1, 100000),
	SET_NUMBER("hop_limit",		S, hops, "100", 10, 1000),	/* RFC 5321 section 6.3 */
	SET_NUMBER("smtpd_error_limit",	S, errors, "20", 1, 10000),
	SET_NUMBER("smtpd_junk_limit",	S, junk, "100", 1, 100000),
	SET_WORD("bare_newline",	S, bare_newline, "reject", bare_newline),
	SET_TIME("smtpd_command_timeout", S, command_timeout_ms, "5m", 1000, 86400000),
	SET_TIME("smtpd_content_timeout", S, content_timeout_ms, "3m", 1000, 86400000),
	SET_TIME("smtpd_session_timeout", S, session_timeout_ms, "2h", 1000, 86400000),
	SET_TIME("smtpd_stress_timeout", S, stress_timeout_ms, "10s", 1000, 300000),
	SET_TIME("smtpd_greet_delay",	S, greet_delay_ms, "0s", 0, 30000),
	SET_NUMBER("smtpd_sessions",	S, sessions, "2000", 4, 50000),
	SET_NUMBER("smtpd_client_sessions", S, client_sessions, "100", 0, 50000),
	SET_NUMBER("smtpd_client_rate",	S, client_rate, "1000", 0, 10000000),
	SET_END
};
