/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/smtp_params.h"

#define ALL	(~0u)
#define A50	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *params;
	unsigned offered;
	enum smtp_params_result want;
	const char *bad;
} mail[] = {
	{ "", ALL, SMTP_PARAMS_OK, "" },
	{ "SIZE=1000", ALL, SMTP_PARAMS_OK, "" },
	{ "size=0 body=8bitmime smtputf8", ALL, SMTP_PARAMS_OK, "" },
	{ "SIZE=1 \t BODY=7BIT", ALL, SMTP_PARAMS_OK, "" },
	{ "SIZE", ALL, SMTP_PARAMS_VALUE, "SIZE" },
	{ "SIZE=", ALL, SMTP_PARAMS_SYNTAX, "SIZE=" },
	{ "SIZE=-1", ALL, SMTP_PARAMS_VALUE, "SIZE=-1" },
	{ "SIZE=1x", ALL, SMTP_PARAMS_VALUE, "SIZE=1x" },
	{ "SIZE=123456789012345678901", ALL, SMTP_PARAMS_VALUE, "SIZE=123456789012345678901" },
	{ "SIZE=1 SIZE=1", ALL, SMTP_PARAMS_TWICE, "SIZE=1" },
	{ "SIZE=1 BODY=7BIT size=2", ALL, SMTP_PARAMS_TWICE, "size=2" },
	{ "BODY=BINARYMIME", ALL, SMTP_PARAMS_OK, "" },
	{ "BODY=BINARYMIME", SMTP_PARAM_BODY, SMTP_PARAMS_VALUE, "BODY=BINARYMIME" },
	{ "BODY=9BIT", ALL, SMTP_PARAMS_VALUE, "BODY=9BIT" },
	{ "BODY=7BIT", SMTP_PARAM_SIZE, SMTP_PARAMS_UNKNOWN, "BODY=7BIT" },
	{ "SMTPUTF8=yes", ALL, SMTP_PARAMS_VALUE, "SMTPUTF8=yes" },
	{ "RET=FULL ENVID=QQ314159", ALL, SMTP_PARAMS_OK, "" },
	{ "RET=hdrs", ALL, SMTP_PARAMS_OK, "" },
	{ "RET=ALL", ALL, SMTP_PARAMS_VALUE, "RET=ALL" },
	{ "ENVID=a+0Ab", ALL, SMTP_PARAMS_VALUE, "ENVID=a+0Ab" },
	{ "ENVID=a=b", ALL, SMTP_PARAMS_VALUE, "ENVID=a=b" },
	{ "ENVID=" A50 A50, ALL, SMTP_PARAMS_OK, "" },
	{ "ENVID=" A50 A50 "a", ALL, SMTP_PARAMS_VALUE, "ENVID=" A50 A50 "a" },
	{ "AUTH=<>", ALL, SMTP_PARAMS_OK, "" },
	{ "AUTH=e+3Dmc2@example.com", ALL, SMTP_PARAMS_OK, "" },	/* RFC 4954's example */
	{ "AUTH=<a@b>", ALL, SMTP_PARAMS_OK, "" },
	{ "AUTH=a@b+0A250", ALL, SMTP_PARAMS_VALUE, "AUTH=a@b+0A250" },	/* CVE-2020-28021 */
	{ "AUTH=a@b@c", ALL, SMTP_PARAMS_VALUE, "AUTH=a@b@c" },
	{ "AUTH=<", ALL, SMTP_PARAMS_VALUE, "AUTH=<" },
	{ "AUTH=\xc3\xa9@b", ALL, SMTP_PARAMS_VALUE, "AUTH=\xc3\xa9@b" },
	{ "MT-PRIORITY=3", ALL, SMTP_PARAMS_OK, "" },
	{ "MT-PRIORITY=-9", ALL, SMTP_PARAMS_OK, "" },
	{ "MT-PRIORITY=10", ALL, SMTP_PARAMS_VALUE, "MT-PRIORITY=10" },
	{ "MT-PRIORITY=-0", ALL, SMTP_PARAMS_VALUE, "MT-PRIORITY=-0" },
	{ "MT-PRIORITY=+3", ALL, SMTP_PARAMS_VALUE, "MT-PRIORITY=+3" },
	{ "REQUIRETLS", ALL, SMTP_PARAMS_OK, "" },
	{ "REQUIRETLS=1", ALL, SMTP_PARAMS_VALUE, "REQUIRETLS=1" },
	{ "NOTIFY=NEVER", ALL, SMTP_PARAMS_UNKNOWN, "NOTIFY=NEVER" },
	{ "XFOO", ALL, SMTP_PARAMS_UNKNOWN, "XFOO" },
	{ "X-FOO=bar SIZE=x", ALL, SMTP_PARAMS_UNKNOWN, "X-FOO=bar" },
	{ "=x", ALL, SMTP_PARAMS_SYNTAX, "=x" },
	{ "-X=1", ALL, SMTP_PARAMS_SYNTAX, "-X=1" },
	{ "X_Y", ALL, SMTP_PARAMS_SYNTAX, "X_Y" },
	{ "<x>", ALL, SMTP_PARAMS_SYNTAX, "<x>" },
	{ "X=\xff", ALL, SMTP_PARAMS_SYNTAX, "X=\xff" },
};

static void
test_mail(void **state)
{
	struct arena *a = arena_new(65536);
	struct smtp_mail_params got;
	struct bytes bad;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(mail); i++) {
		bad = text("");
		assert_row_int(mail[i].params, smtp_mail_params(text(mail[i].params), mail[i].offered, a, &got,
		    &bad), mail[i].want);
		assert_row_bytes(mail[i].params, bad, text(mail[i].bad));
	}
	arena_free(&a);
}

static void
test_mail_values(void **state)
{
	struct arena *a = arena_new(65536);
	struct smtp_mail_params got;

	(void)state;
	assert_int_equal(smtp_mail_params(text("SIZE=99999999999999999999 BODY=8BITMIME SMTPUTF8 RET=HDRS "
	    "ENVID=a+2Bb AUTH=e+3Dmc2@example.com MT-PRIORITY=-4 REQUIRETLS"), ALL, a, &got, NULL), SMTP_PARAMS_OK);
	assert_true(got.size_octets == UINT64_MAX);
	assert_int_equal(got.body, SMTP_BODY_8BITMIME);
	assert_true(got.smtputf8);
	assert_int_equal(got.ret, SMTP_RET_HDRS);
	assert_bytes_equal(got.envid, text("a+b"));
	assert_bytes_equal(got.envid_xtext, text("a+2Bb"));
	assert_bytes_equal(got.auth, text("e=mc2@example.com"));
	assert_int_equal(got.mt_priority, -4);
	assert_true(got.requiretls);
	assert_int_equal(got.given, SMTP_PARAM_SIZE | SMTP_PARAM_BODY | SMTP_PARAM_SMTPUTF8 | SMTP_PARAM_RET
	    | SMTP_PARAM_ENVID | SMTP_PARAM_AUTH | SMTP_PARAM_MT_PRIORITY | SMTP_PARAM_REQUIRETLS);
	assert_int_equal(smtp_mail_params(text("AUTH=<> SIZE=18446744073709551615"), ALL, a, &got, NULL),
	    SMTP_PARAMS_OK);
	assert_int_equal(got.auth.n, 0);
	assert_true(got.size_octets == UINT64_MAX);
	arena_free(&a);
}

static const struct {
	const char *params;
	bool utf8;
	enum smtp_params_result want;
	unsigned notify;
	const char *type, *orcpt;
} rcpt[] = {
	{ "", false, SMTP_PARAMS_OK, 0, "", "" },
	{ "NOTIFY=NEVER", false, SMTP_PARAMS_OK, SMTP_NOTIFY_NEVER, "", "" },
	{ "notify=success,FAILURE,Delay", false, SMTP_PARAMS_OK,
	    SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY, "", "" },
	{ "NOTIFY=NEVER,FAILURE", false, SMTP_PARAMS_VALUE, 5, "", "" },
	{ "NOTIFY=FAILURE,", false, SMTP_PARAMS_VALUE, 0, "", "" },
	{ "NOTIFY=,FAILURE", false, SMTP_PARAMS_VALUE, 0, "", "" },
	{ "NOTIFY=SOMETIMES", false, SMTP_PARAMS_VALUE, 0, "", "" },
	{ "NOTIFY", false, SMTP_PARAMS_VALUE, 0, "", "" },
	{ "NOTIFY=DELAY NOTIFY=DELAY", false, SMTP_PARAMS_TWICE, SMTP_NOTIFY_DELAY, "", "" },
	{ "ORCPT=rfc822;Bob@Example.COM", false, SMTP_PARAMS_OK, 0, "rfc822", "Bob@Example.COM" },
	{ "ORCPT=rfc822;a+2Bb@c+20", false, SMTP_PARAMS_OK, 0, "rfc822", "a+b@c " },
	{ "ORCPT=X-400;/C+3Dus/", false, SMTP_PARAMS_OK, 0, "X-400", "/C=us/" },
	{ "ORCPT=utf-8;\\x{E9}@d", false, SMTP_PARAMS_OK, 0, "utf-8", "\xc3\xa9@d" },
	{ "ORCPT=UTF-8;\xc3\xa9@d", true, SMTP_PARAMS_OK, 0, "UTF-8", "\xc3\xa9@d" },
	{ "ORCPT=utf-8;\xc3\xa9@d", false, SMTP_PARAMS_VALUE, 0, "utf-8", "" },
	{ "ORCPT=rfc822;\xc3\xa9@d", true, SMTP_PARAMS_VALUE, 0, "rfc822", "" },
	{ "ORCPT=rfc822;a@b+0AX", false, SMTP_PARAMS_VALUE, 0, "rfc822", "" },	/* CVE-2020-28026 */
	{ "ORCPT=rfc822;a@b+0DX", false, SMTP_PARAMS_VALUE, 0, "rfc822", "" },
	{ "ORCPT=rfc822;a@b+00", false, SMTP_PARAMS_VALUE, 0, "rfc822", "" },
	{ "ORCPT=rfc822;", false, SMTP_PARAMS_VALUE, 0, "rfc822", "" },
	{ "ORCPT=;a@b", false, SMTP_PARAMS_VALUE, 0, "", "" },
	{ "ORCPT=a@b", false, SMTP_PARAMS_VALUE, 0, "", "" },
	{ "ORCPT=rfc(822;a@b", false, SMTP_PARAMS_VALUE, 0, "rfc(822", "" },
	{ "SIZE=1", false, SMTP_PARAMS_UNKNOWN, 0, "", "" },
};

static void
test_rcpt(void **state)
{
	struct arena *a = arena_new(65536);
	struct smtp_rcpt_params got;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rcpt); i++) {
		assert_row_int(rcpt[i].params, smtp_rcpt_params(text(rcpt[i].params), ALL, rcpt[i].utf8, a, &got,
		    NULL), rcpt[i].want);
		assert_row_int(rcpt[i].params, got.notify, rcpt[i].notify);
		assert_row_bytes(rcpt[i].params, got.orcpt_type, text(rcpt[i].type));
		if (rcpt[i].want == SMTP_PARAMS_OK)
			assert_row_bytes(rcpt[i].params, got.orcpt, text(rcpt[i].orcpt));
	}
	assert_int_equal(smtp_rcpt_params(text("ORCPT=rfc822;a+2Bb@c"), 0, false, a, &got, NULL),
	    SMTP_PARAMS_UNKNOWN);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_mail_values),
		cmocka_unit_test(test_rcpt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
