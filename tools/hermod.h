/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod.h - the hermod command: what its verbs share. Exit statuses are of
 * sysexits.h: 0 done, 1 it did not work, 3 Hermod does not run (status), 64 usage, 69 not
 * to be reached, 77 not allowed, 78 configuration.
 */
#ifndef TOOLS_HERMOD_H
#define TOOLS_HERMOD_H

#include <stdarg.h>

#include "base/buf.h"
#include "mail/json.h"
#include "mail/settings.h"

enum { EXIT_WORKED = 0, EXIT_FAILED = 1, EXIT_STOPPED = 3, EXIT_USE = 64, EXIT_UNREACHED = 69, EXIT_DENIED = 77,
	EXIT_SETTINGS = 78 };

/* What stood before the verb or behind it; set once, in main. */
struct hermod_options {
	const char	*name;		/* by which it was called: before its words on standard error */
	const char	*conf;		/* absolute path */
	bool		 json;		/* one object a line */
	bool		 anyway;	/* a broken configuration is no reason to stop: defaults stand in for what is wrong */
	void		(*fault)(struct bytes line);	/* shows each of its faults; NULL: they go to standard error */
	bool		 colour;	/* standard output is a terminal, and NO_COLOR is not set */
};
extern struct hermod_options hermod_options;

/* The configuration. With faults it says them all and, unless the verb works anyway, ends the program. */
struct settings_file	*hermod_settings(void);
/* One table's settings out of it; freed with settings_free. */
void	hermod_fill(const struct setting *table, void *out);

/* "hermod: ..." to standard error, then the end. */
_Noreturn void	hermod_die(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with a mark before the words: "postsuper: fatal: ...". */
_Noreturn void	hermod_die_marked(int status, const char *mark, const char *fmt, va_list ap)
		    __attribute__((format(printf, 3, 0)));
/* Wrong use of a verb: names the word at which that shows, or NULL, and shows the verb's lines of the help. */
_Noreturn void	hermod_usage(const char *verb, const char *at);
/* At the end: the status, but a failure where what was printed did not get where it should, as on a full disk. */
int	hermod_shown(int status);

/* ---- tables (hermod_rows.c) ---- */

#define ROW_CELLS 16

struct rows {
	const char *const *title;	/* borrowed; NULL-ended; "<" before it: aligned to the right */
	size_t		 columns, n;
	struct buf	 cells;		/* owned; each cell a text with its NUL */
};

void	rows_init(struct rows *r, const char *const *title);
void	rows_add(struct rows *r, struct bytes cell);	/* what a terminal would obey is shown as "?" */
void	rows_text(struct rows *r, const char *cell);
void	rows_number(struct rows *r, uint64_t cell);
void	rows_print(struct rows *r);	/* and frees. Nothing but the titles when there is no row */
/* "12.3M", "45s", "3h". */
void	rows_size(struct rows *r, uint64_t octets);
void	rows_time(struct rows *r, uint64_t ms);

/* ---- verbs; the first argument is the verb itself ---- */

int	hermod_account(int argc, char **argv);
int	hermod_auth(int argc, char **argv);
int	hermod_check(int argc, char **argv);
int	hermod_config(int argc, char **argv);
int	hermod_dns(int argc, char **argv);
int	hermod_dns_check(int argc, char **argv);	/* of hermod_dns, */
int	hermod_dns_records(int argc, char **argv);	/* whose first argument is theirs, too */
int	hermod_explain(int argc, char **argv);
int	hermod_mailbox(int argc, char **argv);
int	hermod_queue(int argc, char **argv);
int	hermod_reload(int argc, char **argv);
int	hermod_reopen(int argc, char **argv);
int	hermod_route(int argc, char **argv);
int	hermod_setup(int argc, char **argv);
int	hermod_start(int argc, char **argv);
int	hermod_status(int argc, char **argv);
int	hermod_stop(int argc, char **argv);
int	hermod_tls(int argc, char **argv);
int	hermod_trace(int argc, char **argv);

/* ---- talking to master (hermod_master.c) ---- */

/* A connection, greeted; -1: nothing runs. Ends the program when it may not be asked. */
int	master_connect(void);
/* Sends the verb and gives each answer to `each`. The status of the last answer; -1: master went away. */
int	master_ask(int fd, const char *verb, int timeout_ms, void (*each)(void *arg, struct bytes words), void *arg);
bool	master_runs(void);		/* its pid file is locked */
/* It runs, but master_connect found nobody: says why that may be. */
_Noreturn void	master_unreached(int status);
/* The exit status of master's own look at the configuration; each fault that it says. */
int	master_check(void (*each)(struct bytes fault));

#endif
