/* SPDX-License-Identifier: ISC */
/*
 * daemon/smtp_session.h - drives SMTP conversations (mail/smtp_server.h) on the
 * event loop: the client's socket, the questions to router and cleanup, the queue
 * file that content is written into, time, and who must go when room is short.
 * smtpd and submission are thin policies over it.
 */
#ifndef DAEMON_SMTP_SESSION_H
#define DAEMON_SMTP_SESSION_H

#include "daemon/crowd.h"
#include "mail/smtp_server.h"

struct smtp_limits {
	uint64_t	command_timeout_ms;	/* without a whole command; RFC 5321 section 4.5.3.2.7: 5 min */
	uint64_t	content_timeout_ms;	/* without a KiB of content; section 4.5.3.2.5: 3 min */
	uint64_t	session_timeout_ms;	/* for all of it */
	uint64_t	greet_delay_ms;		/* who talks within it is refused; 0: only who talked before */
	struct crowd_limits crowd;
};

struct smtp_service;

struct smtp_service *smtp_service_new(struct daemon *d, const struct smtp_rules *rules,
		    const struct smtp_limits *limits);	/* both borrowed */
void		 smtp_service_free(struct smtp_service **s);
/* A connection; fd is taken. */
void		 smtp_service_accept(struct smtp_service *s, int fd);
uint32_t	 smtp_service_sessions(const struct smtp_service *s);
/* Take nothing new: sessions end with 421 at the edge of a transaction, when they have said
 * nothing for a minute, or when their client ends them. */
void		 smtp_service_drain(struct smtp_service *s);

#endif
