/* SPDX-License-Identifier: ISC */
/* One octet for the type, then a message; what it asks is what was asked. */
#include "base/mem.h"
#include "proto/dns_message.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The question's name, where it is a plain one. */
static struct bytes
question(struct bytes m)
{
	size_t at = 12;

	while (at < m.n && m.p[at] > 0 && m.p[at] <= DNS_LABEL_MAX)
		at += 1u + m.p[at];
	return at < m.n ? bytes_of(m.p + 12, at - 11) : bytes_of(NULL, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a, *parsed;
	struct dns_message m;
	struct dns_record r;
	enum dns_type type;
	size_t octets = 0;

	if (n < 13 || !dns_type_known(p[0], &type))
		return 0;
	a = arena_new(DNS_MESSAGE_ARENA);
	parsed = arena_new(1 << 20);
	if (dns_message_read(bytes_of(p + 1, n - 1), question(bytes_of(p + 1, n - 1)), type, a, &m) == DNS_MESSAGE_READ) {
		must(m.name.n > 0 && m.name.n <= DNS_NAME_WIRE_MAX && m.ttl_s <= INT32_MAX);
		for (size_t i = 0; i < m.n; i++) {
			octets += m.rdata[i].n;
			(void)dns_rdata_parse(type, m.rdata[i], parsed, &r);
			arena_reset(parsed);
		}
		must(octets <= DNS_MESSAGE_MAX);
	}
	arena_free(&parsed);
	arena_free(&a);
	return 0;
}
