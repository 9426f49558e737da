/* SPDX-License-Identifier: ISC */
#include "mail/mailbox.h"

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
#include "mail/ledger.h"
#include "mail/line_ends.h"
#include "mail/maildir.h"
#include "mail/mbox.h"

#define STEM		"hermod"	/* of what we keep in a Maildir: hermod.ledger, ... */
#define CACHE		"hermod.cache"
#define CACHE_MAGIC	"HERMSIZE"
#define CACHE_HEADER	24
#define CACHE_ENTRY	16
#define CACHE_MAX	(64u << 20)
#define MESSAGE_MAX	(1u << 30)	/* of a message of an mbox, which is read into memory */
#define QUIET_S		2		/* a directory that changed this long ago will show what changes it next */
#define SCAN_TRIES	3

struct item {
	struct mail	mail;		/* first: what callers see */
	struct maildir_file file;	/* Maildir */
	size_t		part;		/* mbox: index of its part */
};

struct mailbox {
	enum mailbox_format format;
	int64_t		wait_ms;
	struct maildir	maildir;
	struct mbox	mbox;
	struct ledger	*ledger;	/* owned; NULL until it is needed */
	struct item	*item;		/* owned; by rising UID */
	size_t		n;
	struct arena	*names;		/* owned; of mails whose names changed or are made here */
	struct maildir_list list;	/* owned; Maildir: item names are in it */
	bool		scanned;
	struct timespec	mtime[2];	/* Maildir: of new/, cur/ before they were listed */
	int64_t		listed_s;
	bool		cache_read, cache_dirty;
};

/* ---- names of mailboxes ---- */

static bool
clean_path(struct bytes path)
{
	struct bytes rest = path;

	if (path.n < 2 || path.n >= 1024 || path.p[0] != '/')
		return false;
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] < ' ' || path.p[i] == 0x7f)
			return false;
	while (rest.n > 0)
		if (bytes_eq(bytes_cut(&rest, '/'), text("..")))
			return false;
	return true;
}

bool
mailbox_parse(struct bytes spec, enum mailbox_format *format, char path[1024])
{
	struct bytes word = bytes_cut(&spec, ':');

	if (bytes_eq(word, text("maildir")))
		*format = MAILBOX_MAILDIR;
	else if (bytes_eq(word, text("mbox")))
		*format = MAILBOX_MBOX;
	else
		return false;
	while (spec.n > 1 && spec.p[spec.n - 1] == '/')
		spec = bytes_head(spec, spec.n - 1);
	return clean_path(spec) && bytes_to_text(spec, path, 1024);
}

/* Opens the directory that path's last component is in; links on the way are the administrator's. */
static int
open_parent(char *path, const char **last)
{
	char *slash = strrchr(path, '/');

	*last = slash + 1;
	*slash = '\0';
	return open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- opening ---- */

static bool
owned_by_us(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return false;
	errno = EPERM;
	return st.st_uid == geteuid();
}

/* The directory itself, ours; made where its parent is ours. -1: errno and why. */
static int
open_own_dir(int parent, const char *name, char *why, size_t cap)
{
	int dir = dir_open(parent, name);

	if (dir == -1 && errno == ENOENT) {
		if (!owned_by_us(parent)) {
			snprintf(why, cap, "there is no mailbox, and the directory it would be "
			    "in is another's");
			return -1;
		}
		if (dir_make(parent, name, 0700) && dir_sync(parent))
			dir = dir_open(parent, name);
	}
	if (dir == -1) {
		snprintf(why, cap, errno == ELOOP || errno == ENOTDIR
		    ? "it is no directory, or a symbolic link: %s" : "%s", strerror(errno));
		return -1;
	}
	if (!owned_by_us(dir)) {
		snprintf(why, cap, "it belongs to another user");
		fd_close(&dir);
	}
	return dir;
}

static bool
open_format(struct mailbox *m, int parent, const char *name, const char *what, char *why,
    size_t cap)
{
	int dir;

	if (m->format == MAILBOX_MBOX)
		return mbox_open(&m->mbox, parent, name, what, m->wait_ms, why, cap);
	dir = open_own_dir(parent, name, why, cap);
	fd_close(&parent);
	if (dir == -1)
		return false;
	if (maildir_open(&m->maildir, dir, what))
		return true;
	snprintf(why, cap, "its directories cur, new, tmp: %s", strerror(errno));
	return false;
}

struct mailbox *
mailbox_open(struct bytes spec, int64_t wait_ms, char *why, size_t cap)
{
	struct mailbox *m;
	enum mailbox_format format;
	char path[1024], what[1024];
	const char *name;
	int parent;

	if (!mailbox_parse(spec, &format, path)) {
		snprintf(why, cap, "\"%s\" is not maildir:/path or mbox:/path", log_text(spec));
		errno = EINVAL;
		return NULL;
	}
	memcpy(what, path, sizeof what);
	parent = open_parent(path, &name);
	if (parent == -1) {
		snprintf(why, cap, "the directory it would be in: %s", strerror(errno));
		return NULL;
	}
	m = mem_alloc(sizeof *m);
	m->format = format;
	m->wait_ms = wait_ms;
	if (!open_format(m, parent, name, what, why, cap)) {
		int saved = errno;

		mem_free(m);
		errno = saved;
		return NULL;
	}
	m->names = arena_new(CACHE_MAX);
	return m;
}

size_t
mailbox_dirs(const struct mailbox *m, int *dirs, size_t max)
{
	must(max >= 2);
	if (m->format == MAILBOX_MAILDIR) {
		dirs[0] = m->maildir.dir;
		return 1;
	}
	dirs[0] = m->mbox.parent;
	dirs[1] = m->mbox.state;
	return 2;
}

static const char *
what_of(const struct mailbox *m)
{
	return m->format == MAILBOX_MAILDIR ? m->maildir.what : m->mbox.what;
}

/* ---- delivery ---- */

enum outcome
mailbox_outcome(int fault, struct buf *reply)
{
	switch (fault) {
	case 0:
		buf_text(reply, "2.0.0 delivered to mailbox");
		return DELIVERED;
	case EDQUOT:
		buf_text(reply, "4.2.2 mailbox is full: its owner is over quota");
		break;
	case ENOSPC:
		buf_text(reply, "4.3.1 no space left where the mailbox is");
		break;
	case ETIMEDOUT:
		buf_text(reply, "4.2.0 mailbox is locked by another program");
		break;
	case EBADMSG:
		buf_text(reply, "4.3.0 the queue file is not as long as its envelope says");
		break;
	default:
		buf_fmt(reply, "4.3.0 mailbox cannot be written: %s", strerror(fault));
	}
	return TRY_LATER;
}

void
mailbox_deliver_all(struct mailbox *m, const struct delivery *d, size_t n, enum outcome *outcome,
    struct buf *reply)
{
	if (m->format == MAILBOX_MAILDIR)
		maildir_deliver(&m->maildir, d, n, outcome, reply);
	else
		mbox_deliver(&m->mbox, d, n, outcome, reply);
}

enum outcome
mailbox_deliver(struct mailbox *m, const struct delivery *d, struct buf *reply)
{
	enum outcome outcome = TRY_LATER;

	mailbox_deliver_all(m, d, 1, &outcome, reply);
	return outcome;
}

/* ---- looking ---- */

static struct ledger *
ledger_of(struct mailbox *m)
{
	if (!m->ledger && m->format == MAILBOX_MAILDIR)
		m->ledger = ledger_new(m->maildir.dir, STEM, what_of(m));
	else if (!m->ledger)
		m->ledger = ledger_new(m->mbox.state, m->mbox.stem, what_of(m));
	return m->ledger;
}

static int
by_arrival(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = maildir_order(x->mail.name, y->mail.name);

	return order != 0 ? order : (int)x->file.in_new - (int)y->file.in_new;
}

static int
by_uid(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->mail.uid != y->mail.uid)
		return x->mail.uid < y->mail.uid ? -1 : 1;
	return (int)x->file.in_new - (int)y->file.in_new;
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
		qsort(item + known, fresh, sizeof *item, by_arrival);
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

/* Those with a UID first, the others as they were, behind. Returns how many have one. */
static size_t
find_uids(struct mailbox *m, struct item *item, size_t n)
{
	struct item *fresh = mem_array(n ? n : 1, sizeof *fresh);
	size_t known = 0, others = 0;

	ledger_marks(m->ledger);
	for (size_t i = 0; i < n; i++) {
		bool seen = false;

		item[i].mail.uid = ledger_find(m->ledger, item[i].mail.name, &seen);
		item[i].mail.seen |= seen;
		if (item[i].mail.uid != 0)
			item[known++] = item[i];
		else
			fresh[others++] = item[i];
	}
	memcpy(item + known, fresh, others * sizeof *fresh);
	mem_free(fresh);
	return known;
}

/* What is known of sizes goes from the old items to the new; both by rising UID. */
static void
keep_sizes(struct mailbox *m, struct item *item, size_t n)
{
	size_t j = 0;

	for (size_t i = 0; i < n; i++) {
		while (j < m->n && m->item[j].mail.uid < item[i].mail.uid)
			j++;
		if (j < m->n && m->item[j].mail.uid == item[i].mail.uid && m->item[j].mail.sized) {
			item[i].mail.octets = m->item[j].mail.octets;
			item[i].mail.sized = true;
		}
	}
}

static void
forget_items(struct mailbox *m)
{
	mem_free(m->item);
	m->item = NULL;
	m->n = 0;
}

/* item is taken. */
static bool
take_items(struct mailbox *m, struct item *item, size_t n, uint32_t old_validity)
{
	size_t known = find_uids(m, item, n);

	if (!give_uids(m, item, known, &n)) {
		mem_free(item);
		return false;
	}
	if (n > 0)
		qsort(item, n, sizeof *item, by_uid);
	n = drop_twins(item, n);
	if (old_validity == ledger_uidvalidity(m->ledger))
		keep_sizes(m, item, n);
	else
		m->cache_read = false;
	forget_items(m);
	m->item = item;
	m->n = n;
	ledger_trim(m->ledger);
	return true;
}

static struct item *
items_of_list(const struct maildir_list *l)
{
	struct item *item = mem_array(l->n ? l->n : 1, sizeof *item);

	for (size_t i = 0; i < l->n; i++) {
		item[i].file = l->file[i];
		item[i].mail.name = l->file[i].name;
		item[i].mail.seen = maildir_has_flag(&l->file[i], 'S');
	}
	return item;
}

/* True: mails that we knew, or many that the ledger knows, are not in the list. They may have been
 * renamed while we read the directory. */
static bool
many_missing(struct mailbox *m, const struct maildir_list *l)
{
	bool seen;

	ledger_marks(m->ledger);
	for (size_t i = 0; i < l->n; i++)
		ledger_find(m->ledger, l->file[i].name, &seen);
	if (ledger_missing(m->ledger) == 0)
		return false;
	return m->n > 0 || ledger_missing(m->ledger) > l->n;
}

static bool
look_maildir(struct mailbox *m, uint32_t old_validity)
{
	struct maildir_list list = { 0 };

	if (!maildir_list(&m->maildir, &list)
	    || (many_missing(m, &list) && !maildir_list(&m->maildir, &list))
	    || !take_items(m, items_of_list(&list), list.n, old_validity)) {
		int saved = errno;

		maildir_list_free(&list);
		errno = saved;
		return false;
	}
	maildir_list_free(&m->list);
	m->list = list;
	return true;
}

/* Hash, and the how-manieth of those that are equal. */
static struct bytes
part_name(struct arena *a, const struct mbox *b, size_t i)
{
	const struct mbox_part *p = &b->part[i];
	size_t nth = 0;

	for (size_t j = i; j-- > 0; )
		nth += b->part[j].hash == p->hash;
	return arena_fmt(a, "%016llx-%zx", (unsigned long long)p->hash, nth);
}

static bool
look_mbox(struct mailbox *m, uint32_t old_validity)
{
	struct item *item;
	bool changed;

	if (!mbox_list(&m->mbox, ledger_key(m->ledger), &changed))
		return false;
	if (!changed && m->scanned)
		return true;
	forget_items(m);
	arena_reset(m->names);
	item = mem_array(m->mbox.n ? m->mbox.n : 1, sizeof *item);
	for (size_t i = 0; i < m->mbox.n; i++) {
		item[i].part = i;
		item[i].mail.octets = m->mbox.part[i].octets;
		item[i].mail.sized = true;
		item[i].mail.name = part_name(m->names, &m->mbox, i);
	}
	return take_items(m, item, m->mbox.n, old_validity);
}

/* True: nothing came or went since we listed. */
static bool
still_same(struct mailbox *m, struct timespec now[2])
{
	int dir[2] = { m->maildir.new, m->maildir.cur };
	bool same = m->scanned;

	for (int i = 0; i < 2; i++) {
		struct stat st;

		if (fstat(dir[i], &st) == -1)
			return false;
		now[i] = st.st_mtim;
		same = same && now[i].tv_sec == m->mtime[i].tv_sec
		    && now[i].tv_nsec == m->mtime[i].tv_nsec
		    && now[i].tv_sec < m->listed_s - QUIET_S;
	}
	return same;
}

static bool
look(struct mailbox *m)
{
	uint32_t old = m->scanned ? ledger_uidvalidity(m->ledger) : 0;
	bool good;

	if (!ledger_lock(m->ledger, m->wait_ms))
		return false;
	good = ledger_load(m->ledger)
	    && (m->format == MAILBOX_MAILDIR ? look_maildir(m, old) : look_mbox(m, old));
	ledger_unlock(m->ledger);
	return good;
}

bool
mailbox_scan(struct mailbox *m)
{
	struct timespec now[2];
	int64_t at = clock_wall_s();
	bool good = false;

	ledger_of(m);
	if (m->format == MAILBOX_MAILDIR && still_same(m, now))
		return true;
	errno = ESTALE;
	for (int i = 0; i < SCAN_TRIES && !good && errno == ESTALE; i++)
		good = look(m);
	if (!good)
		return false;
	if (m->format == MAILBOX_MAILDIR)
		memcpy(m->mtime, now, sizeof now);
	m->listed_s = at;
	m->scanned = true;
	return true;
}

uint32_t mailbox_uidvalidity(const struct mailbox *m) { return ledger_uidvalidity(m->ledger); }
size_t mailbox_count(const struct mailbox *m) { return m->n; }

struct mail *
mailbox_mail(struct mailbox *m, size_t i)
{
	must(i < m->n);
	return &m->item[i].mail;
}

/* ---- sizes of a Maildir's messages: counted once, then in the cache ---- */

static uint32_t
cut_u32(struct bytes *s)
{
	uint32_t v = (uint32_t)s->p[0] | (uint32_t)s->p[1] << 8 | (uint32_t)s->p[2] << 16
	    | (uint32_t)s->p[3] << 24;

	*s = bytes_skip(*s, 4);
	return v;
}

/* Entries are by rising UID, as the items are. */
static void
take_cache(struct mailbox *m, struct bytes entries)
{
	size_t i = 0;

	while (entries.n >= CACHE_ENTRY) {
		uint32_t uid = cut_u32(&entries);
		uint64_t octets;

		cut_u32(&entries);
		octets = cut_u32(&entries);
		octets |= (uint64_t)cut_u32(&entries) << 32;
		while (i < m->n && m->item[i].mail.uid < uid)
			i++;
		if (i < m->n && m->item[i].mail.uid == uid && !m->item[i].mail.sized) {
			m->item[i].mail.octets = octets;
			m->item[i].mail.sized = true;
		}
	}
}

/* What is missing, damaged or of another UIDVALIDITY is counted again: no more than a loss of time. */
static void
read_cache(struct mailbox *m)
{
	struct bytes s;
	struct buf b;

	m->cache_read = true;
	buf_init(&b, CACHE_MAX);
	if (file_slurp(m->maildir.dir, CACHE, &b) && b.n >= CACHE_HEADER
	    && memcmp(b.p, CACHE_MAGIC, 8) == 0) {
		uint32_t version, validity, sum;

		s = bytes_skip(buf_bytes(&b), 8);
		version = cut_u32(&s);
		validity = cut_u32(&s);
		sum = cut_u32(&s);
		cut_u32(&s);
		if (version == 1 && validity == ledger_uidvalidity(m->ledger)
		    && sum == crc32_of(validity, s) && s.n % CACHE_ENTRY == 0)
			take_cache(m, s);
	}
	buf_fini(&b);
}

static void
put_entries(const struct mailbox *m, struct buf *out)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mail *mail = &m->item[i].mail;

		if (!mail->sized || mail->expunged)
			continue;
		buf_u32(out, mail->uid);
		buf_u32(out, 0);
		buf_u64(out, mail->octets);
	}
}

/* Not synced: a cache that a crash spoils fails its checksum. */
static void
write_cache(struct mailbox *m)
{
	uint32_t validity = ledger_uidvalidity(m->ledger);
	struct buf entries, out;
	char tmp[64];
	int fd;

	buf_init(&entries, CACHE_MAX);
	buf_init(&out, CACHE_MAX + CACHE_HEADER);
	put_entries(m, &entries);
	buf_text(&out, CACHE_MAGIC);
	buf_u32(&out, 1);
	buf_u32(&out, validity);
	buf_u32(&out, crc32_of(validity, buf_bytes(&entries)));
	buf_u32(&out, 0);
	buf_add(&out, buf_bytes(&entries));
	snprintf(tmp, sizeof tmp, "%s.%d", CACHE, (int)getpid());
	unlinkat(m->maildir.dir, tmp, 0);
	fd = file_open(m->maildir.dir, tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd != -1) {
		bool good = !out.full && !entries.full && file_write(fd, buf_bytes(&out));

		if (close(fd) == -1 || !good || renameat(m->maildir.dir, tmp, m->maildir.dir, CACHE) == -1)
			unlinkat(m->maildir.dir, tmp, 0);
	}
	buf_fini(&entries);
	buf_fini(&out);
	m->cache_dirty = false;
}

/* The message's file, wherever another program has moved it to. -1: errno. */
static int
open_item(struct mailbox *m, struct item *it)
{
	int fd = maildir_open_file(&m->maildir, &it->file);

	if (fd == -1 && errno == ENOENT && maildir_find(&m->maildir, &it->file, m->names))
		fd = maildir_open_file(&m->maildir, &it->file);
	return fd;
}

static bool
count_octets(struct mailbox *m, struct item *it)
{
	struct crlf_reader *r;
	int fd = open_item(m, it);
	bool good;

	if (fd == -1)
		return false;
	r = mem_alloc(sizeof *r);
	crlf_reader_init(r, fd, 0, UINT64_MAX >> 2);
	good = crlf_reader_count(r, &it->mail.octets);
	mem_free(r);
	fd_close(&fd);
	it->mail.sized = good;
	m->cache_dirty |= good;
	return good;
}

bool
mailbox_size(struct mailbox *m, size_t i)
{
	must(i < m->n);
	if (!m->item[i].mail.sized && m->format == MAILBOX_MAILDIR && !m->cache_read)
		read_cache(m);
	return m->item[i].mail.sized || count_octets(m, &m->item[i]);
}

/* ---- reading ---- */

struct mail_reader {
	int		fd;		/* owned; -1: in memory */
	struct buf	memory;		/* owned */
	struct crlf_reader lines;
};

#define PART_GONE SIZE_MAX

/* Another program has rewritten the file: finds the messages again by what they hold. */
static bool
find_parts(struct mailbox *m)
{
	struct bytes *name;
	bool changed;

	if (!mbox_list(&m->mbox, ledger_key(m->ledger), &changed))
		return false;
	name = mem_array(m->mbox.n ? m->mbox.n : 1, sizeof *name);
	for (size_t j = 0; j < m->mbox.n; j++)
		name[j] = part_name(m->names, &m->mbox, j);
	for (size_t i = 0, j = 0; i < m->n; i++) {
		size_t tried = 0;

		m->item[i].part = PART_GONE;	/* the order is mostly the old one: go on from j */
		for (; tried < m->mbox.n; tried++, j = j + 1 < m->mbox.n ? j + 1 : 0)
			if (bytes_eq(name[j], m->item[i].mail.name)) {
				m->item[i].part = j;
				break;
			}
	}
	mem_free(name);
	return true;
}

static bool
read_part(struct mailbox *m, size_t i, struct buf *out)
{
	for (int tries = 0; tries < SCAN_TRIES; tries++) {
		size_t part = m->item[i].part;

		errno = ENOENT;
		if (part == PART_GONE)
			return false;
		if (mbox_get(&m->mbox, ledger_key(m->ledger), &m->mbox.part[part], out))
			return true;
		if (errno != ESTALE || !find_parts(m))
			return false;
	}
	return false;
}

struct mail_reader *
mailbox_read(struct mailbox *m, size_t i)
{
	struct mail_reader *r;

	must(i < m->n);
	r = mem_alloc(sizeof *r);
	r->fd = -1;
	buf_init(&r->memory, MESSAGE_MAX);
	if (m->format == MAILBOX_MAILDIR && (r->fd = open_item(m, &m->item[i])) != -1) {
		crlf_reader_init(&r->lines, r->fd, 0, UINT64_MAX >> 2);
		return r;
	}
	if (m->format == MAILBOX_MBOX && read_part(m, i, &r->memory)) {
		crlf_reader_init(&r->lines, -1, 0, 0);
		r->lines.have = buf_bytes(&r->memory);
		return r;
	}
	mail_reader_free(&r);
	return NULL;
}

long
mail_reader_get(struct mail_reader *r, void *p, size_t n)
{
	return crlf_reader_get(&r->lines, p, n);
}

void
mail_reader_free(struct mail_reader **r)
{
	int saved = errno;

	if (!*r)
		return;
	fd_close(&(*r)->fd);
	buf_fini(&(*r)->memory);
	mem_free(*r);
	*r = NULL;
	errno = saved;
}

/* ---- changing ---- */

static bool
remove_item(struct mailbox *m, struct item *it)
{
	if (maildir_remove(&m->maildir, &it->file))
		return true;
	if (errno != ENOENT)
		return false;
	if (maildir_find(&m->maildir, &it->file, m->names))
		return maildir_remove(&m->maildir, &it->file) || errno == ENOENT;
	return errno == ENOENT;
}

static bool
expunge_maildir(struct mailbox *m, const size_t *which, size_t n)
{
	bool new = false, cur = false;

	for (size_t i = 0; i < n; i++) {
		struct item *it = &m->item[which[i]];

		must(which[i] < m->n);
		if (!remove_item(m, it))
			return false;
		it->mail.expunged = true;
		new |= it->file.in_new;
		cur |= !it->file.in_new;
	}
	m->cache_dirty |= n > 0 && m->cache_read;
	return (!new || dir_sync(m->maildir.new)) && (!cur || dir_sync(m->maildir.cur));
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
expunge_mbox(struct mailbox *m, const size_t *which, size_t n)
{
	size_t *part = mem_array(n, sizeof *part);
	bool good = remove_parts(m, which, n, part);

	for (int i = 0; !good && errno == ESTALE && i < SCAN_TRIES && find_parts(m); i++)
		good = remove_parts(m, which, n, part);
	mem_free(part);
	for (size_t i = 0; good && i < n; i++)
		m->item[which[i]].mail.expunged = true;
	return good;
}

bool
mailbox_expunge(struct mailbox *m, const size_t *which, size_t n)
{
	if (n == 0)
		return true;
	return m->format == MAILBOX_MAILDIR ? expunge_maildir(m, which, n)
	    : expunge_mbox(m, which, n);
}

bool
mailbox_mark_seen(struct mailbox *m, size_t i)
{
	struct item *it = &m->item[i];
	bool good;

	must(i < m->n);
	if (it->mail.seen)
		return true;
	if (m->format == MAILBOX_MAILDIR) {
		good = maildir_set_flag(&m->maildir, &it->file, 'S', m->names);
		if (!good && errno == ENOENT && maildir_find(&m->maildir, &it->file, m->names))
			good = maildir_set_flag(&m->maildir, &it->file, 'S', m->names);
	} else {
		good = ledger_lock(m->ledger, m->wait_ms);
		if (good) {
			good = ledger_load(m->ledger) && ledger_mark_seen(m->ledger, it->mail.name);
			ledger_unlock(m->ledger);
		}
	}
	it->mail.seen |= good;
	return good;
}

bool
mailbox_pop3_lock(struct mailbox *m)
{
	return ledger_lock_session(ledger_of(m));
}

void
mailbox_close(struct mailbox **box)
{
	struct mailbox *m = *box;

	if (!m)
		return;
	if (m->cache_dirty && m->scanned)
		write_cache(m);
	forget_items(m);
	maildir_list_free(&m->list);
	ledger_free(&m->ledger);
	if (m->format == MAILBOX_MAILDIR)
		maildir_close(&m->maildir);
	else
		mbox_close(&m->mbox);
	arena_free(&m->names);
	mem_free(m);
	*box = NULL;
}
