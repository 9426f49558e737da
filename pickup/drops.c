/* SPDX-License-Identifier: ISC */
/*
 * pickup/drops.c - what the sendmail command left in drop/ while the suite was down:
 *	hermod-drop -> drop/ -> pickup -> cleanup -> queue
 *
 * A file is read twice: for its checksum, then for the message, which goes the way of
 * every other (pickup/submission.c), from the file's owner. It is removed when
 * the queue has it; so a crash can make a duplicate, never a loss. What nobody takes goes
 * to drop-refused/, for a person. A piece at a time: others are served between.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/drop.h"
#include "pickup/pickup.h"

#define LOOK_MS		60000
#define NAMES_MAX	(1u << 20)	/* octets of names in one look; the next has the rest */
#define TURN		(1u << 20)	/* octets of a file before others have their turn */
#define TEMP_S		86400		/* a file that its writer left half-written */

struct drops {
	struct pickup	*pickup;		/* borrowed */
	int		 dir, refused;		/* owned */
	struct timer	 again;
	struct buf	 names;			/* owned: each with its NUL */
	size_t		 at;
	/* the one in work */
	const char	*name;			/* in names; NULL: none */
	int		 file;			/* owned, locked */
	uint32_t	 uid;
	struct drop_file state;
	struct buf	 in;			/* owned */
	bool		 whole;			/* its checksum is right: the second reading */
	struct submission *submission;		/* owned */
	enum drop_type	 asked;			/* what the answer is about */
	unsigned	 code;			/* the answer; 0: none waits to be looked at */
	char		 words[513];
	unsigned	 taken, refusals;	/* recipients */
};

/* ---- the end of one file -------------------------------------------------------------------- */

static void
next_soon(struct drops *d)
{
	timer_set(&d->again, 0);
}

static void
leave_file(struct drops *d)
{
	struct pickup *p = d->pickup;

	submission_free(&d->submission);
	fd_close(&d->file);
	d->name = NULL;
	p->clients--;
	if (p->daemon->draining)
		daemon_settled(p->daemon);
	else
		next_soon(d);
}

static void
set_aside(struct drops *d, const char *name, const char *why)
{
	if (renameat(d->dir, name, d->refused, name) == -1)
		log_errno("drop %s: %s; cannot be moved to %s", log_text(text(name)), why, DROP_REFUSED);
	else
		log_warn("drop %s: moved to %s: %s", log_text(text(name)), DROP_REFUSED, why);
}

static void
refuse_file(struct drops *d, const char *why)
{
	set_aside(d, d->name, why);
	leave_file(d);
}

/* The queue has it, for those who may have it. */
static void
file_done(struct drops *d)
{
	if (d->refusals > 0)
		set_aside(d, d->name, "some of its recipients were refused; the others have it");
	else if (unlinkat(d->dir, d->name, 0) == -1)
		log_errno("drop %s: cannot be removed, and will be sent again", d->name);
	leave_file(d);
}

/* ---- one file: the second reading ------------------------------------------------------------ */

static void
on_answer(void *arg, unsigned code, struct bytes words, const char *queue_id)
{
	struct drops *d = arg;

	d->code = code;
	snprintf(d->words, sizeof d->words, "%s", log_text(words));
	if (d->asked == DROP_END && code == 250)
		log_info("%s: drop=%s uid=%u taken over", queue_id, d->name, (unsigned)d->uid);
	next_soon(d);
}

/* True: on with the next record. False: this file is over. */
static bool
look_at_answer(struct drops *d)
{
	unsigned code = d->code;

	d->code = 0;
	if (code == 250 && d->asked != DROP_END) {
		d->taken += d->asked == DROP_RCPT;
		return true;
	}
	if (code == 250) {
		file_done(d);
		return false;
	}
	log_info("drop %s: uid=%u %s: %u %s", d->name, (unsigned)d->uid, code < 500 ? "not now" : "refused", code,
	    d->words);
	if (code < 500) {
		leave_file(d);
		return false;
	}
	if (d->asked == DROP_RCPT) {
		d->refusals++;
		return true;
	}
	refuse_file(d, d->words);
	return false;
}

/* What is asked for goes on when the answer has come, which for content there is none. False: it makes no sense. */
static bool
hand_on(struct drops *d, const struct drop_record *r)
{
	d->asked = r->type;
	switch (r->type) {
	case DROP_SENDER:
		return r->sender.n <= 1024 && r->envid.n <= 128
		    && submission_begin(d->submission, &(struct ipc_submit){ .sender = r->sender,
		    .null_sender = r->null_sender, .envid = r->envid, .body_8bit = r->body_8bit });
	case DROP_RCPT:
		return r->recipient.n <= 1024
		    && submission_rcpt(d->submission, &(struct ipc_submit_rcpt){ .recipient = r->recipient,
		    .notify = r->notify });
	case DROP_END:
		return submission_end(d->submission);
	default:
		return submission_content(d->submission, r->content);
	}
}

/* ---- one file: its records --------------------------------------------------------------------- */

/* More octets in d->in; 0 at the end, -1. */
static ssize_t
fill(struct drops *d)
{
	unsigned char *room = buf_room(&d->in, DROP_RECORD_MAX);
	ssize_t n;

	must(room != NULL);
	do
		n = read(d->file, room, DROP_RECORD_MAX);
	while (n == -1 && errno == EINTR);
	d->in.n += n > 0 ? (size_t)n : 0;
	return n;
}

static void
read_again(struct drops *d)
{
	d->whole = true;
	d->state = (struct drop_file){ 0 };
	buf_clear(&d->in);
	if (lseek(d->file, 0, SEEK_SET) == -1)
		refuse_file(d, strerror(errno));
	else
		next_soon(d);
}

/* True: on with the next record; else the file is over, or waits. */
static bool
take_record(struct drops *d, const struct drop_record *r)
{
	if (!d->whole && r->type != DROP_END)
		return true;
	if (!d->whole) {
		read_again(d);
		return false;
	}
	if (r->type >= DROP_CONTENT && d->taken == 0) {
		refuse_file(d, "all of its recipients were refused");
		return false;
	}
	if (!hand_on(d, r)) {
		refuse_file(d, "its records make no message");
		return false;
	}
	return r->type == DROP_CONTENT;
}

/* A turn's worth of the file. */
static void
go_on(struct drops *d)
{
	size_t octets = 0;

	while (octets < TURN) {
		struct bytes rest = buf_bytes(&d->in);
		struct drop_record r;
		enum drop_take t = drop_take(&d->state, &rest, &r);
		size_t n = d->in.n - rest.n;
		bool on;

		if (t == DROP_MORE) {
			buf_drop(&d->in, n);
			if (fill(d) > 0)
				continue;
		}
		if (t != DROP_TAKEN || (r.type == DROP_END && (rest.n > 0 || fill(d) != 0))) {
			refuse_file(d, "damaged, cut, or longer than it says");
			return;
		}
		on = take_record(d, &r);	/* its texts are in d->in */
		if (!on && (d->name == NULL || r.type == DROP_END))
			return;
		buf_drop(&d->in, n);
		if (!on)
			return;
		octets += n;
	}
	next_soon(d);
}

/* ---- all of them --------------------------------------------------------------------------------- */

static void
note_name(struct drops *d, const char *name)
{
	struct stat st;

	if (name[0] != '.') {
		buf_add(&d->names, bytes_of(name, strlen(name) + 1));
		return;
	}
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	if (fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)
	    && clock_wall_s() - st.st_mtim.tv_sec > TEMP_S && unlinkat(d->dir, name, 0) == 0)
		log_info("drop %s: removed; its writer never came to the end", log_text(text(name)));
}

static void
look(struct drops *d)
{
	DIR *dir = dir_stream(d->dir, ".");
	const struct dirent *e;

	buf_clear(&d->names);
	d->at = 0;
	if (dir == NULL) {
		log_errno("%s: cannot be read", DROP_DIRECTORY);
		return;
	}
	while (!d->names.full && (e = readdir(dir)))
		note_name(d, e->d_name);
	closedir(dir);
}

/* A file as hermod-drop makes them, which no other pickup has. Links and the like are not looked into: what is
 * there by another name may be another's (CVE-2020-8793). */
static void
open_file(struct drops *d, const char *name)
{
	struct pickup *p = d->pickup;
	struct stat st;

	d->file = openat(d->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (d->file == -1 && errno == ENOENT)
		return;
	if (d->file == -1 || fstat(d->file, &st) == -1) {
		set_aside(d, name, strerror(errno));
		fd_close(&d->file);
		return;
	}
	if (flock(d->file, LOCK_EX | LOCK_NB) == -1 || fstat(d->file, &st) == -1 || st.st_nlink == 0) {
		fd_close(&d->file);		/* the pickup before a reload has it */
		return;
	}
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
		set_aside(d, name, "not a regular file with one name");
		fd_close(&d->file);
		return;
	}
	p->clients++;
	d->name = name;
	d->uid = (uint32_t)st.st_uid;
	d->state = (struct drop_file){ 0 };
	buf_clear(&d->in);
	d->whole = false;
	d->code = d->taken = d->refusals = 0;
	d->submission = submission_new(p, d->uid, on_answer, d);
}

static void
run(void *arg)
{
	struct drops *d = arg;

	if (d->name != NULL) {
		if (d->code == 0 || look_at_answer(d))
			go_on(d);
		return;
	}
	if (d->pickup->daemon->draining)
		return;
	while (d->name == NULL && d->at < d->names.n) {
		const char *name = (const char *)d->names.p + d->at;

		d->at += strlen(name) + 1;
		open_file(d, name);
	}
	if (d->name != NULL) {
		next_soon(d);
		return;
	}
	buf_clear(&d->names);
	d->at = 0;
	timer_set(&d->again, LOOK_MS);
}

/* Once a minute; then file by file. */
static void
on_timer(void *arg)
{
	struct drops *d = arg;

	if (d->name == NULL && d->names.n == 0 && !d->pickup->daemon->draining)
		look(d);
	run(d);
}

bool
drops_open(struct pickup *p)
{
	struct drops *d = mem_alloc(sizeof *d);

	*d = (struct drops){ .pickup = p, .file = -1, .dir = -1, .refused = -1 };
	if (!dir_make(p->queue.dir, DROP_DIRECTORY, 0700) || !dir_make(p->queue.dir, DROP_REFUSED, 0700)
	    || (d->dir = dir_open(p->queue.dir, DROP_DIRECTORY)) == -1
	    || (d->refused = dir_open(p->queue.dir, DROP_REFUSED)) == -1) {
		log_errno("queue_directory: %s and %s cannot be had", DROP_DIRECTORY, DROP_REFUSED);
		fd_close(&d->dir);
		mem_free(d);
		return false;
	}
	buf_init(&d->names, NAMES_MAX);
	buf_init(&d->in, 2 * DROP_RECORD_MAX);
	p->drops = d;
	return true;
}

void
drops_serve(struct pickup *p)
{
	timer_init(&p->drops->again, &p->daemon->loop, on_timer, p->drops);
	next_soon(p->drops);
}

void
drops_close(struct pickup *p)
{
	struct drops *d = p->drops;

	submission_free(&d->submission);
	timer_clear(&d->again);
	fd_close(&d->file);
	fd_close(&d->dir);
	fd_close(&d->refused);
	buf_fini(&d->names);
	buf_fini(&d->in);
	mem_free(d);
	p->drops = NULL;
}
