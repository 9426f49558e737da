/* SPDX-License-Identifier: ISC */
#include "mail/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/line_ends.h"

#define ROOM		(256u * 1024)	/* most messages are one read, one write */
#define NAME_TRIES	8
#define NAMES_MAX	(1u << 30)	/* octets of all names of a mailbox */

/* ---- the mailbox ---- */

/* What a confined process cannot find out any more. */
static struct {
	int	proc;			/* /proc/self/fd; 0: not looked yet */
	pid_t	pid;			/* whose */
	dev_t	device;
	bool	known, ordered;		/* of device */
} before;

void
maildir_prepare(int dir)
{
	struct stat st;

	if (before.pid != getpid()) {
		if (before.proc > 0)
			fd_close(&before.proc);
		before.pid = getpid();
		before.proc = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	before.known = fstat(dir, &st) == 0;
	before.device = st.st_dev;
	before.ordered = before.known && file_ext4_ordered(dir);
}

static int
open_proc(void)
{
	if (before.pid == getpid())
		return before.proc == -1 ? -1 : fcntl(before.proc, F_DUPFD_CLOEXEC, 0);
	return open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool
ordered(int dir)
{
	struct stat st;

	if (before.pid == getpid() && before.known && fstat(dir, &st) == 0 && st.st_dev == before.device)
		return before.ordered;
	return file_ext4_ordered(dir);
}

/* Chooses the way to deliver: see maildir.h. */
static void
know_file_system(struct maildir *m)
{
	struct statfs fs;

	m->unnamed = m->proc != -1;
	if (fstatfs(m->new, &fs) == -1 || fs.f_type != EXT4_SUPER_MAGIC)
		return;
	m->ordered = ordered(m->new);
	/* Without a journal the link count of a file that gets its first name late is not
	 * on disk with the name. */
	m->unnamed = m->unnamed && m->ordered;
}

/* Not a '/' or ':' among them. */
static void
name_host(char host[65])
{
	struct utsname u;
	size_t n = 0;

	if (uname(&u) == 0)
		for (const char *p = u.nodename; *p && n < 64; p++)
			host[n++] = ascii_alnum((unsigned char)*p) || *p == '.' || *p == '-' ? *p : '_';
	if (n == 0)
		host[n++] = '_';
	host[n] = '\0';
}

static int
part(int dir, const char *name, bool *made)
{
	int fd = dir_open(dir, name);

	if (fd != -1 || errno != ENOENT)
		return fd;
	if (!dir_make(dir, name, 0700))
		return -1;
	*made = true;
	return dir_open(dir, name);
}

bool
maildir_open(struct maildir *m, int dir, bool make, const char *what)
{
	bool made = false;

	*m = (struct maildir){ .dir = dir, .cur = -1, .new = -1, .tmp = -1, .proc = -1 };
	m->what = mem_text(what);
	m->cur = make ? part(dir, "cur", &made) : dir_open(dir, "cur");
	if (m->cur != -1)
		m->new = part(dir, "new", &made);
	if (m->new != -1)
		m->tmp = part(dir, "tmp", &made);
	if (m->tmp == -1 || (made && !dir_sync(dir))) {
		maildir_close(m);
		return false;
	}
	m->proc = open_proc();
	know_file_system(m);
	name_host(m->host);
	return true;
}

/* ---- names ---- */

/* Unlike any other, over restarts, forks, clocks that jump, and hosts. */
static void
unique_name(const struct maildir *m, uint64_t octets, char out[NAME_MAX + 1])
{
	static uint64_t sequence;
	int64_t now = clock_wall_us();
	uint32_t chance;

	random_fill(&chance, sizeof chance);
	snprintf(out, NAME_MAX + 1, "%lld.M%06dP%dQ%lluR%08x.%s,S=%llu",
	    (long long)(now / 1000000), (int)(now % 1000000), (int)getpid(),
	    (unsigned long long)++sequence, (unsigned)chance, m->host,
	    (unsigned long long)octets);
}

static uint64_t
digits(struct bytes *s)
{
	uint64_t v = 0;

	while (s->n > 0 && ascii_digit(s->p[0])) {
		if (v < UINT64_MAX / 10 - 1)
			v = v * 10 + (uint64_t)(s->p[0] - '0');
		*s = bytes_skip(*s, 1);
	}
	return v;
}

/* Seconds, then microseconds: "1790000000.M012345P..."; others have the M elsewhere, or none. */
struct maildir_came
maildir_came(struct bytes name)
{
	struct maildir_came c = { 0, 0, name };

	c.s = digits(&name);
	while (name.n > 1) {
		name = bytes_skip(name, bytes_find(name, 'M') + 1);
		if (name.n > 0 && ascii_digit(name.p[0])) {
			c.us = digits(&name);
			break;
		}
	}
	return c;
}

bool
maildir_name_time(struct bytes name, int64_t *wall_s)
{
	struct bytes rest = name;
	uint64_t s = digits(&rest);

	if (rest.n == name.n || rest.n == 0 || rest.p[0] != '.' || s > INT64_MAX / 1000000)
		return false;
	*wall_s = (int64_t)s;
	return true;
}

int
maildir_came_order(const struct maildir_came *a, const struct maildir_came *b)
{
	if (a->s != b->s)
		return a->s < b->s ? -1 : 1;
	if (a->us != b->us)
		return a->us < b->us ? -1 : 1;
	return bytes_cmp(a->name, b->name);
}

int
maildir_order(struct bytes a, struct bytes b)
{
	struct maildir_came x = maildir_came(a), y = maildir_came(b);

	return maildir_came_order(&x, &y);
}

/* ---- delivery ---- */

static int
open_named(struct maildir *m, char tmp[NAME_MAX + 1])
{
	for (int i = 0; i < NAME_TRIES; i++) {
		int fd;

		unique_name(m, 0, tmp);
		fd = openat(m->tmp, tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd != -1 || errno != EEXIST)
			return fd;
	}
	return -1;
}

static int
open_copy(struct maildir *m, char tmp[NAME_MAX + 1])
{
	tmp[0] = '\0';
	if (m->unnamed) {
		int fd = openat(m->tmp, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

		if (fd != -1 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
			return fd;
		m->unnamed = false;
	}
	return open_named(m, tmp);
}

/* False: errno. EBADMSG: the queue file is not what was promised. */
static bool
copy_message(struct maildir *m, struct maildir_copy *c, const struct delivery *d)
{
	struct lf_reader r;
	long got;

	if (!m->room)
		m->room = mem_alloc(ROOM);
	lf_reader_init(&r, d->head, d->fd, d->segments);
	while ((got = lf_reader_read(&r, m->room, ROOM)) > 0) {
		if (!file_write(c->fd, bytes_of(m->room, (size_t)got)))
			return false;
		c->octets += (uint64_t)got;
	}
	if (got == 0 && (r.in.bad || r.taken != d->octets)) {
		errno = EBADMSG;
		return false;
	}
	return got == 0;
}

/* What has to be on disk before the name is made. */
static bool
settle(struct maildir *m, struct maildir_copy *c)
{
	if (m->ordered && sync_file_range(c->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE
	    | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0)
		return true;
	if (m->ordered && errno != EPERM && errno != ENOSYS && errno != EINVAL)
		return false;		/* an error of the disk: final for this file */
	m->ordered = false;
	c->synced = fsync(c->fd) == 0;
	return c->synced;
}

static int
home_of(const struct maildir *m, const struct maildir_copy *c)
{
	return c->in_cur ? m->cur : m->new;
}

static bool
full_name(const struct maildir_copy *c, char out[2 * NAME_MAX])
{
	if (strlen(c->name) + strlen(c->suffix) > NAME_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	snprintf(out, 2 * NAME_MAX, "%s%s", c->name, c->suffix);
	return true;
}

static bool
link_once(struct maildir *m, struct maildir_copy *c, const char *name)
{
	char self[16];

	if (c->tmp[0] == '\0') {
		snprintf(self, sizeof self, "%d", c->fd);
		return linkat(m->proc, self, home_of(m, c), name, AT_SYMLINK_FOLLOW) == 0;
	}
	if (linkat(m->tmp, c->tmp, home_of(m, c), name, 0) == 0) {
		unlinkat(m->tmp, c->tmp, 0);
		c->tmp[0] = '\0';
		return true;
	}
	if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
		return false;
	if (renameat(m->tmp, c->tmp, home_of(m, c), name) == -1)
		return false;		/* a file system without hard links */
	c->tmp[0] = '\0';
	return true;
}

static bool
name_copy(struct maildir *m, struct maildir_copy *c)
{
	char name[2 * NAME_MAX];

	for (int i = 0; i < NAME_TRIES; i++) {
		unique_name(m, c->octets, c->name);
		if (!full_name(c, name))
			return false;
		if (link_once(m, c, name)) {
			c->named = true;
			return true;
		}
		if (errno != EEXIST)
			return false;
	}
	return false;
}

void
maildir_drop(struct maildir *m, struct maildir_copy *c)
{
	char name[2 * NAME_MAX];

	if (c->named && full_name(c, name))
		unlinkat(home_of(m, c), name, 0);
	if (c->tmp[0] != '\0')
		unlinkat(m->tmp, c->tmp, 0);
	c->named = false;
	c->tmp[0] = '\0';
	fd_close(&c->fd);
}

static void
begin(struct maildir *m, struct maildir_copy *c, const struct delivery *d, bool more)
{
	*c = (struct maildir_copy){ .fd = -1 };
	c->fd = open_copy(m, c->tmp);
	if (c->fd == -1 || !copy_message(m, c, d))
		c->fault = errno;
	else if (more)			/* starts the disk on it while the next is copied */
		sync_file_range(c->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static void
name_settled(struct maildir *m, struct maildir_copy *c, const struct delivery *d)
{
	if (c->fault != 0)
		return;
	if (settle(m, c) && name_copy(m, c))
		return;
	c->fault = errno;
	if (m->unnamed && (errno == ENOENT || errno == EACCES || errno == EPERM || errno == EXDEV)) {
		m->unnamed = false;	/* no /proc, or it is not let through: names in tmp/ do */
		maildir_drop(m, c);
		begin(m, c, d, false);
		if (c->fault == 0 && !(settle(m, c) && name_copy(m, c)))
			c->fault = errno;
	}
}

/* Those whose content is synced need their names synced: once for all. The others need both, which fsync
 * of the file does where we are (maildir.h). A link alone is a name. */
void
maildir_make_durable(struct maildir *m, struct maildir_copy *c, size_t n)
{
	bool names[2] = { false, false };
	int fault[2] = { 0, 0 };

	for (size_t i = 0; i < n; i++)
		names[c[i].in_cur] |= c[i].fault == 0 && c[i].synced;
	for (int i = 0; i < 2; i++)
		if (names[i] && fsync(i ? m->cur : m->new) == -1)
			fault[i] = errno;
	for (size_t i = 0; i < n; i++) {
		if (c[i].fault != 0)
			continue;
		if (c[i].synced)
			c[i].fault = fault[c[i].in_cur];
		else if (fsync(c[i].fd) == -1)
			c[i].fault = errno;
	}
}

static void
remember(struct maildir *m, const struct maildir_copy *c)
{
	if (!m->fresh)
		m->fresh = mem_array(MAILDIR_FRESH, sizeof *m->fresh);
	if (m->fresh_n < MAILDIR_FRESH)
		memcpy(m->fresh[m->fresh_n++], c->name, sizeof *m->fresh);
}

void
maildir_deliver(struct maildir *m, const struct delivery *d, size_t n, enum outcome *outcome,
    struct buf *reply)
{
	struct maildir_copy copy[MAILBOX_BATCH];

	must(n <= MAILBOX_BATCH);
	for (size_t i = 0; i < n; i++)
		begin(m, &copy[i], &d[i], n > 1);
	for (size_t i = 0; i < n; i++)
		name_settled(m, &copy[i], &d[i]);
	maildir_make_durable(m, copy, n);
	for (size_t i = 0; i < n; i++) {
		struct maildir_copy *c = &copy[i];

		/* What is closed after its sync has nothing left to fail with. */
		if (c->fault == 0) {
			fd_close(&c->fd);
			remember(m, c);
		} else {
			maildir_drop(m, c);
		}
		m->delivered += c->fault == 0;
		outcome[i] = mailbox_outcome(c->fault, &reply[i]);
	}
}

/* ---- what is there ---- */

static bool
is_regular(int dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_REG;
	return fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static void
skip_odd(struct maildir *m, const char *where, const char *name)
{
	if (!m->told_odd)
		log_warn("mailbox %s: %s/\"%s\" is no regular file; it and its like are left alone",
		    m->what, where, log_text(text(name)));
	m->told_odd = true;
}

/* Up to the colon, and the rest. False: no message's name. */
static bool
split_name(const char *name, struct bytes *base, struct bytes *suffix)
{
	struct bytes whole = text(name);
	size_t colon = bytes_find(whole, ':');

	*base = bytes_head(whole, colon);
	*suffix = bytes_skip(whole, colon);
	return base->n > 0 && name[0] != '.';
}

typedef bool (*each_file)(void *arg, struct bytes base, struct bytes suffix, bool in_new);

/* False: errno. each returns false to stop. */
static bool
walk(struct maildir *m, bool in_new, each_file each, void *arg)
{
	int dir = in_new ? m->new : m->cur;
	DIR *d = dir_stream(dir, ".");
	struct dirent *e;
	bool good;

	if (!d)
		return false;
	while ((errno = 0, e = readdir(d)) != NULL) {
		struct bytes base, suffix;

		if (!split_name(e->d_name, &base, &suffix))
			continue;
		if (!is_regular(dir, e))
			skip_odd(m, in_new ? "new" : "cur", e->d_name);
		else if (!each(arg, base, suffix, in_new))
			break;
	}
	good = e != NULL || errno == 0;
	closedir(d);
	return good;
}

static bool
add_file(void *arg, struct bytes base, struct bytes suffix, bool in_new)
{
	struct maildir_list *l = arg;
	struct bytes whole = arena_copy(l->names, bytes_of(base.p, base.n + suffix.n));

	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->file = mem_resize(l->file, l->cap * sizeof *l->file);
	}
	l->file[l->n++] = (struct maildir_file){ bytes_head(whole, base.n),
	    bytes_skip(whole, base.n), in_new };
	return true;
}

/* new/ first: what moves from there to cur/ meanwhile is then seen twice rather than never. */
bool
maildir_list(struct maildir *m, struct maildir_list *out)
{
	if (!out->names)
		out->names = arena_new(NAMES_MAX);
	return walk(m, true, add_file, out) && walk(m, false, add_file, out);
}

void
maildir_list_free(struct maildir_list *l)
{
	mem_free(l->file);
	arena_free(&l->names);
	*l = (struct maildir_list){ 0 };
}

struct search { struct maildir_file *file; struct arena *a; bool found; };

static bool
compare_file(void *arg, struct bytes base, struct bytes suffix, bool in_new)
{
	struct search *s = arg;

	if (!bytes_eq(base, s->file->name))
		return true;
	s->file->suffix = arena_copy(s->a, suffix);
	s->file->in_new = in_new;
	s->found = true;
	return false;
}

bool
maildir_find(struct maildir *m, struct maildir_file *f, struct arena *a)
{
	struct search s = { f, a, false };

	if (!walk(m, true, compare_file, &s) || (!s.found && !walk(m, false, compare_file, &s)))
		return false;
	if (!s.found)
		errno = ENOENT;
	return s.found;
}

static bool
whole_name(const struct maildir_file *f, char out[NAME_MAX + 1])
{
	if (f->name.n + f->suffix.n > NAME_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(out, f->name.p, f->name.n);
	if (f->suffix.n > 0)
		memcpy(out + f->name.n, f->suffix.p, f->suffix.n);
	out[f->name.n + f->suffix.n] = '\0';
	return true;
}

int
maildir_open_file(struct maildir *m, const struct maildir_file *f)
{
	char name[NAME_MAX + 1];

	return whole_name(f, name) ? file_open(f->in_new ? m->new : m->cur, name, O_RDONLY, 0) : -1;
}

bool
maildir_stat(struct maildir *m, const struct maildir_file *f, struct stat *st)
{
	char name[NAME_MAX + 1];

	return whole_name(f, name) && fstatat(f->in_new ? m->new : m->cur, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool
maildir_remove(struct maildir *m, const struct maildir_file *f)
{
	char name[NAME_MAX + 1];

	return whole_name(f, name) && unlinkat(f->in_new ? m->new : m->cur, name, 0) == 0;
}

/* ---- flags: ":2,FLAGS" ---- */

#define ODD_MAX	40		/* flags of others that are kept */

static const struct { char letter; uint32_t flag; } letters[] = {	/* in ASCII order */
	{ 'D', MAIL_DRAFT }, { 'F', MAIL_FLAGGED }, { 'P', MAIL_FORWARDED }, { 'R', MAIL_ANSWERED },
	{ 'S', MAIL_SEEN }, { 'T', MAIL_DELETED },
};

static uint32_t
flag_of(unsigned char c)
{
	if (c >= 'a' && c <= 'z')
		return (uint32_t)MAIL_KEYWORD << (c - 'a');
	for (size_t i = 0; i < LEN(letters); i++)
		if (letters[i].letter == (char)c)
			return letters[i].flag;
	return 0;
}

/* The flags, and what stands behind a comma, which some programs use for their own. */
static struct bytes
flags_of(struct bytes suffix, struct bytes *rest)
{
	struct bytes flags = { NULL, 0 };

	if (bytes_starts(suffix, text(":2,")))
		flags = bytes_skip(suffix, 3);
	*rest = bytes_skip(flags, bytes_find(flags, ','));
	return bytes_head(flags, bytes_find(flags, ','));
}

uint32_t
maildir_flags(struct bytes suffix)
{
	struct bytes rest, s = flags_of(suffix, &rest);
	uint32_t flags = 0;

	for (size_t i = 0; i < s.n; i++)
		flags |= flag_of(s.p[i]);
	return flags;
}

static int
by_octet(const void *a, const void *b)
{
	return *(const unsigned char *)a - *(const unsigned char *)b;
}

bool
maildir_suffix(struct bytes suffix, uint32_t flags, char out[256])
{
	struct bytes rest, old = flags_of(suffix, &rest);
	unsigned char set[LEN(letters) + MAIL_KEYWORDS + ODD_MAX];
	size_t n = 0, odd = 0;

	for (size_t i = 0; i < LEN(letters); i++)
		if (flags & letters[i].flag)
			set[n++] = (unsigned char)letters[i].letter;
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++)
		if (flags & (uint32_t)MAIL_KEYWORD << i)
			set[n++] = (unsigned char)('a' + i);
	for (size_t i = 0; i < old.n; i++)
		if (flag_of(old.p[i]) == 0) {
			if (odd++ == ODD_MAX)
				return false;
			set[n++] = old.p[i];
		}
	qsort(set, n, 1, by_octet);
	if (3 + n + rest.n > 255)
		return false;
	memcpy(out, ":2,", 3);
	memcpy(out + 3, set, n);
	if (rest.n > 0)
		memcpy(out + 3 + n, rest.p, rest.n);
	out[3 + n + rest.n] = '\0';
	return true;
}

bool
maildir_plain(struct bytes suffix)
{
	struct bytes flags = bytes_skip(suffix, 3);
	unsigned char last = 0;

	if (!bytes_starts(suffix, text(":2,")))
		return false;
	for (size_t i = 0; i < flags.n; last = flags.p[i++])
		if (flags.p[i] <= last || flag_of(flags.p[i]) == 0)
			return false;
	return true;
}

bool
maildir_set_flags(struct maildir *m, struct maildir_file *f, uint32_t flags, struct arena *a)
{
	char from[NAME_MAX + 1], to[NAME_MAX + 1], suffix[256];
	struct maildir_file moved = { f->name, { NULL, 0 }, false };

	if (!maildir_suffix(f->suffix, flags, suffix)) {
		errno = ENAMETOOLONG;
		return false;
	}
	moved.suffix = text(suffix);
	if (!whole_name(f, from) || !whole_name(&moved, to)
	    || renameat(f->in_new ? m->new : m->cur, from, m->cur, to) == -1)
		return false;
	moved.suffix = arena_copy(a, moved.suffix);
	*f = moved;
	return true;
}

/* ---- what is expunged, and kept ---- */

#define NAME_ROOM	(NAME_MAX + 1 + 256)

/* The whole name in out: with odd flags only where they fit. */
static bool
name_anew(const struct maildir *m, uint64_t octets, struct bytes suffix, uint32_t flags, char out[NAME_ROOM])
{
	char base[NAME_MAX + 1], fresh[256];

	unique_name(m, octets, base);
	if (!maildir_suffix(suffix, flags, fresh) || strlen(base) + strlen(fresh) > NAME_MAX)
		must(maildir_suffix((struct bytes){ NULL, 0 }, flags, fresh));
	if (strlen(base) + strlen(fresh) > NAME_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	snprintf(out, NAME_ROOM, "%s%s", base, fresh);
	return true;
}

bool
maildir_keep(struct maildir *m, const struct maildir_file *f, int to)
{
	char old[NAME_MAX + 1], name[NAME_ROOM];
	struct stat st;

	return maildir_stat(m, f, &st) && whole_name(f, old)
	    && name_anew(m, (uint64_t)st.st_size, f->suffix, maildir_flags(f->suffix), name)
	    && renameat(f->in_new ? m->new : m->cur, old, to, name) == 0;
}

bool
maildir_restore(struct maildir *m, int from, const char *old, uint32_t flags)
{
	struct bytes base, suffix;
	char name[NAME_ROOM];
	struct stat st;

	if (fstatat(from, old, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	errno = EINVAL;
	return S_ISREG(st.st_mode) && st.st_uid == geteuid() && split_name(old, &base, &suffix)
	    && name_anew(m, (uint64_t)st.st_size, suffix, flags, name)
	    && renameat(from, old, m->cur, name) == 0;
}

bool
maildir_sync(struct maildir *m, bool new, bool cur)
{
	return (!new || dir_sync(m->new)) && (!cur || dir_sync(m->cur));
}

/* ---- arrivals: as deliveries, in steps ---- */

static bool
failed(struct maildir_copy *c)
{
	c->fault = errno;
	return false;
}

bool
maildir_begin(struct maildir *m, struct maildir_copy *c)
{
	*c = (struct maildir_copy){ .fd = -1 };
	c->fd = open_copy(m, c->tmp);
	return c->fd != -1 || failed(c);
}

bool
maildir_add(struct maildir_copy *c, struct bytes octets)
{
	if (c->fault != 0) {
		errno = c->fault;
		return false;
	}
	c->octets += octets.n;
	return file_write(c->fd, octets) || failed(c);
}

bool
maildir_settle(struct maildir *m, struct maildir_copy *c)
{
	return settle(m, c) || failed(c);
}

bool
maildir_begin_named(struct maildir *m, struct maildir_copy *c)
{
	*c = (struct maildir_copy){ .fd = -1 };
	c->fd = open_named(m, c->tmp);
	return c->fd != -1 || failed(c);
}

bool
maildir_put_by(struct maildir_copy *c)
{
	c->synced = fsync(c->fd) == 0;
	if (!c->synced)
		return failed(c);
	fd_close(&c->fd);
	return true;
}

bool
maildir_place(struct maildir *m, struct maildir_copy *c, uint32_t flags)
{
	char suffix[256];

	must(maildir_suffix((struct bytes){ NULL, 0 }, flags, suffix) && strlen(suffix) < sizeof c->suffix);
	c->in_cur = flags != 0;
	c->suffix[0] = '\0';
	if (c->in_cur)
		memcpy(c->suffix, suffix, strlen(suffix) + 1);
	return name_copy(m, c) || failed(c);
}

bool
maildir_link(struct maildir *from, const struct maildir_file *f, struct maildir *m,
    struct maildir_copy *c, uint32_t flags)
{
	char old[NAME_MAX + 1], name[2 * NAME_MAX], suffix[256];
	struct stat st;

	*c = (struct maildir_copy){ .fd = -1, .in_cur = flags != 0, .synced = true };
	must(maildir_suffix((struct bytes){ NULL, 0 }, flags, suffix) && strlen(suffix) < sizeof c->suffix);
	if (c->in_cur)
		memcpy(c->suffix, suffix, strlen(suffix) + 1);
	if (!whole_name(f, old) || fstatat(f->in_new ? from->new : from->cur, old, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return failed(c);
	for (int i = 0; i < NAME_TRIES; i++) {
		unique_name(m, (uint64_t)st.st_size, c->name);
		if (full_name(c, name) && linkat(f->in_new ? from->new : from->cur, old, home_of(m, c), name, 0) == 0) {
			c->named = true;
			return true;
		}
		if (errno != EEXIST)
			break;
	}
	return failed(c);
}

struct bytes
maildir_copy_name(const struct maildir_copy *c)
{
	return text(c->name);
}

/* ---- the end ---- */

/* A delivery that takes longer than MAILDIR_TMP_AGE_S has been given up by whoever began it. */
static void
clean_tmp(struct maildir *m)
{
	int64_t now = clock_wall_s();
	DIR *d = dir_stream(m->tmp, ".");
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)) != NULL) {
		struct stat st;

		if (e->d_name[0] == '.' || fstatat(m->tmp, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1
		    || !S_ISREG(st.st_mode) || st.st_mtim.tv_sec > now - MAILDIR_TMP_AGE_S
		    || st.st_ctim.tv_sec > now - MAILDIR_TMP_AGE_S)
			continue;
		if (unlinkat(m->tmp, e->d_name, 0) == 0)
			log_info("mailbox %s: removed tmp/\"%s\", given up long ago", m->what,
			    log_text(text(e->d_name)));
	}
	closedir(d);
}

void
maildir_close(struct maildir *m)
{
	if (m->tmp != -1 && !m->as_is)
		clean_tmp(m);
	fd_close(&m->tmp);
	fd_close(&m->new);
	fd_close(&m->cur);
	fd_close(&m->dir);
	fd_close(&m->proc);
	mem_free(m->what);
	mem_free(m->room);
	mem_free(m->fresh);
	m->fresh = NULL;
	m->what = NULL;
	m->room = NULL;
}
