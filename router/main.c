/* SPDX-License-Identifier: ISC */
/*
 * router/main.c - answers questions about addresses:  smtpd, pickup, qmgr, bounce -> router
 *                 how to log in at other hosts:  smtp-client -> router
 *                 and whose an address is:  submission -> router
 *
 * The only reader of lookup tables beside auth. Holds their folders, read-only, and
 * the channels of those who ask, and one to directory; connects to nobody. Believes nothing of an
 * address: it was a stranger's. Answers are given at once, from memory or from
 * the page cache, but where the directory has to be asked (router/later.h); what is behind an address
 * is in router/resolve.c, who may ask for the reasons in router/control.c.
 */
#include "router/control.h"

#include "base/log.h"
#include "router/logins.h"
#include "router/senders.h"

#define POSTMASTER_MS	10000	/* after the start: then directory serves, too */

struct router {
	struct daemon	*d;
	struct resolver	 r;
	struct logins	*logins;	/* owned */
	struct senders	*senders;	/* owned */
	struct answer	 a;
	struct ipc_out	 out;
	struct later	*later;
	struct control	*control;
	struct timer	 postmaster;
};

static enum said
answer_rcpt(void *arg, struct channel *c, struct ipc_in *in)
{
	struct router *me = arg;
	uint32_t id = in->id;
	struct ipc_rcpt_check ask;
	struct answer *a = &me->a;

	if (!ipc_get_rcpt_check(in, &ask))
		return NONSENSE;
	resolve_recipient(&me->r, &ask, a);
	if (later_needed(me->later, a->verdict))
		return SAID_LATER;
	ipc_put_rcpt_answer(&me->out, id, &(struct ipc_rcpt_answer){
		.verdict = a->verdict, .code = a->code, .reply = text(a->reply),
		.routes = buf_bytes(&a->routes),
	});
	channel_reply(c, id, &me->out);
	return SAID;
}

static enum said
answer_route(void *arg, struct channel *c, struct ipc_in *in)
{
	struct router *me = arg;
	uint32_t id = in->id;
	struct ipc_route_ask ask;
	struct answer *a = &me->a;

	if (!ipc_get_route_ask(in, &ask))
		return NONSENSE;
	resolve_final(&me->r, ask.address, a);
	if (later_needed(me->later, a->verdict))
		return SAID_LATER;
	ipc_put_route_answer(&me->out, id, &(struct ipc_route_answer){
		.verdict = a->verdict, .reply = text(a->reply), .routes = buf_bytes(&a->routes),
	});
	channel_reply(c, id, &me->out);
	return SAID;
}

static enum said
answer_sender(void *arg, struct channel *c, struct ipc_in *in)
{
	struct router *me = arg;
	uint32_t id = in->id;
	struct ipc_sender_check ask;
	enum verdict v;

	if (!ipc_get_sender_check(in, &ask))
		return NONSENSE;
	v = senders_may(me->senders, &me->r, ask.account, ask.address);
	if (later_needed(me->later, v))
		return SAID_LATER;
	ipc_put_sender_answer(&me->out, id, &(struct ipc_sender_answer){ .verdict = v });
	channel_reply(c, id, &me->out);
	return SAID;
}

/* Passwords go to the one who sends mail, and to nobody who only asks about addresses. */
static bool
answer_credentials(struct router *me, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_credentials_ask ask;
	struct ipc_credentials_answer answer;

	if (strcmp(channel_peer(c), "smtp-client") != 0 || !ipc_get_credentials_ask(in, &ask))
		return false;
	logins_find(me->logins, ask.nexthop, &answer);
	ipc_put_credentials_answer(&me->out, id, &answer);
	channel_reply(c, id, &me->out);
	logins_wipe(me->logins);
	buf_wipe(&me->out.frame);
	return true;
}

static bool
frame(void *owner, struct channel *c, struct ipc_in *in)
{
	struct router *me = owner;

	me->d->served++;
	switch (in->type) {
	case IPC_rcpt_check:	return later_frame(me->later, c, in, answer_rcpt, me);
	case IPC_route_ask:	return later_frame(me->later, c, in, answer_route, me);
	case IPC_sender_check:	return later_frame(me->later, c, in, answer_sender, me);
	case IPC_credentials_ask: return answer_credentials(me, c, in);
	default:		return false;
	}
}

static void
on_gone(void *owner, struct channel *c)
{
	later_gone(((struct router *)owner)->later, c);
}

static void
on_listen(void *owner, const char *setting, int fd)
{
	struct router *me = owner;

	(void)setting;
	control_accept(me->control, fd);
}

static void
on_report(void *owner, struct buf *note)
{
	size_t n = later_waiting(((struct router *)owner)->later);

	if (n > 0)
		buf_fmt(note, ", %zu questions wait for the directory", n);
}

/* ---- does anybody read postmaster's mail? ---- */

static void
warn_postmaster(enum verdict v)
{
	if (v == NO)
		log_warn("nobody reads mail to postmaster: set an alias postmaster, or postmaster_address");
}

static enum said
look_for_postmaster(void *arg, struct channel *c, struct ipc_in *in)
{
	struct router *me = arg;
	enum verdict v = resolve_postmaster(&me->r);

	(void)c, (void)in;
	if (later_needed(me->later, v))
		return SAID_LATER;
	warn_postmaster(v);
	return SAID;
}

static void
on_postmaster(void *arg)
{
	struct router *me = arg;

	later_frame(me->later, NULL, &(struct ipc_in){ .type = IPC_NONE }, look_for_postmaster, me);
}

/* Where there is a directory it has to be there first. */
static void
check_postmaster(struct router *me)
{
	timer_init(&me->postmaster, &me->d->loop, on_postmaster, me);
	if (me->r.s->account.directory != 0)
		timer_set(&me->postmaster, POSTMASTER_MS);
	else
		warn_postmaster(resolve_postmaster(&me->r));
}

/* The folders of the tables: a changed table is opened again through them. */
static void
keep_table(struct daemon *d, const char *map)
{
	char dir[1024];

	if (map[0] != '\0' && table_directory(map, dir))
		daemon_keep_dir(d, dir, false);
}

static void
keep_tables(struct daemon *d, const struct router_settings *s)
{
	char dir[1024];

	for (size_t i = 0; accounts_directory(&s->account, i, dir); i++)
		daemon_keep_dir(d, dir, false);
	keep_table(d, s->alias_map);
	keep_table(d, s->transport_map);
	keep_table(d, s->sender_map);
	keep_table(d, s->credentials);
	if (s->credentials[0] != '\0' && s->token_directory[0] != '\0')
		daemon_keep_dir(d, s->token_directory, false);
}

int
main(void)
{
	struct daemon d;
	struct router_settings settings;
	struct router me = { .d = &d };
	char why[512];

	daemon_start(&d, "router");
	daemon_settings(&d, router_settings, &settings);
	if (!resolver_init(&me.r, &settings, why, sizeof why)
	    || !(me.logins = logins_open(&settings, why, sizeof why))
	    || !(me.senders = senders_open(&settings, why, sizeof why)))
		log_fatal("%s", why);
	check_postmaster(&me);
	keep_tables(&d, &settings);
	daemon_confine(&d, KEEP_FILES | KEEP_ACCEPT);		/* ---- strangers only below ---- */
	answer_init(&me.a);
	ipc_out_init(&me.out);
	me.later = later_new(&d.loop, settings.account.directory != 0 ? daemon_peers(&d, "directory") : NULL,
	    settings.account.directory_timeout_ms, me.r.accounts);
	me.control = control_new(&d, &me.r, me.logins, me.senders, me.later);
	d.owner = &me;
	d.on_frame = frame;
	d.on_gone = on_gone;
	d.on_report = on_report;
	d.on_listen = on_listen;
	daemon_serve(&d);
	timer_clear(&me.postmaster);
	control_free(&me.control);
	later_free(&me.later);
	ipc_out_fini(&me.out);
	answer_fini(&me.a);
	senders_close(&me.senders);
	logins_close(&me.logins);
	resolver_fini(&me.r);
	settings_free(router_settings, &settings);
	return daemon_stop(&d);
}
