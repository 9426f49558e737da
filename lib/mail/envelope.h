/* SPDX-License-Identifier: ISC */
/*
 * mail/envelope.h - all that is known of a message besides its content. One
 * encoding serves the queue file and the messages to cleanup: a run of records,
 * each u16 type, u16 flags, u32 length, body. Records a reader does not know are
 * kept as they are; when one of them is flagged ENVELOPE_CRITICAL the message
 * is not for this version: it goes to hold/. doc/queue-format.md has the octets.
 */
#ifndef MAIL_ENVELOPE_H
#define MAIL_ENVELOPE_H

#include "base/arena.h"
#include "base/buf.h"

#define ENVELOPE_CRITICAL 1u
#define ENVELOPE_MAX	(8u << 20)	/* octets of all records of a new message */
#define ENVELOPE_RECORDS (64u << 20)	/* of one that had its attempts: replies and changes come to it */
#define ENVELOPE_RCPTS	50000		/* recipients */
#define ENVELOPE_EDITS	2000		/* header edits */
#define ENVELOPE_EXTENTS 4096
#define ENVELOPE_ARENA	(512u << 20)	/* an arena with this maximum holds what envelope_decode makes */

enum body_type { BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };
enum dsn_ret { RET_UNSAID, RET_FULL, RET_HDRS };
enum { NOTIFY_UNSAID = 0, NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };
/* Who put the message into the queue. */
enum origin {
	ORIGIN_CLIENT,		/* a client of SMTP; `account` says whether it has authenticated */
	ORIGIN_LOCAL_USER,	/* the sendmail command */
	ORIGIN_NOTICE,		/* bounce: to the sender of another message */
	ORIGIN_NOTICE_POSTMASTER, /* bounce: of a message whose sender cannot be told */
};
enum rcpt_state {
	RCPT_WAITING,
	RCPT_DELIVERED,		/* and nobody is to be told, or was already */
	RCPT_FAILED,		/* and the sender still to be told */
	RCPT_TOLD,		/* failed, and the sender knows */
	RCPT_PASSED,		/* delivered, and the sender still to be told, who asked for it: into a mailbox here, or to a
				 * host that does not take care of it (RFC 3461 section 5.2.2) */
};

struct recipient {
	struct bytes	original;	/* as the client gave it, without <> */
	struct bytes	final;		/* what the router made of it */
	struct bytes	orcpt;		/* "rfc822;user@example", decoded; empty: none */
	uint32_t	notify;		/* NOTIFY_ bits */
	enum rcpt_state	state;
	uint32_t	attempts;
	int64_t		last_s;		/* wall clock of the last attempt, 0: none */
	struct bytes	last_reply;	/* "4.2.2 mailbox full ..." */
	struct bytes	remote;		/* of the last attempt: "mx.example.org [192.0.2.1]:25"; empty: it was on this host */
	struct bytes	command;	/* to which command last_reply is: "RCPT", "connect"; empty: to none */
	struct bytes	said;		/* the other side's words, unchanged but for control characters; lines joined by LF */
	uint32_t	uncertain;	/* attempts whose outcome is not known */
	struct bytes	transport, nexthop, mailbox;	/* of the route at RCPT; may be stale at a retry */
	uint32_t	uid, gid;
	enum { RCPT_SAME, RCPT_STATE_CHANGED, RCPT_CHANGED /* address or route, or it is new */ } changed;
				/* since it was decoded: for envelope_encode_changes, which clears it */
};

enum tls_requirement {		/* RFC 8689 */
	TLS_UNSAID, TLS_REQUIRED /* by MAIL */,
	TLS_NOT_REQUIRED	/* by the header: what the domain publishes of it is not looked at */
};

enum edit_op { EDIT_INSERT /* at the top, in order */, EDIT_REPLACE, EDIT_DELETE };

struct header_edit {
	enum edit_op	op;
	struct bytes	name;		/* of the field */
	uint32_t	nth;		/* 1: the first of that name from the top */
	uint64_t	offset, octets;	/* DELETE, REPLACE: where it stands in the content, its CRLF included */
	struct bytes	text;		/* INSERT, REPLACE: whole lines, CRLF at their ends */
};

struct extent { uint64_t offset, octets; };	/* of the content, in the queue file */

struct envelope {
	struct bytes	sender;		/* reverse-path without <>; empty: null */
	int64_t		arrival_s, expiry_s;	/* wall clock; expiry 0: by the settings */
	uint32_t	body;		/* enum body_type */
	uint32_t	smtputf8;	/* 0, 1 */
	uint32_t	requiretls;	/* enum tls_requirement */
	int32_t		mt_priority;	/* RFC 6710: -9 .. 9 */
	uint32_t	ret;		/* enum dsn_ret */
	struct bytes	envid;
	struct bytes	account;	/* authenticated; empty: none */
	struct bytes	client, client_name, helo;	/* address, verified name, EHLO argument */
	struct bytes	protocol;	/* "ESMTP", RFC 3848 */
	struct bytes	tls;		/* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: none */
	uint32_t	origin;		/* enum origin: cleanup knows it by who hands the message in */
	struct bytes	verdicts;	/* Authentication-Results to be, empty until verified */
	struct bytes	session, journal;	/* ids */
	struct bytes	hold_reason;
	uint32_t	attempts;
	int64_t		next_s;		/* wall clock of the next attempt, 0: at once */
	uint32_t	delay_told;	/* 1: the sender knows that it is delayed */
	struct extent	*extents;	size_t nextents;
	struct header_edit *edits;	size_t nedits;
	struct recipient *rcpts;	size_t nrcpts;
	struct bytes	unknown;	/* records of a later version, whole */
	bool		unknown_critical;
};

void	envelope_encode(const struct envelope *e, struct buf *out);
/* What makes the decoded envelope of old the present one: attempts, next attempt, hold reason, and
 * the recipients that are marked as changed. To be appended to the old records. */
void	envelope_encode_changes(struct envelope *e, struct buf *out);
/* False: malformed, or past a limit above. Everything in *e is in the arena or borrows from the
 * records. Numbers, ranges of enumerations and counts are checked; texts may hold any octet. */
bool	envelope_decode(struct bytes records, struct arena *a, struct envelope *e);

/* The message as it goes out: edits applied, as mail/segments.h. Offsets of edits count octets of
 * content; REPLACE and DELETE stand in ascending order and do not overlap. False: the edits do
 * not fit the extents (a damaged file), or out is full. */
bool	envelope_segments(const struct envelope *e, struct buf *out);

#endif
