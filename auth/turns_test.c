/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/auth.h"
#include "base/clock.h"

#define MOST 64

struct all {
	struct loop	 loop;
	struct penalties *penalties;
	struct turns	*turns;
	char		 order[MOST + 1];	/* one letter each, as they had their turns */
	size_t		 n;
};

struct one { struct all *all; struct turn turn; char letter; const char *fails /* NULL, or the address, in its turn */, *user; };

static void
run(void *arg)
{
	struct one *o = arg;

	assert_false(o->turn.waits);
	o->all->order[o->all->n++] = o->letter;
	if (o->fails)
		penalty_failed(o->all->penalties, text(o->fails), text(o->user), clock_mono_ms());
}

static void
all_init(struct all *a)
{
	*a = (struct all){ .n = 0 };
	loop_init(&a->loop);
	a->penalties = penalties_new(-1);
	a->turns = turns_new(&a->loop, a->penalties, 0);
}

static void
all_fini(struct all *a)
{
	turns_free(&a->turns);
	penalties_free(&a->penalties);
	loop_fini(&a->loop);
}

static void
fail_before(struct all *a, const char *address, unsigned times)
{
	while (times-- > 0)
		penalty_failed(a->penalties, text(address), text("bert"), clock_mono_ms());
}

static void
ask(struct all *a, struct one *o, char letter, const char *address, const char *user, bool fails)
{
	*o = (struct one){ .all = a, .letter = letter, .fails = fails ? address : NULL, .user = user };
	turn_ask(a->turns, &o->turn, text(address), text(user), run, o);
}

static const struct { const char *asked, *want; } orders[] = {
	{ "a", "a" },
	{ "abc", "abc" },
	{ "DEabc", "abcDE" },		/* a capital has failed, D more often than E; the fourth turn is D's, who waits longest */
	{ "DEab", "abED" },
	{ "DDDDDDDDa", "aDDDDDDDD" },
	{ "DDDEabcab", "abcDabEDD" },	/* and the eighth */
};

static void
test_orders(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(orders); i++) {
		struct one ones[MOST];
		struct all a;

		all_init(&a);
		fail_before(&a, "192.0.2.68", 3);
		fail_before(&a, "192.0.2.69", 2);
		for (size_t at = 0; orders[i].asked[at] != '\0'; at++) {
			static char addresses[MOST][16];

			snprintf(addresses[at], sizeof addresses[at], "192.0.2.%d", orders[i].asked[at]);
			ask(&a, &ones[at], orders[i].asked[at], addresses[at], "anna", false);
		}
		loop_run(&a.loop);
		assert_string_equal(a.order, orders[i].want);
		all_fini(&a);
	}
}

/* Who has asked for many at once is behind others as soon as the first has failed. */
static void
test_many_at_once(void **state)
{
	struct one many[20], other;
	struct all a;

	(void)state;
	all_init(&a);
	for (size_t i = 0; i < LEN(many); i++)
		ask(&a, &many[i], 'm', "192.0.2.1", "anna", true);
	ask(&a, &other, 'o', "192.0.2.2", "anna", false);
	loop_run(&a.loop);
	assert_string_equal(a.order, "mo" "mmmmmmmmmm" "mmmmmmmmm");
	all_fini(&a);
}

/* From as many addresses as there are, all at one name: others are before them as soon as one has failed. */
static void
test_many_addresses(void **state)
{
	static char addresses[20][16];
	struct one many[20], other;
	struct all a;

	(void)state;
	all_init(&a);
	for (size_t i = 0; i < LEN(many); i++) {
		snprintf(addresses[i], sizeof addresses[i], "192.0.2.%zu", i);
		ask(&a, &many[i], 'm', addresses[i], "anna", true);
	}
	ask(&a, &other, 'o', "198.51.100.1", "bert", false);
	loop_run(&a.loop);
	assert_string_equal(a.order, "mo" "mmmmmmmmmm" "mmmmmmmmm");
	all_fini(&a);
}

/* Each from an address that nobody has seen, at a name of its own: who is known is not behind them. */
static void
test_new_addresses(void **state)
{
	static char addresses[20][16], names[20][16];
	struct one many[20], other;
	struct all a;

	(void)state;
	all_init(&a);
	penalty_passed(a.penalties, text("198.51.100.1"), text("anna"), clock_mono_ms());
	for (size_t i = 0; i < LEN(many); i++) {
		snprintf(addresses[i], sizeof addresses[i], "192.0.2.%zu", i);
		snprintf(names[i], sizeof names[i], "user%zu", i);
		ask(&a, &many[i], 'm', addresses[i], names[i], true);
	}
	ask(&a, &other, 'o', "198.51.100.1", "anna", false);
	loop_run(&a.loop);
	assert_string_equal(a.order, "o" "mmmmmmmmmm" "mmmmmmmmmm");
	all_fini(&a);
}

static void
test_leave(void **state)
{
	struct one ones[3];
	struct all a;

	(void)state;
	all_init(&a);
	for (size_t i = 0; i < LEN(ones); i++)
		ask(&a, &ones[i], (char)('a' + i), "192.0.2.1", "anna", false);
	turn_leave(a.turns, &ones[0].turn);
	turn_leave(a.turns, &ones[0].turn);
	turn_leave(a.turns, &ones[2].turn);
	loop_run(&a.loop);
	assert_string_equal(a.order, "b");
	turn_leave(a.turns, &ones[1].turn);
	ask(&a, &ones[0], 'a', "192.0.2.1", "anna", false);
	turn_leave(a.turns, &ones[0].turn);
	loop_run(&a.loop);			/* nothing is waited for */
	assert_string_equal(a.order, "b");
	all_fini(&a);
}

static void
test_worst(void **state)
{
	struct one ones[3];
	struct all a;

	(void)state;
	all_init(&a);
	assert_null(turns_worst(a.turns, text("192.0.2.9")));
	fail_before(&a, "192.0.2.2", 2);
	fail_before(&a, "192.0.2.3", 1);
	for (size_t i = 0; i < LEN(ones); i++) {
		static const char *const addresses[] = { "192.0.2.1", "192.0.2.2", "192.0.2.3" };

		ask(&a, &ones[i], (char)('a' + i), addresses[i], "anna", false);
	}
	assert_ptr_equal(turns_worst(a.turns, text("192.0.2.9")), &ones[1]);
	fail_before(&a, "192.0.2.9", 1);
	assert_ptr_equal(turns_worst(a.turns, text("192.0.2.9")), &ones[1]);
	fail_before(&a, "192.0.2.9", 1);
	assert_ptr_equal(turns_worst(a.turns, text("192.0.2.9")), &ones[1]);
	fail_before(&a, "192.0.2.9", 1);
	assert_null(turns_worst(a.turns, text("192.0.2.9")));
	fail_before(&a, "192.0.2.3", 1);
	assert_ptr_equal(turns_worst(a.turns, text("192.0.2.7")), &ones[2]);	/* the latest of those with two */
	penalty_passed(a.penalties, text("192.0.2.3"), text("anna"), clock_mono_ms());
	assert_ptr_equal(turns_worst(a.turns, text("192.0.2.7")), &ones[1]);	/* that one is known */
	penalty_passed(a.penalties, text("192.0.2.2"), text("anna"), clock_mono_ms());
	penalty_passed(a.penalties, text("192.0.2.1"), text("anna"), clock_mono_ms());
	assert_null(turns_worst(a.turns, text("192.0.2.7")));
	for (size_t i = 0; i < LEN(ones); i++)
		turn_leave(a.turns, &ones[i].turn);
	all_fini(&a);
}

/* Two at a time, each until it leaves; who has no failures is next. */
static void
test_places(void **state)
{
	struct one many[5], other;
	struct all a;

	(void)state;
	all_init(&a);
	turns_free(&a.turns);
	a.turns = turns_new(&a.loop, a.penalties, 2);
	for (size_t i = 0; i < LEN(many); i++)
		ask(&a, &many[i], (char)('0' + i), "192.0.2.1", "anna", true);
	ask(&a, &other, 'o', "192.0.2.2", "bert", false);
	loop_run(&a.loop);
	assert_string_equal(a.order, "0o");
	loop_run(&a.loop);
	assert_string_equal(a.order, "0o");
	turn_leave(a.turns, &many[4].turn);	/* which has none */
	loop_run(&a.loop);
	assert_string_equal(a.order, "0o");
	turn_leave(a.turns, &other.turn);
	turn_leave(a.turns, &other.turn);
	loop_run(&a.loop);
	assert_string_equal(a.order, "0o1");
	turn_leave(a.turns, &many[0].turn);
	turn_leave(a.turns, &many[1].turn);
	loop_run(&a.loop);
	assert_string_equal(a.order, "0o123");
	turn_leave(a.turns, &many[2].turn);
	turn_leave(a.turns, &many[3].turn);
	ask(&a, &other, 'o', "192.0.2.2", "bert", false);
	loop_run(&a.loop);
	assert_string_equal(a.order, "0o123o");
	turn_leave(a.turns, &other.turn);
	all_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_many_addresses),
		cmocka_unit_test(test_new_addresses),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_worst),
		cmocka_unit_test(test_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
