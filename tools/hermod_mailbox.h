/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_mailbox.h - the mailbox of a new account, made as its owner.
 */
#ifndef TOOLS_HERMOD_MAILBOX_H
#define TOOLS_HERMOD_MAILBOX_H

#include "mail/account.h"

/* "maildir:MAIL_DIRECTORY/domain/local/Maildir": with Drafts, Sent, Trash, Junk, Archive in Maildir++,
 * subscribed (doc/mailbox-layout.md); of an mbox the folder it will be in. What is there already
 * stays. False: why. */
bool	mailbox_create(const struct account_settings *s, struct bytes mailbox, uint32_t uid, uint32_t gid,
	    char *why, size_t cap);

#endif
