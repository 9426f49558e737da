/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/imap_section.h"

#define LETTER	"From: a\nTO: b,\n c\nX-\xff: d\nno field\nto: e\n"
#define INNER	"Subject: in\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--i\nA: b\n\ny\n--i--\n"
#define MIXED	"Content-Type: multipart/mixed; boundary=b\nTo: o\n\npre\n--b\nC: d\n\none\n--b\n" \
		"Content-Type: message/rfc822\n\n" INNER "--b\nContent-Type: message/rfc822\n\nTo: p\n\nq\n--b--\n"
#define NONE	NULL

/* What FETCH asks for, and the octets with CRLF as "|". */
static const struct { const char *message, *item, *want, *name; } rows[] = {
	/* RFC 3501 section 6.4.5 */
	{ LETTER "\nbody\n", "BODY[]", "From: a|TO: b,| c|X-\xff: d|no field|to: e||body|", "BODY[]" },
	{ LETTER "\nbody\n", "BODY.PEEK[HEADER]", "From: a|TO: b,| c|X-\xff: d|no field|to: e||", "BODY[HEADER]" },
	{ LETTER "\nbody\n", "BODY[TEXT]", "body|", "BODY[TEXT]" },
	{ LETTER "\nbody\n", "BODY[1]", "body|", "BODY[1]" },
	{ LETTER "\nbody\n", "BODY[1.MIME]", "From: a|TO: b,| c|X-\xff: d|no field|to: e||", "BODY[1.MIME]" },
	{ LETTER "\nbody\n", "BODY[2]", NONE, "BODY[2]" },
	{ LETTER "\nbody\n", "BODY[1.1]", NONE, "BODY[1.1]" },
	{ LETTER "\nbody\n", "BODY[1.HEADER]", NONE, "BODY[1.HEADER]" },
	{ LETTER "\nbody\n", "BODY[1.TEXT]", NONE, "BODY[1.TEXT]" },
	{ LETTER "\nbody\n", "RFC822", "From: a|TO: b,| c|X-\xff: d|no field|to: e||body|", "RFC822" },
	{ LETTER "\nbody\n", "RFC822.HEADER", "From: a|TO: b,| c|X-\xff: d|no field|to: e||", "RFC822.HEADER" },
	{ LETTER "\nbody\n", "RFC822.TEXT", "body|", "RFC822.TEXT" },
	/* a choice of fields: all of a name, in any case, in the order of the message, with the empty line */
	{ LETTER "\nbody\n", "BODY[HEADER.FIELDS (tO)]", "TO: b,| c|to: e||", "BODY[HEADER.FIELDS (tO)]" },
	{ LETTER "\nbody\n", "BODY[HEADER.FIELDS (To \"FROM\" To)]<3.4>", "From: a|TO: b,| c|to: e||",
	    "BODY[HEADER.FIELDS (To FROM To)]<3>" },
	{ LETTER "\nbody\n", "BODY[HEADER.FIELDS.NOT (To From)]", "X-\xff: d|no field||",
	    "BODY[HEADER.FIELDS.NOT (To From)]" },
	{ LETTER "\nbody\n", "BODY[HEADER.FIELDS (Subject)]", "|", "BODY[HEADER.FIELDS (Subject)]" },
	{ LETTER "\nbody\n", "BODY[HEADER.FIELDS (\"a b\" \"(\\\\\\\"\" {2}\r\n%* \"]\")]", "|",
	    "BODY[HEADER.FIELDS (\"a b\" \"(\\\\\\\"\" \"%*\" \"]\")]" },
	/* but no empty line is made up */
	{ LETTER, "BODY[HEADER.FIELDS (To)]", "TO: b,| c|to: e|", "BODY[HEADER.FIELDS (To)]" },
	{ LETTER, "BODY[HEADER.FIELDS (Subject)]", "", "BODY[HEADER.FIELDS (Subject)]" },
	{ "To: a", "BODY[HEADER.FIELDS (To)]", "To: a", "BODY[HEADER.FIELDS (To)]" },
	{ "", "BODY[HEADER.FIELDS.NOT (To)]", "", "BODY[HEADER.FIELDS.NOT (To)]" },
	{ "\r\nTo: x", "BODY[HEADER.FIELDS (To)]", "|", "BODY[HEADER.FIELDS (To)]" },
	{ "", "BODY[]", "", "BODY[]" },
	{ "", "BODY[1]<0.1>", "", "BODY[1]<0>" },
	{ "a\r\n\nb\r\nc\nd", "BODY[]<0.9223372036854775807>", "a||b|c|d", "BODY[]<0>" },
	{ "a\r\n\nb\r\nc\nd", "BODY[TEXT]<18446744073709551615.1>", "b|c|d", "" },
	/* parts */
	{ MIXED, "BODY[1]", "one", "BODY[1]" },
	{ MIXED, "BODY[1.MIME]", "C: d||", "BODY[1.MIME]" },
	{ MIXED, "BODY[1.1]", NONE, "BODY[1.1]" },
	{ MIXED, "BODY[2.MIME]", "Content-Type: message/rfc822||", "BODY[2.MIME]" },
	{ MIXED, "BODY[2.HEADER]", "Subject: in|Content-Type: multipart/mixed; boundary=i||", "BODY[2.HEADER]" },
	{ MIXED, "BODY[2.HEADER.FIELDS (subject)]", "Subject: in||", "BODY[2.HEADER.FIELDS (subject)]" },
	{ MIXED, "BODY[2.HEADER.FIELDS.NOT (Subject)]", "Content-Type: multipart/mixed; boundary=i||",
	    "BODY[2.HEADER.FIELDS.NOT (Subject)]" },
	{ MIXED, "BODY[2.TEXT]", "--i||x|--i|A: b||y|--i--", "BODY[2.TEXT]" },
	{ MIXED, "BODY[2.1]", "x", "BODY[2.1]" },
	{ MIXED, "BODY[2.2]", "y", "BODY[2.2]" },
	{ MIXED, "BODY[2.2.MIME]", "A: b||", "BODY[2.2.MIME]" },
	{ MIXED, "BODY[2.2.HEADER]", NONE, "BODY[2.2.HEADER]" },
	{ MIXED, "BODY[2.3]", NONE, "BODY[2.3]" },
	{ MIXED, "BODY[3]", "To: p||q", "BODY[3]" },
	{ MIXED, "BODY[3.1]", "q", "BODY[3.1]" },
	{ MIXED, "BODY[3.1.1]", NONE, "BODY[3.1.1]" },
	{ MIXED, "BODY[3.1.MIME]", "To: p||", "BODY[3.1.MIME]" },
	{ MIXED, "BODY[4]", NONE, "BODY[4]" },
	{ MIXED, "BODY[4294967295.1]", NONE, "BODY[4294967295.1]" },
	{ MIXED, "BODY[1.HEADER.FIELDS (To)]", NONE, "BODY[1.HEADER.FIELDS (To)]" },
};

static void
put_sent(struct bytes piece, struct buf *out)
{
	size_t i;

	for (i = 0; i < piece.n; i++)
		if (piece.p[i] == '\n')
			buf_char(out, '|');
		else if (piece.p[i] != '\r')
			buf_char(out, piece.p[i]);
}

static void
test_rows(void **state)
{
	struct arena *a = arena_new(1 << 20), *tree = arena_new(MIME_TREE_ARENA);
	struct buf got, name, item;
	size_t i, octets;

	(void)state;
	buf_init(&got, 10000);
	buf_init(&name, 10000);
	buf_init(&item, 10000);
	for (i = 0; i < LEN(rows); i++) {
		struct imap_pieces p;
		struct imap_fetch fetch;
		struct mime_tree t;
		struct imap_lex l;
		struct bytes piece;
		bool found;

		arena_reset(a);
		arena_reset(tree);
		buf_clear(&got);
		buf_clear(&name);
		buf_clear(&item);
		buf_fmt(&item, " %s", rows[i].item);
		imap_lex_init(&l, buf_bytes(&item), a);
		if (!imap_fetch_parse(&l, &fetch)) {
			assert_string_equal(rows[i].name, "");
			continue;
		}
		mime_tree_parse(text(rows[i].message), tree, &t);
		found = imap_section_find(&t, fetch.sections, &p);
		assert_row_int(rows[i].item, found, rows[i].want != NONE);
		octets = imap_section_octets(p);
		while (imap_section_next(&p, &piece)) {
			assert_true(piece.n > 0);
			put_sent(piece, &got);
			octets -= piece.n + bytes_bare_lfs(piece);
		}
		assert_row_int(rows[i].item, octets, 0);
		assert_row_bytes(rows[i].item, buf_bytes(&got), text(rows[i].want));
		imap_section_name(fetch.sections, &name);
		assert_row_bytes(rows[i].item, buf_bytes(&name), text(rows[i].name));
		assert_false(imap_section_next(&p, &piece));
	}
	buf_fini(&got);
	buf_fini(&name);
	buf_fini(&item);
	arena_free(&a);
	arena_free(&tree);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
