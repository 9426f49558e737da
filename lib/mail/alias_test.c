/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "mail/alias.h"

/* What comes out, items with '|' between: a address, d direct, L later, M malformed. */
static const struct { const char *value, *want; } cases[] = {
	{ "", "" },
	{ " , ,", "" },
	{ "anna", "a:anna" },
	{ "anna, bert@b.example ,carl", "a:anna|a:bert@b.example|a:carl" },
	{ "\\anna, bert", "d:anna|a:bert" },
	{ "\"a, b\"@c.example", "a:\"a, b\"@c.example" },
	{ "Anna (the one, here) <anna@a.example>, b", "a:anna@a.example|a:b" },
	{ "(nobody)", "" },
	{ "|/bin/cat", "L:|/bin/cat" },
	{ "\"|/bin/cat -n, x\"", "L:\"|/bin/cat -n, x\"" },
	{ "\" |cat\"", "L:\" |cat\"" },
	{ "/dev/null", "L:/dev/null" },
	{ "\"/var/mail/x\"", "L:\"/var/mail/x\"" },
	{ ":include:/etc/list", "L::include:/etc/list" },
	{ "<|cat>", "L:|cat" },
	{ "\\|cat", "L:|cat" },
	{ "\\/file", "L:/file" },
	{ "a, \"b", "a:a|M:\"b" },
	{ "a (b", "M:a (b" },
	{ "a <b", "M:a <b" },
	{ "a\\,b, c", "a:a\\,b|a:c" },
};

static void
test_items(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct arena *arena = arena_new(65536);
		struct bytes value = text(cases[i].value);
		struct alias_item item;
		struct buf got;

		buf_init(&got, 1000);
		while (alias_next(&value, arena, &item)) {
			if (got.n > 0)
				buf_char(&got, '|');
			buf_char(&got, item.direct && item.kind == ALIAS_ADDRESS ? 'd'
			    : (unsigned char)"aLM"[item.kind]);
			buf_char(&got, ':');
			buf_add(&got, item.text);
		}
		if (!bytes_eq(buf_bytes(&got), text(cases[i].want)))
			fail_msg("%s: %.*s", cases[i].value, BYTES_FMT(buf_bytes(&got)));
		buf_fini(&got);
		arena_free(&arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_items) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
