/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/answer.c - what became of a job, in the bounds of `relayed`. Pure but for memory.
 *
 * A server may say something else, at length, to each of several hundred recipients. What does not fit is shortened,
 * all replies alike; where that is not enough the last recipients share words of ours. Outcomes are never left out.
 */
#include "base/mem.h"
#include "smtp-client/client.h"

#define REPLIES_MAX	47104u		/* octets, as in mail/messages.def; results have room for each recipient of a `relay` */
#define GENERIC_MAX	256u		/* octets of a reply of ours, with all that goes with it */
#define OVERHEAD	24u		/* octets of lengths of one reply, the run's own among them */

/* At most n octets, and no part of a UTF-8 character at the end. */
static struct bytes
cut(struct bytes s, size_t n)
{
	if (s.n <= n)
		return s;
	while (n > 0 && (s.p[n] & 0xc0) == 0x80)
		n--;
	return bytes_head(s, n);
}

void
answer_init(struct answer *a, struct arena *arena, size_t recipients)
{
	*a = (struct answer){ .arena = arena, .nresults = recipients, .tls = "" };
	a->results = arena_array(arena, recipients, sizeof *a->results);
}

static bool
same(const struct answer_reply *a, const struct answer_reply *b)
{
	return bytes_eq(a->status, b->status) && bytes_eq(a->reply, b->reply) && bytes_eq(a->remote, b->remote)
	    && bytes_eq(a->command, b->command) && bytes_eq(a->said, b->said);
}

size_t
answer_reply(struct answer *a, const struct answer_reply *r)
{
	struct answer_reply *grown;

	/* Only neighbours are compared: recipients that are refused alike stand together, and time stays linear. */
	for (size_t i = a->nreplies; i > 0 && i + 4 > a->nreplies; i--)
		if (same(&a->replies[i - 1], r))
			return i - 1;
	if (a->nreplies == a->room) {
		a->room = a->room ? 2 * a->room : 4;
		grown = arena_array(a->arena, a->room, sizeof *grown);
		if (a->nreplies > 0)
			memcpy(grown, a->replies, a->nreplies * sizeof *grown);
		a->replies = grown;
	}
	a->replies[a->nreplies] = (struct answer_reply){
		.status = arena_copy(a->arena, cut(r->status, 16)),
		.reply = arena_copy(a->arena, cut(r->reply, 1024)),
		.remote = arena_copy(a->arena, cut(r->remote, 320)),
		.command = arena_copy(a->arena, cut(r->command, 16)),
		.said = arena_copy(a->arena, cut(r->said, 2048)),
	};
	return a->nreplies++;
}

/* ---- the frame ---- */

struct level { size_t reply, remote, said; };	/* octets left of each */
static const struct level levels[] = {
	{ 1024, 320, 2048 }, { 1024, 320, 512 }, { 400, 200, 128 }, { 160, 80, 0 }, { 60, 0, 0 },
};

static size_t
octets(const struct answer_reply *r, const struct level *l)
{
	return OVERHEAD + r->status.n + r->command.n + cut(r->reply, l->reply).n + cut(r->remote, l->remote).n
	    + cut(r->said, l->said).n;
}

/* How many of the replies fit when they are cut so. */
static size_t
fitting(const struct answer *a, const struct level *l)
{
	size_t sum = 0, i = 0;

	for (; i < a->nreplies; i++) {
		sum += octets(&a->replies[i], l);
		if (sum > REPLIES_MAX - 3 * GENERIC_MAX)
			break;
	}
	return i;
}

static void
put_reply(struct ipc_out *scratch, struct buf *run, const struct answer_reply *r, const struct level *l)
{
	ipc_put_relay_reply(scratch, 0, &(struct ipc_relay_reply){
		.status = r->status, .reply = cut(r->reply, l->reply), .remote = cut(r->remote, l->remote),
		.command = r->command, .said = cut(r->said, l->said),
	});
	ipc_add_text(run, ipc_out_body(scratch));
}

/* For those whose own reply found no room: one an outcome. */
static void
put_generic(struct ipc_out *scratch, struct buf *run)
{
	static const struct { const char *status, *reply; } generic[] = {
		[TRY_LATER] = { "4.0.0", "put off by the server, whose words are too many to be kept" },
		[DELIVERED] = { "2.0.0", "taken by the server, whose words are too many to be kept" },
		[BOUNCE] = { "5.0.0", "refused by the server, whose words are too many to be kept" },
	};

	for (size_t i = 0; i < LEN(generic); i++) {
		struct answer_reply r = { .status = text(generic[i].status), .reply = text(generic[i].reply) };

		put_reply(scratch, run, &r, &levels[0]);
	}
}

static void
put_result(struct ipc_out *scratch, struct buf *run, const struct answer_result *r, size_t fit)
{
	ipc_put_relay_result(scratch, 0, &(struct ipc_relay_result){
		.outcome = r->outcome, .uncertain = r->uncertain, .dsn = r->dsn,
		.reply = (uint32_t)(r->reply < fit ? r->reply : fit + r->outcome),
	});
	ipc_add_text(run, ipc_out_body(scratch));
}

void
answer_put(const struct answer *a, struct ipc_out *out, uint32_t id)
{
	struct ipc_out scratch;
	struct buf replies, results;
	size_t level = 0, fit;

	while ((fit = fitting(a, &levels[level])) < a->nreplies && level + 1 < LEN(levels))
		level++;
	ipc_out_init(&scratch);
	buf_init(&replies, REPLIES_MAX);
	buf_init(&results, IPC_FRAME_MAX);
	for (size_t i = 0; i < fit; i++)
		put_reply(&scratch, &replies, &a->replies[i], &levels[level]);
	if (fit < a->nreplies)
		put_generic(&scratch, &replies);
	for (size_t i = 0; i < a->nresults; i++) {
		must(a->results[i].given);
		put_result(&scratch, &results, &a->results[i], fit);
	}
	must(!replies.full && !results.full);
	ipc_put_relayed(out, id, &(struct ipc_relayed){ .contact = a->contact, .tls = text(a->tls),
	    .replies = buf_bytes(&replies), .results = buf_bytes(&results) });
	buf_fini(&results);
	buf_fini(&replies);
	ipc_out_fini(&scratch);
}
