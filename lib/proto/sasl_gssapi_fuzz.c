/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/sasl_gssapi.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes message = bytes_of(p, n), out;

	if (gssapi_answer(message, &out))
		must(out.n + 4 == n && bytes_find(out, '\0') == out.n);
	if (gssapi_user(message, text("A.EXAMPLE"), &out))
		must(out.n > 0 && out.n + strlen("@A.EXAMPLE") == n && bytes_find(out, '@') == out.n);
	return 0;
}
