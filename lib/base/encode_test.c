/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/testing.h"

/* Nobody outside can tell which names collide: each process has a key of its own. The first test, for a fork has the
 * key that was drawn before it. */
static void
test_hash_of_another_process(void **state)
{
	uint64_t mine, others = 0;
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		mine = hash_bytes(text("anna@hermod.example"));
		_exit(write(ends[1], &mine, sizeof mine) == sizeof mine ? 0 : 1);
	}
	mine = hash_bytes(text("anna@hermod.example"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], &others, sizeof others), sizeof others);
	assert_true(mine != others);
	close(ends[0]);
	close(ends[1]);
}

static void
test_base64(void **state)
{
	/* RFC 4648 section 10. */
	static const char *const cases[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xef\xff", "++//" },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < LEN(cases); i++) {
		buf_clear(&b);
		base64_encode(text(cases[i][0]), &b);
		assert_bytes_equal(buf_bytes(&b), text(cases[i][1]));
		buf_clear(&b);
		assert_true(base64_decode(text(cases[i][1]), &b));
		assert_bytes_equal(buf_bytes(&b), text(cases[i][0]));
	}
	buf_fini(&b);
}

static void
test_bad_base64(void **state)
{
	static const char *const cases[] = {
		"Zg", "Zg=", "Z", "Z===", "====", "=Zg=", "Zg==Zg==", "Zm9v=", "Zm9v====", " Zg=", "Zg==\n",
		"Zm9v\r\nZm9v", "Zh==",		/* unused bits that are not zero */
		"Zm9=", "Zm-_", "Zm\xc3\xa4", "Z=g=", "*m9v",
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_text(&b, "before");
	for (size_t i = 0; i < LEN(cases); i++) {
		assert_row_int(cases[i], base64_decode(text(cases[i]), &b), false);
		assert_row_bytes(cases[i], buf_bytes(&b), text("before"));
	}
	assert_false(base64_decode(OCTETS("Zm\0v"), &b));
	buf_fini(&b);

	buf_init(&b, 5);		/* what does not fit is refused whole */
	assert_false(base64_decode(text("Zm9vYmFy"), &b));
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

static void
test_hex(void **state)
{
	static const char *const bad[] = { "0", "0g", "g0", "00 ", " 00", "0x", "\xff\xff" };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	hex_encode(OCTETS("\0\x7f\xff" "A"), &b);
	assert_bytes_equal(buf_bytes(&b), text("007fff41"));
	buf_clear(&b);
	assert_true(hex_decode(text("007fFF41"), &b));
	assert_bytes_equal(buf_bytes(&b), OCTETS("\0\x7f\xff" "A"));
	for (size_t i = 0; i < LEN(bad); i++) {
		assert_row_int(bad[i], hex_decode(text(bad[i]), &b), false);
		assert_int_equal(b.n, 4);
	}
	buf_fini(&b);
}

static void
test_crc(void **state)
{
	(void)state;
	assert_int_equal(crc32_of(0, text("123456789")), 0xcbf43926);
	assert_int_equal(crc32_of(crc32_of(0, text("12345")), text("6789")), 0xcbf43926);
	assert_int_equal(crc32_of(0, text("")), 0);
	assert_int_equal(crc32_of(0xcbf43926, text(NULL)), 0xcbf43926);
}

/* Short and long ones are counted in different ways. */
static void
test_crc_lengths(void **state)
{
	unsigned char octets[900];
	uint32_t chain = 0;

	(void)state;
	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = (unsigned char)(i * 7 + i / 3);
	for (size_t n = 0; n < 500; n++) {
		uint32_t want = (uint32_t)crc32(chain, octets + n % 7, (unsigned)n);

		assert_int_equal(crc32_of(chain, bytes_of(octets + n % 7, n)), want);
		chain = want;
	}
}

/* Beside OpenSSL's, for all lengths of the last word. */
static void
test_siphash(void **state)
{
	unsigned char key[16], in[64];
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	size_t eight = 8;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t("size", &eight), OSSL_PARAM_construct_end() };

	(void)state;
	assert_non_null(mac);
	random_fill(key, sizeof key);
	random_fill(in, sizeof in);
	for (size_t n = 0; n <= sizeof in; n++) {
		EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
		unsigned char want[8];
		uint64_t v = 0;
		size_t got;

		assert_true(EVP_MAC_init(ctx, key, sizeof key, params) && EVP_MAC_update(ctx, in, n)
		    && EVP_MAC_final(ctx, want, &got, sizeof want));
		for (size_t i = 8; i-- > 0;)
			v = v << 8 | want[i];
		assert_true(hash_keyed(key, bytes_of(in, n)) == v);
		EVP_MAC_CTX_free(ctx);
	}
	EVP_MAC_free(mac);
	assert_true(hash_bytes(text("x")) == hash_bytes(text("x")));
	assert_true(hash_bytes(text("x")) != hash_bytes(text("y")));
	assert_true(hash_bytes(text(NULL)) == hash_bytes(text("")));
}

static void
test_base32(void **state)
{
	static const struct { uint64_t v; unsigned digits; const char *want; } cases[] = {
		{ 0, 0, "" }, { 0, 1, "2" }, { 31, 1, "x" }, { 32, 2, "32" }, { 33, 1, "3" },
		{ UINT64_MAX, 13, "Qxxxxxxxxxxxx" }, { 1, 13, "2222222222223" },
	};
	struct buf b, before;

	(void)state;
	buf_init(&b, 100);
	buf_init(&before, 100);
	for (size_t i = 0; i < LEN(cases); i++) {
		buf_clear(&b);
		base32_u64(cases[i].v, cases[i].digits, &b);
		assert_bytes_equal(buf_bytes(&b), text(cases[i].want));
	}
	for (uint64_t v = 0; v < 5000; v++) {		/* names sort as the numbers do */
		buf_clear(&b);
		base32_u64(v * v * v, 13, &b);
		assert_true(v == 0 || bytes_cmp(buf_bytes(&before), buf_bytes(&b)) < 0);
		buf_clear(&before);
		buf_add(&before, buf_bytes(&b));
	}
	for (const char *c = "aeiouAEIOU01l"; *c; c++)
		assert_null(strchr(BASE32_DIGITS, *c));
	assert_int_equal(strlen(BASE32_DIGITS), 32);
	buf_fini(&b);
	buf_fini(&before);
}

static void
test_random(void **state)
{
	unsigned char a[1000] = { 0 }, b[1000] = { 0 };

	(void)state;
	random_fill(a, sizeof a);
	random_fill(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
	random_fill(a, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_of_another_process),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_bad_base64),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_crc_lengths),
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_base32),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
