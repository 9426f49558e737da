/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "base/testing.h"
#include "smtp-client/client.h"

#define RCPTS	722	/* as many as `relay` can name */

struct got { struct ipc_relayed m; uint32_t results[RCPTS]; size_t n; struct ipc_relay_reply replies[RCPTS + 3]; size_t nreplies; };

/* Reads the frame as qmgr does. */
static void
read_frame(struct ipc_out *out, struct got *g)
{
	struct ipc_in in;
	struct bytes run;
	bool bad = false;

	assert_false(out->frame.full);
	assert_true(out->frame.n <= IPC_FRAME_MAX);
	ipc_in_bytes(&in, ipc_out_body(out));
	assert_true(ipc_get_relayed(&in, &g->m));
	g->n = g->nreplies = 0;
	for (run = g->m.replies; run.n > 0; g->nreplies++) {
		ipc_in_bytes(&in, ipc_cut_text(&run, &bad));
		assert_true(!bad && g->nreplies < LEN(g->replies));
		assert_true(ipc_get_relay_reply(&in, &g->replies[g->nreplies]));
	}
	for (run = g->m.results; run.n > 0; g->n++) {
		struct ipc_relay_result r;

		ipc_in_bytes(&in, ipc_cut_text(&run, &bad));
		assert_true(!bad && g->n < LEN(g->results));
		assert_true(ipc_get_relay_result(&in, &r));
		assert_true(r.reply < g->nreplies);
		g->results[g->n] = r.reply;
	}
}

static void
test_shared(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	struct answer_reply r = { .status = text("5.1.1"), .reply = text("x said: 550 5.1.1 no"), .remote = text("x"),
	    .command = text("RCPT"), .said = text("550 5.1.1 no") };
	struct answer a;
	struct ipc_out out;
	struct got *g = mem_alloc(sizeof *g);

	(void)state;
	ipc_out_init(&out);
	answer_init(&a, arena, 3);
	for (size_t i = 0; i < 3; i++) {
		if (i == 2)
			r.said = text("550 5.1.1 not either");
		a.results[i] = (struct answer_result){ .outcome = BOUNCE, .given = true, .reply = answer_reply(&a, &r) };
	}
	a.contact = CONTACT_GOOD;
	a.tls = "TLSv1.3 X verified";
	answer_put(&a, &out, 7);
	read_frame(&out, g);
	assert_int_equal(g->nreplies, 2);
	assert_int_equal(g->n, 3);
	assert_int_equal(g->results[1], 0);
	assert_int_equal(g->results[2], 1);
	assert_int_equal(g->m.contact, CONTACT_GOOD);
	assert_bytes_equal(g->m.tls, text("TLSv1.3 X verified"));
	assert_bytes_equal(g->replies[1].said, text("550 5.1.1 not either"));
	assert_bytes_equal(g->replies[0].command, text("RCPT"));
	ipc_out_fini(&out);
	mem_free(g);
	arena_free(&arena);
}

/* Another reply for each recipient, each as long as may be: every outcome arrives, and the replies that do. */
static void
test_many(void **state)
{
	static const size_t recipients[] = { 1, 13, 14, 100, 400, RCPTS };
	struct got *g = mem_alloc(sizeof *g);
	struct ipc_out out;
	char words[3000];

	(void)state;
	ipc_out_init(&out);
	for (size_t k = 0; k < LEN(recipients); k++) {
		struct arena *arena = arena_new(64 << 20);
		struct answer a;

		answer_init(&a, arena, recipients[k]);
		for (size_t i = 0; i < recipients[k]; i++) {
			struct answer_reply r = { .status = text("5.999.999"), .remote = bytes_of(words, 320),
			    .command = text("RCPT"), .said = bytes_of(words, 2500), .reply = bytes_of(words, 2500) };

			memset(words, 'x', sizeof words);
			snprintf(words, sizeof words, "%zu", i);
			a.results[i] = (struct answer_result){ .outcome = i % 2 ? BOUNCE : DELIVERED, .given = true,
			    .reply = answer_reply(&a, &r) };
		}
		answer_put(&a, &out, 1);
		read_frame(&out, g);
		assert_int_equal(g->n, recipients[k]);
		assert_bytes_equal(g->replies[g->results[0]].status, text("5.999.999"));
		for (size_t i = 0; i < g->n; i++) {
			const struct ipc_relay_reply *r = &g->replies[g->results[i]];

			assert_true(r->reply.n > 0 && r->status.n > 0);
			if (!bytes_eq(r->status, text("5.999.999")))
				assert_bytes_equal(r->status, text(i % 2 ? "5.0.0" : "2.0.0"));
		}
		arena_free(&arena);
	}
	ipc_out_fini(&out);
	mem_free(g);
}

/* What is cut is cut between characters. */
static void
test_cut(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	char words[1100];
	struct answer a;

	(void)state;
	memset(words, 'x', sizeof words);
	memcpy(words + 1023, "\xc3\xa9", 2);
	answer_init(&a, arena, 1);
	answer_reply(&a, &(struct answer_reply){ .reply = bytes_of(words, sizeof words) });
	assert_int_equal(a.replies[0].reply.n, 1023);
	memset(words, '\x80', sizeof words);		/* no UTF-8 at all */
	answer_reply(&a, &(struct answer_reply){ .reply = bytes_of(words, sizeof words) });
	assert_int_equal(a.replies[1].reply.n, 0);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
