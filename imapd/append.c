/* SPDX-License-Identifier: ISC */
/*
 * imapd/append.c - APPEND: RFC 3501 section 6.3.11; RFC 3502 (several at once, all or none);
 * RFC 4315 (APPENDUID); RFC 7889 (the limit of a message); RFC 4469 and 7888 for what a refusal looks like.
 *
 * Mailbox, flags and date are known before the first octet of a message: what can be refused is
 * refused then. The octets go into a file that has no name; the command's end gives it one.
 */
#include "imapd/imapd.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"

struct append {
	struct imap_append_scan scan;
	struct mailbox	*box;		/* owned; kept between commands: a client appends many to one */
	struct buf	 name;		/* owned; of box */
	struct arrival	*messages[IMAP_MESSAGES_MAX];	/* owned */
	size_t		 n;
	uint32_t	 flags;		/* of all of them */
	int		 fault;		/* errno of a write that failed; the rest of it is read and dropped */
	bool		 nul;		/* one of them has NUL; likewise */
};

static struct append *
append_of(struct session *s)
{
	if (!s->append) {
		s->append = mem_alloc(sizeof *s->append);
		buf_init(&s->append->name, FOLDER_NAME_MAX);
	}
	return s->append;
}

static void
forget_box(struct append *a)
{
	must(a->n == 0);
	if (a->box)
		mailbox_close(&a->box);
	buf_clear(&a->name);
}

void
append_over(struct session *s)
{
	struct append *a = s->append;

	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++)
		arrival_free(&a->messages[i]);
	a->n = 0;
	a->flags = 0;
	a->fault = 0;
	a->nul = false;
	a->scan = (struct imap_append_scan){ 0 };
}

void
append_rest(struct session *s)
{
	if (s->append && s->append->n == 0)
		forget_box(s->append);
}

void
append_fini(struct session *s)
{
	if (!s->append)
		return;
	append_over(s);
	forget_box(s->append);
	buf_fini(&s->append->name);
	mem_free(s->append);
	s->append = NULL;
}

/* ---- before the octets ---- */

static bool
open_box(struct session *s, const struct imap_cmd *cmd, struct bytes wire)
{
	struct append *a = s->append;
	enum folder_result r;
	struct bytes name;

	if (!mailbox_name(s, cmd, wire, &name))
		return false;
	if (a->box && bytes_eq(name, buf_bytes(&a->name)) && folders_is(s->folders, name, a->box))
		return true;
	forget_box(a);
	r = folders_mailbox(s->folders, name, &a->box);
	if (r == FOLDER_OK) {
		buf_add(&a->name, name);
		return true;
	}
	if (r == FOLDER_NONE)
		reply(s, cmd, "NO [TRYCREATE] there is no such mailbox");
	else
		reply_folder(s, cmd, r);
	return false;
}

/* errno */
static void
reply_not_added(struct session *s, const struct imap_cmd *cmd)
{
	const struct append *a = s->append;

	if (errno == ENOENT && !mailbox_in_place(a->box))
		reply(s, cmd, "NO [TRYCREATE] that mailbox was deleted just now");
	else
		reply_stored(s, cmd, a->flags >= MAIL_KEYWORD);
}

static bool
begin_message(struct session *s, const struct imap_cmd *cmd, const struct imap_message *m)
{
	struct append *a = s->append;
	struct arrival *in;
	struct named named;

	if (m->content.literal.octets > s->start->settings->append_limit) {
		reply(s, cmd, "NO [TOOBIG] a message may have %llu octets here",
		    (unsigned long long)s->start->settings->append_limit);
		return false;
	}
	if (!flags_named(s, cmd, a->box, &m->flags, true, a->flags, &named))
		return false;
	if (!(in = mailbox_arrive(a->box))) {
		reply_not_added(s, cmd);
		return false;
	}
	arrival_flags(in, named.flags);
	arrival_keywords(in, named.keywords);
	a->flags |= named.flags;
	if (m->dated)
		arrival_date(in, m->date.wall_s);
	a->messages[a->n++] = in;
	return true;
}

enum append_literal
append_literal(struct session *s)
{
	struct append *a = append_of(s);
	struct imap_cmd cmd = { .verb = IMAP_APPEND, .tag = imap_reader_tag(&s->reader) };
	struct imap_message m;

	switch (imap_append_scan(&a->scan, buf_bytes(&s->reader.text), s->arena, &m)) {
	case IMAP_LITERAL_ARGUMENT:
		return APPEND_GATHER;
	case IMAP_LITERAL_BAD:
		return APPEND_BAD;
	case IMAP_LITERAL_MESSAGE:
		break;
	}
	if (a->n == 0 && !open_box(s, &cmd, a->scan.mailbox))
		return APPEND_REFUSED;
	return begin_message(s, &cmd, &m) ? APPEND_STREAM : APPEND_REFUSED;
}

/* RFC 3501 section 9: a literal is of CHAR8, which NUL is not; it could not be given back as it came. literal8 may have it
 * for BINARY alone (RFC 3516), which is not served. */
void
append_run(struct session *s, struct bytes octets)
{
	struct append *a = s->append;

	a->nul = a->nul || bytes_find(octets, '\0') < octets.n;
	if (a->fault == 0 && !a->nul && !arrival_add(a->messages[a->n - 1], octets))
		a->fault = errno;
}

/* ---- the end ---- */

static void
put_appenduid(struct session *s, const struct imap_cmd *cmd, const uint32_t *uids, size_t n)
{
	struct imap_set_writer w;
	bool rise = true;

	for (size_t i = 0; i < n; i++)
		rise = rise && uids[i] != 0 && (i == 0 || uids[i] > uids[i - 1]);
	buf_add(&s->out, cmd->tag);
	buf_text(&s->out, " OK ");
	if (rise) {
		buf_fmt(&s->out, "[APPENDUID %u ", (unsigned)mailbox_uidvalidity(s->append->box));
		imap_set_begin(&w, &s->out, 0);
		for (size_t i = 0; i < n; i++)
			imap_set_add(&w, uids[i], uids[i]);
		imap_set_end(&w);
		buf_text(&s->out, "] ");
	}
	buf_text(&s->out, "it is there\r\n");
}

/* RFC 3502: an empty message ends it, which a client does that was about to give up. */
void
do_append(struct session *s, struct imap_cmd *cmd)
{
	struct append *a = append_of(s);
	uint32_t uids[IMAP_MESSAGES_MAX];

	if (a->n == 0 || a->n != cmd->append.message_count) {
		reply(s, cmd, "BAD the message has to be a literal");
		return;
	}
	for (const struct imap_message *m = cmd->append.messages; m; m = m->next)
		if (m->content.literal.octets == 0) {
			reply(s, cmd, "NO an empty message is none: nothing was added");
			return;
		}
	if (a->nul) {
		reply(s, cmd, "NO [CANNOT] a message cannot have NUL: nothing was added");
		return;
	}
	errno = a->fault;
	if (a->fault != 0 || !mailbox_take(a->box, a->messages, a->n, uids)) {
		reply_not_added(s, cmd);
		append_over(s);		/* what is to be dropped needs its mailbox */
		forget_box(a);
		return;
	}
	view_update(s, true);
	put_appenduid(s, cmd, uids, a->n);
}
