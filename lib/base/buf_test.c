/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "base/testing.h"

static void
test_append(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(b.cap, 0);			/* memory only when needed */
	buf_add(&b, text(""));
	assert_int_equal(b.cap, 0);
	buf_text(&b, "a");
	buf_char(&b, 'b');
	buf_add(&b, OCTETS("\0c"));
	buf_fmt(&b, "%d-%s", 42, "x");
	assert_bytes_equal(buf_bytes(&b), OCTETS("ab\0c42-x"));
	buf_drop(&b, 4);
	assert_bytes_equal(buf_bytes(&b), text("42-x"));
	buf_drop(&b, 4);
	assert_int_equal(b.n, 0);
	buf_u8(&b, 0x01);
	buf_u16(&b, 0x0203);
	buf_u32(&b, 0x04050607);
	buf_u64(&b, 0x08090a0b0c0d0e0f);
	assert_bytes_equal(buf_bytes(&b),
	    OCTETS("\x01\x03\x02\x07\x06\x05\x04\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08"));
	buf_fini(&b);
	assert_null(b.p);
	buf_text(&b, "again");				/* can be used again */
	assert_bytes_equal(buf_bytes(&b), text("again"));
	buf_wipe(&b);
	assert_int_equal(b.cap, 0);
	buf_release(&b);
}

static void
test_limit(void **state)
{
	struct buf b;

	(void)state;
	for (size_t max = 0; max < 200; max++) {
		char *x = test_malloc(max + 2);

		memset(x, 'x', max + 1);
		buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			buf_char(&b, 'x');
		assert_int_equal(b.n, max);
		assert_false(b.full);
		buf_char(&b, 'y');
		assert_true(b.full);
		assert_bytes_equal(buf_bytes(&b), bytes_of(x, max));

		buf_clear(&b);				/* just fits, and one too many, each way */
		buf_add(&b, bytes_of(x, max));
		assert_false(b.full);
		buf_clear(&b);
		buf_add(&b, bytes_of(x, max + 1));
		assert_true(b.full && b.n == 0);
		buf_clear(&b);
		buf_fmt(&b, "%.*s", (int)max, x);
		assert_false(b.full);
		assert_int_equal(b.n, max);
		buf_release(&b);
		buf_fmt(&b, "%.*s", (int)max + 1, x);
		assert_true(b.full && b.n == 0);
		assert_true(b.cap <= max + 1);
		buf_fini(&b);
		test_free(x);
	}
}

static void
test_full_sticks(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_text(&b, "12345678");
	buf_text(&b, "too long");
	buf_text(&b, "9");				/* would fit, but behind a hole */
	buf_fmt(&b, "%d", 9);
	assert_true(b.full);
	assert_null(buf_room(&b, 1));
	assert_bytes_equal(buf_bytes(&b), text("12345678"));
	buf_drop(&b, 8);
	assert_true(b.full);
	buf_clear(&b);
	buf_text(&b, "9");
	assert_bytes_equal(buf_bytes(&b), text("9"));
	buf_fini(&b);
}

static void
test_room(void **state)
{
	struct buf b;
	unsigned char *room;

	(void)state;
	buf_init(&b, 100);
	room = buf_room(&b, 100);
	assert_non_null(room);
	memset(room, 'z', 100);
	b.n += 60;
	assert_non_null(buf_room(&b, 40));
	assert_false(b.full);
	assert_null(buf_room(&b, 41));
	assert_true(b.full);
	buf_clear(&b);
	assert_null(buf_room(&b, SIZE_MAX));
	buf_fini(&b);
}

static void
test_decimal(void **state)
{
	static const uint64_t values[] = { 0, 9, 10, 4294967295u, UINT64_MAX, 1000000 };
	struct buf got, want;

	(void)state;
	buf_init(&got, 100);
	buf_init(&want, 100);
	for (size_t i = 0; i < LEN(values); i++) {
		buf_decimal(&got, values[i]);
		buf_fmt(&want, "%llu", (unsigned long long)values[i]);
	}
	assert_int_equal(got.n, want.n);
	assert_memory_equal(got.p, want.p, want.n);
	buf_fini(&got);
	buf_fini(&want);
	buf_init(&got, 2);
	buf_decimal(&got, 100);
	assert_true(got.full);
	buf_fini(&got);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append), cmocka_unit_test(test_decimal),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_full_sticks),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
