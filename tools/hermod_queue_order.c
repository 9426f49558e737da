/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_queue_order.c - orders about what waits: given to qmgr, who has some of it in memory; carried out here,
 * as the queue's user and under the queue's lock, while qmgr does not run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/ipc.h"
#include "mail/take.h"
#include "proto/smtp_address.h"
#include "tools/hermod.h"
#include "tools/hermod_queue.h"

#define GREETING_MS	5000
#define ANSWER_MS	120000	/* qmgr says at least twice a second how far it is */
#define COMING_MS	10000	/* a qmgr that is being started anew */
#define IDS_OCTETS	24576	/* of one order: messages.def */

struct order {
	struct queue_ask *ask;
	struct queue_told told;
	struct queue_progress progress;
	struct queue_journal journal;
	char		 fault[1025];
};

/* ---- what became of each ------------------------------------------------------------------------------ */

static void
tell_json(const char *id, enum queue_obeyed result, const char *why)
{
	static const char *const words[] = { [OBEYED] = "done", [OBEYED_BUSY] = "busy", [OBEYED_NEEDLESS] = "needless",
	    [OBEYED_FAILED] = "failed" };
	struct buf o;

	buf_init(&o, 1 << 16);
	buf_char(&o, '{');
	json_text(&o, "id", text(id));
	json_text(&o, "result", text(words[result]));
	json_text(&o, "words", text(why));
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

static void
tell(const struct queue_ask *a, const char *id, enum queue_obeyed result, const char *why)
{
	const char *done = queue_verb_done[a->order.verb];

	if (a->tell)
		a->tell(id, result, why);
	else if (hermod_options.json)
		tell_json(id, result, why);
	else if (result == OBEYED && (a->verbose || a->named || a->dry))
		printf("%s: %s%s\n", id, a->dry ? "would be " : "", done);
	else if (result != OBEYED)
		printf("%s: not %s%s: %s\n", id, done, result == OBEYED_BUSY ? " yet" : "", why);
}

/* ---- by qmgr --------------------------------------------------------------------------------------------- */

static int
connect_once(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd == -1)
		hermod_die(EXIT_FAILED, "cannot make a socket: %s", strerror(errno));
	if (!bytes_to_text(text(path), sa.sun_path, sizeof sa.sun_path))
		hermod_die(EXIT_SETTINGS, "run_directory is too long for a socket: %s", path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == -1)
		fd_close(&fd);
	return fd;
}

/* False: it hung up. */
static bool
greet(int fd)
{
	static unsigned char frame[IPC_FRAME_MAX];
	struct ipc_hello theirs;
	struct ipc_out out;
	struct ipc_in in;
	bool good;

	ipc_out_init(&out);
	ipc_put_hello(&out, 0, &(struct ipc_hello){ .hash = ipc_hash() });
	good = ipc_send_wait(fd, &out, GREETING_MS) == IPC_DONE && ipc_recv_wait(fd, frame, &in, GREETING_MS) == IPC_DONE;
	ipc_out_fini(&out);
	if (good && (in.type != IPC_hello || !ipc_get_hello(&in, &theirs) || theirs.hash != ipc_hash()))
		hermod_die(EXIT_FAILED, "the qmgr that runs is of another version; `hermod stop`, then `hermod start`");
	return good;
}

/* -1: nothing runs. Who may not ask is hung up on without a word. */
static int
connect_qmgr(void)
{
	uint64_t until = clock_mono_ms() + COMING_MS;
	struct timespec pause = { .tv_nsec = 50000000 };
	char path[1024];
	int fd;

	snprintf(path, sizeof path, "%s/queue.sock", settings_value(hermod_settings(), "run_directory"));
	for (;;) {
		fd = connect_once(path);
		if (fd != -1 && greet(fd))
			return fd;
		fd_close(&fd);
		if (!master_runs())
			return -1;
		if (clock_mono_ms() >= until)
			hermod_die(EXIT_UNREACHED, "qmgr does not answer at %s", path);
		nanosleep(&pause, NULL);
	}
}

static void
put_order(const struct queue_ask *a, struct bytes ids, struct ipc_out *out)
{
	const struct queue_filter *f = &a->filter;

	ipc_put_queue_order(out, 1, &(struct ipc_queue_order){ .verb = a->order.verb, .dry = a->dry,
	    .reason = a->order.reason, .places = f->places, .older = f->older_s, .younger = f->younger_s,
	    .sender = f->sender, .recipient = f->recipient, .domain = f->domain, .nexthop = f->nexthop,
	    .cause = f->reason, .named = a->named, .queue_ids = ids, .changes = buf_bytes(&a->changes) });
}

static void
take_results(struct order *o, struct bytes run)
{
	bool bad = false;

	while (run.n > 0 && !bad) {
		struct bytes body = ipc_cut_text(&run, &bad);
		struct ipc_queue_result m;
		struct ipc_in in;
		char id[QUEUE_ID_MAX + 1], words[257];

		ipc_in_bytes(&in, body);
		if (bad || !ipc_get_queue_result(&in, &m) || m.result > OBEYED_FAILED
		    || !bytes_to_text(m.queue_id, id, sizeof id) || !bytes_to_text(m.words, words, sizeof words))
			hermod_die(EXIT_FAILED, "qmgr's answer cannot be understood");
		tell(o->ask, id, m.result, words);
	}
}

/* One order of at most IDS_OCTETS; earlier ones have counted what is in `before`. */
static void
ask_once(struct order *o, int fd, struct bytes ids)
{
	static unsigned char frame[IPC_FRAME_MAX];
	struct queue_told before = o->told;
	struct ipc_queue_obeyed m = { .more = 1 };
	struct ipc_out out;
	struct ipc_in in;

	ipc_out_init(&out);
	put_order(o->ask, ids, &out);
	while (m.more && ipc_send_wait(fd, &out, GREETING_MS) == IPC_DONE) {
		if (ipc_recv_wait(fd, frame, &in, ANSWER_MS) != IPC_DONE || in.type != IPC_queue_obeyed
		    || !ipc_get_queue_obeyed(&in, &m))
			break;
		o->told = (struct queue_told){ before.looked + m.looked, before.done + m.done, before.busy + m.busy,
		    before.failed + m.failed };
		take_results(o, m.results);
		queue_progress_say(&o->progress, o->told.looked);
		(void)bytes_to_text(m.fault, o->fault, sizeof o->fault);
		ipc_put_queue_go_on(&out, 0, &(struct ipc_queue_go_on){ 0 });
	}
	ipc_out_fini(&out);
	if (m.more)
		snprintf(o->fault, sizeof o->fault, "qmgr went away before it was done; what was done by then is done");
}

/* The first texts of a run that are not longer than one order may have. */
static struct bytes
cut_ids(struct bytes *run)
{
	struct bytes whole = *run, rest = *run;
	bool bad = false;

	while (rest.n > 0 && !bad) {
		(void)ipc_cut_text(&rest, &bad);
		if (whole.n - rest.n > IDS_OCTETS)
			break;
		*run = rest;
	}
	return bytes_head(whole, whole.n - run->n);
}

static void
by_qmgr(struct order *o, int fd)
{
	struct bytes ids = buf_bytes(&o->ask->ids);

	do
		ask_once(o, fd, cut_ids(&ids));
	while (ids.n > 0 && o->fault[0] == '\0');
}

/* ---- by ourselves -------------------------------------------------------------------------------------------- */

static void
on_met(void *arg, const char *id, const struct envelope *e, enum queue_obeyed result, const char *why)
{
	struct order *o = arg;
	char line[LOG_RECORD_MAX + 1];

	if (!o->ask->dry && queue_order_line(&o->ask->order, id, e, result, why, o->journal.uid, line, sizeof line))
		queue_journal_say(&o->journal, result == OBEYED_FAILED ? LOG_WARN_ : LOG_INFO_, line);
	if (result == OBEYED)
		o->told.done++;
	else
		o->told.failed++;
	tell(o->ask, id, result, why);
}

/* A recipient that is added has to be routed. */
static void
check_routeless(const struct queue_ask *a)
{
	struct bytes run = buf_bytes(&a->changes);
	bool bad = false;

	while (run.n > 0) {
		struct bytes body = ipc_cut_text(&run, &bad);

		if (!bad && take_u32(&body, &bad) != CHANGE_SENDER)
			hermod_die(EXIT_STOPPED, "Hermod does not run; recipients can be changed while it does: `hermod start`");
	}
}

static struct queue_change *
read_changes(const struct queue_ask *a, size_t *n)
{
	struct queue_change *all = mem_array(QUEUE_CHANGES_MAX, sizeof *all);
	struct bytes run = buf_bytes(&a->changes);
	struct ipc_queue_change m;
	struct ipc_in in;
	bool bad = false;

	for (*n = 0; run.n > 0; (*n)++) {
		ipc_in_bytes(&in, ipc_cut_text(&run, &bad));
		must(!bad && ipc_get_queue_change(&in, &m));
		all[*n] = (struct queue_change){ .kind = m.kind, .what = m.what, .to = m.to };
	}
	return all;
}

static void
lock(struct queue *q)
{
	int fd = openat(q->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1)
		hermod_die(EXIT_FAILED, "the queue's lock file cannot be opened: %s", strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)		/* kept until we end */
		hermod_die(EXIT_UNREACHED, "somebody else has the queue: another `hermod queue`, or a qmgr that starts or "
		    "ends; try again");
}

static void
note_flushed(struct order *o)
{
	char line[LOG_RECORD_MAX + 1];

	if (o->ask->order.verb != ORDER_FLUSH || o->ask->dry || o->told.looked == 0)
		return;
	queue_order_line_flushed(o->told.done, o->ask->filter.nexthop, o->journal.uid, line, sizeof line);
	queue_journal_say(&o->journal, LOG_INFO_, line);
}

static void
by_ourselves(struct order *o)
{
	struct queue_ask *a = o->ask;
	struct queue q;
	struct queue_task t = { .queue = &q, .order = &a->order, .filter = &a->filter, .dry = a->dry, .named = a->named,
	    .now_s = clock_wall_s(), .tell = on_met, .arg = o };

	check_routeless(a);
	if (!a->dry)
		queue_journal_open(&o->journal);
	if (!queue_view_open(&q)) {
		snprintf(o->fault, sizeof o->fault, "there is no queue yet");
		return;
	}
	lock(&q);
	a->order.changes = read_changes(a, &a->order.nchanges);
	must(queue_task_begin(&t, buf_bytes(&a->ids)));
	while (queue_task_step(&t))
		queue_progress_say(&o->progress, t.looked);
	o->told.looked = t.looked;
	snprintf(o->fault, sizeof o->fault, "%s", t.fault);
	queue_task_end(&t);
	note_flushed(o);
	queue_journal_close(&o->journal);
	queue_close(&q);
	mem_free(a->order.changes);
	a->order.changes = NULL;
}

/* qmgr hangs up on all others without a word, and on disk they may do nothing either. */
static void
check_who_asks(void)
{
	const char *path = settings_value(hermod_settings(), "queue_directory");
	struct stat st;
	bool there = stat(path, &st) == 0;

	if (geteuid() == 0 || (there ? geteuid() == st.st_uid : errno != EACCES))
		return;
	hermod_die(EXIT_DENIED, "%s: only root and the queue's user may give orders about it; `mailq` shows everybody what is "
	    "their own", path);
}

struct queue_told
queue_ask(struct queue_ask *a)
{
	struct order o = { .ask = a, .progress = { .what = "messages looked at:" } };
	int fd;

	check_who_asks();
	fd = connect_qmgr();
	if (fd != -1)
		by_qmgr(&o, fd);
	else
		by_ourselves(&o);
	fd_close(&fd);
	queue_progress_end(&o.progress);
	if (o.fault[0] != '\0')
		hermod_die(EXIT_FAILED, "%s", o.fault);
	return o.told;
}

/* ---- what is asked ------------------------------------------------------------------------------------------- */

void
queue_ask_init(struct queue_ask *a, enum queue_verb verb)
{
	*a = (struct queue_ask){ .order = { .verb = verb } };
	buf_init(&a->ids, 1u << 30);
	buf_init(&a->changes, 24576);		/* as one order holds */
}

void
queue_ask_fini(struct queue_ask *a)
{
	buf_fini(&a->ids);
	buf_fini(&a->changes);
}

static void
add_id(struct queue_ask *a, struct bytes id)
{
	if (id.n == 0 || id.n > QUEUE_ID_MAX)
		hermod_die(EXIT_USE, "%.*s: no queue id", BYTES_FMT(bytes_head(id, 100)));
	ipc_add_text(&a->ids, id);
}

void
queue_ask_id(struct queue_ask *a, struct bytes id)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	a->named = true;
	if (!bytes_eq(id, text("-"))) {
		add_id(a, id);
		return;
	}
	while ((n = getline(&line, &cap, stdin)) > 0) {
		struct bytes one = bytes_trim(bytes_of(line, (size_t)n));

		if (one.n > 0)
			add_id(a, one);
	}
	free(line);
}

void
queue_ask_change(struct queue_ask *a, enum queue_change_kind kind, const char *what, const char *to)
{
	struct ipc_out out;

	ipc_out_init(&out);
	ipc_put_queue_change(&out, 0, &(struct ipc_queue_change){ .kind = kind, .what = text(what), .to = text(to) });
	ipc_add_text(&a->changes, ipc_out_body(&out));
	ipc_out_fini(&out);
	if (a->changes.full || (what && strlen(what) > 1024) || (to && strlen(to) > 1024))
		hermod_die(EXIT_USE, "these are more changes than one order may have");
}

static const char *
address(const char *option, const char *given)
{
	struct arena *a = arena_new(1 << 20);
	struct smtp_address parsed;

	if (strcmp(given, "<>") == 0 && strcmp(option, "--set-sender") == 0)
		given = "";
	else if (smtp_mailbox_parse(text(given), SMTP_TAKE_UTF8 | SMTP_TAKE_LONG_LOCAL
	    | (strcmp(option, "--set-sender") == 0 ? 0 : SMTP_TAKE_NO_DOMAIN), a, &parsed) != SMTP_ADDRESS_OK)
		hermod_die(EXIT_USE, "%s %s: no address; right would be like anna@example.org", option, given);
	arena_free(&a);
	return given;
}

static bool
take_change(int argc, char **argv, int *i, struct queue_ask *a)
{
	const char *word;

	if (a->order.verb != ORDER_EDIT)
		return false;
	if ((word = queue_take_option(argc, argv, i, "--set-sender")))
		queue_ask_change(a, CHANGE_SENDER, NULL, address("--set-sender", word));
	else if ((word = queue_take_option(argc, argv, i, "--add")))
		queue_ask_change(a, CHANGE_ADD, NULL, address("--add", word));
	else if ((word = queue_take_option(argc, argv, i, "--remove")))
		queue_ask_change(a, CHANGE_REMOVE, word, NULL);
	else if ((word = queue_take_option(argc, argv, i, "--replace"))) {
		if (*i + 1 >= argc)
			hermod_die(EXIT_USE, "--replace OLD NEW: the new address is missing");
		queue_ask_change(a, CHANGE_REPLACE, word, address("--replace", argv[++*i]));
	} else
		return false;
	return true;
}

/* True: *all, when it is about everything. */
static void
take_words(int argc, char **argv, struct queue_ask *a, bool *all, bool *filtered)
{
	const char *word;

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--dry-run") == 0)
			a->dry = true;
		else if (strcmp(argv[i], "--all") == 0)
			*all = true;
		else if (strcmp(argv[i], "--verbose") == 0)
			a->verbose = true;
		else if (a->order.verb == ORDER_HOLD && (word = queue_take_option(argc, argv, &i, "--note")))
			a->order.reason = bytes_head(text(word), QUEUE_REASON_MAX);
		else if (take_change(argc, argv, &i, a))
			;
		else if (queue_take_filter(argc, argv, &i, &a->filter))
			*filtered = true;
		else if (argv[i][0] != '-' || argv[i][1] == '\0')
			queue_ask_id(a, text(argv[i]));
		else
			hermod_usage("queue", argv[i]);
	}
}

static int
print_told(const struct queue_ask *a, const struct queue_told *n)
{
	const char *verb = queue_verb_name[a->order.verb];

	if (hermod_options.json) {
		printf("{\"verb\":\"%s\",\"dry_run\":%s,\"looked\":%llu,\"done\":%llu,\"busy\":%llu,\"failed\":%llu}\n", verb,
		    a->dry ? "true" : "false", (unsigned long long)n->looked, (unsigned long long)n->done,
		    (unsigned long long)n->busy, (unsigned long long)n->failed);
	} else {
		printf("%llu %s %s%s", (unsigned long long)n->done, n->done == 1 ? "message" : "messages",
		    a->dry ? "would be " : "", queue_verb_done[a->order.verb]);
		if (n->busy > 0)
			printf(", %llu once what is being delivered is over", (unsigned long long)n->busy);
		if (n->failed > 0)
			printf(", %llu not", (unsigned long long)n->failed);
		putchar('\n');
	}
	return n->failed > 0 ? EXIT_FAILED : EXIT_WORKED;
}

int
queue_order(int argc, char **argv, enum queue_verb verb)
{
	struct queue_told told;
	bool all = false, filtered = false;
	struct queue_ask a;
	int status;

	queue_ask_init(&a, verb);
	take_words(argc, argv, &a, &all, &filtered);
	if (a.named && (all || filtered))
		hermod_die(EXIT_USE, "queue %s: queue ids, or options that choose, or --all: not both", queue_verb_name[verb]);
	if (!a.named && !all && !filtered && verb != ORDER_FLUSH)
		hermod_die(EXIT_USE, "queue %s: which messages? Queue ids (- reads them from standard input), or options like "
		    "--sender, or --all", queue_verb_name[verb]);
	if ((verb == ORDER_EDIT) != (a.changes.n > 0))
		hermod_die(EXIT_USE, "queue edit: what is to be changed? --set-sender, --add, --remove, --replace");
	told = queue_ask(&a);
	status = print_told(&a, &told);
	queue_ask_fini(&a);
	return status;
}
