/* SPDX-License-Identifier: ISC */
/* One octet for the type, then the body of a dns_answer. */
#include "base/mem.h"
#include "daemon/dns.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct ipc_dns_answer m;
	struct dns_answer out;
	enum dns_type type;
	struct ipc_in in;
	struct arena *a;

	if (n < 1 || n > IPC_FRAME_MAX - 8 || !dns_type_known(p[0], &type))
		return 0;
	ipc_in_bytes(&in, bytes_of(p + 1, n - 1));
	if (!ipc_get_dns_answer(&in, &m))
		return 0;
	a = arena_new(DNS_ANSWER_ARENA);
	dns_answer_decode(&m, type, a, &out);
	must((out.result == DNS_FOUND) == (out.n > 0));
	must(!out.secure || (out.result != DNS_FAILED && out.result != DNS_BOGUS));
	for (size_t i = 0; i < out.n; i++)
		must(out.records[i].type == type);
	arena_free(&a);
	return 0;
}
