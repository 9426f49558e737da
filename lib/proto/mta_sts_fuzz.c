/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/mta_sts.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(MTA_STS_ARENA);
	struct bytes in = bytes_of(p, n), id;
	struct mta_sts_policy policy;

	if (mta_sts_txt(in, &id))
		must(id.n > 0 && id.n <= MTA_STS_ID_MAX && id.p >= in.p && id.p + id.n <= in.p + in.n);
	if (!mta_sts_policy_parse(in, a, &policy)) {
		must(policy.mode <= MTA_STS_ENFORCE && policy.max_age_s <= MTA_STS_AGE_MAX_S);
		must(policy.nmx > 0 || policy.mode == MTA_STS_NONE);
		for (size_t i = 0; i < policy.nmx; i++) {
			must(mta_sts_is_pattern(policy.mx[i]));
			must(mta_sts_allows(&policy, policy.mx[i]));
		}
	}
	arena_free(&a);
	return 0;
}
