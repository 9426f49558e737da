/* SPDX-License-Identifier: ISC */
/*
 * mail/queue_draft.c - cleanup's side of the queue: a message becomes a file,
 * and the file durable. System calls a message are counted here: what runs in
 * this file runs for every message that comes in.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/queue_format.h"

#define ALIGN		8
#define TMP_OLD_S	86400

void
queue_id_time(int64_t wall_us, char out[QUEUE_ID_TIME + 1])
{
	struct buf b;

	buf_init(&b, QUEUE_ID_TIME);
	base32_u64(wall_us > 0 ? (uint64_t)wall_us : 0, QUEUE_ID_TIME, &b);
	must(bytes_to_text(buf_bytes(&b), out, QUEUE_ID_TIME + 1));
	buf_fini(&b);
}

/*
 * Unique over processes, restarts and clocks that were set back: the time to a
 * microsecond, later than the last of this process, and 25 random bits.
 */
static void
make_id(char id[QUEUE_ID_MAX + 1])
{
	static uint64_t last;
	uint64_t now = (uint64_t)clock_wall_us();
	struct buf b;
	uint32_t chance;

	last = now > last ? now : last + 1;
	random_fill(&chance, sizeof chance);
	buf_init(&b, QUEUE_ID_MAX);
	base32_u64(last, QUEUE_ID_TIME, &b);
	base32_u64(chance, 5, &b);
	must(bytes_to_text(buf_bytes(&b), id, QUEUE_ID_MAX + 1));
	buf_fini(&b);
}

/* The same file through /proc/self/fd, with rights of its own. */
static int
reopen(const struct queue *q, int fd, int flags)
{
	char self[16];

	snprintf(self, sizeof self, "%d", fd);
	return openat(q->proc_fd, self, flags | O_CLOEXEC);
}

static void
remove_tmp(struct queue *q, struct queue_draft *d)
{
	if (d->tmp[0] != '\0' && unlinkat(q->dir, d->tmp, 0) == -1)
		log_errno("queue %s: cannot remove %s", d->id, d->tmp);
	d->tmp[0] = '\0';
}

bool
queue_draft_open(struct queue *q, struct queue_draft *d, int *writer)
{
	*d = (struct queue_draft){ .fd = -1 };
	make_id(d->id);
	if (q->no_tmpfile) {
		snprintf(d->tmp, sizeof d->tmp, "tmp/%s", d->id);
		*writer = openat(q->dir, d->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	} else {
		/* In the directory where it will be linked: Landlock sees no move. */
		*writer = openat(q->places[QUEUE_NEW], ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	}
	if (*writer == -1)
		return false;
	d->fd = reopen(q, *writer, O_RDONLY);
	if (d->fd != -1 && lseek(*writer, QUEUE_CONTENT, SEEK_SET) == QUEUE_CONTENT)
		return true;
	fd_close(&d->fd);
	fd_close(writer);
	remove_tmp(q, d);
	return false;
}

void
queue_draft_abandon(struct queue *q, struct queue_draft *d)
{
	fd_close(&d->fd);
	remove_tmp(q, d);
}

/* ---- commit ---- */

/*
 * The kernel grants a read lease only while nobody has the file open for writing:
 * not the receiver, not a mapping, not a descriptor on its way through a socket.
 */
static bool
no_writer_left(const struct queue_draft *d)
{
	if (fcntl(d->fd, F_SETLEASE, F_RDLCK) == -1) {
		if (errno == EAGAIN) {
			log_warn("queue %s: refused: somebody can still write to it", d->id);
			errno = EBUSY;
		}
		return false;
	}
	return fcntl(d->fd, F_SETLEASE, F_UNLCK) == 0;	/* else our own opening would break it */
}

static bool
content_as_promised(const struct queue_draft *d, uint64_t octets)
{
	struct stat st;
	uint64_t size;

	if (fstat(d->fd, &st) == -1)
		return false;
	size = (uint64_t)st.st_size;
	if (size == QUEUE_CONTENT + octets || (octets == 0 && size == 0))
		return true;
	log_warn("queue %s: refused: %llu octets of content were promised, the file has %llu", d->id,
	    (unsigned long long)octets, (unsigned long long)(size > QUEUE_CONTENT ? size - QUEUE_CONTENT : 0));
	errno = EPROTO;
	return false;
}

bool
queue_draft_seal(struct queue_draft *d, uint64_t octets)
{
	d->sealed = d->sealed || (no_writer_left(d) && content_as_promised(d, octets)
	    && flock(d->fd, LOCK_EX | LOCK_NB) == 0);
	return d->sealed;
}

/* Envelope after the content, then preamble and pointers in one go. */
static bool
write_envelope(const struct queue_commit *c, int fd)
{
	unsigned char head[QUEUE_CONTENT] = { 0 };
	struct queue_preamble preamble = { .content_at = QUEUE_CONTENT, .content_octets = c->octets };
	struct queue_pointer pointer = { .generation = 1 };
	struct extent extent = { QUEUE_CONTENT, c->octets };
	struct envelope e = *c->envelope;
	struct buf records;
	bool good;

	e.extents = &extent;
	e.nextents = 1;
	buf_init(&records, ENVELOPE_MAX);
	envelope_encode(&e, &records);
	memcpy(preamble.id, c->draft->id, sizeof preamble.id);
	pointer.records_at = (QUEUE_CONTENT + c->octets + ALIGN - 1) / ALIGN * ALIGN;
	pointer.records_octets = pointer.base_octets = records.n;
	pointer.records_crc = crc32_of(0, buf_bytes(&records));
	errno = EFBIG;
	good = !records.full
	    && queue_content_crc(c->draft->fd, QUEUE_CONTENT, c->octets, &preamble.content_crc)
	    && file_pwrite(fd, buf_bytes(&records), (off_t)pointer.records_at);
	if (good) {
		queue_put_preamble(head, &preamble);
		queue_put_pointer(head + queue_pointer_at(pointer.generation), &pointer);
		good = file_pwrite(fd, bytes_of(head, sizeof head), 0);
	}
	buf_fini(&records);
	return good;
}

static bool
give_name(struct queue *q, struct queue_draft *d)
{
	char self[16];

	if (d->tmp[0] != '\0') {
		if (renameat(q->dir, d->tmp, q->places[QUEUE_NEW], d->id) == -1)
			return false;
		d->tmp[0] = '\0';
		return true;
	}
	snprintf(self, sizeof self, "%d", d->fd);
	return linkat(q->proc_fd, self, q->places[QUEUE_NEW], d->id, AT_SYMLINK_FOLLOW) == 0;
}

/* All but the fsync. Returns the descriptor to be synced, -1 with c->fault set. */
static int
prepare(struct queue *q, struct queue_commit *c)
{
	int fd = -1;

	if (queue_draft_seal(c->draft, c->octets)
	    && (fd = reopen(q, c->draft->fd, O_WRONLY)) != -1
	    && write_envelope(c, fd)
	    && give_name(q, c->draft))
		return fd;
	c->fault = errno;
	if (c->fault != EBUSY && c->fault != EPROTO)	/* said already */
		log_errno("queue %s: cannot be written", c->draft->id);
	fd_close(&fd);
	remove_tmp(q, c->draft);
	return -1;
}

/* A failed fsync is final: Linux reports a lost page once, a second call would lie. */
static void
take_back(struct queue *q, struct queue_commit *c, int fault)
{
	c->ok = false;
	c->fault = fault;
	log_warn("queue %s: cannot be made durable: %s", c->draft->id, strerror(fault));
	if (unlinkat(q->places[QUEUE_NEW], c->draft->id, 0) == -1)
		log_errno("queue %s: refused, yet its file cannot be removed", c->draft->id);
}

/* Where the file system's fsync of a file leaves its name behind: one for all of them. */
static void
sync_names(struct queue *q, struct queue_commit *c, size_t n)
{
	bool any = false;
	int fault;

	for (size_t i = 0; i < n; i++)
		any = any || c[i].ok;
	if (!any || !q->sync_dir || dir_sync(q->places[QUEUE_NEW]))
		return;
	fault = errno;
	for (size_t i = 0; i < n; i++)
		if (c[i].ok)
			take_back(q, &c[i], fault);
}

void
queue_commit(struct queue *q, struct queue_commit *c, size_t n)
{
	int *fds = mem_array(n, sizeof *fds);

	for (size_t i = 0; i < n; i++) {
		c[i].fault = 0;
		fds[i] = prepare(q, &c[i]);
		/* All blocks are given and on their way before the first fsync: its commit
		 * of the file system's journal then covers the others too. */
		if (n > 1 && fds[i] != -1)
			(void)sync_file_range(fds[i], 0, 0, SYNC_FILE_RANGE_WRITE);
	}
	for (size_t i = 0; i < n; i++) {
		c[i].ok = fds[i] != -1 && fsync(fds[i]) == 0;
		if (fds[i] != -1 && !c[i].ok)
			take_back(q, &c[i], errno);
	}
	sync_names(q, c, n);
	for (size_t i = 0; i < n; i++) {
		fd_close(&fds[i]);
		fd_close(&c[i].draft->fd);
	}
	mem_free(fds);
}

/* ---- what a crash left, where files have names from the start ---- */

static bool
remove_old(void *arg, const char *name)
{
	struct queue *q = arg;
	char path[80];
	struct stat st;

	snprintf(path, sizeof path, "tmp/%s", name);
	if (fstatat(q->dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)
	    && clock_wall_s() - st.st_mtime > TMP_OLD_S && unlinkat(q->dir, path, 0) == 0)
		log_info("queue: removed %s, left by a message that was never complete", path);
	return true;
}

void
queue_clean_tmp(struct queue *q)
{
	int tmp = dir_open(q->dir, "tmp");

	if (tmp != -1)
		queue_walk_names(tmp, remove_old, q);
	fd_close(&tmp);
}
