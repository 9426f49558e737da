/* SPDX-License-Identifier: ISC */
/*
 * proto/jwt.h - a JSON Web Token (RFC 7519) with a signature, as it travels: RFC 7515 section 3.1, taken apart. Pure; whether
 * the signature is right, and what is claimed, is for others (mail/jwt_keys.h, proto/oauth_claims.h).
 *
 * Only algorithms with a public key: "none" signs nothing, and with HMAC whoever can check could forge.
 */
#ifndef PROTO_JWT_H
#define PROTO_JWT_H

#include "base/arena.h"

#define JWT_MAX		6144u		/* octets; as a token of proto/sasl_oauth.h */
#define JWT_ARENA	(4 * JWT_MAX)	/* of one */

enum jwt_algorithm { JWT_RS256, JWT_PS256, JWT_ES256, JWT_EDDSA };	/* RFC 7518 section 3.1, RFC 8037 section 3.1 */

struct jwt {
	enum jwt_algorithm algorithm;
	struct bytes	signs;		/* what the signature is of; borrowed from the token */
	struct bytes	claims;		/* JSON, if it is right; in the arena, as the next */
	struct bytes	signature;
};

/* NULL: *out is set. Else why not, in words. */
const char	*jwt_parse(struct bytes token, struct arena *a, struct jwt *out);
/* RFC 7515 section 2, into the arena. False: it is none, or has bits that say nothing. */
bool		 base64url_decode(struct bytes s, struct arena *a, struct bytes *out);

#endif
