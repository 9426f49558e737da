/* SPDX-License-Identifier: ISC */
#include "mail/tls_settings.h"

#include <stddef.h>
#include <stdio.h>

#define S struct tls_settings

static const char *const profiles[] = { [TLS_INTERMEDIATE] = "intermediate", [TLS_MODERN] = "modern", NULL };

bool
tls_certificate_paths(const char *item, struct bytes *chain, struct bytes *key)
{
	struct bytes rest = text(item);

	*chain = bytes_cut(&rest, ':');
	*key = rest;
	return chain->n > 0 && key->n > 0;
}

static bool
is_certificate(const char *item, char *why, size_t cap)
{
	struct bytes part[2];

	if (!tls_certificate_paths(item, &part[0], &part[1])) {
		snprintf(why, cap, "right would be two files, the certificate with its chain and its private key, "
		    "like \"/etc/hermod/tls/fullchain.pem:/etc/hermod/tls/privkey.pem\"");
		return false;
	}
	for (int i = 0; i < 2; i++) {
		char path[1024];

		if (!bytes_to_text(part[i], path, sizeof path)) {
			snprintf(why, cap, "too long; right would be paths of less than 1024 octets");
			return false;
		}
		if (!setting_is_path(path, why, cap))
			return false;
	}
	return true;
}

const struct setting tls_settings[] = {
	SET_LIST("tls_certificates", S, certificates, "", is_certificate),
	SET_TEXT_IF("tls_client_ca_file", S, client_ca_file, "", setting_is_path_or_empty),
	SET_WORD("tls_profile",	S, profile, "intermediate", profiles),
	SET_TIME("tls_ticket_time", S, ticket_time_ms, "2h", 0, 86400000),
	SET_END
};
