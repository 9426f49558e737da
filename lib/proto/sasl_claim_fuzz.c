/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/sasl_claim.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes message = bytes_of(p, n);
	struct scram_claim c;
	struct buf user, wanted;

	buf_init(&user, 320);
	buf_init(&wanted, 320);
	if (scram_claim(message, &c, &user, &wanted)) {
		must(user.n > 0 && bytes_find(buf_bytes(&user), '\0') == user.n);
		must(!wanted.full && bytes_find(buf_bytes(&wanted), '\0') == wanted.n);
		must((c.binds == SCRAM_BINDS) == (c.binding.n > 0));
		must(c.binding.n == 0 || (c.binding.p > p && c.binding.p + c.binding.n < p + n));
	}
	if (cram_md5_claim(message, &user))
		must(user.n > 0 && user.n + 33 == n);
	buf_fini(&user);
	buf_fini(&wanted);
	return 0;
}
