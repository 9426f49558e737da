/* SPDX-License-Identifier: ISC */
/*
 * mail/mailbox_arrive.c - what a session adds to a mailbox: APPEND, COPY, MOVE.
 * RFC 3501 sections 6.3.11 and 6.4.7, RFC 6851; RFC 4315 (UIDs of what was added).
 *
 * All of a command or none of it: what was named already is taken back. The order: content on disk, then its name
 * and its UID in the ledger, on disk, then the answer. Of those two the UID comes first: its sync writes the file
 * system's journal, and the name with it, so that the one for the name finds little to do. Cut between them, a UID has no
 * message, and nobody was told of it. MOVE removes only what is on disk in the other mailbox.
 */
#include "mail/mailbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/line_ends.h"

#define COPY_CHUNK	65536
#define OPEN_MOST	200		/* copies whose files are held open: there may be more messages than descriptors */

struct arrival {
	struct mailbox	*m;		/* borrowed */
	struct maildir_copy copy;	/* mbox: its fd is all that is used, of a file without a name */
	uint64_t	start;		/* mbox: where in that file its octets begin */
	bool		shared;		/* that file is another arrival's, which is freed later */
	uint32_t	flags;
	struct buf	keywords;	/* owned; names, a space between each two */
	int64_t		date_s;		/* if dated; else now */
	bool		dated;
	bool		cr;		/* the last octet was a CR, which is held back */
	bool		ended, taken;
};

/* ---- content ---- */

/* A file system without O_TMPFILE has one with a name, for a moment. */
static bool
begin_unnamed(struct mailbox *m, struct maildir_copy *c)
{
	char name[256];

	*c = (struct maildir_copy){ .fd = -1 };
	c->fd = openat(m->mbox.state, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (c->fd != -1 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return c->fd != -1;
	snprintf(name, sizeof name, "%s.append.%d", m->mbox.stem, (int)getpid());
	unlinkat(m->mbox.state, name, 0);
	c->fd = file_open(m->mbox.state, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (c->fd != -1)
		unlinkat(m->mbox.state, name, 0);
	return c->fd != -1;
}

struct arrival *
mailbox_arrive(struct mailbox *m)
{
	struct arrival *a = mem_alloc(sizeof *a);

	a->m = m;
	if (m->format == MAILBOX_MAILDIR ? maildir_begin(&m->maildir, &a->copy) : begin_unnamed(m, &a->copy))
		return a;
	mem_free(a);
	return NULL;
}

/* One more for an mbox, behind the octets of another that has them all. */
static struct arrival *
arrive_behind(const struct arrival *before)
{
	struct arrival *a = mem_alloc(sizeof *a);

	a->m = before->m;
	a->copy.fd = before->copy.fd;
	a->start = before->start + before->copy.octets;
	a->shared = true;
	return a;
}

static struct arrival *
arrive_named(struct mailbox *m)
{
	struct arrival *a = mem_alloc(sizeof *a);

	a->m = m;
	if (maildir_begin_named(&m->maildir, &a->copy))
		return a;
	mem_free(a);
	return NULL;
}

/* CR LF becomes LF; a CR at the end of a piece waits for what follows. For an mbox its delivery does that. */
bool
arrival_add(struct arrival *a, struct bytes octets)
{
	unsigned char room[COPY_CHUNK + 1];

	if (a->m->format == MAILBOX_MBOX)
		return maildir_add(&a->copy, octets);
	while (octets.n > 0) {
		size_t n = octets.n < COPY_CHUNK ? octets.n : COPY_CHUNK, have = 0;

		if (a->cr)
			room[have++] = '\r';
		memcpy(room + have, octets.p, n);
		have += n;
		octets = bytes_skip(octets, n);
		a->cr = room[have - 1] == '\r';
		have -= a->cr;
		if (have > 0 && !maildir_add(&a->copy, bytes_of(room, line_ends_to_lf(room, have))))
			return false;
	}
	return true;
}

void arrival_flags(struct arrival *a, uint32_t flags) { a->flags = flags; }

void
arrival_keywords(struct arrival *a, struct bytes names)
{
	buf_init(&a->keywords, names.n);
	buf_add(&a->keywords, names);
}

void
arrival_date(struct arrival *a, int64_t wall_s)
{
	a->date_s = wall_s;
	a->dated = true;
}

/* The time of a file is the internal date of its message. */
static bool
set_date(const struct arrival *a)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)a->date_s } };

	return !a->dated || futimens(a->copy.fd, t) == 0;
}

/* put_by: its file is closed. */
static bool
arrival_end(struct arrival *a, bool put_by)
{
	if (a->ended)
		return true;
	if (a->cr && !maildir_add(&a->copy, text("\r")))
		return false;
	a->ended = set_date(a) && (a->m->format == MAILBOX_MBOX
	    || (put_by ? maildir_put_by(&a->copy) : maildir_settle(&a->m->maildir, &a->copy)));
	return a->ended;
}

void
arrival_free(struct arrival **a)
{
	if (!*a)
		return;
	if ((*a)->shared)
		(*a)->copy.fd = -1;
	else if ((*a)->taken || (*a)->m->format == MAILBOX_MBOX)
		fd_close(&(*a)->copy.fd);
	else
		maildir_drop(&(*a)->m->maildir, &(*a)->copy);
	buf_fini(&(*a)->keywords);
	mem_free(*a);
	*a = NULL;
}

/* ---- names and UIDs, under the lock ---- */

static int
first_fault(const struct maildir_copy *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c[i].fault != 0)
			return c[i].fault;
	return 0;
}

/* A session that looked before the lock was ours may have given some of them UIDs: those count. */
static bool
give(struct mailbox *m, const struct maildir_copy *c, size_t n, uint32_t *uids)
{
	struct bytes *names = mem_array(n, sizeof *names);
	uint32_t *given = mem_array(n, sizeof *given);
	size_t fresh = 0;
	bool good;

	for (size_t i = 0; i < n; i++)
		if ((uids[i] = ledger_find(m->ledger, maildir_copy_name(&c[i]), NULL)) == 0)
			names[fresh++] = maildir_copy_name(&c[i]);
	good = ledger_give(m->ledger, names, fresh, given);
	for (size_t i = 0, j = 0; good && i < n; i++)
		if (uids[i] == 0)
			uids[i] = given[j++];
	mem_free(names);
	mem_free(given);
	return good;
}

/* ESTALE: UIDVALIDITY has changed just now, and the ledger is new. */
static bool
give_uids(struct mailbox *m, const struct maildir_copy *c, size_t n, uint32_t *uids)
{
	bool good = ledger_load(m->ledger) && give(m, c, n, uids);

	if (!good && errno == ESTALE)
		good = give(m, c, n, uids);
	return good;
}

static void
drop_all(struct mailbox *m, struct maildir_copy *c, size_t n)
{
	int saved = errno;

	for (size_t i = 0; i < n; i++)
		maildir_drop(&m->maildir, &c[i]);
	errno = saved;
}

/* Those that are placed become durable and get UIDs, or are dropped. */
static bool
settle_all(struct mailbox *m, struct maildir_copy *c, size_t n, bool placed, uint32_t *uids)
{
	if (placed && give_uids(m, c, n, uids)) {
		maildir_make_durable(&m->maildir, c, n);
		errno = first_fault(c, n);
		if (errno == 0)
			return true;
	}
	drop_all(m, c, n);
	return false;
}

/* ---- APPEND ---- */

static bool
take_maildir(struct mailbox *m, struct arrival **a, size_t n, uint32_t *uids)
{
	struct maildir_copy *c = mem_array(n, sizeof *c);
	bool good = true;
	size_t i;

	for (i = 0; good && i < n; i++) {
		good = maildir_place(&m->maildir, &a[i]->copy, a[i]->flags);
		c[i] = a[i]->copy;
		a[i]->copy.fd = -1;
		a[i]->copy.tmp[0] = '\0';
		a[i]->taken = true;
	}
	good = settle_all(m, c, i, good, uids);
	for (size_t j = 0; j < i; j++)
		fd_close(&c[j].fd);
	mem_free(c);
	return good;
}

/* The UIDs of what begins there, by rising start; 0: nothing does. */
static void
find_starts(const struct mailbox *m, const uint64_t *starts, size_t n, uint32_t *uids)
{
	const struct mbox *b = &m->mbox;
	uint32_t *uid_of = mem_array(b->n + 1, sizeof *uid_of);	/* part */
	size_t part = 0;

	for (size_t i = 0; i < m->n; i++)
		if (m->item[i].part != PART_GONE)
			uid_of[m->item[i].part] = m->item[i].mail.uid;
	for (size_t i = 0; i < n; i++) {
		while (part < b->n && b->part[part].at < starts[i])
			part++;
		uids[i] = part < b->n && b->part[part].at == starts[i] ? uid_of[part] : 0;
	}
	mem_free(uid_of);
}

/* Which UID the ledger gave to what begins there; 0: another program has rewritten the file meanwhile. */
static bool
uids_of_parts(struct mailbox *m, struct arrival **a, const uint64_t *starts, size_t n, uint32_t *uids)
{
	uint32_t *uid = mem_array(n, sizeof *uid), *flags = mem_array(n, sizeof *flags);
	size_t flagged = 0;
	bool good = mailbox_look_again(m);

	if (good)
		find_starts(m, starts, n, uids);
	for (size_t i = 0; good && i < n; i++)
		if (uids[i] != 0 && a[i]->flags != 0) {
			uid[flagged] = uids[i];
			flags[flagged++] = a[i]->flags;
		}
	if (good && flagged > 0)
		good = ledger_set_flags(m->ledger, uid, flags, flagged, true) && mailbox_look_again(m);
	mem_free(uid);
	mem_free(flags);
	return good;
}

/*
 * The messages are on disk, but the ledger failed behind them. They are taken off again: nobody else can have seen them,
 * for the lock of the ledger is ours. Where something was delivered behind them meanwhile they stay, and to say NO would
 * bring them twice: then they have no UIDs that could be told, and no flags. True: they stay.
 */
static bool
without_ledger(struct mailbox *m, uint64_t start, uint32_t *uids, size_t n)
{
	int fault = errno;
	bool off = mbox_take_off(&m->mbox, start);

	errno = fault;
	if (off)
		return false;
	log_errno("mailbox %s: the ledger cannot be written; what was added stays, without flags", mailbox_what(m));
	memset(uids, 0, n * sizeof *uids);
	return true;
}

static bool
take_mbox(struct mailbox *m, struct arrival **a, size_t n, uint32_t *uids)
{
	struct delivery *d = mem_array(n, sizeof *d);
	struct buf *runs = mem_array(n, sizeof *runs);
	uint64_t *starts = mem_array(n, sizeof *starts);
	bool good = mailbox_look(m);	/* the ledger knows messages by what they hold: which are there already? */

	for (size_t i = 0; i < n; i++) {
		buf_init(&runs[i], 64);
		segments_add_file(&runs[i], a[i]->start, a[i]->copy.octets);
		d[i] = (struct delivery){ .fd = a[i]->copy.fd, .segments = buf_bytes(&runs[i]),
		    .octets = a[i]->copy.octets, .date_s = a[i]->date_s };
	}
	good = good && mbox_append(&m->mbox, d, n, starts)
	    && (uids_of_parts(m, a, starts, n, uids) || without_ledger(m, starts[0], uids, n));
	for (size_t i = 0; i < n; i++)
		buf_fini(&runs[i]);
	mem_free(runs);
	mem_free(d);
	mem_free(starts);
	return good;
}

/* The letters of their keywords now, and until they have them. Those that there are first: else one of them might be
 * given to a new name. */
static bool
take_keywords(struct mailbox *m, struct arrival **a, size_t n)
{
	uint32_t keep = 0;

	for (int make = 0; make < 2; make++)
		for (size_t i = 0; i < n; i++) {
			uint32_t flags = 0;

			if (!keywords_named(m, buf_bytes(&a[i]->keywords), make, keep, &flags))
				return false;
			keep |= flags;
			if (a[i]->keywords.n > 0)
				a[i]->flags = (a[i]->flags & (MAIL_KEYWORD - 1)) | flags;
		}
	return true;
}

static bool
end_all(struct arrival **a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!arrival_end(a[i], false))
			return false;
	return true;
}

static bool
take_locked(struct mailbox *m, struct arrival **a, size_t n, uint32_t *uids)
{
	return m->format == MAILBOX_MAILDIR ? take_maildir(m, a, n, uids) : take_mbox(m, a, n, uids);
}

bool
mailbox_take(struct mailbox *m, struct arrival **a, size_t n, uint32_t *uids)
{
	bool good;

	if (!end_all(a, n))
		return false;
	if (n == 0)
		return true;
	if (!mailbox_lock(m))
		return false;
	good = take_keywords(m, a, n) && take_locked(m, a, n, uids);
	mailbox_unlock(m);
	return good;
}

/* ---- COPY ---- */

struct copying {
	struct mailbox	*m, *to;
	const uint32_t	*uids;		/* in m */
	size_t		n;
	uint32_t	used;		/* flags that any of them has */
	uint32_t	map[MAIL_KEYWORDS];	/* of m to those of `to`; 0: none */
	uint32_t	left_out;
};

/* The same keywords in another mailbox: it has letters of its own, which hold while the lock of `to` is ours. One that finds
 * no room is left out. False: errno. */
static bool
map_keywords(struct copying *c)
{
	uint32_t keep = 0;

	c->left_out = 0;
	errno = c->m->keywords.fault;
	if (errno != 0 && c->used >= MAIL_KEYWORD)
		return false;
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++) {
		struct bytes name = mailbox_keyword(c->m, i);
		uint32_t flag = (uint32_t)MAIL_KEYWORD << i;

		c->map[i] = 0;
		if (!(c->used & flag) || name.n == 0)
			continue;
		c->map[i] = keyword_make(c->to, name, keep);
		keep |= c->map[i];
		if (c->map[i] == 0 && errno != EMLINK)
			return false;
		c->left_out |= c->map[i] == 0 ? flag : 0;
	}
	return true;
}

static uint32_t
mapped(const struct copying *c, uint32_t flags)
{
	uint32_t out = flags & (MAIL_KEYWORD - 1);

	for (unsigned i = 0; i < MAIL_KEYWORDS; i++)
		if (flags & (uint32_t)MAIL_KEYWORD << i)
			out |= c->map[i];
	return out;
}

/* As an arrival, by its octets: from an mbox, to one, or where no link can be. False: errno. */
static bool
copy_content(struct mailbox *m, size_t i, struct arrival *a)
{
	unsigned char *room = mem_alloc(COPY_CHUNK);
	struct mail_reader *r = mailbox_read(m, i);
	int64_t date;
	bool good = r != NULL;
	long got = 0;

	while (good && (got = mail_reader_get(r, room, COPY_CHUNK)) > 0)
		good = arrival_add(a, bytes_of(room, (size_t)got));
	mail_reader_free(&r);
	mem_free(room);
	if (good && got == 0 && mailbox_date(m, i, &date))
		arrival_date(a, date);
	return good && got == 0;
}

static bool
take_copies(struct copying *c, struct arrival **a, uint32_t *out)
{
	bool good;

	if (!mailbox_lock(c->to))
		return false;
	good = map_keywords(c);
	for (size_t k = 0; good && k < c->n; k++)
		arrival_flags(a[k], mapped(c, a[k]->flags));
	good = good && take_locked(c->to, a, c->n, out);
	mailbox_unlock(c->to);
	return good;
}

/* The next of them, with flags as they are in m. False: errno. */
static bool
copy_one(struct copying *c, struct arrival **a, size_t k)
{
	struct item *it = mailbox_item(c->m, c->uids[k]);
	bool mbox = c->to->format == MAILBOX_MBOX, put_by = !mbox && k >= OPEN_MOST;

	errno = ENOENT;
	if (!it)
		return false;
	a[k] = mbox && k > 0 ? arrive_behind(a[k - 1]) : put_by ? arrive_named(c->to) : mailbox_arrive(c->to);
	if (!a[k] || !copy_content(c->m, (size_t)(it - c->m->item), a[k]))
		return false;
	arrival_flags(a[k], it->mail.flags);
	return !put_by || arrival_end(a[k], true);
}

static bool
copy_contents(struct copying *c, uint32_t *out)
{
	struct arrival **a = mem_array(c->n, sizeof *a);
	bool good = true;

	for (size_t k = 0; good && k < c->n; k++)
		good = copy_one(c, a, k);
	good = good && end_all(a, c->n) && take_copies(c, a, out);
	for (size_t k = c->n; k > 0; k--)
		arrival_free(&a[k - 1]);
	mem_free(a);
	return good;
}

static bool
no_link(int fault)
{
	return fault == EXDEV || fault == EMLINK || fault == EPERM || fault == EOPNOTSUPP;
}

/* Another program may rename a message while we do this. */
static bool
link_one(const struct copying *g, struct item *it, struct maildir_copy *c)
{
	struct mailbox *m = g->m;

	for (int i = 0; i < SCAN_TRIES; i++) {
		if (maildir_link(&m->maildir, &it->file, &g->to->maildir, c, mapped(g, it->mail.flags)))
			return true;
		if (errno != ENOENT || !maildir_find(&m->maildir, &it->file, m->names))
			return false;
		it->mail.flags = maildir_flags(it->file.suffix);
	}
	return false;
}

/* Under the lock of `to`. False: errno; no_link: nothing was done. */
static bool
link_all(const struct copying *g, uint32_t *out)
{
	struct maildir_copy *c = mem_array(g->n, sizeof *c);
	bool good = true;
	size_t k;

	for (k = 0; good && k < g->n; k++) {
		struct item *it = mailbox_item(g->m, g->uids[k]);

		c[k].fd = -1;
		errno = ENOENT;
		good = it && link_one(g, it, &c[k]);
	}
	good = settle_all(g->to, c, k, good, out);
	mem_free(c);
	return good;
}

static bool
copy_links(struct copying *c, uint32_t *out)
{
	bool good;

	if (!mailbox_lock(c->to))
		return false;
	good = map_keywords(c) && link_all(c, out);
	mailbox_unlock(c->to);
	return good;
}

static bool
copy_uids(struct copying *c, uint32_t *out)
{
	if (!mailbox_scan(c->m))
		return false;
	for (size_t k = 0; k < c->n; k++) {
		const struct item *it = mailbox_item(c->m, c->uids[k]);

		errno = ENOENT;
		if (!it)
			return false;
		c->used |= it->mail.flags;
	}
	if (c->m->format == MAILBOX_MAILDIR && c->to->format == MAILBOX_MAILDIR) {
		if (copy_links(c, out))
			return true;
		if (!no_link(errno))
			return false;
	}
	return copy_contents(c, out);
}

bool
mailbox_copy(struct mailbox *m, const size_t *which, size_t n, struct mailbox *to, uint32_t *uids, uint32_t *left_out)
{
	uint32_t *from = mailbox_uids(m, which, n);
	struct copying c = { .m = m, .to = to, .uids = from, .n = n };
	bool good = n == 0 || copy_uids(&c, uids);

	*left_out = c.left_out;
	mem_free(from);
	return good;
}

/* ---- MOVE ---- */

/* ours[k]: it was us who removed it. What is not there any more is not ours. */
static bool
expunge_uids(struct mailbox *m, const uint32_t *uids, size_t n, bool *ours)
{
	size_t *which = mem_array(n + 1, sizeof *which), *place = mem_array(n + 1, sizeof *place), found = 0;
	bool *removed = mem_array(n + 1, sizeof *removed), good;

	for (size_t k = 0; k < n; k++) {
		const struct item *it = mailbox_item(m, uids[k]);

		if (!it)
			continue;
		place[found] = k;
		which[found++] = (size_t)(it - m->item);
	}
	good = mailbox_expunge_ours(m, which, found, removed);
	for (size_t i = 0; i < found; i++)
		ours[place[i]] = removed[i];
	mem_free(removed);
	mem_free(place);
	mem_free(which);
	return good;
}

/* Who removes a message from where it was has moved it. Another session may have been faster, or a hand: then it
 * is where that has put it, and our copy would be one too many. uids: of the copies; 0 where there is none any more. */
static bool
take_back(struct mailbox *to, uint32_t *uids, size_t n, const bool *ours)
{
	uint32_t *copies = mem_array(n + 1, sizeof *copies);
	bool *removed = mem_array(n + 1, sizeof *removed), good = true;
	size_t found = 0;

	for (size_t k = 0; k < n; k++)
		if (!ours[k]) {
			copies[found++] = uids[k];
			uids[k] = 0;
		}
	if (found > 0)
		good = mailbox_scan(to) && expunge_uids(to, copies, found, removed);
	mem_free(removed);
	mem_free(copies);
	return good;
}

bool
mailbox_move(struct mailbox *m, const size_t *which, size_t n, struct mailbox *to, uint32_t *uids, uint32_t *left_out)
{
	uint32_t *from = mailbox_uids(m, which, n);
	struct copying c = { .m = m, .to = to, .uids = from, .n = n };
	bool *ours = mem_array(n + 1, sizeof *ours);
	bool good = n == 0 || (copy_uids(&c, uids) && expunge_uids(m, from, n, ours)
	    && take_back(to, uids, n, ours));

	*left_out = c.left_out;
	mem_free(ours);
	mem_free(from);
	return good;
}
