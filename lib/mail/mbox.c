/* SPDX-License-Identifier: ISC */
#include "mail/mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/line_ends.h"

#define CHUNK		65536u
#define LOCK_STEP_MS	50
#define LOCK_STALE_S	300	/* a FILE.lock this old was left by a crash: as liblockfile has it */
#define STATE_DIR	".hermod"	/* in the home directory, where we may not write beside the mailbox */
#define NAME_LONGEST	180	/* leaves room for what is put around it */
#define REDO_MAGIC	"HERMREDO"
#define REDO_HEADER	64

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

static int
open_file(struct mbox *m, bool make, char *why, size_t cap)
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
	} else if (choose_state(m, why, cap) && (fd = open_file(m, true, why, cap)) != -1) {
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
	} else if ((fd = open_file(m, true, why, cap)) != -1) {
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

/* ---- locks ---- */

static bool
fcntl_lock(int fd, short type)
{
	struct flock f = { .l_type = type, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &f) == 0;
}

static void
dotlock_name(const struct mbox *m, char out[256])
{
	snprintf(out, 256, "%s.lock", m->name);
}

static void
remove_stale(struct mbox *m, const char *lock)
{
	struct stat st;

	if (fstatat(m->parent, lock, &st, AT_SYMLINK_NOFOLLOW) == 0
	    && st.st_mtim.tv_sec < clock_wall_s() - LOCK_STALE_S && unlinkat(m->parent, lock, 0) == 0)
		log_warn("mailbox %s: removed its .lock file, %lld seconds old", m->what,
		    (long long)(clock_wall_s() - st.st_mtim.tv_sec));
}

/*
 * What our FILE.lock says after the pid: this host, and the file whose fcntl lock
 * we hold while it stands.
 */
static bool
lock_words(const struct mbox *m, char out[200])
{
	struct utsname host;
	struct stat st;

	if (uname(&host) == -1 || fstat(m->fd, &st) == -1)
		return false;
	snprintf(out, 200, " hermod %.64s %ju:%ju\n", host.nodename, (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return true;
}

/* Now that the fcntl lock is ours, a FILE.lock of one of us can only be left by a process that died. */
static void
remove_ours(struct mbox *m, const char *lock)
{
	char words[200], there[256];
	int fd = openat(m->parent, lock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : pread(fd, there, sizeof there - 1, 0);
	const char *after;

	fd_close(&fd);
	if (n <= 0 || !lock_words(m, words))
		return;
	there[n] = '\0';
	after = strchr(there, ' ');
	if (after && strcmp(after, words) == 0 && unlinkat(m->parent, lock, 0) == 0)
		log_info("mailbox %s: removed the .lock file of a delivery that did not end", m->what);
}

/* True: we have FILE.lock, or there can be none. False: somebody else has it, or errno. */
static bool
dotlock(struct mbox *m)
{
	char lock[256], words[200] = "\n", line[256];
	int fd;

	if (m->no_dotlock)
		return true;
	dotlock_name(m, lock);
	fd = openat(m->parent, lock, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	if (fd == -1 && (errno == EACCES || errno == EPERM || errno == EROFS)) {
		log_info("mailbox %s: no .lock file can be made (%s); fcntl locks alone are used",
		    m->what, strerror(errno));
		m->no_dotlock = true;
		return true;
	}
	if (fd == -1 && errno == EEXIST) {
		remove_stale(m, lock);
		remove_ours(m, lock);
		errno = EEXIST;
	}
	if (fd == -1)
		return false;
	(void)lock_words(m, words);
	snprintf(line, sizeof line, "%d%s", (int)getpid(), words);
	if (!file_write(fd, text(line))) {	/* no space: an empty lock is one, too */
		log_debug("mailbox %s: .lock file without our pid", m->what);
	}
	fd_close(&fd);
	m->dotlocked = true;
	return true;
}

static void
unlock(struct mbox *m)
{
	char lock[256];

	if (m->dotlocked) {
		dotlock_name(m, lock);
		unlinkat(m->parent, lock, 0);
		m->dotlocked = false;
	}
	fd_close(&m->fd);		/* the fcntl lock goes with it */
}

/* The file that has the name now is the one we hold open. */
static bool
still_there(struct mbox *m)
{
	struct stat a, b;

	return fstat(m->fd, &a) == 0 && fstatat(m->parent, m->name, &b, AT_SYMLINK_NOFOLLOW) == 0
	    && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* errno: EAGAIN or EEXIST when somebody has it. */
static bool
lock_once(struct mbox *m)
{
	char why[160];
	int saved;

	m->fd = open_file(m, true, why, sizeof why);
	if (m->fd == -1)
		return false;
	if (fcntl_lock(m->fd, F_WRLCK) && dotlock(m)) {
		if (still_there(m))
			return true;
		errno = EAGAIN;
	}
	saved = errno == EACCES ? EAGAIN : errno;
	unlock(m);
	errno = saved;
	return false;
}

static bool repair(struct mbox *m);

static bool
lock(struct mbox *m)
{
	uint64_t until = clock_mono_ms() + (uint64_t)m->wait_ms;

	while (!lock_once(m)) {
		struct timespec t = { 0, LOCK_STEP_MS * 1000000L };

		if (errno != EAGAIN && errno != EEXIST)
			return false;
		if (clock_mono_ms() >= until) {
			errno = ETIMEDOUT;
			return false;
		}
		nanosleep(&t, NULL);
	}
	if (repair(m))
		return true;
	int saved = errno;

	unlock(m);
	errno = saved;
	return false;
}

/* ---- what a crash left ---- */

/* Position of the last line that begins with "From ", below `end`; `end` when there is none. */
static bool
last_from_line(int fd, uint64_t end, uint64_t *at)
{
	unsigned char *p = mem_alloc(CHUNK + 5);
	uint64_t high = end;
	bool good = true;

	*at = end;
	while (good && high > 0 && *at == end) {
		uint64_t low = high > CHUNK ? high - CHUNK : 0;
		size_t n = (size_t)((end - low < CHUNK + 5) ? end - low : CHUNK + 5);

		good = file_pread(fd, p, n, (off_t)low);
		for (size_t i = n; good && i-- > 0; )
			if (p[i] == 'F' && n - i >= 5 && memcmp(p + i, "From ", 5) == 0
			    && (i > 0 ? p[i - 1] == '\n' : low == 0)) {
				*at = low + i;
				break;
			}
		high = low == 0 ? 0 : low + 1;	/* the octet before an F at low was not seen */
	}
	mem_free(p);
	return good;
}

/* True: the line at `at` was begun and never got its date. */
static bool
is_unfinished(int fd, uint64_t at, uint64_t end)
{
	unsigned char line[1200];
	size_t n = end - at < sizeof line ? (size_t)(end - at) : sizeof line, lf;

	if (!file_pread(fd, line, n, (off_t)at))
		return false;
	lf = bytes_find(bytes_of(line, n), '\n');
	if (lf == n)
		return n < sizeof line;		/* cut off in the line itself */
	return bytes_ends(bytes_of(line, lf), text(MBOX_UNFINISHED));
}

static bool
cut_off(struct mbox *m, uint64_t at, uint64_t size, const char *what)
{
	if (ftruncate(m->fd, (off_t)at) == -1 || fsync(m->fd) == -1)
		return false;
	log_warn("mailbox %s: took off %llu octets of %s that a crash left unfinished",
	    m->what, (unsigned long long)(size - at), what);
	return true;
}

/* Where a file system puts the size on disk before the data, a power cut leaves NULs. */
static bool
cut_nuls(struct mbox *m, uint64_t *size)
{
	unsigned char p[4096];
	uint64_t end = *size;

	for (;;) {
		size_t n = end < sizeof p ? (size_t)end : sizeof p, left = n;

		if (n == 0 || !file_pread(m->fd, p, n, (off_t)(end - n)))
			return n == 0;
		while (left > 0 && p[left - 1] == '\0')
			left--;
		end -= n - left;
		if (left > 0)
			break;
	}
	if (end == *size)
		return true;
	if (!cut_off(m, end, *size, "an append"))
		return false;
	*size = end;
	return true;
}

static bool
cut_unfinished(struct mbox *m, uint64_t size)
{
	uint64_t at;

	for (;;) {
		if (!last_from_line(m->fd, size, &at))
			return false;
		if (at == size || !is_unfinished(m->fd, at, size))
			break;
		if (!cut_off(m, at, size, "an append"))
			return false;
		size = at;
	}
	m->clean_size = size;
	return true;
}

/* ---- removal: the side file ---- */

struct redo {
	uint64_t	ino, old_size, from, octets;
	uint32_t	sum;		/* of the octets */
};

static void
redo_name(const struct mbox *m, char out[256])
{
	snprintf(out, 256, "%s.redo", m->stem);
}

static void
put_redo(struct buf *out, const struct redo *r)
{
	buf_text(out, REDO_MAGIC);
	buf_u64(out, r->ino);
	buf_u64(out, r->old_size);
	buf_u64(out, r->from);
	buf_u64(out, r->octets);
	buf_u32(out, r->sum);
	buf_u64(out, 0);
	buf_u64(out, 0);
	buf_u32(out, crc32_of(0, buf_bytes(out)));
}

static uint64_t
get_number(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static bool
get_redo(const unsigned char p[REDO_HEADER], struct redo *r)
{
	if (memcmp(p, REDO_MAGIC, 8) != 0
	    || get_number(p + 60, 4) != crc32_of(0, bytes_of(p, 60)))
		return false;
	*r = (struct redo){ get_number(p + 8, 8), get_number(p + 16, 8), get_number(p + 24, 8),
	    get_number(p + 32, 8), (uint32_t)get_number(p + 40, 4) };
	return r->octets <= r->old_size && r->from <= r->old_size - r->octets;
}

/* Copies n octets; *sum goes on over them. */
static bool
copy_range(int from, uint64_t at, int to, uint64_t to_at, uint64_t n, uint32_t *sum)
{
	unsigned char *p = mem_alloc(CHUNK);
	bool good = true;

	while (good && n > 0) {
		size_t some = n < CHUNK ? (size_t)n : CHUNK;

		good = file_pread(from, p, some, (off_t)at)
		    && (to == -1 || file_pwrite(to, bytes_of(p, some), (off_t)to_at));
		*sum = crc32_of(*sum, bytes_of(p, some));
		at += some;
		to_at += some;
		n -= some;
	}
	mem_free(p);
	return good;
}

/* Puts the side file's octets where they belong. What was appended behind (by a program that came in
 * between a crash and us) follows them. */
static bool
apply_redo(struct mbox *m, int side, const struct redo *r)
{
	struct stat st;
	uint64_t size, extra;
	uint32_t sum = 0;

	if (fstat(m->fd, &st) == -1)
		return false;
	size = (uint64_t)st.st_size;
	extra = size > r->old_size ? size - r->old_size : 0;
	if (!copy_range(side, REDO_HEADER, m->fd, r->from, r->octets, &sum)
	    || !copy_range(m->fd, r->old_size, m->fd, r->from + r->octets, extra, &sum)
	    || ftruncate(m->fd, (off_t)(r->from + r->octets + extra)) == -1)
		return false;
	return fsync(m->fd) == 0;
}

static bool
drop_redo(struct mbox *m)
{
	char name[256];

	redo_name(m, name);
	return unlinkat(m->state, name, 0) == 0 && dir_sync(m->state);
}

/* A side file whose octets check and which is about the file as it is now. */
static bool
is_due(struct mbox *m, int side, struct redo *r)
{
	unsigned char head[REDO_HEADER];
	uint32_t sum = 0;
	struct stat st;

	if (!file_pread(side, head, sizeof head, 0) || !get_redo(head, r)
	    || fstat(m->fd, &st) == -1 || st.st_ino != r->ino
	    || (uint64_t)st.st_size < r->old_size)	/* it was cut: that is the last step */
		return false;
	if (!copy_range(side, REDO_HEADER, -1, 0, r->octets, &sum) || sum != r->sum)
		return false;
	if ((uint64_t)st.st_size == r->old_size)
		return true;
	/* It has grown since: if the octets are in their place, it was cut before that. */
	sum = 0;
	return copy_range(m->fd, r->from, -1, 0, r->octets, &sum) && sum != r->sum;
}

static bool
finish_removal(struct mbox *m)
{
	char name[256];
	struct redo r;
	int side;
	bool good = true;

	redo_name(m, name);
	side = file_open(m->state, name, O_RDONLY, 0);
	if (side == -1)
		return errno == ENOENT;
	if (is_due(m, side, &r)) {
		log_warn("mailbox %s: completing a removal that a crash cut short", m->what);
		good = apply_redo(m, side, &r);
	}
	fd_close(&side);
	return good && drop_redo(m);
}

static bool
repair(struct mbox *m)
{
	struct stat st;
	uint64_t size;

	if (!finish_removal(m) || fstat(m->fd, &st) == -1)
		return false;
	size = (uint64_t)st.st_size;
	if (size == m->clean_size && st.st_ino == m->clean_ino)
		return true;
	m->clean_ino = st.st_ino;
	return cut_nuls(m, &size) && cut_unfinished(m, size);
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

/* Nothing half-written stays; should this fail too, the next to hold the lock does it. */
static void
take_back(struct mbox *m, uint64_t end)
{
	int saved = errno;

	if (ftruncate(m->fd, (off_t)end) == -1 || fsync(m->fd) == -1)
		log_errno("mailbox %s: cannot take a failed append off", m->what);
	m->clean_size = 0;
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

static void
deliver_some(struct mbox *m, const struct delivery *d, size_t n, enum outcome *outcome,
    struct buf *reply)
{
	int fault[MAILBOX_BATCH];

	if (lock(m)) {
		append_all(m, d, n, fault);
		unlock(m);
	} else {
		int saved = errno;

		for (size_t i = 0; i < n; i++)
			fault[i] = saved;
	}
	for (size_t i = 0; i < n; i++)
		outcome[i] = mailbox_outcome(fault[i], &reply[i]);
}

void
mbox_deliver(struct mbox *m, const struct delivery *d, size_t n, enum outcome *outcome,
    struct buf *reply)
{
	while (n > 0) {
		size_t some = n < MAILBOX_BATCH ? n : MAILBOX_BATCH;

		deliver_some(m, d, some, outcome, reply);
		d += some;
		outcome += some;
		reply += some;
		n -= some;
	}
}

static bool
unlock_with(struct mbox *m, bool good)
{
	int saved = errno;

	unlock(m);
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
	m->clean_size = end;
	m->clean_ino = st.st_ino;
	return true;
}

bool
mbox_append(struct mbox *m, const struct delivery *d, size_t n, uint64_t *starts)
{
	struct append *a = mem_array(n, sizeof *a);
	bool good = lock(m) && unlock_with(m, append_together(m, d, n, a));

	for (size_t i = 0; good && i < n; i++)
		starts[i] = a[i].start;
	mem_free(a);
	return good;
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
	return lock(m) && unlock_with(m, split_file(m, key, changed));
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
	return lock(m) && unlock_with(m, get_part(m, key, p, out));
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

	if (!lock(m) || !unlock_with(m, from_line(m, p, line, sizeof line) && fstat(m->fd, &st) == 0))
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

/* Writes the side file: what stands from the first message that goes to the end, without those that
 * go. -1: errno. */
static int
write_redo(struct mbox *m, const size_t *which, size_t n, struct redo *r)
{
	char name[256];
	struct buf head;
	uint64_t at = m->part[which[0]].at;
	int side;
	bool good;

	*r = (struct redo){ m->ino, m->size, at, 0, 0 };
	redo_name(m, name);
	unlinkat(m->state, name, 0);
	side = file_open(m->state, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (side == -1)
		return -1;
	good = true;
	for (size_t i = 0; good && i < n; i++) {
		uint64_t from = m->part[which[i]].next;
		uint64_t to = i + 1 < n ? m->part[which[i + 1]].at : m->size;

		good = copy_range(m->fd, from, side, REDO_HEADER + r->octets, to - from, &r->sum);
		r->octets += to - from;
	}
	buf_init(&head, REDO_HEADER);
	put_redo(&head, r);
	good = good && file_pwrite(side, buf_bytes(&head), 0) && fsync(side) == 0
	    && dir_sync(m->state);
	buf_fini(&head);
	if (!good) {
		int saved = errno;

		unlinkat(m->state, name, 0);
		fd_close(&side);
		errno = saved;
	}
	return side;
}

static bool
remove_locked(struct mbox *m, const unsigned char key[16], const size_t *which, size_t n)
{
	struct redo r;
	bool changed, good;
	int side;

	if (!split_file(m, key, &changed))
		return false;
	if (changed) {
		errno = ESTALE;
		return false;
	}
	side = write_redo(m, which, n, &r);
	if (side == -1)
		return false;
	good = apply_redo(m, side, &r);
	fd_close(&side);
	m->ino = 0;			/* split it anew */
	m->clean_size = 0;
	return good && drop_redo(m);
}

bool
mbox_remove(struct mbox *m, const unsigned char key[16], const size_t *which, size_t n)
{
	if (n == 0)
		return true;
	return lock(m) && unlock_with(m, remove_locked(m, key, which, n));
}
