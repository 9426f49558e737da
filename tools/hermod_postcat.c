/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_postcat.c - postcat(1): a message of the queue, octet by octet as it goes out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "mail/queue_names.h"
#include "tools/hermod.h"
#include "tools/hermod_postfix.h"
#include "tools/hermod_queue.h"

struct wish { bool envelope, header, body, marks; };

static _Noreturn void
usage(void)
{
	fputs("usage: postcat [-behqv] [-c FILE] [QUEUE_ID ... | file ...]\n", stderr);
	exit(POSTFIX_FATAL);
}

/* A line is a line, whatever a client has sent. */
static void
print(const char *name, struct bytes value)
{
	printf("%s: ", name);
	for (size_t i = 0; i < value.n; i++)
		putchar(value.p[i] < ' ' || value.p[i] == 0x7f ? '?' : value.p[i]);
	putchar('\n');
}

static void
print_time(const char *name, int64_t s)
{
	char date[CLOCK_DATE_MAX];

	printf("%s: %s\n", name, clock_date(s, date));
}

static void
print_recipient(const struct recipient *r)
{
	bool done = !queue_rcpt_open(r);

	if (!bytes_eq(r->original, r->final))
		print("original_recipient", r->original);
	print(done ? "done_recipient" : "recipient", r->final);
	if (!done && r->last_reply.n > 0)
		print("last_reply", r->last_reply);
}

static void
print_envelope(const struct queue_message *m)
{
	const struct envelope *e = &m->envelope;

	printf("message_size: %llu\n", (unsigned long long)queue_octets(e));
	print_time("message_arrival_time", e->arrival_s);
	if (e->next_s > 0 && m->place != QUEUE_HOLD)
		print_time("next_attempt_time", e->next_s);
	print("sender", e->sender);
	if (e->client.n > 0)
		print("named_attribute: client_address", e->client);
	if (e->client_name.n > 0)
		print("named_attribute: client_name", e->client_name);
	if (e->helo.n > 0)
		print("named_attribute: helo_name", e->helo);
	if (e->protocol.n > 0)
		print("named_attribute: protocol_name", e->protocol);
	if (e->account.n > 0)
		print("named_attribute: sasl_username", e->account);
	if (e->hold_reason.n > 0)
		print("hold_reason", e->hold_reason);
	for (size_t i = 0; i < e->nrcpts; i++)
		print_recipient(&e->rcpts[i]);
}

static void
print_content(const struct queue_message *m, const struct wish *w)
{
	struct queue_content c;
	struct bytes piece;
	bool body;

	queue_content_begin(&c, m);
	while (queue_content_next(&c, &piece, &body))
		if (body ? w->body : w->header)
			for (size_t i = 0; i < piece.n; i++)	/* lines as this host has them */
				if (piece.p[i] != '\r' || i + 1 == piece.n || piece.p[i + 1] != '\n')
					putchar(piece.p[i]);
	queue_content_end(&c);
}

/* The name of the queue that Postfix would have it in. */
static const char *
queue_of(enum queue_place place)
{
	return place == QUEUE_NEW ? "incoming" : place == QUEUE_LATER || place == QUEUE_DOWN ? "deferred" : queue_place_name[place];
}

static void
show(struct queue *q, const char *id, const struct wish *w)
{
	struct queue_message *m = queue_find(q, id);
	const char *place = queue_of(m->place);

	if (w->marks)
		printf("*** ENVELOPE RECORDS %s/%s ***\n", place, m->id);
	if (w->envelope)
		print_envelope(m);
	if (w->marks)
		printf("*** MESSAGE CONTENTS %s/%s ***\n", place, m->id);
	if (w->header || w->body)
		print_content(m, w);
	if (w->marks)
		printf("*** HEADER EXTRACTED %s/%s ***\n*** MESSAGE FILE END %s/%s ***\n", place, m->id, place, m->id);
	queue_message_free(&m);
}

int
postcat(int argc, char **argv)
{
	struct wish w = { .marks = true };
	bool by_id = false;
	struct queue q;
	int c;

	while ((c = getopt(argc, argv, "bc:ehqv")) != -1)
		switch (c) {
		case 'b':	w.body = true; break;
		case 'e':	w.envelope = true; break;
		case 'h':	w.header = true; break;
		case 'q':	by_id = true; break;
		case 'c':	postfix_configuration(optarg); break;
		case 'v':	break;
		default:	usage();
		}
	if (optind == argc)
		usage();
	if (!w.body && !w.envelope && !w.header)
		w.body = w.envelope = w.header = true;
	else
		w.marks = w.envelope;
	if (!queue_view_open(&q))
		postfix_fatal(POSTFIX_FATAL, "the queue is empty");
	for (; optind < argc; optind++) {
		char id[QUEUE_ID_MAX + 1];

		if (!queue_name_id(argv[optind], id) || (by_id && strcmp(argv[optind], id) != 0))
			postfix_fatal(POSTFIX_FATAL, "%s: no name of a queue file", argv[optind]);
		show(&q, id, &w);
	}
	queue_close(&q);
	return EXIT_WORKED;
}
