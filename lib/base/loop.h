/* SPDX-License-Identifier: ISC */
/*
 * base/loop.h - the one event loop of a process, on libevent. Callbacks run to
 * their end one after another. Time is the monotonic clock.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct loop {
	struct event_base *base;	/* owned */
	bool	 stop;			/* set by loop_stop: loop_run returns after this round */
	uint64_t round_ms;		/* when this round's first callback began */
};

void	loop_init(struct loop *l);
void	loop_fini(struct loop *l);
void	loop_run(struct loop *l);	/* until loop_stop, or nothing is left to wait for */
void	loop_stop(struct loop *l);

/* How long the present round has lasted: a worker accepts only while it is prompt. */
uint64_t	loop_lag_ms(const struct loop *l);
void		loop_began(void);	/* for those with events of their own (conn): a callback begins */

/*
 * A timer. Members are the timer's own; zero it before first use with
 * timer_init. Setting one that runs moves it, which costs nothing when it is moved away, as
 * deadlines mostly are. In callbacks it may be set again or its owner freed.
 */
struct timer {
	struct event	 ev;
	void		(*run)(void *arg);
	void		*arg;
	bool		 set;
	uint64_t	 due_ms;	/* monotonic */
	uint64_t	 wake_ms;	/* when the event comes: at due_ms or before */
};

void	timer_init(struct timer *t, struct loop *l, void (*run)(void *), void *arg);
void	timer_set(struct timer *t, uint64_t after_ms);
void	timer_clear(struct timer *t);

/* A descriptor that is watched; it stays the caller's. */
struct watch { struct event ev; void (*run)(void *arg, short what); void *arg; bool set; };

void	watch_init(struct watch *w, struct loop *l, int fd, short what /* EV_READ, EV_WRITE; stays set */,
	    void (*run)(void *, short), void *arg);
void	watch_on(struct watch *w);
void	watch_off(struct watch *w);

#endif
