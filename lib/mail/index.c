/* SPDX-License-Identifier: ISC */
#include "mail/index_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/little.h"
#include "base/log.h"
#include "base/mem.h"

#define PAGE		4096u
#define SPARE		(1u << 20)	/* octets that a file may be too long by, and four times */

/* Like the log, one for the process: known before it is confined, and the same for all mailboxes. */
static unsigned char boot_id[16];

void
index_boot(const unsigned char id[16])
{
	memcpy(boot_id, id, sizeof boot_id);
}

bool
index_boot_host(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	unsigned char words[36];	/* a UUID with its hyphens, RFC 9562 section 4 */
	struct buf hex, id;
	bool good = fd != -1 && file_pread(fd, words, sizeof words, 0);

	fd_close(&fd);
	if (!good)
		return false;
	buf_init(&hex, sizeof words);
	buf_init(&id, sizeof boot_id);
	for (size_t i = 0; i < sizeof words; i++)
		if (words[i] != '-')
			buf_char(&hex, words[i]);
	good = hex_decode(buf_bytes(&hex), &id) && id.n == sizeof boot_id;
	if (good)
		index_boot(id.p);
	buf_fini(&hex);
	buf_fini(&id);
	errno = EINVAL;
	return good;
}

static bool
our_boot(const unsigned char id[16])
{
	static const unsigned char none[16];

	return memcmp(id, boot_id, sizeof boot_id) == 0 && memcmp(id, none, sizeof none) != 0;
}

/* ---- files ---- */

void
index_clear(const struct index *x, const char *name)
{
	if (unlinkat(x->dir, name, 0) == -1 && (errno == EISDIR || errno == EPERM))
		(void)unlinkat(x->dir, name, AT_REMOVEDIR);
}

bool
index_rename(const struct index *x, const char *from, const char *to)
{
	if (renameat(x->dir, from, x->dir, to) == 0)
		return true;
	if (errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST)
		return false;
	index_clear(x, to);
	return renameat(x->dir, from, x->dir, to) == 0;
}

int
index_open(const struct index *x, const char *name, int flags)
{
	int fd = file_open(x->dir, name, flags, 0600);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0) {
		errno = EPERM;
		if (st.st_uid == geteuid())
			return fd;
	}
	fd_close(&fd);
	return -1;
}

const char *
index_fault(int fault)
{
	return fault == EINVAL || fault == ELOOP || fault == ENXIO || fault == EISDIR ? "it was no file of ours"
	    : fault == EPERM ? "it was another user's" : strerror(fault);
}

bool
index_fill(int fd, uint64_t from, uint64_t to)
{
	static const unsigned char zero[16 * PAGE];

	while (from < to) {
		size_t n = to - from < sizeof zero ? (size_t)(to - from) : sizeof zero;

		if (!file_pwrite(fd, bytes_of(zero, n), (off_t)from))
			return false;
		from += n;
	}
	return true;
}

bool
index_map(struct mapping *m, int fd, size_t n, bool write)
{
	void *p = mmap(NULL, n, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return false;
	*m = (struct mapping){ p, n };
	return true;
}

void
index_unmap(struct mapping *m)
{
	if (m->p)
		munmap(m->p, m->n);
	*m = (struct mapping){ NULL, 0 };
}

/* ---- what several processes see ---- */

static void
store_serial(struct index *x, uint64_t serial)
{
	unsigned char octets[8];
	uint64_t v;

	little_put_u64(octets, serial);
	memcpy(&v, octets, sizeof v);
	__atomic_store_n((uint64_t *)(void *)(x->map.p + INDEX_SERIAL_AT), v, __ATOMIC_SEQ_CST);
}

uint64_t
index_serial(const struct index *x)
{
	unsigned char octets[8];
	uint64_t v;

	if (!x->loaded)
		return 0;
	v = __atomic_load_n((const uint64_t *)(const void *)(x->map.p + INDEX_SERIAL_AT), __ATOMIC_SEQ_CST);
	memcpy(octets, &v, sizeof v);
	return little_u64(octets);
}

/* Whatever is written before or after this call is seen before or after it, whenever we are killed. */
static void
store_busy(struct index *x, bool busy)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n((uint32_t *)(void *)(x->map.p + INDEX_BUSY_AT), busy ? UINT32_MAX : 0, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- having it ---- */

struct index *
index_new(int dir, const char *stem, const char *what)
{
	struct index *x = mem_alloc(sizeof *x);

	must(strlen(stem) <= LOCK_FILE_STEM_MAX);
	x->dir = dir;
	x->fd = -1;
	x->what = mem_text(what);
	snprintf(x->name, sizeof x->name, "%s.index", stem);
	snprintf(x->new_name, sizeof x->new_name, "%s.index.new", stem);
	snprintf(x->data_name, sizeof x->data_name, "%s.data", stem);
	snprintf(x->data_new, sizeof x->data_new, "%s.data.new", stem);
	lock_file_init(&x->lock, dir, stem);
	index_data_init(x);
	return x;
}

/* The mapping or the memory with the records. */
static void
let_go(struct index *x)
{
	if (x->fd != -1) {
		index_unmap(&x->map);
		fd_close(&x->fd);
	} else {
		mem_free(x->map.p);
		x->map = (struct mapping){ NULL, 0 };
	}
	x->checked = 0;
}

void
index_free(struct index **x)
{
	if (!*x)
		return;
	index_data_flush(*x);
	index_data_fini(*x);
	let_go(*x);
	lock_file_fini(&(*x)->lock);
	mem_free((*x)->gone);
	mem_free((*x)->what);
	mem_free(*x);
	*x = NULL;
}

bool
index_forget(int dir, const char *stem)
{
	static const char *const endings[] = { "index", "data" };

	for (size_t i = 0; i < LEN(endings); i++) {
		char name[LOCK_FILE_STEM_MAX + 16];

		snprintf(name, sizeof name, "%s.%s", stem, endings[i]);
		if (unlinkat(dir, name, 0) == -1 && errno != ENOENT && errno != EISDIR)
			return false;		/* a folder of that name: index_load knows what to do */
	}
	return true;
}

bool index_shared(const struct index *x) { return x->fd != -1; }
size_t index_count(const struct index *x) { return x->h.count; }
uint64_t index_highest(const struct index *x) { return x->h.highest; }

void
index_state(const struct index *x, unsigned char out[INDEX_STATE])
{
	memcpy(out, x->h.state, INDEX_STATE);
}

static unsigned char *
record_at(const struct index *x, size_t i)
{
	return x->map.p + INDEX_HEADER + i * INDEX_RECORD;
}

static struct bytes
records_of(const struct index *x)
{
	return bytes_of(record_at(x, 0), (size_t)x->h.count * INDEX_RECORD);
}

/* Octets that a file for so many records has: with room for half as many again, in whole pages. */
static size_t
octets_for(size_t count)
{
	uint64_t n = INDEX_HEADER + (count + count / 2 + 1) * (uint64_t)INDEX_RECORD;

	if (n > INDEX_FILE_MAX)
		n = INDEX_FILE_MAX;
	return (size_t)((n + PAGE - 1) / PAGE * PAGE);
}

/* A new file in place of what is there, with what x->h says and these records, which may be our own.
 * False: errno, and all is as it was. */
static bool
make_file(struct index *x, struct bytes records)
{
	struct mapping map = { NULL, 0 };
	size_t size = octets_for(records.n / INDEX_RECORD);
	struct stat st = { 0 };
	int fd;
	bool good;

	index_clear(x, x->new_name);
	fd = index_open(x, x->new_name, O_RDWR | O_CREAT | O_EXCL);
	good = fd != -1 && fstat(fd, &st) == 0 && index_fill(fd, 0, size) && index_map(&map, fd, size, true);
	if (good) {
		x->h.inode = st.st_ino;
		index_put_header(map.p, &x->h);
		if (records.n > 0)
			memcpy(map.p + INDEX_HEADER, records.p, records.n);
		if (x->fd != -1)
			store_serial(x, 0);	/* who has the old one mapped shall know */
		good = index_rename(x, x->new_name, x->name);
		if (!good && x->fd != -1)
			store_serial(x, x->h.serial);
	}
	if (!good) {
		int saved = errno;

		index_unmap(&map);
		if (fd != -1)
			(void)unlinkat(x->dir, x->new_name, 0);
		fd_close(&fd);
		errno = saved;
		return false;
	}
	let_go(x);
	x->fd = fd;
	x->dev = st.st_dev;
	x->ino = st.st_ino;
	x->home = file_home(&st);
	x->map = map;
	x->checked = x->h.serial;
	return true;
}

/* Whose file it was, it is dead: others shall not go on with it while we go on without. */
static void
retire_file(struct index *x)
{
	struct stat st;

	if (x->fd == -1)
		return;
	store_busy(x, true);
	store_serial(x, 0);
	if (fstatat(x->dir, x->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == x->ino && st.st_dev == x->dev)
		(void)unlinkat(x->dir, x->name, 0);
}

/* The same records, on the heap. errno says why. */
static void
use_memory(struct index *x, struct bytes records)
{
	struct mapping map = { NULL, octets_for(records.n / INDEX_RECORD) };

	if (!x->told_memory)
		log_errno("mailbox %s: its index lives in memory: cannot make the file", x->what);
	x->told_memory = true;
	map.p = mem_alloc(map.n);
	index_put_header(map.p, &x->h);
	if (records.n > 0)
		memcpy(map.p + INDEX_HEADER, records.p, records.n);
	retire_file(x);
	let_go(x);
	x->map = map;
	x->retry_ms = clock_mono_ms() + RETRY_MS;
}

/* ---- loading ---- */

/* Others make the file longer; only a stranger makes it shorter. */
static bool
still_there(struct index *x)
{
	struct stat st;

	if (x->fd == -1 || fstatat(x->dir, x->name, &st, AT_SYMLINK_NOFOLLOW) == -1
	    || st.st_ino != x->ino || st.st_dev != x->dev)
		return false;
	x->home = file_home(&st);
	if ((uint64_t)st.st_size == x->map.n)
		return true;
	index_unmap(&x->map);
	if (st.st_size >= INDEX_HEADER && (uint64_t)st.st_size <= INDEX_FILE_MAX + PAGE
	    && index_map(&x->map, x->fd, (size_t)st.st_size, true))
		return true;
	fd_close(&x->fd);
	return false;
}

/* False: errno, and what we have is as it was. */
static bool
open_file(struct index *x)
{
	int fd = index_open(x, x->name, O_RDWR);
	struct mapping map;
	struct stat st;
	bool good = fd != -1 && fstat(fd, &st) == 0;

	if (good) {
		errno = EINVAL;
		good = st.st_size >= INDEX_HEADER && (uint64_t)st.st_size <= INDEX_FILE_MAX + PAGE
		    && index_map(&map, fd, (size_t)st.st_size, true);
	}
	if (!good) {
		fd_close(&fd);
		return false;
	}
	let_go(x);
	x->fd = fd;
	x->dev = st.st_dev;
	x->ino = st.st_ino;
	x->home = file_home(&st);
	x->map = map;
	return true;
}

/* NULL: what is mapped is the truth. Else why it is not. */
static const char *
doubt(struct index *x, uint32_t uidvalidity, uint64_t told)
{
	struct bytes file = bytes_of(x->map.p, x->map.n);
	struct index_header h;

	if (!index_get_header(file, &h))
		return "it was damaged";
	if (little_u32(file.p + INDEX_BUSY_AT) != 0)
		return "a process died while it changed it";
	if (h.inode != x->home)
		return "it was copied or restored";
	if (h.uidvalidity != uidvalidity)
		return "it was of another UIDVALIDITY";
	if (h.serial != x->checked && !our_boot(h.boot) && told > h.highest)
		return "the host was started since";
	/* Each time: another program may have written into the file since, and what it wrote would be put back with a
	 * checksum that is right. */
	if (!index_sound(file, &h, &x->live))
		return "it was damaged";
	x->h = h;
	x->checked = h.serial;
	x->last_uid = h.count > 0 ? little_u32(record_at(x, h.count - 1) + 4) : 0;
	return NULL;
}

/* Nothing is known any more but which mod-sequences may not come again. */
static void
drop(struct index *x, uint32_t uidvalidity, uint64_t told)
{
	memset(&x->h, 0, sizeof x->h);
	x->h.uidvalidity = uidvalidity;
	memcpy(x->h.boot, boot_id, sizeof boot_id);
	random_fill(&x->h.serial, sizeof x->h.serial);	/* not one that anybody had from another file */
	x->h.serial |= 1;
	x->h.highest = told > 0 ? told : 1;
	x->live = x->last_uid = 0;
	if (!make_file(x, bytes_of(NULL, 0)))
		use_memory(x, bytes_of(NULL, 0));
}

/* Far fewer than there were: what a file keeps for them is given back. */
static void
make_shorter(struct index *x)
{
	if (x->fd != -1 && x->map.n > SPARE + 4 * (INDEX_HEADER + records_of(x).n))
		(void)make_file(x, records_of(x));
}

/* True: the memory is what we go on with; or it is a file now. */
static bool
stay_in_memory(struct index *x, uint32_t uidvalidity)
{
	if (!x->loaded || x->fd != -1 || x->h.uidvalidity != uidvalidity)
		return false;
	if (clock_mono_ms() < x->retry_ms)
		return true;
	x->retry_ms = clock_mono_ms() + RETRY_MS;
	if (open_file(x))		/* somebody could make one: it is everybody's */
		return false;
	if (make_file(x, records_of(x))) {
		log_info("mailbox %s: its index is in a file again", x->what);
		x->told_memory = false;
	}
	return true;
}

/* NULL: the records are the truth. "": there is no file. Else what is wrong with it. */
static const char *
find_records(struct index *x, uint32_t uidvalidity, uint64_t told)
{
	const char *why;

	if (stay_in_memory(x, uidvalidity))
		return NULL;
	if (!still_there(x) && !open_file(x))
		return errno == ENOENT ? "" : index_fault(errno);
	why = doubt(x, uidvalidity, told);
	if (!why)
		make_shorter(x);
	return why;
}

static void
now_loaded(struct index *x)
{
	x->loaded = true;
	x->seen_changed = false;
	if (memcmp(x->h.boot, boot_id, sizeof boot_id) != 0) {	/* kept all the same: it is of this one now */
		index_begin(x);
		index_touch(x);
		memcpy(x->h.boot, boot_id, sizeof boot_id);
		index_end(x);
	}
	index_data_load(x);
}

void
index_load(struct index *x, uint32_t uidvalidity, uint64_t told)
{
	const char *why;

	must(!x->changing);
	why = find_records(x, uidvalidity, told);
	if (why && *why)
		log_info("mailbox %s: index made anew: %s", x->what, why);
	if (why)
		drop(x, uidvalidity, told);
	now_loaded(x);
}

bool
index_look(struct index *x, uint32_t uidvalidity)
{
	must(!x->changing);
	if (find_records(x, uidvalidity, UINT64_MAX) == NULL) {
		now_loaded(x);
		return true;
	}
	let_go(x);
	memset(&x->h, 0, sizeof x->h);
	x->loaded = false;
	return false;
}

/* ---- records ---- */

static bool
is_gone(const struct index *x, size_t i)
{
	return x->gone && i < x->ngone && (x->gone[i / 8] >> i % 8 & 1);
}

bool
index_get(const struct index *x, size_t i, struct index_mail *out)
{
	if (i >= x->h.count || is_gone(x, i))
		return false;
	index_read_record(record_at(x, i), out);
	return true;
}

size_t
index_find(const struct index *x, uint32_t uid)
{
	size_t low = 0, high = x->h.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (little_u32(record_at(x, mid) + 4) < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void
index_begin(struct index *x)
{
	must(x->loaded && !x->changing);
	x->changing = true;
}

/* Not in index_begin: a change that changes nothing makes no page dirty. */
void
index_touch(struct index *x)
{
	must(x->changing);
	if (!x->touched)
		store_busy(x, true);
	x->touched = true;
}

static void
touch_records(struct index *x)
{
	index_touch(x);
	x->records_changed = true;
}

static void
close_gaps(struct index *x)
{
	size_t to = x->first_gone;

	for (size_t i = to; i < x->h.count; i++)
		if (!is_gone(x, i))
			memmove(record_at(x, to++), record_at(x, i), INDEX_RECORD);
	x->h.count = (uint32_t)to;
	x->last_uid = to > 0 ? little_u32(record_at(x, to - 1) + 4) : 0;
	mem_free(x->gone);
	x->gone = NULL;
}

void
index_end(struct index *x)
{
	must(x->changing);
	if (x->seen_changed)
		index_touch(x);
	if (x->gone)
		close_gaps(x);
	if (x->records_changed) {
		x->h.serial = x->h.serial + 1 != 0 ? x->h.serial + 1 : 1;
		x->checked = x->h.serial;
	}
	if (x->touched) {
		index_put_header(x->map.p, &x->h);
		store_busy(x, false);
	}
	if (x->seen_changed)
		index_data_note_seen(x);
	x->seen_changed = x->records_changed = x->touched = x->changing = false;
}

void
index_raise(struct index *x, uint64_t highest)
{
	must(x->changing);
	if (highest <= x->h.highest)
		return;
	touch_records(x);
	x->h.highest = highest;
}

void
index_set_state(struct index *x, const unsigned char state[INDEX_STATE])
{
	must(x->changing);
	if (memcmp(x->h.state, state, INDEX_STATE) == 0)
		return;
	index_touch(x);
	memcpy(x->h.state, state, INDEX_STATE);
}

/* A new file that cannot be mapped, a disk that is full: then the records go on in memory. */
static void
make_longer(struct index *x)
{
	size_t size = octets_for(x->h.count + 1);
	struct mapping map;

	if (x->fd == -1) {
		x->map.p = mem_resize(x->map.p, size);
		memset(x->map.p + x->map.n, 0, size - x->map.n);
		x->map.n = size;
	} else if (index_fill(x->fd, x->map.n, size) && index_map(&map, x->fd, size, true)) {
		index_unmap(&x->map);
		x->map = map;
	} else
		use_memory(x, records_of(x));
}

bool
index_add(struct index *x, const struct index_mail *m)
{
	struct index_mail new = *m;

	must(x->changing && m->modseq > 0);
	if (x->gone && (x->h.count == INDEX_MAILS_MAX || m->uid <= x->last_uid))
		close_gaps(x);
	if (x->h.count == INDEX_MAILS_MAX || m->uid <= x->last_uid)
		return false;
	touch_records(x);
	if (INDEX_HEADER + ((uint64_t)x->h.count + 1) * INDEX_RECORD > x->map.n)
		make_longer(x);
	new.data = index_data_settle(x, m->data);
	x->h.sum += index_put_record(record_at(x, x->h.count), &new);
	x->h.count++;
	x->live += index_data_octets(new.data);
	x->last_uid = m->uid;
	index_raise(x, m->modseq);
	return true;
}

void
index_put(struct index *x, size_t i, const struct index_mail *m)
{
	unsigned char octets[INDEX_RECORD], *p = record_at(x, i);
	struct index_mail old, new = *m;

	must(x->changing && m->modseq > 0 && index_get(x, i, &old) && old.uid == m->uid);
	new.data = index_data_settle(x, m->data);
	(void)index_put_record(octets, &new);
	if (memcmp(octets, p, sizeof octets) == 0)
		return;
	touch_records(x);
	x->h.sum += (uint64_t)little_u32(octets) - little_u32(p);
	x->live += index_data_octets(new.data) - index_data_octets(old.data);
	memcpy(p, octets, sizeof octets);
	index_raise(x, m->modseq);
}

static void
mark_gone(struct index *x, size_t i)
{
	size_t had = x->gone ? x->ngone / 8 + 1 : 0, need = x->h.count / 8 + 1;

	if (!x->gone || i >= x->ngone) {
		x->gone = mem_resize(x->gone, need);
		memset(x->gone + had, 0, need - had);
		x->ngone = x->h.count;
	}
	if (had == 0 || i < x->first_gone)
		x->first_gone = i;
	x->gone[i / 8] |= (unsigned char)(1u << i % 8);
}

void
index_remove(struct index *x, size_t i)
{
	struct index_mail old;

	must(x->changing && i < x->h.count);
	if (!index_get(x, i, &old))
		return;
	touch_records(x);
	mark_gone(x, i);
	x->h.sum -= little_u32(record_at(x, i));
	x->live -= index_data_octets(old.data);
}
