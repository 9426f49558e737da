/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "proto/tls_required.h"

static const struct { const char *message; bool no; } cases[] = {
	{ "TLS-Required: No\r\n\r\n", true },
	{ "From: a@b.example\r\nTLS-Required: No\r\nTo: b@b.example\r\n\r\nx\r\n", true },
	{ "tls-REQUIRED:nO\n\n", true }, { "TLS-Required : No \t\r\n\r\n", true },
	{ "TLS-Required:\r\n No\r\n\r\n", true }, { "TLS-Required: No\r\n \r\n\r\n", true },
	{ "TLS-Required: No", true },
	{ "", false }, { "TLS-Required", false }, { "TLS-Required:", false }, { "TLS-Required: \r\n\r\n", false },
	{ "TLS-Required: Yes\r\n\r\n", false }, { "TLS-Required: No.\r\n\r\n", false }, { "TLS-Required: N\r\n o\r\n\r\n", false },
	{ "TLS-Required: No\r\n way\r\n\r\n", false }, { "TLS-Required: No (x)\r\n\r\n", false },
	{ "X-TLS-Required: No\r\n\r\n", false }, { "TLS-Require: No\r\n\r\n", false },
	{ "Subject: x\r\n TLS-Required: No\r\n\r\n", false },		/* a folded line */
	{ "\r\nTLS-Required: No\r\n", false }, { "Subject: x\n\nTLS-Required: No\n\n", false },	/* in the body */
	{ "TLS-Required: No\r\nTLS-Required: No\r\n\r\n", false }, { "TLS-Required: Yes\r\nTLS-Required: No\r\n\r\n", false },
	{ "TLS-Required: No\r\nSubject: x\r\nTLS-Required: Maybe\r\n\r\n", false },
};

static void
test_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct tls_required t = { 0 };

		tls_required_feed(&t, text(cases[i].message));
		assert_row_int(cases[i].message, tls_required_is_no(&t), cases[i].no);
	}
}

static void
test_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct bytes all = text(cases[i].message);
		struct tls_required t = { 0 };

		for (size_t k = 0; k < all.n; k++)
			tls_required_feed(&t, bytes_of(all.p + k, 1));
		assert_row_int(cases[i].message, tls_required_is_no(&t), cases[i].no);
	}
}

/* As long as may be, and one octet more. */
static void
test_limit(void **state)
{
	(void)state;
	for (size_t n = TLS_REQUIRED_FIELD; n <= TLS_REQUIRED_FIELD + 1; n++) {
		struct tls_required t = { 0 };

		tls_required_feed(&t, text("TLS-Required:"));
		for (size_t i = strlen("TLS-Required:No"); i < n; i++)
			tls_required_feed(&t, text(" "));
		tls_required_feed(&t, text("No\r\nTo: x\r\n\r\n"));
		assert_int_equal(tls_required_is_no(&t), n == TLS_REQUIRED_FIELD);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_octet_by_octet), cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
