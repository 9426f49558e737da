/* SPDX-License-Identifier: ISC */
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"

static struct loop *running;	/* loops do not nest: the one in loop_run, or NULL */

void
loop_init(struct loop *l)
{
	struct event_config *cfg = event_config_new();

	*l = (struct loop){ 0 };
	/* No threads, so no locks. No cached time: a deadline set late in a long
	 * round would else be short by what the round has lasted. */
	if (!cfg || event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK) != 0
	    || event_config_set_flag(cfg, EVENT_BASE_FLAG_NO_CACHE_TIME) != 0
	    || !(l->base = event_base_new_with_config(cfg)))
		log_fatal("cannot make an event loop");
	event_config_free(cfg);
}

void
loop_fini(struct loop *l)
{
	if (l->base)
		event_base_free(l->base);
	l->base = NULL;
}

void
loop_run(struct loop *l)
{
	struct loop *outer = running;
	int st = 0;

	running = l;
	l->stop = false;
	while (!l->stop && st == 0) {		/* 1: nothing is left that could happen */
		l->round_ms = 0;
		st = event_base_loop(l->base, EVLOOP_ONCE);
	}
	l->round_ms = 0;
	running = outer;
	if (st == -1)
		log_fatal("the event loop failed");
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}

void
loop_began(void)
{
	if (running && running->round_ms == 0)
		running->round_ms = clock_mono_ms();
}

uint64_t
loop_lag_ms(const struct loop *l)
{
	return l->round_ms > 0 ? clock_mono_ms() - l->round_ms : 0;
}

static void
wake_after(struct timer *t, uint64_t after_ms)
{
	struct timeval tv = {
		.tv_sec = (time_t)(after_ms / 1000),
		.tv_usec = (suseconds_t)(after_ms % 1000 * 1000),
	};

	must(after_ms / 1000 < INT32_MAX);
	if (evtimer_add(&t->ev, &tv) != 0)
		log_fatal("out of memory: a timer");
	t->wake_ms = t->due_ms;
}

static void
timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;
	uint64_t now = t->due_ms > t->wake_ms ? clock_mono_ms() : t->due_ms;

	(void)fd;
	(void)what;
	loop_began();
	if (now < t->due_ms) {		/* moved away since */
		wake_after(t, t->due_ms - now);
		return;
	}
	t->set = false;
	t->run(t->arg);		/* may free t */
}

void
timer_init(struct timer *t, struct loop *l, void (*run)(void *), void *arg)
{
	*t = (struct timer){ .run = run, .arg = arg };
	must(evtimer_assign(&t->ev, l->base, timer_fired, t) == 0);
}

void
timer_set(struct timer *t, uint64_t after_ms)
{
	t->due_ms = clock_mono_ms() + after_ms;
	if (!t->set || t->due_ms < t->wake_ms)
		wake_after(t, after_ms);
	t->set = true;
}

void
timer_clear(struct timer *t)
{
	if (t->set)
		evtimer_del(&t->ev);
	t->set = false;
}

static void
watch_fired(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	loop_began();
	w->run(w->arg, what);	/* may free w */
}

void
watch_init(struct watch *w, struct loop *l, int fd, short what, void (*run)(void *, short), void *arg)
{
	*w = (struct watch){ .run = run, .arg = arg };
	must(event_assign(&w->ev, l->base, fd, (short)(what | EV_PERSIST), watch_fired, w) == 0);
}

void
watch_on(struct watch *w)
{
	if (!w->set && event_add(&w->ev, NULL) != 0)
		log_fatal("cannot watch descriptor %d", (int)event_get_fd(&w->ev));
	w->set = true;
}

void
watch_off(struct watch *w)
{
	if (w->set)
		event_del(&w->ev);
	w->set = false;
}
