/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mail/relay.h"

static const struct { const char *network; bool ok; } networks[] = {
	{ "10.0.0.0/8", true },
	{ "10.0.0.1", true },
	{ "0.0.0.0/0", true },			/* can be read; the proof at start refuses it */
	{ "::/0", true },
	{ "::ffff:0:0/96", true },
	{ "::ffff:127.0.0.0/104", true },
	{ "2001:db8::/32", true },
	{ "2001:db8::1", true },
	{ "", false },
	{ "/8", false },
	{ "0/0", false },			/* inet_aton would take it for 0.0.0.0/0 */
	{ "10/8", false },
	{ "10.0.0/8", false },
	{ "010.0.0.0/8", false },		/* eight or ten? */
	{ "0x0a.0.0.0/8", false },
	{ "167772160/8", false },
	{ "10.0.0.0/", false },
	{ "10.0.0.0/33", false },
	{ "10.0.0.0/-1", false },
	{ "10.0.0.0/08", false },
	{ "10.0.0.0/8/8", false },
	{ "10.0.0.0/255.0.0.0", false },
	{ "10.0.0.1/8", false },		/* host bits */
	{ "10.0.0.0/8,192.168.0.0/16", false },	/* two in one item */
	{ "10.0.0.0/8 192.168.0.0/16", false },
	{ "10.0.0.0 /8", false },
	{ "10.0.0.*", false },
	{ "::ffff:0:0/90", false },		/* host bits: would hold all of IPv4 and more */
	{ "2001:db8::1/32", false },
	{ "2001:db8::/129", false },
	{ "[::1]/128", false },
	{ "fe80::%eth0/10", false },
	{ "localhost", false },
	{ "example.org", false },
};

static void
test_networks(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(networks); i++) {
		struct network n;
		char why[256] = "";

		if (network_parse(text(networks[i].network), &n, why, sizeof why) != networks[i].ok)
			fail_msg("%s: %s", networks[i].network, why);
	}
}

static const struct { const char *network, *client; bool has; } cases[] = {
	{ "10.0.0.0/8",			"10.255.255.255", true },
	{ "10.0.0.0/8",			"11.0.0.0", false },
	{ "10.0.0.0/8",			"9.255.255.255", false },
	{ "10.0.0.0/8",			"::ffff:10.1.2.3", true },	/* a client over a v6 socket */
	{ "::ffff:10.0.0.0/104",	"10.1.2.3", true },
	{ "10.0.0.0/8",			"::10.1.2.3", false },		/* compatible, not mapped: another host */
	{ "0.0.0.0/0",			"198.51.100.1", true },
	{ "0.0.0.0/0",			"2001:db8::1", false },
	{ "::/0",			"2001:db8::1", true },
	{ "::/0",			"198.51.100.1", true },
	{ "127.0.0.0/8",		"127.1.2.3", true },
	{ "127.0.0.0/8",		"::1", false },
	{ "126.0.0.0/7",		"126.0.0.1", true },
	{ "2001:db8::/33",		"2001:db8:7fff:ffff::", true },
	{ "2001:db8::/33",		"2001:db8:8000::", false },
	{ "fe80::/10",			"fe80::1%eth0", true },
	{ "10.0.0.1",			"10.0.0.1", true },
	{ "10.0.0.1",			"10.0.0.2", false },
	{ "10.0.0.0/8",			"", false },			/* not readable is nobody's */
	{ "::/0",			"unknown", false },
	{ "::/0",			"10.0.0.1\0x", false },
};

static void
test_relay(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		char *item = (char *)cases[i].network;
		struct setting_list list = { &item, 1 };
		struct relay_rule r;
		struct bytes client = text(cases[i].client);

		if (i == LEN(cases) - 1)
			client.n = 10;		/* the NUL inside */
		relay_rule_init(&r, &list);
		if (relay_allowed(&r, CLIENT_STRANGER, client) != cases[i].has
		    || relay_allowed(&r, CLIENT_TRUSTED, client) != cases[i].has)
			fail_msg("%s in %s", cases[i].client, cases[i].network);
		assert_true(relay_allowed(&r, CLIENT_ACCOUNT, client));
		assert_true(relay_allowed(&r, CLIENT_LOCAL_USER, client));
		assert_false(relay_allowed(&r, (enum client_class)99, client));
		relay_rule_fini(&r);
	}
}

static void
test_nobody(void **state)
{
	struct setting_list none = { 0 };
	struct relay_rule r;

	(void)state;
	relay_rule_init(&r, &none);
	assert_false(relay_allowed(&r, CLIENT_STRANGER, text("127.0.0.1")));
	relay_rule_fini(&r);
}

static void
test_edges(void **state)
{
	struct network n;
	struct address last;
	char why[256], out[NETWORK_TEXT_MAX];

	(void)state;
	assert_true(network_parse(text("192.168.0.0/22"), &n, why, sizeof why));
	network_last(&n, &last);
	assert_string_equal(address_text(&last, out), "192.168.3.255");
	assert_string_equal(address_text(&n.first, out), "192.168.0.0");
	assert_true(network_parse(text("2001:db8::/126"), &n, why, sizeof why));
	network_last(&n, &last);
	assert_string_equal(address_text(&last, out), "2001:db8::3");
}

/* What is written is what was read. */
static void
test_network_text(void **state)
{
	static const char *const rows[] = { "10.0.0.0/8", "192.0.2.1/32", "0.0.0.0/0", "2001:db8::/32", "::1/128", "::/0" };
	struct network n;
	char why[256], out[NETWORK_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_true(network_parse(text(rows[i]), &n, why, sizeof why));
		assert_string_equal(network_text(&n, out), rows[i]);
	}
}

/* An address over a socket of its own family, and back. */
static void
test_sockets(void **state)
{
	static const struct { const char *address; int family; } rows[] = {
		{ "192.0.2.1", AF_INET }, { "::ffff:192.0.2.1", AF_INET }, { "2001:db8::1", AF_INET6 }, { "::", AF_INET6 },
		{ "::192.0.2.1", AF_INET6 },
	};
	struct sockaddr_storage sa;
	struct address a, back;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_true(address_parse(text(rows[i].address), &a));
		assert_int_equal(address_is_ipv4(&a), rows[i].family == AF_INET);
		assert_true(address_socket(&a, 2525, &sa) <= sizeof sa);
		assert_int_equal(sa.ss_family, rows[i].family);
		assert_true(address_of_socket(&sa, &back, &port));
		assert_memory_equal(&a, &back, sizeof a);
		assert_int_equal(port, 2525);
	}
	sa.ss_family = AF_UNIX;
	assert_false(address_of_socket(&sa, &back, &port));
}

static const struct { const char *address; enum address_kind want; } kinds[] = {
	{ "192.0.2.1", ADDRESS_FINE }, { "10.0.0.1", ADDRESS_FINE }, { "2001:db8::1", ADDRESS_FINE },
	{ "fd00::1", ADDRESS_FINE }, { "223.255.255.255", ADDRESS_FINE }, { "1.0.0.0", ADDRESS_FINE },
	{ "127.0.0.1", ADDRESS_LOOPBACK }, { "127.255.255.255", ADDRESS_LOOPBACK }, { "::1", ADDRESS_LOOPBACK },
	{ "::ffff:127.0.0.1", ADDRESS_LOOPBACK }, { "0.0.0.0", ADDRESS_NOWHERE }, { "0.255.255.255", ADDRESS_NOWHERE },
	{ "169.254.169.254", ADDRESS_NOWHERE }, { "169.253.255.255", ADDRESS_FINE }, { "224.0.0.1", ADDRESS_NOWHERE },
	{ "255.255.255.255", ADDRESS_NOWHERE }, { "::", ADDRESS_NOWHERE }, { "fe80::1", ADDRESS_NOWHERE },
	{ "febf::1", ADDRESS_NOWHERE }, { "fec0::1", ADDRESS_FINE }, { "ff02::1", ADDRESS_NOWHERE },
	{ "::127.0.0.1", ADDRESS_NOWHERE }, { "::ffff:169.254.0.1", ADDRESS_NOWHERE },
};

static void
test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(kinds); i++) {
		struct address a;

		assert_true(address_parse(text(kinds[i].address), &a));
		if (address_kind(&a) != kinds[i].want)
			fail_msg("%s: %d", kinds[i].address, (int)address_kind(&a));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_relay),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_network_text),
		cmocka_unit_test(test_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
