/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "fetch/fetch.h"

static const struct kept one = { .fetched_s = 1472631420, .used_s = 0 };

static void
test_round(void **state)
{
	struct kept k = one, got;
	struct buf file;
	char name[KEPT_NAME];

	(void)state;
	k.domain = text("example.org");
	k.id = text("20160831085700Z");
	k.body = text("version: STSv1\r\n\nmode: none\n");
	buf_init(&file, KEPT_MAX);
	kept_write(&k, &file);
	assert_true(kept_read(buf_bytes(&file), &got));
	assert_bytes_equal(got.domain, k.domain);
	assert_bytes_equal(got.id, k.id);
	assert_bytes_equal(got.body, k.body);
	assert_true(got.fetched_s == k.fetched_s && got.used_s == 0);
	kept_name(k.domain, name);
	assert_string_equal(name, "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b5");
	buf_fini(&file);
}

/* Whatever octet is changed, or wherever it ends. */
static void
test_damage(void **state)
{
	struct kept k = one, got;
	struct buf file;

	(void)state;
	k.domain = text("example.org");
	k.body = text("mode: none\n");
	buf_init(&file, KEPT_MAX);
	kept_write(&k, &file);
	for (size_t i = 0; i < file.n; i++) {
		file.p[i] ^= 1;
		assert_row_int("flipped", kept_read(buf_bytes(&file), &got), false);
		file.p[i] ^= 1;
		assert_row_int("cut", kept_read(bytes_head(buf_bytes(&file), i), &got), false);
	}
	assert_true(kept_read(buf_bytes(&file), &got));
	buf_char(&file, 'x');
	assert_false(kept_read(buf_bytes(&file), &got));
	buf_fini(&file);
}

static bool
fits(size_t domain, size_t id, size_t body)
{
	static char octets[MTA_STS_POLICY_MAX + 2];
	struct kept k = one, got;
	struct buf file;
	bool good;

	memset(octets, 'a', sizeof octets);
	k.domain = bytes_of(octets, domain);
	k.id = bytes_of(octets, id);
	k.body = bytes_of(octets, body);
	buf_init(&file, 2 * KEPT_MAX);
	kept_write(&k, &file);
	good = kept_read(buf_bytes(&file), &got);
	buf_fini(&file);
	return good;
}

static void
test_limits(void **state)
{
	(void)state;
	assert_true(fits(253, MTA_STS_ID_MAX, MTA_STS_POLICY_MAX));
	assert_true(fits(1, 0, 0));
	assert_false(fits(254, 1, 1));
	assert_false(fits(0, 1, 1));
	assert_false(fits(1, MTA_STS_ID_MAX + 1, 1));
	assert_false(fits(1, 1, MTA_STS_POLICY_MAX + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
