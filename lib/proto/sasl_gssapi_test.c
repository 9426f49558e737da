/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "proto/sasl_gssapi.h"

static const struct { struct bytes message; bool good; const char *identity; } answers[] = {
	{ { (const unsigned char *)"\1\0\0\0", 4 },		true,	"" },
	{ { (const unsigned char *)"\1\0\0\0anna", 8 },		true,	"anna" },
	{ { (const unsigned char *)"\1\0\xff\xff" "a@b", 7 },	true,	"a@b" },
	{ { (const unsigned char *)"\1\0\0", 3 },		false,	"" },
	{ { (const unsigned char *)"", 0 },			false,	"" },
	{ { (const unsigned char *)"\0\0\0\0anna", 8 },		false,	"" },
	{ { (const unsigned char *)"\2\0\0\0anna", 8 },		false,	"" },	/* integrity, which was not offered */
	{ { (const unsigned char *)"\3\0\0\0anna", 8 },		false,	"" },
	{ { (const unsigned char *)"\1\0\0\0an\0na", 9 },	false,	"" },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(answers); i++) {
		struct bytes identity = text(NULL);
		char row[32];

		snprintf(row, sizeof row, "row %zu", i);
		assert_row_int(row, gssapi_answer(answers[i].message, &identity), answers[i].good);
		if (answers[i].good)
			assert_row_bytes(row, identity, text(answers[i].identity));
	}
}

static const struct { const char *principal, *realm, *user; } principals[] = {
	{ "anna@A.EXAMPLE",		"A.EXAMPLE",	"anna" },
	{ "Anna.B-c_d@A.EXAMPLE",	"A.EXAMPLE",	"Anna.B-c_d" },
	{ "anna@a.example",		"A.EXAMPLE",	NULL },		/* realms differ in case: RFC 4120 section 6.1 */
	{ "anna@B.EXAMPLE",		"A.EXAMPLE",	NULL },
	{ "anna@A.EXAMPLE@B.EXAMPLE",	"B.EXAMPLE",	NULL },
	{ "anna\\@A.EXAMPLE",		"A.EXAMPLE",	NULL },
	{ "anna/admin@A.EXAMPLE",	"A.EXAMPLE",	NULL },
	{ "anna b@A.EXAMPLE",		"A.EXAMPLE",	NULL },
	{ "ann\xc3\xa4@A.EXAMPLE",	"A.EXAMPLE",	NULL },
	{ "@A.EXAMPLE",			"A.EXAMPLE",	NULL },
	{ "anna@",			"",		NULL },
	{ "anna",			"A.EXAMPLE",	NULL },
	{ "",				"A.EXAMPLE",	NULL },
	{ "WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS", "WELLKNOWN:ANONYMOUS", NULL },
};

static void
test_principals(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(principals); i++) {
		struct bytes user = text(NULL);
		char row[32];

		snprintf(row, sizeof row, "row %zu", i);
		assert_row_int(row, gssapi_user(text(principals[i].principal), text(principals[i].realm), &user), principals[i].user != NULL);
		if (principals[i].user)
			assert_row_bytes(row, user, text(principals[i].user));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_principals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
