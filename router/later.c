/* SPDX-License-Identifier: ISC */
#include "router/later.h"

#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/directory.h"

struct question {
	TAILQ_ENTRY(question) link;
	struct later	*all;
	struct channel	*channel;	/* borrowed: goes with it; NULL: our own */
	uint32_t	 type, id;
	struct buf	 body;		/* owned: the frame's */
	later_run	 run;
	void		*arg;		/* borrowed */
	struct lookup	 lookup;
};

struct later {
	struct loop	*loop;		/* borrowed */
	struct accounts	*accounts;	/* borrowed */
	struct directory *directory;	/* owned; NULL: there is none */
	TAILQ_HEAD(, question) list;
	size_t		 n;
	bool		 crowded;	/* which the journal was told */
};

static void
question_free(struct question *q)
{
	TAILQ_REMOVE(&q->all->list, q, link);
	if (--q->all->n < LATER_MAX / 2)
		q->all->crowded = false;
	lookup_fini(&q->lookup);
	buf_fini(&q->body);
	mem_free(q);
}

static enum said
run(struct later *l, struct account_memo *memo, struct channel *c, struct ipc_in *in, later_run answer, void *arg)
{
	enum said said;

	accounts_remember(l->accounts, memo);
	said = answer(arg, c, in);
	must(said != SAID_LATER || accounts_want(l->accounts));
	accounts_remember(l->accounts, NULL);
	return said;
}

static void
on_known(void *arg)
{
	struct question *q = arg;
	struct ipc_in in;

	ipc_in_bytes(&in, buf_bytes(&q->body));
	in.type = q->type;
	in.id = q->id;
	if (run(q->all, &q->lookup.memo, q->channel, &in, q->run, q->arg) == SAID_LATER)
		lookup_begin(&q->lookup);
	else
		question_free(q);
}

/* The first look, by a question that is only kept if it is not enough. */
static bool
look(struct later *l, struct channel *c, struct ipc_in *in, later_run answer, void *arg)
{
	struct question *q = mem_alloc(sizeof *q);
	struct bytes body = in->rest;
	enum said said;

	*q = (struct question){ .all = l, .channel = c, .type = in->type, .id = in->id, .run = answer, .arg = arg };
	buf_init(&q->body, IPC_FRAME_MAX);
	lookup_init(&q->lookup, l->directory, on_known, q);
	if (l->n >= LATER_MAX) {
		account_memo_close(&q->lookup.memo);
		if (!l->crowded)
			log_warn("%zu questions wait for the directory: further ones are put off until they are fewer", l->n);
		l->crowded = true;
	}
	TAILQ_INSERT_TAIL(&l->list, q, link);
	l->n++;
	said = run(l, &q->lookup.memo, c, in, answer, arg);
	if (said == SAID_LATER) {
		buf_add(&q->body, body);
		lookup_begin(&q->lookup);
	} else
		question_free(q);
	return said != NONSENSE;
}

bool
later_frame(struct later *l, struct channel *c, struct ipc_in *in, later_run answer, void *arg)
{
	return l->directory ? look(l, c, in, answer, arg) : answer(arg, c, in) == SAID;
}

void
later_gone(struct later *l, const struct channel *c)
{
	struct question *q = TAILQ_FIRST(&l->list), *next;

	for (; q; q = next) {
		next = TAILQ_NEXT(q, link);
		if (q->channel == c)
			question_free(q);
	}
}

bool
later_needed(const struct later *l, enum verdict v)
{
	return v == NOT_SURE && accounts_want(l->accounts);
}

size_t
later_waiting(const struct later *l)
{
	return l->n;
}

struct later *
later_new(struct loop *loop, struct peers *directory, uint64_t timeout_ms, struct accounts *a)
{
	struct later *l = mem_alloc(sizeof *l);

	*l = (struct later){ .loop = loop, .accounts = a };
	if (directory)
		l->directory = directory_new(loop, directory, timeout_ms);
	TAILQ_INIT(&l->list);
	return l;
}

void
later_free(struct later **l)
{
	while (!TAILQ_EMPTY(&(*l)->list))
		question_free(TAILQ_FIRST(&(*l)->list));
	directory_free(&(*l)->directory);
	mem_free(*l);
	*l = NULL;
}
