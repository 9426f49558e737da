/* SPDX-License-Identifier: ISC */
#include "daemon/directory.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct directory_call {		/* a name that was asked for */
	struct directory_call *next;
	struct lookup	*lookup;	/* borrowed */
	struct account_known *name;	/* borrowed from its memo */
	uint64_t	 call;		/* peers_call's ticket */
};

struct check {
	struct check	*next;
	struct directory *all;
	uint64_t	 id, call;
	struct timer	 refused;	/* too many of them: it is not asked at all */
	void		(*done)(void *arg, enum verdict v);
	void		*arg;		/* borrowed */
};

struct directory {
	struct loop	*loop;		/* borrowed, as the next */
	struct peers	*peers;
	unsigned	 patience_ms;
	struct lookup	*first, **end;	/* borrowed: with names to be asked, each in its turn */
	struct check	*checks;	/* owned */
	size_t		 calls, nchecks;	/* without an answer yet */
	uint64_t	 issued;
	bool		 silent;	/* which the journal was told */
	struct ipc_out	 out;
};

/* ---- what the journal is told: once, until it has changed ---- */

static void
is_silent(struct directory *d, const char *why)
{
	if (!d->silent)
		log_warn("%s: accounts that only it knows can get no mail and cannot log in until it does; those are put off", why);
	d->silent = true;
}

static void
answers(struct directory *d)
{
	if (d->silent)
		log_info("directory answers again");
	d->silent = false;
}

/* ---- names ---- */

static void
enqueue(struct directory *d, struct lookup *k)
{
	k->next = NULL;
	k->queued = true;
	*d->end = k;
	d->end = &k->next;
}

static void
dequeue(struct directory *d, struct lookup *k)
{
	struct lookup **at = &d->first;

	if (!k->queued)
		return;
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	if (!*at)
		d->end = at;
	k->queued = false;
}

static void
drop_calls(struct lookup *k)
{
	while (k->calls) {
		struct directory_call *c = k->calls;

		k->calls = c->next;
		peers_cancel(k->all->peers, c->call);
		k->all->calls--;
		mem_free(c);
	}
}

static void	answered(void *arg, struct ipc_in *in);

/* One name of each lookup in turn, so that a list with a thousand holds up nobody else. */
static void
go_on(struct directory *d)
{
	while (d->first && d->calls < DIRECTORY_CALLS) {
		struct lookup *k = d->first;
		struct bytes name;
		struct account_known *known = account_memo_next(&k->memo, &name);
		struct directory_call *c;

		dequeue(d, k);
		if (!known)
			continue;
		enqueue(d, k);
		c = mem_alloc(sizeof *c);
		*c = (struct directory_call){ .next = k->calls, .lookup = k, .name = known };
		k->calls = c;
		d->calls++;
		ipc_put_directory_ask(&d->out, 0, &(struct ipc_directory_ask){ .name = name });
		c->call = peers_call(d->peers, &d->out, d->patience_ms, answered, c);
	}
}

static void
finish(struct lookup *k)
{
	timer_clear(&k->deadline);
	dequeue(k->all, k);		/* its last name was asked when there was room for no other */
	k->done(k->arg);		/* after this the lookup may be gone, and the struct directory with it */
}

/* Takes c, which is answered, out of its lookup. */
static void
unlink_call(struct directory_call *c)
{
	struct directory_call **at = &c->lookup->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->lookup->all->calls--;
	mem_free(c);
}

static void
answered(void *arg, struct ipc_in *in)
{
	struct directory_call *c = arg;
	struct lookup *k = c->lookup;
	struct directory *d = k->all;
	struct account_known *name = c->name;
	struct ipc_directory_answer m = { .verdict = NOT_SURE };
	bool sense = in && in->type == IPC_directory_answer && ipc_get_directory_answer(in, &m) && m.checks <= 1;

	unlink_call(c);
	sense &= account_memo_answer(&k->memo, name, sense ? (enum verdict)m.verdict : NOT_SURE, sense ? m.row : text(NULL),
	    sense && m.checks == 1);
	if (!in)
		is_silent(d, "directory does not answer");
	else if (!sense)
		is_silent(d, "directory's answer makes no sense");
	else
		answers(d);
	go_on(d);
	if (k->memo.wanted == 0)
		finish(k);
}

static void
on_deadline(void *arg)
{
	struct lookup *k = arg;

	if (k->memo.wanted > 0)
		is_silent(k->all, "directory does not answer in time");
	dequeue(k->all, k);
	drop_calls(k);
	account_memo_close(&k->memo);
	go_on(k->all);
	finish(k);
}

void
lookup_init(struct lookup *k, struct directory *d, void (*done)(void *arg), void *arg)
{
	*k = (struct lookup){ .all = d, .done = done, .arg = arg };
	account_memo_init(&k->memo);
	if (d)
		timer_init(&k->deadline, d->loop, on_deadline, k);
	else
		account_memo_close(&k->memo);
}

void
lookup_fini(struct lookup *k)
{
	if (k->all) {
		dequeue(k->all, k);
		drop_calls(k);
		timer_clear(&k->deadline);
		go_on(k->all);		/* others may have waited for its calls */
	}
	account_memo_fini(&k->memo);
}

void
lookup_begin(struct lookup *k)
{
	uint64_t now = clock_mono_ms();

	must(k->all && k->memo.wanted > 0 && !k->queued);
	if (k->until_ms == 0)
		k->until_ms = now + k->all->patience_ms;
	if (++k->rounds > DIRECTORY_ROUNDS) {
		account_memo_close(&k->memo);
		k->until_ms = now;
	} else
		enqueue(k->all, k);
	timer_set(&k->deadline, k->until_ms > now ? k->until_ms - now : 0);
	go_on(k->all);
}

/* ---- passwords ---- */

static void
check_free(struct check *c)
{
	struct check **at = &c->all->checks;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->all->nchecks--;
	timer_clear(&c->refused);
	mem_free(c);
}

static void
judged(struct check *c, enum verdict v)
{
	void (*done)(void *, enum verdict) = c->done;
	void *owner = c->arg;

	check_free(c);
	done(owner, v);			/* after this the owner may be gone, and the struct directory with it */
}

static void
on_checked(void *arg, struct ipc_in *in)
{
	struct check *c = arg;
	struct ipc_directory_checked m = { .verdict = NOT_SURE };
	bool sense = in && in->type == IPC_directory_checked && ipc_get_directory_checked(in, &m) && m.verdict <= NO;

	if (!in)
		is_silent(c->all, "directory does not answer");
	else if (!sense)
		is_silent(c->all, "directory's answer makes no sense");
	else
		answers(c->all);
	judged(c, sense ? (enum verdict)m.verdict : NOT_SURE);
}

static void
on_refused(void *arg)
{
	judged(arg, NOT_SURE);
}

uint64_t
directory_check(struct directory *d, struct bytes name, struct bytes password, struct bytes client,
    void (*done)(void *arg, enum verdict v), void *arg)
{
	struct check *c = mem_alloc(sizeof *c);

	*c = (struct check){ .next = d->checks, .all = d, .id = ++d->issued, .done = done, .arg = arg };
	d->checks = c;
	timer_init(&c->refused, d->loop, on_refused, c);
	if (d->nchecks++ >= DIRECTORY_CHECKS) {
		is_silent(d, "directory has more passwords to check than it can");
		timer_set(&c->refused, 0);
		return c->id;
	}
	ipc_put_directory_check(&d->out, 0, &(struct ipc_directory_check){ .name = name, .password = password, .client = client });
	c->call = peers_call(d->peers, &d->out, d->patience_ms, on_checked, c);
	buf_wipe(&d->out.frame);
	return c->id;
}

void
directory_check_cancel(struct directory *d, uint64_t check)
{
	struct check *c = d ? d->checks : NULL;

	while (c && c->id != check)
		c = c->next;
	if (!c)
		return;
	if (c->call)
		peers_cancel(d->peers, c->call);
	check_free(c);
}

/* ---- life ---- */

struct directory *
directory_new(struct loop *l, struct peers *peers, uint64_t timeout_ms)
{
	struct directory *d = mem_alloc(sizeof *d);

	*d = (struct directory){ .loop = l, .peers = peers, .patience_ms = (unsigned)timeout_ms + DIRECTORY_MORE_MS };
	d->end = &d->first;
	ipc_out_init(&d->out);
	return d;
}

void
directory_free(struct directory **d)
{
	if (!*d)
		return;
	must((*d)->first == NULL && (*d)->calls == 0);
	while ((*d)->checks)
		directory_check_cancel(*d, (*d)->checks->id);
	ipc_out_fini(&(*d)->out);
	mem_free(*d);
	*d = NULL;
}
