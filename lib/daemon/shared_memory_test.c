/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/shared_memory.h"

#define OCTETS	10000

static void
test_shared(void **state)
{
	int fd = shared_memory_make("test", OCTETS, text("head"));
	struct shared_memory one, other;

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_true(shared_memory_map(&one, fd, OCTETS, OCTETS));
	assert_true(shared_memory_map(&other, fd, 1, SIZE_MAX));
	close(fd);
	assert_int_equal(one.octets, OCTETS);
	assert_int_equal(other.octets, OCTETS);
	assert_memory_equal(one.p, "head\0", 6);
	memcpy((char *)one.p + OCTETS - 4, "tail", 4);
	assert_memory_equal((char *)other.p + OCTETS - 4, "tail", 4);
	shared_memory_free(&one);
	assert_memory_equal((char *)other.p + OCTETS - 4, "tail", 4);
	shared_memory_free(&other);
	assert_null(other.p);
}

static void
test_of_one_size(void **state)
{
	int fd = shared_memory_make("test", OCTETS, text(""));
	struct shared_memory m;

	(void)state;
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(ftruncate(fd, OCTETS + 1), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_false(shared_memory_map(&m, fd, OCTETS + 1, SIZE_MAX));
	assert_int_equal(errno, EINVAL);
	assert_false(shared_memory_map(&m, fd, 1, OCTETS - 1));
	assert_int_equal(errno, EINVAL);
	close(fd);
	assert_false(shared_memory_map(&m, -1, 1, SIZE_MAX));
	assert_int_equal(errno, EBADF);
}

static void
test_alone(void **state)
{
	static const char zero[OCTETS];
	struct shared_memory m;

	(void)state;
	shared_memory_alone(&m, OCTETS);
	assert_memory_equal(m.p, zero, OCTETS);
	shared_memory_free(&m);
	shared_memory_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared), cmocka_unit_test(test_of_one_size), cmocka_unit_test(test_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
