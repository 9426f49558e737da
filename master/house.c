/* SPDX-License-Identifier: ISC */
/*
 * master/house.c - all processes: who is there, who talks to whom, who is started
 * again. A generation is one set of processes with one configuration; a reload
 * starts another beside it, and the older one takes nothing new and ends with its
 * sessions. The journal alone is one for all generations.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "daemon/clients.h"
#include "daemon/tally.h"
#include "daemon/voucher.h"
#include "master/master.h"

#define SERVED_MS	1000	/* who served that long is started again at once */
#define AGAIN_LEAST_MS	100	/* who did not waits that long, twice as long the next time, */
#define AGAIN_MOST_MS	10000	/* up to this */
#define END_MS		3000	/* for a process whose channel is closed to end */

static void	process_start(void *arg);

/* ---- walking ------------------------------------------------------------------------------ */

struct process *
house_next(const struct house *h, const struct process *p)
{
	const struct generation *g;

	if (!p)
		return h->newest ? h->newest->process : NULL;
	if (p + 1 < p->generation->process + p->generation->n)
		return (struct process *)p + 1;
	for (g = p->generation->older; g && g->n == 0; g = g->older)
		;
	return g ? g->process : NULL;
}

static bool
is_journal(const struct process *p)
{
	return strcmp(p->service->name, "journal") == 0;
}

static bool
asks(const struct service *a, const struct service *b)
{
	for (size_t i = 0; i < LEN(a->asks) && a->asks[i]; i++)
		if (strcmp(a->asks[i], b->name) == 0)
			return true;
	return false;
}

bool
process_pending(const struct process *p)
{
	return !p->ready && !p->generation->draining;
}

/* ---- what a process is handed ---------------------------------------------------------------- */

static void
send_setting(struct process *p, struct ipc_out *out, const char *name)
{
	struct ipc_setting m = { .name = text(name), .value = text(settings_value(p->generation->config->file, name)) };

	ipc_put_setting(out, 0, &m);
	channel_send(p->control, out);
}

static void
send_settings(struct process *p, struct ipc_out *out)
{
	for (const struct setting *s = p->service->settings; s->name; s++)
		send_setting(p, out, s->name);
	for (size_t i = 0; i < LEN(p->service->more) && p->service->more[i]; i++)
		for (const struct setting *s = p->service->more[i]; s->name; s++)
			if (!settings_find(p->service->settings, s->name))
				send_setting(p, out, s->name);
}

static void
send_listeners(struct process *p, struct ipc_out *out)
{
	const struct place *place = p->house->place;

	for (size_t i = 0; i < LISTENERS_MAX; i++)
		for (size_t j = 0; j < LEN(p->service->listens) && p->service->listens[j]; j++) {
			const struct listener *l = &place->listeners[i];
			struct ipc_listener m = { .name = text(l->setting), .fd = l->fd };

			if (l->fd != -1 && l->wanted && strcmp(l->setting, p->service->listens[j]) == 0) {
				ipc_put_listener(out, 0, &m);
				channel_send(p->control, out);
			}
		}
}

static void
send_file(struct process *p, struct ipc_out *out, const char *name, int fd)
{
	struct ipc_file m = { .name = text(name), .fd = fd };

	if (fd == -1)
		return;
	ipc_put_file(out, 0, &m);
	channel_send(p->control, out);
}

static void
send_numbered(struct process *p, struct ipc_out *out, const char *what, const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof name, "%s.%zu", what, i);
		send_file(p, out, name, fds[i]);
	}
}

/* Directories that are handed over open; a table's is opened by its program, by name, before it is confined. */
static void
send_files(struct process *p, struct ipc_out *out)
{
	send_file(p, out, "root", p->house->place->root_fd);
	for (size_t i = 0; i < LEN(p->service->dirs) && p->service->dirs[i]; i++) {
		const char *name = p->service->dirs[i] + (p->service->dirs[i][0] == '+');

		if (strcmp(name, "queue_directory") == 0)
			send_file(p, out, name, p->house->place->queue_fd);
		else if (strcmp(name, "log_directory") == 0)
			send_file(p, out, name, p->house->place->log_fd);
		else if (strcmp(name, "dns_directory") == 0)
			send_file(p, out, name, p->house->place->dns_fd);
		else if (strcmp(name, "auth_directory") == 0)
			send_file(p, out, name, p->house->place->auth_fd);
		else if (strcmp(name, "mta_sts_directory") == 0)
			send_file(p, out, name, p->house->place->mta_sts_fd);
		else if (strcmp(name, "tls_report_directory") == 0)
			send_file(p, out, name, p->house->place->tls_report_fd);
	}
	send_file(p, out, "clients", p->generation->clients_fd[p->service - services]);
	send_file(p, out, "tallies", p->house->tallies_fd[p->service - services]);
	if (p->service->gets_certificates)
		send_numbered(p, out, "certificate", p->generation->config->certificates->chain, p->generation->config->certificates->n);
	if (p->service->gets_client_ca)
		send_file(p, out, "client_ca", p->generation->config->certificates->client_ca);
	if (p->service->gets_keytab)
		send_file(p, out, "keytab", p->generation->config->certificates->keytab);
	if (p->service->vouches)
		send_file(p, out, "voucher", p->house->voucher_fd);
	if (p->service->gets_keys)
		send_numbered(p, out, "key", p->generation->config->certificates->key, p->generation->config->certificates->n);
}

static void
send_ticket_keys(struct process *p, struct ipc_out *out)
{
	struct house *h = p->house;
	struct ipc_ticket_keys m = { .keys = bytes_of(h->ticket_keys, sizeof h->ticket_keys) };

	if (!p->service->gets_certificates)
		return;
	ipc_put_ticket_keys(out, 0, &m);
	channel_send(p->control, out);
	buf_wipe(&out->frame);
}

/* New keys; those before are good once more, so that a ticket lives as long as it was promised. */
static void
turn_ticket_keys(void *arg)
{
	struct house *h = arg;
	uint64_t time_ms = h->newest ? h->newest->config->tls.ticket_time_ms : 0;
	struct ipc_out out;

	memcpy(h->ticket_keys[1], h->ticket_keys[0], sizeof h->ticket_keys[1]);
	random_fill(h->ticket_keys[0], sizeof h->ticket_keys[0]);
	ipc_out_init(&out);
	for (struct process *p = house_next(h, NULL); p; p = house_next(h, p))
		if (p->control)
			send_ticket_keys(p, &out);
	ipc_out_fini(&out);
	if (time_ms > 0)
		timer_set(&h->ticket_turn, time_ms);
}

static void
send_channel(struct process *to, const char *service, unsigned slot, bool caller, int fd)
{
	struct ipc_channel m = { .service = text(service), .slot = slot, .caller = caller, .fd = fd };
	struct ipc_out out;

	ipc_out_init(&out);
	ipc_put_channel(&out, 0, &m);
	channel_send(to->control, &out);
	ipc_out_fini(&out);
}

/* A pair of sockets; the asked knows its callers by serial, which no two share over all generations. */
static void
connect_pair(struct process *asker, struct process *asked)
{
	int fds[2];

	if (!asker->control || !asked->control)
		return;
	if (!ipc_pair(fds)) {
		log_errno("cannot join %s and %s", asker->service->name, asked->service->name);
		return;
	}
	send_channel(asked, asker->service->name, asker->serial, false, fds[1]);
	send_channel(asker, asked->service->name, asked->slot, true, fds[0]);
	close(fds[0]);
	close(fds[1]);
}

/* Of the same generation; or what the newest one has taken over from the older. */
static bool
belong(const struct process *asker, const struct process *asked)
{
	const struct generation *newest = asker->house->newest;

	if (!asks(asker->service, asked->service))
		return false;
	if (newest->serving && asked->service->takes_over && asker->generation->draining)
		return asked->generation == newest;
	return asker->generation == asked->generation;
}

static void
connect_all(struct process *p)
{
	for (struct process *q = house_next(p->house, NULL); q; q = house_next(p->house, q)) {
		if (q == p)
			continue;
		if (belong(p, q))
			connect_pair(p, q);
		if (belong(q, p))
			connect_pair(q, p);
	}
}

/* Who is asked but is not there: the asker is told so, by a channel that is closed at once. */
static void
connect_nobody(struct process *p, const char *service)
{
	int fds[2];

	if (!ipc_pair(fds)) {
		log_errno("cannot make a channel for %s", p->service->name);
		return;
	}
	close(fds[1]);
	send_channel(p, service, 0, true, fds[0]);
	close(fds[0]);
}

static void
connect_missing(struct process *p)
{
	for (size_t i = 0; i < LEN(p->service->asks) && p->service->asks[i]; i++) {
		bool there = false;

		for (struct process *q = house_next(p->house, NULL); q && !there; q = house_next(p->house, q))
			there = q->control && strcmp(q->service->name, p->service->asks[i]) == 0 && belong(p, q);
		if (!there)
			connect_nobody(p, p->service->asks[i]);
	}
}

/* The reading end of every process's channel to the journal: master keeps them open, so that a journal that
 * is started again finds what was not read. */
static void
send_log_channels(struct process *journal)
{
	struct house *h = journal->house;

	send_channel(journal, "master", 0, false, h->log_in);
	for (struct process *p = house_next(h, NULL); p; p = house_next(h, p))
		if (p != journal && p->log_in != -1)
			send_channel(journal, p->service->name, p->serial, false, p->log_in);
}

static bool
log_pair(struct process *p)
{
	int fds[2];

	if (p->log_in != -1)
		return true;
	if (!ipc_pair(fds))
		return false;
	p->log_in = fds[0];
	p->log_out = fds[1];
	if (p->house->journal && p->house->journal->control && !is_journal(p))
		send_channel(p->house->journal, p->service->name, p->serial, false, p->log_in);
	return true;
}

static void
send_go(struct process *p, struct ipc_out *out)
{
	struct ipc_go m = { .slot = p->slot, .generation = p->generation->number };

	ipc_put_go(out, 0, &m);
	channel_send(p->control, out);
}

static void
hand_over(struct process *p)
{
	struct ipc_out out;

	ipc_out_init(&out);
	send_settings(p, &out);
	send_listeners(p, &out);
	send_files(p, &out);
	send_ticket_keys(p, &out);
	if (is_journal(p))
		send_log_channels(p);
	else
		send_channel(p, "journal", 0, true, p->log_out);
	connect_all(p);
	connect_missing(p);
	send_go(p, &out);
	ipc_out_fini(&out);
}

static void
send_drain(struct process *p, bool stop)
{
	struct ipc_drain m = { .stop = stop };
	struct ipc_out out;

	if (!p->control)
		return;
	ipc_out_init(&out);
	ipc_put_drain(&out, 0, &m);
	channel_send(p->control, &out);
	ipc_out_fini(&out);
}

/* ---- one process ------------------------------------------------------------------------------ */

/* Its channel is gone, or it does not come up: it has had its time. */
static void
process_kill(void *arg)
{
	struct process *p = arg;

	if (p->pid > 0) {
		log_warn("%s[%d] does not end: killed", p->service->name, (int)p->pid);
		kill(p->pid, SIGKILL);
	}
}

static void
kill_later(struct process *p, uint64_t after_ms)
{
	timer_clear(&p->again);
	timer_init(&p->again, p->house->loop, process_kill, p);
	timer_set(&p->again, after_ms);
}

static void
start_later(struct process *p)
{
	timer_clear(&p->again);
	timer_init(&p->again, p->house->loop, process_start, p);
	timer_set(&p->again, p->delay_ms);
}

static void
process_gone(void *arg, struct channel *c)
{
	struct process *p = arg;

	(void)c;
	p->control = NULL;
	if (p->pid > 0)
		kill_later(p, END_MS);
}

static void	generation_ready(struct generation *g);

static struct bytes
list_item(struct bytes items, uint32_t which)
{
	while (items.n > 0) {
		struct bytes item = bytes_cut(&items, '\n');

		if (which-- == 0)
			return item;
	}
	return items;
}

/* The path comes from our own configuration; the process says which of them. */
static bool
answer_dial(struct process *p, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_dialled m = { .fd = -1 };
	struct bytes path;
	struct ipc_dial ask;
	struct ipc_out out;

	if (!p->service->dials || !ipc_get_dial(in, &ask))
		return false;
	path = list_item(text(settings_value(p->generation->config->file, p->service->dials)), ask.which);
	if (path.n == 0)
		return false;			/* it has the same list, and asks past its end */
	m.fd = place_dial(path);
	m.status = m.fd == -1 ? (uint32_t)errno : 0;
	ipc_out_init(&out);
	ipc_put_dialled(&out, 0, &m);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	fd_close(&m.fd);
	return true;
}

/* All that a process can say to master unasked. */
static bool
process_frame(void *arg, struct channel *c, struct ipc_in *in)
{
	struct process *p = arg;
	struct ipc_ready m;

	if (in->type == IPC_dial)
		return answer_dial(p, c, in);
	if (in->type != IPC_ready || !ipc_get_ready(in, &m))
		return false;
	p->ready = true;
	generation_ready(p->generation);
	return true;
}

static void
start_failed(struct process *p)
{
	p->young++;
	p->delay_ms = p->delay_ms < AGAIN_LEAST_MS ? AGAIN_LEAST_MS
	    : p->delay_ms * 2 > AGAIN_MOST_MS ? AGAIN_MOST_MS : p->delay_ms * 2;
	start_later(p);
}

static void
process_start(void *arg)
{
	struct process *p = arg;
	struct spawn s;
	int fds[2];

	must(p->pid == 0 && !p->control);
	if (!log_pair(p) || !ipc_pair(fds)) {
		log_errno("%s: cannot be given its channels", p->service->name);
		start_failed(p);
		return;
	}
	if (!spawn_prepare(&s, p->service, p->generation->config, p->house->place, fds[1])
	    || (p->pid = spawn_process(&s)) == -1) {
		log_errno("%s: cannot be started", p->service->name);
		p->pid = 0;
		close(fds[0]);
		close(fds[1]);
		start_failed(p);
		return;
	}
	close(fds[1]);
	p->ready = false;
	p->started_ms = clock_mono_ms();
	p->sessions = 0;
	p->served = 0;
	p->note[0] = '\0';
	p->control = channel_new(p->house->loop, fds[0], process_frame, process_gone, p);
	hand_over(p);
}

/* ---- deaths -------------------------------------------------------------------------------------- */

static void
say_death(const struct process *p, int status, bool expected)
{
	const char *name = p->service->name;
	int pid = (int)p->pid;

	if (WIFSIGNALED(status) && !p->house->stopping)
		log_warn("%s[%d] died by signal %d (%s) after %llu ms", name, pid, WTERMSIG(status),
		    strsignal(WTERMSIG(status)), (unsigned long long)(clock_mono_ms() - p->started_ms));
	else if (WIFEXITED(status) && WEXITSTATUS(status) >= 126)
		log_warn("%s[%d] died: it could not %s", name, pid,
		    WEXITSTATUS(status) == 127 ? "be executed" : "be given its rights");
	else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		log_warn("%s[%d] died with status %d", name, pid, WEXITSTATUS(status));
	else if (!expected)
		log_info("%s[%d] ended by itself and is started again", name, pid);
}

static bool
generation_ended(const struct generation *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->process[i].pid != 0 && !is_journal(&g->process[i]))
			return false;
	return true;
}

static void
process_close_log(struct process *p)
{
	fd_close(&p->log_in);		/* the journal has its own, and reads what is left */
	fd_close(&p->log_out);
}

static void	house_proceed(struct house *h);

static void
process_died(struct process *p, int status)
{
	bool expected = is_journal(p) ? p->house->stopping : p->generation->draining;

	say_death(p, status, expected);
	p->pid = 0;
	p->ready = false;
	p->sessions = 0;
	timer_clear(&p->again);
	channel_close(&p->control);
	if (expected) {			/* its sessions went with it; nothing asks it any more */
		if (!is_journal(p))
			process_close_log(p);
		house_proceed(p->house);
		return;
	}
	p->restarts++;
	if (clock_mono_ms() - p->started_ms >= SERVED_MS) {
		p->young = 0;
		p->delay_ms = 0;
		process_start(p);
	} else
		start_failed(p);
}

static struct process *
process_of(struct house *h, pid_t pid)
{
	for (struct process *p = house_next(h, NULL); p; p = house_next(h, p))
		if (p->pid == pid)
			return p;
	return NULL;
}

static void
reap(evutil_socket_t sig, short what, void *arg)
{
	struct house *h = arg;
	struct process *p;
	int status;
	pid_t pid;

	(void)sig;
	(void)what;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if ((p = process_of(h, pid)))
			process_died(p, status);
}

/* ---- generations ------------------------------------------------------------------------------------ */

/* Made once: what was counted outlives every process but this one. */
static void
share_tallies(struct house *h)
{
	for (const struct service *s = services; s->name; s++) {
		int *fd = &h->tallies_fd[s - services];

		if (s->tallies == 0 || *fd != -1)
			continue;
		*fd = tallies_share(s->tallies);
		if (*fd == -1)
			log_errno("each %s counts alone", s->name);
	}
}

static struct generation *
generation_new(struct house *h, struct config *c)
{
	struct generation *g = mem_alloc(sizeof *g);

	g->number = ++h->generations;
	g->config = c;
	for (const struct service *s = services; s->name; s++)
		g->n += config_runs(c, s) ? config_workers(c, s) : 0;
	g->process = mem_array(g->n, sizeof *g->process);
	g->n = 0;
	share_tallies(h);
	for (const struct service *s = services; s->name; s++) {
		int *clients_fd = &g->clients_fd[s - services];

		*clients_fd = s->counts_clients ? clients_share(config_workers(c, s)) : -1;
		if (s->counts_clients && *clients_fd == -1)
			log_errno("each %s counts its clients alone", s->name);
	}
	for (const struct service *s = services; s->name; s++) {
		if (!config_runs(c, s) || (h->journal && strcmp(s->name, "journal") == 0))
			continue;
		for (unsigned slot = 0; slot < config_workers(c, s); slot++) {
			struct process *p = &g->process[g->n++];

			*p = (struct process){ .house = h, .generation = g, .service = s, .slot = slot,
			    .serial = ++h->serials, .log_in = -1, .log_out = -1 };
			timer_init(&p->again, h->loop, process_start, p);
			if (is_journal(p))
				h->journal = p;
		}
	}
	return g;
}

static void
generation_free(struct generation *g)
{
	for (size_t i = 0; i < g->n; i++) {
		timer_clear(&g->process[i].again);
		channel_close(&g->process[i].control);
		process_close_log(&g->process[i]);
	}
	for (size_t i = 0; i < SERVICES_MAX && services[i].name; i++)
		fd_close(&g->clients_fd[i]);
	mem_free(g->process);
	config_free(&g->config);
	mem_free(g);
}

/* The first one stays, with the journal. */
static void
drop_ended(struct house *h)
{
	struct generation **at = &h->newest;

	while (*at) {
		struct generation *g = *at;

		if (g->draining && generation_ended(g) && g != h->journal->generation) {
			log_info("generation %u has ended", g->number);
			*at = g->older;
			generation_free(g);
		} else
			at = &g->older;
	}
}

static void
generation_drain(struct generation *g, bool stop)
{
	g->draining = true;
	for (size_t i = 0; i < g->n; i++) {
		if (is_journal(&g->process[i]))
			continue;
		if (g->process[i].pid == 0)
			timer_clear(&g->process[i].again);	/* it was to be started again */
		else
			send_drain(&g->process[i], stop);
	}
}

/* Ends what does not end by itself: closed channels now, SIGKILL a little later. */
static void
generation_end(struct generation *g)
{
	g->draining = true;
	for (size_t i = 0; i < g->n; i++) {
		struct process *p = &g->process[i];

		if (is_journal(p))
			continue;
		channel_close(&p->control);
		if (p->pid > 0)
			kill_later(p, END_MS);
		else
			timer_clear(&p->again);
	}
}

static void
settle(struct house *h, bool good, const char *why)
{
	void (*settled)(void *, bool, const char *) = h->settled;

	timer_clear(&h->deadline);
	h->settled = NULL;
	if (settled)
		settled(h->settled_arg, good, why);
}

/* The older ones take nothing new from here; where the newest has taken over, they ask it. */
static void
switch_over(struct house *h)
{
	struct generation *newest = h->newest;

	newest->serving = true;
	for (struct generation *g = newest->older; g; g = g->older)
		if (!g->draining)
			generation_drain(g, false);
	for (size_t i = 0; i < newest->n; i++)
		if (newest->process[i].service->takes_over)
			for (struct process *q = house_next(h, &newest->process[newest->n - 1]); q; q = house_next(h, q))
				if (belong(q, &newest->process[i]))
					connect_pair(q, &newest->process[i]);
	place_unlisten(h->place);
}

static void
generation_ready(struct generation *g)
{
	struct house *h = g->house_of;

	if (g != h->newest || g->serving || h->stopping)
		return;
	for (size_t i = 0; i < g->n; i++)
		if (!g->process[i].ready)
			return;
	switch_over(h);
	log_info("generation %u serves: %zu processes", g->number, g->n + (h->journal->generation != g));
	settle(h, true, "");
	house_proceed(h);
}

static void
listen_as_before(struct house *h)
{
	struct buf faults;

	buf_init(&faults, 4096);
	place_listen(h->place, h->newest->config, &faults);	/* all of it is bound: only marks it */
	place_unlisten(h->place);
	buf_fini(&faults);
}

/* Who is not ready when the time is over. */
static void
not_ready(void *arg)
{
	struct house *h = arg;
	struct generation *g = h->newest;
	char why[1024];
	size_t n = 0;

	n += (size_t)snprintf(why, sizeof why, "not ready in time:");
	for (size_t i = 0; i < g->n && n < sizeof why - 80; i++)
		if (!g->process[i].ready)
			n += (size_t)snprintf(why + n, sizeof why - n, " %s%s", g->process[i].service->name,
			    g->process[i].young > 0 ? " (it dies when started)" : "");
	log_warn("generation %u is given up: %s", g->number, why);
	if (g->older) {			/* a reload: the older one goes on */
		h->newest = g->older;
		g->older = h->newest->older;
		h->newest->older = g;
		generation_end(g);
		listen_as_before(h);
	}
	settle(h, false, why);
	house_proceed(h);
}

void
house_begin(struct house *h, struct config *c, void (*settled)(void *, bool, const char *), void *arg)
{
	struct generation *g = generation_new(h, c);

	must(!h->settled);
	h->settled = settled;
	h->settled_arg = arg;
	g->house_of = h;
	g->older = h->newest;
	h->newest = g;
	if (c->tls.ticket_time_ms > 0 && !h->ticket_turn.set)
		timer_set(&h->ticket_turn, c->tls.ticket_time_ms);
	for (size_t i = 0; i < g->n; i++)
		process_start(&g->process[i]);
	timer_init(&h->deadline, h->loop, not_ready, h);
	timer_set(&h->deadline, c->s.start_timeout_ms);
}

bool
house_busy(const struct house *h)
{
	return h->settled != NULL;
}

/* ---- the end ------------------------------------------------------------------------------------------- */

static void
kill_all(void *arg)
{
	struct house *h = arg;

	for (struct process *p = house_next(h, NULL); p; p = house_next(h, p))
		if (p->pid > 0)
			process_kill(p);
}

static void
end_all(void *arg)
{
	struct house *h = arg;

	for (struct generation *g = h->newest; g; g = g->older)
		generation_end(g);
}

/* The journal is the last to go: it has read what the others said. */
static void
end_journal(struct house *h)
{
	struct process *j = h->journal;

	log_info("stopped");
	log_flush();
	j->generation->draining = true;
	for (struct process *p = house_next(h, NULL); p; p = house_next(h, p))
		process_close_log(p);
	log_open(-1);			/* from here on stderr, which is the log file */
	fd_close(&h->log_in);
	fd_close(&h->log_out);
	send_drain(j, true);
	kill_later(j, END_MS);
}

/* After each death: is something over by it? */
static void
house_proceed(struct house *h)
{
	drop_ended(h);
	if (!h->stopping)
		return;
	for (struct process *p = house_next(h, NULL); p; p = house_next(h, p))
		if (p->pid != 0 && !is_journal(p))
			return;
	if (h->journal->pid > 0 && h->log_in != -1)
		end_journal(h);
	else if (h->journal->pid == 0 && h->ended) {
		void (*ended)(void *) = h->ended;

		timer_clear(&h->deadline);
		h->ended = NULL;
		ended(h->ended_arg);
	}
}

void
house_stop(struct house *h, void (*ended)(void *), void *arg)
{
	if (h->stopping)
		return;
	h->stopping = true;
	h->ended = ended;
	h->ended_arg = arg;
	if (h->settled)
		settle(h, false, "stopped");
	for (struct generation *g = h->newest; g; g = g->older)
		generation_drain(g, true);
	timer_init(&h->deadline, h->loop, end_all, h);
	timer_set(&h->deadline, h->newest->config->s.stop_timeout_ms);
	timer_init(&h->kill, h->loop, kill_all, h);
	timer_set(&h->kill, h->newest->config->s.stop_timeout_ms + 2 * END_MS);
	house_proceed(h);
}

void
house_reopen(struct house *h)
{
	struct ipc_reopen m = { 0 };
	struct ipc_out out;

	if (!h->journal || !h->journal->control)
		return;
	place_log_file(h->journal->generation->config);
	ipc_out_init(&out);
	ipc_put_reopen(&out, 0, &m);
	channel_send(h->journal->control, &out);
	ipc_out_fini(&out);
}

void
house_init(struct house *h, struct loop *l, struct place *p, const char *path)
{
	int fds[2];

	*h = (struct house){ .loop = l, .place = p, .path = path, .began_ms = clock_mono_ms() };
	if (!ipc_pair(fds))
		log_fatal("cannot make a channel to the journal");
	h->log_in = fds[0];
	h->log_out = fds[1];
	for (size_t i = 0; i < SERVICES_MAX; i++)
		h->tallies_fd[i] = -1;
	random_fill(h->ticket_keys, sizeof h->ticket_keys);
	h->voucher_fd = voucher_key_make();
	if (h->voucher_fd == -1)
		log_fatal("cannot keep a key in memory");
	timer_init(&h->ticket_turn, l, turn_ticket_keys, h);
	evsignal_assign(&h->child, l->base, SIGCHLD, reap, h);
	evsignal_add(&h->child, NULL);
}
