/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/race.c - a connection to one of several addresses, in the spirit of RFC 8305: the next address is tried
 * beside the first when that has not answered after a quarter of a second; whichever connects first wins, and the
 * others are closed. Unlike there, preferences count: exchangers that are less preferred (RFC 5321 section 5.1) wait
 * until the better ones have failed, or have been silent for five seconds; who merely is far away is not silent so long.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp-client/client.h"

#define STAGGER_MS	250	/* RFC 8305 section 5: "Connection Attempt Delay" */
#define BACKUP_MS	5000
#define FAILURE_MAX	192

enum state { UNTRIED, TRYING, CONNECTED, FAILED };

struct attempt {			/* of one place */
	struct race	*race;
	enum state	 state;
	int		 fd;		/* owned while TRYING, or CONNECTED and not yet handed over; else -1 */
	uint64_t	 dial;		/* what master is asked for; 0: nothing */
	struct watch	 writable;
	struct timer	 deadline;
	char		 failure[FAILURE_MAX];
};

struct race {
	struct client	*client;	/* borrowed */
	const struct target *target;	/* borrowed */
	void		(*done)(void *, size_t, int);
	void		*arg;
	struct attempt	*attempts;	/* owned; one for each place */
	size_t		 first;		/* to be tried before all others; nplaces: none */
	struct timer	 next;		/* another one is due, or (over) done is to be called */
	bool		 over;
	size_t		 winner;
	bool		 ours;
};

static void start_more(struct race *r);

static size_t
trying(const struct race *r, size_t *which)
{
	size_t n = 0;

	for (size_t i = 0; i < r->target->nplaces; i++) {
		if (r->attempts[i].state != TRYING)
			continue;
		n++;
		*which = i;
	}
	return n;
}

static void
attempt_stop(struct attempt *a, enum state then)
{
	if (a->state == TRYING) {
		watch_off(&a->writable);
		timer_clear(&a->deadline);
		daemon_dial_cancel(a->race->client->daemon, a->dial);
		a->dial = 0;
	}
	fd_close(&a->fd);
	a->state = then;
}

static void
attempt_fail(struct attempt *a, const char *why)
{
	attempt_stop(a, FAILED);
	snprintf(a->failure, sizeof a->failure, "%s", why);
}

static bool
same_address(const struct race *r, size_t i, size_t k)
{
	return i != k && candidate_same_address(&r->target->places[i], &r->target->places[k]);
}

/* There is no connection to it, under whatever name. */
static void
address_fail(struct attempt *a, const char *why)
{
	struct race *r = a->race;
	size_t which = (size_t)(a - r->attempts);

	attempt_fail(a, why);
	for (size_t i = 0; i < r->target->nplaces; i++)
		if (r->attempts[i].state == UNTRIED && same_address(r, i, which))
			attempt_fail(&r->attempts[i], why);
}

bool
race_tried(const struct race *r, size_t which)
{
	return r->attempts[which].state != UNTRIED;
}

/* This host's own shortage, which says nothing of the other. */
static bool
is_ours(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EADDRNOTAVAIL
	    || error == EADDRINUSE || error == EPERM || error == EACCES;
}

static void
attempt_errno(struct attempt *a, int error)
{
	char why[FAILURE_MAX];

	snprintf(why, sizeof why, "%s%s", strerrordesc_np(error) ? strerrordesc_np(error) : "failed",
	    error == EMFILE || error == ENFILE ? " (open_files is too low)" :
	    error == EADDRNOTAVAIL ? " (no local port is free, or ;from= of the route, smtp_bind_ipv4 or smtp_bind_ipv6 "
	    "is no address of this host's)" : error == EPERM || error == EACCES ? " (a packet filter of this host?)" : "");
	a->race->ours = a->race->ours || is_ours(error);
	address_fail(a, why);
}

void
race_leave_out(struct race *r, size_t which)
{
	must(r->attempts[which].state == UNTRIED);
	attempt_fail(&r->attempts[which], "it is not used");
}

/* From the loop: done is called last, since it may free all of it. */
static void
finish(struct race *r, size_t winner)
{
	int fd = -1;

	if (winner < r->target->nplaces) {
		fd = r->attempts[winner].fd;
		r->attempts[winner].fd = -1;
	}
	for (size_t i = 0; i < r->target->nplaces; i++)
		if (r->attempts[i].state == TRYING)
			attempt_stop(&r->attempts[i], UNTRIED);	/* they may be wanted after all */
	timer_clear(&r->next);
	r->over = false;
	r->done(r->arg, winner, fd);
}

/* Not from the loop, perhaps: says it from there. */
static void
finish_soon(struct race *r, size_t winner)
{
	r->over = true;
	r->winner = winner;
	timer_set(&r->next, 0);
}

static void
attempt_won(struct attempt *a)
{
	watch_off(&a->writable);
	timer_clear(&a->deadline);
	a->state = CONNECTED;
}

static void
on_writable(void *arg, short what)
{
	struct attempt *a = arg;
	struct race *r = a->race;
	int error = 0;
	socklen_t size = sizeof error;

	(void)what;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1)
		error = errno;
	if (error != 0) {
		attempt_errno(a, error);
		start_more(r);
		return;
	}
	attempt_won(a);
	finish(r, (size_t)(a - r->attempts));
}

static void
on_deadline(void *arg)
{
	struct attempt *a = arg;
	char why[FAILURE_MAX];

	snprintf(why, sizeof why, "no answer within %llu s",
	    (unsigned long long)(a->race->client->settings->connect_timeout_ms + 999) / 1000);
	address_fail(a, why);
	start_more(a->race);
}

/* The route's word goes before the setting's. False: the kernel chooses. */
static bool
own_address(const struct race *r, bool ipv4, struct address *own)
{
	const char *set = ipv4 ? r->client->settings->bind_ipv4 : r->client->settings->bind_ipv6;
	const struct address *from = nexthop_from(&r->target->from, ipv4);

	if (from)
		*own = *from;
	else if (set[0] != '\0')
		must(address_parse(text(set), own));
	return from || set[0] != '\0';
}

static bool
bind_own(const struct race *r, int fd, const struct address *to)
{
	struct sockaddr_storage sa;
	struct address own;
	socklen_t size;
	int on = 1;

	if (!own_address(r, address_is_ipv4(to), &own))
		return true;
	size = address_socket(&own, 0, &sa);
	/* The port is chosen at connect: else there could be but one connection for each port, whatever its other end. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	return bind(fd, (struct sockaddr *)&sa, size) == 0;
}

/* True: it is on its way, or there already. */
static bool
connect_inet(struct attempt *a, const struct candidate *p)
{
	struct sockaddr_storage sa;
	socklen_t size = address_socket(&p->address, p->port, &sa);

	a->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd == -1 || !bind_own(a->race, a->fd, &p->address))
		return false;
	return connect(a->fd, (struct sockaddr *)&sa, size) == 0 || errno == EINPROGRESS;
}

static void
on_dialled(void *arg, int fd, int error)
{
	struct attempt *a = arg;
	struct race *r = a->race;

	a->dial = 0;
	a->fd = fd;
	if (fd == -1) {
		attempt_errno(a, error);
		start_more(r);
		return;
	}
	attempt_won(a);
	finish(r, (size_t)(a - r->attempts));
}

/* A UNIX socket: it is one of lmtp_sockets, which master has, too. */
static void
attempt_dial(struct attempt *a, const char *socket_path)
{
	struct client *c = a->race->client;
	const struct setting_list *sockets = &c->settings->lmtp_sockets;
	uint32_t which = 0;

	while (which < sockets->n && sockets->item[which] != socket_path)
		which++;
	must(which < sockets->n);
	a->state = TRYING;
	a->dial = daemon_dial(c->daemon, which, (unsigned)c->settings->connect_timeout_ms, on_dialled, a);
}

static void
attempt_start(struct race *r, size_t which)
{
	struct attempt *a = &r->attempts[which];

	if (r->target->places[which].socket) {
		attempt_dial(a, r->target->places[which].socket);
		return;
	}
	if (!connect_inet(a, &r->target->places[which])) {
		attempt_errno(a, errno);
		return;
	}
	a->state = TRYING;
	watch_init(&a->writable, &r->client->daemon->loop, a->fd, EV_WRITE, on_writable, a);
	watch_on(&a->writable);
	timer_set(&a->deadline, r->client->settings->connect_timeout_ms);
}

/* A second connection to where the first has not answered yet is of no use. */
static bool
is_being_tried(const struct race *r, size_t which)
{
	for (size_t i = 0; i < r->target->nplaces; i++)
		if (r->attempts[i].state == TRYING && same_address(r, i, which))
			return true;
	return false;
}

/* nplaces: none. */
static size_t
choose(const struct race *r)
{
	if (r->first < r->target->nplaces && r->attempts[r->first].state == UNTRIED)
		return r->first;
	for (size_t i = 0; i < r->target->nplaces; i++)
		if (r->attempts[i].state == UNTRIED && !is_being_tried(r, i))
			return i;
	return r->target->nplaces;
}

/* Something has failed, or was silent for long enough: the next, and those after it that fail at once. */
static void
start_more(struct race *r)
{
	const struct candidate *places = r->target->places;
	size_t n = r->target->nplaces, which, with = n;

	for (;;) {
		which = choose(r);
		if (which == n)
			break;
		/* Beside one that is better, only when its time has come: which is when the timer comes here again. */
		if (trying(r, &with) > 0 && places[which].preference > places[with].preference && r->next.set)
			return;
		timer_clear(&r->next);
		attempt_start(r, which);
		if (r->attempts[which].state == TRYING)
			break;
	}
	which = choose(r);
	if (trying(r, &with) == 0)
		finish_soon(r, n);
	else if (which < n)
		timer_set(&r->next, places[which].preference > places[with].preference ? BACKUP_MS : STAGGER_MS);
}

static void
on_next(void *arg)
{
	struct race *r = arg;

	if (r->over)
		finish(r, r->winner);
	else
		start_more(r);
}

void
race_next(struct race *r)
{
	size_t with;

	must(!r->over && trying(r, &with) == 0);
	start_more(r);
}

void
race_again(struct race *r, size_t which)
{
	must(which < r->target->nplaces && r->attempts[which].state == CONNECTED);
	r->attempts[which].state = UNTRIED;
	r->first = which;
}

struct bytes
race_failure(const struct race *r, size_t which)
{
	return text(r->attempts[which].state == FAILED ? r->attempts[which].failure : "");
}

bool
race_ours(const struct race *r)
{
	return r->ours;
}

struct race *
race_new(struct client *c, const struct target *t, void (*done)(void *, size_t, int), void *arg)
{
	struct race *r = mem_alloc(sizeof *r);

	*r = (struct race){ .client = c, .target = t, .done = done, .arg = arg, .first = t->nplaces };
	r->attempts = mem_array(t->nplaces + 1, sizeof *r->attempts);
	for (size_t i = 0; i < t->nplaces; i++) {
		r->attempts[i] = (struct attempt){ .race = r, .fd = -1 };
		timer_init(&r->attempts[i].deadline, &c->daemon->loop, on_deadline, &r->attempts[i]);
	}
	timer_init(&r->next, &c->daemon->loop, on_next, r);
	return r;
}

void
race_free(struct race **taken)
{
	struct race *r = *taken;

	*taken = NULL;
	if (!r)
		return;
	for (size_t i = 0; i < r->target->nplaces; i++)
		attempt_stop(&r->attempts[i], FAILED);
	timer_clear(&r->next);
	mem_free(r->attempts);
	mem_free(r);
}
