/* SPDX-License-Identifier: ISC */
/*
 * journal/settings.c - where lines go, and which.
 */
#include <stddef.h>

#include "config.h"
#include "journal/journal.h"

#define S struct journal_settings

extern const struct setting journal_settings[];

static const char *const levels[] = { "info", "warning", NULL };	/* enum journal_words */

const struct setting journal_settings[] = {
	SET_TEXT_IF("log_file",	S, log_file, HERMOD_LOCALSTATEDIR "/log/hermod.log", setting_is_log),
	SET_WORD("log_level",	S, log_level, "info", levels),
	SET_END
};
