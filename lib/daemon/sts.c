/* SPDX-License-Identifier: ISC */
#include "daemon/sts.h"

#include "base/mem.h"

struct question {
	struct question	*next;
	struct sts	*sts;		/* borrowed */
	uint64_t	 id;
	uint64_t	 call;		/* peers_call's ticket */
	sts_done	 done;
	void		*arg;		/* borrowed */
};

struct sts {
	struct peers	*fetch;		/* borrowed */
	struct question	*open;		/* owned */
	uint64_t	 issued;
	struct ipc_out	 out;
};

/* ---- what a message says ------------------------------------------------------------------------ */

static void
unknown(struct sts_answer *out, const char *why)
{
	*out = (struct sts_answer){ .result = STS_UNKNOWN, .why = text(why) };
}

static bool
decode_patterns(struct bytes run, struct arena *a, struct mta_sts_policy *p)
{
	bool bad = false;

	p->mx = arena_array(a, MTA_STS_MX_MAX, sizeof *p->mx);
	while (run.n > 0 && !bad && p->nmx < MTA_STS_MX_MAX) {
		p->mx[p->nmx] = ipc_cut_text(&run, &bad);
		bad = bad || !mta_sts_is_pattern(p->mx[p->nmx]);
		p->nmx++;
	}
	return !bad && run.n == 0 && (p->nmx > 0 || p->mode == MTA_STS_NONE);
}

void
sts_answer_decode(const struct ipc_sts_answer *m, struct arena *a, struct sts_answer *out)
{
	*out = (struct sts_answer){ .result = m->result, .why = m->why };
	if (m->result == STS_POLICY) {
		out->sts.id = m->id;
		out->sts.policy.mode = m->mode;
		out->sts.policy.max_age_s = m->max_age;
	}
	if (m->result > STS_POLICY || m->mode > MTA_STS_ENFORCE
	    || (m->result == STS_POLICY && !decode_patterns(m->mx, a, &out->sts.policy)))
		unknown(out, "fetch's answer makes no sense");
}

/* ---- questions ------------------------------------------------------------------------------------- */

static struct question *
take(struct sts *s, uint64_t id)
{
	for (struct question **at = &s->open; *at; at = &(*at)->next) {
		struct question *q = *at;

		if (q->id == id) {
			*at = q->next;
			return q;
		}
	}
	return NULL;
}

static void
answered(void *arg, struct ipc_in *in)
{
	struct question *q = arg;
	sts_done done = q->done;
	void *owner = q->arg;
	struct arena *a = arena_new(MTA_STS_ARENA);
	struct ipc_sts_answer m;
	struct sts_answer out;

	if (!in)
		unknown(&out, "fetch does not answer");
	else if (in->type != IPC_sts_answer || !ipc_get_sts_answer(in, &m))
		unknown(&out, "fetch's answer makes no sense");
	else
		sts_answer_decode(&m, a, &out);
	must(take(q->sts, q->id) == q);
	mem_free(q);
	done(owner, &out);		/* after this the owner may be gone, and the struct sts with it */
	arena_free(&a);
}

uint64_t
sts_ask(struct sts *s, struct bytes domain, unsigned timeout_ms, sts_done done, void *arg)
{
	struct question *q = mem_alloc(sizeof *q);

	must(domain.n <= 253);
	*q = (struct question){ .next = s->open, .sts = s, .id = ++s->issued, .done = done, .arg = arg };
	s->open = q;
	ipc_put_sts_ask(&s->out, 0, &(struct ipc_sts_ask){ .domain = domain });
	q->call = peers_call(s->fetch, &s->out, timeout_ms, answered, q);
	return q->id;
}

static void
forget(struct sts *s, struct question *q)
{
	peers_cancel(s->fetch, q->call);
	mem_free(q);
}

void
sts_cancel(struct sts *s, uint64_t question)
{
	struct question *q = take(s, question);

	if (q)
		forget(s, q);
}

struct sts *
sts_new(struct peers *fetch)
{
	struct sts *s = mem_alloc(sizeof *s);

	s->fetch = fetch;
	ipc_out_init(&s->out);
	return s;
}

void
sts_free(struct sts **s)
{
	if (!*s)
		return;
	while ((*s)->open) {
		struct question *q = (*s)->open;

		(*s)->open = q->next;
		forget(*s, q);
	}
	ipc_out_fini(&(*s)->out);
	mem_free(*s);
	*s = NULL;
}
