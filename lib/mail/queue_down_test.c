/* SPDX-License-Identifier: ISC */
#include "mail/queue_down.h"
#include "mail/queue_testing.h"

#define CONTENT "Subject: test\r\n\r\nHello.\r\n"

static int
set_up(void **state)
{
	(void)state;
	return test_queue_make("queue_down", true);
}

/* A committed message with n recipients at one next hop, two at most; its id. */
static void
commit_one(struct queue *q, size_t n, char id[QUEUE_ID_MAX + 1])
{
	struct recipient to = { .original = text("a@x.example"), .final = text("a@x.example"), .transport = text("smtp"),
	    .nexthop = text("x.example") }, rcpts[2] = { to, to };
	struct envelope e = { .sender = text("s@x.example"), .arrival_s = 1700000000, .rcpts = rcpts, .nrcpts = n };

	commit_of(q, text(CONTENT), &e, id);
}

static void
same_note(const struct queue_down *a, const struct queue_down *b)
{
	assert_int_equal(a->next_s, b->next_s);
	assert_int_equal(a->since_s, b->since_s);
	assert_int_equal(a->looked_s, b->looked_s);
	assert_int_equal(a->attempts, b->attempts);
	assert_bytes_equal(a->transport, b->transport);
	assert_bytes_equal(a->nexthop, b->nexthop);
	assert_bytes_equal(a->reply, b->reply);
	assert_bytes_equal(a->remote, b->remote);
	assert_bytes_equal(a->command, b->command);
	assert_bytes_equal(a->said, b->said);
}

static const struct queue_down some_note = { .next_s = 1700000000, .since_s = 5, .looked_s = 6, .attempts = 7,
	.transport = { (const unsigned char *)"smtp", 4 }, .nexthop = { (const unsigned char *)"x.example", 9 },
	.reply = { (const unsigned char *)"4.4.1 no", 8 }, .remote = { (const unsigned char *)"mx [192.0.2.1]:25", 17 },
	.command = { (const unsigned char *)"connect", 7 }, .said = { (const unsigned char *)"", 0 } };

static void
test_note_octets(void **state)
{
	struct queue_down got;
	struct buf b;

	(void)state;
	buf_init(&b, QUEUE_DOWN_MAX);
	queue_down_encode(&some_note, &b);
	assert_true(queue_down_decode(buf_bytes(&b), &got));
	same_note(&some_note, &got);
	for (size_t i = 0; i < b.n; i++) {
		assert_false(queue_down_decode(bytes_head(buf_bytes(&b), i), &got));
		b.p[i] ^= 4;
		assert_false(queue_down_decode(buf_bytes(&b), &got));
		b.p[i] ^= 4;
	}
	buf_fini(&b);
}

static void
test_down(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char id[QUEUE_ID_MAX + 1], hash[QUEUE_HASH + 1], again[QUEUE_HASH + 1], name[64];
	struct queue_message *m;
	struct queue_down got;
	unsigned n = 0;
	DIR *d;

	(void)state;
	commit_one(&queue, 1, id);
	m = open_one(&queue, QUEUE_NEW, id);
	assert_true(queue_hop(&m->envelope, hash));
	queue_hop_hash(text("x.example"), again);
	assert_string_equal(hash, again);
	assert_false(queue_down_read(&queue, hash, a, &got));
	assert_null(queue_down_open(&queue, hash));
	assert_true(queue_down_remove(&queue, hash));	/* nothing is nothing */
	assert_true(queue_down_write(&queue, hash, &some_note));
	assert_true(queue_down_read(&queue, hash, a, &got));
	same_note(&some_note, &got);
	assert_int_equal(names_in(&queue, QUEUE_DOWN), 0);
	assert_true(queue_move(&queue, m, QUEUE_DOWN));
	assert_int_equal(names_in(&queue, QUEUE_DOWN), 1);
	assert_true(queue_move(&queue, m, QUEUE_DOWN));	/* where it is already */
	assert_true(queue_down_walk(&queue, count_name, &n));
	assert_int_equal(n, 1);
	assert_non_null(d = queue_down_open(&queue, hash));
	assert_non_null(queue_down_next(d, hash, name));
	assert_string_equal(name, m->name);
	assert_null(queue_down_next(d, hash, name));
	closedir(d);
	assert_false(queue_down_remove(&queue, hash));
	assert_true(queue_down_read(&queue, hash, a, &got));
	queue_message_free(&m);
	snprintf(name, sizeof name, "%s/%s", hash, id);
	m = open_one(&queue, QUEUE_DOWN, name);
	assert_string_equal(m->id, id);
	assert_true(queue_remove(&queue, m));
	assert_true(queue_down_remove(&queue, hash));
	assert_null(queue_down_open(&queue, hash));
	queue_message_free(&m);
	arena_free(&a);
}

/* Without its directory a message still finds its way. */
static void
test_down_unprepared(void **state)
{
	char id[QUEUE_ID_MAX + 1], hash[QUEUE_HASH + 1];
	struct queue_message *m;

	(void)state;
	commit_one(&queue, 2, id);
	m = open_one(&queue, QUEUE_NEW, id);
	assert_true(queue_move(&queue, m, QUEUE_DOWN));
	assert_true(queue_move(&queue, m, QUEUE_ACTIVE));
	m->envelope.rcpts[1].nexthop = text("y.example");
	assert_false(queue_hop(&m->envelope, hash));
	assert_string_equal(hash, "m");
	m->envelope.rcpts[0].state = m->envelope.rcpts[1].state = RCPT_DELIVERED;
	assert_false(queue_hop(&m->envelope, hash));
	queue_message_free(&m);
}

/* Where a file system has to be told, and where each directory has to be. */
static void
test_removed_after_a_sync(void **state)
{
	char id[QUEUE_ID_MAX + 1], hash[QUEUE_HASH + 1];
	struct queue_message *m;

	(void)state;
	queue.sync_dir = true;
	for (int whole = 0; whole < 2; whole++) {
		queue.sync_whole = whole;
		commit_one(&queue, 1, id);
		m = open_one(&queue, QUEUE_NEW, id);
		assert_true(queue_move(&queue, m, QUEUE_DOWN));
		assert_true(queue_hop(&m->envelope, hash));
		assert_true(queue_move(&queue, m, QUEUE_LATER));
		assert_true(queue_down_remove(&queue, hash));
		assert_null(queue_down_open(&queue, hash));
		queue_message_free(&m);
	}
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, test_queue_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_note_octets), T(test_down), T(test_down_unprepared), T(test_removed_after_a_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
