/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/clients.h"

static const unsigned char anna[16] = "anna", bert[16] = "bert";

static void
test_limits(void **state)
{
	struct clients *c = clients_new(2, 4, -1, 0);

	(void)state;
	assert_int_equal(clients_enter(c, anna, 1000), CLIENT_WELCOME);
	assert_int_equal(clients_enter(c, anna, 1000), CLIENT_WELCOME);
	assert_int_equal(clients_enter(c, anna, 1000), CLIENT_TOO_MANY);
	assert_int_equal(clients_enter(c, bert, 1000), CLIENT_WELCOME);
	clients_leave(c, anna);
	assert_int_equal(clients_enter(c, anna, 2000), CLIENT_WELCOME);
	clients_leave(c, anna);
	assert_int_equal(clients_enter(c, anna, 60999), CLIENT_WELCOME);
	clients_leave(c, anna);
	assert_int_equal(clients_enter(c, anna, 60999), CLIENT_TOO_FAST);
	assert_int_equal(clients_enter(c, anna, 61000), CLIENT_WELCOME);	/* the next minute */
	assert_int_equal(clients_enter(c, anna, 61000), CLIENT_TOO_MANY);
	clients_free(&c);
	c = clients_new(0, 0, -1, 0);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(clients_enter(c, anna, 1000), CLIENT_WELCOME);
	clients_free(&c);
}

static void
test_workers_count_together(void **state)
{
	int fd = clients_share(3);
	struct clients *c[3];

	(void)state;
	assert_true(fd != -1);
	for (unsigned i = 0; i < 3; i++)
		c[i] = clients_new(3, 5, fd, i);
	assert_int_equal(clients_enter(c[0], anna, 1000), CLIENT_WELCOME);
	assert_int_equal(clients_enter(c[1], anna, 1000), CLIENT_WELCOME);
	assert_int_equal(clients_enter(c[1], bert, 1000), CLIENT_WELCOME);
	assert_int_equal(clients_enter(c[2], anna, 1000), CLIENT_WELCOME);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(clients_enter(c[i], anna, 1000), CLIENT_TOO_MANY);
	clients_leave(c[1], anna);
	assert_int_equal(clients_enter(c[0], anna, 1000), CLIENT_WELCOME);
	/* A worker dies; the one after it begins without its sessions, and the others forget them, too. */
	clients_free(&c[0]);
	c[0] = clients_new(3, 5, fd, 0);
	assert_int_equal(clients_enter(c[2], anna, 1000), CLIENT_WELCOME);
	assert_int_equal(clients_enter(c[0], anna, 1000), CLIENT_WELCOME);
	assert_int_equal(clients_enter(c[1], anna, 1000), CLIENT_TOO_MANY);
	clients_leave(c[2], anna);
	assert_int_equal(clients_enter(c[1], anna, 1000), CLIENT_WELCOME);
	clients_leave(c[2], anna);
	assert_int_equal(clients_enter(c[1], anna, 1000), CLIENT_TOO_FAST);	/* 2 here, 2 and 1 there */
	assert_int_equal(clients_enter(c[1], anna, 61000), CLIENT_WELCOME);
	for (unsigned i = 0; i < 3; i++)
		clients_free(&c[i]);
	close(fd);
}

/* More addresses than there is room for: they are let in, and those that are counted stay so. */
static void
test_more_than_there_is_room_for(void **state)
{
	struct clients *c = clients_new(1, 0, -1, 0);
	unsigned char key[16] = { 0 };

	(void)state;
	assert_int_equal(clients_enter(c, anna, 1000), CLIENT_WELCOME);
	for (unsigned i = 0; i < 100000; i++) {
		memcpy(key + 4, &i, sizeof i);
		assert_int_equal(clients_enter(c, key, 1000), CLIENT_WELCOME);
	}
	assert_int_equal(clients_enter(c, anna, 1000), CLIENT_TOO_MANY);
	clients_free(&c);
}

/* Too short for all: counted alone. Nobody can make it shorter later. */
static void
test_odd_memory(void **state)
{
	int fd = clients_share(2);
	struct clients *c = clients_new(1, 0, fd, 2);	/* has no table for it */

	(void)state;
	assert_int_equal(clients_enter(c, anna, 1000), CLIENT_WELCOME);
	assert_int_equal(clients_enter(c, anna, 1000), CLIENT_TOO_MANY);
	clients_free(&c);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_workers_count_together),
		cmocka_unit_test(test_more_than_there_is_room_for),
		cmocka_unit_test(test_odd_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
