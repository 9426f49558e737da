/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/relay.h"

void
relay_rule_init(struct relay_rule *r, const struct setting_list *trusted_networks)
{
	char why[256];

	*r = (struct relay_rule){ .network = mem_array(trusted_networks->n + 1, sizeof *r->network) };
	for (size_t i = 0; i < trusted_networks->n; i++)
		if (network_parse(text(trusted_networks->item[i]), &r->network[r->n], why, sizeof why))
			r->n++;
}

void
relay_rule_fini(struct relay_rule *r)
{
	mem_free(r->network);
	*r = (struct relay_rule){ 0 };
}

const struct network *
relay_network(const struct relay_rule *r, struct bytes client)
{
	struct address a;

	if (!address_parse(client, &a))
		return NULL;
	for (size_t i = 0; i < r->n; i++)
		if (network_has(&r->network[i], &a))
			return &r->network[i];
	return NULL;
}

bool
relay_allowed(const struct relay_rule *r, enum client_class who, struct bytes client)
{
	switch (who) {
	case CLIENT_ACCOUNT:
	case CLIENT_LOCAL_USER:
		return true;
	case CLIENT_TRUSTED:
	case CLIENT_STRANGER:
		return relay_network(r, client) != NULL;
	}
	return false;		/* a number from a frame that is no class */
}
