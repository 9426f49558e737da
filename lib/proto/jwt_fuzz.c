/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/jwt.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(JWT_ARENA);
	struct jwt j;

	if (!jwt_parse(bytes_of(p, n), a, &j)) {
		must(n <= JWT_MAX && j.algorithm <= JWT_EDDSA && j.claims.n > 0 && j.signature.n > 0);
		must(j.signs.p == p && j.signs.n < n && p[j.signs.n] == '.');
	}
	arena_free(&a);
	return 0;
}
