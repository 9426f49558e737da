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
#include "daemon/quota.h"
#include "daemon/tls_server.h"
#include "daemon/voucher.h"
#include "mail/settings.h"
#include "mail/smtp_server.h"

struct smtp_limits {
	uint64_t	command_timeout_ms;	/* without a whole command; RFC 5321 section 4.5.3.2.7: 5 min */
	uint64_t	content_timeout_ms;	/* without a KiB of content; section 4.5.3.2.5: 3 min */
	uint64_t	session_timeout_ms;	/* for all of it */
	uint64_t	greet_delay_ms;		/* who talks within it is refused; 0: only who talked before */
	struct crowd_limits crowd;
	struct quota_limits quota;		/* of who has logged in */
};

/* What can be set for all who serve SMTP. In smtp_settings.c. */
struct smtp_settings {
	const char	*hostname;
	uint64_t	 message_octets, line_octets, header_octets, header_line_octets;
	uint64_t	 mime_depth, mime_parts, hops, errors, junk;
	uint64_t	 command_timeout_ms, content_timeout_ms, session_timeout_ms, stress_timeout_ms;
	unsigned	 bare_newline;		/* index into its words */
};

extern const struct setting smtp_server_settings[];
/* Rules and limits as far as they are the same for all, all else zero. Both borrow the settings. */
void		 smtp_settings_apply(const struct smtp_settings *s, struct smtp_rules *r, struct smtp_limits *l);

struct smtp_service;

struct smtp_service *smtp_service_new(struct daemon *d, const struct smtp_rules *rules,
		    const struct smtp_limits *limits, struct tls_server *tls, const struct voucher_key *voucher);
		    /* all borrowed; tls NULL: there is none; voucher NULL: nobody logs in */
void		 smtp_service_free(struct smtp_service **s);
/* A connection; fd is taken. tls: it begins with a handshake (RFC 8314); only with certificates. */
void		 smtp_service_accept(struct smtp_service *s, int fd, bool tls);
/* Borrowed; NULL where nobody logs in. */
struct quota	*smtp_service_quota(struct smtp_service *s);
/* Of a struct daemon whose owner is the service. */
uint32_t	 smtp_service_sessions(void *service);
/* Take nothing new: sessions end with 421 at the edge of a transaction, when they have said
 * nothing for a minute, or when their client ends them. */
void		 smtp_service_drain(void *service);

#endif
