/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod.c - the command for administrators: hermod(8).
 */
#include "tools/hermod.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "config.h"
#include "master/tables.h"

struct hermod_options hermod_options = { .conf = HERMOD_SYSCONFDIR "/hermod.conf" };

static int	do_help(int argc, char **argv);
static int	do_version(int argc, char **argv);

static const struct {
	const char	*verb;
	int		(*run)(int, char **);
	const char	*usage, *what;
	bool		 anyway;	/* works with a broken configuration too: the suite runs by an older one */
} verbs[] = {
	{ "start",	hermod_start,	"start [-F]",			"start the suite; -F: stay in the foreground", false },
	{ "stop",	hermod_stop,	"stop",				"let what is open end, for stop_timeout at most; then stop", true },
	{ "reload",	hermod_reload,	"reload",			"read the configuration again; no session is closed", true },
	{ "reopen",	hermod_reopen,	"reopen",			"open the log file anew, after a rotation", true },
	{ "status",	hermod_status,	"status",			"each process, and what the kernel says of it", true },
	{ "check",	hermod_check,	"check",			"find every fault in the configuration", false },
	{ "config",	hermod_config,	"config [--defaults | --changed] [NAME...]", "show settings", false },
	{ "queue",	hermod_queue,	"queue list | queue show ID [--content]", "show what waits", false },
	{ "account",	hermod_account,	"account add|remove|password|list|enable|disable ...", "virtual accounts", false },
	{ "mailbox",	hermod_mailbox,	"mailbox list|status|check|rebuild|undelete ACCOUNT [FOLDER] [--since TIME] [--dry-run]",
	  "look at mailboxes, repair them", false },
	{ "version",	do_version,	"version",			"show the version", false },
	{ "help",	do_help,	"help",				"this text", false },
};

/* ---- what all verbs share -------------------------------------------------------------------- */

void
hermod_die(int status, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("hermod: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

void
hermod_usage(const char *verb)
{
	for (size_t i = 0; i < LEN(verbs); i++)
		if (strcmp(verbs[i].verb, verb) == 0)
			fprintf(stderr, "usage: hermod %s\n", verbs[i].usage);
	exit(EXIT_USE);
}

struct settings_file *
hermod_settings(void)
{
	static struct settings_file *file;	/* read once in the life of the program */
	struct buf faults;

	if (file)
		return file;
	buf_init(&faults, 1 << 20);
	file = settings_load_anyway(hermod_options.conf, all_settings, &faults);
	if (faults.n > 0 && !hermod_options.anyway) {
		(void)file_write(STDERR_FILENO, buf_bytes(&faults));
		exit(EXIT_SETTINGS);
	}
	buf_fini(&faults);
	return file;
}

void
hermod_fill(const struct setting *table, void *out)
{
	settings_fill(hermod_settings(), table, out);
}

/* ---- the command line ------------------------------------------------------------------------------ */

static int
do_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (hermod_options.json)
		printf("{\"version\":\"%s\"}\n", HERMOD_VERSION);
	else
		printf("Hermod %s\n", HERMOD_VERSION);
	return EXIT_WORKED;
}

static int
do_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("usage: hermod [-c FILE] [--json] COMMAND\n\n");
	for (size_t i = 0; i < LEN(verbs); i++)
		printf("  %s\n\t%s\n", verbs[i].usage, verbs[i].what);
	printf("\n  -c FILE   another configuration than %s\n  --json    one JSON object a line\n"
	    "\nhermod(8) says more, hermod.conf(5) has the settings.\n", HERMOD_SYSCONFDIR "/hermod.conf");
	return EXIT_WORKED;
}

/* --json may stand anywhere: it is taken out. Returns what is left of argc. */
static int
take_json(int argc, char **argv)
{
	int n = 0;

	for (int i = 0; i < argc; i++) {
		if (i > 0 && strcmp(argv[i], "--json") == 0)
			hermod_options.json = true;
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	return n;
}

/* Index of the verb. */
static int
take_options(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
			const char *given = argv[++i];

			if (!(hermod_options.conf = realpath(given, NULL)))
				hermod_die(EXIT_SETTINGS, "%s: %s", given, strerror(errno));
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			exit(do_help(0, NULL));
		else if (strcmp(argv[i], "--version") == 0)
			exit(do_version(0, NULL));
		else
			hermod_die(EXIT_USE, "%s: no such option; `hermod help` lists all", argv[i]);
	}
	return i;
}

int
main(int argc, char **argv)
{
	int at;

	log_name("hermod");
	argc = take_json(argc, argv);
	at = take_options(argc, argv);
	hermod_options.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && !hermod_options.json;
	if (at == argc) {
		do_help(0, NULL);
		return EXIT_USE;
	}
	for (size_t i = 0; i < LEN(verbs); i++)
		if (strcmp(argv[at], verbs[i].verb) == 0) {
			hermod_options.anyway = verbs[i].anyway;
			return verbs[i].run(argc - at, argv + at);
		}
	hermod_die(EXIT_USE, "%s: no such command; `hermod help` lists all", argv[at]);
}
