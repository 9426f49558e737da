/* SPDX-License-Identifier: ISC */
/*
 * What is wrong with a mailbox, in both formats, on real files: each fault is made and has to be found, and a
 * sound mailbox has none. What is damaged at random is read without harm.
 */
#include "mail/testing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/digest.h"
#include "mail/mailbox_check.h"
#include "mail/mailbox_impl.h"

#define MESSAGE(n)	"Subject: " n "\nFrom: a@b.example\n\nText " n ".\n"

static bool is_mbox;

static int
begin(bool mbox)
{
	static const unsigned char boot[16] = { 1 };

	is_mbox = mbox;
	index_boot(boot);
	return test_dir_make("check", false);
}

static int begin_maildir(void **state) { (void)state; return begin(false); }
static int begin_mbox(void **state) { (void)state; return begin(true); }

static struct mailbox *
opened(void)
{
	char spec[160], why[200];
	struct mailbox *m;

	snprintf(spec, sizeof spec, "%s:%s/box", is_mbox ? "mbox" : "maildir", test_dir);
	m = mailbox_open(text(spec), 200, why, sizeof why);
	assert_non_null(m);
	return m;
}

/* Of STEM.ending. */
static const char *
path_of(const char *ending)
{
	static char path[160];

	snprintf(path, sizeof path, is_mbox ? "%s/.box.hermod.%s" : "%s/box/hermod.%s", test_dir, ending);
	return path;
}

static void
append(struct mailbox *m, const char *content)
{
	struct arrival *a = mailbox_arrive(m);
	uint32_t uid;

	assert_non_null(a);
	assert_true(arrival_add(a, text(content)));
	assert_true(mailbox_take(m, &a, 1, &uid));
	arrival_free(&a);
}

/* Three messages, and all that sessions leave beside them. */
static void
make_box(void)
{
	struct mailbox *m = opened();
	struct arena *a = arena_new(MAIL_DIGEST_ARENA);
	struct buf message, room;

	mailbox_index(m);
	append(m, MESSAGE("one"));
	append(m, MESSAGE("two"));
	append(m, MESSAGE("three"));
	assert_true(mailbox_scan(m));
	buf_init(&message, 10000);
	buf_init(&room, MAIL_DIGEST_MAX);
	for (size_t i = 0; i < 3; i++) {
		struct index_data d;

		buf_clear(&message);
		arena_reset(a);
		assert_true(mailbox_text(m, i, &message));
		mail_digest(buf_bytes(&message), a, &room, &d);
		mailbox_data_keep(m, i, &d);
	}
	mailbox_close(&m);
	buf_fini(&message);
	buf_fini(&room);
	arena_free(&a);
}

struct seen { size_t faults, notes, steps; char last[300]; enum finding_advice advice; };

static void
found(void *arg, const struct finding *f)
{
	struct seen *s = arg;

	s->faults += f->fault;
	s->notes += !f->fault;
	s->advice = f->advice;
	snprintf(s->last, sizeof s->last, "%.*s: %s", BYTES_FMT(f->where), f->what);
}

static void
step(void *arg, size_t done, size_t all)
{
	struct seen *s = arg;

	assert_true(done <= all);
	s->steps++;
}

static struct seen
checked(void)
{
	struct seen s = { 0 };
	struct check c = { found, step, &s };
	struct mailbox *m = opened();

	assert_true(mailbox_check(m, &c));
	mailbox_close(&m);
	return s;
}

static void
assert_found(size_t faults, const char *words, enum finding_advice advice)
{
	struct seen s = checked();

	assert_int_equal(s.faults, faults);
	if (!strstr(s.last, words))
		fail_msg("\"%s\" is not in \"%s\"", words, s.last);
	assert_int_equal(s.advice, advice);
}

static void
flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	unsigned char c;

	assert_true(fd != -1 && fstat(fd, &st) == 0);
	at = at < 0 ? st.st_size + at : at;
	assert_true(file_pread(fd, &c, 1, at));
	c ^= 0x55;
	assert_true(file_pwrite(fd, bytes_of(&c, 1), at));
	close(fd);
}

static void
test_sound(void **state)
{
	struct seen s;

	(void)state;
	s = checked();				/* an empty one */
	assert_int_equal(s.faults + s.notes + s.steps, 0);
	make_box();
	s = checked();
	if (s.faults + s.notes > 0)
		fail_msg("%s", s.last);
	assert_int_equal(s.steps, 3);
}

static void
test_files_beside(void **state)
{
	static const struct { const char *ending; off_t at; const char *words; enum finding_advice advice; } cases[] = {
		{ "ledger",	0,	"damaged",	FINDING_OPEN },
		{ "ledger",	-1,	"damaged",	FINDING_OPEN },
		{ "ledger2",	70,	"damaged",	FINDING_OPEN },
		{ "ledger2",	24,	"restored",	FINDING_OPEN },		/* the inode */
		{ "index",	0,	"damaged",	FINDING_REBUILD },
		{ "index",	248,	"damaged",	FINDING_REBUILD },	/* somebody died while he changed it */
		{ "index",	260,	"damaged",	FINDING_REBUILD },
		{ "data",	16,	"damaged",	FINDING_REBUILD },
		{ "data",	110,	"damaged",	FINDING_REBUILD },
	};

	(void)state;
	make_box();
	for (size_t i = 0; i < LEN(cases); i++) {
		flip(path_of(cases[i].ending), cases[i].at);
		assert_found(1, cases[i].words, cases[i].advice);
		flip(path_of(cases[i].ending), cases[i].at);
		assert_int_equal(checked().faults, 0);
	}
}

static void
test_missing(void **state)
{
	(void)state;
	make_box();
	assert_int_equal(unlink(path_of("data")), 0);
	assert_int_equal(checked().faults, 0);		/* a cache */
	assert_int_equal(unlink(path_of("ledger")), 0);
	assert_found(1, "is missing; it is made again", FINDING_OPEN);
	assert_int_equal(unlink(path_of("ledger2")), 0);
	assert_found(1, "and so is its copy", FINDING_OPEN);
	assert_int_equal(unlink(path_of("index")), 0);
	assert_int_equal(checked().faults, 0);
	assert_int_equal(mkdir(path_of("index"), 0700), 0);
	assert_found(2, "cannot be read", FINDING_REBUILD);	/* and it says that there was a ledger */
}

static void
test_index_anew(void **state)
{
	struct mailbox *m;

	(void)state;
	make_box();
	flip(path_of("data"), 110);
	flip(path_of("index"), 260);
	m = opened();
	assert_true(mailbox_index_anew(m));
	mailbox_index(m);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_mail(m, 2)->uid, 3);
	mailbox_close(&m);
	assert_int_equal(checked().faults, 0);
}

static void
test_beside(void **state)
{
	struct mailbox *m = opened();
	struct beside b;

	(void)state;
	assert_true(mailbox_beside(m, &b));
	assert_false(b.ledger[0].there || b.ledger[1].there || b.index || b.data || b.alike);
	mailbox_close(&m);
	make_box();
	m = opened();
	assert_true(mailbox_beside(m, &b));
	assert_true(b.ledger[0].whole && b.ledger[1].whole && b.alike && b.index_whole && b.data_whole);
	assert_int_equal(b.index_messages, 3);
	assert_int_equal(b.kept, 0);
	flip(path_of("ledger2"), -1);
	assert_true(mailbox_beside(m, &b));
	assert_true(b.ledger[0].whole && !b.ledger[1].whole && b.ledger[1].there && !b.alike);
	mailbox_close(&m);
}

/* Whatever an octet becomes, or wherever a file ends: it is read without harm. */
static void
test_any_damage(void **state)
{
	static const char *const endings[] = { "ledger", "ledger2", "index", "data" };

	(void)state;
	make_box();
	for (size_t i = 0; i < LEN(endings); i++) {
		struct stat st;

		assert_int_equal(stat(path_of(endings[i]), &st), 0);
		for (off_t at = 0; at < st.st_size && at < 400; at += 3) {
			flip(path_of(endings[i]), at);
			checked();
			flip(path_of(endings[i]), at);
		}
		for (off_t n = st.st_size < 600 ? st.st_size : 600; n >= 0; n -= 7) {
			assert_int_equal(truncate(path_of(endings[i]), n), 0);
			checked();
		}
	}
}

/* ---- a Maildir's ---- */

static void
new_file(const char *name, const char *content)
{
	char path[160];
	int fd;

	snprintf(path, sizeof path, "%s/box/%s", test_dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd != -1 && file_write(fd, text(content)));
	close(fd);
}

static void
remove_file(const char *name)
{
	char path[160];

	snprintf(path, sizeof path, "%s/box/%s", test_dir, name);
	assert_int_equal(remove(path), 0);
}

static void
test_odd_files(void **state)
{
	char path[160];
	struct seen s;

	(void)state;
	make_box();
	new_file("new/1.x", "");
	assert_found(1, "new/1.x: is empty", FINDING_MOVE);
	remove_file("new/1.x");
	new_file("new/1.x,S=5,W=6:2,", "a\nb\n");
	s = checked();
	assert_int_equal(s.faults, 0);
	assert_int_equal(s.notes, 1);		/* W is right: the ends of lines count twice */
	assert_non_null(strstr(s.last, "says 5 octets and it has 4"));
	remove_file("new/1.x,S=5,W=6:2,");
	new_file("new/1.x,S=4,W=7:2,", "a\nb\n");
	assert_non_null(strstr(checked().last, "says 7 octets with CRLF and it has 6"));
	remove_file("new/1.x,S=4,W=7:2,");
	new_file("new/1.x,S=x,S=,=4:2,", "a\n");
	assert_int_equal(checked().notes, 0);
	new_file("cur/1.x,S=x,S=,=4:2,S", "a\n");
	assert_found(1, "name of another message", FINDING_MOVE);
	remove_file("new/1.x,S=x,S=,=4:2,");
	assert_int_equal(checked().faults, 0);
	snprintf(path, sizeof path, "%s/box/cur/2.fifo", test_dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_found(1, "cur/2.fifo: is no regular file", FINDING_MOVE);
	remove_file("cur/2.fifo");
	snprintf(path, sizeof path, "%s/box/tmp/3.link", test_dir);
	assert_int_equal(symlink("nowhere", path), 0);
	assert_found(1, "tmp/3.link: is no regular file", FINDING_MOVE);
}

/* Another program has changed a message, which none may: the index knows another size, and other fields. */
static void
test_changed_message(void **state)
{
	struct mailbox *m;
	char path[400];
	int fd;

	(void)state;
	make_box();
	m = opened();
	assert_true(mailbox_scan(m));
	snprintf(path, sizeof path, "%s/box/%s/%.*s%.*s", test_dir, m->item[1].file.in_new ? "new" : "cur",
	    BYTES_FMT(m->item[1].file.name), BYTES_FMT(m->item[1].file.suffix));
	mailbox_close(&m);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd != -1 && file_pwrite(fd, text("Subject: TWO"), 0));
	close(fd);
	assert_found(1, "is not what a fresh look gives", FINDING_REBUILD);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd != -1 && file_write(fd, text("More.\n")));
	close(fd);
	assert_found(2, "the index says", FINDING_REBUILD);
	assert_int_equal(unlink(path), 0);
	assert_found(0, "another program has removed", FINDING_TOLD);
}

/* ---- an mbox's ---- */

static void
test_no_mbox(void **state)
{
	char path[160];

	(void)state;
	make_box();
	snprintf(path, sizeof path, "%s/box", test_dir);
	flip(path, 0);
	assert_true(checked().faults >= 1);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(checked().faults, 0);
}

#define M(test)	cmocka_unit_test_setup_teardown(test, begin_maildir, test_dir_remove)
#define B(test)	cmocka_unit_test_setup_teardown(test, begin_mbox, test_dir_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		M(test_sound), B(test_sound), M(test_files_beside), B(test_files_beside), M(test_missing), B(test_missing),
		M(test_index_anew), B(test_index_anew), M(test_beside), B(test_beside), M(test_any_damage),
		B(test_any_damage), M(test_odd_files), M(test_changed_message), B(test_no_mbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
