/* SPDX-License-Identifier: ISC */
/* What a file behind its checksum may hold; the checksum is made right, or nothing would ever be read. */
#include "base/mem.h"
#include "fetch/fetch.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(const struct kept *k)
{
	struct kept again;
	struct buf file;

	must(k->domain.n > 0 && k->domain.n <= 253 && k->id.n <= MTA_STS_ID_MAX && k->body.n <= MTA_STS_POLICY_MAX);
	must(k->fetched_s >= 0 && k->used_s >= 0);
	buf_init(&file, KEPT_MAX);
	kept_write(k, &file);
	must(!file.full && kept_read(buf_bytes(&file), &again));
	must(bytes_eq(again.domain, k->domain) && bytes_eq(again.id, k->id) && bytes_eq(again.body, k->body));
	buf_fini(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes all = bytes_of(p, n);
	struct kept k;

	if (kept_read(all, &k))
		check(&k);
	k = (struct kept){ .domain = bytes_cut(&all, '\n'), .id = bytes_cut(&all, '\n'), .body = all };
	if (k.domain.n > 0 && k.domain.n <= 253 && k.id.n <= MTA_STS_ID_MAX && k.body.n <= MTA_STS_POLICY_MAX)
		check(&k);
	return 0;
}
