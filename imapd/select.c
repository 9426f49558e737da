/* SPDX-License-Identifier: ISC */
/*
 * imapd/select.c - SELECT, EXAMINE, CLOSE, UNSELECT, STATUS, IDLE: RFC 3501 sections
 * 6.3.1, 6.3.2, 6.3.10, 6.4.2; RFC 3691; RFC 2177; RFC 7162 section 3.1; RFC 8438; RFC 7889.
 */
#include "imapd/imapd.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- SELECT, EXAMINE ---- */

static size_t
first_unseen(const struct view *v)
{
	size_t i = 0;

	while (i < v->n && (v->told[i].flags & MAIL_SEEN))
		i++;
	return i;
}

static void
say_selected(struct session *s)
{
	struct view *v = &s->view;
	size_t unseen = first_unseen(v);

	put_flags_line(s, true);
	buf_fmt(&s->out, "* %zu EXISTS\r\n* %zu RECENT\r\n", v->n, v->recent);
	if (unseen < v->n)
		buf_fmt(&s->out, "* OK [UNSEEN %zu] the first that is unread\r\n", unseen + 1);
	buf_fmt(&s->out, "* OK [UIDVALIDITY %u] UIDs are valid\r\n* OK [UIDNEXT %u] the next UID\r\n",
	    (unsigned)v->uidvalidity, (unsigned)mailbox_uidnext(v->box));
	buf_fmt(&s->out, "* OK [HIGHESTMODSEQ %llu] the highest\r\n",
	    (unsigned long long)mailbox_highestmodseq(v->box));
}

/* What was selected is not, whatever becomes of the command: RFC 3501 section 6.3.1. */
void
do_select(struct session *s, struct imap_cmd *cmd)
{
	bool read_only = cmd->verb == IMAP_EXAMINE;
	enum folder_result r;
	struct mailbox *box;
	struct bytes name;

	if (s->view.box) {
		view_close(s);
		buf_text(&s->out, "* OK [CLOSED] what follows is of another mailbox\r\n");	/* RFC 7162 section 3.2.11 */
	}
	if (!mailbox_name(s, cmd, cmd->mailbox, &name))
		return;
	if ((r = folders_mailbox(s->folders, name, &box)) != FOLDER_OK) {
		reply_folder(s, cmd, r);
		return;
	}
	if (cmd->condstore)
		view_condstore(s);
	if ((r = view_open(s, box, name, read_only)) != FOLDER_OK) {
		reply_folder(s, cmd, r);
		return;
	}
	say_selected(s);
	reply(s, cmd, read_only ? "OK [READ-ONLY] it is open" : "OK [READ-WRITE] it is open");
}

/* ---- CLOSE, UNSELECT ---- */

/* One that was deleted has nothing left to expunge. */
void
do_close(struct session *s, struct imap_cmd *cmd)
{
	if (cmd->verb == IMAP_CLOSE && !s->view.read_only && mailbox_in_place(s->view.box)
	    && !(view_look(s) && expunge_deleted(s, NULL))) {
		if (!s->quit)
			reply_errno(s, cmd, "the mailbox");
		return;
	}
	view_close(s);
	reply(s, cmd, "OK it is closed");
}

/* ---- STATUS ---- */

static uint64_t
count(struct mailbox *box, uint32_t without, bool recent)
{
	uint64_t n = 0;

	for (size_t i = 0; i < mailbox_count(box); i++) {
		const struct mail *m = mailbox_mail(box, i);

		n += recent ? m->recent : (m->flags & without) == 0;
	}
	return n;
}

/* What cannot be read any more counts for nothing. */
static uint64_t
total_size(struct mailbox *box)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < mailbox_count(box); i++)
		if (mailbox_size(box, i))
			sum += mailbox_mail(box, i)->octets;
	return sum;
}

static uint64_t
status_item(struct session *s, struct mailbox *box, enum imap_status_item item)
{
	switch (item) {
	case IMAP_STATUS_MESSAGES:	return mailbox_count(box);
	case IMAP_STATUS_RECENT:	return count(box, 0, true);
	case IMAP_STATUS_UIDNEXT:	return mailbox_uidnext(box);
	case IMAP_STATUS_UIDVALIDITY:	return mailbox_uidvalidity(box);
	case IMAP_STATUS_UNSEEN:	return count(box, MAIL_SEEN, false);
	case IMAP_STATUS_HIGHESTMODSEQ:	return mailbox_highestmodseq(box);
	case IMAP_STATUS_SIZE:		return total_size(box);
	case IMAP_STATUS_APPENDLIMIT:	return s->start->settings->append_limit;
	}
	return 0;
}

static const struct { enum imap_status_item item; const char *name; } status_items[] = {
	{ IMAP_STATUS_MESSAGES, "MESSAGES" }, { IMAP_STATUS_RECENT, "RECENT" },
	{ IMAP_STATUS_UIDNEXT, "UIDNEXT" }, { IMAP_STATUS_UIDVALIDITY, "UIDVALIDITY" },
	{ IMAP_STATUS_UNSEEN, "UNSEEN" }, { IMAP_STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ" },
	{ IMAP_STATUS_SIZE, "SIZE" }, { IMAP_STATUS_APPENDLIMIT, "APPENDLIMIT" },
};

static void
say_status(struct session *s, struct mailbox *box, struct bytes name, unsigned items)
{
	const char *gap = "";

	buf_text(&s->out, "* STATUS ");
	put_mailbox(s, name);
	buf_text(&s->out, " (");
	for (size_t i = 0; i < LEN(status_items); i++) {
		if (!(items & status_items[i].item))
			continue;
		buf_fmt(&s->out, "%s%s %llu", gap, status_items[i].name,
		    (unsigned long long)status_item(s, box, status_items[i].item));
		gap = " ";
	}
	buf_text(&s->out, ")\r\n");
}

static enum folder_result
status(struct session *s, struct bytes name, unsigned items)
{
	struct mailbox *box;
	enum folder_result r = folders_mailbox(s->folders, name, &box);
	int fault;

	if (r != FOLDER_OK)
		return r;
	mailbox_index(box);
	if ((r = view_scan(box)) == FOLDER_OK)
		say_status(s, box, name, items);
	fault = errno;
	mailbox_close(&box);
	errno = fault;
	return r;
}

/* What is selected has that name, and has it still. */
static bool
selected(struct session *s, struct bytes name)
{
	return s->view.box && bytes_eq(name, s->view.name) && folders_is(s->folders, name, s->view.box);
}

bool
put_status(struct session *s, struct bytes name, unsigned items)
{
	if (items & IMAP_STATUS_HIGHESTMODSEQ)
		view_condstore(s);		/* RFC 7162 section 3.1 */
	if (selected(s, name)) {
		say_status(s, s->view.box, name, items);
		return true;
	}
	return status(s, name, items) == FOLDER_OK;
}

void
do_status(struct session *s, struct imap_cmd *cmd)
{
	enum folder_result r;
	struct bytes name;

	if (!mailbox_name(s, cmd, cmd->mailbox, &name))
		return;
	if (cmd->status & IMAP_STATUS_HIGHESTMODSEQ)
		view_condstore(s);
	if (selected(s, name)) {
		say_status(s, s->view.box, name, cmd->status);
	} else if ((r = status(s, name, cmd->status)) != FOLDER_OK) {
		reply_folder(s, cmd, r);
		return;
	}
	reply(s, cmd, "OK done");
}

/* ---- IDLE ---- */

/* What came since we last looked is told: whoever ends IDLE may have waited for just that. */
static void
idle_over(struct session *s, struct imap_cmd *cmd, struct bytes line)
{
	view_update(s, true);
	if (s->quit)
		return;
	if (imap_done(line))
		reply(s, cmd, "OK done");
	else
		reply(s, cmd, "BAD only DONE ends IDLE");
}

/* While nothing changes this costs four system calls each time that we look. */
static void
idle_look(struct session *s)
{
	if (!s->view.box || (mailbox_in_place(s->view.box) && mailbox_quiet(s->view.box)))
		return;
	view_update(s, true);
	flush(s);
	session_rest(s);
}

void
do_idle(struct session *s, struct imap_cmd *cmd)
{
	struct bytes tag = arena_copy(s->arena, cmd->tag), line;
	uint64_t until = clock_mono_ms() + s->start->settings->timeout_ms;

	cmd->tag = tag;			/* the reader's text goes with the next line */
	imap_reader_raw(&s->reader);
	buf_text(&s->out, "+ idling\r\n");
	view_update(s, true);
	flush(s);
	session_rest(s);
	while (!s->broken && !s->quit) {
		if (session_raw_line(s, &line)) {
			idle_over(s, cmd, line);
			return;
		}
		switch (session_wait(s, s->start->settings->idle_poll_ms)) {
		case WAIT_INPUT:
			break;
		case WAIT_NOTHING:
			idle_look(s);
			if (clock_mono_ms() >= until) {
				buf_text(&s->out, "* BYE no command for too long\r\n");
				s->quit = true;
			}
			break;
		case WAIT_GONE:
			return;
		}
	}
}
