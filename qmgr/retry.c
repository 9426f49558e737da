/* SPDX-License-Identifier: ISC */
#include "qmgr/retry.h"

#define DAY_S	86400

uint64_t
retry_backoff_ms(uint32_t attempts, uint64_t least_ms, uint64_t most_ms, uint32_t chance)
{
	uint64_t wait = least_ms;

	for (uint32_t i = 1; i < attempts && wait < most_ms; i++)
		wait *= 2;
	if (wait > most_ms)
		wait = most_ms;
	return wait - wait / 8 * (chance % 1024) / 1024;
}

void
clock_guard_start(struct clock_guard *g, int64_t last_s, int64_t wall_s, uint64_t mono_ms, uint64_t confirm_ms)
{
	bool jumped = last_s != 0 && (wall_s < last_s - CLOCK_JUMP_S || wall_s > last_s + DAY_S);

	*g = (struct clock_guard){ .wall_s = wall_s, .mono_ms = mono_ms, .confirm_ms = confirm_ms };
	g->sure_ms = jumped ? mono_ms + confirm_ms : mono_ms;
}

static int64_t
jump_since(const struct clock_guard *g, int64_t wall_s, uint64_t mono_ms)
{
	int64_t jump = wall_s - g->wall_s - (int64_t)((mono_ms - g->mono_ms) / 1000);

	return jump >= -CLOCK_JUMP_S && jump <= CLOCK_JUMP_S ? 0 : jump;
}

int64_t
clock_guard_look(struct clock_guard *g, int64_t wall_s, uint64_t mono_ms)
{
	int64_t jump = jump_since(g, wall_s, mono_ms);

	g->wall_s = wall_s;
	g->mono_ms = mono_ms;
	if (jump != 0)
		g->sure_ms = mono_ms + g->confirm_ms;
	return jump;
}

bool
clock_guard_sure(const struct clock_guard *g, int64_t wall_s, uint64_t mono_ms)
{
	return mono_ms >= g->sure_ms && jump_since(g, wall_s, mono_ms) == 0;
}
