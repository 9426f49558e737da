/* SPDX-License-Identifier: ISC */
/*
 * Both copies: which of them counts, what it says; what is missing or damaged is made again, and where nothing can be
 * believed a new ledger begins. doc/ledger-format.md has it as a table.
 */
#include "mail/ledger_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/little.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/mailbox.h"

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
bool
ledger_is_lost(int fault)
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
	return ledger_is_lost(fault);
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

static void
take_flags(struct ledger *l, const struct ledger_record *r)
{
	struct entry *e = ledger_entry(l, r->uid);

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

	ledger_forget(l);
	ledger_make_room(l, c->given);
	l->header = c->header;
	for (; rest.n > 0; rest = bytes_skip(rest, LEDGER_RECORD + r.name.n)) {
		must(ledger_record_at(rest, &r));
		if (r.type == LEDGER_GIVEN) {
			ledger_add(l, r.name, r.uid)->at = (uint32_t)(rest.p - c->file.p);
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

void
ledger_begin_anew(struct ledger *l)
{
	uint32_t uidvalidity = next_uidvalidity(l);

	ledger_forget(l);
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
	if (ledger_write_both(l)) {
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

	ledger_begin_anew(l);
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
	return !l->unborn || ledger_write_both(l);
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
	return ledger_write_both(l);
}

bool
ledger_unchanged(const struct ledger *l)
{
	for (int i = 0; i < 2; i++) {
		struct stat st;

		if (fstatat(l->dir, l->copy[i].name, &st, AT_SYMLINK_NOFOLLOW) == -1
		    || !ledger_same_file(&st, &l->copy[i].st))
			return false;
	}
	return true;
}

bool
ledger_load(struct ledger *l)
{
	if (l->loaded && !l->behind && ledger_unchanged(l))
		return true;
	l->loaded = l->behind = l->unborn = false;
	ledger_forget(l);			/* names may borrow from what is read anew */
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
