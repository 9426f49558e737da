/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/ipc.h"
#include "mail/queue_format.h"
#include "proto/testing.h"

#define FILE_MAX (64u << 20)
#define CONTENT "From: a@b.example\r\nSubject: test\r\n\r\nHello, queue.\r\n"

/* ---- a queue in a scratch folder ---- */

struct fixture {
	char		path[64];
	struct queue	queue;
	int		proc_fd;
};

static int
set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	int dir;

	snprintf(f->path, sizeof f->path, "/tmp/queue_test.XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = dir_open(AT_FDCWD, f->path);
	assert_true(queue_open(&f->queue, dir, f->proc_fd));
	close(dir);
	*state = f;
	return 0;
}

struct removal { int dir; };

static bool
remove_entry(void *arg, const char *name)
{
	struct removal *r = arg;
	struct removal below = { .dir = dir_open(r->dir, name) };

	if (below.dir == -1)
		return unlinkat(r->dir, name, 0) == 0;
	queue_walk_names(below.dir, remove_entry, &below);
	close(below.dir);
	return unlinkat(r->dir, name, AT_REMOVEDIR) == 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;
	struct removal r = { .dir = f->queue.dir };

	queue_walk_names(r.dir, remove_entry, &r);
	queue_close(&f->queue);
	close(f->proc_fd);
	assert_int_equal(rmdir(f->path), 0);
	mem_free(f);
	return 0;
}

static bool
count_name(void *arg, const char *name)
{
	(void)name;
	++*(unsigned *)arg;
	return true;
}

static unsigned
names_in(struct queue *q, enum queue_place place)
{
	unsigned n = 0;

	assert_true(queue_walk(q, place, count_name, &n));
	return n;
}

/* ---- messages ---- */

static struct envelope
some_envelope(struct recipient *rcpts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rcpts[i] = (struct recipient){ .original = text("a@x.example"), .final = text("a@x.example"),
		    .transport = text("local"), .nexthop = text("a@x.example"), .mailbox = text("maildir:/m") };
	return (struct envelope){ .sender = text("s@x.example"), .arrival_s = 1700000000, .rcpts = rcpts, .nrcpts = n };
}

static void
draft_with(struct queue *q, struct queue_draft *d, int *writer)
{
	assert_true(queue_draft_open(q, d, writer));
	assert_true(file_write(*writer, text(CONTENT)));
}

/* A committed message with n recipients; its id. */
static void
commit_one(struct queue *q, size_t n, char id[QUEUE_ID_MAX + 1])
{
	struct recipient *rcpts = mem_array(n, sizeof *rcpts);
	struct envelope e = some_envelope(rcpts, n);
	struct queue_draft d;
	struct queue_commit c = { .draft = &d, .octets = strlen(CONTENT), .envelope = &e };
	int writer;

	draft_with(q, &d, &writer);
	close(writer);
	memcpy(id, d.id, sizeof d.id);
	queue_commit(q, &c, 1);
	assert_true(c.ok);
	assert_int_equal(d.fd, -1);
	mem_free(rcpts);
}

static struct queue_message *
open_one(struct queue *q, enum queue_place place, const char *name)
{
	struct queue_message *m;

	assert_int_equal(queue_message_open(q, place, name, &m), QUEUE_READ);
	return m;
}

static struct bytes
octets_of(struct queue *q, enum queue_place place, const char *name, struct buf *b)
{
	buf_init(b, FILE_MAX);
	assert_true(file_slurp(q->places[place], name, b));
	return buf_bytes(b);
}

/* The attempts in the state that a file shows, -1 when it shows none. */
static long
state_of(struct bytes file)
{
	struct arena *a = arena_new(ENVELOPE_ARENA);
	struct envelope e;
	uint64_t generation;
	long found = queue_parse(file, a, &e, &generation) == QUEUE_READ ? (long)e.attempts : -1;

	arena_free(&a);
	return found;
}

/* ---- tests ---- */

static void
test_commit_and_read(void **state)
{
	static const size_t counts[] = { 1, 2, 50000 };
	struct fixture *f = *state;

	for (size_t i = 0; i < LEN(counts); i++) {
		char id[QUEUE_ID_MAX + 1];
		struct queue_message *m;
		char content[100];

		commit_one(&f->queue, counts[i], id);
		m = open_one(&f->queue, QUEUE_NEW, id);
		assert_string_equal(m->id, id);
		assert_int_equal(m->generation, 1);
		assert_int_equal(m->envelope.nrcpts, counts[i]);
		assert_bytes_equal(m->envelope.sender, text("s@x.example"));
		assert_bytes_equal(m->envelope.rcpts[counts[i] - 1].mailbox, text("maildir:/m"));
		assert_int_equal(m->envelope.nextents, 1);
		assert_int_equal(m->envelope.extents[0].octets, strlen(CONTENT));
		assert_true(file_pread(m->fd, content, strlen(CONTENT), (off_t)m->envelope.extents[0].offset));
		assert_memory_equal(content, CONTENT, strlen(CONTENT));
		assert_int_equal(queue_message_verify(m), QUEUE_READ);
		assert_true(queue_remove(&f->queue, m));
		assert_int_equal(queue_message_verify(m), QUEUE_GONE);
		queue_message_free(&m);
	}
	assert_int_equal(names_in(&f->queue, QUEUE_NEW), 0);
}

static void
test_many_together(void **state)
{
	struct fixture *f = *state;
	struct recipient rcpt;
	struct envelope e = some_envelope(&rcpt, 1);
	struct queue_draft d[20];
	struct queue_commit c[20];

	for (size_t i = 0; i < 20; i++) {
		int writer;

		draft_with(&f->queue, &d[i], &writer);
		c[i] = (struct queue_commit){ .draft = &d[i], .octets = strlen(CONTENT) + (i == 7), .envelope = &e };
		close(writer);
	}
	queue_commit(&f->queue, c, 20);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(c[i].ok, i != 7);	/* one that is not as promised harms no other */
	assert_int_equal(names_in(&f->queue, QUEUE_NEW), 19);
}

static void
test_without_tmpfile(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	struct queue_draft d;
	int writer, tmp;
	unsigned n = 0;

	f->queue.no_tmpfile = f->queue.sync_dir = true;
	commit_one(&f->queue, 1, id);
	m = open_one(&f->queue, QUEUE_NEW, id);
	queue_message_free(&m);
	draft_with(&f->queue, &d, &writer);
	queue_draft_abandon(&f->queue, &d);
	close(writer);
	queue_clean_tmp(&f->queue);
	tmp = dir_open(f->queue.dir, "tmp");
	assert_true(queue_walk_names(tmp, count_name, &n));
	assert_int_equal(n, 0);
	close(tmp);
}

/* What a receiver may have kept. Returns what is to be ended, -1: nothing. */
static int
keep_descriptor(int writer)
{
	return writer;
}

static void *mapping;

static int
keep_mapping(int writer)
{
	char self[32];
	int both;

	snprintf(self, sizeof self, "/proc/self/fd/%d", writer);
	both = open(self, O_RDWR | O_CLOEXEC);
	mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, both, 0);
	assert_ptr_not_equal(mapping, MAP_FAILED);
	close(both);
	close(writer);
	return -1;
}

static int
keep_in_flight(int writer)
{
	struct ipc_out out;
	int pair[2];

	assert_true(ipc_pair(pair));
	ipc_out_init(&out);
	ipc_put_listener(&out, 0, &(struct ipc_listener){ .name = text("x"), .fd = writer });
	assert_int_equal(ipc_send(pair[0], &out), IPC_DONE);
	ipc_out_fini(&out);
	close(writer);
	close(pair[0]);
	return pair[1];
}

static int
keep_reopened(int writer)
{
	char self[32];
	int again;

	snprintf(self, sizeof self, "/proc/self/fd/%d", writer);
	again = open(self, O_RDWR | O_CLOEXEC);
	close(writer);
	return again;
}

static void
test_no_writer_may_be_left(void **state)
{
	static int (*const ways[])(int) = { keep_descriptor, keep_mapping, keep_in_flight, keep_reopened };
	struct fixture *f = *state;

	for (size_t i = 0; i < LEN(ways); i++) {
		struct recipient rcpt;
		struct envelope e = some_envelope(&rcpt, 1);
		struct queue_draft d;
		struct queue_commit c = { .draft = &d, .octets = strlen(CONTENT), .envelope = &e };
		int writer, kept;

		draft_with(&f->queue, &d, &writer);
		kept = ways[i](writer);
		queue_commit(&f->queue, &c, 1);
		assert_false(c.ok);
		assert_int_equal(c.fault, EBUSY);
		assert_int_equal(d.fd, -1);
		assert_int_equal(names_in(&f->queue, QUEUE_NEW), 0);
		if (kept != -1)
			close(kept);
		if (mapping)
			munmap(mapping, 4096);
		mapping = NULL;
	}
}

static void
test_content_not_as_promised(void **state)
{
	static const long off[] = { -1, 1, 4096 };
	struct fixture *f = *state;

	for (size_t i = 0; i < LEN(off); i++) {
		struct recipient rcpt;
		struct envelope e = some_envelope(&rcpt, 1);
		struct queue_draft d;
		struct queue_commit c = { .draft = &d, .octets = strlen(CONTENT) + (uint64_t)off[i], .envelope = &e };
		int writer;

		draft_with(&f->queue, &d, &writer);
		close(writer);
		queue_commit(&f->queue, &c, 1);
		assert_false(c.ok);
		assert_int_equal(names_in(&f->queue, QUEUE_NEW), 0);
	}
}

static void
test_updates(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;

	commit_one(&f->queue, 3, id);
	for (uint32_t i = 1; i <= 2000; i++) {
		m = open_one(&f->queue, QUEUE_NEW, id);
		assert_int_equal(m->generation, i);
		assert_int_equal(m->envelope.attempts, i - 1);
		assert_int_equal(m->envelope.rcpts[1].attempts, i - 1);
		m->envelope.attempts = m->envelope.rcpts[1].attempts = i;
		m->envelope.rcpts[1].changed = RCPT_STATE_CHANGED;
		m->envelope.rcpts[1].last_reply = text("4.2.2 the mailbox is full");
		assert_true(queue_update(&f->queue, m));
		/* It does not grow without end: changes are folded into a new whole. */
		assert_true(m->records_octets - m->base_octets <= 65536);
		queue_message_free(&m);
	}
	m = open_one(&f->queue, QUEUE_NEW, id);
	assert_bytes_equal(m->envelope.rcpts[1].last_reply, text("4.2.2 the mailbox is full"));
	assert_int_equal(queue_message_verify(m), QUEUE_READ);
	queue_message_free(&m);
}

static void
test_update_of_many_is_small(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	uint64_t before;

	commit_one(&f->queue, 50000, id);
	m = open_one(&f->queue, QUEUE_NEW, id);
	before = m->records_octets;
	m->envelope.rcpts[49999].state = RCPT_DELIVERED;
	m->envelope.rcpts[49999].changed = RCPT_STATE_CHANGED;
	assert_true(queue_update(&f->queue, m));
	assert_true(m->records_octets - before < 200);
	queue_message_free(&m);
	m = open_one(&f->queue, QUEUE_NEW, id);
	assert_int_equal(m->envelope.rcpts[49999].state, RCPT_DELIVERED);
	assert_int_equal(m->envelope.rcpts[49998].state, RCPT_WAITING);
	queue_message_free(&m);
}

/* Where two files of the same length differ: runs of octets, at most two of interest. */
struct change { size_t at, n; };

/* Octets [at, at + n) of to, the first `done` of them, put into from's copy. */
static void
apply(unsigned char *file, const unsigned char *new, struct change c, size_t done)
{
	memcpy(file + c.at, new + c.at, done < c.n ? done : c.n);
}

static void
check_torn(struct bytes old, struct bytes new, struct change records, struct change sector, bool whole)
{
	unsigned char *file = mem_alloc(new.n);

	/* Each prefix of the two writes, in either order, octet by octet. */
	for (int order = 0; order < 2; order++) {
		struct change first = order == 0 ? records : sector, second = order == 0 ? sector : records;

		for (size_t n = 0; n <= first.n + second.n; n++) {
			long got;

			memset(file, 0, new.n);
			memcpy(file, old.p, old.n);
			apply(file, new.p, first, n);
			if (n > first.n)
				apply(file, new.p, second, n - first.n);
			got = state_of(bytes_of(file, new.n));
			assert_true(got == 1 || got == 2);
			if (n == first.n + second.n)
				assert_int_equal(got, 2);
			if (!whole && n == 0)
				assert_int_equal(got, 1);
		}
	}
	mem_free(file);
}

static void
test_every_prefix_of_an_update(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	struct buf old, new;

	for (int rewrite = 0; rewrite < 2; rewrite++) {
		struct change records, sector;
		uint64_t had;

		commit_one(&f->queue, 2, id);
		m = open_one(&f->queue, QUEUE_NEW, id);
		m->envelope.attempts = 1;
		assert_true(queue_update(&f->queue, m));
		octets_of(&f->queue, QUEUE_NEW, id, &old);
		m->envelope.attempts = 2;
		m->envelope.rcpts[0].changed = RCPT_STATE_CHANGED;
		m->rewrite = rewrite == 1;
		had = m->records_at + m->records_octets;
		assert_true(queue_update(&f->queue, m));
		octets_of(&f->queue, QUEUE_NEW, id, &new);
		assert_int_equal(state_of(buf_bytes(&old)), 1);
		assert_int_equal(state_of(buf_bytes(&new)), 2);
		records = (struct change){ had, new.n - had };
		sector = (struct change){ queue_pointer_at(m->generation), QUEUE_SECTOR };
		check_torn(buf_bytes(&old), buf_bytes(&new), records, sector, rewrite == 1);
		buf_fini(&old);
		buf_fini(&new);
		queue_message_free(&m);
	}
}

/* One flipped bit: the state before, the state now, or damaged; never another one. */
static void
test_flipped_bits(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	struct buf b;

	commit_one(&f->queue, 2, id);
	m = open_one(&f->queue, QUEUE_NEW, id);
	m->envelope.attempts = 2;
	assert_true(queue_update(&f->queue, m));
	octets_of(&f->queue, QUEUE_NEW, id, &b);
	for (size_t at = 0; at < b.n; at++) {
		for (unsigned bit = 0; bit < 8; bit += 3) {
			bool unused = at >= 3 * QUEUE_SECTOR && at < QUEUE_CONTENT;
			long got;

			b.p[at] ^= (unsigned char)(1u << bit);
			got = state_of(buf_bytes(&b));
			b.p[at] ^= (unsigned char)(1u << bit);
			assert_true(got == 2 || got == 0 || got == -1);
			if (at < QUEUE_SECTOR)
				assert_int_equal(got, -1);
			else if (at < 2 * QUEUE_SECTOR || unused)
				assert_int_equal(got, 2);
			else if (at < 3 * QUEUE_SECTOR)
				assert_int_equal(got, 0);
			else if (at < QUEUE_CONTENT + strlen(CONTENT))
				assert_int_equal(got, -1);
		}
	}
	buf_fini(&b);
	queue_message_free(&m);
}

static void
test_cut_zeroed_extended(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_MAX + 1];
	struct buf b, copy;

	commit_one(&f->queue, 2, id);
	octets_of(&f->queue, QUEUE_NEW, id, &b);
	buf_init(&copy, FILE_MAX);
	for (size_t at = 0; at < b.n; at++) {
		assert_int_equal(state_of(bytes_head(buf_bytes(&b), at)), -1);
		if (at % 64 != 0)
			continue;
		buf_clear(&copy);
		buf_add(&copy, buf_bytes(&b));
		memset(copy.p + at, 0, copy.n - at < 64 ? copy.n - at : 64);
		assert_in_range(state_of(buf_bytes(&copy)) + 1, 0, 1);
	}
	buf_clear(&copy);
	buf_add(&copy, buf_bytes(&b));
	buf_add(&copy, buf_bytes(&b));
	assert_int_equal(state_of(buf_bytes(&copy)), 0);	/* what is behind is not looked at */
	buf_fini(&copy);
	buf_fini(&b);
}

static void
test_foreign_and_damaged_files(void **state)
{
	struct fixture *f = *state;
	struct queue *q = &f->queue;
	struct queue_message *m = NULL;
	unsigned char head[QUEUE_CONTENT] = { 0 };
	struct queue_preamble p = { .content_at = QUEUE_CONTENT };
	struct bytes none = { 0 };

	queue_put_preamble(head, &p);
	head[8] = 2;			/* a later version, its checksum as it must be */
	assert_int_equal(queue_message_open(q, QUEUE_NEW, "GHJ", &m), QUEUE_GONE);
	assert_true(file_replace(q->places[QUEUE_NEW], "GHJ", bytes_of(head, sizeof head), 0600));
	assert_int_equal(queue_message_open(q, QUEUE_NEW, "GHJ", &m), QUEUE_DAMAGED);
	assert_true(file_replace(q->places[QUEUE_NEW], "EMPTY", none, 0600));
	assert_int_equal(queue_message_open(q, QUEUE_NEW, "EMPTY", &m), QUEUE_DAMAGED);
	assert_int_equal(mkdirat(q->places[QUEUE_NEW], "DIR", 0700), 0);
	assert_int_equal(queue_message_open(q, QUEUE_NEW, "DIR", &m), QUEUE_DAMAGED);
	assert_int_equal(symlinkat("EMPTY", q->places[QUEUE_NEW], "LINK"), 0);
	assert_int_equal(queue_message_open(q, QUEUE_NEW, "LINK", &m), QUEUE_DAMAGED);
	assert_int_equal(queue_message_open(q, QUEUE_NEW, "../new/EMPTY/..", &m), QUEUE_DAMAGED);
	assert_null(m);
	/* Set aside twice under one name: nothing is overwritten. */
	assert_true(queue_set_aside(q, QUEUE_NEW, "EMPTY"));
	assert_true(file_replace(q->places[QUEUE_NEW], "EMPTY", none, 0600));
	assert_true(queue_set_aside(q, QUEUE_NEW, "EMPTY"));
	assert_int_equal(names_in(q, QUEUE_CORRUPT), 2);
}

static void
test_critical_record_of_a_later_version(void **state)
{
	struct fixture *f = *state;
	struct recipient rcpt;
	struct envelope e = some_envelope(&rcpt, 1);
	struct queue_draft d;
	struct queue_commit c = { .draft = &d, .octets = strlen(CONTENT), .envelope = &e };
	struct queue_message *m;
	struct buf unknown;
	int writer;

	buf_init(&unknown, 100);
	buf_u16(&unknown, 999);
	buf_u16(&unknown, ENVELOPE_CRITICAL);
	buf_u32(&unknown, 0);
	e.unknown = buf_bytes(&unknown);
	draft_with(&f->queue, &d, &writer);
	close(writer);
	queue_commit(&f->queue, &c, 1);
	assert_true(c.ok);
	assert_int_equal(queue_message_open(&f->queue, QUEUE_NEW, d.id, &m), QUEUE_FOREIGN);
	assert_true(queue_move(&f->queue, m, QUEUE_HOLD));
	assert_int_equal(names_in(&f->queue, QUEUE_HOLD), 1);
	queue_message_free(&m);
	buf_fini(&unknown);
}

/* A draft that is delivered before it has a name: sealed, handed over with its lock, and placed or not. */
static void
test_adopted(void **state)
{
	struct fixture *f = *state;
	struct queue *q = &f->queue;
	struct recipient rcpts[2];
	struct envelope e = some_envelope(rcpts, 2);
	struct queue_draft d;
	struct queue_commit c = { .draft = &d, .octets = strlen(CONTENT), .envelope = &e };
	struct queue_message *m, *other;
	struct buf records;
	char content[100];
	int writer;

	buf_init(&records, ENVELOPE_MAX);
	envelope_encode(&e, &records);
	draft_with(q, &d, &writer);
	assert_false(queue_draft_seal(&d, c.octets));
	assert_int_equal(errno, EBUSY);
	close(writer);
	assert_false(queue_draft_seal(&d, c.octets + 1));
	assert_int_equal(errno, EPROTO);
	assert_true(queue_draft_seal(&d, c.octets));

	m = queue_message_adopt(text(d.id), fcntl(d.fd, F_DUPFD_CLOEXEC, 0), c.octets, buf_bytes(&records));
	assert_non_null(m);
	assert_string_equal(m->id, d.id);
	assert_int_equal(m->envelope.nrcpts, 2);
	assert_true(file_pread(m->fd, content, strlen(CONTENT), (off_t)m->envelope.extents[0].offset));
	assert_memory_equal(content, CONTENT, strlen(CONTENT));
	assert_false(queue_message_is_placed(q, m));
	assert_false(queue_message_placed(m));		/* there is no envelope in it yet */

	queue_commit(q, &c, 1);
	assert_true(c.ok);
	assert_true(queue_message_is_placed(q, m));
	other = open_one(q, QUEUE_NEW, d.id);
	assert_false(queue_lock(other));		/* the lock is the descriptor's that was handed over */
	queue_message_free(&other);
	assert_true(queue_message_placed(m));
	assert_int_equal(m->generation, 1);
	m->envelope.rcpts[1].state = RCPT_DELIVERED;
	m->envelope.rcpts[1].changed = RCPT_STATE_CHANGED;
	assert_true(queue_update(q, m));
	assert_int_equal(queue_message_verify(m), QUEUE_READ);
	queue_message_free(&m);
	m = open_one(q, QUEUE_NEW, d.id);
	assert_true(queue_lock(m));
	assert_int_equal(m->generation, 2);
	assert_int_equal(m->envelope.rcpts[0].state, RCPT_WAITING);
	assert_int_equal(m->envelope.rcpts[1].state, RCPT_DELIVERED);
	assert_true(queue_remove(q, m));
	assert_false(queue_message_is_placed(q, m));
	queue_message_free(&m);
	buf_fini(&records);
}

static void
test_adopting_nonsense(void **state)
{
	static const struct { const char *id, *records; } cases[] = {
		{ "../X", "" }, { "", "" }, { "X/Y", "" }, { "0123456789012345678901234567890123", "" },
		{ "X", "xxxxxxxxxx" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		assert_null(queue_message_adopt(text(cases[i].id), fd, 5, text(cases[i].records)));
		assert_int_equal(fcntl(fd, F_GETFD), -1);	/* taken all the same */
	}
}

static void
test_moves(void **state)
{
	struct fixture *f = *state;
	struct queue *q = &f->queue;
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	unsigned n;

	commit_one(q, 1, id);
	assert_int_equal(queue_next_due(q), INT64_MAX);
	m = open_one(q, QUEUE_NEW, id);
	m->envelope.next_s = 6000001;		/* the minute after */
	assert_true(queue_update(q, m));
	assert_true(queue_move(q, m, QUEUE_LATER));
	assert_memory_equal(m->name, "000186a1/", 9);
	assert_int_equal(queue_next_due(q), 6000060);
	assert_int_equal(names_in(q, QUEUE_NEW), 0);
	assert_int_equal(names_in(q, QUEUE_LATER), 1);
	n = 0;
	assert_true(queue_walk_due(q, 6000059, INT64_MAX, count_name, &n));
	assert_int_equal(n, 0);
	assert_true(queue_walk_due(q, 5000000, 5500000, count_name, &n));	/* the clock was set back */
	assert_int_equal(n, 1);
	assert_true(queue_walk_due(q, 6000060, INT64_MAX, count_name, &n));
	assert_int_equal(n, 2);
	assert_true(queue_move(q, m, QUEUE_ACTIVE));
	assert_string_equal(m->name, id);
	assert_true(queue_walk_due(q, 7000000, INT64_MAX, count_name, &n));
	assert_int_equal(n, 2);
	assert_int_equal(queue_next_due(q), INT64_MAX);	/* the empty bucket is gone */
	queue_message_free(&m);
}

static void
test_times_far_away(void **state)
{
	static const struct { int64_t next_s; const char *bucket; } rows[] = {
		{ 2147483640, "02222222/" }, { 2147483646, "02222223/" },	/* 2038-01-19T03:14:06Z */
		{ 2147483648, "02222223/" },
		{ 4294967296, "04444445/" },	/* 2106 */
		{ -1, "00000000/" },
		{ INT64_MAX, "00000000/" },	/* cannot be: due at once */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < LEN(rows); i++) {
		char id[QUEUE_ID_MAX + 1];
		struct queue_message *m;

		commit_one(&f->queue, 1, id);
		m = open_one(&f->queue, QUEUE_NEW, id);
		m->envelope.next_s = rows[i].next_s;
		assert_true(queue_move(&f->queue, m, QUEUE_LATER));
		assert_memory_equal(m->name, rows[i].bucket, 9);
		queue_message_free(&m);
	}
}

static void
test_hash_of_the_next_hop(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_MAX + 1], one[64];
	struct queue_message *m;

	commit_one(&f->queue, 2, id);
	m = open_one(&f->queue, QUEUE_NEW, id);
	assert_true(queue_move(&f->queue, m, QUEUE_LATER));
	assert_int_equal(strlen(m->name), 9 + strlen(id) + 1 + 8);
	memcpy(one, m->name, sizeof one);
	m->envelope.rcpts[1].nexthop = text("other");
	assert_true(queue_move(&f->queue, m, QUEUE_LATER));
	assert_string_equal(m->name + 9 + strlen(id), "-m");
	m->envelope.rcpts[1].state = RCPT_DELIVERED;
	assert_true(queue_move(&f->queue, m, QUEUE_LATER));
	assert_string_equal(m->name, one);
	queue_message_free(&m);
}

/* The lock goes with the open file, not with who took it. */
static void
test_lock(void **state)
{
	struct fixture *f = *state;
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m, *other;
	int worker;

	commit_one(&f->queue, 1, id);
	m = open_one(&f->queue, QUEUE_NEW, id);
	assert_true(queue_lock(m));
	worker = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	queue_message_free(&m);			/* qmgr is gone, its worker is not */
	other = open_one(&f->queue, QUEUE_NEW, id);
	assert_false(queue_lock(other));
	close(worker);
	assert_true(queue_lock(other));
	queue_message_free(&other);
}

static void
test_ids_differ(void **state)
{
	struct fixture *f = *state;
	char last[QUEUE_ID_MAX + 1] = "";

	for (int i = 0; i < 1000; i++) {
		struct queue_draft d;
		int writer;

		assert_true(queue_draft_open(&f->queue, &d, &writer));
		assert_true(strncmp(d.id, last, 11) > 0);	/* as the time goes */
		memcpy(last, d.id, sizeof last);
		close(writer);
		queue_draft_abandon(&f->queue, &d);
	}
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_commit_and_read), T(test_many_together), T(test_without_tmpfile),
		T(test_no_writer_may_be_left), T(test_content_not_as_promised),
		T(test_updates), T(test_update_of_many_is_small), T(test_every_prefix_of_an_update),
		T(test_flipped_bits), T(test_cut_zeroed_extended), T(test_foreign_and_damaged_files),
		T(test_adopted), T(test_adopting_nonsense),
		T(test_critical_record_of_a_later_version), T(test_moves), T(test_times_far_away),
		T(test_hash_of_the_next_hop), T(test_lock), T(test_ids_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
