/* SPDX-License-Identifier: ISC */
/*
 * imapd/view.c - the selected mailbox as the client was told of it. Others may change the
 * mailbox at any time; message numbers are a matter between this client and us:
 * RFC 3501 sections 2.3.1.2, 5.2 and 7.4.1. A message that is gone keeps its number until an
 * EXPUNGE may be sent.
 */
#include "imapd/imapd.h"

#include <errno.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- what is there against what was told ---- */

static struct told *
add_told(struct view *v)
{
	if (v->n == v->cap) {
		v->cap = v->cap ? v->cap * 2 : 32;
		v->told = mem_resize(v->told, v->cap * sizeof *v->told);
	}
	v->told[v->n] = (struct told){ 0 };
	return &v->told[v->n++];
}

static void
note_changes(struct session *s, struct told *t, const struct mail *m)
{
	t->changed |= t->flags != m->flags || (s->condstore && t->modseq != m->modseq);
	t->flags = m->flags;
	t->modseq = m->modseq;
}

/* What came with a UID among those that were told, or came back, has no number that it could get. */
static bool
compare(struct session *s)
{
	struct view *v = &s->view;
	size_t i = 0, count = mailbox_count(v->box);
	uint32_t last = v->n > 0 ? v->told[v->n - 1].uid : 0;

	for (size_t t = 0; t < v->n; t++) {
		const struct mail *m = i < count ? mailbox_mail(v->box, i) : NULL;

		if (m && m->uid < v->told[t].uid)
			return false;
		if (!m || m->uid != v->told[t].uid || m->expunged) {
			v->told[t].gone = true;
			i += m && m->uid == v->told[t].uid;
			continue;
		}
		if (v->told[t].gone)
			return false;
		note_changes(s, &v->told[t], m);
		i++;
	}
	for (; i < count; i++) {
		const struct mail *m = mailbox_mail(v->box, i);
		struct told *t;

		if (m->uid <= last)
			return false;
		if (m->expunged)
			continue;
		t = add_told(v);
		*t = (struct told){ .uid = m->uid, .flags = m->flags, .modseq = m->modseq, .recent = m->recent };
		v->recent += m->recent;
	}
	return true;
}

static void
not_what_it_was(struct session *s)
{
	log_warn("%.*s: session ended: the mailbox %s is not what it was: its client has to begin anew",
	    BYTES_FMT(s->start->session_id), log_text(s->view.name));
	s->farewell = "* BYE [UNAVAILABLE] the mailbox was replaced while you had it; select it again\r\n";
	s->quit = true;
}

static bool
cannot_look(struct session *s)
{
	log_errno("%.*s: cannot look at mailbox %s", BYTES_FMT(s->start->session_id), log_text(s->view.name));
	return false;
}

bool
view_there(struct session *s)
{
	if (s->quit)
		return false;
	if (mailbox_in_place(s->view.box))
		return true;
	log_info("%.*s: session ended: the mailbox %s was deleted", BYTES_FMT(s->start->session_id),
	    log_text(s->view.name));
	s->farewell = "* BYE the mailbox that you had selected was deleted\r\n";
	s->quit = true;
	return false;
}

bool
view_look(struct session *s)
{
	if (!view_there(s))
		return false;
	return mailbox_scan(s->view.box) ? view_take(s) : cannot_look(s);
}

bool
view_take(struct session *s)
{
	struct view *v = &s->view;

	if (!v->read_only)
		mailbox_claim(v->box);
	if (v->uidvalidity == 0)
		v->uidvalidity = mailbox_uidvalidity(v->box);
	if (v->uidvalidity != mailbox_uidvalidity(v->box) || !compare(s)) {
		not_what_it_was(s);
		return false;
	}
	return true;
}

/* ---- telling ---- */

static void
tell_expunges(struct session *s)
{
	struct view *v = &s->view;
	size_t kept = 0, told = v->exists;

	for (size_t i = 0; i < v->n; i++) {
		if (!v->told[i].gone) {
			v->told[kept++] = v->told[i];
			continue;
		}
		v->recent -= v->told[i].recent;		/* not before: RECENT counts what the client still has */
		if (i >= told)
			continue;		/* it came and went without being told of */
		buf_fmt(&s->out, "* %zu EXPUNGE\r\n", kept + 1);
		v->exists--;
		flush_if_much(s);
	}
	v->n = kept;
}

void
put_flags(struct session *s, uint32_t flags, bool recent)
{
	static const struct { uint32_t flag; const char *name; } system[] = {
		{ MAIL_ANSWERED, "\\Answered" }, { MAIL_FLAGGED, "\\Flagged" }, { MAIL_DELETED, "\\Deleted" },
		{ MAIL_SEEN, "\\Seen" }, { MAIL_DRAFT, "\\Draft" }, { MAIL_FORWARDED, "$Forwarded" },
	};
	const char *gap = "";

	for (size_t i = 0; i < LEN(system); i++)
		if (flags & system[i].flag) {
			buf_text(&s->out, gap);
			buf_text(&s->out, system[i].name);
			gap = " ";
		}
	for (unsigned i = 0; flags >= MAIL_KEYWORD && i < MAIL_KEYWORDS; i++) {
		struct bytes name = mailbox_keyword(s->view.box, i);

		if (!(flags & (uint32_t)MAIL_KEYWORD << i) || name.n == 0)
			continue;
		buf_text(&s->out, gap);
		buf_add(&s->out, name);
		gap = " ";
	}
	if (recent) {
		buf_text(&s->out, gap);
		buf_text(&s->out, "\\Recent");
	}
}

/* Letters that have names; *names: other for each other set of these. */
static uint32_t
keywords_now(const struct view *v, uint64_t *names)
{
	uint32_t keywords = 0;

	*names = 0;
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++) {
		struct bytes name = mailbox_keyword(v->box, i);

		if (name.n == 0)
			continue;
		keywords |= (uint32_t)MAIL_KEYWORD << i;
		*names = *names * 31 + hash_bytes(name);
	}
	return keywords;
}

void
put_flags_line(struct session *s, bool always)
{
	struct view *v = &s->view;
	uint32_t all = MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DELETED | MAIL_SEEN | MAIL_DRAFT | MAIL_FORWARDED;
	uint64_t names;
	uint32_t keywords = keywords_now(v, &names);

	if (!always && names == v->keywords)
		return;
	v->keywords = names;
	buf_text(&s->out, "* FLAGS (");
	put_flags(s, all | keywords, false);
	buf_text(&s->out, ")\r\n* OK [PERMANENTFLAGS (");
	if (!v->read_only) {
		put_flags(s, all | keywords, false);
		buf_text(&s->out, " \\*");
	}
	buf_text(&s->out, v->read_only ? ")] nothing can be changed here\r\n" : ")] these stay\r\n");
}

void
put_fetch_flags(struct session *s, size_t place, bool flags, bool uid, bool modseq)
{
	struct told *t = &s->view.told[place];
	const char *gap = "";

	buf_fmt(&s->out, "* %zu FETCH (", place + 1);
	if (uid) {
		buf_fmt(&s->out, "UID %u", (unsigned)t->uid);
		gap = " ";
	}
	if (flags) {
		buf_fmt(&s->out, "%sFLAGS (", gap);
		put_flags(s, t->flags, t->recent);
		buf_char(&s->out, ')');
		gap = " ";
	}
	if (modseq)
		buf_fmt(&s->out, "%sMODSEQ (%llu)", gap, (unsigned long long)t->modseq);
	buf_text(&s->out, ")\r\n");
	t->changed = false;
	flush_if_much(s);
}

void
view_tell(struct session *s, bool expunges)
{
	struct view *v = &s->view;

	if (expunges)
		tell_expunges(s);
	if (v->n != v->exists)
		buf_fmt(&s->out, "* %zu EXISTS\r\n", v->n);
	if (v->n != v->exists || v->recent != v->recent_told)
		buf_fmt(&s->out, "* %zu RECENT\r\n", v->recent);
	v->exists = v->n;
	v->recent_told = v->recent;
	put_flags_line(s, false);
	for (size_t i = 0; i < v->n; i++)
		if (v->told[i].changed && !v->told[i].gone)
			put_fetch_flags(s, i, true, true, s->condstore);	/* UID: RFC 3501 section 6.4.8 */
}

bool
view_update(struct session *s, bool expunges)
{
	if (!s->view.box)
		return true;
	if (!view_look(s))
		return false;
	view_tell(s, expunges);
	return true;
}

void
view_condstore(struct session *s)
{
	if (s->condstore)
		return;
	s->condstore = true;
	if (s->view.box)
		buf_fmt(&s->out, "* OK [HIGHESTMODSEQ %llu] mod-sequences are told from now on\r\n",
		    (unsigned long long)mailbox_highestmodseq(s->view.box));
}

/* ---- messages that a client names: of those that it was told of ---- */

static size_t
place_of(const struct view *v, uint32_t uid)
{
	size_t low = 0, high = v->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v->told[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
add_range(const struct view *v, uint32_t first, uint32_t last, bool uids, struct places *out)
{
	size_t from = uids ? place_of(v, first) : first - 1;

	for (size_t i = from; i < v->exists && (uids ? v->told[i].uid <= last : i < last); i++)
		out->at[out->n++] = (uint32_t)i;
}

static bool
bad_set(struct session *s, const struct imap_cmd *cmd, const char *why)
{
	reply(s, cmd, "BAD %s", why);
	return false;
}

static bool
resolve(struct session *s, const struct imap_cmd *cmd, struct imap_set *out, bool *uids)
{
	const struct view *v = &s->view;
	uint32_t largest = v->exists == 0 ? 0 : (uint32_t)v->exists;
	struct imap_set_text set;

	*uids = cmd->uid;
	switch (imap_set_parse(cmd->set, IMAP_SEQUENCE_SET, s->arena, &set)) {
	case IMAP_SET_BAD:
		return bad_set(s, cmd, "that is no set of messages");
	case IMAP_SET_MANY:
		return bad_set(s, cmd, "that set has too many ranges");
	case IMAP_SET_SAVED:			/* RFC 5182: kept as UIDs */
		*out = (struct imap_set){ v->saved, v->saved_n };
		*uids = true;
		return true;
	case IMAP_SET_PARSED:
		break;
	}
	if (cmd->uid)
		largest = v->exists > 0 ? v->told[v->exists - 1].uid : mailbox_uidnext(v->box);
	*out = imap_set_resolve(&set, largest, s->arena);
	if (!cmd->uid && (imap_set_last(out) > v->exists || (v->exists == 0 && set.star)))
		return bad_set(s, cmd, "there is no message of that number");
	return true;
}

bool
view_places(struct session *s, const struct imap_cmd *cmd, struct places *out)
{
	struct view *v = &s->view;
	struct imap_set set;
	bool uids;

	if (!resolve(s, cmd, &set, &uids))
		return false;
	*out = (struct places){ arena_array(s->arena, v->n + 1, sizeof *out->at), 0 };
	for (size_t i = 0; i < set.n; i++)
		add_range(v, set.ranges[i].first, set.ranges[i].last, uids, out);
	return true;
}

struct mail *
view_mail(struct session *s, size_t place, size_t *i)
{
	const struct view *v = &s->view;
	struct mail *m;

	must(place < v->n);
	if (v->told[place].gone)
		return NULL;
	*i = mailbox_find(v->box, v->told[place].uid);
	if (*i == mailbox_count(v->box))
		return NULL;
	m = mailbox_mail(v->box, *i);
	return m->uid == v->told[place].uid && !m->expunged ? m : NULL;
}

void
view_mark_seen(struct session *s, const struct places *p)
{
	struct flag_change c = { .how = FLAGS_ADD, .flags = MAIL_SEEN };
	size_t *which = arena_array(s->arena, p->n + 1, sizeof *which), n = 0;
	enum flag_changed *result;

	if (!view_look(s))		/* what was told may be old: another may have taken \Seen away since */
		return;
	for (size_t k = 0; k < p->n; k++) {
		size_t i;

		if (!(s->view.told[p->at[k]].flags & MAIL_SEEN) && view_mail(s, p->at[k], &i))
			which[n++] = i;
	}
	if (n == 0)
		return;
	result = arena_array(s->arena, n, sizeof *result);
	if (!mailbox_store(s->view.box, which, n, &c, result))
		log_errno("%.*s: cannot note that messages were read", BYTES_FMT(s->start->session_id));
	(void)view_take(s);
}

uint32_t
view_keyword(struct session *s, struct bytes name)
{
	return mailbox_keyword_flag(s->view.box, name);
}

/* ---- its life ---- */

void
view_close(struct session *s)
{
	struct view *v = &s->view;

	if (v->box)
		mailbox_close(&v->box);
	mem_free(v->told);
	mem_free(v->saved);
	arena_free(&v->names);
	*v = (struct view){ 0 };
}

enum folder_result
view_scan(struct mailbox *box)
{
	int fault;

	if (mailbox_in_place(box) && mailbox_scan(box))
		return FOLDER_OK;
	fault = errno;
	if (!mailbox_in_place(box))
		return FOLDER_NONE;
	errno = fault;
	return FOLDER_FAILED;
}

/* A mailbox that is deleted meanwhile was never selected: that ends no session. */
static enum folder_result
look_first(struct session *s)
{
	enum folder_result r = view_scan(s->view.box);

	if (r == FOLDER_OK && !view_take(s))
		r = FOLDER_FAILED;
	else if (r == FOLDER_FAILED)
		cannot_look(s);
	return r;
}

enum folder_result
view_open(struct session *s, struct mailbox *box, struct bytes name, bool read_only)
{
	struct view *v = &s->view;
	enum folder_result r;
	int fault;

	*v = (struct view){ .box = box, .read_only = read_only, .names = arena_new(4096) };
	v->name = arena_copy(v->names, name);
	mailbox_index(box);
	r = look_first(s);
	if (r == FOLDER_OK) {
		v->exists = v->n;
		v->recent_told = v->recent;
		return r;
	}
	fault = errno;
	view_close(s);
	errno = fault;
	return r;
}
