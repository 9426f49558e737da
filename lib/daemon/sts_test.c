/* SPDX-License-Identifier: ISC */
#include "daemon/sts.h"
#include "daemon/testing.h"

/* fetch at the other end of a channel, and one that asks it. */
struct house {
	struct loop	 loop;
	struct peers	*peers;
	struct channel	*fetch;		/* NULL: gone */
	struct sts	*sts;
	uint32_t	 id;		/* of the last question */
	char		 domain[254];
	bool		 mute;		/* does not answer */
	struct ipc_sts_answer answer;	/* what it says */

	unsigned	 answers;	/* that were given */
	enum sts_result	 result;
	enum mta_sts_mode mode;
	size_t		 nmx;
	char		 why[512];
	bool		 free_in_answer;
};

static bool
on_question(void *arg, struct channel *c, struct ipc_in *in)
{
	struct house *h = arg;
	struct ipc_sts_ask m;
	struct ipc_out out;

	if (!ipc_get_sts_ask(in, &m))
		return false;
	h->id = in->id;
	assert_true(bytes_to_text(m.domain, h->domain, sizeof h->domain));
	if (h->mute)
		return true;
	ipc_out_init(&out);
	ipc_put_sts_answer(&out, h->id, &h->answer);
	channel_reply(c, h->id, &out);
	ipc_out_fini(&out);
	return true;
}

static void
on_gone(void *arg, struct channel *c)
{
	(void)c;
	((struct house *)arg)->fetch = NULL;
}

static void
on_answer(void *arg, const struct sts_answer *a)
{
	struct house *h = arg;

	h->answers++;
	h->result = a->result;
	h->mode = a->sts.policy.mode;
	h->nmx = a->sts.policy.nmx;
	assert_true(bytes_to_text(a->why, h->why, sizeof h->why));
	if (h->free_in_answer)
		sts_free(&h->sts);
}

static void
begin(struct house *h)
{
	*h = (struct house){ .answer = { .result = STS_POLICY, .mode = MTA_STS_ENFORCE, .id = OCTETS("1"),
	    .mx = OCTETS("\4\0\0\0mx.a\5\0\0\0*.b.c") } };
	loop_init(&h->loop);
	h->peers = peers_new("fetch");
	h->sts = sts_new(h->peers);
	h->fetch = neighbour(&h->loop, h->peers, on_question, on_gone, h);
	run_ms(&h->loop, 1);
}

static void
end(struct house *h)
{
	sts_free(&h->sts);
	channel_close(&h->fetch);
	peers_free(&h->peers);
	run_ms(&h->loop, 1);
	loop_fini(&h->loop);
}

static void
test_answers(void **state)
{
	const struct {
		const char *row;
		struct ipc_sts_answer m;
		enum sts_result want;
		size_t nmx;
	} rows[] = {
		{ "a policy", { .result = STS_POLICY, .mode = MTA_STS_TESTING, .mx = OCTETS("\1\0\0\0a") }, STS_POLICY, 1 },
		{ "none", { .result = STS_NO_POLICY }, STS_NO_POLICY, 0 },
		{ "not known", { .result = STS_UNKNOWN }, STS_UNKNOWN, 0 },
		{ "the mode none", { .result = STS_POLICY, .mode = MTA_STS_NONE }, STS_POLICY, 0 },
		{ "no mx", { .result = STS_POLICY, .mode = MTA_STS_ENFORCE }, STS_UNKNOWN, 0 },
		{ "no such result", { .result = 3 }, STS_UNKNOWN, 0 },
		{ "no such mode", { .result = STS_POLICY, .mode = 3, .mx = OCTETS("\1\0\0\0a") }, STS_UNKNOWN, 0 },
		{ "no pattern", { .result = STS_POLICY, .mode = MTA_STS_ENFORCE, .mx = OCTETS("\1\0\0\0*") }, STS_UNKNOWN, 0 },
		{ "a broken run", { .result = STS_POLICY, .mode = MTA_STS_ENFORCE, .mx = OCTETS("\2\0\0\0a") }, STS_UNKNOWN, 0 },
		{ "mx of no policy", { .result = STS_NO_POLICY, .mx = OCTETS("\1\0\0\0a") }, STS_NO_POLICY, 0 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct house h;

		begin(&h);
		h.answer = rows[i].m;
		sts_ask(h.sts, text("example.org"), 1000, on_answer, &h);
		assert_int_equal(h.answers, 0);		/* from the loop */
		run_ms(&h.loop, 20);
		assert_row_int(rows[i].row, h.answers, 1);
		assert_row_int(rows[i].row, h.result, rows[i].want);
		assert_row_int(rows[i].row, h.nmx, rows[i].nmx);
		assert_string_equal(h.domain, "example.org");
		end(&h);
	}
}

static void
many(size_t n, enum sts_result want)
{
	struct house h;
	struct buf mx;

	begin(&h);
	buf_init(&mx, 49152);
	for (size_t i = 0; i < n; i++)
		ipc_add_text(&mx, text("mx.example.org"));
	h.answer.mx = buf_bytes(&mx);
	sts_ask(h.sts, text("a"), 1000, on_answer, &h);
	run_ms(&h.loop, 20);
	assert_int_equal(h.result, want);
	buf_fini(&mx);
	end(&h);
}

static void
test_limit(void **state)
{
	(void)state;
	many(MTA_STS_MX_MAX, STS_POLICY);
	many(MTA_STS_MX_MAX + 1, STS_UNKNOWN);
}

static void
test_silence(void **state)
{
	struct house h;

	(void)state;
	begin(&h);
	h.mute = true;
	sts_ask(h.sts, text("a"), 30, on_answer, &h);
	run_ms(&h.loop, 100);
	assert_int_equal(h.answers, 1);
	assert_int_equal(h.result, STS_UNKNOWN);
	assert_string_equal(h.why, "fetch does not answer");
	channel_close(&h.fetch);
	run_ms(&h.loop, 5);
	sts_ask(h.sts, text("a"), 1000, on_answer, &h);
	run_ms(&h.loop, 20);
	assert_int_equal(h.answers, 2);
	end(&h);
}

static void
test_cancel(void **state)
{
	struct house h;
	uint64_t first;

	(void)state;
	begin(&h);
	first = sts_ask(h.sts, text("a"), 1000, on_answer, &h);
	sts_ask(h.sts, text("b"), 1000, on_answer, &h);
	sts_cancel(h.sts, first);
	sts_cancel(h.sts, first);
	sts_cancel(h.sts, 0);
	run_ms(&h.loop, 20);
	assert_int_equal(h.answers, 1);
	h.free_in_answer = true;
	sts_ask(h.sts, text("a"), 1000, on_answer, &h);
	sts_ask(h.sts, text("b"), 1000, on_answer, &h);
	run_ms(&h.loop, 20);
	assert_int_equal(h.answers, 2);
	end(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
