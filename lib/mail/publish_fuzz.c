/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/publish.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Texts that somebody published, one a line. What is no policy of that kind is missing, whatever else is there. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct publish_source source = { .domain = text("a.example"), .host = text("a.example"), .addresses = 1 };
	struct arena *a = arena_new(PUBLISH_ARENA);
	struct publish_set sets[PUBLISH_SETS_MAX];
	struct dns_record records[8];
	struct publish_found is = { .result = DNS_FOUND, .records = records };
	struct bytes rest = bytes_of(p, n);
	size_t count;

	memset(source.address[0].octet, 1, sizeof source.address[0].octet);
	while (is.n < LEN(records) && rest.n > 0)
		records[is.n++] = (struct dns_record){ .type = DNS_TXT, .text = bytes_cut(&rest, '\n') };
	count = publish_domain(&source, a, sets);
	for (size_t i = 0; i < count; i++) {
		struct publish_verdict v;

		if (sets[i].type != DNS_TXT)
			continue;
		publish_judge(&sets[i], &is, a, &v);
		must(v.n <= is.n && (v.n == 0) == (v.state == PUBLISH_MISSING));
		must(v.state == PUBLISH_MISSING || v.state == PUBLISH_RIGHT || v.why.n > 0);
		must(v.n < 2 || v.state == PUBLISH_DIFFERENT);
	}
	arena_free(&a);
	return 0;
}
