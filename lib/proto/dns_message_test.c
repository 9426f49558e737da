/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/dns_message.h"
#include "proto/testing.h"

/* As OCTETS, for a table. */
#define WIRE(literal)	{ (const unsigned char *)(literal), sizeof(literal) - 1 }

/* id, flags, one question, an answers, ns authority records, none additional. The names of a message begin at 12. */
#define HEAD(flags, an, ns)	"\0\0" flags "\0\1" "\0" an "\0" ns "\0\0"
#define OK			"\201\200"
#define NXDOMAIN		"\201\203"
#define ASK(type)		"\7example\0" "\0" type "\0\1"	/* at 12; the next record at 25 */
#define RR(type, ttl, n)	"\0" type "\0\1" "\0\0\0" ttl "\0" n
#define EXAMPLE			"\300\14"

static const struct bytes example = { (const unsigned char *)"\7example", 9 };

static const struct {
	const char *row;
	enum dns_type type;
	struct bytes message;
	enum dns_message_read want;
	unsigned rcode, records, ttl_s;
	struct bytes first, name;	/* the first rdata; p NULL: not looked at */
} rows[] = {
	{ "an address", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") EXAMPLE RR("\1", "\74", "\4") "\300\0\2\1"),
	  DNS_MESSAGE_READ, 0, 1, 60, WIRE("\300\0\2\1"), WIRE("\7example\0") },
	{ "two, the shorter time", DNS_A, WIRE(HEAD(OK, "\2", "\0") ASK("\1") EXAMPLE RR("\1", "\74", "\4") "\300\0\2\1"
	    EXAMPLE RR("\1", "\36", "\4") "\300\0\2\2"), DNS_MESSAGE_READ, 0, 2, 30, { NULL, 0 }, { NULL, 0 } },
	{ "letters of either case", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") "\7EXAMPLE\0" RR("\1", "\74", "\4")
	    "\300\0\2\1"), DNS_MESSAGE_READ, 0, 1, 60, { NULL, 0 }, { NULL, 0 } },
	{ "another name's", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") "\7exemple\0" RR("\1", "\74", "\4")
	    "\300\0\2\1"), DNS_MESSAGE_READ, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "a compressed name in rdata", DNS_MX, WIRE(HEAD(OK, "\1", "\0") ASK("\17") EXAMPLE RR("\17", "\74", "\7")
	    "\0\12\2mx" EXAMPLE), DNS_MESSAGE_READ, 0, 1, 60, WIRE("\0\12\2mx\7example\0"), { NULL, 0 } },
	{ "null MX", DNS_MX, WIRE(HEAD(OK, "\1", "\0") ASK("\17") EXAMPLE RR("\17", "\74", "\3") "\0\0\0"),
	  DNS_MESSAGE_READ, 0, 1, 60, WIRE("\0\0\0"), { NULL, 0 } },
	{ "an alias", DNS_A, WIRE(HEAD(OK, "\2", "\0") ASK("\1") EXAMPLE RR("\5", "\24", "\4") "\1b" EXAMPLE
	    "\1b" EXAMPLE RR("\1", "\74", "\4") "\300\0\2\1"), DNS_MESSAGE_READ, 0, 1, 20, { NULL, 0 },
	  WIRE("\1b\7example\0") },
	{ "records in the wrong order", DNS_A, WIRE(HEAD(OK, "\2", "\0") ASK("\1") "\1b" EXAMPLE RR("\1", "\74", "\4")
	    "\300\0\2\1" EXAMPLE RR("\5", "\24", "\4") "\1b" EXAMPLE), DNS_MESSAGE_READ, 0, 1, 20, { NULL, 0 }, { NULL, 0 } },
	{ "an alias is asked for", DNS_CNAME, WIRE(HEAD(OK, "\1", "\0") ASK("\5") EXAMPLE RR("\5", "\24", "\4") "\1b" EXAMPLE),
	  DNS_MESSAGE_READ, 0, 1, 20, WIRE("\1b\7example\0"), WIRE("\7example\0") },
	{ "an alias of itself", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") EXAMPLE RR("\5", "\24", "\2") EXAMPLE),
	  DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "an alias to nowhere", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") EXAMPLE RR("\5", "\24", "\4") "\1b" EXAMPLE),
	  DNS_MESSAGE_READ, 0, 0, 0, { NULL, 0 }, WIRE("\1b\7example\0") },
	{ "no such name", DNS_A, WIRE(HEAD(NXDOMAIN, "\0", "\1") ASK("\1") "\0" RR("\6", "\74", "\32")
	    "\1a\0\1b\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\36"), DNS_MESSAGE_READ, 3, 0, 30, { NULL, 0 }, { NULL, 0 } },
	{ "no data, with its time", DNS_A, WIRE(HEAD(OK, "\0", "\1") ASK("\1") "\0" RR("\6", "\74", "\32")
	    "\1a\0\1b\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\36"), DNS_MESSAGE_READ, 0, 0, 30, { NULL, 0 }, { NULL, 0 } },
	{ "no data, the shorter time", DNS_A, WIRE(HEAD(OK, "\0", "\1") ASK("\1") "\0" RR("\6", "\12", "\32")
	    "\1a\0\1b\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\36"), DNS_MESSAGE_READ, 0, 0, 10, { NULL, 0 }, { NULL, 0 } },
	{ "cut", DNS_A, WIRE(HEAD("\203\200", "\0", "\0") ASK("\1")), DNS_MESSAGE_READ, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "nothing", DNS_A, WIRE(""), DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "a head alone", DNS_A, WIRE(HEAD(OK, "\0", "\0")), DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "a question", DNS_A, WIRE(HEAD("\1\0", "\0", "\0") ASK("\1")), DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "of another type", DNS_A, WIRE(HEAD(OK, "\0", "\0") ASK("\17")), DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "about another name", DNS_A, WIRE(HEAD(OK, "\0", "\0") "\7exemple\0" "\0\1\0\1"), DNS_MESSAGE_BAD, 0, 0, 0,
	  { NULL, 0 }, { NULL, 0 } },
	{ "fewer records than said", DNS_A, WIRE(HEAD(OK, "\2", "\0") ASK("\1") EXAMPLE RR("\1", "\74", "\4") "\300\0\2\1"),
	  DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "rdata past the end", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") EXAMPLE RR("\1", "\74", "\5") "\300\0\2\1"),
	  DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "a pointer to itself", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") "\300\31" RR("\1", "\74", "\4") "\300\0\2\1"),
	  DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "a pointer forward", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") "\300\51" RR("\1", "\74", "\4") "\7example\0"),
	  DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "a pointer past the end", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") "\377\377" RR("\1", "\74", "\4") "\300\0\2\1"),
	  DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "half a pointer", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") "\300"), DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "a length of 64", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") "\100a\0" RR("\1", "\74", "\4") "\300\0\2\1"),
	  DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "a name in rdata past its end", DNS_MX, WIRE(HEAD(OK, "\1", "\0") ASK("\17") EXAMPLE RR("\17", "\74", "\5")
	    "\0\12\2mx" EXAMPLE), DNS_MESSAGE_BAD, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
	{ "a time of 2^31", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") EXAMPLE "\0\1\0\1\200\0\0\0\0\4" "\300\0\2\1"),
	  DNS_MESSAGE_READ, 0, 1, 0, { NULL, 0 }, { NULL, 0 } },		/* RFC 2181 section 8 */
	{ "another class", DNS_A, WIRE(HEAD(OK, "\1", "\0") ASK("\1") EXAMPLE "\0\1\0\3\0\0\0\74\0\4" "\300\0\2\1"),
	  DNS_MESSAGE_READ, 0, 0, 0, { NULL, 0 }, { NULL, 0 } },
};

static void
test_messages(void **state)
{
	struct arena *a = arena_new(DNS_MESSAGE_ARENA);
	struct dns_message m;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		enum dns_message_read got = dns_message_read(rows[i].message, example, rows[i].type, a, &m);

		assert_row_int(rows[i].row, got, rows[i].want);
		if (got != DNS_MESSAGE_READ)
			continue;
		assert_row_int(rows[i].row, m.rcode, rows[i].rcode);
		assert_row_int(rows[i].row, m.n, rows[i].records);
		assert_row_int(rows[i].row, m.ttl_s, rows[i].ttl_s);
		if (rows[i].first.p)
			assert_row_bytes(rows[i].row, m.rdata[0], rows[i].first);
		if (rows[i].name.p)
			assert_row_bytes(rows[i].row, m.name, rows[i].name);
		arena_reset(a);
	}
	arena_free(&a);
}

/* A chain of so many aliases, then an address. */
static enum dns_message_read
read_chain(unsigned aliases, struct arena *a, struct dns_message *m)
{
	struct buf b;
	enum dns_message_read got;

	buf_init(&b, DNS_MESSAGE_MAX);
	buf_add(&b, OCTETS(HEAD(OK, "\0", "\0") "\1" "a\0" "\0\1\0\1"));
	b.p[7] = (unsigned char)(aliases + 1);
	for (unsigned i = 0; i < aliases; i++) {
		buf_add(&b, bytes_of((unsigned char[]){ 1, (unsigned char)('a' + i), 0 }, 3));
		buf_add(&b, OCTETS(RR("\5", "\74", "\3")));
		buf_add(&b, bytes_of((unsigned char[]){ 1, (unsigned char)('b' + i), 0 }, 3));
	}
	buf_add(&b, bytes_of((unsigned char[]){ 1, (unsigned char)('a' + aliases), 0 }, 3));
	buf_add(&b, OCTETS(RR("\1", "\74", "\4") "\300\0\2\1"));
	got = dns_message_read(buf_bytes(&b), OCTETS("\1a\0"), DNS_A, a, m);
	buf_fini(&b);
	return got;
}

static void
test_chains(void **state)
{
	struct arena *a = arena_new(DNS_MESSAGE_ARENA);
	struct dns_message m;

	(void)state;
	assert_int_equal(read_chain(DNS_CHAIN_MAX, a, &m), DNS_MESSAGE_READ);
	assert_int_equal(m.n, 1);
	arena_reset(a);
	assert_int_equal(read_chain(DNS_CHAIN_MAX + 1, a, &m), DNS_MESSAGE_BAD);
	arena_free(&a);
}

/* Records of a dozen octets each, which have 255 when their names are written out. */
static void
test_large(void **state)
{
	static const char label[] = "\077aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct arena *a = arena_new(DNS_MESSAGE_ARENA);
	struct dns_message m;
	struct buf name, b;

	(void)state;
	buf_init(&name, 256);
	for (unsigned i = 0; i < 3; i++)
		buf_text(&name, label);
	buf_char(&name, '\0');
	buf_init(&b, DNS_MESSAGE_MAX);
	buf_add(&b, OCTETS(HEAD(OK, "\0", "\0")));
	buf_add(&b, buf_bytes(&name));
	buf_add(&b, OCTETS("\0\2\0\1"));
	while (b.n + 14 <= DNS_MESSAGE_MAX) {
		unsigned n = (unsigned)(b.p[6] << 8 | b.p[7]) + 1;

		buf_add(&b, OCTETS("\300\14" RR("\2", "\74", "\2") "\300\14"));
		b.p[6] = (unsigned char)(n >> 8);
		b.p[7] = (unsigned char)n;
		if (n == DNS_MESSAGE_MAX / 193) {
			assert_int_equal(dns_message_read(buf_bytes(&b), buf_bytes(&name), DNS_NS, a, &m), DNS_MESSAGE_READ);
			assert_int_equal(m.n, n);
			arena_reset(a);
		} else if (n == DNS_MESSAGE_MAX / 193 + 1)
			assert_int_equal(dns_message_read(buf_bytes(&b), buf_bytes(&name), DNS_NS, a, &m), DNS_MESSAGE_LARGE);
	}
	assert_int_equal(dns_message_read(buf_bytes(&b), buf_bytes(&name), DNS_NS, a, &m), DNS_MESSAGE_LARGE);
	assert_int_equal(dns_message_read(bytes_of(b.p, DNS_MESSAGE_MAX + 1), buf_bytes(&name), DNS_NS, a, &m), DNS_MESSAGE_BAD);
	buf_fini(&b);
	buf_fini(&name);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
