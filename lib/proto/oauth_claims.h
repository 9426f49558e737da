/* SPDX-License-Identifier: ISC */
/*
 * proto/oauth_claims.h - what a bearer token says of its owner, and whether that lets him in here: the claims of a JSON Web
 * Token (RFC 7519 section 4), whose signature has been found right, or the answer to an introspection (RFC 7662 section
 * 2.2). Both are a JSON object, and have the same members. Pure.
 */
#ifndef PROTO_OAUTH_CLAIMS_H
#define PROTO_OAUTH_CLAIMS_H

#include "base/buf.h"

#define OAUTH_CLAIM_MAX	320u		/* octets of the claim that names the account */
#define OAUTH_LEEWAY_S	30		/* between the two clocks */
#define OAUTH_NEVER	INT64_MAX

struct oauth_rules {			/* borrowed */
	bool		 introspected;	/* else a JSON Web Token, which must say when it ends */
	const char	*issuer, *audience;	/* "": any */
	const char	*scope;		/* all of these words, joined by ' ' */
	const char	*user_claim;	/* which names the account: "email" */
	int64_t		 now_s;		/* wall clock */
};

enum oauth_verdict {
	OAUTH_GOOD,
	OAUTH_REFUSED,			/* the token is not good here */
	OAUTH_SCOPE,			/* it would be, but for its scope */
	OAUTH_BROKEN,			/* what has come makes no sense: whoever has written it is at fault, not the client */
};

struct oauth_claims {
	enum oauth_verdict verdict;
	const char	*why;		/* a literal; NULL where it is good */
	int64_t		 expires_s;	/* OAUTH_NEVER: it is not said */
};

/* The owner goes into *user, when it is good. */
void	oauth_claims_judge(struct bytes json, const struct oauth_rules *r, struct oauth_claims *out, struct buf *user);
/* "imap smtp": words of RFC 6749 section 3.3; empty is fine. */
bool	oauth_is_scope(struct bytes s);

#endif
