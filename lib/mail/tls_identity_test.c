/* SPDX-License-Identifier: ISC */
#include <openssl/x509v3.h>

#include "base/testing.h"
#include "mail/ipc.h"
#include "mail/tls_identity.h"

#define A64	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define EIGHT	"email:a@x.test,email:b@x.test,email:c@x.test,email:d@x.test,email:e@x.test,email:f@x.test,email:g@x.test,email:h@x.test"

static const struct { const char *names; enum tls_identity want; const char *found; } cases[] = {
	{ NULL,						TLS_IDENTITY_NONE,	"" },
	{ "DNS:a.example",				TLS_IDENTITY_NONE,	"" },
	{ "email:anna@a.example",			TLS_IDENTITY_FOUND,	"anna@a.example " },
	{ "email:Anna@A.Example",			TLS_IDENTITY_FOUND,	"Anna@a.example " },
	{ "DNS:a.example,email:anna@a.example,email:b@b.example", TLS_IDENTITY_FOUND, "anna@a.example b@b.example " },
	{ EIGHT,					TLS_IDENTITY_FOUND,	"a@x.test b@x.test c@x.test d@x.test e@x.test f@x.test "
									"g@x.test h@x.test " },
	{ EIGHT ",email:i@x.test",			TLS_IDENTITY_MANY,	"" },
	{ "email:" A64 "@a.example",			TLS_IDENTITY_FOUND,	A64 "@a.example " },
	{ "email:a" A64 "@a.example",			TLS_IDENTITY_BAD,	"" },
	{ "email:anna",					TLS_IDENTITY_BAD,	"" },	/* a host, RFC 5280 has it for constraints alone */
	{ "email:anna@",				TLS_IDENTITY_BAD,	"" },
	{ "email:<anna@a.example>",			TLS_IDENTITY_BAD,	"" },
	{ "email:anna@a.example bert@a.example",	TLS_IDENTITY_BAD,	"" },
	{ "email:ok@a.example,email:anna",		TLS_IDENTITY_BAD,	"" },
};

static void
take(const X509 *x, enum tls_identity want, const char *found, const char *row)
{
	struct buf run, list;
	struct bytes rest;
	bool bad = false;

	buf_init(&run, TLS_IDENTITY_MAX);
	buf_init(&list, 4096);
	assert_row_int(row, tls_identity(x, &run), want);
	rest = buf_bytes(&run);
	while (rest.n > 0 && !bad) {
		buf_add(&list, ipc_cut_text(&rest, &bad));
		buf_char(&list, ' ');
	}
	assert_false(bad);
	assert_row_bytes(row, buf_bytes(&list), text(found));
	assert_true((tls_identity_text(want)[0] == '\0') == (want == TLS_IDENTITY_FOUND));
	buf_fini(&run);
	buf_fini(&list);
}

static void
test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		X509 *x = X509_new();
		X509_EXTENSION *e = cases[i].names ? X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, cases[i].names) : NULL;
		char row[32];

		assert_true(cases[i].names == NULL || e != NULL);
		if (e)
			assert_int_equal(X509_add_ext(x, e, -1), 1);
		snprintf(row, sizeof row, "row %zu", i);
		take(x, cases[i].want, cases[i].found, row);
		X509_EXTENSION_free(e);
		X509_free(x);
	}
}

/* As octets: a SEQUENCE of one rfc822Name [1]. */
static void
test_octets(void **state)
{
	static const struct { struct bytes der; enum tls_identity want; const char *found; } rows[] = {
		{ { (const unsigned char *)"\x30\x05\x81\x03" "a@b", 7 },	TLS_IDENTITY_FOUND,	"a@b " },
		{ { (const unsigned char *)"\x30\x05\x81\x03" "a\0b", 7 },	TLS_IDENTITY_BAD,	"" },
		{ { (const unsigned char *)"\x30\x09\x81\x07" "a@b\0@cd", 11 },	TLS_IDENTITY_BAD,	"" },
		{ { (const unsigned char *)"\x30\x06\x81\x04" "\xc3\xa4@b", 8 },	TLS_IDENTITY_BAD,	"" },
		{ { (const unsigned char *)"\x30\x02\x81\x00", 4 },		TLS_IDENTITY_BAD,	"" },
		{ { (const unsigned char *)"\x30\x00", 2 },			TLS_IDENTITY_NONE,	"" },
		{ { (const unsigned char *)"\x30\x05\x81\x09" "a@b", 7 },	TLS_IDENTITY_BAD,	"" },
		{ { (const unsigned char *)"", 0 },				TLS_IDENTITY_BAD,	"" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		for (int twice = 0; twice < 2; twice++) {
			ASN1_OCTET_STRING *o = ASN1_OCTET_STRING_new();
			X509 *x = X509_new();
			X509_EXTENSION *e;
			char row[32];

			assert_int_equal(ASN1_OCTET_STRING_set(o, rows[i].der.p, (int)rows[i].der.n), 1);
			e = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, o);
			for (int n = 0; n <= twice; n++)
				assert_int_equal(X509_add_ext(x, e, -1), 1);
			snprintf(row, sizeof row, "row %zu, %d", i, twice);
			take(x, twice ? TLS_IDENTITY_BAD : rows[i].want, twice ? "" : rows[i].found, row);
			X509_EXTENSION_free(e);
			ASN1_OCTET_STRING_free(o);
			X509_free(x);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
