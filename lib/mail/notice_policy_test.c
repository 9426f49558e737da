/* SPDX-License-Identifier: ISC */
#include "mail/notice_policy.h"
#include "proto/testing.h"

/* ---- who is spoken of ------------------------------------------------------------------- */

static void
test_notify(void **state)
{
	static const struct { const char *name; enum rcpt_state state; uint32_t notify; const char *transport;
	    enum notice_kind kind; enum notice_action want; } rows[] = {
		{ "unsaid, failed", RCPT_FAILED, NOTIFY_UNSAID, "smtp", NOTICE_FINAL, ACTION_FAILED },
		{ "NEVER, failed", RCPT_FAILED, NOTIFY_NEVER, "smtp", NOTICE_FINAL, ACTION_NONE },
		{ "SUCCESS, failed", RCPT_FAILED, NOTIFY_SUCCESS, "smtp", NOTICE_FINAL, ACTION_NONE },
		{ "DELAY, failed", RCPT_FAILED, NOTIFY_DELAY, "smtp", NOTICE_FINAL, ACTION_NONE },
		{ "FAILURE, failed", RCPT_FAILED, NOTIFY_FAILURE, "smtp", NOTICE_FINAL, ACTION_FAILED },
		{ "NEVER with FAILURE", RCPT_FAILED, NOTIFY_NEVER | NOTIFY_FAILURE, "smtp", NOTICE_FINAL, ACTION_NONE },
		{ "told", RCPT_TOLD, NOTIFY_FAILURE, "smtp", NOTICE_FINAL, ACTION_NONE },
		{ "waits", RCPT_WAITING, NOTIFY_UNSAID, "smtp", NOTICE_FINAL, ACTION_NONE },
		{ "unsaid, delivered", RCPT_PASSED, NOTIFY_UNSAID, "local", NOTICE_FINAL, ACTION_NONE },
		{ "SUCCESS, delivered", RCPT_PASSED, NOTIFY_SUCCESS, "local", NOTICE_FINAL, ACTION_DELIVERED },
		{ "SUCCESS, relayed", RCPT_PASSED, NOTIFY_SUCCESS, "smtp", NOTICE_FINAL, ACTION_RELAYED },
		{ "FAILURE, relayed", RCPT_PASSED, NOTIFY_FAILURE, "smtp", NOTICE_FINAL, ACTION_NONE },
		{ "SUCCESS, told of it", RCPT_DELIVERED, NOTIFY_SUCCESS, "local", NOTICE_FINAL, ACTION_NONE },
		{ "unsaid, late", RCPT_WAITING, NOTIFY_UNSAID, "smtp", NOTICE_DELAY, ACTION_DELAYED },
		{ "DELAY, late", RCPT_WAITING, NOTIFY_DELAY, "smtp", NOTICE_DELAY, ACTION_DELAYED },
		{ "FAILURE, late", RCPT_WAITING, NOTIFY_FAILURE, "smtp", NOTICE_DELAY, ACTION_NONE },
		{ "NEVER, late", RCPT_WAITING, NOTIFY_NEVER, "smtp", NOTICE_DELAY, ACTION_NONE },
		{ "failed, late", RCPT_FAILED, NOTIFY_UNSAID, "smtp", NOTICE_DELAY, ACTION_NONE },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct recipient r = { .original = text("a@x.example"), .final = text("a@x.example"), .state = rows[i].state,
		    .notify = rows[i].notify, .transport = text(rows[i].transport) };
		struct envelope e = { .rcpts = &r, .nrcpts = 1 };
		struct arena *a = arena_new(1 << 20);
		struct notice_told *told;
		size_t failed, n = notice_recipients(&e, rows[i].kind, a, &told, &failed);

		assert_row_int(rows[i].name, n, rows[i].want != ACTION_NONE);
		assert_row_int(rows[i].name, failed, rows[i].want == ACTION_FAILED);
		if (n > 0)
			assert_row_int(rows[i].name, told[0].action, rows[i].want);
		arena_free(&a);
	}
}

/* Several addresses behind one, as "name:state" each with NOTIFY=SUCCESS,FAILURE; and what is said. */
static void
test_aliases(void **state)
{
	static const struct { const char *name, *originals; enum rcpt_state states[4]; size_t n, failed;
	    struct { uint32_t rcpt; enum notice_action action; bool alias; } want[4]; } rows[] = {
		{ "two of one", "aa", { RCPT_PASSED, RCPT_PASSED }, 1, 0, { { 0, ACTION_EXPANDED, true } } },
		{ "one told before", "aa", { RCPT_DELIVERED, RCPT_PASSED }, 0, 0, { { 0, 0, false } } },
		{ "one of it fails", "aab", { RCPT_PASSED, RCPT_FAILED, RCPT_PASSED }, 3, 1,
		    { { 1, ACTION_FAILED, true }, { 0, ACTION_EXPANDED, true }, { 2, ACTION_DELIVERED, false } } },
		{ "apart in the envelope", "abab", { RCPT_PASSED, RCPT_FAILED, RCPT_PASSED, RCPT_FAILED }, 3, 2,
		    { { 1, ACTION_FAILED, true }, { 3, ACTION_FAILED, true }, { 0, ACTION_EXPANDED, true } } },
		{ "no originals", "--", { RCPT_PASSED, RCPT_PASSED }, 2, 0,
		    { { 0, ACTION_DELIVERED, false }, { 1, ACTION_DELIVERED, false } } },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct recipient r[4];
		struct envelope e = { .rcpts = r, .nrcpts = strlen(rows[i].originals) };
		struct arena *a = arena_new(1 << 20);
		struct notice_told *told;
		size_t failed, n;

		for (size_t k = 0; k < e.nrcpts; k++)
			r[k] = (struct recipient){ .final = text("f@x.example"), .state = rows[i].states[k],
			    .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE, .transport = text("local"),
			    .original = rows[i].originals[k] == '-' ? text(NULL) : bytes_of(rows[i].originals + k, 1) };
		n = notice_recipients(&e, NOTICE_FINAL, a, &told, &failed);
		assert_row_int(rows[i].name, n, rows[i].n);
		assert_row_int(rows[i].name, failed, rows[i].failed);
		for (size_t k = 0; k < n; k++) {
			assert_row_int(rows[i].name, told[k].rcpt, rows[i].want[k].rcpt);
			assert_row_int(rows[i].name, told[k].action, rows[i].want[k].action);
			assert_row_int(rows[i].name, told[k].alias, rows[i].want[k].alias);
		}
		arena_free(&a);
	}
}

/* ---- to whom --------------------------------------------------------------------------------- */

enum { STRANGERS = 1, DISCARD = 2 };

static void
test_to_whom(void **state)
{
	static const struct { const char *name, *sender, *client, *account; enum origin origin; unsigned set; size_t failed;
	    enum notice_to want, refused; } rows[] = {
		/* whom we know */
		{ "account", "s@x", "198.51.100.1", "anna", ORIGIN_CLIENT, 0, 1, NOTICE_TO_SENDER, NOTICE_TO_POSTMASTER },
		{ "sendmail", "s@x", "local", "uid 5", ORIGIN_LOCAL_USER, 0, 1, NOTICE_TO_SENDER, NOTICE_TO_POSTMASTER },
		{ "trusted network", "s@x", "192.0.2.77", "", ORIGIN_CLIENT, 0, 1, NOTICE_TO_SENDER, NOTICE_TO_POSTMASTER },
		{ "loopback", "s@x", "127.0.0.1", "", ORIGIN_CLIENT, 0, 1, NOTICE_TO_SENDER, NOTICE_TO_POSTMASTER },
		{ "loopback of IPv6", "s@x", "::1", "", ORIGIN_CLIENT, 0, 1, NOTICE_TO_SENDER, NOTICE_TO_POSTMASTER },
		{ "account, a delay", "s@x", "198.51.100.1", "anna", ORIGIN_CLIENT, 0, 0, NOTICE_TO_SENDER, NOTICE_TO_NOBODY },
		{ "account, discard", "s@x", "198.51.100.1", "anna", ORIGIN_CLIENT, DISCARD, 1, NOTICE_TO_SENDER,
		    NOTICE_TO_NOBODY },
		/* strangers */
		{ "stranger", "s@x", "198.51.100.1", "", ORIGIN_CLIENT, 0, 1, NOTICE_TO_SENDER_OF_OURS, NOTICE_TO_HOLD },
		{ "just outside", "s@x", "192.0.3.0", "", ORIGIN_CLIENT, 0, 1, NOTICE_TO_SENDER_OF_OURS, NOTICE_TO_HOLD },
		{ "no address", "s@x", "", "", ORIGIN_CLIENT, 0, 1, NOTICE_TO_SENDER_OF_OURS, NOTICE_TO_HOLD },
		{ "stranger, nothing failed", "s@x", "198.51.100.1", "", ORIGIN_CLIENT, 0, 0, NOTICE_TO_SENDER_OF_OURS,
		    NOTICE_TO_NOBODY },
		{ "stranger, discard", "s@x", "198.51.100.1", "", ORIGIN_CLIENT, DISCARD, 1, NOTICE_TO_SENDER_OF_OURS,
		    NOTICE_TO_HOLD },
		{ "strangers welcome", "s@x", "198.51.100.1", "", ORIGIN_CLIENT, STRANGERS, 1, NOTICE_TO_SENDER,
		    NOTICE_TO_POSTMASTER },
		/* notifications, ours and others' */
		{ "null sender", "", "198.51.100.1", "", ORIGIN_CLIENT, 0, 1, NOTICE_TO_POSTMASTER, NOTICE_TO_POSTMASTER },
		{ "null sender, a delay", "", "127.0.0.1", "", ORIGIN_CLIENT, STRANGERS, 0, NOTICE_TO_NOBODY, NOTICE_TO_NOBODY },
		{ "null sender, discard", "", "127.0.0.1", "", ORIGIN_CLIENT, DISCARD, 1, NOTICE_TO_NOBODY, NOTICE_TO_NOBODY },
		{ "our own", "", "local", "", ORIGIN_NOTICE, 0, 1, NOTICE_TO_POSTMASTER, NOTICE_TO_POSTMASTER },
		{ "to postmaster", "", "local", "", ORIGIN_NOTICE_POSTMASTER, 0, 1, NOTICE_TO_HOLD, NOTICE_TO_HOLD },
		{ "to postmaster, a delay", "", "local", "", ORIGIN_NOTICE_POSTMASTER, 0, 0, NOTICE_TO_NOBODY, NOTICE_TO_NOBODY },
		{ "to postmaster, discard", "", "local", "", ORIGIN_NOTICE_POSTMASTER, DISCARD, 1, NOTICE_TO_HOLD,
		    NOTICE_TO_HOLD },
	};
	char network[] = "192.0.2.0/24", *networks[] = { network };
	struct relay_rule relay;

	(void)state;
	relay_rule_init(&relay, &(struct setting_list){ .item = networks, .n = 1 });
	for (size_t i = 0; i < LEN(rows); i++) {
		struct envelope e = { .sender = text(rows[i].sender), .client = text(rows[i].client),
		    .account = text(rows[i].account), .origin = rows[i].origin };
		struct notice_policy p = { .relay = &relay, .to_strangers = rows[i].set & STRANGERS,
		    .to_postmaster = !(rows[i].set & DISCARD) };
		const char *why;
		enum notice_to to = notice_to(&p, &e, rows[i].failed, &why);

		assert_row_int(rows[i].name, to, rows[i].want);
		assert_row_int(rows[i].name, why != NULL, to == NOTICE_TO_HOLD);
		to = notice_to_else(&p, &e, rows[i].failed, to, &why);
		assert_row_int(rows[i].name, to, rows[i].refused);
		assert_row_int(rows[i].name, why != NULL, to == NOTICE_TO_HOLD);
	}
	relay_rule_fini(&relay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_to_whom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
