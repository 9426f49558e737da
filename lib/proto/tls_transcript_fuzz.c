/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/tls_transcript.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is taken has one of the few lengths and one of the two beginnings that a server's transcript can have. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (tls_transcript_is_server(bytes_of(p, n))) {
		must(n >= 64 + 4 + 32 && n <= 64 + 4 + 133);
		must(p[64] == 3 || (p[0] == ' ' && p[64] == 'T'));
	}
	return 0;
}
