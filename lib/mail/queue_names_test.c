/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "mail/queue_names.h"
#include "mail/queue_testing.h"

#define NOW 1700000059
#define ID "3X2xGv6XhXmcf8WQ"

static int
set_up(void **state)
{
	(void)state;
	return test_queue_make("queue_names", true);
}

static void
put(enum queue_place place, const char *name)
{
	int fd = openat(queue.places[place], name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	close(fd);
}

static void
put_in(enum queue_place place, const char *dir, const char *base)
{
	char name[128];

	assert_true(dir_make(queue.places[place], dir, 0700));
	snprintf(name, sizeof name, "%s/%s", dir, base);
	put(place, name);
}

static bool
is_there(enum queue_place place, const char *name)
{
	return faccessat(queue.places[place], name, F_OK, 0) == 0;
}

static void
test_ids(void **state)
{
	static const struct { const char *name, *id; } rows[] = {
		{ ID, ID }, { "02222222/" ID "-0123abcd", ID }, { "02222222/" ID "-m", ID }, { "0123abcd/" ID, ID },
		{ ID ".1", ID }, { ID "-m.999", ID },
		{ "22222222222222222222222222222222", "22222222222222222222222222222222" },
		{ "222222222222222222222222222222222", NULL },	/* one more than QUEUE_ID_MAX */
		{ "", NULL }, { "a b", NULL }, { "-m", NULL }, { "x.", NULL }, { "x.y", NULL }, { ".1", NULL }, { "a/", NULL },
		{ "\xc3\xa4", NULL },
	};
	char id[QUEUE_ID_MAX + 1];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		bool good = queue_name_id(rows[i].name, id);

		assert_row_int(rows[i].name, good, rows[i].id != NULL);
		if (good)
			assert_row_bytes(rows[i].name, text(id), text(rows[i].id));
	}
}

static void
test_next_hops(void **state)
{
	char hash[QUEUE_HASH + 1], later[64], down[64];

	(void)state;
	queue_hop_hash(text("x.example"), hash);
	snprintf(later, sizeof later, "02222222/%s-%s", ID, hash);
	snprintf(down, sizeof down, "%s/%s", hash, ID);
	assert_true(queue_name_hop(QUEUE_LATER, later, text("x.example")) && queue_name_tells_hop(QUEUE_LATER, later));
	assert_false(queue_name_hop(QUEUE_LATER, later, text("y.example")));
	assert_true(queue_name_hop(QUEUE_DOWN, down, text("x.example")) && queue_name_tells_hop(QUEUE_DOWN, down));
	assert_false(queue_name_hop(QUEUE_DOWN, down, text("y.example")));
	assert_true(queue_name_hop(QUEUE_LATER, "02222222/" ID "-m", text("y.example")));
	assert_false(queue_name_tells_hop(QUEUE_LATER, "02222222/" ID "-m"));
	assert_true(queue_name_hop(QUEUE_NEW, ID, text("y.example")));
	assert_false(queue_name_tells_hop(QUEUE_NEW, ID));
}

static void
test_hurry(void **state)
{
	char bucket[9], want[64];

	(void)state;
	snprintf(bucket, sizeof bucket, "%08x", NOW / 60);
	put_in(QUEUE_LATER, "0fffffff", ID "-m");
	put_in(QUEUE_LATER, "00000001", "OLD-m");
	put_in(QUEUE_DOWN, "0123abcd", "DOWN");
	assert_true(queue_hurry(&queue, QUEUE_LATER, "0fffffff/" ID "-m", NOW));
	snprintf(want, sizeof want, "%s/" ID "-m", bucket);
	assert_true(is_there(QUEUE_LATER, want) && !is_there(QUEUE_LATER, "0fffffff/" ID "-m"));
	assert_true(queue_hurry(&queue, QUEUE_LATER, want, NOW));	/* due already: it stays where it is */
	assert_true(is_there(QUEUE_LATER, want));
	assert_true(queue_hurry(&queue, QUEUE_LATER, "00000001/OLD-m", NOW) && is_there(QUEUE_LATER, "00000001/OLD-m"));
	assert_true(queue_hurry(&queue, QUEUE_DOWN, "0123abcd/DOWN", NOW) && is_there(QUEUE_DOWN, "0123abcd/DOWN"));
}

static void
test_what_cannot_be_hurried(void **state)
{
	static const struct { const char *name; enum queue_place place; int64_t now_s; int want; } rows[] = {
		{ "0fffffff/GONE-m", QUEUE_LATER, NOW, ENOENT }, { "0123abcd/GONE", QUEUE_DOWN, NOW, ENOENT },
		{ ID, QUEUE_NEW, NOW, EINVAL }, { ID, QUEUE_LATER, NOW, EINVAL }, { "0ff/" ID "-m", QUEUE_LATER, NOW, EINVAL },
		{ "0fffffff/" ID "-m", QUEUE_LATER, -1, EINVAL }, { "0fffffff/" ID "-m", QUEUE_LATER, INT64_MAX, EINVAL },
		{ "0fffffff/222222222222222222222222222222222222222222222222222222-m", QUEUE_LATER, NOW, ENAMETOOLONG },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		assert_row_int(rows[i].name, queue_hurry(&queue, rows[i].place, rows[i].name, rows[i].now_s), false);
		assert_row_int(rows[i].name, errno, rows[i].want);
	}
}

static void
test_sync(void **state)
{
	(void)state;
	put_in(QUEUE_LATER, "00000001", "A-m");
	assert_true(queue_sync(&queue, QUEUE_LATER, "00000001/A-m"));
	assert_true(queue_sync(&queue, QUEUE_LATER, "00000002/gone-m"));
	assert_true(queue_sync(&queue, QUEUE_DOWN, "0123abcd/gone"));
	assert_true(queue_sync(&queue, QUEUE_NEW, ID));
	put(QUEUE_LATER, "00000003");
	assert_false(queue_sync(&queue, QUEUE_LATER, "00000003/A-m"));	/* no directory */
}

static unsigned
count(enum queue_place place)
{
	struct queue_cursor *c = queue_cursor_new(&queue, place);
	unsigned n = 0;

	while (queue_cursor_next(c))
		n++;
	assert_int_equal(errno, 0);
	assert_null(queue_cursor_next(c));	/* and stays at the end */
	queue_cursor_free(&c);
	assert_null(c);
	return n;
}

static void
test_cursor(void **state)
{
	(void)state;
	for (enum queue_place place = 0; place < QUEUE_PLACES; place++)
		assert_int_equal(count(place), 0);
	put(QUEUE_NEW, "A");
	put(QUEUE_NEW, "B");
	put(QUEUE_NEW, ".hidden");
	put_in(QUEUE_LATER, "00000001", "A-m");
	put_in(QUEUE_LATER, "00000001", "B-m");
	put_in(QUEUE_LATER, "00000002", "C-m");
	put_in(QUEUE_LATER, "0000000x", "D-m");
	put(QUEUE_LATER, "00000009");		/* no directory */
	put_in(QUEUE_DOWN, "0123abcd", "E");
	put_in(QUEUE_DOWN, "0123abcd", ".next-hop");
	assert_int_equal(count(QUEUE_NEW), 2);
	assert_int_equal(count(QUEUE_LATER), 3);
	assert_int_equal(count(QUEUE_DOWN), 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, test_queue_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ids), T(test_next_hops), T(test_hurry), T(test_what_cannot_be_hurried), T(test_sync), T(test_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
