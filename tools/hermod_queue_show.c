/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_queue_show.c - one message: its envelope, what became of each recipient so far, what it says.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/queue_names.h"
#include "proto/utf8.h"
#include "tools/hermod.h"
#include "tools/hermod_queue.h"

#define SEGMENTS_MAX	(1u << 24)
#define PIECE		65536
#define JSON_HEADER_MAX	(1u << 20)
#define JSON_BODY_MAX	(1u << 28)

/* ---- finding it --------------------------------------------------------------------------------------- */

struct search { const char *id; struct queue *q; enum queue_place place; struct queue_message *found; enum queue_read how; };

static bool
search_one(void *arg, const char *name)
{
	struct search *s = arg;
	char id[QUEUE_ID_MAX + 1];

	if (!queue_name_id(name, id) || strcmp(id, s->id) != 0)
		return true;
	s->how = queue_message_open(s->q, s->place, name, &s->found);
	return s->how == QUEUE_GONE;
}

/* Once more when it was nowhere: it may have moved behind our back. */
struct queue_message *
queue_find(struct queue *q, const char *id)
{
	struct search s = { .id = id, .q = q, .how = QUEUE_GONE };

	for (unsigned i = 0; i < 2 * QUEUE_PLACES && s.how == QUEUE_GONE; i++) {
		s.place = (enum queue_place)(i % QUEUE_PLACES);
		queue_walk(q, s.place, search_one, &s);
	}
	if (s.how == QUEUE_GONE)
		hermod_die(EXIT_FAILED, "%s: no such message in the queue; `hermod queue list` shows all, `hermod trace %s` "
		    "what became of it", id, id);
	if (s.how != QUEUE_READ)
		hermod_die(EXIT_FAILED, "%s: is in %s/ and cannot be read as a message", id, queue_place_name[s.place]);
	return s.found;
}

/* ---- its content -------------------------------------------------------------------------------------- */

void
queue_content_begin(struct queue_content *c, const struct queue_message *m)
{
	*c = (struct queue_content){ .m = m, .line = 1 };
	buf_init(&c->segments, SEGMENTS_MAX);
	if (!envelope_segments(&m->envelope, &c->segments))
		hermod_die(EXIT_FAILED, "%s: its header edits do not fit its content", m->id);
	segment_reader_init(&c->reader, m->fd, buf_bytes(&c->segments));
}

void
queue_content_end(struct queue_content *c)
{
	buf_fini(&c->segments);
}

/* Octets up to where the body begins: line is 1 at the start of a line, 2 behind a CR there, 0 within. */
static size_t
find_body(struct queue_content *c, struct bytes s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char o = s.p[i];

		if (c->line > 0 && o == '\n') {
			c->body = true;
			return i + 1 >= 2 && s.p[i - 1] == '\r' ? i - 1 : i;
		}
		c->line = o == '\n' ? 1 : c->line == 1 && o == '\r' ? 2 : 0;
	}
	return s.n;
}

bool
queue_content_next(struct queue_content *c, struct bytes *piece, bool *body)
{
	static unsigned char octets[PIECE];
	static struct bytes left;
	size_t n;

	if (left.n == 0) {
		long got = segment_reader_read(&c->reader, octets, sizeof octets);

		if (got == -1)
			hermod_die(EXIT_FAILED, "%s: cannot be read: %s", c->m->id, strerror(errno));
		left = bytes_of(octets, (size_t)got);
	}
	*body = c->body;
	n = c->body ? left.n : find_body(c, left);
	if (n == 0 && left.n > 0) {		/* the header section ended with the last piece */
		*body = true;
		n = left.n;
	}
	*piece = bytes_head(left, n);
	left = bytes_skip(left, n);
	return piece->n > 0;
}

/* Stored octets, nothing edited: to be sent once more. */
static int
print_stored(const struct queue_message *m)
{
	const struct envelope *e = &m->envelope;
	static unsigned char piece[PIECE];

	for (size_t i = 0; i < e->nextents; i++) {
		uint64_t at = e->extents[i].offset, left = e->extents[i].octets;

		while (left > 0) {
			size_t n = left < sizeof piece ? (size_t)left : sizeof piece;

			if (!file_pread(m->fd, piece, n, (off_t)at))
				hermod_die(EXIT_FAILED, "%s: cannot be read: %s", m->id, strerror(errno));
			if (fwrite(piece, 1, n, stdout) != n)
				return EXIT_FAILED;
			at += n;
			left -= n;
		}
	}
	return EXIT_WORKED;
}

/* ---- for people --------------------------------------------------------------------------------------- */

/* Nothing in it that a terminal would obey. */
static void
print_text(const char *name, struct bytes value)
{
	struct buf b;

	if (value.n == 0)
		return;
	buf_init(&b, 1 << 20);
	json_string(&b, value);
	printf("%-14s %.*s\n", name, (int)b.n - 2, (const char *)b.p + 1);
	buf_fini(&b);
}

static void
print_time(const char *name, int64_t s)
{
	char date[CLOCK_DATE_MAX];

	if (s > 0)
		printf("%-14s %s\n", name, clock_date(s, date));
}

static void
print_recipient(const struct recipient *r)
{
	print_text("recipient", r->final);
	if (!bytes_eq(r->original, r->final))
		print_text("  original", r->original);
	print_text("  state", text(queue_rcpt_state[r->state]));
	print_text("  transport", r->transport);
	print_text("  nexthop", r->nexthop);
	if (r->attempts > 0)
		printf("%-14s %u%s\n", "  attempts", r->attempts, r->uncertain > 0 ? ", not all of known outcome" : "");
	print_time("  last", r->last_s);
	print_text("  remote", r->remote);
	print_text("  command", r->command);
	print_text("  said", r->said);
	print_text("  reply", r->last_reply);
}

static void
print_envelope(const struct queue_message *m)
{
	const struct envelope *e = &m->envelope;

	printf("%-14s %s\n%-14s %s\n", "id", m->id, "place", queue_place_name[m->place]);
	print_time("arrival", e->arrival_s);
	if (m->place != QUEUE_HOLD)
		print_time("next", e->next_s);
	print_time("expires", e->expiry_s);
	printf("%-14s %u\n%-14s %llu octets\n", "attempts", e->attempts, "content", (unsigned long long)queue_octets(e));
	print_text("sender", e->sender.n > 0 ? e->sender : text("<>"));
	print_text("client", e->client);
	print_text("name", e->client_name);
	print_text("helo", e->helo);
	print_text("protocol", e->protocol);
	print_text("tls", e->tls);
	print_text("account", e->account);
	print_text("envid", e->envid);
	print_text("session", e->session);
	print_text("held", e->hold_reason);
	for (size_t i = 0; i < e->nrcpts; i++)
		print_recipient(&e->rcpts[i]);
}

/* CR before LF is left out, what a terminal would obey is "?". A character of UTF-8 that two pieces share is, too. */
static void
print_safe(struct bytes s)
{
	while (s.n > 0) {
		uint32_t c = 0;
		size_t n = utf8_take(s, &c);

		if (n == 0 || (c < ' ' && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0)) {
			if (s.p[0] != '\r' || s.n == 1 || s.p[1] != '\n')
				putchar('?');
			n = 1;
		} else {
			fwrite(s.p, 1, n, stdout);
		}
		s = bytes_skip(s, n);
	}
}

static void
print_content(const struct queue_message *m, bool with_body)
{
	struct queue_content c;
	struct bytes piece;
	bool body;

	queue_content_begin(&c, m);
	while (queue_content_next(&c, &piece, &body) && (!body || with_body))
		print_safe(piece);
	queue_content_end(&c);
}

/* ---- for programs -------------------------------------------------------------------------------------- */

/* Where it is longer than any header section is read anyway, it is cut. */
static void
print_json(const struct queue_message *m, bool with_body)
{
	struct buf o, header, text;
	struct queue_content c;
	struct bytes piece;
	bool body;

	buf_init(&o, 1u << 30);
	buf_init(&header, JSON_HEADER_MAX);
	buf_init(&text, JSON_BODY_MAX);
	queue_content_begin(&c, m);
	while (queue_content_next(&c, &piece, &body) && (!body || with_body))
		buf_add(body ? &text : &header, piece);
	queue_content_end(&c);
	queue_json(&o, m, m->place);
	json_text(&o, "helo", m->envelope.helo);
	json_text(&o, "protocol", m->envelope.protocol);
	json_text(&o, "tls", m->envelope.tls);
	json_text(&o, "session", m->envelope.session);
	json_text(&o, "envid", m->envelope.envid);
	json_text(&o, "header", buf_bytes(&header));
	if (with_body)
		json_text(&o, "body", buf_bytes(&text));
	if (o.full || text.full)
		hermod_die(EXIT_FAILED, "%s: is too long to be shown as JSON; `--content` writes it as it is", m->id);
	fwrite(o.p, 1, o.n, stdout);
	puts("}");
	buf_fini(&o);
	buf_fini(&header);
	buf_fini(&text);
}

int
queue_show(int argc, char **argv)
{
	struct queue_message *m;
	struct queue q;
	const char *id = NULL;
	bool body = false, stored = false;
	int status = EXIT_WORKED;

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--content") == 0)
			stored = true;
		else if (strcmp(argv[i], "--body") == 0)
			body = true;
		else if (argv[i][0] != '-' && !id)
			id = argv[i];
		else
			hermod_usage("queue", argv[i]);
	}
	if (!id)
		hermod_die(EXIT_USE, "queue show: which message? `hermod queue list` shows their ids");
	if (!queue_view_open(&q))
		hermod_die(EXIT_FAILED, "%s: no such message: the queue is empty", id);
	m = queue_find(&q, id);
	if (stored) {
		status = print_stored(m);
	} else if (hermod_options.json) {
		print_json(m, body);
	} else {
		print_envelope(m);
		putchar('\n');
		print_content(m, body);
	}
	queue_message_free(&m);
	queue_close(&q);
	return status;
}
