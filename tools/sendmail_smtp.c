/* SPDX-License-Identifier: ISC */
/*
 * tools/sendmail_smtp.c - `sendmail -bs`: an SMTP server on standard input and
 * output, for programs that speak SMTP over a pipe. The conversation is the
 * suite's own (mail/smtp_server.h); what is accepted goes to pickup.
 */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "mail/routes.h"
#include "mail/smtp_server.h"
#include "tools/sendmail.h"

struct talk {
	const struct place *where;		/* borrowed */
	struct smtp_server s;
	struct pickup_client pickup;
	bool		connected, begun;
	struct buf	in, out;		/* owned */
	struct pickup_answer answer;
};

static bool
connected(struct talk *t)
{
	if (!t->connected)
		t->connected = suite_connect(&t->pickup, t->where) == EX_OK;
	return t->connected;
}

/* The message in progress there is forgotten with its connection. */
static void
drop(struct talk *t)
{
	if (t->connected)
		pickup_close(&t->pickup);
	t->connected = t->begun = false;
}

static bool
begin(struct talk *t)
{
	const struct envelope *e = &t->s.envelope;

	if (t->begun)
		return true;
	if (!connected(t) || !pickup_begin(&t->pickup, &(struct ipc_submit){ .sender = e->sender,
	    .null_sender = e->sender.n == 0, .envid = e->envid,
	    .body_8bit = e->body != BODY_7BIT }, &t->answer))
		return false;
	t->begun = t->answer.code == 250;
	return true;
}

/* A route that only says yes: pickup has the real ones. */
static void
yes(struct talk *t)
{
	struct buf routes;
	struct ipc_out route;

	buf_init(&routes, 4096);
	ipc_out_init(&route);
	ipc_put_route(&route, 0, &(struct ipc_route){ .final = t->s.asked.original });
	ipc_add_text(&routes, ipc_out_body(&route));
	smtp_server_checked(&t->s, YES, 0, text(NULL), buf_bytes(&routes));
	ipc_out_fini(&route);
	buf_fini(&routes);
}

static void
rcpt(struct talk *t)
{
	if (t->s.rcpts_given == 0)
		drop(t);			/* what an earlier transaction left there */
	if (!begin(t) || (t->answer.code == 250
	    && !pickup_rcpt(&t->pickup, t->s.asked.original, t->s.asked.notify, &t->answer))) {
		drop(t);
		smtp_server_checked(&t->s, NOT_SURE, 0, text(NULL), text(NULL));
	} else if (t->answer.code == 250) {
		yes(t);
	} else {
		smtp_server_checked(&t->s, t->answer.code >= 500 ? NO : NOT_SURE, t->answer.code,
		    text(t->answer.reply), text(NULL));
	}
}

static void
open_file(struct talk *t)
{
	if (t->begun)
		smtp_server_opened(&t->s, OPEN_OK, text(t->answer.queue_id));
	else
		smtp_server_opened(&t->s, OPEN_FAILED, text(NULL));
}

static void
hand_on(struct talk *t)
{
	if (t->s.content.n > 0 && !pickup_data(&t->pickup, buf_bytes(&t->s.content)))
		smtp_server_write_failed(&t->s, false);
	buf_clear(&t->s.content);
}

static void
commit(struct talk *t)
{
	bool good = pickup_end(&t->pickup, &t->answer);

	drop(t);
	smtp_server_committed(&t->s, good && t->answer.code == 250 ? COMMIT_OK
	    : good && t->answer.code == 452 ? COMMIT_NO_SPACE
	    : good && t->answer.code >= 500 ? COMMIT_REFUSED : COMMIT_FAILED, text(t->answer.reply));
}

/* True: more input is wanted. */
static bool
drive(struct talk *t)
{
	for (;;) {
		struct bytes rest = buf_bytes(&t->in);
		enum smtp_wants wants = smtp_server_input(&t->s, &rest);

		buf_drop(&t->in, t->in.n - rest.n);
		if (t->s.abandon) {
			t->s.abandon = false;
			drop(t);
		}
		switch (wants) {
		case SMTP_WANTS_RCPT:
			rcpt(t);
			break;
		case SMTP_WANTS_OPEN:
			open_file(t);
			break;
		case SMTP_WANTS_COMMIT:
			hand_on(t);
			if (smtp_server_input(&t->s, &(struct bytes){ 0 }) == SMTP_WANTS_COMMIT)
				commit(t);
			break;
		case SMTP_WANTS_CLOSE:
			return false;
		default:
			hand_on(t);
			return true;
		}
	}
}

int
smtp_on_stdin(const struct place *where)
{
	const struct smtp_rules rules = {
		.hostname = where->hostname, .authserv_id = where->hostname,
		.message_octets = where->message_octets,
		.recipients = where->recipients, .line_octets = 4096,
		.header_octets = where->header_octets, .mime_depth = where->mime_depth,
		.mime_parts = where->mime_parts, .hops = where->hops,
		.errors = 1000, .junk = 100000, .normalize_newlines = true,
	};
	struct talk t = { .where = where };
	bool on = true;

	buf_init(&t.in, 1 << 17);
	buf_init(&t.out, 1 << 20);
	smtp_server_init(&t.s, &rules, &t.out, text("127.0.0.1"), "-");
	smtp_server_greet(&t.s);
	while (on && file_write(STDOUT_FILENO, buf_bytes(&t.out))) {
		ssize_t n;

		buf_clear(&t.out);
		n = read(STDIN_FILENO, buf_room(&t.in, 65536), 65536);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		t.in.n += (size_t)n;
		on = drive(&t);
	}
	if (!on && !file_write(STDOUT_FILENO, buf_bytes(&t.out)))
		perror("sendmail: standard output");
	drop(&t);
	smtp_server_fini(&t.s);
	buf_fini(&t.in);
	buf_fini(&t.out);
	return EX_OK;
}
