/* SPDX-License-Identifier: ISC */
#include "mail/mailbox_check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/little.h"
#include "base/mem.h"
#include "mail/digest.h"
#include "mail/index_format.h"
#include "mail/line_ends.h"
#include "mail/lock_file.h"
#include "mail/mailbox_impl.h"

#define ARENA_OCTETS	(1u << 30)
#define LEDGER_COMMON_AT 12		/* header octets that both copies share: doc/ledger-format.md */
#define LEDGER_INODE_AT	24
#define LEDGER_KEY_AT	32
#define LEDGER_KEY_END	52

/* A file that is read, as long as it was. */
struct image {
	struct bytes	file;		/* mapped, or on the heap */
	bool		heap;
	uint64_t	inode;		/* file_home() of it */
	bool		there;		/* something has that name */
	int		fault;		/* errno; 0: it was read */
};

/* A name, and what is known of it; sorted by name, then by at. */
struct named { struct bytes name; uint64_t at; uint32_t uid; };
struct names { struct named *at; size_t n, cap; };

struct message {
	struct bytes	name;		/* as the ledger and the data have it */
	struct bytes	path;		/* for people */
	struct maildir_file file;	/* Maildir */
	size_t		part;		/* mbox */
	uint32_t	flags;
	uint64_t	octets;		/* as sent, once it was read; UINT64_MAX: it could not be */
};

struct checking {
	struct mailbox	*m;
	const struct check *c;
	int		dir;		/* borrowed: where ledger and index are */
	const char	*stem;
	struct arena	*a;
	struct image	ledger[2], index, data;
	struct ledger_header header;	/* of a whole copy */
	bool		ledger_whole;
	struct names	given;		/* by name, what a whole copy gave */
	struct names	known;		/* by name, records of the data */
	struct message	*message;
	size_t		n, cap;
	struct arena	*tree;
	struct buf	text, room;
};

/* ---- telling ---- */

static void
say(struct checking *k, bool fault, struct bytes where, const char *what, enum finding_advice advice)
{
	struct finding f = { fault, where, what, advice };

	k->c->found(k->c->arg, &f);
}

static void __attribute__((format(printf, 5, 6)))
say_fmt(struct checking *k, bool fault, struct bytes where, enum finding_advice advice, const char *fmt, ...)
{
	char what[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	say(k, fault, where, what, advice);
}

static struct bytes
file_name(struct checking *k, const char *ending)
{
	return arena_fmt(k->a, "%s.%s", k->stem, ending);
}

/* ---- files ---- */

static void
image_open(struct image *i, int dir, const char *stem, const char *ending)
{
	char name[LOCK_FILE_STEM_MAX + 16];
	struct stat st;
	void *p;
	int fd;

	*i = (struct image){ 0 };
	snprintf(name, sizeof name, "%s.%s", stem, ending);
	fd = file_open(dir, name, O_RDONLY, 0);
	i->there = fd != -1 || errno != ENOENT;
	if (fd == -1 || fstat(fd, &st) == -1) {
		i->fault = errno;
	} else {
		i->inode = file_home(&st);
		p = st.st_size == 0 ? NULL : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED)
			i->fault = errno;
		else
			i->file = bytes_of(p, (size_t)st.st_size);
	}
	fd_close(&fd);
}

/* Of one that others change in place. */
static void
image_copy(struct image *i)
{
	unsigned char *p;

	if (i->file.n == 0)
		return;
	p = mem_alloc(i->file.n);
	memcpy(p, i->file.p, i->file.n);
	munmap((void *)(uintptr_t)i->file.p, i->file.n);
	i->file.p = p;
	i->heap = true;
}

static void
image_close(struct image *i)
{
	if (i->heap)
		mem_free((void *)(uintptr_t)i->file.p);
	else if (i->file.n > 0)
		munmap((void *)(uintptr_t)i->file.p, i->file.n);
	*i = (struct image){ 0 };
}

/* ---- names ---- */

static int
by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = bytes_cmp(x->name, y->name);

	return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

static void
add_name(struct names *n, struct bytes name, uint64_t at, uint32_t uid)
{
	if (n->n == n->cap) {
		n->cap = n->cap ? n->cap * 2 : 256;
		n->at = mem_resize(n->at, n->cap * sizeof *n->at);
	}
	n->at[n->n++] = (struct named){ name, at, uid };
}

/* The first of that name; NULL: none. */
static const struct named *
find_name(const struct names *n, struct bytes name)
{
	size_t low = 0, high = n->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (bytes_cmp(n->at[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n->n && bytes_eq(n->at[low].name, name) ? &n->at[low] : NULL;
}

static bool
another(const struct names *n, const struct named *at, struct bytes name)
{
	return at + 1 < n->at + n->n && bytes_eq(at[1].name, name);
}

/* ---- the ledger ---- */

/* Undamaged to its end, and in the file it was written to. given: NULL, or gets its names. */
static bool
ledger_whole(const struct image *i, struct ledger_header *h, struct names *given)
{
	struct ledger_cursor c;
	struct ledger_record r;

	if (i->fault != 0 || !ledger_begin(i->file, h, &c) || h->inode != i->inode)
		return false;
	while (ledger_next(&c, &r))
		if (r.type == LEDGER_GIVEN) {
			h->uidnext = r.uid + 1 > h->uidnext ? r.uid + 1 : h->uidnext;
			if (given)
				add_name(given, r.name, r.uid, r.uid);
		}
	return !c.damaged;
}

static bool
ledgers_alike(struct bytes a, struct bytes b)
{
	return a.n == b.n && a.n >= LEDGER_HEADER
	    && memcmp(a.p + LEDGER_COMMON_AT, b.p + LEDGER_COMMON_AT, LEDGER_INODE_AT - LEDGER_COMMON_AT) == 0
	    && memcmp(a.p + LEDGER_KEY_AT, b.p + LEDGER_KEY_AT, LEDGER_KEY_END - LEDGER_KEY_AT) == 0
	    && memcmp(a.p + LEDGER_HEADER, b.p + LEDGER_HEADER, a.n - LEDGER_HEADER) == 0;
}

static const char *const copies[] = { "ledger", "ledger2" };

/* All that is written under the ledger's lock, as it is at one moment. Where there is no file of locks there is nobody
 * to wait for, and none is made. */
static bool
open_images(const struct mailbox *m, int dir, const char *stem, struct image ledger[2], struct image *index,
    struct image *data)
{
	char name[LOCK_FILE_STEM_MAX + 16];
	struct lock_file lock;
	struct stat st;
	bool locked = false;

	lock_file_init(&lock, dir, stem);
	snprintf(name, sizeof name, "%s.lock", stem);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
		if (!lock_file_take(&lock, LOCK_LEDGER, m->wait_ms)) {
			errno = errno == EAGAIN ? ETIMEDOUT : errno;
			lock_file_fini(&lock);
			return false;
		}
		locked = true;
	}
	image_open(&ledger[0], dir, stem, copies[0]);
	image_open(&ledger[1], dir, stem, copies[1]);
	image_open(index, dir, stem, "index");
	if (index->file.n > INDEX_FILE_MAX)
		index->fault = EFBIG;
	else
		image_copy(index);
	image_open(data, dir, stem, "data");
	if (locked)
		lock_file_drop(&lock, LOCK_LEDGER);
	lock_file_fini(&lock);
	return true;
}

static void
check_copy(struct checking *k, int i, bool *whole)
{
	struct bytes name = file_name(k, copies[i]);
	struct ledger_header h;

	*whole = ledger_whole(&k->ledger[i], &h, NULL);
	if (*whole)
		return;
	if (!k->ledger[i].there)
		say(k, true, name, "is missing; it is made again from the other copy", FINDING_OPEN);
	else if (k->ledger[i].fault != 0)
		say_fmt(k, true, name, FINDING_READ, "cannot be read: %s", strerror(k->ledger[i].fault));
	else if (k->ledger[i].file.n >= LEDGER_HEADER && little_u64(k->ledger[i].file.p + LEDGER_INODE_AT) != k->ledger[i].inode)
		say(k, true, name, "was copied here, or restored from a backup: UIDs go on far beyond", FINDING_OPEN);
	else
		say(k, true, name, "is damaged; it is made again from the other copy", FINDING_OPEN);
}

static void
check_ledger(struct checking *k)
{
	bool whole[2];

	if (!k->ledger[0].there && !k->ledger[1].there) {
		if (k->index.there || k->data.there)	/* else nobody has opened the mailbox yet */
			say(k, true, file_name(k, copies[0]), "is missing, and so is its copy: clients will have to read the mailbox again",
			    FINDING_OPEN);
		return;
	}
	for (int i = 0; i < 2; i++)
		check_copy(k, i, &whole[i]);
	if (!whole[0] && !whole[1])
		say(k, true, (struct bytes){ 0 }, "no copy of the ledger is whole: clients will have to read the mailbox again",
		    FINDING_OPEN);
	else if (whole[0] && whole[1] && !ledgers_alike(k->ledger[0].file, k->ledger[1].file))
		say(k, true, file_name(k, copies[1]), "differs from the first copy", FINDING_OPEN);
	if (!whole[0] && !whole[1])
		return;
	k->ledger_whole = ledger_whole(&k->ledger[whole[0] ? 0 : 1], &k->header, &k->given);
	if (k->given.n > 0)
		qsort(k->given.at, k->given.n, sizeof *k->given.at, by_name);
}

/* ---- which messages there are ---- */

static struct message *
add_message(struct checking *k)
{
	if (k->n == k->cap) {
		k->cap = k->cap ? k->cap * 2 : 256;
		k->message = mem_resize(k->message, k->cap * sizeof *k->message);
	}
	k->message[k->n] = (struct message){ .octets = UINT64_MAX };
	return &k->message[k->n++];
}

static int
by_message(const void *a, const void *b)
{
	const struct message *x = a, *y = b;

	return bytes_cmp(x->name, y->name);
}

/* "S=1234" or "W=1234" behind a comma of the name. */
static bool
size_in_name(struct bytes base, unsigned char letter, uint64_t *octets)
{
	bytes_cut(&base, ',');
	while (base.n > 0) {
		struct bytes part = bytes_cut(&base, ',');

		if (part.n > 2 && part.p[0] == letter && part.p[1] == '=')
			return bytes_u64(bytes_skip(part, 2), UINT64_MAX, octets);
	}
	return false;
}

static void
look_at_entry(struct checking *k, int dir, const char *where, const char *name)
{
	struct bytes whole = text(name), path = arena_fmt(k->a, "%s/%s", where, name);
	size_t colon = bytes_find(whole, ':');
	struct message *found;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno != ENOENT)
			say_fmt(k, true, path, FINDING_READ, "cannot be looked at: %s", strerror(errno));
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		say(k, true, path, "is no regular file, and no message for anybody", FINDING_MOVE);
		return;
	}
	if (colon == 0 || strcmp(where, "tmp") == 0)
		return;
	found = add_message(k);
	whole = arena_copy(k->a, whole);
	found->path = path;
	found->name = bytes_head(whole, colon);
	found->file = (struct maildir_file){ found->name, bytes_skip(whole, colon), strcmp(where, "new") == 0 };
	found->flags = maildir_flags(found->file.suffix);
}

static bool
list_directory(struct checking *k, int held, const char *where)
{
	DIR *d = dir_stream(held, ".");
	struct dirent *e;
	bool good;

	if (!d)
		return false;
	while ((errno = 0, e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			look_at_entry(k, dirfd(d), where, e->d_name);
	good = errno == 0;
	closedir(d);
	return good;
}

/* One that moved while the directories were read stands twice: only what does so still is told. */
static void
drop_twins(struct checking *k)
{
	size_t kept = 0;

	for (size_t i = 0; i < k->n; i++) {
		struct stat st;

		if (kept == 0 || !bytes_eq(k->message[kept - 1].name, k->message[i].name)) {
			k->message[kept++] = k->message[i];
			continue;
		}
		if (maildir_stat(&k->m->maildir, &k->message[kept - 1].file, &st)
		    && maildir_stat(&k->m->maildir, &k->message[i].file, &st))
			say(k, true, k->message[i].path, "has the name of another message up to the colon: only one of both is seen",
			    FINDING_MOVE);
		else if (maildir_stat(&k->m->maildir, &k->message[i].file, &st))
			k->message[kept - 1] = k->message[i];
	}
	k->n = kept;
}

static bool
list_maildir(struct checking *k)
{
	struct maildir *d = &k->m->maildir;

	if (!list_directory(k, d->new, "new") || !list_directory(k, d->cur, "cur") || !list_directory(k, d->tmp, "tmp"))
		return false;
	if (k->n > 0)
		qsort(k->message, k->n, sizeof *k->message, by_message);
	drop_twins(k);
	return true;
}

static bool
list_mbox(struct checking *k)
{
	struct mbox *b = &k->m->mbox;
	struct bytes *name;
	bool changed;

	if (!mbox_list(b, k->header.key, &changed))
		return errno == ENOENT;		/* no mail yet */
	if (b->size > 0 && (b->n == 0 || b->part[0].at > 0))
		say(k, true, (struct bytes){ 0 }, b->n == 0 ? "is no mbox: it has no line that begins with \"From \""
		    : "something stands before the first line that begins with \"From \"", FINDING_MOVE);
	name = mailbox_part_names(k->a, b);
	for (size_t i = 0; i < b->n; i++) {
		struct message *found = add_message(k);

		found->name = name[i];
		found->path = arena_fmt(k->a, "message %zu, at octet %llu", i + 1, (unsigned long long)b->part[i].at);
		found->part = i;
	}
	mem_free(name);
	if (k->n > 0)
		qsort(k->message, k->n, sizeof *k->message, by_message);
	return true;
}

static const struct message *
find_message(const struct checking *k, struct bytes name)
{
	struct message key = { .name = name };

	return k->n == 0 ? NULL : bsearch(&key, k->message, k->n, sizeof key, by_message);
}

/* ---- the data ---- */

static void
check_data(struct checking *k)
{
	unsigned char id[INDEX_ID];
	struct data_cursor c = { .at = INDEX_DATA_HEADER, .tries = INDEX_DATA_TRIES };
	struct data_record r;
	uint64_t at, end = INDEX_DATA_HEADER, lost = 0;
	struct bytes name = file_name(k, "data");

	if (k->data.fault != 0 && k->data.there)
		say_fmt(k, true, name, FINDING_REBUILD, "cannot be read: %s", strerror(k->data.fault));
	if (k->data.fault != 0)
		return;
	if (!index_data_get_header(k->data.file, id)) {
		say(k, true, name, "is damaged: it does not begin as it should", FINDING_REBUILD);
		return;
	}
	while (index_data_next(k->data.file, id, &c, &at, &r)) {
		lost += at - end;
		end = at + r.octets;
		add_name(&k->known, r.name, at, 0);
	}
	if (lost > 0)
		say_fmt(k, true, name, FINDING_REBUILD, "has %llu damaged octets", (unsigned long long)lost);
	else if (end + INDEX_DATA_MAX < k->data.file.n)		/* one record may be written at this moment */
		say(k, true, name, "is damaged near its end", FINDING_REBUILD);
	if (k->known.n > 0)
		qsort(k->known.at, k->known.n, sizeof *k->known.at, by_name);
}

static bool
same_digest(const struct index_data *a, const struct index_data *b)
{
	return a->octets == b->octets && bytes_eq(a->envelope, b->envelope) && bytes_eq(a->structure, b->structure)
	    && bytes_eq(a->fields, b->fields);
}

/* Each record of it that there is, against the message itself. */
static void
compare_data(struct checking *k, const struct message *g, const struct index_data *fresh)
{
	const struct named *at = find_name(&k->known, g->name);
	unsigned char id[INDEX_ID];
	struct data_record r;
	bool more = at != NULL;

	if (!index_data_get_header(k->data.file, id))
		return;
	for (; more; at++) {
		more = another(&k->known, at, g->name);
		if (index_data_get(k->data.file, at->at, id, &r) && !same_digest(&r.data, fresh)) {
			say(k, true, g->path, r.data.octets != fresh->octets
			    ? "the index's data has another size of it: it was changed, which no message may be"
			    : "the index's data is not what a fresh look gives", FINDING_REBUILD);
			return;
		}
	}
}

/* ---- the messages ---- */

/* Its octets as stored; false: errno. */
static bool
slurp(struct checking *k, struct message *g, uint64_t *stored)
{
	struct stat st;
	int fd;
	bool good;

	buf_clear(&k->text);
	if (k->m->format == MAILBOX_MBOX) {
		good = mbox_get(&k->m->mbox, k->header.key, &k->m->mbox.part[g->part], &k->text);
		*stored = k->text.n;
		return good;
	}
	fd = maildir_open_file(&k->m->maildir, &g->file);
	if (fd == -1 && errno == ENOENT && maildir_find(&k->m->maildir, &g->file, k->a))
		fd = maildir_open_file(&k->m->maildir, &g->file);
	if (fd == -1)
		return false;
	good = fstat(fd, &st) == 0;
	*stored = good ? (uint64_t)st.st_size : 0;
	errno = EFBIG;
	good = good && *stored <= MESSAGE_MAX;
	while (good) {
		unsigned char *p = buf_room(&k->text, 65536);
		ssize_t got = read(fd, p, 65536);

		if (got == 0)
			break;
		if (got == -1 && errno == EINTR)
			continue;
		good = got > 0 && k->text.n + (size_t)got <= MESSAGE_MAX;
		if (good)
			k->text.n += (size_t)got;
		else if (got > 0)
			errno = EFBIG;
	}
	fd_close(&fd);
	return good;
}

static void
compare_sizes(struct checking *k, const struct message *g, uint64_t stored, uint64_t sent)
{
	uint64_t said;

	if (k->m->format == MAILBOX_MBOX)
		return;
	if (size_in_name(g->name, 'S', &said) && said != stored)
		say_fmt(k, false, g->path, FINDING_TOLD, "its name says %llu octets and it has %llu; names are never believed",
		    (unsigned long long)said, (unsigned long long)stored);
	if (size_in_name(g->name, 'W', &said) && said != sent)
		say_fmt(k, false, g->path, FINDING_TOLD, "its name says %llu octets with CRLF and it has %llu; names are never believed",
		    (unsigned long long)said, (unsigned long long)sent);
}

static void
check_message(struct checking *k, struct message *g)
{
	struct index_data fresh;
	uint64_t stored;

	if (!slurp(k, g, &stored)) {
		if (errno == EFBIG)
			say_fmt(k, false, g->path, FINDING_TOLD, "is larger than %u octets, and was not read", MESSAGE_MAX);
		else if (errno != ENOENT && errno != ESTALE)	/* else: gone meanwhile */
			say_fmt(k, true, g->path, FINDING_READ, "cannot be read: %s", strerror(errno));
		return;
	}
	g->octets = k->text.n + bytes_bare_lfs(buf_bytes(&k->text));
	if (k->text.n == 0)
		say(k, true, g->path, "is empty: its content was lost", FINDING_MOVE);
	compare_sizes(k, g, stored, g->octets);
	if (k->known.n == 0)
		return;
	arena_reset(k->tree);
	mail_digest(buf_bytes(&k->text), k->tree, &k->room, &fresh);
	compare_data(k, g, &fresh);
}

/* ---- the index ---- */

struct uid_name { uint32_t uid; struct bytes name; };

static int
by_uid(const void *a, const void *b)
{
	const struct uid_name *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

/* A UID that the ledger has not may be one that it has forgotten since, with the message. */
static void
check_record(struct checking *k, const struct index_mail *r, const struct uid_name *of, size_t n, size_t *stale)
{
	struct uid_name key = { .uid = r->uid };
	const struct uid_name *known = n == 0 ? NULL : bsearch(&key, of, n, sizeof key, by_uid);
	const struct message *g = known ? find_message(k, known->name) : NULL;

	if (r->uid >= k->header.uidnext)
		say_fmt(k, true, file_name(k, "index"), FINDING_REBUILD, "has UID %u, which the ledger did not give", r->uid);
	if (!g || (k->m->format == MAILBOX_MAILDIR && g->flags != r->flags))
		++*stale;
	if (g && g->octets != UINT64_MAX && r->octets != 0 && r->octets != g->octets)
		say_fmt(k, true, g->path, FINDING_REBUILD, "the index says %llu octets and it has %llu",
		    (unsigned long long)r->octets, (unsigned long long)g->octets);
}

static void
check_records(struct checking *k, const struct index_header *h)
{
	struct uid_name *of = mem_array(k->given.n + 1, sizeof *of);
	size_t stale = 0;

	for (size_t i = 0; i < k->given.n; i++)
		of[i] = (struct uid_name){ k->given.at[i].uid, k->given.at[i].name };
	qsort(of, k->given.n, sizeof *of, by_uid);
	for (uint32_t i = 0; i < h->count; i++) {
		struct index_mail r;

		index_read_record(k->index.file.p + INDEX_HEADER + (size_t)i * INDEX_RECORD, &r);
		check_record(k, &r, of, k->given.n, &stale);
	}
	if (stale > 0)
		say_fmt(k, false, file_name(k, "index"), FINDING_TOLD, "messages that another program has removed or marked since: %zu",
		    stale);
	mem_free(of);
}

static bool
index_whole(const struct image *i, struct index_header *h)
{
	uint64_t live;

	return i->fault == 0 && index_get_header(i->file, h) && h->inode == i->inode
	    && little_u32(i->file.p + INDEX_BUSY_AT) == 0 && index_sound(i->file, h, &live);
}

static void
check_index(struct checking *k)
{
	struct bytes name = file_name(k, "index");
	struct index_header h;

	if (!k->index.there)
		return;			/* no IMAP yet */
	if (k->index.fault != 0)
		say_fmt(k, true, name, FINDING_REBUILD, "cannot be read: %s", strerror(k->index.fault));
	else if (!index_whole(&k->index, &h))
		say(k, true, name, "is damaged, or was copied here", FINDING_REBUILD);
	else if (k->ledger_whole && h.uidvalidity != k->header.uidvalidity)
		say(k, true, name, "is of another UIDVALIDITY", FINDING_REBUILD);
	else if (k->ledger_whole)
		check_records(k, &h);
}

/* ---- all of it ---- */

static bool
list_messages(struct checking *k)
{
	return k->m->format == MAILBOX_MAILDIR ? list_maildir(k) : list_mbox(k);
}

static void
finish(struct checking *k)
{
	image_close(&k->ledger[0]);
	image_close(&k->ledger[1]);
	image_close(&k->index);
	image_close(&k->data);
	mem_free(k->given.at);
	mem_free(k->known.at);
	mem_free(k->message);
	buf_fini(&k->text);
	buf_fini(&k->room);
	arena_free(&k->tree);
	arena_free(&k->a);
}

bool
mailbox_check(struct mailbox *m, const struct check *c)
{
	struct checking k = { .m = m, .c = c };
	bool good;
	int fault;

	k.dir = mailbox_state_dir(m, &k.stem);
	k.a = arena_new(ARENA_OCTETS);
	k.tree = arena_new(MAIL_DIGEST_ARENA);
	buf_init(&k.text, MESSAGE_MAX + 65536);
	buf_init(&k.room, MAIL_DIGEST_MAX);
	good = open_images(m, k.dir, k.stem, k.ledger, &k.index, &k.data);
	if (good) {
		check_ledger(&k);
		check_data(&k);
		good = list_messages(&k);
	}
	for (size_t i = 0; good && i < k.n; i++) {
		check_message(&k, &k.message[i]);
		if (c->step)
			c->step(c->arg, i + 1, k.n);
	}
	if (good)
		check_index(&k);
	fault = errno;
	finish(&k);
	errno = fault;
	return good;
}

bool
mailbox_beside(struct mailbox *m, struct beside *out)
{
	struct image ledger[2], index, data;
	struct index_header h;
	struct ledger_header lh;
	struct arena *a = arena_new(MAILBOX_KEPT_ARENA);
	struct kept_mail *kept;
	unsigned char id[INDEX_ID];
	const char *stem;
	int dir = mailbox_state_dir(m, &stem);
	size_t n;
	bool good = mailbox_kept(m, a, &kept, &n) && open_images(m, dir, stem, ledger, &index, &data);

	*out = (struct beside){ 0 };
	if (!good) {
		arena_free(&a);
		return false;
	}
	for (int i = 0; i < 2; i++)
		out->ledger[i] = (struct beside_ledger){ ledger[i].there, ledger_whole(&ledger[i], &lh, NULL), ledger[i].file.n };
	out->alike = ledgers_alike(ledger[0].file, ledger[1].file);
	out->index = index.there;
	out->index_octets = index.file.n;
	if ((out->index_whole = index_whole(&index, &h)))
		out->index_messages = h.count;
	out->data = data.there;
	out->data_octets = data.file.n;
	out->data_whole = data.fault == 0 && index_data_get_header(data.file, id)
	    && (!out->index_whole || memcmp(id, h.data_id, INDEX_ID) == 0);
	for (size_t i = 0; i < n; i++)
		out->kept_octets += kept[i].octets;
	out->kept = n;
	for (int i = 0; i < 2; i++)
		image_close(&ledger[i]);
	image_close(&index);
	image_close(&data);
	arena_free(&a);
	return true;
}
