/* SPDX-License-Identifier: ISC */
/*
 * journal/journal.h - what the journal is told: where lines go, and which.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "mail/settings.h"

enum journal_words { JOURNAL_INFO, JOURNAL_WARNING };	/* log_level, in the order of its words */

struct journal_settings {
	const char	*log_file;	/* a path, or "syslog" */
	unsigned	 log_level;	/* enum journal_words: what is less is left out */
};

#endif
