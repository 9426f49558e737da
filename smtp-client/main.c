/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/main.c - mail to other hosts:  qmgr -> smtp-client -> the next hop's server
 *
 * Connects to strangers, and to nothing else: it holds no file but those of the messages that it is sending, read-only,
 * and asks nobody but the resolver and fetch. It believes nothing that a server or the DNS says. A message's way through it is in
 * smtp-client/job.c, the conversation in mail/smtp_client.h; client.h says where the rest is.
 */
#include "smtp-client/client.h"

#include "base/log.h"

static bool
on_frame(void *arg, struct channel *from, struct ipc_in *in)
{
	struct client *c = arg;
	uint32_t id = in->id;
	struct ipc_relay m;

	if (in->type != IPC_relay || !ipc_get_relay(in, &m))
		return false;
	c->daemon->served++;
	return job_begin(c, from, id, &m);
}

static void
on_gone(void *arg, struct channel *from)
{
	job_forget(arg, from);
}

static void
on_drain(void *arg)
{
	struct client *c = arg;

	pool_close(c->pool);
}

static void
on_stop(void *arg)
{
	job_stop(arg);
}

static void
on_report(void *arg, struct buf *note)
{
	client_report(arg, note);
}

static uint32_t
sessions(void *arg)
{
	const struct client *c = arg;

	return c->njobs;
}

int
main(void)
{
	struct daemon d;
	struct smtp_client_settings settings;
	struct client c = { .daemon = &d, .settings = &settings };

	daemon_start(&d, "smtp-client");
	daemon_settings(&d, smtp_client_settings, &settings);
	client_init(&c);
	daemon_confine(&d, KEEP_NET_OUT);		/* ---- strangers only below ---- */
	client_serve(&c);
	d.owner = &c;
	d.on_frame = on_frame;
	d.on_gone = on_gone;
	d.on_drain = on_drain;
	d.on_stop = on_stop;
	d.on_report = on_report;
	d.sessions = sessions;
	daemon_serve(&d);
	client_fini(&c);
	settings_free(smtp_client_settings, &settings);
	return daemon_stop(&d);
}
