/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/penalty_file.h"

static struct penalty
penalty(enum penalty_of of, uint32_t failures, int64_t last_s, const char *name)
{
	struct penalty p = { .of = of, .failures = failures, .last_s = last_s, .name_n = strlen(name) };

	memcpy(p.name, name, p.name_n);
	return p;
}

static void
test_there_and_back(void **state)
{
	char longest[PENALTY_NAME + 1];
	struct penalty all[] = {
		penalty(PENALTY_ADDRESS, 1, 0, "192.0.2.1"), penalty(PENALTY_ADDRESS, UINT32_MAX, 1732600000, "2001:db8::/64"),
		penalty(PENALTY_ACCOUNT, 7, 1732600001, "anna@hermod.test"), penalty(PENALTY_ACCOUNT, 7, 5, "a b%\n\xff"),
		penalty(PENALTY_ACCOUNT, 2, 6, ""),
	};
	struct penalty got;
	struct bytes rest;
	struct buf lines, file;

	(void)state;
	memset(longest, 0xe4, sizeof longest);
	longest[PENALTY_NAME] = '\0';
	all[4] = penalty(PENALTY_ACCOUNT, 2, 6, longest);
	buf_init(&lines, PENALTY_FILE);
	buf_init(&file, PENALTY_FILE);
	for (size_t i = 0; i < LEN(all); i++)
		penalty_file_add(&lines, &all[i]);
	penalty_file_write(buf_bytes(&lines), &file);
	assert_true(penalty_file_read(buf_bytes(&file), &rest));
	for (size_t i = 0; i < LEN(all); i++) {
		assert_true(penalty_file_next(&rest, &got));
		assert_int_equal(got.of, all[i].of);
		assert_int_equal(got.failures, all[i].failures);
		assert_int_equal(got.last_s, all[i].last_s);
		assert_int_equal(got.name_n, all[i].name_n);
		assert_memory_equal(got.name, all[i].name, got.name_n);
	}
	assert_false(penalty_file_next(&rest, &got));
	buf_clear(&file);
	penalty_file_write(text(NULL), &file);
	assert_true(penalty_file_read(buf_bytes(&file), &rest));	/* of nobody */
	for (size_t i = 0; i < file.n; i++) {
		file.p[i] ^= 1;
		assert_false(penalty_file_read(buf_bytes(&file), &rest));
		file.p[i] ^= 1;
		assert_false(penalty_file_read(bytes_head(buf_bytes(&file), i), &rest));
	}
	buf_fini(&lines);
	buf_fini(&file);
}

static void
test_lines(void **state)
{
	static const struct { const char *line; bool good; } cases[] = {
		{ "address 1 0 192.0.2.1\n", true },
		{ "address 1 253402300799 192.0.2.1\n", true },
		{ "address 1 253402300800 192.0.2.1\n", false },
		{ "address 0 0 192.0.2.1\n", false },
		{ "address 01 0 192.0.2.1\n", false },
		{ "address 4294967295 0 192.0.2.1\n", true },
		{ "address 4294967296 0 192.0.2.1\n", false },
		{ "address -1 0 192.0.2.1\n", false },
		{ "address 1 0 192.0.2.1", false },
		{ "address 1 0 \n", false },
		{ "address 1 0\n", false },
		{ "address 1  0 192.0.2.1\n", false },
		{ "address\n", false },
		{ "\n", false },
		{ "user 1 0 anna\n", false },
		{ "account 1 0 an na\n", false },
		{ "account 1 0 an%20na\n", true },
		{ "account 1 0 an%61na\n", false },	/* there is one way to write it */
		{ "account 1 0 an%2\n", false },
		{ "account 1 0 an%0A\n", false },
		{ "account 1 0 an\xffna\n", false },
	};
	struct penalty p;
	struct buf file;

	(void)state;
	buf_init(&file, PENALTY_FILE);
	for (size_t i = 0; i < LEN(cases); i++) {
		struct bytes rest = text(cases[i].line);

		assert_int_equal(penalty_file_next(&rest, &p), cases[i].good);
		buf_clear(&file);
		penalty_file_write(text(cases[i].line), &file);
		assert_int_equal(penalty_file_read(buf_bytes(&file), &rest), cases[i].good);
	}
	buf_fini(&file);
}

/* A file of as many as there may be, with the longest names, fits; one row more is none of ours. */
static void
test_size(void **state)
{
	struct penalty p = { .of = PENALTY_ACCOUNT, .failures = UINT32_MAX, .last_s = 253402300799, .name_n = PENALTY_NAME };
	struct buf lines, file;
	struct bytes rest;

	(void)state;
	memset(p.name, 0xff, sizeof p.name);
	buf_init(&lines, PENALTY_FILE);
	buf_init(&file, PENALTY_FILE);
	for (size_t i = 0; i < PENALTY_ROWS; i++)
		penalty_file_add(&lines, &p);
	penalty_file_write(buf_bytes(&lines), &file);
	assert_false(lines.full || file.full);
	assert_true(penalty_file_read(buf_bytes(&file), &rest));
	penalty_file_add(&lines, &p);
	assert_false(lines.full);
	buf_clear(&file);
	penalty_file_write(buf_bytes(&lines), &file);
	assert_false(file.full);
	assert_false(penalty_file_read(buf_bytes(&file), &rest));
	buf_fini(&lines);
	buf_fini(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
