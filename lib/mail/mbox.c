/* SPDX-License-Identifier: ISC */
#include "mail/mbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/line_ends.h"

#define STATE_DIR	".hermod"	/* in the home directory, where we may not write beside the mailbox */
#define NAME_LONGEST	180	/* leaves room for what is put around it */

/* ---- opening ---- */

/* ~/.hermod, made if need be; -1: errno. */
static int
open_state_at_home(void)
{
	const struct passwd *pw = getpwuid(geteuid());
	int home, state = -1;

	if (!pw || !pw->pw_dir) {
		errno = ENOENT;
		return -1;
	}
	home = open(pw->pw_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (home != -1 && dir_make(home, STATE_DIR, 0700))
		state = dir_open(home, STATE_DIR);
	fd_close(&home);
	return state;
}

static bool
may_write(int dir)
{
	return faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) == 0;
}

static bool
choose_state(struct mbox *m, char *why, size_t cap)
{
	bool beside = may_write(m->parent);

	m->state = beside ? dir_open(m->parent, ".") : open_state_at_home();
	if (m->state == -1) {
		snprintf(why, cap, "no place for its ledger: neither beside it nor in ~/%s: %s",
		    STATE_DIR, strerror(errno));
		return false;
	}
	snprintf(m->stem, sizeof m->stem, beside ? ".%.180s.hermod" : "mbox-%.180s", m->name);
	m->no_dotlock = !beside;
	return true;
}

/* A regular file of ours with one name. errno else. */
static bool
check_file(int fd, struct stat *st)
{
	if (fstat(fd, st) == -1)
		return false;
	errno = st->st_uid != geteuid() ? EPERM : EMLINK;
	return st->st_uid == geteuid() && st->st_nlink == 1;
}

int
mbox_open_file(struct mbox *m, bool make, char *why, size_t cap)
{
	struct stat st;
	int fd = file_open(m->parent, m->name, O_RDWR, 0);

	if (fd == -1 && errno == ENOENT && make) {
		fd = file_open(m->parent, m->name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd != -1 && !dir_sync(m->parent))
			fd_close(&fd);
	}
	if (fd == -1) {
		snprintf(why, cap, "%s", errno == ELOOP ? "it is a symbolic link"
		    : errno == EINVAL || errno == ENXIO ? "it is no regular file" : strerror(errno));
		return -1;
	}
	if (!check_file(fd, &st)) {
		snprintf(why, cap, errno == EMLINK ? "it has more than one name (hard link), or none"
		    : "it belongs to another user");
		fd_close(&fd);
	}
	return fd;
}

bool
mbox_open(struct mbox *m, int parent, const char *name, const char *what, int64_t wait_ms,
    char *why, size_t cap)
{
	int fd;

	*m = (struct mbox){ .parent = parent, .state = -1, .fd = -1, .wait_ms = wait_ms };
	m->what = mem_text(what);
	if (strlen(name) > NAME_LONGEST || !file_component(text(name), true, m->name)) {
		snprintf(why, cap, "its name is too long or has odd octets");
		errno = EINVAL;
	} else if (choose_state(m, why, cap) && (fd = mbox_open_file(m, true, why, cap)) != -1) {
		close(fd);
		return true;
	}
	mbox_close(m);
	return false;
}

bool
mbox_again(struct mbox *m, const struct mbox *old, char *why, size_t cap)
{
	int fd;

	*m = (struct mbox){ .parent = dir_open(old->parent, "."), .state = dir_open(old->state, "."), .fd = -1,
	    .wait_ms = old->wait_ms, .no_dotlock = old->no_dotlock };
	memcpy(m->name, old->name, sizeof m->name);
	memcpy(m->stem, old->stem, sizeof m->stem);
	m->what = mem_text(old->what);
	if (m->parent == -1 || m->state == -1) {
		snprintf(why, cap, "its directories: %s", strerror(errno));
	} else if ((fd = mbox_open_file(m, true, why, cap)) != -1) {
		close(fd);
		return true;
	}
	mbox_close(m);
	return false;
}

void
mbox_close(struct mbox *m)
{
	fd_close(&m->parent);
	fd_close(&m->state);
	mem_free(m->what);
	mem_free(m->part);
	m->what = NULL;
	m->part = NULL;
}

/* ---- delivery ---- */

struct append {
	uint64_t	start;		/* of its From_ line */
	uint64_t	date;		/* where the date goes */
	unsigned char	stamp[MBOX_DATE];
};

/* Writes what is in out at *at. */
static bool
flush(struct mbox *m, struct buf *out, uint64_t *at)
{
	bool good = file_pwrite(m->fd, buf_bytes(out), (off_t)*at);

	*at += out->n;
	buf_clear(out);
	return good;
}

/* What has to stand between the file's present end and a From_ line: an empty line. */
static bool
put_gap(struct mbox *m, uint64_t end, struct buf *out)
{
	unsigned char tail[2] = { '\n', '\n' };
	size_t n = end < 2 ? (size_t)end : 2;

	if (n > 0 && !file_pread(m->fd, tail + 2 - n, n, (off_t)(end - n)))
		return false;
	if (end > 0 && tail[1] != '\n')
		buf_text(out, "\n\n");
	else if (end > 0 && (tail[0] != '\n' || end == 1))
		buf_text(out, "\n");
	return true;
}

static void
put_from_line(const struct delivery *d, uint64_t at, struct append *a, struct buf *out)
{
	size_t before = out->n;

	a->start = at + before;
	mbox_from_line(d->sender, d->date_s != 0 ? d->date_s : clock_wall_s(), out);
	a->date = at + out->n - 1 - MBOX_DATE;
	memcpy(a->stamp, out->p + out->n - 1 - MBOX_DATE, MBOX_DATE);
	memcpy(out->p + out->n - 1 - MBOX_DATE, MBOX_UNFINISHED, MBOX_DATE);
}

/* The message, quoted, and the empty line after it. */
static bool
put_message(struct mbox *m, const struct delivery *d, struct buf *out, uint64_t *at)
{
	unsigned char *in = mem_alloc(CHUNK);
	struct from_filter f = { .quote = true };
	struct lf_reader r;
	bool good = true;
	long got = 0;

	lf_reader_init(&r, d->head, d->fd, d->segments);
	while (good && (got = lf_reader_read(&r, in, CHUNK)) > 0) {
		out->n += from_filter(&f, in, (size_t)got, buf_room(out, CHUNK * 2));
		if (out->n >= CHUNK * 4)
			good = flush(m, out, at);
	}
	mem_free(in);
	if (!good || got < 0)
		return false;
	if (r.in.bad || r.taken != d->octets) {
		errno = EBADMSG;
		return false;
	}
	out->n += from_filter_end(&f, buf_room(out, FROM_SLACK));
	if (out->n > 0 && out->p[out->n - 1] != '\n')
		buf_char(out, '\n');
	else if (out->n == 0) {		/* flushed just now: look at the file */
		unsigned char last;

		if (!file_pread(m->fd, &last, 1, (off_t)(*at - 1)))
			return false;
		if (last != '\n')
			buf_char(out, '\n');
	}
	buf_char(out, '\n');
	return flush(m, out, at);
}

static bool
append_one(struct mbox *m, const struct delivery *d, uint64_t *end, struct append *a)
{
	uint64_t at = *end;
	struct buf out;
	bool good;

	buf_init(&out, CHUNK * 8);
	good = put_gap(m, at, &out);
	if (good) {
		put_from_line(d, at, a, &out);
		good = put_message(m, d, &out, &at);
	}
	buf_fini(&out);
	if (good)
		*end = at;
	return good;
}

/* Nothing half-written stays; should this fail too, the next to hold the lock does it. False: errno; it is all there. */
static bool
cut(struct mbox *m, uint64_t end)
{
	bool good = ftruncate(m->fd, (off_t)end) == 0;

	if (!good || fsync(m->fd) == -1)
		log_errno("mailbox %s: cannot take a failed append off", m->what);
	m->clean_size = 0;
	return good;
}

static void
take_back(struct mbox *m, uint64_t end)
{
	int saved = errno;

	(void)cut(m, end);
	errno = saved;
}

/* All are there: syncs, then each gets its date. */
static bool
complete(struct mbox *m, const struct append *a, size_t n)
{
	if (fsync(m->fd) == -1)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!file_pwrite(m->fd, bytes_of(a[i].stamp, MBOX_DATE), (off_t)a[i].date))
			return false;
	return fdatasync(m->fd) == 0;
}

static void
append_all(struct mbox *m, const struct delivery *d, size_t n, int *fault)
{
	struct append a[MAILBOX_BATCH];
	struct stat st;
	uint64_t start, end;
	size_t done = 0;

	if (fstat(m->fd, &st) == -1) {
		for (size_t i = 0; i < n; i++)
			fault[i] = errno;
		return;
	}
	start = end = (uint64_t)st.st_size;
	for (size_t i = 0; i < n; i++) {
		uint64_t before = end;

		fault[i] = 0;
		if (append_one(m, &d[i], &end, &a[done])) {
			done++;
		} else {
			fault[i] = errno;
			take_back(m, before);
		}
	}
	if (done == 0)
		return;
	if (complete(m, a, done)) {
		m->clean_size = end;
		m->clean_ino = st.st_ino;
		return;
	}
	for (size_t i = 0; i < n; i++)
		fault[i] = fault[i] ? fault[i] : errno;
	take_back(m, start);
}

void
mbox_deliver(struct mbox *m, const struct delivery *d, size_t n, enum outcome *outcome,
    struct buf *reply)
{
	int fault[MAILBOX_BATCH];

	must(n <= MAILBOX_BATCH);
	if (mbox_lock(m)) {
		append_all(m, d, n, fault);
		mbox_unlock(m);
	} else {
		int saved = errno;

		for (size_t i = 0; i < n; i++)
			fault[i] = saved;
	}
	for (size_t i = 0; i < n; i++)
		outcome[i] = mailbox_outcome(fault[i], &reply[i]);
}

static bool
unlock_with(struct mbox *m, bool good)
{
	int saved = errno;

	mbox_unlock(m);
	errno = saved;
	return good;
}

static bool
append_together(struct mbox *m, const struct delivery *d, size_t n, struct append *a)
{
	struct stat st;
	uint64_t start, end;
	bool good = true;

	if (fstat(m->fd, &st) == -1)
		return false;
	start = end = (uint64_t)st.st_size;
	for (size_t i = 0; good && i < n; i++)
		good = append_one(m, &d[i], &end, &a[i]);
	if (!good || !complete(m, a, n)) {
		take_back(m, start);
		return false;
	}
	m->clean_size = m->appended_size = end;
	m->clean_ino = m->appended_ino = st.st_ino;
	return true;
}

bool
mbox_append(struct mbox *m, const struct delivery *d, size_t n, uint64_t *starts)
{
	struct append *a = mem_array(n, sizeof *a);
	bool good = mbox_lock(m) && unlock_with(m, append_together(m, d, n, a));

	for (size_t i = 0; good && i < n; i++)
		starts[i] = a[i].start;
	mem_free(a);
	return good;
}

static bool
take_off(struct mbox *m, uint64_t start)
{
	struct stat st;

	if (fstat(m->fd, &st) == -1)
		return false;
	errno = ESTALE;
	return (uint64_t)st.st_size == m->appended_size && st.st_ino == m->appended_ino && cut(m, start);
}

bool
mbox_take_off(struct mbox *m, uint64_t start)
{
	return mbox_lock(m) && unlock_with(m, take_off(m, start));
}

/* ---- reading ---- */

static void
add_part(void *arg, const struct mbox_part *p)
{
	struct mbox *m = arg;

	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->part = mem_resize(m->part, m->cap * sizeof *m->part);
	}
	m->part[m->n++] = *p;
}

static bool
split_range(int fd, uint64_t from, uint64_t to, const unsigned char key[16], mbox_each each, void *arg)
{
	struct mbox_splitter *s = mem_alloc(sizeof *s);
	unsigned char *p = mem_alloc(CHUNK);
	bool good = true;

	mbox_split_init(s, key);
	while (good && from < to) {
		size_t n = to - from < CHUNK ? (size_t)(to - from) : CHUNK;

		good = file_pread(fd, p, n, (off_t)from);
		if (good)
			mbox_split_feed(s, bytes_of(p, n), each, arg);
		from += n;
	}
	if (good)
		mbox_split_end(s, each, arg);
	mem_free(p);
	mem_free(s);
	return good;
}

static bool
split_file(struct mbox *m, const unsigned char key[16], bool *changed)
{
	struct stat st;

	if (fstat(m->fd, &st) == -1)
		return false;
	*changed = m->ino != st.st_ino || m->size != (uint64_t)st.st_size
	    || m->mtime_s != st.st_mtim.tv_sec || m->mtime_ns != st.st_mtim.tv_nsec;
	if (!*changed)
		return true;
	m->n = 0;
	m->ino = 0;
	if (!split_range(m->fd, 0, (uint64_t)st.st_size, key, add_part, m))
		return false;
	m->ino = st.st_ino;
	m->size = (uint64_t)st.st_size;
	m->mtime_s = st.st_mtim.tv_sec;
	m->mtime_ns = st.st_mtim.tv_nsec;
	return true;
}

bool
mbox_list(struct mbox *m, const unsigned char key[16], bool *changed)
{
	return mbox_lock(m) && unlock_with(m, split_file(m, key, changed));
}

static void
note_part(void *arg, const struct mbox_part *p)
{
	*(struct mbox_part *)arg = *p;
}

/* The octets there are still this message. */
static bool
holds_part(struct mbox *m, const unsigned char key[16], const struct mbox_part *p)
{
	struct mbox_part now = { 0 };
	struct stat st;

	if (fstat(m->fd, &st) == -1)
		return false;
	errno = ESTALE;
	if ((uint64_t)st.st_size < p->next)
		return false;
	if (!split_range(m->fd, p->at, p->next, key, note_part, &now))
		return false;
	errno = ESTALE;
	return now.hash == p->hash && now.octets == p->octets
	    && now.end - now.start == p->end - p->start;
}

static bool
get_part(struct mbox *m, const unsigned char key[16], const struct mbox_part *p, struct buf *out)
{
	struct from_filter f = { 0 };
	size_t n = (size_t)(p->end - p->start), done;
	unsigned char *room;

	if (!holds_part(m, key, p))
		return false;
	room = buf_room(out, n + 2 * FROM_SLACK);
	if (!room) {
		errno = EFBIG;
		return false;
	}
	if (!file_pread(m->fd, room + FROM_SLACK, n, (off_t)p->start))
		return false;
	done = from_filter(&f, room + FROM_SLACK, n, room);
	out->n += done + from_filter_end(&f, room + done);
	return true;
}

bool
mbox_get(struct mbox *m, const unsigned char key[16], const struct mbox_part *p, struct buf *out)
{
	return mbox_lock(m) && unlock_with(m, get_part(m, key, p, out));
}

static bool
from_line(struct mbox *m, const struct mbox_part *p, char *line, size_t cap)
{
	size_t n = p->start - p->at < cap - 1 ? (size_t)(p->start - p->at) : cap - 1;

	if (!file_pread(m->fd, line, n, (off_t)p->at))
		return false;
	line[n] = '\0';
	return true;
}

bool
mbox_date(struct mbox *m, const struct mbox_part *p, int64_t *wall_s)
{
	char line[1024];
	struct stat st;

	if (!mbox_lock(m) || !unlock_with(m, from_line(m, p, line, sizeof line) && fstat(m->fd, &st) == 0))
		return false;
	if (!mbox_from_date(text(line), wall_s))
		*wall_s = st.st_mtim.tv_sec;
	return true;
}

bool
mbox_same(const struct mbox *m)
{
	struct stat st;

	return m->ino != 0 && fstatat(m->parent, m->name, &st, AT_SYMLINK_NOFOLLOW) == 0
	    && m->ino == st.st_ino && m->size == (uint64_t)st.st_size
	    && m->mtime_s == st.st_mtim.tv_sec && m->mtime_ns == st.st_mtim.tv_nsec;
}

/* ---- removal ---- */

static bool
remove_locked(struct mbox *m, const unsigned char key[16], const size_t *which, size_t n)
{
	bool changed;

	if (!split_file(m, key, &changed))
		return false;
	if (changed) {
		errno = ESTALE;
		return false;
	}
	return mbox_cut_out(m, which, n);
}

bool
mbox_remove(struct mbox *m, const unsigned char key[16], const size_t *which, size_t n)
{
	if (n == 0)
		return true;
	return mbox_lock(m) && unlock_with(m, remove_locked(m, key, which, n));
}
