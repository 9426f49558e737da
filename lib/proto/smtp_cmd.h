/* SPDX-License-Identifier: ISC */
/*
 * proto/smtp_cmd.h - one SMTP command line, taken apart.
 * RFC 5321 sections 4.1.1 (commands), 4.1.2 (arguments); RFC 3030 (BDAT),
 * RFC 3207 (STARTTLS), RFC 4954 (AUTH).
 * Pure: no I/O, no allocation, no state. Results point into the caller's line.
 *
 * More liberal than the RFC, for clients in use: white space after "FROM:" and
 * "TO:" (many scanners and mail libraries), more than one space between words,
 * white space at the end of a line (section 4.1.1 asks for that one).
 */
#ifndef PROTO_SMTP_CMD_H
#define PROTO_SMTP_CMD_H

#include "base/bytes.h"

#define SMTP_LINE_MAX		512	/* octets with CRLF, section 4.5.3.1.4 */
/* What the extensions add to MAIL and RCPT: SIZE 26, BODY 16, SMTPUTF8 10, DSN 500 and more,
 * AUTH 500 (which also allows 12288 for its own line), MT-PRIORITY 15. */
#define SMTP_LINE_ESMTP_MAX	2048
#define SMTP_LINE_AUTH_MAX	12288	/* RFC 4954 section 4 */

enum smtp_verb {
	SMTP_HELO, SMTP_EHLO, SMTP_MAIL, SMTP_RCPT, SMTP_DATA, SMTP_BDAT, SMTP_RSET, SMTP_NOOP,
	SMTP_QUIT, SMTP_VRFY, SMTP_EXPN, SMTP_HELP, SMTP_STARTTLS, SMTP_AUTH, SMTP_VERBS
};

enum smtp_parse {
	SMTP_PARSED,
	SMTP_BAD_VERB,		/* reply 500 5.5.2 */
	SMTP_BAD_ARG,		/* reply 501 5.5.4 */
};

struct smtp_cmd {
	enum smtp_verb	verb;
	struct bytes	path;	/* MAIL, RCPT: what is inside <>; empty for <> */
	struct bytes	rest;	/* MAIL, RCPT: ESMTP parameters; AUTH: initial response, "=" for an
				 * empty one; else the argument. No white space at its ends */
	struct bytes	mechanism;	/* AUTH */
	bool		initial;	/* AUTH: there is an initial response */
	uint64_t	size_octets;	/* BDAT; at most SMTP_BDAT_MAX */
	bool		last;		/* BDAT */
};

#define SMTP_BDAT_MAX	INT64_MAX	/* so that sums of sizes can be checked before adding */

/*
 * Takes the line without its CRLF. *out is set only on SMTP_PARSED; on
 * SMTP_BAD_ARG its verb is set, to tell the client what the command takes.
 * After a bad BDAT nobody knows where commands begin again: the session ends.
 * A control but HTAB is a bad argument. 8-bit octets are let through: the address
 * and parameter parsers judge them (RFC 6531); elsewhere they do no harm.
 */
enum smtp_parse	smtp_cmd_parse(struct bytes line, struct smtp_cmd *out);

/* "EHLO": for replies, logs and counters. */
const char	*smtp_verb_text(enum smtp_verb verb);

/*
 * What a client says it is. HELO and EHLO take a domain or literal (section
 * 4.1.1.1); machines in the field send names with '_' and single labels, which
 * harm nobody: the caller decides about SMTP_NAME_ODD.
 */
enum smtp_name { SMTP_NAME_DOMAIN, SMTP_NAME_LITERAL, SMTP_NAME_ODD, SMTP_NAME_BAD };
enum smtp_name	smtp_helo_name(struct bytes argument);

#endif
