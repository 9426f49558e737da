/* SPDX-License-Identifier: ISC */
/*
 * What a crash may leave of an mbox, and how it is made whole: an append that was begun, a removal half-way. A removal
 * writes first to a side file what is to follow the gap.
 */
#include "mail/mbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define REDO_MAGIC	"HERMREDO"
#define REDO_HEADER	64

/* ---- an append ---- */

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

bool
mbox_cut_out(struct mbox *m, const size_t *which, size_t n)
{
	struct redo r;
	int side = write_redo(m, which, n, &r);
	bool good;

	if (side == -1)
		return false;
	good = apply_redo(m, side, &r);
	fd_close(&side);
	m->ino = 0;			/* split it anew */
	m->clean_size = 0;
	return good && drop_redo(m);
}

/* ---- both ---- */

bool
mbox_repair(struct mbox *m)
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
