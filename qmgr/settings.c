/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include "qmgr/qmgr.h"

#define S struct qmgr_settings
#define DAY_MS 86400000ull

const struct setting qmgr_settings[] = {
	SET_NUMBER("qmgr_active_limit", S, active_limit, "10000", 1, 100000),
	SET_NUMBER("local_concurrency", S, local_concurrency, "50", 1, 1000),
	SET_NUMBER("local_destination_concurrency", S, local_destination_concurrency, "16", 1, 1000),
	SET_TIME("local_delivery_timeout", S, delivery_timeout_ms, "10m", 1000, DAY_MS),
	SET_TIME("route_timeout", S, route_timeout_ms, "30s", 100, 3600000),
	SET_TIME("minimal_backoff", S, minimal_backoff_ms, "5m", 1000, DAY_MS),
	SET_TIME("maximal_backoff", S, maximal_backoff_ms, "4h", 1000, 30 * DAY_MS),
	SET_TIME("uncertain_backoff", S, uncertain_backoff_ms, "10s", 100, 3600000),
	SET_TIME("max_queue_lifetime", S, lifetime_ms, "5d", 1000, 365 * DAY_MS),
	SET_TIME("clock_confirm_time", S, clock_confirm_ms, "1h", 0, 30 * DAY_MS),
	SET_END
};
