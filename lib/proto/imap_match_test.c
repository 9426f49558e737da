/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/imap_match.h"
#include "proto/testing.h"

/* name: does the pattern mean it; child: could it mean something below. */
static const struct { const char *pattern, *name; char separator; bool match, child; } cases[] = {
	{ "", "", '/', true, false },
	{ "", "a", '/', false, false },
	{ "a", "a", '/', true, false },
	{ "a", "A", '/', false, false },
	{ "a", "ab", '/', false, false },
	{ "ab", "a", '/', false, false },
	{ "*", "", '/', true, true },
	{ "*", "a/b/c", '/', true, true },
	{ "%", "", '/', true, true },
	{ "%", "a", '/', true, false },
	{ "%", "a/b", '/', false, false },
	{ "%", "a/b", '.', true, false },
	{ "%", "a/b", '\0', true, false },
	{ "*", "a", '\0', true, false },
	{ "a%", "a", '\0', true, false },
	{ "%/%", "a", '/', false, true },
	{ "%/%", "a/b", '/', true, false },
	{ "%/%", "a/b/c", '/', false, false },
	{ "a/%", "a", '/', false, true },
	{ "a/%", "b", '/', false, false },
	{ "a/%", "a/", '/', true, false },
	{ "a/*", "a", '/', false, true },
	{ "a/*", "a/b/c", '/', true, true },
	{ "a*", "a", '/', true, true },
	{ "a%", "a", '/', true, false },
	{ "a%c", "abc", '/', true, false },
	{ "a%c", "a/c", '/', false, false },
	{ "a*c", "a/c", '/', true, true },
	{ "a*c", "a", '/', false, true },
	{ "*c", "c/d", '/', false, true },
	{ "%/c", "b", '/', false, true },
	{ "%/c", "b/d", '/', false, false },
	{ "*/", "a", '/', false, false },		/* no name ends with the separator */
	{ "a//b", "a", '/', false, false },		/* nor has an empty level */
	{ "a/%/b", "a", '/', false, true },		/* but "%" need not be empty */
	{ "a%/b", "a", '/', false, true },
	{ "a/*/", "a", '/', false, false },
	{ "*a*a*", "aa", '/', true, true },
	{ "*a*a*", "a", '/', false, true },
	{ "%a%a%", "bab/aa", '/', false, false },
	{ "%*", "a/b", '/', true, true },
	{ "*%", "a/b", '/', true, true },
	{ "%%", "a/b", '/', false, false },
	{ "***", "a", '/', true, true },
	{ "*%*c", "a/b/c", '/', true, true },
	{ "a*%b", "a/b", '/', true, true },
	{ "[a]?\\", "[a]?\\", '/', true, false },	/* no wildcards of a shell */
	{ "a%b", "a%b", '/', true, false },
	{ "a*b", "a*b", '/', true, true },
	{ "caf%", "caf\xc3\xa9", '/', true, false },
	{ "comp.mail.*", "comp.mail.misc", '.', true, true },	/* RFC 3501 section 6.3.8 */
	{ "~/Mail/%", "~/Mail/foo", '/', true, false },
	{ "foo", "foo", '/', true, false },		/* RFC 5258 section 5, example 9 */
	{ "foo/%", "foo", '/', false, true },
	{ "*2", "foo2/bar1", '/', false, true },

	{ "INBOX", "INBOX", '/', true, false },
	{ "inbox", "INBOX", '/', true, false },
	{ "INBOX", "iNboX", '/', true, false },
	{ "inb%", "INBOX", '/', true, false },
	{ "*X", "inbox", '/', true, true },
	{ "inbox/%", "INBOX", '/', false, true },
	{ "inbox/a", "INBOX/a", '/', true, false },
	{ "inbox/a", "INBOX/A", '/', false, false },
	{ "inbox/inbox", "INBOX/INBOX", '/', false, false },	/* the first level only */
	{ "a/inbox", "a/INBOX", '/', false, false },
	{ "inbox2", "INBOX2", '/', false, false },
	{ "inbox.a", "INBOX.a", '/', false, false },
	{ "inbox.a", "INBOX.a", '.', true, false },
	{ "inbox.a", "INBOX.a", '\0', false, false },
	{ "inbox", "INBOX", '\0', true, false },
	{ "*b%", "INBOX", 'B', false, true },	/* the first level is IN */
	{ "inbo", "INBO", '/', false, false },
	{ "%inbox", "aINBOX", '/', false, false },
	{ "inbox", "", '/', false, true },
};

static void
test_cases(void **state)
{
	struct imap_match m;
	char row[200];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		snprintf(row, sizeof row, "\"%s\" of \"%s\"", cases[i].pattern, cases[i].name);
		assert_true(imap_match_init(&m, text(cases[i].pattern),
		    (unsigned char)cases[i].separator));
		assert_row_int(row, imap_match_name(&m, text(cases[i].name)), cases[i].match);
		assert_row_int(row, imap_match_child(&m, text(cases[i].name)), cases[i].child);
	}
}

/* ---- all short patterns, against the definition ------------------------------------ */

/* The n-th text over the alphabet, shortest first; returns its length. */
static size_t
spell(unsigned n, const char *alphabet, unsigned char *out)
{
	unsigned base = (unsigned)strlen(alphabet);
	size_t length = 0;

	for (; n > 0; n = (n - 1) / base)
		out[length++] = (unsigned char)alphabet[(n - 1) % base];
	return length;
}

/* As RFC 3501 words it; for short ones only, it takes all ways one by one. */
static bool
defined(struct bytes p, struct bytes s)
{
	if (p.n == 0)
		return s.n == 0;
	if (p.p[0] != '*' && p.p[0] != '%')
		return s.n > 0 && s.p[0] == p.p[0] && defined(bytes_skip(p, 1), bytes_skip(s, 1));
	return defined(bytes_skip(p, 1), s)
	    || (s.n > 0 && (p.p[0] == '*' || s.p[0] != '/') && defined(p, bytes_skip(s, 1)));
}

static bool
is_name(struct bytes s)
{
	size_t i;

	for (i = 1; i < s.n; i++)
		if (s.p[i] == '/' && s.p[i - 1] == '/')
			return false;
	return s.n > 0 && s.p[0] != '/' && s.p[s.n - 1] != '/';
}

/* A rest need be no longer than the pattern: what a wildcard stands for, one octet will do. */
static bool
defined_child(struct bytes pattern, struct bytes name, size_t longest)
{
	unsigned char joined[16], rest[8];
	unsigned i;
	size_t n, at = name.n > 0 ? name.n + 1 : 0;

	memcpy(joined, name.p, name.n);
	joined[name.n] = '/';
	for (i = 1; (n = spell(i, "ab/", rest)) <= longest; i++) {
		memcpy(joined + at, rest, n);
		if (is_name(bytes_of(rest, n)) && defined(pattern, bytes_of(joined, at + n)))
			return true;
	}
	return false;
}

static void
test_against_definition(void **state)
{
	unsigned char p[8], s[8];
	struct imap_match m;
	unsigned i, k;
	size_t n;

	(void)state;
	for (i = 0; (n = spell(i, "a/*%", p)) <= 4; i++) {
		struct bytes pattern = bytes_of(p, n);

		assert_true(imap_match_init(&m, pattern, '/'));
		for (k = 0; (n = spell(k, "ab/", s)) <= 3; k++) {
			struct bytes name = bytes_of(s, n);

			assert_int_equal(imap_match_name(&m, name), defined(pattern, name));
			if (n == 0 || is_name(name))
				assert_int_equal(imap_match_child(&m, name),
				    defined_child(pattern, name, 4));
		}
	}
}

/* ---- limits ------------------------------------------------------------------------- */

static void
test_pattern_max(void **state)
{
	static unsigned char pattern[IMAP_MATCH_PATTERN_MAX + 1];
	struct imap_match m;
	size_t n;

	(void)state;
	memset(pattern, 'a', sizeof pattern);
	assert_false(imap_match_init(&m, bytes_of(pattern, IMAP_MATCH_PATTERN_MAX + 1), '/'));
	assert_true(imap_match_init(&m, bytes_of(pattern, IMAP_MATCH_PATTERN_MAX), '/'));
	assert_true(imap_match_name(&m, m.pattern));
	assert_false(imap_match_name(&m, bytes_skip(m.pattern, 1)));
	assert_false(imap_match_name(&m, bytes_of(pattern, IMAP_MATCH_PATTERN_MAX + 1)));
	for (n = 0; n < IMAP_MATCH_PATTERN_MAX; n++)	/* every place is taken */
		pattern[n] = n % 2 == 0 ? '*' : '%';
	assert_true(imap_match_name(&m, text("a/b")));
	assert_true(imap_match_child(&m, text("a/b")));
	assert_true(imap_match_name(&m, text("")));
}

/* Seconds of this process for one name that almost matches, of n octets as the pattern. */
static double
cost(const char *twice, const char *again, size_t n)
{
	static unsigned char pattern[IMAP_MATCH_PATTERN_MAX], name[IMAP_MATCH_PATTERN_MAX];
	struct timespec from, to;
	struct imap_match m;
	size_t i;

	for (i = 0; i < n; i++) {
		pattern[i] = (unsigned char)twice[i % 2];
		name[i] = (unsigned char)again[i % strlen(again)];
	}
	pattern[n - 1] = 'b';
	assert_true(imap_match_init(&m, bytes_of(pattern, n), '/'));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (i = 0; i < 4; i++) {
		assert_false(imap_match_name(&m, bytes_of(name, n)));
		imap_match_child(&m, bytes_of(name, n));
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/*
 * Of twice the length four times the cost, with room for a clock that is coarse and a host
 * that is busy. Where ways are tried one by one it is 2^16 times and more, and no end.
 */
static void
test_doubled_length(void **state)
{
	static const struct { const char *pattern, *name; } rows[] = {
		{ "*a", "a" }, { "%a", "a" }, { "**", "a" }, { "%*", "a/" }, { "*%", "a/" }, { "%/", "a/" },
	};
	double before, now;
	size_t i, n;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		before = cost(rows[i].pattern, rows[i].name, 32);
		for (n = 64; n <= IMAP_MATCH_PATTERN_MAX; n *= 2, before = now) {
			now = cost(rows[i].pattern, rows[i].name, n);
			assert_true(now < 32 * before + 0.1);
		}
	}
}

/* A wildcard for a separator is our bug. */
static void
test_broken_promises(void **state)
{
	static const struct { unsigned char separator; int signal; } rows[] = {
		{ '*', SIGABRT }, { '%', SIGABRT }, { '/', 0 }, { '\0', 0 },
	};
	struct imap_match m;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(rows); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
			signal(SIGABRT, SIG_DFL);
			_exit(imap_match_init(&m, text("a"), rows[i].separator) ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		    rows[i].signal);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_against_definition),
		cmocka_unit_test(test_pattern_max),
		cmocka_unit_test(test_doubled_length),
		cmocka_unit_test(test_broken_promises),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
