/* SPDX-License-Identifier: ISC */
/* A hand that takes copies away, or puts others in their place, while they are being written. */
#include "mail/ledger_testing.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A hand takes one of them away again and again, between any two calls: that is one copy lost, and no failure. */
static void
test_copy_is_lost_meanwhile(void **state)
{
	struct ledger *l = opened();
	pid_t hand;

	(void)state;
	give(l, "n", 10, 1);
	ledger_free(&l);
	hand = fork();
	assert_int_not_equal(hand, -1);
	if (hand == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (hand == 0)
		unlinkat(dir, "m.ledger2", 0);
	for (int i = 0; i < 300; i++) {
		l = opened();
		assert_int_equal(uid_of(l, "n9"), 10);
		ledger_free(&l);
	}
	assert_int_equal(kill(hand, SIGKILL), 0);
	assert_int_equal(waitpid(hand, NULL, 0), hand);
}

/* What is asked of a ledger that was loaded, after a hand has been at its copies: it is all there, in two whole copies. */
static void
write_after_a_hand(void (*hand)(const char *name), const char *name)
{
	struct ledger *l = opened();
	uint32_t uid = 1, flags = MAIL_FLAGGED, validity = ledger_uidvalidity(l);
	uint64_t floor = ledger_modseq_floor(l) + 5;

	give(l, "n", 10, ledger_uidnext(l));
	hand(name);
	give(l, "late", 2, ledger_uidnext(l));
	hand(name);
	assert_true(ledger_set_flags(l, &uid, &flags, 1, true));
	hand(name);
	assert_true(ledger_raise_floor(l, floor));
	for (int i = 0; i < 2; i++) {
		struct ledger_state state;

		assert_true(ledger_state(l, &state));
		ledger_free(&l);
		assert_int_equal(unlinkat(dir, files[i], 0), 0);	/* either has all of it */
		l = opened();
		assert_int_equal(ledger_uidvalidity(l), validity);
		assert_int_equal(ledger_uidnext(l), 13);
		assert_int_equal(uid_of(l, "n9"), 10);
		assert_int_equal(uid_of(l, "late1"), 12);
		assert_int_equal(ledger_flags(l, text("n0")), MAIL_FLAGGED);
		assert_int_equal(ledger_modseq_floor(l), floor);
	}
	ledger_free(&l);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(unlinkat(dir, files[i], 0), 0);
}

static void
take_away(const char *name)
{
	assert_int_equal(unlinkat(dir, name, 0), 0);
}

/* As rsync does, or an editor: another file has the name, shorter than what we know. */
static void
put_another(const char *name)
{
	take_away(name);
	overwrite_new(name, text("of yesterday"));
}

static void
put_link(const char *name)
{
	take_away(name);
	assert_int_equal(symlinkat("/etc/passwd", dir, name), 0);
}

static void
test_hands_between_reading_and_writing(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		write_after_a_hand(take_away, files[i]);
		write_after_a_hand(put_another, files[i]);
		write_after_a_hand(put_link, files[i]);
	}
}

/* Nothing is written, and nothing that was not is told, where a copy is only out of reach. */
static void
test_directory_gone_meanwhile(void **state)
{
	struct ledger *l = opened();
	uint32_t uid;
	struct bytes name = text("late");

	(void)state;
	give(l, "n", 3, 1);
	assert_int_equal(unlinkat(dir, files[0], 0), 0);
	assert_int_equal(unlinkat(dir, files[1], 0), 0);
	assert_int_equal(unlinkat(dir, "m.lock", 0), 0);
	assert_int_equal(rmdir(dir_name), 0);
	assert_false(ledger_give(l, &name, 1, &uid));
	assert_int_equal(errno, ENOENT);
	assert_false(ledger_give(l, &name, 1, &uid));
	assert_int_equal(errno, EIO);		/* until it is loaded again */
	ledger_free(&l);
	assert_int_equal(mkdir(dir_name, 0700), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_copy_is_lost_meanwhile), T(test_hands_between_reading_and_writing),
		T(test_directory_gone_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
