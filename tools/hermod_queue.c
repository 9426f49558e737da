/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_queue.c - hermod queue: what waits, read from the queue directory
 * itself. It holds octets that strangers sent, so root becomes the queue's user
 * before it looks. To look changes nothing.
 */
#include "tools/hermod_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tools/hermod.h"

#define NAMES_MAX (1u << 30)

/* ---- opening ------------------------------------------------------------------------------ */

/* Gives root up: what is in these files was written by others. */
static void
become_owner(const struct stat *st)
{
	if (geteuid() != 0 || st->st_uid == 0)
		return;
	if (setgroups(0, NULL) == -1 || setresgid(st->st_gid, st->st_gid, st->st_gid) == -1
	    || setresuid(st->st_uid, st->st_uid, st->st_uid) == -1)
		hermod_die(EXIT_FAILED, "cannot become the queue's user: %s", strerror(errno));
}

bool
queue_view_open(struct queue *q)
{
	const char *path = settings_value(hermod_settings(), "queue_directory");
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (dir == -1 && errno == ENOENT)
		return false;
	if (dir == -1 || fstat(dir, &st) == -1)
		hermod_die(errno == EACCES ? EXIT_DENIED : EXIT_FAILED, "%s: %s; root may look there, and the queue's user; "
		    "`mailq` shows everybody what is their own", path, strerror(errno));
	become_owner(&st);
	if (faccessat(dir, "new", R_OK, 0) == -1) {
		if (errno == ENOENT)
			return false;
		hermod_die(EXIT_DENIED, "%s: %s", path, strerror(errno));
	}
	if (!queue_open(q, dir, proc))
		hermod_die(EXIT_FAILED, "%s: cannot be opened", path);
	close(dir);
	return true;
}

/* ---- names ---------------------------------------------------------------------------------- */

struct gathering { struct buf *to; const struct queue_filter *f; enum queue_place place; size_t n; };

static bool
gather(void *arg, const char *name)
{
	struct gathering *g = arg;

	if (queue_filter_name(g->f, g->place, name) == FILTER_NO)
		return true;
	buf_u8(g->to, (uint8_t)('0' + g->place));
	buf_add(g->to, bytes_of(name, strlen(name) + 1));
	g->n++;
	return !g->to->full;
}

/* In later/ an id stands behind its bucket. */
static const char *
id_in(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name + 1;
}

static int
by_age(const void *x, const void *y)
{
	return strcmp(id_in(*(const char *const *)x), id_in(*(const char *const *)y));
}

void
queue_names_read(struct queue_names *all, struct queue *q, const struct queue_filter *f)
{
	struct gathering g = { .to = &all->text, .f = f };
	const char *at;

	*all = (struct queue_names){ 0 };
	buf_init(&all->text, NAMES_MAX);
	for (g.place = 0; g.place < QUEUE_PLACES; g.place++)
		if (!queue_walk(q, g.place, gather, &g))
			hermod_die(EXIT_FAILED, "%s/ could not be read to its end: %s", queue_place_name[g.place],
			    strerror(errno));
	all->n = g.n;
	all->name = mem_array(g.n + 1, sizeof *all->name);
	at = (const char *)all->text.p;
	for (size_t i = 0; i < g.n; i++, at += strlen(at) + 1)
		all->name[i] = at;
	if (g.n > 0)
		qsort(all->name, g.n, sizeof *all->name, by_age);
}

enum queue_place
queue_names_place(const struct queue_names *all, size_t i)
{
	return (enum queue_place)(all->name[i][0] - '0');
}

void
queue_names_free(struct queue_names *all)
{
	mem_free(all->name);
	buf_fini(&all->text);
}

/* ---- how far it is ----------------------------------------------------------------------------- */

void
queue_progress_say(struct queue_progress *p, uint64_t n)
{
	uint64_t now = clock_mono_ms();

	if (p->began_ms == 0)
		p->began_ms = now;
	if (!isatty(STDERR_FILENO) || now - p->began_ms < 1000 || now - p->said_ms < 200)
		return;
	p->said_ms = now;
	if (p->of > 0)
		fprintf(stderr, "\r%s %llu of %llu ...", p->what, (unsigned long long)n, (unsigned long long)p->of);
	else
		fprintf(stderr, "\r%s %llu ...", p->what, (unsigned long long)n);
}

void
queue_progress_end(struct queue_progress *p)
{
	if (p->said_ms > 0)
		fputs("\r\033[K", stderr);
}

/* ---- what a message is -------------------------------------------------------------------------- */

const char *const queue_rcpt_state[] = {
	[RCPT_WAITING] = "waiting", [RCPT_DELIVERED] = "delivered", [RCPT_FAILED] = "failed", [RCPT_TOLD] = "told",
	[RCPT_PASSED] = "delivered",
};

bool
queue_rcpt_open(const struct recipient *r)
{
	return r->state == RCPT_WAITING || r->state == RCPT_FAILED;
}

uint64_t
queue_octets(const struct envelope *e)
{
	uint64_t n = 0;

	for (size_t i = 0; i < e->nextents; i++)
		n += e->extents[i].octets;
	return n;
}

struct bytes
queue_reason(const struct envelope *e)
{
	struct bytes why = e->hold_reason;

	for (size_t i = 0; why.n == 0 && i < e->nrcpts; i++)
		if (queue_rcpt_open(&e->rcpts[i]))
			why = e->rcpts[i].last_reply;
	return why;
}

static size_t
count_done(const struct envelope *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->nrcpts; i++)
		n += !queue_rcpt_open(&e->rcpts[i]);
	return n;
}

static void
json_recipients(struct buf *o, const struct envelope *e)
{
	buf_text(o, ",\"recipients\":[");
	for (size_t i = 0; i < e->nrcpts; i++) {
		const struct recipient *r = &e->rcpts[i];

		buf_text(o, i == 0 ? "{" : ",{");
		json_text(o, "address", r->final);
		json_text(o, "original", r->original);
		json_text(o, "state", text(queue_rcpt_state[r->state]));
		json_text(o, "transport", r->transport);
		json_text(o, "nexthop", r->nexthop);
		json_number(o, "attempts", r->attempts);
		json_number(o, "uncertain", r->uncertain);
		json_number(o, "last", r->last_s > 0 ? (uint64_t)r->last_s : 0);
		json_text(o, "last_reply", r->last_reply);
		json_text(o, "remote", r->remote);
		json_text(o, "command", r->command);
		json_text(o, "said", r->said);
		buf_char(o, '}');
	}
	buf_char(o, ']');
}

void
queue_json(struct buf *o, const struct queue_message *m, enum queue_place place)
{
	const struct envelope *e = &m->envelope;

	buf_char(o, '{');
	json_text(o, "id", text(m->id));
	json_text(o, "place", text(queue_place_name[place]));
	json_number(o, "size", queue_octets(e));
	json_number(o, "arrival", (uint64_t)e->arrival_s);
	json_number(o, "next", (uint64_t)e->next_s);
	json_number(o, "attempts", e->attempts);
	json_text(o, "sender", e->sender);
	json_text(o, "client", e->client);
	json_text(o, "account", e->account);
	json_text(o, "reason", queue_reason(e));
	json_recipients(o, e);
}

/* ---- list ---------------------------------------------------------------------------------------- */

struct listing {
	struct queue	*q;
	struct queue_filter filter;
	struct queue_counts *counts;	/* owned; NULL: each message is shown */
	struct rows	 rows;
	uint64_t	 n, octets;
	int64_t		 now_s;
};

static void
print_line(struct buf *o)
{
	printf("%.*s\n", BYTES_FMT(buf_bytes(o)));
	buf_fini(o);
}

static void
add_next(struct rows *r, int64_t next_s, int64_t now_s)
{
	char cell[32] = "-";

	if (next_s > now_s)
		snprintf(cell, sizeof cell, "in %llds", (long long)(next_s - now_s));
	rows_text(r, cell);
}

static void
add_recipients(struct rows *r, const struct envelope *e)
{
	size_t done = count_done(e);
	struct buf cell;

	buf_init(&cell, 2048);
	if (e->nrcpts > 0)
		buf_add(&cell, bytes_head(e->rcpts[0].final, 300));
	if (e->nrcpts > 1)
		buf_fmt(&cell, " and %zu more", e->nrcpts - 1);
	if (done > 0)
		buf_fmt(&cell, " (%zu done)", done);
	rows_add(r, buf_bytes(&cell));
	buf_fini(&cell);
}

static void
add_row(struct listing *l, const struct queue_message *m)
{
	const struct envelope *e = &m->envelope;

	rows_text(&l->rows, m->id);
	rows_text(&l->rows, queue_place_name[m->place]);
	rows_time(&l->rows, l->now_s > e->arrival_s ? (uint64_t)(l->now_s - e->arrival_s) * 1000 : 0);
	rows_size(&l->rows, queue_octets(e));
	add_next(&l->rows, m->place == QUEUE_HOLD ? 0 : e->next_s, l->now_s);
	rows_add(&l->rows, e->sender.n > 0 ? e->sender : text("<>"));
	add_recipients(&l->rows, e);
	rows_add(&l->rows, bytes_head(queue_reason(e), 500));
}

static void
show_message(struct listing *l, const struct queue_message *m)
{
	struct buf o;

	l->n++;
	l->octets += queue_octets(&m->envelope);
	if (l->counts) {
		queue_counts_add(l->counts, &m->envelope);
	} else if (hermod_options.json) {
		buf_init(&o, 1 << 28);
		queue_json(&o, m, m->place);
		buf_char(&o, '}');
		print_line(&o);
	} else {
		add_row(l, m);
	}
}

/* A filter that asks for more than the place does not fit what cannot be read. */
static void
show_damaged(struct listing *l, enum queue_place place, const char *name, const char *why)
{
	struct buf o;

	if (l->counts || queue_filter_name(&l->filter, place, name) != FILTER_YES)
		return;
	l->n++;
	if (!hermod_options.json) {
		rows_text(&l->rows, name);
		rows_text(&l->rows, queue_place_name[place]);
		for (int i = 0; i < 5; i++)
			rows_text(&l->rows, i == 1 ? "?" : "");
		rows_text(&l->rows, why);
		return;
	}
	buf_init(&o, 4096);
	buf_char(&o, '{');
	json_text(&o, "id", text(name));
	json_text(&o, "place", text(queue_place_name[place]));
	json_text(&o, "reason", text(why));
	buf_char(&o, '}');
	print_line(&o);
}

static void
list_one(struct listing *l, enum queue_place place, const char *name)
{
	struct queue_message *m = NULL;

	switch (queue_message_open(l->q, place, name, &m)) {
	case QUEUE_READ:
		if (queue_filter_envelope(&l->filter, &m->envelope, l->now_s))
			show_message(l, m);
		break;
	case QUEUE_GONE:	break;		/* delivered meanwhile, or moved */
	case QUEUE_DAMAGED:	show_damaged(l, place, name, "damaged: its checksums do not fit"); break;
	case QUEUE_FOREIGN:	show_damaged(l, place, name, "written by a later version"); break;
	case QUEUE_TROUBLE:	show_damaged(l, place, name, strerror(errno)); break;
	}
	queue_message_free(&m);
}

static void
list_all(struct listing *l)
{
	struct queue_progress p = { .what = "messages read:" };
	struct queue_names names;

	queue_names_read(&names, l->q, &l->filter);
	p.of = names.n;
	for (size_t i = 0; i < names.n; i++) {
		queue_progress_say(&p, i);
		list_one(l, queue_names_place(&names, i), names.name[i] + 1);
	}
	queue_progress_end(&p);
	queue_names_free(&names);
}

static void
print_list(struct listing *l)
{
	if (l->counts) {
		queue_counts_print(&l->counts);
		return;
	}
	if (hermod_options.json)
		return;
	if (l->n > 0)
		rows_print(&l->rows);
	printf("%llu %s\n", (unsigned long long)l->n, l->n == 1 ? "message" : "messages");
}

static void
take_count_by(struct listing *l, const char *word)
{
	for (unsigned by = 0; by < COUNT_BYS; by++)
		if (strcmp(word, queue_count_word[by]) == 0 && !l->counts)
			l->counts = queue_counts_new(by, l->now_s);
	if (!l->counts)
		hermod_die(EXIT_USE, "--count-by %s: right would be one of: destination, reason, sender, age", word);
}

static int
do_list(int argc, char **argv)
{
	static const char *const titles[] = { "ID", "PLACE", "<AGE", "<SIZE", "<NEXT", "SENDER", "RECIPIENT", "REASON", NULL };
	struct queue q;
	struct listing l = { .q = &q, .now_s = clock_wall_s() };
	const char *word;

	rows_init(&l.rows, titles);
	for (int i = 2; i < argc; i++) {
		if ((word = queue_take_option(argc, argv, &i, "--count-by")))
			take_count_by(&l, word);
		else if (!queue_take_filter(argc, argv, &i, &l.filter))
			hermod_usage("queue", argv[i]);
	}
	if (queue_view_open(&q)) {
		list_all(&l);
		queue_close(&q);
	}
	print_list(&l);
	return EXIT_WORKED;
}

/* ---- options ----------------------------------------------------------------------------------------- */

const char *
queue_take_option(int argc, char **argv, int *i, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(argv[*i], name, n) != 0)
		return NULL;
	if (argv[*i][n] == '=')
		return argv[*i] + n + 1;
	if (argv[*i][n] != '\0')
		return NULL;
	if (*i + 1 >= argc)
		hermod_die(EXIT_USE, "%s: what follows it is missing", name);
	return argv[++*i];
}

static uint64_t
seconds(const char *name, const char *given)
{
	struct span { uint64_t ms; } span;
	static const struct setting table[] = { SET_TIME("time", struct span, ms, "0", 0, 0), SET_END };
	char why[256];

	settings_standard(table, &span);
	if (!settings_set(table, "time", given, &span, why, sizeof why) || span.ms < 1000)
		hermod_die(EXIT_USE, "%s %s: no time; right would be like 30m, 2h, 3d", name, given);
	return span.ms / 1000;
}

bool
queue_take_filter(int argc, char **argv, int *i, struct queue_filter *f)
{
	struct { const char *name; struct bytes *to; } patterns[] = {
		{ "--sender", &f->sender }, { "--recipient", &f->recipient }, { "--domain", &f->domain },
		{ "--nexthop", &f->nexthop }, { "--reason", &f->reason },
	};
	const char *word;

	for (size_t k = 0; k < LEN(patterns); k++)
		if ((word = queue_take_option(argc, argv, i, patterns[k].name))) {
			*patterns[k].to = text(word);
			if (word[0] == '\0' || strlen(word) > QUEUE_PATTERN_MAX)
				hermod_die(EXIT_USE, "%s: no pattern; the null sender is written <>", patterns[k].name);
			return true;
		}
	if ((word = queue_take_option(argc, argv, i, "--older")))
		f->older_s = seconds("--older", word);
	else if ((word = queue_take_option(argc, argv, i, "--younger")))
		f->younger_s = seconds("--younger", word);
	else if ((word = queue_take_option(argc, argv, i, "--place")) || (word = queue_take_option(argc, argv, i, "--status"))) {
		if (!queue_filter_places(text(word), &f->places))
			hermod_die(EXIT_USE, "--place %s: right would be some of: new, active, later, down, hold, corrupt, "
			    "with commas between", word);
	} else
		return false;
	return true;
}

int
hermod_queue(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "list") == 0)
		return do_list(argc, argv);
	if (argc >= 2 && strcmp(argv[1], "show") == 0)
		return queue_show(argc, argv);
	for (unsigned verb = 0; argc >= 2 && verb < ORDER_VERBS; verb++)
		if (strcmp(argv[1], queue_verb_name[verb]) == 0)
			return queue_order(argc, argv, verb);
	hermod_usage("queue", argc > 1 ? argv[1] : NULL);
}
