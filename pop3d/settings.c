/* SPDX-License-Identifier: ISC */
/*
 * pop3d/settings.c - what can be set about POP3 sessions.
 */
#include "pop3d/session.h"

#include <stddef.h>

const struct setting pop3d_settings[] = {
	SET_TIME("pop3_timeout", struct pop3d_settings, timeout_ms, "10m", 600000, 86400000),
	SET_BOOL("pop3_mark_seen", struct pop3d_settings, mark_seen, "yes"),
	SET_END
};
