/* SPDX-License-Identifier: ISC */
/*
 * qmgr/control.c - the administrator's orders: hermod queue -> run_directory/queue.sock -> qmgr.
 *
 * Who is heard is in daemon/admins.h. One order a connection at a time; how it is carried out is in
 * qmgr/order.c. Who does not read the answers makes the order wait, not qmgr.
 */
#include "base/log.h"
#include "base/mem.h"
#include "daemon/admins.h"
#include "qmgr/order.h"

#define UNREAD_MAX	8	/* answers that were not taken yet: then the order waits */

struct control {
	struct qmgr	*qmgr;		/* borrowed */
	struct admins	 admins;	/* owned; their data: struct client */
};

struct client {
	struct control	*control;	/* borrowed */
	struct admin	*admin;		/* borrowed: it has us */
	uint32_t	 id;		/* of the order */
	struct run	*run;		/* owned; NULL: no order is being carried out */
	unsigned	 unread;
};

static struct client *
client_of(struct control *k, struct admin *a)
{
	struct client *c = a->data;

	if (!c) {
		c = a->data = mem_alloc(sizeof *c);
		*c = (struct client){ .control = k, .admin = a };
	}
	return c;
}

/* NULL: it has no order in work. */
static struct run *
run_of(const struct admin *a)
{
	const struct client *c = a->data;

	return c ? c->run : NULL;
}

static void
on_admin_gone(void *arg, struct admin *a)
{
	struct client *c = a->data;

	(void)arg;
	if (c)
		run_free(&c->run);
	mem_free(c);
}

/* ---- answers ---- */

static void
answer(struct client *c, const struct run_counts *n, struct bytes results, const char *fault)
{
	struct ipc_out *out = &c->control->qmgr->out;

	ipc_put_queue_obeyed(out, c->id, &(struct ipc_queue_obeyed){ .more = fault == NULL, .looked = n->looked,
	    .done = n->done, .busy = n->busy, .failed = n->failed, .results = results,
	    .fault = text(fault ? fault : "") });
	channel_reply(c->admin->channel, c->id, out);
}

static void
on_told(void *arg, const struct run_counts *n, struct bytes results, const char *fault)
{
	struct client *c = arg;

	answer(c, n, results, fault);
	if (fault) {
		c->run = NULL;			/* it frees itself */
		c->unread = 0;
		admin_idle(c->admin, true);
	} else if (++c->unread == UNREAD_MAX) {
		run_pause(c->run, true);
		admin_idle(c->admin, true);
	}
}

/* ---- orders ---- */

static bool
refuse(struct client *c, const char *fault)
{
	answer(c, &(struct run_counts){ 0 }, text(NULL), fault);
	return true;
}

static bool
on_order(struct client *c, struct ipc_in *in)
{
	struct qmgr *m = c->control->qmgr;
	struct ipc_queue_order o;
	struct command *command;
	const char *fault;

	c->id = in->id;
	if (c->run || !ipc_get_queue_order(in, &o))
		return false;
	if (m->daemon->draining)
		return refuse(c, "qmgr makes room for another; give the order again");
	command = command_new(&o, c->admin->uid, &fault);
	if (!command)
		return refuse(c, fault);
	c->run = run_new(m, command, o.dry != 0, o.named != 0, o.queue_ids, on_told, c);
	admin_idle(c->admin, false);
	return c->run || refuse(c, "the queue ids make no sense");
}

static bool
on_go_on(struct client *c, struct ipc_in *in)
{
	struct ipc_queue_go_on m;

	if (!ipc_get_queue_go_on(in, &m))
		return false;
	if (c->unread == 0)			/* of an order that came to its end meanwhile */
		return true;
	if (c->unread-- == UNREAD_MAX) {
		admin_idle(c->admin, false);
		run_pause(c->run, false);
	}
	return true;
}

static bool
on_admin_frame(void *arg, struct admin *a, struct ipc_in *in)
{
	switch (in->type) {
	case IPC_queue_order:	return on_order(client_of(arg, a), in);
	case IPC_queue_go_on:	return on_go_on(client_of(arg, a), in);
	}
	return false;
}

void
control_accept(struct control *k, int fd)
{
	admins_accept(&k->admins, fd);
}

/* ---- what the other parts of qmgr tell ---- */

void
control_taken(struct control *k, struct work *w)
{
	for (struct admin *a = k->admins.first; a; a = a->next)
		if (run_of(a))
			run_taken(run_of(a), w);
}

void
control_drain(struct control *k)
{
	for (struct admin *a = k->admins.first; a; a = a->next)
		if (run_of(a))
			run_drain(run_of(a));
}

struct control *
control_new(struct qmgr *m)
{
	struct control *k = mem_alloc(sizeof *k);

	*k = (struct control){ .qmgr = m, .admins = { .loop = &m->daemon->loop, .frame = on_admin_frame, .gone = on_admin_gone,
	    .arg = k } };
	return k;
}

void
control_free(struct control **taken)
{
	admins_close(&(*taken)->admins);
	mem_free(*taken);
	*taken = NULL;
}
