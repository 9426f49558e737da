/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/journal_writer.h"

#define HEAD(level, name)	level, name, 42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0

static const struct {
	const char	*name, *service;
	unsigned char	 wire[64];
	size_t		 n;
	const char	*want;		/* NULL: no record */
} cases[] = {
	{ "plain", "smtpd", { HEAD(1, 5), 's', 'm', 't', 'p', 'd', 'h', 'i' }, 21, "hermod/smtpd[42]: hi" },
	{ "warning", "smtpd", { HEAD(2, 5), 's', 'm', 't', 'p', 'd', 'h', 'i' }, 21, "hermod/smtpd[42]: warning: hi" },
	{ "no text", "smtpd", { HEAD(3, 5), 's', 'm', 't', 'p', 'd' }, 19, "hermod/smtpd[42]: fatal: " },
	{ "a second line", "x", { HEAD(1, 1), 'x', 'a', '\r', '\n', 'b', 0, 0x1b, 0x7f }, 22,
	  "hermod/x[42]: a\\x0D\\x0Ab\\x00\\x1B\\x7F" },
	{ "UTF-8", "x", { HEAD(1, 1), 'x', 0xc3, 0xa4, 0xc2, 0x9b, 0xff, 0xc3 }, 21,
	  "hermod/x[42]: \303\244\\xC2\\x9B\\xFF\\xC3" },
	{ "another's name", "smtpd", { HEAD(1, 4), 'q', 'm', 'g', 'r', 'h', 'i' }, 20, "hermod/smtpd as qmgr[42]: hi" },
	{ "a fork of become", "become", { HEAD(1, 5), 'p', 'o', 'p', '3', 'd', 'h', 'i' }, 21, "hermod/pop3d[42]: hi" },
	{ "a bad name", "become", { HEAD(1, 1), '\n', 'h', 'i' }, 17, "hermod/\\x0A[42]: hi" },
	{ "no level", "x", { HEAD(4, 1), 'x' }, 15, NULL },
	{ "name past the end", "x", { HEAD(1, 2), 'x' }, 15, NULL },
	{ "short", "x", { HEAD(1, 0) }, 13, NULL },
	{ "empty", "x", { 0 }, 0, NULL },
};

static void
test_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct journal_record r;
		struct buf line;
		bool good = journal_record_parse(bytes_of(cases[i].wire, cases[i].n), &r);

		buf_init(&line, JOURNAL_LINE_MAX);
		if (good)
			journal_record_say(&r, cases[i].service, &line);
		if (good != (cases[i].want != NULL) || (good && !bytes_eq(buf_bytes(&line), text(cases[i].want))))
			fail_msg("%s: got \"%.*s\"", cases[i].name, BYTES_FMT(buf_bytes(&line)));
		buf_fini(&line);
	}
}

static char scratch[64];
static int dir;

static void
say(struct journal_writer *w, const char *what)
{
	struct journal_record r = { .level = LOG_INFO_, .pid = 7, .wall_us = 1000001, .program = text("qmgr"), .text = text(what) };

	journal_writer_add(w, &r, "qmgr");
}

static void
assert_file(const char *name, const char *want)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_true(file_slurp(dir, name, &b));
	buf_char(&b, '\0');
	assert_string_equal((char *)b.p, want);
	buf_fini(&b);
}

#define LINE(s) "1970-01-01T00:00:01.000001Z hermod/qmgr[7]: " s "\n"

static void
test_file(void **state)
{
	struct journal_writer w;

	(void)state;
	assert_true(journal_writer_open(&w, dir, "log"));
	say(&w, "one");
	say(&w, "two");
	assert_true(journal_writer_flush(&w));
	assert_file("log", LINE("one") LINE("two"));
	assert_int_equal(renameat(dir, "log", dir, "log.1"), 0);
	say(&w, "three");
	assert_true(journal_writer_flush(&w));			/* nobody has said reopen: into the old one */
	assert_true(journal_writer_reopen(&w));
	say(&w, "four");
	assert_true(journal_writer_flush(&w));
	assert_file("log.1", LINE("one") LINE("two") LINE("three"));
	assert_file("log", LINE("four"));
	assert_int_equal(w.waiting, 0);
	journal_writer_close(&w);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_false(journal_writer_open(&w, dir, "fifo"));	/* and does not wait for a reader */
	journal_writer_close(&w);
	unlinkat(dir, "fifo", 0);
}

/* A disk that is full: what fits waits, the rest is counted, and said when there is room again. */
static void
test_full(void **state)
{
	static char long_text[1500];
	struct journal_writer w;
	struct buf b;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), file;

	(void)state;
	memset(long_text, 'x', sizeof long_text - 1);
	assert_true(journal_writer_open(&w, dir, "full"));
	file = w.fd;
	w.fd = full;
	for (int i = 0; i < 1000; i++)
		say(&w, long_text);
	assert_false(journal_writer_flush(&w));
	assert_true(w.waiting > 500 && w.lost > 0 && w.waiting + w.lost == 1000);
	w.fd = file;
	w.torn = true;				/* a part of a line was written before */
	assert_true(journal_writer_flush(&w));
	assert_int_equal(w.waiting + w.lost, 0);
	buf_init(&b, 4 << 20);
	assert_true(file_slurp(dir, "full", &b));
	assert_true(b.p[0] == '\n');
	assert_true(bytes_ends(buf_bytes(&b), text(" lines could not be written and are lost\n")));
	buf_fini(&b);
	journal_writer_close(&w);
	close(full);
}

static int
prepare(void **state)
{
	(void)state;
	snprintf(scratch, sizeof scratch, "/tmp/journal_test.XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	dir = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir == -1;
}

static int
clean(void **state)
{
	(void)state;
	unlinkat(dir, "log", 0);
	unlinkat(dir, "log.1", 0);
	unlinkat(dir, "full", 0);
	return rmdir(scratch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, prepare, clean);
}
