/* SPDX-License-Identifier: ISC */
/* Names, read without loading. */
#include "mail/ledger_testing.h"

static uint64_t
place_of(const struct ledger *l, uint32_t uid)
{
	uint64_t at = 1;

	ledger_places(l, &uid, 1, &at);
	return at;
}

static bool
same_state(const struct ledger_state *a, const struct ledger_state *b)
{
	return a->octets == b->octets && memcmp(a->changed, b->changed, sizeof a->changed) == 0;
}

/* Asked for many at once, some of which are not there, the answers are as for each alone. */
static void
check_places(const struct ledger *l, uint32_t last)
{
	uint32_t uids[64] = { 0 };
	uint64_t at[64];
	size_t n = 0;

	for (uint32_t uid = 2; uid <= last + 10; uid += 1 + uid % 3)
		uids[n++] = uid;
	ledger_places(l, uids, n, at);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(at[i], place_of(l, uids[i]));
		assert_int_equal(at[i] != 0, uids[i] <= last);
	}
}

static void
check_names(struct ledger *l, const char *prefix, uint32_t first, uint32_t n)
{
	struct ledger_names names;
	struct ledger_state now;
	char want[32];

	assert_true(ledger_names_open(&names, dir, "m"));
	assert_true(ledger_state(l, &now));
	assert_true(same_state(&now, &names.state));
	for (uint32_t i = 0; i < n; i++) {
		struct bytes name;
		uint64_t at = place_of(l, first + i);

		snprintf(want, sizeof want, "%s%u", prefix, (unsigned)i);
		assert_int_not_equal(at, 0);
		assert_true(ledger_names_get(&names, at, first + i, &name));
		assert_bytes_equal(name, text(want));
		assert_false(ledger_names_get(&names, at, first + i + 1, &name));
		assert_false(ledger_names_get(&names, at + 1, first + i, &name));
	}
	ledger_names_close(&names);
}

static void
test_names(void **state)
{
	struct ledger *l = opened();
	uint32_t uid = 3, flags = MAIL_SEEN;

	(void)state;
	give(l, "a", 20, 1);
	check_names(l, "a", 1, 20);
	assert_true(ledger_set_flags(l, &uid, &flags, 1, true));
	give(l, "b", 20, 21);
	check_names(l, "b", 21, 20);			/* as they were given */
	assert_int_equal(place_of(l, 41), 0);
	check_places(l, 40);
	ledger_free(&l);
	l = opened();
	check_names(l, "a", 1, 20);			/* as they were read */
	ledger_free(&l);
	assert_int_equal(unlinkat(dir, files[0], 0), 0);
	l = opened();
	check_names(l, "b", 21, 20);			/* as they were written anew */
	ledger_free(&l);
}

/* Whoever writes to either copy, or puts another file in its place, cannot hide it. */
static void
test_state(void **state)
{
	struct ledger *l = opened();
	struct ledger_names names;
	struct ledger_state was;
	struct buf b;

	(void)state;
	give(l, "a", 3, 1);
	for (int i = 0; i < 4; i++) {
		struct timespec old[2] = { { 1000000000, 0 }, { 1000000000, 0 } };

		assert_true(ledger_state(l, &was));
		usleep(20000);			/* the clock's tick is over */
		if (i == 0)
			give(l, "b", 1, 4);
		else {
			slurp(files[i % 2], &b);
			if (i < 3)
				overwrite(files[i % 2], buf_bytes(&b));
			else {
				assert_int_equal(unlinkat(dir, files[i % 2], 0), 0);
				overwrite_new(files[i % 2], buf_bytes(&b));
			}
			buf_fini(&b);
			assert_int_equal(utimensat(dir, files[i % 2], old, 0), 0);
		}
		if (ledger_names_open(&names, dir, "m"))
			assert_false(same_state(&was, &names.state));
		ledger_names_close(&names);
		ledger_free(&l);
		l = opened();
	}
	assert_int_equal(unlinkat(dir, files[1], 0), 0);
	assert_true(ledger_state(l, &was));
	assert_true(ledger_names_open(&names, dir, "m"));
	assert_false(same_state(&was, &names.state));
	ledger_names_close(&names);
	ledger_free(&l);
}

static void
test_names_out_of_bounds(void **state)
{
	struct ledger *l = opened();
	struct ledger_names names;
	struct bytes name;
	struct buf b;
	uint64_t at;

	(void)state;
	give(l, "a", 2, 1);
	at = place_of(l, 2);
	assert_int_not_equal(at, 0);
	assert_true(ledger_names_open(&names, dir, "m"));
	for (uint64_t i = 0; i < names.file.n + 20; i++)
		if (i != at)
			assert_false(ledger_names_get(&names, i, 2, &name));
	assert_false(ledger_names_get(&names, UINT64_MAX, 2, &name));
	ledger_names_close(&names);
	give(l, "b", 1, 3);
	ledger_free(&l);
	slurp(files[0], &b);
	overwrite(files[0], bytes_head(buf_bytes(&b), b.n - 1));	/* its last name is cut */
	assert_true(ledger_names_open(&names, dir, "m"));
	assert_false(ledger_names_get(&names, b.n - LEDGER_RECORD - 2, 3, &name));
	assert_true(ledger_names_get(&names, at, 2, &name));
	ledger_names_close(&names);
	overwrite(files[0], bytes_head(buf_bytes(&b), LEDGER_HEADER - 1));
	assert_false(ledger_names_open(&names, dir, "m"));
	overwrite_new("copy", buf_bytes(&b));				/* another inode than it says */
	assert_int_equal(renameat(dir, "copy", dir, files[0]), 0);
	assert_false(ledger_names_open(&names, dir, "m"));
	assert_int_equal(unlinkat(dir, files[0], 0), 0);
	assert_false(ledger_names_open(&names, dir, "m"));
	assert_int_equal(errno, ENOENT);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_names), T(test_state), T(test_names_out_of_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
