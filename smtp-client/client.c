/* SPDX-License-Identifier: ISC */
#include "smtp-client/login.h"

void
client_init(struct client *c)
{
	c->tls = tls_new(c->settings);
	c->self = self_new(c->settings);
	if (c->settings->credentials[0] != '\0')
		mechs_open();
}

void
client_serve(struct client *c)
{
	c->dns = dns_new(&c->daemon->loop, daemon_peers(c->daemon, "resolver"));
	c->sts = sts_new(daemon_peers(c->daemon, "fetch"));
	c->pool = pool_new(c);
	ipc_out_init(&c->out);
}

void
client_report(const struct client *c, struct buf *note)
{
	const struct tls_counts *n = &c->counts;

	buf_fmt(note, ", tls clear=%llu", (unsigned long long)n->clear);
	for (unsigned i = 0; i < LEN(n->by); i++)
		buf_fmt(note, " %s=%llu", tls_proof_name((enum tls_proof)i), (unsigned long long)n->by[i]);
	buf_fmt(note, " refused=%llu testing=%llu", (unsigned long long)n->refused, (unsigned long long)n->testing);
}

void
client_seen(struct client *c, const struct tls_report_session *s)
{
	struct channel *fetch = s->policy.domain.n > 0 ? peers_pick(daemon_peers(c->daemon, "fetch")) : NULL;

	if (!fetch)
		return;
	ipc_put_tls_seen(&c->out, 0, &(struct ipc_tls_seen){ .domain = s->policy.domain, .type = s->policy.type,
	    .lines = s->policy.lines, .result = s->result, .sending = s->sending, .receiving = s->receiving, .mx = s->mx,
	    .reason = bytes_head(s->reason, TLS_REPORT_REASON) });
	channel_send(fetch, &c->out);
}

void
client_fini(struct client *c)
{
	job_end_all(c);
	pool_free(&c->pool);
	while (c->sessions) {			/* that say QUIT */
		struct session *s = c->sessions;

		session_free(&s);
	}
	dns_free(&c->dns);
	sts_free(&c->sts);
	tls_free(&c->tls);
	self_free(&c->self);
	if (c->settings->credentials[0] != '\0')
		mechs_close();
	ipc_out_fini(&c->out);
}
