/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/testing.h"

static void
test_zeroed(void **state)
{
	unsigned char *p = mem_alloc(1000), *q = mem_array(10, 10);
	char *copy = mem_text("text");
	void *nothing = mem_alloc(0), *none = mem_array(0, 8);

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(q[i], 0);
	assert_string_equal(copy, "text");
	assert_non_null(nothing);
	assert_non_null(none);
	p[0] = 7;
	p = mem_resize(p, 5000);
	assert_int_equal(p[0], 7);
	p = mem_resize(p, 0);
	assert_non_null(p);
	mem_free(p);
	mem_free(q);
	mem_free(copy);
	mem_free(nothing);
	mem_free(none);
	mem_free(NULL);
}

static void too_much(void)	{ mem_free(mem_resize(NULL, SIZE_MAX / 2)); }
static void product(void)	{ mem_free(mem_array(SIZE_MAX / 2, 4)); }
static void broken(void)	{ must(1 + 1 == 3); }
static void kept(void)		{ must(1 + 1 == 2); }

static void
test_process_stops(void **state)
{
	static const struct { const char *name; void (*run)(void); int status, signal; } cases[] = {
		{ "too much",	too_much,	1, 0 },
		{ "overflow",	product,	1, 0 },
		{ "must",	broken,		0, SIGABRT },
		{ "kept",	kept,		0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
			signal(SIGABRT, SIG_DFL);
			cases[i].run();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_row_int(cases[i].name, WIFSIGNALED(status) ? WTERMSIG(status) : 0, cases[i].signal);
		assert_row_int(cases[i].name, WIFEXITED(status) ? WEXITSTATUS(status) : 0, cases[i].status);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_process_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
