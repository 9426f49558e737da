/* SPDX-License-Identifier: ISC */
#include <malloc.h>
#include <netinet/in.h>

#include "base/conn_testing.h"

static void
test_input_before_end(void **state)
{
	(void)state;
	begin(COUNT_ONLY, 1000, 1000);
	peer_send("hello", 5);
	fd_close(&peer);
	UNTIL(seen.ends);
	assert_bytes_equal(buf_bytes(&seen.got), text("hello"));
	assert_int_equal(seen.why, CONN_EOF);
	turns(5);
	assert_int_equal(seen.ends, 1);
	finish();
}

static void
test_echo_in_pieces(void **state)
{
	static unsigned char all[BIG];
	struct buf back;
	size_t sent = 0;

	(void)state;
	fill(all, BIG);
	buf_init(&back, BIG);
	begin(ECHO_ALL, 70000, BIG);
	UNTIL(back.n == BIG) {
		sent += peer_send(all + sent, BIG - sent);
		peer_read(&back);
	}
	assert_memory_equal(back.p, all, BIG);
	conn_trim(&owner->c);
	assert_int_equal(owner->c.in.cap + owner->c.out.cap, 0);
	buf_fini(&back);
	finish();
}

static void
test_reading_stops_when_full(void **state)
{
	static unsigned char all[BIG];
	size_t sent = 0;

	(void)state;
	fill(all, BIG);
	begin(KEEP, 10000, 1000);
	for (int i = 0; i < 200; i++) {
		sent += peer_send(all + sent, BIG - sent);
		turn();
	}
	assert_int_equal(owner->c.in.n, 10000);
	assert_false(owner->c.in.full);
	assert_true(sent < BIG);
	UNTIL(seen.got.n == BIG) {
		sent += peer_send(all + sent, BIG - sent);
		take_all(owner);		/* outside a callback */
		conn_flush(&owner->c);
	}
	assert_memory_equal(seen.got.p, all, BIG);
	finish();
}

/* Commands without end, and none of the replies read: what is held stays bounded, and when the
 * peer reads at last it gets the replies to all. */
static void
test_peer_does_not_read(void **state)
{
	enum { LINES = 40000 };
	struct buf back;
	size_t sent = 0, want = 0;

	(void)state;
	buf_init(&back, 4u << 20);
	begin(REPLY_LINES, 4096, 8192);
	for (int i = 0; i < 2000; i++) {
		while (sent < LINES && peer_send("NOOP\r\n", 6) == 6)
			sent++;
		turn();
		assert_true(owner->c.out.n <= 8192 && !owner->c.out.full);
	}
	assert_true(sent < LINES);
	turns(10);
	assert_false(event_pending(&owner->c.rd, EV_READ, NULL));
	UNTIL(seen.lines == sent && owner->c.out.n == 0)
		peer_read(&back);
	while (peer_read(&back) && back.n > want)
		want = back.n;
	assert_true(back.n > sent * 40);
	buf_fini(&back);
	finish();
}

static void
test_overrun_ends(void **state)
{
	(void)state;
	begin(FLOOD, 100, 1000);
	peer_send("x", 1);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_RESET);
	finish();
}

/* An owner that has more to say than `out` holds. */
static void
send_more(void *arg)
{
	struct owner *o = arg;
	static unsigned char all[BIG];

	seen.rooms++;
	fill(all, BIG);
	while (seen.sent < BIG && !conn_choked(&o->c)) {
		size_t n = BIG - seen.sent < 1000 ? BIG - seen.sent : 1000;

		buf_add(&o->c.out, bytes_of(all + seen.sent, n));
		seen.sent += n;
	}
	if (seen.sent < BIG)
		conn_want_room(&o->c);
}

static void
test_room(void **state)
{
	static unsigned char all[BIG];
	struct buf back;

	(void)state;
	fill(all, BIG);
	buf_init(&back, BIG);
	begin(COUNT_ONLY, 100, 8192);
	owner->c.on_room = send_more;
	conn_want_room(&owner->c);
	turns(200);			/* the peer does not read: so no more is asked for */
	assert_true(seen.sent < BIG && owner->c.out.n <= 8192 && !owner->c.out.full);
	peer_send("x", 1);
	UNTIL(back.n == BIG)
		peer_read(&back);
	assert_memory_equal(back.p, all, BIG);
	assert_int_equal(seen.sent, BIG);
	conn_flush(&owner->c);
	turns(5);
	assert_true(seen.rooms >= BIG / 8192 && seen.rooms < 500);
	buf_fini(&back);
	finish();
}

/* Who passes on what others say hears the one, though the other does not listen. */
static void
test_duplex(void **state)
{
	static unsigned char all[BIG];

	(void)state;
	begin(COUNT_ONLY, 100, BIG);
	owner->c.duplex = true;
	buf_add(&owner->c.out, bytes_of(all, BIG));
	conn_flush(&owner->c);
	buf_add(&owner->c.out, bytes_of(all, BIG - owner->c.out.n));
	assert_true(conn_choked(&owner->c));
	peer_send("still here", 10);
	UNTIL(seen.got.n == 10);
	assert_true(conn_choked(&owner->c));
	finish();
}

static void
room_to_end(void *arg)
{
	struct owner *o = arg;

	conn_fini(&o->c);
	mem_free(o);
	owner = NULL;
}

static void
test_room_frees_owner(void **state)
{
	(void)state;
	begin(COUNT_ONLY, 100, 100);
	owner->c.on_room = room_to_end;
	conn_want_room(&owner->c);
	UNTIL(!owner);
	turns(3);
	finish();
}

/* A server that has had enough says why and closes, with much of what it was sent unread. */
static void
test_last_words(void **state)
{
	(void)state;
	begin(COUNT_ONLY, 100, 8192);
	owner->c.hear_out = true;
	owner->c.on_room = send_more;
	conn_want_room(&owner->c);
	turns(50);
	assert_true(conn_choked(&owner->c));
	peer_send("552 too much\r\n", 14);
	fd_close(&peer);
	UNTIL(seen.ends);
	assert_bytes_equal(buf_bytes(&seen.got), text("552 too much\r\n"));
	assert_true(seen.sent < BIG);
	finish();
}

/* One side is closed, the other goes on until its owner closes it. */
static void
test_eof(void **state)
{
	static unsigned char all[BIG];
	struct buf back;

	(void)state;
	fill(all, BIG);
	buf_init(&back, BIG);
	begin(COUNT_ONLY, 100, BIG);
	owner->c.on_eof = on_eof;
	conn_pause(&owner->c);
	peer_send("last", 4);
	shutdown(peer, SHUT_WR);
	turns(5);
	assert_int_equal(seen.eofs, 0);		/* of what is not taken this is not the end */
	conn_resume(&owner->c);
	UNTIL(seen.eofs);
	assert_bytes_equal(buf_bytes(&seen.got), text("last"));
	buf_add(&owner->c.out, bytes_of(all, BIG));
	conn_flush(&owner->c);
	UNTIL(back.n == BIG)
		peer_read(&back);
	assert_memory_equal(back.p, all, BIG);
	conn_pause(&owner->c);
	conn_resume(&owner->c);
	turns(5);
	assert_int_equal(seen.ends, 0);
	assert_int_equal(seen.eofs, 1);
	conn_close_flushed(&owner->c, 5000);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_FLUSHED);
	buf_fini(&back);
	finish();
}

/* Who is gone altogether is noticed by what is sent to it. */
static void
test_reset_behind_eof(void **state)
{
	(void)state;
	begin(COUNT_ONLY, 100, 100);
	owner->c.on_eof = on_eof;
	fd_close(&peer);
	UNTIL(seen.eofs);
	buf_text(&owner->c.out, "hello");
	conn_flush(&owner->c);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_RESET);
	finish();
}

static void
test_eof_frees_owner(void **state)
{
	(void)state;
	begin(FREE_ITSELF, 100, 100);
	owner->c.on_eof = on_eof;
	fd_close(&peer);
	UNTIL(seen.eofs);
	turns(3);
	assert_int_equal(seen.ends, 0);
	finish();
}

static void
test_half_close(void **state)
{
	static unsigned char all[BIG];
	struct buf back;

	(void)state;
	fill(all, BIG);
	buf_init(&back, BIG);
	begin(COUNT_ONLY, 100, BIG);
	buf_add(&owner->c.out, bytes_of(all, BIG));
	conn_half_close(&owner->c);
	turns(5);
	UNTIL(!peer_read(&back));
	assert_bytes_equal(buf_bytes(&back), bytes_of(all, BIG));
	peer_send("an answer", 9);
	UNTIL(seen.got.n == 9);
	assert_int_equal(seen.ends, 0);
	fd_close(&peer);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_EOF);
	buf_fini(&back);
	finish();
}

static void
test_owner_frees_itself(void **state)
{
	(void)state;
	begin(FREE_ITSELF, 100, 100);
	peer_send("x", 1);
	UNTIL(seen.inputs);
	turns(3);
	assert_int_equal(seen.ends, 0);
	finish();
}

static void
test_pause(void **state)
{
	(void)state;
	begin(COUNT_ONLY, 100, 100);
	conn_pause(&owner->c);
	peer_send("abc", 3);
	turns(5);
	assert_int_equal(seen.inputs, 0);
	conn_resume(&owner->c);
	UNTIL(seen.inputs);
	assert_bytes_equal(buf_bytes(&seen.got), text("abc"));

	/* An end that came with the input waits until the owner has dealt with that. */
	owner->manner = KEEP;
	peer_send("def", 3);
	UNTIL(seen.inputs == 2);
	conn_pause(&owner->c);
	fd_close(&peer);
	turns(5);
	assert_int_equal(seen.ends, 0);
	owner->manner = COUNT_ONLY;
	conn_resume(&owner->c);
	UNTIL(seen.ends);
	assert_bytes_equal(buf_bytes(&seen.got), text("abcdef"));
	assert_int_equal(seen.why, CONN_EOF);
	finish();
}

static void
test_close_flushed(void **state)
{
	struct buf back;

	(void)state;
	buf_init(&back, 100);
	begin(CLOSE_AT_QUIT, 100, 100);
	peer_send("QUIT\r\nNOOP\r\n", 12);
	UNTIL(!peer_read(&back));
	assert_bytes_equal(buf_bytes(&back), text("221 bye\r\n"));
	assert_int_equal(seen.ends, 0);		/* lingers */
	assert_int_equal(peer_send("and more", 8), 8);
	turns(3);
	assert_bytes_equal(buf_bytes(&seen.got), text("QUIT\r\nNOOP\r\n"));
	fd_close(&peer);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_FLUSHED);
	buf_fini(&back);
	finish();
}

static void
test_close_of_a_peer_that_stays(void **state)
{
	uint64_t start = clock_mono_ms();

	(void)state;
	begin(CLOSE_AT_QUIT, 100, 100);
	peer_send("QUIT\r\n", 6);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_FLUSHED);
	assert_true(clock_mono_ms() - start < 4000);
	finish();
}

static void
test_close_that_cannot_be_sent(void **state)
{
	(void)state;
	begin(KEEP, 100, 4u << 20);
	for (int i = 0; i < 100000; i++)
		buf_text(&owner->c.out, "nobody reads this\r\n");
	conn_close_flushed(&owner->c, 100);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TIMEOUT);
	finish();
}

static void
test_deadline(void **state)
{
	(void)state;
	begin(KEEP, 100, 100);
	conn_deadline(&owner->c, 20);
	conn_deadline(&owner->c, 0);
	usleep(60000);
	turns(3);
	assert_int_equal(seen.ends, 0);
	conn_deadline(&owner->c, 20);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TIMEOUT);
	finish();
}

static void
test_reset_is_told_by_the_loop(void **state)
{
	(void)state;
	begin(KEEP, 100, 100);
	fd_close(&peer);
	buf_text(&owner->c.out, "hello");
	conn_flush(&owner->c);			/* EPIPE, but the owner is not called here */
	assert_int_equal(seen.ends, 0);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_RESET);
	finish();
}

static void
test_take_fd(void **state)
{
	char c = 0;
	int fd;

	(void)state;
	begin(KEEP, 100, 100);
	fd = conn_take_fd(&owner->c);
	peer_send("x", 1);
	turns(3);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(fd);
	finish();
}

/* Thousands of sessions idle in one worker: what each of them costs here, beside the kernel. */
static void
test_idle_is_small(void **state)
{
	enum { MANY = 200 };
	static struct owner owners[MANY];
	static int peers[MANY];
	size_t before, after;
	int pair[2];

	(void)state;
	begin(COUNT_ONLY, 65536, 65536);
	before = mallinfo2().uordblks;
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		peers[i] = pair[1];
		owners[i].manner = ECHO_ALL;
		conn_init(&owners[i].c, &loop, pair[0], 65536, 65536, on_input, on_end, &owners[i]);
		assert_int_equal(write(pair[1], "EHLO client.example\r\n", 21), 21);
	}
	UNTIL(seen.inputs == MANY);
	for (int i = 0; i < MANY; i++)
		conn_trim(&owners[i].c);
	buf_release(&seen.got);
	after = mallinfo2().uordblks;
	assert_true(sizeof(struct conn) <= 1200);
	assert_true(after <= before || (after - before) / MANY < 512);	/* libevent's own tables */
	for (int i = 0; i < MANY; i++) {
		conn_fini(&owners[i].c);
		close(peers[i]);
	}
	finish();
}

/* ---- the client's side */

/* A socket that listens on a port of its own, where at most one connection waits. */
static int
listening(struct sockaddr_in *at)
{
	socklen_t n = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)at, n), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &n), 0);
	return fd;
}

static int
connecting_to(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 || errno == EINPROGRESS);
	return fd;
}

static void
test_connect(void **state)
{
	struct sockaddr_in at;
	int listener = listening(&at);

	(void)state;
	begin_with(connecting_to(&at), COUNT_ONLY, 100, 100);
	conn_connecting(&owner->c);
	buf_text(&owner->c.out, "EHLO");		/* sent when it can be */
	conn_flush(&owner->c);
	assert_int_equal(seen.readies, 0);
	UNTIL(seen.readies);
	UNTIL((peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) != -1);
	UNTIL(owner->c.out.n == 0);
	peer_send("220", 3);
	UNTIL(seen.got.n == 3);
	assert_int_equal(seen.readies, 1);
	fd_close(&peer);
	UNTIL(seen.ends);
	finish();
	close(listener);
}

static void
test_connect_done_already(void **state)
{
	(void)state;
	begin(COUNT_ONLY, 100, 100);
	conn_connecting(&owner->c);
	peer_send("220", 3);
	UNTIL(seen.got.n == 3);
	assert_int_equal(seen.readies, 1);
	assert_int_equal(seen.got_at_ready, 0);
	finish();
}

static void
test_connect_refused(void **state)
{
	struct sockaddr_in at;
	int listener = listening(&at);

	(void)state;
	close(listener);
	begin_with(connecting_to(&at), COUNT_ONLY, 100, 100);
	conn_connecting(&owner->c);
	buf_text(&owner->c.out, "EHLO");
	conn_flush(&owner->c);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_UNCONNECTED);
	assert_int_equal(seen.error, ECONNREFUSED);
	assert_int_equal(seen.readies, 0);
	finish();
}

/* Where the queue of those who wait is full, the kernel drops who comes: no answer at all. */
static void
test_connect_without_answer(void **state)
{
	struct sockaddr_in at;
	int listener = listening(&at), waiting[3];

	(void)state;
	for (size_t i = 0; i < LEN(waiting); i++)
		waiting[i] = connecting_to(&at);
	begin_with(connecting_to(&at), COUNT_ONLY, 100, 100);
	conn_connecting(&owner->c);
	conn_deadline(&owner->c, 50);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_TIMEOUT);
	assert_int_equal(seen.readies, 0);
	finish();

	begin_with(connecting_to(&at), COUNT_ONLY, 100, 100);
	conn_connecting(&owner->c);
	conn_close_flushed(&owner->c, 5000);
	UNTIL(seen.ends);
	assert_int_equal(seen.why, CONN_FLUSHED);
	finish();
	for (size_t i = 0; i < LEN(waiting); i++)
		close(waiting[i]);
	close(listener);
}

static void
test_owner_frees_itself_when_connected(void **state)
{
	(void)state;
	begin(FREE_ITSELF, 100, 100);
	conn_connecting(&owner->c);
	peer_send("220", 3);
	UNTIL(seen.readies);
	turns(3);
	assert_int_equal(seen.inputs + seen.ends, 0);
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_input_before_end),
		cmocka_unit_test(test_echo_in_pieces),
		cmocka_unit_test(test_reading_stops_when_full),
		cmocka_unit_test(test_peer_does_not_read),
		cmocka_unit_test(test_overrun_ends),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_duplex),
		cmocka_unit_test(test_room_frees_owner),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_eof),
		cmocka_unit_test(test_reset_behind_eof),
		cmocka_unit_test(test_eof_frees_owner),
		cmocka_unit_test(test_half_close),
		cmocka_unit_test(test_owner_frees_itself),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_close_flushed),
		cmocka_unit_test(test_close_of_a_peer_that_stays),
		cmocka_unit_test(test_close_that_cannot_be_sent),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_reset_is_told_by_the_loop),
		cmocka_unit_test(test_take_fd),
		cmocka_unit_test(test_idle_is_small),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_done_already),
		cmocka_unit_test(test_connect_refused),
		cmocka_unit_test(test_connect_without_answer),
		cmocka_unit_test(test_owner_frees_itself_when_connected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
