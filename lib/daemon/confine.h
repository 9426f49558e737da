/* SPDX-License-Identifier: ISC */
/*
 * daemon/confine.h - the parts of confinement, for lib/daemon alone.
 */
#ifndef DAEMON_CONFINE_H
#define DAEMON_CONFINE_H

#include "config.h"
#include "daemon/daemon.h"
#include "daemon/hidden.h"

/* seccomp.c. Ends the process when the kernel refuses. */
void	filter_prepare(unsigned keep);		/* compiles it, to be loaded later, also by forks */
void	filter_prepare_fork(unsigned keep, unsigned under);	/* the same for a fork of who will keep `under` */
void	filter_load(const char *name, unsigned keep);

/* landlock.c. The ABI that holds now; 0: this kernel has none. */
int	landlock_apply(unsigned keep, const struct kept_dir *dirs, size_t n);

/* sanitize.c: where a sanitizer's report goes from a process that can open nothing. */
#ifdef HERMOD_SANITIZED
int	sanitize_open(void);			/* the directory of reports; -1: none. Before confinement */
void	sanitize_fork(void);			/* a fork has reports of its own */
#else
static inline int sanitize_open(void) { return -1; }
static inline void sanitize_fork(void) { }
#endif

/* attempt.c, beside daemon_attempts: the same for a fork. */
void	worker_attempts(void);

#endif
