/* SPDX-License-Identifier: ISC */
#include "proto/sasl_claim.h"
#include "proto/testing.h"

#define NAME_MAX_ 320

static const struct { const char *message, *user; enum scram_binds binds; const char *binding, *wanted; } scram[] = {
	{ "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "user", SCRAM_BINDS_NOT, "", "" },	/* RFC 5802 section 5 */
	{ "y,,n=user,r=rOprNGfwEbeRWgbNEkqO", "user", SCRAM_COULD_BIND, "", "" },
	{ "p=tls-exporter,,n=user,r=x", "user", SCRAM_BINDS, "tls-exporter", "" },
	{ "p=tls-server-end-point,a=user,n=user,r=x,e=more", "user", SCRAM_BINDS, "tls-server-end-point", "user" },
	{ "n,a=other,n=user@a.example,r=x", "user@a.example", SCRAM_BINDS_NOT, "", "other" },
	{ "n,a==2C=3D,n=user,r=x", "user", SCRAM_BINDS_NOT, "", ",=" },
	{ "n,a=,n=user,r=x", "user", SCRAM_BINDS_NOT, "", "" },
	{ "n,a=a=2cb,n=user,r=x", NULL, 0, NULL, NULL },
	{ "n,,n=a=2Cb=3Dc,r=x", "a,b=c", SCRAM_BINDS_NOT, "", "" },
	{ "n,,n==2C,r=", ",", SCRAM_BINDS_NOT, "", "" },
	{ "n,,n=a=2cb,r=x", NULL, 0, NULL, NULL },			/* RFC 5802 has them in capitals */
	{ "n,,n=a=,r=x", NULL, 0, NULL, NULL },
	{ "n,,n=a=3,r=x", NULL, 0, NULL, NULL },
	{ "n,,n=a=20b,r=x", NULL, 0, NULL, NULL },
	{ "n,,n=,r=x", NULL, 0, NULL, NULL },
	{ "n,,n=user", NULL, 0, NULL, NULL },
	{ "n,,n=user,", NULL, 0, NULL, NULL },
	{ "n,,n=user,s=x", NULL, 0, NULL, NULL },
	{ "n,,m=x,n=user,r=x", NULL, 0, NULL, NULL },			/* an extension that must be understood */
	{ "n,b,n=user,r=x", NULL, 0, NULL, NULL },
	{ "n,n=user,r=x", NULL, 0, NULL, NULL },
	{ "x,,n=user,r=x", NULL, 0, NULL, NULL },
	{ "nn,,n=user,r=x", NULL, 0, NULL, NULL },
	{ "p,,n=user,r=x", NULL, 0, NULL, NULL },
	{ "p=,,n=user,r=x", NULL, 0, NULL, NULL },
	{ "N,,n=user,r=x", NULL, 0, NULL, NULL },
	{ "", NULL, 0, NULL, NULL }, { ",", NULL, 0, NULL, NULL }, { "n", NULL, 0, NULL, NULL }, { "n,,", NULL, 0, NULL, NULL },
};

static void
test_scram(void **state)
{
	struct scram_claim c;
	struct buf user, wanted;

	(void)state;
	buf_init(&user, NAME_MAX_);
	buf_init(&wanted, NAME_MAX_);
	for (size_t i = 0; i < LEN(scram); i++) {
		bool good = scram_claim(text(scram[i].message), &c, &user, &wanted);

		assert_row_int(scram[i].message, good, scram[i].user != NULL);
		if (!good)
			continue;
		assert_row_bytes(scram[i].message, buf_bytes(&user), text(scram[i].user));
		assert_row_int(scram[i].message, c.binds, scram[i].binds);
		assert_row_bytes(scram[i].message, c.binding, text(scram[i].binding));
		assert_row_bytes(scram[i].message, buf_bytes(&wanted), text(scram[i].wanted));
	}
	assert_false(scram_claim(bytes_of("n,,n=a\0b,r=x", 12), &c, &user, &wanted));
	buf_fini(&user);
	buf_fini(&wanted);
}

#define DIGEST "b913a602c7eda7a495b4e6e7334d3890"	/* RFC 2195 section 2 */

static const struct { const char *message, *user; } cram[] = {
	{ "tim " DIGEST, "tim" },
	{ "a b " DIGEST, "a b" },
	{ "  " DIGEST, " " },
	{ " " DIGEST, NULL },
	{ "tim" DIGEST, NULL },
	{ "tim " DIGEST "0", NULL },
	{ "tim\t" DIGEST, NULL },
	{ DIGEST, NULL },
	{ "", NULL },
};

static void
test_cram_md5(void **state)
{
	struct buf user;

	(void)state;
	buf_init(&user, NAME_MAX_);
	for (size_t i = 0; i < LEN(cram); i++) {
		bool good = cram_md5_claim(text(cram[i].message), &user);

		assert_row_int(cram[i].message, good, cram[i].user != NULL);
		if (good)
			assert_row_bytes(cram[i].message, buf_bytes(&user), text(cram[i].user));
	}
	assert_false(cram_md5_claim(bytes_of("t\0m " DIGEST, 4 + 32), &user));
	buf_fini(&user);
}

static void
test_limits(void **state)
{
	struct scram_claim c;
	struct buf user, wanted, m;

	(void)state;
	buf_init(&user, NAME_MAX_);
	buf_init(&wanted, NAME_MAX_);
	buf_init(&m, 1024);
	for (size_t n = NAME_MAX_; n <= NAME_MAX_ + 1; n++) {
		buf_clear(&m);
		buf_text(&m, "n,,n=");
		for (size_t i = 0; i < n; i++)
			buf_char(&m, 'a');
		buf_text(&m, ",r=x");
		assert_int_equal(scram_claim(buf_bytes(&m), &c, &user, &wanted), n == NAME_MAX_);
		buf_clear(&m);
		buf_text(&m, "n,a=");
		for (size_t i = 0; i < n; i++)
			buf_char(&m, 'a');
		buf_text(&m, ",n=a,r=x");
		assert_int_equal(scram_claim(buf_bytes(&m), &c, &user, &wanted), n == NAME_MAX_);
		buf_clear(&m);
		for (size_t i = 0; i < n; i++)
			buf_char(&m, 'a');
		buf_text(&m, " " DIGEST);
		assert_int_equal(cram_md5_claim(buf_bytes(&m), &user), n == NAME_MAX_);
	}
	buf_fini(&m);
	buf_fini(&user);
	buf_fini(&wanted);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_cram_md5),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
