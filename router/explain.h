/* SPDX-License-Identifier: ISC */
/*
 * router/explain.h - why an answer is what it is, step by step, for an administrator who asks (hermod explain). The code
 * that answers is the same with and without: a step is only written down where somebody listens.
 *
 * Addresses and what tables hold go in as they are, strangers' octets too: whoever shows them has to escape them.
 */
#ifndef ROUTER_EXPLAIN_H
#define ROUTER_EXPLAIN_H

#include "mail/ipc.h"
#include "mail/router.h"

#define EXPLAIN_OCTETS	(2u << 20)	/* of one explanation; steps that do not fit are counted */
#define EXPLAIN_WORDS	2048		/* of one step; longer words end in "..." */

struct explanation {
	struct buf	 steps;		/* owned; a run of explain_step bodies, each as a TEXT */
	struct ipc_out	 step;		/* owned; one of them, encoded */
	unsigned	 depth;		/* in how many aliases we are */
	size_t		 left_out;
};

void	explanation_init(struct explanation *e);
void	explanation_fini(struct explanation *e);
void	explanation_clear(struct explanation *e);

/* One step: which rule ("alias", "relay"), and what it says. e NULL: nobody listens, nothing is done. */
void	explain(struct explanation *e, const char *rule, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* What a table said; setting is the one that names it, spec its value. */
void	explain_lookup(struct explanation *e, const char *rule, const char *setting, const char *spec, struct bytes key,
	    enum verdict said, struct bytes value);
/* What follows is said within an alias (by = 1), or no longer (-1). */
void	explain_within(struct explanation *e, int by);

#endif
