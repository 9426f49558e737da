/* SPDX-License-Identifier: ISC */
/*
 * master/master.h - the supervisor. root, small, and without opinions about mail:
 * it reads the configuration, makes sockets, hands them out, and starts again what
 * died. Nothing blocks it but the proof at a start. It reads no file that a
 * daemon writes; of what they send it takes `ready` and three numbers.
 *
 *	config.c	settings, and what is wrong with them together
 *	proof.c		questions that are answered in a child without rights
 *	relay_proof.c	no stranger may relay, or nothing starts
 *	certificates.c	files of tls_certificates, tls_client_ca_file and gssapi_keytab: opened for others, and proven
 *	place.c		directories, sockets, the pid file, the empty network
 *	spawn.c		one process: forked, dropped, executed
 *	house.c		all processes: generations, channels, restarts
 *	control.c	the hermod command
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "daemon/channel.h"
#include "mail/mechanisms.h"
#include "mail/settings.h"
#include "mail/tls_settings.h"
#include "master/services.h"

struct master_settings {
	const char	*gssapi_keytab;
	const char	*queue_directory, *auth_directory, *dns_directory, *mta_sts_directory, *tls_report_directory, *run_directory, *program_directory, *pid_file, *log_file;
	struct setting_list listen_smtp, listen_submission, listen_submissions, listen_pop3, listen_pop3s, listen_imap, listen_imaps, trusted_networks;
	bool		 allow_unauthenticated_relay;
	uint64_t	 uid_base;
	uint64_t	 router_workers, smtp_client_workers, keys_workers, submission_workers, tls_workers, cleanup_workers, auth_workers, smtpd_workers, pop3_login_workers, imap_login_workers, directory_workers;
	uint64_t	 open_files;
	uint64_t	 start_timeout_ms, stop_timeout_ms;
};

extern const struct setting master_settings[];

/* ---- config.c ---- */

struct config {			/* read-only once loaded; a generation of processes has its own */
	struct settings_file *file;		/* owned */
	struct master_settings s;		/* owned */
	struct tls_settings tls;		/* owned */
	struct mechanism_settings mechanisms;	/* owned */
	bool		 broken;		/* lines are wrong, and defaults stand in for what they say: for config_check alone */
	struct certificate_files *certificates;	/* owned: as they were when they were proven */
};

/* NULL: faults, a line each. All of them: the file's, what its settings say together, and the proof's. */
struct config	*config_load(const char *path, struct buf *faults);
/* For who wants to know all that is wrong, and starts nothing: what is missing (place_check), too. */
void		 config_check(const char *path, struct buf *faults);
void		 config_free(struct config **c);
bool		 config_runs(const struct config *c, const struct service *s);	/* its only_if holds */
unsigned	 config_workers(const struct config *c, const struct service *s);
/* Settings that differ and that a reload cannot change; NULL: none. */
const char	*config_fixed_change(const struct config *old, const struct config *new);
/* Directory of a path: "/var/log" of "/var/log/mail.log". */
void		 path_parent(const char *path, char *dst, size_t cap);

/* ---- proof.c ---- */

/* Asks in a child that has the rights of that service, and no others; what it puts into faults comes back. what: for
 * the fault that it did not come to its end. False: there are faults. */
bool		proof(const struct config *c, const char *path, const char *service, const char *what,
		    void (*ask)(const struct config *c, const char *path, struct buf *faults), struct buf *faults);

/* ---- relay_proof.c ---- */

/* Evaluates the relay rule for each class of client, in a child with the rights of router. False: who could
 * relay that may not, a line each in faults. */
bool		relay_proof(const struct config *c, const char *path, struct buf *faults);
/* What the child does. */
void		relay_proof_rule(const struct config *c, const char *path, struct buf *faults);

/* ---- certificates.c ---- */

struct certificate_files { int chain[TLS_CERTIFICATES_MAX], key[TLS_CERTIFICATES_MAX]; size_t n; int client_ca, keytab /* -1: none */; };

/* Copies of what tls_certificates, tls_client_ca_file and gssapi_keytab name, by the kernel: c->certificates. Keys are not read. False: a line each in faults. */
bool		certificates_open(struct config *c, const char *path, struct buf *faults);
void		certificates_close(struct certificate_files **f);
/* Each chain can be used and its key belongs to it, and the CAs are CAs: looked at in a child with the rights of keys. */
bool		certificates_proof(const struct config *c, const char *path, struct buf *faults);

/* ---- place.c ---- */

struct listener {
	char		 setting[32];
	char		 where[128];	/* as in the setting; a path for a local socket */
	int		 fd;		/* owned; -1: free */
	bool		 wanted;	/* by the configuration in use */
};

#define LISTENERS_MAX 64

struct place {
	int		 pid_fd;	/* owned, locked; -1: none */
	int		 null_fd;	/* /dev/null; owned */
	int		 root_fd;	/* the empty directory; owned */
	int		 net_fd;	/* the empty network namespace; owned; -1: not to be had */
	int		 queue_fd, log_fd, auth_fd, dns_fd, mta_sts_fd, tls_report_fd;	/* directories; owned; -1: none */
	int		 control_fd;	/* listens for hermod; owned */
	struct listener	 listeners[LISTENERS_MAX];
};

void	place_init(struct place *p);
/* True: this is the only master of this pid file. False: said in faults. */
bool	place_lock(struct place *p, const struct config *c, struct buf *faults);
bool	place_write_pid(struct place *p);
/* Directories with their owners, the empty root and network, control socket. */
bool	place_make(struct place *p, const struct config *c, struct buf *faults);
/* What `hermod check` can say of it without making anything. */
void	place_check(const struct config *c, struct buf *faults);
/* Binds what is new; what is no longer wanted stays open until place_unlisten. */
bool	place_listen(struct place *p, const struct config *c, struct buf *faults);
void	place_unlisten(struct place *p);
/* The log file is there for the journal to open, after a rotation too. */
void	place_log_file(const struct config *c);
/* A connection to the local server at this path; -1: errno. It never waits: a server whose queue is full is EAGAIN. */
int	place_dial(struct bytes path);
/* The pid file and sockets with names; called when everything has ended. */
void	place_leave(struct place *p, const struct config *c);

/* ---- spawn.c ---- */

struct spawn {			/* all that a child needs, made ready before the fork */
	const struct service *service;
	char		 path[1024];
	uid_t		 uid;
	gid_t		 gid, groups[1];
	size_t		 ngroups;
	uint64_t	 open_files;
	int		 control_fd, null_fd, net_fd;	/* borrowed */
};

bool	spawn_prepare(struct spawn *s, const struct service *service, const struct config *c,
	    const struct place *p, int control_fd);
pid_t	spawn_process(const struct spawn *s);	/* -1: errno */

/* ---- house.c ---- */

struct process {			/* one worker of one service, dead or alive */
	struct house	*house;
	struct generation *generation;
	const struct service *service;
	unsigned	 slot;
	uint32_t	 serial;	/* of this place; its slot at the journal */
	pid_t		 pid;		/* 0: none */
	struct channel	*control;	/* owned; NULL: gone */
	int		 log_in, log_out;	/* owned: the journal reads log_in, the process writes log_out */
	bool		 ready;
	uint64_t	 started_ms, delay_ms;
	struct timer	 again;		/* the restart */
	unsigned	 restarts, young;	/* young: deaths in a row within a second */
	uint32_t	 sessions;	/* as last reported */
	uint64_t	 served;
	char		 note[512];
};

struct generation {
	struct generation *older;
	struct house	*house_of;	/* borrowed */
	unsigned	 number;
	struct config	*config;	/* owned */
	struct process	*process;	/* owned; in the order of services.c */
	size_t		 n;
	int		 clients_fd[SERVICES_MAX];	/* by service; owned; -1: none */
	bool		 serving;	/* all were ready once */
	bool		 draining;
};

struct house {
	struct loop	*loop;		/* borrowed */
	struct place	*place;		/* borrowed */
	const char	*path;		/* of the configuration; borrowed */
	struct generation *newest;	/* owned */
	struct process	*journal;	/* of the first generation; it serves all of them */
	int		 log_in, log_out;	/* master's own records */
	unsigned	 generations;
	uint32_t	 serials;
	int		 tallies_fd[SERVICES_MAX];	/* by service, for all generations; owned; -1: none */
	uint64_t	 began_ms;
	bool		 stopping;
	struct timer	 deadline;	/* of a start, a reload or a stop */
	struct timer	 kill;		/* of a stop: SIGKILL */
	struct event	 child;		/* SIGCHLD */
	int		 voucher_fd;	/* the key of daemon/voucher.h, sealed; owned */
	unsigned char	 ticket_keys[2][80];	/* of TLS: the one in use, and the one before. On no disk */
	struct timer	 ticket_turn;
	/* Called once when a start or a reload has come to its end; false: why. */
	void		(*settled)(void *arg, bool good, const char *why);
	void		*settled_arg;
	void		(*ended)(void *arg);	/* the last process is gone */
	void		*ended_arg;
};

void	house_init(struct house *h, struct loop *l, struct place *p, const char *path);
/* Starts a generation (config is taken); the older ones drain when all of it is ready. */
void	house_begin(struct house *h, struct config *c, void (*settled)(void *, bool, const char *), void *arg);
bool	house_busy(const struct house *h);	/* a start or reload goes on */
void	house_stop(struct house *h, void (*ended)(void *), void *arg);
void	house_reopen(struct house *h);		/* the log file */
/* The next process after p, NULL: the first, by generation and services.c; NULL after the last. */
struct process *house_next(const struct house *h, const struct process *p);
bool	process_pending(const struct process *p);	/* should run, does not yet */

/* ---- control.c ---- */

struct control;

struct control	*control_new(struct loop *l, struct house *h, int listen_fd);
void		 control_stop(struct control *c);	/* as `hermod stop` asks for; also by a signal */
void		 control_reload(struct control *c);	/* as `hermod reload`, the answer to the log */

#endif
