/* SPDX-License-Identifier: ISC */
#include "proto/dns_rdata.h"
#include "proto/testing.h"

/* As OCTETS, for a table. */
#define WIRE(literal)	{ (const unsigned char *)(literal), sizeof(literal) - 1 }

#define L63	"\077aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define T63	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61	"\075aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define T61	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* A name and what it is in wire format; NULL: it is none. */
static const struct { const char *name; struct bytes wire; } encoded[] = {
	{ "example.org", WIRE("\7example\3org") },
	{ "Example.ORG.", WIRE("\7example\3org") },
	{ ".", WIRE("") },
	{ "a", WIRE("\1a") },
	{ "_25._tcp.mx-1.example", WIRE("\3_25\4_tcp\4mx-1\7example") },
	{ "1.0/25.2.0.192.in-addr.arpa", WIRE("\1" "1\4" "0/25\1" "2\1" "0\3" "192\7in-addr\4arpa") },
	{ "*.example", WIRE("\1*\7example") },
	{ T63 "." T63 "." T63 "." T61, WIRE(L63 L63 L63 L61) },	/* 255 octets with the root's */
	{ T63 "." T63 "." T63 "." T61 "a", { NULL, 0 } },
	{ T63 "." T63 "." T63 "." T61 ".", WIRE(L63 L63 L63 L61) },
	{ T63 ".b", WIRE(L63 "\1b") },
	{ T63 "a.b", { NULL, 0 } },
	{ "", { NULL, 0 } },
	{ "..", { NULL, 0 } },
	{ ".a", { NULL, 0 } },
	{ "a..b", { NULL, 0 } },
	{ "a..", { NULL, 0 } },
	{ "a b", { NULL, 0 } },
	{ "b\xc3\xbc" "cher.example", { NULL, 0 } },
	{ "a\\046b", { NULL, 0 } },
	{ "a@b", { NULL, 0 } },
};

static void
test_encode(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	for (size_t i = 0; i < LEN(encoded); i++) {
		bool want = encoded[i].wire.p != NULL;

		buf_clear(&b);
		assert_row_int(encoded[i].name, dns_name_encode(text(encoded[i].name), &b), want);
		if (want) {
			assert_row_int(encoded[i].name, b.p[b.n - 1], 0);
			assert_row_bytes(encoded[i].name, bytes_head(buf_bytes(&b), b.n - 1), encoded[i].wire);
		}
	}
	buf_fini(&b);
}

#define TLSA_SHA256 "\3\1\1" "0123456789abcdef0123456789abcdef"
#define HUNDRED	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static const struct { const char *row; enum dns_type type; struct bytes rdata; bool want; } rows[] = {
	{ "an address", DNS_A, WIRE("\300\0\2\1"), true },
	{ "too short", DNS_A, WIRE("\300\0\2"), false },
	{ "too long", DNS_A, WIRE("\300\0\2\1\1"), false },
	{ "none", DNS_A, WIRE(""), false },
	{ "an address", DNS_AAAA, WIRE("\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"), true },
	{ "IPv4 as IPv6", DNS_AAAA, WIRE("\300\0\2\1"), false },
	{ "17 octets", DNS_AAAA, WIRE("\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\0"), false },
	{ "a host", DNS_MX, WIRE("\0\12\2mx\7example\0"), true },
	{ "null MX", DNS_MX, WIRE("\0\0\0"), true },
	{ "no name", DNS_MX, WIRE("\0\12"), false },
	{ "half a preference", DNS_MX, WIRE("\0"), false },
	{ "a label past the end", DNS_MX, WIRE("\0\12\2mx\10example\0"), false },
	{ "no end", DNS_MX, WIRE("\0\12\2mx\7example"), false },
	{ "something behind it", DNS_MX, WIRE("\0\12\2mx\7example\0x"), false },
	{ "a pointer", DNS_MX, WIRE("\0\12\2mx\300\14"), false },
	{ "a length of 64", DNS_MX, WIRE("\0\12\100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0"), false },
	{ "255 octets", DNS_MX, WIRE("\0\12" L63 L63 L63 L61 "\0"), true },
	{ "256 octets", DNS_MX, WIRE("\0\12" L63 L63 L63 "\076a" T61 "\0"), false },
	{ "a space", DNS_MX, WIRE("\0\12\3m x\7example\0"), false },
	{ "a NUL", DNS_MX, WIRE("\0\12\2m\0\7example\0"), false },
	{ "a dot in a label", DNS_MX, WIRE("\0\12\2m.\7example\0"), false },
	{ "a line end", DNS_PTR, WIRE("\6a\r\nb\"\\\7example\0"), false },	/* CVE-2026-40684 */
	{ "8 bits", DNS_PTR, WIRE("\2\303\274\7example\0"), false },
	{ "a host", DNS_PTR, WIRE("\4Host\7example\0"), true },
	{ "the root", DNS_PTR, WIRE("\0"), false },
	{ "a server", DNS_NS, WIRE("\2ns\7example\0"), true },
	{ "a name", DNS_CNAME, WIRE("\2b\57\7example\0"), true },
	{ "the root", DNS_CNAME, WIRE("\0"), true },
	{ "nothing", DNS_CNAME, WIRE(""), false },
	{ "a service", DNS_SRV, WIRE("\0\1\0\2\0\31\2mx\7example\0"), true },
	{ "no such service", DNS_SRV, WIRE("\0\0\0\0\0\0\0"), true },
	{ "no port", DNS_SRV, WIRE("\0\1\0\2\0"), false },
	{ "one string", DNS_TXT, WIRE("\3a b"), true },
	{ "two", DNS_TXT, WIRE("\2ab\1c"), true },
	{ "an empty one", DNS_TXT, WIRE("\0"), true },
	{ "no string", DNS_TXT, WIRE(""), false },				/* CVE-2002-0906 and its like: */
	{ "a length past the end", DNS_TXT, WIRE("\4abc"), false },
	{ "a second one past the end", DNS_TXT, WIRE("\1a\377b"), false },
	{ "a length and nothing", DNS_TXT, WIRE("\1a\1"), false },
	{ "a digest", DNS_TLSA, WIRE(TLSA_SHA256), true },
	{ "no data", DNS_TLSA, WIRE("\3\1\1"), false },
	{ "two octets", DNS_TLSA, WIRE("\3\1"), false },
	{ "a zone", DNS_SOA, WIRE("\2ns\0\1h\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5"), true },
	{ "cut short", DNS_SOA, WIRE("\2ns\0\1h\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0"), false },
	{ "a type we do not know", (enum dns_type)99, WIRE("\3a b"), false },
};

static void
test_rdata(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct dns_record r;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_row_int(rows[i].row, dns_rdata_parse(rows[i].type, rows[i].rdata, a, &r), rows[i].want);
		assert_row_int(rows[i].row, r.type, rows[i].type);
		arena_reset(a);
	}
	arena_free(&a);
}

static struct dns_record
parsed(enum dns_type type, struct bytes rdata, struct arena *a)
{
	struct dns_record r;

	assert_true(dns_rdata_parse(type, rdata, a, &r));
	return r;
}

static void
test_values(void **state)
{
	static const unsigned char v4[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1 };
	static const unsigned char v6[16] = { 0x20, 1, 0x0d, 0xb8, [15] = 1 };
	struct arena *a = arena_new(1 << 20);
	struct dns_record r;

	(void)state;
	r = parsed(DNS_A, OCTETS("\300\0\2\1"), a);
	assert_memory_equal(r.address, v4, 16);
	r = parsed(DNS_AAAA, OCTETS("\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"), a);
	assert_memory_equal(r.address, v6, 16);
	r = parsed(DNS_MX, OCTETS("\1\2\2MX\7Example\0"), a);
	assert_int_equal(r.mx.preference, 258);
	assert_bytes_equal(r.mx.name, text("mx.example"));
	r = parsed(DNS_MX, OCTETS("\0\0\0"), a);
	assert_int_equal(r.mx.name.n, 0);
	r = parsed(DNS_MX, OCTETS("\0\12" L63 L63 L63 L61 "\0"), a);
	assert_int_equal(r.mx.name.n, 253);
	r = parsed(DNS_CNAME, OCTETS("\5a.b/\377\7example\0"), a);
	assert_bytes_equal(r.name, text("a\\046b\\047\\255.example"));
	r = parsed(DNS_SRV, OCTETS("\0\1\0\2\0\31\2mx\7example\0"), a);
	assert_int_equal(r.srv.priority * 10000 + r.srv.weight * 100 + r.srv.port, 10225);
	assert_bytes_equal(r.srv.name, text("mx.example"));
	r = parsed(DNS_TXT, OCTETS("\7v=spf1 \0\4-all"), a);			/* RFC 7208 section 3.3 */
	assert_bytes_equal(r.text, text("v=spf1 -all"));
	r = parsed(DNS_TXT, OCTETS("\144" HUNDRED "\3\0\n\377"), a);
	assert_int_equal(r.text.n, 103);
	assert_bytes_equal(bytes_skip(r.text, 100), OCTETS("\0\n\377"));
	r = parsed(DNS_TLSA, OCTETS(TLSA_SHA256), a);
	assert_int_equal(r.tlsa.usage * 100 + r.tlsa.selector * 10 + r.tlsa.matching, 311);
	assert_bytes_equal(r.tlsa.data, text("0123456789abcdef0123456789abcdef"));
	r = parsed(DNS_SOA, OCTETS("\2ns\0\1h\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\1\5"), a);
	assert_bytes_equal(r.soa.mname, text("ns"));
	assert_bytes_equal(r.soa.rname, text("h"));
	assert_int_equal(r.soa.minimum_s, 261);
	arena_free(&a);
}

static void
test_words(void **state)
{
	enum dns_type type;

	(void)state;
	assert_true(dns_type_parse(text("tLsa"), &type));
	assert_int_equal(type, DNS_TLSA);
	assert_false(dns_type_parse(text("ANY"), &type));
	assert_false(dns_type_parse(text(""), &type));
	assert_true(dns_type_known(28, &type));
	assert_string_equal(dns_type_name(type), "AAAA");
	assert_false(dns_type_known(255, &type));
	assert_false(dns_type_known(0, &type));
	assert_string_equal(dns_result_name(DNS_NO_NAME), "no such name");
	assert_string_equal(dns_result_name((enum dns_result)9), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_rdata),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
