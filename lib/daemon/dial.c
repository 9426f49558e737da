/* SPDX-License-Identifier: ISC */
/*
 * daemon/dial.c - connections to local servers, made by master.
 */
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon/daemon.h"

struct dial {
	struct dial	*next, **at;	/* of those that wait */
	uint64_t	 ticket;
	uint64_t	 call;
	void		(*done)(void *, int, int);
	void		*arg;
};

static struct dial *waiting;	/* there is one channel to master a process */
static uint64_t tickets;

static void
dial_free(struct dial *w)
{
	*w->at = w->next;
	if (w->next)
		w->next->at = w->at;
	mem_free(w);
}

static void
on_dialled(void *arg, struct ipc_in *in)
{
	struct dial *w = arg;
	void (*done)(void *, int, int) = w->done;
	void *owner = w->arg;
	struct ipc_dialled m = { .status = ETIMEDOUT, .fd = -1 };

	if (in && (!ipc_get_dialled(in, &m) || (m.status == 0 && m.fd == -1)))
		m = (struct ipc_dialled){ .status = EMFILE, .fd = -1 };	/* this process had no room for it */
	dial_free(w);
	done(owner, m.fd, (int)m.status);
}

uint64_t
daemon_dial(struct daemon *d, uint32_t which, unsigned timeout_ms, void (*done)(void *, int, int), void *arg)
{
	struct dial *w = mem_alloc(sizeof *w);
	struct ipc_out out;

	*w = (struct dial){ .next = waiting, .at = &waiting, .ticket = ++tickets, .done = done, .arg = arg };
	if (w->next)
		w->next->at = &w->next;
	waiting = w;
	ipc_out_init(&out);
	ipc_put_dial(&out, 0, &(struct ipc_dial){ .which = which });
	if (d->master)			/* else the loop ends with this round: there will be no answer */
		w->call = channel_call(d->master, &out, timeout_ms, on_dialled, w);
	ipc_out_fini(&out);
	return w->ticket;
}

void
daemon_dial_cancel(struct daemon *d, uint64_t ticket)
{
	for (struct dial *w = waiting; w && ticket != 0; w = w->next) {
		if (w->ticket != ticket)
			continue;
		if (d->master)
			channel_cancel(d->master, w->call);
		dial_free(w);
		return;
	}
}
