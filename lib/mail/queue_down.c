/* SPDX-License-Identifier: ISC */
#include "mail/queue_down.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/little.h"
#include "base/log.h"
#include "mail/queue_format.h"
#include "mail/take.h"

#define VERSION		1u
#define NOTE		".note"		/* walks pass over it */
#define NOTE_NEW	".note.new"
#define TEXT_MAX	1024		/* octets of each that are kept */

static void
put_head(struct buf *out, struct bytes s)
{
	put_text(out, bytes_head(s, TEXT_MAX));
}

void
queue_down_encode(const struct queue_down *d, struct buf *out)
{
	buf_u32(out, VERSION);
	buf_u64(out, (uint64_t)d->next_s);
	buf_u64(out, (uint64_t)d->since_s);
	buf_u64(out, (uint64_t)d->looked_s);
	buf_u32(out, d->attempts);
	put_head(out, d->transport);
	put_head(out, d->nexthop);
	put_head(out, d->reply);
	put_head(out, d->remote);
	put_head(out, d->command);
	put_head(out, d->said);
	buf_u32(out, crc32_of(0, buf_bytes(out)));
}

bool
queue_down_decode(struct bytes note, struct queue_down *d)
{
	struct bytes run = note;
	bool bad = false;

	*d = (struct queue_down){ 0 };
	if (note.n < 4 || note.n > QUEUE_DOWN_MAX
	    || crc32_of(0, bytes_head(note, note.n - 4)) != little_u32(note.p + note.n - 4))
		return false;
	run.n -= 4;
	if (take_u32(&run, &bad) != VERSION)
		return false;
	d->next_s = (int64_t)take_u64(&run, &bad);
	d->since_s = (int64_t)take_u64(&run, &bad);
	d->looked_s = (int64_t)take_u64(&run, &bad);
	d->attempts = take_u32(&run, &bad);
	d->transport = take_text(&run, &bad);
	d->nexthop = take_text(&run, &bad);
	d->reply = take_text(&run, &bad);
	d->remote = take_text(&run, &bad);
	d->command = take_text(&run, &bad);
	d->said = take_text(&run, &bad);
	return !bad && run.n == 0 && d->next_s >= 0 && d->since_s >= 0 && d->looked_s >= 0;
}

/* ---- files ---- */

static bool
put_note(int dir, struct bytes note)
{
	int fd = file_open(dir, NOTE_NEW, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	bool good = fd != -1 && file_write(fd, note);

	fd_close(&fd);
	return good && renameat(dir, NOTE_NEW, dir, NOTE) == 0;
}

static int
make_dir(struct queue *q, const char *hash)
{
	int down = q->places[QUEUE_DOWN], dir = dir_open(down, hash);

	if (dir != -1 || errno != ENOENT)
		return dir;
	if (!dir_make(down, hash, 0700) || !dir_sync(down))
		return -1;
	return dir_open(down, hash);
}

bool
queue_down_write(struct queue *q, const char *hash, const struct queue_down *d)
{
	struct buf note;
	int dir = make_dir(q, hash);
	bool good;

	buf_init(&note, QUEUE_DOWN_MAX);
	queue_down_encode(d, &note);
	good = dir != -1 && !note.full && put_note(dir, buf_bytes(&note));
	if (!good)
		log_errno("queue: down/%s cannot be written", hash);
	fd_close(&dir);
	buf_fini(&note);
	return good;
}

bool
queue_down_read(struct queue *q, const char *hash, struct arena *a, struct queue_down *d)
{
	struct buf note;
	int dir = dir_open(q->places[QUEUE_DOWN], hash);
	bool good;

	buf_init(&note, QUEUE_DOWN_MAX);
	good = dir != -1 && file_slurp(dir, NOTE, &note) && queue_down_decode(arena_copy(a, buf_bytes(&note)), d);
	fd_close(&dir);
	buf_fini(&note);
	return good;
}

void
queue_down_hurry(struct queue *q, const char *hash)
{
	int dir = dir_open(q->places[QUEUE_DOWN], hash);

	if (dir != -1)
		(void)unlinkat(dir, NOTE, 0);
	fd_close(&dir);
}

static bool
stop(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return false;
}

bool
queue_down_remove(struct queue *q, const char *hash)
{
	int down = q->places[QUEUE_DOWN], dir = dir_open(down, hash);

	if (dir == -1)
		return errno == ENOENT;
	if (!queue_walk_names(dir, stop, NULL)) {
		fd_close(&dir);
		errno = ENOTEMPTY;
		return false;
	}
	if (!queue_settle_names(q)) {
		log_errno("queue: down/%s cannot be removed", hash);
		fd_close(&dir);
		return false;
	}
	(void)unlinkat(dir, NOTE_NEW, 0);	/* a crash may have left it */
	(void)unlinkat(dir, NOTE, 0);
	fd_close(&dir);
	return unlinkat(down, hash, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

struct walk { bool (*each)(void *arg, const char *hash); void *arg; };

static bool
is_hash(const char *name)
{
	return strlen(name) == QUEUE_HASH && strspn(name, "0123456789abcdef") == QUEUE_HASH;
}

static bool
each_hash(void *arg, const char *name)
{
	struct walk *w = arg;

	return !is_hash(name) || w->each(w->arg, name);
}

bool
queue_down_walk(struct queue *q, bool (*each)(void *arg, const char *hash), void *arg)
{
	struct walk w = { each, arg };

	return queue_walk_names(q->places[QUEUE_DOWN], each_hash, &w);
}

DIR *
queue_down_open(struct queue *q, const char *hash)
{
	return dir_stream(q->places[QUEUE_DOWN], hash);
}

const char *
queue_down_next(DIR *d, const char *hash, char name[64])
{
	const struct dirent *e;

	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && strlen(e->d_name) <= QUEUE_ID_MAX) {
			snprintf(name, 64, "%.*s/%.*s", QUEUE_HASH, hash, QUEUE_ID_MAX, e->d_name);
			return name;
		}
	return NULL;
}
