/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_client.h - the client's side of an SMTP (RFC 5321) or LMTP (RFC 2033) conversation: one connection, from
 * the greeting to QUIT, with any number of transactions.
 *
 * No I/O, no clock: it takes the server's octets, appends commands and content to `out`, and says what must be done
 * before it can go on. Whoever drives it (smtp-client/session.c) has the socket, TLS, the deadline and the message's file.
 * What a server says is hostile: replies are bounded (proto/smtp_reply.h), and never become part of a command.
 *
 * Obeys: PIPELINING (RFC 2920), SIZE (1870), 8BITMIME (6152), CHUNKING and BINARYMIME (3030), STARTTLS (3207),
 * ENHANCEDSTATUSCODES (2034), DSN (3461), AUTH (4954), SMTPUTF8 (6531), MT-PRIORITY (6710), REQUIRETLS (8689), LIMITS (9422).
 */
#ifndef MAIL_SMTP_CLIENT_H
#define MAIL_SMTP_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "mail/envelope.h"
#include "mail/router.h"
#include "proto/smtp_ehlo.h"		/* SMTP_EXT_ */

#define SMTP_CLIENT_PIECE	16384u		/* octets of content that may be given at once */
#define SMTP_CLIENT_OUT		262144u		/* what `out` must hold: give content only while it is at most half full */
#define SMTP_CLIENT_REPLY_MAX	131072u		/* octets of one reply, all its lines; more is a fault */
#define SMTP_CLIENT_SAID_MAX	2048u		/* octets of smtp_client_said.said */
#define SMTP_CLIENT_WORDS_MAX	512u		/* of smtp_client_said.reply */
#define SMTP_CLIENT_RESPONSE_MAX 9213u		/* octets of a response to AUTH: 12288 in base64, RFC 4954 section 4 */
#define SMTP_CLIENT_CHALLENGES	10u		/* of one AUTH; whoever sends more is not listened to */

enum smtp_client_tls { SMTP_TLS_NEVER, SMTP_TLS_MAY, SMTP_TLS_MUST };

/* How a connection is used; borrowed for its life. */
struct smtp_client_rules {
	const char	*hostname;	/* of EHLO */
	bool		 lmtp;
	enum smtp_client_tls tls;	/* MAY: STARTTLS where it is announced; MUST: no mail without */
	unsigned	 ignore;	/* SMTP_EXT_ bits that are not believed */
};

enum smtp_client_wants {
	SMTP_CLIENT_WANTS_INPUT,	/* more octets of the server; what is in `out` is to be sent */
	SMTP_CLIENT_WANTS_TLS,		/* STARTTLS was accepted and nothing came behind the reply (CVE-2011-0411): make the
					 * handshake, then smtp_client_secured */
	SMTP_CLIENT_WANTS_LOGIN,	/* ready for AUTH: smtp_client_auth, when the driver has credentials; else smtp_client_no_login */
	SMTP_CLIENT_WANTS_RESPONSE,	/* to smtp_client_challenge: smtp_client_respond, or smtp_client_cancel */
	SMTP_CLIENT_WANTS_MAIL,		/* ready: smtp_client_mail, or smtp_client_quit */
	SMTP_CLIENT_WANTS_CONTENT,	/* octets of the message: smtp_client_content */
	SMTP_CLIENT_WANTS_CLOSE,	/* the connection is of no use any more; `fault` says why, unless it was QUIT */
};

/* One recipient of a transaction: what is asked, and what came of it. */
struct smtp_client_rcpt {
	struct bytes	address, orcpt;
	uint32_t	notify;
	bool		settled;	/* what follows holds; set before: it is left out of the transaction */
	enum outcome	outcome;
	bool		uncertain;	/* TRY_LATER: the connection was lost behind the content, which may have been taken */
	bool		again;		/* TRY_LATER: it was one too many, nothing is wrong with it: the next transaction of this
					 * connection may take it, or, where this one ends, that of another. Of each transaction at
					 * least one recipient is settled otherwise, unless the connection ends */
	bool		dsn;		/* DELIVERED, and the server takes care of NOTIFY */
	size_t		said;		/* for smtp_client_said */
};

/* Something the server said, or what went wrong, once for all recipients that it concerns. Good until the next
 * smtp_client_mail, or smtp_client_free. */
struct smtp_client_said {
	struct bytes	status;		/* enhanced status code: the server's where it fits its reply, else one made for it */
	struct bytes	reply;		/* in words, one line: the server's, without code and status; or ours */
	const char	*command;	/* "greeting", "EHLO", "LHLO", "HELO", "STARTTLS", "AUTH", "idle", "RSET", "MAIL", "RCPT",
					 * "DATA", "content", "QUIT" */
	struct bytes	said;		/* the server's own reply, lines joined by LF, each with its code first; empty: it said
					 * nothing, and status and reply are this side's judgement of this one server */
};

struct smtp_client_mail {
	struct bytes	sender, envid;
	uint32_t	ret;		/* enum dsn_ret */
	enum body_type	body;
	bool		smtputf8, requiretls;
	int		mt_priority;
	uint64_t	octets;		/* of the message, line ends CRLF, no dot-stuffing */
	struct smtp_client_rcpt *rcpts;	/* borrowed: until the transaction is over */
	size_t		nrcpts;
};

struct smtp_client;

/* In `out` is what is to be sent. With WANTS_CLOSE no more than a QUIT is: send it and close, whatever comes back. */
struct smtp_client *smtp_client_new(const struct smtp_client_rules *rules, struct buf *out /* borrowed */);
void		 smtp_client_free(struct smtp_client **c);

/* Takes all of *in, but for what stands behind the reply that says WANTS_TLS: there must be nothing. To be called
 * whenever octets come, whatever is wanted: a reply that nobody asked for ends the conversation. */
enum smtp_client_wants smtp_client_input(struct smtp_client *c, struct bytes *in);
/* After the handshake. All that the server announced before is forgotten (RFC 3207 section 4.2). May also be called before
 * the greeting, when the connection began with TLS (RFC 8314 section 3). */
enum smtp_client_wants smtp_client_secured(struct smtp_client *c);
enum smtp_client_wants smtp_client_no_login(struct smtp_client *c);

/*
 * AUTH (RFC 4954), once a connection; the mechanism is the driver's business. It may be called only where WANTS_LOGIN was
 * said, so behind TLS with what was announced there. initial: NULL where the server speaks first; at most
 * SMTP_CLIENT_RESPONSE_MAX octets; one that would make the command too long is kept until the server asks for it. enough: the
 * client has seen all that it must see, so the server may now say that it has succeeded: a server that says so before, and
 * has not proved that it knows the password, is not believed. When it has succeeded WANTS_MAIL follows; whatever else the
 * server says ends the conversation: WANTS_CLOSE. The fault's status then begins with 4, and its command is "AUTH".
 */
enum smtp_client_wants smtp_client_auth(struct smtp_client *c, const char *mechanism, const struct bytes *initial, bool enough);
struct bytes	 smtp_client_challenge(const struct smtp_client *c);	/* decoded; until the response is given */
enum smtp_client_wants smtp_client_respond(struct smtp_client *c, struct bytes response, bool enough);
/* The challenge is none that can be answered: "*". why: for people. */
enum smtp_client_wants smtp_client_cancel(struct smtp_client *c, const char *why);
/* The driver will not log in here, and must not go on without: QUIT, and the fault is 4.7.8 with these words. */
enum smtp_client_wants smtp_client_refuse_login(struct smtp_client *c, const char *why);

/* Begins a transaction: MAIL, RCPTs, DATA or BDAT, pipelined where that is announced. The mail is borrowed until
 * smtp_client_wants says WANTS_MAIL again, or WANTS_CLOSE: then each recipient is settled. That may be at once: what the
 * server does not offer, and the message needs, fails without a command. */
enum smtp_client_wants smtp_client_mail(struct smtp_client *c, const struct smtp_client_mail *m);
/* Octets of the message in order, at most SMTP_CLIENT_PIECE, lines ending in CRLF; last: that was all. A bare CR or LF
 * becomes CRLF (proto/smtp_content.h): see smtp_client_mended. */
enum smtp_client_wants smtp_client_content(struct smtp_client *c, struct bytes octets, bool last);
/* The content cannot be read to its end: WANTS_CLOSE from now on, so that the message is not ended. */
void		 smtp_client_content_lost(struct smtp_client *c, const char *why);
/* The connection has ended, or its deadline has passed: settles what is open. why: for people. */
void		 smtp_client_lost(struct smtp_client *c, const char *why);
enum smtp_client_wants smtp_client_quit(struct smtp_client *c);
/* As the last of the above said. */
enum smtp_client_wants smtp_client_wants(const struct smtp_client *c);

unsigned	 smtp_client_extensions(const struct smtp_client *c);
uint64_t	 smtp_client_size_max(const struct smtp_client *c);	/* as SIZE said; 0: no limit is known */
/* Recipients that one transaction may have, by LIMITS or by experience (452 at RCPT); SIZE_MAX: no limit is known. More
 * may be given: they come back to be asked `again`. */
size_t		 smtp_client_rcpt_max(const struct smtp_client *c);
/* Transactions that this connection may still have, by LIMITS; SIZE_MAX: no limit is known. At 0 smtp_client_mail
 * settles all as `again` and wants to be closed: they are for another connection. */
size_t		 smtp_client_mails_left(const struct smtp_client *c);
struct bytes	 smtp_client_auth_mechanisms(const struct smtp_client *c);
/* A bare CR or LF was found in the content of this transaction: its file is damaged. */
bool		 smtp_client_mended(const struct smtp_client *c);
/* What it is waiting for, for its deadline (RFC 5321 section 4.5.3.2) and for the words of a timeout: as
 * smtp_client_said.command, but "end of content" where its reply is waited for. */
const char	*smtp_client_stage(const struct smtp_client *c);
/* Of all that was said in this transaction, or before the first: */
const struct smtp_client_said *smtp_client_said(const struct smtp_client *c, size_t i);
/* After WANTS_CLOSE: what ended the conversation, with "4" or "5" before the first dot of its status for what it means
 * for mail that was to go here. NULL: QUIT, or nothing has. */
const struct smtp_client_said *smtp_client_fault(const struct smtp_client *c);
enum relay_contact smtp_client_contact(const struct smtp_client *c);

#endif
