/* SPDX-License-Identifier: ISC */
/*
 * mail/mailbox_settings.h - what can be set about mailboxes, whoever opens them for a client: POP3
 * and IMAP sessions. become loads it for both.
 */
#ifndef MAIL_MAILBOX_SETTINGS_H
#define MAIL_MAILBOX_SETTINGS_H

#include "mail/settings.h"

struct mailbox_settings {
	uint64_t	expunge_keep_ms;	/* for mailbox_keep_expunged */
};

extern const struct setting mailbox_settings[];

#endif
