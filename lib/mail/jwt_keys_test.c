/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/file.h"
#include "mail/jwt_keys.h"
#include "mail/testing.h"

enum { RSA_A, RSA_B, EC_A, EC_B, ED_A, ED_B, RSA_WEAK, EC_LARGE, KEYS };

static EVP_PKEY *keys[KEYS];
static char files[KEYS][128];
static const char claims[] = "header.claims";

static int
make(void **state)
{
	(void)state;
	if (test_dir_make("jwt_keys", true) != 0)
		return -1;
	keys[RSA_A] = EVP_RSA_gen(2048);
	keys[RSA_B] = EVP_RSA_gen(2048);
	keys[RSA_WEAK] = EVP_RSA_gen(1024);
	keys[EC_A] = EVP_EC_gen("P-256");
	keys[EC_B] = EVP_EC_gen("P-256");
	keys[EC_LARGE] = EVP_EC_gen("P-384");
	keys[ED_A] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	keys[ED_B] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (size_t i = 0; i < KEYS; i++) {
		FILE *f;

		snprintf(files[i], sizeof files[i], "%s/%zu.pem", test_dir, i);
		if (!keys[i] || !(f = fopen(files[i], "we")) || PEM_write_PUBKEY(f, keys[i]) != 1 || fclose(f) != 0)
			return -1;
	}
	return 0;
}

static int
take_away(void **state)
{
	for (size_t i = 0; i < KEYS; i++)
		EVP_PKEY_free(keys[i]);
	return test_dir_remove(state);
}

/* As RFC 7518 has it. */
static struct bytes
sign(EVP_PKEY *key, enum jwt_algorithm a, unsigned char dst[512])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *c = NULL;
	size_t n = 512;
	const unsigned char *p = dst;
	ECDSA_SIG *s;

	assert_int_equal(EVP_DigestSignInit_ex(ctx, &c, a == JWT_EDDSA ? NULL : "SHA256", NULL, NULL, key, NULL), 1);
	if (a == JWT_PS256) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST), 1);
	}
	assert_int_equal(EVP_DigestSign(ctx, dst, &n, (const unsigned char *)claims, strlen(claims)), 1);
	EVP_MD_CTX_free(ctx);
	if (a != JWT_ES256)
		return bytes_of(dst, n);
	assert_non_null(s = d2i_ECDSA_SIG(NULL, &p, (long)n));
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), dst, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), dst + 32, 32), 32);
	ECDSA_SIG_free(s);
	return bytes_of(dst, 64);
}

static struct jwt_keys *
read_keys(const char *a, const char *b)
{
	char *items[] = { (char *)(uintptr_t)a, (char *)(uintptr_t)b };
	struct setting_list l = { items, b ? 2 : 1 };
	char why[512] = "";
	struct jwt_keys *k = jwt_keys_read(&l, why, sizeof why);

	if (!k)
		print_error("%s\n", why);
	return k;
}

static void
test_signatures(void **state)
{
	static const struct { enum jwt_algorithm algorithm; int own, other; } cases[] = {
		{ JWT_RS256, RSA_A, RSA_B }, { JWT_PS256, RSA_A, RSA_B }, { JWT_ES256, EC_A, EC_B }, { JWT_EDDSA, ED_A, ED_B } };

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		unsigned char octets[512];
		struct jwt j = { cases[i].algorithm, text(claims), text("{}"), sign(keys[cases[i].own], cases[i].algorithm, octets) };
		struct jwt_keys *k = read_keys(files[cases[i].other], files[cases[i].own]), *other = read_keys(files[cases[i].other], NULL);

		assert_true(jwt_keys_signed(k, &j));
		assert_false(jwt_keys_signed(other, &j));
		j.signs = text("header.clainss");
		assert_false(jwt_keys_signed(k, &j));
		j.signs = text(claims);
		j.signature.n--;
		assert_false(jwt_keys_signed(k, &j));
		j.signature.n++;
		for (unsigned a = JWT_RS256; a <= JWT_EDDSA; a++) {
			j.algorithm = a;
			assert_int_equal(jwt_keys_signed(k, &j), a == cases[i].algorithm);
		}
		octets[3] ^= 1;
		j.algorithm = cases[i].algorithm;
		assert_false(jwt_keys_signed(k, &j));
		jwt_keys_free(&k);
		jwt_keys_free(&other);
	}
}

/* CVE-2022-21449: both zero. */
static void
test_zero(void **state)
{
	static const unsigned char zero[64];
	struct jwt_keys *k = read_keys(files[EC_A], NULL);
	struct jwt j = { JWT_ES256, text(claims), text("{}"), bytes_of(zero, 64) };

	(void)state;
	assert_false(jwt_keys_signed(k, &j));
	jwt_keys_free(&k);
}

static void
test_files(void **state)
{
	char none[160], garbage[160], *items[JWT_KEYS_MAX + 1];
	const struct { const char *path, *why; } cases[] = {
		{ none, "No such file" }, { garbage, "no public key in it" }, { files[RSA_WEAK], "of another kind" },
		{ files[EC_LARGE], "of another kind" }, { test_dir, "" } };
	struct setting_list l = { items, 1 };
	struct jwt_keys *k;
	char why[512];

	(void)state;
	snprintf(none, sizeof none, "%s/none", test_dir);
	snprintf(garbage, sizeof garbage, "%s/garbage", test_dir);
	assert_true(file_replace(AT_FDCWD, garbage, text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), 0600));
	for (size_t i = 0; i < LEN(cases); i++) {
		items[0] = (char *)(uintptr_t)cases[i].path;
		why[0] = '\0';
		assert_null(jwt_keys_read(&l, why, sizeof why));
		if (!strstr(why, cases[i].why) || !strstr(why, cases[i].path))
			fail_msg("row %zu: %s", i, why);
	}
	for (size_t i = 0; i < LEN(items); i++)
		items[i] = files[EC_A];
	l.n = JWT_KEYS_MAX;
	assert_non_null(k = jwt_keys_read(&l, why, sizeof why));
	jwt_keys_free(&k);
	l.n = JWT_KEYS_MAX + 1;
	assert_null(jwt_keys_read(&l, why, sizeof why));
	assert_non_null(strstr(why, "too many"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, make, take_away);
}
