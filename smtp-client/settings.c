/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/settings.c - what can be set about mail to other hosts. Timeouts are those of RFC 5321 section 4.5.3.2.
 */
#include "smtp-client/client.h"

#include <stddef.h>
#include <stdio.h>

#define S struct smtp_client_settings
#define HOUR_MS 3600000

static bool
is_name_or_empty(const char *value, char *why, size_t cap)
{
	return value[0] == '\0' || setting_is_domain(value, why, cap);
}

static bool
is_ipv4(const char *value, char *why, size_t cap)
{
	struct address a;

	if (value[0] == '\0' || (strchr(value, ':') == NULL && address_parse(text(value), &a)))
		return true;
	snprintf(why, cap, "not an IPv4 address; right would be like 192.0.2.1, or \"\" for whichever the host chooses");
	return false;
}

static bool
is_ipv6(const char *value, char *why, size_t cap)
{
	struct address a;

	if (value[0] == '\0' || (strchr(value, ':') != NULL && address_parse(text(value), &a)))
		return true;
	snprintf(why, cap, "not an IPv6 address; right would be like 2001:db8::1, or \"\" for whichever the host chooses");
	return false;
}

const struct setting smtp_client_settings[] = {
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_LIST("listen_smtp",		S, listen_smtp, "0.0.0.0:25\n[::]:25\n", setting_is_listen),
	SET_LIST("local_addresses",	S, local_addresses, "127.0.0.1\n::1\n", setting_is_network),
	SET_TEXT_IF("smtp_helo_name",	S, helo_name, "", is_name_or_empty),
	SET_TEXT_IF("smtp_bind_ipv4",	S, bind_ipv4, "", is_ipv4),
	SET_TEXT_IF("smtp_bind_ipv6",	S, bind_ipv6, "", is_ipv6),
	SET_NUMBER("smtp_port",		S, port, "25", 1, 65535),
	SET_NUMBER("lmtp_port",		S, lmtp_port, "24", 1, 65535),
	SET_LIST("lmtp_sockets",	S, lmtp_sockets, "", setting_is_path),
	SET_WORD("smtp_tls",		S, tls, "auto", tls_wish_words),
	SET_LIST("tls_policies",	S, tls_policies, "", setting_is_tls_policy),
	SET_TIME("mta_sts_timeout",	S, sts_timeout_ms, "30s", 1000, 120000),
	SET_TEXT_IF("tls_ca_file",	S, tls_ca_file, "/etc/ssl/certs/ca-certificates.crt", setting_is_path_or_empty),
	SET_TEXT("smtp_credentials",	S, credentials, ""),	/* the router looks at it */
	SET_BOOL("smtp_auth_plaintext",	S, auth_plaintext, "no"),
	SET_BOOL("smtp_auth_unproven",	S, auth_unproven, "no"),
	SET_BOOL("smtp_allow_loopback",	S, allow_loopback, "no"),
	SET_LIST("smtp_networks",	S, networks, "", setting_is_network),
	SET_NUMBER("smtp_address_limit", S, address_limit, "6", 1, 100),
	SET_TIME("smtp_dns_timeout",	S, dns_timeout_ms, "40s", 100, HOUR_MS),
	SET_TIME("smtp_connect_timeout", S, connect_timeout_ms, "30s", 100, HOUR_MS),
	SET_TIME("smtp_greeting_timeout", S, greeting_timeout_ms, "5m", 100, HOUR_MS),
	SET_TIME("smtp_helo_timeout",	S, helo_timeout_ms, "5m", 100, HOUR_MS),
	SET_TIME("smtp_tls_timeout",	S, tls_timeout_ms, "1m", 100, HOUR_MS),
	SET_TIME("smtp_mail_timeout",	S, mail_timeout_ms, "5m", 100, HOUR_MS),
	SET_TIME("smtp_rcpt_timeout",	S, rcpt_timeout_ms, "5m", 100, HOUR_MS),
	SET_TIME("smtp_data_timeout",	S, data_timeout_ms, "2m", 100, HOUR_MS),
	SET_TIME("smtp_content_timeout", S, content_timeout_ms, "3m", 100, HOUR_MS),
	SET_TIME("smtp_done_timeout",	S, done_timeout_ms, "10m", 100, HOUR_MS),
	SET_TIME("smtp_quit_timeout",	S, quit_timeout_ms, "5s", 100, HOUR_MS),
	SET_TIME("smtp_delivery_timeout", S, delivery_timeout_ms, "1h", 1000, 24 * HOUR_MS),
	SET_TIME("smtp_connection_cache_time", S, cache_ms, "2s", 0, HOUR_MS),
	SET_TIME("smtp_connection_reuse_time", S, reuse_ms, "5m", 0, HOUR_MS),
	SET_NUMBER("smtp_connection_reuse_limit", S, reuse_limit, "100", 1, 100000),
	SET_NUMBER("smtp_connection_cache_limit", S, cache_limit, "200", 0, 10000),
	SET_END
};
