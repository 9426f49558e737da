/* SPDX-License-Identifier: ISC */
/*
 * master/relay_proof.c - proves, before anything starts, that no stranger may send
 * through this host to others. The rule itself is asked (mail/relay.c), not the
 * setting: for each class of unauthenticated client outside loopback, and for the
 * edges of every network that is trusted. Loopback is one run of addresses in each
 * family, so a network that reaches past it has an edge outside it, or holds
 * addresses of the other family: those are asked too.
 *
 * It runs as router would run it: proof.c.
 */
#include "mail/relay.h"
#include "master/master.h"

/* One or more of each class of client that a network could let in by mistake. */
static const char *const strangers[] = {
	"198.51.100.7", "203.0.113.250", "8.8.8.8", "1.0.0.1", "126.255.255.255", "128.0.0.0", "223.255.255.254",
	"0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1",	/* this host, broadcast, multicast, reserved */
	"10.0.0.1", "172.16.0.1", "192.168.1.1",		/* private: RFC 1918 */
	"100.64.0.1",						/* carrier's translation: RFC 6598 */
	"169.254.1.1", "fe80::1", "fe80::1%eth0",		/* link-local */
	"fd00::1", "fec0::1",					/* unique local, site-local */
	"2001:db8::1", "2600::1", "2a00::1",			/* the world */
	"::", "::2", "::127.0.0.1", "::198.51.100.7",		/* beside ::1; the old compatible form is no loopback */
	"::ffff:198.51.100.7", "::ffff:10.0.0.1", "::ffff:0:0",	/* mapped: IPv4 over an IPv6 socket */
	"64:ff9b::c633:6407", "2002:c633:6407::1",		/* translated, 6to4 */
	"ff02::1",
};

static void
step(struct address *a, int by)
{
	for (int i = 15; i >= 0; i--) {
		a->octet[i] = (unsigned char)(a->octet[i] + by);
		if (a->octet[i] != (by > 0 ? 0 : 0xff))
			return;
	}
}

/* Which item of trusted_networks lets it in; NULL: none by itself. */
static const char *
culprit(const struct setting_list *l, struct bytes client)
{
	for (size_t i = 0; i < l->n; i++) {
		struct setting_list one = { &l->item[i], 1 };
		struct relay_rule rule;
		bool lets;

		relay_rule_init(&rule, &one);
		lets = relay_allowed(&rule, CLIENT_STRANGER, client);
		relay_rule_fini(&rule);
		if (lets)
			return l->item[i];
	}
	return NULL;
}

/* True: this client is as it should be. */
static bool
ask(const struct config *c, const struct relay_rule *rule, const char *path, const char *client, struct buf *faults)
{
	const struct setting_list *l = &c->s.trusted_networks;
	const char *network;
	struct address a;

	if (address_parse(text(client), &a) && address_is_loopback(&a))
		return true;
	if (!relay_allowed(rule, CLIENT_STRANGER, text(client)) && !relay_allowed(rule, CLIENT_TRUSTED, text(client)))
		return true;
	network = culprit(l, text(client));
	buf_fmt(faults, "%s: trusted_networks: \"%s\": lets clients outside this host send to everybody "
	    "without a password (%s could); right would be loopback alone, 127.0.0.0/8 and ::1/128, or "
	    "allow_unauthenticated_relay = yes beside it, if that is meant\n", path, network ? network : "?", client);
	return false;
}

/* One fault a network is enough. */
static bool
ask_edges(const struct config *c, const struct relay_rule *rule, const char *path, size_t i, struct buf *faults)
{
	struct address edge[4];
	char client[NETWORK_TEXT_MAX];

	edge[0] = edge[2] = rule->network[i].first;
	network_last(&rule->network[i], &edge[1]);
	edge[3] = edge[1];
	step(&edge[2], -1);		/* its neighbours: they may be in another network */
	step(&edge[3], +1);
	for (size_t e = 0; e < LEN(edge); e++)
		if (!ask(c, rule, path, address_text(&edge[e], client), faults))
			return false;
	return true;
}

void
relay_proof_rule(const struct config *c, const char *path, struct buf *faults)
{
	struct relay_rule rule;
	bool good = true;

	if (c->s.allow_unauthenticated_relay)
		return;
	relay_rule_init(&rule, &c->s.trusted_networks);
	if (rule.n != c->s.trusted_networks.n)
		buf_fmt(faults, "%s: trusted_networks: a network cannot be read\n", path);
	for (size_t i = 0; i < rule.n; i++)
		good = ask_edges(c, &rule, path, i, faults) && good;
	for (size_t i = 0; good && i < LEN(strangers); i++)
		good = ask(c, &rule, path, strangers[i], faults);
	relay_rule_fini(&rule);
}

bool
relay_proof(const struct config *c, const char *path, struct buf *faults)
{
	return proof(c, path, "router", "the proof that no stranger can relay", relay_proof_rule, faults);
}
