/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "config.h"

#include "base/clock.h"
#include "base/mem.h"

/* RFC 5322 has years of four digits: what a broken clock or file says beyond is cut. */
#define YEAR_1		(-62135596800)
#define YEAR_9999	253402300799

#define TWO(n)		((unsigned)(n) % 100)	/* so that the compiler sees that it fits */
#define FOUR(n)		((unsigned)(n) % 10000)

#ifdef HERMOD_FAULTS
/* The first 8 octets of HERMOD_CLOCK_FILE, if it is given: a test changes them while we run. Mapped for good. */
static const volatile int64_t *jumps;

static void
open_jumps(void)
{
	const char *path = getenv("HERMOD_CLOCK_FILE");
	int fd = path && !jumps ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *p = fd == -1 ? MAP_FAILED : mmap(NULL, sizeof *jumps, PROT_READ, MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		jumps = p;
	if (fd != -1)
		close(fd);
}

/* HERMOD_CLOCK_OFFSET=86400: test builds live so many seconds after the host's wall clock, or before. */
static time_t
test_offset_s(clockid_t clock)
{
	static bool known;
	static long offset;

	if (!known) {
		const char *s = getenv("HERMOD_CLOCK_OFFSET");

		offset = s ? strtol(s, NULL, 10) : 0;
		known = true;
	}
	return clock == CLOCK_REALTIME ? offset + (jumps ? *jumps : 0) : 0;
}
#else
static void open_jumps(void) { }
static time_t test_offset_s(clockid_t clock) { (void)clock; return 0; }
#endif

static struct timespec
now(clockid_t clock)
{
	struct timespec t;

	must(clock_gettime(clock, &t) == 0);
	t.tv_sec += test_offset_s(clock);
	return t;
}

uint64_t
clock_mono_ms(void)
{
	struct timespec t = now(CLOCK_MONOTONIC);

	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t
clock_mono_us(void)
{
	struct timespec t = now(CLOCK_MONOTONIC);

	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
clock_sleep_until(uint64_t mono_us)
{
	struct timespec t = { .tv_sec = (time_t)(mono_us / 1000000), .tv_nsec = (long)(mono_us % 1000000 * 1000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

int64_t
clock_wall_s(void)
{
	return now(CLOCK_REALTIME).tv_sec;
}

int64_t
clock_wall_us(void)
{
	struct timespec t = now(CLOCK_REALTIME);

	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static time_t
within_four_digits(int64_t wall_s)
{
	/* A day off each end: the zone may not carry it over. */
	if (wall_s < YEAR_1 + 86400)
		return YEAR_1 + 86400;
	if (wall_s > YEAR_9999 - 86400)
		return YEAR_9999 - 86400;
	return wall_s;
}

char *
clock_date(int64_t wall_s, char dst[CLOCK_DATE_MAX])
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = within_four_digits(wall_s);
	struct tm tm;
	long zone;

	must(localtime_r(&t, &tm) != NULL);
	zone = tm.tm_gmtoff / 60;
	snprintf(dst, CLOCK_DATE_MAX, "%s, %u %s %04u %02u:%02u:%02u %c%02u%02u",
	    days[tm.tm_wday], TWO(tm.tm_mday), months[tm.tm_mon], FOUR(tm.tm_year + 1900),
	    TWO(tm.tm_hour), TWO(tm.tm_min), TWO(tm.tm_sec), zone < 0 ? '-' : '+',
	    TWO(labs(zone) / 60), TWO(labs(zone) % 60));
	return dst;
}

char *
clock_stamp(int64_t wall_us, char dst[CLOCK_DATE_MAX])
{
	int64_t us = wall_us % 1000000;
	time_t t = wall_us / 1000000;
	struct tm tm;

	if (us < 0) {				/* before 1970: round down, not to zero */
		us += 1000000;
		t--;
	}
	t = within_four_digits(t);
	must(gmtime_r(&t, &tm) != NULL);
	snprintf(dst, CLOCK_DATE_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
	    FOUR(tm.tm_year + 1900), TWO(tm.tm_mon + 1), TWO(tm.tm_mday),
	    TWO(tm.tm_hour), TWO(tm.tm_min), TWO(tm.tm_sec), (unsigned)us % 1000000);
	return dst;
}

void
clock_open(void)
{
	tzset();	/* localtime_r reads the zone's file once, here */
	open_jumps();
}
