/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/testing.h"
#include "daemon/daemon.h"

/* Master's end, and what the process was told. */
static struct daemon daemon_;
static struct channel *master;
static uint32_t status;		/* what master answers */
static bool mute, without_fd;
static unsigned asked, told;
static uint32_t which_asked;
static int told_fd, told_error;

static bool
on_frame(void *arg, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_dialled m = { .status = status, .fd = -1 };
	struct ipc_dial ask;
	struct ipc_out out;

	(void)arg;
	if (in->type != IPC_dial || !ipc_get_dial(in, &ask))
		return false;
	asked++;
	which_asked = ask.which;
	if (mute)
		return true;
	if (status == 0 && !without_fd)
		m.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ipc_out_init(&out);
	ipc_put_dialled(&out, 0, &m);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	if (m.fd != -1)
		close(m.fd);
	return true;
}

static void
on_gone(void *arg, struct channel *c)
{
	(void)arg;
	(void)c;
	daemon_.master = NULL;
}

static void
done(void *arg, int fd, int error)
{
	assert_ptr_equal(arg, &told);
	told++;
	told_fd = fd;
	told_error = error;
	if (fd != -1)
		close(fd);
}

static int
set_up(void **state)
{
	int fds[2];

	(void)state;
	loop_init(&daemon_.loop);
	assert_true(ipc_pair(fds));
	daemon_.master = channel_new(&daemon_.loop, fds[0], NULL, on_gone, NULL);
	channel_is_asked(daemon_.master);
	master = channel_new(&daemon_.loop, fds[1], on_frame, NULL, NULL);
	status = asked = told = 0;
	mute = without_fd = false;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	channel_close(&daemon_.master);
	channel_close(&master);
	loop_fini(&daemon_.loop);
	return 0;
}

static void
turns(unsigned n)
{
	while (n-- > 0)
		event_base_loop(daemon_.loop.base, EVLOOP_NONBLOCK);
}

static void
wait_told(void)
{
	for (uint64_t until = clock_mono_ms() + 5000; told == 0 && clock_mono_ms() < until; )
		turns(1);
	assert_int_equal(told, 1);
}

static void
test_answers(void **state)
{
	(void)state;
	assert_true(daemon_dial(&daemon_, 7, 5000, done, &told) != 0);
	assert_int_equal(told, 0);		/* never from within */
	wait_told();
	assert_int_equal(which_asked, 7);
	assert_true(told_fd != -1);
	told = 0;
	status = ECONNREFUSED;
	daemon_dial(&daemon_, 0, 5000, done, &told);
	wait_told();
	assert_true(told_fd == -1 && told_error == ECONNREFUSED);
}

/* No answer, and one without what it promises: this process has no room for another descriptor. */
static void
test_no_descriptor(void **state)
{
	(void)state;
	without_fd = true;
	daemon_dial(&daemon_, 0, 5000, done, &told);
	wait_told();
	assert_true(told_fd == -1 && told_error == EMFILE);
	told = 0;
	mute = true;
	daemon_dial(&daemon_, 0, 50, done, &told);
	wait_told();
	assert_true(told_fd == -1 && told_error == ETIMEDOUT);
}

static void
test_cancel(void **state)
{
	uint64_t first, second;

	(void)state;
	first = daemon_dial(&daemon_, 0, 5000, done, &told);
	second = daemon_dial(&daemon_, 1, 5000, done, &told);
	daemon_dial_cancel(&daemon_, first);
	daemon_dial_cancel(&daemon_, first);
	daemon_dial_cancel(&daemon_, 0);
	wait_told();
	turns(20);
	assert_int_equal(asked, 2);
	assert_int_equal(told, 1);
	daemon_dial_cancel(&daemon_, second);	/* was answered */
}

/* master goes; and one asks when it is gone already, in the round in which the loop ends. */
static void
test_master_is_gone(void **state)
{
	uint64_t ticket;

	(void)state;
	mute = true;
	daemon_dial(&daemon_, 0, 5000, done, &told);
	turns(5);
	channel_close(&master);
	wait_told();
	assert_int_equal(told_fd, -1);
	turns(5);
	assert_null(daemon_.master);
	ticket = daemon_dial(&daemon_, 0, 5000, done, &told);
	turns(5);
	daemon_dial_cancel(&daemon_, ticket);
	assert_int_equal(told, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_descriptor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_master_is_gone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
