/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/mailbox_impl.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* No name can break a response, or the file when it is written again. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct keywords k = { 0 };

	keywords_parse(&k, bytes_of(p, n));
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++)
		for (size_t j = 0; j < k.name[i].n; j++)
			must(k.name[i].p[j] > ' ' && k.name[i].p[j] < 0x7f && !strchr("(){%*\"\\]", k.name[i].p[j]));
	return 0;
}
