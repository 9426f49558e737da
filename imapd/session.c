/* SPDX-License-Identifier: ISC */
/*
 * imapd/session.c - IMAP after authentication: RFC 3501 section 3, states Authenticated
 * and Selected. Reads commands, calls them by table, sends what they said.
 *
 * One session, one process, as the mailbox's owner, confined to that account's
 * folder. The client was believed once, by auth; what it sends is not. What it may make us hold:
 * one command of IMAP_COMMAND_MAX octets, an arena of IMAP_CMD_ARENA_MAX and some octets for each message it
 * means, and what a message needs while it is taken apart. The octets of an APPEND go to disk as they come.
 */
#include "imapd/imapd.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon.h"
#include "imapd/message.h"
#include "proto/imap_capability.h"
#include "proto/imap_utf7.h"

#define IN_STEP		65536		/* octets read at once */
#define OUT_MAX		(4u << 20)
#define ARENA_MAX	(1u << 30)	/* of one command: IMAP_CMD_ARENA_MAX, and 40 octets for each message that it means */
#define LOCK_WAIT_MS	10000
#define ERRORS_MAX	50		/* commands not understood one after the other, then the session ends */
#define NAME_WIRE_MAX	4096		/* octets of a name in modified UTF-7 */

/* ---- the socket ---- */

void
flush(struct session *s)
{
	size_t at = 0;

	while (!s->broken && at < s->out.n) {
		ssize_t n = send(s->start->socket, s->out.p + at, s->out.n - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			at += (size_t)n;
		else if (errno == EAGAIN)
			s->broken = worker_wait(&s->socket, POLLOUT, s->start->settings->timeout_ms, false) != WORKER_READY;
		else if (errno != EINTR)
			s->broken = true;
	}
	buf_clear(&s->out);
}

void
flush_if_much(struct session *s)
{
	if (s->out.n >= OUT_AT)
		flush(s);
}

/* A client that sends a literal in pieces waits, by the rule of RFC 896, for the acknowledgement of the first before
 * it sends the last; which TCP would hold back for 40 ms. No matter where the socket is another's (EOPNOTSUPP). */
static void
acknowledge(struct session *s)
{
	int on = 1;

	if (s->reader.text.n > 0 || s->reader.left > 0)
		setsockopt(s->start->socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* RFC 3501 section 7.1.5. */
static void
say_stopping(struct session *s)
{
	log_info("%.*s: session ended: shutting down", BYTES_FMT(s->start->session_id));
	buf_text(&s->out, "* BYE [UNAVAILABLE] shutting down; come back soon\r\n");
	s->quit = true;
}

/* More octets in s->in, as far as they are there. */
static enum { RECEIVED, NONE_YET, ENDED }
receive(struct session *s)
{
	for (;;) {
		unsigned char *room = buf_room(&s->in, IN_STEP);
		ssize_t n = room ? recv(s->start->socket, room, IN_STEP, MSG_DONTWAIT) : 0;

		if (n > 0) {
			s->in.n += (size_t)n;
			return RECEIVED;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return ENDED;
		if (errno == EAGAIN)
			return NONE_YET;
	}
}

/* More octets in s->in; false at the end. Between two commands most clients wait for our answer first; and a stop
 * has to be seen there, however quick the client is. */
static bool
fill(struct session *s)
{
	bool idle = s->in.n == 0 && s->reader.text.n == 0 && s->reader.left == 0;
	int got = idle ? NONE_YET : receive(s);

	while (got == NONE_YET) {
		acknowledge(s);
		switch (worker_wait(&s->socket, POLLIN, s->start->settings->timeout_ms, idle)) {
		case WORKER_READY:
			got = receive(s);
			break;
		case WORKER_SILENT:
			log_info("%.*s: session ended: timeout", BYTES_FMT(s->start->session_id));
			buf_text(&s->out, "* BYE no command for too long\r\n");
			s->quit = true;
			return false;
		case WORKER_STOP:
			say_stopping(s);
			return false;
		case WORKER_GONE:
			return false;
		}
	}
	return got == RECEIVED;
}

enum session_wait
session_wait(struct session *s, uint64_t ms)
{
	if (s->in.n > 0)
		return WAIT_INPUT;
	switch (worker_wait(&s->socket, POLLIN, ms, true)) {
	case WORKER_SILENT:
		return WAIT_NOTHING;
	case WORKER_STOP:
		say_stopping(s);
		return WAIT_GONE;
	case WORKER_READY:
		switch (receive(s)) {
		case RECEIVED:	return WAIT_INPUT;
		case NONE_YET:	return WAIT_NOTHING;
		case ENDED:	break;
		}
		break;
	case WORKER_GONE:
		break;
	}
	s->broken = true;
	return WAIT_GONE;
}

void
session_rest(struct session *s)
{
	if (s->view.box)
		mailbox_rest(s->view.box);
	append_rest(s);
	message_rest(s, 0);
	imap_reader_idle(&s->reader);
	if (s->in.n == 0)
		buf_release(&s->in);
	if (s->out.n == 0)
		buf_release(&s->out);
	malloc_trim(0);
}

/* ---- saying ---- */

void
reply(struct session *s, const struct imap_cmd *cmd, const char *fmt, ...)
{
	char words[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	buf_add(&s->out, cmd->tag);
	buf_char(&s->out, ' ');
	buf_text(&s->out, words);
	buf_text(&s->out, "\r\n");
}

static bool
quotable(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0' || s.p[i] >= 0x80)
			return false;
	return s.n <= 1000;
}

void
put_string(struct session *s, struct bytes octets)
{
	if (!quotable(octets)) {
		buf_fmt(&s->out, "{%zu}\r\n", octets.n);
		buf_add(&s->out, octets);
		return;
	}
	buf_char(&s->out, '"');
	for (size_t i = 0; i < octets.n; i++) {
		if (octets.p[i] == '"' || octets.p[i] == '\\')
			buf_char(&s->out, '\\');
		buf_char(&s->out, octets.p[i]);
	}
	buf_char(&s->out, '"');
}

void
put_mailbox(struct session *s, struct bytes name)
{
	struct buf wire;

	buf_init(&wire, NAME_WIRE_MAX);
	must(imap_utf7_encode(name, &wire));
	put_string(s, buf_bytes(&wire));
	buf_fini(&wire);
}

bool
mailbox_name(struct session *s, const struct imap_cmd *cmd, struct bytes wire, struct bytes *name)
{
	struct buf utf8, normal;
	bool good;

	buf_init(&utf8, NAME_WIRE_MAX);
	buf_init(&normal, FOLDER_NAME_MAX + 1);
	good = imap_utf7_decode(wire, &utf8);
	if (!good)
		reply(s, cmd, "NO [CANNOT] that is no name: names are in modified UTF-7 (RFC 3501 section 5.1.3)");
	else if (!(good = folder_name_normal(buf_bytes(&utf8), &normal)))
		reply(s, cmd, "NO [CANNOT] a mailbox cannot have that name");
	else
		*name = arena_copy(s->arena, buf_bytes(&normal));
	buf_fini(&utf8);
	buf_fini(&normal);
	return good;
}

void
reply_folder(struct session *s, const struct imap_cmd *cmd, enum folder_result r)
{
	static const char *const words[] = {
		[FOLDER_BAD_NAME] = "NO [CANNOT] a mailbox cannot have that name",
		[FOLDER_EXISTS] = "NO [ALREADYEXISTS] there is one of that name",
		[FOLDER_NONE] = "NO [NONEXISTENT] there is no such mailbox",
		[FOLDER_INBOX] = "NO [CANNOT] not with INBOX",
		[FOLDER_CHILDREN] = "NO [HASCHILDREN] there are mailboxes below it",
		[FOLDER_MANY] = "NO [LIMIT] that would be too many mailboxes",
		[FOLDER_USE_TAKEN] = "NO [USEATTR] that special use is not to be had",
	};

	if (r == FOLDER_FAILED) {
		reply_errno(s, cmd, "the mailbox");
		return;
	}
	reply(s, cmd, "%s", words[r]);
}

void
reply_errno(struct session *s, const struct imap_cmd *cmd, const char *what)
{
	int fault = errno;

	if (fault == EDQUOT) {
		reply(s, cmd, "NO [OVERQUOTA] you are over your quota: delete something");
	} else if (fault == ETIMEDOUT) {
		reply(s, cmd, "NO [INUSE] %s is locked by another program; try again", what);
	} else {
		errno = fault;
		log_errno("%.*s: %s: %s", BYTES_FMT(s->start->session_id), imap_verb_text(cmd->verb), what);
		reply(s, cmd, fault == ENOSPC ? "NO [UNAVAILABLE] %s: no space left on the disk"
		    : "NO [UNAVAILABLE] %s cannot be used now; try again later", what);
	}
}

/* ---- small commands ---- */

static void
do_capability(struct session *s, struct imap_cmd *cmd)
{
	buf_fmt(&s->out, "* CAPABILITY %s\r\n", imap_capability_session);
	reply(s, cmd, "OK that is what there is");
}

static void
do_noop(struct session *s, struct imap_cmd *cmd)
{
	view_update(s, true);
	reply(s, cmd, "OK done");
}

static void
do_logout(struct session *s, struct imap_cmd *cmd)
{
	buf_text(&s->out, "* BYE until next time\r\n");
	reply(s, cmd, "OK done");
	s->quit = true;
}

static void
do_id(struct session *s, struct imap_cmd *cmd)
{
	buf_text(&s->out, IMAP_ID_RESPONSE);
	reply(s, cmd, "OK done");
}

/* RFC 5161. */
static void
do_enable(struct session *s, struct imap_cmd *cmd)
{
	bool condstore = false;

	for (size_t i = 0; i < cmd->names.n; i++)
		condstore |= bytes_case_eq(cmd->names.name[i], text("CONDSTORE"));
	buf_text(&s->out, condstore ? "* ENABLED CONDSTORE\r\n" : "* ENABLED\r\n");
	if (condstore)
		view_condstore(s);
	reply(s, cmd, "OK done");
}

/* ---- commands by table ---- */

/* When a client is told what others did, before the answer: RFC 3501 sections 5.2, 7.4.1. No expunge comes before a
 * command whose numbers the client took from what it knew. */
enum when { NEVER /* the command does it */, ALL, BY_UID /* expunges only before UID commands */,
	LEAVES /* what becomes of the mailbox that is selected does not matter */ };

static const struct {
	void	(*run)(struct session *, struct imap_cmd *);
	enum when updates;
} commands[IMAP_VERBS] = {
	[IMAP_CAPABILITY] = { do_capability, ALL },
	[IMAP_NOOP]	= { do_noop, NEVER },
	[IMAP_LOGOUT]	= { do_logout, LEAVES },
	[IMAP_ID]	= { do_id, ALL },
	[IMAP_ENABLE]	= { do_enable, ALL },
	[IMAP_SELECT]	= { do_select, LEAVES },
	[IMAP_EXAMINE]	= { do_select, LEAVES },
	[IMAP_CREATE]	= { do_create, ALL },
	[IMAP_DELETE]	= { do_delete, ALL },
	[IMAP_RENAME]	= { do_rename, ALL },
	[IMAP_SUBSCRIBE] = { do_subscribe, ALL },
	[IMAP_UNSUBSCRIBE] = { do_subscribe, ALL },
	[IMAP_LIST]	= { do_list, ALL },
	[IMAP_LSUB]	= { do_list, ALL },
	[IMAP_NAMESPACE] = { do_namespace, ALL },
	[IMAP_STATUS]	= { do_status, ALL },
	[IMAP_APPEND]	= { do_append, NEVER },
	[IMAP_IDLE]	= { do_idle, NEVER },
	[IMAP_CHECK]	= { do_noop, NEVER },
	[IMAP_CLOSE]	= { do_close, LEAVES },
	[IMAP_UNSELECT]	= { do_close, LEAVES },
	[IMAP_EXPUNGE]	= { do_expunge, NEVER },
	[IMAP_SEARCH]	= { do_search, BY_UID },
	[IMAP_FETCH]	= { do_fetch, NEVER },
	[IMAP_STORE]	= { do_store, BY_UID },
	[IMAP_COPY]	= { do_copy, BY_UID },
	[IMAP_MOVE]	= { do_copy, BY_UID },
};

/* After a rest there are no mails to be named until it was looked again. */
static bool
prepare(struct session *s, const struct imap_cmd *cmd)
{
	enum when when = commands[cmd->verb].updates;

	if (!s->view.box || when == LEAVES)
		return true;
	if (when != NEVER)
		return view_update(s, cmd->uid || when == ALL);
	return view_there(s) && (mailbox_scanned(s->view.box) || view_look(s));
}

static void
run(struct session *s, struct imap_cmd *cmd)
{
	unsigned now = s->view.box ? IMAP_IN_SELECTED : IMAP_IN_AUTHENTICATED;

	if (!commands[cmd->verb].run) {
		reply(s, cmd, "BAD you are logged in already");
		return;
	}
	if (!(imap_verb_when(cmd->verb) & now)) {
		reply(s, cmd, "BAD not now: no mailbox is selected");
		return;
	}
	if (!prepare(s, cmd)) {
		search_refused(s, cmd);
		if (!s->quit)
			reply(s, cmd, "NO [UNAVAILABLE] the mailbox cannot be read now; try again later");
		return;
	}
	commands[cmd->verb].run(s, cmd);
}

static void
not_understood(struct session *s, struct bytes tag, const char *why)
{
	if (tag.n > 0)
		buf_add(&s->out, tag);
	else
		buf_char(&s->out, '*');
	buf_fmt(&s->out, " BAD %s\r\n", why);
	if (++s->errors > ERRORS_MAX) {
		log_info("%.*s: session ended: too many errors", BYTES_FMT(s->start->session_id));
		buf_text(&s->out, "* BYE too many errors\r\n");
		s->quit = true;
	}
}

static void
command(struct session *s)
{
	struct imap_cmd cmd;

	switch (imap_cmd_parse(buf_bytes(&s->reader.text), s->arena, &cmd)) {
	case IMAP_PARSED:
		s->errors = 0;
		run(s, &cmd);
		break;
	case IMAP_BAD_TAG:
		not_understood(s, (struct bytes){ NULL, 0 }, cmd.wrong);
		break;
	case IMAP_BAD_VERB:
	case IMAP_BAD_ARG:
	case IMAP_TOO_COMPLEX:
		not_understood(s, cmd.tag, cmd.wrong);
		break;
	}
	if (s->farewell)
		buf_text(&s->out, s->farewell);
	append_over(s);
	arena_reset(s->arena);
}

/* ---- reading ---- */

static void
go_on(struct session *s)
{
	if (s->reader.literal.nonsync)
		return;
	buf_text(&s->out, "+ go on\r\n");
	flush(s);
}

/* A client that did not wait for our answer to a synchronizing literal sends its data anyhow: after a refusal they would be
 * taken for commands. left: octets that came behind the command that was refused. */
static void
end_who_did_not_wait(struct session *s, struct bytes left)
{
	if (!s->reader.awaited || left.n == 0 || s->quit)
		return;
	log_info("%.*s: session ended: octets of a literal that was refused", BYTES_FMT(s->start->session_id));
	buf_text(&s->out, "* BYE you did not wait for the answer to a literal\r\n");
	s->quit = true;
}

static void
literal(struct session *s)
{
	struct bytes tag = imap_reader_tag(&s->reader);

	switch (append_literal(s)) {
	case APPEND_GATHER:
		imap_reader_accept(&s->reader);
		if (s->reader.fits)
			go_on(s);
		return;
	case APPEND_STREAM:
		imap_reader_stream(&s->reader);
		go_on(s);
		return;
	case APPEND_REFUSED:
		imap_reader_refuse(&s->reader);
		arena_reset(s->arena);
		append_over(s);
		return;
	case APPEND_BAD:
		not_understood(s, tag, "that literal cannot stand there");
		imap_reader_refuse(&s->reader);
		arena_reset(s->arena);
		append_over(s);
		return;
	}
}

static void
wrong(struct session *s)
{
	not_understood(s, imap_reader_tag(&s->reader), s->reader.wrong ? s->reader.wrong : "not understood");
	append_over(s);
	arena_reset(s->arena);
}

/* Takes what it can off the input. */
static void
take(struct session *s)
{
	struct bytes in = buf_bytes(&s->in), run = { NULL, 0 };
	enum imap_read st;

	while (!s->broken && !s->quit && (st = imap_reader_next(&s->reader, &in, &run)) != IMAP_READ_MORE) {
		switch (st) {
		case IMAP_READ_COMMAND:
			/* Commands may wait for input themselves. */
			buf_drop(&s->in, s->in.n - in.n);
			command(s);
			in = buf_bytes(&s->in);
			break;
		case IMAP_READ_LITERAL:
			literal(s);
			break;
		case IMAP_READ_RUN:
			append_run(s, run);
			break;
		case IMAP_READ_BAD:
		case IMAP_READ_TOO_BIG:
			wrong(s);
			end_who_did_not_wait(s, in);
			break;
		case IMAP_READ_ENDED:
			end_who_did_not_wait(s, in);
			break;
		case IMAP_READ_LOST:
			buf_text(&s->out, "* BYE nobody can tell where your next command begins\r\n");
			s->quit = true;
			break;
		case IMAP_READ_MORE:
			break;
		}
		flush_if_much(s);
	}
	buf_drop(&s->in, s->in.n - in.n);
}

/* Pipelined commands may come in the same octets as DONE: raw lines are read by the same reader. */
bool
session_raw_line(struct session *s, struct bytes *line)
{
	struct bytes in = buf_bytes(&s->in), run;
	enum imap_read st = imap_reader_next(&s->reader, &in, &run);

	buf_drop(&s->in, s->in.n - in.n);
	if (st == IMAP_READ_MORE)
		return false;
	*line = st == IMAP_READ_COMMAND ? buf_bytes(&s->reader.text) : (struct bytes){ NULL, 0 };
	return true;
}

static void
serve(struct session *s)
{
	take(s);
	while (!s->broken && !s->quit) {
		flush(s);
		if (s->in.n == 0) {
			imap_reader_idle(&s->reader);
			buf_release(&s->in);
			message_rest(s, MESSAGE_SMALL);
		}
		if (s->broken || !fill(s))
			break;
		take(s);
	}
}

/* ---- the life of a session ---- */

static enum folder_layout
layout_of(const struct session *s)
{
	return (enum folder_layout)s->start->settings->layout;
}

static bool
open_folders(struct session *s)
{
	char why[256] = "";
	int dirs[8];
	size_t n;

	s->folders = folders_open(s->start->mailbox, layout_of(s), LOCK_WAIT_MS, why, sizeof why);
	if (!s->folders) {
		log_warn("%.*s: cannot open the mailboxes of %s: %s", BYTES_FMT(s->start->session_id),
		    log_text(s->start->account), why);
		buf_text(&s->out, "* BYE [UNAVAILABLE] your mailboxes cannot be opened now; try again later\r\n");
		return false;
	}
	folders_keep_expunged(s->folders, (int64_t)(s->start->kept->expunge_keep_ms + 999) / 1000);
	n = folders_dirs(s->folders, dirs, LEN(dirs));
	mailbox_prepare(dirs[0]);
	worker_confine("imapd", KEEP_FILES | KEEP_WRITE, dirs, n);
	return true;
}

static void
finish(struct session *s)
{
	append_over(s);
	view_close(s);
	append_fini(s);
	flush(s);
	message_rest(s, 0);
	folders_close(&s->folders);
	imap_reader_fini(&s->reader);
	buf_fini(&s->in);
	buf_fini(&s->out);
	arena_free(&s->arena);
}

int
imapd_run(const struct imapd_start *start)
{
	struct session s = { .start = start, .socket = { .fd = start->socket, .stop = start->stop } };
	int fd = start->socket;

	buf_init(&s.in, start->input.n + 2 * IN_STEP);
	buf_init(&s.out, OUT_MAX);
	imap_reader_init(&s.reader, &imap_limits_session);
	s.arena = arena_new(ARENA_MAX);
	buf_add(&s.in, start->input);
	if (open_folders(&s)) {
		buf_add(&s.out, start->output);
		serve(&s);
		log_info("%.*s: session of %s ended", BYTES_FMT(start->session_id), log_text(start->account));
	}
	finish(&s);
	worker_discard(&s.socket);
	fd_close(&fd);
	log_flush();
	return 0;
}
