/* SPDX-License-Identifier: ISC */
/*
 * local/local.h - what main.c, workers.c and settings.c share.
 */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "daemon/daemon.h"

struct local_settings {
	uint64_t	workers;	/* deliver processes at once */
	uint64_t	idle_ms;	/* how long one without a job stays */
	uint64_t	timeout_ms;	/* for one delivery */
};

extern const struct setting local_settings[];

struct workers;		/* the deliver processes, and the jobs they have or wait for */

struct workers	*workers_new(struct daemon *d, const struct local_settings *s);	/* both borrowed */
void		 workers_free(struct workers **w);
/* Takes job->file. The answer goes to `from` under this id, unless workers_forget was called for it. */
void		 workers_deliver(struct workers *w, struct channel *from, uint32_t id,
		    const struct ipc_deliver *job);
void		 workers_forget(struct workers *w, struct channel *from);	/* it is gone */
uint32_t	 workers_jobs(const struct workers *w);

#endif
