/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_reader.h - cuts a client's octets into commands.
 * RFC 3501 sections 2.2.1 (lines, tags), 4.3 (literals), 7.5 (continuation);
 * RFC 7888 (LITERAL+, LITERAL-), RFC 3516 and 4466 (literal8).
 * Pure: input in any pieces; what it says does not depend on how they were cut.
 *
 *	while ((st = imap_reader_next(&r, &in, &run)) != IMAP_READ_MORE) ...
 *
 * A command is gathered in `text` as it came, without its last CRLF:
 *	A1 LOGIN {4}CRLF bill {3+}CRLF a b
 * A literal that was streamed leaves "{310}LF" and no octets: an LF alone, which no
 * line can have, tells it from one that was gathered. proto/imap_lex.h reads that.
 *
 * Where commands begin (smuggling, RFC 7888 section 3): the end of every line is
 * searched for a literal, that of a line which is being dropped too. The octets of
 * a non-synchronizing literal are data whatever became of its command; so is the
 * line after them. A synchronizing literal in a command that was refused ends it:
 * its client waits for our answer, and what is there already was sent by one that did
 * not (`awaited`). A CR or LF alone never ends a line.
 */
#ifndef PROTO_IMAP_READER_H
#define PROTO_IMAP_READER_H

#include "base/buf.h"

#define IMAP_TAG_MAX		128	/* octets; the RFC has no limit, clients use up to 20 */
/* RFC 2683 section 3.2.1.5 asks for 8000, RFC 7162 section 4 for 8192; clients with large UID
 * sets send more. */
#define IMAP_LINE_MAX		65536	/* octets with CRLF */
#define IMAP_COMMAND_MAX	262144	/* octets of all lines and gathered literals, last CRLF too */
#define IMAP_LITERALS_MAX	256	/* in a command, streamed ones too: messages of one APPEND */
#define IMAP_DEPTH_MAX		160	/* of ( and [ together, outside quoted strings and literals */
/* Before login: room for an initial response (RFC 4959; 12288 as for SMTP, RFC 4954 section 4). */
#define IMAP_LINE_LOGIN_MAX	14336
#define IMAP_COMMAND_LOGIN_MAX	16384
#define IMAP_LITERALS_LOGIN_MAX	8
#define IMAP_DEPTH_LOGIN_MAX	32	/* no command nests there, but a password may have "[" */

struct imap_limits { size_t line, command; unsigned literals, depth; };
extern const struct imap_limits imap_limits_login, imap_limits_session;

/* "{310}", "{310+}", "~{310}". */
struct imap_literal {
	uint64_t octets;	/* at most INT64_MAX */
	bool	nonsync;	/* "+": its octets come without our answer */
	bool	eight;		/* "~": literal8, may hold NUL */
};

enum imap_read {
	IMAP_READ_MORE,		/* all input was taken; come again with more */
	IMAP_READ_COMMAND,	/* r->text has a whole one; valid until the next call */
	IMAP_READ_LITERAL,	/* r->literal, r->fits; r->text is the command up to it. Say
				 * imap_reader_accept, _stream or _refuse before the next call; tell the
				 * client "+" if it is synchronizing and not refused (nor unfit) */
	IMAP_READ_RUN,		/* *run: octets of the literal being streamed, borrowed from the input,
				 * never empty; r->left more will come */
	IMAP_READ_BAD,		/* r->wrong says why; the command was dropped, whole */
	IMAP_READ_TOO_BIG,	/* likewise: a limit was passed */
	IMAP_READ_ENDED,	/* a command that was refused ended with a synchronizing literal: nothing is to be
				 * said of it, but see `awaited` */
	IMAP_READ_LOST,		/* nobody can tell where commands begin again (a non-synchronizing literal
				 * of 2^63 octets or more): end the session. Said again for ever */
};

struct imap_reader {
	struct imap_limits limits;
	struct buf	text;		/* owned; passwords are in it: wiped by fini and idle */
	struct imap_literal literal;	/* the last one */
	bool		fits;		/* it could be gathered within the limits */
	uint64_t	left;		/* octets of it still to come */
	uint64_t	dropped;	/* octets of the command being dropped: its end may never come */
	bool		awaited;	/* with BAD, TOO_BIG, ENDED: the command ended with a synchronizing literal. When
					 * there is input left its client did not wait for an answer: those are the
					 * literal's octets, and the session has to end */
	const char	*wrong;		/* constant, for the reply; set with BAD, TOO_BIG, LOST */

	/* Its own: */
	size_t		line, command;	/* octets so far */
	unsigned	literals, depth;
	unsigned char	state, header;	/* enum in imap_reader.c */
	unsigned char	verdict;	/* enum imap_read of the command being dropped; MORE: say nothing */
	bool		cr, quoted, escaped, too_large, raw;
};

void		imap_reader_init(struct imap_reader *r, const struct imap_limits *limits);
void		imap_reader_fini(struct imap_reader *r);
/* Between commands: gives memory back, wiped. A reader in the middle of one is left as it is. */
void		imap_reader_idle(struct imap_reader *r);
/* After login; between commands only. The last command's text goes, wiped. */
void		imap_reader_limits(struct imap_reader *r, const struct imap_limits *limits);

/* Takes what it understood off the front of *in. */
enum imap_read	imap_reader_next(struct imap_reader *r, struct bytes *in, struct bytes *run);

/* Gathers it. One that does not fit is dropped with its command, and TOO_BIG said then. */
void		imap_reader_accept(struct imap_reader *r);
/* For messages: octets are handed out and charged to nothing, NUL too. An empty one has no run. */
void		imap_reader_stream(struct imap_reader *r);
/*
 * The caller answers the tag with NO or BAD; the rest of the command is dropped and nothing
 * said of it: also for what LITERAL- does not allow (RFC 7888 section 5, more than 4096 octets
 * unasked), where a session may rather end than read on.
 */
void		imap_reader_refuse(struct imap_reader *r);

/* Between commands: the next line is none, it has neither tag nor literals. It comes as COMMAND.
 * For responses of AUTHENTICATE (RFC 3501 section 6.2.2) and "DONE" (RFC 2177). */
void		imap_reader_raw(struct imap_reader *r);

/* Of the command in hand or just dropped; empty when there was none that a reply may repeat. */
struct bytes	imap_reader_tag(const struct imap_reader *r);

/* RFC 3501 section 9: 1*<any ASTRING-CHAR except "+">, and IMAP_TAG_MAX. */
bool		imap_tag_ok(struct bytes tag);

#endif
