/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/oauth_claims.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes json = bytes_of(p, n);
	struct buf user;

	buf_init(&user, OAUTH_CLAIM_MAX);
	for (unsigned i = 0; i < 4; i++) {
		struct oauth_rules r = { .introspected = i & 1, .issuer = i & 2 ? "i" : "", .audience = i & 2 ? "a" : "",
		    .scope = i & 2 ? "s t" : "", .user_claim = i & 2 ? "sub" : "email", .now_s = 1764165600 };
		struct oauth_claims c;

		oauth_claims_judge(json, &r, &c, &user);
		must((c.verdict == OAUTH_GOOD) == (c.why == NULL) && (c.verdict == OAUTH_GOOD) == (user.n > 0));
		must(!bytes_has_control(buf_bytes(&user)) && (c.why || c.expires_s > r.now_s - OAUTH_LEEWAY_S));
		must(c.verdict != OAUTH_GOOD || r.introspected || c.expires_s != OAUTH_NEVER);
	}
	buf_fini(&user);
	return 0;
}
