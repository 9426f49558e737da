/* SPDX-License-Identifier: ISC */
/*
 * mail/queue_testing.h - what the tests of the queue share, beside mail/testing.h: a queue in the
 * test's folder, and messages in it.
 */
#ifndef MAIL_QUEUE_TESTING_H
#define MAIL_QUEUE_TESTING_H

#include <fcntl.h>

#include "base/file.h"
#include "mail/queue.h"
#include "mail/testing.h"

static struct queue queue;
static int queue_proc_fd;

/* 0, or -1: for a setup of cmocka's; as test_dir_make. */
static inline int
test_queue_make(const char *name, bool in_memory)
{
	int dir;

	if (test_dir_make(name, in_memory) == -1)
		return -1;
	queue_proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	dir = dir_open(AT_FDCWD, test_dir);
	assert_true(queue_open(&queue, dir, queue_proc_fd));
	close(dir);
	return 0;
}

/* A teardown of cmocka's. */
static inline int
test_queue_remove(void **state)
{
	queue_close(&queue);
	close(queue_proc_fd);
	return test_dir_remove(state);
}

static inline bool
count_name(void *arg, const char *name)
{
	(void)name;
	++*(unsigned *)arg;
	return true;
}

static inline unsigned
names_in(struct queue *q, enum queue_place place)
{
	unsigned n = 0;

	assert_true(queue_walk(q, place, count_name, &n));
	return n;
}

/* A message that is written and not committed yet. */
static inline void
draft_of(struct queue *q, struct bytes content, struct queue_draft *d, int *writer)
{
	assert_true(queue_draft_open(q, d, writer));
	assert_true(file_write(*writer, content));
}

static inline void
commit_of(struct queue *q, struct bytes content, const struct envelope *e, char id[QUEUE_ID_MAX + 1])
{
	struct queue_draft d;
	struct queue_commit c = { .draft = &d, .octets = content.n, .envelope = e };
	int writer;

	draft_of(q, content, &d, &writer);
	close(writer);
	memcpy(id, d.id, sizeof d.id);
	queue_commit(q, &c, 1);
	assert_true(c.ok);
	assert_int_equal(d.fd, -1);
}

static inline struct queue_message *
open_one(struct queue *q, enum queue_place place, const char *name)
{
	struct queue_message *m;

	assert_int_equal(queue_message_open(q, place, name, &m), QUEUE_READ);
	return m;
}

#endif
