/* SPDX-License-Identifier: ISC */
/*
 * router/settings.c - what can be set about addresses.
 */
#include "router/router.h"

#include <stddef.h>
#include <stdio.h>

#include "config.h"
#include "mail/nexthop.h"
#include "mail/transport.h"

#define S struct router_settings

static bool
is_delimiter(const char *value, char *why, size_t cap)
{
	if (strlen(value) <= 4 && strspn(value, "+-_.=#") == strlen(value))
		return true;
	snprintf(why, cap, "not delimiters; right would be some of + - _ . = #, as \"+\", or \"\" for none");
	return false;
}

static bool
is_address(const char *value, char *why, size_t cap)
{
	size_t at = bytes_rfind(text(value), '@');

	if (at > 0 && at + 1 < strlen(value))
		return setting_is_domain(value + at + 1, why, cap);
	snprintf(why, cap, "not an address; right would be like anna@example.org");
	return value[0] == '\0';
}

static bool
is_relay_host(const char *value, char *why, size_t cap)
{
	struct arena *a = arena_new(1 << 16);
	struct nexthop n;
	bool good = value[0] == '\0' || (nexthop_parse(text(value), a, &n) && n.kind != NEXTHOP_UNIX);

	arena_free(&a);
	if (!good)
		snprintf(why, cap, "not a next hop; right would be [mx.example.org]:25, [192.0.2.1]:25, or example.org "
		    "for its mail exchangers");
	return good;
}

const struct setting router_settings[] = {
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_LIST("local_domains",	S, local_domains, "", setting_is_domain),
	SET_LIST("local_addresses",	S, local_addresses, "127.0.0.1\n::1\n", setting_is_network),
	SET_LIST("trusted_networks",	S, trusted_networks, RELAY_NETWORKS_STANDARD, setting_is_network),
	SET_LIST("relay_domains",	S, relay_domains, "", setting_is_domain),
	SET_LIST("routes",		S, routes, "", transport_item_check),
	SET_TEXT_IF("transport_map",	S, transport_map, "", setting_is_table),
	SET_TEXT_IF("sender_map",	S, sender_map, "", setting_is_table),
	SET_TEXT_IF("smtp_credentials",	S, credentials, "", setting_is_table),
	SET_TEXT_IF("smtp_token_directory", S, token_directory, "", setting_is_path_or_empty),
	SET_TEXT_IF("relay_host",	S, relay_host, "", is_relay_host),
	SET_TEXT_IF("alias_map",	S, alias_map, "text:/etc/aliases", setting_is_table),
	SET_TEXT_IF("recipient_delimiter", S, recipient_delimiter, "+", is_delimiter),
	SET_TEXT_IF("postmaster_address", S, postmaster_address, "", is_address),
	ACCOUNT_SETTINGS(S, account),
	SET_END
};
