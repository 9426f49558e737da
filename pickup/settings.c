/* SPDX-License-Identifier: ISC */
/*
 * pickup/settings.c - what can be set about mail from local commands.
 */
#include "pickup/pickup.h"

#include <stddef.h>

#define S struct pickup_settings

const struct setting pickup_settings[] = {
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_SIZE("message_size_limit",	S, message_octets, "25M", 1024, 1ull << 40),
	SET_NUMBER("pickup_recipient_limit", S, recipients, "1000", 1, 50000),
	SET_SIZE("header_size_limit",	S, header_octets, "256K", 1024, 16 << 20),
	SET_NUMBER("mime_depth_limit",	S, mime_depth, "50", 1, 100),
	SET_NUMBER("mime_part_limit",	S, mime_parts, "2000", 1, 100000),
	SET_NUMBER("hop_limit",		S, hops, "100", 10, 1000),
	SET_NUMBER("pickup_clients",	S, clients, "200", 1, 10000),
	SET_TIME("pickup_timeout",	S, timeout_ms, "5m", 1000, 86400000),
	SET_END
};
