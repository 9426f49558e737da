/* SPDX-License-Identifier: ISC */
/*
 * directory/line.c - one connection to the server, over which one thing is asked at a time; the others wait for their turn.
 *
 * What is begun has directory_timeout, from then on; when that is over the connection is given up. Who cannot be reached, or
 * says nothing, is left alone for a second, in which whoever asks is told so at once: nobody waits for a dead server in a row.
 */
#include <stdio.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "directory/directory.h"

#define CLOSED_MS	1000u
#define SAY_AGAIN_MS	60000u	/* that nobody is there */

struct line {
	struct daemon	*daemon;	/* borrowed, as the next three */
	const struct directory_settings *settings;
	const struct server_kind *kind;
	void		*server;
	bool		 checks;
	line_done	 done;
	bool		(*before)(void *, struct job *);
	void		*owner;

	TAILQ_HEAD(, job) waiting;
	bool		 running;	/* in next() */
	bool		 busy;		/* something is begun */
	bool		 retried;
	struct job	*current;	/* NULL: nobody waits for it any more */
	struct buf	 name, dn, password; /* owned: of what is begun */
	struct timer	 deadline;
	uint64_t	 closed_until_ms;
	bool		 lost;		/* the server was not there when it was asked last */
	uint64_t	 say_ms;	/* when that may be said again */
};

/* ---- one after the other ---- */

static void
wipe(struct line *l)
{
	buf_wipe(&l->name);
	buf_wipe(&l->dn);
	buf_wipe(&l->password);
}

static void
begin(struct line *l)
{
	if (l->checks)
		l->kind->check(l->server, buf_bytes(&l->dn), buf_bytes(&l->password));
	else
		l->kind->find(l->server, buf_bytes(&l->name));
}

static void
take(struct line *l, struct job *j)
{
	l->busy = true;
	l->retried = false;
	l->current = j;
	buf_add(&l->name, j->name);
	buf_add(&l->dn, j->dn);
	buf_add(&l->password, j->password);
	must(!l->name.full && !l->dn.full && !l->password.full);
	timer_set(&l->deadline, l->settings->timeout_ms);
	begin(l);
}

static void
next(struct line *l)
{
	struct job *j;

	if (l->running)
		return;
	l->running = true;
	while (!l->busy && (j = TAILQ_FIRST(&l->waiting)) != NULL) {
		if (l->before && l->before(l->owner, j))
			continue;
		TAILQ_REMOVE(&l->waiting, j, link);
		j->waits = NULL;
		if (clock_mono_ms() < l->closed_until_ms)
			l->done(l->owner, j, j->name, NOT_SURE, NULL, NULL);
		else
			take(l, j);
	}
	l->running = false;
}

static void
finish(struct line *l, enum verdict v, const struct found *f, const char *why)
{
	struct job *j = l->current;

	must(l->busy);
	timer_clear(&l->deadline);
	l->current = NULL;
	l->done(l->owner, j, buf_bytes(&l->name), v, f, why);
	wipe(l);
	l->busy = false;
	next(l);
}

/* ---- what a server says ---- */

static void
is_there(struct line *l)
{
	if (l->lost)
		log_info("the directory answers again");
	l->lost = false;
	l->say_ms = 0;
}

void
line_found(struct line *l, struct found *f)
{
	struct found taken = *f;

	*f = (struct found){ 0 };
	is_there(l);
	finish(l, taken.verdict, &taken, taken.why);
	found_fini(&taken);
}

void
line_checked(struct line *l, enum verdict v, const char *why)
{
	is_there(l);
	finish(l, v, NULL, why);
}

void
line_lost(struct line *l, const char *why, bool reused)
{
	uint64_t now = clock_mono_ms();
	char words[DIRECTORY_WHY];

	if (reused && !l->retried) {
		l->retried = true;
		begin(l);
		return;
	}
	if (!l->lost || now >= l->say_ms) {
		snprintf(words, sizeof words, "%s", why);
		words_tidy(words);
		log_warn("the directory cannot be asked: %s", log_text(text(words)));
		l->say_ms = now + SAY_AGAIN_MS;
	}
	l->lost = true;
	l->closed_until_ms = now + CLOSED_MS;
	finish(l, NOT_SURE, NULL, NULL);
}

static void
on_deadline(void *arg)
{
	struct line *l = arg;

	l->kind->drop(l->server, l->checks);
	line_lost(l, "no answer within directory_timeout", false);
}

/* ---- who asks ---- */

struct line *
line_new(struct daemon *d, const struct directory_settings *s, const struct server_kind *k, void *server, bool checks,
    line_done done, void *owner)
{
	struct line *l = mem_alloc(sizeof *l);

	*l = (struct line){ .daemon = d, .settings = s, .kind = k, .server = server, .checks = checks, .done = done, .owner = owner };
	TAILQ_INIT(&l->waiting);
	buf_init(&l->name, ACCOUNT_NAME_MAX);
	buf_init(&l->dn, FOUND_DN_MAX);
	buf_init(&l->password, ACCOUNT_PASSWORD_MAX);
	timer_init(&l->deadline, &d->loop, on_deadline, l);
	k->attach(server, l, checks);
	return l;
}

void
line_before(struct line *l, bool (*settled)(void *, struct job *))
{
	l->before = settled;
}

void
line_free(struct line **taken)
{
	struct line *l = *taken;

	*taken = NULL;
	if (!l)
		return;
	timer_clear(&l->deadline);
	wipe(l);
	mem_free(l);
}

void
line_add(struct line *l, struct job *j)
{
	j->waits = l;
	TAILQ_INSERT_TAIL(&l->waiting, j, link);
	next(l);
}

void
line_forget(struct line *l, struct job *j)
{
	if (l->current == j)
		l->current = NULL;
	if (j->waits == l)
		TAILQ_REMOVE(&l->waiting, j, link);
	j->waits = NULL;
}
