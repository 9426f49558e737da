/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_server.h - the server's side of an SMTP conversation, RFC 5321; the
 * one conversation of smtpd and submission, which differ in their rules.
 *
 * No I/O: it takes the client's octets, appends replies to `out` and content to
 * `content`, and says what must be done before it can go on. Whoever drives it
 * (daemon/smtp_session.c) asks router and cleanup, writes the content away, and
 * gives the answers back.
 */
#ifndef MAIL_SMTP_SERVER_H
#define MAIL_SMTP_SERVER_H

#include "base/arena.h"
#include "base/line.h"
#include "mail/envelope.h"
#include "mail/mechanisms.h"
#include "mail/router.h"
#include "proto/rfc5322_head.h"
#include "proto/rfc5322_message_id.h"
#include "proto/smtp_cmd.h"
#include "proto/smtp_data.h"
#include "proto/tls_required.h"

/* What a conversation is held to; read-only, shared by all sessions of a process. */
struct smtp_rules {
	const char	*hostname;		/* in the greeting, EHLO, Received */
	const char	*authserv_id;		/* whose Authentication-Results are ours */
	uint64_t	 message_octets;	/* SIZE; 0: no limit */
	uint64_t	 recipients;		/* of one transaction */
	uint64_t	 line_octets;		/* of a command, CRLF included */
	uint64_t	 header_octets, header_line_octets;
	uint64_t	 mime_depth, mime_parts, hops;
	uint64_t	 errors;		/* refused or misunderstood commands in a session, then 421 */
	uint64_t	 junk;			/* commands without mail since the last one, then 421 */
	bool		 normalize_newlines;	/* bare_newline = normalize */
	bool		 starttls;		/* is offered: RFC 3207 */
	bool		 tls_required;		/* and no mail without */
	const char	*mechanisms[CHANNELS];	/* of AUTH, "PLAIN LOGIN", by the client's channel; NULL: it is not served */
	bool		 insecure_auth;		/* passwords in clear, from anywhere */
	uint64_t	 auth_failures;		/* wrong passwords in a session, then 421 */
	bool		 submission;		/* no mail but of who has logged in, as himself: RFC 6409 */
	bool		 hide_client;		/* Received does not say where from */
};

enum smtp_wants {
	SMTP_WANTS_INPUT,	/* more octets */
	SMTP_WANTS_RCPT,	/* an answer about `asked`: smtp_server_checked */
	SMTP_WANTS_OPEN,	/* a queue file: smtp_server_opened */
	SMTP_WANTS_COMMIT,	/* all content is in `content` or written: smtp_server_committed */
	SMTP_WANTS_AUTH,	/* auth is asked: smtp_server_challenged, _logged_in or _not_logged_in */
	SMTP_WANTS_SENDER,	/* is from.asked an address of `account`? smtp_server_sender_checked */
	SMTP_WANTS_TLS,		/* send `out`, then a handshake: smtp_server_secured, or an end */
	SMTP_WANTS_CLOSE,	/* send `out`, then end */
};

struct smtp_server {
	const struct smtp_rules *rules;		/* borrowed */
	struct buf	*out;			/* borrowed: replies */
	struct buf	 content;		/* owned: decoded, for the queue file */
	struct bytes	 client;		/* borrowed: address as text, "192.0.2.1" or "2001:db8::1" */
	const char	*session_id;		/* borrowed */
	struct bytes	 tls;			/* borrowed: "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: in clear */
	bool		 secure;		/* TLS, or loopback: the driver's to set, as the next */
	unsigned	 channel;		/* CHANNEL_ bits: which of rules->mechanisms are offered */
	struct buf	 account;		/* owned: who has logged in; empty: nobody */
	struct {
		char		mechanism[32];
		struct buf	octets;		/* owned: of the client's response, decoded */
		bool		initial;	/* there is a response with the command */
		bool		exchange;	/* auth knows of it: the response is the next one */
		bool		cancel, broken;	/* by "*", or by what was no base64 */
		unsigned	failures;
	} auth;
	struct {
		struct bytes	asked;		/* in mail */
		struct buf	header;		/* owned: of a message that is submitted */
		struct smtp_claim *claim;	/* in mail: of the content */
		size_t		n, at;
		bool		of_content;	/* asked is that of claim[at]; else the reverse-path */
	} from;
	struct line_reader lines;
	struct arena	*mail;			/* owned: the transaction; NULL when there is none */
	struct head	*head;			/* owned: while content comes */
	struct message_id *message_id;		/* owned: likewise */
	struct tls_required tls_required;	/* likewise */
	struct smtp_data data;
	struct buf	 helo;			/* owned */
	struct envelope	 envelope;		/* in mail */
	size_t		 rcpts_cap;
	size_t		 rcpts_given;		/* accepted RCPT commands; aliases may have made more of them */
	struct recipient asked;			/* SMTP_WANTS_RCPT: original, orcpt, notify */
	char		 queue_id[33];
	uint64_t	 size_octets;		/* as SIZE= said, 0: not said */
	uint64_t	 octets;		/* of content so far */
	uint64_t	 chunk_octets;		/* BDAT: still to come of this chunk */
	unsigned	 state;			/* one of NEW, GREETED, MAIL, RCPT */
	unsigned	 mode;			/* commands, DATA, a chunk, or waiting */
	unsigned	 errors, junk;
	uint64_t	 mails;			/* accepted in this session */
	bool		 esmtp, chunk_last, bdat, opened, closing, cr;
	bool		 abandon;		/* the opened file is not wanted: the driver drops it, clears this */
	unsigned	 refuse_code;		/* of the message in progress, 0: none */
	char		 refuse_text[160];
	/* For the journal: a command, or a message, was refused, not for its grammar alone; may be NULL. */
	void		(*refused)(void *arg, unsigned code, const char *words);
	void		*refused_arg;
	const char	*ended_by;		/* for the journal: why it closes, NULL: the client's QUIT */
};

void	smtp_server_init(struct smtp_server *s, const struct smtp_rules *rules, struct buf *out,
	    struct bytes client, const char *session_id);
void	smtp_server_fini(struct smtp_server *s);

/* TLS begins before the greeting: smtp_server_secured, then smtp_server_greet. */
void	smtp_server_expect_tls(struct smtp_server *s);
void	smtp_server_greet(struct smtp_server *s);
/* This reply, then SMTP_WANTS_CLOSE: shutdown, timeouts, limits. why is for the journal. */
void	smtp_server_end(struct smtp_server *s, const char *why, unsigned code, const char *words);

/* Takes what it can off *in. Stops before a command when `out` is above half of its max. */
enum smtp_wants	smtp_server_input(struct smtp_server *s, struct bytes *in);

/* The answers; then go on with smtp_server_input, with what is there even if it is nothing. */
void	smtp_server_checked(struct smtp_server *s, enum verdict verdict, unsigned code,
	    struct bytes reply, struct bytes routes);
void	smtp_server_opened(struct smtp_server *s, enum open_status status, struct bytes queue_id);
/* reply: of COMMIT_REFUSED, without the code. */
void	smtp_server_committed(struct smtp_server *s, enum commit_status status, struct bytes reply);

/* The handshake is done: all that the client said before is forgotten (RFC 3207 section 4.2). tls: as smtp_server has it. */
void	smtp_server_secured(struct smtp_server *s, struct bytes tls);

/* To SMTP_WANTS_AUTH. After auth.cancel only the last. words: of who failed, without code. */
void	smtp_server_challenged(struct smtp_server *s, struct bytes octets);
void	smtp_server_logged_in(struct smtp_server *s, struct bytes account);
void	smtp_server_not_logged_in(struct smtp_server *s, bool unavailable, struct bytes words);
void	smtp_server_sender_checked(struct smtp_server *s, enum verdict verdict);

/* The content could not be written away: refused when its end has come (452 or 451). */
void	smtp_server_write_failed(struct smtp_server *s, bool no_space);

/* SMTP_WANTS_COMMIT: the envelope with what the suite adds and removes (Received, our forged
 * results); in the transaction's arena. extents are left to cleanup. */
const struct envelope *smtp_server_envelope(struct smtp_server *s, int64_t now_s);

/* In the middle of a transaction or its content? For choosing who must go. */
bool	smtp_server_busy(const struct smtp_server *s);

#endif
