/* SPDX-License-Identifier: ISC */
/*
 * fetch/settings.c - what can be set about policies that come by HTTPS (RFC 8461 section 3.3 suggests the times), and about
 * the introspection of tokens.
 */
#include "fetch/fetch.h"

#include <stddef.h>

#define S struct fetch_settings
#define DAY_MS 86400000

const struct setting fetch_settings[] = {
	SET_TEXT_IF("tls_ca_file",	S, tls_ca_file, "/etc/ssl/certs/ca-certificates.crt", setting_is_path_or_empty),
	SET_BOOL("smtp_allow_loopback",	S, allow_loopback, "no"),
	SET_LIST("smtp_networks",	S, networks, "", setting_is_network),
	SET_TIME("mta_sts_timeout",	S, timeout_ms, "30s", 1000, 120000),
	SET_TIME("mta_sts_refresh",	S, refresh_ms, "1d", 1000, 7ull * DAY_MS),
	SET_TIME("mta_sts_retry",	S, retry_ms, "5m", 1000, DAY_MS),
	SET_NUMBER("mta_sts_cache_limit", S, limit, "10000", 1, 100000),
	SET_TIME("tls_report_interval",	S, report_interval_ms, "30s", 100, DAY_MS),
	SET_NUMBER("tls_report_days",	S, report_days, "14", 1, 3650),
	SET_NUMBER("tls_report_limit",	S, report_limit, "10000", 1, 100000),
	SET_NUMBER("mta_sts_port",	S, port, "443", 1, 65535),
	SET_TEXT_IF("oauth_introspection_url", S, introspection_url, "", setting_is_oauth_url),
	SET_TEXT_IF("oauth_client_file", S, client_file, "", setting_is_path_or_empty),
	SET_TIME("oauth_timeout",	S, introspection_ms, "10s", 100, 40000),
	SET_END
};
