/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "daemon/voucher.h"

static const struct voucher_key key = { "thirty-two octets that are a key", true };

static void
test_holds(void **state)
{
	unsigned char room[VOUCHER_OCTETS], other[VOUCHER_OCTETS];
	struct bytes words = text("anna@a.example"), v = voucher_make(&key, words, 5000, room);
	struct voucher_key another = key;

	(void)state;
	assert_int_equal(v.n, VOUCHER_OCTETS);
	assert_true(voucher_holds(&key, words, v, 5000));
	assert_true(voucher_holds(&key, words, v, 5000 + VOUCHER_MS));
	assert_false(voucher_holds(&key, words, v, 5000 + VOUCHER_MS + 1));
	assert_false(voucher_holds(&key, words, v, 4999));
	assert_false(voucher_holds(&key, text("bert@a.example"), v, 5000));
	assert_false(voucher_holds(&key, text("anna@a.exampl"), v, 5000));
	assert_false(voucher_holds(&key, text(""), v, 5000));
	assert_false(voucher_holds(&key, words, text(""), 5000));
	assert_false(voucher_holds(&key, words, bytes_head(v, VOUCHER_OCTETS - 1), 5000));
	another.octets[31] ^= 1;
	assert_false(voucher_holds(&another, words, v, 5000));
	for (size_t i = 0; i < VOUCHER_OCTETS; i++) {
		memcpy(other, room, sizeof other);
		other[i] ^= 1;
		assert_false(voucher_holds(&key, words, bytes_of(other, sizeof other), 5001));
	}
}

/* A process alone, or a row without the key. */
static void
test_no_key(void **state)
{
	static const struct voucher_key none = { "", false };
	unsigned char room[VOUCHER_OCTETS];

	(void)state;
	assert_int_equal(voucher_make(&none, text("a@b"), 1, room).n, 0);
	assert_false(voucher_holds(&none, text("a@b"), voucher_make(&key, text("a@b"), 1, room), 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holds),
		cmocka_unit_test(test_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
