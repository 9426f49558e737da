/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "base/buf.h"
#include "proto/rfc5322_addresses.h"

/* Entries as display|local|domain, one a line, "!" before those in a group. */
static const struct { const char *value; enum addresses_result want; const char *entries; size_t groups; } cases[] = {
	{ "a@b", ADDRESSES_OK, "|a|b\n", 0 },
	{ "<a@b>", ADDRESSES_OK, "|a|b\n", 0 },
	{ "", ADDRESSES_OK, "", 0 },
	{ "  \r\n ", ADDRESSES_OK, "", 0 },
	{ "Bob <a@b>", ADDRESSES_OK, "Bob|a|b\n", 0 },
	{ "a@b, c@d,e@f", ADDRESSES_OK, "|a|b\n|c|d\n|e|f\n", 0 },
	{ "\"Bob, the \\\"B\\\"\" <a@b>", ADDRESSES_OK, "Bob, the \"B\"|a|b\n", 0 },
	{ "John Q. Public <a@b>", ADDRESSES_OK, "John Q. Public|a|b\n", 0 },	/* obs-phrase */
	{ "J.R.  R. \"T\" . X <a@b>", ADDRESSES_OK, "J.R. R. T. X|a|b\n", 0 },
	{ "bob", ADDRESSES_OK, "|bob|\n", 0 },			/* sendmail -t: a user of this host */
	{ "<bob>, al", ADDRESSES_OK, "|bob|\n|al|\n", 0 },
	{ "\"a b\"@c", ADDRESSES_OK, "|a b|c\n", 0 },
	{ "\"a@b\" <c@d>", ADDRESSES_OK, "a@b|c|d\n", 0 },	/* the name is none */
	{ "\"u@v\"@evil", ADDRESSES_OK, "|u@v|evil\n", 0 },
	{ "a@[192.0.2.1]", ADDRESSES_OK, "|a|[192.0.2.1]\n", 0 },
	{ "a@[IPv6:::1] ", ADDRESSES_OK, "|a|[IPv6:::1]\n", 0 },
	/* comments, RFC 5322 appendix A.5 */
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", ADDRESSES_OK,
	    "Pete|pete|silly.test\n", 0 },
	{ "Chris Jones <c@(Chris's host.)public.example>,\r\n\tjoe@example.org,\r\n John <jdoe@one.test> (my dear friend)",
	    ADDRESSES_OK, "Chris Jones|c|public.example\n|joe|example.org\nJohn|jdoe|one.test\n", 0 },
	{ "(a (b (c))) a@b", ADDRESSES_OK, "|a|b\n", 0 },
	{ "a@b (unfinished", ADDRESSES_SYNTAX, "", 0 },
	/* groups */
	{ "A Group:Ed <e@x>,joe@y,J <j@z>;", ADDRESSES_OK, "!Ed|e|x\n!|joe|y\n!J|j|z\n", 1 },
	{ "Undisclosed recipients:;", ADDRESSES_OK, "", 1 },
	{ "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", ADDRESSES_OK, "", 1 },
	{ "x: a@b; , c@d", ADDRESSES_OK, "!|a|b\n|c|d\n", 1 },
	{ "x: a@b;, y:c@d;", ADDRESSES_OK, "!|a|b\n!|c|d\n", 2 },
	{ "x: a@b", ADDRESSES_SYNTAX, "!|a|b\n", 1 },
	{ "x: y: a@b;;", ADDRESSES_SYNTAX, "", 1 },
	{ ": a@b;", ADDRESSES_SYNTAX, "", 0 },
	{ "a@b;", ADDRESSES_SYNTAX, "|a|b\n", 0 },
	/* obsolete forms, appendix A.6 */
	{ "Joe Q. Public <john.q.public@example.com>", ADDRESSES_OK, "Joe Q. Public|john.q.public|example.com\n", 0 },
	{ "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example", ADDRESSES_OK,
	    "Mary Smith|mary|example.net\n|jdoe|test.example\n", 0 },
	{ "<@a,@b.c,,@d:x@y>", ADDRESSES_OK, "|x|y\n", 0 },
	{ ",,a@b,,", ADDRESSES_OK, "|a|b\n", 0 },
	{ "a . b @ c . d", ADDRESSES_OK, "|a.b|c.d\n", 0 },
	{ "\"a\".b@c", ADDRESSES_OK, "|a.b|c\n", 0 },
	/* encoded words are words */
	{ "=?utf-8?q?a=40b?= <c@d>", ADDRESSES_OK, "=?utf-8?q?a=40b?=|c|d\n", 0 },
	{ "\xc3\xa9 <\xc3\xa9@b>", ADDRESSES_OK, "\xc3\xa9|\xc3\xa9|b\n", 0 },
	/* not addresses; which one is meant cannot be told */
	{ "ceo@victim <u@evil>", ADDRESSES_SYNTAX, "", 0 },
	{ "John Smith", ADDRESSES_SYNTAX, "", 0 },
	{ "a b@c", ADDRESSES_SYNTAX, "", 0 },
	{ "a@b c@d", ADDRESSES_SYNTAX, "", 0 },
	{ "a@b>", ADDRESSES_SYNTAX, "", 0 },
	{ "<a@b", ADDRESSES_SYNTAX, "", 0 },
	{ "<a@b> x", ADDRESSES_SYNTAX, "", 0 },
	{ "<<a@b>>", ADDRESSES_SYNTAX, "", 0 },
	{ "<>", ADDRESSES_SYNTAX, "", 0 },
	{ "a@", ADDRESSES_SYNTAX, "", 0 },
	{ "@b", ADDRESSES_SYNTAX, "", 0 },
	{ "a@b.", ADDRESSES_SYNTAX, "", 0 },
	{ "a@.b", ADDRESSES_SYNTAX, "", 0 },
	{ ".a@b", ADDRESSES_SYNTAX, "", 0 },
	{ "a.@b", ADDRESSES_SYNTAX, "", 0 },
	{ "a..b@c", ADDRESSES_SYNTAX, "", 0 },
	{ "a@b@c", ADDRESSES_SYNTAX, "", 0 },
	{ "\"a@b", ADDRESSES_SYNTAX, "", 0 },
	{ "a@[b", ADDRESSES_SYNTAX, "", 0 },
	{ "\"a\\\nb\"@c", ADDRESSES_SYNTAX, "", 0 },
	{ "\"a\x01\"@c", ADDRESSES_SYNTAX, "", 0 },
	{ "\"a\r\n b\"@c", ADDRESSES_OK, "|a b|c\n", 0 },
	{ "a\x01@b", ADDRESSES_SYNTAX, "", 0 },
	{ "a)@b", ADDRESSES_SYNTAX, "", 0 },
	{ "a\\@b", ADDRESSES_SYNTAX, "", 0 },
	{ "<@a x@y>", ADDRESSES_SYNTAX, "", 0 },
};

static void
print(const struct addresses *got, struct buf *out)
{
	size_t i;

	buf_clear(out);
	for (i = 0; i < got->n; i++) {
		if (got->v[i].in_group)
			buf_char(out, '!');
		buf_add(out, got->v[i].display);
		buf_char(out, '|');
		buf_add(out, got->v[i].local);
		buf_char(out, '|');
		buf_add(out, got->v[i].domain);
		buf_char(out, '\n');
	}
}

static void
test_lists(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct addresses got;
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 10000);
	for (i = 0; i < LEN(cases); i++) {
		assert_row_int(cases[i].value, rfc5322_addresses(text(cases[i].value), 100, a, &got), cases[i].want);
		print(&got, &out);
		assert_row_bytes(cases[i].value, buf_bytes(&out), text(cases[i].entries));
		assert_row_int(cases[i].value, got.groups, cases[i].groups);
	}
	assert_int_equal(rfc5322_addresses(OCTETS("a\0@b"), 100, a, &got), ADDRESSES_SYNTAX);
	assert_int_equal(rfc5322_addresses(OCTETS("\"a\0\"@b"), 100, a, &got), ADDRESSES_SYNTAX);
	assert_int_equal(rfc5322_addresses(text("a@b,c@d,e@f"), 2, a, &got), ADDRESSES_MANY);
	assert_int_equal(got.n, 2);
	buf_fini(&out);
	arena_free(&a);
}

/* The same as it is shown: "G name", "E", "B text", and "M display|route|local|domain". */
static const struct { const char *value, *want; } shown[] = {
	{ "", "" },
	{ ",, ,", "" },
	{ "Bob <a@b>, c@d", "M Bob||a|b\nM ||c|d\n" },
	{ "bob", "M ||bob|\n" },
	{ "A Group:Ed <e@x>,joe@y;, z@z", "G A Group\nM Ed||e|x\nM ||joe|y\nE\nM ||z|z\n" },
	{ "undisclosed-recipients:;", "G undisclosed-recipients\nE\n" },
	{ "x: a@b", "G x\nM ||a|b\nE\n" },			/* no end */
	{ "x:", "G x\nE\n" },
	{ "a@b;c@d", "M ||a|b\nM ||c|d\n" },			/* ';' as ',' */
	{ "<@a,@b.c,,@d:x@y>", "M |@a,@b.c,@d|x|y\n" },
	{ "N <@a:x@y>", "M N|@a|x|y\n" },
	/* names in comments */
	{ "a@b (Bob  \\(B\\)), c@d", "M Bob  (B)||a|b\nM ||c|d\n" },
	{ "(x) a@b ( Bob\r\n B )", "M Bob B||a|b\n" },
	{ "Bob <a@b> (not)", "M Bob||a|b\n" },
	{ "<a@b> (Bob)", "M Bob||a|b\n" },
	{ "(x), a@b", "M ||a|b\n" },
	/* what is no address, and what comes behind it */
	{ "John Smith, a@b", "B John Smith\nM ||a|b\n" },
	{ "ceo@victim <u@evil>, a@b", "B ceo@victim <u@evil>\nM ||a|b\n" },
	{ "a@, b@c", "B a@\nM ||b|c\n" },
	{ "<a@b, c@d", "B <a@b\nM ||c|d\n" },
	{ "<>", "B <>\n" },
	{ "a@b >, \"x\\,y\" z, c@d", "B a@b >\nB \"x\\,y\" z\nM ||c|d\n" },
	{ "a@b, \"c, d@e", "M ||a|b\nB \"c, d@e\n" },		/* a string without end is all the rest */
	{ "a@b, (c, d@e", "M ||a|b\nB (c, d@e\n" },
	{ "[a, b@c", "B [a, b@c\n" },
	{ "\"a,\x01\", b@c", "B \"a,\x01\", b@c\n" },		/* the second '"' begins one */
	{ "a \x01, b@c", "B a \x01\nM ||b|c\n" },
	{ "), b@c", "B )\nM ||b|c\n" },
	{ ": a@b;", "B : a@b\n" },
	{ "x: y: a@b;, c@d", "G x\nB y: a@b\nE\nM ||c|d\n" },
	{ "x: a b;c@d", "G x\nB a b\nE\nM ||c|d\n" },
};

static void
print_shown(const struct addresses *got, struct buf *out)
{
	const struct mailbox_entry *e;

	buf_clear(out);
	for (e = got->v; e < got->v + got->n; e++) {
		buf_char(out, (unsigned char)"MGEB"[e->kind]);
		if (e->kind != ENTRY_GROUP_END)
			buf_char(out, ' ');
		buf_add(out, e->display);
		if (e->kind == ENTRY_MAILBOX)
			buf_fmt(out, "|%.*s|%.*s|%.*s", BYTES_FMT(e->route), BYTES_FMT(e->local), BYTES_FMT(e->domain));
		buf_char(out, '\n');
	}
}

static void
test_shown(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct addresses got;
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 10000);
	for (i = 0; i < LEN(shown); i++) {
		assert_row_int(shown[i].value, rfc5322_addresses_shown(text(shown[i].value), 100, a, &got), ADDRESSES_OK);
		print_shown(&got, &out);
		assert_row_bytes(shown[i].value, buf_bytes(&out), text(shown[i].want));
	}
	assert_int_equal(rfc5322_addresses_shown(text("x:a@b;"), 3, a, &got), ADDRESSES_OK);
	assert_int_equal(rfc5322_addresses_shown(text("x:a@b;"), 2, a, &got), ADDRESSES_MANY);
	assert_int_equal(got.n, 2);
	assert_int_equal(rfc5322_addresses_shown(text("a b, c d"), 1, a, &got), ADDRESSES_MANY);
	assert_int_equal(got.n, 1);
	buf_fini(&out);
	arena_free(&a);
}

/* A million octets of what made others slow or deep (CVE-2024-23184). */
static void
test_long(void **state)
{
	static const char *const units[] = { "(", "a,", "a.", "\"", "<", "x:;,", "a@b,\r\n ", "\\(", "@a,", "[",
	    "[,", "\",", "(,", "<,", "\"\x01,", "x:", "a b,", ")" };
	struct arena *a = arena_new((size_t)256 << 20);
	struct addresses got;
	struct buf value;
	size_t i;

	(void)state;
	buf_init(&value, 1 << 20);
	for (i = 0; i < LEN(units); i++) {
		buf_clear(&value);
		while (value.n < 1000000)
			buf_text(&value, units[i]);
		rfc5322_addresses(buf_bytes(&value), 10000, a, &got);
		rfc5322_addresses_shown(buf_bytes(&value), 1000000, a, &got);
		arena_reset(a);
	}
	buf_fini(&value);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lists), cmocka_unit_test(test_shown),
	    cmocka_unit_test(test_long) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
