/* SPDX-License-Identifier: ISC */
#include "config.h"

#include "mail/mechanisms.h"
#include "mail/testing.h"

#define SHOWN	"PLAIN LOGIN"
#define SCRAM	"SCRAM-SHA-256 SCRAM-SHA-1"
#define PLUS	"SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS"

static const struct { const char *named; bool system, plain; unsigned channel; const char *want; } cases[] = {
	{ "", true, false, 0, SHOWN },
	{ "", true, true, CHANNEL_BINDS, SHOWN },
	{ "", false, false, 0, SCRAM " " SHOWN },
	{ "", false, true, 0, SCRAM " " SHOWN },		/* CRAM-MD5 is never thought of */
	{ "", false, false, CHANNEL_BINDS, SCRAM " " SHOWN },
	{ "LOGIN\nPLAIN\n", false, false, CHANNEL_BINDS, SHOWN },
	{ "scram-sha-256\n", true, false, 0, "SCRAM-SHA-256" },
	{ "scram-sha-256\n", true, false, CHANNEL_BINDS, "SCRAM-SHA-256" },
	{ "scram-sha-256-plus\n", true, false, CHANNEL_BINDS, "SCRAM-SHA-256-PLUS" },
	{ "scram-sha-256-plus\n", true, false, 0, "" },
	{ "CRAM-MD5\nPLAIN\n", false, true, CHANNEL_BINDS, "CRAM-MD5 PLAIN" },
	{ "CRAM-MD5\nPLAIN\n", false, false, CHANNEL_BINDS, "PLAIN" },
	{ "CRAM-MD5\n", false, false, CHANNEL_BINDS, "" },
	{ "PLAIN\nPLAIN\n", false, false, CHANNEL_BINDS, "PLAIN" },
	{ "LOGIN\nPLAIN\nCRAM-MD5\nSCRAM-SHA-1\nSCRAM-SHA-1-PLUS\nSCRAM-SHA-256\nSCRAM-SHA-256-PLUS\n", true, true, CHANNEL_BINDS, PLUS " " SCRAM " CRAM-MD5 " SHOWN },
	{ "", false, true, CHANNEL_CERTIFIED, SCRAM " " SHOWN },	/* EXTERNAL is never thought of */
	{ "EXTERNAL\n", true, false, CHANNEL_CERTIFIED, "EXTERNAL" },
	{ "gssapi\nEXTERNAL\nPLAIN\n", true, false, CHANNEL_CERTIFIED, "EXTERNAL GSSAPI PLAIN" },
	{ "GSSAPI\n", false, false, 0, "GSSAPI" },
	{ "EXTERNAL\n", true, false, CHANNEL_BINDS, "" },
	{ "EXTERNAL\n", true, false, 0, "" },
	{ "PLAIN\nexternal\nSCRAM-SHA-1-PLUS\n", true, false, CHANNEL_CERTIFIED, "EXTERNAL PLAIN" },
	{ "PLAIN\nexternal\nSCRAM-SHA-1-PLUS\n", true, false, CHANNEL_CERTIFIED | CHANNEL_BINDS, "EXTERNAL SCRAM-SHA-1-PLUS PLAIN" },
	{ "PLAIN\nexternal\nSCRAM-SHA-1-PLUS\n", true, false, CHANNEL_BINDS, "SCRAM-SHA-1-PLUS PLAIN" },
};

static void
test_offered(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct mechanism_settings s;
		char why[256], row[32], got[MECHANISMS_MAX];

		settings_standard(mechanism_settings, &s);
		assert_true(settings_set(mechanism_settings, "auth_mechanisms", cases[i].named, &s, why, sizeof why));
		s.system_accounts = cases[i].system;
		s.plain_passwords = cases[i].plain;
		mechanisms_offered(&s, cases[i].channel, got);
		snprintf(row, sizeof row, "row %zu", i);
		assert_row_bytes(row, text(got), text(cases[i].want));
		settings_free(mechanism_settings, &s);
	}
}

/* Whether its accounts have keys, a directory alone knows: then SCRAM has to be named. */
static void
test_directory(void **state)
{
	struct mechanism_settings s;
	char why[256], got[MECHANISMS_MAX];

	(void)state;
	settings_standard(mechanism_settings, &s);
	s.system_accounts = false;
	assert_true(settings_set(mechanism_settings, "account_directory", "sqlite", &s, why, sizeof why));
	mechanisms_offered(&s, 0, got);
	assert_string_equal(got, SHOWN);
	assert_true(settings_set(mechanism_settings, "auth_mechanisms", "SCRAM-SHA-256\nPLAIN\n", &s, why, sizeof why));
	mechanisms_offered(&s, 0, got);
	assert_string_equal(got, "SCRAM-SHA-256 PLAIN");
	assert_true(settings_set(mechanism_settings, "auth_mechanisms", "", &s, why, sizeof why));
	assert_true(settings_set(mechanism_settings, "account_directory", "", &s, why, sizeof why));
	mechanisms_offered(&s, 0, got);
	assert_string_equal(got, SCRAM " " SHOWN);
	assert_false(settings_set(mechanism_settings, "account_directory", "LDAP", &s, why, sizeof why));
	settings_free(mechanism_settings, &s);
}

/* Passwords that are known themselves: CRAM-MD5 works, where it is named. */
static void
test_sasldb(void **state)
{
#ifdef HAVE_BDB
	struct mechanism_settings s;
	char why[256], got[MECHANISMS_MAX];

	(void)state;
	settings_standard(mechanism_settings, &s);
	assert_true(settings_set(mechanism_settings, "auth_mechanisms", "CRAM-MD5\nPLAIN\n", &s, why, sizeof why));
	mechanisms_offered(&s, 0, got);
	assert_string_equal(got, "PLAIN");
	assert_true(settings_set(mechanism_settings, "sasldb_file", "/etc/sasldb2", &s, why, sizeof why));
	mechanisms_offered(&s, 0, got);
	assert_string_equal(got, "CRAM-MD5 PLAIN");
	assert_false(settings_set(mechanism_settings, "sasldb_file", "etc/sasldb2", &s, why, sizeof why));
	settings_free(mechanism_settings, &s);
#else
	struct mechanism_settings s;
	char why[256];

	(void)state;
	settings_standard(mechanism_settings, &s);
	assert_false(settings_set(mechanism_settings, "sasldb_file", "/etc/sasldb2", &s, why, sizeof why));
	assert_non_null(strstr(why, "no Berkeley DB"));
	settings_free(mechanism_settings, &s);
#endif
}

/* Only where they are named, and can be checked. */
static void
test_tokens(void **state)
{
	static const struct { const char *named, *url, *keys, *want, *why; } rows[] = {
		{ "OAUTHBEARER\nXOAUTH2\nPLAIN\n", "", "", "PLAIN", "auth_mechanisms: \"OAUTHBEARER\"" },
		{ "PLAIN\nxoauth2\n", "", "", "PLAIN", "auth_mechanisms: \"xoauth2\"" },
		{ "XOAUTH2\nOAUTHBEARER\nPLAIN\n", "https://a.test/", "", "OAUTHBEARER XOAUTH2 PLAIN", NULL },
		{ "OAUTHBEARER\n", "", "/a.pem\n", "OAUTHBEARER", NULL },
		{ "xoauth2\n", "", "/a.pem\n", "XOAUTH2", NULL },
		{ "", "https://a.test/", "", SHOWN, NULL },
		{ "", "", "", SHOWN, NULL },
		{ "OAUTHBEARER\n", "https://a.test/", "/a.pem\n", "OAUTHBEARER", "one of the two" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct mechanism_settings s;
		char why[256] = "", row[32], got[MECHANISMS_MAX];

		snprintf(row, sizeof row, "row %zu", i);
		settings_standard(mechanism_settings, &s);
		assert_true(settings_set(mechanism_settings, "auth_mechanisms", rows[i].named, &s, why, sizeof why));
		assert_true(settings_set(mechanism_settings, "oauth_introspection_url", rows[i].url, &s, why, sizeof why));
		assert_true(settings_set(mechanism_settings, "oauth_jwt_keys", rows[i].keys, &s, why, sizeof why));
		mechanisms_offered(&s, true, got);
		assert_row_bytes(row, text(got), text(rows[i].want));
		assert_row_int(row, mechanisms_tokens(&s, why, sizeof why), rows[i].why == NULL);
		if (rows[i].why && !strstr(why, rows[i].why))
			fail_msg("%s: %s", row, why);
		settings_free(mechanism_settings, &s);
	}
}

static void
test_names(void **state)
{
	static const char *const wrong[] = { "PLAI", "PLAINX", "PLAIN-PLUS", "NTLM", "ANONYMOUS", "PLAIN LOGIN", "" };
	struct mechanism_settings s;
	char why[256], item[64];

	(void)state;
	settings_standard(mechanism_settings, &s);
	for (size_t i = 0; i < LEN(wrong); i++) {
		snprintf(item, sizeof item, "%s\n", wrong[i]);
		assert_false(settings_set(mechanism_settings, "auth_mechanisms", item, &s, why, sizeof why));
		assert_non_null(strstr(why, "SCRAM-SHA-256"));
	}
	settings_free(mechanism_settings, &s);
	assert_true(mechanism_in(SCRAM, text("scram-sha-1")));
	assert_false(mechanism_in(SCRAM, text("SCRAM-SHA-1-PLUS")));
	assert_false(mechanism_in(SCRAM, text("SCRAM-SHA")));
	assert_false(mechanism_in(SCRAM, text("")));
	assert_false(mechanism_in("", text("")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offered),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_sasldb),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
