/* SPDX-License-Identifier: ISC */
#include "mail/ledger_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"

#define TRIM_SLACK	1000		/* names that are gone and kept: they may come back from a backup */
#define GROWN_SLACK	(1u << 20)	/* octets that a copy may have beyond twice what it needs */

/* ---- what is known ---- */

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
uint32_t *
ledger_slot(struct ledger *l, struct bytes name)
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

void
ledger_make_room(struct ledger *l, size_t n)
{
	if (n <= l->cap)
		return;
	l->cap = l->cap ? l->cap : 256;
	while (l->cap < n)
		l->cap *= 2;
	l->entry = mem_resize(l->entry, l->cap * sizeof *l->entry);
}

void
ledger_forget(struct ledger *l)
{
	arena_reset(l->names);
	l->n = l->here = l->octets = 0;
	forget_slots(l);
}

void
ledger_rest(struct ledger *l)
{
	l->loaded = false;
	ledger_forget(l);
	mem_free(l->entry);
	l->entry = NULL;
	l->cap = 0;
	for (int i = 0; i < 2; i++)
		buf_release(&l->copy[i].file);
}

struct entry *
ledger_add(struct ledger *l, struct bytes name, uint32_t uid)
{
	ledger_make_room(l, l->n + 1);
	l->entry[l->n] = (struct entry){ .name = name, .uid = uid };
	l->octets += LEDGER_RECORD + name.n + FLAGS_RECORD;
	return &l->entry[l->n++];
}

struct entry *
ledger_entry(const struct ledger *l, uint32_t uid)
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
	uint32_t at = *ledger_slot(l, name);
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

static bool
give_anew(struct ledger *l)
{
	ledger_begin_anew(l);
	log_warn("mailbox %s: all UIDs are used up; new UIDVALIDITY %u, clients will read "
	    "the mailbox again", l->what, (unsigned)l->header.uidvalidity);
	if (!ledger_write_both(l))
		return false;
	errno = ESTALE;			/* the caller looks again */
	return false;
}

/* Both copies are to be written anyhow: with the new ones in them. */
static bool
give_behind(struct ledger *l)
{
	if (ledger_write_both(l))
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
	if (!ledger_is_known(l))
		return false;
	if (l->header.uidnext > LEDGER_UID_LAST || n > LEDGER_UID_LAST - l->header.uidnext)
		return give_anew(l);
	buf_init(&out, LEDGER_MAX);
	for (size_t i = 0; i < n; i++) {
		struct ledger_record r = { LEDGER_GIVEN, l->header.uidnext++, names[i] };
		struct entry *e = ledger_add(l, arena_copy(l->names, names[i]), r.uid);

		chain = ledger_put_record(&out, chain, &r);
		uids[i] = r.uid;
		e->at = (uint32_t)at;
		e->here = true;
		l->here++;
		at += LEDGER_RECORD + names[i].n;
	}
	good = l->behind ? give_behind(l) : ledger_append(l, &out, chain, true);
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
	uint32_t at = *ledger_slot(l, name);

	return at == 0 ? 0 : l->entry[at - 1].flags;
}

/* Flags that were set again and again are written once more, and the earlier ones let go. */
static bool
make_shorter(struct ledger *l)
{
	return l->copy[0].good / 2 <= LEDGER_HEADER + l->octets + GROWN_SLACK || ledger_write_both(l);
}

bool
ledger_set_flags(struct ledger *l, const uint32_t *uids, const uint32_t *flags, size_t n, bool durable)
{
	struct buf out;
	uint32_t chain;
	bool good;

	for (size_t i = 0; i < n; i++)
		if (!ledger_entry(l, uids[i])) {
			errno = ENOENT;
			return false;
		}
	if (n == 0)
		return true;
	if (!ledger_is_known(l) || (l->behind && !ledger_write_both(l)) || !make_shorter(l))
		return false;
	buf_init(&out, LEDGER_MAX);
	chain = l->copy[0].chain;
	for (size_t i = 0; i < n; i++) {
		chain = ledger_put_flags(&out, chain, uids[i], flags[i]);
		ledger_entry(l, uids[i])->flags = flags[i];
	}
	good = ledger_append(l, &out, chain, durable);
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
	if (!ledger_write_both(l))
		log_errno("mailbox %s: cannot make the ledger shorter", l->what);
}
