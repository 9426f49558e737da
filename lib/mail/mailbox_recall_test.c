/* SPDX-License-Identifier: ISC */
/*
 * What the index recalls is what a look would find; and where anything has changed, whoever changed it and however
 * well it was hidden, it is looked at.
 */
#include "mail/testing.h"

#include <fcntl.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/mailbox_impl.h"

#define MAILS		8
#define TICK_US		60000		/* after it a directory is settled */

static char box[80];

static int
begin(void **state)
{
	static const unsigned char boot[16] = { 7 };

	(void)state;
	index_boot(boot);
	if (test_dir_make("recall", true) == -1)
		return -1;
	snprintf(box, sizeof box, "%s/box", test_dir);
	return 0;
}

static struct mailbox *
opened(void)
{
	char spec[100], why[200];
	struct mailbox *m;

	snprintf(spec, sizeof spec, "maildir:%s", box);
	m = mailbox_open(text(spec), 200, why, sizeof why);
	assert_non_null(m);
	mailbox_index(m);
	return m;
}

static void
path_of(char out[400], const char *name)
{
	snprintf(out, 400, "%s/%s", box, name);
}

static void
write_file(const char *name, const char *content)
{
	char path[400];
	int fd;

	path_of(path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, text(content)));
	close(fd);
}

static void
move_file(const char *from, const char *to)
{
	char a[400], b[400];

	path_of(a, from);
	path_of(b, to);
	assert_int_equal(rename(a, b), 0);
}

/* True: the scan did without a look. */
static bool
scan(struct mailbox *m)
{
	assert_true(mailbox_scan(m));
	return m->recalled.file.n > 0;
}

/* Opened, recalled or not, and closed. */
static bool
recalls(void)
{
	struct mailbox *m = opened();
	bool did = scan(m);

	mailbox_close(&m);
	return did;
}

/* Eight messages as programs leave them; nothing has happened for a tick, and one session has looked. */
static void
make_box(void)
{
	struct mailbox *m = opened();

	mailbox_close(&m);
	write_file("new/1.M1.x", "A: 1\n\n1\n");
	write_file("new/2.M1.x:2,", "A: 2\n\n2\n");
	write_file("cur/3.M1.x", "A: 3\n\n3\n");
	write_file("cur/4.M1.x:2,", "A: 4\n\n4\n");
	write_file("cur/5.M1.x:2,S", "A: 5\n\n5\n");
	write_file("cur/6.M1.x:2,FRS", "A: 6\n\n6\n");
	write_file("cur/7.M1.x:2,DPSTabz", "A: 7\n\n7\n");
	write_file("cur/8.M1,S=9.x:2,S", "A: 8\n\n8\n");
	usleep(TICK_US);
	assert_false(recalls());
}

static void
assert_alike(struct mailbox *a, struct mailbox *b)
{
	assert_int_equal(mailbox_uidvalidity(a), mailbox_uidvalidity(b));
	assert_int_equal(mailbox_uidnext(a), mailbox_uidnext(b));
	assert_int_equal(mailbox_highestmodseq(a), mailbox_highestmodseq(b));
	assert_int_equal(mailbox_count(a), mailbox_count(b));
	for (size_t i = 0; i < mailbox_count(a); i++) {
		struct mail *x = mailbox_mail(a, i), *y = mailbox_mail(b, i);
		struct buf s, t;
		int64_t p = 0, q = 0;

		assert_int_equal(x->uid, y->uid);
		assert_int_equal(x->flags, y->flags);
		assert_int_equal(x->modseq, y->modseq);
		assert_int_equal(x->recent, y->recent);
		assert_int_equal(x->sized, y->sized);
		assert_true(!x->sized || x->octets == y->octets);
		assert_true(bytes_eq(x->name, y->name));
		assert_true(bytes_eq(a->item[i].file.suffix, b->item[i].file.suffix));
		assert_true(mailbox_date(a, i, &p) && mailbox_date(b, i, &q));
		assert_int_equal(p, q);
		buf_init(&s, 1000);
		buf_init(&t, 1000);
		assert_true(mailbox_text(a, i, &s) && mailbox_text(b, i, &t));
		assert_true(bytes_eq(buf_bytes(&s), buf_bytes(&t)));
		buf_fini(&s);
		buf_fini(&t);
	}
}

/* What a new session sees is what one sees that has to look. True: it recalled. */
static bool
check(void)
{
	struct mailbox *a = opened(), *b = opened();
	bool did = scan(a);

	assert_true(mailbox_lock(b));
	assert_true(mailbox_look_again(b));
	mailbox_unlock(b);
	assert_alike(a, b);
	mailbox_close(&b);
	mailbox_close(&a);
	return did;
}

static void
test_recalls(void **state)
{
	struct mailbox *m;

	(void)state;
	make_box();
	assert_true(check());
	assert_true(recalls());
	m = opened();
	assert_true(scan(m));
	assert_int_equal(mailbox_count(m), MAILS);
	assert_true(mailbox_quiet(m));
	for (size_t i = 0; i < MAILS; i++)
		assert_true(mailbox_size(m, i));	/* what is found out later is told to others, and spoils nothing */
	mailbox_rest(m);
	assert_true(scan(m));
	mailbox_close(&m);
	assert_true(check());
}

/* A session that recalled goes on as any other. */
static void
test_goes_on(void **state)
{
	struct flag_change c = { .how = FLAGS_ADD, .flags = MAIL_FLAGGED };
	enum flag_changed result[MAILS];
	size_t all[MAILS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	struct mailbox *m, *other;
	struct arrival *a;
	uint32_t uid = 0;

	(void)state;
	make_box();
	m = opened();
	assert_true(scan(m));
	assert_true(mailbox_store(m, all, MAILS, &c, result));
	for (size_t i = 0; i < MAILS; i++)
		assert_int_equal(result[i], i == 5 ? FLAG_SAME : FLAG_CHANGED);
	mailbox_close(&m);
	assert_false(check());
	usleep(TICK_US);
	recalls();
	m = opened();
	assert_true(scan(m));
	a = mailbox_arrive(m);
	assert_true(arrival_add(a, text("A: 9\r\n\r\n9\r\n")));
	assert_true(mailbox_take(m, &a, 1, &uid));
	arrival_free(&a);
	assert_int_equal(uid, MAILS + 1);
	assert_false(scan(m));
	assert_int_equal(mailbox_count(m), MAILS + 1);
	mailbox_close(&m);
	usleep(TICK_US);
	recalls();
	m = opened();
	other = opened();
	assert_true(scan(m));
	assert_true(scan(other));
	assert_true(mailbox_expunge(other, all, 2));
	mailbox_close(&other);
	assert_false(scan(m));
	assert_int_equal(mailbox_count(m), MAILS - 1);
	assert_int_equal(mailbox_mail(m, 0)->uid, 3);
	mailbox_close(&m);
	usleep(TICK_US);
	recalls();
	assert_true(check());
}

/* ---- what another program did ---- */

static void
to_new(void)
{
	write_file("new/9.M1.x", "A: 9\n\n9\n");
}

static void
to_cur(void)
{
	write_file("cur/9.M1.x:2,S", "A: 9\n\n9\n");
}

static void
other_flags(void)
{
	move_file("cur/5.M1.x:2,S", "cur/5.M1.x:2,FS");
}

static void
to_cur_from_new(void)
{
	move_file("new/1.M1.x", "cur/1.M1.x:2,");
}

static void
removed(void)
{
	char path[400];

	path_of(path, "cur/6.M1.x:2,FRS");
	assert_int_equal(unlink(path), 0);
}

/* One goes, another comes: as many as before. */
static void
exchanged(void)
{
	removed();
	to_cur();
}

static void
times(const char *name, struct timespec t[2], bool set)
{
	char path[400];
	struct stat st;

	path_of(path, name);
	if (set) {
		assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
		return;
	}
	assert_int_equal(stat(path, &st), 0);
	t[0] = st.st_atim;
	t[1] = st.st_mtim;
}

static void
test_changes(void **state)
{
	static void (*const change[])(void) = { to_new, to_cur, other_flags, to_cur_from_new, removed, exchanged };

	for (size_t i = 0; i < LEN(change); i++) {
		struct timespec new[2], cur[2];

		make_box();
		times("new", new, false);
		times("cur", cur, false);
		change[i]();
		times("new", new, true);	/* as rsync and tar do, and who wants to hide it */
		times("cur", cur, true);
		assert_false(check());
		assert_int_equal(test_dir_remove(state), 0);
		assert_int_equal(begin(state), 0);
	}
}

/* ---- the files beside it ---- */

/* False: the file has no such octet. */
static bool
flip(const char *name, off_t at)
{
	char path[400];
	unsigned char octet;
	bool there;
	int fd;

	path_of(path, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_not_equal(fd, -1);
	there = file_pread(fd, &octet, 1, at);
	octet ^= 1;
	if (there)
		assert_true(file_pwrite(fd, bytes_of(&octet, 1), at));
	close(fd);
	return there;
}

static void
copied(const char *name)
{
	char path[400], command[1700];

	path_of(path, name);
	snprintf(command, sizeof command, "cp -p %s %s.other && mv %s.other %s", path, path, path, path);
	assert_int_equal(system(command), 0);
}

/* Each octet of either copy of the ledger or of the index's records: it is looked at, and what was damaged is made anew. */
static void
test_damage(void **state)
{
	static const char *const files[] = { "hermod.ledger", "hermod.ledger2", "hermod.index" };

	make_box();
	for (size_t i = 0; i < LEN(files); i++)
		for (off_t at = 0; at < 256 + MAILS * 56 && flip(files[i], at); at += 7) {
			assert_false(check());
			recalls();
		}
	for (size_t i = 0; i < LEN(files); i++) {
		char path[400];

		copied(files[i]);
		assert_false(recalls());
		recalls();
		path_of(path, files[i]);
		assert_int_equal(unlink(path), 0);
		assert_false(check());
		recalls();
		assert_int_equal(truncate(path, 100), 0);
		assert_false(check());
		recalls();
	}
	(void)state;
}

/* What a session has recalled another program cannot take away from it. */
static void
test_cut_meanwhile(void **state)
{
	static const char *const files[] = { "hermod.ledger", "hermod.ledger2" };
	struct mailbox *m;

	(void)state;
	make_box();
	m = opened();
	assert_true(scan(m));
	for (size_t i = 0; i < LEN(files); i++) {
		char path[400];

		path_of(path, files[i]);
		assert_int_equal(truncate(path, 70), 0);
	}
	for (size_t i = 0; i < MAILS; i++) {
		struct buf text;

		buf_init(&text, 1000);
		assert_true(mailbox_text(m, i, &text));
		buf_fini(&text);
	}
	mailbox_close(&m);
}

/* The record is whole, but where it says that its name is there stands another: a ledger from elsewhere. */
static void
test_other_name(void **state)
{
	struct mailbox *m;
	struct index_mail r;

	(void)state;
	make_box();
	m = opened();
	assert_true(scan(m));
	assert_true(mailbox_lock(m));
	assert_true(mailbox_look(m));
	assert_true(index_get(m->index, 3, &r));
	index_begin(m->index);
	r.where ^= 8;
	index_put(m->index, 3, &r);
	index_end(m->index);
	mailbox_unlock(m);
	mailbox_close(&m);
	assert_false(check());			/* it asks for dates: with them what was wrong is put right */
	assert_true(check());
}

static void
test_other_boot(void **state)
{
	static const unsigned char boot[16] = { 8 };

	(void)state;
	make_box();
	assert_true(recalls());
	index_boot(boot);
	assert_false(check());
	assert_true(check());
}

/* What one session has seen to be gone, and rests, another finds again under its UID. */
static void
test_came_back_to_one_at_rest(void **state)
{
	struct mailbox *m;

	(void)state;
	make_box();
	m = opened();
	assert_true(scan(m));
	move_file("cur/5.M1.x:2,S", "away");
	assert_false(scan(m));
	assert_int_equal(m->n, 7);
	mailbox_rest(m);
	move_file("away", "cur/5.M1.x:2,S");
	usleep(TICK_US);
	assert_false(recalls());
	assert_true(recalls());
	assert_false(scan(m));
	assert_int_equal(m->n, 8);
	assert_int_equal(m->item[4].mail.uid, 6);
	assert_int_equal(m->item[7].mail.uid, 9);
	mailbox_rest(m);
	usleep(TICK_US);
	(void)recalls();
	assert_true(scan(m));
	assert_int_equal(m->item[7].mail.uid, 9);
	mailbox_close(&m);
}

/* A change in the tick of the look may not show: nothing is noted then. */
static void
test_not_settled(void **state)
{
	(void)state;
	make_box();
	to_cur();
	recalls();
	assert_false(recalls());
	usleep(TICK_US);
	assert_false(recalls());
	assert_true(recalls());
}

static void
test_odd_suffix(void **state)
{
	static const char *const odd[] = { ":2,SF", ":2,SX", ":2,S,x", ":1,S", ":", ":2" };

	(void)state;
	make_box();
	for (size_t i = 0; i < LEN(odd); i++) {
		char from[100], to[100];

		snprintf(from, sizeof from, "cur/5.M1.x%s", i == 0 ? ":2,S" : odd[i - 1]);
		snprintf(to, sizeof to, "cur/5.M1.x%s", odd[i]);
		move_file(from, to);
		usleep(TICK_US);
		recalls();
		assert_false(check());
	}
	move_file("cur/5.M1.x:2", "cur/5.M1.x:2,S");
	usleep(TICK_US);
	recalls();
	assert_true(check());
}

static void
test_empty(void **state)
{
	struct mailbox *m = opened();

	(void)state;
	mailbox_close(&m);
	usleep(TICK_US);
	assert_false(recalls());
	assert_true(recalls());
	assert_true(check());
}

/* More messages than the table of suffixes has places, all with other flags. */
static void
test_many_flags(void **state)
{
	struct mailbox *m = opened();

	(void)state;
	mailbox_close(&m);
	for (unsigned i = 0; i < 300; i++) {
		char name[64];

		snprintf(name, sizeof name, "cur/%u.M1.x:2,%s%s%s%s%s%s%s%s%s", i + 1000, i & 1 ? "D" : "", i & 2 ? "F" : "",
		    i & 4 ? "R" : "", i & 8 ? "S" : "", i & 16 ? "T" : "", i & 32 ? "a" : "", i & 64 ? "b" : "",
		    i & 128 ? "y" : "", i & 256 ? "z" : "");
		write_file(name, "A: x\n\nx\n");
	}
	usleep(TICK_US);
	assert_false(recalls());
	assert_true(check());
}

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, begin, test_dir_remove)
	const struct CMUnitTest tests[] = {
		T(test_recalls), T(test_goes_on), T(test_changes), T(test_damage), T(test_cut_meanwhile), T(test_other_name), T(test_other_boot),
		T(test_came_back_to_one_at_rest), T(test_not_settled), T(test_odd_suffix), T(test_empty), T(test_many_flags),
	};

	umask(077);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
