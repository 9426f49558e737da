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
#include "mail/line_ends.h"

#define CACHE_MAGIC	"HERMSIZE"
#define CACHE_HEADER	24
#define CACHE_ENTRY	16
#define CACHE_MAX	(64u << 20)

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
	if (file_slurp(m->maildir.dir, SIZES_CACHE, &b) && b.n >= CACHE_HEADER
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
void
mailbox_write_sizes(struct mailbox *m)
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
	snprintf(tmp, sizeof tmp, "%s.%d", SIZES_CACHE, (int)getpid());
	unlinkat(m->maildir.dir, tmp, 0);
	fd = file_open(m->maildir.dir, tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd != -1) {
		bool good = !out.full && !entries.full && file_write(fd, buf_bytes(&out));

		if (close(fd) == -1 || !good || renameat(m->maildir.dir, tmp, m->maildir.dir, SIZES_CACHE) == -1)
			unlinkat(m->maildir.dir, tmp, 0);
	}
	buf_fini(&entries);
	buf_fini(&out);
	m->cache_dirty = false;
}

/* The message's file, wherever another program has moved it to. -1: errno. */
int
mailbox_open_item(struct mailbox *m, struct item *it)
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
	int fd = mailbox_open_item(m, it);
	bool good;

	if (fd == -1)
		return false;
	r = mem_alloc(sizeof *r);
	crlf_reader_init(r, fd, 0, UINT64_MAX >> 2);
	good = crlf_reader_count(r, &it->mail.octets);
	mem_free(r);
	fd_close(&fd);
	it->mail.sized = good;
	m->cache_dirty |= good && !m->index;
	m->news = true;
	return good;
}

bool
mailbox_size(struct mailbox *m, size_t i)
{
	struct index_data d;

	must(i < m->n);
	if (!m->item[i].mail.sized && mailbox_data(m, i, &d)) {
		m->item[i].mail.octets = d.octets;
		m->item[i].mail.sized = true;
	}
	if (!m->item[i].mail.sized && m->format == MAILBOX_MAILDIR && !m->index && !m->cache_read)
		read_cache(m);
	return m->item[i].mail.sized || count_octets(m, &m->item[i]);
}

/* ---- reading ---- */

struct mail_reader {
	int		fd;		/* owned; -1: in memory */
	struct buf	memory;		/* owned */
	struct crlf_reader lines;
};

struct named_part { struct bytes name; size_t part; };

static int
by_name(const void *a, const void *b)
{
	const struct named_part *x = a, *y = b;

	return bytes_cmp(x->name, y->name);
}

/* Another program has rewritten the file: finds the messages again by what they hold. */
bool
mailbox_find_parts(struct mailbox *m)
{
	struct arena *names;
	struct named_part *p;
	struct bytes *name;
	bool changed;

	if (!mbox_list(&m->mbox, ledger_key(m->ledger), &changed))
		return false;
	names = arena_new(NAMES_MAX);
	name = mailbox_part_names(names, &m->mbox);
	p = mem_array(m->mbox.n + 1, sizeof *p);
	for (size_t i = 0; i < m->mbox.n; i++)
		p[i] = (struct named_part){ name[i], i };
	qsort(p, m->mbox.n, sizeof *p, by_name);
	for (size_t i = 0; i < m->n; i++) {
		const struct named_part sought = { m->item[i].mail.name, 0 };
		const struct named_part *found = bsearch(&sought, p, m->mbox.n, sizeof *p, by_name);

		m->item[i].part = found ? found->part : PART_GONE;
	}
	mem_free(p);
	mem_free(name);
	arena_free(&names);
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
		if (errno != ESTALE || !mailbox_find_parts(m))
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
	if (m->format == MAILBOX_MAILDIR && (r->fd = mailbox_open_item(m, &m->item[i])) != -1) {
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

bool
mailbox_text(struct mailbox *m, size_t i, struct buf *room)
{
	bool good;
	int fd;

	must(i < m->n);
	if (m->format == MAILBOX_MBOX)
		return read_part(m, i, room);
	fd = mailbox_open_item(m, &m->item[i]);
	if (fd == -1)
		return false;
	good = file_slurp_from(fd, room);
	fd_close(&fd);
	return good;
}

bool
mailbox_slurp(struct mailbox *m, const struct maildir_file *f, struct buf *room)
{
	int fd = maildir_open_file(&m->maildir, f);
	bool good = fd != -1 && file_slurp_from(fd, room);

	fd_close(&fd);
	return good;
}

/* ---- dates ---- */

bool
mailbox_date(struct mailbox *m, size_t i, int64_t *wall_s)
{
	struct item *it;
	struct stat st;

	must(i < m->n);
	it = &m->item[i];
	*wall_s = it->date_s;
	if (it->date_s != INT64_MIN)
		return true;
	m->news = true;
	if (m->format == MAILBOX_MBOX)
		return it->part != PART_GONE && mbox_date(&m->mbox, &m->mbox.part[it->part], wall_s);
	if (!maildir_stat(&m->maildir, &it->file, &st)
	    && (errno != ENOENT || !maildir_find(&m->maildir, &it->file, m->names)
	    || !maildir_stat(&m->maildir, &it->file, &st)))
		return false;
	*wall_s = it->date_s = st.st_mtim.tv_sec;
	return true;
}

/* ---- what the index has ---- */

bool
mailbox_data(struct mailbox *m, size_t i, struct index_data *out)
{
	const struct item *it = &m->item[i];

	must(i < m->n);
	return m->index && it->data != 0 && index_data(m->index, it->data, it->mail.name, out);
}

/* The record of the index learns of it later (mailbox_index_flush); until then it is known to this process
 * alone. */
void
mailbox_data_keep(struct mailbox *m, size_t i, const struct index_data *d)
{
	struct item *it = &m->item[i];

	must(i < m->n);
	it->mail.octets = d->octets;
	it->mail.sized = true;
	m->news = true;
	if (m->index)
		index_data_add(m->index, it->mail.name, d, &it->data);
}
