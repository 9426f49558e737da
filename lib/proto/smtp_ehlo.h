/* SPDX-License-Identifier: ISC */
/*
 * proto/smtp_ehlo.h - what a server announces in its answer to EHLO or LHLO.
 * RFC 5321 section 4.1.1.1 (ehlo-line), RFC 1870 SIZE, RFC 4954 section 3 AUTH, RFC 9422 LIMITS.
 * Pure; no allocation. A line that is not understood announces nothing: real servers put advertising there.
 */
#ifndef PROTO_SMTP_EHLO_H
#define PROTO_SMTP_EHLO_H

#include "base/bytes.h"

enum {
	SMTP_EXT_PIPELINING = 1, SMTP_EXT_SIZE = 2, SMTP_EXT_8BITMIME = 4, SMTP_EXT_CHUNKING = 8, SMTP_EXT_BINARYMIME = 16,
	SMTP_EXT_STARTTLS = 32, SMTP_EXT_STATUSCODES = 64, SMTP_EXT_DSN = 128, SMTP_EXT_AUTH = 256, SMTP_EXT_SMTPUTF8 = 512,
	SMTP_EXT_MT_PRIORITY = 1024, SMTP_EXT_REQUIRETLS = 2048, SMTP_EXT_LIMITS = 4096,
};

#define SMTP_EHLO_MECHANISMS	512	/* octets of all names of SASL mechanisms; others are not kept */
#define SMTP_MECHANISM_MAX	20	/* octets of one, RFC 4422 section 3.1 */

struct smtp_ehlo {
	unsigned	extensions;		/* SMTP_EXT_ bits */
	uint64_t	size_octets;		/* 0: no limit is known */
	/* RFC 9422; 0: no limit is known */
	uint32_t	mail_max;		/* transactions in one connection */
	uint32_t	rcpt_max;		/* recipients in one transaction */
	uint32_t	rcpt_domain_max;	/* different domains among them */
	size_t		mechanisms_n;
	unsigned char	mechanisms[SMTP_EHLO_MECHANISMS];	/* "PLAIN SCRAM-SHA-256", upper case */
};

/* All that was announced before is forgotten: also for a second EHLO (RFC 3207 section 4.2). */
void		smtp_ehlo_init(struct smtp_ehlo *e);
/* A line of the answer from behind "250-"; not the first, which is the server's name. */
void		smtp_ehlo_line(struct smtp_ehlo *e, struct bytes line);
struct bytes	smtp_ehlo_mechanisms(const struct smtp_ehlo *e);

#endif
