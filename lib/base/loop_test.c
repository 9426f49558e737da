/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/testing.h"

static struct loop loop;
static struct timer timers[4];
static char order[64];
static unsigned fired;
static uint64_t lag;

static void
note(void *arg)
{
	strncat(order, arg, sizeof order - strlen(order) - 1);
	if (strlen(order) == 3)
		loop_stop(&loop);
}

static void
again(void *arg)
{
	struct timer *t = arg;

	assert_false(t->set);
	if (++fired < 3)
		timer_set(t, 1);
}

static void
free_itself(void *arg)
{
	mem_free(arg);
	fired++;
}

static void
be_slow(void *arg)
{
	(void)arg;
	usleep(30000);
	lag = loop_lag_ms(&loop);
	timer_set(&timers[1], 20);	/* from now, not from when the round began */
}

static void
stamp(void *arg)
{
	*(uint64_t *)arg = clock_mono_ms();
}

static int
begin(void **state)
{
	(void)state;
	loop_init(&loop);
	order[0] = '\0';
	fired = 0;
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	loop_fini(&loop);
	loop_fini(&loop);
	return 0;
}

static void
test_timers(void **state)
{
	(void)state;
	timer_init(&timers[0], &loop, note, "a");
	timer_init(&timers[1], &loop, note, "b");
	timer_init(&timers[2], &loop, note, "c");
	timer_init(&timers[3], &loop, note, "x");
	timer_set(&timers[0], 10);
	timer_set(&timers[1], 30);
	timer_set(&timers[2], 70);
	timer_set(&timers[2], 20);		/* moved nearer */
	timer_set(&timers[0], 60);		/* moved away, also there and back */
	timer_set(&timers[1], 80);
	timer_set(&timers[1], 30);
	timer_set(&timers[3], 5);
	timer_clear(&timers[3]);
	timer_clear(&timers[3]);
	loop_run(&loop);
	assert_string_equal(order, "cba");
	assert_false(timers[0].set || timers[3].set);
}

static void
test_set_again_and_freed(void **state)
{
	struct timer *t = mem_alloc(sizeof *t);

	(void)state;
	timer_init(&timers[0], &loop, again, &timers[0]);
	timer_set(&timers[0], 1);
	loop_run(&loop);			/* ends by itself: nothing is left */
	assert_int_equal(fired, 3);
	timer_init(t, &loop, free_itself, t);
	timer_set(t, 1);
	loop_run(&loop);
	assert_int_equal(fired, 4);
}

static void
test_lag(void **state)
{
	uint64_t start = clock_mono_ms(), end = 0;

	(void)state;
	timer_init(&timers[0], &loop, be_slow, NULL);
	timer_init(&timers[1], &loop, stamp, &end);
	timer_set(&timers[0], 1);
	assert_int_equal(loop_lag_ms(&loop), 0);
	loop_run(&loop);
	assert_true(lag >= 29 && lag < 1000);
	assert_true(end - start >= 45);
	assert_int_equal(loop_lag_ms(&loop), 0);
}

static int ends[2];
static struct watch watch;

static void
readable(void *arg, short what)
{
	char c;

	(void)arg;
	assert_int_equal(what, EV_READ);
	assert_int_equal(read(ends[0], &c, 1), 1);
	if (++fired == 3)
		watch_off(&watch);
}

static void
test_watch(void **state)
{
	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	watch_init(&watch, &loop, ends[0], EV_READ, readable, NULL);
	assert_int_equal(write(ends[1], "12345", 5), 5);
	event_base_loop(loop.base, EVLOOP_NONBLOCK);
	assert_int_equal(fired, 0);		/* not before watch_on */
	watch_on(&watch);
	watch_on(&watch);
	loop_run(&loop);
	assert_int_equal(fired, 3);		/* stays set until watch_off */
	watch_off(&watch);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timers, begin, finish),
		cmocka_unit_test_setup_teardown(test_set_again_and_freed, begin, finish),
		cmocka_unit_test_setup_teardown(test_lag, begin, finish),
		cmocka_unit_test_setup_teardown(test_watch, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
