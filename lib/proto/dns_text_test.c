/* SPDX-License-Identifier: ISC */
#include "proto/dns_text.h"
#include "proto/testing.h"

#define FIFTY	"01234567890123456789012345678901234567890123456789"
#define T255	FIFTY FIFTY FIFTY FIFTY FIFTY "abcde"
#define MAPPED	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
#define SIX	0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x25
#define BYTES(s) { (const unsigned char *)(s), sizeof(s) - 1 }

static const struct { struct dns_record r; const char *plain, *dotted; } records[] = {
	{ { .type = DNS_A, .address = { MAPPED, 192, 0, 2, 1 } }, "192.0.2.1", "192.0.2.1" },
	{ { .type = DNS_AAAA, .address = { SIX } }, "2001:db8::25", "2001:db8::25" },
	{ { .type = DNS_PTR, .name = BYTES("mx.example") }, "mx.example", "mx.example." },
	{ { .type = DNS_CNAME, .name = BYTES("mx.example") }, "mx.example", "mx.example." },
	{ { .type = DNS_MX, .mx = { 10, BYTES("mx.example") } }, "10 mx.example", "10 mx.example." },
	{ { .type = DNS_MX, .mx = { 0, { NULL, 0 } } }, "0 .", "0 ." },
	{ { .type = DNS_SRV, .srv = { 0, 1, 993, BYTES("mx.example") } }, "0 1 993 mx.example", "0 1 993 mx.example." },
	{ { .type = DNS_TLSA, .tlsa = { 3, 1, 1, BYTES("\x00\xff\x1a") } }, "3 1 1 00ff1a", "3 1 1 00ff1a" },
	{ { .type = DNS_SOA, .soa = { BYTES("a"), BYTES("b"), 1, 2, 3, 4, 5 } }, "a b 1 2 3 4 5", "a. b. 1 2 3 4 5" },
	{ { .type = DNS_TXT, .text = BYTES("v=spf1 mx -all") }, "\"v=spf1 mx -all\"", "\"v=spf1 mx -all\"" },
	{ { .type = DNS_TXT, .text = BYTES("") }, "\"\"", "\"\"" },
	{ { .type = DNS_TXT, .text = BYTES("a\"b\\c\nd\xe9") }, "\"a\\\"b\\\\c\\010d\\233\"", "\"a\\\"b\\\\c\\010d\\233\"" },
	{ { .type = DNS_TXT, .text = BYTES(T255) }, "\"" T255 "\"", "\"" T255 "\"" },
	{ { .type = DNS_TXT, .text = BYTES(T255 "f") }, "\"" T255 "\" \"f\"", "\"" T255 "\" \"f\"" },
};

static void
test_records(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < LEN(records); i++) {
		buf_clear(&b);
		dns_record_put(&b, &records[i].r, false);
		assert_row_bytes(records[i].plain, buf_bytes(&b), text(records[i].plain));
		buf_clear(&b);
		dns_record_put(&b, &records[i].r, true);
		assert_row_bytes(records[i].dotted, buf_bytes(&b), text(records[i].dotted));
	}
	buf_fini(&b);
}

static void
test_reverse(void **state)
{
	static const unsigned char four[16] = { MAPPED, 192, 0, 2, 1 }, six[16] = { SIX };
	char name[DNS_REVERSE_MAX];

	(void)state;
	assert_string_equal(dns_reverse(four, name), "1.2.0.192.in-addr.arpa");
	assert_string_equal(dns_reverse(six, name), "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_reverse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
