/* SPDX-License-Identifier: ISC */
/*
 * proto/sasl_oauth.h - SASL with an OAuth 2.0 bearer token: OAUTHBEARER (RFC 7628), and XOAUTH2, which is older, is
 * described by those who invented it (Google, Microsoft) and is what their servers know. Both sides: the client's one
 * message, and the error that a server says before it refuses. Pure; the token is a secret, and so is what holds it.
 */
#ifndef PROTO_SASL_OAUTH_H
#define PROTO_SASL_OAUTH_H

#include "base/buf.h"

#define SASL_OAUTH_USER_MAX	320u
#define SASL_OAUTH_TOKEN_MAX	6144u	/* octets; real ones have some 2000 */
#define SASL_OAUTH_MAX		8192u	/* of a message */

/* RFC 6750 section 2.1 has fewer characters; some are in use that it does not have. Nothing here can end the message. */
bool		sasl_oauth_token_fits(struct bytes token);
/* Section 3.1. host empty, port 0: left out. False: the user, the host or the token cannot be said; *out holds nothing of it. */
bool		sasl_oauthbearer(struct bytes user, struct bytes host, uint16_t port, struct bytes token, struct buf *out);
bool		sasl_xoauth2(struct bytes user, struct bytes token, struct buf *out);
/* The status in a server's error, section 3.2.2: "invalid_token", printable; borrowed from it. Empty: there is none. */
struct bytes	sasl_oauth_status(struct bytes error);

/* ---- the server's side ---- */

struct sasl_oauth_said {		/* borrowed from the message */
	struct bytes	token;		/* empty: the client wants to be told where to get one (RFC 7628 section 4.3) */
	struct bytes	host;		/* that the client connects to; empty: not said, as in XOAUTH2 */
	uint16_t	port;		/* 0: likewise */
};

/* The user goes into *user, decoded; empty: not said. What other keys there are is of no concern (section 3.1). False: no
 * such message, or a user too long for *user, or none in XOAUTH2, which has to have one. */
bool		sasl_oauthbearer_parse(struct bytes message, struct sasl_oauth_said *out, struct buf *user);
bool		sasl_xoauth2_parse(struct bytes message, struct sasl_oauth_said *out, struct buf *user);
/* Section 3.2.2: the status, and scope and openid-configuration where they are not empty. What a client says to it, \x01 or
 * nothing, is of no meaning: it has failed. */
void		sasl_oauth_error(struct bytes status, struct bytes scope, struct bytes configuration, struct buf *out);

#endif
