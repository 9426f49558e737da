/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "proto/rfc5322_message_id.h"

static const struct { const char *message, *want; } cases[] = {
	{ "Message-ID: <a@b.example>\r\n\r\n", "a@b.example" },
	{ "MESSAGE-id:<a@b.example>\n\n", "a@b.example" },
	{ "Message-ID : <a@b.example>\r\n", "a@b.example" },
	{ "Subject: x\r\nMessage-ID:\r\n <a@b.example>\r\n\r\n", "a@b.example" },
	{ "Message-ID: <a@\r\n b.example>\r\n\r\n", "a@b.example" },
	{ "Message-ID: a@b.example\r\n\r\n", "a@b.example" },
	{ "Message-ID: a@b.example (comment)\r\n\r\n", "a@b.example" },
	{ "Message-ID: a@b.example", "a@b.example" },
	{ "Subject: Message-ID: <x@y>\r\n\r\nMessage-ID: <z@z>\r\n", "" },
	{ "Subject: a\r\n Message-ID: <x@y>\r\n\r\n", "" },	/* a folded line */
	{ "\r\nMessage-ID: <x@y>\r\n", "" }, { "\nMessage-ID: <x@y>\r\n", "" }, { "", "" },
	{ "Message-ID:\r\nMessage-ID: <second@y>\r\n\r\n", "second@y" },
	{ "Message-ID: <unclosed\r\nMessage-ID: <second@y>\r\n\r\n", "second@y" },
	{ "Message-ID: <first@y>\r\nMessage-ID: <second@y>\r\n\r\n", "first@y" },
	{ "Message-ID: <>\r\n\r\n", "" },
	{ "X-Message-ID: <x@y>\r\nMessage-IDs: <x@y>\r\nMessage-I: <x@y>\r\n\r\n", "" },
	{ "Message-ID\r\n\r\nMessage-ID: <body@y>\r\n", "" },
	{ "From a@b Mon\r\nMessage-ID: <a@b>\r\n", "a@b" },
};

static void
test_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct message_id m;

		message_id_init(&m);
		message_id_feed(&m, text(cases[i].message));
		assert_row_bytes(cases[i].message, message_id_text(&m), text(cases[i].want));
	}
}

static void
test_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct bytes all = text(cases[i].message);
		struct message_id m;

		message_id_init(&m);
		for (size_t k = 0; k < all.n; k++)
			message_id_feed(&m, bytes_of(all.p + k, 1));
		assert_row_bytes(cases[i].message, message_id_text(&m), text(cases[i].want));
	}
}

static void
test_limit(void **state)
{
	unsigned char octets[MESSAGE_ID_MAX + 1];
	struct message_id m;

	(void)state;
	memset(octets, 'x', sizeof octets);
	for (size_t n = MESSAGE_ID_MAX - 1; n <= MESSAGE_ID_MAX + 1; n++) {
		message_id_init(&m);
		message_id_feed(&m, text("Message-ID: <"));
		message_id_feed(&m, bytes_of(octets, n));
		message_id_feed(&m, text(">\r\n"));
		assert_int_equal(message_id_text(&m).n, n < MESSAGE_ID_MAX ? n : MESSAGE_ID_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole), cmocka_unit_test(test_octet_by_octet), cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
