/* SPDX-License-Identifier: ISC */
/*
 * mail/credentials.h - how to log in at a next hop, as the administrator writes it in the table `smtp_credentials`:
 *
 *	[mx.example.org]:587	anna@example.org correct horse		a password: all behind the first space
 *	example.org		anna@example.org oauth:token		a token, in that file of smtp_token_directory
 *	192.0.2.1		mechanisms=SCRAM-SHA-256,PLAIN anna secret
 *
 * Pure. What holds a password is the caller's to wipe.
 */
#ifndef MAIL_CREDENTIALS_H
#define MAIL_CREDENTIALS_H

#include "mail/nexthop.h"

#define CREDENTIALS_USER_MAX		320u	/* octets */
#define CREDENTIALS_SECRET_MAX		1024u	/* of a password */
#define CREDENTIALS_MECHANISMS_MAX	256u

struct credentials {			/* borrowed from the value */
	struct bytes	mechanisms;	/* that may be used, joined by ','; empty: all that fit */
	struct bytes	user;
	struct bytes	secret;		/* the password; oauth: the name of the token's file */
	bool		oauth;
};

/* False: what would be right in why, which has nothing of the value in it. */
bool		credentials_parse(struct bytes value, struct credentials *out, char *why, size_t cap);

/* What to look a next hop up by, in this order: as the queue shows it; without where connections come from; its name or
 * address alone. Returns how many. */
#define CREDENTIALS_KEYS 3
size_t		credentials_keys(struct bytes nexthop, struct arena *a, struct bytes keys[CREDENTIALS_KEYS]);

/*
 * The first in the order of their strength that may be used, fits what there is, and is in announced ("PLAIN LOGIN", as
 * SMTP announces them). binds: there is a TLS channel that the -PLUS ones can be bound to (RFC 5802 section 6). shows: the
 * server may see the secret; else only those are chosen that prove to know it and let the server prove the same. NULL: none.
 * No weaker one is ever tried after it.
 */
const char	*credentials_mechanism(struct bytes mechanisms, bool oauth, bool binds, bool shows, struct bytes announced);
bool		 credentials_announced(struct bytes announced, const char *mechanism);

#endif
