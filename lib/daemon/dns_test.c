/* SPDX-License-Identifier: ISC */
#include "daemon/dns.h"
#include "daemon/testing.h"

/* A resolver at the other end of a channel, and one that asks it. */
struct house {
	struct loop	 loop;
	struct peers	*peers;
	struct channel	*resolver;	/* NULL: gone */
	struct dns	*dns;
	unsigned	 asked;		/* questions that came */
	uint32_t	 id;		/* of the last */
	char		 name[256];
	bool		 mute;		/* does not answer */
	struct ipc_dns_answer answer;	/* what it says */

	unsigned	 answers;	/* that were given */
	enum dns_result	 result;
	bool		 secure;
	size_t		 n, unfit;
	char		 first[256], why[256];
	bool		 free_in_answer, ask_in_answer;
};

static void
reply(struct house *h)
{
	struct ipc_out out;

	ipc_out_init(&out);
	ipc_put_dns_answer(&out, h->id, &h->answer);
	channel_reply(h->resolver, h->id, &out);
	ipc_out_fini(&out);
}

static bool
on_question(void *arg, struct channel *c, struct ipc_in *in)
{
	struct house *h = arg;
	struct ipc_dns_ask m;

	(void)c;
	if (!ipc_get_dns_ask(in, &m))
		return false;
	h->asked++;
	h->id = in->id;
	assert_true(bytes_to_text(m.name, h->name, sizeof h->name));
	if (!h->mute)
		reply(h);
	return true;
}

static void
on_gone(void *arg, struct channel *c)
{
	(void)c;
	((struct house *)arg)->resolver = NULL;
}

static void	on_answer(void *arg, const struct dns_answer *a);

static uint64_t
ask(struct house *h, const char *name)
{
	return dns_ask(h->dns, text(name), DNS_MX, 1000, on_answer, h);
}

static void
on_answer(void *arg, const struct dns_answer *a)
{
	struct house *h = arg;

	h->answers++;
	h->result = a->result;
	h->secure = a->secure;
	h->n = a->n;
	h->unfit = a->unfit;
	h->first[0] = '\0';
	if (a->n > 0)
		assert_true(bytes_to_text(a->records[0].mx.name, h->first, sizeof h->first));
	assert_true(bytes_to_text(a->why, h->why, sizeof h->why));
	if (h->ask_in_answer) {
		h->ask_in_answer = false;
		ask(h, "again.example");
	}
	if (h->free_in_answer)
		dns_free(&h->dns);
}

static void
begin(struct house *h)
{
	*h = (struct house){ .answer = { .result = DNS_FOUND, .secure = 1, .ttl = 60,
	    .records = OCTETS("\16\0\0\0\0\12\2mx\7example\0") } };
	loop_init(&h->loop);
	h->peers = peers_new("resolver");
	h->dns = dns_new(&h->loop, h->peers);
	h->resolver = neighbour(&h->loop, h->peers, on_question, on_gone, h);
	run_ms(&h->loop, 1);
}

static void
end(struct house *h)
{
	dns_free(&h->dns);
	channel_close(&h->resolver);
	peers_free(&h->peers);
	run_ms(&h->loop, 1);
	loop_fini(&h->loop);
}

static void
test_found(void **state)
{
	struct house h;

	(void)state;
	begin(&h);
	assert_true(ask(&h, "Example.") != 0);
	assert_int_equal(h.answers, 0);		/* never from within */
	run_ms(&h.loop, 20);
	assert_int_equal(h.answers, 1);
	assert_int_equal(h.result, DNS_FOUND);
	assert_true(h.secure);
	assert_string_equal(h.first, "mx.example");
	assert_string_equal(h.name, "Example.");
	end(&h);
}

static void
test_no_names(void **state)
{
	struct house h;
	char long_name[300];

	(void)state;
	begin(&h);
	memset(long_name, 'a', sizeof long_name);
	long_name[sizeof long_name - 1] = '\0';
	ask(&h, "");
	ask(&h, "a b");
	ask(&h, long_name);
	assert_int_equal(h.answers, 0);
	run_ms(&h.loop, 20);
	assert_int_equal(h.answers, 3);
	assert_int_equal(h.result, DNS_NO_NAME);
	assert_int_equal(h.asked, 0);
	end(&h);
}

static void
test_silent(void **state)
{
	struct house h;

	(void)state;
	begin(&h);
	h.mute = true;
	dns_ask(h.dns, text("a.example"), DNS_MX, 20, on_answer, &h);
	run_ms(&h.loop, 100);
	assert_int_equal(h.answers, 1);
	assert_int_equal(h.result, DNS_FAILED);
	reply(&h);				/* too late */
	run_ms(&h.loop, 20);
	assert_int_equal(h.answers, 1);
	end(&h);
}

/* It dies, and is not there afterwards. */
static void
test_gone(void **state)
{
	struct house h;

	(void)state;
	begin(&h);
	h.mute = true;
	ask(&h, "a.example");
	run_ms(&h.loop, 10);
	channel_close(&h.resolver);
	run_ms(&h.loop, 10);
	assert_int_equal(h.answers, 1);
	assert_int_equal(h.result, DNS_FAILED);
	ask(&h, "b.example");
	assert_int_equal(h.answers, 1);
	run_ms(&h.loop, 10);
	assert_int_equal(h.answers, 2);
	assert_int_equal(h.result, DNS_FAILED);
	assert_true(h.why[0] != '\0');
	end(&h);
}

static void
test_cancelled(void **state)
{
	struct house h;
	uint64_t first, second, third;

	(void)state;
	begin(&h);
	first = ask(&h, "a.example");
	second = ask(&h, "b.example");
	third = ask(&h, "no name");
	dns_cancel(h.dns, first);
	dns_cancel(h.dns, third);
	dns_cancel(h.dns, 0);
	run_ms(&h.loop, 20);
	assert_int_equal(h.asked, 2);
	assert_int_equal(h.answers, 1);
	dns_cancel(h.dns, second);		/* answered already */
	end(&h);
}

static void
test_free_while_asked(void **state)
{
	struct house h;

	(void)state;
	begin(&h);
	ask(&h, "a.example");
	ask(&h, "no name");
	dns_free(&h.dns);
	run_ms(&h.loop, 20);
	assert_int_equal(h.answers, 0);
	h.dns = dns_new(&h.loop, h.peers);
	h.free_in_answer = h.ask_in_answer = true;
	ask(&h, "b.example");
	run_ms(&h.loop, 20);
	assert_int_equal(h.answers, 1);
	assert_null(h.dns);
	end(&h);
}

static const struct {
	const char *row;
	struct ipc_dns_answer m;
	enum dns_result want;
	size_t n, unfit;
	bool secure;
} rows[] = {
	{ "a result of tomorrow", { .result = DNS_BOGUS + 1 }, DNS_FAILED, 0, 0, false },
	{ "bogus is never secure", { .result = DNS_BOGUS, .secure = 1 }, DNS_BOGUS, 0, 0, false },
	{ "no name, secure", { .result = DNS_NO_NAME, .secure = 1 }, DNS_NO_NAME, 0, 0, true },
	{ "secure is 1", { .result = DNS_NO_DATA, .secure = 2 }, DNS_NO_DATA, 0, 0, false },
	{ "found, and nothing", { .result = DNS_FOUND }, DNS_FAILED, 0, 0, false },
	{ "records of no result", { .result = DNS_NO_DATA, .records = { (const unsigned char *)"x", 1 } }, DNS_NO_DATA, 0, 0, false },
	{ "a run that breaks off", { .result = DNS_FOUND, .secure = 1, .records = { (const unsigned char *)"\3\0\0\0\0\0\0\4\0\0", 10 } },
	  DNS_FAILED, 0, 0, false },
	{ "one unfit", { .result = DNS_FOUND, .secure = 1, .records = { (const unsigned char *)"\3\0\0\0\0\0\0\1\0\0\0x", 12 } },
	  DNS_FOUND, 1, 1, true },
	{ "all unfit", { .result = DNS_FOUND, .secure = 1, .records = { (const unsigned char *)"\1\0\0\0x\1\0\0\0y", 10 } },
	  DNS_FAILED, 0, 0, false },
};

static void
test_decoded(void **state)
{
	struct arena *a = arena_new(DNS_ANSWER_ARENA);
	struct dns_answer out;

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		dns_answer_decode(&rows[i].m, DNS_MX, a, &out);
		assert_row_int(rows[i].row, out.result, rows[i].want);
		assert_row_int(rows[i].row, out.n, rows[i].n);
		assert_row_int(rows[i].row, out.unfit, rows[i].unfit);
		assert_row_int(rows[i].row, out.secure, rows[i].secure);
		arena_reset(a);
	}
	arena_free(&a);
}

/* As many as a message can hold, of the smallest and of the largest kind. */
static void
test_full(void **state)
{
	static const unsigned char long_txt[] = { 255 };
	struct arena *a = arena_new(DNS_ANSWER_ARENA);
	struct dns_answer out;
	struct buf run;
	unsigned char txt[256] = { 0 };
	size_t n;

	(void)state;
	memcpy(txt, long_txt, 1);
	buf_init(&run, 49152);
	for (n = 0; run.n + 5 <= run.max; n++)
		ipc_add_text(&run, OCTETS("\0"));
	dns_answer_decode(&(struct ipc_dns_answer){ .result = DNS_FOUND, .records = buf_bytes(&run) }, DNS_TXT, a, &out);
	assert_int_equal(out.n, n);
	arena_reset(a);
	buf_clear(&run);
	for (n = 0; run.n + 4 + sizeof txt <= run.max; n++)
		ipc_add_text(&run, bytes_of(txt, sizeof txt));
	dns_answer_decode(&(struct ipc_dns_answer){ .result = DNS_FOUND, .records = buf_bytes(&run) }, DNS_TXT, a, &out);
	assert_int_equal(out.n, n);
	assert_int_equal(out.records[n - 1].text.n, 255);
	buf_fini(&run);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_free_while_asked),
		cmocka_unit_test(test_decoded),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
