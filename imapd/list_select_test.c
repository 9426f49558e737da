/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "imapd/list_select.h"

/* "INBOX/ foo/+ (bar)/": as in mail/folders_test.c: () a level, ? not there, / has children, + subscribed, :n uses. */
static size_t
account(const char *s, struct folder_entry *e)
{
	struct bytes rest = text(s);
	size_t n = 0;

	while (rest.n > 0) {
		struct bytes word = bytes_cut(&rest, ' ');
		size_t colon = bytes_find(word, ':');

		e[n] = (struct folder_entry){ .selectable = word.p[0] != '(' && word.p[0] != '?' };
		if (colon < word.n)
			e[n].uses = word.p[colon + 1] - '0';
		word = bytes_head(word, colon);
		e[n].subscribed = bytes_ends(word, text("+"));
		word = bytes_head(word, word.n - e[n].subscribed);
		e[n].children = bytes_ends(word, text("/"));
		word = bytes_head(word, word.n - e[n].children);
		if (word.p[0] == '(')
			word = bytes_of(word.p + 1, word.n - 2);
		e[n++].name = word.p[0] == '?' ? bytes_skip(word, 1) : word;
	}
	return n;
}

#define SUBSCRIBED	IMAP_LIST_SUBSCRIBED
#define RECURSIVE	IMAP_LIST_RECURSIVEMATCH
#define USE		IMAP_LIST_SPECIAL_USE
#define LSUB		(SUBSCRIBED | RECURSIVE)

/* The mailboxes of the examples of RFC 5258 section 5: 1 to 7, 8, 9. */
#define FRUIT "INBOX+ Fruit/ Fruit/Apple Fruit/Banana+ ?Fruit/Peach+ Tofu Vegetable/+ Vegetable/Broccoli+ Vegetable/Corn"
#define ONE "foo/ foo/bar+"
#define NINE "INBOX baz2/ baz2/bar2+ baz2/bar22+ baz2/bar222+ eps2/+ eps2/mamba+ foo2/ foo2/bar1+ foo2/bar2+ (qux2)/ qux2/bar2+"
#define DEEP "(a)/ (a/b)/ a/b/c ?x ?x/y+"

static const struct {
	const char	*account, *reference, *pattern;		/* patterns, with a space between */
	unsigned	selects;
	const char	*want;		/* names; "*": has CHILDINFO; "-": only that */
} cases[] = {
	{ FRUIT, "", "*", 0, "INBOX Fruit Fruit/Apple Fruit/Banana Tofu Vegetable Vegetable/Broccoli Vegetable/Corn" },
	{ FRUIT, "", "%", 0, "INBOX Fruit Tofu Vegetable" },
	{ FRUIT, "", "inbox", 0, "INBOX" },
	{ FRUIT, "", "fruit", 0, "" },
	{ FRUIT, "Fruit/", "%", 0, "Fruit/Apple Fruit/Banana" },
	{ FRUIT, "Fruit", "%", 0, "Fruit" },
	{ FRUIT, "Fru", "it/B%", 0, "Fruit/Banana" },
	{ FRUIT, "", "INBOX Vegetable/%", 0, "INBOX Vegetable/Broccoli Vegetable/Corn" },
	{ FRUIT, "", "*", SUBSCRIBED, "INBOX Fruit/Banana Fruit/Peach Vegetable Vegetable/Broccoli" },
	{ FRUIT, "", "%", SUBSCRIBED, "INBOX Vegetable" },
	{ FRUIT, "", "%", LSUB, "INBOX Fruit*- Vegetable*" },
	{ FRUIT, "", "*", LSUB, "INBOX Fruit/Banana Fruit/Peach Vegetable* Vegetable/Broccoli" },
	/* Example 8, and others like it. */
	{ ONE, "", "%", LSUB, "foo*-" },
	{ ONE, "", "*", LSUB, "foo/bar" },
	{ "foo/+ foo/bar", "", "%", LSUB, "foo" },
	{ "foo/+ foo/bar+", "", "%", LSUB, "foo*" },
	{ "foo/ foo/bar/ foo/bar/baz+", "", "foo/%", LSUB, "foo/bar*-" },
	{ "foo/ foo/bar/ foo/bar/baz+", "", "% foo/bar/baz", LSUB, "foo/bar/baz" },
	{ "foo/ foo/bar/+ foo/bar/baz+", "", "%", LSUB, "foo*-" },
	{ NINE, "", "*2", LSUB, "baz2/bar2 baz2/bar22 baz2/bar222 eps2* foo2*- foo2/bar2 qux2/bar2" },
	/* Levels, there and not. */
	{ DEEP, "", "*", 0, "a/b/c" },
	{ DEEP, "", "%", 0, "a-" },
	{ DEEP, "", "%/%", 0, "a/b-" },
	{ DEEP, "", "a", 0, "a-" },
	{ DEEP, "", "% a/b/c", 0, "a/b/c" },
	{ "(a)/ a/b:1 (c)/ c/d", "", "%", USE, "a-" },		/* example 11, with another criterion */
	{ DEEP, "", "%", SUBSCRIBED, "" },
	{ DEEP, "", "%", LSUB, "x*-" },
	{ DEEP, "", "*", LSUB, "x/y" },
	/* Special uses. */
	{ "Sent:3 Trash+:4 x/ x/y:1", "", "*", USE, "Sent Trash x/y" },
	{ "Sent:3 Trash+:4 x/ x/y:1", "", "*", USE | SUBSCRIBED, "Trash" },
	{ "x/+ x/y+:1 z+", "", "%", USE | LSUB, "x*-" },
	/* Modified UTF-7: what is no name means nothing. */
	{ "\xc3\x84 \xc3\x84x", "", "&AMQ-", 0, "\xc3\x84" },
	{ "\xc3\x84 \xc3\x84x", "&AMQ-", "%", 0, "\xc3\x84 \xc3\x84x" },
	{ "\xc3\x84 \xc3\x84x", "", "&AMQ*", 0, "" },
	{ "\xc3\x84 \xc3\x84x", "", "&AMQ* &AMQ-x", 0, "\xc3\x84x" },
	{ "a&b", "", "a&-%", 0, "a&b" },
	{ FRUIT, "", "*%**%%*", SUBSCRIBED, "INBOX Fruit/Banana Fruit/Peach Vegetable Vegetable/Broccoli" },
};

static size_t
take_patterns(size_t row, struct buf *room, struct imap_match *m)
{
	struct bytes rest = text(cases[row].pattern);
	size_t n = 0;

	while (rest.n > 0) {
		buf_init(&room[n], IMAP_MATCH_PATTERN_MAX);
		if (list_pattern(text(cases[row].reference), bytes_cut(&rest, ' '), &room[n])) {
			assert_true(imap_match_init(&m[n], buf_bytes(&room[n]), '/'));
			n++;
		} else
			buf_fini(&room[n]);
	}
	return n;
}

static void
test_select(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct folder_entry e[20];
		struct list_answer a[20];
		struct imap_match m[4];
		struct buf room[4], got;
		size_t n = account(cases[i].account, e), np = take_patterns(i, room, m), k;

		buf_init(&got, 1000);
		n = list_select(e, n, m, np, cases[i].selects, a);
		for (k = 0; k < n; k++)
			buf_fmt(&got, "%s%.*s%s%s", k ? " " : "", BYTES_FMT(a[k].entry->name), a[k].below ? "*" : "",
			    a[k].meets ? "" : "-");
		assert_row_bytes(cases[i].pattern, buf_bytes(&got), text(cases[i].want));
		buf_fini(&got);
		while (np-- > 0)
			buf_fini(&room[np]);
	}
}

static void
test_pattern_limit(void **state)
{
	char pattern[IMAP_MATCH_PATTERN_MAX + 2];
	struct buf out;

	(void)state;
	memset(pattern, 'x', sizeof pattern);
	buf_init(&out, IMAP_MATCH_PATTERN_MAX);
	assert_true(list_pattern(text(""), bytes_of(pattern, IMAP_MATCH_PATTERN_MAX), &out));
	buf_clear(&out);
	assert_false(list_pattern(text("a"), bytes_of(pattern, IMAP_MATCH_PATTERN_MAX), &out));
	buf_clear(&out);
	assert_true(list_pattern(text("*%"), text("%*a%*%b%"), &out));
	assert_bytes_equal(buf_bytes(&out), text("*a*b%"));
	buf_fini(&out);
}

static void
test_attributes(void **state)
{
	static const struct { const char *entry; bool extended, subscribed; const char *want; } rows[] = {
		{ "a", false, false, "\\HasNoChildren" },
		{ "a/+", false, false, "\\HasChildren" },
		{ "a/+", true, true, "\\HasChildren \\Subscribed" },
		{ "a/", true, true, "\\HasChildren" },
		{ "(a)/", false, false, "\\NoSelect \\HasChildren" },
		{ "(a)/", true, false, "\\NonExistent \\HasChildren" },
		{ "?a+", true, true, "\\NonExistent \\Subscribed" },
		{ "?a", true, true, "\\NonExistent" },
		{ "a:3", false, false, "\\HasNoChildren \\All \\Archive" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct folder_entry e;
		struct buf got;

		account(rows[i].entry, &e);
		buf_init(&got, 256);
		list_attributes(&e, rows[i].extended, rows[i].subscribed, &got);
		assert_row_bytes(rows[i].entry, buf_bytes(&got), text(rows[i].want));
		buf_fini(&got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_select), cmocka_unit_test(test_pattern_limit), cmocka_unit_test(test_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
