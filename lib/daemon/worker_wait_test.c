/* SPDX-License-Identifier: ISC */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "daemon/worker_wait.h"

static int client, stop_out;
static struct worker_socket w;

static int
begin(void **state)
{
	int pair[2], ends[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 || pipe(ends) == -1)
		return -1;
	client = pair[1];
	stop_out = ends[1];
	w = (struct worker_socket){ .fd = pair[0], .stop = ends[0] };
	return 0;
}

static int
end(void **state)
{
	(void)state;
	close(w.fd);
	close(w.stop);
	close(client);
	if (stop_out != -1)
		close(stop_out);
	return 0;
}

static void
say(const char *what, size_t n)
{
	assert_int_equal(write(client, what, n), n);
}

static void
begin_stop(void)
{
	close(stop_out);
	stop_out = -1;
}

static void
test_no_stop(void **state)
{
	(void)state;
	assert_int_equal(worker_wait(&w, POLLIN, 0, true), WORKER_SILENT);
	assert_int_equal(worker_wait(&w, POLLIN, 20, false), WORKER_SILENT);
	assert_int_equal(worker_wait(&w, POLLOUT, 1000, false), WORKER_READY);
	say("x", 1);
	assert_int_equal(worker_wait(&w, POLLIN, 0, true), WORKER_READY);
	assert_int_equal(worker_wait(&w, POLLIN, 1000, false), WORKER_READY);
	assert_false(w.stopping);
	w.stop = -1;				/* nobody says so */
	assert_int_equal(worker_wait(&w, POLLIN, 0, true), WORKER_READY);
}

static void
test_idle(void **state)
{
	(void)state;
	say("x", 1);				/* however quick it is */
	begin_stop();
	assert_int_equal(worker_wait(&w, POLLIN, 60000, true), WORKER_STOP);
	assert_true(w.stopping);
	assert_int_equal(worker_wait(&w, POLLIN, 60000, true), WORKER_STOP);
	assert_int_equal(worker_wait(&w, POLLIN, 0, true), WORKER_STOP);
}

static void
test_busy(void **state)
{
	uint64_t began, took;

	(void)state;
	begin_stop();
	say("x", 1);
	assert_int_equal(worker_wait(&w, POLLIN, 60000, false), WORKER_READY);
	assert_true(w.stopping);
	assert_int_equal(worker_wait(&w, POLLIN, 60000, false), WORKER_READY);
	worker_discard(&w);
	began = clock_mono_ms();
	assert_int_equal(worker_wait(&w, POLLIN, 60000, false), WORKER_STOP);
	took = clock_mono_ms() - began;
	assert_true(took >= WORKER_STOP_MS && took < 10 * WORKER_STOP_MS);
	assert_int_equal(worker_wait(&w, POLLIN, 10, false), WORKER_STOP);
}

/* A client that goes on and on is at its end all the same. */
static void
test_never_idle(void **state)
{
	uint64_t began = clock_mono_ms(), took;
	char c;

	(void)state;
	begin_stop();
	do {
		say("x", 1);
		took = clock_mono_ms() - began;
		assert_true(took < 10 * WORKER_STOP_ALL_MS);
		usleep(1000);
		if (worker_wait(&w, POLLIN, 60000, false) == WORKER_STOP)
			break;
		assert_int_equal(read(w.fd, &c, 1), 1);
	} while (true);
	assert_true(took >= WORKER_STOP_ALL_MS - 100);
}

static void
test_client_gone(void **state)
{
	(void)state;
	shutdown(client, SHUT_RDWR);
	assert_int_equal(worker_wait(&w, POLLIN, 60000, true), WORKER_READY);	/* recv(2) says what it is */
	worker_discard(&w);
	begin_stop();
	assert_int_equal(worker_wait(&w, POLLIN, 60000, false), WORKER_READY);
}

int
main(void)
{
#define ROW(f)	cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = { ROW(test_no_stop), ROW(test_idle), ROW(test_busy), ROW(test_never_idle),
	    ROW(test_client_gone) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
