/* SPDX-License-Identifier: ISC */
/*
 * pickup/main.c - take mail from the sendmail command, show the queue to mailq:
 *	sendmail -> pickup -> cleanup -> queue
 *
 * Its socket may be opened by every user of the host: what comes from there is
 * believed in nothing but the uid, which the kernel says. The message is in
 * pickup/submission.c, what came while the suite was down in pickup/drops.c, the
 * list in pickup/list.c.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pickup/pickup.h"

struct client {
	struct pickup	*pickup;		/* borrowed */
	struct channel	*channel;		/* its own */
	struct submission *submission;		/* owned */
	uint32_t	 id;			/* of the frame that is answered next */
	struct queue_lister *lister;		/* owned; NULL: no list in progress */
	uint32_t	 uid;			/* as the kernel says */
	struct timer	 deadline;
};

static void
client_free(struct client *c)
{
	struct pickup *p = c->pickup;

	timer_clear(&c->deadline);
	submission_free(&c->submission);
	queue_lister_free(&c->lister);
	p->clients--;
	p->daemon->served++;
	mem_free(c);
	if (p->daemon->draining)
		daemon_settled(p->daemon);
}

static void
on_client_gone(void *arg, struct channel *channel)
{
	(void)channel;
	client_free(arg);
}

static void
on_deadline(void *arg)
{
	struct client *c = arg;
	struct channel *channel = c->channel;

	if (submission_waits(c->submission)) {
		timer_set(&c->deadline, c->pickup->settings->timeout_ms);
		return;
	}
	log_info("a local command said nothing for too long; closed");
	client_free(c);
	channel_close(&channel);
}

static void
on_answer(void *arg, unsigned code, struct bytes words, const char *queue_id)
{
	struct client *c = arg;
	struct pickup *p = c->pickup;

	ipc_put_submitted(&p->out, c->id, &(struct ipc_submitted){ .code = code, .reply = words,
	    .queue_id = text(queue_id) });
	channel_reply(c->channel, c->id, &p->out);
}

static bool
list(struct client *c, struct ipc_in *in)
{
	struct ipc_queue_list m;

	if (!ipc_get_queue_list(in, &m))
		return false;
	if (c->lister == NULL)
		c->lister = queue_lister_new(c->pickup, c->uid);
	queue_lister_batch(c->lister, c->channel, in->id);
	return true;
}

static bool
on_client_frame(void *arg, struct channel *channel, struct ipc_in *in)
{
	struct client *c = arg;

	(void)channel;
	timer_set(&c->deadline, c->pickup->settings->timeout_ms);
	if (in->type == IPC_queue_list)
		return list(c, in);
	if (submission_waits(c->submission))
		return false;			/* it does not wait for its answers */
	c->id = in->id;
	return submission_frame(c->submission, in);
}

static void
on_listen(void *owner, const char *setting, int fd)
{
	struct pickup *p = owner;
	struct client *c;
	struct ucred who;
	socklen_t len = sizeof who;

	(void)setting;
	if (p->daemon->draining || p->clients >= p->settings->clients
	    || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == -1) {
		log_info("a local command was turned away: %u are served now", (unsigned)p->clients);
		close(fd);
		return;
	}
	c = mem_alloc(sizeof *c);
	c->pickup = p;
	p->clients++;
	timer_init(&c->deadline, &p->daemon->loop, on_deadline, c);
	timer_set(&c->deadline, p->settings->timeout_ms);
	c->channel = channel_new(&p->daemon->loop, fd, on_client_frame, on_client_gone, c);
	c->uid = (uint32_t)who.uid;
	c->submission = submission_new(p, c->uid, on_answer, c);
}

static uint32_t
sessions(void *owner)
{
	return ((struct pickup *)owner)->clients;
}

int
main(void)
{
	struct daemon d;
	struct pickup_settings settings;
	struct pickup p = { .daemon = &d, .settings = &settings };

	daemon_start(&d, "pickup");
	daemon_settings(&d, pickup_settings, &settings);
	if (!queue_open(&p.queue, daemon_file(&d, "queue_directory"), daemon_proc_fd(&d)))
		log_fatal("cannot open the queue");
	if (!drops_open(&p))
		log_fatal("cannot open the drop folder");
	daemon_confine(&d, KEEP_FILES | KEEP_WRITE | KEEP_ACCEPT);	/* ---- strangers only below ---- */
	p.router = daemon_peers(&d, "router");
	p.cleanup = daemon_peers(&d, "cleanup");
	ipc_out_init(&p.out);
	buf_init(&p.records, ENVELOPE_MAX);
	d.owner = &p;
	d.on_listen = on_listen;
	d.sessions = sessions;
	drops_serve(&p);
	daemon_serve(&d);
	drops_close(&p);
	queue_close(&p.queue);
	ipc_out_fini(&p.out);
	buf_fini(&p.records);
	settings_free(pickup_settings, &settings);
	return daemon_stop(&d);
}
