/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/tally.h"

static struct tally_count
one_more(struct tally_count was, const void *time_s)
{
	return (struct tally_count){ .time_s = *(const uint32_t *)time_s, .n = was.n + 1 };
}

static struct tally_count
nothing(struct tally_count was, const void *arg)
{
	(void)was;
	(void)arg;
	return (struct tally_count){ 0 };
}

static uint32_t
counted(struct tallies *t, unsigned which, const char *name, uint32_t time_s)
{
	return tally_change(t, which, text(name), one_more, &time_s).n;
}

static size_t
rows(struct tallies *t, unsigned which)
{
	struct tally_row row;
	uint32_t at = 0;
	size_t n = 0;

	while (tally_next(t, which, &at, &row))
		n++;
	return n;
}

static void
test_counts(void **state)
{
	struct tallies *t = tallies_new(-1, 2);

	(void)state;
	assert_int_equal(tally_get(t, 0, text("anna")).n, 0);
	assert_int_equal(counted(t, 0, "anna", 5), 0);
	assert_int_equal(counted(t, 0, "anna", 6), 1);
	assert_int_equal(counted(t, 1, "anna", 6), 0);	/* another tally */
	assert_int_equal(counted(t, 0, "", 6), 0);	/* a name, too */
	assert_int_equal(tally_get(t, 0, text("anna")).n, 2);
	assert_int_equal(tally_get(t, 0, text("anna")).time_s, 6);
	assert_int_equal(rows(t, 0), 2);
	tally_clear(t, 0, text("bert"));		/* of whom nothing is known */
	tally_clear(t, 0, text("anna"));
	assert_int_equal(tally_get(t, 0, text("anna")).n, 0);
	assert_int_equal(tally_get(t, 1, text("anna")).n, 1);
	tally_change(t, 1, text("anna"), nothing, NULL);
	assert_int_equal(rows(t, 1), 0);
	counted(t, 1, "anna", 6);
	counted(t, 1, "bert", 6);
	assert_int_equal(tally_clear_all(t, 1), 2);
	assert_int_equal(tally_clear_all(t, 1), 0);
	assert_int_equal(rows(t, 1), 0);
	assert_int_equal(rows(t, 0), 1);
	tallies_free(&t);
	assert_null(t);
}

/* A name is kept up to TALLY_NAME octets, and counted by all of them. */
static void
test_names(void **state)
{
	struct tallies *t = tallies_new(-1, 1);
	char name[TALLY_NAME + 3];
	struct tally_row row;

	(void)state;
	memset(name, 'x', sizeof name);
	for (unsigned longer = 0; longer < 3; longer++) {
		uint32_t at = 0;

		name[TALLY_NAME + longer] = '\0';
		assert_int_equal(counted(t, 0, name, 1), 0);
		assert_true(tally_next(t, 0, &at, &row));
		assert_int_equal(row.name_n, TALLY_NAME);
		assert_int_equal(row.whole, longer == 0);
		assert_memory_equal(row.name, name, TALLY_NAME);
		tally_clear(t, 0, text(name));
		name[TALLY_NAME + longer] = 'x';
	}
	tallies_free(&t);
}

/* However many come, memory is what it is, and whoever came last is counted. */
static void
test_room(void **state)
{
	struct tallies *t = tallies_new(-1, 1);
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 5 * TALLY_NAMES; i++) {
		snprintf(name, sizeof name, "name %u", i);
		assert_int_equal(counted(t, 0, name, 1 + i / 100), 0);
		assert_int_equal(tally_get(t, 0, text(name)).n, 1);
	}
	assert_in_range(rows(t, 0), TALLY_NAMES / 2, TALLY_NAMES);
	tallies_free(&t);
}

/* Those whose last count is the oldest go first. */
static void
test_who_makes_room(void **state)
{
	struct tallies *t = tallies_new(-1, 1);
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 5 * TALLY_NAMES; i++) {
		snprintf(name, sizeof name, "name %u", i);
		assert_int_equal(counted(t, 0, "anna", 10 + i), i);
		counted(t, 0, name, 1);
	}
	tallies_free(&t);
}

static void
test_shared(void **state)
{
	int fd = tallies_share(2);
	struct tallies *one, *two;

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	one = tallies_new(fd, 2);
	two = tallies_new(fd, 2);
	assert_int_equal(counted(one, 1, "anna", 1), 0);
	assert_int_equal(counted(two, 1, "anna", 2), 1);
	assert_int_equal(tally_get(one, 1, text("anna")).n, 2);
	tally_clear(two, 1, text("anna"));
	assert_int_equal(tally_get(one, 1, text("anna")).n, 0);
	assert_true(tallies_first(one));
	assert_false(tallies_first(two));
	tallies_free(&one);
	one = tallies_new(fd, 3);		/* made for two: alone, then */
	assert_true(tallies_first(one));
	tallies_free(&one);
	tallies_free(&two);
	close(fd);
}

/* Four processes count at once: what is lost is what two found no place for in one moment, not what has a place. */
static void
test_at_once(void **state)
{
	int fd = tallies_share(1), status;
	struct tallies *t = tallies_new(fd, 1);
	pid_t pid[4];

	(void)state;
	counted(t, 0, "anna", 1);
	for (unsigned i = 0; i < 4; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			for (unsigned n = 0; n < 10000; n++)
				counted(t, 0, "anna", 2);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	/* One that is too slow sixteen times in a row gives up. */
	assert_in_range(tally_get(t, 0, text("anna")).n, 39900, 40001);
	tallies_free(&t);
	close(fd);
}

static void
test_saving(void **state)
{
	struct tallies *t = tallies_new(-1, 1);

	(void)state;
	assert_false(tallies_changed(t));
	counted(t, 0, "anna", 1);
	assert_true(tallies_changed(t));
	tallies_saved(t);
	assert_false(tallies_changed(t));
	tally_clear(t, 0, text("bert"));
	assert_false(tallies_changed(t));
	tallies_unsaved(t);
	assert_true(tallies_changed(t));
	tallies_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_who_makes_room),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_saving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
