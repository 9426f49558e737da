/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/testing.h"

static void
test_all_sizes(void **state)
{
	struct arena *a = arena_new(64u << 20);

	(void)state;
	for (int round = 0; round < 3; round++) {
		unsigned char *parts[300];
		size_t used = 0;

		for (size_t i = 0; i < LEN(parts); i++) {
			size_t n = i * i * 7 % 5000;

			parts[i] = arena_alloc(a, n);
			assert_int_equal((uintptr_t)parts[i] % _Alignof(max_align_t), 0);
			for (size_t k = 0; k < n; k++)
				assert_int_equal(parts[i][k], 0);	/* after a reset too */
			memset(parts[i], (int)i, n);
			used += n;
		}
		assert_int_equal(arena_used(a), used);
		for (size_t i = 0; i < LEN(parts); i++)
			for (size_t k = 0; k < i * i * 7 % 5000; k++)
				assert_int_equal(parts[i][k], (unsigned char)i);
		assert_non_null(arena_alloc(a, 300000));
		arena_reset(a);
		assert_int_equal(arena_used(a), 0);
	}
	arena_free(&a);
	assert_null(a);
	arena_free(&a);
}

static void
test_copies(void **state)
{
	struct arena *a = arena_new(10000);
	struct bytes none = arena_copy(a, text(NULL));

	(void)state;
	assert_non_null(none.p);
	assert_int_equal(none.n, 0);
	assert_bytes_equal(arena_copy(a, OCTETS("a\0b")), OCTETS("a\0b"));
	assert_string_equal(arena_text(a, text("abc")), "abc");
	assert_string_equal(arena_text(a, text(NULL)), "");
	assert_bytes_equal(arena_fmt(a, "%s %d", "x", 7), text("x 7"));
	assert_non_null(arena_array(a, 0, 8));
	assert_non_null(arena_array(a, 8, 0));
	arena_free(&a);
}

static void
test_wipe(void **state)
{
	static const unsigned char zero[6];
	struct arena *a = arena_new(100000);
	struct bytes secret = arena_copy(a, text("secret"));	/* in the small block, which stays */

	(void)state;
	arena_alloc(a, 50000);
	arena_wipe(a);
	assert_memory_equal(secret.p, zero, sizeof zero);
	assert_int_equal(arena_used(a), 0);
	arena_wipe(a);
	assert_ptr_equal(arena_copy(a, text("again")).p, secret.p);
	arena_free(&a);
}

static void past_max(struct arena *a)	{ arena_alloc(a, 1001); }
static void bit_by_bit(struct arena *a)	{ for (int i = 0; i < 101; i++) arena_alloc(a, 10); }
static void product(struct arena *a)	{ arena_array(a, SIZE_MAX / 2, 4); }
static void with_nul(struct arena *a)	{ arena_text(a, OCTETS("a\0b")); }

static void
test_our_bugs(void **state)
{
	static const struct { const char *name; void (*run)(struct arena *); } cases[] = {
		{ "past max", past_max }, { "bit by bit", bit_by_bit }, { "overflow", product },
		{ "NUL in a text", with_nul },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
			signal(SIGABRT, SIG_DFL);
			cases[i].run(arena_new(1000));
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_row_int(cases[i].name, WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGABRT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_sizes),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_our_bugs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
