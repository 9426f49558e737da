/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "base/mem.h"
#include "mail/ipc.h"
#include "mail/queue_names.h"
#include "mail/queue_task.h"
#include "mail/queue_testing.h"

#define NOW 1700000000
#define CONTENT "Subject: test\r\n\r\nHello.\r\n"

static int
set_up(void **state)
{
	(void)state;
	return test_queue_make("queue_task", true);
}

/* ---- messages ---- */

/* One that waits in later/ for recipients at these addresses (NULL: one fewer); its id. */
static void
make(const char *sender, const char *one, const char *two, char id[QUEUE_ID_MAX + 1])
{
	struct recipient rcpts[2];
	struct envelope e = { .sender = text(sender), .arrival_s = NOW - 1000, .attempts = 3, .rcpts = rcpts };
	struct queue_message *m;

	for (int i = 0; i < 2; i++)
		if ((i == 0 ? one : two))
			rcpts[e.nrcpts++] = (struct recipient){ .original = text(i == 0 ? one : two), .final = text(i == 0 ? one : two),
			    .transport = text("local"), .nexthop = text(i == 0 ? one : two), .mailbox = text("maildir:/m"),
			    .attempts = 3, .last_reply = text("4.2.2 full"), .notify = NOTIFY_FAILURE };
	commit_of(&queue, text(CONTENT), &e, id);
	m = open_one(&queue, QUEUE_NEW, id);
	m->envelope.next_s = NOW + 7200;
	assert_true(queue_update(&queue, m) && queue_move(&queue, m, QUEUE_LATER));
	queue_message_free(&m);
}

struct seek { const char *id; enum queue_place place; struct queue_message *m; };

static bool
seek_one(void *arg, const char *name)
{
	struct seek *s = arg;
	char id[QUEUE_ID_MAX + 1];

	if (!s->m && queue_name_id(name, id) && strcmp(id, s->id) == 0)
		assert_int_equal(queue_message_open(&queue, s->place, name, &s->m), QUEUE_READ);
	return true;
}

/* As it is on disk; NULL: it is gone. */
static struct queue_message *
look(const char *id)
{
	struct seek s = { .id = id };

	for (; s.place < QUEUE_PLACES && !s.m; s.place++)
		queue_walk(&queue, s.place, seek_one, &s);
	return s.m;
}

static int
place_of(const char *id)
{
	struct queue_message *m = look(id);
	int place = m ? (int)m->place : -1;

	queue_message_free(&m);
	return place;
}

static unsigned
due(void)
{
	unsigned n = 0;
	struct queue_cursor *c = queue_cursor_new(&queue, QUEUE_LATER);
	const char *name;
	char bucket[9];

	snprintf(bucket, sizeof bucket, "%08x", NOW / 60);
	while ((name = queue_cursor_next(c)))
		n += memcmp(name, bucket, 8) <= 0;
	queue_cursor_free(&c);
	return n;
}

/* ---- orders ---- */

struct told { unsigned n[OBEYED_FAILED + 1]; char why[256]; };

static void
on_told(void *arg, const char *id, const struct envelope *e, enum queue_obeyed result, const char *why)
{
	struct told *told = arg;

	(void)id;
	(void)e;
	told->n[result]++;
	snprintf(told->why, sizeof told->why, "%s", why);
}

/* ids: NULL-ended; NULL: all that fit. */
static struct told
order_with(const struct queue_order *o, const struct queue_filter *f, bool dry, const char *const *ids)
{
	struct told told = { .why = "" };
	struct queue_filter none = { .places = 0 };
	struct queue_task t = { .queue = &queue, .order = o, .filter = f ? f : &none, .dry = dry, .named = ids != NULL,
	    .now_s = NOW, .tell = on_told, .arg = &told };
	struct buf run;

	buf_init(&run, 4096);
	for (; ids && *ids; ids++)
		ipc_add_text(&run, text(*ids));
	assert_true(queue_task_begin(&t, buf_bytes(&run)));
	while (queue_task_step(&t))
		;
	assert_string_equal(t.fault, "");
	queue_task_end(&t);
	buf_fini(&run);
	return told;
}

static struct told
order(enum queue_verb verb, const struct queue_filter *f)
{
	return order_with(&(struct queue_order){ .verb = verb }, f, false, NULL);
}

static struct told
order_one(enum queue_verb verb, const char *id)
{
	return order_with(&(struct queue_order){ .verb = verb }, NULL, false, (const char *const[]){ id, NULL });
}

static void
test_hold_release(void **state)
{
	char a[QUEUE_ID_MAX + 1], b[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	struct told told;

	(void)state;
	make("s@x.example", "anna@x.example", NULL, a);
	make("s@x.example", "bert@x.example", NULL, b);
	told = order_with(&(struct queue_order){ .verb = ORDER_HOLD, .reason = text("why not") },
	    &(struct queue_filter){ .recipient = text("anna*") }, false, NULL);
	assert_int_equal(told.n[OBEYED], 1);
	assert_int_equal(place_of(a), QUEUE_HOLD);
	assert_int_equal(place_of(b), QUEUE_LATER);
	m = look(a);
	assert_bytes_equal(m->envelope.hold_reason, text("why not"));
	queue_message_free(&m);
	assert_int_equal(order_one(ORDER_FLUSH, a).n[OBEYED_NEEDLESS], 1);
	assert_int_equal(order_one(ORDER_RELEASE, b).n[OBEYED_NEEDLESS], 1);
	assert_int_equal(order(ORDER_RELEASE, NULL).n[OBEYED], 1);
	assert_int_equal(place_of(a), QUEUE_LATER);
	assert_int_equal(due(), 1);
	m = look(a);
	assert_int_equal(m->envelope.hold_reason.n, 0);
	assert_int_equal(m->envelope.attempts, 3);
	queue_message_free(&m);
}

static void
test_delete(void **state)
{
	char a[QUEUE_ID_MAX + 1], b[QUEUE_ID_MAX + 1];
	struct told told;

	(void)state;
	make("s@x.example", "anna@x.example", NULL, a);
	make("t@x.example", "bert@x.example", NULL, b);
	told = order_with(&(struct queue_order){ .verb = ORDER_DELETE }, NULL, true, NULL);
	assert_int_equal(told.n[OBEYED], 2);
	assert_int_equal(place_of(a), QUEUE_LATER);
	told = order_with(&(struct queue_order){ .verb = ORDER_DELETE }, NULL, false, (const char *const[]){ a, a, "nosuch", NULL });
	assert_int_equal(told.n[OBEYED], 1);
	assert_int_equal(told.n[OBEYED_FAILED], 1);
	assert_int_equal(place_of(a), -1);
	order_one(ORDER_HOLD, b);
	assert_int_equal(order(ORDER_DELETE, &(struct queue_filter){ .sender = text("t@*") }).n[OBEYED], 1);
	assert_int_equal(place_of(b), -1);
}

/* Another name of it, as a power cut may leave one. */
static void
link_again(const char *id, enum queue_place to, const char *name)
{
	struct queue_message *m = look(id);

	if (to == QUEUE_LATER)
		(void)mkdirat(queue.places[to], "00000001", 0700);
	assert_int_equal(linkat(queue.places[m->place], m->name, queue.places[to], name, 0), 0);
	queue_message_free(&m);
}

static void
test_delete_all_names(void **state)
{
	char id[QUEUE_ID_MAX + 1], other[QUEUE_ID_MAX + 1], bucket[64];
	struct told told;

	(void)state;
	make("s@x.example", "anna@x.example", NULL, id);
	make("s@x.example", "anna@x.example", NULL, other);
	snprintf(bucket, sizeof bucket, "00000001/%s-m", id);
	link_again(id, QUEUE_LATER, bucket);
	link_again(id, QUEUE_ACTIVE, id);
	link_again(id, QUEUE_HOLD, id);
	told = order_with(&(struct queue_order){ .verb = ORDER_DELETE }, NULL, false, (const char *const[]){ id, "nosuch", NULL });
	assert_int_equal(told.n[OBEYED], 1);
	assert_int_equal(told.n[OBEYED_FAILED], 1);
	assert_int_equal(place_of(id), -1);
	assert_int_equal(place_of(other), QUEUE_LATER);
	assert_int_equal(order_one(ORDER_DELETE, other).n[OBEYED], 1);
}

/* Whichever name is found first, or comes back: what was deleted is not delivered. */
static void
test_a_name_that_is_left(void **state)
{
	char id[QUEUE_ID_MAX + 1], why[256];
	struct queue_order o = { .verb = ORDER_DELETE };
	struct queue_ordered did;
	struct queue_message *m;

	(void)state;
	make("s@x.example", "anna@x.example", "bert@x.example", id);
	link_again(id, QUEUE_ACTIVE, id);
	m = open_one(&queue, QUEUE_ACTIVE, id);
	m->envelope.rcpts[1].state = RCPT_PASSED;
	assert_int_equal(queue_order_begin(&queue, m, &o, NOW, &did, why, sizeof why), OBEYED);
	assert_false(did.written);
	queue_message_free(&m);
	m = look(id);
	assert_int_equal(m->place, QUEUE_LATER);
	assert_int_equal(m->envelope.rcpts[0].state, RCPT_TOLD);
	assert_int_equal(m->envelope.rcpts[1].state, RCPT_DELIVERED);
	queue_message_free(&m);
	(void)order_one(ORDER_DELETE, id);
}

/* A flush that asks for no more than names tell opens no file: damaged ones are moved as well. */
static void
test_flush(void **state)
{
	char a[QUEUE_ID_MAX + 1], b[QUEUE_ID_MAX + 1], c[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	int fd;

	(void)state;
	make("s@x.example", "anna@x.example", NULL, a);
	make("s@x.example", "bert@x.example", NULL, b);
	make("s@x.example", "anna@x.example", "bert@x.example", c);
	m = look(b);
	fd = openat(queue.places[QUEUE_LATER], m->name, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd != -1);
	close(fd);
	queue_message_free(&m);
	assert_int_equal(order(ORDER_FLUSH, &(struct queue_filter){ .nexthop = text("carl@x.example") }).n[OBEYED], 0);
	assert_int_equal(due(), 0);
	assert_int_equal(order(ORDER_FLUSH, &(struct queue_filter){ .nexthop = text("bert@x.example") }).n[OBEYED], 2);
	assert_int_equal(due(), 2);
	assert_int_equal(order(ORDER_FLUSH, NULL).n[OBEYED], 3);
	assert_int_equal(due(), 3);
	assert_int_equal(order_one(ORDER_FLUSH, a).n[OBEYED], 1);
}

static void
test_requeue(void **state)
{
	char a[QUEUE_ID_MAX + 1];
	struct queue_message *m;

	(void)state;
	make("s@x.example", "anna@x.example", "bert@x.example", a);
	m = look(a);
	m->envelope.rcpts[0].state = RCPT_DELIVERED;
	m->envelope.rcpts[1].state = RCPT_FAILED;
	m->envelope.rcpts[0].changed = m->envelope.rcpts[1].changed = RCPT_STATE_CHANGED;
	m->envelope.hold_reason = text("not delivered");
	assert_true(queue_update(&queue, m) && queue_move(&queue, m, QUEUE_HOLD));
	queue_message_free(&m);
	assert_int_equal(order(ORDER_REQUEUE, NULL).n[OBEYED], 1);	/* once, though it is come upon where it was moved to */
	m = look(a);
	assert_int_equal(m->place, QUEUE_LATER);
	assert_int_equal(m->envelope.attempts, 0);
	assert_int_equal(m->envelope.rcpts[0].state, RCPT_DELIVERED);
	assert_bytes_equal(m->envelope.rcpts[0].nexthop, text("anna@x.example"));
	assert_int_equal(m->envelope.rcpts[1].state, RCPT_WAITING);
	assert_int_equal(m->envelope.rcpts[1].attempts, 0);
	assert_int_equal(m->envelope.rcpts[1].transport.n + m->envelope.rcpts[1].nexthop.n, 0);
	queue_message_free(&m);
}

static struct bytes
routes_to(struct buf *b, const char *address)
{
	struct ipc_out out;

	ipc_out_init(&out);
	buf_init(b, 4096);
	ipc_put_route(&out, 0, &(struct ipc_route){ .final = text(address), .transport = text("local"),
	    .nexthop = text(address), .mailbox = text("maildir:/n") });
	ipc_add_text(b, ipc_out_body(&out));
	ipc_out_fini(&out);
	return buf_bytes(b);
}

static struct told
change(const char *id, struct queue_change *c, size_t n)
{
	return order_with(&(struct queue_order){ .verb = ORDER_EDIT, .changes = c, .nchanges = n }, NULL, false,
	    (const char *const[]){ id, NULL });
}

static void
test_edit(void **state)
{
	char a[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	struct buf routes;
	struct bytes to_carl = routes_to(&routes, "carl@x.example");
	struct told told;

	(void)state;
	make("s@x.example", "anna@x.example", "bert@x.example", a);
	assert_int_equal(change(a, (struct queue_change[]){ { .kind = CHANGE_SENDER, .to = text("new@x.example") },
	    { .kind = CHANGE_REPLACE, .what = text("ANNA@x.example"), .to = text("carl@x.example"), .routes = to_carl } },
	    2).n[OBEYED], 1);
	m = look(a);
	assert_bytes_equal(m->envelope.sender, text("new@x.example"));
	assert_int_equal(m->envelope.nrcpts, 2);
	assert_bytes_equal(m->envelope.rcpts[0].final, text("bert@x.example"));
	assert_bytes_equal(m->envelope.rcpts[1].final, text("carl@x.example"));
	assert_int_equal(m->envelope.rcpts[1].notify, NOTIFY_FAILURE);
	assert_int_equal(m->envelope.rcpts[1].attempts, 0);
	assert_int_equal(due(), 1);
	queue_message_free(&m);

	/* What fails leaves it as it is, whatever came before in the same order. */
	told = change(a, (struct queue_change[]){ { .kind = CHANGE_REMOVE, .what = text("bert*") },
	    { .kind = CHANGE_REMOVE, .what = text("bert*") } }, 2);
	assert_int_equal(told.n[OBEYED_FAILED], 1);
	told = change(a, (struct queue_change[]){ { .kind = CHANGE_REMOVE, .what = text("*") } }, 1);
	assert_int_equal(told.n[OBEYED_FAILED], 1);
	assert_string_equal(told.why, "no recipient would be left; delete it instead");
	m = look(a);
	assert_int_equal(m->envelope.nrcpts, 2);
	queue_message_free(&m);

	/* What is held stays so. */
	order_one(ORDER_HOLD, a);
	assert_int_equal(change(a, (struct queue_change[]){ { .kind = CHANGE_SENDER } }, 1).n[OBEYED], 1);
	m = look(a);
	assert_int_equal(m->place, QUEUE_HOLD);
	assert_int_equal(m->envelope.sender.n, 0);
	queue_message_free(&m);
	buf_fini(&routes);
}

/* Who was begun is done and told of once, in the order of the walk's end or at the task's. */
static void
test_many_together(void **state)
{
	struct queue_order hold = { .verb = ORDER_HOLD }, requeue = { .verb = ORDER_REQUEUE };
	struct told told = { .why = "" };
	struct queue_task t = { .queue = &queue, .order = &requeue, .filter = &(struct queue_filter){ .places = 0 }, .now_s = NOW,
	    .tell = on_told, .arg = &told };
	char id[QUEUE_ID_MAX + 1];

	(void)state;
	for (int i = 0; i < QUEUE_TASK_FILES + 10; i++)
		make("s@x.example", "anna@x.example", NULL, id);
	assert_int_equal(order_with(&hold, NULL, false, NULL).n[OBEYED], QUEUE_TASK_FILES + 10);
	assert_int_equal(place_of(id), QUEUE_HOLD);

	assert_true(queue_task_begin(&t, text(NULL)));
	for (int i = 0; i < 5; i++)
		assert_true(queue_task_step(&t));
	assert_true(queue_task_at_work(&t));
	assert_int_equal(told.n[OBEYED], 0);
	assert_int_equal(due(), 0);
	while (queue_task_rest(&t))
		;
	assert_false(queue_task_at_work(&t));
	assert_int_equal(told.n[OBEYED], 5);
	assert_int_equal(due(), 5);
	assert_true(queue_task_step(&t));
	queue_task_end(&t);
	assert_int_equal(told.n[OBEYED], 6);
	assert_int_equal(due(), 6);
}

static void
test_a_locked_message(void **state)
{
	char a[QUEUE_ID_MAX + 1];
	struct queue_message *m;

	(void)state;
	make("s@x.example", "anna@x.example", NULL, a);
	m = look(a);
	assert_true(queue_lock(m));
	assert_int_equal(order_one(ORDER_DELETE, a).n[OBEYED_FAILED], 1);
	queue_message_free(&m);
	assert_int_equal(order_one(ORDER_DELETE, a).n[OBEYED], 1);
}

static void
test_a_damaged_file(void **state)
{
	int fd;

	(void)state;
	fd = openat(queue.places[QUEUE_CORRUPT], "3X2xGv6XhXmcf8WQ.7", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd != -1);
	close(fd);
	assert_int_equal(order_one(ORDER_HOLD, "3X2xGv6XhXmcf8WQ").n[OBEYED_FAILED], 1);
	assert_int_equal(order(ORDER_DELETE, NULL).n[OBEYED], 0);
	assert_int_equal(order_one(ORDER_DELETE, "3X2xGv6XhXmcf8WQ").n[OBEYED], 1);
	assert_int_equal(order_one(ORDER_DELETE, "3X2xGv6XhXmcf8WQ").n[OBEYED_FAILED], 1);
}

static void
test_ids_that_make_no_sense(void **state)
{
	struct queue_task t = { .named = true };
	unsigned char run[64] = { 33, 0, 0, 0 };

	(void)state;
	assert_false(queue_task_begin(&t, bytes_of(run, 4 + 32)));	/* cut short */
	assert_false(queue_task_begin(&t, bytes_of(run, 4 + 33)));	/* longer than an id */
	assert_false(queue_task_begin(&t, bytes_of(run, 3)));
	run[0] = 0;
	assert_false(queue_task_begin(&t, bytes_of(run, 4)));		/* empty */
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, test_queue_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_hold_release), T(test_delete), T(test_delete_all_names), T(test_a_name_that_is_left), T(test_flush), T(test_requeue), T(test_edit), 
		T(test_many_together), T(test_a_locked_message), T(test_a_damaged_file), T(test_ids_that_make_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
