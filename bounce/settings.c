/* SPDX-License-Identifier: ISC */
/*
 * bounce/settings.c - what can be set about notifications.
 */
#include "bounce/bounce.h"

#include <stddef.h>

#include "mail/relay.h"

#define S struct bounce_settings
#define DAY_MS 86400000ull

static const char *const return_words[] = { "full", "headers", NULL };
static const char *const double_words[] = { "postmaster", "discard", NULL };

static bool
is_folder(const char *value, char *why, size_t cap)
{
	return value[0] == '\0' || setting_is_path(value, why, cap);
}

const struct setting bounce_settings[] = {
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_LIST("trusted_networks",	S, trusted_networks, RELAY_NETWORKS_STANDARD, setting_is_network),
	SET_SIZE("header_size_limit",	S, header_octets, "256K", 1024, 16 << 20),
	SET_TIME("max_queue_lifetime",	S, lifetime_ms, "5d", 1000, 365 * DAY_MS),
	SET_WORD("bounce_return",	S, returned, "full", return_words),
	SET_SIZE("bounce_size_limit",	S, size_octets, "1M", 0, 1ull << 40),
	SET_BOOL("bounce_to_strangers",	S, to_strangers, "no"),
	SET_WORD("double_bounce",	S, double_bounce, "postmaster", double_words),
	SET_TEXT_IF("bounce_template_directory", S, template_directory, "", is_folder),
	SET_END
};
