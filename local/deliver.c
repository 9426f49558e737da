/* SPDX-License-Identifier: ISC */
#include "local/deliver.h"

#include <poll.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon.h"
#include "mail/ipc.h"
#include "mail/mailbox.h"

#define LOCK_WAIT_MS	60000		/* for another program to let go of an mbox */
#define IDLE_MS		600000		/* how long to wait at a time; local ends us by closing the channel */
#define ANSWER_MS	60000
#define HEADER_MAX	(1u << 20)	/* octets of a header section that are searched for loops */
#define FIRST_LOOK	8192		/* most header sections end in these */
#define LINE_KEPT	1100		/* "Delivered-To: ", an address, and some folding space */
#define HEAD_MAX	4096

struct job {
	unsigned char	*frame;		/* owned: what in and message borrow from */
	struct ipc_in	 in;
	struct ipc_deliver message;
	struct buf	 head, reply;	/* owned */
	enum outcome	 outcome;
	bool		 done;		/* the outcome is known without a delivery */
};

struct worker {
	int		 channel;	/* owned */
	struct bytes	 spec;		/* borrowed: the mailbox we are for */
	const char	*name;		/* borrowed */
	struct mailbox	*mailbox;	/* owned; NULL: it cannot be opened */
	char		 why[160];	/* then: why not */
	struct job	 job[DELIVER_BATCH];
	size_t		 n;
};

/* ---- loops ---- */

struct loop_search {
	struct bytes	recipient;
	unsigned char	line[LINE_KEPT];
	size_t		n;		/* of the present line; more than LINE_KEPT are not kept */
	bool		found, over;
};

/* RFC 5321 section 6.3 leaves it to us how loops are found. Case is not told apart: who differs only
 * in that is one mailbox to almost everybody. */
static void
judge_line(struct loop_search *s)
{
	static const char field[] = "Delivered-To:";
	struct bytes line = bytes_of(s->line, s->n < LINE_KEPT ? s->n : LINE_KEPT);

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line = bytes_head(line, line.n - 1);
	if (line.n == 0)
		s->over = true;
	else if (bytes_case_starts(line, text(field))
	    && bytes_case_eq(bytes_trim(bytes_skip(line, sizeof field - 1)), s->recipient))
		s->found = true;
	s->n = 0;
}

static void
search(struct loop_search *s, struct bytes piece)
{
	while (piece.n > 0 && !s->over && !s->found) {
		size_t lf = bytes_find(piece, '\n');
		size_t room = s->n < LINE_KEPT ? LINE_KEPT - s->n : 0;

		memcpy(s->line + s->n, piece.p, lf < room ? lf : room);
		s->n += lf < room ? lf : room;
		if (lf < piece.n)
			judge_line(s);
		piece = bytes_skip(piece, lf + 1);
	}
}

bool
deliver_loops(int fd, struct bytes segments, struct bytes recipient)
{
	static unsigned char piece[FIRST_LOOK];
	struct loop_search s = { .recipient = recipient };
	struct segment_reader r;
	size_t seen = 0;
	long got;

	segment_reader_init(&r, fd, segments);
	while (!s.over && !s.found && seen < HEADER_MAX
	    && (got = segment_reader_read(&r, piece, sizeof piece)) > 0) {
		search(&s, bytes_of(piece, (size_t)got));
		seen += (size_t)got;
	}
	return s.found;
}

/* ---- jobs ---- */

static void
answer_now(struct job *j, enum outcome outcome, const char *reply)
{
	j->outcome = outcome;
	j->done = true;
	buf_text(&j->reply, reply);
}

/* An address inside a field of ours: nothing that could end its line. */
static void
put_field(struct buf *head, const char *name, const char *before, struct bytes address,
    const char *after)
{
	buf_text(head, name);
	buf_text(head, before);
	for (size_t i = 0; i < address.n; i++)
		buf_char(head, address.p[i] < ' ' || address.p[i] == 0x7f ? '?' : address.p[i]);
	buf_text(head, after);
	buf_text(head, "\r\n");
}

/* RFC 5321 section 4.4: Return-Path comes first. */
static void
prepare(struct worker *w, struct job *j)
{
	const struct ipc_deliver *m = &j->message;

	buf_clear(&j->head);
	buf_clear(&j->reply);
	j->done = false;
	if (!bytes_eq(m->mailbox, w->spec)) {
		log_warn("deliver: %s: job %s is for another mailbox", w->name, log_text(m->queue_id));
		answer_now(j, TRY_LATER, "4.3.5 the job came to the wrong mailbox");
	} else if (!w->mailbox) {
		j->outcome = TRY_LATER;
		j->done = true;
		buf_fmt(&j->reply, "4.3.0 mailbox cannot be opened: %s", w->why);
	} else if (m->file == -1) {
		answer_now(j, TRY_LATER, "4.3.0 the job came without its file");
	} else if (deliver_loops(m->file, m->segments, m->recipient)) {
		answer_now(j, BOUNCE, "5.4.6 mail loop: it was delivered to this address before");
	}
	put_field(&j->head, "Return-Path: ", "<", m->sender, ">");
	put_field(&j->head, "X-Original-To: ", "", m->original, "");
	put_field(&j->head, "Delivered-To: ", "", m->recipient, "");
}

static void
deliver_jobs(struct worker *w)
{
	struct delivery d[DELIVER_BATCH];
	enum outcome outcome[DELIVER_BATCH];
	struct buf reply[DELIVER_BATCH];
	struct job *of[DELIVER_BATCH];
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct job *j = &w->job[i];

		prepare(w, j);
		if (j->done)
			continue;
		d[n] = (struct delivery){ .head = buf_bytes(&j->head), .sender = j->message.sender,
		    .fd = j->message.file, .segments = j->message.segments,
		    .octets = j->message.size };
		reply[n] = j->reply;
		of[n++] = j;
	}
	if (n == 0)
		return;
	mailbox_deliver_all(w->mailbox, d, n, outcome, reply);
	for (size_t i = 0; i < n; i++) {
		of[i]->outcome = outcome[i];
		of[i]->reply = reply[i];
	}
}

/* "4.2.2 words": the code apart from the words. */
static bool
answer(struct worker *w, struct job *j)
{
	struct bytes reply = buf_bytes(&j->reply);
	struct ipc_delivered m = { .outcome = (uint32_t)j->outcome };
	struct ipc_out out;
	bool good;

	m.status = bytes_cut(&reply, ' ');
	m.reply = reply;
	ipc_out_init(&out);
	ipc_put_delivered(&out, j->in.id, &m);
	good = ipc_send_wait(w->channel, &out, ANSWER_MS) == IPC_DONE;
	ipc_out_fini(&out);
	return good;
}

/* ---- the channel ---- */

static bool
greet(int channel, unsigned char *frame)
{
	struct ipc_hello hello = { .hash = ipc_hash() };
	struct ipc_out out;
	struct ipc_in in;
	bool good;

	ipc_out_init(&out);
	ipc_put_hello(&out, 0, &hello);
	good = ipc_send_wait(channel, &out, ANSWER_MS) == IPC_DONE
	    && ipc_recv_wait(channel, frame, &in, ANSWER_MS) == IPC_DONE;
	ipc_out_fini(&out);
	if (!good)
		return false;
	good = in.type == IPC_hello && ipc_get_hello(&in, &hello) && hello.hash == ipc_hash();
	ipc_in_close(&in);
	return good;
}

/* The next job, if there is one, into slot n. */
static enum ipc_io
receive(struct worker *w)
{
	struct job *j = &w->job[w->n];
	enum ipc_io io;

	if (!j->frame) {
		j->frame = mem_alloc(IPC_FRAME_MAX);
		buf_init(&j->head, HEAD_MAX);
		buf_init(&j->reply, 1024);
	}
	io = ipc_recv(w->channel, j->frame, &j->in);
	if (io != IPC_DONE)
		return io;
	if (j->in.type != IPC_deliver || !ipc_get_deliver(&j->in, &j->message)) {
		log_warn("deliver: %s: message `%s` makes no sense here", w->name,
		    ipc_name(j->in.type));
		ipc_in_close(&j->in);
		return IPC_BAD;
	}
	w->n++;
	return IPC_DONE;
}

/* One job, and what else has come by then; false: the channel is closed. */
static bool
next_jobs(struct worker *w)
{
	enum ipc_io io;

	w->n = 0;
	do {
		struct pollfd p = { .fd = w->channel, .events = POLLIN };

		if (w->mailbox && poll(&p, 1, 0) == 0)
			mailbox_digest(w->mailbox);
		poll(&p, 1, IDLE_MS);
		io = receive(w);
	} while (io == IPC_AGAIN);
	while (io == IPC_DONE && w->n < DELIVER_BATCH)
		io = receive(w);
	return w->n > 0;
}

/* False: nobody listens any more. */
static bool
answer_all(struct worker *w)
{
	bool good = true;

	for (size_t i = 0; i < w->n; i++) {
		fd_close(&w->job[i].message.file);
		good = good && answer(w, &w->job[i]);
	}
	return good;
}

static void
open_mailbox(struct worker *w)
{
	w->mailbox = mailbox_open(w->spec, LOCK_WAIT_MS, w->why, sizeof w->why);
	if (!w->mailbox)
		log_warn("deliver: %s: mailbox %s cannot be opened: %s", w->name, log_text(w->spec),
		    w->why);
}

static void
confine(struct worker *w)
{
	int dirs[2];
	size_t n = w->mailbox ? mailbox_dirs(w->mailbox, dirs, LEN(dirs)) : 0;

	worker_confine("deliver", KEEP_FILES | KEEP_WRITE, dirs, n);
}

int
deliver_run(int channel, struct bytes mailbox, const char *name)
{
	struct worker *w = mem_alloc(sizeof *w);
	bool good = true;

	w->channel = channel;
	w->spec = mailbox;
	w->name = name;
	open_mailbox(w);
	confine(w);			/* ---- mail only below ---- */
	if (greet(channel, w->job[0].frame = mem_alloc(IPC_FRAME_MAX))) {
		buf_init(&w->job[0].head, HEAD_MAX);
		buf_init(&w->job[0].reply, 1024);
		/* A mailbox that cannot be opened: what is asked is answered, and the next
		 * worker tries again. */
		while (good && next_jobs(w)) {
			deliver_jobs(w);
			good = answer_all(w) && w->mailbox;
		}
	}
	for (size_t i = 0; i < DELIVER_BATCH; i++) {
		mem_free(w->job[i].frame);
		buf_fini(&w->job[i].head);
		buf_fini(&w->job[i].reply);
	}
	mailbox_close(&w->mailbox);
	fd_close(&w->channel);
	mem_free(w);
	return 0;
}
