/* SPDX-License-Identifier: ISC */
/*
 * imapd/store.c - STORE, EXPUNGE, COPY, MOVE: RFC 3501 sections 6.4.3, 6.4.6, 6.4.7; RFC 4315;
 * RFC 6851; RFC 7162 section 3.1.3.
 */
#include "imapd/imapd.h"

#include <errno.h>

#include "base/mem.h"

static bool
read_only(struct session *s, const struct imap_cmd *cmd)
{
	if (s->view.read_only)
		reply(s, cmd, "NO [READ-ONLY] the mailbox was opened with EXAMINE");
	return s->view.read_only;
}

/* ---- flags ---- */

void
reply_stored(struct session *s, const struct imap_cmd *cmd, bool keywords)
{
	if (keywords && errno == EMLINK)
		reply(s, cmd, "NO [LIMIT] %d keywords are in use in that mailbox, there is no room for another", MAIL_KEYWORDS);
	else
		reply_errno(s, cmd, "the mailbox");
}

static bool
keyword_named(struct session *s, const struct imap_cmd *cmd, struct mailbox *box, struct bytes name, bool make,
    uint32_t keep, uint32_t *flags)
{
	uint32_t flag = make ? mailbox_keyword_make(box, name, *flags | keep) : mailbox_keyword_flag(box, name);

	*flags |= flag;
	if (flag != 0 || !make)
		return true;
	if (errno == EINVAL)
		reply(s, cmd, "NO [CANNOT] a keyword cannot have that name");
	else
		reply_stored(s, cmd, true);
	return false;
}

/* With a space between each two. */
static struct bytes
join(struct session *s, const struct imap_names *names)
{
	size_t octets = 0, n = 0;
	unsigned char *p;

	for (size_t i = 0; i < names->n; i++)
		octets += names->name[i].n + 1;
	p = arena_alloc(s->arena, octets + 1);
	for (size_t i = 0; i < names->n; i++) {
		if (i > 0)
			p[n++] = ' ';
		memcpy(p + n, names->name[i].p, names->name[i].n);
		n += names->name[i].n;
	}
	return bytes_of(p, n);
}

bool
flags_named(struct session *s, const struct imap_cmd *cmd, struct mailbox *box, const struct imap_flags *f, bool make,
    uint32_t keep, struct named *out)
{
	*out = (struct named){ f->system, join(s, &f->keywords) };
	for (size_t i = 0; i < f->keywords.n; i++)
		if (!keyword_named(s, cmd, box, f->keywords.name[i], make, keep, &out->flags))
			return false;
	return true;
}

/* ---- STORE ---- */

struct storing {
	struct places	places;
	size_t		*which, *place;		/* of those that are there: index of the mail, place */
	size_t		n;
	enum flag_changed *result;
	uint32_t	*expected;		/* flags as the client has them after it */
	bool		gone;			/* some were not there, or went meanwhile */
};

static void
find_mails(struct session *s, struct storing *t)
{
	t->which = arena_array(s->arena, t->places.n + 1, sizeof *t->which);
	t->place = arena_array(s->arena, t->places.n + 1, sizeof *t->place);
	for (size_t k = 0; k < t->places.n; k++) {
		size_t i;

		if (view_mail(s, t->places.at[k], &i)) {
			t->which[t->n] = i;
			t->place[t->n++] = t->places.at[k];
		} else {
			t->gone = true;
		}
	}
	t->result = arena_array(s->arena, t->n + 1, sizeof *t->result);
	t->expected = arena_array(s->arena, t->n + 1, sizeof *t->expected);
}

/* RFC 7162 section 3.1.3: who was refused learns what is there now; else flags, unless it is to be silent, and the
 * mod-sequence for who knows of them. */
static void
tell_stored(struct session *s, const struct imap_cmd *cmd, struct storing *t)
{
	for (size_t k = 0; k < t->n && !s->broken; k++) {
		bool refused = t->result[k] == FLAG_MODIFIED;
		bool other = s->view.told[t->place[k]].flags != t->expected[k];
		bool flags = !cmd->store.silent || refused || other;

		if (t->result[k] == FLAG_GONE) {
			t->gone = true;
			continue;
		}
		if (flags || (s->condstore && t->result[k] == FLAG_CHANGED))
			put_fetch_flags(s, t->place[k], flags, cmd->uid || s->condstore, s->condstore);
		else
			s->view.told[t->place[k]].changed = false;
	}
}

/* What others changed in the same moment has to be told all the same: what the client believes is what it had,
 * and what it asked for. */
static void
take_stored(struct session *s, const struct flag_change *c, const struct storing *t)
{
	for (size_t k = 0; k < t->n; k++) {
		struct told *told = &s->view.told[t->place[k]];

		if (t->result[k] == FLAG_CHANGED || t->result[k] == FLAG_SAME)
			told->flags = c->how == FLAGS_SET ? c->flags : c->how == FLAGS_ADD ? told->flags | c->flags
			    : told->flags & ~c->flags;
		t->expected[k] = told->flags;
	}
}

static void
put_modified(struct session *s, const struct imap_cmd *cmd, const struct storing *t)
{
	struct imap_set_writer w;

	imap_set_begin(&w, &s->out, 0);
	for (size_t k = 0; k < t->n && !s->broken; k++)
		if (t->result[k] == FLAG_MODIFIED) {
			uint32_t number = cmd->uid ? s->view.told[t->place[k]].uid : (uint32_t)t->place[k] + 1;

			imap_set_add(&w, number, number);
			flush_if_much(s);
		}
	imap_set_end(&w);
}

static void
answer_stored(struct session *s, const struct imap_cmd *cmd, const struct storing *t)
{
	bool modified = false;

	for (size_t k = 0; k < t->n; k++)
		modified |= t->result[k] == FLAG_MODIFIED;
	if (modified) {
		buf_add(&s->out, cmd->tag);
		buf_text(&s->out, " OK [MODIFIED ");
		put_modified(s, cmd, t);
		buf_text(&s->out, "] some were changed by somebody else\r\n");
	} else if (t->gone && !cmd->uid) {
		reply(s, cmd, "NO [EXPUNGEISSUED] some of these messages are gone");	/* RFC 2180 section 4.2 */
	} else {
		reply(s, cmd, "OK done");
	}
}

void
do_store(struct session *s, struct imap_cmd *cmd)
{
	struct flag_change c = { .how = (int)cmd->store.how == IMAP_STORE_ADD ? FLAGS_ADD
	    : cmd->store.how == IMAP_STORE_REMOVE ? FLAGS_REMOVE : FLAGS_SET,
	    .unchangedsince = cmd->store.unchangedsince, .modseq = cmd->store.modseq };
	struct storing t = { 0 };
	struct named named;

	if (!view_places(s, cmd, &t.places) || read_only(s, cmd)
	    || !flags_named(s, cmd, s->view.box, &cmd->store.flags, c.how != FLAGS_REMOVE, 0, &named))
		return;
	c.flags = cmd->store.flags.system;
	c.keywords = named.keywords;
	if (c.unchangedsince)
		view_condstore(s);
	find_mails(s, &t);
	put_flags_line(s, false);		/* a new keyword: before it stands in FLAGS of a message */
	if (!mailbox_store(s->view.box, t.which, t.n, &c, t.result)) {
		reply_stored(s, cmd, c.keywords.n > 0);
		return;
	}
	take_stored(s, &c, &t);
	if (!view_take(s)) {			/* it looked under the lock, just now */
		if (!s->quit)
			reply_errno(s, cmd, "the mailbox");
		return;
	}
	tell_stored(s, cmd, &t);
	answer_stored(s, cmd, &t);
}

/* ---- EXPUNGE ---- */

bool
expunge_deleted(struct session *s, const struct imap_set *uids)
{
	struct view *v = &s->view;
	size_t *which = mem_array(v->n + 1, sizeof *which), n = 0;
	bool good;

	for (size_t place = 0; place < v->n; place++) {
		size_t i;
		struct mail *m = view_mail(s, place, &i);

		if (m && (m->flags & MAIL_DELETED) && (!uids || imap_set_has(uids, m->uid)))
			which[n++] = i;
	}
	good = mailbox_expunge_deleted(v->box, which, n);
	mem_free(which);
	return good;
}

static bool
uids_of(struct session *s, const struct imap_cmd *cmd, struct imap_set *out)
{
	struct places p;
	struct imap_range *r;

	if (!view_places(s, cmd, &p))
		return false;
	r = arena_array(s->arena, p.n + 1, sizeof *r);
	for (size_t k = 0; k < p.n; k++)
		r[k].first = r[k].last = s->view.told[p.at[k]].uid;
	*out = (struct imap_set){ r, p.n };
	return true;
}

void
do_expunge(struct session *s, struct imap_cmd *cmd)
{
	struct imap_set uids;
	int fault;
	bool good;

	if (read_only(s, cmd) || (cmd->uid && !uids_of(s, cmd, &uids)))
		return;
	good = view_look(s) && expunge_deleted(s, cmd->uid ? &uids : NULL);
	fault = errno;
	view_update(s, true);			/* some may be gone, whatever the answer is */
	if (s->quit)
		return;
	errno = fault;
	if (!good)
		reply_errno(s, cmd, "the mailbox");
	else if (s->condstore)
		reply(s, cmd, "OK [HIGHESTMODSEQ %llu] done", (unsigned long long)mailbox_highestmodseq(s->view.box));
	else
		reply(s, cmd, "OK done");
}

/* ---- COPY, MOVE ---- */

static void
put_uids(struct session *s, const uint32_t *uids, size_t n)
{
	struct imap_set_writer w;

	imap_set_begin(&w, &s->out, 0);
	for (size_t k = 0; k < n && !s->broken; k++) {
		imap_set_add(&w, uids[k], uids[k]);
		flush_if_much(s);
	}
	imap_set_end(&w);
}

/* Both sets have their numbers in the same order; those of the copies may have gaps, but rise. */
static void
put_copyuid(struct session *s, uint32_t validity, const uint32_t *from, const uint32_t *to, size_t n)
{
	buf_fmt(&s->out, "[COPYUID %u ", (unsigned)validity);
	put_uids(s, from, n);
	buf_char(&s->out, ' ');
	put_uids(s, to, n);
	buf_text(&s->out, "] ");
}

/* Of copies that another session was first to see, the UIDs need not rise, and what somebody else took away has none; then
 * they are not told: RFC 4315 section 3 has it as a SHOULD. */
static bool
uids_rise(const uint32_t *uids, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (k > 0 && uids[k] <= uids[k - 1])
			return false;
	return n > 0;
}

static void
copied(struct session *s, const struct imap_cmd *cmd, const struct storing *t, uint32_t validity, const uint32_t *uids)
{
	uint32_t *from = arena_array(s->arena, t->n + 1, sizeof *from), *to = arena_array(s->arena, t->n + 1, sizeof *to);
	bool move = cmd->verb == IMAP_MOVE, told;
	size_t n = 0;

	for (size_t k = 0; k < t->n; k++) {
		if (uids[k] == 0)
			continue;		/* another session was faster and has moved that one */
		from[n] = s->view.told[t->place[k]].uid;	/* places are others after an expunge */
		to[n++] = uids[k];
	}
	told = uids_rise(to, n) && (move || n == t->n);
	if (move && told) {			/* RFC 6851 section 4.3: before the expunges */
		buf_text(&s->out, "* OK ");
		put_copyuid(s, validity, from, to, n);
		buf_text(&s->out, "moved\r\n");
	}
	view_update(s, true);			/* the copies, too, if they are in this very mailbox */
	if (s->quit)
		return;
	buf_add(&s->out, cmd->tag);
	buf_text(&s->out, " OK ");
	if (!move && told)
		put_copyuid(s, validity, from, to, n);
	buf_text(&s->out, "done\r\n");
}

/* RFC 3501 section 6.4.7 has it as a SHOULD that flags are preserved; untagged, NO is a warning (section 7.1.2). */
static void
tell_left_out(struct session *s, uint32_t keywords)
{
	if (keywords == 0)
		return;
	buf_fmt(&s->out, "* NO [LIMIT] %d keywords are in use in that mailbox; left out there: ", MAIL_KEYWORDS);
	put_flags(s, keywords, false);
	buf_text(&s->out, "\r\n");
}

static void
copy_to(struct session *s, const struct imap_cmd *cmd, struct mailbox *to, struct storing *t)
{
	uint32_t *uids = arena_array(s->arena, t->n + 1, sizeof *uids), left_out;
	bool good = cmd->verb == IMAP_MOVE ? mailbox_move(s->view.box, t->which, t->n, to, uids, &left_out)
	    : mailbox_copy(s->view.box, t->which, t->n, to, uids, &left_out);

	if (good) {
		tell_left_out(s, left_out);
		copied(s, cmd, t, t->n > 0 ? mailbox_uidvalidity(to) : 0, uids);
	} else if (errno == ENOENT && !mailbox_in_place(to)) {
		reply(s, cmd, "NO [TRYCREATE] that mailbox was deleted just now");
	} else if (errno == ENOENT) {
		reply(s, cmd, "NO [EXPUNGEISSUED] some of these messages are gone; nothing was copied");
	} else {
		reply_errno(s, cmd, "the mailbox");
	}
}

void
do_copy(struct session *s, struct imap_cmd *cmd)
{
	struct storing t = { 0 };
	enum folder_result r;
	struct mailbox *to;
	struct bytes name;

	if (!view_places(s, cmd, &t.places) || !mailbox_name(s, cmd, cmd->mailbox, &name)
	    || (cmd->verb == IMAP_MOVE && read_only(s, cmd)))
		return;
	if ((r = folders_mailbox(s->folders, name, &to)) == FOLDER_NONE) {
		reply(s, cmd, "NO [TRYCREATE] there is no such mailbox");
		return;
	}
	if (r != FOLDER_OK) {
		reply_folder(s, cmd, r);
		return;
	}
	find_mails(s, &t);
	if (t.gone)
		reply(s, cmd, "NO [EXPUNGEISSUED] some of these messages are gone; nothing was copied");
	else
		copy_to(s, cmd, to, &t);
	mailbox_close(&to);
}
