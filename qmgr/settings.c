/* SPDX-License-Identifier: ISC */
#include <stddef.h>
#include <stdio.h>

#include "mail/nexthop.h"
#include "qmgr/qmgr.h"

#define S struct qmgr_settings
#define DAY_MS 86400000ull

static bool
is_nexthop(const char *value, char *why, size_t cap)
{
	struct arena *a = arena_new(1 << 16);
	struct nexthop n;
	bool good = nexthop_parse(text(value), a, &n) && bytes_eq(nexthop_text(&n, a), text(value));

	arena_free(&a);
	if (!good)
		snprintf(why, cap, "not a next hop as the queue shows it; right would be like example.org, "
		    "[mx.example.org]:25 or [192.0.2.1]:25");
	return good;
}

const struct setting qmgr_settings[] = {
	SET_NUMBER("qmgr_active_limit", S, active_limit, "10000", 1, 100000),
	SET_NUMBER("destination_active_limit", S, destination_limit, "1000", 1, 100000),
	SET_NUMBER("local_concurrency", S, local_concurrency, "50", 1, 1000),
	SET_NUMBER("local_destination_concurrency", S, local_destination_concurrency, "16", 1, 1000),
	SET_NUMBER("smtp_concurrency", S, smtp_concurrency, "500", 1, 10000),
	SET_NUMBER("smtp_destination_concurrency", S, smtp_destination_concurrency, "20", 1, 1000),
	SET_NUMBER("smtp_recipient_limit", S, smtp_recipient_limit, "50", 1, 300),
	SET_TIME("local_delivery_timeout", S, local_timeout_ms, "10m", 1000, DAY_MS),
	SET_TIME("relay_timeout", S, smtp_timeout_ms, "2h", 1000, DAY_MS),
	SET_TIME("route_timeout", S, route_timeout_ms, "30s", 100, 3600000),
	SET_TIME("notify_timeout", S, notify_timeout_ms, "1m", 100, 3600000),
	SET_TIME("minimal_backoff", S, minimal_backoff_ms, "5m", 1000, DAY_MS),
	SET_TIME("maximal_backoff", S, maximal_backoff_ms, "4h", 1000, 30 * DAY_MS),
	SET_TIME("uncertain_backoff", S, uncertain_backoff_ms, "10s", 100, 3600000),
	SET_TIME("max_queue_lifetime", S, lifetime_ms, "5d", 1000, 365 * DAY_MS),
	SET_TIME("bounce_queue_lifetime", S, bounce_lifetime_ms, "5d", 1000, 365 * DAY_MS),
	SET_TIME("delay_warning_time", S, delay_warning_ms, "4h", 0, 365 * DAY_MS),
	SET_NUMBER("bulk_recipients", S, bulk_recipients, "100", 1, 1000000),
	SET_TIME("clock_confirm_time", S, clock_confirm_ms, "1h", 0, 30 * DAY_MS),
	SET_WORD("queue_sync_directory", S, sync_directory, "auto", queue_sync_words),
	SET_LIST("never_down", S, never_down, "", is_nexthop),
	SET_END
};
