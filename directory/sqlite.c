/* SPDX-License-Identifier: ISC */
/*
 * directory/sqlite.c - accounts from a file of SQLite, which other programs write. It is read, and nothing else: the library
 * gets its files by way of the functions below, which know the one folder and open nothing for writing. It finds
 * the same names there, whether the process is in its empty root or not.
 *
 * A file in WAL mode is read beside the program that has it open, and let go after each question, as that could not put its log
 * away else. When nobody has it open there is no -wal and no -shm file, and to make one is not ours: then the file is read as one
 * that nobody changes, and what was read counts if that was so.
 */
#include "directory/directory.h"

#ifdef HAVE_SQLITE

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define STEPS		1000	/* of the library's machine, between looks at the clock */
#define LOOKS		3	/* at a file that is being changed */

struct sqlite {
	struct daemon	*daemon;	/* borrowed, as the next */
	const struct directory_settings *settings;
	struct line	*line;		/* borrowed */
	const char	*file;		/* the name in its folder; in settings */
	sqlite3		*db;		/* owned; NULL: not open */
	sqlite3_stmt	*query;		/* owned */
	bool		 frozen;	/* opened as a file that nobody changes */
	struct stat	 is;		/* the file that is open */
	uint64_t	 until_ms;	/* of what is asked */
};

/* ---- the library's files ---- */

static int folder = -1;		/* the library's functions have no argument for it */

/* Names are made absolute by the library, from "/" (see no_folder). */
static const char *
in_folder(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

static int
open_there(const char *path, int flags, int mode)
{
	(void)mode;
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC))) {
		errno = EROFS;		/* then it tries to read */
		return -1;
	}
	return openat(folder, in_folder(path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static int
stat_there(const char *path, struct stat *st)
{
	return fstatat(folder, in_folder(path), st, 0);
}

static int
lstat_there(const char *path, struct stat *st)
{
	return fstatat(folder, in_folder(path), st, AT_SYMLINK_NOFOLLOW);
}

static int
access_there(const char *path, int mode)
{
	struct stat st;

	if (mode & W_OK) {
		errno = EROFS;
		return -1;
	}
	return stat_there(path, &st);
}

static char *
no_folder(char *dst, size_t cap)
{
	if (cap < 2)
		return NULL;
	memcpy(dst, "/", 2);
	return dst;
}

static int
unlink_there(const char *path)
{
	(void)path;
	errno = EROFS;
	return -1;
}

/* As root it gives what it makes to the file's owner. */
static int
fchown_nothing(int fd, uid_t uid, gid_t gid)
{
	(void)fd, (void)uid, (void)gid;
	return 0;
}

static void
take_over_files(void)
{
	static const struct { const char *name; sqlite3_syscall_ptr call; } calls[] = {
		{ "open", (sqlite3_syscall_ptr)open_there }, { "stat", (sqlite3_syscall_ptr)stat_there },
		{ "lstat", (sqlite3_syscall_ptr)lstat_there }, { "access", (sqlite3_syscall_ptr)access_there },
		{ "getcwd", (sqlite3_syscall_ptr)no_folder }, { "unlink", (sqlite3_syscall_ptr)unlink_there },
		{ "fchown", (sqlite3_syscall_ptr)fchown_nothing },
	};
	sqlite3_vfs *vfs;

	if (sqlite3_initialize() != SQLITE_OK || !(vfs = sqlite3_vfs_find(NULL)) || vfs->iVersion < 3)
		log_fatal("SQLite does not start");
	for (size_t i = 0; i < LEN(calls); i++)
		if (vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call) != SQLITE_OK)
			log_fatal("this SQLite does not know its call %s", calls[i].name);
}

/* ---- the file ---- */

static void
close_file(struct sqlite *s)
{
	sqlite3_finalize(s->query);
	s->query = NULL;
	sqlite3_close(s->db);
	s->db = NULL;
}

/* A query reads: it attaches no other file and changes no setting. */
static int
authorize(void *arg, int what, const char *a, const char *b, const char *c, const char *d)
{
	(void)arg, (void)a, (void)c, (void)d;
	if (what == SQLITE_FUNCTION && b && sqlite3_stricmp(b, "load_extension") == 0)
		return SQLITE_DENY;
	return what == SQLITE_SELECT || what == SQLITE_READ || what == SQLITE_FUNCTION || what == SQLITE_RECURSIVE
	    ? SQLITE_OK : SQLITE_DENY;
}

static int
is_over(void *arg)
{
	const struct sqlite *s = arg;

	return clock_mono_ms() >= s->until_ms;
}

static int
on_busy(void *arg, int times)
{
	(void)times;
	if (is_over(arg))
		return 0;
	sqlite3_sleep(5);
	return 1;
}

/* The library's words, into f. */
static bool
failed(struct sqlite *s, struct found *f)
{
	found_unsure(f, "%s: %s%s", s->settings->sql_database, s->db ? sqlite3_errmsg(s->db) : "out of memory",
	    is_over(s) ? ": no answer within directory_timeout" : "");
	return false;
}

static bool
prepare(struct sqlite *s, struct found *f)
{
	const char *rest = "";

	if (sqlite3_prepare_v2(s->db, s->settings->sql_query, -1, &s->query, &rest) != SQLITE_OK)
		return failed(s, f);
	for (; *rest == ' ' || *rest == ';' || *rest == '\n' || *rest == '\t'; rest++)
		;
	if (!s->query || *rest != '\0' || !sqlite3_stmt_readonly(s->query))
		found_unsure(f, "sql_query: not one statement that reads");
	else if (sqlite3_bind_parameter_count(s->query) != 1 || sqlite3_bind_parameter_index(s->query, "$1") != 1)
		found_unsure(f, "sql_query: has other parameters than $1");
	return f->verdict != NOT_SURE;
}

/* A name in a file: URI: what could mean something there is %HH. */
static void
put_uri(const char *file, bool frozen, struct buf *out)
{
	buf_text(out, "file:/");
	for (const char *p = file; *p; p++)
		if (ascii_alnum((unsigned char)*p) || strchr("._-", *p))
			buf_char(out, (unsigned char)*p);
		else
			buf_fmt(out, "%%%02X", (unsigned char)*p);
	buf_text(out, frozen ? "?immutable=1" : "?mode=ro");
	buf_char(out, '\0');
}

static bool
open_file(struct sqlite *s, bool frozen, struct found *f)
{
	struct buf uri;
	int r;

	close_file(s);
	s->frozen = frozen;
	buf_init(&uri, 4096);
	put_uri(s->file, frozen, &uri);
	must(!uri.full);
	r = sqlite3_open_v2((const char *)uri.p, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	buf_fini(&uri);
	if (r != SQLITE_OK)
		return failed(s, f);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_progress_handler(s->db, STEPS, is_over, s);
	sqlite3_busy_handler(s->db, on_busy, s);
	if (sqlite3_exec(s->db, "PRAGMA query_only = 1; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = 1", NULL, NULL, NULL)
	    != SQLITE_OK)
		return failed(s, f);
	sqlite3_set_authorizer(s->db, authorize, s);
	return prepare(s, f);
}

/* ---- a question ---- */

static void
take_row(struct sqlite *s, struct found *f)
{
	for (int i = 0; i < sqlite3_column_count(s->query); i++) {
		const void *p = sqlite3_column_type(s->query, i) == SQLITE_BLOB ? sqlite3_column_blob(s->query, i)
		    : sqlite3_column_text(s->query, i);
		enum directory_field field = directory_field(text(sqlite3_column_name(s->query, i)));

		found_add(f, field, bytes_of(p, p ? (size_t)sqlite3_column_bytes(s->query, i) : 0));
	}
}

static bool
columns_known(struct sqlite *s, struct found *f)
{
	for (int i = 0; i < sqlite3_column_count(s->query); i++)
		if (directory_field(text(sqlite3_column_name(s->query, i))) == DIRECTORY_FIELDS) {
			found_unsure(f, "sql_query gives a column %s, which means nothing here", sqlite3_column_name(s->query, i));
			return false;
		}
	return true;
}

/* What the library says when it is done. */
static int
run(struct sqlite *s, struct bytes name, struct found *f)
{
	int r;

	sqlite3_reset(s->query);
	if (sqlite3_bind_text(s->query, 1, (const char *)name.p, (int)name.n, SQLITE_TRANSIENT) != SQLITE_OK)
		r = SQLITE_NOMEM;
	else if ((r = sqlite3_step(s->query)) == SQLITE_ROW && columns_known(s, f)) {
		take_row(s, f);
		if ((r = sqlite3_step(s->query)) == SQLITE_ROW)
			found_unsure(f, "there is more than one row for it");
		else if (f->verdict != NOT_SURE)
			f->verdict = YES;
	} else if (r == SQLITE_DONE)
		columns_known(s, f);
	if (r != SQLITE_ROW && r != SQLITE_DONE)
		failed(s, f);
	sqlite3_reset(s->query);
	return r;
}

static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size
	    && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* True: a log lies beside it, of a program that has it open, or that died. */
static bool
has_wal(const struct sqlite *s)
{
	char name[1024];
	struct stat st;

	snprintf(name, sizeof name, "%s-wal", s->file);
	return fstatat(folder, name, &st, 0) == 0;
}

/* Opens what the file is now, if that is not open. */
static bool
look(struct sqlite *s, struct found *f)
{
	struct stat st;

	if (fstatat(folder, s->file, &st, 0) == -1) {
		close_file(s);
		found_unsure(f, "%s: %s", s->settings->sql_database, strerrordesc_np(errno));
		return false;
	}
	if (s->db && s->query && !s->frozen && st.st_dev == s->is.st_dev && st.st_ino == s->is.st_ino)
		return true;
	s->is = st;
	return open_file(s, false, f);
}

/* The file is in WAL mode, and nobody has it open. */
static bool
run_frozen(struct sqlite *s, struct bytes name, struct found *f)
{
	struct stat before, after;
	bool good;

	good = fstatat(folder, s->file, &before, 0) == 0 && !has_wal(s) && open_file(s, true, f)
	    && run(s, name, f) != SQLITE_ERROR;
	close_file(s);
	return good && fstatat(folder, s->file, &after, 0) == 0 && same(&before, &after) && !has_wal(s);
}

static int
ask(struct sqlite *s, struct bytes name, struct found *f)
{
	int r = SQLITE_CANTOPEN;

	for (unsigned i = 0; i < LOOKS; i++) {
		found_fini(f);
		found_init(f);
		if (look(s, f) && (r = run(s, name, f)) != SQLITE_CANTOPEN && r != SQLITE_SCHEMA)
			return r;
		if (!s->db)
			return SQLITE_CANTOPEN;		/* there is no such file */
		r = sqlite3_errcode(s->db) & 0xff;
		close_file(s);
		if (r != SQLITE_CANTOPEN || has_wal(s))
			continue;
		found_fini(f);
		found_init(f);
		if (run_frozen(s, name, f))
			return SQLITE_DONE;
	}
	if (f->verdict != NOT_SURE)
		found_unsure(f, "%s: is being changed too often", s->settings->sql_database);
	return r;
}

static void
find_account(void *server, struct bytes name)
{
	struct sqlite *s = server;
	struct found f;
	char why[DIRECTORY_WHY];
	int r;

	found_init(&f);
	s->until_ms = clock_mono_ms() + s->settings->timeout_ms;
	r = ask(s, name, &f);
	if (has_wal(s))
		close_file(s);
	if (f.verdict == NOT_SURE && r != SQLITE_ROW && r != SQLITE_DONE) {
		memcpy(why, f.why, sizeof why);
		found_fini(&f);
		if (r != SQLITE_BUSY)
			close_file(s);
		line_lost(s->line, why, false);
		return;
	}
	line_found(s->line, &f);
}

/* ---- a kind of server ---- */

static void *
open_server(struct daemon *d, const struct directory_settings *settings, struct bytes secret)
{
	struct sqlite *s = mem_alloc(sizeof *s);
	char path[1024];
	size_t slash = bytes_rfind(text(settings->sql_database), '/');

	(void)secret;
	*s = (struct sqlite){ .daemon = d, .settings = settings, .file = settings->sql_database + slash + 1 };
	snprintf(path, sizeof path, "%.*s", slash > 0 ? (int)slash : 1, settings->sql_database);
	folder = daemon_keep_dir(d, path, false);
	if (folder == -1)
		log_errno("sql_database: %s: cannot be opened; until it can and the suite has been reloaded nothing is known of accounts there",
		    path);
	take_over_files();
	return s;
}

static void
attach(void *server, struct line *l, bool checks)
{
	struct sqlite *s = server;

	must(!checks);
	s->line = l;
}

static void
drop(void *server, bool checks)
{
	(void)checks;
	close_file(server);
}

static void
close_server(void **taken)
{
	struct sqlite *s = *taken;

	*taken = NULL;
	if (!s)
		return;
	close_file(s);
	mem_free(s);
	sqlite3_shutdown();
}

const struct server_kind sqlite_server = { open_server, NULL, attach, find_account, NULL, drop, close_server };

#else

const struct server_kind sqlite_server = { 0 };	/* directory_judge has said so */

#endif
