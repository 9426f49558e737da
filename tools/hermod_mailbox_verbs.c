/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_mailbox_verbs.c - hermod mailbox: whose mailbox it is is found out here, as who
 * was called; all else is done by a child that is the owner and can reach nothing but the mailbox. Also: list, status.
 */
#include "tools/hermod.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/confine.h"
#include "daemon/daemon.h"
#include "mail/index.h"
#include "mail/mailbox_check.h"
#include "mail/mailbox_settings.h"
#include "tools/hermod_account.h"
#include "tools/hermod_ask.h"
#include "tools/hermod_mailbox.h"

#define ROUTER_MS	30000
#define WAIT_MS		20000		/* for a lock */
#define SHOW_MS		200		/* between two looks of a progress */
#define KEEP		(KEEP_FILES | KEEP_WRITE)

struct mailbox_tool {
	struct account_settings account;
	struct mailbox_settings kept;
	unsigned	layout;
};

#define S struct mailbox_tool

/* Those of other programs' tables that are asked for here. */
static const struct setting mailbox_tool_settings[] = {
	ACCOUNT_SETTINGS(S, account),
	SET_WORD("folder_layout",	S, layout, "maildir", folder_layouts),
	SET_TIME("expunge_keep",	S, kept.expunge_keep_ms, "0", 0, 31622400000),
	SET_END
};

/* ---- what verbs share --------------------------------------------------------------- */

void
job_json(struct buf *o, struct bytes folder)
{
	buf_init(o, 1 << 20);
	buf_char(o, '{');
	json_text(o, "folder", folder);
}

void
job_json_end(struct buf *o)
{
	printf("%.*s}\n", BYTES_FMT(buf_bytes(o)));
	buf_fini(o);
}

void
job_time(char out[32], int64_t wall_s)
{
	time_t t = (time_t)wall_s;
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, 32, "%lld", (long long)wall_s);
}

void
job_progress(struct mailbox_job *j, struct bytes folder, size_t done, size_t all)
{
	static int64_t shown_ms;
	int64_t now = clock_wall_us() / 1000;

	if (!j->progress)
		return;
	if (done == all && shown_ms != 0) {
		fputs("\r\033[K", stderr);
		shown_ms = 0;
	} else if (done < all && (now < shown_ms || now - shown_ms >= SHOW_MS)) {
		fprintf(stderr, "\r%s: %zu of %zu\033[K", log_text(folder), done, all);
		shown_ms = now;
	}
}

void
job_scan(struct mailbox_job *j, struct bytes folder, struct mailbox *m)
{
	(void)j;
	if (!mailbox_scan(m))
		hermod_die(EXIT_FAILED, "%s: cannot be read: %s", log_text(folder), strerror(errno));
}

static struct mailbox *
open_folder(struct mailbox_job *j, struct bytes folder, bool as_is)
{
	struct mailbox *m;
	enum folder_result r = as_is ? folders_mailbox_as_is(j->folders, folder, &m) : folders_mailbox(j->folders, folder, &m);

	if (r != FOLDER_OK && r != FOLDER_NONE)
		hermod_die(EXIT_FAILED, "%s: cannot be opened: %s", log_text(folder), strerror(errno));
	return r == FOLDER_OK ? m : NULL;
}

static size_t
one_folder(struct mailbox_job *j, bool as_is, size_t (*each)(struct mailbox_job *, struct bytes, struct mailbox *))
{
	struct mailbox *m = NULL;
	struct buf name;
	size_t sum;

	buf_init(&name, 2 * FOLDER_NAME_MAX);
	if (folder_name_normal(text(j->folder), &name))
		m = open_folder(j, buf_bytes(&name), as_is);
	if (!m)
		hermod_die(EXIT_FAILED, "%s: no such folder; `hermod mailbox list %s` shows all", log_text(text(j->folder)),
		    j->account);
	sum = each(j, buf_bytes(&name), m);
	mailbox_close(&m);
	buf_fini(&name);
	return sum;
}

size_t
job_each(struct mailbox_job *j, bool as_is, size_t (*each)(struct mailbox_job *, struct bytes, struct mailbox *))
{
	struct arena *a;
	struct folder_entry *entry;
	size_t n, sum = 0;

	if (j->folder)
		return one_folder(j, as_is, each);
	a = arena_new(FOLDERS_ARENA_MAX);
	if (!folders_list(j->folders, a, &entry, &n))
		hermod_die(EXIT_FAILED, "the folders of %s cannot be listed: %s", j->account, strerror(errno));
	for (size_t i = 0; i < n; i++) {
		struct mailbox *m = entry[i].selectable ? open_folder(j, entry[i].name, as_is) : NULL;

		if (m)			/* else somebody removed it meanwhile */
			sum += each(j, entry[i].name, m);
		mailbox_close(&m);
	}
	arena_free(&a);
	return sum;
}

/* ---- list -------------------------------------------------------------------------------- */

struct counts { uint64_t unseen, octets; size_t messages, unread; };

static struct counts
count(struct mailbox_job *j, struct bytes folder, struct mailbox *m)
{
	struct counts c = { .messages = mailbox_count(m) };

	for (size_t i = 0; i < c.messages; i++) {
		c.unseen += !(mailbox_mail(m, i)->flags & MAIL_SEEN);
		if (mailbox_size(m, i))
			c.octets += mailbox_mail(m, i)->octets;
		else
			c.unread++;
		job_progress(j, folder, i + 1, c.messages);
	}
	return c;
}

static const struct { unsigned use; const char *name; } uses[] = {	/* RFC 6154 section 2 */
	{ FOLDER_ALL, "\\All" }, { FOLDER_ARCHIVE, "\\Archive" }, { FOLDER_DRAFTS, "\\Drafts" },
	{ FOLDER_FLAGGED, "\\Flagged" }, { FOLDER_JUNK, "\\Junk" }, { FOLDER_SENT, "\\Sent" }, { FOLDER_TRASH, "\\Trash" },
};

static void
put_uses(struct buf *out, unsigned set)
{
	for (size_t i = 0; i < LEN(uses); i++)
		if (set & uses[i].use)
			buf_fmt(out, "%s%s", out->n ? " " : "", uses[i].name);
}

static void
list_json(const struct folder_entry *e, const struct counts *c, struct bytes use)
{
	struct buf o;

	job_json(&o, e->name);
	json_bool(&o, "selectable", c != NULL);
	if (c) {
		json_number(&o, "messages", c->messages);
		json_number(&o, "unseen", c->unseen);
		json_number(&o, "octets", c->octets);
	}
	json_text(&o, "use", use);
	json_bool(&o, "subscribed", e->subscribed);
	job_json_end(&o);
}

static void
list_row(struct rows *r, const struct folder_entry *e, const struct counts *c, struct bytes use)
{
	rows_add(r, e->name);
	if (c) {
		rows_number(r, c->messages);
		rows_number(r, c->unseen);
		rows_size(r, c->octets);
	} else {
		for (int i = 0; i < 3; i++)
			rows_text(r, "-");
	}
	rows_text(r, e->subscribed ? "yes" : "no");
	rows_add(r, use);
}

static void
list_one(struct mailbox_job *j, struct rows *r, const struct folder_entry *e)
{
	struct mailbox *m = e->selectable ? open_folder(j, e->name, false) : NULL;
	struct counts c;
	struct buf use;

	buf_init(&use, 256);
	put_uses(&use, e->uses);
	if (m) {
		mailbox_index(m);
		job_scan(j, e->name, m);
		c = count(j, e->name, m);
	}
	if (hermod_options.json)
		list_json(e, m ? &c : NULL, buf_bytes(&use));
	else
		list_row(r, e, m ? &c : NULL, buf_bytes(&use));
	mailbox_close(&m);
	buf_fini(&use);
}

int
job_list(struct mailbox_job *j)
{
	static const char *const title[] = { "FOLDER", "<MESSAGES", "<UNSEEN", "<SIZE", "SUBSCRIBED", "USE", NULL };
	struct arena *a = arena_new(FOLDERS_ARENA_MAX);
	struct folder_entry *entry;
	struct rows r;
	size_t n;

	if (!folders_list(j->folders, a, &entry, &n))
		hermod_die(EXIT_FAILED, "the folders of %s cannot be listed: %s", j->account, strerror(errno));
	rows_init(&r, title);
	for (size_t i = 0; i < n; i++)
		list_one(j, &r, &entry[i]);
	if (!hermod_options.json)
		rows_print(&r);
	arena_free(&a);
	return EXIT_WORKED;
}

/* ---- status ------------------------------------------------------------------------------- */

static void
put_keywords(struct mailbox *m, struct buf *out)
{
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++) {
		struct bytes name = mailbox_keyword(m, i);

		if (name.n > 0)
			buf_fmt(out, "%s%.*s", out->n ? " " : "", BYTES_FMT(name));
	}
}

static const char *
ledger_word(const struct beside *b, int i)
{
	if (!b->ledger[i].there)
		return "missing";
	if (!b->ledger[i].whole)
		return "damaged";
	return i == 1 && b->ledger[0].whole && !b->alike ? "differs" : "whole";
}

static const char *
cache_word(bool there, bool whole)
{
	return !there ? "none" : whole ? "whole" : "damaged";
}

static void
status_json(struct bytes folder, struct mailbox *m, const struct counts *c, struct bytes keywords, const struct beside *b)
{
	struct buf o;

	job_json(&o, folder);
	json_number(&o, "uidvalidity", mailbox_uidvalidity(m));
	json_number(&o, "uidnext", mailbox_uidnext(m));
	json_number(&o, "highestmodseq", mailbox_highestmodseq(m));
	json_number(&o, "messages", c->messages);
	json_number(&o, "unseen", c->unseen);
	json_number(&o, "octets", c->octets);
	json_number(&o, "unreadable", c->unread);
	json_text(&o, "keywords", keywords);
	json_text(&o, "ledger", text(ledger_word(b, 0)));
	json_text(&o, "ledger2", text(ledger_word(b, 1)));
	json_number(&o, "ledger_octets", b->ledger[0].octets);
	json_text(&o, "index", text(cache_word(b->index, b->index_whole)));
	json_number(&o, "index_octets", b->index_octets);
	json_text(&o, "data", text(cache_word(b->data, b->data_whole)));
	json_number(&o, "data_octets", b->data_octets);
	json_number(&o, "expunged", b->kept);
	json_number(&o, "expunged_octets", b->kept_octets);
	job_json_end(&o);
}

static void
status_number(const char *what, uint64_t n)
{
	printf("  %-15s%llu\n", what, (unsigned long long)n);
}

static void
status_text(struct bytes folder, struct mailbox *m, const struct counts *c, struct bytes keywords, const struct beside *b)
{
	printf("%s%s%s\n", hermod_options.colour ? "\033[1m" : "", log_text(folder), hermod_options.colour ? "\033[0m" : "");
	status_number("UIDVALIDITY", mailbox_uidvalidity(m));
	status_number("UIDNEXT", mailbox_uidnext(m));
	status_number("HIGHESTMODSEQ", mailbox_highestmodseq(m));
	status_number("messages", c->messages);
	status_number("unseen", c->unseen);
	status_number("octets", c->octets);
	if (c->unread > 0)
		status_number("unreadable", c->unread);
	if (keywords.n > 0)
		printf("  %-15s%s\n", "keywords", log_text(keywords));
	printf("  %-15s%s, second copy %s, %llu octets\n", "ledger", ledger_word(b, 0), ledger_word(b, 1),
	    (unsigned long long)b->ledger[0].octets);
	printf("  %-15s%s, %llu octets\n", "index", cache_word(b->index, b->index_whole), (unsigned long long)b->index_octets);
	printf("  %-15s%s, %llu octets\n", "data", cache_word(b->data, b->data_whole), (unsigned long long)b->data_octets);
	if (b->kept > 0)
		printf("  %-15s%llu message%s, %llu octets\n", "expunged, kept", (unsigned long long)b->kept, b->kept == 1 ? "" : "s",
		    (unsigned long long)b->kept_octets);
}

static size_t
status_one(struct mailbox_job *j, struct bytes folder, struct mailbox *m)
{
	struct beside b;
	struct counts c;
	struct buf keywords;

	/* Before the scan, which would repair it. */
	if (!mailbox_beside(m, &b))
		hermod_die(EXIT_FAILED, "%s: what lies beside it cannot be read: %s", log_text(folder), strerror(errno));
	mailbox_index(m);
	job_scan(j, folder, m);
	c = count(j, folder, m);
	buf_init(&keywords, 65536);
	put_keywords(m, &keywords);
	(hermod_options.json ? status_json : status_text)(folder, m, &c, buf_bytes(&keywords), &b);
	buf_fini(&keywords);
	return 0;
}

int
job_status(struct mailbox_job *j)
{
	job_each(j, false, status_one);
	return EXIT_WORKED;
}

/* ---- as the owner --------------------------------------------------------------------------- */

/* A look does not make a mailbox. */
static void
must_be_there(const struct mailbox_job *j)
{
	enum mailbox_format format;
	struct stat st;
	char path[1024];

	if (!mailbox_parse(text(j->spec), &format, path))
		hermod_die(EXIT_FAILED, "%s: its mailbox is %s, which is not maildir:/path or mbox:/path", j->account,
		    log_text(text(j->spec)));
	if (lstat(path, &st) == 0)
		return;
	if (errno == ENOENT)
		hermod_die(EXIT_FAILED, "%s: there is no mailbox yet, it would be %s", j->account, path);
	hermod_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
}

static int
as_owner(void *arg)
{
	struct mailbox_job *j = arg;
	char why[256] = "";
	int dirs[8], status;
	size_t n;

	must_be_there(j);
	j->mbox = strncmp(j->spec, "mbox:", 5) == 0;
	j->folders = folders_open(text(j->spec), j->layout, WAIT_MS, why, sizeof why);
	if (!j->folders)
		hermod_die(EXIT_FAILED, "%s: its mailbox cannot be opened: %s", j->account, why);
	n = folders_dirs(j->folders, dirs, LEN(dirs));
	mailbox_prepare(dirs[0]);
	worker_confine("hermod", KEEP, dirs, n);
	status = j->run(j);
	folders_close(&j->folders);
	return status;
}

/* ---- whose it is ---------------------------------------------------------------------------- */

/* What only the directory knows, the router asks it. */
static enum verdict
ask_router(const struct mailbox_tool *t, struct bytes name, struct arena *arena, struct account *out)
{
	static unsigned char frame[IPC_FRAME_MAX];
	struct ipc_account_answer said;
	struct ipc_out ask;
	struct ipc_in in;
	int fd;

	fd = ask_try("explain.sock", "router");
	if (fd == -1)
		hermod_die(EXIT_UNREACHED, "%s: is in no table here; whether the directory (account_directory = %s) has it only Hermod "
		    "can find out while it runs: `hermod start`", log_text(name), account_directories[t->account.directory]);
	ipc_out_init(&ask);
	ipc_put_account_ask(&ask, 1, &(struct ipc_account_ask){ .name = name });
	if (!ask_send(fd, &ask) || ipc_recv_wait(fd, frame, &in, ROUTER_MS) != IPC_DONE)
		hermod_die(EXIT_UNREACHED, "the router went away; `hermod status` says why");
	if (in.type != IPC_account_answer || !ipc_get_account_answer(&in, &said))
		hermod_die(EXIT_FAILED, "the router's answer makes no sense");
	*out = (struct account){ .name = arena_copy(arena, said.name), .uid = said.uid, .gid = said.gid,
	    .mailbox = arena_copy(arena, said.mailbox) };
	close(fd);
	return said.verdict == YES || said.verdict == NO ? (enum verdict)said.verdict : NOT_SURE;
}

/* Users of this host cannot read the table of accounts, and yet have mailboxes of their own. */
static void
leave_out_table(struct mailbox_tool *t, const char *name)
{
	if (!account_table_denied(t->account.account_map))
		return;
	if (!t->account.system_accounts || strchr(name, '@'))
		hermod_die(EXIT_DENIED, "account_map = %s: Permission denied; root may look at the mailbox of %s",
		    t->account.account_map, log_text(text(name)));
	t->account.account_map = "";
}

static void
find_account(struct mailbox_tool *t, struct mailbox_job *j, uint32_t *uid, uint32_t *gid)
{
	struct arena *arena = arena_new(1 << 20);
	struct account_memo memo;
	struct account a;
	char why[512];
	struct accounts *all;
	bool ask;
	enum verdict v;

	leave_out_table(t, j->account);
	all = accounts_open(&t->account, why, sizeof why);
	if (!all)
		hermod_die(EXIT_FAILED, "%s", why);
	account_memo_init(&memo);
	accounts_remember(all, &memo);
	v = accounts_get(all, text(j->account), arena, &a);
	ask = accounts_want(all);
	if (ask)
		v = ask_router(t, text(j->account), arena, &a);
	if (v == NOT_SURE)
		hermod_die(EXIT_FAILED, "%s: whether there is such an account cannot be found out: %s", j->account, ask ?
		    "the directory does not say; the log says why" : "a table cannot be read, or its row is malformed");
	if (v == NO)
		hermod_die(EXIT_FAILED, "%s: no such account", j->account);
	if (!bytes_to_text(a.mailbox, j->spec, sizeof j->spec))
		hermod_die(EXIT_FAILED, "%s: the name of its mailbox is too long", j->account);
	*uid = a.uid;
	*gid = a.gid;
	accounts_close(&all);
	account_memo_fini(&memo);
	arena_wipe(arena);		/* passwords are nothing for the child */
	arena_free(&arena);
	if (geteuid() == 0 && (*uid < t->account.first_uid || *gid == 0))
		hermod_die(EXIT_DENIED, "%s: its owner is uid %u, gid %u, and nobody below first_uid = %llu has a mailbox", j->account,
		    (unsigned)*uid, (unsigned)*gid, (unsigned long long)t->account.first_uid);
	if (geteuid() != 0 && *uid != geteuid())
		hermod_die(EXIT_DENIED, "%s: only its owner, uid %u, and root may do this", j->account, (unsigned)*uid);
}

/* ---- the command line ---------------------------------------------------------------------- */

/* "2h" ago, or "2026-11-25", "2026-11-25 14:30", "2026-11-25 14:30:05". */
static int64_t
parse_since(const char *given)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d" };
	static const struct ago { uint64_t ms; } none;
	static const struct setting table[] = { SET_TIME("since", struct ago, ms, "0", 0, 0), SET_END };
	struct ago ago = none;
	char why[256];

	for (size_t i = 0; i < LEN(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *rest = strptime(given, forms[i], &tm);
		time_t t;

		if (rest && *rest == '\0' && (t = mktime(&tm)) != -1)
			return (int64_t)t;
	}
	if (!settings_set(table, "since", given, &ago, why, sizeof why))
		hermod_die(EXIT_USE, "--since %s: no time; right would be like 2h (so long ago), 2026-11-25 or "
		    "\"2026-11-25 14:30\"", given);
	return clock_wall_s() - (int64_t)(ago.ms / 1000);
}

static const struct verb {
	const char	*name;
	int		(*run)(struct mailbox_job *j);
	bool		 folder, needs_folder, dry_run, since;	/* what it takes */
} verbs[] = {
	{ "list",	job_list,	false, false, false, false },
	{ "status",	job_status,	true, false, false, false },
	{ "check",	job_check,	true, false, true, false },
	{ "rebuild",	job_rebuild,	true, false, true, false },
	{ "undelete",	job_undelete,	true, true, true, true },
};

static void
show_help(FILE *to)
{
	fprintf(to, "usage: hermod mailbox list ACCOUNT\n"
	    "       hermod mailbox status ACCOUNT [FOLDER]\n"
	    "       hermod mailbox check ACCOUNT [FOLDER] [--dry-run]\n"
	    "       hermod mailbox rebuild ACCOUNT [FOLDER] [--dry-run]\n"
	    "       hermod mailbox undelete ACCOUNT FOLDER [--since TIME] [--dry-run]\n\n"
	    "  list       folders, and what is in each\n"
	    "  status     UIDs, mod-sequences, and the files beside the mail\n"
	    "  check      read all and find faults; nothing is changed\n"
	    "  rebuild    make index and data anew from the messages\n"
	    "  undelete   bring back what was expunged, if expunge_keep is set\n\n"
	    "  --since TIME  what was expunged since: 2h (ago), 2026-11-25, \"2026-11-25 14:30\"\n"
	    "  --dry-run     say what would be done\n"
	    "\nWithout a FOLDER: all of them. hermod-mailbox(8) says more.\n");
}

static const struct verb *
not_understood(const char *word)
{
	fprintf(stderr, "hermod: mailbox: not understood at %s\n", log_text(text(word)));
	return NULL;
}

static const struct verb *
take_words(int argc, char **argv, struct mailbox_job *j)
{
	const struct verb *v = NULL;
	const char *since = NULL;

	for (size_t i = 0; argc > 1 && i < LEN(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			v = &verbs[i];
	if (!v && argc > 1)
		return not_understood(argv[1]);
	for (int i = 2; v && i < argc; i++) {
		if (strcmp(argv[i], "--dry-run") == 0 && v->dry_run)
			j->dry_run = true;
		else if (strcmp(argv[i], "--since") == 0 && v->since && i + 1 < argc)
			since = argv[++i];
		else if (argv[i][0] == '-' && argv[i][1] != '\0')
			v = not_understood(argv[i]);
		else if (!j->account)
			j->account = argv[i];
		else if (!j->folder && v->folder)
			j->folder = argv[i];
		else
			v = not_understood(argv[i]);
	}
	if (!v || !j->account || (v->needs_folder && !j->folder))
		return NULL;
	j->since_s = since ? parse_since(since) : INT64_MIN;
	return v;
}

int
hermod_mailbox(int argc, char **argv)
{
	struct mailbox_tool t;
	struct mailbox_job j = { 0 };
	const struct verb *v;
	uint32_t uid, gid;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			show_help(stdout);
			return EXIT_WORKED;
		}
	v = take_words(argc, argv, &j);
	if (!v) {
		show_help(stderr);
		return EXIT_USE;
	}
	hermod_fill(mailbox_tool_settings, &t);
	j.run = v->run;
	j.layout = (enum folder_layout)t.layout;
	j.keeps = t.kept.expunge_keep_ms > 0;
	j.progress = isatty(STDERR_FILENO) && !hermod_options.json;
	find_account(&t, &j, &uid, &gid);
	tzset();
	clock_open();
	if (!index_boot_host())
		fprintf(stderr, "hermod: cannot read which boot of the host this is: %s\n", strerror(errno));
	return mailbox_as_owner(uid, gid, as_owner, &j);
}
