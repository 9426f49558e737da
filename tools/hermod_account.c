/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_account.c - hermod account: rows of the account table, and the
 * mailboxes that belong to them. A password comes from the terminal, without
 * echo, or from standard input; never from the command line, which others can see.
 */
#include "tools/hermod_account.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/account.h"
#include "master/services.h"
#include "proto/idna.h"
#include "proto/smtp_address.h"
#include "tools/hermod.h"
#include "tools/hermod_mailbox.h"

struct account_tool {
	struct account_settings account;
	struct setting_list local_domains;
	const char	*hostname;
	uint64_t	 uid_base;
	unsigned	 layout;	/* enum folder_layout */
};

#define S struct account_tool

/* Those of other programs' tables that are asked for here. */
static const struct setting account_tool_settings[] = {
	ACCOUNT_SETTINGS(S, account),
	SET_LIST("local_domains",	S, local_domains, "", setting_is_domain),
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_WORD("folder_layout",	S, layout, "maildir", folder_layouts),
	SET_NUMBER("uid_base",		S, uid_base, "0", 0, 4000000000),
	SET_END
};

static struct account_tool settings;
static struct arena *arena;

/* ---- passwords ------------------------------------------------------------------------- */

bool
account_read_line(int fd, struct buf *out)
{
	unsigned char c;
	ssize_t n;

	while ((n = read(fd, &c, 1)) == 1 || (n == -1 && errno == EINTR)) {
		if (n == -1)
			continue;
		if (c == '\n')
			return true;
		buf_char(out, c);
	}
	return n == 0 && out->n > 0;
}

static const int ends[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP };
static volatile sig_atomic_t caught;

static void
note(int sig)
{
	caught = sig;
}

/* Blocked, but while somebody waits for them with *before. */
static void
hold_signals(struct sigaction *old, sigset_t *before)
{
	const struct sigaction ours = { .sa_handler = note };
	sigset_t all;

	sigemptyset(&all);
	for (size_t i = 0; i < LEN(ends); i++)
		sigaddset(&all, ends[i]);
	sigprocmask(SIG_BLOCK, &all, before);
	for (size_t i = 0; i < LEN(ends); i++)
		if (sigaction(ends[i], NULL, &old[i]) == 0 && old[i].sa_handler != SIG_IGN)
			sigaction(ends[i], &ours, NULL);
	caught = 0;
}

static void
release_signals(const struct sigaction *old, const sigset_t *before)
{
	for (size_t i = 0; i < LEN(ends); i++)
		sigaction(ends[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, before, NULL);
	if (caught != 0)
		raise(caught);
}

/* Without echo. A signal ends the question, and then does what it does when the terminal is as it was. */
static bool
ask_without_echo(int tty, const char *prompt, struct buf *out)
{
	struct sigaction old[LEN(ends)];
	struct pollfd line = { .fd = tty, .events = POLLIN };
	struct termios as_was, silent;
	sigset_t before;
	bool good;

	if (tcgetattr(tty, &as_was) == -1)
		hermod_die(EXIT_FAILED, "the terminal does not answer: %s", strerror(errno));
	silent = as_was;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	hold_signals(old, &before);
	tcsetattr(tty, TCSAFLUSH, &silent);
	(void)file_write(tty, text(prompt));
	good = ppoll(&line, 1, NULL, &before) == 1 && account_read_line(tty, out);
	tcsetattr(tty, TCSAFLUSH, &as_was);
	(void)file_write(tty, text("\n"));
	release_signals(old, &before);
	return good;
}

static void
ask_terminal(int tty, const char *prompt, bool may_be_empty, struct buf *out)
{
	bool good = ask_without_echo(tty, prompt, out);

	while (!good && caught == SIGTSTP)	/* it goes on */
		good = ask_without_echo(tty, prompt, out);
	if (!good || (out->n == 0 && !may_be_empty))
		hermod_die(EXIT_FAILED, "no password was given");
}

void
account_ask_password(const char *prompt, bool may_be_empty, struct buf *password)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct buf again;

	if (tty == -1)
		hermod_die(EXIT_USE, "there is no terminal to ask for the password; give it by --password-stdin");
	buf_init(&again, ACCOUNT_PASSWORD_MAX);
	ask_terminal(tty, prompt, may_be_empty, password);
	if (password->n > 0)
		ask_terminal(tty, "Again: ", true, &again);
	if (!bytes_eq(buf_bytes(password), buf_bytes(&again)))
		hermod_die(EXIT_FAILED, "the two are not the same; nothing was changed");
	buf_wipe(&again);
	close(tty);
}

static void
put_password(struct account *a, const struct buf *password)
{
	if (password->full || !account_set_password(a, arena, buf_bytes(password), settings.account.scram_iterations))
		hermod_die(EXIT_FAILED, "this password cannot be used; right would be 1 to 511 octets, "
		    "none of them a control character");
}

static void
set_password(struct account *a, bool from_stdin)
{
	struct buf password;

	buf_init(&password, ACCOUNT_PASSWORD_MAX);
	if (!from_stdin)
		account_ask_password("Password: ", false, &password);
	else if (!account_read_line(STDIN_FILENO, &password))
		hermod_die(EXIT_FAILED, "standard input has no password");
	else if (password.n > 0 && password.p[password.n - 1] == '\r')
		password.n--;
	put_password(a, &password);
	buf_wipe(&password);
}

/* ---- the table ---------------------------------------------------------------------------- */

static struct bytes
name_of(const char *given)
{
	struct smtp_address parsed;
	struct bytes name, ignored;

	if (smtp_mailbox_parse(text(given), SMTP_TAKE_UTF8, arena, &parsed) != SMTP_ADDRESS_OK
	    || parsed.kind != SMTP_DOMAIN_NAME || !idna_ascii(parsed.domain, arena, &parsed.domain))
		hermod_die(EXIT_USE, "%s: not an address; right would be like anna@example.org", given);
	name = smtp_lower(smtp_address_text(&parsed, arena), arena);
	if (!account_mailbox(&settings.account, name, arena, &ignored))
		hermod_die(EXIT_USE, "%s: no folder could have this name (/, a dot in front, controls, or "
		    "too long)", given);
	return name;
}

static bool
is_local(struct bytes name)
{
	struct bytes domain = bytes_skip(name, bytes_rfind(name, '@') + 1);

	for (size_t i = 0; i < settings.local_domains.n; i++)
		if (bytes_case_eq(domain, text(settings.local_domains.item[i])))
			return true;
	return bytes_case_eq(domain, text(settings.hostname));
}

/* For writing; nobody else writes until it is closed. */
static struct table *
open_table(bool create)
{
	uid_t uid;
	gid_t gid;
	char why[512];
	struct table *t;

	if (settings.account.account_map[0] == '\0')
		hermod_die(EXIT_SETTINGS, "account_map is \"\": there are no virtual accounts");
	t = table_open_write(settings.account.account_map, create, why, sizeof why);
	if (!t)
		hermod_die(EXIT_FAILED, "%s%s", why, create ? "" : "; hermod account add makes the table");
	if (geteuid() == 0 && service_ids("hermod-map", settings.uid_base, &uid, &gid))
		table_rights(t, gid, 0640);
	return t;
}

static bool
get_row(struct table *t, struct bytes name, struct account *out)
{
	struct buf row;
	enum verdict v;

	buf_init(&row, ACCOUNT_ROW_MAX);
	v = table_get(t, name, &row);
	if (v == NOT_SURE && access(table_path(t), F_OK) == 0)
		hermod_die(EXIT_FAILED, "%s cannot be read", table_path(t));
	if (v == YES && !account_decode_row(buf_bytes(&row), arena, out))
		hermod_die(EXIT_FAILED, "%.*s: its row is malformed; remove the account and add it again",
		    BYTES_FMT(name));
	buf_wipe(&row);
	return v == YES;
}

static void
put_row(struct table *t, struct bytes name, const struct account *a)
{
	char why[512];
	struct buf row;

	buf_init(&row, ACCOUNT_ROW_MAX);
	account_encode(a, &row);
	if (row.full || !table_put(t, name, buf_bytes(&row), why, sizeof why))
		hermod_die(EXIT_FAILED, "%s", row.full ? "the row is too long" : why);
	buf_wipe(&row);
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static void
tell(struct bytes name, const char *what, struct bytes mailbox)
{
	struct buf out;

	buf_init(&out, 8192);
	if (hermod_options.json) {
		buf_char(&out, '{');
		json_text(&out, "account", name);
		json_text(&out, "done", text(what));
		if (mailbox.n > 0)
			json_text(&out, "mailbox", mailbox);
		buf_text(&out, "}");
	} else {
		buf_add(&out, name);
		buf_fmt(&out, ": %s", what);
		if (mailbox.n > 0) {
			buf_text(&out, ", ");
			buf_add(&out, mailbox);
		}
	}
	printf("%.*s\n", BYTES_FMT(buf_bytes(&out)));
	buf_fini(&out);
}

/* Whose the mail of virtual accounts is. What mail_uid does not say stands in the row. */
static void
own_mailbox(struct account *a)
{
	const struct passwd *pw;

	if (settings.account.mail_uid != 0)
		return;
	if (geteuid() != 0) {
		a->uid = geteuid();
		a->gid = getegid();
		return;
	}
	pw = getpwnam("hermod-mail");
	if (!pw)
		hermod_die(EXIT_SETTINGS, "nobody owns the mailboxes: set mail_uid and mail_gid, or make the "
		    "system user hermod-mail");
	if (pw->pw_uid < settings.account.first_uid)	/* become would refuse it, and all mail wait */
		hermod_die(EXIT_SETTINGS, "hermod-mail has uid %u, and nobody below first_uid = %llu has a mailbox: give it "
		    "a higher uid, or set mail_uid and mail_gid", (unsigned)pw->pw_uid,
		    (unsigned long long)settings.account.first_uid);
	a->uid = pw->pw_uid;
	a->gid = pw->pw_gid;
}

/* Its mailbox. a has the password. */
static struct bytes
add(struct bytes name, struct account *a)
{
	struct bytes mailbox;
	struct account old;
	struct table *t;
	char why[512];

	own_mailbox(a);
	t = open_table(true);
	if (get_row(t, name, &old))
		hermod_die(EXIT_FAILED, "%.*s exists; hermod account password changes its password",
		    BYTES_FMT(name));
	account_mailbox(&settings.account, name, arena, &mailbox);
	if (!mailbox_create(&settings.account, (enum folder_layout)settings.layout, mailbox,
	    a->uid ? a->uid : (uint32_t)settings.account.mail_uid, a->uid ? a->gid : (uint32_t)settings.account.mail_gid,
	    why, sizeof why))
		hermod_die(EXIT_FAILED, "%s; the account was not added", why);
	put_row(t, name, a);
	table_close(&t);
	return mailbox;
}

static int
do_add(const char *given, bool from_stdin)
{
	struct bytes name = name_of(given);
	struct account a = { .state = ACCOUNT_ACTIVE };

	set_password(&a, from_stdin);
	tell(name, "added", add(name, &a));
	if (!is_local(name))
		fprintf(stderr, "hermod: its domain is not in local_domains: no mail for it will be taken\n");
	return EXIT_WORKED;
}

static int
do_remove(const char *given)
{
	struct bytes name = name_of(given), mailbox = { 0 };
	struct table *t = open_table(false);
	struct account a;
	char why[512];

	if (!get_row(t, name, &a))
		hermod_die(EXIT_FAILED, "%.*s: no such account", BYTES_FMT(name));
	if (!table_delete(t, name, why, sizeof why))
		hermod_die(EXIT_FAILED, "%s", why);
	table_close(&t);
	mailbox = a.mailbox;
	if (mailbox.n == 0)
		account_mailbox(&settings.account, name, arena, &mailbox);
	tell(name, "removed, its mail was left", mailbox);
	return EXIT_WORKED;
}

static int
do_password(const char *given, bool from_stdin)
{
	struct bytes name = name_of(given);
	struct account fresh = { 0 }, a;
	struct table *t;

	set_password(&fresh, from_stdin);		/* before anybody is locked out */
	t = open_table(false);
	if (!get_row(t, name, &a))
		hermod_die(EXIT_FAILED, "%.*s: no such account", BYTES_FMT(name));
	a.password = fresh.password;
	a.scram_sha_1 = fresh.scram_sha_1;
	a.scram_sha_256 = fresh.scram_sha_256;
	put_row(t, name, &a);
	table_close(&t);
	tell(name, "password changed", (struct bytes){ 0 });
	return EXIT_WORKED;
}

static int
do_state(const char *given, enum account_state state)
{
	struct bytes name = name_of(given);
	struct table *t = open_table(false);
	struct account a;

	if (!get_row(t, name, &a))
		hermod_die(EXIT_FAILED, "%.*s: no such account", BYTES_FMT(name));
	a.state = state;
	put_row(t, name, &a);
	table_close(&t);
	tell(name, state == ACCOUNT_ACTIVE ? "enabled" : "disabled", (struct bytes){ 0 });
	return EXIT_WORKED;
}

static const char *
password_kind(const struct account *a)
{
	if (a->password.n == 0)
		return "none";
	if (bytes_starts(a->password, text("{PLAIN}")))
		return "plain";
	return bytes_starts(a->password, text("$y$")) ? "yescrypt" : "crypt";
}

static void
list_json(struct bytes name, const struct account *a)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	buf_char(&out, '{');
	json_text(&out, "account", name);
	json_text(&out, "state", text(!a ? "malformed" : a->state == ACCOUNT_ACTIVE ? "active" : "disabled"));
	if (a) {
		json_text(&out, "password", text(password_kind(a)));
		json_text(&out, "mailbox", a->mailbox);
		json_number(&out, "uid", a->uid);
		json_number(&out, "gid", a->gid);
	}
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&out)));
	buf_fini(&out);
}

static bool
list_one(void *arg, struct bytes name, const struct account *a)
{
	struct rows *r = arg;

	if (hermod_options.json) {
		list_json(name, a);
		return true;
	}
	rows_add(r, name);
	rows_text(r, !a ? "malformed" : a->state == ACCOUNT_ACTIVE ? "active" : "disabled");
	rows_text(r, a ? password_kind(a) : "");
	rows_add(r, a ? a->mailbox : (struct bytes){ 0 });
	return true;
}

static int
do_list(void)
{
	static const char *const title[] = { "ACCOUNT", "STATE", "PASSWORD", "MAILBOX", NULL };
	struct accounts *a;
	char why[512], path[1024];
	struct rows r;
	bool good = true;

	settings.account.system_accounts = false;	/* they are not in this table */
	if (table_file(settings.account.account_map, path) && access(path, F_OK) == 0) {
		a = accounts_open(&settings.account, why, sizeof why);
		if (!a || why[0] != '\0')
			hermod_die(EXIT_FAILED, "%s", why);
		rows_init(&r, title);
		good = accounts_walk(a, list_one, &r);
		if (!hermod_options.json)
			rows_print(&r);
		accounts_close(&a);
	} else if (access(path, F_OK) == -1 && errno != ENOENT)
		hermod_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	if (!good)
		hermod_die(EXIT_FAILED, "the account table cannot be read whole");
	if (settings.account.directory != 0)
		fprintf(stderr, "hermod: the directory (account_directory = %s) has accounts, too; they are not listed here\n",
		    account_directories[settings.account.directory]);
	return EXIT_WORKED;
}

bool
account_table_denied(const char *account_map)
{
	char path[1024];

	return table_file(account_map, path) && access(path, R_OK) == -1 && errno == EACCES;
}

static void
start(void)
{
	arena = arena_new(1 << 20);
	hermod_fill(account_tool_settings, &settings);
	if (account_table_denied(settings.account.account_map))
		hermod_die(EXIT_DENIED, "account_map = %s: Permission denied; root may see and change the accounts",
		    settings.account.account_map);
}

void
account_add(const char *given, const struct buf *password)
{
	struct account a = { .state = ACCOUNT_ACTIVE };

	start();
	put_password(&a, password);
	(void)add(name_of(given), &a);
}

static bool
is_verb(const char *word)
{
	static const char *const verbs[] = { "add", "password", "remove", "enable", "disable", "list" };

	for (size_t i = 0; i < LEN(verbs); i++)
		if (strcmp(word, verbs[i]) == 0)
			return true;
	return false;
}

/* It may be a password, and is not repeated. */
static _Noreturn void
refuse_word(char *word)
{
	if (word[0] != '-')
		hermod_die(EXIT_USE, "account: one address, and no more; a password is no argument: it is asked for, or read with "
		    "--password-stdin");
	word[strcspn(word, "=")] = '\0';
	hermod_usage("account", word);
}

int
hermod_account(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "", *name = NULL;
	bool from_stdin = false;

	if (argc > 1 && !is_verb(verb))
		hermod_usage("account", verb);
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--password-stdin") == 0)
			from_stdin = true;
		else if (argv[i][0] == '-' || name)
			refuse_word(argv[i]);
		else
			name = argv[i];
	}
	start();
	if (strcmp(verb, "list") == 0 && !name && !from_stdin)
		return do_list();
	if (!name)
		hermod_usage("account", NULL);
	if (strcmp(verb, "add") == 0)
		return do_add(name, from_stdin);
	if (strcmp(verb, "password") == 0)
		return do_password(name, from_stdin);
	if (from_stdin)
		hermod_usage("account", NULL);
	if (strcmp(verb, "remove") == 0)
		return do_remove(name);
	if (strcmp(verb, "enable") == 0)
		return do_state(name, ACCOUNT_ACTIVE);
	if (strcmp(verb, "disable") == 0)
		return do_state(name, ACCOUNT_DISABLED);
	hermod_usage("account", NULL);
}
