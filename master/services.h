/* SPDX-License-Identifier: ISC */
/*
 * master/services.h - the shape of a row in the table of processes.
 */
#ifndef MASTER_SERVICES_H
#define MASTER_SERVICES_H

#include <stdbool.h>
#include <sys/types.h>

#include "mail/settings.h"

enum net {
	NET_NONE,	/* the empty network namespace */
	NET_HOST,	/* the host's */
};

struct service {
	const char	*name;		/* also the executable's, in program_directory */
	const char	*user;		/* system user; NULL: root */
	const char	*group;		/* supplementary group; NULL: none */
	const char	*only_if;	/* setting that must be yes, or a list that must have an item; NULL: it always runs */
	const char	*workers;	/* setting with their number; NULL: one */
	enum net	 net;
	unsigned	 keep;		/* KEEP_ bits of daemon/daemon.h: what seccomp leaves it */
	const char	*listens[3];	/* settings that name sockets master binds for it; shared by all its workers.
					 * "pickup_socket" is run_directory/public/pickup, for every local user; "dns_socket",
					 * "explain_socket", "auth_socket", "submission_socket" and "queue_socket" run_directory/dns.sock,
					 * explain.sock, auth.sock, submission.sock and queue.sock, for root, or whoever runs the suite */
	const char	*dirs[4];	/* what it may open: settings that name a directory, "log_directory" (log_file's),
					 * "tables" (the lookup tables of its settings); "+name": also write */
	const char	*dials;		/* setting that lists UNIX sockets, to which master connects it; NULL: none */
	const char	*asks[5];	/* services it calls */
	bool		 gets_certificates; /* tls_certificates: the open chains, as files "certificate.0" and so on */
	bool		 gets_client_ca; /* the open tls_client_ca_file, as "client_ca": its clients log in, and may do so by certificate */
	bool		 gets_keytab;	/* the open gssapi_keytab, as "keytab": auth alone */
	bool		 vouches;	/* the key of daemon/voucher.h, as "voucher": who sees certificates, and who believes it */
	bool		 gets_keys;	/* their private keys, open, as "key.0" and so on: keys alone */
	unsigned	 tallies;	/* how many: what its workers count together, over reloads and restarts: daemon/tally.h */
	bool		 counts_clients; /* its workers share what they know of them: daemon/clients.h */
	bool		 takes_over;	/* one for all: after a reload the older askers are given the newest */
	const struct setting *settings;	/* its table */
	const struct setting *more[3];	/* of workers it forks, and tables that services share */
	const char	*what;		/* for `hermod status` */
};

extern const struct service services[];		/* ends with a NULL name; in the order they are started */

#define SERVICES_MAX 32

/*
 * As whom it runs: the system user of that name; with uid_base, a numeric id that
 * needs no entry in passwd; where the caller is not root, the caller. False: there is no such user.
 */
bool	service_ids(const char *user, uint64_t uid_base, uid_t *uid, gid_t *gid);

#endif
