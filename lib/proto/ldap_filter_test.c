/* SPDX-License-Identifier: ISC */
#include "proto/ldap_filter.h"
#include "proto/testing.h"

static const struct { const char *words; bool want; } templates[] = {
	{ "(mail=%s)", true },
	{ "(&(objectClass=person)(|(mail=%s)(uid=%s)))", true },
	{ "(cn=\\28%s\\29)", true },
	{ "mail=%s", false },
	{ "(mail=anna)", false },
	{ "(mail=%s", false },
	{ "(mail=%s))", false },
	{ "(mail=%s)(uid=%s)", false },
	{ "(mail=%d)", false },
	{ "(mail=%s%)", false },
	{ "(mail=%%s)", false },
	{ "(mail=%s)\n", false },
	{ "()", false },
	{ "", false },
};

static void
test_templates(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(templates); i++)
		assert_row_int(templates[i].words, ldap_filter_is_template(text(templates[i].words)), templates[i].want);
}

static void
test_limits(void **state)
{
	char words[LDAP_FILTER_MAX + 2];

	(void)state;
	for (int more = 0; more < 2; more++) {
		snprintf(words, sizeof words, "(mail=%%s%0*d)", LDAP_FILTER_MAX - 9 + more, 0);
		assert_int_equal(strlen(words), LDAP_FILTER_MAX + more);
		assert_int_equal(ldap_filter_is_template(text(words)), !more);
	}
	for (unsigned depth = LDAP_FILTER_DEPTH; depth <= LDAP_FILTER_DEPTH + 1; depth++) {
		size_t n = 0;

		for (unsigned i = 1; i < depth; i++)
			n += (size_t)snprintf(words + n, sizeof words - n, "(!");
		n += (size_t)snprintf(words + n, sizeof words - n, "(a=%%s)");
		for (unsigned i = 1; i < depth; i++)
			n += (size_t)snprintf(words + n, sizeof words - n, ")");
		assert_int_equal(ldap_filter_is_template(text(words)), depth == LDAP_FILTER_DEPTH);
	}
}

#define V(literal)	{ (const unsigned char *)(literal), sizeof(literal) - 1 }
static const struct { struct bytes value; const char *want; } values[] = {
	{ { 0 }, "" },
	{ V("anna@hermod.test"), "anna@hermod.test" },
	{ V("a*b(c)d\\e"), "a\\2ab\\28c\\29d\\5ce" },			/* RFC 4515 section 4 */
	{ V("a\0b"), "a\\00b" },
	{ V("*)(uid=*))(|(uid=*"), "\\2a\\29\\28uid=\\2a\\29\\29\\28|\\28uid=\\2a" },
	{ V("\r\n\t \x7f"), "\\0d\\0a\\09\\20\\7f" },
	{ V("Lu\xc4\x8di\xc4\x87"), "Lu\\c4\\8di\\c4\\87" },		/* RFC 4515 section 4 */
	{ V("\xff\xc0"), "\\ff\\c0" },
	{ V("%s"), "%s" },
};

static void
test_values(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 256);
	for (size_t i = 0; i < LEN(values); i++) {
		buf_clear(&out);
		ldap_filter_escape(values[i].value, &out);
		assert_row_bytes(values[i].want, buf_bytes(&out), text(values[i].want));
	}
	buf_fini(&out);
}

/* A %s in a name is no place. */
static void
test_make(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 29);
	assert_true(ldap_filter_make(text("(|(mail=%s)(uid=%s))"), text("%s*"), &out));
	assert_bytes_equal(buf_bytes(&out), text("(|(mail=%s\\2a)(uid=%s\\2a))"));
	buf_clear(&out);
	assert_false(ldap_filter_make(text("(|(mail=%s)(uid=%s))"), text("*******"), &out));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_templates), cmocka_unit_test(test_limits), cmocka_unit_test(test_values),
		cmocka_unit_test(test_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
