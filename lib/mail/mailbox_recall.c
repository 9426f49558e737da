/* SPDX-License-Identifier: ISC */
/*
 * What is in a Maildir, from the index alone: the records say which messages there are, with which flags, and where
 * in the ledger their names stand. This holds as long as nobody has changed new/, cur/ or either copy of the ledger
 * since the look that it was noted after; their st_ctim tell. Then neither a directory nor the ledger is read.
 */
#include "mail/mailbox_impl.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/little.h"
#include "base/mem.h"

#define STATE_VERSION	1u
#define WHERE_NEW	1u		/* it is in new/ */
#define WHERE_BARE	2u		/* its name has no suffix; else it is ":2," and the flags */
#define WHERE_ODD	4u		/* another suffix than these: the directory has to be read */
#define WHERE_SUM	~7u		/* bits of the name's checksum */
#define SUFFIXES	64

/* The four that must not change, in the order of the state's octets. */
struct noted {
	uint32_t	uidnext;
	uint64_t	ledger_octets;
	struct timespec	changed[4];	/* new/, cur/, both copies of the ledger */
};

static void
put_state(const struct noted *n, unsigned char p[INDEX_STATE])
{
	memset(p, 0, INDEX_STATE);
	little_put_u32(p, STATE_VERSION);
	little_put_u32(p + 4, n->uidnext);
	little_put_u64(p + 8, n->ledger_octets);
	for (size_t i = 0; i < LEN(n->changed); i++) {
		little_put_u64(p + 16 + 12 * i, (uint64_t)n->changed[i].tv_sec);
		little_put_u32(p + 24 + 12 * i, (uint32_t)n->changed[i].tv_nsec);
	}
}

static void
take_ledger(struct noted *n, const struct ledger_state *s)
{
	n->ledger_octets = s->octets;
	n->changed[2] = s->changed[0];
	n->changed[3] = s->changed[1];
}

static uint32_t
where_bits(const struct item *it)
{
	uint32_t where = it->file.in_new ? WHERE_NEW : 0;

	if (it->file.suffix.n == 0)
		return where | WHERE_BARE;
	return maildir_plain(it->file.suffix) ? where : where | WHERE_ODD;
}

uint32_t
mailbox_where(const struct item *it)
{
	return (crc32_of(0, it->mail.name) & WHERE_SUM) | where_bits(it);
}

/* What the sum is of changes only with the place. */
bool
mailbox_is_elsewhere(const struct item *it, const struct index_mail *r)
{
	return it->name_at != r->name_at || where_bits(it) != (r->where & ~WHERE_SUM);
}

/* ---- noting ---- */

static bool
can_be_recalled(const struct mailbox *m)
{
	struct index_mail r;

	if (!index_shared(m->index) || index_count(m->index) != m->n)
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (!index_get(m->index, i, &r) || r.name_at == 0 || (r.where & WHERE_ODD))
			return false;
	return true;
}

void
mailbox_note(struct mailbox *m)
{
	unsigned char state[INDEX_STATE], old[INDEX_STATE];
	struct noted now = { .uidnext = m->uidnext, .changed = { m->changed[0], m->changed[1] } };
	struct ledger_state ledger;

	if (!mailbox_settled(&m->changed[0], m->listed_us) || !mailbox_settled(&m->changed[1], m->listed_us)
	    || !ledger_state(m->ledger, &ledger) || !can_be_recalled(m))
		return;			/* what was noted before differs by a time, so it says nothing */
	take_ledger(&now, &ledger);
	put_state(&now, state);
	index_state(m->index, old);
	if (memcmp(old, state, sizeof state) == 0)
		return;
	index_begin(m->index);
	index_set_state(m->index, state);
	index_end(m->index);
}

/* ---- recalling ---- */

/* Suffixes by flags: of many messages there are few. */
struct suffixes { struct { uint32_t flags; struct bytes text; } known[SUFFIXES]; };

static struct bytes
suffix_of(struct suffixes *s, uint32_t flags, struct arena *a)
{
	size_t i = (flags * 2654435761u) >> 26;		/* 6 bits: the multiplier spreads them */
	char suffix[256];

	if (s->known[i].text.n == 0 || s->known[i].flags != flags) {
		must(maildir_suffix(text(":2,"), flags, suffix));
		s->known[i].flags = flags;
		s->known[i].text = arena_copy(a, text(suffix));
	}
	return s->known[i].text;
}

/* False: it is not as it was noted, so it is damaged; or it came back. */
static bool
recall_item(struct mailbox *m, size_t i, struct suffixes *s, struct item *it)
{
	struct index_mail r;

	if (!index_get(m->index, i, &r) || (r.where & WHERE_ODD) || mailbox_was_gone(m, r.uid)
	    || !ledger_names_get(&m->recalled, r.name_at, r.uid, &it->mail.name)
	    || (crc32_of(0, it->mail.name) & WHERE_SUM) != (r.where & WHERE_SUM))
		return false;
	it->file.name = it->mail.name;
	it->file.in_new = it->mail.recent = (r.where & WHERE_NEW) != 0;
	if (!(r.where & WHERE_BARE))
		it->file.suffix = suffix_of(s, r.flags, m->names);
	it->mail.uid = r.uid;
	it->mail.flags = r.flags;
	it->mail.modseq = r.modseq;
	it->mail.octets = r.octets;
	it->mail.sized = r.octets != 0;
	it->data = r.data;
	it->date_s = r.date_s;
	it->name_at = r.name_at;
	return true;
}

static bool
recall_items(struct mailbox *m)
{
	struct suffixes suffixes = { 0 };

	m->n = index_count(m->index);
	m->item = mem_array(m->n + 1, sizeof *m->item);
	for (size_t i = 0; i < m->n; i++)
		if (!recall_item(m, i, &suffixes, &m->item[i]))
			return false;
	return true;
}

/* Everything is as the index says that it was. */
static bool
unchanged(struct mailbox *m, struct noted *now)
{
	unsigned char state[INDEX_STATE], want[INDEX_STATE];
	uint32_t known = ledger_uidvalidity(m->ledger);

	if ((known != 0 && known != m->recalled.header.uidvalidity)
	    || !index_look(m->index, m->recalled.header.uidvalidity))
		return false;
	take_ledger(now, &m->recalled.state);
	index_state(m->index, state);
	now->uidnext = little_u32(state + 4);
	put_state(now, want);
	return memcmp(state, want, sizeof state) == 0;
}

bool
mailbox_recall(struct mailbox *m)
{
	struct noted now = { 0 };
	int64_t at = clock_wall_us();
	const char *stem;
	int dir = mailbox_state_dir(m, &stem);

	if (m->format != MAILBOX_MAILDIR || !m->index || m->scanned || !mailbox_changed(m, now.changed)
	    || !ledger_names_open(&m->recalled, dir, stem))
		return false;
	if (!unchanged(m, &now) || !keywords_load(m) || !recall_items(m)) {
		mailbox_forget_items(m);
		ledger_names_close(&m->recalled);
		arena_reset(m->names);
		return false;
	}
	m->changed[0] = now.changed[0];
	m->changed[1] = now.changed[1];
	m->listed_us = at;
	m->uidvalidity = m->recalled.header.uidvalidity;
	m->uidnext = now.uidnext;
	mailbox_forget_rest(m);
	m->serial = index_serial(m->index);
	m->news = false;		/* a look that found nothing new noted it */
	m->scanned = true;
	return true;
}
