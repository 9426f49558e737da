/* SPDX-License-Identifier: ISC */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/table_impl.h"

#define LOOK_MS		1000	/* a changed file is looked for this often */
#define LOCK_TRIES	300	/* for the right to write, one each 100 ms */
#define TEMP_PREFIX	".tmp."

struct table {
	const struct table_type *type;
	enum text_grammar grammar;
	char		 path[1024];	/* of the file, for messages */
	const char	*file;		/* its name, in path */
	int		 dir;		/* owned: its folder; a writer's lock is on it */
	void		*open;		/* owned: the contents; NULL: not sure */
	struct stat	 is, seen;	/* the file that `open` is of; the file at the last look */
	uint64_t	 look_ms;	/* when to look again */
	bool		 writer, create;
	gid_t		 gid;		/* of a file that is made, */
	mode_t		 mode;		/* and its mode */
};

static const struct table_type *const types[] = {
	&table_text,
#ifdef HAVE_BDB
	&table_hash, &table_btree,
#endif
	&table_lmdb,
};

bool
table_fault(char *why, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, cap, fmt, ap);
	va_end(ap);
	return false;
}

/* ---- names ------------------------------------------------------------------------ */

const char *
table_types(void)
{
#ifdef HAVE_BDB
	return "text, hash, btree, lmdb";
#else
	return "text, lmdb (hash and btree mean lmdb: this build has no Berkeley DB)";
#endif
}

static const struct table_type *
type_named(struct bytes name)
{
	for (size_t i = 0; i < LEN(types); i++)
		if (bytes_eq(name, text(types[i]->name)))
			return types[i];
#ifndef HAVE_BDB
	if (bytes_eq(name, text("hash")) || bytes_eq(name, text("btree")))
		return &table_lmdb;
#endif
	return NULL;
}

bool
table_type_known(struct bytes type)
{
	return type_named(type) != NULL;
}

const char *
table_type(const struct table *t)
{
	return t->type->name;
}

const char *
table_path(const struct table *t)
{
	return t->path;
}

static const struct table_type *
spec_parse(const char *spec, char path[1024], char *why, size_t cap)
{
	struct bytes rest = text(spec), name = bytes_cut(&rest, ':');
	const struct table_type *type = type_named(name);
	int n;

	if (!type || rest.n < 2 || rest.p[0] != '/' || rest.p[rest.n - 1] == '/') {
		table_fault(why, cap, "%s: not a table; right would be TYPE:/PATH, TYPE one of %s",
		    spec, table_types());
		return NULL;
	}
	n = snprintf(path, 1024, "%s%s", (const char *)rest.p, type->suffix);
	if (n < 0 || n >= 1024) {
		table_fault(why, cap, "%s: the path is too long", spec);
		return NULL;
	}
	return type;
}

static void
folder_of(const char *path, char dst[1024])
{
	size_t n = bytes_rfind(text(path), '/');

	memcpy(dst, path, n);
	dst[n] = '\0';
	if (n == 0)
		memcpy(dst, "/", 2);
}

bool
table_file(const char *spec, char dst[1024])
{
	char why[128];

	return spec_parse(spec, dst, why, sizeof why) != NULL;
}

bool
table_directory(const char *spec, char dst[1024])
{
	char path[1024];

	if (!table_file(spec, path))
		return false;
	folder_of(path, dst);
	return true;
}

/* ---- the current folder ------------------------------------------------------------- */

/* The libraries take names only. O_PATH: where we are need not be readable, and under
 * confinement it is not. Returns what leave() wants; -2: could not enter. */
static int
enter(int dir)
{
	int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fchdir(dir) == 0)
		return back;
	fd_close(&back);
	return -2;
}

static void
leave(int back)
{
	if (back == -1 || fchdir(back) == -1)
		log_debug("the folder where we were is gone");	/* nobody uses relative names */
	fd_close(&back);
}

/* ---- reading -------------------------------------------------------------------------- */

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size
	    && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void
close_contents(struct table *t)
{
	if (t->open)
		t->type->close(t->open);
	t->open = NULL;
}

/* Opens what the file is now. False: what was open is as it was. */
static bool
load(struct table *t, char *why, size_t cap)
{
	int back = enter(t->dir);
	void *new;

	if (back == -2)
		return table_fault(why, cap, "%s: its folder cannot be entered: %s", t->path, strerror(errno));
	new = t->type->open(t->dir, t->file, t->grammar, why, cap);
	leave(back);
	if (!new)
		return false;
	close_contents(t);
	t->open = new;
	t->is = t->seen;
	return true;
}

static void
say_path(struct table *t, char *why, size_t cap)
{
	char said[512];

	snprintf(said, sizeof said, "%s", why);
	table_fault(why, cap, "%s%s%s", t->path, strncmp(said, "line ", 5) == 0 ? ": " : " ", said);
}

static bool
is_past(const struct timespec *at)
{
	int64_t now_ms = clock_wall_us() / 1000, s = at->tv_sec;

	return s < now_ms / 1000 - LOOK_MS / 1000 || (s <= now_ms / 1000 && s * 1000 + at->tv_nsec / 1000000 + LOOK_MS <= now_ms);
}

/* By its times. A look may be the first since yesterday, and the next one too late for who is refused now. */
static bool
has_rested(const struct stat *st)
{
	return is_past(&st->st_mtim) && is_past(&st->st_ctim);
}

static void
look(struct table *t, uint64_t now)
{
	char why[512] = "";
	struct stat before = t->seen, st = { 0 };

	t->look_ms = now + LOOK_MS;
	if (fstatat(t->dir, t->file, &st, 0) == -1) {
		if (t->open || before.st_ino != 0)
			log_errno("table %s: cannot be found", t->path);
		t->seen = t->is = (struct stat){ 0 };
		close_contents(t);
		return;
	}
	t->seen = st;
	if (same_file(&st, &t->is))
		return;
	/* Half of a file looks whole: what an editor writes must have rested, by its times or from look to look. */
	if (t->type->rests && !has_rested(&st) && !same_file(&st, &before))
		return;
	if (!load(t, why, sizeof why)) {
		say_path(t, why, sizeof why);
		log_warn("table %s%s", why, t->open ? "; what was there before still counts" : "");
		t->is = st;		/* say it once */
	}
}

static struct table *
table_new(const struct table_type *type, enum text_grammar g, const char *path, char *why, size_t cap)
{
	struct table *t = mem_alloc(sizeof *t);
	char folder[1024];

	t->type = type;
	t->grammar = g;
	t->gid = (gid_t)-1;
	t->mode = 0640;			/* it may hold hashes of passwords */
	snprintf(t->path, sizeof t->path, "%s", path);
	t->file = t->path + bytes_rfind(text(t->path), '/') + 1;
	folder_of(path, folder);
	t->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dir != -1)
		return t;
	table_fault(why, cap, "%s: its folder cannot be opened: %s", path, strerror(errno));
	mem_free(t);
	return NULL;
}

/* A text file is taken as it is: what wrote it has most likely ended before us. */
static struct table *
table_first(const struct table_type *type, enum text_grammar g, const char *path, char *why, size_t cap)
{
	struct table *t = table_new(type, g, path, why, cap);

	if (!t)
		return NULL;
	why[0] = '\0';
	t->look_ms = clock_mono_ms() + LOOK_MS;
	if (fstatat(t->dir, t->file, &t->seen, 0) == -1)
		table_fault(why, cap, "%s: cannot be found: %s", path, strerror(errno));
	else if (!load(t, why, cap)) {
		say_path(t, why, cap);
		t->is = t->seen;
	}
	return t;
}

static struct table *
open_grammar(const char *spec, enum text_grammar g, char *why, size_t cap)
{
	char path[1024];
	const struct table_type *type = spec_parse(spec, path, why, cap);

	return type ? table_first(type, g, path, why, cap) : NULL;
}

struct table *
table_open(const char *spec, char *why, size_t cap)
{
	return open_grammar(spec, TEXT_PAIRS, why, cap);
}

struct table *
table_open_aliases(const char *spec, char *why, size_t cap)
{
	return open_grammar(spec, TEXT_ALIASES, why, cap);
}

struct table *
table_open_passwd(const char *path, char *why, size_t cap)
{
	if (path[0] != '/' || strlen(path) >= 1024) {
		table_fault(why, cap, "%s: not an absolute path", path);
		return NULL;
	}
	return table_first(&table_text, TEXT_PASSWD, path, why, cap);
}

struct table *
table_open_sasldb(const char *path, char *why, size_t cap)
{
#ifdef HAVE_BDB
	if (path[0] == '/' && strlen(path) < 1024)
		return table_first(&table_sasldb, TEXT_PAIRS, path, why, cap);
	table_fault(why, cap, "%s: not an absolute path", path);
#else
	table_fault(why, cap, "%s: this build has no Berkeley DB", path);
#endif
	return NULL;
}

void
table_close(struct table **t)
{
	if (!*t)
		return;
	close_contents(*t);
	fd_close(&(*t)->dir);
	mem_free(*t);
	*t = NULL;
}

static bool
is_ready(struct table *t)
{
	uint64_t now = clock_mono_ms();

	if (now >= t->look_ms)
		look(t, now);
	return t->open != NULL;
}

/* No is the one answer that must not be old: an account that was made a moment ago is not to be
 * refused for good. (What must have rested from look to look comes later.) */
static bool
has_changed(struct table *t)
{
	struct stat before = t->is;

	if (t->writer || t->type->rests)
		return false;
	look(t, clock_mono_ms());
	return t->open == NULL || !same_file(&before, &t->is);
}

enum verdict
table_get(struct table *t, struct bytes key, struct buf *value)
{
	enum verdict v;

	buf_clear(value);
	if (!is_ready(t))
		return NOT_SURE;
	v = t->type->get(t->open, key, value);
	if (v == NO && has_changed(t))
		v = t->open ? t->type->get(t->open, key, value) : NOT_SURE;
	if (v == NOT_SURE) {
		log_warn("table %s: a lookup failed: %s", t->path,
		    value->full ? "the entry is too long" : "the file is damaged");
		buf_clear(value);
	}
	return v;
}

bool
table_walk(struct table *t, bool (*each)(void *arg, struct bytes key, struct bytes value), void *arg)
{
	return is_ready(t) && t->type->walk(t->open, each, arg);
}

/* ---- writing ---------------------------------------------------------------------------- */

static bool
lock(struct table *t)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(t->dir, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	}
	errno = EWOULDBLOCK;
	return false;
}

struct table *
table_open_write(const char *spec, bool create, char *why, size_t cap)
{
	char path[1024];
	const struct table_type *type = spec_parse(spec, path, why, cap);
	struct table *t = type ? table_new(type, TEXT_PAIRS, path, why, cap) : NULL;

	if (!t)
		return NULL;
	t->writer = true;
	t->create = create;
	t->look_ms = UINT64_MAX;		/* nobody else changes it */
	if (!lock(t))
		table_fault(why, cap, "%s: cannot be locked: %s", path,
		    errno == EWOULDBLOCK ? "another writer has it" : strerror(errno));
	else if (fstatat(t->dir, t->file, &t->seen, 0) == -1) {
		if (errno == ENOENT && create)
			return t;
		table_fault(why, cap, "%s: cannot be found: %s", path, strerror(errno));
	} else if (load(t, why, cap))
		return t;
	else
		say_path(t, why, cap);
	table_close(&t);
	return NULL;
}

void
table_rights(struct table *t, gid_t gid, mode_t mode)
{
	t->gid = gid;
	t->mode = mode;
}

static bool
copy_octets(int from, int to)
{
	static unsigned char chunk[65536];
	ssize_t n;

	while ((n = read(from, chunk, sizeof chunk)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 || !file_write(to, bytes_of(chunk, (size_t)n)))
			return false;
	}
	return true;
}

static bool
copy_file(int dir, const char *name, const char *copy)
{
	int from = openat(dir, name, O_RDONLY | O_CLOEXEC);
	int to = from == -1 ? -1 : openat(dir, copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good = to != -1 && copy_octets(from, to);

	fd_close(&from);
	if (to != -1 && close(to) == -1)
		good = false;
	return good;
}

/* Owner and mode as the old file had them; of a new one as table_rights said. */
static bool
give_rights(struct table *t, int fd)
{
	if (t->open)
		return fchown(fd, t->seen.st_uid, t->seen.st_gid) == 0
		    && fchmod(fd, t->seen.st_mode & 07777) == 0;
	return fchown(fd, (uid_t)-1, t->gid) == 0 && fchmod(fd, t->mode) == 0;
}

/* The copy takes the file's place: first safe on disk, then by name, then the name safe. */
static bool
put_in_place(struct table *t, const char *copy, char *why, size_t cap)
{
	int fd = openat(t->dir, copy, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	bool good = fd != -1 && give_rights(t, fd) && fsync(fd) == 0
	    && renameat(t->dir, copy, t->dir, t->file) == 0 && dir_sync(t->dir);

	if (!good)
		table_fault(why, cap, "%s: cannot be replaced: %s", t->path, strerror(errno));
	fd_close(&fd);
	return good;
}

static bool
change_copy(struct table *t, const char *copy, const struct table_change *c, size_t n, bool fresh,
    char *why, size_t cap)
{
	bool good;
	int back;

	if (t->open && !fresh && !copy_file(t->dir, t->file, copy))
		return table_fault(why, cap, "%s: cannot be copied: %s", t->path, strerror(errno));
	back = enter(t->dir);
	if (back == -2)
		return table_fault(why, cap, "%s: its folder cannot be entered: %s", t->path, strerror(errno));
	good = t->type->change(t->dir, copy, c, n, why, cap);
	leave(back);
	if (!good)
		say_path(t, why, cap);
	return good;
}

bool
table_change(struct table *t, const struct table_change *c, size_t n, bool fresh, char *why, size_t cap)
{
	char copy[64];
	uint64_t chance;
	bool good;

	must(t->writer);
	random_fill(&chance, sizeof chance);
	snprintf(copy, sizeof copy, TEMP_PREFIX "%016llx", (unsigned long long)chance);
	good = change_copy(t, copy, c, n, fresh, why, cap) && put_in_place(t, copy, why, cap);
	if (!good) {
		unlinkat(t->dir, copy, 0);
		return false;
	}
	if (fstatat(t->dir, t->file, &t->seen, 0) == -1)
		return table_fault(why, cap, "%s: cannot be found: %s", t->path, strerror(errno));
	return load(t, why, cap);
}

bool
table_put(struct table *t, struct bytes key, struct bytes value, char *why, size_t cap)
{
	return table_change(t, &(struct table_change){ key, value, false }, 1, false, why, cap);
}

bool
table_delete(struct table *t, struct bytes key, char *why, size_t cap)
{
	if (!t->open)
		return true;
	return table_change(t, &(struct table_change){ key, { 0 }, true }, 1, false, why, cap);
}
