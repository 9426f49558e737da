/* SPDX-License-Identifier: ISC */
#include "base/arena.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/testing.h"
#include "mail/folders_text.h"

#define PP	FOLDERS_MAILDIRPP
#define FS	FOLDERS_FS

/* ---- subscriptions ---- */

static const struct { enum folder_layout layout; const char *file, *names; } subscriptions[] = {
	{ PP, "", "" },
	{ PP, "\n\n", "" },
	{ PP, "Sent\nWork.v1&AC4-0\n", "Sent Work/v1.0" },
	{ FS, "Sent\nWork/v1.0", "Sent Work/v1.0" },
	{ PP, "inbox\nINBOX.a\r\nb\r\n", "INBOX INBOX/a b" },
	{ PP, ".a\na..b\na.\n..\n.\n/\na/b\n", "" },
	{ FS, ".a\na//b\na/\n../a\n.\n/\ncur\na/cur\nhermod.x\n", "" },
	{ PP, "&AMQ-\n&AMQ\n\xc3\x84\n&AGE-\n", "\xc3\x84" },		/* one name, one form */
	{ PP, "V\t2\n\nSent\n", "Sent" },
};

static void
test_subscriptions(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(subscriptions); i++) {
		struct bytes rest = text(subscriptions[i].file);
		struct buf name, got;

		buf_init(&name, FOLDER_NAME_MAX);
		buf_init(&got, 1000);
		while (subscriptions_next(&rest, subscriptions[i].layout, &name)) {
			buf_text(&got, got.n > 0 ? " " : "");
			buf_add(&got, buf_bytes(&name));
		}
		assert_row_bytes(subscriptions[i].file, buf_bytes(&got), text(subscriptions[i].names));
		buf_fini(&name);
		buf_fini(&got);
	}
}

static const struct { const char *file, *name; bool on; const char *want; } puts_[] = {
	{ "", "a", true, "a\n" },
	{ "a\n", "a", true, "a\n" },
	{ "a", "b", true, "a\nb\n" },
	{ "a\nb\na\r\n", "a", false, "b\n" },
	{ "x\ty\n\na\n", "a", false, "x\ty\n\n" },
	{ "", "a", false, "" },
	{ "Inbox\nb\n", "INBOX", false, "b\n" },
	{ "a.b\n", "a/b", true, "a.b\n" },
};

static void
test_subscriptions_put(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	for (size_t i = 0; i < LEN(puts_); i++) {
		buf_clear(&out);
		subscriptions_put(text(puts_[i].file), PP, text(puts_[i].name), puts_[i].on, &out);
		assert_row_bytes(puts_[i].file, buf_bytes(&out), text(puts_[i].want));
	}
	buf_fini(&out);
}

/* ---- special uses ---- */

static const char *const uses = "\\Sent Sent\n\\sent Old mail\n# \\Junk x\n\\Junk  two\n\\Other y\n\\Trash a.b\n\\Drafts a\n";

static void
test_special_use(void **state)
{
	struct bytes rest = text(uses);
	struct buf name, got;
	unsigned use;

	(void)state;
	buf_init(&name, FOLDER_NAME_MAX);
	buf_init(&got, 1000);
	while (special_use_next(&rest, PP, &use, &name))
		buf_fmt(&got, "%u %.*s|", use, BYTES_FMT(buf_bytes(&name)));
	assert_bytes_equal(buf_bytes(&got), text("32 Sent|32 Old mail|16  two|64 a/b|4 a|"));
	buf_clear(&got);
	special_use_put(text(uses), PP, text("a"), 32 | 16, &got);
	assert_bytes_equal(buf_bytes(&got), text("# \\Junk x\n\\Other y\n\\Trash a.b\n\\Junk a\n\\Sent a\n"));
	buf_clear(&got);
	special_use_drop(text(uses), PP, text("a"), true, &got);
	assert_bytes_equal(buf_bytes(&got), text("\\Sent Sent\n\\sent Old mail\n# \\Junk x\n\\Junk  two\n\\Other y\n"));
	buf_clear(&got);
	special_use_copy(text("\\Trash a.b\n\\Drafts a\n\\Junk c.d\n\\Sent ab\n"), PP, text("a"), text("c"), &got);
	assert_bytes_equal(buf_bytes(&got), text("\\Trash a.b\n\\Drafts a\n\\Sent ab\n\\Trash c.b\n\\Drafts c\n"));
	buf_fini(&name);
	buf_fini(&got);
}

/* ---- UIDVALIDITYs ---- */

static void
test_spent(void **state)
{
	static const char *const bad[] = { "", "x\n", "-1\n", "4294967296\n", "1 x\n", "1 4294967296\n", "5 0\nx\n", "5 0\n7\n",
	    "5 0\n7 .a\n", "5 0\n\n" };
	struct arena *a = arena_new(1 << 20);
	struct spent *s = mem_alloc(sizeof *s);
	struct buf out;
	uint32_t floor;

	(void)state;
	for (size_t i = 0; i < LEN(bad); i++) {
		assert_row_int(bad[i], spent_parse(text(bad[i]), PP, a, s), false);
		assert_row_int(bad[i], s->floor + s->forgotten + s->n, 0);
	}
	assert_true(spent_parse(text("9\n"), PP, a, s));
	assert_true(spent_parse(text("9 3\n7 a.b\n12 c\n5 a.b\n"), PP, a, s));
	assert_int_equal(s->floor, 12);				/* whatever the first line says */
	assert_int_equal(spent_last(s, text("a/b")), 7);
	assert_int_equal(spent_last(s, text("c")), 12);
	assert_int_equal(spent_last(s, text("x")), 3);
	buf_init(&out, 1000);
	spent_put(s, PP, &out);
	assert_bytes_equal(buf_bytes(&out), text("12 3\n12 c\n7 a.b\n"));
	buf_fini(&out);
	buf_init(&out, 12);					/* the earlier half is forgotten */
	spent_put(s, PP, &out);
	assert_bytes_equal(buf_bytes(&out), text("12 12\n"));
	assert_true(spent_floor(text("12 3\n12 "), &floor));
	assert_int_equal(floor, 12);
	assert_false(spent_floor(text("12"), &floor));		/* cut short */
	assert_false(spent_floor(text("x\n"), &floor));
	buf_fini(&out);
	mem_free(s);
	arena_free(&a);
}

static void
test_spent_limit(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct spent *s = mem_alloc(sizeof *s);

	(void)state;
	for (uint32_t i = 1; i <= SPENT_MAX; i++)
		spent_add(s, arena_fmt(a, "f%u", i), i);
	assert_int_equal(s->forgotten, 0);
	spent_add(s, text("more"), 5);
	assert_int_equal(s->n, SPENT_MAX);
	assert_int_equal(s->forgotten, 1);
	assert_int_equal(s->floor, SPENT_MAX);
	assert_int_equal(spent_last(s, text("f1")), 1);
	assert_int_equal(spent_last(s, text("f2")), 2);
	mem_free(s);
	arena_free(&a);
}

/* ---- what is to be completed ---- */

static void
sealed(const char *lines, struct buf *out)
{
	buf_clear(out);
	buf_text(out, lines);
	buf_fmt(out, "%08x\n", (unsigned)crc32_of(0, text(lines)));
}

#define FIRST "hermod-folders 1\n"

static const struct { const char *lines; bool good; } redos[] = {
	{ FIRST "rename\nfs\n0\na\nb/c\n", true },
	{ FIRST "delete\nfs\n77\na/b\n\n", true },
	{ FIRST "inbox\nmaildir++\n0\nINBOX\nold\n", true },
	{ "hermod-folders 2\nrename\nfs\n0\na\nb\n", false },
	{ FIRST "remove\nfs\n0\na\nb\n", false },
	{ FIRST "rename\nmbox\n0\na\nb\n", false },
	{ FIRST "rename\nfs\nx\na\nb\n", false },
	{ FIRST "rename\nfs\n0\na\na/b\n", false },
	{ FIRST "rename\nfs\n0\nINBOX\nb\n", false },
	{ FIRST "rename\nfs\n0\na\nINBOX\n", false },
	{ FIRST "rename\nfs\n0\na\nInbox\n", false },
	{ FIRST "rename\nfs\n0\n\nb\n", false },
	{ FIRST "rename\nfs\n0\na\n/b\n", false },
	{ FIRST "delete\nfs\n0\nINBOX\n\n", false },
	{ FIRST "delete\nfs\n0\na\nb\n", false },
	{ FIRST "inbox\nfs\n0\na\nb\n", false },
	{ FIRST "rename\nfs\n0\na\nb\nc\n", false },
	{ FIRST "rename\nfs\n0\na\n", false },
	{ "", false },
};

static void
test_redo(void **state)
{
	struct folder_redo r;
	struct buf file, again;

	(void)state;
	buf_init(&file, FOLDER_REDO_MAX);
	buf_init(&again, FOLDER_REDO_MAX);
	for (size_t i = 0; i < LEN(redos); i++) {
		sealed(redos[i].lines, &file);
		assert_row_int(redos[i].lines, folder_redo_parse(buf_bytes(&file), &r), redos[i].good);
		if (!redos[i].good)
			continue;
		buf_clear(&again);
		folder_redo_put(&r, &again);
		assert_row_bytes(redos[i].lines, buf_bytes(&again), buf_bytes(&file));
		for (size_t n = 0; n < file.n; n++) {			/* cut short, and flipped bits */
			assert_false(folder_redo_parse(bytes_head(buf_bytes(&file), n), &r));
			file.p[n] ^= 4;
			assert_false(folder_redo_parse(buf_bytes(&file), &r));
			file.p[n] ^= 4;
		}
	}
	buf_fini(&file);
	buf_fini(&again);
}

static void
test_below(void **state)
{
	(void)state;
	assert_true(folder_is_below(text("a"), text("a")) && folder_is_below(text("a/b"), text("a")));
	assert_false(folder_is_below(text("ab"), text("a")) || folder_is_below(text("a"), text("a/b")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subscriptions), cmocka_unit_test(test_subscriptions_put),
		cmocka_unit_test(test_special_use), cmocka_unit_test(test_spent), cmocka_unit_test(test_spent_limit),
		cmocka_unit_test(test_redo), cmocka_unit_test(test_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
