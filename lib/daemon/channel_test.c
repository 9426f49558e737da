/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/channel.h"
#include "daemon/testing.h"

static struct loop loop;

/* One end of a channel, and what has happened to it. */
struct end {
	struct channel	*c;
	unsigned	 asked, answered, nulls, gone;
	uint32_t	 last;		/* `reported.sessions` of the last answer */
	bool		 mute;		/* does not answer */
	bool		 refuse;	/* takes no question */
	bool		 close_on_answer, close_on_gone;
	uint32_t	 kept_id;
	int		 got_fd;
};

static void
put_report(struct ipc_out *out)
{
	ipc_put_report(out, 0, &(struct ipc_report){ 0 });
}

static void
answer_with(struct channel *c, uint32_t id, uint32_t n)
{
	struct ipc_out out;

	ipc_out_init(&out);
	ipc_put_reported(&out, id, &(struct ipc_reported){ .sessions = n });
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
}

static bool
on_frame(void *arg, struct channel *c, struct ipc_in *in)
{
	struct end *e = arg;
	struct ipc_report m;
	struct ipc_file f;

	if (e->refuse)
		return false;
	if (in->type == IPC_file) {
		assert_true(ipc_get_file(in, &f));
		if (e->got_fd > 0)
			close(e->got_fd);
		e->got_fd = f.fd;
	} else if (!ipc_get_report(in, &m)) {
		return false;
	}
	e->kept_id = in->id;
	e->asked++;
	if (!e->mute)
		answer_with(c, in->id, e->asked);
	return true;
}

static void
on_gone(void *arg, struct channel *c)
{
	struct end *e = arg;

	assert_true(c == e->c);
	e->gone++;
	if (e->close_on_gone)
		channel_close(&e->c);
	e->c = NULL;
}

static void
on_answer(void *arg, struct ipc_in *in)
{
	struct end *e = arg;
	struct ipc_reported m;

	if (in) {
		e->answered++;
		assert_true(ipc_get_reported(in, &m));
		e->last = m.sessions;
	} else {
		e->nulls++;
	}
	if (e->close_on_answer)
		channel_close(&e->c);
}

static uint64_t
ask(struct end *e, unsigned timeout_ms)
{
	struct ipc_out out;
	uint64_t call;

	ipc_out_init(&out);
	put_report(&out);
	call = channel_call(e->c, &out, timeout_ms, on_answer, e);
	ipc_out_fini(&out);
	assert_true(call != 0);
	return call;
}

static void
connect_ends(struct end *a, struct end *b)
{
	int fds[2];

	loop_init(&loop);
	assert_true(ipc_pair(fds));
	a->c = channel_new(&loop, fds[0], on_frame, on_gone, a);
	b->c = channel_new(&loop, fds[1], on_frame, on_gone, b);
	channel_is_asked(b->c);
}

static void
disconnect(struct end *a, struct end *b)
{
	channel_close(&a->c);
	channel_close(&b->c);
	run_ms(&loop, 1);
	loop_fini(&loop);
}

static void
test_calls(void **state)
{
	struct end a = { 0 }, b = { 0 };

	(void)state;
	connect_ends(&a, &b);
	for (unsigned i = 0; i < 500; i++) {	/* both ask at once, with more than one round takes */
		ask(&a, 5000);
		ask(&b, 5000);
	}
	assert_int_equal(a.answered, 0);
	assert_int_equal(channel_waiting(a.c), 500);
	run_ms(&loop, 50);
	assert_int_equal(a.answered, 500);
	assert_int_equal(b.answered, 500);
	assert_int_equal(a.last, 500);
	assert_int_equal(a.asked, 500);
	assert_int_equal(channel_waiting(a.c), 0);
	assert_int_equal(a.nulls + b.nulls + a.gone + b.gone, 0);
	disconnect(&a, &b);
}

static void
test_deadlines(void **state)
{
	struct end a = { 0 }, b = { .mute = true };
	uint64_t cancelled;

	(void)state;
	connect_ends(&a, &b);
	ask(&a, 20);
	ask(&a, 100);
	cancelled = ask(&a, 30);
	ask(&a, 5000);
	channel_cancel(a.c, cancelled);
	channel_cancel(a.c, cancelled);
	channel_cancel(a.c, 0);
	run_ms(&loop, 60);
	assert_int_equal(a.nulls, 1);
	run_ms(&loop, 80);
	assert_int_equal(a.nulls, 2);
	assert_int_equal(b.asked, 4);
	answer_with(b.c, b.kept_id - 1, 3);	/* to the one that was cancelled: dropped */
	answer_with(b.c, b.kept_id, 9);
	run_ms(&loop, 20);
	assert_int_equal(a.answered, 1);
	assert_int_equal(a.last, 9);
	assert_int_equal(a.gone + b.gone, 0);
	disconnect(&a, &b);
}

static void
test_gone(void **state)
{
	struct end a = { 0 }, b = { .mute = true };

	(void)state;
	connect_ends(&a, &b);
	ask(&a, 5000);
	ask(&a, 5000);
	run_ms(&loop, 10);
	answer_with(b.c, b.kept_id, 7);		/* then it goes, with a question unread: its answer counts */
	ask(&a, 5000);
	channel_close(&b.c);
	ask(&a, 5000);
	run_ms(&loop, 10);
	assert_int_equal(a.answered, 1);
	assert_int_equal(a.last, 7);
	assert_int_equal(a.nulls, 3);
	assert_int_equal(a.gone, 1);
	disconnect(&a, &b);
}

static void
test_close_in_callbacks(void **state)
{
	struct end a = { .close_on_answer = true }, b = { 0 };

	(void)state;
	connect_ends(&a, &b);
	ask(&a, 5000);
	ask(&a, 5000);
	ask(&a, 5000);
	run_ms(&loop, 10);
	assert_null(a.c);
	assert_int_equal(a.answered, 1);
	assert_int_equal(a.nulls, 2);
	assert_int_equal(a.gone, 0);		/* it closed by itself */
	assert_int_equal(b.gone, 1);
	disconnect(&a, &b);

	a = (struct end){ .close_on_gone = true };
	b = (struct end){ 0 };
	connect_ends(&a, &b);
	ask(&a, 5000);
	channel_close(&b.c);
	run_ms(&loop, 10);
	assert_int_equal(a.gone, 1);
	assert_int_equal(a.nulls, 1);
	disconnect(&a, &b);
}

static void
test_no_sense(void **state)
{
	struct end a = { 0 }, b = { .refuse = true };

	(void)state;
	connect_ends(&a, &b);
	ask(&a, 5000);
	run_ms(&loop, 10);
	assert_int_equal(b.gone, 1);
	assert_int_equal(a.gone, 1);
	assert_int_equal(a.nulls, 1);
	disconnect(&a, &b);
}

static void
test_not_ours(void **state)
{
	static const struct { const char *name, *octets; size_t n; } cases[] = {
		{ "garbage", "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9 },
		{ "short", "x", 1 },
		{ "no hello", "\x08\0\0\0\1\0\0\0", 8 },
		{ "another version", "\1\0\0\0\0\0\0\0\1\2\3\4\5\6\7\x8", 16 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct end a = { 0 };
		int fds[2];

		loop_init(&loop);
		assert_true(ipc_pair(fds));
		a.c = channel_new(&loop, fds[0], on_frame, on_gone, &a);
		assert_int_equal(send(fds[1], cases[i].octets, cases[i].n, 0), cases[i].n);
		run_ms(&loop, 5);
		if (a.gone != 1 || a.asked != 0)
			fail_msg("%s: gone %u asked %u", cases[i].name, a.gone, a.asked);
		close(fds[1]);
		loop_fini(&loop);
	}
}

/* A peer that does not read: frames wait here, with descriptors of their own, up to CHANNEL_QUEUE. */
static void
test_queue(void **state)
{
	struct end a = { 0 }, b = { .mute = true };
	struct ipc_out out;
	unsigned sent = 0;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	connect_ends(&a, &b);
	ipc_out_init(&out);
	ipc_put_file(&out, 0, &(struct ipc_file){ .name = text("x"), .fd = null });
	for (; sent < 600; sent++)
		channel_send(a.c, &out);
	close(null);
	run_ms(&loop, 50);
	assert_int_equal(b.asked, sent);
	assert_true(b.got_fd > 0 && fcntl(b.got_fd, F_GETFD) != -1);
	close(b.got_fd);
	for (unsigned i = 0; i < 5 * CHANNEL_QUEUE; i++) {
		put_report(&out);
		channel_send(a.c, &out);
	}
	assert_int_equal(a.gone, 0);		/* said from the loop, not from within the call */
	run_ms(&loop, 50);
	assert_int_equal(a.gone, 1);
	ipc_out_fini(&out);
	disconnect(&a, &b);
}

static void
test_peers(void **state)
{
	struct end a = { 0 }, b = { 0 }, far[3] = { { .mute = true }, { .mute = true }, { .mute = true } };
	struct peers *p = peers_new("router");
	struct channel *near[3];
	struct ipc_out out;
	uint64_t call;

	(void)state;
	connect_ends(&a, &b);
	ipc_out_init(&out);
	put_report(&out);
	assert_null(peers_pick(p));
	peers_call(p, &out, 5000, on_answer, &a);	/* nobody is there */
	call = peers_call(p, &out, 5000, on_answer, &a);
	peers_cancel(p, call);
	assert_int_equal(a.nulls, 0);
	run_ms(&loop, 5);
	assert_int_equal(a.nulls, 1);
	for (unsigned i = 0; i < 3; i++) {
		int fds[2];

		assert_true(ipc_pair(fds));
		near[i] = channel_new(&loop, fds[0], NULL, NULL, NULL);
		far[i].c = channel_new(&loop, fds[1], on_frame, on_gone, &far[i]);
		channel_is_asked(far[i].c);
		peers_add(p, i, near[i]);
	}
	assert_int_equal(peers_count(p), 3);
	for (unsigned i = 0; i < 9; i++)
		call = peers_call(p, &out, 5000, on_answer, &a);
	run_ms(&loop, 5);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(far[i].asked, 3);
	peers_cancel(p, call);
	assert_int_equal(channel_waiting(near[0]) + channel_waiting(near[1]) + channel_waiting(near[2]), 8);
	channel_close(&far[1].c);		/* leaves by itself */
	run_ms(&loop, 5);
	assert_int_equal(peers_count(p), 2);
	assert_int_equal(a.nulls, 4 - (channel_waiting(near[0]) + channel_waiting(near[2]) == 6));
	assert_true(peers_by_serial(p, channel_serial(near[2])) == near[2]);
	{					/* a new one in slot 0: the old one still answers */
		int fds[2];
		unsigned before = a.answered;

		assert_true(ipc_pair(fds));
		near[1] = channel_new(&loop, fds[0], NULL, NULL, NULL);
		far[1] = (struct end){ .c = channel_new(&loop, fds[1], on_frame, on_gone, &far[1]) };
		peers_add(p, 0, near[1]);
		assert_int_equal(peers_count(p), 2);
		assert_true(peers_by_serial(p, channel_serial(near[0])) == near[0]);
		answer_with(far[0].c, far[0].kept_id, 5);
		run_ms(&loop, 5);
		assert_int_equal(a.answered, before + (call >> 32 != channel_serial(near[0])));
		for (unsigned i = 0; i < 6; i++)
			assert_true(peers_pick(p) != near[0]);
	}
	peers_free(&p);
	run_ms(&loop, 5);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(far[i].gone, 1);
	ipc_out_fini(&out);
	disconnect(&a, &b);
}

/* Between the send that found the peer gone and the loop's word of it, a call can still be cancelled. */
static void
test_cancel_on_a_broken_channel(void **state)
{
	struct end a = { 0 }, b = { .mute = true };
	struct peers *p = peers_new("router");
	struct ipc_out out;
	uint64_t call;

	(void)state;
	connect_ends(&a, &b);
	peers_add(p, 0, a.c);
	call = ask(&a, 5000);
	run_ms(&loop, 5);
	channel_close(&b.c);
	ipc_out_init(&out);
	put_report(&out);
	channel_send(a.c, &out);		/* finds out */
	ipc_out_fini(&out);
	assert_null(peers_by_serial(p, call >> 32));
	peers_cancel(p, call);
	run_ms(&loop, 5);
	assert_int_equal(a.gone, 1);
	assert_int_equal(a.nulls, 0);
	peers_free(&p);
	disconnect(&a, &b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_close_in_callbacks),
		cmocka_unit_test(test_no_sense),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_cancel_on_a_broken_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
