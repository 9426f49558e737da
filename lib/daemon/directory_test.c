/* SPDX-License-Identifier: ISC */
#include "daemon/directory.h"

#include "base/mem.h"
#include "daemon/testing.h"
#include "mail/account.h"

#define PATIENCE_MS	20000

static struct loop loop;
static struct peers *peers;
static struct directory *directory;

/* The directory at the other end. */
static struct channel *far;
static bool mute, nonsense;
static size_t asked, checked;
static uint32_t ids[2 * DIRECTORY_CALLS];	/* what waits, while it is mute */
static size_t nids;

/* ---- what it says ---- */

static void
say(uint32_t id)
{
	struct ipc_out out;

	ipc_out_init(&out);
	if (nonsense)
		ipc_put_directory_answer(&out, id, &(struct ipc_directory_answer){ .verdict = NO, .row = text("uid=5") });
	else
		ipc_put_directory_answer(&out, id, &(struct ipc_directory_answer){ .verdict = YES, .row = text("uid=5\ngid=6") });
	channel_reply(far, id, &out);
	ipc_out_fini(&out);
}

static bool
on_frame(void *arg, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_directory_ask ask;
	struct ipc_directory_check check;
	struct ipc_out out;

	(void)arg, (void)c;
	if (in->type == IPC_directory_ask) {
		assert_true(ipc_get_directory_ask(in, &ask));
		asked++;
		if (mute && nids < LEN(ids))
			ids[nids++] = id;
		else if (!mute)
			say(id);
		return true;
	}
	assert_true(in->type == IPC_directory_check && ipc_get_directory_check(in, &check));
	checked++;
	if (mute)
		return true;
	ipc_out_init(&out);
	ipc_put_directory_checked(&out, id, &(struct ipc_directory_checked){ .verdict = nonsense ? 3
	    : bytes_eq(check.password, text("right")) ? YES : NO });
	channel_reply(far, id, &out);
	ipc_out_fini(&out);
	return true;
}

static void
come(void)
{
	far = neighbour(&loop, peers, on_frame, NULL, NULL);
}

static int
setup(void **state)
{
	(void)state;
	loop_init(&loop);
	peers = peers_new("directory");
	mute = nonsense = false;
	asked = checked = nids = 0;
	come();
	directory = directory_new(&loop, peers, 40000);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	directory_free(&directory);
	channel_close(&far);
	peers_free(&peers);
	run_ms(&loop, 1);
	loop_fini(&loop);
	return 0;
}

static bool
run_until(bool (*is_so)(void *arg), void *arg)
{
	for (int i = 0; i < PATIENCE_MS && !is_so(arg); i++)
		run_ms(&loop, 1);
	return is_so(arg);
}

/* ---- who asks ---- */

struct asker {
	struct lookup	 lookup;
	unsigned	 done, more;	/* so many further rounds, each of a new name */
	char		 name[32];
};

static enum verdict
get(struct asker *a, const char *name)
{
	struct account out;

	return account_memo_get(&a->lookup.memo, text(name), &out);
}

static void
on_done(void *arg)
{
	struct asker *a = arg;

	assert_int_equal(a->lookup.memo.wanted, 0);
	if (++a->done > a->more)
		return;
	snprintf(a->name, sizeof a->name, "name%u", a->done);
	get(a, a->name);
	if (a->lookup.memo.wanted > 0)
		lookup_begin(&a->lookup);
}

static void
begin(struct asker *a, unsigned names, unsigned more)
{
	char name[32];

	*a = (struct asker){ .more = more };
	lookup_init(&a->lookup, directory, on_done, a);
	for (unsigned i = 0; i < names; i++) {
		snprintf(name, sizeof name, "n%u", i);
		assert_int_equal(get(a, name), NOT_SURE);
	}
	lookup_begin(&a->lookup);
	assert_int_equal(a->done, 0);		/* never from within */
}

static bool
is_done(void *arg)
{
	return ((struct asker *)arg)->done > ((struct asker *)arg)->more;
}

static bool
has_asked(void *arg)
{
	return asked >= *(size_t *)arg;
}

static bool
has_checked(void *arg)
{
	return checked >= *(size_t *)arg;
}

/* ---- names ---- */

static void
test_names(void **state)
{
	struct asker a;

	(void)state;
	begin(&a, 3, 2);
	assert_true(run_until(is_done, &a));
	assert_int_equal(asked, 5);
	assert_int_equal(get(&a, "n2"), YES);
	assert_int_equal(get(&a, "name2"), YES);
	lookup_fini(&a.lookup);
}

/* With one more round nothing is asked, and what was wanted is not sure. */
static void
test_rounds(void **state)
{
	struct asker a;

	(void)state;
	for (unsigned rounds = DIRECTORY_ROUNDS; rounds <= DIRECTORY_ROUNDS + 1; rounds++) {
		asked = 0;
		begin(&a, 1, rounds - 1);
		assert_true(run_until(is_done, &a));
		assert_int_equal(asked, DIRECTORY_ROUNDS);
		assert_int_equal(get(&a, a.name), rounds > DIRECTORY_ROUNDS ? NOT_SURE : YES);
		assert_int_equal(get(&a, "n0"), YES);
		lookup_fini(&a.lookup);
	}
}

/* Of a long list so many at once, and of who comes later one in turn. */
static void
test_window(void **state)
{
	struct asker a, b;
	size_t n = DIRECTORY_CALLS;

	(void)state;
	mute = true;
	begin(&a, DIRECTORY_CALLS + 100, 0);
	assert_true(run_until(has_asked, &n));
	begin(&b, 1, 0);
	run_ms(&loop, 5);
	assert_int_equal(asked, DIRECTORY_CALLS);
	mute = false;
	say(ids[0]);
	say(ids[1]);
	assert_true(run_until(is_done, &b));
	for (size_t i = 2; i < nids; i++)
		say(ids[i]);
	assert_true(run_until(is_done, &a));
	assert_int_equal(asked, DIRECTORY_CALLS + 101);
	assert_int_equal(get(&a, "n355"), YES);
	lookup_fini(&a.lookup);
	lookup_fini(&b.lookup);
}

/* Whoever has had his last name asked when there is no more room stays in the queue; he may want a further one when it is answered, and
 * another's names are still before his. */
static void
test_round_while_others_wait(void **state)
{
	struct asker all, before, a;
	size_t n = DIRECTORY_CALLS;

	(void)state;
	mute = true;
	begin(&all, DIRECTORY_CALLS - 2, 0);
	begin(&before, 5, 0);			/* two are asked */
	begin(&a, 1, 1);			/* behind it */
	assert_true(run_until(has_asked, &n));
	say(ids[0]);
	say(ids[1]);
	n += 2;
	assert_true(run_until(has_asked, &n));
	mute = false;
	say(ids[n - 1]);			/* a's */
	for (size_t i = 2; i < nids - 1; i++)
		say(ids[i]);
	assert_true(run_until(is_done, &a) && run_until(is_done, &before) && run_until(is_done, &all));
	assert_int_equal(get(&a, "n0"), YES);
	assert_int_equal(get(&a, "name1"), YES);
	assert_int_equal(get(&before, "n4"), YES);
	lookup_fini(&all.lookup);
	lookup_fini(&before.lookup);
	lookup_fini(&a.lookup);
}

/* Whoever goes leaves nothing behind, asked or not. */
static void
test_forgotten(void **state)
{
	struct asker a, b;
	size_t n = DIRECTORY_CALLS;

	(void)state;
	mute = true;
	begin(&a, DIRECTORY_CALLS + 100, 0);
	begin(&b, 2, 0);
	assert_true(run_until(has_asked, &n));
	lookup_fini(&a.lookup);
	mute = false;
	for (size_t i = 0; i < nids; i++)
		say(ids[i]);		/* to nobody, but for b's */
	assert_int_equal(a.done, 0);
	lookup_fini(&b.lookup);
	begin(&b, 2, 0);
	assert_true(run_until(is_done, &b));
	assert_int_equal(a.done, 0);
	lookup_fini(&b.lookup);
}

static void
test_gone(void **state)
{
	struct asker a;
	size_t n = 3;

	(void)state;
	mute = true;
	begin(&a, 3, 0);
	assert_true(run_until(has_asked, &n));
	channel_close(&far);
	assert_true(run_until(is_done, &a));
	assert_int_equal(get(&a, "n0"), NOT_SURE);
	lookup_fini(&a.lookup);
	begin(&a, 3, 0);			/* nobody is there */
	assert_true(run_until(is_done, &a));
	assert_int_equal(get(&a, "n1"), NOT_SURE);
	lookup_fini(&a.lookup);
	mute = false;
	come();
	begin(&a, 3, 0);
	assert_true(run_until(is_done, &a));
	assert_int_equal(get(&a, "n2"), YES);
	lookup_fini(&a.lookup);
}

static void
test_nonsense(void **state)
{
	struct asker a;

	(void)state;
	nonsense = true;
	begin(&a, 2, 0);
	assert_true(run_until(is_done, &a));
	assert_int_equal(get(&a, "n0"), NOT_SURE);
	lookup_fini(&a.lookup);
}

/* ---- passwords ---- */

static size_t judged[3];

static void
on_judged(void *arg, enum verdict v)
{
	(void)arg;
	judged[v]++;
}

static bool
all_judged(void *arg)
{
	return judged[YES] + judged[NO] + judged[NOT_SURE] == *(size_t *)arg;
}

static uint64_t
check(const char *password)
{
	return directory_check(directory, text("anna@a.example"), text(password), text("192.0.2.1"), on_judged, NULL);
}

static void
test_passwords(void **state)
{
	size_t n = 3;
	uint64_t given_up;

	(void)state;
	memset(judged, 0, sizeof judged);
	check("right");
	check("wrong");
	given_up = check("right");
	check("");
	directory_check_cancel(directory, given_up);
	directory_check_cancel(directory, given_up);
	directory_check_cancel(directory, 0);
	assert_true(run_until(all_judged, &n));
	assert_int_equal(judged[YES], 1);
	assert_int_equal(judged[NO], 2);
	nonsense = true;
	check("right");
	n = 4;
	assert_true(run_until(all_judged, &n));
	assert_int_equal(judged[NOT_SURE], 1);
	nonsense = false;
	mute = true;
	check("right");
	channel_close(&far);
	n = 5;
	assert_true(run_until(all_judged, &n));
	assert_int_equal(judged[NOT_SURE], 2);
}

static void
test_many_passwords(void **state)
{
	size_t n = 1, all = DIRECTORY_CHECKS;

	(void)state;
	memset(judged, 0, sizeof judged);
	mute = true;
	for (size_t i = 0; i < DIRECTORY_CHECKS; i++)
		check("right");
	assert_true(run_until(has_checked, &all));
	assert_int_equal(judged[NOT_SURE], 0);
	check("right");
	assert_true(run_until(all_judged, &n));
	assert_int_equal(judged[NOT_SURE], 1);
	assert_int_equal(checked, DIRECTORY_CHECKS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_window, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_while_others_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_passwords, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_passwords, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
