/* SPDX-License-Identifier: ISC */
#include "mail/mailbox_impl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- expunge ---- */

/* kept: the directory for what is kept; -1: nothing is. An expunge does not fail because it cannot be kept: a mailbox
 * that is full must be one that can be emptied. */
static bool
remove_file(struct mailbox *m, const struct maildir_file *f, int kept)
{
	int fault;

	if (kept == -1)
		return maildir_remove(&m->maildir, f);
	if (maildir_keep(&m->maildir, f, kept))
		return true;
	fault = errno;
	if (!maildir_remove(&m->maildir, f))
		return false;		/* ENOENT of the file, not of the directory */
	errno = fault;
	mailbox_not_kept(m);
	return true;
}

/* What goes: all that is named, or (deleted) what is \Deleted in the moment it goes: a file that was
 * renamed since may be one that somebody wants to keep. */
struct removal { struct mailbox *m; int kept; bool deleted; };

static bool
stays(const struct removal *r, const struct item *it)
{
	return r->deleted && !(maildir_flags(it->file.suffix) & MAIL_DELETED);
}

/* True: it is gone, or stays. *ours: we have removed it, nobody else has. */
static bool
remove_item(const struct removal *r, struct item *it, bool *ours)
{
	for (int i = 0; i < 2 && !stays(r, it); i++) {
		*ours = it->mail.expunged = remove_file(r->m, &it->file, r->kept);
		if (*ours)
			return true;
		if (errno != ENOENT)
			return false;
		if (!maildir_find(&r->m->maildir, &it->file, r->m->names))
			return it->mail.expunged = errno == ENOENT;
	}
	return true;
}

/* Those that another program has moved are looked for all at once: one walk for each would be too much. */
static bool
remove_moved(const struct removal *r, const uint32_t *uids, const size_t *place, size_t n, bool *ours)
{
	bool good = mailbox_scan(r->m);

	for (size_t i = 0; good && i < n; i++) {
		struct item *it = mailbox_item(r->m, uids[i]);

		good = !it || remove_item(r, it, &ours[place[i]]);
	}
	return good;
}

static bool
expunge_maildir(const struct removal *r, const size_t *which, size_t n, bool *ours)
{
	struct mailbox *m = r->m;
	uint32_t *moved = mem_array(n, sizeof *moved);
	size_t *place = mem_array(n, sizeof *place), missing = 0;
	bool good = true;

	for (size_t i = 0; good && i < n; i++) {
		struct item *it = &m->item[which[i]];

		must(which[i] < m->n);
		if (stays(r, it))
			continue;
		if (remove_file(m, &it->file, r->kept)) {
			it->mail.expunged = ours[i] = true;
		} else if (errno == ENOENT) {
			place[missing] = i;
			moved[missing++] = it->mail.uid;
		} else {
			good = false;
		}
	}
	m->cache_dirty |= m->cache_read;
	good = good && (missing == 0 || remove_moved(r, moved, place, missing, ours));
	mem_free(moved);
	mem_free(place);
	/* Where it is kept first: no power cut finds it in neither place. */
	return good && (r->kept == -1 || dir_sync(r->kept)) && maildir_sync(&m->maildir, true, true);
}

static int
by_index(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool
remove_parts(struct mailbox *m, const size_t *which, size_t n, size_t *part)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		must(which[i] < m->n);
		if (m->item[which[i]].part != PART_GONE)
			part[found++] = m->item[which[i]].part;
	}
	qsort(part, found, sizeof *part, by_index);
	return mbox_remove(&m->mbox, ledger_key(m->ledger), part, found);
}

static bool
expunge_mbox(struct mailbox *m, const size_t *which, size_t n, bool *ours)
{
	size_t *part = mem_array(n, sizeof *part);
	bool good = remove_parts(m, which, n, part);

	for (int i = 0; !good && errno == ESTALE && i < SCAN_TRIES && mailbox_find_parts(m); i++)
		good = remove_parts(m, which, n, part);
	mem_free(part);
	for (size_t i = 0; good && i < n; i++) {
		ours[i] = m->item[which[i]].part != PART_GONE;
		m->item[which[i]].mail.expunged = true;
	}
	return good;
}

bool
mailbox_expunge_ours(struct mailbox *m, const size_t *which, size_t n, bool *ours)
{
	struct removal r = { .m = m, .kept = -1 };

	if (n == 0)
		return true;
	return m->format == MAILBOX_MAILDIR ? expunge_maildir(&r, which, n, ours)
	    : expunge_mbox(m, which, n, ours);
}

static bool
expunge_and_keep(struct mailbox *m, const size_t *which, size_t n, bool deleted)
{
	struct removal r = { .m = m, .kept = mailbox_kept_dir(m), .deleted = deleted };
	bool *ours = mem_array(n, sizeof *ours), good;

	good = expunge_maildir(&r, which, n, ours);
	fd_close(&r.kept);
	mem_free(ours);
	return good;
}

static bool
expunge_parts(struct mailbox *m, const size_t *which, size_t n)
{
	bool *ours = mem_array(n + 1, sizeof *ours), good = mailbox_expunge_ours(m, which, n, ours);

	mem_free(ours);
	return good;
}

bool
mailbox_expunge(struct mailbox *m, const size_t *which, size_t n)
{
	if (n == 0)
		return true;
	return m->format == MAILBOX_MBOX ? expunge_parts(m, which, n) : expunge_and_keep(m, which, n, false);
}

/* The flags are in the ledger: nobody changes them while the lock is ours. */
static bool
expunge_deleted_parts(struct mailbox *m, const uint32_t *uids, size_t n)
{
	size_t *which = mem_array(n, sizeof *which), found = 0;
	bool good = mailbox_look(m);

	for (size_t i = 0; good && i < n; i++) {
		const struct item *it = mailbox_item(m, uids[i]);

		if (it && (it->mail.flags & MAIL_DELETED))
			which[found++] = (size_t)(it - m->item);
	}
	good = good && expunge_parts(m, which, found);
	mem_free(which);
	return good;
}

bool
mailbox_expunge_deleted(struct mailbox *m, const size_t *which, size_t n)
{
	uint32_t *uids;
	bool good;

	if (n == 0)
		return true;
	if (m->format == MAILBOX_MAILDIR)
		return expunge_and_keep(m, which, n, true);
	if (!mailbox_lock(m))
		return false;
	uids = mailbox_uids(m, which, n);
	good = expunge_deleted_parts(m, uids, n);
	mailbox_unlock(m);
	mem_free(uids);
	return good;
}

/* ---- flags ---- */

static uint32_t
changed_flags(uint32_t flags, const struct flag_change *c)
{
	switch (c->how) {
	case FLAGS_ADD:		return flags | c->flags;
	case FLAGS_REMOVE:	return flags & ~c->flags;
	case FLAGS_SET:		break;
	}
	return c->flags;
}

struct store {
	struct mailbox	*m;
	const struct flag_change *change;
	uint64_t	 modseq;	/* one for all that a command changes; the index is open for changes once there is one */
	bool		 sure;		/* of mailbox_look_lightly */
};

static void
store_end(struct store *s)
{
	if (s->modseq != 0) {
		index_end(s->m->index);
		s->m->serial = index_serial(s->m->index);
	}
	s->modseq = 0;
}

static void
note_change(struct store *s, struct item *it, uint32_t flags)
{
	it->mail.flags = flags;
	if (!s->m->index)
		return;
	if (s->modseq == 0) {
		index_begin(s->m->index);
		s->modseq = mailbox_next_modseq(s->m);
	}
	it->mail.modseq = s->modseq;
	mailbox_index_put(s->m, it);
}

/* False: errno; ENOENT: another program has renamed it, or taken it. */
static bool
try_store(struct store *s, struct item *it, enum flag_changed *result)
{
	const struct flag_change *c = s->change;
	struct stat st;
	uint32_t flags;

	*result = FLAG_GONE;
	if (!it)
		return true;
	*result = FLAG_MODIFIED;
	if (c->unchangedsince && it->mail.modseq > c->modseq)
		return true;
	flags = changed_flags(it->mail.flags, c);
	*result = FLAG_SAME;
	if (flags == it->mail.flags)	/* as far as we know */
		return s->sure || maildir_stat(&s->m->maildir, &it->file, &st);
	*result = FLAG_GONE;
	if (s->m->format == MAILBOX_MAILDIR && !maildir_set_flags(&s->m->maildir, &it->file, flags, s->m->names))
		return false;
	*result = FLAG_CHANGED;
	note_change(s, it, flags);
	return true;
}

/* Under the lock no session of ours moves a message; another program may. Then the whole Maildir is listed again,
 * which serves all that follow, too. */
static bool
store_one(struct store *s, uint32_t uid, enum flag_changed *result)
{
	for (int i = 0; i < SCAN_TRIES; i++) {
		if (try_store(s, mailbox_item(s->m, uid), result))
			return true;
		if (errno != ENOENT)
			return false;
		store_end(s);
		s->sure = true;
		if (!mailbox_look_again(s->m))
			return false;
	}
	return true;			/* it moves faster than we look: as if gone */
}

/* An mbox has no place of its own for them that we may write to: they are in the ledger. */
static bool
store_in_ledger(struct mailbox *m, const uint32_t *uids, size_t n, const enum flag_changed *result)
{
	uint32_t *uid = mem_array(n + 1, sizeof *uid), *flags = mem_array(n + 1, sizeof *flags);
	size_t changed = 0;
	bool good;

	for (size_t i = 0; i < n; i++)
		if (result[i] == FLAG_CHANGED) {
			uid[changed] = uids[i];
			flags[changed++] = mailbox_item(m, uids[i])->mail.flags;
		}
	good = changed == 0 || ledger_set_flags(m->ledger, uid, flags, changed, true);
	mem_free(uid);
	mem_free(flags);
	return good;
}

static bool
store_locked(struct mailbox *m, const uint32_t *uids, size_t n, struct flag_change *c,
    enum flag_changed *result)
{
	struct store s = { .m = m, .change = c };
	bool good = mailbox_look_lightly(m, &s.sure)
	    && keywords_named(m, c->keywords, c->how != FLAGS_REMOVE, 0, &c->flags);

	for (size_t i = 0; good && i < n; i++)
		good = store_one(&s, uids[i], &result[i]);
	if (good && m->format == MAILBOX_MBOX)
		good = store_in_ledger(m, uids, n, result);
	store_end(&s);
	return good;
}

bool
mailbox_store(struct mailbox *m, const size_t *which, size_t n, struct flag_change *c,
    enum flag_changed *result)
{
	uint32_t *uids = mailbox_uids(m, which, n);
	bool good = false;

	for (size_t i = 0; i < n; i++)
		result[i] = FLAG_GONE;
	if (mailbox_lock(m)) {
		good = store_locked(m, uids, n, c, result);
		mailbox_unlock(m);
	}
	mem_free(uids);
	return good;
}

void
mailbox_claim(struct mailbox *m)
{
	for (size_t i = 0; m->format == MAILBOX_MAILDIR && i < m->n; i++) {
		struct item *it = &m->item[i];

		if (!it->file.in_new || maildir_set_flags(&m->maildir, &it->file, it->mail.flags, m->names))
			continue;
		if (errno == ENOENT) {		/* it is another session's, or gone */
			it->mail.recent = false;
			continue;
		}
		if (!m->told_claim)
			log_errno("mailbox %s: cannot move new/\"%s\" to cur", mailbox_what(m), log_text(it->mail.name));
		m->told_claim = true;
	}
}
