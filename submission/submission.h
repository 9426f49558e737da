/* SPDX-License-Identifier: ISC */
/*
 * submission/submission.h - the settings of submission, beside those of all who serve SMTP (daemon/smtp_session.h), and the
 * socket by which the administrator asks what an account has sent (control.c).
 */
#ifndef SUBMISSION_SUBMISSION_H
#define SUBMISSION_SUBMISSION_H

#include "daemon/daemon.h"
#include "daemon/quota.h"
#include "mail/settings.h"

struct submission_settings {
	uint64_t	 recipients, auth_failures;
	uint64_t	 messages_per_hour, recipients_per_hour;	/* of an account */
	uint64_t	 sessions, client_sessions, client_rate;
	bool		 insecure_auth, hide_client;
};

extern const struct setting submission_settings[];

/* ---- control.c: run_directory/submission.sock ---- */

struct control;

struct control	*control_new(struct daemon *d, struct quota *q);	/* both borrowed */
void		 control_free(struct control **k);
void		 control_accept(struct control *k, int fd);	/* taken: a connection */

#endif
