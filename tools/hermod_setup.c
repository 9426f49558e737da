/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_setup.c - hermod setup: what is asked, what is said. See tools/hermod_setup.h.
 */
#include "tools/hermod_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "config.h"
#include "mail/account.h"
#include "master/services.h"
#include "proto/smtp_address.h"
#include "tools/hermod_account.h"
#include "tools/hermod_certificates.h"

#define ANSWER_MAX	512	/* octets */
#define ARENA		(4u << 20)
#define TRIAL_PORTS	2000	/* what nobody but root may listen at, and so many more */
#define PORT_BASE_MAX	(65535 - 995)
#define PASSWORD_GROUPS	4	/* of a password that is made up, each 4 characters of 5 bits: 80 bits */

/* What was given, before it is looked at. */
struct given {
	const char	*domain, *host, *account, *conf, *directory, *password_file, *port_base, *uid_base;
	const char	*listen[SETUP_LISTEN_MAX];
	size_t		 nlisten;
	bool		 asks;		/* on a terminal */
};

/* ---- the command line ------------------------------------------------------------------------------------ */

static void
take_file(const char **list, size_t *n, const char *path)
{
	if (*n == TLS_CERTIFICATES_MAX)
		hermod_die(EXIT_USE, "%s: more than %d certificates are too many", path, TLS_CERTIFICATES_MAX);
	list[(*n)++] = path;
}

static void
take_listen(struct given *g, const char *address)
{
	if (g->nlisten == SETUP_LISTEN_MAX)
		hermod_die(EXIT_USE, "%s: more than %d addresses to listen at are too many", address, SETUP_LISTEN_MAX);
	g->listen[g->nlisten++] = address;
}

static bool
take_flag(struct setup *s, const char *word)
{
	const struct { const char *name; bool *flag; } flags[] = {
		{ "--force", &s->force }, { "--yes", &s->yes }, { "--dry-run", &s->dry_run },
	};

	for (size_t i = 0; i < LEN(flags); i++)
		if (strcmp(word, flags[i].name) == 0) {
			*flags[i].flag = true;
			return true;
		}
	return false;
}

static bool
take_value(struct given *g, const char *word, const char *value)
{
	const struct { const char *name; const char **to; } values[] = {
		{ "--hostname", &g->host }, { "--account", &g->account }, { "--config", &g->conf },
		{ "--directory", &g->directory }, { "--password-file", &g->password_file }, { "--port-base", &g->port_base },
		{ "--uid-base", &g->uid_base },
	};

	for (size_t i = 0; i < LEN(values); i++)
		if (strcmp(word, values[i].name) == 0) {
			*values[i].to = value;
			return true;
		}
	return false;
}

static void
take_arguments(struct setup *s, struct given *g, int argc, char **argv)
{
	size_t nkeys = 0;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (take_flag(s, argv[i]))
			continue;
		if (argv[i][0] != '-') {
			if (g->domain)
				hermod_usage("setup", argv[i]);
			g->domain = argv[i];
			continue;
		}
		if (!value)
			hermod_usage("setup", argv[i]);
		if (strcmp(argv[i], "--certificate") == 0)
			take_file(s->chain, &s->certificates, value);
		else if (strcmp(argv[i], "--key") == 0)
			take_file(s->key, &nkeys, value);
		else if (strcmp(argv[i], "--address") == 0)
			publish_take_address(&s->source, value);
		else if (strcmp(argv[i], "--listen") == 0)
			take_listen(g, value);
		else if (!take_value(g, argv[i], value))
			hermod_usage("setup", argv[i]);
		i++;
	}
	if (s->certificates != nkeys)
		hermod_die(EXIT_USE, "%zu certificates and %zu keys; right would be a --key for each --certificate, in the same order",
		    s->certificates, nkeys);
}

/* ---- places ----------------------------------------------------------------------------------------------- */

/* A path as the configuration will have it. Links in it stay as they are: what they lead to changes. */
static const char *
absolute(struct setup *s, const char *given)
{
	char here[SETUP_PATH_MAX + 1];
	const char *path = given;
	char why[256];

	if (given[0] != '/') {
		if (!getcwd(here, sizeof here))
			hermod_die(EXIT_FAILED, "%s: the current folder's name cannot be found out: %s", given, strerror(errno));
		path = arena_text(s->a, arena_fmt(s->a, "%s/%s", strcmp(here, "/") == 0 ? "" : here, given));
	}
	if (!setting_is_path(path, why, sizeof why))
		hermod_die(EXIT_USE, "%s: %s", path, why);
	if (!setup_path_fits(path))
		hermod_die(EXIT_USE, "%s: a path here has at most %d letters, digits and /._+,@%%~-, and no / at its end", path,
		    SETUP_PATH_MAX);
	return path;
}

/* A build that is run where it was made has its daemons beside its tools. */
static const char *
find_programs(struct setup *s)
{
	char self[SETUP_PATH_MAX + 1];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct bytes path = bytes_of(self, n > 0 ? (size_t)n : 0), folder = bytes_head(path, bytes_rfind(path, '/'));
	const char *programs;

	if (folder.n == path.n || bytes_eq(folder, text(HERMOD_SBINDIR)) || !bytes_ends(folder, text("/bin")))
		return NULL;
	programs = arena_text(s->a, arena_fmt(s->a, "%.*slibexec/hermod", (int)folder.n - 3, (const char *)folder.p));
	if (access(arena_text(s->a, arena_fmt(s->a, "%s/master", programs)), X_OK) == -1 || !setup_path_fits(programs))
		return NULL;
	return programs;
}

static void
find_places(struct setup *s, const struct given *g)
{
	const char *slash;

	if (geteuid() != 0 && !g->directory)
		hermod_die(EXIT_DENIED, "only root sets up this host; --directory FOLDER makes all of it in a folder, for a trial");
	if (g->directory)
		s->directory = absolute(s, g->directory);
	if (s->directory && strlen(s->directory) > 76)		/* for /run: hermod check */
		hermod_die(EXIT_USE, "%s: too long for the names of sockets below it; right would be at most 76 octets", s->directory);
	if (g->conf)
		s->conf = absolute(s, g->conf);
	else if (s->directory)
		s->conf = arena_text(s->a, arena_fmt(s->a, "%s/etc/hermod.conf", s->directory));
	else
		s->conf = absolute(s, hermod_options.conf);
	slash = strrchr(s->conf, '/');
	if (slash == s->conf)
		hermod_die(EXIT_USE, "%s: right would be a file in a folder of its own", s->conf);
	s->etc = arena_text(s->a, bytes_of(s->conf, (size_t)(slash - s->conf)));
	s->tls = arena_text(s->a, arena_fmt(s->a, "%s/tls", s->etc));
	s->programs = find_programs(s);
}

/* ---- numbers and addresses ---------------------------------------------------------------------------------- */

static uint64_t
number(const char *option, const char *given, uint64_t least, uint64_t most)
{
	uint64_t n;

	if (!bytes_u64(text(given), most, &n) || n < least)
		hermod_die(EXIT_USE, "%s %s: right would be a number from %llu to %llu", option, given, (unsigned long long)least,
		    (unsigned long long)most);
	return n;
}

static void
take_listens(struct setup *s, const struct given *g)
{
	bool trial = geteuid() != 0;

	s->port_base = g->port_base ? number("--port-base", g->port_base, 0, PORT_BASE_MAX) : trial ? TRIAL_PORTS : 0;
	s->uid_base = g->uid_base ? number("--uid-base", g->uid_base, 1000, 4000000000u) : 0;
	if (trial && s->uid_base > 0)
		hermod_die(EXIT_DENIED, "--uid-base: only root may have users for the daemons");
	for (size_t i = 0; i < g->nlisten; i++)
		if (!address_parse(text(g->listen[i]), &s->listen[s->nlisten++]))
			hermod_die(EXIT_USE, "--listen %s: not an address; right would be like 192.0.2.25 or 2001:db8::25", g->listen[i]);
	if (trial && g->nlisten == 0)
		must(address_parse(text("127.0.0.1"), &s->listen[s->nlisten++]));
	for (size_t i = 0; i < SETUP_SERVICES; i++)
		if (setup_services[i].publish >= 0)
			s->source.port[setup_services[i].publish] = (uint16_t)(setup_services[i].port + s->port_base);
	if (s->source.addresses == 0)
		publish_take_interfaces(&s->source);
}

/* Before anything is asked: what is missing here takes somebody's time. */
static void
look_at_users(const struct setup *s)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0 || s->uid_base != 0)
		return;
	for (const struct service *v = services; v->name; v++)
		if (!service_ids(v->user, 0, &uid, &gid))
			hermod_die(EXIT_SETTINGS, "there is no system user %s, for %s; right would be to make the users of "
			    "packaging/hermod.sysusers by systemd-sysusers, or to give numbers that no user has: --uid-base 61000", v->user,
			    v->name);
	if (!getpwnam("hermod-mail"))
		hermod_die(EXIT_SETTINGS, "there is no system user hermod-mail, for the mailboxes; right would be to make the users of "
		    "packaging/hermod.sysusers by systemd-sysusers, or to give numbers that no user has: --uid-base 61000");
}

/* ---- questions ------------------------------------------------------------------------------------------------ */

/* The answer; the default where it is empty. */
static const char *
question(struct setup *s, const char *words, const char *standard)
{
	struct buf answer;
	const char *given;

	if (standard)
		fprintf(stderr, "%s [%s]: ", words, standard);
	else
		fprintf(stderr, "%s: ", words);
	buf_init(&answer, ANSWER_MAX);
	if (!account_read_line(STDIN_FILENO, &answer) || answer.full)
		hermod_die(EXIT_FAILED, "no answer: nothing was changed");
	if (bytes_find(buf_bytes(&answer), '\0') < answer.n)
		hermod_die(EXIT_USE, "a NUL is no part of an answer");
	given = arena_text(s->a, bytes_trim(buf_bytes(&answer)));
	buf_fini(&answer);
	return given[0] == '\0' && standard ? standard : given;
}

/* "mx.example.org" as the kernel has it; NULL: nothing that is of use. */
static const char *
system_name(struct setup *s)
{
	char name[256] = "";
	struct bytes as;
	const char *why;

	if (gethostname(name, sizeof name - 1) == -1 || !publish_name(name, s->a, &as, &why)
	    || bytes_ends(as, text(".localdomain")))
		return NULL;
	return arena_text(s->a, as);
}

static const char *
likely_domain(struct setup *s)
{
	const char *host = system_name(s), *dot = host ? strchr(host, '.') : NULL;

	return dot && strchr(dot + 1, '.') ? dot + 1 : host;
}

/* What this host is called, when that is a name below the domain; else the usual one. */
static const char *
likely_host(struct setup *s)
{
	const char *host = system_name(s);
	struct bytes below = arena_fmt(s->a, ".%.*s", BYTES_FMT(s->source.domain));

	if (host && (bytes_eq(text(host), s->source.domain) || bytes_ends(text(host), below)))
		return host;
	return arena_text(s->a, arena_fmt(s->a, "mail%.*s", BYTES_FMT(below)));
}

static const char *
answer_of(struct setup *s, const struct given *g, const char *words, const char *given, const char *standard)
{
	if (given)
		return given;
	if (g->asks)
		return question(s, words, standard);
	return standard;
}

/* "anna", "anna@example.org": of the domain alone, and of characters that need no quotes anywhere. */
static void
take_account(struct setup *s, const char *given)
{
	struct bytes rest = text(given), local = bytes_head(rest, bytes_rfind(rest, '@')), domain, as;
	const char *why;

	domain = bytes_skip(rest, local.n + 1);
	for (size_t i = 0; i < local.n; i++)
		if (!ascii_alnum(local.p[i]) && (!strchr("._+=-", local.p[i]) || i == 0))
			local.n = 0;
	if (local.n == 0 || local.n > SMTP_LOCAL_MAX || local.p[local.n - 1] == '.' || memmem(local.p, local.n, "..", 2))
		hermod_die(EXIT_USE, "%s: the first account is a name of letters, digits and ._+=- with or without its domain; `hermod "
		    "account add` makes others later", given);
	if (domain.n > 0 && (!publish_name(arena_text(s->a, domain), s->a, &as, &why) || !bytes_eq(as, s->source.domain)))
		hermod_die(EXIT_USE, "%s: the first account is one of %.*s; `hermod account add` makes others later", given,
		    BYTES_FMT(s->source.domain));
	s->account = arena_text(s->a, smtp_lower(arena_fmt(s->a, "%.*s@%.*s", BYTES_FMT(local), BYTES_FMT(s->source.domain)), s->a));
	if (strlen(s->account) > SMTP_ADDRESS_MAX)
		hermod_die(EXIT_USE, "%s: too long; right would be at most %d octets", s->account, SMTP_ADDRESS_MAX);
}

static void
ask_all(struct setup *s, struct given *g)
{
	const char *domain = answer_of(s, g, "Domain whose mail comes here", g->domain, g->asks ? likely_domain(s) : NULL);

	if (!domain)
		hermod_usage("setup", NULL);
	s->source.domain = publish_name_or_die(domain, s->a);
	if (!bytes_case_eq(text(domain), s->source.domain) && !hermod_options.json)
		fprintf(stderr, "hermod: %s is %.*s in the DNS\n", domain, BYTES_FMT(s->source.domain));
	s->source.host = publish_name_or_die(answer_of(s, g, "Name of this host", g->host, likely_host(s)), s->a);
	s->source.host_has_spf = bytes_eq(s->source.host, s->source.domain);
	take_account(s, answer_of(s, g, "First account, which reads postmaster's mail, too", g->account,
	    arena_text(s->a, arena_fmt(s->a, "postmaster@%.*s", BYTES_FMT(s->source.domain)))));
}

/* ---- certificates and password ------------------------------------------------------------------------------------ */

static void
find_certificates(struct setup *s)
{
	for (size_t i = 0; i < s->certificates; i++) {
		s->chain[i] = absolute(s, s->chain[i]);
		s->key[i] = absolute(s, s->key[i]);
		if (strlen(s->chain[i]) + strlen(s->key[i]) > SETUP_PATH_MAX)
			hermod_die(EXIT_USE, "%s: with its key's too long a name", s->chain[i]);
	}
	s->own = s->certificates == 0;
	if (!s->own)
		return;
	s->chain[0] = arena_text(s->a, arena_fmt(s->a, "%s/%.*s.pem", s->tls, BYTES_FMT(s->source.host)));
	s->key[0] = arena_text(s->a, arena_fmt(s->a, "%s/%.*s.key", s->tls, BYTES_FMT(s->source.host)));
	s->certificates = 1;
}

/* The first line of a file that nobody else can read. */
static void
read_password_file(struct setup *s)
{
	int fd = file_open(AT_FDCWD, s->password_file, O_RDONLY, 0);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		hermod_die(EXIT_FAILED, "%s: %s", s->password_file, errno == EINVAL || errno == ELOOP
		    ? "is no regular file" : strerror(errno));
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		hermod_die(EXIT_FAILED, "%s: has mode %o, and others can read the password; right would be: chmod 600 %s, and another "
		    "password", s->password_file, (unsigned)st.st_mode & 07777, s->password_file);
	if (!account_read_line(fd, &s->password))
		hermod_die(EXIT_FAILED, "%s: holds no password", s->password_file);
	if (s->password.n > 0 && s->password.p[s->password.n - 1] == '\r')
		s->password.n--;
	if (s->password.n == 0)
		hermod_die(EXIT_FAILED, "%s: its first line is empty; right would be the password there", s->password_file);
	close(fd);
}

static void
make_up_password(struct setup *s)
{
	uint64_t chance[2];

	random_fill(chance, sizeof chance);
	for (unsigned i = 0; i < PASSWORD_GROUPS; i++) {
		if (i > 0)
			buf_char(&s->password, '-');
		base32_u64(chance[i % 2] >> (32 * (i / 2)), 4, &s->password);
	}
	explicit_bzero(chance, sizeof chance);
	s->made_up = true;
}

static void
find_password(struct setup *s, const struct given *g)
{
	buf_init(&s->password, ACCOUNT_PASSWORD_MAX);
	if (s->account_there && s->password_file)
		fprintf(stderr, "hermod: %s is there already, and keeps its password; `hermod account password` changes it\n", s->account);
	if (s->account_there)
		return;
	if (s->password_file)
		read_password_file(s);
	else if (g->asks && !s->dry_run)
		account_ask_password("Its password (empty: one is made up): ", true, &s->password);
	if (s->password.n == 0 && !s->password_file && !s->dry_run)
		make_up_password(s);
}

/* ---- what is said -------------------------------------------------------------------------------------------------------- */

static void
tell(const char *what, const char *name, const char *state)
{
	struct buf o;

	if (!hermod_options.json) {
		printf("  %-13s  %-13s  %s\n", state, what, name);
		return;
	}
	buf_init(&o, 1 << 16);
	buf_char(&o, '{');
	json_text(&o, "what", text(what));
	json_text(&o, "name", text(name));
	json_text(&o, "state", text(state));
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

static const char *
state_of(const struct setup *s, bool there)
{
	if (there)
		return "is there";
	return s->dry_run ? "would be made" : s->conf_same ? "is missing" : "made";
}

static void
tell_parts(const struct setup *s)
{
	const char *conf = state_of(s, s->conf_there);

	if (s->conf_there && !s->conf_same)
		conf = s->dry_run ? "would be new" : "is new";
	for (size_t i = 0; i < s->certificates; i++) {
		tell("key", s->key[i], state_of(s, !s->own || s->key_there));
		tell("certificate", s->chain[i], state_of(s, !s->own || s->certificate_there));
	}
	tell("aliases", setup_alias_file(s), state_of(s, s->aliases_there));
	tell("account", s->account, state_of(s, s->account_there));
	tell("configuration", s->conf, conf);
}

static void
tell_password(const struct setup *s)
{
	struct buf o;

	if (!s->made_up)
		return;
	if (!hermod_options.json) {
		printf("\nPassword of %s, shown this once: %.*s\n", s->account, BYTES_FMT(buf_bytes(&s->password)));
		return;
	}
	buf_init(&o, 1024);
	buf_char(&o, '{');
	json_text(&o, "what", text("password"));
	json_text(&o, "account", text(s->account));
	json_text(&o, "password", buf_bytes(&s->password));
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_wipe(&o);
}

static void
tell_records(const struct setup *s)
{
	struct publish_set domain[PUBLISH_SETS_MAX], host[PUBLISH_SETS_MAX];
	size_t n = publish_domain(&s->source, s->a, domain), m = publish_host(&s->source, s->a, host);

	if (!hermod_options.json)
		printf("\nPublish in the DNS, as a zone file has it:\n\n");
	publish_print(domain, n);
	publish_print(host, m);
	if (hermod_options.json)
		return;
	if (s->source.keys == 0)
		printf("; and a TLSA record, once there is a key\n");
	if (s->source.addresses == 0)
		printf("; and the public addresses of %.*s, A and AAAA, which nobody here knows: --address says them\n",
		    BYTES_FMT(s->source.host));
}

/* How the commands after this one find the configuration. */
static const char *
hermod_command(const struct setup *s)
{
	if (strcmp(s->conf, HERMOD_SYSCONFDIR "/hermod.conf") == 0)
		return "hermod";
	return arena_text(s->a, arena_fmt(s->a, "hermod -c %s", s->conf));
}

static void
tell_next(const struct setup *s)
{
	const char *hermod = hermod_command(s);

	if (hermod_options.json || s->dry_run)
		return;
	printf("\nNext:\n  %s start       (when it runs already: stop, then start)\n"
	    "  publish the records; `%s dns records` prints them again\n"
	    "  %s dns check   says whether they are there\n", hermod, hermod, hermod);
	if (s->own)
		printf("  mail programs will ask about the certificate, which nobody has signed but itself, until %s\n"
		    "  has one that a CA has signed\n", s->chain[0]);
}

static void
tell_all(const struct setup *s)
{
	if (!hermod_options.json)
		printf("Mail for %.*s, on %.*s:\n\n", BYTES_FMT(s->source.domain), BYTES_FMT(s->source.host));
	tell_parts(s);
	tell_password(s);
	tell_records(s);
	tell_next(s);
	if (fflush(stdout) != 0 && s->made_up)
		hermod_die(EXIT_FAILED, "all is done, but what was to be shown could not be: %s; `%s account password %s` gives the "
		    "account another password", strerror(errno), hermod_command(s), s->account);
}

/* ---- the verb -------------------------------------------------------------------------------------------------------- */

/* What is there stays, unless it was said that it should not. Who gives no domain hears of it before the questions. */
static void
look_at_conf(const struct setup *s, bool is_another)
{
	if (is_another && !s->force)
		hermod_die(EXIT_FAILED, "%s is there already, and is not what would be written: nothing was changed. `%s dns records` prints what "
		    "should be in the DNS; --force writes a new configuration, and keeps this one as %s.old", s->conf, hermod_command(s),
		    s->conf);
}

static void
need_answers(const struct setup *s, const struct given *g)
{
	if (!g->asks && !s->yes && !s->dry_run)
		hermod_die(EXIT_USE, "there is no terminal to ask; --yes takes what is not given as it would be suggested, --dry-run "
		    "shows what would be done");
}

static void
confirm(struct setup *s)
{
	const char *answer;

	fprintf(stderr, "%s for %.*s on %.*s will be written. ", s->conf, BYTES_FMT(s->source.domain), BYTES_FMT(s->source.host));
	answer = question(s, "Go on", "yes");
	if (strcmp(answer, "yes") != 0 && strcmp(answer, "y") != 0)
		hermod_die(EXIT_FAILED, "nothing was changed");
}

/* "--renew", alone or with "--dry-run". */
static bool
is_renewal(int argc, char **argv, bool *dry_run)
{
	bool renew = false;

	*dry_run = false;
	for (int i = 1; i < argc; i++) {
		renew = renew || strcmp(argv[i], "--renew") == 0;
		*dry_run = *dry_run || strcmp(argv[i], "--dry-run") == 0;
	}
	if (renew && argc != 2 + *dry_run)
		hermod_die(EXIT_USE, "setup --renew takes --dry-run and nothing else");
	return renew;
}

int
hermod_setup(int argc, char **argv)
{
	struct setup *s;
	struct given g = { 0 };
	bool dry_run;

	if (is_renewal(argc, argv, &dry_run))
		return certificates_renew(dry_run);
	s = mem_alloc(sizeof *s);

	fault_open("hermod");
	s->a = arena_new(ARENA);
	take_arguments(s, &g, argc, argv);
	g.asks = !s->yes && isatty(STDIN_FILENO) == 1;
	s->password_file = g.password_file;
	need_answers(s, &g);
	find_places(s, &g);
	take_listens(s, &g);
	look_at_users(s);
	look_at_conf(s, !g.domain && access(s->conf, F_OK) == 0);
	ask_all(s, &g);
	find_certificates(s);
	setup_look(s);
	look_at_conf(s, s->conf_there && !s->conf_same);
	setup_read_certificates(s);
	if (!s->conf_same) {
		find_password(s, &g);
		if (g.asks && !s->dry_run)
			confirm(s);
		if (!s->dry_run)
			setup_write(s);
	}
	tell_all(s);
	buf_wipe(&s->password);
	arena_free(&s->a);
	mem_free(s);
	return EXIT_WORKED;
}
