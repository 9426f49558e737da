/* SPDX-License-Identifier: ISC */
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/admins.h"
#include "daemon/testing.h"

static struct loop loop;

struct seen { unsigned frames, gone; uint32_t uid; bool no_sense; };

static bool
on_frame(void *arg, struct admin *a, struct ipc_in *in)
{
	struct seen *s = arg;

	assert_int_equal(in->type, IPC_report);
	s->frames++;
	s->uid = a->uid;
	a->data = s;
	return !s->no_sense;
}

static void
on_gone(void *arg, struct admin *a)
{
	struct seen *s = arg;

	assert_true(!a->data || a->data == s);
	s->gone++;
}

/* The administrator's end of a connection that was made. */
static int
come(struct admins *all)
{
	int fds[2];

	assert_true(ipc_pair(fds));
	admins_accept(all, fds[0]);
	return fds[1];
}

static void
say(int fd)
{
	struct ipc_out out;

	ipc_out_init(&out);
	ipc_put_hello(&out, 0, &(struct ipc_hello){ .hash = ipc_hash() });
	assert_int_equal(ipc_send_wait(fd, &out, 1000), IPC_DONE);
	ipc_put_report(&out, 0, &(struct ipc_report){ 0 });
	assert_int_equal(ipc_send_wait(fd, &out, 1000), IPC_DONE);
	ipc_out_fini(&out);
}

/* Its last word was said. */
static bool
is_closed(int fd)
{
	unsigned char octets[4096];
	ssize_t n;

	while ((n = recv(fd, octets, sizeof octets, MSG_DONTWAIT)) > 0)
		;
	return n == 0;
}

static void
test_who_comes(void **state)
{
	struct seen seen = { .uid = 1 };
	struct admins all = { .loop = &loop, .frame = on_frame, .gone = on_gone, .arg = &seen };
	int fds[ADMINS_MAX + 1];

	(void)state;
	loop_init(&loop);
	for (size_t i = 0; i < ADMINS_MAX + 1; i++)
		fds[i] = come(&all);
	assert_int_equal(all.n, ADMINS_MAX);
	assert_true(is_closed(fds[ADMINS_MAX]));
	say(fds[0]);
	run_ms(&loop, 20);
	assert_int_equal(seen.frames, 1);
	assert_int_equal(seen.uid, geteuid());
	assert_false(is_closed(fds[0]));

	seen.no_sense = true;
	say(fds[1]);
	run_ms(&loop, 20);
	assert_true(is_closed(fds[1]));
	close(fds[2]);
	run_ms(&loop, 20);
	assert_int_equal(seen.gone, 2);
	assert_int_equal(all.n, ADMINS_MAX - 2);

	admins_close(&all);
	assert_int_equal(seen.gone, ADMINS_MAX);
	assert_int_equal(all.n, 0);
	assert_true(is_closed(fds[0]));
	for (size_t i = 0; i < ADMINS_MAX + 1; i++)
		if (i != 2)
			close(fds[i]);
	run_ms(&loop, 1);
	loop_fini(&loop);
}

static void
test_the_minute(void **state)
{
	struct seen seen = { .uid = 1 };
	struct admins all = { .loop = &loop, .frame = on_frame, .gone = on_gone, .arg = &seen };
	int fds[2];

	(void)state;
	loop_init(&loop);
	fds[0] = come(&all);
	fds[1] = come(&all);
	assert_true(all.first->idle.set && all.first->next->idle.set);
	admin_idle(all.first, false);
	assert_false(all.first->idle.set);
	timer_set(&all.first->next->idle, 10);	/* the minute is over */
	run_ms(&loop, 50);
	assert_int_equal(seen.gone, 1);
	assert_true(is_closed(fds[0]));
	assert_false(is_closed(fds[1]));
	admins_close(&all);
	close(fds[0]);
	close(fds[1]);
	run_ms(&loop, 1);
	loop_fini(&loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_comes), cmocka_unit_test(test_the_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
