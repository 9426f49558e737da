/* SPDX-License-Identifier: ISC */
/*
 * pop3d/session.h - one POP3 session after authentication, in a process of its
 * own that runs as the mailbox's owner. become links this and calls it in a fork.
 */
#ifndef POP3D_SESSION_H
#define POP3D_SESSION_H

#include "base/bytes.h"
#include "mail/mailbox_settings.h"

struct pop3d_settings {
	uint64_t	timeout_ms;	/* RFC 1939 section 3: at least 10 minutes */
	bool		mark_seen;
};

extern const struct setting pop3d_settings[];

struct pop3d_start {
	int		socket;		/* taken: the client, or tls's side of a pair */
	int		stop;		/* end of file: the suite stops (daemon/worker_wait.h); -1: nobody says so */
	struct bytes	mailbox;	/* "maildir:/path", "mbox:/path"; all are borrowed */
	struct bytes	account, session_id, client;
	struct bytes	input;		/* what the client sent behind its last command */
	struct bytes	output;		/* the reply to the login, sent once the mailbox is open */
	struct bytes	offered;	/* lines of CAPA, each with CRLF, that were announced before the login */
	const struct pop3d_settings *settings;
	const struct mailbox_settings *kept;
};

/* The exit status of the process. */
int	pop3d_run(const struct pop3d_start *start);

#endif
