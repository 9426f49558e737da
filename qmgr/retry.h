/* SPDX-License-Identifier: ISC */
/*
 * qmgr/retry.h - when a message is tried again, and whether the wall clock may be
 * believed. Pure: the clocks are arguments.
 */
#ifndef QMGR_RETRY_H
#define QMGR_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds to wait after that many attempts (from 1): doubled each time, within both
 * bounds, and less by up to an eighth of it, as `chance` (any number) says. */
uint64_t	retry_backoff_ms(uint32_t attempts, uint64_t least_ms, uint64_t most_ms, uint32_t chance);

/*
 * A wall clock that jumped makes every message look old. Until the new time has
 * stood for confirm_ms, nothing expires.
 */
#define CLOCK_JUMP_S	600	/* further from the monotonic clock than this is a jump */

struct clock_guard {
	int64_t		wall_s;		/* at the last look */
	uint64_t	mono_ms;
	uint64_t	sure_ms;	/* from then on the wall clock is believed */
	uint64_t	confirm_ms;
};

/* last_s: the wall clock when the queue was last served, 0: not known. The time that went by since
 * cannot be measured: more than a day, or less than none, is taken for a jump. */
void	clock_guard_start(struct clock_guard *g, int64_t last_s, int64_t wall_s, uint64_t mono_ms, uint64_t confirm_ms);
/* Seconds that the clock has jumped since the last look; 0: it has not. */
int64_t	clock_guard_look(struct clock_guard *g, int64_t wall_s, uint64_t mono_ms);
/* May that time be believed? Not if it has jumped since the last look, either. */
bool	clock_guard_sure(const struct clock_guard *g, int64_t wall_s, uint64_t mono_ms);

#endif
