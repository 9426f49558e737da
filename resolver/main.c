/* SPDX-License-Identifier: ISC */
/*
 * resolver/main.c - ask the DNS, for everyone:  any process -> resolver -> the world
 *
 * The only process that speaks DNS, with one cache. Holds UDP and TCP sockets to servers, its askers' channels, and
 * the directory where the root's keys are kept; all that comes in by the sockets is a stranger's, and is looked at by
 * libunbound, then by proto/dns_message.c. What it says is data: askers check each record again.
 *
 * `hermod dns lookup` asks over a socket of its own, which only root, or whoever runs the suite, may open.
 */
#include "resolver/resolver.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define CLIENTS_MAX	32	/* of the hermod command, at once */
#define CLIENT_MS	60000	/* that one may say nothing */

struct resolver {
	struct daemon	*daemon;
	struct questions *questions;
	unsigned	 clients;
};

struct client {				/* a hermod command */
	struct resolver	*resolver;
	struct channel	*channel;	/* its own */
	struct timer	 deadline;
};

/* ---- the suite ------------------------------------------------------------------------------------- */

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	struct resolver *me = owner;

	return questions_take(me->questions, c, in);
}

static void
on_gone(void *owner, struct channel *c)
{
	struct resolver *me = owner;

	questions_forget(me->questions, c);
}

static uint32_t
sessions(void *owner)
{
	return questions_waiting(((struct resolver *)owner)->questions);
}

/* ---- the hermod command ------------------------------------------------------------------------------ */

static void
client_free(struct client *c)
{
	questions_forget(c->resolver->questions, c->channel);
	timer_clear(&c->deadline);
	c->resolver->clients--;
	mem_free(c);
}

static void
on_client_gone(void *arg, struct channel *channel)
{
	(void)channel;
	client_free(arg);
}

static bool
on_client_frame(void *arg, struct channel *channel, struct ipc_in *in)
{
	struct client *c = arg;

	timer_set(&c->deadline, CLIENT_MS);
	return questions_take(c->resolver->questions, channel, in);
}

static void
on_deadline(void *arg)
{
	struct client *c = arg;
	struct channel *channel = c->channel;

	client_free(c);
	channel_close(&channel);
}

static void
on_listen(void *owner, const char *setting, int fd)
{
	struct resolver *me = owner;
	struct client *c;

	(void)setting;
	if (me->clients >= CLIENTS_MAX) {
		log_info("a local command was turned away: %u are served now", me->clients);
		close(fd);
		return;
	}
	c = mem_alloc(sizeof *c);
	c->resolver = me;
	me->clients++;
	timer_init(&c->deadline, &me->daemon->loop, on_deadline, c);
	timer_set(&c->deadline, CLIENT_MS);
	c->channel = channel_new(&me->daemon->loop, fd, on_client_frame, on_client_gone, c);
}

/* ---- its life ------------------------------------------------------------------------------------------ */

/* libunbound names the file of the root's keys by its name alone. */
static void
enter(int dir)
{
	if (dir != -1 && fchdir(dir) == -1)
		log_errno("dns_directory");
}

/* A file of keys that was damaged is no reason to have no DNS: it is begun again. */
static struct recursor *
start_recursor(struct daemon *d, const struct resolver_settings *s)
{
	int dir = daemon_file(d, "dns_directory");
	struct recursor *r = NULL;
	char why[256] = "";
	struct buf initial;

	buf_init(&initial, ANCHOR_MAX);
	anchor_initial(s->trust_anchor_file, &initial);
	enter(dir);
	for (int tries = 0; tries < 2 && !r; tries++) {
		bool kept = !dns_insecure_root(s) && anchor_keep(dir, buf_bytes(&initial), tries > 0);

		r = recursor_new(&d->loop, s, buf_bytes(&initial), kept, why, sizeof why);
	}
	if (!r)
		log_fatal("libunbound does not start: %s; look at trust_anchor_file and dns_trust_anchors", why);
	buf_fini(&initial);
	return r;
}

int
main(void)
{
	struct daemon d;
	struct resolver_settings settings;
	struct resolver me = { .daemon = &d };
	struct recursor *recursor;

	daemon_start(&d, "resolver");
	daemon_settings(&d, resolver_settings, &settings);
	recursor = start_recursor(&d, &settings);
	daemon_confine(&d, KEEP_FILES | KEEP_WRITE | KEEP_ACCEPT | KEEP_NET_OUT);	/* ---- strangers only below ---- */
	enter(daemon_file(&d, "dns_directory"));
	me.questions = questions_new(&d, recursor, &settings);
	d.owner = &me;
	d.on_frame = on_frame;
	d.on_gone = on_gone;
	d.on_listen = on_listen;
	d.sessions = sessions;
	daemon_serve(&d);
	questions_free(&me.questions);
	recursor_free(&recursor);
	settings_free(resolver_settings, &settings);
	return daemon_stop(&d);
}
