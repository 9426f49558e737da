/* SPDX-License-Identifier: ISC */
/*
 * pop3d/session.c - POP3 after authentication: TRANSACTION and UPDATE.
 * RFC 1939; RFC 2449 CAPA and response codes, RFC 3206 SYS/ and AUTH codes.
 *
 * One session, one process, as the mailbox's owner, confined to that mailbox; so it is
 * straight-line code that blocks, always with a deadline. The client was believed
 * once, by auth; what it sends is not.
 */
#include "pop3d/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/line.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon.h"
#include "daemon/worker_wait.h"
#include "mail/mailbox.h"
#include "proto/pop3_cmd.h"
#include "proto/smtp_data.h"

#define IN_MAX		16384
#define OUT_AT		131072		/* octets gathered before they are sent */
#define READ_MAX	65536
#define LOCK_WAIT_MS	10000
#define SESSION_WAIT_MS	2000		/* for another session of this mailbox to end */
#define SESSION_STEP_MS	20
#define ERRORS_MAX	50		/* commands not understood, then the session ends */

struct session {
	const struct pop3d_start *start;	/* borrowed */
	struct worker_socket socket;
	struct mailbox	*box;			/* owned */
	struct line_reader lines;
	struct buf	 in, out;		/* owned */
	bool		*deleted, *fetched;	/* owned, count each */
	size_t		 count;
	unsigned	 errors;
	uint64_t	 sent_mails, sent_octets;
	bool		 broken;		/* the client is gone */
	bool		 quit;
};

/* ---- the socket ---- */

/* Waits until the socket is ready; false when the session is to end. No line can be said then that answers no
 * command, and it is not a QUIT: nothing is removed (RFC 1939 sections 3 and 6). */
static bool
wait_for(struct session *s, short events, bool idle)
{
	switch (worker_wait(&s->socket, events, s->start->settings->timeout_ms, idle)) {
	case WORKER_READY:
		return true;
	case WORKER_SILENT:
		log_info("%.*s: session ended: timeout", BYTES_FMT(s->start->session_id));
		break;
	case WORKER_STOP:
		log_info("%.*s: session ended: shutting down", BYTES_FMT(s->start->session_id));
		break;
	case WORKER_GONE:
		break;
	}
	return false;
}

static void
flush(struct session *s)
{
	size_t at = 0;

	while (!s->broken && at < s->out.n) {
		ssize_t n = send(s->start->socket, s->out.p + at, s->out.n - at,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			at += (size_t)n;
		else if (errno == EAGAIN)
			s->broken = !wait_for(s, POLLOUT, false);
		else if (errno != EINTR)
			s->broken = true;
	}
	buf_clear(&s->out);
}

/* More octets in s->in; false at the end. Most clients wait for our answer first; and a stop has to be seen here,
 * however quick the client is. */
static bool
fill(struct session *s)
{
	while (wait_for(s, POLLIN, true)) {
		unsigned char *room = buf_room(&s->in, 4096);
		ssize_t n;

		if (room == NULL)
			return false;		/* the line reader keeps less than that: cannot be */
		n = recv(s->start->socket, room, 4096, MSG_DONTWAIT);
		if (n > 0) {
			s->in.n += (size_t)n;
			return true;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return false;
	}
	return false;
}

static void
say(struct session *s, const char *line)
{
	buf_text(&s->out, line);
	buf_text(&s->out, "\r\n");
}

/* ---- what commands need ---- */

/* Its index, or -1 with the client told. */
static long
message(struct session *s, const struct pop3_cmd *cmd)
{
	if (cmd->number == 0 || cmd->number > s->count) {
		buf_fmt(&s->out, "-ERR no such message; there are %zu\r\n", s->count);
		return -1;
	}
	if (s->deleted[cmd->number - 1]) {
		buf_fmt(&s->out, "-ERR message %u is deleted\r\n", (unsigned)cmd->number);
		return -1;
	}
	return (long)cmd->number - 1;
}

/* A message that cannot be read any more counts as empty: its number stays. */
static uint64_t
octets(struct session *s, size_t i)
{
	return mailbox_size(s->box, i) ? mailbox_mail(s->box, i)->octets : 0;
}

static void
totals(struct session *s, size_t *n, uint64_t *sum)
{
	*n = 0;
	*sum = 0;
	for (size_t i = 0; i < s->count; i++)
		if (!s->deleted[i]) {
			(*n)++;
			*sum += octets(s, i);
		}
}

static void
add_uid(struct session *s, size_t i)
{
	buf_fmt(&s->out, "%zu %08x%08x\r\n", i + 1, (unsigned)mailbox_uidvalidity(s->box),
	    (unsigned)mailbox_mail(s->box, i)->uid);
}

static void
flush_if_much(struct session *s)
{
	if (s->out.n >= OUT_AT)
		flush(s);
}

/* ---- commands ---- */

static void
do_stat(struct session *s, const struct pop3_cmd *cmd)
{
	size_t n;
	uint64_t sum;

	(void)cmd;
	totals(s, &n, &sum);
	buf_fmt(&s->out, "+OK %zu %llu\r\n", n, (unsigned long long)sum);
}

static void
do_list(struct session *s, const struct pop3_cmd *cmd)
{
	size_t n;
	uint64_t sum;

	if (cmd->numbered) {
		long i = message(s, cmd);

		if (i >= 0)
			buf_fmt(&s->out, "+OK %ld %llu\r\n", i + 1,
			    (unsigned long long)octets(s, (size_t)i));
		return;
	}
	totals(s, &n, &sum);
	buf_fmt(&s->out, "+OK %zu messages (%llu octets)\r\n", n, (unsigned long long)sum);
	for (size_t i = 0; i < s->count && !s->broken; i++) {
		if (!s->deleted[i])
			buf_fmt(&s->out, "%zu %llu\r\n", i + 1, (unsigned long long)octets(s, i));
		flush_if_much(s);
	}
	say(s, ".");
}

static void
do_uidl(struct session *s, const struct pop3_cmd *cmd)
{
	if (cmd->numbered) {
		long i = message(s, cmd);

		if (i >= 0) {
			buf_text(&s->out, "+OK ");
			add_uid(s, (size_t)i);
		}
		return;
	}
	say(s, "+OK unique ids follow");
	for (size_t i = 0; i < s->count && !s->broken; i++) {
		if (!s->deleted[i])
			add_uid(s, i);
		flush_if_much(s);
	}
	say(s, ".");
}

/*
 * Octets of a piece that belong to "header and n lines of the body" (RFC 1939
 * section 7, TOP). State lives over pieces.
 */
struct top { bool body, line_start, cr; uint32_t lines; };

static size_t
top_take(struct top *t, struct bytes piece)
{
	for (size_t i = 0; i < piece.n; i++) {
		unsigned char c = piece.p[i];

		if (t->body && t->lines == 0)
			return i;
		if (c == '\n') {
			if (t->body)
				t->lines--;
			else if (t->line_start)
				t->body = true;		/* the empty line */
			t->line_start = true;
		} else if (c != '\r') {
			t->line_start = false;
		}
	}
	return piece.n;
}

/* The message, dot-stuffed. What breaks off in the middle ends the connection: a half message
 * must not look like a whole one. */
static void
send_mail(struct session *s, size_t i, struct top *top)
{
	static unsigned char piece[READ_MAX];
	struct mail_reader *r = mailbox_read(s->box, i);
	struct smtp_stuff stuff;
	long n;

	if (r == NULL) {
		say(s, "-ERR [SYS/TEMP] this message cannot be read now; another program may have taken it");
		return;
	}
	if (top == NULL)
		buf_fmt(&s->out, "+OK %llu octets\r\n", (unsigned long long)octets(s, i));
	else
		say(s, "+OK top follows");
	smtp_stuff_init(&stuff);
	while (!s->broken && (n = mail_reader_get(r, piece, sizeof piece)) != 0) {
		struct bytes got = bytes_of(piece, n > 0 ? (size_t)n : 0);
		size_t want = top ? top_take(top, got) : got.n;

		if (n < 0) {
			log_errno("%.*s: cannot read message uid %u", BYTES_FMT(s->start->session_id),
			    (unsigned)mailbox_mail(s->box, i)->uid);
			flush(s);
			s->broken = true;
			break;
		}
		smtp_stuff_feed(&stuff, bytes_head(got, want), &s->out);
		flush_if_much(s);
		if (want < got.n)
			break;
	}
	mail_reader_free(&r);
	smtp_stuff_end(&stuff, &s->out);
	s->sent_mails++;
}

static void
do_retr(struct session *s, const struct pop3_cmd *cmd)
{
	long i = message(s, cmd);

	if (i < 0)
		return;
	send_mail(s, (size_t)i, NULL);
	s->fetched[i] = true;
}

static void
do_top(struct session *s, const struct pop3_cmd *cmd)
{
	struct top top = { .line_start = true, .lines = cmd->lines };
	long i = message(s, cmd);

	if (i >= 0)
		send_mail(s, (size_t)i, &top);
}

static void
do_dele(struct session *s, const struct pop3_cmd *cmd)
{
	long i = message(s, cmd);

	if (i < 0)
		return;
	s->deleted[i] = true;
	say(s, "+OK deleted when you QUIT");
}

static void
do_rset(struct session *s, const struct pop3_cmd *cmd)
{
	(void)cmd;
	for (size_t i = 0; i < s->count; i++)
		s->deleted[i] = false;
	say(s, "+OK nothing is deleted");
}

static void
do_noop(struct session *s, const struct pop3_cmd *cmd)
{
	(void)cmd;
	say(s, "+OK");
}

/* RFC 2449 section 5: what was announced before the login, USER and SASL too, is announced behind it. STLS alone is not
 * (RFC 2595 section 8). */
static void
do_capa(struct session *s, const struct pop3_cmd *cmd)
{
	(void)cmd;
	buf_text(&s->out, "+OK capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
	    "PIPELINING\r\nEXPIRE NEVER\r\n");
	buf_add(&s->out, s->start->offered);
	buf_text(&s->out, "IMPLEMENTATION Hermod\r\n.\r\n");
}

/* A wish, not a promise. Indices of mails are others after it. */
static void
mark_seen(struct session *s)
{
	struct flag_change c = { .how = FLAGS_ADD, .flags = MAIL_SEEN };
	size_t *which = mem_array(s->count + 1, sizeof *which), n = 0;
	enum flag_changed *result;

	for (size_t i = 0; i < s->count; i++)
		if (s->fetched[i] && !s->deleted[i] && !(mailbox_mail(s->box, i)->flags & MAIL_SEEN))
			which[n++] = i;
	result = mem_array(n + 1, sizeof *result);
	if (n > 0 && !mailbox_store(s->box, which, n, &c, result))
		log_errno("%.*s: cannot note that messages were read", BYTES_FMT(s->start->session_id));
	mem_free(which);
	mem_free(result);
}

static bool
remove_uids(struct session *s, const uint32_t *uids, size_t n)
{
	size_t *which = mem_array(n + 1, sizeof *which), found = 0;
	bool good;

	for (size_t i = 0; i < n; i++) {
		size_t at = mailbox_find(s->box, uids[i]);

		if (at < mailbox_count(s->box) && mailbox_mail(s->box, at)->uid == uids[i])
			which[found++] = at;
	}
	good = mailbox_expunge(s->box, which, found);
	mem_free(which);
	return good;
}

/* RFC 1939 section 6: the UPDATE state. */
static void
do_quit(struct session *s, const struct pop3_cmd *cmd)
{
	uint32_t *uids = mem_array(s->count + 1, sizeof *uids);
	size_t n = 0;

	(void)cmd;
	for (size_t i = 0; i < s->count; i++)
		if (s->deleted[i])
			uids[n++] = mailbox_mail(s->box, i)->uid;
	if (s->start->settings->mark_seen)
		mark_seen(s);
	if (n == 0 || remove_uids(s, uids, n)) {
		say(s, "+OK bye");
	} else {
		log_errno("%.*s: cannot remove messages", BYTES_FMT(s->start->session_id));
		say(s, "-ERR [SYS/TEMP] some deleted messages are not removed");
	}
	log_info("%.*s: session of %s ended: sent=%llu deleted=%zu left=%zu",
	    BYTES_FMT(s->start->session_id), log_text(s->start->account),
	    (unsigned long long)s->sent_mails, n, s->count - n);
	mem_free(uids);
	s->quit = true;
}

static void
do_not_now(struct session *s, const struct pop3_cmd *cmd)
{
	(void)cmd;
	say(s, "-ERR you are logged in already");
}

static void (*const commands[POP3_VERBS])(struct session *, const struct pop3_cmd *) = {
	[POP3_STAT] = do_stat, [POP3_LIST] = do_list, [POP3_RETR] = do_retr, [POP3_DELE] = do_dele,
	[POP3_NOOP] = do_noop, [POP3_RSET] = do_rset, [POP3_TOP] = do_top, [POP3_UIDL] = do_uidl,
	[POP3_CAPA] = do_capa, [POP3_QUIT] = do_quit,
	[POP3_USER] = do_not_now, [POP3_PASS] = do_not_now, [POP3_APOP] = do_not_now,
	[POP3_STLS] = do_not_now, [POP3_AUTH] = do_not_now,
};

static void
command(struct session *s, enum line_status st, struct bytes line)
{
	struct pop3_cmd cmd;
	enum pop3_parse p = st == LINE_OK ? pop3_cmd_parse(line, &cmd) : POP3_BAD_VERB;

	if (p == POP3_PARSED) {
		commands[cmd.verb](s, &cmd);
		return;
	}
	s->errors++;
	if (st == LINE_LONG)
		say(s, "-ERR line too long");
	else if (st != LINE_OK)
		say(s, "-ERR lines end with CR and LF together");
	else if (p == POP3_BAD_ARG)
		buf_fmt(&s->out, "-ERR %s: argument not understood\r\n", pop3_verb_text(cmd.verb));
	else
		say(s, "-ERR command not known");
}

static void
serve(struct session *s)
{
	while (!s->broken && !s->quit && s->errors <= ERRORS_MAX) {
		struct bytes rest = buf_bytes(&s->in), line;
		enum line_status st = line_next(&s->lines, &rest, &line);

		if (st != LINE_MORE)
			command(s, st, line);
		buf_drop(&s->in, s->in.n - rest.n);
		if (st != LINE_MORE) {
			flush_if_much(s);
			continue;
		}
		flush(s);
		if (s->broken || !fill(s))
			break;
	}
}

/* ---- the life of a session ---- */

/* One session at a time (RFC 1939 section 4). One that is about to end is waited for. */
static bool
lock_mailbox(struct session *s)
{
	uint64_t until = clock_mono_ms() + SESSION_WAIT_MS;

	while (!mailbox_pop3_lock(s->box)) {
		if (errno == EAGAIN && clock_mono_ms() < until) {
			poll(NULL, 0, SESSION_STEP_MS);
			continue;
		}
		if (errno == EAGAIN) {
			log_info("%.*s: the mailbox of %s is in use by another POP3 session",
			    BYTES_FMT(s->start->session_id), log_text(s->start->account));
			say(s, "-ERR [IN-USE] another POP3 session has this mailbox");
			return false;
		}
		log_errno("%.*s: cannot lock the mailbox of %s", BYTES_FMT(s->start->session_id),
		    log_text(s->start->account));
		say(s, "-ERR [SYS/TEMP] your mailbox cannot be locked now; try again later");
		return false;
	}
	return true;
}

static bool
open_mailbox(struct session *s)
{
	char why[256] = "";
	int dirs[8];

	s->box = mailbox_open(s->start->mailbox, LOCK_WAIT_MS, why, sizeof why);
	if (s->box == NULL) {
		log_warn("%.*s: cannot open the mailbox of %s: %s", BYTES_FMT(s->start->session_id),
		    log_text(s->start->account), why);
		say(s, "-ERR [SYS/TEMP] your mailbox cannot be opened now; try again later");
		return false;
	}
	mailbox_keep_expunged(s->box, (int64_t)(s->start->kept->expunge_keep_ms + 999) / 1000);
	worker_confine("pop3d", KEEP_FILES | KEEP_WRITE, dirs,
	    mailbox_dirs(s->box, dirs, LEN(dirs)));
	if (!lock_mailbox(s))
		return false;
	if (!mailbox_scan(s->box)) {
		log_errno("%.*s: cannot read the mailbox of %s", BYTES_FMT(s->start->session_id),
		    log_text(s->start->account));
		say(s, "-ERR [SYS/TEMP] your mailbox cannot be read now; try again later");
		return false;
	}
	return true;
}

int
pop3d_run(const struct pop3d_start *start)
{
	struct session s = { .start = start, .socket = { .fd = start->socket, .stop = start->stop } };
	int fd = start->socket;
	bool open;

	buf_init(&s.in, IN_MAX);
	buf_init(&s.out, 4 * OUT_AT + 2 * READ_MAX);
	line_init(&s.lines, POP3_LINE_MAX);
	buf_add(&s.in, start->input);
	open = open_mailbox(&s);
	if (open) {
		s.count = mailbox_count(s.box);
		s.deleted = mem_array(s.count + 1, sizeof *s.deleted);
		s.fetched = mem_array(s.count + 1, sizeof *s.fetched);
		buf_add(&s.out, start->output);
		serve(&s);
	}
	if (s.box != NULL)
		mailbox_close(&s.box);		/* before the reply to QUIT: who has it may come again at once */
	flush(&s);
	mem_free(s.deleted);
	mem_free(s.fetched);
	buf_fini(&s.in);
	buf_fini(&s.out);
	worker_discard(&s.socket);
	fd_close(&fd);
	log_flush();
	return 0;
}
