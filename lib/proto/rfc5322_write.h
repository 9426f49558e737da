/* SPDX-License-Identifier: ISC */
/*
 * proto/rfc5322_write.h - the header fields that this suite adds.
 * RFC 5321 section 4.4 (trace fields), RFC 3848 and 6531 section 4.3 (with),
 * RFC 8314 section 4.3 (tls), RFC 5322 section 3.6.
 * Pure. Whatever a client gave, what is written is whole, legal lines, folded at
 * 78 columns where there is room to.
 */
#ifndef PROTO_RFC5322_WRITE_H
#define PROTO_RFC5322_WRITE_H

#include "base/buf.h"

struct received {
	struct bytes	helo;		/* as the client said it; empty: it said nothing */
	struct bytes	client_name;	/* its name that DNS confirmed; empty: unknown */
	struct bytes	client_ip;	/* "192.0.2.1", "2001:db8::1"; empty: none (pickup) */
	struct bytes	by;		/* our hostname */
	struct bytes	id;		/* queue id */
	struct bytes	recipient;	/* canonical address, only if there is one recipient: others
					 * are not to learn of each other (section 7.6) */
	struct bytes	tls;		/* cipher suite; empty: no TLS */
	const char	*date;		/* RFC 5322 section 3.3: clock_date */
	bool		esmtp, lmtp, smtputf8, auth;
	int		mt_priority;	/* RFC 6710 section 7; 0 is not written */
};

void	received_put(const struct received *r, struct buf *out);

/* "SMTP", "ESMTPSA", "UTF8LMTPS" ... */
const char	*received_protocol(const struct received *r);

/* "Return-Path: <a@b>", "Delivered-To: a@b". address is canonical (smtp_address_text). */
void	return_path_put(struct bytes address, struct buf *out);
void	address_field_put(const char *name, struct bytes address, struct buf *out);
/* "Message-ID: <left@host>"; what is not dot-atom in left or host becomes '-'. */
void	message_id_put(struct bytes left, struct bytes host, struct buf *out);
/* "Name: text": unstructured; controls become '?', words are folded at 78. */
void	text_field_put(const char *name, struct bytes words, struct buf *out);

#endif
