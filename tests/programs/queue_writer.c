/* SPDX-License-Identifier: ISC */
/*
 * queue_writer - for tests of power cuts: what cleanup and qmgr do to a queue, in
 * one process, and what is seen in a queue that was left.
 *
 *	queue_writer write FOLDER ROUNDS sync|nosync|whole
 *		works on FOLDER/queue; what it would have told others it appends
 *		to FOLDER/said, a line each:
 *		accepted ID, updating ID N, updated ID N, removing ID, removed ID
 *	queue_writer read FOLDER...
 *		FOLDER, then a line for each file in FOLDER/queue:
 *		PLACE NAME sound ID N | damaged | gone | foreign | trouble
 *		(N: attempts in the envelope; sound: the content is whole too)
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "mail/queue.h"

static int proc_fd, said;

static void
open_queue(struct queue *q, const char *folder)
{
	char path[4096];
	int dir;

	snprintf(path, sizeof path, "%s/queue", folder);
	dir = dir_open(AT_FDCWD, path);
	if (dir == -1 || !queue_open(q, dir, proc_fd))
		log_fatal("cannot open %s", path);
	close(dir);
}

static void __attribute__((format(printf, 1, 2)))
say(const char *fmt, ...)
{
	char line[128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (!file_write(said, bytes_of(line, (size_t)n)))
		log_fatal("cannot write");
}

/* Content that nothing else has: its id over and over. */
static struct buf
content_of(const char *id, unsigned lines)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < lines; i++)
		buf_fmt(&b, "%s %u\r\n", id, i);
	return b;
}

static void
commit(struct queue *q, unsigned round, size_t n, char (*ids)[QUEUE_ID_MAX + 1])
{
	struct recipient r[2] = {
		{ .original = text("a@x.example"), .final = text("a@x.example"), .transport = text("local"),
		  .nexthop = text("a@x.example") },
		{ .original = text("b@x.example"), .final = text("b@x.example"), .transport = text("local"),
		  .nexthop = text("a@x.example") } };
	struct envelope e = { .sender = text("s@x.example"), .arrival_s = 1700000000, .rcpts = r, .nrcpts = 2 };
	struct queue_draft d[8];
	struct queue_commit c[8];

	for (size_t i = 0; i < n; i++) {
		struct buf b;
		int writer;

		if (!queue_draft_open(q, &d[i], &writer))
			log_fatal("cannot open a draft");
		b = content_of(d[i].id, 1 + (round * 7 + (unsigned)i * 31) % 120);
		if (!file_write(writer, buf_bytes(&b)))
			log_fatal("cannot write content");
		close(writer);
		c[i] = (struct queue_commit){ .draft = &d[i], .octets = b.n, .envelope = &e };
		buf_fini(&b);
	}
	queue_commit(q, c, n);
	for (size_t i = 0; i < n; i++) {
		if (!c[i].ok)
			log_fatal("not committed");
		memcpy(ids[i], d[i].id, sizeof d[i].id);
		say("accepted %s\n", d[i].id);
	}
}

static void
change(struct queue_message *m, bool rewrite)
{
	m->envelope.attempts++;
	m->envelope.next_s = 1700000000 + 60 * (int64_t)m->envelope.attempts;
	m->envelope.rcpts[0].changed = RCPT_STATE_CHANGED;
	m->envelope.rcpts[0].last_reply = text("4.2.2 the mailbox is full");
	m->rewrite = rewrite;
	say("updating %s %u\n", m->id, m->envelope.attempts);
}

static void
update(struct queue *q, struct queue_message *m, bool rewrite)
{
	change(m, rewrite);
	if (!queue_update(q, m))
		log_fatal("cannot update");
	say("updated %s %u\n", m->id, m->envelope.attempts);
}

/* Several that are synced together. */
static void
update_together(struct queue *q, size_t n, char (*ids)[QUEUE_ID_MAX + 1])
{
	struct queue_message *m[8];
	bool good = true;

	for (size_t i = 0; i < n && good; i++) {
		good = queue_message_open(q, QUEUE_NEW, ids[i], &m[i]) == QUEUE_READ && queue_lock(m[i]);
		if (good)
			change(m[i], false);
		good = good && queue_update_write(q, m[i]);
	}
	for (size_t i = 0; i < n && good; i++)
		good = queue_update_settle(q, m[i]);
	if (!good || !queue_update_sync(q, m[0]))
		log_fatal("cannot update several");
	for (size_t i = 0; i < n; i++) {
		queue_update_done(m[i]);
		say("updated %s %u\n", m[i]->id, m[i]->envelope.attempts);
		queue_message_free(&m[i]);
	}
}

/* As of a process that ends before its sync; another goes on with what it finds. */
static void
leave(struct queue *q, struct queue_message **m)
{
	enum queue_place place = (*m)->place;
	char name[sizeof (*m)->name];

	memcpy(name, (*m)->name, sizeof name);
	change(*m, false);
	if (!queue_update_write(q, *m))
		log_fatal("cannot update");
	queue_message_free(m);
	q->durable = false;
	if (queue_message_open(q, place, name, m) != QUEUE_READ || !queue_lock(*m))
		log_fatal("cannot read %s", name);
}

static void
attempts(struct queue *q, const char *id, unsigned n, bool finally)
{
	struct queue_message *m;

	if (queue_message_open(q, QUEUE_NEW, id, &m) != QUEUE_READ || !queue_lock(m))
		log_fatal("cannot read %s", id);
	for (unsigned i = 0; i < n; i++) {
		update(q, m, i % 3 == 2);
		if (!queue_move(q, m, QUEUE_LATER) || !queue_move(q, m, QUEUE_ACTIVE))
			log_fatal("cannot move");
		if (i == 1)
			leave(q, &m);
	}
	if (finally) {
		say("removing %s\n", m->id);
		queue_remove(q, m);
		say("removed %s\n", m->id);
	}
	queue_message_free(&m);
}

static int
do_write(const char *folder, unsigned rounds, const char *how)
{
	char path[4096], ids[8][QUEUE_ID_MAX + 1];
	struct queue q;

	snprintf(path, sizeof path, "%s/said", folder);
	said = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	open_queue(&q, folder);
	q.sync_dir = strcmp(how, "nosync") != 0;
	q.sync_whole = strcmp(how, "whole") == 0;
	for (unsigned i = 0; i < rounds; i++) {
		size_t n = 1 + i % 4;

		commit(&q, i, n, ids);
		if (i % 2 == 1)
			update_together(&q, n, ids);
		for (size_t k = 0; k < n; k++)
			attempts(&q, ids[k], (i + (unsigned)k) % 5, k % 2 == 1);
	}
	queue_close(&q);
	return 0;
}

struct reading { struct queue *q; enum queue_place place; };

static bool
content_is_right(const struct queue_message *m)
{
	const struct extent *x = m->envelope.extents;
	struct buf want = content_of(m->id, 200);
	unsigned char *got = malloc(x->octets + 1);
	bool right = m->envelope.nextents == 1 && x->octets <= want.n
	    && file_pread(m->fd, got, x->octets, (off_t)x->offset) && memcmp(got, want.p, x->octets) == 0;

	free(got);
	buf_fini(&want);
	return right;
}

static bool
read_one(void *arg, const char *name)
{
	static const char *const words[] = { "sound", "gone", "damaged", "foreign", "trouble" };
	struct reading *r = arg;
	struct queue_message *m;
	enum queue_read got = queue_message_open(r->q, r->place, name, &m);

	if (got == QUEUE_READ)
		got = queue_message_verify(m);
	printf("%s %s %s", queue_place_name[r->place], name, words[got]);
	if (got == QUEUE_READ)
		printf(" %s %u%s", m->id, m->envelope.attempts, content_is_right(m) ? "" : " WRONG CONTENT");
	printf("\n");
	queue_message_free(&m);
	return true;
}

static int
do_read(char **folders)
{
	for (; *folders; folders++) {
		struct queue q;
		struct reading r = { .q = &q };

		open_queue(&q, *folders);
		printf("%s\n", *folders);
		for (r.place = 0; r.place < QUEUE_PLACES; r.place++)
			queue_walk(&q, r.place, read_one, &r);
		queue_close(&q);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (argc == 5 && strcmp(argv[1], "write") == 0) {
		fault_open("queue_writer");
		return do_write(argv[2], (unsigned)strtoul(argv[3], NULL, 10), argv[4]);
	}
	if (argc > 2 && strcmp(argv[1], "read") == 0)
		return do_read(argv + 2);
	fprintf(stderr, "usage: queue_writer write FOLDER ROUNDS sync|nosync|whole | read FOLDER...\n");
	return 2;
}
