/* SPDX-License-Identifier: ISC */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/account.h"
#include "mail/table.h"
#include "mail/table_text.h"

static char scratch[64];
static char why[512];

static int
make_scratch(void **state)
{
	(void)state;
	snprintf(scratch, sizeof scratch, "/tmp/table-test-XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

static int
remove_scratch(void **state)
{
	char *const argv[] = { "rm", "-rf", scratch, NULL };
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		execvp("rm", argv);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static const char *
spec_of(const char *type, const char *name)
{
	static char spec[4][128];
	static unsigned turn;
	char *s = spec[turn++ % 4];

	snprintf(s, 128, "%s:%s/%s", type, scratch, name);
	return s;
}

/* ---- the text grammar ---------------------------------------------------------------- */

static const struct { enum text_grammar g; const char *file, *key, *value; } texts[] = {
	{ TEXT_PAIRS, "a b\n", "a", "b" },
	{ TEXT_PAIRS, "a b", "a", "b" },			/* no LF at the end */
	{ TEXT_PAIRS, "a \t b c \r\n", "a", "b c" },
	{ TEXT_PAIRS, "a\n", "a", "" },
	{ TEXT_PAIRS, "# a no\n\n   \na yes\n", "a", "yes" },
	{ TEXT_PAIRS, "a b\n c\n\td\nb x\n", "a", "b\nc\nd" },
	{ TEXT_PAIRS, "a b\n# between\n\n c\nb x\n", "a", "b\nc" },
	{ TEXT_PAIRS, "a b\n c\nb x\n", "b", "x" },
	{ TEXT_PAIRS, "a first\na second\n", "a", "first" },
	{ TEXT_PAIRS, "\"a b\"@d x\n", "\"a b\"@d", "x" },
	{ TEXT_PAIRS, "A b\n", "a", NULL },			/* keys as they are */
	{ TEXT_PAIRS, "a #b\n", "a", "#b" },
	{ TEXT_ALIASES, "a: b, c\n", "a", "b, c" },
	{ TEXT_ALIASES, "Post.Master : b\n\tc\n", "post.master", "b c" },
	{ TEXT_ALIASES, "\"a: b\": c\n", "a: b", "c" },
	{ TEXT_ALIASES, "a:\n", "a", "" },
	{ TEXT_PASSWD, "root:x:0:0::/root:/bin/sh\nu:x:1000:1000:U,,,:/home/u:/bin/sh\n", "u",
	    "x:1000:1000:U,,,:/home/u:/bin/sh" },
	{ TEXT_PASSWD, "+::::::\nu:x:1:1::/:\n", "u", "x:1:1::/:" },
};

static const struct { enum text_grammar g; const char *file; size_t n; const char *why; } faults[] = {
	{ TEXT_PAIRS, " a b\n", 0, "line 1: goes on" },
	{ TEXT_PAIRS, "# x\n\n a b\n", 0, "line 3: goes on" },
	{ TEXT_PAIRS, "a b\n\"c d\n", 0, "line 2: not understood" },
	{ TEXT_PAIRS, "a b\0c\n", 6, "line 1: holds a NUL" },
	{ TEXT_PAIRS, "a b\n \0\n", 7, "line 2: holds a NUL" },
	{ TEXT_ALIASES, "a: b\nc d\n", 0, "line 2: not understood" },
	{ TEXT_ALIASES, ": b\n", 0, "line 1: not understood" },
	{ TEXT_PASSWD, "root\n", 0, "line 1: not understood" },
};

static void
test_text(void **state)
{
	struct text_table t;
	const struct text_entry *e;

	(void)state;
	for (size_t i = 0; i < LEN(texts); i++) {
		if (!text_parse(text(texts[i].file), texts[i].g, &t, why, sizeof why))
			fail_msg("%s: %s", texts[i].file, why);
		e = text_find(&t, text(texts[i].key));
		assert_int_equal(e != NULL, texts[i].value != NULL);
		if (e && !bytes_eq(text_value(&t, e), text(texts[i].value)))
			fail_msg("%s: got %.*s", texts[i].file, BYTES_FMT(text_value(&t, e)));
		text_fini(&t);
	}
	for (size_t i = 0; i < LEN(faults); i++) {
		size_t n = faults[i].n ? faults[i].n : strlen(faults[i].file);

		assert_false(text_parse(bytes_of(faults[i].file, n), faults[i].g, &t, why, sizeof why));
		if (strncmp(why, faults[i].why, strlen(faults[i].why)) != 0)
			fail_msg("%s: %s", faults[i].file, why);
		text_fini(&t);
	}
}

static const struct { const char *key, *value; bool ok; } puts_[] = {
	{ "a", "b", true },
	{ "a", "", true },
	{ "a", "b\nc d", true },
	{ "\"a b\"@d", "x", true },
	{ "a b", "x", false },
	{ "", "x", false },
	{ "#a", "x", false },
	{ "a", "b\n\nc", false },
	{ "a", "b\n", false },
	{ "a", " b", false },
	{ "a", "b\n#c", false },
	{ "a\nb", "c", false },
};

static void
test_text_put(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(puts_); i++) {
		struct text_table t;
		struct buf b;

		buf_init(&b, 1000);
		if (text_put(text(puts_[i].key), text(puts_[i].value), &b) != puts_[i].ok)
			fail_msg("row %zu", i);
		if (puts_[i].ok) {
			const struct text_entry *e;

			assert_true(text_parse(buf_bytes(&b), TEXT_PAIRS, &t, why, sizeof why));
			assert_non_null(e = text_find(&t, text(puts_[i].key)));
			assert_true(bytes_eq(text_value(&t, e), text(puts_[i].value)));
			text_fini(&t);
		}
		buf_fini(&b);
	}
}

/* ---- every type ------------------------------------------------------------------------- */

static const char *const all_types[] = {
	"text", "lmdb", "hash", "btree",
};

static void
put(const char *spec, const char *key, const char *value)
{
	struct table *t = table_open_write(spec, true, why, sizeof why);

	if (!t)
		fail_msg("%s", why);
	if (!table_put(t, text(key), text(value), why, sizeof why))
		fail_msg("%s", why);
	table_close(&t);
}

static void
expect(struct table *t, const char *key, enum verdict want, const char *value)
{
	struct buf b;
	enum verdict v;

	buf_init(&b, 100000);
	v = table_get(t, text(key), &b);
	if (v != want || (v == YES && !bytes_eq(buf_bytes(&b), text(value))))
		fail_msg("%s %s: %d, %.*s", table_path(t), key, v, BYTES_FMT(buf_bytes(&b)));
	buf_fini(&b);
}

static bool
count(void *arg, struct bytes key, struct bytes value)
{
	(void)key, (void)value;
	return ++*(unsigned *)arg < 100000;
}

static void
from_the_future(const char *path)
{
	struct timespec t[2] = { { .tv_sec = time(NULL) + 3600 }, { .tv_sec = time(NULL) + 3600 } };

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

/* What was written long ago counts from the first question on, which may be the first of the day. */
static void
test_a_text_that_has_rested(void **state)
{
	const char *spec = spec_of("text", "rested");
	struct table *t;

	(void)state;
	put(spec, "anna@a.example", "a");
	assert_non_null(t = table_open(spec, why, sizeof why));
	expect(t, "bert@a.example", NO, NULL);
	put(spec, "bert@a.example", "b");
	usleep(1100000);
	expect(t, "bert@a.example", YES, "b");
	assert_int_equal(unlink(table_path(t)), 0);
	table_close(&t);
}

static void
test_types(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(all_types); i++) {
		const char *spec = spec_of(all_types[i], all_types[i]);
		struct table *w, *t;
		unsigned n = 0;
		struct stat st;
		char away[1100];

		put(spec, "anna@a.example", "password=x\nuid=5");
		put(spec, "bert@a.example", "b");
		put(spec, "anna@a.example", "changed");
		t = table_open(spec, why, sizeof why);
		assert_non_null(t);
		assert_string_equal(why, "");
		expect(t, "anna@a.example", YES, "changed");
		expect(t, "bert@a.example", YES, "b");
		expect(t, "carl@a.example", NO, NULL);
		assert_true(table_walk(t, count, &n));
		assert_int_equal(n, 2);
		assert_int_equal(stat(table_path(t), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0640);

		/* Who holds it open has the old one until it looks again. */
		assert_non_null(w = table_open_write(spec, false, why, sizeof why));
		assert_true(table_delete(w, text("anna@a.example"), why, sizeof why));
		assert_true(table_delete(w, text("nobody"), why, sizeof why));
		expect(w, "anna@a.example", NO, NULL);
		table_close(&w);
		expect(t, "anna@a.example", YES, "changed");
		if (strcmp(all_types[i], "text") == 0)
			from_the_future(table_path(t));
		usleep(1100000);
		if (strcmp(all_types[i], "text") == 0) {
			expect(t, "anna@a.example", YES, "changed");	/* has to rest, and no time says that it has */
			usleep(1100000);
		}
		expect(t, "anna@a.example", NO, NULL);
		expect(t, "bert@a.example", YES, "b");

		/* What has come is found at once, but in a text file, which must have rested. */
		put(spec, "new@a.example", "n");
		if (strcmp(all_types[i], "text") != 0)
			expect(t, "new@a.example", YES, "n");

		/* Gone, and back again the same. */
		snprintf(away, sizeof away, "%s.away", table_path(t));
		assert_int_equal(rename(table_path(t), away), 0);
		usleep(1100000);
		expect(t, "bert@a.example", NOT_SURE, NULL);
		assert_int_equal(rename(away, table_path(t)), 0);
		usleep(1100000);
		expect(t, "bert@a.example", YES, "b");
		assert_int_equal(unlink(table_path(t)), 0);
		table_close(&t);
	}
}

static void
test_many(void **state)
{
	enum { N = 3000 };
	struct table_change *c = mem_array(N, sizeof *c);
	char (*key)[32] = mem_array(N, sizeof *key);

	(void)state;
	for (size_t i = 0; i < N; i++) {
		snprintf(key[i], sizeof key[i], "user%zu@a.example", i);
		c[i] = (struct table_change){ text(key[i]), text(key[i]), false };
	}
	for (size_t i = 1; i < LEN(all_types); i++) {
		const char *spec = spec_of(all_types[i], all_types[i]);
		struct table *t = table_open_write(spec, true, why, sizeof why);
		unsigned n = 0;

		if (!table_change(t, c, N, true, why, sizeof why))
			fail_msg("%s", why);
		table_close(&t);
		assert_non_null(t = table_open(spec, why, sizeof why));
		for (size_t j = 0; j < N; j++)
			expect(t, key[j], YES, key[j]);
		assert_true(table_walk(t, count, &n));
		assert_int_equal(n, N);
		table_close(&t);
	}
	mem_free(key);
	mem_free(c);
}

/* A confined process has an empty root: the new file is reached through the folder's descriptor. */
static void
test_empty_root(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("not root: the empty root is left out\n");
		return;
	}
	for (size_t i = 0; i < LEN(all_types); i++) {
		const char *spec = spec_of(all_types[i], all_types[i]);
		struct table *t;
		pid_t pid;
		int status;
		char empty[96];

		snprintf(empty, sizeof empty, "%s/empty", scratch);
		mkdir(empty, 0755);
		put(spec, "a", "old");
		assert_non_null(t = table_open(spec, why, sizeof why));
		pid = fork();
		if (pid == 0) {
			struct buf b;

			buf_init(&b, 100);
			if (chroot(empty) == -1 || chdir("/") == -1
			    || table_get(t, text("a"), &b) != YES || !bytes_eq(buf_bytes(&b), text("old")))
				_exit(1);
			for (int n = 0; n < 60; n++) {
				usleep(100000);
				if (table_get(t, text("a"), &b) != YES)
					_exit(2);
				if (bytes_eq(buf_bytes(&b), text("new")))
					_exit(access("/etc", F_OK) == 0 ? 3 : 0);
			}
			_exit(4);
		}
		usleep(200000);
		put(spec, "a", "new");
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		table_close(&t);
	}
}

#ifdef HERMOD_FAULTS
/* Whatever call of a writer fails, and wherever it is killed: the table is the old or the new one,
 * the new one when the writer said so. */
static void
test_failing_writer(void **state)
{
	static const char *const calls[] = { "write", "fsync", "renameat", "openat", "close" };
	static const char *const ways[] = { "EIO", "kill" };
	enum { TIMES = 5 };		/* the 1st to 5th call */
	struct buf value;

	(void)state;
	buf_init(&value, 1000);
	for (size_t i = 0; i < LEN(all_types); i++)
		for (size_t n = 0; n < LEN(calls) * LEN(ways) * TIMES; n++) {
			const char *spec = spec_of(all_types[i], all_types[i]);
			char fault[64];
			struct table *t;
			pid_t pid;
			int status;

			put(spec, "a", "old");
			snprintf(fault, sizeof fault, "table_test:%s:%zu:%s", calls[n / TIMES / LEN(ways)], n % TIMES + 1,
			    ways[n / TIMES % LEN(ways)]);
			pid = fork();
			if (pid == 0) {
				setenv("HERMOD_FAULT", fault, 1);
				fault_open("table_test");
				t = table_open_write(spec, true, why, sizeof why);
				_exit(t && table_put(t, text("a"), text("new"), why, sizeof why) ? 0 : 1);
			}
			assert_int_equal(waitpid(pid, &status, 0), pid);
			t = table_open(spec, why, sizeof why);
			if (!t || table_get(t, text("a"), &value) != YES)
				fail_msg("%s %s: %s", spec, fault, why);
			if (!bytes_eq(buf_bytes(&value), text("new"))
			    && (!bytes_eq(buf_bytes(&value), text("old")) || status == 0))
				fail_msg("%s %s: status %d, %.*s", spec, fault, status, BYTES_FMT(buf_bytes(&value)));
			table_close(&t);
		}
	buf_fini(&value);
}
#endif

static void
overwrite(const char *path, const char *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd != -1 && file_write(fd, text(content)));
	close(fd);
}

static void
test_damage(void **state)
{
	(void)state;
	for (size_t i = 1; i < LEN(all_types); i++) {	/* no table at all; and one cut short */
		const char *spec = spec_of(all_types[i], all_types[i]);
		struct table *t;
		struct stat st;

		put(spec, "a", "b");
		assert_non_null(t = table_open(spec, why, sizeof why));
		assert_int_equal(stat(table_path(t), &st), 0);
		assert_int_equal(truncate(table_path(t), st.st_size / 2 / 4096 * 4096), 0);
		table_close(&t);
		assert_non_null(t = table_open(spec, why, sizeof why));
		assert_string_not_equal(why, "");
		expect(t, "c", NOT_SURE, NULL);
		overwrite(table_path(t), "hello, world\n");
		table_close(&t);
		assert_non_null(t = table_open(spec, why, sizeof why));
		assert_string_not_equal(why, "");
		expect(t, "a", NOT_SURE, NULL);
		table_close(&t);
	}
}

/* A text file with an error in it: what was there before still counts. */
static void
test_text_error(void **state)
{
	const char *spec = spec_of("text", "edited");
	struct table *t;

	(void)state;
	put(spec, "a", "b");
	assert_non_null(t = table_open(spec, why, sizeof why));
	overwrite(table_path(t), " a c\n");
	for (int i = 0; i < 3; i++) {
		usleep(1050000);
		expect(t, "a", YES, "b");
	}
	overwrite(table_path(t), "# kept\na c\n");
	usleep(1050000);
	expect(t, "a", YES, "c");
	table_close(&t);
	put(spec, "b", "d");
	assert_non_null(t = table_open(spec, why, sizeof why));
	expect(t, "a", YES, "c");
	expect(t, "b", YES, "d");
	table_close(&t);
}

#ifdef HAVE_BDB
static void
test_db_config(void **state)
{
	const char *spec = spec_of("hash", "config");
	char path[96];
	struct table *t;

	(void)state;
	put(spec, "a", "b");
	snprintf(path, sizeof path, "%s/DB_CONFIG", scratch);
	overwrite(path, "set_data_dir /\n");
	assert_non_null(t = table_open(spec, why, sizeof why));
	assert_non_null(strstr(why, "DB_CONFIG"));
	expect(t, "a", NOT_SURE, NULL);
	table_close(&t);
	assert_int_equal(unlink(path), 0);
	assert_non_null(t = table_open(spec, why, sizeof why));
	expect(t, "a", YES, "b");
	table_close(&t);
}
#endif

static void
test_spec(void **state)
{
	char dir[1024];

	(void)state;
	assert_null(table_open("nosuch:/x", why, sizeof why));
	assert_null(table_open("text", why, sizeof why));
	assert_null(table_open("text:x", why, sizeof why));
	assert_null(table_open("text:/no/such/folder/x", why, sizeof why));
	assert_null(table_open_write("text:/no/such/folder/x", true, why, sizeof why));
	assert_null(table_open_write(spec_of("text", "absent"), false, why, sizeof why));
	assert_true(table_directory("text:/etc/aliases", dir));
	assert_string_equal(dir, "/etc");
	assert_true(table_directory("lmdb:/x", dir));
	assert_string_equal(dir, "/");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_put),
		cmocka_unit_test_setup_teardown(test_types, make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(test_a_text_that_has_rested, make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(test_many, make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(test_empty_root, make_scratch, remove_scratch),
#ifdef HERMOD_FAULTS
		cmocka_unit_test_setup_teardown(test_failing_writer, make_scratch, remove_scratch),
#endif
		cmocka_unit_test_setup_teardown(test_damage, make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(test_text_error, make_scratch, remove_scratch),
#ifdef HAVE_BDB
		cmocka_unit_test_setup_teardown(test_db_config, make_scratch, remove_scratch),
#endif
		cmocka_unit_test_setup_teardown(test_spec, make_scratch, remove_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
