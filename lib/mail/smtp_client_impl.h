/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_client_impl.h - what the files of mail/smtp_client share, and nobody else:
 *
 *	smtp_client.c		the conversation: greeting, EHLO, STARTTLS, QUIT; how it ends
 *	smtp_client_mail.c	a transaction: MAIL, RCPT, DATA or BDAT, content, its replies
 *	smtp_client_command.c	MAIL and RCPT with their parameters; what a server must offer for them
 *	smtp_client_auth.c	AUTH: what may be said when, how it ends
 *	smtp_client_said.c	lines and replies of the server; what is remembered of them
 */
#ifndef MAIL_SMTP_CLIENT_IMPL_H
#define MAIL_SMTP_CLIENT_IMPL_H

#include "mail/smtp_client.h"
#include "proto/smtp_content.h"
#include "proto/smtp_reply.h"

enum smtp_client_state {
	AT_GREETING, AT_EHLO, AT_HELO, AT_STARTTLS,	/* a reply is waited for */
	AT_HANDSHAKE, AT_LOGIN, AT_CHALLENGE, AT_READY,	/* the driver's turn: no reply is due */
	AT_AUTH,	/* the reply to AUTH, or to a response */
	AT_CANCEL,	/* the reply to "*" */
	AT_ENVELOPE,	/* commands of the transaction, replies to them */
	AT_CONTENT,	/* content; BDAT: replies to chunks */
	AT_END,		/* all content is in `out`: its reply, LMTP: replies */
	AT_DOT,		/* the reply to a content of nothing, for nobody */
	AT_DISCARD,	/* replies to chunks behind one that failed */
	AT_QUIT, AT_CLOSED,
	AT_STATES
};

/* A line of the server. What ended the first one ends all: CRLF, or LF of servers that know no better. A server is
 * believed to have either habit, but no line end may be seen where the server's own neighbour saw none. */
struct smtp_client_line {
	enum { ENDS_UNKNOWN, ENDS_CRLF, ENDS_LF } ends;
	bool		cr;		/* the last octet was CR */
	size_t		n;		/* octets kept; what follows is dropped */
	size_t		of_reply;	/* octets of the reply so far, all its lines */
	unsigned char	kept[SMTP_CLIENT_SAID_MAX];
};

struct smtp_client {
	const struct smtp_client_rules *rules;	/* borrowed */
	struct buf	*out;			/* borrowed */
	enum smtp_client_state state;
	struct smtp_client_line line;
	struct smtp_reply reply;		/* owned; the present one */
	struct smtp_ehlo ehlo;
	bool		secured;
	enum relay_contact contact;
	size_t		fault;			/* index in said; SIZE_MAX: none */
	size_t		rcpt_learnt;		/* recipients that were taken before one too many; 0: not known */
	size_t		mails;			/* transactions begun */
	struct buf	domains;		/* owned; those of recipients that were asked for, a space behind each: see RCPTDOMAINMAX */
	size_t		ndomains;
	bool		dirty;			/* RSET before the next: the last one did not come to its end */

	/* AUTH */
	struct buf	challenge;		/* owned; decoded */
	struct buf	initial;		/* owned; kept back until the server asks for it */
	bool		held;			/* there is one in initial; it may be empty */
	bool		enough;			/* the server may say that it has succeeded */
	unsigned	challenges;
	char		cancelled[SMTP_CLIENT_WORDS_MAX];	/* why "*" was sent */

	/* the transaction */
	struct arena	*arena;			/* owned; all below */
	struct arena	*scratch;		/* owned; one address */
	struct smtp_client_said *said;
	size_t		nsaid, said_cap, said_octets;
	const struct smtp_client_mail *mail;	/* borrowed; NULL: none */
	size_t		*ask;			/* recipients that are asked for: indices in mail->rcpts */
	size_t		nask, accepted;
	size_t		crowded;		/* index in said: of those whose domain is one too many; SIZE_MAX: there is none */
	bool		utf8;			/* MAIL had SMTPUTF8 */
	bool		refused;		/* MAIL was */
	bool		odd;			/* a recipient was taken although MAIL was refused */
	/* Commands are numbered: RSET, MAIL, RCPTs, DATA. Replies come in that order (RFC 2920 section 3.1). */
	size_t		sent, answered;
	size_t		window;			/* octets of commands in flight */
	size_t		final;			/* LMTP: index in ask of the next reply behind the content */
	struct smtp_content content;
	struct buf	chunk;			/* owned; BDAT: not yet sent */
	bool		last;			/* the driver has given all content */
	size_t		chunks;			/* BDAT without LAST that have no reply yet */
	bool		early;			/* its reply had begun before the content was complete */
};

enum { STEP_RSET, STEP_MAIL, STEP_RCPT };	/* the RCPTs are STEP_RCPT and following, then DATA */

/* ---- smtp_client.c ---- */
void	smtp_client_command(struct smtp_client *c, const char *verb, const char *argument);
/* Ends it for good: who is open is to be tried later. */
void	smtp_client_close(struct smtp_client *c, size_t said, enum relay_contact contact, bool polite);
/* The server has broken the protocol; nothing that it says can be relied on any more. */
void	smtp_client_broken(struct smtp_client *c, const char *words);
bool	smtp_client_has(const struct smtp_client *c, unsigned extension);

/* ---- smtp_client_auth.c ---- */
void	smtp_client_on_auth(struct smtp_client *c);
void	smtp_client_on_cancel(struct smtp_client *c);

/* ---- smtp_client_mail.c ---- */
void	smtp_client_on_envelope(struct smtp_client *c);
void	smtp_client_on_content(struct smtp_client *c);
void	smtp_client_on_end(struct smtp_client *c);
void	smtp_client_on_dot(struct smtp_client *c);
void	smtp_client_on_discard(struct smtp_client *c);
void	smtp_client_settle(struct smtp_client *c, size_t i, enum outcome outcome, size_t said);
void	smtp_client_settle_open(struct smtp_client *c, enum outcome outcome, size_t said);
bool	smtp_client_wants_content(const struct smtp_client *c);
bool	smtp_client_bdat(const struct smtp_client *c);	/* this transaction uses it */

/* ---- smtp_client_command.c ---- */
/* Settles who cannot be sent to this server as it is; fills ask with the others. */
void	smtp_client_choose(struct smtp_client *c);
void	smtp_client_put_mail(struct smtp_client *c);
void	smtp_client_put_rcpt(struct smtp_client *c, const struct smtp_client_rcpt *r);

/* ---- smtp_client_said.c ---- */
enum smtp_reply_status smtp_client_take(struct smtp_client *c, struct bytes *in);	/* MORE: also without a whole line */
/* Room for what can be said of so many recipients; what was said before is forgotten. */
void	smtp_client_said_begin(struct smtp_client *c, size_t rcpts);
/* The present reply, to the present command. instead: of the status it has; NULL: that. */
size_t	smtp_client_say_reply(struct smtp_client *c, const char *instead);
size_t	smtp_client_say(struct smtp_client *c, const char *status, struct bytes words);
const char *smtp_client_command_name(const struct smtp_client *c);	/* of what is waited for */

#endif
