/* SPDX-License-Identifier: ISC */
#include "mail/transport.h"
#include "proto/testing.h"

static const struct { const char *item; bool good; } items[] = {
	{ "example.org smtp:[192.0.2.1]:25", true },
	{ ".example.org smtp:", true },
	{ "* smtp:[relay.example.org]", true },
	{ "anna@example.org lmtp:[127.0.0.1]:24", true },
	{ "example.org  lmtp:unix:/run/lmtp", true },
	{ "example.org error:5.1.2 gone", true },
	{ "example.org smtp:[192.0.2.1]:25;from=192.0.2.5", true },
	{ "example.org smtp:;from=192.0.2.5,2001:db8::5", true },
	{ "example.org lmtp:[127.0.0.1]:24;from=127.0.0.2", true },
	{ "example.org lmtp:;from=127.0.0.2", false },
	{ "example.org smtp:;from=", false },
	{ "example.org smtp:;", false },
	{ "example.org smtp:[192.0.2.1];from=2001:db8::5", false },
	{ "example.org smtp:[192.0.2.1] ;from=192.0.2.5", false },
	{ "", false },
	{ "example.org", false },
	{ "example.org smtp", false },
	{ "example.org lmtp:", false },
	{ "example.org smtp:unix:/run/lmtp", false },
	{ "example.org smtp:[192.0.2.1", false },
	{ "example.org local:anna", false },
	{ "example.org error:gone", false },
	{ "example.org error:2.0.0 fine", false },
	{ "example.org error:5.1.2", false },
	{ "exa mple.org smtp:", false },
	{ "@example.org smtp:", false },
	{ ". smtp:", false },
	{ "*.example.org smtp:", false },
};

static void
test_items(void **state)
{
	char why[256];

	(void)state;
	for (size_t i = 0; i < LEN(items); i++)
		if (transport_item_check(items[i].item, why, sizeof why) != items[i].good)
			fail_msg("%s", items[i].item);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
