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
#include "base/mem.h"
#include "config.h"
#include "master/tables.h"
#include "tools/hermod_postfix.h"

struct hermod_options hermod_options = { .name = "hermod", .conf = HERMOD_SYSCONFDIR "/hermod.conf" };

static int	do_help(int argc, char **argv);
static int	do_version(int argc, char **argv);

static const struct {
	const char	*verb;
	int		(*run)(int, char **);
	const char	*usage, *what;
	bool		 anyway;	/* works with a broken configuration too: the suite runs by an older one */
} verbs[] = {
	{ "setup",	hermod_setup,	"setup [DOMAIN] [--hostname NAME] [--account ADDRESS] [--yes] [--dry-run] [--force] ... | setup --renew [--dry-run]",
	  "from an empty host to a configuration, and what to publish in the DNS: hermod-setup(8)", true },
	{ "start",	hermod_start,	"start [-F]",			"start the suite; -F: stay in the foreground", false },
	{ "stop",	hermod_stop,	"stop",				"let what is open end, for stop_timeout at most; then stop", true },
	{ "reload",	hermod_reload,	"reload",			"read the configuration again; no session is closed", true },
	{ "reopen",	hermod_reopen,	"reopen",			"open the log file anew, after a rotation", true },
	{ "status",	hermod_status,	"status",			"each process, and what the kernel says of it", true },
	{ "check",	hermod_check,	"check",			"find every fault in the configuration", false },
	{ "config",	hermod_config,	"config [--defaults | --changed] [NAME...]", "show settings", false },
	{ "queue",	hermod_queue,	"queue list|show|flush|hold|release|requeue|delete|edit ...",
	  "show what waits, and change it: hermod-queue(8)", false },
	{ "trace",	hermod_trace,	"trace WHAT",	"what became of a message, by its id, its message-id, or an address; from the log: hermod-trace(8)", true },
	{ "explain",	hermod_explain,	"explain --client ADDRESS|--account NAME|--local-user [--from SENDER] --to RECIPIENT",
	  "would it be taken, by which rules, and where does it go: hermod-explain(8)", false },
	{ "route",	hermod_route,	"route ADDRESS",	"where does mail for it go", false },
	{ "dns",	hermod_dns,	"dns lookup NAME [TYPE] | dns records [DOMAIN] | dns check [DOMAIN]",
	  "ask the DNS as the suite does; what it should say of this host, and whether it does: hermod-dns(8)", false },
	{ "tls",	hermod_tls,	"tls [--day DAY] [DOMAIN]", "how sessions with other hosts were protected", true },
	{ "account",	hermod_account,	"account add|password ADDRESS [--password-stdin] | account remove|enable|disable ADDRESS | account list",
	  "virtual accounts: hermod-account(8)", false },
	{ "auth",	hermod_auth,	"auth list [FILTER] | clear ADDRESS|ACCOUNT|--all",
	  "who has given wrong passwords and waits for it: hermod-auth(8)", false },
	{ "mailbox",	hermod_mailbox,	"mailbox list|status|check|rebuild|undelete ACCOUNT [FOLDER] [--since TIME] [--dry-run]",
	  "look at mailboxes, repair them: hermod-mailbox(8)", false },
	{ "version",	do_version,	"version",			"show the version", false },
	{ "help",	do_help,	"help",				"this text", false },
};

/* ---- what all verbs share -------------------------------------------------------------------- */

void
hermod_die_marked(int status, const char *mark, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "%s: %s", hermod_options.name, mark);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	exit(status);
}

void
hermod_die(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	hermod_die_marked(status, "", fmt, ap);
}

static void
show_usage(FILE *to, const char *verb)
{
	for (size_t i = 0; i < LEN(verbs); i++)
		if (strcmp(verbs[i].verb, verb) == 0)
			fprintf(to, "usage: hermod %s\n\t%s\n", verbs[i].usage, verbs[i].what);
}

void
hermod_usage(const char *verb, const char *at)
{
	fflush(stdout);
	if (at)
		fprintf(stderr, "%s: %s: not understood at %s\n", hermod_options.name, verb, log_text(text(at)));
	show_usage(stderr, verb);
	exit(EXIT_USE);
}

int
hermod_shown(int status)
{
	bool was = ferror(stdout) != 0;

	if (fflush(stdout) == 0 && !was)
		return status;
	fprintf(stderr, "%s: not all that was to be shown could be: %s\n", hermod_options.name, strerror(errno));
	return status == EXIT_WORKED ? EXIT_FAILED : status;
}

static void
say_faults(struct bytes lines)
{
	fflush(stdout);
	if (!hermod_options.fault)
		(void)file_write(STDERR_FILENO, lines);
	while (hermod_options.fault && lines.n > 0)
		hermod_options.fault(bytes_cut(&lines, '\n'));
}

/* Where all of it is unknown the defaults would lead to another instance, or to none. */
static bool
may_not_read(const char *conf)
{
	return access(conf, R_OK) == -1 && errno == EACCES;
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
	if (faults.n > 0)
		say_faults(buf_bytes(&faults));
	if (faults.n > 0 && (!hermod_options.anyway || may_not_read(hermod_options.conf)))
		exit(hermod_shown(EXIT_SETTINGS));
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
			exit(hermod_shown(do_help(0, NULL)));
		else if (strcmp(argv[i], "--version") == 0)
			exit(hermod_shown(do_version(0, NULL)));
		else if (strcmp(argv[i], "-c") == 0)
			hermod_die(EXIT_USE, "-c: the name of a configuration is missing behind it");
		else
			hermod_die(EXIT_USE, "%s: no such option; `hermod help` lists all", argv[i]);
	}
	return i;
}

/* Behind the verb, or its own verb: "queue list --help". */
static bool
asks_help(int argc, char **argv)
{
	for (int i = 1; i < argc && i < 3; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int
run_verb(size_t at, int argc, char **argv)
{
	hermod_options.anyway = verbs[at].anyway;
	if (verbs[at].run == hermod_mailbox || !asks_help(argc, argv))	/* which says more itself */
		return verbs[at].run(argc, argv);
	show_usage(stdout, verbs[at].verb);
	return EXIT_WORKED;
}

/* By what it was called; postqueue and its like are links to it. NULL: hermod. */
static int
(*other_command(int argc, char **argv))(int, char **)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL, *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
	int (*run)(int, char **) = postfix_command(name);

	if (run)
		hermod_options.name = argv[0] = mem_text(name);
	return run;
}

int
main(int argc, char **argv)
{
	int (*other)(int, char **) = other_command(argc, argv);
	int at;

	log_name(hermod_options.name);
	if (!file_standard())
		return EXIT_FAILED;
	if (other)
		return hermod_shown(other(argc, argv));
	argc = take_json(argc, argv);
	at = take_options(argc, argv);
	hermod_options.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && !hermod_options.json;
	if (at == argc) {
		do_help(0, NULL);
		return EXIT_USE;
	}
	for (size_t i = 0; i < LEN(verbs); i++)
		if (strcmp(argv[at], verbs[i].verb) == 0)
			return hermod_shown(run_verb(i, argc - at, argv + at));
	hermod_die(EXIT_USE, "%s: no such command; `hermod help` lists all", argv[at]);
}
