/* SPDX-License-Identifier: ISC */
/*
 * router/main.c - answers questions about addresses:  smtpd, pickup, qmgr -> router
 *
 * The only reader of lookup tables beside auth. Holds their folders, read-only, and
 * the channels of those who ask; connects to nobody. Believes nothing of an
 * address: it was a stranger's. Every answer is given at once, from memory or from
 * the page cache; what is behind an address is in router/resolve.c.
 */
#include "router/router.h"

#include "base/log.h"
#include "daemon/daemon.h"

struct router {
	struct daemon	*d;
	struct resolver	 r;
	struct answer	 a;
	struct ipc_out	 out;
};

static bool
answer_rcpt(struct router *me, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_rcpt_check ask;
	struct answer *a = &me->a;

	if (!ipc_get_rcpt_check(in, &ask))
		return false;
	resolve_recipient(&me->r, &ask, a);
	ipc_put_rcpt_answer(&me->out, id, &(struct ipc_rcpt_answer){
		.verdict = a->verdict, .code = a->code, .reply = text(a->reply),
		.routes = buf_bytes(&a->routes),
	});
	channel_reply(c, id, &me->out);
	return true;
}

static bool
answer_route(struct router *me, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_route_ask ask;
	struct answer *a = &me->a;

	if (!ipc_get_route_ask(in, &ask))
		return false;
	resolve_final(&me->r, ask.address, a);
	ipc_put_route_answer(&me->out, id, &(struct ipc_route_answer){
		.verdict = a->verdict, .reply = text(a->reply), .routes = buf_bytes(&a->routes),
	});
	channel_reply(c, id, &me->out);
	return true;
}

static bool
frame(void *owner, struct channel *c, struct ipc_in *in)
{
	struct router *me = owner;

	me->d->served++;
	switch (in->type) {
	case IPC_rcpt_check:	return answer_rcpt(me, c, in);
	case IPC_route_ask:	return answer_route(me, c, in);
	default:		return false;
	}
}

/* The folders of the tables: a changed table is opened again through them. */
static void
keep_tables(struct daemon *d, const struct router_settings *s)
{
	char dir[1024];

	for (size_t i = 0; accounts_directory(&s->account, i, dir); i++)
		daemon_keep_dir(d, dir, false);
	if (s->alias_map[0] != '\0' && table_directory(s->alias_map, dir))
		daemon_keep_dir(d, dir, false);
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
	if (!resolver_init(&me.r, &settings, why, sizeof why))
		log_fatal("%s", why);
	if (!resolve_postmaster(&me.r))
		log_warn("nobody reads mail to postmaster: set an alias postmaster, or postmaster_address");
	keep_tables(&d, &settings);
	daemon_confine(&d, KEEP_FILES);		/* ---- strangers only below ---- */
	answer_init(&me.a);
	ipc_out_init(&me.out);
	d.owner = &me;
	d.on_frame = frame;
	daemon_serve(&d);
	ipc_out_fini(&me.out);
	answer_fini(&me.a);
	resolver_fini(&me.r);
	settings_free(router_settings, &settings);
	return daemon_stop(&d);
}
