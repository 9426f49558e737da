/* SPDX-License-Identifier: ISC */
/*
 * base/clock.h - the two clocks. Intervals are counted on the monotonic one;
 * the wall clock is for what people and other hosts read; in a build with --enable-faults
 * HERMOD_CLOCK_OFFSET, in seconds, moves it; and HERMOD_CLOCK_FILE while it runs, a file of 8 octets (int64_t, seconds).
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t	clock_mono_ms(void);
uint64_t	clock_mono_us(void);
/* For what is left of a millisecond, which the loop's timers do not know. */
void		clock_sleep_until(uint64_t mono_us);
int64_t		clock_wall_s(void);
int64_t		clock_wall_us(void);

#define CLOCK_DATE_MAX 40
/* "Mon, 23 Nov 2026 09:08:07 +0100", RFC 5322 section 3.3, in the host's zone
 * (zone data is opened by clock_open before a process is confined). Years past
 * 2106 too. Returns dst. */
char	*clock_date(int64_t wall_s, char dst[CLOCK_DATE_MAX]);
/* "2026-11-23T08:08:07.123456Z", RFC 3339. Returns dst. */
char	*clock_stamp(int64_t wall_us, char dst[CLOCK_DATE_MAX]);
void	 clock_open(void);

#endif
