/* SPDX-License-Identifier: ISC */
/*
 * daemon/testing.h - what the unit tests of processes share, beside base/testing.h: a loop that
 * turns for a while, and neighbours of which the test has the other end.
 */
#ifndef DAEMON_TESTING_H
#define DAEMON_TESTING_H

#include "base/testing.h"
#include "daemon/hidden.h"

static inline void
end_of_run(void *arg)
{
	loop_stop(arg);
}

/* For so long, or until loop_stop. */
static inline void
run_ms(struct loop *l, unsigned ms)
{
	struct timer t;

	timer_init(&t, l, end_of_run, l);
	timer_set(&t, ms);
	loop_run(l);
	timer_clear(&t);
}

/* One more that can be asked; its own end of the channel is returned. */
static inline struct channel *
neighbour(struct loop *l, struct peers *p, channel_frame on_frame, channel_gone on_gone, void *arg)
{
	struct channel *own;
	int fds[2];

	assert_true(ipc_pair(fds));
	own = channel_new(l, fds[1], on_frame, on_gone, arg);
	channel_is_asked(own);
	peers_add(p, 0, channel_new(l, fds[0], NULL, NULL, NULL));
	return own;
}

/* The same, as a service that the daemon asks from now on. */
static inline struct channel *
neighbour_of(struct daemon *d, const char *name, channel_frame on_frame, void *arg)
{
	struct hidden *h = d->hidden;
	struct peers *p = peers_new(name);

	assert_true(bytes_to_text(text(name), h->asked[d->npeers], sizeof h->asked[0]));
	d->peers[d->npeers++] = p;
	return neighbour(&d->loop, p, on_frame, NULL, arg);
}

#endif
