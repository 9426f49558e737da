/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/queue_format.h"

#define ALIGN		8
#define FIRST_READ	16384u	/* of a small message: all there is to know */
#define DELTA_LEAST	65536u	/* changes up to this never make an update write the whole envelope */
#define BUCKET_S	60
#define YOUNG_S		120	/* what was written before it is on disk; Linux writes after 35 s at the latest, as it comes */
#define SUB_DIGITS	8		/* of a directory in later/ or down/, in hex */

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC	0x58465342
#endif

const char *const queue_place_name[QUEUE_PLACES] = {
	[QUEUE_NEW] = "new", [QUEUE_ACTIVE] = "active", [QUEUE_LATER] = "later",
	[QUEUE_DOWN] = "down", [QUEUE_HOLD] = "hold", [QUEUE_CORRUPT] = "corrupt",
};

/* ---- the directories ---- */

/*
 * Whose fsync of a file makes durable the name that was linked before it: ext4 and
 * XFS, whose journal holds link and inode in one transaction, and all that was done to
 * other files before in this one or earlier ones; in memory nothing is durable. Of all others the
 * directory is synced too.
 */
static bool
needs_sync_dir(int dir, unsigned long type)
{
	switch (type) {
	case EXT4_SUPER_MAGIC:
		return !file_ext4_ordered(dir);
	case XFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
		return false;
	}
	return true;
}

/* Whose syncfs is known to bring all to the disk; one that a server stands behind may think that it is done. */
static bool
has_sync_whole(unsigned long type)
{
	return type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC || type == BTRFS_SUPER_MAGIC || type == F2FS_SUPER_MAGIC;
}

static unsigned long
type_of(int dir)
{
	struct statfs fs;

	return fstatfs(dir, &fs) == 0 ? (unsigned long)fs.f_type : 0;
}

enum { SYNC_AUTO, SYNC_YES, SYNC_NO };
const char *const queue_sync_words[] = { [SYNC_AUTO] = "auto", [SYNC_YES] = "yes", [SYNC_NO] = "no", NULL };

void
queue_sync_as(struct queue *q, unsigned word)
{
	if (word != SYNC_AUTO)
		q->sync_dir = word == SYNC_YES;
}

static bool
has_tmpfile(int dir)
{
	int fd = openat(dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	bool has = fd != -1 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT);

	fd_close(&fd);
	return has;
}

bool
queue_open(struct queue *q, int dir, int proc_fd)
{
	*q = (struct queue){ .dir = fcntl(dir, F_DUPFD_CLOEXEC, 0), .proc_fd = proc_fd };
	for (int i = 0; i < QUEUE_PLACES; i++)
		q->places[i] = -1;
	if (q->dir == -1) {
		log_errno("queue: cannot keep its directory");
		return false;
	}
	for (int i = 0; i < QUEUE_PLACES; i++)
		if (!dir_make(dir, queue_place_name[i], 0700)
		    || (q->places[i] = dir_open(dir, queue_place_name[i])) == -1) {
			log_errno("queue: cannot open its directory %s", queue_place_name[i]);
			queue_close(q);
			return false;
		}
	if (!dir_make(dir, "tmp", 0700) || !dir_sync(dir)) {	/* mail must not outlive its folder's name */
		log_errno("queue: cannot make its directories");
		queue_close(q);
		return false;
	}
	q->sync_dir = needs_sync_dir(q->places[QUEUE_NEW], type_of(q->places[QUEUE_NEW]));
	q->sync_whole = has_sync_whole(type_of(q->places[QUEUE_NEW]));
	q->no_tmpfile = !has_tmpfile(q->places[QUEUE_NEW]);
	return true;
}

void
queue_close(struct queue *q)
{
	for (int i = 0; i < QUEUE_PLACES; i++)
		fd_close(&q->places[i]);
	fd_close(&q->dir);
}

bool
queue_space(const struct queue *q, uint64_t *octets, uint64_t *inodes)
{
	struct statvfs fs;

	if (fstatvfs(q->dir, &fs) == -1)
		return false;
	*octets = (uint64_t)fs.f_bavail * fs.f_frsize;
	*inodes = fs.f_files > 0 ? fs.f_favail : UINT64_MAX;	/* 0: it has no such limit */
	return true;
}

/* ---- reading a message ---- */

/* The queue id: the last component, without the hash of later/. False: no name of ours. */
static bool
id_of(const char *name, char id[QUEUE_ID_MAX + 1])
{
	struct bytes s = text(name);
	size_t slash = bytes_rfind(s, '/');

	if (slash < s.n)
		s = bytes_skip(s, slash + 1);
	s = bytes_head(s, bytes_find(s, '-'));
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]))
			return false;
	return s.n > 0 && bytes_to_text(s, id, QUEUE_ID_MAX + 1);
}

static ssize_t
read_head(int fd, unsigned char *head)
{
	ssize_t got;

	do {
		got = pread(fd, head, FIRST_READ, 0);
	} while (got == -1 && errno == EINTR);
	return got;
}

/* Where everything stands goes to m, the envelope to e. */
static enum queue_read
read_state(struct queue_message *m, struct arena *a, struct envelope *e)
{
	static unsigned char head[FIRST_READ];
	struct queue_source s = { .fd = m->fd };
	struct queue_state state;
	enum queue_read r;
	ssize_t got = read_head(m->fd, head);
	struct stat st;

	if (got == -1)
		return QUEUE_TROUBLE;
	s.head = bytes_of(head, (size_t)got);
	s.size = (uint64_t)got;
	if (got == FIRST_READ) {
		if (fstat(m->fd, &st) == -1)
			return QUEUE_TROUBLE;
		s.size = (uint64_t)st.st_size;
	}
	r = queue_read_state(&s, a, &state, e);
	m->generation = state.pointer.generation;
	m->records_at = state.pointer.records_at;
	m->records_octets = state.pointer.records_octets;
	m->base_octets = state.pointer.base_octets;
	m->records_crc = state.pointer.records_crc;
	m->content_crc = state.preamble.content_crc;
	m->content_octets = state.preamble.content_octets;
	return r;
}

static enum queue_read
read_message(struct queue_message *m)
{
	m->arena = arena_new(ENVELOPE_ARENA);
	return read_state(m, m->arena, &m->envelope);
}

enum queue_read
queue_message_open(struct queue *q, enum queue_place place, const char *name, struct queue_message **out)
{
	struct queue_message *m = mem_alloc(sizeof *m);
	enum queue_read r;
	int saved;

	*out = NULL;
	m->place = place;
	m->fd = -1;
	if (strlen(name) >= sizeof m->name || !id_of(name, m->id)) {
		queue_message_free(&m);
		return QUEUE_DAMAGED;
	}
	memcpy(m->name, name, strlen(name) + 1);
	m->fd = openat(q->places[place], name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (m->fd == -1)
		r = errno == ENOENT ? QUEUE_GONE : errno == ELOOP ? QUEUE_DAMAGED : QUEUE_TROUBLE;
	else
		r = read_message(m);
	if (r == QUEUE_READ || r == QUEUE_FOREIGN) {
		*out = m;
		return r;
	}
	saved = errno;
	if (r == QUEUE_TROUBLE && (saved == EISDIR || saved == ESPIPE))
		r = QUEUE_DAMAGED;
	queue_message_free(&m);
	errno = saved;
	return r;
}

enum queue_read
queue_message_take(struct bytes id, int fd, struct queue_message **out)
{
	struct queue_message *m = mem_alloc(sizeof *m);
	enum queue_read r = QUEUE_DAMAGED;
	char name[QUEUE_ID_MAX + 1];
	int saved;

	*out = NULL;
	m->fd = fd;
	if (bytes_to_text(id, name, sizeof name) && id_of(name, m->id))
		r = read_message(m);
	if (r == QUEUE_READ) {
		*out = m;
		return r;
	}
	saved = errno;
	queue_message_free(&m);
	errno = saved;
	return r;
}

struct queue_message *
queue_message_adopt(struct bytes id, int fd, uint64_t content_octets, struct bytes records)
{
	struct queue_message *m = mem_alloc(sizeof *m);
	char name[QUEUE_ID_MAX + 1];

	m->fd = fd;
	m->place = QUEUE_NEW;
	m->arena = arena_new(ENVELOPE_ARENA);
	m->content_octets = content_octets;
	if (!bytes_to_text(id, name, sizeof name) || !id_of(name, m->id) || strcmp(name, m->id) != 0
	    || !envelope_decode(arena_copy(m->arena, records), m->arena, &m->envelope)) {
		queue_message_free(&m);
		return NULL;
	}
	memcpy(m->name, m->id, sizeof m->id);
	m->envelope.nextents = 1;
	m->envelope.extents = arena_array(m->arena, 1, sizeof *m->envelope.extents);
	m->envelope.extents[0] = (struct extent){ QUEUE_CONTENT, content_octets };
	return m;
}

bool
queue_message_placed(struct queue_message *m)
{
	struct arena *a = arena_new(ENVELOPE_ARENA);
	struct envelope same;
	enum queue_read r = read_state(m, a, &same);

	arena_free(&a);
	if (r != QUEUE_READ)
		log_warn("queue %s: what was committed cannot be read", m->id);
	return r == QUEUE_READ;
}

bool
queue_message_is_placed(struct queue *q, const struct queue_message *m)
{
	struct stat ours, named;

	return fstat(m->fd, &ours) == 0
	    && fstatat(q->places[m->place], m->name, &named, AT_SYMLINK_NOFOLLOW) == 0
	    && ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

size_t
queue_message_names(const struct queue_message *m)
{
	struct stat st;

	return fstat(m->fd, &st) == 0 ? st.st_nlink : 0;
}

void
queue_message_free(struct queue_message **m)
{
	if (!*m)
		return;
	fd_close(&(*m)->fd);
	arena_free(&(*m)->arena);
	mem_free(*m);
	*m = NULL;
}

enum queue_read
queue_message_verify(const struct queue_message *m)
{
	const struct envelope *e = &m->envelope;
	struct stat st;
	uint32_t crc = 0;

	if (fstat(m->fd, &st) == -1)
		return QUEUE_TROUBLE;
	if (st.st_nlink == 0)		/* refused or removed since it was opened */
		return QUEUE_GONE;
	for (size_t i = 0; i < e->nextents; i++)
		if (!queue_content_crc(m->fd, e->extents[i].offset, e->extents[i].octets, &crc))
			return QUEUE_TROUBLE;
	return crc == m->content_crc ? QUEUE_READ : QUEUE_DAMAGED;
}

bool
queue_lock(struct queue_message *m)
{
	return flock(m->fd, LOCK_EX | LOCK_NB) == 0;
}

bool
queue_message_is_current(struct queue *q, const struct queue_message *m)
{
	struct queue_message now = { .fd = m->fd };
	struct arena *a = arena_new(ENVELOPE_ARENA);
	struct envelope e;
	enum queue_read r = read_state(&now, a, &e);

	arena_free(&a);
	return r == QUEUE_READ && now.generation == m->generation && now.records_crc == m->records_crc && queue_message_is_placed(q, m);
}

/* ---- changing one ---- */

/* Where the file's last octet in use is: records after it hurt neither content nor the present state. */
static uint64_t
end_in_use(const struct queue_message *m)
{
	uint64_t end = m->records_at + m->records_octets;

	for (size_t i = 0; i < m->envelope.nextents; i++) {
		const struct extent *x = &m->envelope.extents[i];

		if (x->offset + x->octets > end)
			end = x->offset + x->octets;
	}
	return (end + ALIGN - 1) / ALIGN * ALIGN;
}

/*
 * What is to be written, and the pointer to it: the changes, right behind the
 * records that there are; or the whole envelope in a place of its own, once the
 * changes have grown beyond it.
 */
static bool
encode_update(struct queue_message *m, struct buf *out, struct queue_pointer *p)
{
	uint64_t grown = m->records_octets - m->base_octets;

	buf_init(out, ENVELOPE_RECORDS);
	*p = (struct queue_pointer){ .generation = m->generation + 1, .records_at = m->records_at };
	envelope_encode_changes(&m->envelope, out);
	if (!m->rewrite && !out->full
	    && (grown + out->n <= DELTA_LEAST || grown + out->n <= m->base_octets)
	    && m->records_octets + out->n <= ENVELOPE_RECORDS) {
		p->records_octets = m->records_octets + out->n;
		p->base_octets = m->base_octets;
		p->records_crc = crc32_of(m->records_crc, buf_bytes(out));
		return true;
	}
	buf_clear(out);
	envelope_encode(&m->envelope, out);
	p->records_at = end_in_use(m);
	p->records_octets = p->base_octets = out->n;
	p->records_crc = crc32_of(0, buf_bytes(out));
	return !out->full;
}

/*
 * What was read may have been written by a process that ended before its sync. To write the next pointer then would leave
 * neither the old one nor a new one on disk for certain: so that one is synced first. The first generation needs no
 * such care: who was told of it waited for its sync, and nobody counts on what nobody was told of. What is older than the
 * kernel keeps anything to itself is on disk. many: others will follow, for whom one sync will do.
 */
static bool
make_sure(struct queue *q, struct queue_message *m, bool many)
{
	struct stat st;
	int64_t now_s = clock_wall_s();

	if (m->durable || q->durable || m->generation <= 1)
		return true;
	if (fstat(m->fd, &st) == -1)
		return false;
	if (st.st_mtime <= now_s && now_s - st.st_mtime >= YOUNG_S)
		m->durable = true;
	else if (many && q->sync_whole)
		q->durable = syncfs(q->dir) == 0;
	else
		m->durable = fdatasync(m->fd) == 0;
	return m->durable || q->durable;
}

static bool
write_update(struct queue *q, const struct queue_message *m, struct bytes records, const struct queue_pointer *p)
{
	unsigned char sector[QUEUE_SECTOR];
	char self[16];
	bool good;
	int fd;

	snprintf(self, sizeof self, "%d", m->fd);
	fd = openat(q->proc_fd, self, O_WRONLY | O_CLOEXEC);
	queue_put_pointer(sector, p);
	good = fd != -1
	    && file_pwrite(fd, records, (off_t)(p->records_at + p->records_octets - records.n))
	    && file_pwrite(fd, bytes_of(sector, sizeof sector), (off_t)queue_pointer_at(p->generation));
	fd_close(&fd);
	return good;
}

static bool
update_failed(struct queue *q, struct queue_message *m)
{
	log_errno("queue %s: its state cannot be written", m->id);
	q->durable = false;
	queue_update_undone(m);
	return false;
}

/* *p: in the arena. */
static bool
begin_update(struct queue *q, struct queue_message *m, bool many)
{
	struct queue_pointer *p = arena_array(m->arena, 1, sizeof *p);
	struct buf records;
	bool good = encode_update(m, &records, p);

	if (!good)
		errno = EFBIG;
	good = good && make_sure(q, m, many) && write_update(q, m, buf_bytes(&records), p);
	buf_fini(&records);
	if (!good)
		return update_failed(q, m);
	m->written = p;
	return true;
}

bool
queue_update_write(struct queue *q, struct queue_message *m)
{
	if (!begin_update(q, m, true))
		return false;
	(void)sync_file_range(m->fd, 0, 0, SYNC_FILE_RANGE_WRITE);	/* it is on its way when it is waited for */
	return true;
}

bool
queue_update_settle(struct queue *q, struct queue_message *m)
{
	if (q->sync_dir && q->sync_whole)
		return true;
	if (!q->sync_dir) {
		if (sync_file_range(m->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE
		    | SYNC_FILE_RANGE_WAIT_AFTER) == 0)
			return true;
		if (errno != EPERM && errno != ENOSYS && errno != EINVAL)
			return update_failed(q, m);	/* an error of the disk */
	}
	return fdatasync(m->fd) == 0 || update_failed(q, m);
}

/* A time that is set now is in the journal behind all that was done to the others. */
bool
queue_update_sync(struct queue *q, struct queue_message *m)
{
	if (!q->sync_dir)
		return (futimens(m->fd, NULL) == 0 && fsync(m->fd) == 0) || update_failed(q, m);
	return !q->sync_whole || syncfs(q->dir) == 0 || update_failed(q, m);
}

void
queue_update_done(struct queue_message *m)
{
	const struct queue_pointer *p = m->written;

	must(p);
	m->generation = p->generation;
	m->records_at = p->records_at;
	m->records_octets = p->records_octets;
	m->base_octets = p->base_octets;
	m->records_crc = p->records_crc;
	m->written = NULL;
	m->rewrite = false;
	m->durable = true;
}

void
queue_update_undone(struct queue_message *m)
{
	m->written = NULL;
	m->rewrite = true;
}

bool
queue_update(struct queue *q, struct queue_message *m)
{
	if (!begin_update(q, m, false))
		return false;
	if (fdatasync(m->fd) == -1)
		return update_failed(q, m);
	queue_update_done(m);
	return true;
}

/* ---- moving one ---- */

void
queue_hop_hash(struct bytes nexthop, char hash[QUEUE_HASH + 1])
{
	static const unsigned char key[16] = "hermod next hop";	/* names on disk outlive processes */

	snprintf(hash, QUEUE_HASH + 1, "%08x", (unsigned)hash_keyed(key, nexthop));
}

bool
queue_hop(const struct envelope *e, char hash[QUEUE_HASH + 1])
{
	struct bytes hop = { 0 };
	bool any = false;

	for (size_t i = 0; i < e->nrcpts; i++) {
		const struct recipient *r = &e->rcpts[i];

		if (r->state != RCPT_WAITING)
			continue;
		if (any && !bytes_case_eq(hop, r->nexthop)) {
			any = false;
			break;
		}
		hop = r->nexthop;
		any = true;
	}
	if (any)
		queue_hop_hash(hop, hash);
	else
		memcpy(hash, "m", 2);
	return any;
}

/* What the name in later/ or down/ begins with, a directory that may have to be made first. */
static void
sub_of(const struct queue_message *m, enum queue_place to, const char *hash, char sub[SUB_DIGITS + 1])
{
	int64_t next_s = m->envelope.next_s, minute = 0;	/* a time that cannot be: due at once */

	if (to == QUEUE_DOWN) {
		memcpy(sub, hash, QUEUE_HASH + 1);
		return;
	}
	if (next_s > 0 && next_s / BUCKET_S < UINT32_MAX)
		minute = next_s / BUCKET_S + (next_s % BUCKET_S > 0);
	snprintf(sub, SUB_DIGITS + 1, "%08x", (unsigned)minute);
}

static bool
name_in(const struct queue_message *m, enum queue_place to, char *name, size_t cap, char sub[SUB_DIGITS + 1])
{
	char hash[QUEUE_HASH + 1];
	int n;

	if (to != QUEUE_LATER && to != QUEUE_DOWN) {
		n = snprintf(name, cap, "%s", m->id);
	} else {
		must(queue_hop(&m->envelope, hash) || to == QUEUE_LATER);
		sub_of(m, to, hash, sub);
		n = to == QUEUE_DOWN ? snprintf(name, cap, "%s/%s", sub, m->id)
		    : snprintf(name, cap, "%s/%s-%s", sub, m->id, hash);
	}
	return n > 0 && (size_t)n < cap;
}

/* Durable before anything moves into it: a name must not be kept where its directory is lost. */
static bool
make_sub(int place, const char *sub)
{
	return dir_make(place, sub, 0700) && dir_sync(place);
}

bool
queue_move(struct queue *q, struct queue_message *m, enum queue_place to)
{
	char name[sizeof m->name], sub[SUB_DIGITS + 1] = "";
	int from = q->places[m->place];

	must(name_in(m, to, name, sizeof name, sub));
	if (renameat(from, m->name, q->places[to], name) == -1
	    && (errno != ENOENT || sub[0] == '\0' || !make_sub(q->places[to], sub)
	    || renameat(from, m->name, q->places[to], name) == -1)) {
		log_errno("queue %s: cannot be moved from %s/ to %s/", m->id,
		    queue_place_name[m->place], queue_place_name[to]);
		return false;
	}
	m->place = to;
	memcpy(m->name, name, sizeof name);
	return true;
}

bool
queue_remove(struct queue *q, struct queue_message *m)
{
	if (unlinkat(q->places[m->place], m->name, 0) == 0 || errno == ENOENT) {	/* somebody else may have */
		m->name[0] = '\0';
		return true;
	}
	log_errno("queue %s: is done, but cannot be removed from %s/", m->id, queue_place_name[m->place]);
	return false;
}

/* rename would overwrite what is set aside already under that name, and link is refused for files
 * of others (fs.protected_hardlinks). Only qmgr sets aside, so nobody comes between. */
static bool
move_aside(struct queue *q, int from, const char *name, const char *base, char *as, size_t cap)
{
	struct stat st;

	for (int i = 0; i < 1000; i++) {
		snprintf(as, cap, i == 0 ? "%s" : "%s.%d", base, i);
		if (fstatat(q->places[QUEUE_CORRUPT], as, &st, AT_SYMLINK_NOFOLLOW) == -1)
			return errno == ENOENT && renameat(from, name, q->places[QUEUE_CORRUPT], as) == 0;
	}
	errno = EEXIST;
	return false;
}

bool
queue_set_aside(struct queue *q, enum queue_place place, const char *name)
{
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	char as[NAME_MAX + 16];

	if (place == QUEUE_CORRUPT)
		return true;
	if (!move_aside(q, q->places[place], name, base, as, sizeof as)) {
		log_errno("queue: %s/%s is damaged and cannot be set aside", queue_place_name[place],
		    log_text(text(name)));
		return false;
	}
	log_warn("queue: %s/%s is damaged: set aside as corrupt/%s", queue_place_name[place],
	    log_text(text(name)), log_text(text(as)));
	return true;
}

/* ---- walking ---- */

bool
queue_walk_names(int dir, bool (*each)(void *arg, const char *name), void *arg)
{
	DIR *d = dir_stream(dir, ".");
	struct dirent *entry;
	bool good = d != NULL;

	while (good && (errno = 0, entry = readdir(d)) != NULL)
		good = entry->d_name[0] == '.' || each(arg, entry->d_name);
	if (good && errno != 0)
		good = false;
	if (d)
		closedir(d);
	return good;
}

struct walk {
	struct queue	*q;
	enum queue_place place;	/* later/ or down/ */
	bool		(*each)(void *arg, const char *name);
	void		*arg;
	const char	*bucket;	/* that is being walked */
	int64_t		 now_s, latest_s;
	int64_t		 first_s;	/* queue_next_due */
};

static bool
in_bucket(void *arg, const char *name)
{
	struct walk *w = arg;
	char path[SUB_DIGITS + 1 + NAME_MAX + 1];

	snprintf(path, sizeof path, "%s/%s", w->bucket, name);
	return w->each(w->arg, path);
}

static bool
walk_bucket(struct walk *w, const char *bucket)
{
	int fd = dir_open(w->q->places[w->place], bucket);
	bool good;

	if (fd == -1)
		return true;		/* gone, or not a directory */
	w->bucket = bucket;
	good = queue_walk_names(fd, in_bucket, w);
	close(fd);
	return good;
}

/* The time that a bucket's name says; -1: not a bucket. */
static int64_t
bucket_time(const char *name)
{
	char *tail;

	if (strlen(name) != SUB_DIGITS || strspn(name, "0123456789abcdef") != SUB_DIGITS)
		return -1;
	return (int64_t)strtoul(name, &tail, 16) * BUCKET_S;
}

static bool
any_bucket(void *arg, const char *name)
{
	return bucket_time(name) == -1 || walk_bucket(arg, name);	/* so are named those of down/, too */
}

bool
queue_walk(struct queue *q, enum queue_place place, bool (*each)(void *arg, const char *name), void *arg)
{
	struct walk w = { .q = q, .place = place, .each = each, .arg = arg };

	if (place == QUEUE_LATER || place == QUEUE_DOWN)
		return queue_walk_names(q->places[place], any_bucket, &w);
	return queue_walk_names(q->places[place], each, arg);
}

static bool
sync_sub(void *arg, const char *name)
{
	struct walk *w = arg;
	int fd = bucket_time(name) == -1 ? -1 : dir_open(w->q->places[w->place], name);
	bool good = fd == -1 || dir_sync(fd);	/* one that is gone has nothing left to sync */

	fd_close(&fd);
	return good;
}

bool
queue_settle_names(struct queue *q)
{
	struct walk w = { .q = q };

	if (!q->sync_dir)
		return true;
	if (q->sync_whole)
		return syncfs(q->dir) == 0;
	for (w.place = 0; w.place < QUEUE_PLACES; w.place++)
		if (!dir_sync(q->places[w.place]) || ((w.place == QUEUE_LATER || w.place == QUEUE_DOWN)
		    && !queue_walk_names(q->places[w.place], sync_sub, &w)))
			return false;
	return true;
}

/* Nothing has come or gone for so long that the disk knows of it, whatever the file system. */
static bool
is_at_rest(struct queue *q, const char *bucket)
{
	int64_t now_s = clock_wall_s();
	struct stat st;

	return fstatat(q->places[QUEUE_LATER], bucket, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime <= now_s
	    && now_s - st.st_mtime >= YOUNG_S;
}

static bool
due_bucket(void *arg, const char *name)
{
	struct walk *w = arg;
	int64_t at = bucket_time(name);

	if (at == -1 || (at > w->now_s && at <= w->latest_s))
		return true;
	if (!walk_bucket(w, name))
		return false;
	if (at + BUCKET_S <= w->now_s && is_at_rest(w->q, name))	/* nothing new comes into it: remove it, if it is empty */
		(void)unlinkat(w->q->places[QUEUE_LATER], name, AT_REMOVEDIR);
	return true;
}

bool
queue_walk_due(struct queue *q, int64_t now_s, int64_t latest_s, bool (*each)(void *arg, const char *name), void *arg)
{
	struct walk w = { .q = q, .place = QUEUE_LATER, .each = each, .arg = arg, .now_s = now_s, .latest_s = latest_s };

	return queue_walk_names(q->places[QUEUE_LATER], due_bucket, &w);
}

static bool
first_bucket(void *arg, const char *name)
{
	struct walk *w = arg;
	int64_t at = bucket_time(name);

	if (at != -1 && at < w->first_s)
		w->first_s = at;
	return true;
}

int64_t
queue_next_due(struct queue *q)
{
	struct walk w = { .q = q, .first_s = INT64_MAX };

	queue_walk_names(q->places[QUEUE_LATER], first_bucket, &w);
	return w.first_s;
}
