/* SPDX-License-Identifier: ISC */
#include "daemon/dns.h"

#include "base/mem.h"

struct question {
	struct question	*next;
	struct dns	*dns;		/* borrowed */
	uint64_t	 id;
	uint64_t	 call;		/* peers_call's ticket; 0: none was made */
	enum dns_type	 type;
	dns_done	 done;
	void		*arg;		/* borrowed */
	struct timer	 now;		/* an answer that needs no resolver */
};

struct dns {
	struct loop	*loop;		/* borrowed */
	struct peers	*resolver;	/* borrowed */
	struct question	*open;		/* owned */
	uint64_t	 issued;
	struct ipc_out	 out;
};

/* ---- what a message says ------------------------------------------------------------------------ */

static void
failed(struct dns_answer *out, const char *why)
{
	*out = (struct dns_answer){ .result = DNS_FAILED, .why = text(why) };
}

static size_t
count_texts(struct bytes run, bool *bad)
{
	size_t n = 0;

	for (; run.n > 0 && !*bad; n++)
		(void)ipc_cut_text(&run, bad);
	return n;
}

static void
decode_records(struct bytes run, enum dns_type type, struct arena *a, struct dns_answer *out)
{
	bool bad = false;
	size_t n = count_texts(run, &bad);
	struct dns_record *records = arena_array(a, n, sizeof *records);

	while (run.n > 0 && !bad) {
		struct bytes rdata = ipc_cut_text(&run, &bad);

		if (!bad && dns_rdata_parse(type, rdata, a, &records[out->n]))
			out->n++;
		else
			out->unfit++;
	}
	out->records = records;
	if (bad || out->n == 0)
		failed(out, bad ? "the resolver's answer makes no sense" : "the records that were found make no sense");
}

void
dns_answer_decode(const struct ipc_dns_answer *m, enum dns_type type, struct arena *a, struct dns_answer *out)
{
	if (m->result > DNS_BOGUS) {
		failed(out, "the resolver's answer makes no sense");
		return;
	}
	*out = (struct dns_answer){ .result = m->result, .ttl_s = m->ttl, .name = m->name, .why = m->why };
	out->secure = m->secure == 1 && out->result != DNS_FAILED && out->result != DNS_BOGUS;
	if (out->result == DNS_FOUND)
		decode_records(m->records, type, a, out);
}

/* ---- questions ------------------------------------------------------------------------------------- */

static struct question *
take(struct dns *d, uint64_t id)
{
	for (struct question **at = &d->open; *at; at = &(*at)->next) {
		struct question *q = *at;

		if (q->id == id) {
			*at = q->next;
			return q;
		}
	}
	return NULL;
}

/* After this the owner may be gone, and d with it. */
static void
settle(struct question *q, const struct dns_answer *answer)
{
	dns_done done = q->done;
	void *arg = q->arg;

	must(take(q->dns, q->id) == q);
	timer_clear(&q->now);
	mem_free(q);
	done(arg, answer);
}

static void
answered(void *arg, struct ipc_in *in)
{
	struct question *q = arg;
	struct arena *a = arena_new(DNS_ANSWER_ARENA);
	struct ipc_dns_answer m;
	struct dns_answer out;

	if (!in)
		failed(&out, "the resolver does not answer");
	else if (in->type != IPC_dns_answer || !ipc_get_dns_answer(in, &m))
		failed(&out, "the resolver's answer makes no sense");
	else
		dns_answer_decode(&m, q->type, a, &out);
	settle(q, &out);
	arena_free(&a);
}

static void
no_such_name(void *arg)
{
	struct dns_answer out = { .result = DNS_NO_NAME, .why = text("this is no domain name") };

	settle(arg, &out);
}

static bool
can_be_asked(struct bytes name)
{
	struct buf wire;
	bool good;

	buf_init(&wire, DNS_NAME_WIRE_MAX);
	good = dns_name_encode(name, &wire);
	buf_fini(&wire);
	return good;
}

uint64_t
dns_ask(struct dns *d, struct bytes name, enum dns_type type, unsigned timeout_ms, dns_done done, void *arg)
{
	struct question *q = mem_alloc(sizeof *q);

	*q = (struct question){ .next = d->open, .dns = d, .id = ++d->issued, .type = type, .done = done, .arg = arg };
	d->open = q;
	timer_init(&q->now, d->loop, no_such_name, q);
	if (can_be_asked(name)) {
		ipc_put_dns_ask(&d->out, 0, &(struct ipc_dns_ask){ .name = name, .type = type });
		q->call = peers_call(d->resolver, &d->out, timeout_ms, answered, q);
	} else
		timer_set(&q->now, 0);
	return q->id;
}

static void
forget(struct dns *d, struct question *q)
{
	if (q->call != 0)
		peers_cancel(d->resolver, q->call);
	timer_clear(&q->now);
	mem_free(q);
}

void
dns_cancel(struct dns *d, uint64_t question)
{
	struct question *q = take(d, question);

	if (q)
		forget(d, q);
}

struct dns *
dns_new(struct loop *l, struct peers *resolver)
{
	struct dns *d = mem_alloc(sizeof *d);

	d->loop = l;
	d->resolver = resolver;
	ipc_out_init(&d->out);
	return d;
}

void
dns_free(struct dns **d)
{
	if (!*d)
		return;
	while ((*d)->open) {
		struct question *q = (*d)->open;

		(*d)->open = q->next;
		forget(*d, q);
	}
	ipc_out_fini(&(*d)->out);
	mem_free(*d);
	*d = NULL;
}
