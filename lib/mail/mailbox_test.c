/* SPDX-License-Identifier: ISC */
/*
 * Both formats through the one interface, on real files.
 */
#include "mail/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/index.h"
#include "mail/maildir.h"
#include "mail/mbox.h"

static char	spec[160], path[100], why[200];
static bool	is_mbox;
static int	content_fd;

static int
begin(bool mbox)
{
	is_mbox = mbox;
	if (test_dir_make("mailbox", false) == -1)
		return -1;
	snprintf(path, sizeof path, "%s/box", test_dir);
	snprintf(spec, sizeof spec, "%s:%s", mbox ? "mbox" : "maildir", path);
	content_fd = open(test_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return content_fd == -1 ? -1 : 0;
}

static int begin_maildir(void **state) { (void)state; return begin(false); }
static int begin_mbox(void **state) { (void)state; return begin(true); }

static int
end(void **state)
{
	close(content_fd);
	return test_dir_remove(state);
}

static bool
mark_seen(struct mailbox *m, size_t i)
{
	struct flag_change c = { .how = FLAGS_ADD, .flags = MAIL_SEEN };
	enum flag_changed result;

	return mailbox_store(m, &i, 1, &c, &result) && result != FLAG_GONE;
}

static struct mailbox *
opened(void)
{
	struct mailbox *m = mailbox_open(text(spec), 200, why, sizeof why);

	if (!m)
		print_error("%s\n", why);
	assert_non_null(m);
	return m;
}

static enum outcome
deliver_promising(struct mailbox *m, const char *content, uint64_t octets)
{
	struct delivery d = { .head = text("Return-Path: <a@b.example>\r\n"),
	    .sender = text("a@b.example"), .fd = content_fd, .octets = octets };
	struct buf segments, reply;
	enum outcome outcome;

	buf_init(&segments, 1000);
	buf_init(&reply, 1000);
	assert_int_equal(ftruncate(content_fd, 0), 0);
	assert_true(file_pwrite(content_fd, text(content), 0));
	segments_add_file(&segments, 0, octets);
	d.segments = buf_bytes(&segments);
	outcome = mailbox_deliver(m, &d, &reply);
	if (outcome == DELIVERED)
		assert_true(bytes_starts(buf_bytes(&reply), text("2.0.0 ")));
	else
		assert_true(bytes_starts(buf_bytes(&reply), text("4.")));
	buf_fini(&segments);
	buf_fini(&reply);
	return outcome;
}

static enum outcome
deliver(struct mailbox *m, const char *content)
{
	return deliver_promising(m, content, strlen(content));
}

#define HEAD "Return-Path: <a@b.example>\r\n"

static void
assert_mail(struct mailbox *m, size_t i, const char *want)
{
	char got[4000];
	struct mail_reader *r = mailbox_read(m, i);
	size_t n = 0;
	long some;

	assert_non_null(r);
	while ((some = mail_reader_get(r, got + n, sizeof got - n)) > 0)
		n += (size_t)some;
	assert_int_equal(some, 0);
	got[n] = '\0';
	assert_string_equal(got, want);
	assert_true(mailbox_size(m, i));
	assert_int_equal(mailbox_mail(m, i)->octets, n);
	mail_reader_free(&r);
}

static void
put_file(const char *name, const char *content)
{
	char whole[300];
	int fd;

	snprintf(whole, sizeof whole, "%s/%s", test_dir, name);
	fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, text(content)));
	close(fd);
}

static size_t
count_files(const char *sub)
{
	char name[200];
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	snprintf(name, sizeof name, "%s/%s", path, sub);
	d = opendir(name);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* ---- both formats ---- */

static void
test_deliver_and_read(void **state)
{
	struct mailbox *m = opened();
	uint32_t validity;

	(void)state;
	assert_int_equal(deliver(m, "Subject: 1\r\n\r\nbody\r\n.dot\r\n"), DELIVERED);
	assert_int_equal(deliver(m, "Subject: 2\r\n\r\nFrom me\r\n>From you\r\n\r\nFrom x\r\n"), DELIVERED);
	assert_int_equal(deliver(m, "Subject: 3\r\n\r\n"), DELIVERED);
	assert_int_equal(deliver(m, "Subject: 4\r\n\r\nends\r\n\r\n\r\n"), DELIVERED);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 4);
	assert_mail(m, 0, HEAD "Subject: 1\r\n\r\nbody\r\n.dot\r\n");
	assert_mail(m, 1, HEAD "Subject: 2\r\n\r\nFrom me\r\n>From you\r\n\r\nFrom x\r\n");
	assert_mail(m, 2, HEAD "Subject: 3\r\n\r\n");
	assert_mail(m, 3, HEAD "Subject: 4\r\n\r\nends\r\n\r\n\r\n");
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(mailbox_mail(m, i)->uid, i + 1);
	validity = mailbox_uidvalidity(m);
	assert_true(mark_seen(m, 1));
	mailbox_close(&m);
	m = opened();
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_uidvalidity(m), validity);
	assert_int_equal(mailbox_count(m), 4);
	assert_true(mailbox_mail(m, 1)->flags & MAIL_SEEN);
	assert_false(mailbox_mail(m, 2)->flags & MAIL_SEEN);
	assert_mail(m, 3, HEAD "Subject: 4\r\n\r\nends\r\n\r\n\r\n");
	mailbox_close(&m);
}

static void
test_expunge(void **state)
{
	struct mailbox *m = opened();
	const size_t first[] = { 2, 0 }, rest[] = { 0, 1 };

	(void)state;
	assert_int_equal(deliver(m, "S: 1\r\n\r\none\r\n"), DELIVERED);
	assert_int_equal(deliver(m, "S: 2\r\n\r\ntwo\r\n"), DELIVERED);
	assert_int_equal(deliver(m, "S: 3\r\n\r\nthree\r\n"), DELIVERED);
	assert_int_equal(deliver(m, "S: 4\r\n\r\nfour\r\n"), DELIVERED);
	assert_true(mailbox_scan(m));
	assert_true(mailbox_expunge(m, first, 2));
	assert_true(mailbox_mail(m, 0)->expunged);
	assert_false(mailbox_mail(m, 1)->expunged);
	assert_true(mailbox_expunge(m, first, 2) || is_mbox);	/* gone already: removed */
	mailbox_close(&m);
	m = opened();
	assert_int_equal(deliver(m, "S: 5\r\n\r\nfive\r\n"), DELIVERED);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 3);
	assert_mail(m, 0, HEAD "S: 2\r\n\r\ntwo\r\n");
	assert_mail(m, 1, HEAD "S: 4\r\n\r\nfour\r\n");
	assert_mail(m, 2, HEAD "S: 5\r\n\r\nfive\r\n");
	assert_int_equal(mailbox_mail(m, 0)->uid, 2);
	assert_int_equal(mailbox_mail(m, 1)->uid, 4);
	assert_int_equal(mailbox_mail(m, 2)->uid, 5);
	assert_true(mailbox_expunge(m, rest, 2));
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 1);
	assert_int_equal(mailbox_mail(m, 0)->uid, 5);
	mailbox_close(&m);
}

static void
test_short_queue_file(void **state)
{
	struct mailbox *m = opened();

	(void)state;
	assert_int_equal(deliver(m, "S: 1\r\n\r\none\r\n"), DELIVERED);
	assert_int_equal(deliver_promising(m, "S: 2\r\n\r\ntwo\r\n", 100), TRY_LATER);
	assert_int_equal(deliver(m, "S: 3\r\n\r\nthree\r\n"), DELIVERED);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 2);
	assert_mail(m, 1, HEAD "S: 3\r\n\r\nthree\r\n");
	if (!is_mbox)
		assert_int_equal(count_files("tmp"), 0);
	mailbox_close(&m);
}

/* Many at once, larger than any buffer. */
static void
test_batch(void **state)
{
	enum { N = MAILBOX_BATCH + 3 };
	struct mailbox *m = opened();
	struct delivery d[N];
	enum outcome outcome[N];
	struct buf reply[N], segments, content;

	(void)state;
	buf_init(&segments, 100);
	buf_init(&content, 1 << 20);
	buf_text(&content, "Subject: large\r\n\r\n");
	for (int i = 0; i < 9000; i++)
		buf_fmt(&content, "From line %d of it, and then the line's end\r\n", i);
	assert_true(file_pwrite(content_fd, buf_bytes(&content), 0));
	segments_add_file(&segments, 0, content.n);
	for (size_t i = 0; i < N; i++) {
		buf_init(&reply[i], 200);
		d[i] = (struct delivery){ .fd = content_fd, .segments = buf_bytes(&segments),
		    .octets = content.n };
	}
	mailbox_deliver_all(m, d, N, outcome, reply);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(outcome[i], DELIVERED);
		buf_fini(&reply[i]);
	}
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), N);
	for (size_t i = 0; i < N; i++) {
		struct mail_reader *r = mailbox_read(m, i);
		struct buf got;
		long n;

		buf_init(&got, 1 << 20);
		while ((n = mail_reader_get(r, buf_room(&got, 4096), 4096)) > 0)
			got.n += (size_t)n;
		assert_true(bytes_eq(buf_bytes(&got), buf_bytes(&content)));
		assert_true(mailbox_size(m, i));
		assert_int_equal(mailbox_mail(m, i)->octets, content.n);
		buf_fini(&got);
		mail_reader_free(&r);
	}
	buf_fini(&segments);
	buf_fini(&content);
	mailbox_close(&m);
}

static void
test_pop3_lock(void **state)
{
	struct mailbox *a = opened(), *b = opened();

	(void)state;
	assert_true(mailbox_pop3_lock(a));
	assert_false(mailbox_pop3_lock(b));
	assert_int_equal(deliver(b, "S: 1\r\n\r\n"), DELIVERED);	/* deliveries are not kept out */
	assert_true(mailbox_scan(b));
	mailbox_close(&a);
	assert_true(mailbox_pop3_lock(b));
	mailbox_close(&b);
}

static void
test_refused(void **state)
{
	char other[200];

	(void)state;
	snprintf(other, sizeof other, "%s/real", test_dir);
	if (is_mbox)
		put_file("real", "");
	else
		assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_null(mailbox_open(text(spec), 100, why, sizeof why));
	assert_int_equal(unlink(path), 0);
	if (is_mbox) {
		assert_int_equal(link(other, path), 0);
		assert_null(mailbox_open(text(spec), 100, why, sizeof why));
		assert_non_null(strstr(why, "hard link"));
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(mailbox_open(text(spec), 100, why, sizeof why));
	assert_null(mailbox_open(text("maildir:relative"), 100, why, sizeof why));
	assert_null(mailbox_open(text("maildir:/a/../b"), 100, why, sizeof why));
	assert_null(mailbox_open(text("imap:/a"), 100, why, sizeof why));
	assert_null(mailbox_open(text("maildir:/nonexistent/w/x/y"), 100, why, sizeof why));
}

/* ---- Maildir ---- */

/* Other programs rename, remove, restore. */
/* mail_directory/domain/local-part: two that are missing are made, 0700, three are not. */
static void
test_parents(void **state)
{
	struct mailbox *m;
	struct stat st;

	(void)state;
	snprintf(spec, sizeof spec, "%s:%s/a/b/c/box", is_mbox ? "mbox" : "maildir", test_dir);
	assert_null(mailbox_open(text(spec), 100, why, sizeof why));
	assert_string_equal(why, "the directory it would be in: No such file or directory");
	snprintf(path, sizeof path, "%s/a", test_dir);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(spec, sizeof spec, "%s:%s/a/b/box", is_mbox ? "mbox" : "maildir", test_dir);
	m = opened();
	mailbox_close(&m);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(spec, sizeof spec, "%s:%s/a/d/box", is_mbox ? "mbox" : "maildir", test_dir);
	m = opened();
	mailbox_close(&m);
	snprintf(path, sizeof path, "%s/a/d", test_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	if (geteuid() == 0) {			/* below one that is another's nothing is made */
		assert_int_equal(chown(path, 1, 1), 0);
		snprintf(spec, sizeof spec, "%s:%s/a/d/e/box", is_mbox ? "mbox" : "maildir", test_dir);
		assert_null(mailbox_open(text(spec), 100, why, sizeof why));
		assert_string_equal(why, "the directory it would be in: No such file or directory");
	}
}

static void
test_other_programs(void **state)
{
	struct mailbox *m = opened();
	char from[300], to[300];

	(void)state;
	put_file("box/new/1000000002.M5.x", "S: 2\n\ntwo\n");
	put_file("box/new/1000000001.x", "S: 1\n\none\n");
	put_file("box/cur/1000000003.x:2,RS", "S: 3\r\n\r\nthree\r\n");
	put_file("box/cur/.hidden", "x");
	put_file("box/cur/:2,S", "x");
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 3);
	assert_mail(m, 0, "S: 1\r\n\r\none\r\n");
	assert_mail(m, 1, "S: 2\r\n\r\ntwo\r\n");
	assert_mail(m, 2, "S: 3\r\n\r\nthree\r\n");
	assert_true(mailbox_mail(m, 2)->flags & MAIL_SEEN);

	snprintf(from, sizeof from, "%s/new/1000000001.x", path);
	snprintf(to, sizeof to, "%s/cur/1000000001.x:2,F", path);
	assert_int_equal(rename(from, to), 0);
	assert_mail(m, 0, "S: 1\r\n\r\none\r\n");
	assert_true(mark_seen(m, 0));
	snprintf(to, sizeof to, "%s/cur/1000000001.x:2,FS", path);
	assert_int_equal(access(to, R_OK), 0);
	snprintf(from, sizeof from, "%s/new/1000000002.M5.x", path);
	assert_int_equal(unlink(from), 0);
	assert_null(mailbox_read(m, 1));
	assert_int_equal(errno, ENOENT);
	{
		const size_t one = 1;

		assert_true(mailbox_expunge(m, &one, 1));	/* gone already counts */
	}
	mailbox_close(&m);
	m = opened();
	put_file("box/new/1000000000.x", "S: 0\n\nlate\n");	/* older, but came later */
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 3);
	assert_int_equal(mailbox_mail(m, 0)->uid, 1);
	assert_int_equal(mailbox_mail(m, 1)->uid, 3);
	assert_int_equal(mailbox_mail(m, 2)->uid, 4);
	mailbox_close(&m);
}

/* What is no message harms nothing. */
static void
test_odd_files(void **state)
{
	struct mailbox *m = opened();
	char name[400], longest[256];

	(void)state;
	snprintf(name, sizeof name, "%s/cur/fifo", path);
	assert_int_equal(mkfifo(name, 0600), 0);
	snprintf(name, sizeof name, "%s/new/dir", path);
	assert_int_equal(mkdir(name, 0700), 0);
	snprintf(name, sizeof name, "%s/cur/link", path);
	assert_int_equal(symlink("/etc/passwd", name), 0);
	memset(longest, 'n', 255);
	longest[255] = '\0';
	snprintf(name, sizeof name, "%s/cur/%s", path, longest);
	assert_int_equal(close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	put_file("box/cur/17,S=1", "S: 1\n\nlonger than it says\n");
	put_file("box/cur/18,S=99999999999999999999", "S: 1\n\nshorter than it says\n");
	put_file("box/new/line\nend", "S: 1\n\nodd\n");
	assert_int_equal(deliver(m, "S: 1\r\n\r\nx\r\n"), DELIVERED);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 5);
	for (size_t i = 0; i < 5; i++) {
		uint64_t octets = 0;
		char piece[100];
		struct mail_reader *r = mailbox_read(m, i);
		long n;

		assert_non_null(r);
		while ((n = mail_reader_get(r, piece, sizeof piece)) > 0)
			octets += (uint64_t)n;
		mail_reader_free(&r);
		assert_true(mailbox_size(m, i));
		assert_int_equal(mailbox_mail(m, i)->octets, octets);
	}
	mailbox_close(&m);
}

static void
test_size_cache(void **state)
{
	struct mailbox *m = opened();
	char name[300];
	struct stat st;

	(void)state;
	put_file("box/cur/1.x", "S: 1\n\none\n");
	put_file("box/cur/2.x", "S: 2\n\ntwo\n");
	assert_true(mailbox_scan(m));
	assert_true(mailbox_size(m, 0) && mailbox_size(m, 1));
	mailbox_close(&m);
	snprintf(name, sizeof name, "%s/hermod.cache", path);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 24 + 2 * 16);
	put_file("box/cur/1.x", "changed, which nobody should do\n");
	m = opened();
	assert_true(mailbox_scan(m));
	assert_true(mailbox_size(m, 0) && mailbox_size(m, 1));
	assert_int_equal(mailbox_mail(m, 0)->octets, 13);	/* out of the cache */
	mailbox_close(&m);
	{				/* damaged: counted */
		int fd = open(name, O_WRONLY | O_CLOEXEC);

		assert_int_equal(pwrite(fd, "x", 1, 40), 1);
		close(fd);
	}
	m = opened();
	assert_true(mailbox_scan(m));
	assert_true(mailbox_size(m, 0));
	assert_int_equal(mailbox_mail(m, 0)->octets, 33);
	mailbox_close(&m);
}

static void
test_tmp_is_cleaned(void **state)
{
	struct mailbox *m = opened();
	struct timespec old[2] = { { time(NULL) - 40 * 3600, 0 }, { time(NULL) - 40 * 3600, 0 } };
	char name[300];

	(void)state;
	put_file("box/tmp/old", "x");
	put_file("box/tmp/young", "x");
	snprintf(name, sizeof name, "%s/tmp/old", path);
	assert_int_equal(utimensat(AT_FDCWD, name, old, 0), 0);
	mailbox_close(&m);
	/* Its change time is of now: nobody is believed about mtime alone. */
	assert_int_equal(count_files("tmp"), 2);
}

/* Without O_TMPFILE, without /proc, in the other order: each leaves whole messages alone in new/. */
static void
test_ways_to_deliver(void **state)
{
	const char *content = "S: 1\r\n\r\none\r\n";
	struct maildir m;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	for (int way = 0; way < 6; way++) {
		struct delivery d = { .fd = content_fd, .octets = strlen(content) };
		enum outcome outcome;
		struct buf segments, reply;

		buf_init(&segments, 100);
		buf_init(&reply, 100);
		segments_add_text(&segments, text(content));
		d.segments = buf_bytes(&segments);
		assert_true(maildir_open(&m, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), true, path));
		m.ordered = way & 1;
		m.unnamed = way / 2 != 1;
		if (way / 2 == 2) {		/* /proc is not what it should be */
			close(m.proc);
			m.proc = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
		maildir_deliver(&m, &d, 1, &outcome, &reply);
		assert_int_equal(outcome, DELIVERED);
		maildir_close(&m);
		assert_int_equal(count_files("new"), (size_t)way + 1);
		assert_int_equal(count_files("tmp"), 0);
		buf_fini(&segments);
		buf_fini(&reply);
	}
}

static void
test_names(void **state)
{
	static const struct { const char *a, *b; int want; } order[] = {
		{ "9.x", "10.x", -1 },
		{ "10.M2P1.x", "10.M10P1.x", -1 },
		{ "10.V801I4f2M5.x", "10.M000006P1.x", -1 },
		{ "x", "y", -1 },
		{ "1.a", "1.a", 0 },
		{ "99999999999999999999999.x", "5.x", 1 },
	};
	static const struct { const char *suffix; uint32_t flags; const char *want; } flags[] = {
		{ "", MAIL_SEEN, ":2,S" },
		{ "", 0, ":2," },
		{ ":2,", MAIL_SEEN, ":2,S" },
		{ ":2,FT", MAIL_FLAGGED | MAIL_SEEN | MAIL_DELETED, ":2,FST" },
		{ ":2,S", 0, ":2," },
		{ ":2,RSTab", MAIL_ANSWERED | MAIL_KEYWORD << 1, ":2,Rb" },
		{ ":2,XSZ", MAIL_DRAFT | MAIL_FORWARDED, ":2,DPXZ" },	/* flags that we do not know stay */
		{ ":2,S,uid=7", MAIL_FLAGGED | (uint32_t)MAIL_KEYWORD << 25, ":2,Fz,uid=7" },
		{ ":1,odd", MAIL_SEEN, ":2,S" },
	};
	static const struct { const char *suffix; uint32_t want; } read[] = {
		{ "", 0 },
		{ ":2,", 0 },
		{ ":2,DFPRST", 63 },
		{ ":2,SX9", MAIL_SEEN },
		{ ":2,az", (uint32_t)MAIL_KEYWORD | (uint32_t)MAIL_KEYWORD << 25 },
		{ ":2,F,S", MAIL_FLAGGED },
		{ ":1,S", 0 },
		{ ":2", 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(order); i++) {
		int got = maildir_order(text(order[i].a), text(order[i].b));

		assert_int_equal(got < 0 ? -1 : got > 0, order[i].want);
	}
	for (size_t i = 0; i < LEN(flags); i++) {
		char got[256];

		assert_true(maildir_suffix(text(flags[i].suffix), flags[i].flags, got));
		assert_string_equal(got, flags[i].want);
	}
	for (size_t i = 0; i < LEN(read); i++)
		assert_int_equal(maildir_flags(text(read[i].suffix)), read[i].want);
}

/* What a delivery found out is there for the first session to look; who never had an index gets none. */
static void
test_digest(void **state)
{
	struct mailbox *m = opened(), *session;
	struct index_data d;
	char data[120];

	(void)state;
	snprintf(data, sizeof data, "%s/hermod.data", path);
	assert_int_equal(deliver(m, "Subject: one\r\n\r\nbody\r\n"), DELIVERED);
	mailbox_digest(m);
	assert_int_equal(access(data, F_OK), -1);
	session = opened();
	mailbox_index(session);
	assert_true(mailbox_scan(session));
	assert_false(mailbox_data(session, 0, &d));
	mailbox_close(&session);
	for (int i = 0; i < MAILDIR_FRESH + 1; i++)
		assert_int_equal(deliver(m, "Subject: two\r\n\r\nbody\r\n"), DELIVERED);
	mailbox_digest(m);
	mailbox_close(&m);
	session = opened();
	mailbox_index(session);
	assert_true(mailbox_scan(session));
	assert_int_equal(mailbox_count(session), MAILDIR_FRESH + 2);
	for (size_t i = 1; i <= MAILDIR_FRESH; i++) {
		assert_true(mailbox_data(session, i, &d));
		assert_int_equal(d.octets, strlen(HEAD "Subject: two\r\n\r\nbody\r\n"));
		assert_true(bytes_starts(d.envelope, text("(NIL \"two\" ")));
	}
	assert_false(mailbox_data(session, MAILDIR_FRESH + 1, &d));	/* one too many to be remembered */
	mailbox_close(&session);
}

/* ---- mbox ---- */

static void
test_mbox_octets(void **state)
{
	struct mailbox *m = opened();
	struct buf b;
	struct bytes rest, line;

	(void)state;
	assert_int_equal(deliver(m, "S: 1\r\n\r\nFrom a\r\n>>From b\r\nx"), DELIVERED);
	mailbox_close(&m);
	buf_init(&b, 10000);
	assert_true(file_slurp(AT_FDCWD, path, &b));
	rest = buf_bytes(&b);
	line = bytes_cut(&rest, '\n');
	assert_true(bytes_starts(line, text("From a@b.example ")));
	assert_int_equal(line.n, strlen("From a@b.example ") + MBOX_DATE);
	assert_true(bytes_eq(rest, text("Return-Path: <a@b.example>\nS: 1\n\n>From a\n>>>From b\nx\n\n")));
	buf_fini(&b);
}

/* However an append was cut short, it is gone, and what was before it is not. */
static void
test_mbox_torn_append(void **state)
{
	struct mailbox *m = opened();
	struct buf before, after;
	char *date;

	(void)state;
	assert_int_equal(deliver(m, "S: 1\r\n\r\none\r\n"), DELIVERED);
	buf_init(&before, 10000);
	buf_init(&after, 10000);
	assert_true(file_slurp(AT_FDCWD, path, &before));
	assert_int_equal(deliver(m, "S: 2\r\n\r\ntwo\r\nFrom x\r\n"), DELIVERED);
	assert_true(file_slurp(AT_FDCWD, path, &after));
	mailbox_close(&m);
	buf_char(&after, '\0');
	date = strchr((char *)after.p + before.n, '\n') - MBOX_DATE;
	memcpy(date, MBOX_UNFINISHED, MBOX_DATE);
	for (size_t n = before.n; n < after.n; n++) {
		int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

		assert_true(file_write(fd, bytes_of(after.p, n)));
		close(fd);
		m = opened();
		assert_int_equal(deliver(m, "S: 3\r\n\r\nthree\r\n"), DELIVERED);
		assert_true(mailbox_scan(m));
		/* Four octets or fewer of a From_ line may be anything: they stay, as a line of their own. */
		if (n == before.n || n >= before.n + 5) {
			assert_int_equal(mailbox_count(m), 2);
			assert_mail(m, 0, HEAD "S: 1\r\n\r\none\r\n");
			assert_mail(m, 1, HEAD "S: 3\r\n\r\nthree\r\n");
		}
		mailbox_close(&m);
	}
	buf_fini(&before);
	buf_fini(&after);
}

static void
test_mbox_nuls(void **state)
{
	struct mailbox *m = opened();
	struct stat st;

	(void)state;
	assert_int_equal(deliver(m, "S: 1\r\n\r\none\r\n"), DELIVERED);
	mailbox_close(&m);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size + 10000), 0);
	m = opened();
	assert_int_equal(deliver(m, "S: 2\r\n\r\ntwo\r\n"), DELIVERED);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 2);
	assert_mail(m, 0, HEAD "S: 1\r\n\r\none\r\n");
	mailbox_close(&m);
}

/* FILE.lock as mbox.c writes it; off: added to the number of the file. */
static void
put_lock(const char *file, unsigned off)
{
	struct utsname host;
	struct stat st;
	char line[300];

	assert_int_equal(uname(&host), 0);
	assert_int_equal(stat(file, &st), 0);
	snprintf(line, sizeof line, "999999 hermod %s %ju:%ju\n", host.nodename, (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino + off);
	put_file("box.lock", line);
}

static void
test_mbox_locked(void **state)
{
	struct mailbox *m = opened();
	struct timespec old[2] = { { time(NULL) - 1000, 0 }, { time(NULL) - 1000, 0 } };
	char lock[300];

	(void)state;
	snprintf(lock, sizeof lock, "%s.lock", path);
	put_file("box.lock", "1\n");
	assert_int_equal(deliver(m, "S: 1\r\n\r\none\r\n"), TRY_LATER);
	assert_int_equal(utimensat(AT_FDCWD, lock, old, 0), 0);
	assert_int_equal(deliver(m, "S: 1\r\n\r\none\r\n"), DELIVERED);	/* left by a crash */
	assert_int_equal(access(lock, F_OK), -1);
	put_lock(path, 0);		/* of a delivery that was killed: nobody waits for it */
	assert_int_equal(deliver(m, "S: 1b\r\n\r\none\r\n"), DELIVERED);
	assert_int_equal(access(lock, F_OK), -1);
	put_lock(path, 1);		/* of one that holds another file */
	assert_int_equal(deliver(m, "S: 1c\r\n\r\none\r\n"), TRY_LATER);
	assert_int_equal(unlink(lock), 0);
	{
		struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = open(path, O_RDWR | O_CLOEXEC);

		assert_int_equal(fcntl(fd, F_OFD_SETLK, &f), 0);
		assert_int_equal(deliver(m, "S: 2\r\n\r\ntwo\r\n"), TRY_LATER);
		assert_int_equal(access(lock, F_OK), -1);
		close(fd);
	}
	assert_int_equal(deliver(m, "S: 2\r\n\r\ntwo\r\n"), DELIVERED);
	mailbox_close(&m);
}

/* Another program marks, removes, appends: UIDs stay with their messages. */
static void
test_mbox_other_programs(void **state)
{
	struct mailbox *m;

	(void)state;
	put_file("box", "From a Thu Jan  1 00:00:00 1970\nS: 1\n\none\n\n"
	    "From b Thu Jan  1 00:00:00 1970\nS: 2\nContent-Length: 9999\n\ntwo\n\n"
	    "From b Thu Jan  1 00:00:00 1970\nS: 2\nContent-Length: 9999\n\ntwo\n\n");
	m = opened();
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 3);
	put_file("box", "From b Thu Jan  1 00:00:00 1970\nS: 2\nStatus: RO\nX-UID: 77\n\ntwo\n\n"
	    "From b Thu Jan  1 00:00:00 1970\nS: 2\n\ntwo\n\n"
	    "From c Thu Jan  1 00:00:00 1970\nS: 3\n\nthree\n");
	assert_null(mailbox_read(m, 0));
	mailbox_close(&m);
	m = opened();
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 3);
	assert_int_equal(mailbox_mail(m, 0)->uid, 2);
	assert_int_equal(mailbox_mail(m, 1)->uid, 3);
	assert_int_equal(mailbox_mail(m, 2)->uid, 4);
	assert_mail(m, 2, "S: 3\r\n\r\nthree\r\n");
	put_file("box", "");
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 0);
	mailbox_close(&m);
}

#define MANY	20000

static void
put_some(unsigned from, unsigned step)
{
	struct buf b;

	buf_init(&b, 16u << 20);
	for (unsigned i = from; i < MANY; i += step)
		buf_fmt(&b, "From a Thu Jan  1 00:00:00 1970\nS: %u\n\n%u\n\n", i, i % 7);
	buf_char(&b, '\0');
	put_file("box", (const char *)b.p);
	buf_fini(&b);
}

/* Of many messages another program leaves some: each is found, and what is gone is. */
static void
test_mbox_many_vanish(void **state)
{
	struct mailbox *m;
	size_t *all = mem_array(MANY, sizeof *all);
	char want[40];

	(void)state;
	put_some(0, 1);
	m = opened();
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), MANY);
	put_some(2, 3);
	for (unsigned i = 2; i < MANY; i += 999) {
		snprintf(want, sizeof want, "S: %u\r\n\r\n%u\r\n", i, i % 7);
		assert_mail(m, i, want);
		assert_null(mailbox_read(m, i - 1));
	}
	for (size_t i = 0; i < MANY; i++)
		all[i] = i;
	assert_true(mailbox_expunge(m, all, MANY));
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 0);
	mem_free(all);
	mailbox_close(&m);
}

/* What the removal of the first message leaves when it ends after n octets were put in place. */
static void
cut_short(const char *side, struct bytes before, uint64_t from, size_t n)
{
	struct bytes tail = bytes_skip(before, from);
	struct buf redo;
	struct stat st;
	int fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);

	assert_true(file_write(fd, before) && file_pwrite(fd, bytes_head(tail, n), 0));
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	buf_init(&redo, 10000);
	buf_text(&redo, "HERMREDO");
	buf_u64(&redo, st.st_ino);
	buf_u64(&redo, before.n);
	buf_u64(&redo, 0);
	buf_u64(&redo, tail.n);
	buf_u32(&redo, crc32_of(0, tail));
	buf_u64(&redo, 0);
	buf_u64(&redo, 0);
	buf_u32(&redo, crc32_of(0, buf_bytes(&redo)));
	assert_int_equal(redo.n, 64);
	buf_add(&redo, tail);
	fd = open(side, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(file_write(fd, buf_bytes(&redo)));
	close(fd);
	buf_fini(&redo);
}

/* A removal that a crash cut short at any octet is completed. */
static void
test_mbox_torn_removal(void **state)
{
	struct mailbox *m = opened();
	struct buf before;
	uint64_t second;
	char side[300];

	(void)state;
	for (int i = 1; i <= 3; i++) {
		char content[40];

		snprintf(content, sizeof content, "S: %d\r\n\r\nbody of %d\r\n", i, i);
		assert_int_equal(deliver(m, content), DELIVERED);
	}
	mailbox_close(&m);
	buf_init(&before, 10000);
	assert_true(file_slurp(AT_FDCWD, path, &before));
	second = before.n / 3;
	snprintf(side, sizeof side, "%s/.box.hermod.redo", test_dir);
	for (size_t n = 0; n <= before.n - second; n++) {
		cut_short(side, buf_bytes(&before), second, n);
		m = opened();
		if (n % 2)		/* another program comes in between */
			assert_int_equal(deliver(m, "S: 4\r\n\r\nfour\r\n"), DELIVERED);
		assert_true(mailbox_scan(m));
		assert_int_equal(mailbox_count(m), 2 + n % 2);
		assert_mail(m, 0, HEAD "S: 2\r\n\r\nbody of 2\r\n");
		assert_mail(m, 1, HEAD "S: 3\r\n\r\nbody of 3\r\n");
		assert_int_equal(access(side, F_OK), -1);
		mailbox_close(&m);
	}
	buf_fini(&before);
}

static void
test_again(void **state)
{
	struct mailbox *m = opened(), *again;
	uint32_t v;

	(void)state;
	assert_int_equal(deliver(m, "Subject: x\r\n\r\nx\r\n"), DELIVERED);
	assert_true(mailbox_scan(m));
	v = mailbox_uidvalidity(m);
	again = mailbox_again(m, why, sizeof why);
	mailbox_close(&m);
	assert_non_null(again);
	assert_true(mailbox_scan(again));
	assert_int_equal(mailbox_uidvalidity(again), v);
	assert_int_equal(mailbox_count(again), 1);
	mailbox_close(&again);
}

/* A mailbox that is begun does not begin below what was said. */
static void
test_uidvalidity_above(void **state)
{
	struct mailbox *m = opened();

	(void)state;
	mailbox_uidvalidity_above(m, UINT32_MAX - 7);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_uidvalidity(m), UINT32_MAX - 6);
	mailbox_close(&m);
}

/* An account for which nobody has made a place: that and the domain's, and no more; nothing where it is another's, or no directory. */
static void
test_places(void **state)
{
	static const struct { const char *format, *place, *made; bool good; } rows[] = {
		{ "maildir", "a.example/anna/Maildir", "a.example/anna/Maildir/tmp", true },
		{ "maildir", "a.example/bert/Maildir", "a.example/bert/Maildir/tmp", true },
		{ "mbox", "b.example/anna/mbox", "b.example/anna/mbox", true },
		{ "maildir", "away/a.example/anna/Maildir", "away", false },
		{ "maildir", "file/anna/Maildir", "file/anna", false },
	};
	char at[160], to[200];
	struct stat st;
	FILE *f;

	(void)state;
	snprintf(at, sizeof at, "%s/file", test_dir);
	assert_true((f = fopen(at, "w")) != NULL && fclose(f) == 0);
	for (size_t i = 0; i < LEN(rows); i++) {
		struct mailbox *m;

		snprintf(to, sizeof to, "%s:%s/%s", rows[i].format, test_dir, rows[i].place);
		m = mailbox_open(text(to), 200, why, sizeof why);
		assert_row_int(rows[i].place, m != NULL, rows[i].good);
		snprintf(at, sizeof at, "%s/%s", test_dir, rows[i].made);
		assert_row_int(rows[i].place, stat(at, &st) == 0, rows[i].good);
		if (m)
			mailbox_close(&m);
	}
	snprintf(at, sizeof at, "%s/a.example/anna", test_dir);
	assert_int_equal(stat(at, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	if (geteuid() != 0)
		return;
	snprintf(at, sizeof at, "%s/others", test_dir);		/* as a place that another file system is missing from */
	assert_int_equal(mkdir(at, 0777), 0);
	assert_int_equal(chown(at, 12345, 12345), 0);
	snprintf(to, sizeof to, "maildir:%s/others/a.example/Maildir", test_dir);
	assert_null(mailbox_open(text(to), 200, why, sizeof why));
	assert_int_equal(errno, ENOENT);
}

int
main(void)
{
#define M(t) cmocka_unit_test_setup_teardown(t, begin_maildir, end)
#define B(t) { "mbox " #t, t, begin_mbox, end, NULL }
	const struct CMUnitTest tests[] = {
		M(test_deliver_and_read), B(test_deliver_and_read), M(test_expunge), B(test_expunge),
		M(test_short_queue_file), B(test_short_queue_file), M(test_batch), B(test_batch),
		M(test_pop3_lock), B(test_pop3_lock), M(test_refused), B(test_refused), M(test_parents), B(test_parents),
		M(test_other_programs), M(test_odd_files), M(test_size_cache), M(test_tmp_is_cleaned),
		M(test_ways_to_deliver), M(test_names), M(test_digest), M(test_again), B(test_again), M(test_uidvalidity_above),
		B(test_uidvalidity_above),
		B(test_mbox_octets), B(test_mbox_torn_append), B(test_mbox_nuls), B(test_mbox_locked),
		B(test_mbox_other_programs), B(test_mbox_many_vanish), B(test_mbox_torn_removal), M(test_places),
	};

	umask(077);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
