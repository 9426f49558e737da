/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_queue.c - hermod queue: what waits, read from the queue directory
 * itself. It holds octets that strangers sent, so root becomes the queue's user
 * before it looks, and nothing is changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/queue.h"
#include "tools/hermod.h"

struct listing {
	struct queue	*q;
	enum queue_place place;
	struct rows	 rows;
	uint64_t	 n, said_ms, began_ms;
	uint64_t	 octets;
};

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

/* False: there is no queue yet. */
static bool
open_queue(struct queue *q)
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
	if (faccessat(dir, "new", R_OK, 0) == -1)
		return errno == ENOENT ? false : (hermod_die(EXIT_DENIED, "%s: %s", path, strerror(errno)), false);
	if (!queue_open(q, dir, proc))
		hermod_die(EXIT_FAILED, "%s: cannot be opened", path);
	return true;
}

/* ---- one message ---------------------------------------------------------------------------- */

static uint64_t
content_octets(const struct envelope *e)
{
	uint64_t n = 0;

	for (size_t i = 0; i < e->nextents; i++)
		n += e->extents[i].octets;
	return n;
}

static const char *
reason_of(const struct envelope *e, char *dst, size_t cap)
{
	struct bytes why = e->hold_reason;

	for (size_t i = 0; why.n == 0 && i < e->nrcpts; i++)
		if (e->rcpts[i].state == RCPT_WAITING || e->rcpts[i].state == RCPT_FAILED)
			why = e->rcpts[i].last_reply;
	if (!bytes_to_text(bytes_head(why, cap - 1), dst, cap))
		snprintf(dst, cap, "?");
	return dst;
}

static const char *const states[] = {
	[RCPT_WAITING] = "waiting", [RCPT_DELIVERED] = "delivered", [RCPT_FAILED] = "failed", [RCPT_TOLD] = "told",
};

static size_t
count_waiting(const struct envelope *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->nrcpts; i++)
		n += e->rcpts[i].state == RCPT_WAITING;
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
		json_text(o, "state", text(states[r->state]));
		json_number(o, "attempts", r->attempts);
		json_number(o, "uncertain", r->uncertain);
		json_text(o, "last_reply", r->last_reply);
		buf_char(o, '}');
	}
	buf_char(o, ']');
}

static void
print_json(const struct queue_message *m, const char *place)
{
	const struct envelope *e = &m->envelope;
	char why[512];
	struct buf o;

	buf_init(&o, 1 << 28);
	buf_char(&o, '{');
	json_text(&o, "id", text(m->id));
	json_text(&o, "place", text(place));
	json_number(&o, "size", content_octets(e));
	json_number(&o, "arrival", (uint64_t)e->arrival_s);
	json_number(&o, "next", (uint64_t)e->next_s);
	json_number(&o, "attempts", e->attempts);
	json_text(&o, "sender", e->sender);
	json_text(&o, "client", e->client);
	json_text(&o, "account", e->account);
	json_text(&o, "reason", text(reason_of(e, why, sizeof why)));
	json_recipients(&o, e);
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

static void
add_row(struct listing *l, const struct queue_message *m)
{
	const struct envelope *e = &m->envelope;
	char why[512], to[400];
	int64_t now = clock_wall_s();
	size_t waiting = count_waiting(e);

	rows_text(&l->rows, m->id);
	rows_text(&l->rows, queue_place_name[l->place]);
	rows_time(&l->rows, now > e->arrival_s ? (uint64_t)(now - e->arrival_s) * 1000 : 0);
	rows_size(&l->rows, content_octets(e));
	rows_text(&l->rows, "");
	l->rows.cells.n--;		/* its NUL: the cell is written here */
	if (e->next_s > now)
		buf_fmt(&l->rows.cells, "in %llds", (long long)(e->next_s - now));
	else
		buf_char(&l->rows.cells, '-');
	buf_char(&l->rows.cells, '\0');
	rows_add(&l->rows, e->sender.n > 0 ? e->sender : text("<>"));
	if (e->nrcpts == 0 || !bytes_to_text(bytes_head(e->rcpts[0].final, 300), to, sizeof to - 40))
		to[0] = '\0';
	if (e->nrcpts > 1)
		snprintf(to + strlen(to), sizeof to - strlen(to), " and %zu more", e->nrcpts - 1);
	if (waiting < e->nrcpts)
		snprintf(to + strlen(to), sizeof to - strlen(to), " (%zu done)", e->nrcpts - waiting);
	rows_text(&l->rows, to);
	rows_text(&l->rows, reason_of(e, why, sizeof why));
}

static void
add_damaged(struct listing *l, const char *name, const char *why)
{
	struct buf o;

	if (!hermod_options.json) {
		rows_text(&l->rows, name);
		rows_text(&l->rows, queue_place_name[l->place]);
		for (int i = 0; i < 5; i++)
			rows_text(&l->rows, i == 1 ? "?" : "");
		rows_text(&l->rows, why);
		return;
	}
	buf_init(&o, 4096);
	buf_char(&o, '{');
	json_text(&o, "id", text(name));
	json_text(&o, "place", text(queue_place_name[l->place]));
	json_text(&o, "reason", text(why));
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

/* ---- list ---------------------------------------------------------------------------------------- */

/* A long look says how far it is, on a terminal. */
static void
progress(struct listing *l)
{
	uint64_t now = clock_mono_ms();

	if (!isatty(STDERR_FILENO) || now - l->began_ms < 1000 || now - l->said_ms < 200)
		return;
	l->said_ms = now;
	fprintf(stderr, "\r%llu messages ...", (unsigned long long)l->n);
}

static bool
list_one(void *arg, const char *name)
{
	struct listing *l = arg;
	struct queue_message *m = NULL;

	l->n++;
	progress(l);
	switch (queue_message_open(l->q, l->place, name, &m)) {
	case QUEUE_READ:
		l->octets += content_octets(&m->envelope);
		if (hermod_options.json)
			print_json(m, queue_place_name[l->place]);
		else
			add_row(l, m);
		break;
	case QUEUE_GONE:	l->n--; break;		/* delivered meanwhile */
	case QUEUE_DAMAGED:	add_damaged(l, name, "damaged: its checksums do not fit"); break;
	case QUEUE_FOREIGN:	add_damaged(l, name, "written by a later version"); break;
	case QUEUE_TROUBLE:	add_damaged(l, name, strerror(errno)); break;
	}
	queue_message_free(&m);
	return true;
}

static int
do_list(void)
{
	static const char *const titles[] = { "ID", "PLACE", "<AGE", "<SIZE", "<NEXT", "SENDER", "RECIPIENT", "REASON", NULL };
	struct queue q;
	struct listing l = { .q = &q, .began_ms = clock_mono_ms() };
	bool there = open_queue(&q), whole = true;

	rows_init(&l.rows, titles);
	for (l.place = 0; there && l.place < QUEUE_PLACES; l.place++)
		whole = queue_walk(&q, l.place, list_one, &l) && whole;
	if (l.said_ms > 0)
		fputs("\r                              \r", stderr);
	if (!hermod_options.json) {
		if (l.n > 0)
			rows_print(&l.rows);
		printf("%llu %s\n", (unsigned long long)l.n, l.n == 1 ? "message" : "messages");
	}
	if (there)
		queue_close(&q);
	if (!whole)
		hermod_die(EXIT_FAILED, "a part of the queue could not be read");
	return EXIT_WORKED;
}

/* ---- show ------------------------------------------------------------------------------------------ */

struct search { const char *id; struct queue *q; enum queue_place place; struct queue_message *found; enum queue_read how; };

/* In later/ the name is bucket/ID-HASH. */
static bool
search_one(void *arg, const char *name)
{
	struct search *s = arg;
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	size_t n = strlen(s->id);

	if (strncmp(base, s->id, n) != 0 || (base[n] != '\0' && base[n] != '-'))
		return true;
	s->how = queue_message_open(s->q, s->place, name, &s->found);
	return s->how == QUEUE_GONE;
}

static void
print_line(const char *name, struct bytes value)
{
	struct buf b;

	if (value.n == 0)
		return;
	buf_init(&b, 1 << 20);
	json_string(&b, value);			/* nothing in it that a terminal would obey */
	printf("%-12s %.*s\n", name, (int)b.n - 2, (const char *)b.p + 1);
	buf_fini(&b);
}

static void
print_time(const char *name, int64_t s)
{
	char date[CLOCK_DATE_MAX];

	if (s > 0)
		printf("%-12s %s\n", name, clock_date(s, date));
}

static void
print_message(const struct search *s)
{
	const struct envelope *e = &s->found->envelope;

	printf("%-12s %s\n%-12s %s\n", "id", s->found->id, "place", queue_place_name[s->place]);
	print_time("arrival", e->arrival_s);
	print_time("next", e->next_s);
	printf("%-12s %u\n%-12s %llu octets\n", "attempts", e->attempts, "content", (unsigned long long)content_octets(e));
	print_line("sender", e->sender.n > 0 ? e->sender : text("<>"));
	print_line("client", e->client);
	print_line("name", e->client_name);
	print_line("helo", e->helo);
	print_line("protocol", e->protocol);
	print_line("account", e->account);
	print_line("envid", e->envid);
	print_line("session", e->session);
	print_line("held", e->hold_reason);
	for (size_t i = 0; i < e->nrcpts; i++) {
		print_line("recipient", e->rcpts[i].final);
		print_line("  original", e->rcpts[i].original);
		print_line("  state", text(states[e->rcpts[i].state]));
		print_line("  reply", e->rcpts[i].last_reply);
	}
}

static int
print_content(const struct search *s)
{
	const struct envelope *e = &s->found->envelope;
	static unsigned char piece[65536];

	for (size_t i = 0; i < e->nextents; i++) {
		uint64_t at = e->extents[i].offset, left = e->extents[i].octets;

		while (left > 0) {
			size_t n = left < sizeof piece ? (size_t)left : sizeof piece;

			if (!file_pread(s->found->fd, piece, n, (off_t)at))
				hermod_die(EXIT_FAILED, "%s: cannot be read: %s", s->id, strerror(errno));
			if (fwrite(piece, 1, n, stdout) != n)
				return EXIT_FAILED;
			at += n;
			left -= n;
		}
	}
	return EXIT_WORKED;
}

static int
do_show(const char *id, bool content)
{
	struct queue q;
	struct search s = { .id = id, .q = &q, .how = QUEUE_GONE };
	enum queue_place place = 0;
	int status = EXIT_WORKED;

	if (!open_queue(&q))
		hermod_die(EXIT_FAILED, "%s: no such message: the queue is empty", id);
	for (; place < QUEUE_PLACES && s.how == QUEUE_GONE; place++) {
		s.place = place;
		queue_walk(&q, place, search_one, &s);
	}
	if (s.how == QUEUE_GONE)
		hermod_die(EXIT_FAILED, "%s: no such message in the queue; `hermod queue list` shows all", id);
	if (s.how != QUEUE_READ)
		hermod_die(EXIT_FAILED, "%s: is in %s/ and cannot be read as a message", id, queue_place_name[s.place]);
	if (content)
		status = print_content(&s);
	else if (hermod_options.json)
		print_json(s.found, queue_place_name[s.place]);
	else
		print_message(&s);
	queue_message_free(&s.found);
	queue_close(&q);
	return status;
}

int
hermod_queue(int argc, char **argv)
{
	bool content = argc == 4 && strcmp(argv[3], "--content") == 0;

	if (argc == 2 && strcmp(argv[1], "list") == 0)
		return do_list();
	if ((argc == 3 || content) && strcmp(argv[1], "show") == 0)
		return do_show(argv[2], content);
	hermod_usage("queue");
}
