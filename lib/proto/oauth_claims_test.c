/* SPDX-License-Identifier: ISC */
#include "proto/oauth_claims.h"
#include "proto/testing.h"

#define NOW	1764165600
#define ANNA	"\"email\":\"anna@x.test\""
#define EXP	"\"exp\":1764165700"

static const struct oauth_rules jwt = { false, "", "", "", "email", NOW }, asked = { true, "", "", "", "email", NOW },
    strict = { false, "https://a.test/", "mail", "imap smtp", "sub", NOW };
#define STRICT	"\"iss\":\"https://a.test/\",\"aud\":[\"web\",\"mail\"],\"scope\":\"openid smtp imap\",\"sub\":\"s\"," EXP

static const struct { const struct oauth_rules *rules; const char *json; enum oauth_verdict verdict; int64_t expires_s; const char *user; } cases[] = {
	{ &jwt, "{" ANNA "," EXP "}", OAUTH_GOOD, NOW + 100, "anna@x.test" },
	{ &jwt, "{\"email\":\"anna\\u0040x.test\",\"exp\":1764165700.5}", OAUTH_GOOD, NOW + 100, "anna@x.test" },
	{ &jwt, "{" ANNA "," EXP ",\"active\":false}", OAUTH_GOOD, NOW + 100, "anna@x.test" },	/* no member of a JWT */
	{ &jwt, "{" ANNA "}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" ANNA ",\"exp\":1764165571}", OAUTH_GOOD, NOW - 29, "anna@x.test" },		/* the leeway */
	{ &jwt, "{" ANNA ",\"exp\":1764165570}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" ANNA ",\"exp\":-1}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" ANNA ",\"exp\":\"1764165700\"}", OAUTH_BROKEN, 0, "" },
	{ &jwt, "{" ANNA ",\"exp\":1e300}", OAUTH_BROKEN, 0, "" },
	{ &jwt, "{" ANNA ",\"exp\":null}", OAUTH_BROKEN, 0, "" },
	{ &jwt, "{" ANNA "," EXP "," EXP "}", OAUTH_BROKEN, 0, "" },
	{ &jwt, "{" ANNA "," EXP ",\"nbf\":1764165630}", OAUTH_GOOD, NOW + 100, "anna@x.test" },
	{ &jwt, "{" ANNA "," EXP ",\"nbf\":1764165631}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" ANNA "," EXP ",\"nbf\":[]}", OAUTH_BROKEN, 0, "" },
	{ &jwt, "{" EXP "}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" EXP ",\"email\":null}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" EXP ",\"email\":\"\"}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" EXP ",\"email\":\"a\\u0000b\"}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" EXP ",\"email\":[\"anna@x.test\"]}", OAUTH_BROKEN, 0, "" },
	{ &jwt, "{" EXP ",\"email\":7}", OAUTH_BROKEN, 0, "" },
	{ &jwt, "{" EXP "," ANNA "," ANNA "}", OAUTH_BROKEN, 0, "" },
	{ &jwt, "{" EXP "," ANNA ",\"email_verified\":true}", OAUTH_GOOD, NOW + 100, "anna@x.test" },
	{ &jwt, "{" EXP "," ANNA ",\"email_verified\":\"true\"}", OAUTH_GOOD, NOW + 100, "anna@x.test" },
	{ &jwt, "{" EXP "," ANNA ",\"email_verified\":false}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" EXP "," ANNA ",\"email_verified\":\"false\"}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "{" EXP "," ANNA ",\"email_verified\":null}", OAUTH_REFUSED, 0, "" },
	{ &jwt, "[]", OAUTH_BROKEN, 0, "" },
	{ &jwt, "\"x\"", OAUTH_BROKEN, 0, "" },
	{ &jwt, "", OAUTH_BROKEN, 0, "" },

	{ &strict, "{" STRICT "}", OAUTH_GOOD, NOW + 100, "s" },
	{ &strict, "{" STRICT ",\"email_verified\":false}", OAUTH_GOOD, NOW + 100, "s" },	/* nobody asks for the email */
	{ &strict, "{\"iss\":\"https://a.test/\",\"aud\":\"mail\",\"scope\":\"imap smtp\",\"sub\":\"s\"," EXP "}", OAUTH_GOOD, NOW + 100, "s" },
	{ &strict, "{\"iss\":\"https://a.test\",\"aud\":\"mail\",\"scope\":\"imap smtp\",\"sub\":\"s\"," EXP "}", OAUTH_REFUSED, 0, "" },
	{ &strict, "{\"aud\":\"mail\",\"scope\":\"imap smtp\",\"sub\":\"s\"," EXP "}", OAUTH_REFUSED, 0, "" },
	{ &strict, "{\"iss\":\"https://a.test/\",\"aud\":\"mails\",\"scope\":\"imap smtp\",\"sub\":\"s\"," EXP "}", OAUTH_REFUSED, 0, "" },
	{ &strict, "{\"iss\":\"https://a.test/\",\"aud\":[\"web\",[\"mail\"]],\"scope\":\"imap smtp\",\"sub\":\"s\"," EXP "}", OAUTH_REFUSED, 0, "" },
	{ &strict, "{\"iss\":\"https://a.test/\",\"aud\":{\"mail\":1},\"scope\":\"imap smtp\",\"sub\":\"s\"," EXP "}", OAUTH_REFUSED, 0, "" },
	{ &strict, "{\"iss\":\"https://a.test/\",\"scope\":\"imap smtp\",\"sub\":\"s\"," EXP "}", OAUTH_REFUSED, 0, "" },
	{ &strict, "{\"iss\":\"https://a.test/\",\"aud\":\"mail\",\"scope\":\"imap\",\"sub\":\"s\"," EXP "}", OAUTH_SCOPE, 0, "" },
	{ &strict, "{\"iss\":\"https://a.test/\",\"aud\":\"mail\",\"scope\":\"imap smtps\",\"sub\":\"s\"," EXP "}", OAUTH_SCOPE, 0, "" },
	{ &strict, "{\"iss\":\"https://a.test/\",\"aud\":\"mail\",\"sub\":\"s\"," EXP "}", OAUTH_SCOPE, 0, "" },
	{ &strict, "{\"iss\":\"https://a.test/\",\"aud\":\"mail\",\"scope\":[\"imap\",\"smtp\"],\"sub\":\"s\"," EXP "}", OAUTH_SCOPE, 0, "" },

	{ &asked, "{\"active\":true," ANNA "}", OAUTH_GOOD, OAUTH_NEVER, "anna@x.test" },	/* RFC 7662 section 2.2: exp is optional */
	{ &asked, "{\"active\":true," ANNA "," EXP "}", OAUTH_GOOD, NOW + 100, "anna@x.test" },
	{ &asked, "{\"active\":true," ANNA ",\"exp\":1764165000}", OAUTH_REFUSED, 0, "" },
	{ &asked, "{\"active\":false}", OAUTH_REFUSED, 0, "" },
	{ &asked, "{\"active\":false," ANNA "," EXP "}", OAUTH_REFUSED, 0, "" },
	{ &asked, "{\"active\":\"true\"," ANNA "}", OAUTH_BROKEN, 0, "" },
	{ &asked, "{\"active\":1," ANNA "}", OAUTH_BROKEN, 0, "" },
	{ &asked, "{\"active\":false,\"active\":true," ANNA "}", OAUTH_BROKEN, 0, "" },
	{ &asked, "{" ANNA "}", OAUTH_BROKEN, 0, "" },
	{ &asked, "{\"active\":true,}", OAUTH_BROKEN, 0, "" },
	{ &asked, "<html>", OAUTH_BROKEN, 0, "" },
};

static void
test_judge(void **state)
{
	struct buf user;

	(void)state;
	buf_init(&user, OAUTH_CLAIM_MAX);
	for (size_t i = 0; i < LEN(cases); i++) {
		struct oauth_claims c;
		char row[32];

		snprintf(row, sizeof row, "row %zu", i);
		oauth_claims_judge(text(cases[i].json), cases[i].rules, &c, &user);
		assert_row_int(row, c.verdict, cases[i].verdict);
		assert_row_int(row, c.why == NULL, cases[i].verdict == OAUTH_GOOD);
		assert_row_bytes(row, buf_bytes(&user), text(cases[i].user));
		if (!c.why)
			assert_row_int(row, c.expires_s, cases[i].expires_s);
	}
	buf_fini(&user);
}

static void
test_limit(void **state)
{
	struct oauth_claims c;
	struct buf user, json;

	(void)state;
	buf_init(&user, OAUTH_CLAIM_MAX);
	buf_init(&json, 1000);
	for (int more = 0; more < 2; more++) {
		buf_clear(&json);
		buf_fmt(&json, "{" EXP ",\"email\":\"%0*d\"}", (int)OAUTH_CLAIM_MAX + more, 0);
		oauth_claims_judge(buf_bytes(&json), &jwt, &c, &user);
		assert_int_equal(c.verdict, more ? OAUTH_REFUSED : OAUTH_GOOD);
	}
	buf_fini(&json);
	buf_fini(&user);
}

static void
test_scopes(void **state)
{
	static const char *const good[] = { "", "imap", "imap smtp", "https://a.test/mail.read" },
	    *const wrong[] = { " ", " imap", "imap ", "imap  smtp", "a\"b", "a\\b", "a\tb", "\xc3\xa4", "a\x7f" };

	(void)state;
	for (size_t i = 0; i < LEN(good); i++)
		assert_row_int(good[i], oauth_is_scope(text(good[i])), true);
	for (size_t i = 0; i < LEN(wrong); i++)
		assert_row_int(wrong[i], oauth_is_scope(text(wrong[i])), false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_scopes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
