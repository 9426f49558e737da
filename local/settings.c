/* SPDX-License-Identifier: ISC */
#include "local/local.h"

const struct setting local_settings[] = {
	SET_NUMBER("local_workers",	struct local_settings, workers,		"50", 1, 1000),
	SET_TIME("deliver_idle",	struct local_settings, idle_ms,		"10s", 0, 3600000),
	SET_TIME("deliver_timeout",	struct local_settings, timeout_ms,	"5m", 1000, 3600000),
	SET_END
};
