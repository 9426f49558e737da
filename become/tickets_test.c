/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "become/become.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int
keep(struct tickets *t, const char *secret, const char *protocol, uint64_t now)
{
	return tickets_keep(t, text(secret), text("anna@hermod.test"), text(protocol), (struct owner){ 1000, 1000 },
	    text("maildir:/mail/anna"), now);
}

static void
test_once(void **state)
{
	struct tickets t = { 0 };
	struct ticket *k;

	(void)state;
	assert_int_equal(keep(&t, A, "pop3", 100), 0);
	assert_null(tickets_take(&t, text(B), text("pop3"), 101));	/* login cannot make one up */
	k = tickets_take(&t, text(A), text("pop3"), 101);
	assert_non_null(k);
	assert_string_equal(k->account, "anna@hermod.test");
	assert_string_equal(k->mailbox, "maildir:/mail/anna");
	assert_int_equal(k->owner.uid, 1000);
	ticket_free(&k);
	assert_null(tickets_take(&t, text(A), text("pop3"), 101));	/* once */
	assert_int_equal(t.n, 0);
}

static void
test_protocol(void **state)
{
	struct tickets t = { 0 };

	(void)state;
	assert_int_equal(keep(&t, A, "imap", 0), 0);
	assert_null(tickets_take(&t, text(A), text("pop3"), 0));
	assert_null(tickets_take(&t, text(A), text("imap"), 0));	/* the wrong try used it up */
}

static void
test_time(void **state)
{
	struct tickets t = { 0 };
	struct ticket *k;

	(void)state;
	assert_int_equal(keep(&t, A, "pop3", 0), 0);
	assert_int_equal(keep(&t, B, "pop3", 1), 0);
	assert_null(tickets_take(&t, text(A), text("pop3"), TICKET_MS));
	assert_non_null(k = tickets_take(&t, text(B), text("pop3"), TICKET_MS));
	ticket_free(&k);
}

static void
test_malformed(void **state)
{
	struct tickets t = { 0 };
	static const char zero[TICKET_OCTETS];

	(void)state;
	assert_int_equal(keep(&t, "short", "pop3", 0), EINVAL);
	assert_int_equal(keep(&t, A, "", 0), EINVAL);
	assert_int_equal(keep(&t, A, "pop3", 0), 0);
	assert_int_equal(keep(&t, A, "pop3", 0), EEXIST);
	assert_int_equal(tickets_keep(&t, text(B), bytes_of("a\0b", 3), text("pop3"), (struct owner){ 1, 1 },
	    text("maildir:/x"), 0), EINVAL);
	assert_null(tickets_take(&t, text(""), text("pop3"), 0));
	assert_null(tickets_take(&t, bytes_of(zero, sizeof zero), text("pop3"), 0));
	tickets_wipe(&t);
	assert_int_equal(t.n, 0);
	assert_null(t.first);
}

static void
test_bound(void **state)
{
	struct tickets t = { 0 };

	(void)state;
	for (unsigned i = 0; i < TICKETS_MAX; i++) {
		unsigned char secret[TICKET_OCTETS] = { (unsigned char)i, (unsigned char)(i >> 8), 1 };

		assert_int_equal(tickets_keep(&t, bytes_of(secret, sizeof secret), text("a"), text("pop3"),
		    (struct owner){ 1000, 1000 }, text("maildir:/x"), 0), 0);
	}
	assert_int_equal(keep(&t, A, "pop3", 0), EAGAIN);
	assert_int_equal(keep(&t, A, "pop3", TICKET_MS), 0);		/* the old ones are over */
	assert_int_equal(t.n, 1);
	tickets_wipe(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_protocol),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
