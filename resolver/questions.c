/* SPDX-License-Identifier: ISC */
/*
 * resolver/questions.c - who waits for what. A question that several ask is asked of the DNS once. Those who wait are
 * answered in dns_timeout at the latest; the question itself goes on, as what it finds will be asked for again, and keeps its
 * place among dns_questions until libunbound has given it up, too.
 */
#include "resolver/resolver.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/dns_message.h"

#define BUCKETS		1024
#define WAITERS_EACH	4	/* times dns_questions: who may wait, all together */
#define GIVEN_UP_MS	600000	/* longer than libunbound ever tries */
#define SAID_MS		60000	/* how often the log is told that there are too many */
#define RECORDS_MAX	49152	/* as in messages.def */
#define WHY_MAX		512

enum { RCODE_NONE = 0, RCODE_SERVFAIL = 2, RCODE_NO_NAME = 3, RCODE_REFUSED = 5 };

struct waiter {
	struct waiter	*next;
	struct channel	*channel;	/* borrowed, until questions_forget */
	uint32_t	 id;		/* of its frame */
	uint64_t	 until_ms;
};

struct question {
	struct question	*next;		/* of its bucket */
	struct questions *all;		/* borrowed */
	unsigned char	 name[DNS_NAME_WIRE_MAX];	/* wire format, lower-case */
	size_t		 n;
	enum dns_type	 type;
	struct recursor_question *asked;	/* NULL: not yet, or answered */
	struct waiter	*first, **end;	/* owned; in the order they came, which is that of their deadlines */
	struct timer	 timer;		/* the first one's deadline; with nobody waiting, libunbound's */
	uint64_t	 given_up_ms;
};

struct questions {
	struct daemon	*daemon;	/* borrowed, as are the next two */
	struct recursor	*recursor;
	const struct resolver_settings *settings;
	struct question	*buckets[BUCKETS];	/* owned */
	size_t		 n, waiting;
	uint64_t	 full_said_ms;
	struct ipc_out	 out;
	struct buf	 records;
	struct arena	*arena;
};

/* ---- answers -------------------------------------------------------------------------------------- */

static void
reply(struct questions *all, struct channel *c, uint32_t id, const struct ipc_dns_answer *m)
{
	ipc_put_dns_answer(&all->out, id, m);
	channel_reply(c, id, &all->out);
	all->daemon->served++;
}

static void
reply_failed(struct questions *all, struct channel *c, uint32_t id, const char *why)
{
	reply(all, c, id, &(struct ipc_dns_answer){ .result = DNS_FAILED, .why = text(why) });
}

/* What others say, for people: printable ASCII, and not too long. */
static struct bytes
clean(const char *why, char dst[WHY_MAX])
{
	size_t n = 0;

	for (; why[n] != '\0' && n < WHY_MAX; n++)
		dst[n] = why[n] >= ' ' && why[n] < 0x7f ? why[n] : '?';
	return bytes_of(dst, n);
}

static const char *
words_of(unsigned rcode)
{
	switch (rcode) {
	case RCODE_SERVFAIL:	return "no server for it gave an answer that can be used";
	case RCODE_REFUSED:	return "its servers refuse to answer";
	default:		return "its servers answer with an error";
	}
}

static void
failed(struct ipc_dns_answer *m, const char *why)
{
	*m = (struct ipc_dns_answer){ .result = DNS_FAILED, .why = text(why) };
}

/* The records into one field; false: they do not fit. */
static bool
put_records(struct questions *all, const struct dns_message *got)
{
	buf_clear(&all->records);
	for (size_t i = 0; i < got->n; i++)
		ipc_add_text(&all->records, got->rdata[i]);
	return !all->records.full;
}

static void
put_found(struct questions *all, const struct dns_message *got, bool secure, struct ipc_dns_answer *m)
{
	struct bytes wire = got->name, name;
	bool odd;

	*m = (struct ipc_dns_answer){ .secure = secure, .ttl = got->ttl_s };
	m->result = got->rcode == RCODE_NO_NAME ? DNS_NO_NAME : got->n == 0 ? DNS_NO_DATA : DNS_FOUND;
	if (!dns_name_decode(&wire, all->arena, &name, &odd) || name.n > DNS_NAME_WIRE_MAX)
		failed(m, "it is an alias of what is no name of a host");
	else if (!put_records(all, got))
		failed(m, "the records found are more than a message holds");
	else {
		m->name = name;
		m->records = buf_bytes(&all->records);
	}
}

static void
put_answer(struct questions *all, const struct question *q, unsigned rcode, struct bytes packet, bool secure,
    struct ipc_dns_answer *m)
{
	struct dns_message got;

	if (rcode != RCODE_NONE) {
		failed(m, words_of(rcode));
		return;
	}
	switch (dns_message_read(packet, bytes_of(q->name, q->n), q->type, all->arena, &got)) {
	case DNS_MESSAGE_BAD:	failed(m, "the answer makes no sense"); return;
	case DNS_MESSAGE_LARGE:	failed(m, "the records found are more than a message holds"); return;
	case DNS_MESSAGE_READ:	break;
	}
	if (got.rcode != RCODE_NONE && got.rcode != RCODE_NO_NAME)
		failed(m, words_of(got.rcode));
	else if (got.truncated)
		failed(m, "the answer is cut short");
	else
		put_found(all, &got, secure, m);
}

/* ---- who waits ------------------------------------------------------------------------------------- */

static struct question **
bucket(struct questions *all, struct bytes name, enum dns_type type)
{
	uint32_t h = 2166136261u;		/* FNV-1a: names are bounded, and buckets only hold what is under way */

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ name.p[i]) * 16777619u;
	return &all->buckets[(h ^ (uint32_t)type) % BUCKETS];
}

static struct question *
find(struct questions *all, struct bytes name, enum dns_type type)
{
	for (struct question *q = *bucket(all, name, type); q; q = q->next)
		if (q->type == type && bytes_eq(bytes_of(q->name, q->n), name))
			return q;
	return NULL;
}

static void
drop_first(struct question *q)
{
	struct waiter *w = q->first;

	q->first = w->next;
	if (!q->first)
		q->end = &q->first;
	q->all->waiting--;
	mem_free(w);
}

static void
question_free(struct question *q)
{
	struct question **at = bucket(q->all, bytes_of(q->name, q->n), q->type);

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	while (q->first)
		drop_first(q);
	timer_clear(&q->timer);
	recursor_cancel(q->all->recursor, &q->asked);
	q->all->n--;
	mem_free(q);
}

static void
set_timer(struct question *q)
{
	uint64_t now = clock_mono_ms(), until = q->first ? q->first->until_ms : q->given_up_ms;

	timer_set(&q->timer, until > now ? until - now : 0);
}

/* While it drains, the last answer may be the process's end. */
static void
settled(struct questions *all)
{
	if (all->daemon->draining)
		daemon_settled(all->daemon);
}

static void
too_late(void *arg)
{
	struct question *q = arg;
	struct questions *all = q->all;
	uint64_t now = clock_mono_ms();

	while (q->first && q->first->until_ms <= now) {
		reply_failed(all, q->first->channel, q->first->id, "no answer came in time (dns_timeout)");
		drop_first(q);
	}
	if (!q->first && q->given_up_ms <= now)
		question_free(q);
	else
		set_timer(q);
	settled(all);
}

static void
on_answer(void *arg, unsigned rcode, struct bytes packet, enum recursor_security security, const char *why_bogus)
{
	struct question *q = arg;
	struct questions *all = q->all;
	struct ipc_dns_answer m;
	char why[WHY_MAX];

	q->asked = NULL;
	if (security == RECURSOR_BOGUS)
		m = (struct ipc_dns_answer){ .result = DNS_BOGUS, .why = clean(why_bogus ? why_bogus : "DNSSEC", why) };
	else
		put_answer(all, q, rcode, packet, security == RECURSOR_SECURE, &m);
	for (const struct waiter *w = q->first; w; w = w->next)
		reply(all, w->channel, w->id, &m);
	arena_reset(all->arena);
	question_free(q);
	settled(all);
}

/* ---- questions ---------------------------------------------------------------------------------------- */

static void
wait_for(struct question *q, struct channel *c, uint32_t id)
{
	struct waiter *w = mem_alloc(sizeof *w);

	*w = (struct waiter){ .channel = c, .id = id, .until_ms = clock_mono_ms() + q->all->settings->timeout_ms };
	*q->end = w;
	q->end = &w->next;
	q->all->waiting++;
	set_timer(q);
}

static void
say_full(struct questions *all)
{
	uint64_t now = clock_mono_ms();

	if (all->full_said_ms != 0 && now - all->full_said_ms < SAID_MS)
		return;
	all->full_said_ms = now;
	log_warn("%zu questions are under way, and %zu wait for answers: others fail (dns_questions)", all->n, all->waiting);
}

static struct question *
question_new(struct questions *all, struct bytes name, enum dns_type type)
{
	struct question *q = mem_alloc(sizeof *q);
	struct question **at = bucket(all, name, type);

	*q = (struct question){ .next = *at, .all = all, .n = name.n, .type = type,
	    .given_up_ms = clock_mono_ms() + GIVEN_UP_MS };
	memcpy(q->name, name.p, name.n);
	q->end = &q->first;
	timer_init(&q->timer, &all->daemon->loop, too_late, q);
	*at = q;
	all->n++;
	return q;
}

/* The name goes to libunbound as text: it has nothing that would be special there. */
static void
begin(struct questions *all, struct bytes wire, struct bytes name, enum dns_type type, struct channel *c, uint32_t id)
{
	struct question *q = question_new(all, wire, type);
	struct recursor_question *asked;
	char words[DNS_NAME_WIRE_MAX + 2];

	if (name.p[name.n - 1] == '.')
		name.n--;
	must(name.n < sizeof words - 1);
	snprintf(words, sizeof words, "%.*s.", BYTES_FMT(name));
	wait_for(q, c, id);
	if (!recursor_ask(all->recursor, words, type, on_answer, q, &asked)) {
		reply_failed(all, c, id, "libunbound does not take the question");
		question_free(q);
	} else if (asked)		/* else q is answered, and gone */
		q->asked = asked;
}

static void
take(struct questions *all, struct bytes wire, struct bytes name, enum dns_type type, struct channel *c, uint32_t id)
{
	struct question *q = find(all, wire, type);

	if (all->waiting >= WAITERS_EACH * all->settings->questions || (!q && all->n >= all->settings->questions)) {
		say_full(all);
		reply_failed(all, c, id, "the resolver is busy: too many questions are under way (dns_questions)");
	} else if (q)
		wait_for(q, c, id);
	else
		begin(all, wire, name, type, c, id);
}

bool
questions_take(struct questions *all, struct channel *c, struct ipc_in *in)
{
	struct ipc_dns_ask m;
	enum dns_type type;
	struct buf wire;
	uint32_t id = in->id;

	if (in->type != IPC_dns_ask || !ipc_get_dns_ask(in, &m) || !dns_type_known(m.type, &type))
		return false;
	buf_init(&wire, DNS_NAME_WIRE_MAX);
	if (dns_name_encode(m.name, &wire))
		take(all, buf_bytes(&wire), m.name, type, c, id);
	else
		reply(all, c, id, &(struct ipc_dns_answer){ .result = DNS_NO_NAME, .why = text("this is no domain name") });
	buf_fini(&wire);
	return true;
}

static void
forget_in(struct question *q, const struct channel *c)
{
	struct waiter **at = &q->first;

	while (*at) {
		struct waiter *w = *at;

		if (w->channel == c) {
			*at = w->next;
			q->all->waiting--;
			mem_free(w);
		} else
			at = &w->next;
	}
	q->end = at;
	set_timer(q);
}

void
questions_forget(struct questions *all, const struct channel *c)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct question *q = all->buckets[i]; q; q = q->next)
			forget_in(q, c);
	settled(all);
}

uint32_t
questions_waiting(const struct questions *all)
{
	return (uint32_t)all->waiting;
}

struct questions *
questions_new(struct daemon *d, struct recursor *r, const struct resolver_settings *s)
{
	struct questions *all = mem_alloc(sizeof *all);

	all->daemon = d;
	all->recursor = r;
	all->settings = s;
	ipc_out_init(&all->out);
	buf_init(&all->records, RECORDS_MAX);
	all->arena = arena_new(2 * DNS_MESSAGE_ARENA);
	return all;
}

void
questions_free(struct questions **taken)
{
	struct questions *all = *taken;

	if (!all)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (all->buckets[i])
			question_free(all->buckets[i]);
	ipc_out_fini(&all->out);
	buf_fini(&all->records);
	arena_free(&all->arena);
	mem_free(all);
	*taken = NULL;
}
