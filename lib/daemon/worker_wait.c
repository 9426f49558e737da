/* SPDX-License-Identifier: ISC */
#include "daemon/worker_wait.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"

#define DISCARD_ROUNDS	64	/* a client that never stops talking gets its reset */

enum worker_wait
worker_wait(struct worker_socket *w, short events, uint64_t ms, bool idle)
{
	uint64_t now = clock_mono_ms(), end = now + (w->stopping && ms > WORKER_STOP_MS ? WORKER_STOP_MS : ms);

	for (;; now = clock_mono_ms()) {
		struct pollfd p[2] = { { .fd = w->fd, .events = events }, { .fd = w->stopping ? -1 : w->stop } };
		int n;

		if (w->stopping && (idle || now >= w->stop_end))
			return WORKER_STOP;
		if (w->stopping && end > w->stop_end)
			end = w->stop_end;
		n = poll(p, 2, now >= end ? 0 : (int)(end - now));
		if (n == -1 && errno != EINTR)
			return WORKER_GONE;
		if (n == 0)
			return w->stopping ? WORKER_STOP : WORKER_SILENT;
		if (n > 0 && p[1].revents != 0) {
			w->stopping = true;
			w->stop_end = now + WORKER_STOP_ALL_MS;
			if (end > now + WORKER_STOP_MS)
				end = now + WORKER_STOP_MS;
		} else if (n > 0) {
			return WORKER_READY;
		}
	}
}

void
worker_discard(const struct worker_socket *w)
{
	char room[4096];

	for (int i = 0; i < DISCARD_ROUNDS && recv(w->fd, room, sizeof room, MSG_DONTWAIT) > 0; i++)
		;
}
