/* SPDX-License-Identifier: ISC */
/*
 * Flags, keywords, mod-sequences, APPEND, COPY and MOVE, in both formats, on real files; with
 * other programs at work in a Maildir.
 */
#include "mail/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/index.h"
#include "mail/mailbox_impl.h"

#define WORK	((uint32_t)MAIL_KEYWORD)

static bool is_mbox;
static uint32_t left_out;

static int
begin(bool mbox)
{
	is_mbox = mbox;
	return test_dir_make("mailbox", false);
}

static int begin_maildir(void **state) { (void)state; return begin(false); }
static int begin_mbox(void **state) { (void)state; return begin(true); }

static struct mailbox *
opened(const char *name)
{
	char spec[160], why[200];
	struct mailbox *m;

	snprintf(spec, sizeof spec, "%s:%s/%s", is_mbox ? "mbox" : "maildir", test_dir, name);
	m = mailbox_open(text(spec), 200, why, sizeof why);
	assert_non_null(m);
	mailbox_index(m);
	return m;
}

static uint32_t
append(struct mailbox *m, const char *content, uint32_t flags)
{
	struct arrival *a = mailbox_arrive(m);
	uint32_t uid = 0;

	assert_non_null(a);
	for (const char *p = content; *p; p++)		/* in the smallest pieces */
		assert_true(arrival_add(a, bytes_of(p, 1)));
	arrival_flags(a, flags);
	arrival_date(a, 1577872800);
	assert_true(mailbox_take(m, &a, 1, &uid));
	arrival_free(&a);
	assert_true(uid > 0);
	return uid;
}

static void
assert_text(struct mailbox *m, size_t i, const char *want)
{
	struct buf b;

	buf_init(&b, 10000);
	assert_true(mailbox_text(m, i, &b));
	assert_int_equal(b.n, strlen(want));
	assert_memory_equal(b.p, want, b.n);
	buf_fini(&b);
}

static enum flag_changed
store(struct mailbox *m, size_t i, int how, uint32_t flags)
{
	struct flag_change c = { .how = how, .flags = flags };
	enum flag_changed result = FLAG_GONE;

	assert_true(mailbox_store(m, &i, 1, &c, &result));
	return result;
}

static uint32_t
flags(struct mailbox *m, size_t i)
{
	return mailbox_mail(m, i)->flags;
}

static void
scan(struct mailbox *m, size_t want)
{
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), want);
}

static void
test_append(void **state)
{
	struct mailbox *m = opened("box");
	int64_t date;

	(void)state;
	assert_int_equal(append(m, "A: 1\r\n\r\none\r\n", 0), 1);
	assert_int_equal(append(m, "A: 2\r\n\r\na\rb\r\r\n", MAIL_SEEN | MAIL_DRAFT), 2);
	scan(m, 2);
	assert_text(m, 0, "A: 1\n\none\n");
	assert_text(m, 1, "A: 2\n\na\rb\r\n");
	assert_int_equal(flags(m, 0), 0);
	assert_int_equal(flags(m, 1), MAIL_SEEN | MAIL_DRAFT);
	assert_true(mailbox_date(m, 0, &date));
	assert_int_equal(date, 1577872800);
	assert_int_equal(mailbox_uidnext(m), 3);
	mailbox_close(&m);
	m = opened("box");
	scan(m, 2);
	assert_int_equal(flags(m, 1), MAIL_SEEN | MAIL_DRAFT);
	mailbox_close(&m);
}

/* What is not taken in leaves nothing, and takes no UID. */
static void
test_dropped(void **state)
{
	struct mailbox *m = opened("box");
	struct arrival *a = mailbox_arrive(m);

	(void)state;
	assert_non_null(a);
	assert_true(arrival_add(a, text("A: 1\r\n\r\n")));
	arrival_free(&a);
	assert_null(a);
	scan(m, 0);
	assert_int_equal(append(m, "A: 1\r\n\r\n", 0), 1);
	mailbox_close(&m);
}

static void
test_several(void **state)
{
	struct mailbox *m = opened("box");
	struct arrival *a[3];
	uint32_t uids[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_non_null(a[i] = mailbox_arrive(m));
		assert_true(arrival_add(a[i], text("A: x\r\n\r\nbody\r\n")));
		arrival_flags(a[i], i == 1 ? MAIL_FLAGGED : 0);
	}
	assert_true(mailbox_take(m, a, 3, uids));
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(uids[i], i + 1);
		arrival_free(&a[i]);
	}
	scan(m, 3);
	assert_int_equal(flags(m, 0), 0);
	assert_int_equal(flags(m, 1), MAIL_FLAGGED);
	mailbox_close(&m);
}

static void
test_store(void **state)
{
	struct mailbox *m = opened("box"), *other;
	uint64_t before;

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", 0);
	append(m, "A: 2\r\n\r\ntwo\r\n", 0);
	scan(m, 2);
	before = mailbox_highestmodseq(m);
	assert_int_equal(store(m, 0, FLAGS_ADD, MAIL_SEEN | MAIL_FLAGGED), FLAG_CHANGED);
	assert_int_equal(flags(m, 0), MAIL_SEEN | MAIL_FLAGGED);
	assert_true(mailbox_mail(m, 0)->modseq > before);
	assert_int_equal(mailbox_highestmodseq(m), mailbox_mail(m, 0)->modseq);
	assert_int_equal(store(m, 0, FLAGS_ADD, MAIL_SEEN), FLAG_SAME);
	assert_int_equal(store(m, 0, FLAGS_REMOVE, MAIL_SEEN), FLAG_CHANGED);
	assert_int_equal(flags(m, 0), MAIL_FLAGGED);
	assert_int_equal(store(m, 0, FLAGS_SET, MAIL_DRAFT | MAIL_FORWARDED), FLAG_CHANGED);
	other = opened("box");
	scan(other, 2);
	assert_int_equal(flags(other, 0), MAIL_DRAFT | MAIL_FORWARDED);
	assert_int_equal(mailbox_mail(other, 0)->modseq, mailbox_mail(m, 0)->modseq);
	assert_int_equal(store(other, 1, FLAGS_ADD, MAIL_DELETED), FLAG_CHANGED);
	scan(m, 2);
	assert_int_equal(flags(m, 1), MAIL_DELETED);
	assert_int_equal(mailbox_mail(m, 1)->modseq, mailbox_highestmodseq(other));
	mailbox_close(&other);
	mailbox_close(&m);
}

/* RFC 7162 section 3.1.3: who knows less than is there changes nothing. */
static void
test_unchangedsince(void **state)
{
	struct mailbox *m = opened("box");
	struct flag_change c = { .how = FLAGS_ADD, .flags = MAIL_SEEN, .unchangedsince = true };
	enum flag_changed result[2];
	size_t which[2] = { 0, 1 };

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", 0);
	append(m, "A: 2\r\n\r\ntwo\r\n", 0);
	scan(m, 2);
	c.modseq = mailbox_highestmodseq(m);
	store(m, 1, FLAGS_ADD, MAIL_DRAFT);
	assert_true(mailbox_store(m, which, 2, &c, result));
	assert_int_equal(result[0], FLAG_CHANGED);
	assert_int_equal(result[1], FLAG_MODIFIED);
	assert_int_equal(flags(m, 1), MAIL_DRAFT);
	c.modseq = mailbox_mail(m, 1)->modseq;
	assert_true(mailbox_store(m, which + 1, 1, &c, result));
	assert_int_equal(result[0], FLAG_CHANGED);
	mailbox_close(&m);
}

/* Of names of keywords that were being written. */
static void
leave_of_a_crash(struct mailbox *m)
{
	const char *stem;
	char name[256];
	int dir = mailbox_state_dir(m, &stem), fd;

	snprintf(name, sizeof name, "%s.keywords.new", stem);
	fd = file_open(dir, name, O_WRONLY | O_CREAT, 0600);
	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, text("a half")));
	close(fd);
}

static int
temporaries(struct mailbox *m)
{
	const char *stem;
	DIR *d = fdopendir(dir_open(mailbox_state_dir(m, &stem), "."));
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += bytes_starts(text(e->d_name), text(".tmp.")) || bytes_ends(text(e->d_name), text(".new"));
	closedir(d);
	return n;
}

static void
test_keywords(void **state)
{
	struct mailbox *m = opened("box"), *other;
	char name[32];

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", 0);
	scan(m, 1);
	assert_int_equal(mailbox_keyword_flag(m, text("$Work")), 0);
	leave_of_a_crash(m);
	assert_int_equal(mailbox_keyword_make(m, text("$Work"), 0), WORK);
	assert_int_equal(temporaries(m), 0);
	assert_int_equal(mailbox_keyword_make(m, text("$WORK"), 0), WORK);		/* case does not matter */
	assert_int_equal(mailbox_keyword_make(m, text("$forwarded"), 0), MAIL_FORWARDED);
	assert_int_equal(mailbox_keyword_make(m, text("two words"), 0), 0);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(store(m, 0, FLAGS_ADD, WORK), FLAG_CHANGED);
	other = opened("box");
	scan(other, 1);
	assert_int_equal(flags(other, 0), WORK);
	assert_true(bytes_eq(mailbox_keyword(other, 0), text("$Work")));
	for (int i = 1; i < MAIL_KEYWORDS; i++) {
		snprintf(name, sizeof name, "k%d", i);
		assert_int_equal(mailbox_keyword_make(other, text(name), 0), WORK << i);
	}
	/* The 27th has the letter of one that nobody uses, but not of the one that is in use. */
	assert_int_equal(mailbox_keyword_make(m, text("late"), 0), WORK << 1);
	assert_int_equal(mailbox_keyword_make(m, text("next"), WORK << 1), WORK << 2);	/* "late" will be in use */
	scan(other, 1);
	assert_true(bytes_eq(mailbox_keyword(other, 0), text("$Work")));
	assert_int_equal(store(m, 0, FLAGS_SET, (uint32_t)~0u & ~(MAIL_KEYWORD - 1u)), FLAG_CHANGED);
	assert_int_equal(mailbox_keyword_make(m, text("later"), 0), 0);
	assert_int_equal(errno, EMLINK);
	mailbox_close(&other);
	mailbox_close(&m);
}

/* Copies keep flags, dates and the names of keywords, which have other letters there. */
static void
test_copy(void **state)
{
	struct mailbox *m = opened("box"), *to = opened("other");
	size_t which[2] = { 0, 2 };
	uint32_t uids[2];
	int64_t date;

	(void)state;
	assert_true(mailbox_scan(to));
	assert_int_equal(mailbox_keyword_make(to, text("first"), 0), WORK);
	append(to, "A: 0\r\n\r\nzero\r\n", WORK);
	append(m, "A: 1\r\n\r\none\r\n", 0);
	append(m, "A: 2\r\n\r\ntwo\r\n", 0);
	append(m, "A: 3\r\n\r\nFrom three\r\n", MAIL_SEEN);
	scan(m, 3);
	store(m, 2, FLAGS_ADD, mailbox_keyword_make(m, text("$Work"), 0));
	assert_true(mailbox_copy(m, which, 2, to, uids, &left_out));
	assert_int_equal(uids[0], 2);
	assert_int_equal(uids[1], 3);
	scan(m, 3);
	scan(to, 3);
	assert_text(to, 1, "A: 1\n\none\n");
	assert_text(to, 2, "A: 3\n\nFrom three\n");
	assert_int_equal(flags(to, 1), 0);
	assert_int_equal(flags(to, 2), MAIL_SEEN | WORK << 1);
	assert_true(bytes_eq(mailbox_keyword(to, 1), text("$Work")));
	assert_true(mailbox_date(to, 2, &date));
	assert_int_equal(date, 1577872800);
	mailbox_close(&to);
	mailbox_close(&m);
}

static void
test_move(void **state)
{
	struct mailbox *m = opened("box"), *to = opened("other");
	size_t which[2] = { 1, 2 };
	uint32_t uids[2];

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", 0);
	append(m, "A: 2\r\n\r\ntwo\r\n", MAIL_FLAGGED);
	append(m, "A: 3\r\n\r\nthree\r\n", 0);
	scan(m, 3);
	assert_true(mailbox_move(m, which, 2, to, uids, &left_out));
	scan(m, 1);
	assert_text(m, 0, "A: 1\n\none\n");
	scan(to, 2);
	assert_text(to, 0, "A: 2\n\ntwo\n");
	assert_int_equal(flags(to, 0), MAIL_FLAGGED);
	which[0] = 0;
	assert_true(mailbox_move(to, which, 1, m, uids, &left_out));	/* and back: it is a new message there */
	assert_int_equal(uids[0], 4);
	mailbox_close(&to);
	mailbox_close(&m);
}

/* What is gone in the meantime: nothing is copied. */
static void
test_copy_gone(void **state)
{
	struct mailbox *m = opened("box"), *second = opened("box"), *to = opened("other");
	size_t which[2] = { 0, 1 };
	uint32_t uids[2];

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", 0);
	append(m, "A: 2\r\n\r\ntwo\r\n", 0);
	scan(m, 2);
	scan(second, 2);
	assert_true(mailbox_expunge(second, which + 1, 1));
	assert_false(mailbox_copy(m, which, 2, to, uids, &left_out));
	assert_int_equal(errno, ENOENT);
	scan(to, 0);
	mailbox_close(&to);
	mailbox_close(&second);
	mailbox_close(&m);
}

static void
test_expunged_modseq(void **state)
{
	struct mailbox *m = opened("box");
	size_t which = 0;
	uint64_t before;

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", 0);
	append(m, "A: 2\r\n\r\ntwo\r\n", 0);
	scan(m, 2);
	before = mailbox_highestmodseq(m);
	assert_true(mailbox_expunge(m, &which, 1));
	scan(m, 1);
	assert_true(mailbox_highestmodseq(m) > before);
	assert_true(mailbox_mail(m, 0)->modseq <= before);
	mailbox_close(&m);
}

/* ---- other programs in a Maildir ---- */

static char *
file_of(const char *sub, const char *contains)
{
	static char path[600];
	char dir[100];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof dir, "%s/box/%s", test_dir, sub);
	assert_non_null(d = opendir(dir));
	path[0] = '\0';
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && strstr(e->d_name, contains))
			snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
	closedir(d);
	assert_true(path[0] != '\0');
	return path;
}

static void
rename_to(const char *from, const char *suffix)
{
	char old[700], new[800];

	snprintf(old, sizeof old, "%s", from);
	snprintf(new, sizeof new, "%.*s%s", (int)strcspn(old, ":"), old, suffix);
	assert_int_equal(rename(old, new), 0);
}

/* A flag that another program sets has a mod-sequence; storing finds the file under its new name. */
static void
test_renamed(void **state)
{
	struct mailbox *m = opened("box");
	uint64_t before;

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", MAIL_SEEN);
	scan(m, 1);
	before = mailbox_highestmodseq(m);
	rename_to(file_of("cur", ":2,S"), ":2,FSX");
	scan(m, 1);
	assert_int_equal(flags(m, 0), MAIL_FLAGGED | MAIL_SEEN);
	assert_true(mailbox_mail(m, 0)->modseq > before);
	rename_to(file_of("cur", ":2,FSX"), ":2,FX");
	assert_int_equal(store(m, 0, FLAGS_ADD, MAIL_ANSWERED), FLAG_CHANGED);
	assert_int_equal(flags(m, 0), MAIL_FLAGGED | MAIL_ANSWERED);
	file_of("cur", ":2,FRX");
	unlink(file_of("cur", ":2,FRX"));
	assert_int_equal(store(m, 0, FLAGS_ADD, MAIL_SEEN), FLAG_GONE);
	mailbox_close(&m);
}

/* As if what happened since the last look had happened in the tick of the clock in which it began. */
static void
in_one_tick(struct mailbox *m)
{
	assert_true(mailbox_changed(m, m->changed));
	m->listed_us = clock_wall_us();
}

/* No time tells of these changes, and no name has to be changed. */
static void
test_renamed_at_once(void **state)
{
	struct mailbox *m = opened("box"), *other = opened("box");
	struct flag_change c = { .how = FLAGS_ADD, .flags = MAIL_SEEN, .unchangedsince = true };
	enum flag_changed result;
	size_t i = 0;

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", MAIL_SEEN);
	scan(m, 1);
	rename_to(file_of("cur", ":2,S"), ":2,F");
	in_one_tick(m);
	assert_int_equal(store(m, 0, FLAGS_ADD, MAIL_SEEN), FLAG_CHANGED);
	file_of("cur", ":2,FS");
	scan(m, 1);
	c.modseq = mailbox_mail(m, 0)->modseq;
	rename_to(file_of("cur", ":2,FS"), ":2,F");
	in_one_tick(m);
	assert_true(mailbox_store(m, &i, 1, &c, &result));
	assert_int_equal(result, FLAG_MODIFIED);
	scan(other, 1);
	scan(m, 1);
	assert_int_equal(store(other, 0, FLAGS_SET, MAIL_DRAFT), FLAG_CHANGED);
	in_one_tick(m);
	assert_int_equal(store(m, 0, FLAGS_ADD, MAIL_FLAGGED), FLAG_CHANGED);
	assert_int_equal(flags(m, 0), MAIL_DRAFT | MAIL_FLAGGED);
	assert_int_equal(store(m, 0, FLAGS_ADD, MAIL_FLAGGED), FLAG_SAME);
	unlink(file_of("cur", ":2,DF"));
	in_one_tick(m);
	assert_int_equal(store(m, 0, FLAGS_ADD, MAIL_FLAGGED), FLAG_GONE);
	mailbox_close(&other);
	mailbox_close(&m);
}

/* What somebody has taken \Deleted from since the last look is not expunged. */
static void
test_not_deleted_any_more(void **state)
{
	struct mailbox *m = opened("box"), *other = opened("box");
	size_t which[] = { 0, 1, 2 };

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", MAIL_DELETED);
	append(m, "A: 2\r\n\r\ntwo\r\n", MAIL_DELETED);
	append(m, "A: 3\r\n\r\nthree\r\n", MAIL_DELETED);
	scan(m, 3);
	scan(other, 3);
	assert_int_equal(store(other, 1, FLAGS_REMOVE, MAIL_DELETED), FLAG_CHANGED);
	assert_int_equal(store(other, 2, FLAGS_ADD, MAIL_SEEN), FLAG_CHANGED);
	assert_true(mailbox_expunge_deleted(m, which, LEN(which)));
	scan(m, 1);
	assert_int_equal(mailbox_mail(m, 0)->uid, 2);
	assert_false(mailbox_mail(m, 0)->expunged);
	assert_int_equal(flags(m, 0), 0);
	assert_text(m, 0, "A: 2\n\ntwo\n");
	mailbox_close(&other);
	mailbox_close(&m);
}

/* One that was seen to be gone and comes back is a new message: UIDs only rise. */
static void
test_came_back(void **state)
{
	struct mailbox *m = opened("box");
	char path[600], away[128];

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", MAIL_SEEN);
	append(m, "A: 2\r\n\r\ntwo\r\n", MAIL_DRAFT);
	scan(m, 2);
	snprintf(path, sizeof path, "%s", file_of("cur", ":2,S"));
	snprintf(away, sizeof away, "%s/away", test_dir);
	assert_int_equal(rename(path, away), 0);
	scan(m, 1);
	assert_int_equal(rename(away, path), 0);
	scan(m, 2);
	assert_int_equal(mailbox_mail(m, 0)->uid, 2);
	assert_int_equal(mailbox_mail(m, 1)->uid, 3);
	mailbox_close(&m);
	m = opened("box");
	scan(m, 2);
	assert_int_equal(mailbox_mail(m, 1)->uid, 3);
	mailbox_close(&m);
}

/* For who has told of it and rests meanwhile, too. */
static void
test_came_back_to_one_at_rest(void **state)
{
	struct mailbox *m = opened("box");
	char path[600], away[128];

	(void)state;
	for (int i = 0; i < 4; i++)
		append(m, "A: 1\r\n\r\none\r\n", i == 1 ? MAIL_SEEN : MAIL_DRAFT);
	scan(m, 4);
	snprintf(path, sizeof path, "%s", file_of("cur", ":2,S"));
	snprintf(away, sizeof away, "%s/away", test_dir);
	for (uint32_t uid = 5; uid < 8; uid++) {
		assert_int_equal(rename(path, away), 0);
		scan(m, 3);
		mailbox_rest(m);
		mailbox_rest(m);
		assert_int_equal(rename(away, path), 0);
		scan(m, 4);
		assert_int_equal(mailbox_mail(m, 0)->uid, 1);
		assert_int_equal(mailbox_mail(m, 1)->uid, 3);
		assert_int_equal(mailbox_mail(m, 2)->uid, 4);
		assert_int_equal(mailbox_mail(m, 3)->uid, uid);
	}
	mailbox_rest(m);
	scan(m, 4);
	assert_int_equal(mailbox_mail(m, 3)->uid, 7);
	mailbox_close(&m);
}

static void
test_claim(void **state)
{
	struct mailbox *m = opened("box"), *other = opened("box");

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", 0);
	scan(m, 1);
	scan(other, 1);
	assert_true(mailbox_mail(m, 0)->recent);
	mailbox_claim(m);
	assert_true(mailbox_mail(m, 0)->recent);
	mailbox_claim(other);					/* too late */
	assert_false(mailbox_mail(other, 0)->recent);
	file_of("cur", ":2,");
	mailbox_close(&other);
	mailbox_close(&m);
}

/* A name that has no room for flags keeps nobody from the others. */
static void
test_claim_of_a_long_name(void **state)
{
	struct mailbox *m = opened("box"), *other = opened("box");
	char path[512];
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s/box/new/%0255d", test_dir, 1);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_not_equal(fd, -1);
	close(fd);
	append(m, "A: 1\r\n\r\none\r\n", 0);
	scan(m, 2);
	mailbox_claim(m);
	scan(other, 2);
	mailbox_claim(other);
	assert_false(mailbox_mail(other, 0)->recent);
	assert_true(mailbox_mail(other, 1)->recent);
	assert_int_equal(mailbox_mail(other, 1)->name.n, 255);
	mailbox_close(&other);
	mailbox_close(&m);
}

/* The index may go at any time: UIDs stay, mod-sequences do not go back. */
static void
test_index_lost(void **state)
{
	struct mailbox *m = opened("box");
	struct index_data d = { .octets = 20, .envelope = text("(env)"), .structure = text("(str)"),
	    .fields = text("A: 1\r\n\r\n") }, got;
	uint64_t highest;
	char path[100];

	(void)state;
	append(m, "A: 1\r\n\r\none\r\n", MAIL_SEEN);
	scan(m, 1);
	mailbox_data_keep(m, 0, &d);
	assert_true(mailbox_data(m, 0, &got));
	mailbox_close(&m);
	m = opened("box");
	scan(m, 1);
	assert_true(mailbox_data(m, 0, &got));
	assert_true(bytes_eq(got.envelope, text("(env)")));
	assert_true(mailbox_mail(m, 0)->sized);
	assert_int_equal(mailbox_mail(m, 0)->octets, 20);
	highest = mailbox_highestmodseq(m);
	mailbox_close(&m);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/box/hermod.%s", test_dir, i ? "data" : "index");
		assert_int_equal(unlink(path), 0);
	}
	m = opened("box");
	scan(m, 1);
	assert_int_equal(mailbox_mail(m, 0)->uid, 1);
	assert_true(mailbox_mail(m, 0)->modseq > highest);
	assert_false(mailbox_data(m, 0, &got));
	mailbox_close(&m);
}

/* ---- pure: the file of keywords ---- */

static void
test_keywords_file(void **state)
{
	static const struct { const char *file; const char *a, *b, *z; } cases[] = {
		{ "", "", "", "" },
		{ "a $Work\nz late\n", "$Work", "", "late" },
		{ "b x", "", "x", "" },					/* no end of line */
		{ "a one\na two\n", "one", "", "" },
		{ "a \nb\n\nA x\n{ y\naa z\nz ok\n", "", "", "ok" },
		{ "a two words\nb with(paren\nz \"q\"\n", "", "", "" },
		{ "a caf\xc3\xa9\nb a\rb\n", "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct keywords k = { 0 };

		keywords_parse(&k, text(cases[i].file));
		assert_true(bytes_eq(k.name[0], text(cases[i].a)));
		assert_true(bytes_eq(k.name[1], text(cases[i].b)));
		assert_true(bytes_eq(k.name[25], text(cases[i].z)));
	}
}

static void
test_from_dates(void **state)
{
	static const struct { const char *line; int64_t want; } cases[] = {	/* 0: none */
		{ "From a@b Wed Jan  1 10:00:00 2020", 1577872800 },
		{ "From a@b Wed Jan 01 10:00 2020\n", 1577872800 },
		{ "From a@b Wed Jan  1 10:00:00 CET 2020\n", 1577872800 },
		{ "From Jan 1 10:00:00 2019 Wed Jan  1 10:00:00 2020", 1577872800 },	/* the last one counts */
		{ "From a b c d e f g h i j k l m n o p q Wed Jan  1 10:00:00 2020", 1577872800 },
		{ "From a@b Wed Jan  1 10:00:00 1969", 0 },
		{ "From a@b Wed Foo  1 10:00:00 2020", 0 },
		{ "From a@b Wed Jan 32 10:00:00 2020", 0 },
		{ "From a@b Wed Jan  1 24:00:00 2020", 0 },
		{ "From a@b Wed Jan  1 10 2020", 0 },
		{ "From a@b", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		int64_t got = 0;

		assert_int_equal(mbox_from_date(text(cases[i].line), &got), cases[i].want != 0);
		assert_int_equal(got, cases[i].want);
	}
}

/* ---- what was expunged, and is kept ---- */

static size_t
kept(struct mailbox *m, struct arena *a, struct kept_mail **out)
{
	size_t n;

	assert_true(mailbox_kept(m, a, out, &n));
	return n;
}

static void
expunge_all(struct mailbox *m)
{
	size_t which[8];

	assert_true(mailbox_scan(m));
	assert_true(mailbox_count(m) <= LEN(which));
	for (size_t i = 0; i < mailbox_count(m); i++)
		which[i] = i;
	assert_true(mailbox_expunge(m, which, mailbox_count(m)));
}

static void
test_kept(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct mailbox *m = opened("box");
	struct kept_mail *k;
	uint32_t key;
	size_t one = 0;

	(void)state;
	assert_true(mailbox_scan(m));
	key = mailbox_keyword_make(m, text("Work"), 0);
	assert_int_equal(key, WORK);
	append(m, "a\n", MAIL_SEEN | MAIL_DELETED | key);
	append(m, "bb\n", 0);
	append(m, "ccc\n", MAIL_FLAGGED);
	expunge_all(m);				/* nobody wants it kept */
	assert_int_equal(kept(m, a, &k), 0);
	mailbox_keep_expunged(m, 60);
	append(m, "a\n", MAIL_SEEN | MAIL_DELETED | key);
	append(m, "bb\n", 0);
	append(m, "ccc\n", MAIL_FLAGGED);
	expunge_all(m);
	if (is_mbox) {
		assert_int_equal(kept(m, a, &k), 0);
		mailbox_close(&m);
		arena_free(&a);
		return;
	}
	assert_int_equal(kept(m, a, &k), 3);
	assert_int_equal(k[0].octets, 2);
	assert_int_equal(k[0].flags, MAIL_SEEN | MAIL_DELETED | key);
	assert_int_equal(k[0].date_s, 1577872800);
	assert_true(k[0].removed_s <= time(NULL) && k[0].removed_s > time(NULL) - 60);
	assert_int_equal(k[2].octets, 4);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 0);
	assert_true(mailbox_unexpunge(m, &k[0]));
	assert_true(mailbox_unexpunge(m, &k[1]));
	assert_false(mailbox_unexpunge(m, &k[0]));
	assert_int_equal(errno, ENOENT);
	assert_true(mailbox_unexpunged(m));
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 2);
	assert_int_equal(mailbox_mail(m, 0)->uid, 7);	/* those of 4 and 5 do not come back */
	assert_int_equal(mailbox_mail(m, 0)->flags, MAIL_SEEN | key);
	assert_text(m, 0, "a\n");
	assert_text(m, 1, "bb\n");
	assert_int_equal(kept(m, a, &k), 1);
	assert_true(mailbox_expunge(m, &one, 1));
	assert_int_equal(kept(m, a, &k), 2);
	mailbox_close(&m);
	arena_free(&a);
}

/* What moves is not kept, nor what another program has moved first: it is found again. */
static void
test_kept_moved(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct mailbox *m = opened("box"), *to = opened("to"), *other = opened("box");
	struct kept_mail *k;
	size_t one = 0;
	uint32_t uid;

	(void)state;
	mailbox_keep_expunged(m, 60);
	append(m, "a\n", 0);
	append(m, "b\n", 0);
	assert_true(mailbox_scan(m) && mailbox_scan(to));
	assert_true(mailbox_move(m, &one, 1, to, &uid, &left_out));
	assert_int_equal(kept(m, a, &k), 0);
	assert_true(mailbox_scan(m) && mailbox_scan(other));
	assert_int_equal(mailbox_count(m), 1);
	store(other, 0, FLAGS_SET, MAIL_SEEN);
	assert_true(mailbox_expunge(m, &one, 1));	/* under its old name */
	assert_int_equal(kept(m, a, &k), 1);
	assert_int_equal(k[0].flags, MAIL_SEEN);
	mailbox_close(&m);
	mailbox_close(&to);
	mailbox_close(&other);
	arena_free(&a);
}

static int
kept_dir(void)
{
	char path[160];

	snprintf(path, sizeof path, "%s/box/%s", test_dir, EXPUNGED_DIR);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
put_kept(int dir, int64_t at_s, const char *rest)
{
	char name[200];
	int fd;

	snprintf(name, sizeof name, "%lld%s", (long long)at_s, rest);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd != -1);
	close(fd);
}

static void
test_kept_and_old(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct mailbox *m = opened("box");
	int64_t now = time(NULL);
	struct kept_mail *k;
	int dir;

	(void)state;
	mailbox_keep_expunged(m, 100);
	append(m, "a\n", 0);
	expunge_all(m);
	dir = kept_dir();
	assert_true(dir != -1);
	put_kept(dir, now - 200, ".M1P1.h:2,S");
	put_kept(dir, now - 101, ".M1P1.h:2,S");
	put_kept(dir, now - 50, ".M1P1.h:2,S");
	put_kept(dir, now + 1000000, ".M1P1.h");		/* a clock that jumped */
	put_kept(dir, 7, "odd");
	assert_int_equal(mkdirat(dir, "5.dir", 0700), 0);
	assert_int_equal(kept(m, a, &k), 5);
	mailbox_close(&m);
	m = opened("box");
	assert_int_equal(kept(m, a, &k), 3);
	assert_int_equal(k[0].removed_s, now - 50);
	mailbox_close(&m);			/* not asked to keep or remove anything */
	put_kept(dir, now - 300, ".M1P1.h:2,S");
	m = opened("box");
	mailbox_keep_expunged(m, 100);
	mailbox_close(&m);			/* .oldest says that there is nothing */
	assert_int_equal(unlinkat(dir, ".oldest", 0), 0);
	m = opened("box");
	assert_int_equal(kept(m, a, &k), 4);
	mailbox_keep_expunged(m, 100);
	mailbox_close(&m);
	m = opened("box");
	assert_int_equal(kept(m, a, &k), 3);
	mailbox_keep_expunged(m, 0);
	mailbox_close(&m);
	m = opened("box");
	assert_int_equal(kept(m, a, &k), 0);
	assert_int_equal(unlinkat(dir, "7odd", 0), 0);
	assert_int_equal(unlinkat(dir, "5.dir", AT_REMOVEDIR), 0);
	mailbox_keep_expunged(m, 0);
	mailbox_close(&m);
	close(dir);
	assert_int_equal(kept_dir(), -1);
	arena_free(&a);
}

/* One close removes so many, and the next goes on. */
static void
test_kept_many(void **state)
{
	struct arena *a = arena_new(1 << 24);
	struct mailbox *m = opened("box");
	struct kept_mail *k;
	size_t left[] = { 501, 0, 0 };
	int dir;

	(void)state;
	mailbox_keep_expunged(m, 100);
	append(m, "a\n", 0);
	expunge_all(m);
	dir = kept_dir();
	for (int i = 0; i < 1500; i++)
		put_kept(dir, 1000 + i, ".M1P1.h");
	close(dir);
	mailbox_close(&m);
	for (size_t i = 0; i < LEN(left); i++) {
		m = opened("box");
		assert_int_equal(kept(m, a, &k), left[i] > 0 ? left[i] : 1);
		mailbox_keep_expunged(m, 100);
		mailbox_close(&m);
	}
	arena_free(&a);
}

/* What stands in its place is no reason not to expunge. */
static void
test_kept_odd(void **state)
{
	char path[160];
	struct arena *a = arena_new(1 << 20);
	struct mailbox *m = opened("box");
	struct kept_mail *k;
	size_t n;

	(void)state;
	snprintf(path, sizeof path, "%s/box/%s", test_dir, EXPUNGED_DIR);
	assert_int_equal(symlink("/tmp", path), 0);
	mailbox_keep_expunged(m, 60);
	append(m, "a\n", 0);
	expunge_all(m);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_count(m), 0);
	assert_false(mailbox_kept(m, a, &k, &n));
	mailbox_close(&m);
	assert_int_equal(unlink(path), 0);
	arena_free(&a);
}

static void
test_name_time(void **state)
{
	static const struct { const char *name; int64_t want; } cases[] = {
		{ "1795478164.M1P2.host", 1795478164 }, { "0.", 0 }, { "7.x", 7 },
		{ "", -1 }, { ".x", -1 }, { "7", -1 }, { "7x", -1 }, { "x.7", -1 }, { "-7.x", -1 },
		{ "9223372036854.x", 9223372036854 }, { "9223372036855.x", -1 }, { "99999999999999999999999.x", -1 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		int64_t at = -1;

		assert_int_equal(maildir_name_time(text(cases[i].name), &at), cases[i].want != -1);
		assert_int_equal(at, cases[i].want);
	}
}

int
main(void)
{
	static const unsigned char boot[16] = "one boot of all";
#define M(t) cmocka_unit_test_setup_teardown(t, begin_maildir, test_dir_remove)
#define B(t) { "mbox " #t, t, begin_mbox, test_dir_remove, NULL }
	const struct CMUnitTest tests[] = {
		M(test_append), B(test_append), M(test_dropped), B(test_dropped), M(test_several), B(test_several),
		M(test_store), B(test_store), M(test_unchangedsince), B(test_unchangedsince),
		M(test_keywords), B(test_keywords), M(test_copy), B(test_copy), M(test_move), B(test_move),
		M(test_copy_gone), B(test_copy_gone),
		M(test_not_deleted_any_more), B(test_not_deleted_any_more), M(test_expunged_modseq), B(test_expunged_modseq),
		M(test_kept), B(test_kept), M(test_kept_moved), M(test_kept_and_old), M(test_kept_many), M(test_kept_odd),
		cmocka_unit_test(test_name_time),
		M(test_renamed), M(test_renamed_at_once), M(test_came_back), M(test_came_back_to_one_at_rest),
		M(test_claim), M(test_claim_of_a_long_name), M(test_index_lost),
		cmocka_unit_test(test_keywords_file), cmocka_unit_test(test_from_dates),
	};

	umask(077);
	index_boot(boot);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
