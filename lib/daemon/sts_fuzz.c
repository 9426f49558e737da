/* SPDX-License-Identifier: ISC */
/* The body of an sts_answer. */
#include "base/mem.h"
#include "daemon/sts.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct ipc_sts_answer m;
	struct sts_answer out;
	struct ipc_in in;
	struct arena *a;

	if (n > IPC_FRAME_MAX - 8)
		return 0;
	ipc_in_bytes(&in, bytes_of(p, n));
	if (!ipc_get_sts_answer(&in, &m))
		return 0;
	a = arena_new(MTA_STS_ARENA);
	sts_answer_decode(&m, a, &out);
	must(out.result <= STS_POLICY);
	must(out.sts.policy.nmx == 0 || out.result == STS_POLICY);
	for (size_t i = 0; i < out.sts.policy.nmx; i++)
		must(mta_sts_is_pattern(out.sts.policy.mx[i]));
	arena_free(&a);
	return 0;
}
