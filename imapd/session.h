/* SPDX-License-Identifier: ISC */
/*
 * imapd/session.h - one IMAP session after authentication, in a process of its
 * own that runs as the mailbox's owner. become links this and calls it in a fork.
 */
#ifndef IMAPD_SESSION_H
#define IMAPD_SESSION_H

#include "base/bytes.h"
#include "mail/mailbox_settings.h"

struct imapd_settings {
	uint64_t	timeout_ms;		/* RFC 3501 section 5.4: at least 30 minutes */
	uint64_t	append_limit;		/* octets of a message, RFC 7889 */
	uint64_t	idle_poll_ms;		/* IDLE: how often to look */
	unsigned	layout;			/* enum folder_layout, mail/folder_name.h */
};

extern const struct setting imapd_settings[];

struct imapd_start {
	int		socket;		/* taken: the client, or tls's side of a pair */
	int		stop;		/* end of file: the suite stops (daemon/worker_wait.h); -1: nobody says so */
	struct bytes	mailbox;	/* of the INBOX: "maildir:/path", "mbox:/path"; all are borrowed */
	struct bytes	account, session_id, client;
	struct bytes	input;		/* what the client sent behind its last command */
	struct bytes	output;		/* the reply to the login, sent once the mailbox is open */
	const struct imapd_settings *settings;
	const struct mailbox_settings *kept;
};

/* The exit status of the process. */
int	imapd_run(const struct imapd_start *start);

#endif
