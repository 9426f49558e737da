/* SPDX-License-Identifier: ISC */
#include "daemon/auth_client.h"

#include "mail/router.h"

#define AUTH_MS	60000

static void
on_step(void *arg, struct ipc_in *in)
{
	struct auth_client *c = arg;
	struct ipc_auth_step a;
	bool good = in != NULL && in->type == IPC_auth_step && ipc_get_auth_step(in, &a);

	c->call = 0;
	c->exchange = good && a.result == AUTH_CONTINUE ? a.exchange : 0;
	c->answer(c->arg, good ? &a : NULL);
}

static void
ask(struct auth_client *c, struct ipc_out *out, struct channel *to)
{
	c->call_peers = to == NULL ? c->auth : NULL;
	if (to == NULL) {		/* nobody is there, or the exchange's auth is gone: another
					 * auth knows no such exchange and says so */
		c->call = peers_call(c->auth, out, AUTH_MS, on_step, c);
	} else {
		c->serial = channel_serial(to);
		c->call = channel_call(to, out, AUTH_MS, on_step, c);
	}
	buf_wipe(&out->frame);
}

void
auth_client_start(struct auth_client *c, struct ipc_out *out, const struct ipc_auth_start *start)
{
	ipc_put_auth_start(out, 0, start);
	ask(c, out, peers_pick(c->auth));
}

void
auth_client_more(struct auth_client *c, struct ipc_out *out, struct bytes response, bool cancel)
{
	ipc_put_auth_more(out, 0, &(struct ipc_auth_more){ .exchange = c->exchange, .cancel = cancel, .response = response });
	ask(c, out, peers_by_serial(c->auth, c->serial));
}

/* auth waits for its client no longer. */
static void
say_it_has_left(struct auth_client *c)
{
	struct channel *to = peers_by_serial(c->auth, c->serial);
	struct ipc_out out;

	if (to == NULL)
		return;
	ipc_out_init(&out);
	ipc_put_auth_more(&out, 0, &(struct ipc_auth_more){ .exchange = c->exchange, .cancel = 1 });
	channel_send(to, &out);
	ipc_out_fini(&out);
}

void
auth_client_end(struct auth_client *c)
{
	if (c->call != 0)
		peers_cancel(c->call_peers != NULL ? c->call_peers : c->auth, c->call);
	else if (c->exchange != 0)
		say_it_has_left(c);
	c->call = c->exchange = 0;
}
