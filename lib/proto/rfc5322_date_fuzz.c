/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/rfc5322_date.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	int64_t wall_s;
	int zone_min;

	if (rfc5322_date_parse(bytes_of(p, n), &wall_s, &zone_min)) {
		must(zone_min >= -5999 && zone_min <= 5999);
		must(wall_s >= -62168000000 && wall_s <= 253403000000);
	}
	return 0;
}
