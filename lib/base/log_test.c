/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/testing.h"

static void
test_text(void **state)
{
	const struct { struct bytes in; const char *want; } cases[] = {
		{ OCTETS(""),				"" },
		{ OCTETS("plain ASCII ~!"),		"plain ASCII ~!" },
		{ OCTETS("a\"b\\c"),			"a\\x22b\\x5Cc" },
		{ OCTETS("a\r\nb\0c\x7f"),		"a\\x0D\\x0Ab\\x00c\\x7F" },
		{ OCTETS("\x1b[2J"),			"\\x1B[2J" },
		{ OCTETS("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7"), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7" },
		{ OCTETS("\xc2\x9b" "2J"),		"\\xC2\\x9B2J" },	/* CSI, well-formed, still a control */
		{ OCTETS("\xc2\xa0"),			"\xc2\xa0" },
		{ OCTETS("\xc3"),			"\\xC3" },		/* truncated */
		{ OCTETS("\xe2\x82"),			"\\xE2\\x82" },
		{ OCTETS("\xf0\x9f\x93"),		"\\xF0\\x9F\\x93" },
		{ OCTETS("\xc3" "a"),			"\\xC3a" },
		{ OCTETS("\x80"),			"\\x80" },
		{ OCTETS("\xc0\x80"),			"\\xC0\\x80" },		/* overlong */
		{ OCTETS("\xe0\x9f\xbf"),		"\\xE0\\x9F\\xBF" },
		{ OCTETS("\xf0\x8f\xbf\xbf"),		"\\xF0\\x8F\\xBF\\xBF" },
		{ OCTETS("\xed\xa0\x80"),		"\\xED\\xA0\\x80" },	/* a surrogate */
		{ OCTETS("\xed\x9f\xbf"),		"\xed\x9f\xbf" },
		{ OCTETS("\xf4\x8f\xbf\xbf"),		"\xf4\x8f\xbf\xbf" },
		{ OCTETS("\xf4\x90\x80\x80"),		"\\xF4\\x90\\x80\\x80" },
		{ OCTETS("\xf5\x80\x80\x80"),		"\\xF5\\x80\\x80\\x80" },
		{ OCTETS("\xff\xfe"),			"\\xFF\\xFE" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		assert_string_equal(log_text(cases[i].in), cases[i].want);
		if (bytes_find(cases[i].in, ' ') == cases[i].in.n)
			assert_string_equal(log_value(cases[i].in), cases[i].want);
	}
	assert_string_equal(log_value(text("x result=ok user=\"y\" >")), "x\\x20result=ok\\x20user=\\x22y\\x22\\x20>");
}

static void
test_text_is_cut(void **state)
{
	char in[300], want[300];

	(void)state;
	memset(in, 'x', sizeof in);
	memset(want, 'x', sizeof want);
	want[255] = '\0';
	assert_string_equal(log_text(bytes_of(in, 255)), want);
	memcpy(want + 255, "...", 4);
	assert_string_equal(log_text(bytes_of(in, 256)), want);
	in[253] = '\n';			/* an escape is not cut in two */
	memcpy(want + 253, "...", 4);
	assert_string_equal(log_text(bytes_of(in, 300)), want);
	memcpy(in + 253, "\xe2\x82\xac", 3);
	assert_string_equal(log_text(bytes_of(in, 300)), want);
}

static void
test_sixteen_texts(void **state)
{
	const char *got[16];
	char in[2] = "a";

	(void)state;
	for (int i = 0; i < 16; i++, in[0]++)
		got[i] = log_text(text(in));
	for (int i = 0; i < 16; i++)
		assert_int_equal(got[i][0], 'a' + i);
}

static int pair[2];

static void
journal_begin(void)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	log_name("prog");
	log_open(pair[0]);
	assert_int_equal(log_fd(), pair[0]);
}

static void
journal_end(void)
{
	close(pair[1]);
	log_open(-1);
	assert_int_equal(log_fd(), -1);
	log_name("log_test");
}

/* The text of the next record, NULL when there is none; its level; checks the rest of it. */
static const char *
next_record(enum log_level *level)
{
	static unsigned char record[4096];
	ssize_t n = recv(pair[1], record, sizeof record - 1, MSG_DONTWAIT);
	uint64_t wall = 0;
	uint32_t pid = 0;

	if (n == -1)
		return NULL;
	*level = record[0];
	assert_int_equal(record[1], 4);
	for (int i = 3; i >= 0; i--)
		pid = pid << 8 | record[2 + i];
	for (int i = 7; i >= 0; i--)
		wall = wall << 8 | record[6 + i];
	assert_int_equal(pid, getpid());
	assert_true((int64_t)wall <= clock_wall_us() && (int64_t)wall > clock_wall_us() - 60000000);
	assert_memory_equal(record + 14, "prog", 4);
	record[n] = '\0';
	return (const char *)record + 18;
}

static void
assert_record(enum log_level want, const char *said)
{
	enum log_level level = LOG_DEBUG_;
	const char *got = next_record(&level);

	assert_non_null(got);
	assert_string_equal(got, said);
	assert_int_equal(level, want);
}

static void
test_records(void **state)
{
	enum log_level level;
	char big[3000];
	const char *got;

	(void)state;
	journal_begin();
	log_info("queued id=%s", "X1");
	assert_record(LOG_INFO_, "queued id=X1");
	errno = ENOSPC;
	log_errno("cannot write %d", 5);
	assert_int_equal(errno, ENOSPC);
	assert_record(LOG_WARN_, "cannot write 5: No space left on device");
	log_debug("not said");
	assert_null(next_record(&level));
	log_debug_on(true);
	log_debug("said");
	log_debug_on(false);
	assert_record(LOG_DEBUG_, "said");

	memset(big, 'b', sizeof big);
	log_warn("%.*s", LOG_RECORD_MAX, big);
	assert_int_equal(strlen(next_record(&level)), LOG_RECORD_MAX);
	log_warn("%.*s", LOG_RECORD_MAX + 1, big);
	got = next_record(&level);
	assert_int_equal(strlen(got), LOG_RECORD_MAX);
	assert_string_equal(got + LOG_RECORD_MAX - 4, "b...");
	errno = EIO;
	log_errno("%.*s", LOG_RECORD_MAX - 6, big);
	got = next_record(&level);
	assert_string_equal(got + LOG_RECORD_MAX - 7, "b: I...");
	assert_true(log_flush());
	journal_end();
}

static void
flood(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		log_info("record %u, and some text that makes it longer than a few octets", i);
}

/* More than the kernel and the ring hold: the first come, in order; what is lost is counted. */
static void
test_overflow(void **state)
{
	enum { SENT = 20000 };
	unsigned long long lost;
	unsigned got = 0, n;
	enum log_level level;
	const char *record;

	(void)state;
	journal_begin();
	flood(SENT);
	assert_false(log_flush());
	for (;;) {
		while ((record = next_record(&level)) == NULL)
			assert_true(log_flush());	/* there is room now */
		if (level == LOG_WARN_)
			break;
		assert_int_equal(sscanf(record, "record %u", &n), 1);
		assert_int_equal(n, got++);
		log_flush();
	}
	assert_int_equal(sscanf(record, "journal: %llu records did not fit", &lost), 1);
	assert_true(got > 0 && lost > 0);
	assert_int_equal(got + lost, SENT);
	log_info("as before");
	assert_record(LOG_INFO_, "as before");
	journal_end();
}

static void
test_fork_has_no_ring(void **state)
{
	enum log_level level;
	unsigned in_kernel = 0;
	int status;
	pid_t pid;

	(void)state;
	journal_begin();
	flood(2000);
	assert_false(log_flush());
	while (next_record(&level))
		in_kernel++;
	pid = fork();
	if (pid == 0)
		_exit(log_flush() && !next_record(&level) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(in_kernel > 0);
	log_flush();
	assert_non_null(next_record(&level));		/* the parent still has it */
	journal_end();
}

/* The journal is gone: the process goes on. */
static void
test_broken_channel(void **state)
{
	(void)state;
	journal_begin();
	close(pair[1]);
	pair[1] = -1;
	flood(5000);
	assert_false(log_flush());
	journal_end();
}

static void
test_stderr(void **state)
{
	static const char want[] = "tool: info \xc3\xa4\\x0A\\x1B\n" "tool: warning: what: No such file or directory\n"
	    "tool: warning: \\x22quoted \"\\\"\n" "tool: fatal: the end\n";
	char got[1000] = "";
	int out[2], status;
	size_t n = 0;
	ssize_t more;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDERR_FILENO);
		log_name("tool");
		log_info("info \xc3\xa4\n\x1b");
		errno = ENOENT;
		log_errno("what");
		log_warn("%squoted \"\\\"", log_text(text("\"")));
		log_fatal("the %s", "end");
	}
	close(out[1]);
	while ((more = read(out[0], got + n, sizeof got - 1 - n)) > 0)
		n += (size_t)more;
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_string_equal(got, want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_is_cut),
		cmocka_unit_test(test_sixteen_texts),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_fork_has_no_ring),
		cmocka_unit_test(test_broken_channel),
		cmocka_unit_test(test_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
