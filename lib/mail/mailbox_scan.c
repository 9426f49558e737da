/* SPDX-License-Identifier: ISC */
#include "mail/mailbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define GRAIN_US	50000		/* of a file's time: the tick of the kernel's clock, and room */
#define GRAIN_COARSE_US	2000000		/* where it counts in seconds */

/* ---- what was there before ---- */

static void
need_ledger(struct mailbox *m)
{
	const char *stem;
	int dir = mailbox_state_dir(m, &stem);

	if (m->ledger)
		return;
	m->ledger = ledger_new(dir, stem, mailbox_what(m));
	ledger_above(m->ledger, m->above);
}

/* Of one that was deleted the ledger in its directory may be that of another, which was made there since. While it
 * goes whoever deletes it has the lock. */
bool
mailbox_lock(struct mailbox *m)
{
	need_ledger(m);
	if (!ledger_lock(m->ledger, m->wait_ms))
		return false;
	if (mailbox_in_place(m))
		return true;
	ledger_unlock(m->ledger);
	errno = ENOENT;
	return false;
}

void
mailbox_unlock(struct mailbox *m)
{
	ledger_unlock(m->ledger);
}

struct arrived { struct maildir_came came; size_t at; bool in_new; };

static int
by_arrival(const void *a, const void *b)
{
	const struct arrived *x = a, *y = b;
	int order = maildir_came_order(&x->came, &y->came);

	return order != 0 ? order : (int)x->in_new - (int)y->in_new;
}

static void
sort_by_arrival(struct item *item, size_t n)
{
	struct arrived *a = mem_array(n, sizeof *a);
	struct item *sorted = mem_array(n, sizeof *sorted);

	for (size_t i = 0; i < n; i++)
		a[i] = (struct arrived){ maildir_came(item[i].mail.name), i, item[i].file.in_new };
	qsort(a, n, sizeof *a, by_arrival);
	for (size_t i = 0; i < n; i++)
		sorted[i] = item[a[i].at];
	memcpy(item, sorted, n * sizeof *item);
	mem_free(a);
	mem_free(sorted);
}

/* Of items with one name (it moved while we looked) the one in cur/ is kept: it is the later. */
static size_t
drop_twins(struct item *item, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !bytes_eq(item[kept - 1].mail.name, item[i].mail.name))
			item[kept++] = item[i];
	return kept;
}

/* item[0 .. known-1] have UIDs, the others get theirs: in the order they came. */
static bool
give_uids(struct mailbox *m, struct item *item, size_t known, size_t *n)
{
	size_t fresh = *n - known;
	struct bytes *names;
	uint32_t *uids;
	bool good;

	if (fresh == 0)
		return true;
	if (m->format == MAILBOX_MAILDIR) {
		sort_by_arrival(item + known, fresh);
		fresh = drop_twins(item + known, fresh);
	}
	names = mem_array(fresh, sizeof *names);
	uids = mem_array(fresh, sizeof *uids);
	for (size_t i = 0; i < fresh; i++)
		names[i] = item[known + i].mail.name;
	good = ledger_give(m->ledger, names, fresh, uids);
	for (size_t i = 0; i < fresh; i++)
		item[known + i].mail.uid = uids[i];
	mem_free(names);
	mem_free(uids);
	*n = known + fresh;
	return good;
}

struct place { uint32_t uid; bool in_new; size_t at; };

/* Of two with one UID the one in cur/ is first. */
static int
by_uid(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	if (x->in_new != y->in_new)
		return (int)x->in_new - (int)y->in_new;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Which UID the ledger has for each, 0: none; in their order. The caller's to free. */
static struct place *
places_by_uid(struct mailbox *m, struct item *item, size_t n)
{
	struct place *place = mem_array(n + 1, sizeof *place);

	ledger_marks(m->ledger);
	for (size_t i = 0; i < n; i++) {
		uint32_t flags, uid = ledger_find(m->ledger, item[i].mail.name, &flags);

		place[i] = (struct place){ uid, item[i].file.in_new, i };
		if (m->format == MAILBOX_MBOX)
			item[i].mail.flags = flags;
	}
	if (n > 0)
		qsort(place, n, sizeof *place, by_uid);
	return place;
}

static size_t
count_missing(const struct mailbox *m, const bool *here)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += !here[i] && !m->item[i].mail.expunged;
	return n;
}

/*
 * Those with a UID first, by rising UID; the others as they were, behind. Returns how many have one; missing: how many
 * that we knew are not among them.
 *
 * A UID that was told and then was seen to be gone is not one to come back: RFC 3501 section 2.3.1.1 has UIDs rise in
 * the order in which messages are added.
 */
static size_t
find_uids(struct mailbox *m, struct item *item, size_t n, size_t *missing)
{
	struct place *place;
	struct item *sorted, *fresh;
	bool *here;
	size_t known = 0, others = 0, old = 0;

	*missing = 0;
	if (m->n == 0 && ledger_count(m->ledger) == 0)
		return 0;			/* none has a UID */
	place = places_by_uid(m, item, n);
	sorted = mem_array(n + 1, sizeof *sorted);
	fresh = mem_array(n + 1, sizeof *fresh);
	here = mem_array(m->n + 1, sizeof *here);
	for (size_t i = 0; i < n; i++) {
		struct item *it = &item[place[i].at];
		uint32_t uid = place[i].uid;

		while (old < m->n && m->item[old].mail.uid < uid)
			old++;
		if (old < m->n && m->item[old].mail.uid == uid)
			here[old] = true;
		else if (mailbox_was_gone(m, uid))
			uid = 0;
		it->mail.uid = uid;
		if (uid != 0)
			sorted[known++] = *it;
	}
	for (size_t i = 0; i < n; i++)
		if (item[i].mail.uid == 0)
			fresh[others++] = item[i];
	memcpy(item, sorted, known * sizeof *item);
	memcpy(item + known, fresh, others * sizeof *item);
	*missing = count_missing(m, here);
	mem_free(place);
	mem_free(sorted);
	mem_free(fresh);
	mem_free(here);
	return known;
}

/* What is known goes from the old items to the new; both by rising UID. */
static void
keep_facts(struct mailbox *m, struct item *item, size_t n)
{
	size_t j = 0;

	for (size_t i = 0; i < n; i++) {
		while (j < m->n && m->item[j].mail.uid < item[i].mail.uid)
			j++;
		if (j == m->n || m->item[j].mail.uid != item[i].mail.uid)
			continue;
		item[i].date_s = m->item[j].date_s;
		if (m->item[j].mail.sized) {
			item[i].mail.octets = m->item[j].mail.octets;
			item[i].mail.sized = true;
		}
	}
}

struct item *
mailbox_item(struct mailbox *m, uint32_t uid)
{
	size_t i = mailbox_find(m, uid);

	return i < m->n && m->item[i].mail.uid == uid ? &m->item[i] : NULL;
}

size_t
mailbox_find(const struct mailbox *m, uint32_t uid)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->item[mid].mail.uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t *
mailbox_uids(const struct mailbox *m, const size_t *which, size_t n)
{
	uint32_t *uids = mem_array(n ? n : 1, sizeof *uids);

	for (size_t i = 0; i < n; i++) {
		must(which[i] < m->n);
		uids[i] = m->item[which[i]].mail.uid;
	}
	return uids;
}

/* ---- the index: what has changed since anybody looked gets a mod-sequence ---- */

uint64_t
mailbox_next_modseq(struct mailbox *m)
{
	uint64_t next = index_highest(m->index) + 1;

	if (!ledger_modseq_reserve(m->ledger, next))
		log_errno("mailbox %s: cannot note how far mod-sequences are", mailbox_what(m));
	index_raise(m->index, next);
	return next;
}

static void
to_index(const struct item *it, struct index_mail *r)
{
	r->uid = it->mail.uid;
	r->flags = it->mail.flags;
	r->modseq = it->mail.modseq;
	r->data = it->data;
	r->octets = it->mail.sized ? it->mail.octets : 0;
	r->date_s = it->date_s;
	r->name_at = it->name_at;
	r->where = mailbox_where(it);
}

static void
from_index(struct item *it, const struct index_mail *r)
{
	it->mail.modseq = r->modseq;
	it->data = r->data;
	if (!it->mail.sized && r->octets != 0) {
		it->mail.octets = r->octets;
		it->mail.sized = true;
	}
	if (it->date_s == INT64_MIN)
		it->date_s = r->date_s;
}

void
mailbox_index_put(struct mailbox *m, const struct item *it)
{
	size_t i = index_find(m->index, it->mail.uid);
	struct index_mail r;

	if (index_get(m->index, i, &r) && r.uid == it->mail.uid) {
		to_index(it, &r);
		index_put(m->index, i, &r);
	}
}

/* One number for all changes that are found together. */
struct merge { struct mailbox *m; uint64_t modseq; bool begun; };

static void
merge_begin(struct merge *g)
{
	if (!g->begun)
		index_begin(g->m->index);
	g->begun = true;
}

static uint64_t
merge_modseq(struct merge *g)
{
	merge_begin(g);
	if (g->modseq == 0)
		g->modseq = mailbox_next_modseq(g->m);
	return g->modseq;
}

static void
find_places(struct mailbox *m)
{
	uint32_t *uids = mem_array(m->n + 1, sizeof *uids);
	uint64_t *at = mem_array(m->n + 1, sizeof *at);

	for (size_t i = 0; i < m->n; i++)
		uids[i] = m->item[i].mail.uid;
	ledger_places(m->ledger, uids, m->n, at);
	for (size_t i = 0; i < m->n; i++)
		m->item[i].name_at = at[i];
	mem_free(uids);
	mem_free(at);
}

static void
merge_known(struct merge *g, size_t at, struct index_mail *r, struct item *it)
{
	from_index(it, r);
	if (r->flags != it->mail.flags)
		it->mail.modseq = merge_modseq(g);
	else if (mailbox_is_elsewhere(it, r))
		merge_begin(g);
	else
		return;
	to_index(it, r);
	index_put(g->m->index, at, r);
}

static void
merge_new(struct merge *g, struct item *it)
{
	struct index_mail r = { .date_s = INT64_MIN };

	it->mail.modseq = merge_modseq(g);
	to_index(it, &r);
	index_add(g->m->index, &r);
}

static void
found_data(void *arg, struct bytes name, uint64_t at)
{
	struct mailbox *m = arg;
	uint32_t uid = ledger_find(m->ledger, name, NULL);
	struct item *it = uid == 0 ? NULL : mailbox_item(m, uid);

	if (it && it->data != at) {
		it->data = at;
		mailbox_index_put(m, it);
	}
}

/* What was found out about mails that had not changed, by us, is for the others, too. */
static void
tell_others(struct mailbox *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct item *it = &m->item[i];
		size_t at = index_find(m->index, it->mail.uid);
		struct index_mail r, now;

		if (!index_get(m->index, at, &r) || r.uid != it->mail.uid)
			continue;
		now = r;
		to_index(it, &now);
		now.data = r.data;
		if (now.octets != r.octets || now.date_s != r.date_s)
			index_put(m->index, at, &now);
	}
	index_data_fresh(m->index, found_data, m);
}

/* Both are by rising UID; what is only in the index is gone. */
static void
merge_index(struct mailbox *m)
{
	struct merge g = { m, 0, false };
	struct index_mail r;
	size_t i = 0, records;

	find_places(m);
	index_data_flush(m->index);
	index_load(m->index, ledger_uidvalidity(m->ledger), ledger_modseq_told(m->ledger));
	records = index_count(m->index);
	for (size_t at = 0; at < records; at++) {
		if (!index_get(m->index, at, &r))
			continue;
		if (i < m->n && m->item[i].mail.uid == r.uid) {
			merge_known(&g, at, &r, &m->item[i++]);
			continue;
		}
		merge_modseq(&g);
		index_remove(m->index, at);
	}
	for (; i < m->n; i++)
		merge_new(&g, &m->item[i]);
	if (m->news)
		merge_begin(&g);
	if (g.modseq != 0 || m->news)
		tell_others(m);
	if (g.begun)
		index_end(m->index);
	m->news = false;
	m->serial = index_serial(m->index);
}

/* ---- a look ---- */

void
mailbox_forget_items(struct mailbox *m)
{
	mem_free(m->item);
	m->item = NULL;
	m->n = 0;
}

/* item is taken. */
static bool
take_items(struct mailbox *m, struct item *item, size_t known, size_t n)
{
	if (!give_uids(m, item, known, &n)) {
		mem_free(item);
		return false;
	}
	n = drop_twins(item, n);	/* new UIDs are above those that were known, so all are in order */
	keep_facts(m, item, n);
	mailbox_forget_items(m);
	m->item = item;
	m->n = n;
	ledger_trim(m->ledger);
	if (m->index)
		merge_index(m);
	return true;
}

static struct item *
items_of_list(const struct maildir_list *l)
{
	struct item *item = mem_array(l->n ? l->n : 1, sizeof *item);

	for (size_t i = 0; i < l->n; i++) {
		item[i].file = l->file[i];
		item[i].mail.name = l->file[i].name;
		item[i].mail.flags = maildir_flags(l->file[i].suffix);
		item[i].mail.recent = l->file[i].in_new;
		item[i].date_s = INT64_MIN;
	}
	return item;
}

/* Mails that we knew, or many that the ledger knows, are not among the items: they may have been renamed
 * while we read the directory. */
static bool
many_missing(struct mailbox *m, size_t n, size_t missing)
{
	return missing > 0 || (m->n == 0 && ledger_missing(m->ledger) > n);
}

static bool
look_maildir(struct mailbox *m)
{
	struct maildir_list list = { 0 };
	struct item *item = NULL;
	size_t known = 0, missing;
	bool good = false;

	/* The second list adds to the first: what was renamed in between stands twice. */
	for (int i = 0; i < 2; i++) {
		mem_free(item);
		item = NULL;
		if (!(good = maildir_list(&m->maildir, &list)))
			break;
		item = items_of_list(&list);
		known = find_uids(m, item, list.n, &missing);
		if (!many_missing(m, list.n, missing))
			break;
	}
	if (good)
		good = take_items(m, item, known, list.n);
	if (!good) {
		int saved = errno;

		maildir_list_free(&list);
		errno = saved;
		return false;
	}
	maildir_list_free(&m->list);
	m->list = list;
	ledger_names_close(&m->recalled);
	arena_reset(m->names);
	return true;
}

struct hashed { uint64_t hash; size_t part; };

static int
by_hash(const void *a, const void *b)
{
	const struct hashed *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->part < y->part ? -1 : x->part > y->part;
}

struct bytes *
mailbox_part_names(struct arena *a, const struct mbox *b)
{
	struct hashed *h = mem_array(b->n + 1, sizeof *h);
	struct bytes *name = mem_array(b->n + 1, sizeof *name);
	size_t nth = 0;

	for (size_t i = 0; i < b->n; i++)
		h[i] = (struct hashed){ b->part[i].hash, i };
	qsort(h, b->n, sizeof *h, by_hash);
	for (size_t i = 0; i < b->n; i++) {
		nth = i > 0 && h[i].hash == h[i - 1].hash ? nth + 1 : 0;
		name[h[i].part] = arena_fmt(a, "%016llx-%zx", (unsigned long long)h[i].hash, nth);
	}
	mem_free(h);
	return name;
}

/* Only flags can have changed, which are in the ledger. */
static void
flags_of_mbox(struct mailbox *m)
{
	for (size_t i = 0; i < m->n; i++)
		m->item[i].mail.flags = ledger_flags(m->ledger, m->item[i].mail.name);
	if (m->index)
		merge_index(m);
}

static bool
look_mbox(struct mailbox *m)
{
	struct arena *names;
	struct bytes *name;
	struct item *item;
	size_t known, missing;
	bool changed;

	if (!mbox_list(&m->mbox, ledger_key(m->ledger), &changed))
		return false;
	if (!changed && m->scanned) {
		flags_of_mbox(m);
		return true;
	}
	names = arena_new(NAMES_MAX);
	name = mailbox_part_names(names, &m->mbox);
	item = mem_array(m->mbox.n + 1, sizeof *item);
	for (size_t i = 0; i < m->mbox.n; i++) {
		item[i].part = i;
		item[i].date_s = INT64_MIN;
		item[i].mail.octets = m->mbox.part[i].octets;
		item[i].mail.sized = true;
		item[i].mail.name = name[i];
	}
	mem_free(name);
	known = find_uids(m, item, m->mbox.n, &missing);
	if (!take_items(m, item, known, m->mbox.n)) {
		arena_free(&names);
		return false;
	}
	arena_free(&m->names);
	m->names = names;
	return true;
}

/* When its time is that of the look, or near it, it may have changed since: times have the grain of the clock's
 * tick, and seconds on some file systems. */
bool
mailbox_settled(const struct timespec *t, int64_t looked_us)
{
	int64_t grain_us = t->tv_nsec != 0 ? GRAIN_US : GRAIN_COARSE_US;

	return (int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000 < looked_us - grain_us;
}

bool
mailbox_changed(const struct mailbox *m, struct timespec now[2])
{
	struct stat new, cur;

	if (fstat(m->maildir.new, &new) == -1 || fstat(m->maildir.cur, &cur) == -1)
		return false;
	now[0] = new.st_ctim;
	now[1] = cur.st_ctim;
	return true;
}

/* No time says that it has changed. *sure: then it has not. */
static bool
seems_same(const struct mailbox *m, bool *sure)
{
	struct timespec now[2];

	*sure = true;
	if (m->keywords.fault != 0)
		return false;
	if (m->format == MAILBOX_MBOX)
		return mbox_same(&m->mbox) && ledger_unchanged(m->ledger);
	if (!mailbox_changed(m, now))
		return false;
	for (int i = 0; i < 2; i++) {
		if (now[i].tv_sec != m->changed[i].tv_sec || now[i].tv_nsec != m->changed[i].tv_nsec)
			return false;
		*sure = *sure && mailbox_settled(&now[i], m->listed_us);
	}
	return true;
}

bool
mailbox_quiet(const struct mailbox *m)
{
	bool sure;

	return seems_same(m, &sure) && sure;
}

static bool
look(struct mailbox *m)
{
	if (!ledger_load(m->ledger) || !keywords_load(m))
		return false;
	if (m->uidvalidity != 0 && m->uidvalidity != ledger_uidvalidity(m->ledger)) {
		mailbox_forget_items(m);
		mailbox_forget_rest(m);
		m->cache_read = m->scanned = false;
		m->uidnext = 0;
	}
	return m->format == MAILBOX_MAILDIR ? look_maildir(m) : look_mbox(m);
}

bool
mailbox_look_again(struct mailbox *m)
{
	struct timespec now[2];
	int64_t at = clock_wall_us();
	bool good = false;

	if (m->format == MAILBOX_MAILDIR && !mailbox_changed(m, now))
		return false;
	errno = ESTALE;
	for (int i = 0; i < SCAN_TRIES && !good && errno == ESTALE; i++)
		good = look(m) && ledger_keep(m->ledger);
	if (!good)
		return false;
	if (m->format == MAILBOX_MAILDIR)
		memcpy(m->changed, now, sizeof now);
	m->listed_us = at;
	m->uidvalidity = ledger_uidvalidity(m->ledger);
	m->uidnext = ledger_uidnext(m->ledger);
	mailbox_forget_rest(m);
	m->scanned = true;
	if (m->format == MAILBOX_MAILDIR && m->index)
		mailbox_note(m);
	return true;
}

/* Another session may have made it anew, with other mod-sequences for what has not changed. */
static bool
same_index(const struct mailbox *m)
{
	return !m->index || !index_shared(m->index) || index_serial(m->index) == m->serial;
}

/* Under the lock: what was noted since is in the index. */
static bool
take_notes(struct mailbox *m)
{
	if (!ledger_load(m->ledger))
		return false;
	if (m->index)
		merge_index(m);
	return true;
}

bool
mailbox_look_lightly(struct mailbox *m, bool *sure)
{
	/* One of ours notes each change in the index: then its change need not be guessed. */
	if (m->scanned && seems_same(m, sure) && (*sure || (m->index && index_shared(m->index) && same_index(m))))
		return take_notes(m);
	*sure = true;
	return mailbox_look_again(m);
}

bool
mailbox_look(struct mailbox *m)
{
	return m->scanned && mailbox_quiet(m) ? take_notes(m) : mailbox_look_again(m);
}

bool
mailbox_scan(struct mailbox *m)
{
	bool good;

	bool quiet = m->scanned && m->format == MAILBOX_MAILDIR && mailbox_quiet(m);

	if (quiet && same_index(m))
		return true;
	if (!mailbox_lock(m))
		return false;
	good = quiet ? mailbox_look(m) : mailbox_recall(m) || mailbox_look_again(m);
	mailbox_unlock(m);
	return good;
}

void
mailbox_index(struct mailbox *m)
{
	const char *stem;
	int dir = mailbox_state_dir(m, &stem);

	if (!m->index) {
		m->index = index_new(dir, stem, mailbox_what(m));
		m->news = true;		/* of deliveries */
	}
}

void
mailbox_index_flush(struct mailbox *m)
{
	/* Of one that was deleted, what is in its directory may be another's by now. */
	if (!m->index || !m->news || !m->scanned || !mailbox_in_place(m) || !mailbox_lock(m))
		return;
	if (!mailbox_look(m))
		log_errno("mailbox %s: cannot be looked at to keep what was found out", mailbox_what(m));
	mailbox_unlock(m);
}

bool
mailbox_index_anew(struct mailbox *m)
{
	const char *stem;
	int dir = mailbox_state_dir(m, &stem);
	bool good;

	must(!m->index && !m->scanned);
	if (!mailbox_lock(m))
		return false;
	good = index_forget(dir, stem) && (m->format == MAILBOX_MBOX
	    || unlinkat(dir, SIZES_CACHE, 0) == 0 || errno == ENOENT);
	mailbox_unlock(m);
	return good;
}

bool
mailbox_pop3_lock(struct mailbox *m)
{
	need_ledger(m);
	return ledger_lock_session(m->ledger);
}

bool mailbox_scanned(const struct mailbox *m) { return m->scanned; }
/* The ledger may know a newer one than the last scan, by an arrival; after mailbox_recall it was not loaded. */
uint32_t
mailbox_uidvalidity(const struct mailbox *m)
{
	uint32_t v = m->ledger ? ledger_uidvalidity(m->ledger) : 0;

	return v != 0 ? v : m->uidvalidity;
}

uint32_t mailbox_uidnext(const struct mailbox *m) { return m->uidnext; }
size_t mailbox_count(const struct mailbox *m) { return m->n; }

uint64_t
mailbox_highestmodseq(const struct mailbox *m)
{
	return m->index ? index_highest(m->index) : 1;
}

struct mail *
mailbox_mail(struct mailbox *m, size_t i)
{
	must(i < m->n);
	return &m->item[i].mail;
}
