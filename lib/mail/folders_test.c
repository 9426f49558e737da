/* SPDX-License-Identifier: ISC */
/* Folders on real files, in both layouts; and each change of them, with a crash or a fault at each of its steps. */
#include "mail/testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/folders_impl.h"

static char	root[80], spec[100], why[200];
static enum folder_layout layout;

/* Thousands of changes, each with its syncs: in memory they take a tenth of the time. */
static int
begin(enum folder_layout l)
{
	layout = l;
	if (test_dir_make("folders", true) == -1)
		return -1;
	snprintf(root, sizeof root, "%s/Maildir", test_dir);
	snprintf(spec, sizeof spec, "maildir:%s", root);
	return 0;
}

static int begin_maildirpp(void **state) { (void)state; return begin(FOLDERS_MAILDIRPP); }
static int begin_fs(void **state) { (void)state; return begin(FOLDERS_FS); }

static struct folders *
opened(void)
{
	struct folders *f = folders_open(text(spec), layout, 300, why, sizeof why);

	if (!f)
		print_error("%s\n", why);
	assert_non_null(f);
	return f;
}

/* "INBOX a/(b)": one behind the other; () a level, ? not there, + subscribed, uses as a number. */
static void
listed(struct folders *f, struct buf *out)
{
	struct arena *a = arena_new(FOLDERS_ARENA_MAX);
	struct folder_entry *e;
	size_t n;

	assert_true(folders_list(f, a, &e, &n));
	for (size_t i = 0; i < n; i++) {
		buf_text(out, i > 0 ? " " : "");
		if (e[i].selectable)
			buf_fmt(out, "%.*s", BYTES_FMT(e[i].name));
		else
			buf_fmt(out, e[i].children ? "(%.*s)" : "?%.*s", BYTES_FMT(e[i].name));
		buf_text(out, e[i].children ? "/" : "");
		buf_text(out, e[i].subscribed ? "+" : "");
		if (e[i].uses)
			buf_fmt(out, ":%u", e[i].uses);
	}
	arena_free(&a);
}

static void
assert_list(struct folders *f, const char *want)
{
	struct buf got;

	buf_init(&got, 1 << 20);
	listed(f, &got);
	buf_char(&got, '\0');
	assert_string_equal((const char *)got.p, want);
	buf_fini(&got);
}

#define CREATE(f, name)	assert_int_equal(folders_create((f), text(name), 0), FOLDER_OK)
#define DELETE(f, name)	assert_int_equal(folders_delete((f), text(name)), FOLDER_OK)
#define RENAME(f, a, b)	assert_int_equal(folders_rename((f), text(a), text(b)), FOLDER_OK)

static void
path_of(const char *name, const char *rest, char out[4096])
{
	char path[FOLDER_PATH_MAX];

	assert_true(folder_path(layout, text(name), path));
	snprintf(out, 4096, "%s/%s%s", root, path, rest);
}

/* A mail in cur/. */
static void
put_mail(const char *name, const char *mail)
{
	char path[4096], part[300];
	int fd;

	snprintf(part, sizeof part, "/cur/%s", mail);
	path_of(name, part, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, text("Subject: x\n\nx\n")));
	close(fd);
}

/* One that was expunged, and is kept. */
static void
put_kept(const char *name)
{
	char path[4096];

	path_of(name, "/hermod.expunged", path);
	assert_int_equal(mkdir(path, 0700), 0);
	put_mail(name, "../hermod.expunged/1790000000.k:2,T");
}

static bool
has_kept(const char *name)
{
	char path[4096];
	struct stat st;

	path_of(name, "/hermod.expunged", path);
	return lstat(path, &st) == 0;
}

static struct mailbox *
box_of(struct folders *f, const char *name)
{
	struct mailbox *m;

	assert_int_equal(folders_mailbox(f, text(name), &m), FOLDER_OK);
	assert_true(mailbox_scan(m));
	return m;
}

struct seen { uint32_t uidvalidity, uidnext; size_t n; };

static struct seen
look(struct folders *f, const char *name)
{
	struct mailbox *m = box_of(f, name);
	struct seen s = { mailbox_uidvalidity(m), mailbox_uidnext(m), mailbox_count(m) };

	mailbox_close(&m);
	return s;
}

/* Nothing of ours is left in the account's folder that is there only for a while. */
static void
assert_clean(void)
{
	DIR *d = opendir(root);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (bytes_starts(text(e->d_name), text(NEW_PREFIX)) || bytes_starts(text(e->d_name), text(REMOVED_PREFIX))
		    || strcmp(e->d_name, REDO_FILE) == 0)
			fail_msg("%s is left", e->d_name);
	closedir(d);
}

static void
put_file(const char *name, const char *content)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, text(content)));
	close(fd);
}

static void
assert_file(const char *name, const char *want)
{
	struct buf got;
	int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	buf_init(&got, 1 << 20);
	assert_true(file_slurp(dir, name, &got));
	buf_char(&got, '\0');
	assert_string_equal((const char *)got.p, want);
	buf_fini(&got);
	close(dir);
}

/* ---- create, delete ---- */

static void
test_create(void **state)
{
	struct folders *f = opened();
	char path[4096];
	struct stat st;

	(void)state;
	assert_list(f, "INBOX");
	CREATE(f, "Sent");
	CREATE(f, "a/b/c");
	CREATE(f, "a-b");
	CREATE(f, "INBOX/sub");
	CREATE(f, "Ä.b");
	assert_list(f, "INBOX/ INBOX/sub Sent (a)/ (a/b)/ a/b/c a-b Ä.b");
	assert_int_equal(folders_create(f, text("Sent"), 0), FOLDER_EXISTS);
	assert_int_equal(folders_create(f, text("INBOX"), 0), FOLDER_EXISTS);
	CREATE(f, "a/b");				/* a level becomes a mailbox */
	assert_list(f, "INBOX/ INBOX/sub Sent (a)/ a/b/ a/b/c a-b Ä.b");
	path_of("a/b/c", "/maildirfolder", path);
	assert_int_equal(stat(path, &st), layout == FOLDERS_MAILDIRPP ? 0 : -1);
	path_of("a/b/c", "/tmp", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_true(folders_there(f, text("INBOX")) && folders_there(f, text("a/b/c")));
	assert_false(folders_there(f, text("a")) || folders_there(f, text("x")));
	assert_clean();
	folders_close(&f);
}

static void
test_delete(void **state)
{
	struct folders *f = opened();
	struct mailbox *m;

	(void)state;
	CREATE(f, "a");
	CREATE(f, "a/b");
	CREATE(f, "c/d/e");
	put_mail("a", "1.x");
	put_mail("a/b", "2.x");
	put_kept("a");
	put_kept("a/b");
	assert_int_equal(folders_delete(f, text("INBOX")), FOLDER_INBOX);
	assert_int_equal(folders_delete(f, text("x")), FOLDER_NONE);
	assert_int_equal(folders_delete(f, text("c/d")), FOLDER_CHILDREN);
	DELETE(f, "a");
	assert_list(f, "INBOX (a)/ a/b (c)/ (c/d)/ c/d/e");
	assert_int_equal(folders_mailbox(f, text("a"), &m), FOLDER_NONE);
	assert_int_equal(folders_delete(f, text("a")), FOLDER_CHILDREN);
	assert_int_equal(look(f, "a/b").n, 1);
	CREATE(f, "a");
	assert_int_equal(look(f, "a").n, 0);
	assert_false(has_kept("a"));		/* it went with the folder */
	assert_true(has_kept("a/b"));
	DELETE(f, "a/b");
	DELETE(f, "c/d/e");
	assert_list(f, "INBOX a");
	assert_clean();
	folders_close(&f);
}

/* Of a mailbox that somebody holds open while it is renamed, deleted and made again. */
static void
test_in_place(void **state)
{
	struct folders *f = opened();
	struct mailbox *m;

	(void)state;
	CREATE(f, "a");
	CREATE(f, "a/b");
	put_mail("a", "1.x");
	assert_int_equal(folders_mailbox(f, text("a"), &m), FOLDER_OK);
	mailbox_index(m);
	assert_true(mailbox_scan(m) && mailbox_in_place(m) && folders_is(f, text("a"), m));
	RENAME(f, "a", "z");
	assert_true(mailbox_in_place(m) && folders_is(f, text("z"), m) && !folders_is(f, text("a"), m));
	DELETE(f, "z");
	assert_false(mailbox_in_place(m) || folders_is(f, text("z"), m));
	CREATE(f, "z");
	put_mail("z", "2.x");
	assert_false(mailbox_in_place(m) || folders_is(f, text("z"), m));
	mailbox_close(&m);
	assert_int_equal(look(f, "z").n, 1);
	assert_list(f, "INBOX z/ z/b");
	assert_clean();
	folders_close(&f);
}

/* What a session that was at work puts into the directory of a deleted mailbox, and what that kept of expunged mail. */
static void
test_left_behind(void **state)
{
	static const char *const files[] = { "/hermod.lock", "/hermod.ledger", "/hermod.index" };
	struct folders *f = opened();
	char path[4096];

	(void)state;
	CREATE(f, "a");
	CREATE(f, "a/b");
	path_of("a", "/hermod.expunged", path);
	assert_int_equal(mkdir(path, 0700), 0);
	DELETE(f, "a");
	for (size_t i = 0; i < LEN(files) && layout == FOLDERS_FS; i++) {
		path_of("a", files[i], path);
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	RENAME(f, "a/b", "c");
	if (layout == FOLDERS_FS) {
		path_of("a", "", path);
		(void)mkdir(path, 0700);
		path_of("a/z", "", path);
		assert_int_equal(mkdir(path, 0700), 0);
		path_of("a/z", "/hermod.ledger", path);
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	RENAME(f, "c", "a");
	assert_list(f, "INBOX a");
	path_of("a", "/hermod.expunged", path);
	assert_int_equal(access(path, F_OK), -1);
	assert_clean();
	folders_close(&f);
}

/* ---- UIDVALIDITY ---- */

static void
test_uidvalidity(void **state)
{
	struct folders *f = opened();
	uint32_t first, second, third, fourth;
	struct seen before, after;

	(void)state;
	CREATE(f, "a");
	first = look(f, "a").uidvalidity;
	DELETE(f, "a");
	CREATE(f, "a");				/* in the same second */
	second = look(f, "a").uidvalidity;
	assert_true(second > first);
	RENAME(f, "a", "b");
	assert_int_equal(look(f, "b").uidvalidity, second);
	CREATE(f, "a");
	third = look(f, "a").uidvalidity;
	assert_true(third > second);
	DELETE(f, "b");
	RENAME(f, "a", "b");
	assert_int_equal(look(f, "b").uidvalidity, third);
	CREATE(f, "c");				/* a greater one, for a name to which b goes then */
	fourth = look(f, "c").uidvalidity;
	DELETE(f, "c");
	put_mail("b", "1.x");
	before = look(f, "b");
	RENAME(f, "b", "c");
	after = look(f, "c");
	assert_true(after.uidvalidity > fourth && before.uidvalidity < fourth);
	assert_true(after.n == before.n && after.uidnext == before.uidnext);
	folders_close(&f);
}

/* One that another program made, and one whose ledger is lost, with the clock set back. */
static void
test_uidvalidity_of_others(void **state)
{
	struct folders *f = opened();
	char floor[32], path[4096], second[4100];
	uint32_t far = (uint32_t)clock_wall_s() + 100000;

	(void)state;
	snprintf(floor, sizeof floor, "%u\n", far);
	put_file(FLOOR_FILE, floor);		/* as if the clock had been there */
	path_of("a", "", path);
	assert_int_equal(mkdir(path, 0700), 0);
	path_of("a", "/cur", path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(look(f, "a").uidvalidity, far + 1);
	CREATE(f, "b");
	assert_int_equal(look(f, "b").uidvalidity, far + 2);
	DELETE(f, "a");
	CREATE(f, "a");
	assert_int_equal(look(f, "a").uidvalidity, far + 3);
	path_of("a", "/hermod.ledger", path);
	snprintf(second, sizeof second, "%s2", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink(second), 0);
	assert_int_equal(look(f, "a").uidvalidity, far + 4);
	put_file(FLOOR_FILE, "nonsense\n");
	CREATE(f, "c");
	assert_true(look(f, "c").uidvalidity >= far - 100001);
	put_file(FLOOR_FILE, "4294967295\n");	/* it cannot rise any more; all else goes on */
	CREATE(f, "d");
	assert_int_equal(look(f, "d").uidvalidity, UINT32_MAX);
	folders_close(&f);
}

/* ---- rename ---- */

static void
test_rename(void **state)
{
	struct folders *f = opened();
	struct seen before, after;

	(void)state;
	CREATE(f, "a");
	CREATE(f, "a/b");
	CREATE(f, "a/c/d");
	CREATE(f, "ab");
	put_mail("a/b", "1.x");
	before = look(f, "a/b");
	RENAME(f, "a", "x/y");
	assert_list(f, "INBOX ab (x)/ x/y/ x/y/b (x/y/c)/ x/y/c/d");
	after = look(f, "x/y/b");
	assert_memory_equal(&before, &after, sizeof after);
	RENAME(f, "x/y/c", "c");			/* only a level */
	assert_list(f, "INBOX ab (c)/ c/d (x)/ x/y/ x/y/b");
	RENAME(f, "c/d", "INBOX/d");
	assert_list(f, "INBOX/ INBOX/d ab (x)/ x/y/ x/y/b");
	assert_int_equal(folders_rename(f, text("x"), text("x/z")), FOLDER_BAD_NAME);
	assert_int_equal(folders_rename(f, text("x"), text("ab")), FOLDER_EXISTS);
	assert_int_equal(folders_rename(f, text("ab"), text("x")), FOLDER_EXISTS);
	assert_int_equal(folders_rename(f, text("ab"), text("ab")), FOLDER_EXISTS);
	assert_int_equal(folders_rename(f, text("ab"), text("INBOX")), FOLDER_EXISTS);
	assert_int_equal(folders_rename(f, text("no"), text("new")), FOLDER_NONE);
	RENAME(f, "x", "ab/x");
	assert_list(f, "INBOX/ INBOX/d ab/ (ab/x)/ ab/x/y/ ab/x/y/b");
	assert_clean();
	folders_close(&f);
}

/* A mailbox that is open goes with its folder, not with its name. */
static void
test_is(void **state)
{
	struct folders *f = opened();
	struct mailbox *m, *inbox = box_of(f, "INBOX");

	(void)state;
	CREATE(f, "one");
	m = box_of(f, "one");
	assert_true(folders_is(f, text("one"), m) && folders_is(f, text("INBOX"), inbox));
	RENAME(f, "one", "two");
	assert_true(folders_is(f, text("two"), m));
	assert_false(folders_is(f, text("one"), m));
	CREATE(f, "one");
	assert_false(folders_is(f, text("one"), m));
	DELETE(f, "two");
	assert_false(folders_is(f, text("two"), m));
	mailbox_close(&m);
	mailbox_close(&inbox);
	folders_close(&f);
}

static void
test_rename_inbox(void **state)
{
	struct folders *f = opened();
	struct seen before, after;
	struct mailbox *m;
	uint32_t mine;

	(void)state;
	CREATE(f, "INBOX/sub");
	put_mail("INBOX", "1.x:2,S");
	m = box_of(f, "INBOX");
	mine = mailbox_keyword_make(m, text("mine"), 0);
	assert_int_not_equal(mine, 0);
	mailbox_close(&m);
	put_mail("INBOX", "2.x:2,a");
	before = look(f, "INBOX");
	RENAME(f, "INBOX", "old/mail");
	assert_list(f, "INBOX/ INBOX/sub (old)/ old/mail");
	after = look(f, "INBOX");
	assert_int_equal(after.n, 0);
	assert_int_equal(after.uidvalidity, before.uidvalidity);
	assert_int_equal(after.uidnext, before.uidnext);
	m = box_of(f, "old/mail");
	assert_int_equal(mailbox_count(m), 2);
	assert_int_equal(mailbox_mail(m, 0)->flags, MAIL_SEEN);
	assert_int_equal(mailbox_mail(m, 1)->flags, mailbox_keyword_flag(m, text("mine")));
	mailbox_close(&m);
	assert_int_equal(folders_rename(f, text("INBOX"), text("old")), FOLDER_EXISTS);
	assert_clean();
	folders_close(&f);
}

/* ---- subscriptions, special uses ---- */

static void
test_subscribe(void **state)
{
	struct folders *f = opened();
	bool pp = layout == FOLDERS_MAILDIRPP;

	(void)state;
	CREATE(f, "a/b.c");
	put_file(SUBSCRIPTIONS_FILE, "not a name: \xff\r\nINBOX\n\ngone/there\n");
	assert_list(f, pp ? "INBOX+ (a)/ a/b.c" : "INBOX+ (a)/ a/b.c ?gone ?gone/there+");
	assert_int_equal(folders_subscribe(f, text("a/b.c"), true), FOLDER_OK);
	assert_int_equal(folders_subscribe(f, text("a/b.c"), true), FOLDER_OK);
	assert_int_equal(folders_subscribe(f, text("a"), true), FOLDER_OK);
	assert_int_equal(folders_subscribe(f, text("x"), true), FOLDER_NONE);
	assert_int_equal(folders_subscribe(f, text("x"), false), FOLDER_OK);
	assert_int_equal(folders_subscribe(f, text("INBOX"), false), FOLDER_OK);
	assert_file(SUBSCRIPTIONS_FILE, pp ? "not a name: \xff\r\n\ngone/there\na.b&AC4-c\na\n"
	    : "not a name: \xff\r\n\ngone/there\na/b.c\na\n");
	DELETE(f, "a/b.c");
	put_file(SUBSCRIPTIONS_FILE, pp ? "a.b&AC4-c\n" : "a/b.c\n");
	assert_list(f, "INBOX ?a ?a/b.c+");
	folders_close(&f);
}

static void
test_uses(void **state)
{
	struct folders *f = opened();

	(void)state;
	put_file(SPECIAL_USE_FILE, "\\Sent Sent\n\\Junk gone\n\\Other x\n# by hand\n");
	CREATE(f, "Sent");
	assert_list(f, "INBOX Sent");			/* who makes one without a use gets none */
	assert_int_equal(folders_create(f, text("Mail"), FOLDER_SENT | FOLDER_JUNK), FOLDER_OK);
	assert_list(f, "INBOX Mail:48 Sent");
	assert_int_equal(folders_create(f, text("x"), FOLDER_SENT), FOLDER_USE_TAKEN);
	assert_int_equal(folders_create(f, text("x"), FOLDER_ALL), FOLDER_USE_TAKEN);
	assert_int_equal(folders_create(f, text("x"), FOLDER_FLAGGED), FOLDER_USE_TAKEN);
	assert_int_equal(folders_create(f, text("x"), 128), FOLDER_USE_TAKEN);
	RENAME(f, "Mail", "a/Mail");
	assert_list(f, "INBOX Sent (a)/ a/Mail:48");
	RENAME(f, "a", "b");
	assert_list(f, "INBOX Sent (b)/ b/Mail:48");
	DELETE(f, "b/Mail");
	assert_file(SPECIAL_USE_FILE, "\\Other x\n# by hand\n");
	assert_int_equal(folders_create(f, text("x"), FOLDER_SENT), FOLDER_OK);
	folders_close(&f);
}

/* ---- what is odd ---- */

static void
test_odd(void **state)
{
	struct folders *f = opened();
	char path[4096], target[4096];
	struct mailbox *m;

	(void)state;
	CREATE(f, "real");
	path_of("real", "", target);
	path_of("link", "", path);
	assert_int_equal(symlink(target, path), 0);
	path_of("fifo", "", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	path_of("file", "", path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	path_of("bare", "", path);
	assert_int_equal(mkdir(path, 0700), 0);
	path_of("fool", "", path);
	assert_int_equal(mkdir(path, 0700), 0);
	path_of("fool", "/cur", path);
	assert_int_equal(symlink(target, path), 0);
	assert_list(f, "INBOX real");
	assert_int_equal(folders_mailbox(f, text("link"), &m), FOLDER_NONE);
	assert_int_equal(folders_mailbox(f, text("fool"), &m), FOLDER_NONE);
	assert_int_equal(folders_delete(f, text("link")), FOLDER_NONE);
	assert_int_equal(folders_create(f, text("link"), 0), FOLDER_BAD_NAME);
	assert_int_equal(folders_create(f, text("fifo"), 0), FOLDER_BAD_NAME);
	assert_int_equal(folders_rename(f, text("real"), text("fifo")), FOLDER_BAD_NAME);
	assert_int_equal(folders_create(f, text("bare"), 0), FOLDER_OK);	/* what another program began */
	assert_list(f, "INBOX bare real");
	path_of("bare", "/link", path);
	assert_int_equal(symlink(target, path), 0);
	DELETE(f, "bare");
	assert_list(f, "INBOX real");
	assert_true(folders_there(f, text("real")));
	assert_clean();
	folders_close(&f);
}

/* What was being written when a process was killed: not while it may be somebody's work. */
static void
test_temporaries(void **state)
{
	struct timespec old[2] = { { .tv_sec = clock_wall_s() - 37 * 3600 }, { .tv_sec = clock_wall_s() - 37 * 3600 } };
	struct folders *f = opened();
	char path[4096];
	struct stat st;

	(void)state;
	put_file(".tmp.0123456789abcdef", "");
	put_file(".tmp.fedcba9876543210", "");
	snprintf(path, sizeof path, "%s/.tmp.0123456789abcdef", root);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	folders_close(&f);
	f = opened();
	assert_int_equal(stat(path, &st), -1);
	snprintf(path, sizeof path, "%s/.tmp.fedcba9876543210", root);
	assert_int_equal(stat(path, &st), 0);
	folders_close(&f);
}

/* root can make what is another's. */
static void
test_of_others(void **state)
{
	struct folders *f = opened();
	struct mailbox *m;
	char path[4096];

	(void)state;
	if (geteuid() == 0) {
		CREATE(f, "a");
		path_of("a", "", path);
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_list(f, "INBOX");
		assert_int_equal(folders_mailbox(f, text("a"), &m), FOLDER_NONE);
		assert_int_equal(folders_delete(f, text("a")), FOLDER_NONE);
		assert_int_equal(folders_create(f, text("a"), 0), FOLDER_BAD_NAME);
		assert_false(folders_there(f, text("a")));
	}
	folders_close(&f);
}

static void
test_lock(void **state)
{
	struct folders *f = opened(), *other = opened();

	(void)state;
	assert_true(folders_begin(other));
	assert_int_equal(folders_create(f, text("a"), 0), FOLDER_FAILED);
	assert_int_equal(errno, ETIMEDOUT);
	assert_list(f, "INBOX");
	folders_end(other);
	CREATE(f, "a");
	folders_close(&f);
	folders_close(&other);
}

/* ---- limits ---- */

static void
fill(char *name, size_t n)
{
	memset(name, 'x', n);
	name[n] = '\0';
}

static void
test_long_names(void **state)
{
	struct folders *f = opened();
	size_t most = layout == FOLDERS_MAILDIRPP ? FOLDER_COMPONENT_MAX - 1 : FOLDER_COMPONENT_MAX;
	char name[FOLDER_NAME_MAX + 10];

	(void)state;
	fill(name, most);
	CREATE(f, name);
	assert_true(folders_there(f, text(name)));
	DELETE(f, name);
	fill(name, most + 1);
	assert_int_equal(folders_create(f, text(name), 0), FOLDER_BAD_NAME);
	CREATE(f, "a/b");
	if (layout == FOLDERS_MAILDIRPP) {
		fill(name, most - 2);
		RENAME(f, "a", name);		/* "/b" just fits */
		RENAME(f, name, "a");
		fill(name, most - 1);
		assert_int_equal(folders_rename(f, text("a"), text(name)), FOLDER_BAD_NAME);
	}
	assert_list(f, "INBOX (a)/ a/b");
	folders_close(&f);
}

static void
test_many(void **state)
{
	struct folders *f = opened();
	char path[4096], name[16];

	(void)state;
	for (int i = 1; i < FOLDERS_MAX - 1; i++) {
		snprintf(name, sizeof name, "f%05d", i);
		path_of(name, "", path);
		assert_int_equal(mkdir(path, 0700), 0);
		path_of(name, "/cur", path);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	CREATE(f, "last");
	assert_int_equal(folders_create(f, text("more"), 0), FOLDER_MANY);
	assert_int_equal(folders_rename(f, text("INBOX"), text("more")), FOLDER_MANY);
	DELETE(f, "f00001");
	CREATE(f, "more");
	folders_close(&f);
}

/* ---- mbox ---- */

static void
test_mbox(void **state)
{
	struct folders *f;
	struct mailbox *m;
	char box[120];

	(void)state;
	snprintf(box, sizeof box, "mbox:%s/box", test_dir);
	f = folders_open(text(box), FOLDERS_MAILDIRPP, 300, why, sizeof why);
	assert_non_null(f);
	assert_list(f, "INBOX+");
	assert_int_equal(folders_create(f, text("a"), 0), FOLDER_BAD_NAME);
	assert_int_equal(folders_create(f, text("INBOX"), 0), FOLDER_EXISTS);
	assert_int_equal(folders_delete(f, text("a")), FOLDER_NONE);
	assert_int_equal(folders_rename(f, text("INBOX"), text("a")), FOLDER_BAD_NAME);
	assert_int_equal(folders_rename(f, text("a"), text("b")), FOLDER_NONE);
	assert_int_equal(folders_subscribe(f, text("INBOX"), true), FOLDER_OK);
	assert_int_equal(folders_subscribe(f, text("a"), true), FOLDER_NONE);
	assert_int_equal(folders_mailbox(f, text("a"), &m), FOLDER_NONE);
	assert_int_equal(look(f, "INBOX").n, 0);
	assert_true(folders_there(f, text("INBOX")) && !folders_there(f, text("a")));
	folders_close(&f);
}

/* ---- a crash, at every step ---- */

static const struct { const char *call, *how; } faults[] = {
	{ "mkdirat", "kill" }, { "renameat", "kill" }, { "unlinkat", "kill" }, { "fsync", "kill" }, { "write", "kill" },
	{ "renameat", "EIO" }, { "fsync", "EIO" }, { "write", "ENOSPC" }, { "unlinkat", "EROFS" },
};

struct change { const char *name; void (*prepare)(struct folders *); enum folder_result (*run)(struct folders *);
	const char *before, *after; };

static void
prepare_none(struct folders *f)
{
	(void)f;
}

static void
prepare_tree(struct folders *f)
{
	CREATE(f, "a");
	CREATE(f, "a/b");
	assert_int_equal(folders_create(f, text("a/c"), FOLDER_SENT), FOLDER_OK);
	put_mail("a", "1.x");
	put_mail("a/b", "2.x");
	put_mail("INBOX", "3.x:2,S");
	put_mail("INBOX", "4.x:2,");
}

static enum folder_result run_create(struct folders *f) { return folders_create(f, text("x/y"), FOLDER_JUNK); }
static enum folder_result run_delete(struct folders *f) { return folders_delete(f, text("a")); }
static enum folder_result run_rename(struct folders *f) { return folders_rename(f, text("a"), text("x/y")); }
static enum folder_result run_inbox(struct folders *f) { return folders_rename(f, text("INBOX"), text("x")); }
static enum folder_result run_subscribe(struct folders *f) { return folders_subscribe(f, text("a/b"), true); }

static const struct change changes[] = {
	{ "create", prepare_none, run_create, "INBOX", "INBOX (x)/ x/y:16" },
	{ "delete", prepare_tree, run_delete, "INBOX a/ a/b a/c:32", "INBOX (a)/ a/b a/c:32" },
	{ "rename", prepare_tree, run_rename, "INBOX a/ a/b a/c:32", "INBOX (x)/ x/y/ x/y/b x/y/c:32" },
	{ "inbox", prepare_tree, run_inbox, "INBOX a/ a/b a/c:32", "INBOX a/ a/b a/c:32 x" },
	{ "subscribe", prepare_tree, run_subscribe, "INBOX a/ a/b a/c:32", "INBOX a/ a/b+ a/c:32" },
};

/* True: the change was over, and went well. */
static bool
run_in_fork(const struct change *c, const char *call, unsigned n, const char *how)
{
	char rule[64];
	pid_t pid = fork();
	int st;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		struct folders *f = folders_open(text(spec), layout, 300, why, sizeof why);

		snprintf(rule, sizeof rule, "t:%s:%u:%s", call, n, how);
		setenv("HERMOD_FAULT", rule, 1);
		fault_open("t");
		_exit(f && c->run(f) == FOLDER_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFSIGNALED(st) ? WTERMSIG(st) == SIGKILL : WEXITSTATUS(st) < 2);
	return WIFEXITED(st) && WEXITSTATUS(st) == 0;
}

static size_t
mails(struct folders *f)
{
	struct arena *a = arena_new(FOLDERS_ARENA_MAX);
	struct folder_entry *e;
	size_t n, sum = 0;

	assert_true(folders_list(f, a, &e, &n));
	for (size_t i = 0; i < n; i++) {
		char name[FOLDER_NAME_MAX + 1];

		assert_true(bytes_to_text(e[i].name, name, sizeof name));
		sum += e[i].selectable ? look(f, name).n : 0;
	}
	arena_free(&a);
	return sum;
}

static void
check_after(const struct change *c, const char *row, bool well)
{
	struct folders *f = opened();		/* completes, cleans */
	struct buf got;
	size_t all = c->prepare == prepare_none ? 0 : 4;

	assert_clean();
	buf_init(&got, 1 << 16);
	listed(f, &got);
	if (!bytes_eq(buf_bytes(&got), text(c->after)) && (well || !bytes_eq(buf_bytes(&got), text(c->before))))
		fail_msg("%s: \"%.*s\"", row, BYTES_FMT(buf_bytes(&got)));
	if (c->run == run_delete && bytes_eq(buf_bytes(&got), text(c->after)))
		all--;
	assert_row_int(row, mails(f), all);
	buf_fini(&got);
	CREATE(f, "more");			/* and all goes on */
	folders_close(&f);
}

/* Each step in turn, until none is left: some may fail and the change is made all the same. */
static void
try_each(const struct change *c, const char *call, const char *how)
{
	unsigned passed = 0;

	for (unsigned n = 1; passed < 3; n++) {
		char row[100];
		struct folders *f;
		bool well;

		assert_true(n < 200);
		assert_int_equal(begin(layout), 0);
		f = opened();
		c->prepare(f);
		folders_close(&f);
		well = run_in_fork(c, call, n, how);
		snprintf(row, sizeof row, "%s, %s %u %s", c->name, call, n, how);
		check_after(c, row, well);
		assert_int_equal(test_dir_remove(NULL), 0);
		passed = well ? passed + 1 : 0;
	}
}

static void
test_faults(void **state)
{
	(void)state;
#ifndef HERMOD_FAULTS
	skip();
#endif
	for (layout = FOLDERS_MAILDIRPP; layout <= FOLDERS_FS; layout++)
		for (size_t i = 0; i < LEN(changes); i++)
			for (size_t k = 0; k < LEN(faults); k++)
				try_each(&changes[i], faults[k].call, faults[k].how);
}

/* With the tree of prepare_tree; only where a child can be killed at a call. */
static struct folders *
for_a_kill(void)
{
	struct folders *f;

#ifndef HERMOD_FAULTS
	skip();
#endif
	f = opened();
	prepare_tree(f);
	return f;
}

/* A power cut may bring back a directory that was in the way, and had been removed: no mailbox, so no mail may go there,
 * and no reason not to go on. */
static void
test_inbox_to_what_is_none(void **state)
{
	char path[4096], part[4096 + 8];
	struct folders *f;

	(void)state;
	f = for_a_kill();
	folders_close(&f);
	assert_false(run_in_fork(&changes[3], "mkdirat", 1, "kill"));
	path_of("x", "", path);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(part, sizeof part, "%s/new", path);
	assert_int_equal(mkdir(part, 0700), 0);
	f = opened();
	assert_clean();
	assert_int_equal(look(f, "INBOX").n, 2);
	CREATE(f, "more");
	RENAME(f, "INBOX", "x");
	assert_int_equal(look(f, "INBOX").n, 0);
	assert_int_equal(look(f, "x").n, 2);
	folders_close(&f);
}

/* Who has a deleted mailbox selected knows even while its content is not removed yet. */
static void
test_deleted_in_use(void **state)
{
	struct folders *f;
	struct mailbox *m;

	(void)state;
	f = for_a_kill();
	assert_int_equal(folders_mailbox(f, text("a"), &m), FOLDER_OK);
	assert_true(mailbox_scan(m) && mailbox_in_place(m));
	assert_false(run_in_fork(&changes[1], "unlinkat", layout == FOLDERS_FS ? 3 : 1, "kill"));
	assert_false(folders_there(f, text("a")) && look(f, "a").n > 0);
	assert_false(mailbox_in_place(m));
	mailbox_close(&m);
	folders_close(&f);
}

/* In the layout fs what is of the old mailbox is aside, and not removed yet, when there is a new one in the same directory:
 * who holds the old one may not write to the ledger of the new. */
static void
test_deleted_and_made_in_use(void **state)
{
	static const char *const parts[] = { "cur", "new", "tmp", "hermod.ledger", "hermod.ledger2", "hermod.lock" };
	struct folders *f = opened();
	char old[4096], path[4096], part[64];
	struct mailbox *m;
	struct arrival *a;
	uint32_t uid;

	(void)state;
	CREATE(f, "a");
	CREATE(f, "a/b");
	assert_int_equal(folders_mailbox(f, text("a"), &m), FOLDER_OK);
	assert_true(mailbox_scan(m));
	a = mailbox_arrive(m);
	assert_true(a && arrival_add(a, text("Subject: x\r\n\r\nx\r\n")));
	snprintf(old, sizeof old, "%s/hermod.removed.1", root);
	assert_int_equal(mkdir(old, 0700), 0);
	for (size_t i = 0; i < LEN(parts); i++) {
		snprintf(part, sizeof part, "/%s", parts[i]);
		path_of("a", part, path);
		snprintf(old, sizeof old, "%s/hermod.removed.1/%s", root, parts[i]);
		assert_int_equal(rename(path, old), 0);
	}
	assert_list(f, "INBOX (a)/ a/b");
	CREATE(f, "a");
	assert_false(mailbox_take(m, &a, 1, &uid));
	assert_int_equal(errno, ENOENT);
	arrival_free(&a);
	mailbox_close(&m);
	assert_int_equal(folders_mailbox(f, text("a"), &m), FOLDER_OK);
	assert_true(mailbox_scan(m));
	assert_int_equal(mailbox_uidnext(m), 1);
	mailbox_close(&m);
	folders_close(&f);
}

/* A mailbox that goes while it is opened is not made again by that. */
static void
test_opened_while_it_goes(void **state)
{
	struct folders *f = opened();
	struct mailbox *m;
	char path[4096], why_not[200];
	int dir;

	(void)state;
	CREATE(f, "a");
	CREATE(f, "a/b");
	path_of("a", "", path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DELETE(f, "a");
	m = mailbox_open_dir(dir, false, "a", 100, why_not, sizeof why_not);
	assert_null(m);
	assert_int_equal(errno, ENOENT);
	assert_list(f, "INBOX (a)/ a/b");
	folders_close(&f);
}

int
main(void)
{
#define BOTH(t)	cmocka_unit_test_setup_teardown(t, begin_maildirpp, test_dir_remove), \
		cmocka_unit_test_setup_teardown(t, begin_fs, test_dir_remove)
	const struct CMUnitTest tests[] = {
		BOTH(test_create), BOTH(test_delete), BOTH(test_in_place), BOTH(test_left_behind), BOTH(test_uidvalidity),
		BOTH(test_uidvalidity_of_others),
		BOTH(test_rename), BOTH(test_is), BOTH(test_rename_inbox), BOTH(test_subscribe), BOTH(test_uses), BOTH(test_odd),
		BOTH(test_temporaries), BOTH(test_of_others), BOTH(test_lock), BOTH(test_long_names), BOTH(test_many),
		cmocka_unit_test_setup_teardown(test_mbox, begin_maildirpp, test_dir_remove),
		cmocka_unit_test_setup_teardown(test_inbox_to_what_is_none, begin_fs, test_dir_remove), BOTH(test_deleted_in_use),
		cmocka_unit_test_setup_teardown(test_deleted_and_made_in_use, begin_fs, test_dir_remove),
		BOTH(test_opened_while_it_goes),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
