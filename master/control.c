/* SPDX-License-Identifier: ISC */
/*
 * master/control.c - the hermod command: run_directory/master.sock, for root and
 * whoever master runs as. A command is answered by frames of one JSON object or of
 * words, the last with more = 0. A client that stays silent or does not read loses
 * its channel; it cannot hold master up.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/json.h"
#include "master/master.h"

#define CLIENTS		8
#define COMMAND_MS	10000	/* for a client to say what it wants */
#define REPORT_MS	2000	/* for a process to say how it is */

struct client {
	struct control	*control;
	struct channel	*channel;	/* owned; NULL: free */
	uint32_t	 id;		/* of the command that is being answered */
	unsigned	 reports;	/* still awaited */
	bool		 waits_stop, waits_reload;
	struct timer	 limit;
};

struct asked { struct client *client; struct process *process; uint64_t serial; };

struct control {
	struct loop	*loop;
	struct house	*house;
	struct watch	 listen;
	int		 listen_fd;	/* borrowed */
	struct client	 client[CLIENTS];
};

/* ---- answers ------------------------------------------------------------------------------ */

static void
answer(struct client *cl, uint32_t status, bool more, struct bytes words)
{
	struct ipc_answer m = { .status = status, .more = more, .text = words };
	struct ipc_out out;

	if (!cl->channel)
		return;
	ipc_out_init(&out);
	ipc_put_answer(&out, cl->id, &m);
	channel_reply(cl->channel, cl->id, &out);
	ipc_out_fini(&out);
}

static void
client_gone(void *arg, struct channel *c)
{
	struct client *cl = arg;

	(void)c;
	timer_clear(&cl->limit);
	cl->channel = NULL;
	cl->waits_stop = cl->waits_reload = false;
}

static void
client_silent(void *arg)
{
	struct client *cl = arg;

	channel_close(&cl->channel);
	client_gone(cl, NULL);
}

/* ---- status ------------------------------------------------------------------------------- */

static const char *
state_of(const struct process *p)
{
	bool draining = p == p->house->journal ? p->house->stopping : p->generation->draining;

	return p->pid == 0 ? "dead" : draining ? "draining" : p->ready ? "ready" : "starting";
}

static void
add_process(struct buf *line, const struct process *p)
{
	buf_char(line, '{');
	json_text(line, "service", text(p->service->name));
	json_number(line, "slot", p->slot);
	json_number(line, "generation", p->generation->number);
	json_number(line, "pid", (uint64_t)p->pid);
	json_text(line, "state", text(state_of(p)));
	json_number(line, "restarts", p->restarts);
	json_number(line, "uptime_ms", p->pid ? clock_mono_ms() - p->started_ms : 0);
	json_number(line, "sessions", p->sessions);
	json_number(line, "served", p->served);
	json_text(line, "note", text(p->note));
	json_text(line, "what", text(p->service->what));
	buf_char(line, '}');
}

static void
add_master(struct buf *line, const struct house *h)
{
	buf_char(line, '{');
	json_text(line, "service", text("master"));
	json_number(line, "slot", 0);
	json_number(line, "generation", h->newest->number);
	json_number(line, "pid", (uint64_t)getpid());
	json_text(line, "state", text(h->stopping ? "stopping" : h->settled ? "starting" : "ready"));
	json_number(line, "uptime_ms", clock_mono_ms() - h->began_ms);
	json_text(line, "what", text("starts the others"));
	buf_char(line, '}');
}

static void
answer_status(struct client *cl)
{
	const struct house *h = cl->control->house;
	struct buf line;

	buf_init(&line, 8192);
	add_master(&line, h);
	answer(cl, 0, true, buf_bytes(&line));
	for (const struct process *p = house_next(h, NULL); p; p = house_next(h, p)) {
		if (p->pid == 0 && p->generation->draining && p != h->journal)
			continue;
		buf_clear(&line);
		add_process(&line, p);
		answer(cl, 0, true, buf_bytes(&line));
	}
	buf_fini(&line);
	answer(cl, 0, false, text(""));
}

/* The process may be another one by now, or gone: only the report itself is used, and kept where it still is
 * the process's. */
static void
take_report(struct process *p, uint64_t serial, struct ipc_in *in)
{
	struct ipc_reported m;

	if (!in || !ipc_get_reported(in, &m) || !p->control || channel_serial(p->control) != serial)
		return;
	p->sessions = m.sessions;
	p->served = m.served;
	bytes_to_text(m.note, p->note, sizeof p->note);
}

static void
reported(void *arg, struct ipc_in *in)
{
	struct asked *a = arg;
	struct client *cl = a->client;

	if (in)			/* no answer: its process, and what stood there, may be gone */
		take_report(a->process, a->serial, in);
	mem_free(a);
	if (--cl->reports == 0)
		answer_status(cl);
}

static void
do_status(struct client *cl)
{
	struct ipc_report m = { 0 };
	struct ipc_out out;

	ipc_out_init(&out);
	cl->reports = 1;		/* ours: what answers at once does not end it */
	for (struct process *p = house_next(cl->control->house, NULL); p; p = house_next(cl->control->house, p)) {
		struct asked *a;

		if (!p->control || !p->ready)
			continue;
		a = mem_alloc(sizeof *a);
		*a = (struct asked){ cl, p, channel_serial(p->control) };
		cl->reports++;
		ipc_put_report(&out, 0, &m);
		channel_call(p->control, &out, REPORT_MS, reported, a);
	}
	ipc_out_fini(&out);
	if (--cl->reports == 0)
		answer_status(cl);
}

/* ---- stop, reload ---------------------------------------------------------------------------- */

static void
stopped(void *arg)
{
	struct control *c = arg;

	for (size_t i = 0; i < CLIENTS; i++)
		if (c->client[i].waits_stop)
			answer(&c->client[i], 0, false, text("stopped"));
	loop_stop(c->loop);
}

void
control_stop(struct control *c)
{
	house_stop(c->house, stopped, c);
}

static void
reloaded(void *arg, bool good, const char *why)
{
	struct control *c = arg;

	if (good)
		log_info("the configuration was read again");
	for (size_t i = 0; i < CLIENTS; i++)
		if (c->client[i].waits_reload) {
			c->client[i].waits_reload = false;
			answer(&c->client[i], !good, false, text(good ? "reloaded" : why));
		}
}

/* False: what is wrong, in faults; nothing has changed. */
static bool
reload(struct control *c, struct buf *faults)
{
	struct house *h = c->house;
	struct config *config;
	const char *fixed;

	if (h->stopping || house_busy(h)) {
		buf_text(faults, "a start, reload or stop goes on already; try again in a moment\n");
		return false;
	}
	if (!(config = config_load(h->path, faults)))
		return false;
	if ((fixed = config_fixed_change(h->newest->config, config)))
		buf_fmt(faults, "%s: %s: is changed, which a reload cannot do; right would be `hermod stop`, then "
		    "`hermod start`\n", h->path, fixed);
	if (fixed || !place_listen(h->place, config, faults)) {
		struct buf unused;

		buf_init(&unused, 4096);
		place_listen(h->place, h->newest->config, &unused);	/* marks what was wanted before */
		place_unlisten(h->place);
		buf_fini(&unused);
		config_free(&config);
		return false;
	}
	house_reopen(h);
	house_begin(h, config, reloaded, c);
	return true;
}

void
control_reload(struct control *c)
{
	struct buf faults;
	struct bytes rest;

	buf_init(&faults, 65536);
	if (!reload(c, &faults)) {
		rest = buf_bytes(&faults);
		while (rest.n > 0)
			log_warn("reload refused: %s", log_text(bytes_cut(&rest, '\n')));
	}
	buf_fini(&faults);
}

static void
do_reload(struct client *cl)
{
	struct buf faults;

	buf_init(&faults, 40000);
	if (reload(cl->control, &faults))
		cl->waits_reload = true;
	else
		answer(cl, 1, false, buf_bytes(&faults));
	buf_fini(&faults);
}

/* ---- clients --------------------------------------------------------------------------------------- */

static bool
client_frame(void *arg, struct channel *ch, struct ipc_in *in)
{
	struct client *cl = arg;
	struct ipc_command m;

	(void)ch;
	cl->id = in->id;
	if (in->type != IPC_command || !ipc_get_command(in, &m) || cl->reports > 0 || cl->waits_stop
	    || cl->waits_reload)
		return false;
	timer_clear(&cl->limit);
	if (bytes_eq(m.verb, text("status")))
		do_status(cl);
	else if (bytes_eq(m.verb, text("reload")))
		do_reload(cl);
	else if (bytes_eq(m.verb, text("reopen"))) {
		house_reopen(cl->control->house);
		answer(cl, 0, false, text("the log file is opened anew"));
	} else if (bytes_eq(m.verb, text("stop"))) {
		cl->waits_stop = true;
		control_stop(cl->control);
	} else
		answer(cl, 1, false, text("this master does not know that command"));
	return true;
}

static bool
may_command(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0
	    && (peer.uid == 0 || peer.uid == geteuid());
}

static void
accept_client(void *arg, short what)
{
	struct control *c = arg;
	struct client *cl = c->client;
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (fd == -1)
		return;
	while (cl < c->client + CLIENTS && (cl->channel || cl->reports > 0))
		cl++;
	if (cl == c->client + CLIENTS || !may_command(fd)) {
		close(fd);
		return;
	}
	*cl = (struct client){ .control = c };
	timer_init(&cl->limit, c->loop, client_silent, cl);
	timer_set(&cl->limit, COMMAND_MS);
	cl->channel = channel_new(c->loop, fd, client_frame, client_gone, cl);
	channel_is_asked(cl->channel);
}

struct control *
control_new(struct loop *l, struct house *h, int listen_fd)
{
	struct control *c = mem_alloc(sizeof *c);

	c->loop = l;
	c->house = h;
	c->listen_fd = listen_fd;
	watch_init(&c->listen, l, listen_fd, EV_READ, accept_client, c);
	watch_on(&c->listen);
	return c;
}
