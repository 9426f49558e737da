/* SPDX-License-Identifier: ISC */
/*
 * master/services.h - the shape of a row in the table of processes.
 */
#ifndef MASTER_SERVICES_H
#define MASTER_SERVICES_H

#include <stdbool.h>

#include "mail/settings.h"

enum net {
	NET_NONE,	/* the empty network namespace */
	NET_HOST,	/* the host's */
};

struct service {
	const char	*name;		/* also the executable's, in libexecdir/hermod */
	const char	*user;		/* system user; NULL: root */
	const char	*group;		/* supplementary group; NULL: none */
	const char	*workers;	/* setting with their number; NULL: one */
	enum net	 net;
	unsigned	 keep;		/* KEEP_ bits of daemon/daemon.h: what seccomp leaves it */
	const char	*listens[3];	/* settings that name sockets master binds for it; shared by all its workers */
	const char	*dirs[4];	/* settings that name what it may open; "+name": also write */
	const char	*asks[5];	/* services it calls */
	const struct setting *settings;	/* its table */
	const char	*what;		/* for `hermod status` */
};

extern const struct service services[];		/* ends with a NULL name; in the order they are started */

#endif
