/* SPDX-License-Identifier: ISC */
#include "mail/index_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/little.h"
#include "base/log.h"
#include "base/mem.h"

#define UNSETTLED	(1ull << 63)	/* a place that says: the nth that was added */
#define GATHER		(256u << 10)	/* octets that wait to be written at once */
#define ROOM		(16u << 20)	/* that are mapped beyond the file's end, for it to grow into */
#define LOCK_RETRY_MS	1000
#define DEAD_MIN	(1u << 20)	/* octets of messages that are gone, for which a file is not written anew */

void
index_data_init(struct index *x)
{
	x->data.fd = -1;
	buf_init(&x->waiting, GATHER + INDEX_DATA_MAX);
}

static void
forget_old(struct data_file *f)
{
	while (f->old) {
		struct old_mapping *o = f->old;

		f->old = o->next;
		index_unmap(&o->map);
		mem_free(o);
	}
}

static void
close_data(struct data_file *f)
{
	forget_old(f);
	index_unmap(&f->map);
	fd_close(&f->fd);
	f->size = 0;
}

void
index_data_fini(struct index *x)
{
	close_data(&x->data);
	buf_fini(&x->waiting);
	mem_free(x->place);
}

/* ---- the file ---- */

/* Says so once, and lets it be for a while. */
static void
failed(struct index *x, const char *doing)
{
	x->append_ms = x->shorten_ms = clock_mono_ms() + RETRY_MS;
	if (!x->told_data)
		log_errno("mailbox %s: cannot %s %s", x->what, doing, x->data_name);
	x->told_data = true;
}

/* Who has it too long (a process that is stopped) is not waited for again and again. */
static bool
lock_data(struct index *x)
{
	if (clock_mono_ms() < x->lock_ms)
		return false;
	if (lock_file_take(&x->lock, LOCK_DATA, INDEX_LOCK_MS))
		return true;
	x->lock_ms = clock_mono_ms() + LOCK_RETRY_MS;
	if (errno != EAGAIN)
		failed(x, "lock");
	return false;
}

static void
unlock_data(struct index *x)
{
	if (!lock_file_drop(&x->lock, LOCK_DATA))
		log_errno("mailbox %s: cannot unlock %s", x->what, x->data_name);
}

/* What is there is the file that we have open, and still one. */
static bool
same_data(const struct index *x)
{
	struct stat st;

	return x->data.fd != -1 && fstatat(x->dir, x->data_name, &st, AT_SYMLINK_NOFOLLOW) == 0
	    && st.st_ino == x->data.ino && st.st_dev == x->data.dev && st.st_size >= INDEX_DATA_HEADER;
}

static bool
take_data(struct data_file *f, int fd)
{
	unsigned char head[INDEX_DATA_HEADER];
	struct stat st;

	if (fstat(fd, &st) == -1)
		return false;
	errno = EINVAL;
	if (st.st_size < INDEX_DATA_HEADER || (uint64_t)st.st_size > INDEX_DATA_FILE_MAX
	    || !file_pread(fd, head, sizeof head, 0))
		return false;
	errno = EINVAL;
	if (!index_data_get_header(bytes_of(head, sizeof head), f->id))
		return false;
	f->fd = fd;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	return true;
}

/* f is a new one. False: errno. */
static bool
open_data(const struct index *x, struct data_file *f)
{
	int fd = index_open(x, x->data_name, O_RDWR);

	*f = (struct data_file){ .fd = -1 };
	if (fd != -1 && take_data(f, fd))
		return true;
	fd_close(&fd);
	return false;
}

/* A new one under a name of its own, with a header. -1: errno. */
static int
begin_data(struct index *x, unsigned char id[INDEX_ID])
{
	unsigned char head[INDEX_DATA_HEADER];
	int fd;

	random_fill(id, INDEX_ID);
	index_data_put_header(head, id);
	index_clear(x, x->data_new);
	fd = index_open(x, x->data_new, O_RDWR | O_CREAT | O_EXCL);
	if (fd != -1 && !file_pwrite(fd, bytes_of(head, sizeof head), 0)) {
		int saved = errno;

		(void)unlinkat(x->dir, x->data_new, 0);
		fd_close(&fd);
		errno = saved;
	}
	return fd;
}

/* Takes fd: from now on it is the file. */
static bool
finish_data(struct index *x, int fd, struct data_file *f)
{
	*f = (struct data_file){ .fd = -1 };
	if (take_data(f, fd) && index_rename(x, x->data_new, x->data_name))
		return true;
	(void)unlinkat(x->dir, x->data_new, 0);
	fd_close(&fd);
	f->fd = -1;
	return false;
}

/* A mapping of f's first n octets and room to grow. What is borrowed from the one before stays. */
static bool
map_data(struct data_file *f, uint64_t n)
{
	uint64_t room = n + (n / 2 > ROOM ? n / 2 : ROOM);
	struct old_mapping *o;
	struct mapping map;

	if (room > SIZE_MAX || (!index_map(&map, f->fd, (size_t)room, false)
	    && !index_map(&map, f->fd, (size_t)n, false)))
		return false;
	if (f->map.p) {
		o = mem_alloc(sizeof *o);
		o->map = f->map;
		o->next = f->old;
		f->old = o;
	}
	f->map = map;
	return true;
}

/* Octets up to `end` are there and can be read in the mapping. */
static bool
see(struct data_file *f, uint64_t end)
{
	struct stat st;
	uint64_t size;

	if (end <= f->size)
		return true;
	if (f->fd == -1 || fstat(f->fd, &st) == -1)
		return false;
	size = (uint64_t)st.st_size;
	if (size < end || size > INDEX_DATA_FILE_MAX || (size > f->map.n && !map_data(f, size)))
		return false;
	f->size = size;
	return true;
}

static struct bytes
seen_octets(const struct data_file *f)
{
	return bytes_of(f->map.p, (size_t)f->size);
}

/* ---- appending ---- */

/* Mailboxes that nobody opens do not fill the disk with what nobody reads. */
static bool
read_often_enough(int fd, uint64_t at)
{
	unsigned char seen[8];

	if (at <= INDEX_DATA_UNREAD_MAX)
		return true;
	if (!file_pread(fd, seen, sizeof seen, INDEX_DATA_SEEN_AT))
		return false;
	errno = 0;
	return at < little_u64(seen) || at - little_u64(seen) <= INDEX_DATA_UNREAD_MAX;
}

/* All that waits, behind what is there. 0: errno; 0 where there is nothing to complain of. */
static uint64_t
write_waiting(struct index *x, const struct data_file *f)
{
	struct buf *b = &x->waiting;
	struct stat st;
	uint64_t at;

	if (fstat(f->fd, &st) == -1)
		return 0;
	errno = 0;
	at = ((uint64_t)st.st_size + 7) / 8 * 8;
	if (st.st_size < INDEX_DATA_HEADER || at > INDEX_DATA_FILE_MAX - b->n || !read_often_enough(f->fd, at))
		return 0;
	for (size_t i = 0; i < b->n; i += little_u32(b->p + i + 8))
		index_data_stamp(b->p + i, f->id);
	return file_pwrite(f->fd, buf_bytes(b), (off_t)at) ? at : 0;
}

/* Where, in the file that we read; 0: not in it. */
static uint64_t
append(struct index *x)
{
	struct data_file now = { .fd = -1 };
	bool same = same_data(x);
	uint64_t at = 0;

	if (!same && open_data(x, &now) && (x->data.fd == -1 || !x->loaded)) {
		close_data(&x->data);
		x->data = now;
		now.fd = -1;
		same = true;
	}
	if (same || now.fd != -1)
		at = write_waiting(x, same ? &x->data : &now);
	if (at == 0 && errno != 0 && errno != ENOENT)
		failed(x, "append to");
	fd_close(&now.fd);
	return same ? at : 0;
}

void
index_data_flush(struct index *x)
{
	uint64_t at = 0;

	if (x->waiting.n == 0)
		return;
	if (clock_mono_ms() >= x->append_ms && lock_data(x)) {
		at = append(x);
		unlock_data(x);
	}
	for (; x->written < x->added; x->written++)
		x->place[x->written] = at != 0 ? x->place[x->written] + at : 0;
	buf_clear(&x->waiting);
}

bool
index_data_add(struct index *x, struct bytes name, const struct index_data *d, uint64_t *where)
{
	size_t octets = index_data_size(name, d);

	errno = EINVAL;
	if (name.n == 0 || name.n > INDEX_NAME_MAX)
		return false;
	errno = EFBIG;
	if (octets == 0)
		return false;
	if (x->waiting.n + octets > GATHER)
		index_data_flush(x);
	if (x->added == x->cap) {
		x->cap = x->cap ? x->cap * 2 : 64;
		x->place = mem_resize(x->place, x->cap * sizeof *x->place);
	}
	if (where)
		*where = UNSETTLED | x->added;
	x->place[x->added++] = index_data_place(x->waiting.n, octets);
	index_data_put(&x->waiting, name, d);
	return true;
}

uint64_t
index_data_settle(struct index *x, uint64_t place)
{
	uint64_t nth = place & ~UNSETTLED;

	if (!(place & UNSETTLED))
		return place;
	if (nth >= x->added)
		return 0;
	if (nth >= x->written)
		index_data_flush(x);
	return memcmp(x->h.data_id, x->data.id, INDEX_ID) == 0 ? x->place[nth] : 0;
}

/* ---- reading ---- */

bool
index_data(struct index *x, uint64_t at, struct bytes name, struct index_data *out)
{
	struct data_record r;

	if (at & UNSETTLED) {
		uint64_t nth = at & ~UNSETTLED;

		if (nth >= x->added)
			return false;
		at = x->place[nth];
		if (nth >= x->written) {
			must(index_data_form(buf_bytes(&x->waiting), index_data_offset(at), &r));
			*out = r.data;
			return bytes_eq(r.name, name);
		}
	}
	if (at == 0 || !see(&x->data, index_data_offset(at) + index_data_octets(at))
	    || !index_data_get(seen_octets(&x->data), index_data_offset(at), x->data.id, &r)
	    || r.octets != index_data_octets(at) || !bytes_eq(r.name, name))
		return false;
	*out = r.data;
	return true;
}

/* Up to here nobody is writing any more. 0: it cannot be told. */
static uint64_t
quiet_end(struct index *x)
{
	struct stat st;
	uint64_t end = 0;

	if (!lock_data(x))
		return 0;
	if (fstat(x->data.fd, &st) == 0)
		end = (uint64_t)st.st_size;
	unlock_data(x);
	return end;
}

void
index_data_fresh(struct index *x, void (*found)(void *arg, struct bytes name, uint64_t at), void *arg)
{
	struct data_cursor c = { .at = x->h.data_seen, .tries = INDEX_DATA_TRIES };
	struct data_record r;
	struct bytes file;
	uint64_t end, at;

	index_data_flush(x);
	if (x->data.fd == -1 || memcmp(x->h.data_id, x->data.id, INDEX_ID) != 0)
		return;
	end = quiet_end(x);
	if (end <= c.at || !see(&x->data, end))
		return;
	file = bytes_head(seen_octets(&x->data), (size_t)end);
	while (index_data_next(file, x->data.id, &c, &at, &r))
		found(arg, r.name, index_data_place(at, r.octets));
	x->h.data_seen = (end + 7) / 8 * 8;
	x->seen_changed = true;
}

void
index_data_note_seen(struct index *x)
{
	unsigned char octets[8];

	little_put_u64(octets, x->h.data_seen);
	if (x->data.fd != -1 && memcmp(x->h.data_id, x->data.id, INDEX_ID) == 0)
		(void)file_pwrite(x->data.fd, bytes_of(octets, sizeof octets), INDEX_DATA_SEEN_AT);	/* a hint */
}

/* ---- loading ---- */

/* What records name is in a file that is not there any more, or was cut: it is looked for again, by name. */
static void
begin_again(struct index *x)
{
	struct index_mail m;

	index_begin(x);
	index_touch(x);
	for (size_t i = 0; i < x->h.count; i++)
		if (index_get(x, i, &m) && m.data != 0) {
			m.data = 0;
			index_put(x, i, &m);
		}
	memcpy(x->h.data_id, x->data.id, INDEX_ID);
	x->h.data_seen = INDEX_DATA_HEADER;
	index_end(x);
}

/* ---- a shorter one, without what is of messages that are gone ---- */

struct copying {
	int		fd;
	unsigned char	id[INDEX_ID];
	struct buf	out;
	uint64_t	at;		/* where out will be written */
};

static bool
copy_out(struct copying *c)
{
	bool good = file_pwrite(c->fd, buf_bytes(&c->out), (off_t)c->at);

	c->at += c->out.n;
	buf_clear(&c->out);
	return good;
}

/* *place: where it is then. */
static bool
copy_record(struct copying *c, struct bytes record, uint64_t *place)
{
	size_t from = c->out.n;

	*place = index_data_place(c->at + from, record.n);
	buf_add(&c->out, record);
	index_data_stamp(c->out.p + from, c->id);
	return c->out.n < GATHER || copy_out(c);
}

/* What records name, then what nobody has looked at yet. place: one for each record. */
static bool
copy_data(struct index *x, struct copying *c, uint64_t *place, uint64_t *seen)
{
	struct bytes file = seen_octets(&x->data);
	struct data_cursor tail = { .at = x->h.data_seen, .tries = INDEX_DATA_TRIES };
	struct data_record r;
	struct index_mail m;
	uint64_t at;

	for (size_t i = 0; i < x->h.count; i++) {
		must(index_get(x, i, &m));
		at = index_data_offset(m.data);
		place[i] = 0;
		if (m.data != 0 && index_data_get(file, at, x->data.id, &r)
		    && !copy_record(c, bytes_of(file.p + at, r.octets), &place[i]))
			return false;
	}
	*seen = c->at + c->out.n;
	while (index_data_next(file, x->data.id, &tail, &at, &r))
		if (!copy_record(c, bytes_of(file.p + at, r.octets), &(uint64_t){ 0 }))
			return false;
	return copy_out(c);
}

static void
take_shorter(struct index *x, struct data_file *f, const uint64_t *place, uint64_t seen)
{
	struct index_mail m;

	close_data(&x->data);
	x->data = *f;
	index_begin(x);
	index_touch(x);
	for (size_t i = 0; i < x->h.count; i++) {
		must(index_get(x, i, &m));
		m.data = place[i];
		index_put(x, i, &m);
	}
	memcpy(x->h.data_id, f->id, INDEX_ID);
	x->h.data_seen = seen;
	x->seen_changed = true;
	index_end(x);
}

/* Under both locks. */
static bool
shorten(struct index *x)
{
	struct copying c = { .at = INDEX_DATA_HEADER };
	struct data_file f;
	uint64_t *place = mem_array((size_t)x->h.count + 1, sizeof *place), seen = 0;
	struct stat st;
	bool good;

	buf_init(&c.out, GATHER + INDEX_DATA_MAX);
	c.fd = begin_data(x, c.id);
	good = c.fd != -1 && fstat(x->data.fd, &st) == 0 && see(&x->data, (uint64_t)st.st_size)
	    && copy_data(x, &c, place, &seen);
	if (good)
		good = finish_data(x, c.fd, &f);
	else if (c.fd != -1) {
		(void)unlinkat(x->dir, x->data_new, 0);
		fd_close(&c.fd);
	}
	if (good)
		take_shorter(x, &f, place, seen);
	buf_fini(&c.out);
	mem_free(place);
	return good;
}

static void
shorten_if_due(struct index *x)
{
	uint64_t looked_at = x->h.data_seen - INDEX_DATA_HEADER;

	if (x->live > looked_at || looked_at - x->live <= DEAD_MIN || looked_at - x->live <= x->live
	    || clock_mono_ms() < x->shorten_ms || !lock_data(x))
		return;
	if (!shorten(x))
		failed(x, "make shorter");
	unlock_data(x);
}

/* Nothing to begin with is no fault; what is odd or damaged is replaced. */
static bool
have_data(struct index *x)
{
	unsigned char id[INDEX_ID];
	int why, fd;

	if (same_data(x))
		return true;
	close_data(&x->data);
	if (open_data(x, &x->data))
		return true;
	why = errno;
	fd = begin_data(x, id);
	if (fd == -1 || !finish_data(x, fd, &x->data))
		return false;
	if (why != ENOENT)
		log_info("mailbox %s: %s begun anew: %s", x->what, x->data_name, index_fault(why));
	return true;
}

void
index_data_load(struct index *x)
{
	struct stat st;

	index_data_flush(x);
	x->added = x->written = 0;
	forget_old(&x->data);
	if (x->data.fd == -1 && clock_mono_ms() < x->append_ms)
		return;
	if (!have_data(x) || fstat(x->data.fd, &st) == -1) {
		failed(x, "make");
		return;
	}
	if (x->data.size > (uint64_t)st.st_size)
		x->data.size = (uint64_t)st.st_size;
	if (memcmp(x->h.data_id, x->data.id, INDEX_ID) != 0 || x->h.data_seen < INDEX_DATA_HEADER
	    || x->h.data_seen > ((uint64_t)st.st_size + 7) / 8 * 8)
		begin_again(x);
	shorten_if_due(x);
}
