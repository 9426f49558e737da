/* SPDX-License-Identifier: ISC */
/*
 * tools/sendmail.h - the parts of the sendmail command. It has no privilege: it
 * hands the message to pickup over a socket, and pickup believes it nothing but the
 * uid, which the kernel says. Exit codes are those of sysexits.h.
 */
#ifndef TOOLS_SENDMAIL_H
#define TOOLS_SENDMAIL_H

#include "mail/ipc.h"

/* Where the suite is; texts are of the configuration, for the life of the process. */
struct place {
	const char	*conf;		/* -C; NULL: as built */
	const char	*run_directory, *program_directory, *hostname, *alias_map;
	uint64_t	 message_octets, recipients, header_octets, mime_depth, mime_parts, hops;	/* pickup's limits */
};

/* ---- sendmail_client.c: a conversation with pickup ---- */

struct pickup_client {
	int		 fd;		/* owned; -1: not connected */
	struct ipc_out	 out;		/* owned */
	unsigned char	*frame;		/* owned, IPC_FRAME_MAX */
	uint32_t	 id;
};

struct pickup_answer { unsigned code; char reply[513], queue_id[33]; };

/* Connects. EX_OK; EX_TEMPFAIL: nobody is there (the suite is down); else what is wrong was said. */
int	pickup_connect(struct pickup_client *p, const char *run_directory);
/* The same with hermod-drop in pickup's place, which keeps the message until the suite is up. Any fault
 * was said. conf: -C, or NULL. */
int	drop_connect(struct pickup_client *p, const char *program_directory, const char *conf);
/* pickup, or hermod-drop when the suite is down. */
int	suite_connect(struct pickup_client *p, const struct place *where);
void	pickup_close(struct pickup_client *p);
/* Each true: *a has what pickup said. False: the connection broke. */
bool	pickup_begin(struct pickup_client *p, const struct ipc_submit *m, struct pickup_answer *a);
bool	pickup_rcpt(struct pickup_client *p, struct bytes recipient, uint32_t notify, struct pickup_answer *a);
bool	pickup_data(struct pickup_client *p, struct bytes octets);
bool	pickup_end(struct pickup_client *p, struct pickup_answer *a);
/* The next frame of a list; asks for the next batch by itself. 1: an entry, 0: the end, -1: broken. */
int	pickup_list(struct pickup_client *p, struct ipc_queue_entry *entry);

/* Exit code for a refusal: EX_TEMPFAIL, EX_NOUSER, EX_NOHOST, EX_UNAVAILABLE ... */
int	exit_code(const struct pickup_answer *a);

/* ---- sendmail_message.c: the message on standard input ---- */

struct message {
	struct buf	head;		/* owned: what was read while the header section was looked for */
	bool		eof;		/* nothing follows head */
	bool		no_header;	/* the first line is no header field: an empty line goes before it */
	bool		dot_ends;	/* a line of a single dot ends the message (without -i) */
	unsigned char	dot;		/* state of the search for it */
	bool		has_from;
	int		spool;		/* owned: what follows head, read to its end; -1: nothing does */
	struct buf	rcpts;		/* owned: -t, a run of TEXT (mail/ipc.h) */
};

#define HEAD_READ_MAX	(1u << 20)	/* octets of header section that are looked at */

/* Reads until the header section is whole. take_rcpts: -t, To, Cc, Bcc. False: said; *code is set. */
bool	message_begin(struct message *m, int fd, bool dot_ends, bool take_rcpts, int *code);
void	message_fini(struct message *m);
/* Reads the rest into a file without name: who writes to us may take hours (cron does), and nobody else need
 * wait for it. Stops soon past limit octets: that is refused. False: said; *code is set. */
bool	message_read(struct message *m, int fd, uint64_t limit, int *code);
/* Hands all of it on. False: the connection broke. */
bool	message_send(struct message *m, struct pickup_client *p);

/* ---- sendmail_smtp.c: -bs ---- */

int	smtp_on_stdin(const struct place *where);

/* ---- sendmail_queue.c: -bp, mailq ---- */

int	show_queue(const char *run_directory, bool json);

/* ---- sendmail_aliases.c: -bi, newaliases ---- */

int	rebuild_aliases(const char *alias_map);

#endif
