/* SPDX-License-Identifier: ISC */
#include "base/testing.h"

#include "resolver/resolver.h"

static const struct { const char *words, *want; bool loopback; } servers[] = {
	{ "192.0.2.53", "192.0.2.53@53", false },
	{ "192.0.2.53:5353", "192.0.2.53@5353", false },
	{ "192.0.2.53@5353", "192.0.2.53@5353", false },
	{ "127.0.0.1:1", "127.0.0.1@1", true },
	{ "127.9.9.9", "127.9.9.9@53", true },
	{ "2001:db8::53", "2001:db8::53@53", false },
	{ "[2001:db8::53]", "2001:db8::53@53", false },
	{ "[2001:db8::53]:5353", "2001:db8::53@5353", false },
	{ "2001:db8::53@5353", "2001:db8::53@5353", false },
	{ "::1", "::1@53", true },
	{ "::ffff:127.0.0.1", "127.0.0.1@53", true },
	{ "192.0.2.53:65535", "192.0.2.53@65535", false },
	{ "192.0.2.53:65536", NULL, false },
	{ "192.0.2.53:0", NULL, false },
	{ "192.0.2.53:", NULL, false },
	{ "192.0.2.53@", NULL, false },
	{ "192.0.2.53:53x", NULL, false },
	{ "192.0.2", NULL, false },
	{ "192.0.2.53 ", NULL, false },
	{ "[2001:db8::53]5353", NULL, false },
	{ "[2001:db8::53]:", NULL, false },
	{ "[2001:db8::53", NULL, false },
	{ "[", NULL, false },
	{ "fe80::1%eth0", NULL, false },
	{ "dns.example", NULL, false },
	{ "", NULL, false },
	{ "@", NULL, false },
};

static void
test_servers(void **state)
{
	struct dns_server s;

	(void)state;
	for (size_t i = 0; i < LEN(servers); i++) {
		assert_row_int(servers[i].words, dns_server_parse(text(servers[i].words), &s), servers[i].want != NULL);
		if (servers[i].want) {
			assert_string_equal(s.words, servers[i].want);
			assert_row_int(servers[i].words, s.loopback, servers[i].loopback);
		}
	}
}

static void
test_zones(void **state)
{
	struct dns_zone z;

	(void)state;
	assert_true(dns_zone_parse(text("Internal.example 192.0.2.53"), &z));
	assert_string_equal(z.zone, "Internal.example.");
	assert_string_equal(z.server.words, "192.0.2.53@53");
	assert_true(dns_zone_parse(text(".   127.0.0.1:5300"), &z));
	assert_string_equal(z.zone, ".");
	assert_true(z.server.loopback);
	assert_false(dns_zone_parse(text("internal.example"), &z));
	assert_false(dns_zone_parse(text("a b 192.0.2.53"), &z));
	assert_false(dns_zone_parse(text(" 192.0.2.53"), &z));
	assert_false(dns_zone_parse(text(""), &z));
}

static const struct { const char *setting, *value; bool good; } values[] = {
	{ "dns_trust_anchors", "internal.example. DS 12345 13 2 49fd46e6c4b45c55d4ac\n", true },
	{ "dns_trust_anchors", "internal.example 3600 IN DS 12345 13 2 49fd 46e6\n", true },
	{ "dns_trust_anchors", ". IN DNSKEY 257 3 13 AAAA+/==\n", true },
	{ "dns_trust_anchors", "internal.example. DS 12345 13 2\n", false },
	{ "dns_trust_anchors", "internal.example. DS 65536 13 2 49fd\n", false },
	{ "dns_trust_anchors", "internal.example. DS 12345 256 2 49fd\n", false },
	{ "dns_trust_anchors", "internal.example. DS 12345 13 2 49fd;x\n", false },
	{ "dns_trust_anchors", "internal.example. A 192.0.2.1\n", false },
	{ "dns_trust_anchors", "DS 12345 13 2 49fd\n", false },
	{ "dns_trust_anchors", "\n", false },
	{ "dns_forwarders", "system\n", true },
	{ "dns_forwarders", "192.0.2.53\n[2001:db8::1]:53\n", true },
	{ "dns_forwarders", "systems\n", false },
	{ "dns_insecure", ".\n", true },
	{ "dns_insecure", "internal.example\n10.in-addr.arpa.\n", true },
	{ "dns_insecure", "\n", false },
	{ "trust_anchor_file", "", true },
	{ "trust_anchor_file", "/etc/root.key", true },
	{ "trust_anchor_file", "root.key", false },
	{ "dns_timeout", "1s", true },
	{ "dns_timeout", "999ms", false },
	{ "dns_questions", "20001", false },
};

static void
test_settings(void **state)
{
	struct resolver_settings s;
	char why[256];

	(void)state;
	settings_standard(resolver_settings, &s);
	assert_false(dns_insecure_root(&s));
	for (size_t i = 0; i < LEN(values); i++)
		assert_row_int(values[i].value, settings_set(resolver_settings, values[i].setting, values[i].value, &s,
		    why, sizeof why), values[i].good);
	assert_true(settings_set(resolver_settings, "dns_insecure", "a.example\n.\n", &s, why, sizeof why));
	assert_true(dns_insecure_root(&s));
	settings_free(resolver_settings, &s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
