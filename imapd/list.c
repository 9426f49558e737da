/* SPDX-License-Identifier: ISC */
/*
 * imapd/list.c - the commands on mailboxes as a whole: RFC 3501 sections 6.3.3 to 6.3.9, RFC 5258
 * (LIST-EXTENDED), RFC 6154 (SPECIAL-USE), RFC 5819 (LIST-STATUS), RFC 2342 (NAMESPACE).
 *
 * What they do is in mail/folders.h; which names a LIST means, in imapd/list_select.h.
 */
#include "imapd/imapd.h"

#include "base/mem.h"
#include "imapd/list_select.h"

#define ATTRIBUTES_MAX	256		/* octets of all of them */

/* ---- LIST, LSUB ---- */

/* Of what was asked, what is accepted; in the arena. */
static size_t
take_patterns(struct session *s, const struct imap_list *want, struct imap_match *out)
{
	size_t n = 0;

	for (size_t i = 0; i < want->patterns.n; i++) {
		struct buf pattern;

		if (want->patterns.name[i].n == 0)
			continue;		/* RFC 5258 section 3 */
		buf_init(&pattern, IMAP_MATCH_PATTERN_MAX);
		if (list_pattern(want->reference, want->patterns.name[i], &pattern)
		    && imap_match_init(&out[n], arena_copy(s->arena, buf_bytes(&pattern)), FOLDER_SEPARATOR))
			n++;
		buf_fini(&pattern);
	}
	return n;
}

/* RFC 5819 section 2: what cannot be selected any more is said to be so, and has no STATUS. */
static void
put_list(struct session *s, const struct imap_list *want, const struct list_answer *a)
{
	struct folder_entry e = *a->entry;
	bool status = (want->returns & IMAP_LIST_STATUS) && a->meets && e.selectable;
	struct buf attributes;

	if (status && !folders_there(s->folders, e.name))
		status = e.selectable = false;
	buf_init(&attributes, ATTRIBUTES_MAX);
	list_attributes(&e, want->extended, (want->selects | want->returns) & IMAP_LIST_SUBSCRIBED, &attributes);
	must(!attributes.full);
	buf_fmt(&s->out, "* LIST (%.*s) \"%c\" ", BYTES_FMT(buf_bytes(&attributes)), FOLDER_SEPARATOR);
	buf_fini(&attributes);
	put_mailbox(s, e.name);
	if (a->below)
		buf_fmt(&s->out, " (\"CHILDINFO\" (\"SUBSCRIBED\"%s))",
		    want->selects & IMAP_LIST_SPECIAL_USE ? " \"SPECIAL-USE\"" : "");
	buf_text(&s->out, "\r\n");
	if (status)
		put_status(s, e.name, want->status);
	flush_if_much(s);
}

/* RFC 3501 section 6.3.9: \Noselect says that it is not subscribed itself. */
static void
put_lsub(struct session *s, const struct list_answer *a)
{
	buf_fmt(&s->out, "* LSUB (%s) \"%c\" ", a->meets ? "" : "\\Noselect", FOLDER_SEPARATOR);
	put_mailbox(s, a->entry->name);
	buf_text(&s->out, "\r\n");
	flush_if_much(s);
}

/* False: errno. a: for the list, which is larger than what commands need else. */
static bool
put_all(struct session *s, struct imap_cmd *cmd, struct arena *a)
{
	bool lsub = cmd->verb == IMAP_LSUB;
	unsigned selects = lsub ? IMAP_LIST_SUBSCRIBED | IMAP_LIST_RECURSIVEMATCH : cmd->list.selects;
	struct imap_match *patterns = arena_array(s->arena, cmd->list.patterns.n, sizeof *patterns);
	size_t n, npatterns = take_patterns(s, &cmd->list, patterns);
	struct folder_entry *entry;
	struct list_answer *answer;

	if (npatterns == 0)
		return true;
	if (!folders_list(s->folders, a, &entry, &n))
		return false;
	answer = mem_array(n, sizeof *answer);
	n = list_select(entry, n, patterns, npatterns, selects, answer);
	for (size_t i = 0; i < n && !s->broken; i++) {
		if (lsub)
			put_lsub(s, &answer[i]);
		else
			put_list(s, &cmd->list, &answer[i]);
	}
	mem_free(answer);
	return true;
}

/* The pattern "" asks for the separator: RFC 3501 section 6.3.8. */
static bool
asks_separator(const struct imap_cmd *cmd)
{
	return cmd->verb == IMAP_LIST && !cmd->list.extended && cmd->list.patterns.n == 1
	    && cmd->list.patterns.name[0].n == 0;
}

void
do_list(struct session *s, struct imap_cmd *cmd)
{
	struct arena *a;
	bool good = true;

	if (asks_separator(cmd)) {
		buf_fmt(&s->out, "* LIST (\\NoSelect) \"%c\" \"\"\r\n", FOLDER_SEPARATOR);
	} else {
		a = arena_new(FOLDERS_ARENA_MAX);
		good = put_all(s, cmd, a);
		arena_free(&a);
	}
	if (good)
		reply(s, cmd, "OK that is all");
	else
		reply_errno(s, cmd, "the list of mailboxes");
}

void
do_namespace(struct session *s, struct imap_cmd *cmd)
{
	buf_fmt(&s->out, "* NAMESPACE ((\"\" \"%c\")) NIL NIL\r\n", FOLDER_SEPARATOR);
	reply(s, cmd, "OK that is all");
}

/* ---- changes ---- */

static void
answer(struct session *s, const struct imap_cmd *cmd, enum folder_result r, const char *done)
{
	if (r == FOLDER_OK)
		reply(s, cmd, "OK %s", done);
	else
		reply_folder(s, cmd, r);
}

/* A name that ends in the separator says that there will be others below it; it is made without: RFC 3501
 * section 6.3.3. */
void
do_create(struct session *s, struct imap_cmd *cmd)
{
	struct bytes wire = cmd->mailbox, name;

	if (wire.n > 1 && wire.p[wire.n - 1] == FOLDER_SEPARATOR)
		wire = bytes_head(wire, wire.n - 1);
	if (mailbox_name(s, cmd, wire, &name))
		answer(s, cmd, folders_create(s->folders, name, cmd->uses), "made");
}

/* Who deletes what it has selected has nothing selected then. */
void
do_delete(struct session *s, struct imap_cmd *cmd)
{
	enum folder_result r;
	struct bytes name;

	if (!mailbox_name(s, cmd, cmd->mailbox, &name))
		return;
	r = folders_delete(s->folders, name);
	if (r == FOLDER_OK && s->view.box && !mailbox_in_place(s->view.box)) {
		view_close(s);
		buf_text(&s->out, "* OK [CLOSED] the mailbox that was selected is deleted\r\n");
	}
	answer(s, cmd, r, "deleted");
}

/* RENAME of INBOX takes its messages out: who does that to what it has selected is told at once, RFC 3501 section 5.2. */
void
do_rename(struct session *s, struct imap_cmd *cmd)
{
	enum folder_result r;
	struct bytes from, to;

	if (!mailbox_name(s, cmd, cmd->mailbox, &from) || !mailbox_name(s, cmd, cmd->new_name, &to))
		return;
	r = folders_rename(s->folders, from, to);
	if (r == FOLDER_OK && bytes_eq(from, text("INBOX")))
		view_update(s, true);
	answer(s, cmd, r, "renamed");
}

void
do_subscribe(struct session *s, struct imap_cmd *cmd)
{
	bool on = cmd->verb == IMAP_SUBSCRIBE;
	struct bytes name;

	if (mailbox_name(s, cmd, cmd->mailbox, &name))
		answer(s, cmd, folders_subscribe(s->folders, name, on), on ? "subscribed" : "not subscribed any more");
}
