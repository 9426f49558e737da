/* SPDX-License-Identifier: ISC */
/*
 * qmgr/tell.c - bounce is asked to tell the sender. It reads in the queue file what is to be told, so that has to be
 * saved before. The notification is durable when it answers; what is marked as told after it may be lost by a crash:
 * then the sender hears it twice, and never not at all.
 */
#include "base/mem.h"
#include "qmgr/qmgr.h"

struct telling { struct work *work; enum notice_kind kind; };

static void
on_notified(void *arg, struct ipc_in *in)
{
	struct telling *t = arg;
	struct work *w = t->work;
	struct qmgr *m = w->qmgr;
	enum notice_kind kind = t->kind;
	struct ipc_notified a;

	mem_free(t);
	if (in && in->type == IPC_notified && ipc_get_notified(in, &a) && a.result <= NOTICE_HOLD)
		settle_told(m, w, kind, a.result, a.reply);
	else
		settle_told(m, w, kind, NOTICE_LATER, text("bounce does not answer"));
	schedule_run(m->schedule);
}

void
tell_sender(struct qmgr *m, struct work *w, enum notice_kind kind)
{
	struct telling *t = mem_alloc(sizeof *t);

	*t = (struct telling){ w, kind };
	ipc_put_notify(&m->out, 0, &(struct ipc_notify){ .queue_id = text(w->message->id), .file = w->message->fd,
	    .kind = kind });
	peers_call(m->bounce, &m->out, (unsigned)m->settings->notify_timeout_ms, on_notified, t);
}
