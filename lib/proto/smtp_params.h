/* SPDX-License-Identifier: ISC */
/*
 * proto/smtp_params.h - the ESMTP parameters of MAIL and RCPT.
 * RFC 5321 section 4.1.2 (esmtp-param), RFC 1870 SIZE, RFC 6152 and 3030 BODY,
 * RFC 6531 SMTPUTF8, RFC 3461 DSN, RFC 6533 ORCPT=utf-8, RFC 4954 section 5
 * AUTH, RFC 6710 MT-PRIORITY, RFC 8689 REQUIRETLS.
 * Pure. Values as written point into the line; decoded ones are in the arena.
 */
#ifndef PROTO_SMTP_PARAMS_H
#define PROTO_SMTP_PARAMS_H

#include "base/arena.h"

enum smtp_params_result {
	SMTP_PARAMS_OK,
	SMTP_PARAMS_SYNTAX,	/* no keyword=value: 501 5.5.4 */
	SMTP_PARAMS_VALUE,	/* known, but not this value: 501 5.5.4 */
	SMTP_PARAMS_TWICE,	/* given again: 501 5.5.4 */
	SMTP_PARAMS_UNKNOWN,	/* unknown, or not offered here: 555 5.5.4 */
};

/* Which were given, and which the caller offers. */
enum {
	SMTP_PARAM_SIZE = 1, SMTP_PARAM_BODY = 2, SMTP_PARAM_SMTPUTF8 = 4, SMTP_PARAM_RET = 8,
	SMTP_PARAM_ENVID = 16, SMTP_PARAM_AUTH = 32, SMTP_PARAM_MT_PRIORITY = 64,
	SMTP_PARAM_REQUIRETLS = 128,
	SMTP_PARAM_NOTIFY = 256, SMTP_PARAM_ORCPT = 512,
	SMTP_PARAM_BINARYMIME = 1024,	/* offered only: BODY may be BINARYMIME */
	SMTP_PARAM_DSN = SMTP_PARAM_RET | SMTP_PARAM_ENVID | SMTP_PARAM_NOTIFY | SMTP_PARAM_ORCPT,
};

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };
enum smtp_ret { SMTP_RET_NONE, SMTP_RET_FULL, SMTP_RET_HDRS };
enum { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };

#define SMTP_ENVID_MAX	100	/* octets, encoded; RFC 3461 section 4.4 */
#define SMTP_ORCPT_MAX	500	/* octets, encoded; RFC 3461 section 4.2 */
#define SMTP_AUTH_MAX	500	/* octets, encoded; RFC 4954 section 3 */

struct smtp_mail_params {
	unsigned	given;
	uint64_t	size_octets;	/* more than 64 bits hold: UINT64_MAX */
	enum smtp_body	body;
	bool		smtputf8, requiretls;
	enum smtp_ret	ret;
	struct bytes	envid;		/* decoded, printable ASCII */
	struct bytes	envid_xtext;	/* as written */
	struct bytes	auth;		/* the mailbox, decoded, checked; empty for <> */
	int		mt_priority;	/* -9 to 9 */
};

struct smtp_rcpt_params {
	unsigned	given;
	unsigned	notify;		/* SMTP_NOTIFY_*; 0 when not given */
	struct bytes	orcpt_type;	/* "rfc822", as written */
	struct bytes	orcpt;		/* decoded; no control octets; UTF-8 only for type utf-8 */
	struct bytes	orcpt_raw;	/* type;xtext, as written: what goes on to the next host */
};

/*
 * params: smtp_cmd.rest. offered: SMTP_PARAM_*; what is not offered is unknown.
 * *out is always set as far as it was understood; *bad (may be NULL) is the
 * parameter that was not, for the reply. MAIL is not told of SMTPUTF8 before its
 * parameters are read: parse them before the path.
 */
enum smtp_params_result smtp_mail_params(struct bytes params, unsigned offered, struct arena *a,
    struct smtp_mail_params *out, struct bytes *bad);
/* smtputf8: MAIL of this transaction asked for it; ORCPT may then hold raw UTF-8. */
enum smtp_params_result smtp_rcpt_params(struct bytes params, unsigned offered, bool smtputf8,
    struct arena *a, struct smtp_rcpt_params *out, struct bytes *bad);

#endif
