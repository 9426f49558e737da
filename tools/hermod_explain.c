/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_explain.c - hermod explain: would this recipient be taken from that client, by which rules, and where would
 * its mail go? hermod route: the last of it alone.
 *
 * Nothing is decided here. The commands go through the SMTP server's own conversation (mail/smtp_server.h), as if the
 * client had sent them, by the rules of submission when it has logged in; the router that runs answers, and says by which
 * steps, and submission what the account has sent in its hour.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "mail/account.h"
#include "mail/network.h"
#include "mail/smtp_server.h"
#include "proto/smtp_address.h"
#include "tools/hermod_ask.h"
#include "tools/hermod_explain.h"

#define ANSWER_MS	30000
#define PLENTY		100		/* of errors, which end a session: this one has two commands */
#define USER_ARENA	(1u << 20)
#define LINE_OCTETS	(1u << 20)	/* of a line of the report */

/* ---- lines ------------------------------------------------------------------------------------------ */

void
report_init(struct report *r)
{
	static const char *const title[] = { "RULE", "WHAT", NULL };

	rows_init(&r->rows, title);
	buf_init(&r->words, LINE_OCTETS);
	buf_init(&r->more, LINE_OCTETS);
}

static void
print_json(const char *rule, unsigned depth, struct bytes words, struct bytes more)
{
	struct buf o;

	buf_init(&o, 8 * LINE_OCTETS);
	buf_char(&o, '{');
	json_text(&o, "rule", text(rule));
	json_number(&o, "depth", depth);
	json_text(&o, "words", words);
	if (more.n > 0)
		buf_char(&o, ',');
	buf_add(&o, more);
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

void
report_line(struct report *r, const char *rule, unsigned depth)
{
	struct buf indented;

	if (hermod_options.json) {
		print_json(rule, depth, buf_bytes(&r->words), buf_bytes(&r->more));
	} else {
		buf_init(&indented, 2 * LINE_OCTETS);
		for (unsigned i = 0; i < 2 * depth; i++)
			buf_char(&indented, ' ');
		buf_add(&indented, buf_bytes(&r->words));
		rows_text(&r->rows, rule);
		rows_add(&r->rows, buf_bytes(&indented));
		buf_fini(&indented);
	}
	buf_clear(&r->words);
	buf_clear(&r->more);
}

void
report_fmt(struct report *r, const char *rule, const char *fmt, ...)
{
	char words[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	buf_text(&r->words, words);
	report_line(r, rule, 0);
}

void
report_end(struct report *r)
{
	if (hermod_options.json)
		buf_fini(&r->rows.cells);
	else
		rows_print(&r->rows);
	buf_fini(&r->words);
	buf_fini(&r->more);
}

/* "250 2.1.5 recipient ok", as SMTP would have it. */
static void
report_reply(struct report *r, const char *rule, struct bytes reply)
{
	uint64_t code = 0;

	reply = bytes_trim(reply);
	buf_add(&r->words, reply);
	(void)bytes_u64(bytes_head(reply, 3), 999, &code);
	json_number(&r->more, "code", code);
	report_line(r, rule, 0);
}

/* ---- the router ---------------------------------------------------------------------------------------- */

struct question {
	enum client_class who;
	const char	*client, *from, *to, *account;
	struct report	 report;
	bool		 steps;		/* tell them */
	int		 router;	/* a connection */
	unsigned char	 frame[IPC_FRAME_MAX];	/* what `said` borrows from */
	struct ipc_rcpt_answer said;
	char		 name[ACCOUNT_NAME_MAX + 1];	/* the account's own, when it can log in */
	struct ipc_share_answer share;	/* of the account; reply is in share_words */
	char		 share_words[256];
};

static void
tell_steps(struct question *q, const struct ipc_explained *e)
{
	struct bytes run = e->steps;
	struct ipc_explain_step step;
	struct ipc_in in;
	bool bad = false;

	while (run.n > 0) {
		char rule[33];

		ipc_in_bytes(&in, ipc_cut_text(&run, &bad));
		if (bad || !ipc_get_explain_step(&in, &step) || !bytes_to_text(step.rule, rule, sizeof rule))
			hermod_die(EXIT_FAILED, "the router's explanation makes no sense");
		if (!q->steps)
			continue;
		buf_add(&q->report.words, step.words);
		report_line(&q->report, rule, step.depth);
	}
	if (q->steps && e->left_out > 0)
		report_fmt(&q->report, "...", "%llu further steps", (unsigned long long)e->left_out);
}

/* The steps are told; the answer behind them, of this type, is in q->frame until the next question. */
static void
ask(struct question *q, struct ipc_out *out, unsigned type, struct ipc_in *in)
{
	struct ipc_explained e;

	if (out->frame.full)
		hermod_die(EXIT_USE, "no address is that long");
	if (!ask_send(q->router, out))
		hermod_die(EXIT_UNREACHED, "the router went away; `hermod status` says why");
	for (;;) {
		if (ipc_recv_wait(q->router, q->frame, in, ANSWER_MS) != IPC_DONE)
			hermod_die(EXIT_UNREACHED, "the router went away; `hermod status` says why");
		if (in->type == type)
			return;
		if (in->type != IPC_explained || !ipc_get_explained(in, &e))
			hermod_die(EXIT_FAILED, "the router's answer makes no sense");
		tell_steps(q, &e);
	}
}

/* Fills q->said. */
static void
ask_router(struct question *q, struct bytes sender, struct bytes recipient, bool smtputf8)
{
	struct ipc_out out;
	struct ipc_in in;

	ipc_out_init(&out);
	ipc_put_explain_ask(&out, 1, &(struct ipc_explain_ask){ .client_class = q->who, .client = text(q->client),
	    .sender = sender, .recipient = recipient, .smtputf8 = smtputf8 });
	ask(q, &out, IPC_rcpt_answer, &in);
	if (!ipc_get_rcpt_answer(&in, &q->said))
		hermod_die(EXIT_FAILED, "the router's answer makes no sense");
}

static enum verdict
ask_sender(struct question *q, struct bytes address)
{
	struct ipc_sender_answer a;
	struct ipc_out out;
	struct ipc_in in;

	ipc_out_init(&out);
	ipc_put_explain_sender(&out, 1, &(struct ipc_explain_sender){ .account = text(q->name), .address = address });
	ask(q, &out, IPC_sender_answer, &in);
	if (!ipc_get_sender_answer(&in, &a))
		hermod_die(EXIT_FAILED, "the router's answer makes no sense");
	return (enum verdict)a.verdict;
}

/* ---- the account that has logged in ----------------------------------------------------------------------- */

/* False: it could not have. */
static bool
find_account(struct question *q)
{
	struct ipc_account_answer a;
	struct ipc_out out;
	struct ipc_in in;

	ipc_out_init(&out);
	ipc_put_account_ask(&out, 1, &(struct ipc_account_ask){ .name = text(q->account) });
	ask(q, &out, IPC_account_answer, &in);
	if (!ipc_get_account_answer(&in, &a) || (a.verdict == YES && !bytes_to_text(a.name, q->name, sizeof q->name)))
		hermod_die(EXIT_FAILED, "the router's answer makes no sense");
	if (a.verdict == YES && a.state == ACCOUNT_ACTIVE)
		report_fmt(&q->report, "account", "%s has an account%s", q->name, a.system ? "; whether it may log in PAM says" : "");
	else
		report_fmt(&q->report, "account", a.verdict == YES ? "%s is disabled: nobody can log in with this name"
		    : a.verdict == NO ? "%s has no account: nobody can log in with this name"
		    : "%s cannot be looked up just now: the log says why", q->account);
	return a.verdict == YES && a.state == ACCOUNT_ACTIVE;
}

static void
tell_share(struct question *q, const char *setting, uint64_t n, uint64_t limit, unsigned left_s)
{
	if (limit == 0)
		report_fmt(&q->report, "limit", "%s: none", setting);
	else if (left_s == 0)
		report_fmt(&q->report, "limit", "%s: 0 of %llu", setting, (unsigned long long)limit);
	else
		report_fmt(&q->report, "limit", "%s: %llu of %llu, in an hour that is over in %u min", setting, (unsigned long long)n,
		    (unsigned long long)limit, (left_s + 59) / 60);
}

/* What it has sent submission knows, where that runs. */
static void
find_share(struct question *q)
{
	struct ipc_out out;
	struct ipc_in in;
	int fd;

	if (!settings_value(hermod_settings(), "tls_certificates")[0]) {
		report_fmt(&q->report, "limit", "submission is not served: there are no tls_certificates");
		return;
	}
	fd = ask_connect("submission.sock", "submission");
	ipc_out_init(&out);
	ipc_put_share_ask(&out, 1, &(struct ipc_share_ask){ .account = text(q->name) });
	if (!ask_send(fd, &out) || ipc_recv_wait(fd, q->frame, &in, ANSWER_MS) != IPC_DONE)
		hermod_die(EXIT_UNREACHED, "submission went away; `hermod status` says why");
	if (in.type != IPC_share_answer || !ipc_get_share_answer(&in, &q->share)
	    || !bytes_to_text(q->share.reply, q->share_words, sizeof q->share_words))
		hermod_die(EXIT_FAILED, "the answer of submission makes no sense");
	close(fd);
	tell_share(q, "submission_messages_per_hour", q->share.messages, q->share.messages_limit, q->share.messages_left);
	tell_share(q, "submission_recipients_per_hour", q->share.recipients, q->share.recipients_limit, q->share.recipients_left);
}

/* ---- by SMTP ---------------------------------------------------------------------------------------------- */

struct smtp_tool_settings {
	const char	*hostname;
	uint64_t	 message_octets, recipients, submitted, line_octets;
};

static const struct setting smtp_tool_settings[] = {
	SET_TEXT("hostname",		struct smtp_tool_settings, hostname, "localhost.localdomain"),
	SET_SIZE("message_size_limit",	struct smtp_tool_settings, message_octets, "25M", 1024, 1ull << 40),
	SET_NUMBER("smtpd_recipient_limit", struct smtp_tool_settings, recipients, "1000", 100, 50000),
	SET_NUMBER("submission_recipient_limit", struct smtp_tool_settings, submitted, "1000", 100, 50000),
	SET_SIZE("smtpd_line_limit",	struct smtp_tool_settings, line_octets, "4096", 512, 65535),
	SET_END
};

static enum smtp_wants
command(struct smtp_server *s, const char *verb, struct bytes path, const char *params)
{
	enum smtp_wants w;
	struct bytes in;
	struct buf line;

	buf_init(&line, LINE_OCTETS);
	buf_fmt(&line, "%s<", verb);
	buf_add(&line, path);
	buf_fmt(&line, ">%s\r\n", params);
	in = buf_bytes(&line);
	buf_clear(s->out);
	w = smtp_server_input(s, &in);
	buf_fini(&line);
	return w;
}

static void
log_in(struct question *q, struct smtp_server *s)
{
	struct bytes login = text("AUTH PLAIN\r\n");

	s->secure = true;
	must(smtp_server_input(s, &login) == SMTP_WANTS_AUTH);
	smtp_server_logged_in(s, text(q->name));
}

/* As daemon/smtp_session.c does: what is taken may be too much for this hour. */
static void
apply_share(struct question *q)
{
	if (q->said.verdict == YES && q->share.code != 0)
		q->said = (struct ipc_rcpt_answer){ .verdict = NO, .code = q->share.code, .reply = text(q->share_words) };
}

/* What is decided before the router is asked, by whom it is asked, and what is made of its answer. */
static void
converse(struct question *q, struct smtp_server *s)
{
	bool smtputf8 = !bytes_is_ascii(text(q->from)) || !bytes_is_ascii(text(q->to));
	struct bytes greeting = text("EHLO localhost\r\n");

	(void)smtp_server_input(s, &greeting);
	if (q->who == CLIENT_ACCOUNT)
		log_in(q, s);
	if (smtputf8)
		report_fmt(&q->report, "smtputf8", "an address is not ASCII: the client has to ask for SMTPUTF8 (RFC 6531)");
	if (command(s, "MAIL FROM:", text(q->from), smtputf8 ? " SMTPUTF8" : "") == SMTP_WANTS_SENDER)
		smtp_server_sender_checked(s, ask_sender(q, s->from.asked));
	report_reply(&q->report, "MAIL", buf_bytes(s->out));
	if (s->mail == NULL)
		return;
	if (command(s, "RCPT TO:", text(q->to), "") == SMTP_WANTS_RCPT) {
		ask_router(q, s->envelope.sender, s->asked.original, s->envelope.smtputf8);
		apply_share(q);
		smtp_server_checked(s, (enum verdict)q->said.verdict, q->said.code, q->said.reply, q->said.routes);
	}
	report_reply(&q->report, "RCPT", buf_bytes(s->out));
}

static void
by_smtp(struct question *q)
{
	struct smtp_tool_settings settings;
	struct smtp_rules rules;
	struct smtp_server s;
	struct buf out;

	hermod_fill(smtp_tool_settings, &settings);
	rules = (struct smtp_rules){ .hostname = settings.hostname, .authserv_id = settings.hostname,
	    .message_octets = settings.message_octets, .recipients = settings.recipients,
	    .line_octets = settings.line_octets, .errors = PLENTY, .junk = PLENTY };
	if (q->who == CLIENT_ACCOUNT) {
		rules.submission = true;
		rules.recipients = settings.submitted;
		rules.mechanisms[0] = "PLAIN";
	}
	buf_init(&out, LINE_OCTETS);
	smtp_server_init(&s, &rules, &out, text(q->client), "explain");
	converse(q, &s);
	smtp_server_fini(&s);
	buf_fini(&out);
	settings_free(smtp_tool_settings, &settings);
}

/* ---- by the sendmail command -------------------------------------------------------------------------------- */

/* An address without domain is one of this host's, as tools/sendmail.c has it. */
static struct bytes
complete(struct question *q, struct arena *a)
{
	struct bytes to = text(q->to);

	if (bytes_rfind(to, '@') < to.n || bytes_case_eq(to, text("postmaster")))
		return to;
	to = arena_fmt(a, "%s@%s", q->to, settings_value(hermod_settings(), "hostname"));
	if (q->steps)
		report_fmt(&q->report, "domain", "none is given: that is hostname, %.*s", BYTES_FMT(to));
	return to;
}

/* As pickup/submission.c does. */
static void
by_user(struct question *q)
{
	struct arena *a = arena_new(USER_ARENA);
	struct smtp_address to;

	if (smtp_forward_path(complete(q, a), SMTP_TAKE_UTF8, a, &to) != SMTP_ADDRESS_OK) {
		report_reply(&q->report, "reply", text("501 5.1.3 the recipient address is not user@domain"));
		arena_free(&a);
		return;
	}
	ask_router(q, text(q->from), smtp_address_text(&to, a), to.utf8);
	if (q->said.verdict != YES)
		report_reply(&q->report, "reply", arena_fmt(a, "%u %.*s", q->said.code, BYTES_FMT(q->said.reply)));
	else if (q->steps)
		report_reply(&q->report, "reply", text("250 2.1.5 recipient ok"));
	arena_free(&a);
}

/* ---- who asks --------------------------------------------------------------------------------------------------- */

static const char *
setting(const char *name)
{
	return settings_value(hermod_settings(), name);
}

/* per: what there are so many of. */
static void
tell_limit(struct question *q, const char *name, const char *per)
{
	if (strcmp(setting(name), "0") == 0)
		report_fmt(&q->report, "limit", "%s: none", name);
	else
		report_fmt(&q->report, "limit", "%s: %s%s", name, setting(name), per);
}

static void
tell_client(struct question *q)
{
	struct report *r = &q->report;

	if (q->who == CLIENT_LOCAL_USER) {
		report_fmt(r, "client", "a user of this host, by the sendmail command");
	} else if (q->who == CLIENT_ACCOUNT) {
		report_fmt(r, "client", "%s%slogged in as %s", q->client, q->client[0] ? ", " : "", q->account);
	} else {
		report_fmt(r, "client", "%s, not logged in", q->client);
		tell_limit(q, "smtpd_client_sessions", " sessions at once of one address");
		tell_limit(q, "smtpd_client_rate", " connections a minute of one address");
	}
	tell_limit(q, "message_size_limit", "");
}

/* ---- the verbs ---------------------------------------------------------------------------------------------------- */

static void
check_address(const char *what, const char *address)
{
	for (const char *c = address; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			hermod_die(EXIT_USE, "%s: an address holds no control characters", what);
}

static const char **
text_option(struct question *q, const char *name)
{
	return strcmp(name, "--client") == 0 ? &q->client : strcmp(name, "--from") == 0 ? &q->from
	    : strcmp(name, "--to") == 0 ? &q->to : strcmp(name, "--account") == 0 ? &q->account : NULL;
}

/* False: wrong use; *wrong is the word at which that shows, or NULL. */
static bool
take_options(struct question *q, int argc, char **argv, const char **wrong)
{
	bool local = false;

	for (int i = 1; i < argc; i++) {
		const char **value = text_option(q, argv[i]);

		*wrong = argv[i];
		if (strcmp(argv[i], "--local-user") == 0)
			local = true;
		else if (!value || i + 1 == argc)
			return false;
		else
			*value = argv[++i];
	}
	*wrong = NULL;
	if (!q->to || (local && (q->account || q->client)) || !(local || q->account || q->client))
		return false;
	q->who = local ? CLIENT_LOCAL_USER : q->account ? CLIENT_ACCOUNT : CLIENT_STRANGER;
	return true;
}

static void
check_options(struct question *q)
{
	struct address a;

	if (q->client && !address_parse(text(q->client), &a))
		hermod_die(EXIT_USE, "%s: not an address of a client; right would be like 192.0.2.1 or 2001:db8::1", q->client);
	if (!q->client)
		q->client = q->who == CLIENT_LOCAL_USER ? "local" : "";
	if (!q->from || strcmp(q->from, "<>") == 0)
		q->from = "";
	check_address("sender", q->from);
	check_address("recipient", q->to);
	if (q->account)
		check_address("account", q->account);
}

static int
run(struct question *q)
{
	q->router = ask_connect("explain.sock", "router");
	report_init(&q->report);
	if (q->steps)
		tell_client(q);
	if (q->who == CLIENT_LOCAL_USER)
		by_user(q);
	else if (q->who != CLIENT_ACCOUNT)
		by_smtp(q);
	else if (find_account(q)) {
		find_share(q);
		by_smtp(q);
	}
	if (q->said.verdict == YES)
		report_routes(&q->report, q->router, q->said.routes);
	report_end(&q->report);
	close(q->router);
	mem_free(q);
	return EXIT_WORKED;
}

int
hermod_explain(int argc, char **argv)
{
	struct question *q = mem_alloc(sizeof *q);
	const char *wrong = NULL;

	q->steps = true;
	if (!take_options(q, argc, argv, &wrong))
		hermod_usage("explain", wrong);
	check_options(q);
	return run(q);
}

int
hermod_route(int argc, char **argv)
{
	struct question *q = mem_alloc(sizeof *q);

	if (argc != 2)
		hermod_usage("route", argc > 2 ? argv[2] : NULL);
	q->to = argv[1];
	q->who = CLIENT_LOCAL_USER;
	check_options(q);
	return run(q);
}
