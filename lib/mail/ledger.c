/* SPDX-License-Identifier: ISC */
#include "mail/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/little.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/lock_file.h"
#include "mail/mailbox.h"

#define TRIM_SLACK	1000		/* names that are gone and kept: they may come back from a backup */
#define GROWN_SLACK	(1u << 20)	/* octets that a copy may have beyond twice what it needs */
#define APPEND_SHORT	512		/* octets that a disk writes at once */
#define FLAGS_RECORD	(LEDGER_RECORD + 4)

/* ---- what is known ---- */

struct entry {
	struct bytes	name;		/* in copy[].file or in the arena */
	uint32_t	uid;
	uint32_t	flags;		/* enum mail_flag */
	uint32_t	at;		/* its record in both copies; 0: it has none */
	bool		here;
};

struct copy {
	char		name[LEDGER_STEM_MAX + 16], new_name[LEDGER_STEM_MAX + 20];
	struct buf	file;		/* owned; what was read */
	bool		readable;	/* has a header of ours */
	bool		clean;		/* and nothing but records behind it */
	bool		absent;
	struct ledger_header header;
	size_t		good;		/* octets up to the last record that checks */
	uint32_t	chain;		/* after them */
	size_t		given;		/* messages in them */
	uint64_t	floor;		/* header's, or a record's */
	/* As it was when we last looked or wrote: unchanged, it need not be read. */
	struct stat	st;
};

struct ledger {
	int		 dir;		/* borrowed */
	struct lock_file lock;
	char		*what;		/* owned */
	struct copy	 copy[2];
	bool		 loaded;	/* what follows is what the files say */
	bool		 behind;	/* the copies could not be brought to what follows */
	bool		 unborn;	/* nothing of what follows was ever written */
	bool		 made;		/* since it was locked: nobody was told of any of it */
	struct ledger_header header;	/* uidnext and modseq_floor are the present ones */
	struct arena	*names;		/* owned */
	struct entry	*entry;		/* owned; by rising UID */
	size_t		 n, cap, here;
	uint32_t	*slot;		/* owned; hash table of the first `slotted` entries: index + 1, 0 is free */
	size_t		 slots;		/* a power of two; 0: there is no table */
	size_t		 slotted;
	size_t		 octets;	/* that the records of all entries need */
	uint32_t	 above;		/* UIDVALIDITYs up to this one are not chosen */
};

struct ledger *
ledger_new(int dir, const char *stem, const char *what)
{
	struct ledger *l = mem_alloc(sizeof *l);

	must(strlen(stem) <= LEDGER_STEM_MAX);
	l->dir = dir;
	l->what = mem_text(what);
	l->names = arena_new(LEDGER_MAX);
	lock_file_init(&l->lock, dir, stem);
	for (int i = 0; i < 2; i++) {
		struct copy *c = &l->copy[i];

		snprintf(c->name, sizeof c->name, "%s.ledger%s", stem, i == 0 ? "" : "2");
		snprintf(c->new_name, sizeof c->new_name, "%s.ledger%s.new", stem, i == 0 ? "" : "2");
		buf_init(&c->file, LEDGER_MAX);
	}
	return l;
}

void
ledger_free(struct ledger **l)
{
	if (!*l)
		return;
	for (int i = 0; i < 2; i++)
		buf_fini(&(*l)->copy[i].file);
	lock_file_fini(&(*l)->lock);
	arena_free(&(*l)->names);
	mem_free((*l)->entry);
	mem_free((*l)->slot);
	mem_free((*l)->what);
	mem_free(*l);
	*l = NULL;
}

void ledger_above(struct ledger *l, uint32_t uidvalidity) { l->above = uidvalidity; }
uint32_t ledger_uidvalidity(const struct ledger *l) { return l->header.uidvalidity; }
size_t ledger_count(const struct ledger *l) { return l->n; }
uint32_t ledger_uidnext(const struct ledger *l) { return l->header.uidnext; }
const unsigned char *ledger_key(const struct ledger *l) { return l->header.key; }

static uint32_t *
probe(const struct ledger *l, struct bytes name)
{
	size_t i = (size_t)hash_bytes(name) & (l->slots - 1);

	while (l->slot[i] != 0 && !bytes_eq(l->entry[l->slot[i] - 1].name, name))
		i = (i + 1) & (l->slots - 1);
	return &l->slot[i];
}

static void
forget_slots(struct ledger *l)
{
	mem_free(l->slot);
	l->slot = NULL;
	l->slots = l->slotted = 0;
}

/* The slot where name is, or the free one where it would be. Only a look at a directory asks for names: the table,
 * half full at most, is made when somebody does. */
static uint32_t *
slot_of(struct ledger *l, struct bytes name)
{
	if (!l->slot || l->slots < l->cap * 2) {
		forget_slots(l);
		l->slots = l->cap ? l->cap * 2 : 2;
		l->slot = mem_array(l->slots, sizeof *l->slot);
	}
	for (; l->slotted < l->n; l->slotted++)		/* a name twice: the later counts */
		*probe(l, l->entry[l->slotted].name) = (uint32_t)(l->slotted + 1);
	return probe(l, name);
}

static void
make_room(struct ledger *l, size_t n)
{
	if (n <= l->cap)
		return;
	l->cap = l->cap ? l->cap : 256;
	while (l->cap < n)
		l->cap *= 2;
	l->entry = mem_resize(l->entry, l->cap * sizeof *l->entry);
}

static void
forget_all(struct ledger *l)
{
	arena_reset(l->names);
	l->n = l->here = l->octets = 0;
	forget_slots(l);
}

static struct entry *
add_entry(struct ledger *l, struct bytes name, uint32_t uid)
{
	make_room(l, l->n + 1);
	l->entry[l->n] = (struct entry){ .name = name, .uid = uid };
	l->octets += LEDGER_RECORD + name.n + FLAGS_RECORD;
	return &l->entry[l->n++];
}

/* ---- locks ---- */

bool
ledger_lock(struct ledger *l, int64_t wait_ms)
{
	l->made = false;
	if (lock_file_take(&l->lock, LOCK_LEDGER, wait_ms))
		return true;
	if (errno == EAGAIN)
		errno = ETIMEDOUT;
	return false;
}

void
ledger_unlock(struct ledger *l)
{
	if (!lock_file_drop(&l->lock, LOCK_LEDGER))
		log_errno("mailbox %s: cannot unlock the ledger", l->what);
}

bool
ledger_lock_session(struct ledger *l)
{
	return lock_file_take(&l->lock, LOCK_SESSION, 0);
}

/* ---- writing ---- */

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size
	    && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static uint32_t
put_flags(struct buf *out, uint32_t chain, uint32_t uid, uint32_t flags)
{
	unsigned char octets[4];
	struct ledger_record r = { LEDGER_FLAGS, uid, bytes_of(octets, sizeof octets) };

	little_put_u32(octets, flags);
	return ledger_put_record(out, chain, &r);
}

/* Of several with one name the last one counts: the others' at is 0. */
static void
mark_lasting(struct ledger *l)
{
	for (size_t i = 0; i < l->n; i++)
		l->entry[i].at = *slot_of(l, l->entry[i].name) == i + 1;
}

static uint32_t
put_all(struct ledger *l, struct buf *out)
{
	uint32_t chain = ledger_put_header(out, &l->header);

	for (size_t i = 0; i < l->n; i++) {
		struct entry *e = &l->entry[i];
		struct ledger_record r = { LEDGER_GIVEN, e->uid, e->name };

		if (e->at == 0)
			continue;
		e->at = (uint32_t)out->n;
		chain = ledger_put_record(out, chain, &r);
		if (e->flags != 0)
			chain = put_flags(out, chain, e->uid, e->flags);
	}
	return chain;
}

/* A whole copy, under a name of its own until it is on disk. -1: errno. */
static int
begin_copy(struct ledger *l, struct copy *c)
{
	struct buf out;
	struct stat st;
	int fd;
	bool good;

	unlinkat(l->dir, c->new_name, 0);	/* what a crash left: we hold the lock */
	fd = file_open(l->dir, c->new_name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd == -1)
		return -1;
	buf_init(&out, LEDGER_MAX);
	good = fstat(fd, &st) == 0;
	l->header.inode = st.st_ino;
	c->header = l->header;
	c->floor = l->header.modseq_floor;
	c->chain = put_all(l, &out);
	c->good = out.n;
	if (good && out.full) {
		errno = EFBIG;
		good = false;
	}
	good = good && file_write(fd, buf_bytes(&out));
	buf_fini(&out);
	if (!good)
		fd_close(&fd);
	else
		(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);	/* on its way while the other is written */
	return fd;
}

/* Both are on disk before either is named; on a file system with a journal one commit serves both. */
static bool
finish_copies(struct ledger *l, const int fd[2])
{
	for (int i = 0; i < 2; i++)
		if (fd[i] == -1 || fsync(fd[i]) == -1)
			return false;
	for (int i = 0; i < 2; i++)
		if (renameat(l->dir, l->copy[i].new_name, l->dir, l->copy[i].name) == -1
		    || fstat(fd[i], &l->copy[i].st) == -1)
			return false;
	return dir_sync(l->dir);
}

static bool
write_both(struct ledger *l)
{
	int fd[2] = { -1, -1 }, fault;
	bool good;

	l->header.generation++;
	l->behind = true;
	mark_lasting(l);
	fd[0] = begin_copy(l, &l->copy[0]);
	if (fd[0] != -1)
		fd[1] = begin_copy(l, &l->copy[1]);
	good = finish_copies(l, fd);
	fault = errno;
	for (int i = 0; i < 2; i++) {
		fd_close(&fd[i]);
		if (!good)
			unlinkat(l->dir, l->copy[i].new_name, 0);
	}
	errno = fault;
	if (!good)
		return false;
	l->behind = l->unborn = false;
	return true;
}

/* ---- reading ---- */

static void
judge(struct copy *c)
{
	struct ledger_cursor k;
	struct ledger_record r;

	c->readable = c->clean = false;
	c->good = c->given = 0;
	if (!ledger_begin(buf_bytes(&c->file), &c->header, &k))
		return;
	c->readable = true;
	c->floor = c->header.modseq_floor;
	while (ledger_next(&k, &r)) {
		c->given += r.type == LEDGER_GIVEN;
		if (r.type == LEDGER_FLOOR && r.name.n == 8 && little_u64(r.name.p) > c->floor)
			c->floor = little_u64(r.name.p);
	}
	c->clean = !k.damaged;
	c->good = c->file.n - k.rest.n;
	c->chain = k.chain;
}

/* Both have the same octets, but for the inode: they need not be counted again. */
static bool
judge_as(struct copy *c, const struct copy *known)
{
	struct bytes a = buf_bytes(&c->file), b = buf_bytes(&known->file);
	struct ledger_cursor k;

	if (!known->readable || !ledger_begin(a, &c->header, &k) || a.n != b.n
	    || memcmp(a.p, b.p, 24) != 0 || memcmp(a.p + 32, b.p + 32, 28) != 0
	    || !bytes_eq(k.rest, bytes_skip(b, LEDGER_HEADER)))
		return false;
	c->readable = true;
	c->clean = known->clean;
	c->good = known->good;
	c->given = known->given;
	c->chain = known->chain;
	c->floor = known->floor;
	return true;
}

/* ENOENT, or something that is no file, is a copy lost; what else keeps us from it is not. */
static bool
is_lost(int fault)
{
	return fault == ENOENT || fault == ELOOP || fault == EINVAL || fault == ENXIO || fault == EFBIG || fault == EISDIR;
}

static bool
read_copy(struct ledger *l, struct copy *c)
{
	int fd = file_open(l->dir, c->name, O_RDONLY, 0), fault;
	bool good;

	buf_clear(&c->file);
	c->absent = false;
	good = fd != -1 && file_slurp_from(fd, &c->file) && fstat(fd, &c->st) == 0;	/* of the same file: a hand may remove the name */
	fault = errno;
	fd_close(&fd);
	if (good)
		return true;
	errno = fault;
	buf_clear(&c->file);
	c->absent = fault == ENOENT;
	c->readable = c->clean = false;
	c->good = 0;
	memset(&c->st, 0, sizeof c->st);
	return is_lost(fault);
}

static bool
at_home(const struct copy *c)
{
	return c->header.inode == file_home(&c->st);
}

/* The copy that knows more; of equals the clean one, and the one that is no copy of a file. */
static struct copy *
better(struct copy *a, struct copy *b)
{
	if (a->readable != b->readable)
		return a->readable ? a : b;
	if (a->header.generation != b->header.generation)
		return a->header.generation > b->header.generation ? a : b;
	if (a->good != b->good)
		return a->good > b->good ? a : b;
	if (a->clean != b->clean)
		return a->clean ? a : b;
	return at_home(a) || !at_home(b) ? a : b;
}

/* A crash while the one copy was appended to leaves the other clean, of the same generation. */
static bool
trustworthy(const struct copy *best, const struct copy *other)
{
	return best->readable && (best->clean || (other->readable && other->clean
	    && other->header.generation == best->header.generation));
}

static bool
alike(const struct copy *a, const struct copy *b)
{
	return a->readable && b->readable && a->clean && b->clean && a->good == b->good
	    && a->header.generation == b->header.generation
	    && a->header.uidvalidity == b->header.uidvalidity
	    && a->floor == b->floor
	    && (a->good == LEDGER_HEADER || memcmp(a->file.p + LEDGER_HEADER,
	    b->file.p + LEDGER_HEADER, a->good - LEDGER_HEADER) == 0);
}

static struct entry *
entry_of(const struct ledger *l, uint32_t uid)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->entry[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->n && l->entry[low].uid == uid ? &l->entry[low] : NULL;
}

static void
take_flags(struct ledger *l, const struct ledger_record *r)
{
	struct entry *e = entry_of(l, r->uid);

	if (e && r->type == LEDGER_SEEN)
		e->flags |= MAIL_SEEN;
	else if (e && r->name.n == 4)
		e->flags = little_u32(r->name.p);
}

/* What is good of a copy. That its checksums are right is known already. */
static void
take_records(struct ledger *l, struct copy *c)
{
	struct bytes rest = bytes_skip(bytes_head(buf_bytes(&c->file), c->good), LEDGER_HEADER);
	struct ledger_record r;
	uint32_t last = 0;

	forget_all(l);
	make_room(l, c->given);
	l->header = c->header;
	for (; rest.n > 0; rest = bytes_skip(rest, LEDGER_RECORD + r.name.n)) {
		must(ledger_record_at(rest, &r));
		if (r.type == LEDGER_GIVEN) {
			add_entry(l, r.name, r.uid)->at = (uint32_t)(rest.p - c->file.p);
			last = r.uid;
		} else if (r.type == LEDGER_SEEN || r.type == LEDGER_FLAGS)
			take_flags(l, &r);
	}
	if (last >= l->header.uidnext)
		l->header.uidnext = last + 1;
}

/* The greatest that either copy knows, for it may have been told. */
static void
take_floor(struct ledger *l)
{
	l->header.modseq_floor = 0;
	for (int i = 0; i < 2; i++)
		if (l->copy[i].readable && l->copy[i].floor > l->header.modseq_floor)
			l->header.modseq_floor = l->copy[i].floor;
	if (l->header.modseq_floor > LEDGER_MODSEQ_LAST)
		l->header.modseq_floor = LEDGER_MODSEQ_LAST;
}

/* Beyond what a copy may have had. Of one that says nothing any more: it was chosen when the file was made, or
 * before, if the clock was not set back between that and its last change. */
static uint32_t
beyond(const struct copy *c)
{
	if (c->readable)
		return c->header.uidvalidity + 1;
	return c->st.st_mtim.tv_sec > 0 && c->st.st_mtim.tv_sec < UINT32_MAX ? (uint32_t)c->st.st_mtim.tv_sec + 1 : 1;
}

/* UIDVALIDITY only rises: RFC 9051 section 2.3.1.1. */
static uint32_t
next_uidvalidity(const struct ledger *l)
{
	uint32_t now = (uint32_t)clock_wall_s(), least = 1;

	for (int i = 0; i < 2; i++)
		if (beyond(&l->copy[i]) > least)
			least = beyond(&l->copy[i]);
	if (l->header.uidvalidity >= least)
		least = l->header.uidvalidity + 1;
	if (l->above >= least)
		least = l->above < UINT32_MAX ? l->above + 1 : UINT32_MAX;
	return now > least ? now : least;
}

static void
begin_anew(struct ledger *l)
{
	uint32_t uidvalidity = next_uidvalidity(l);

	forget_all(l);
	memset(&l->header, 0, sizeof l->header);
	l->header.uidvalidity = uidvalidity;
	l->header.uidnext = 1;
	l->header.modseq_floor = LEDGER_MODSEQ_STEP;	/* there now, it needs no write of its own later */
	l->made = true;
	random_fill(l->header.key, sizeof l->header.key);
}

static const char *
state_of(const struct copy *c)
{
	return c->absent ? "missing" : !c->readable ? "unreadable" : c->clean ? "whole" : "damaged";
}

static bool
repair(struct ledger *l, const char *why)
{
	if (write_both(l)) {
		log_info("mailbox %s: ledger written anew: %s", l->what, why);
		return true;
	}
	log_errno("mailbox %s: ledger not kept twice (%s), and cannot be written", l->what, why);
	return true;		/* what is known holds; nothing new is given while it is behind */
}

static bool
rebuild(struct ledger *l)
{
	bool fresh = l->copy[0].absent && l->copy[1].absent;

	begin_anew(l);
	if (!fresh)
		log_warn("mailbox %s: both copies of the ledger are lost (%s: %s, %s: %s); "
		    "new UIDVALIDITY %u, clients will read the mailbox again", l->what,
		    l->copy[0].name, state_of(&l->copy[0]), l->copy[1].name,
		    state_of(&l->copy[1]), (unsigned)l->header.uidvalidity);
	l->behind = l->unborn = true;	/* what is there now gets its UIDs before it is written: one sync less for each copy */
	return true;
}

bool
ledger_keep(struct ledger *l)
{
	return !l->unborn || write_both(l);
}

/* Nobody knows what was told since the backup was made. */
static void
skip_far(struct ledger *l)
{
	struct ledger_header *h = &l->header;

	h->uidnext = h->uidnext < LEDGER_UID_LAST - LEDGER_UID_SKIP ? h->uidnext + LEDGER_UID_SKIP : LEDGER_UID_LAST;
	h->modseq_floor = h->modseq_floor < LEDGER_MODSEQ_LAST - LEDGER_MODSEQ_SKIP
	    ? h->modseq_floor + LEDGER_MODSEQ_SKIP : LEDGER_MODSEQ_LAST;
}

static bool
settle(struct ledger *l)
{
	struct copy *best = better(&l->copy[0], &l->copy[1]);
	struct copy *other = best == &l->copy[0] ? &l->copy[1] : &l->copy[0];

	if (!trustworthy(best, other))
		return rebuild(l);
	take_records(l, best);
	take_floor(l);
	if (alike(best, other) && at_home(best) && at_home(other)) {
		buf_release(&other->file);
		return true;
	}
	if (!at_home(best)) {
		skip_far(l);
		return repair(l, "it was copied or restored; the next UIDs begin far beyond");
	}
	return repair(l, other->absent ? "one copy was missing"
	    : other->readable && other->clean ? "one copy was behind" : "one copy was damaged");
}

bool
ledger_renew(struct ledger *l)
{
	l->header.uidvalidity = next_uidvalidity(l);
	return write_both(l);
}

bool
ledger_unchanged(const struct ledger *l)
{
	for (int i = 0; i < 2; i++) {
		struct stat st;

		if (fstatat(l->dir, l->copy[i].name, &st, AT_SYMLINK_NOFOLLOW) == -1
		    || !same_file(&st, &l->copy[i].st))
			return false;
	}
	return true;
}

void
ledger_rest(struct ledger *l)
{
	l->loaded = false;
	forget_all(l);
	mem_free(l->entry);
	l->entry = NULL;
	l->cap = 0;
	for (int i = 0; i < 2; i++)
		buf_release(&l->copy[i].file);
}

bool
ledger_load(struct ledger *l)
{
	if (l->loaded && !l->behind && ledger_unchanged(l))
		return true;
	l->loaded = l->behind = l->unborn = false;
	forget_all(l);			/* names may borrow from what is read anew */
	for (int i = 0; i < 2; i++) {
		(void)unlinkat(l->dir, l->copy[i].new_name, 0);	/* what a crash left: we hold the lock */
		if (!read_copy(l, &l->copy[i]))
			return false;
		if (i == 0 || !judge_as(&l->copy[i], &l->copy[0]))
			judge(&l->copy[i]);
	}
	l->loaded = settle(l);
	return l->loaded;
}

/* ---- names and UIDs ---- */

void
ledger_marks(struct ledger *l)
{
	for (size_t i = 0; i < l->n; i++)
		l->entry[i].here = false;
	l->here = 0;
}

uint32_t
ledger_find(struct ledger *l, struct bytes name, uint32_t *flags)
{
	uint32_t at = *slot_of(l, name);
	struct entry *e = at == 0 ? NULL : &l->entry[at - 1];

	if (flags)
		*flags = e ? e->flags : 0;
	if (!e)
		return 0;
	l->here += !e->here;
	e->here = true;
	return e->uid;
}

size_t
ledger_missing(const struct ledger *l)
{
	return l->n - l->here;
}

/* One copy after the other: a crash never finds both torn. So the first is synced before the second
 * is begun, but for what is too short to be torn, where nobody waits for it. ENOENT: a copy is not there any more,
 * or another file is in its place. */
static bool
append(struct ledger *l, struct bytes records, uint32_t chain, bool durable)
{
	for (int i = 0; i < 2; i++) {
		struct copy *c = &l->copy[i];
		int fd = file_open(l->dir, c->name, O_WRONLY, 0);
		bool sync = durable || (i == 0 && records.n > APPEND_SHORT);
		struct stat st;
		bool good = fd != -1 && fstat(fd, &st) == 0;

		if (good && !same_file(&st, &c->st)) {
			errno = ENOENT;
			good = false;
		}
		good = good && file_pwrite(fd, records, (off_t)c->good)
		    && (!sync || fdatasync(fd) == 0) && fstat(fd, &c->st) == 0;
		fd_close(&fd);
		if (!good)
			return false;
		c->good += records.n;
		c->chain = chain;
	}
	return true;
}

/* False: the files have more than we know, or less. */
static bool
is_known(const struct ledger *l)
{
	if (!l->loaded)
		errno = EIO;
	return l->loaded;
}

/* The records of what was just changed here. A hand may have taken a copy since it was read, or have put another in its
 * place: all of it is known here, so both are written. False: the files are to be read again before anything is
 * told. */
static bool
record(struct ledger *l, const struct buf *records, uint32_t chain, bool durable)
{
	errno = EFBIG;
	if (!records->full && append(l, buf_bytes(records), chain, durable))
		return true;
	if (is_lost(errno) && write_both(l)) {
		log_info("mailbox %s: ledger written anew: another program has taken one copy, or replaced it", l->what);
		return true;
	}
	l->loaded = false;
	return false;
}

static bool
give_anew(struct ledger *l)
{
	begin_anew(l);
	log_warn("mailbox %s: all UIDs are used up; new UIDVALIDITY %u, clients will read "
	    "the mailbox again", l->what, (unsigned)l->header.uidvalidity);
	if (!write_both(l))
		return false;
	errno = ESTALE;			/* the caller looks again */
	return false;
}

/* Both copies are to be written anyhow: with the new ones in them. */
static bool
give_behind(struct ledger *l)
{
	if (write_both(l))
		return true;
	l->loaded = false;		/* none of it was told: read again what is there */
	return false;
}

bool
ledger_give(struct ledger *l, const struct bytes *names, size_t n, uint32_t *uids)
{
	uint32_t chain = l->copy[0].chain;
	size_t at = l->copy[0].good;
	struct buf out;
	bool good;

	if (n == 0)
		return true;
	if (!is_known(l))
		return false;
	if (l->header.uidnext > LEDGER_UID_LAST || n > LEDGER_UID_LAST - l->header.uidnext)
		return give_anew(l);
	buf_init(&out, LEDGER_MAX);
	for (size_t i = 0; i < n; i++) {
		struct ledger_record r = { LEDGER_GIVEN, l->header.uidnext++, names[i] };
		struct entry *e = add_entry(l, arena_copy(l->names, names[i]), r.uid);

		chain = ledger_put_record(&out, chain, &r);
		uids[i] = r.uid;
		e->at = (uint32_t)at;
		e->here = true;
		l->here++;
		at += LEDGER_RECORD + names[i].n;
	}
	good = l->behind ? give_behind(l) : record(l, &out, chain, true);
	buf_fini(&out);
	return good;
}

bool
ledger_state(const struct ledger *l, struct ledger_state *out)
{
	if (!l->loaded || l->behind)
		return false;
	out->octets = l->copy[0].good;
	for (int i = 0; i < 2; i++)
		out->changed[i] = l->copy[i].st.st_ctim;
	return true;
}

void
ledger_places(const struct ledger *l, const uint32_t *uids, size_t n, uint64_t *at)
{
	size_t e = 0;

	for (size_t i = 0; i < n; i++) {
		while (e < l->n && l->entry[e].uid < uids[i])
			e++;
		at[i] = e < l->n && l->entry[e].uid == uids[i] && l->loaded && !l->behind ? l->entry[e].at : 0;
	}
}

uint32_t
ledger_flags(struct ledger *l, struct bytes name)
{
	uint32_t at = *slot_of(l, name);

	return at == 0 ? 0 : l->entry[at - 1].flags;
}

/* Flags that were set again and again are written once more, and the earlier ones let go. */
static bool
make_shorter(struct ledger *l)
{
	return l->copy[0].good / 2 <= LEDGER_HEADER + l->octets + GROWN_SLACK || write_both(l);
}

bool
ledger_set_flags(struct ledger *l, const uint32_t *uids, const uint32_t *flags, size_t n, bool durable)
{
	struct buf out;
	uint32_t chain;
	bool good;

	for (size_t i = 0; i < n; i++)
		if (!entry_of(l, uids[i])) {
			errno = ENOENT;
			return false;
		}
	if (n == 0)
		return true;
	if (!is_known(l) || (l->behind && !write_both(l)) || !make_shorter(l))
		return false;
	buf_init(&out, LEDGER_MAX);
	chain = l->copy[0].chain;
	for (size_t i = 0; i < n; i++) {
		chain = put_flags(&out, chain, uids[i], flags[i]);
		entry_of(l, uids[i])->flags = flags[i];
	}
	good = record(l, &out, chain, durable);
	buf_fini(&out);
	return good;
}

void
ledger_trim(struct ledger *l)
{
	size_t kept = 0;

	if (l->n - l->here <= l->here + TRIM_SLACK)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (l->entry[i].here)
			l->entry[kept++] = l->entry[i];
	l->n = l->here = kept;
	l->octets = 0;
	forget_slots(l);
	for (size_t i = 0; i < l->n; i++)
		l->octets += LEDGER_RECORD + l->entry[i].name.n + FLAGS_RECORD;
	if (!write_both(l))
		log_errno("mailbox %s: cannot make the ledger shorter", l->what);
}

/* ---- mod-sequences ---- */

uint64_t ledger_modseq_floor(const struct ledger *l) { return l->header.modseq_floor; }
uint64_t ledger_modseq_told(const struct ledger *l) { return l->made ? 0 : l->header.modseq_floor; }

bool
ledger_raise_floor(struct ledger *l, uint64_t floor)
{
	unsigned char octets[8];
	struct ledger_record r = { LEDGER_FLOOR, 0, bytes_of(octets, sizeof octets) };
	uint64_t before = l->header.modseq_floor;
	uint32_t chain;
	struct buf out;
	bool good;

	if (floor <= l->header.modseq_floor)
		return true;
	if (floor > LEDGER_MODSEQ_LAST) {
		errno = ERANGE;
		return false;
	}
	if (!is_known(l) || (l->behind && !write_both(l)))
		return false;
	little_put_u64(octets, floor);
	buf_init(&out, LEDGER_RECORD + sizeof octets);
	chain = ledger_put_record(&out, l->copy[0].chain, &r);
	l->header.modseq_floor = floor;
	good = record(l, &out, chain, true);
	buf_fini(&out);
	if (!good)
		l->header.modseq_floor = before;
	return good;
}

bool
ledger_modseq_reserve(struct ledger *l, uint64_t highest)
{
	if (highest <= l->header.modseq_floor)
		return true;
	return ledger_raise_floor(l, highest < LEDGER_MODSEQ_LAST - LEDGER_MODSEQ_STEP
	    ? highest + LEDGER_MODSEQ_STEP : highest);
}
