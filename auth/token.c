/* SPDX-License-Identifier: ISC */
/*
 * auth/token.c - bearer tokens (RFC 6750): good or not, and whose. Either the authorization server is asked (RFC 7662), by
 * way of fetch, and what it says of a good one is remembered for a while; or the token says all itself, and is signed by a
 * key that is known here (RFC 7519). The claims are judged in proto/oauth_claims.h, the same for both.
 *
 * What is remembered is found by the SHA-256 of the token, in a table of a fixed size: two that meet in one place push each
 * other out. Tokens that are refused are not remembered: whoever tries many waits for each.
 */
#include "auth/auth.h"

#include <openssl/evp.h>

#include "base/mem.h"
#include "mail/jwt_keys.h"
#include "proto/oauth_claims.h"
#include "proto/sasl_oauth.h"

#define PLACES	2048u		/* tokens that are remembered; a power of two */
#define HASH	32

struct place {
	unsigned char	 hash[HASH];
	char		 user[ACCOUNT_NAME_MAX];
	size_t		 user_n;		/* 0: free */
	int64_t		 expires_s;		/* wall clock; the token's own end */
	uint64_t	 until_ms;		/* monotonic */
};

struct tokens {
	const struct token_settings *settings;	/* borrowed */
	struct jwt_keys	*keys;			/* owned */
	struct place	*place;			/* owned; PLACES of them, or NULL */
	struct buf	 user;
};

_Static_assert(OAUTH_CLAIM_MAX <= ACCOUNT_NAME_MAX, "there is room for the name");

/* ---- what is remembered ---- */

static bool
hash_of(struct bytes token, unsigned char dst[HASH])
{
	return EVP_Digest(token.p, token.n, dst, NULL, EVP_sha256(), NULL) == 1;
}

static struct place *
place_of(struct tokens *t, const unsigned char hash[HASH])
{
	return &t->place[(hash[0] | (unsigned)hash[1] << 8) & (PLACES - 1)];
}

static bool
recall(struct tokens *t, struct bytes token, int64_t now_s, uint64_t now_ms, struct token_result *out)
{
	unsigned char hash[HASH];
	const struct place *p;

	if (!t->place || !hash_of(token, hash))
		return false;
	p = place_of(t, hash);
	if (p->user_n == 0 || memcmp(p->hash, hash, HASH) != 0 || now_ms >= p->until_ms || now_s >= p->expires_s)
		return false;
	memcpy(out->user, p->user, p->user_n);
	out->user_n = p->user_n;
	out->verdict = TOKEN_GOOD;
	return true;
}

static void
remember(struct tokens *t, struct bytes token, const struct token_result *r, int64_t expires_s, uint64_t now_ms)
{
	unsigned char hash[HASH];
	struct place *p;

	if (!t->place || !hash_of(token, hash))
		return;
	p = place_of(t, hash);
	memcpy(p->hash, hash, HASH);
	memcpy(p->user, r->user, r->user_n);
	p->user_n = r->user_n;
	p->expires_s = expires_s;
	p->until_ms = now_ms + t->settings->cache_ms;
}

/* ---- what is claimed ---- */

/* The end of the token's time. */
static int64_t
judge(struct tokens *t, struct bytes json, bool introspected, int64_t now_s, struct token_result *out)
{
	const struct token_settings *s = t->settings;
	struct oauth_rules r = { .introspected = introspected, .issuer = s->issuer, .audience = s->audience, .scope = s->scope,
	    .user_claim = token_user_claims[s->user_claim], .now_s = now_s };
	struct oauth_claims c;

	oauth_claims_judge(json, &r, &c, &t->user);
	*out = (struct token_result){ .verdict = TOKEN_REFUSED, .status = "invalid_token", .why = c.why };
	if (c.verdict == OAUTH_BROKEN)
		out->verdict = TOKEN_BROKEN;
	else if (c.verdict == OAUTH_SCOPE)
		out->status = "insufficient_scope";
	else if (c.verdict == OAUTH_GOOD) {
		out->verdict = TOKEN_GOOD;
		out->user_n = t->user.n;
		memcpy(out->user, t->user.p, t->user.n);
	}
	return c.expires_s;
}

static void
look_here(struct tokens *t, struct bytes token, int64_t now_s, struct token_result *out)
{
	struct arena *a = arena_new(JWT_ARENA);
	struct jwt j;
	const char *why = jwt_parse(token, a, &j);

	*out = (struct token_result){ .verdict = TOKEN_REFUSED, .status = "invalid_token", .why = why };
	if (!why && !jwt_keys_signed(t->keys, &j))
		out->why = "it is not signed by a key of oauth_jwt_keys";
	else if (!why)
		judge(t, j.claims, false, now_s, out);
	arena_wipe(a);
	arena_free(&a);
}

void
tokens_look(struct tokens *t, struct bytes token, int64_t now_s, uint64_t now_ms, struct token_result *out)
{
	*out = (struct token_result){ .verdict = TOKEN_ASK };
	if (token.n == 0)		/* RFC 7628 section 4.3: it asks where to get one */
		*out = (struct token_result){ .verdict = TOKEN_REFUSED, .status = "invalid_token", .why = "there is none" };
	else if (t->settings->introspection_url[0] == '\0')
		look_here(t, token, now_s, out);
	else
		recall(t, token, now_s, now_ms, out);
}

void
tokens_said(struct tokens *t, struct bytes token, struct bytes json, int64_t now_s, uint64_t now_ms, struct token_result *out)
{
	int64_t expires_s = judge(t, json, true, now_s, out);

	if (out->verdict == TOKEN_GOOD && expires_s > now_s)
		remember(t, token, out, expires_s, now_ms);
}

/* ---- life ---- */

struct tokens *
tokens_new(const struct token_settings *s, char *why, size_t cap)
{
	struct tokens *t = mem_alloc(sizeof *t);

	*t = (struct tokens){ .settings = s };
	buf_init(&t->user, OAUTH_CLAIM_MAX);
	if (s->introspection_url[0] != '\0' && s->cache_ms > 0)
		t->place = mem_alloc(PLACES * sizeof *t->place);
	if (!(t->keys = jwt_keys_read(&s->jwt_keys, why, cap)))
		tokens_free(&t);
	return t;
}

void
tokens_free(struct tokens **taken)
{
	struct tokens *t = *taken;

	*taken = NULL;
	if (!t)
		return;
	jwt_keys_free(&t->keys);
	mem_free(t->place);
	buf_fini(&t->user);
	mem_free(t);
}
