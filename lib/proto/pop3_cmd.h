/* SPDX-License-Identifier: ISC */
/*
 * proto/pop3_cmd.h - one POP3 command line, taken apart.
 * RFC 1939 (commands), RFC 2449 (CAPA, line lengths), RFC 5034 and 1734 (AUTH),
 * RFC 2595 (STLS). UTF8 and LANG (RFC 6856) are not offered and so not known.
 * Pure: no I/O, no allocation, no state. Results point into the caller's line.
 */
#ifndef PROTO_POP3_CMD_H
#define PROTO_POP3_CMD_H

#include "base/bytes.h"

#define POP3_LINE_MAX		255	/* octets with CRLF, RFC 2449 section 4 */
#define POP3_LINE_AUTH_MAX	12288	/* a SASL response, RFC 5034 section 4 and RFC 4422 */
#define POP3_REPLY_MAX		512	/* octets of a first response line, RFC 2449 section 4 */

enum pop3_verb {
	POP3_USER, POP3_PASS, POP3_APOP, POP3_QUIT, POP3_STAT, POP3_LIST, POP3_RETR, POP3_DELE,
	POP3_NOOP, POP3_RSET, POP3_TOP, POP3_UIDL, POP3_CAPA, POP3_STLS, POP3_AUTH, POP3_VERBS
};

enum pop3_parse { POP3_PARSED, POP3_BAD_VERB, POP3_BAD_ARG };

struct pop3_cmd {
	enum pop3_verb	verb;
	struct bytes	arg;	/* USER, APOP: name; PASS: all after one space, as it is; AUTH: mechanism,
				 * empty when there is none (RFC 1734's list) */
	struct bytes	more;	/* APOP: digest, 32 hex digits; AUTH: initial response, "=" if empty */
	bool		initial;	/* AUTH: there is one */
	bool		numbered;	/* LIST, UIDL: there is a number */
	uint32_t	number;		/* LIST, RETR, DELE, TOP, UIDL: message number, from 1 */
	uint32_t	lines;		/* TOP; more than fits: UINT32_MAX */
};

/* Takes the line without its CRLF. *out is set only on POP3_PARSED; on POP3_BAD_ARG its
 * verb is. A number of 0 or of more than 32 bits is a bad argument. */
enum pop3_parse	pop3_cmd_parse(struct bytes line, struct pop3_cmd *out);
const char	*pop3_verb_text(enum pop3_verb verb);

#endif
