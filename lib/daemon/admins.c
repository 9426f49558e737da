/* SPDX-License-Identifier: ISC */
#include "daemon/admins.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static void
admin_free(struct admin *a)
{
	struct admins *all = a->all;
	struct admin **at = &all->first;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	all->n--;
	timer_clear(&a->idle);
	if (all->gone)
		all->gone(all->arg, a);
	mem_free(a);
}

static void
admin_close(struct admin *a)
{
	struct channel *channel = a->channel;

	admin_free(a);
	channel_close(&channel);
}

static void
on_gone(void *arg, struct channel *channel)
{
	(void)channel;
	admin_free(arg);
}

static void
on_idle(void *arg)
{
	admin_close(arg);
}

static bool
on_frame(void *arg, struct channel *channel, struct ipc_in *in)
{
	struct admin *a = arg;

	(void)channel;
	return a->all->frame(a->all->arg, a, in);
}

void
admin_idle(struct admin *a, bool on)
{
	if (on)
		timer_set(&a->idle, ADMINS_IDLE_MS);
	else
		timer_clear(&a->idle);
}

void
admins_accept(struct admins *all, int fd)
{
	struct ucred who;
	socklen_t len = sizeof who;
	struct admin *a;

	if (all->n >= ADMINS_MAX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1
	    || (who.uid != 0 && who.uid != geteuid())) {
		close(fd);
		return;
	}
	a = mem_alloc(sizeof *a);
	*a = (struct admin){ .all = all, .uid = (uint32_t)who.uid, .next = all->first };
	all->first = a;
	all->n++;
	timer_init(&a->idle, all->loop, on_idle, a);
	admin_idle(a, true);
	a->channel = channel_new(all->loop, fd, on_frame, on_gone, a);
}

void
admins_close(struct admins *all)
{
	while (all->first)
		admin_close(all->first);
}
