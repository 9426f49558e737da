/* SPDX-License-Identifier: ISC */
#include "proto/sasl_oauth.h"
#include "proto/testing.h"

#define TOKEN	"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="

static const struct { const char *user, *host; uint16_t port; const char *token, *bearer, *xoauth2; } cases[] = {
	{ "user@example.com", "server.example.com", 587, TOKEN,		/* RFC 7628 section 4.1 */
	    "n,a=user@example.com,\1host=server.example.com\1port=587\1auth=Bearer " TOKEN "\1\1",
	    "user=user@example.com\1auth=Bearer " TOKEN "\1\1" },
	{ "a", "", 0, "t", "n,a=a,\1auth=Bearer t\1\1", "user=a\1auth=Bearer t\1\1" },
	{ "a,b=c", "h", 65535, "t", "n,a=a=2Cb=3Dc,\1host=h\1port=65535\1auth=Bearer t\1\1", "user=a,b=c\1auth=Bearer t\1\1" },
	{ "\xc3\xa4", "h", 25, "~!/+.", "n,a=\xc3\xa4,\1host=h\1port=25\1auth=Bearer ~!/+.\1\1", "user=\xc3\xa4\1auth=Bearer ~!/+.\1\1" },
	{ "", "h", 25, "t", NULL, NULL },
	{ "a\1b", "h", 25, "t", NULL, NULL },
	{ "a\x7f", "h", 25, "t", NULL, NULL },
	{ "a", "h\1x=y", 25, "t", NULL, "user=a\1auth=Bearer t\1\1" },
	{ "a", "h", 25, "", NULL, NULL },
	{ "a", "h", 25, "t t", NULL, NULL },
	{ "a", "h", 25, "t\1", NULL, NULL },
	{ "a", "h", 25, "t\r\n", NULL, NULL },
	{ "a", "h", 25, "\xc3\xa4", NULL, NULL },
};

static void
expect(const char *row, bool good, const struct buf *got, const char *want)
{
	assert_row_int(row, good, want != NULL);
	assert_row_bytes(row, buf_bytes(got), text(want));
}

static void
test_messages(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SASL_OAUTH_MAX);
	for (size_t i = 0; i < LEN(cases); i++) {
		expect(cases[i].user, sasl_oauthbearer(text(cases[i].user), text(cases[i].host), cases[i].port,
		    text(cases[i].token), &b), &b, cases[i].bearer);
		buf_clear(&b);
		expect(cases[i].user, sasl_xoauth2(text(cases[i].user), text(cases[i].token), &b), &b, cases[i].xoauth2);
		buf_clear(&b);
	}
	buf_fini(&b);
}

static void
test_limits(void **state)
{
	static unsigned char x[SASL_OAUTH_TOKEN_MAX + 1];
	struct bytes user = bytes_of(x, SASL_OAUTH_USER_MAX), token = bytes_of(x, SASL_OAUTH_TOKEN_MAX);
	struct buf b;

	(void)state;
	memset(x, 'x', sizeof x);
	buf_init(&b, SASL_OAUTH_MAX);
	assert_true(sasl_oauthbearer(user, bytes_of(x, 255), 65535, token, &b));
	buf_clear(&b);
	assert_false(sasl_oauthbearer(bytes_of(x, user.n + 1), text("h"), 1, token, &b));
	assert_false(sasl_oauthbearer(user, text("h"), 1, bytes_of(x, token.n + 1), &b));
	assert_false(sasl_xoauth2(user, bytes_of(x, token.n + 1), &b));
	assert_int_equal(b.n, 0);
	assert_false(sasl_oauthbearer(user, bytes_of(x, 5000), 1, token, &b));	/* more than the buffer takes: nothing of it */
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

static const struct { const char *error, *status; } errors[] = {
	{ "{\"status\":\"invalid_token\",\"scope\":\"example_scope\"}", "invalid_token" },	/* RFC 7628 section 4.3 */
	{ "{\"scope\":\"x\", \"status\" :\r\n \"400\"}", "400" },
	{ "\"status\":\"a.b-c_D9\"", "a.b-c_D9" },
	{ "{\"status\":400}", "" },
	{ "{\"status\":\"\"}", "" },
	{ "{\"status\":\"in valid\"}", "" },
	{ "{\"status\":\"\x1b[2J\"}", "" },
	{ "{\"status\":\"unended", "" },
	{ "{\"status\"", "" },
	{ "{\"status\" :", "" },
	{ "{\"status\" \"status\":\"x\"}", "x" },
	{ "", "" },
	{ "\"status\":\"1234567890123456789012345678901234567890123456789012345678901234\"",
	    "1234567890123456789012345678901234567890123456789012345678901234" },
	{ "\"status\":\"12345678901234567890123456789012345678901234567890123456789012345\"", "" },
};

static void
test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(errors); i++)
		assert_row_bytes(errors[i].error, sasl_oauth_status(text(errors[i].error)), text(errors[i].status));
}

/* ---- the server's side ---- */

#define REST "\1auth=Bearer t\1\1"

static void
test_said(void **state)
{
	const struct { struct bytes message; bool bearer; const char *user, *token, *host; uint16_t port; } messages[] = {
		{ OCTETS("n,a=user@example.com,\1host=server.example.com\1port=143\1auth=Bearer " TOKEN "\1\1"), true,	/* section 4.1 */
		    "user@example.com", TOKEN, "server.example.com", 143 },
		{ OCTETS("n,a=user@example.com,\1host=h\1auth=\1\1"), true, "user@example.com", "", "h", 0 },	/* section 4.3 */
		{ OCTETS("n,," REST), true, "", "t", "", 0 },
		{ OCTETS("y,a=a=2Cb=3Dc," REST), true, "a,b=c", "t", "", 0 },
		{ OCTETS("n,a=a,\1auth=bEARER  t\1\1"), true, "a", "t", "", 0 },
		{ OCTETS("n,a=a,\1user=x\1mthd=POST\1path=/\1post=a b\r\n\tc\1qs=a=b&c\1auth=Bearer t\1\1"), true, "a", "t", "", 0 },
		{ OCTETS("p=tls-exporter,a=a," REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=," REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,b=a," REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a=2cb," REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a=," REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a\0," REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a\1," REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a" REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,auth=Bearer t\1\1"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1auth=Bearer t\1"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1auth=Bearer t"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a," REST "\1"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a," REST "x"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1auth=Bearer t\1auth=Bearer t\1\1"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1auth=Bearer \1\1"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1auth=Bearer a b\1\1"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1auth=Basic t\1\1"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1host=h\1\1"), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1port=65535" REST), true, "a", "t", "", 65535 },
		{ OCTETS("n,a=a,\1port=65536" REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1port=x" REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1h-=h" REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1=h" REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1host" REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1host=h\0" REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a,\1host=h\x7f" REST), true, NULL, NULL, NULL, 0 },
		{ OCTETS("\1"), true, NULL, NULL, NULL, 0 },
		{ OCTETS(""), true, NULL, NULL, NULL, 0 },
		{ OCTETS("user=a" REST), true, NULL, NULL, NULL, 0 },

		{ OCTETS("user=someuser@example.com\1auth=Bearer " TOKEN "\1\1"), false, "someuser@example.com", TOKEN, "", 0 },
		{ OCTETS("auth=Bearer t\1user=a,b=2C\1\1"), false, "a,b=2C", "t", "", 0 },
		{ OCTETS("user=\xc3\xa4" REST), false, "\xc3\xa4", "t", "", 0 },
		{ OCTETS("user=" REST), false, NULL, NULL, NULL, 0 },
		{ OCTETS("user=a\r" REST), false, NULL, NULL, NULL, 0 },
		{ OCTETS("user=a\1user=b" REST), false, NULL, NULL, NULL, 0 },
		{ OCTETS("auth=Bearer t\1\1"), false, NULL, NULL, NULL, 0 },
		{ OCTETS("user=a\1\1"), false, NULL, NULL, NULL, 0 },
		{ OCTETS("n,a=a," REST), false, NULL, NULL, NULL, 0 },
		{ OCTETS(""), false, NULL, NULL, NULL, 0 },
	};
	struct buf user;

	(void)state;
	buf_init(&user, SASL_OAUTH_USER_MAX);
	for (size_t i = 0; i < LEN(messages); i++) {
		struct sasl_oauth_said s;
		char row[32];
		bool good = (messages[i].bearer ? sasl_oauthbearer_parse : sasl_xoauth2_parse)(messages[i].message, &s, &user);

		snprintf(row, sizeof row, "row %zu", i);
		assert_row_int(row, good, messages[i].user != NULL);
		if (!good)
			continue;
		assert_row_bytes(row, buf_bytes(&user), text(messages[i].user));
		assert_row_bytes(row, s.token, text(messages[i].token));
		assert_row_bytes(row, s.host, text(messages[i].host));
		assert_row_int(row, s.port, messages[i].port);
	}
	buf_fini(&user);
}

static void
test_said_limits(void **state)
{
	static unsigned char x[SASL_OAUTH_MAX + 1];
	struct sasl_oauth_said s;
	struct buf user, b;

	(void)state;
	memset(x, 'x', sizeof x);
	buf_init(&user, SASL_OAUTH_USER_MAX);
	buf_init(&b, SASL_OAUTH_MAX + 1);
	for (size_t more = 0; more < 2; more++) {
		buf_clear(&b);
		buf_fmt(&b, "user=%.*s" REST, (int)(SASL_OAUTH_USER_MAX + more), (const char *)x);
		assert_int_equal(sasl_xoauth2_parse(buf_bytes(&b), &s, &user), !more);
		buf_clear(&b);
		buf_fmt(&b, "n,a=%.*s," REST, (int)(SASL_OAUTH_USER_MAX + more), (const char *)x);
		assert_int_equal(sasl_oauthbearer_parse(buf_bytes(&b), &s, &user), !more);
		buf_clear(&b);
		buf_fmt(&b, "n,,\1auth=Bearer %.*s\1\1", (int)(SASL_OAUTH_TOKEN_MAX + more), (const char *)x);
		assert_int_equal(sasl_oauthbearer_parse(buf_bytes(&b), &s, &user), !more);
		buf_clear(&b);
		buf_fmt(&b, "n,,\1host=%.*s" REST, (int)(SASL_OAUTH_MAX - strlen("n,,\1host=" REST) + more), (const char *)x);
		assert_int_equal(sasl_oauthbearer_parse(buf_bytes(&b), &s, &user), !more);
	}
	buf_fini(&b);
	buf_fini(&user);
}

static void
test_error_written(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 512);
	sasl_oauth_error(text("invalid_token"), text("imap smtp"), text("https://a.example/.well-known/openid-configuration"), &b);
	assert_bytes_equal(buf_bytes(&b), text("{\"status\":\"invalid_token\",\"scope\":\"imap smtp\","
	    "\"openid-configuration\":\"https://a.example/.well-known/openid-configuration\"}"));
	assert_bytes_equal(sasl_oauth_status(buf_bytes(&b)), text("invalid_token"));
	buf_clear(&b);
	sasl_oauth_error(text("400"), text("a\"\\\n\x7f"), text(""), &b);
	assert_bytes_equal(buf_bytes(&b), text("{\"status\":\"400\",\"scope\":\"a\\u0022\\u005c\\u000a\\u007f\"}"));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_said),
		cmocka_unit_test(test_said_limits),
		cmocka_unit_test(test_error_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
