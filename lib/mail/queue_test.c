/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mail/ipc.h"
#include "mail/queue_format.h"
#include "mail/queue_testing.h"

#define FILE_MAX (64u << 20)
#define CONTENT "From: a@b.example\r\nSubject: test\r\n\r\nHello, queue.\r\n"

static int
set_up(void **state)
{
	(void)state;
	return test_queue_make("queue", false);
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

/* A committed message with n recipients; its id. */
static void
commit_one(struct queue *q, size_t n, char id[QUEUE_ID_MAX + 1])
{
	struct recipient *rcpts = mem_array(n, sizeof *rcpts);
	struct envelope e = some_envelope(rcpts, n);

	commit_of(q, text(CONTENT), &e, id);
	mem_free(rcpts);
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

	(void)state;
	for (size_t i = 0; i < LEN(counts); i++) {
		char id[QUEUE_ID_MAX + 1];
		struct queue_message *m;
		char content[100];

		commit_one(&queue, counts[i], id);
		m = open_one(&queue, QUEUE_NEW, id);
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
		assert_true(queue_remove(&queue, m));
		assert_int_equal(queue_message_verify(m), QUEUE_GONE);
		queue_message_free(&m);
	}
	assert_int_equal(names_in(&queue, QUEUE_NEW), 0);
}

static void
test_many_together(void **state)
{
	struct recipient rcpt;
	struct envelope e = some_envelope(&rcpt, 1);
	struct queue_draft d[20];
	struct queue_commit c[20];

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		int writer;

		draft_of(&queue, text(CONTENT), &d[i], &writer);
		c[i] = (struct queue_commit){ .draft = &d[i], .octets = strlen(CONTENT) + (i == 7), .envelope = &e };
		close(writer);
	}
	queue_commit(&queue, c, 20);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(c[i].ok, i != 7);	/* one that is not as promised harms no other */
	assert_int_equal(names_in(&queue, QUEUE_NEW), 19);
}

static void
test_without_tmpfile(void **state)
{
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	struct queue_draft d;
	int writer, tmp;
	unsigned n = 0;

	(void)state;
	queue.no_tmpfile = queue.sync_dir = true;
	commit_one(&queue, 1, id);
	m = open_one(&queue, QUEUE_NEW, id);
	queue_message_free(&m);
	draft_of(&queue, text(CONTENT), &d, &writer);
	queue_draft_abandon(&queue, &d);
	close(writer);
	queue_clean_tmp(&queue);
	tmp = dir_open(queue.dir, "tmp");
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

	(void)state;
	for (size_t i = 0; i < LEN(ways); i++) {
		struct recipient rcpt;
		struct envelope e = some_envelope(&rcpt, 1);
		struct queue_draft d;
		struct queue_commit c = { .draft = &d, .octets = strlen(CONTENT), .envelope = &e };
		int writer, kept;

		draft_of(&queue, text(CONTENT), &d, &writer);
		kept = ways[i](writer);
		queue_commit(&queue, &c, 1);
		assert_false(c.ok);
		assert_int_equal(c.fault, EBUSY);
		assert_int_equal(d.fd, -1);
		assert_int_equal(names_in(&queue, QUEUE_NEW), 0);
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

	(void)state;
	for (size_t i = 0; i < LEN(off); i++) {
		struct recipient rcpt;
		struct envelope e = some_envelope(&rcpt, 1);
		struct queue_draft d;
		struct queue_commit c = { .draft = &d, .octets = strlen(CONTENT) + (uint64_t)off[i], .envelope = &e };
		int writer;

		draft_of(&queue, text(CONTENT), &d, &writer);
		close(writer);
		queue_commit(&queue, &c, 1);
		assert_false(c.ok);
		assert_int_equal(names_in(&queue, QUEUE_NEW), 0);
	}
}

static void
test_updates(void **state)
{
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;

	(void)state;
	commit_one(&queue, 3, id);
	for (uint32_t i = 1; i <= 2000; i++) {
		m = open_one(&queue, QUEUE_NEW, id);
		assert_int_equal(m->generation, i);
		assert_int_equal(m->envelope.attempts, i - 1);
		assert_int_equal(m->envelope.rcpts[1].attempts, i - 1);
		m->envelope.attempts = m->envelope.rcpts[1].attempts = i;
		m->envelope.rcpts[1].changed = RCPT_STATE_CHANGED;
		m->envelope.rcpts[1].last_reply = text("4.2.2 the mailbox is full");
		assert_true(queue_update(&queue, m));
		/* It does not grow without end: changes are folded into a new whole. */
		assert_true(m->records_octets - m->base_octets <= 65536);
		queue_message_free(&m);
	}
	m = open_one(&queue, QUEUE_NEW, id);
	assert_bytes_equal(m->envelope.rcpts[1].last_reply, text("4.2.2 the mailbox is full"));
	assert_int_equal(queue_message_verify(m), QUEUE_READ);
	queue_message_free(&m);
}

static void
test_update_of_many_is_small(void **state)
{
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	uint64_t before;

	(void)state;
	commit_one(&queue, 50000, id);
	m = open_one(&queue, QUEUE_NEW, id);
	before = m->records_octets;
	m->envelope.rcpts[49999].state = RCPT_DELIVERED;
	m->envelope.rcpts[49999].changed = RCPT_STATE_CHANGED;
	assert_true(queue_update(&queue, m));
	assert_true(m->records_octets - before < 200);
	queue_message_free(&m);
	m = open_one(&queue, QUEUE_NEW, id);
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
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	struct buf old, new;

	(void)state;
	for (int rewrite = 0; rewrite < 2; rewrite++) {
		struct change records, sector;
		uint64_t had;

		commit_one(&queue, 2, id);
		m = open_one(&queue, QUEUE_NEW, id);
		m->envelope.attempts = 1;
		assert_true(queue_update(&queue, m));
		octets_of(&queue, QUEUE_NEW, id, &old);
		m->envelope.attempts = 2;
		m->envelope.rcpts[0].changed = RCPT_STATE_CHANGED;
		m->rewrite = rewrite == 1;
		had = m->records_at + m->records_octets;
		assert_true(queue_update(&queue, m));
		octets_of(&queue, QUEUE_NEW, id, &new);
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
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m;
	struct buf b;

	(void)state;
	commit_one(&queue, 2, id);
	m = open_one(&queue, QUEUE_NEW, id);
	m->envelope.attempts = 2;
	assert_true(queue_update(&queue, m));
	octets_of(&queue, QUEUE_NEW, id, &b);
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
	char id[QUEUE_ID_MAX + 1];
	struct buf b, copy;

	(void)state;
	commit_one(&queue, 2, id);
	octets_of(&queue, QUEUE_NEW, id, &b);
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
	struct queue *q = &queue;
	struct queue_message *m = NULL;
	unsigned char head[QUEUE_CONTENT] = { 0 };
	struct queue_preamble p = { .content_at = QUEUE_CONTENT };
	struct bytes none = { 0 };

	(void)state;
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
	struct recipient rcpt;
	struct envelope e = some_envelope(&rcpt, 1);
	struct queue_draft d;
	struct queue_commit c = { .draft = &d, .octets = strlen(CONTENT), .envelope = &e };
	struct queue_message *m;
	struct buf unknown;
	int writer;

	(void)state;
	buf_init(&unknown, 100);
	buf_u16(&unknown, 999);
	buf_u16(&unknown, ENVELOPE_CRITICAL);
	buf_u32(&unknown, 0);
	e.unknown = buf_bytes(&unknown);
	draft_of(&queue, text(CONTENT), &d, &writer);
	close(writer);
	queue_commit(&queue, &c, 1);
	assert_true(c.ok);
	assert_int_equal(queue_message_open(&queue, QUEUE_NEW, d.id, &m), QUEUE_FOREIGN);
	assert_true(queue_move(&queue, m, QUEUE_HOLD));
	assert_int_equal(names_in(&queue, QUEUE_HOLD), 1);
	queue_message_free(&m);
	buf_fini(&unknown);
}

/* A draft that is delivered before it has a name: sealed, handed over with its lock, and placed or not. */
static void
test_adopted(void **state)
{
	struct queue *q = &queue;
	struct recipient rcpts[2];
	struct envelope e = some_envelope(rcpts, 2);
	struct queue_draft d;
	struct queue_commit c = { .draft = &d, .octets = strlen(CONTENT), .envelope = &e };
	struct queue_message *m, *other;
	struct buf records;
	char content[100];
	int writer;

	(void)state;
	buf_init(&records, ENVELOPE_MAX);
	envelope_encode(&e, &records);
	draft_of(q, text(CONTENT), &d, &writer);
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
	struct queue *q = &queue;
	char id[QUEUE_ID_MAX + 1];
	const struct timespec old[2] = { { .tv_sec = clock_wall_s() - 150 }, { .tv_sec = clock_wall_s() - 150 } };
	struct queue_message *m;
	unsigned n;

	(void)state;
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
	assert_int_equal(queue_next_due(q), 6000060);	/* what has left it may not be on disk yet */
	assert_int_equal(utimensat(q->places[QUEUE_LATER], "000186a1", old, 0), 0);
	assert_true(queue_walk_due(q, 7000000, INT64_MAX, count_name, &n));
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

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		char id[QUEUE_ID_MAX + 1];
		struct queue_message *m;

		commit_one(&queue, 1, id);
		m = open_one(&queue, QUEUE_NEW, id);
		m->envelope.next_s = rows[i].next_s;
		assert_true(queue_move(&queue, m, QUEUE_LATER));
		assert_memory_equal(m->name, rows[i].bucket, 9);
		queue_message_free(&m);
	}
}

static void
test_hash_of_the_next_hop(void **state)
{
	char id[QUEUE_ID_MAX + 1], one[64];
	struct queue_message *m;

	(void)state;
	commit_one(&queue, 2, id);
	m = open_one(&queue, QUEUE_NEW, id);
	assert_true(queue_move(&queue, m, QUEUE_LATER));
	assert_int_equal(strlen(m->name), 9 + strlen(id) + 1 + 8);
	memcpy(one, m->name, sizeof one);
	m->envelope.rcpts[1].nexthop = text("other");
	assert_true(queue_move(&queue, m, QUEUE_LATER));
	assert_string_equal(m->name + 9 + strlen(id), "-m");
	m->envelope.rcpts[1].state = RCPT_DELIVERED;
	assert_true(queue_move(&queue, m, QUEUE_LATER));
	assert_string_equal(m->name, one);
	queue_message_free(&m);
}

/* The lock goes with the open file, not with who took it. */
static void
test_lock(void **state)
{
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m, *other;
	int worker;

	(void)state;
	commit_one(&queue, 1, id);
	m = open_one(&queue, QUEUE_NEW, id);
	assert_true(queue_lock(m));
	worker = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	queue_message_free(&m);			/* qmgr is gone, its worker is not */
	other = open_one(&queue, QUEUE_NEW, id);
	assert_false(queue_lock(other));
	close(worker);
	assert_true(queue_lock(other));
	queue_message_free(&other);
}

/* Who gets the lock late has read what is old. */
static void
test_is_current(void **state)
{
	char id[QUEUE_ID_MAX + 1];
	struct queue_message *m, *read, *moved;

	(void)state;
	commit_one(&queue, 2, id);
	m = open_one(&queue, QUEUE_NEW, id);
	assert_true(queue_lock(m) && queue_message_is_current(&queue, m));
	read = open_one(&queue, QUEUE_NEW, id);
	m->envelope.rcpts[1].state = RCPT_DELIVERED;
	m->envelope.rcpts[1].changed = RCPT_STATE_CHANGED;
	assert_true(queue_update(&queue, m) && queue_message_is_current(&queue, m));
	moved = open_one(&queue, QUEUE_NEW, id);
	assert_true(queue_move(&queue, m, QUEUE_ACTIVE) && queue_message_is_current(&queue, m));
	queue_message_free(&m);
	assert_true(queue_lock(read));
	assert_false(queue_message_is_current(&queue, read));
	queue_message_free(&read);
	assert_true(queue_lock(moved));
	assert_false(queue_message_is_current(&queue, moved));
	queue_message_free(&moved);
	m = open_one(&queue, QUEUE_ACTIVE, id);
	assert_true(queue_lock(m) && queue_message_is_current(&queue, m));
	assert_true(queue_remove(&queue, m));
	assert_false(queue_message_is_current(&queue, m));
	queue_message_free(&m);
}

static void
test_ids_differ(void **state)
{
	char last[QUEUE_ID_MAX + 1] = "";

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct queue_draft d;
		int writer;

		assert_true(queue_draft_open(&queue, &d, &writer));
		assert_true(strncmp(d.id, last, 11) > 0);	/* as the time goes */
		memcpy(last, d.id, sizeof last);
		close(writer);
		queue_draft_abandon(&queue, &d);
	}
}

/* Times are told by what an id begins with. */
static void
test_id_times(void **state)
{
	static const int64_t times[] = { -5, 0, 1, 31, 32, 1700000000000000, 1700000000000001, 1800000000000000, INT64_MAX };
	char last[QUEUE_ID_TIME + 1] = "", now[QUEUE_ID_TIME + 1], id[QUEUE_ID_MAX + 1];

	(void)state;
	for (size_t i = 0; i < LEN(times); i++) {
		queue_id_time(times[i], now);
		assert_int_equal(strlen(now), QUEUE_ID_TIME);
		assert_true(i < 2 || strcmp(last, now) < 0);
		memcpy(last, now, sizeof last);
	}
	queue_id_time(clock_wall_us(), last);
	commit_one(&queue, 1, id);
	queue_id_time(clock_wall_us() + 1000000, now);
	assert_true(strncmp(last, id, QUEUE_ID_TIME) <= 0 && strncmp(id, now, QUEUE_ID_TIME) < 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, test_queue_remove)

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
		T(test_hash_of_the_next_hop), T(test_lock), T(test_is_current), T(test_ids_differ), T(test_id_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
