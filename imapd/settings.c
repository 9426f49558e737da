/* SPDX-License-Identifier: ISC */
/*
 * imapd/settings.c - what can be set about IMAP sessions.
 */
#include "imapd/session.h"

#include <stddef.h>

#include "mail/folder_name.h"

#define S struct imapd_settings

const struct setting imapd_settings[] = {
	SET_TIME("imap_timeout",	S, timeout_ms, "30m", 1800000, 86400000),
	SET_SIZE("imap_append_limit",	S, append_limit, "100M", 1024, 4294967295),	/* RFC 7889 section 5: 32 bits */
	SET_TIME("imap_idle_poll",	S, idle_poll_ms, "1s", 100, 600000),
	SET_WORD("folder_layout",	S, layout, "maildir", folder_layouts),
	SET_END
};
