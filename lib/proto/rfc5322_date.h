/* SPDX-License-Identifier: ISC */
/*
 * proto/rfc5322_date.h - dates of messages. RFC 5322 sections 3.3 and 4.3
 * (two-digit years, zones by name, comments). Written by clock_date of lib/base.
 * Pure.
 */
#ifndef PROTO_RFC5322_DATE_H
#define PROTO_RFC5322_DATE_H

#include "base/bytes.h"

/*
 * Seconds since 1970 UTC, for years 0 to 9999, and the zone in minutes east of UTC
 * ("-0000" and letters that say nothing are 0). The name of the day is not
 * compared. False: not a date; nothing is set.
 */
bool	rfc5322_date_parse(struct bytes value, int64_t *wall_s, int *zone_min);

#endif
