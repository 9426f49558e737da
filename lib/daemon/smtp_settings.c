/* SPDX-License-Identifier: ISC */
/* Apart from smtp_session.c: who knows all settings links no connections for it. */
#include <stddef.h>

#include "daemon/smtp_session.h"

#define S struct smtp_settings

static const char *const bare_newline[] = { "reject", "normalize", NULL };

const struct setting smtp_server_settings[] = {
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_SIZE("message_size_limit",	S, message_octets, "25M", 1024, 1ull << 40),
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
	SET_END
};

void
smtp_settings_apply(const struct smtp_settings *s, struct smtp_rules *r, struct smtp_limits *l)
{
	enum { BARE_REJECT, BARE_NORMALIZE };		/* as in bare_newline */

	*r = (struct smtp_rules){
		.hostname = s->hostname, .authserv_id = s->hostname,
		.message_octets = s->message_octets, .line_octets = s->line_octets,
		.header_octets = s->header_octets, .header_line_octets = s->header_line_octets,
		.mime_depth = s->mime_depth, .mime_parts = s->mime_parts, .hops = s->hops,
		.errors = s->errors, .junk = s->junk,
		.normalize_newlines = s->bare_newline == BARE_NORMALIZE,
	};
	*l = (struct smtp_limits){
		.command_timeout_ms = s->command_timeout_ms,
		.content_timeout_ms = s->content_timeout_ms,
		.session_timeout_ms = s->session_timeout_ms,
		.crowd = { .stress_timeout_ms = s->stress_timeout_ms },
	};
}
