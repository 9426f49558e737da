/* SPDX-License-Identifier: ISC */
#include "mail/credentials.h"
#include "mail/testing.h"

#define R64	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define R320	R64 R64 R64 R64 R64
#define R1024	R320 R320 R320 R64

static const struct { const char *value; bool good; const char *mechanisms, *user, *secret; bool oauth; } values[] = {
	{ "anna secret", true, "", "anna", "secret", false },
	{ " anna@example.org   correct horse ", true, "", "anna@example.org", "correct horse", false },
	{ "anna p:a=s,s \"w'\\", true, "", "anna", "p:a=s,s \"w'\\", false },
	{ "anna \xc3\xa4", true, "", "anna", "\xc3\xa4", false },
	{ "anna oauth:token", true, "", "anna", "token", true },
	{ "anna oauth", true, "", "anna", "oauth", false },
	{ "mechanisms=PLAIN anna secret", true, "PLAIN", "anna", "secret", false },
	{ "mechanisms=scram-sha-256,Plain  anna secret", true, "scram-sha-256,Plain", "anna", "secret", false },
	{ "mechanisms=XOAUTH2 anna oauth:t", true, "XOAUTH2", "anna", "t", true },
	{ R320 " " R1024, true, "", R320, R1024, false },
	{ R320 "x y", false, "", "", "", false },
	{ "x " R1024 "y", false, "", "", "", false },
	{ "", false, "", "", "", false },
	{ "anna", false, "", "", "", false },
	{ "anna ", false, "", "", "", false },
	{ "anna a\tb", false, "", "", "", false },
	{ "an\tna b", false, "", "", "", false },
	{ "anna a\nb", false, "", "", "", false },
	{ "mechanisms= anna secret", false, "", "", "", false },
	{ "mechanisms=PLAIN", false, "", "", "", false },
	{ "mechanisms=PLAIN anna", false, "", "", "", false },
	{ "mechanisms=NTLM anna secret", false, "", "", "", false },
	{ "mechanisms=PLAIN,ANONYMOUS anna secret", false, "", "", "", false },
	{ "mechanisms=PLAIN,,LOGIN anna secret", false, "", "", "", false },
	{ "mechanisms=XOAUTH2 anna secret", false, "", "", "", false },
	{ "mechanisms=PLAIN anna oauth:t", false, "", "", "", false },
	{ "anna oauth:", false, "", "", "", false },
	{ "anna oauth:/etc/shadow", false, "", "", "", false },
	{ "anna oauth:../x", false, "", "", "", false },
	{ "anna oauth:.hidden", false, "", "", "", false },
};

static void
test_values(void **state)
{
	struct credentials c;
	char why[512];

	(void)state;
	for (size_t i = 0; i < LEN(values); i++) {
		assert_row_int(values[i].value, credentials_parse(text(values[i].value), &c, why, sizeof why), values[i].good);
		if (!values[i].good) {
			assert_null(strstr(why, "secret"));
			continue;
		}
		assert_row_bytes(values[i].value, c.mechanisms, text(values[i].mechanisms));
		assert_row_bytes(values[i].value, c.user, text(values[i].user));
		assert_row_bytes(values[i].value, c.secret, text(values[i].secret));
		assert_row_int(values[i].value, c.oauth, values[i].oauth);
	}
}

static const struct { const char *nexthop; size_t n; const char *keys[CREDENTIALS_KEYS]; } nexthops[] = {
	{ "example.org", 1, { "example.org" } },
	{ "Example.ORG:587", 2, { "example.org:587", "example.org" } },
	{ "[mx.example.org]:587", 2, { "[mx.example.org]:587", "mx.example.org" } },
	{ "[mx.example.org]", 2, { "[mx.example.org]", "mx.example.org" } },
	{ "[192.0.2.1]:25", 2, { "[192.0.2.1]:25", "192.0.2.1" } },
	{ "[2001:db8:0::1]", 2, { "[2001:db8::1]", "2001:db8::1" } },
	{ "unix:/run/lmtp", 1, { "unix:/run/lmtp", "" } },
	{ "[mx.example.org]:587;from=192.0.2.5", 3, { "[mx.example.org]:587;from=192.0.2.5", "[mx.example.org]:587", "mx.example.org" } },
	{ "example.org;from=192.0.2.5", 2, { "example.org;from=192.0.2.5", "example.org" } },
	{ "", 0, { "", "" } },
	{ "a b", 0, { "", "" } },
};

static void
test_keys(void **state)
{
	struct arena *a = arena_new(1 << 16);

	(void)state;
	for (size_t i = 0; i < LEN(nexthops); i++) {
		struct bytes keys[CREDENTIALS_KEYS];

		assert_row_int(nexthops[i].nexthop, credentials_keys(text(nexthops[i].nexthop), a, keys), nexthops[i].n);
		for (size_t k = 0; k < nexthops[i].n; k++)
			assert_row_bytes(nexthops[i].nexthop, keys[k], text(nexthops[i].keys[k]));
	}
	arena_free(&a);
}

#define ALL "NTLM ANONYMOUS DIGEST-MD5 CRAM-MD5 LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS XOAUTH2 OAUTHBEARER"

static const struct { const char *may, *announced; bool oauth, binds, shows; const char *want; } choices[] = {
	{ "", ALL, false, true, true, "SCRAM-SHA-256-PLUS" },
	{ "", ALL, false, false, true, "SCRAM-SHA-256" },
	{ "", "SCRAM-SHA-1-PLUS SCRAM-SHA-256", false, true, true, "SCRAM-SHA-1-PLUS" },
	{ "", "LOGIN PLAIN", false, true, true, "PLAIN" },
	{ "", "LOGIN", false, false, true, "LOGIN" },
	{ "", ALL, true, false, true, "OAUTHBEARER" },
	{ "", "PLAIN XOAUTH2", true, false, true, "XOAUTH2" },
	{ "LOGIN,scram-sha-1", ALL, false, true, true, "SCRAM-SHA-1" },
	{ "XOAUTH2", ALL, true, false, true, "XOAUTH2" },
	{ "SCRAM-SHA-256", "PLAIN LOGIN SCRAM-SHA-1", false, true, true, NULL },
	{ "SCRAM-SHA-256-PLUS", ALL, false, false, true, NULL },
	{ "", "NTLM ANONYMOUS DIGEST-MD5 CRAM-MD5 GSSAPI", false, true, true, NULL },
	{ "", "PLAIN", true, true, true, NULL },
	{ "", "XOAUTH2", false, true, true, NULL },
	{ "", "", false, true, true, NULL },
	/* The server has not proved who it is. */
	{ "", ALL, false, true, false, "SCRAM-SHA-256-PLUS" },
	{ "", "SCRAM-SHA-1 PLAIN", false, false, false, "SCRAM-SHA-1" },
	{ "", "LOGIN PLAIN", false, true, false, NULL },
	{ "PLAIN,LOGIN", ALL, false, true, false, NULL },
	{ "", ALL, true, true, false, NULL },
	{ "XOAUTH2", ALL, true, false, false, NULL },
};

static void
test_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(choices); i++) {
		const char *got = credentials_mechanism(text(choices[i].may), choices[i].oauth, choices[i].binds,
		    choices[i].shows, text(choices[i].announced));

		assert_row_bytes(choices[i].announced, text(got), text(choices[i].want));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
