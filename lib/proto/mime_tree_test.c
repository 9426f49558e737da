/* SPDX-License-Identifier: ISC */
#include <time.h>

#include "proto/testing.h"
#include "base/buf.h"
#include "proto/mime_field.h"
#include "proto/mime_tree.h"

/* ---- trees as text ---- */

static struct bytes
range_bytes(const struct mime_tree *t, struct mime_range r)
{
	return bytes_head(bytes_skip(t->text, r.at), r.n);
}

/* As sent: every line end CRLF. */
static void
add_crlf(struct buf *out, struct bytes s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buf_char(out, '\r');
		buf_char(out, s.p[i]);
	}
}

/* A letter for the kind, the children of a part in (), the bodies of those without in <>. */
static void
print(const struct mime_tree *t, bool bodies, struct buf *out)
{
	const struct mime_part *p = t->root;

	buf_clear(out);
	for (;;) {
		buf_char(out, (unsigned char)(p->rest ? 'R' : "sMmnc"[p->kind]));
		if (p->first != NULL) {
			buf_char(out, '(');
			p = p->first;
			continue;
		}
		if (bodies) {
			buf_char(out, '<');
			buf_add(out, range_bytes(t, mime_part_body(p)));
			buf_char(out, '>');
		}
		while (p != NULL && p->next == NULL) {
			if ((p = p->parent) != NULL)
				buf_char(out, ')');
		}
		if (p == NULL)
			return;
		p = p->next;
	}
}

/* ---- structures ---- */

#define MP(b)	"Content-Type: multipart/mixed; boundary=" b "\n\n"
#define DIGEST	"Content-Type: multipart/digest; boundary=a\n\n"
#define MESSAGE	"Content-Type: message/rfc822\n"

static const struct { const char *content, *want; } structures[] = {
	{ "", "s<>" },
	{ "\n", "s<>" },
	{ "A: b", "s<>" },
	{ "A: b\n\nc\nd", "s<c\nd>" },
	{ "no field\nA: b\n\nc", "s<c>" },
	{ "Content-Type: text/plain; boundary=a\n\n--a\n", "s<--a\n>" },
	/* RFC 2046 section 5.1.1: the line end before a boundary belongs to it */
	{ MP("a") "pre\n--a\n\nx\n--a\n\ny\n\n--a--\npost\n", "M(s<x>s<y\n>)" },
	{ MP("a") "--a\n\nx\r\n--a--", "M(s<x>)" },
	{ MP("a") "--a\nA: b\n\nx\n--a--\n--a\n", "M(s<x>)" },
	/* parts without body, or without header */
	{ MP("a") "--a\n--a--\n", "M(s<>)" },
	{ MP("a") "--a\n\n--a--\n", "M(s<>)" },
	{ MP("a") "--a\nA: b\n--a\nno header\n\n\n--a--\n", "M(s<>s<>)" },
	{ MP("a") "--a\n" MP("b") "--a\n\n--b\n", "M(n<>s<--b\n>)" },
	{ MP("a") "--a\n" MESSAGE "--a--\n", "M(c<>)" },
	{ MP("a") "--a\n" MESSAGE "\n--a--\n", "M(m(s<>))" },
	{ MP("a") "--a\n" MESSAGE "\nA: b\n--a--\n", "M(m(s<>))" },
	{ MP("a") "--a\n" MESSAGE "\nA: b\n\n--a--\n", "M(m(s<>))" },
	/* no close: an outer boundary or the end */
	{ MP("a") "--a\n\nx\n", "M(s<x\n>)" },
	{ MP("a") "--a\n" MP("b") "--b\n\nx\n--a\n\ny\n--b\n", "M(M(s<x>)s<y\n--b\n>)" },
	{ MP("a") "--a\n" MP("b") "--b\n\nx\n--a--\n--b\n", "M(M(s<x>))" },
	{ MP("a") "--a\n" MP("b") "--b\n\nx\n--b--\nepilogue\n--a\n\ny\n--a--\n", "M(M(s<x>)s<y>)" },
	/* a last line without end closes, but begins nothing */
	{ MP("a") "--a\n\nx\n--a", "M(s<x\n--a>)" },
	{ MP("a") "--a", "n<--a>" },
	/* one boundary begins with another; the same twice */
	{ MP("a") "--a\n" MP("ab") "--ab\n\nx\n--ab--\n--a--\n", "M(M(s<x>))" },
	{ MP("ab") "--ab\n" MP("a") "--a\n\nx\n--ab\n\ny\n--ab--\n", "M(M(s<x>)s<y>)" },
	{ MP("a") "--a\n" MP("a") "--a\n\nx\n--a--\n--a\n\ny\n--a--\n", "M(M(s<x>)s<y>)" },
	/* what is behind a boundary; what is before it */
	{ MP("a") "--a \t\n\nx\n--a more\n\ny\n--a-- z\n--a\n", "M(s<x>s<y>)" },
	{ MP("a") " --a\n-a\n", "n< --a\n-a\n>" },
	{ MP("a") "--a\n\nx --a\n --a--\n", "M(s<x --a\n --a--\n>)" },
	{ MP("\"a b\"") "--a b\n\nx\n--a b--\n", "M(s<x>)" },
	/* a bare CR is no line end */
	{ MP("a") "--a\r\rx\n\ny\r--a\n", "M(s<y\r--a\n>)" },
	/* messages */
	{ MESSAGE "\nSubject: x\n\ny\n", "m(s<y\n>)" },
	{ MESSAGE "\n" MESSAGE "\n\ny", "m(m(s<y>))" },
	{ "Content-Type: message/global\n\n\ny", "m(s<y>)" },
	{ MESSAGE "\n" MP("a") "--a\n\nx\n--a--\n", "m(M(s<x>))" },
	{ MESSAGE "Content-Transfer-Encoding: 8bit\n\n\nx", "m(s<x>)" },
	{ MESSAGE "Content-Transfer-Encoding: Base64\n\n\nx", "c<\nx>" },
	{ MESSAGE "Content-Transfer-Encoding: quoted-printable (c)\n\n\nx", "c<\nx>" },
	{ DIGEST "--a\n\nA: b\n\nx\n--a\nContent-Type: text/plain\n\ny\n--a\nContent-Type:\n\nz\n--a--\n",
	    "M(m(s<x>)s<y>s<z>)" },
	{ DIGEST "--a\n--a--\n", "M(c<>)" },
	{ DIGEST "--a\n\n--a--\n", "M(m(s<>))" },
	{ DIGEST "--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--a--\n", "M(M(s<x>))" },
	/* multiparts that are none */
	{ "Content-Type: multipart/mixed\n\n--\n", "n<--\n>" },
	{ MP("\"\"") "--\n", "n<--\n>" },
	{ MP("a") "x\n", "n<x\n>" },
	{ MP("a") "--a--\n", "n<--a--\n>" },
	{ "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n", "n<--ab\n>" },
	/* the first counts: of fields, of parameters (CVE-2024-28054) */
	{ "Content-Type: text/plain\n" MP("a") "--a\n", "s<--a\n>" },
	{ MP("a; boundary=b") "--b\n\n--a\n\nx\n--b--\n", "M(s<x\n--b--\n>)" },
	{ "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n" MESSAGE "\n\nx", "m(s<x>)" },
	/* fields as they come */
	{ "content-TYPE :\n multipart/mixed;\n\tboundary=\n a\n\n--a\n\nx\n", "M(s<x\n>)" },
	{ "Content-Type\n : multipart/mixed; boundary=a\n\n--a\n\nx\n", "s<--a\n\nx\n>" },
	{ "Content Type: multipart/mixed; boundary=a\n\n--a\n\nx\n", "s<--a\n\nx\n>" },
	{ " Content-Type: multipart/mixed; boundary=a\n\n--a\n\nx\n", "s<--a\n\nx\n>" },
};

static void
test_structures(void **state)
{
	struct arena *a = arena_new(MIME_TREE_ARENA);
	struct mime_tree t;
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 10000);
	for (i = 0; i < LEN(structures); i++) {
		mime_tree_parse(text(structures[i].content), a, &t);
		print(&t, true, &out);
		assert_row_bytes(structures[i].content, buf_bytes(&out), text(structures[i].want));
		assert_row_int(structures[i].content, t.over_depth || t.over_parts, false);
		arena_reset(a);
	}
	buf_fini(&out);
	arena_free(&a);
}

/* ---- sections: the example of RFC 3501 section 6.4.5 ---- */

static const char example[] =
    "Subject: top\n" MP("A")
    "--A\n\none\n"
    "--A\nContent-Type: application/octet-stream\n\ntwo\n"
    "--A\n" MESSAGE "\nSubject: three\n" MP("B")
	"--B\nContent-ID: <x>\n\nthree.one\n"
	"--B\nContent-Type: application/octet-stream\n\nthree.two\n"
	"--B--\n"
    "--A\n" MP("C")
	"--C\nContent-Type: image/gif\n\nfour.one\n"
	"--C\n" MESSAGE "\nSubject: four.two\n" MP("D")
	    "--D\n\nfour.two.one\n"
	    "--D\nContent-Type: multipart/alternative; boundary=E\n\n"
		"--E\n\nfour.two.two.one\n"
		"--E\nContent-Type: text/richtext\n\nfour.two.two.two\n"
		"--E--\n"
	    "--D--\n"
	"--C--\n"
    "--A--\n";

static const struct { const char *message, *section, *want; } sections[] = {
	{ example, "", example },
	{ example, "HEADER", "Subject: top\n" MP("A") },
	{ example, "1", "one" },
	{ example, "1.MIME", "\n" },
	{ example, "2", "two" },
	{ example, "2.mime", "Content-Type: application/octet-stream\n\n" },
	{ example, "3.HEADER", "Subject: three\n" MP("B") },
	{ example, "3.MIME", MESSAGE "\n" },
	{ example, "3.TEXT", "--B\nContent-ID: <x>\n\nthree.one\n--B\nContent-Type: application/octet-stream\n\n"
	    "three.two\n--B--" },
	{ example, "3", "Subject: three\n" MP("B") "--B\nContent-ID: <x>\n\nthree.one\n--B\n"
	    "Content-Type: application/octet-stream\n\nthree.two\n--B--" },
	{ example, "3.1", "three.one" },
	{ example, "3.1.MIME", "Content-ID: <x>\n\n" },
	{ example, "3.2", "three.two" },
	{ example, "4.1", "four.one" },
	{ example, "4.1.MIME", "Content-Type: image/gif\n\n" },
	{ example, "4.2.HEADER", "Subject: four.two\n" MP("D") },
	{ example, "4.2.1", "four.two.one" },
	{ example, "4.2.2.1", "four.two.two.one" },
	{ example, "4.2.2.2", "four.two.two.two" },
	{ example, "4.2.2.2.MIME", "Content-Type: text/richtext\n\n" },
	/* none of these is there */
	{ example, "5", NULL }, { example, "0", NULL }, { example, "01", NULL }, { example, "1.", NULL },
	{ example, "1.1", NULL }, { example, "3.3", NULL }, { example, "4.2.2.3", NULL }, { example, "4.2.2.2.1", NULL },
	{ example, "MIME", NULL }, { example, "1.HEADER", NULL }, { example, "4.TEXT", NULL }, { example, ".1", NULL },
	{ example, "1..1", NULL }, { example, "1x", NULL }, { example, "1.x", NULL }, { example, "HEADERS", NULL },
	{ example, "99999999999999999999", NULL }, { example, "4294967295", NULL }, { example, "4294967296", NULL },
	{ example, "3.HEADER.1", NULL }, { example, "HEADER.", NULL }, { example, "-1", NULL }, { example, "3.", NULL },
	/* a message that is no multipart has a part 1, its body */
	{ "A: b\n\nc", "1", "c" },
	{ "A: b\n\nc", "1.MIME", "A: b\n\n" },
	{ "A: b\n\nc", "HEADER", "A: b\n\n" },
	{ "A: b\n\nc", "TEXT", "c" },
	{ "A: b\n\nc", "1.1", NULL },
	{ "A: b\n\nc", "1.TEXT", NULL },
	{ "A: b\n\nc", "2", NULL },
	{ MP("a") "x", "1", "x" },		/* nor is this one */
	{ "", "HEADER", "" },
	{ "", "1", "" },
	{ MESSAGE "\nA: b\n\nc", "1", "A: b\n\nc" },
	{ MESSAGE "\nA: b\n\nc", "1.HEADER", "A: b\n\n" },
	{ MESSAGE "\nA: b\n\nc", "1.TEXT", "c" },
	{ MESSAGE "\nA: b\n\nc", "1.1", "c" },
	{ MESSAGE "\nA: b\n\nc", "1.1.1", NULL },
	{ MESSAGE "\n" MESSAGE "\nA: b\n\nc", "1.1.1", "c" },
	{ MESSAGE "\n" MESSAGE "\nA: b\n\nc", "1.1.HEADER", "A: b\n\n" },
	{ "Content-Type: message/global\n\nA: b\n\nc", "1.HEADER", "A: b\n\n" },
	{ MESSAGE "Content-Transfer-Encoding: base64\n\nc", "1", "c" },
	{ MESSAGE "Content-Transfer-Encoding: base64\n\nc", "1.HEADER", NULL },
};

static void
test_sections(void **state)
{
	struct arena *a = arena_new(MIME_TREE_ARENA);
	struct bytes got, number;
	struct mime_tree t;
	struct mime_range r;
	bool found;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(sections); i++) {
		mime_tree_parse(text(sections[i].message), a, &t);
		number = text(sections[i].section);
		found = mime_tree_section(&t, number, &r);
		assert_row_int(sections[i].section, found, sections[i].want != NULL);
		if (found) {
			got = range_bytes(&t, r);
			assert_row_bytes(sections[i].section, got, text(sections[i].want));
		}
		if (number.n > 0 && ascii_digit(number.p[number.n - 1]))
			assert_row_int(sections[i].section, mime_tree_part(&t, number) != NULL, found);
		arena_reset(a);
	}
	mime_tree_parse(text(example), a, &t);
	assert_null(mime_tree_part(&t, text("")));
	assert_null(mime_tree_part(&t, text("1.MIME")));
	arena_free(&a);
}

/* ---- line ends ---- */

static void
check_same(const struct mime_part *x, const struct mime_part *y, const char *row)
{
	struct mime_range a, b;

	while (x != NULL && y != NULL) {
		a = mime_part_header(x);
		b = mime_part_header(y);
		assert_row_int(row, a.sent, b.sent);
		assert_row_int(row, b.sent, b.n);
		a = mime_part_body(x);
		b = mime_part_body(y);
		assert_row_int(row, a.sent, b.sent);
		assert_row_int(row, b.sent, b.n);
		assert_row_int(row, a.lines, b.lines);
		assert_row_int(row, x->kind, y->kind);
		if (x->first != NULL) {
			x = x->first;
			y = y->first;
			continue;
		}
		while (x->next == NULL && x->parent != NULL) {
			x = x->parent;
			y = y->parent;
			assert_non_null(y);
		}
		x = x->next;
		y = y->next;
	}
	assert_true(x == NULL && y == NULL);
}

/* A message stored with LF has the tree, and the sizes as sent, of the same with CRLF. */
static void
check_crlf(struct bytes message, const char *row)
{
	struct arena *a = arena_new(MIME_TREE_ARENA), *b = arena_new(MIME_TREE_ARENA);
	struct mime_tree x, y;
	struct buf crlf;

	buf_init(&crlf, 2 * message.n + 1);
	add_crlf(&crlf, message);
	mime_tree_parse(message, a, &x);
	mime_tree_parse(buf_bytes(&crlf), b, &y);
	check_same(x.root, y.root, row);
	buf_fini(&crlf);
	arena_free(&a);
	arena_free(&b);
}

static void
test_line_ends(void **state)
{
	size_t i;

	(void)state;
	check_crlf(text(example), "example");
	for (i = 0; i < LEN(structures); i++)
		check_crlf(text(structures[i].content), structures[i].content);
}

static void
test_sizes(void **state)
{
	struct arena *a = arena_new(MIME_TREE_ARENA);
	struct mime_tree t;
	struct mime_range r;

	(void)state;
	mime_tree_parse(text("A: b\r\nC: d\n\nx\r\ny\n\rz\n\nend"), a, &t);
	r = mime_part_header(t.root);
	assert_int_equal(r.at, 0);
	assert_int_equal(r.n, 12);
	assert_int_equal(r.sent, 14);
	r = mime_part_body(t.root);
	assert_int_equal(r.at, 12);
	assert_int_equal(r.n, 12);
	assert_int_equal(r.sent, 15);
	assert_int_equal(r.lines, 4);		/* line ends: the last line has none */
	arena_free(&a);
}

/* ---- limits ---- */

static void
repeat(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_text(b, s);
}

static void
test_depth(void **state)
{
	static const char *const units[] = { MESSAGE "\n", MP("a") "--a\n" };
	struct arena *a = arena_new(MIME_TREE_ARENA);
	struct mime_tree t;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 8 << 20);
	for (i = 0; i < LEN(units); i++) {
		buf_clear(&b);
		repeat(&b, units[i], MIME_DEPTH_MAX);
		buf_text(&b, "\nx\n");
		mime_tree_parse(buf_bytes(&b), a, &t);
		assert_int_equal(t.depth, MIME_DEPTH_MAX);
		assert_int_equal(t.parts, MIME_DEPTH_MAX + 1);
		assert_false(t.over_depth);
		buf_clear(&b);
		repeat(&b, units[i], MIME_DEPTH_MAX + 1);
		buf_text(&b, "\nx\n");
		mime_tree_parse(buf_bytes(&b), a, &t);
		assert_int_equal(t.depth, MIME_DEPTH_MAX);
		assert_true(t.over_depth && !t.over_parts);
		repeat(&b, units[i], 50000);		/* CVE-2020-12100 */
		mime_tree_parse(buf_bytes(&b), a, &t);
		assert_true(t.over_depth);
		arena_reset(a);
	}
	buf_fini(&b);
	arena_free(&a);
}

/* A multipart that is one level too deep is one part; outer boundaries go on to count. */
static void
test_too_deep(void **state)
{
	struct arena *a = arena_new(MIME_TREE_ARENA);
	const struct mime_part *p;
	struct mime_tree t;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_text(&b, MP("outer") "--outer\n");
	repeat(&b, MESSAGE "\n", MIME_DEPTH_MAX - 1);
	buf_text(&b, MP("a") "--a\n\nx\n--outer\n\ny\n--outer--\n");
	mime_tree_parse(buf_bytes(&b), a, &t);
	assert_true(t.over_depth);
	assert_bytes_equal(range_bytes(&t, mime_part_body(t.root->last)), text("y"));
	for (p = t.root; p->first != NULL; p = p->first)
		;
	assert_int_equal(p->kind, MIME_CLOSED);
	assert_bytes_equal(range_bytes(&t, mime_part_body(p)), text("--a\n\nx"));
	buf_fini(&b);
	arena_free(&a);
}

/* count parts in one multipart; the root is one too. */
static void
many_parts(struct buf *b, size_t count)
{
	buf_clear(b);
	buf_text(b, MP("a"));
	repeat(b, "--a\n\nx\n", count);
	buf_text(b, "--a--\n");
}

static void
test_parts(void **state)
{
	struct arena *a = arena_new(MIME_TREE_ARENA);
	struct mime_tree t;
	struct buf b;

	(void)state;
	buf_init(&b, 8 << 20);
	many_parts(&b, MIME_PARTS_MAX - 1);
	mime_tree_parse(buf_bytes(&b), a, &t);
	assert_int_equal(t.parts, MIME_PARTS_MAX);
	assert_false(t.over_parts || t.root->last->rest);
	assert_bytes_equal(range_bytes(&t, mime_part_body(t.root->last)), text("x"));
	arena_reset(a);
	many_parts(&b, MIME_PARTS_MAX + 1);
	mime_tree_parse(buf_bytes(&b), a, &t);
	assert_int_equal(t.parts, MIME_PARTS_MAX + 1);
	assert_true(t.over_parts && t.root->last->rest);
	assert_int_equal(t.root->last->kind, MIME_CLOSED);
	assert_bytes_equal(range_bytes(&t, mime_part_body(t.root->last)), text("\nx\n--a\n\nx\n--a--\n"));
	arena_reset(a);
	many_parts(&b, 1000000);		/* CVE-2020-25275; in the memory there is */
	mime_tree_parse(buf_bytes(&b), a, &t);
	assert_int_equal(t.parts, MIME_PARTS_MAX + 1);
	buf_fini(&b);
	arena_free(&a);
}

/* Boundaries of the greatest length, as many as there is room for, and one more. */
static void
test_boundaries(void **state)
{
	struct arena *a = arena_new(MIME_TREE_ARENA);
	const size_t fit = MIME_BOUNDARIES / MIME_BOUNDARY_MAX;
	struct mime_tree t;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 1 << 20);
	for (i = 0; i < fit + 1; i++) {
		buf_text(&b, "Content-Type: multipart/mixed; boundary=");
		repeat(&b, "b", MIME_BOUNDARY_MAX);
		buf_text(&b, "\n\n--");
		repeat(&b, "b", MIME_BOUNDARY_MAX);
		buf_text(&b, "\n");
		mime_tree_parse(buf_bytes(&b), a, &t);
		assert_int_equal(t.over_depth, i == fit);
		assert_int_equal(t.depth, i < fit ? i + 1 : fit);
	}
	buf_fini(&b);
	arena_free(&a);
}

static void
test_header(void **state)
{
	static const char type[] = MP("a");
	struct arena *a = arena_new(MIME_TREE_ARENA);
	struct mime_tree t;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 2 * MIME_HEADER_MAX);
	for (i = 0; i < 2; i++) {	/* the last octet that counts is that of the boundary */
		buf_clear(&b);
		buf_text(&b, "X:");
		memset(buf_room(&b, MIME_HEADER_MAX), 'x', MIME_HEADER_MAX);
		b.n = MIME_HEADER_MAX - (sizeof type - 1 - 2) - 1 + i;
		buf_text(&b, "\n");
		buf_text(&b, type);
		buf_text(&b, "--a\n\n");
		mime_tree_parse(buf_bytes(&b), a, &t);
		assert_int_equal(t.root->kind, i == 0 ? MIME_MULTIPART : MIME_NO_PARTS);
	}
	buf_fini(&b);
	arena_free(&a);
}

/* ---- time ---- */

static double
seconds(struct bytes message)
{
	struct arena *a = arena_new(MIME_TREE_ARENA);
	double least = 1e9, now;
	struct mime_tree t;
	clock_t start;
	int i;

	for (i = 0; i < 3; i++) {
		arena_reset(a);
		start = clock();
		mime_tree_parse(message, a, &t);
		now = (double)(clock() - start) / CLOCKS_PER_SEC;
		least = now < least ? now : least;
	}
	arena_free(&a);
	return least;
}

/* Twice as much takes about twice as long: 100 levels, and text that is nearly a boundary. */
static void
test_linear(void **state)
{
	static const char *const units[] = {
		"--a\n", "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\n", "x\n", "--a--\n", "A: b\n", "\n",
		"Content-Type: x;y\n", "--\n", MP("a") "--a\n",
	};
	struct buf b;
	double once;
	size_t i, j;

	(void)state;
	buf_init(&b, 1 << 20);
	for (i = 0; i < LEN(units); i++) {
		buf_clear(&b);
		for (j = 0; j < MIME_DEPTH_MAX; j++)
			buf_text(&b, MP("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
		while (b.n < 256 << 10)
			buf_text(&b, units[i]);
		once = seconds(buf_bytes(&b));
		while (b.n < 512 << 10)
			buf_text(&b, units[i]);
		assert_true(seconds(buf_bytes(&b)) < 3 * once + 0.05);
	}
	buf_fini(&b);
}

/* ---- messages of others ---- */

/*
 * Messages of the MIME-tools and mime4j collections, and their trees without bodies.
 * They are mime4j's but for those with a remark: what is encoded is not looked into;
 * a multipart without parts is one body; a boundary has no white space at its end.
 */
static const struct { const char *name, *want; } vectors[] = {
	{ "mime4j/bad-newlines-multiple-parts-base64.msg", "c" },	/* encoded */
	{ "mime4j/bad-newlines-multiple-parts.msg", "M(s)" },
	{ "mime4j/base64-encoded-text.msg", "s" },
	{ "mime4j/base64encoded-rfc822message-nested.msg", "c" },	/* encoded */
	{ "mime4j/base64encoded-rfc822message.msg", "c" },	/* encoded */
	{ "mime4j/basic-plain-very-long-lines.msg", "s" },
	{ "mime4j/basic-plain-with-bad-header-separator.msg", "s" },
	{ "mime4j/basic-plain.msg", "s" },
	{ "mime4j/boundary-name-clash.msg", "M(M(ss)s)" },
	{ "mime4j/ending-boundaries.msg", "M(s)" },
	{ "mime4j/example.msg", "M(ssss)" },
	{ "mime4j/intermediate-boundaries.msg", "M(ss)" },
	{ "mime4j/malformedHeader-nocrlfcrlf.msg", "s" },
	{ "mime4j/malformedHeader-noheader.msg", "s" },
	{ "mime4j/malformedHeaderStartsBody-nocrlfcrlf.msg", "s" },
	{ "mime4j/malformedHeaderStartsBody-noheader.msg", "s" },
	{ "mime4j/misplaced-boundary.msg", "M(s)" },
	{ "mime4j/missing-boundary.msg", "n" },	/* no parts */
	{ "mime4j/missing-inner-boundary.msg", "M(sn)" },	/* no parts */
	{ "mime4j/missing-inner-start-boundary.msg", "M(sn)" },	/* no parts */
	{ "mime4j/multipartdigestnestedemptyparts.msg", "M(m(M(s)))" },
	{ "mime4j/multipartemptypart.msg", "M(s)" },
	{ "mime4j/multipartnestedemptyparts.msg", "M(m(M(s)))" },
	{ "mime4j/multipartnestedemptypartsnorfc822.msg", "M(M(s))" },
	{ "mime4j/multipartnopart.msg", "n" },	/* no parts */
	{ "mime4j/obsolete.msg", "s" },
	{ "mime4j/qp-body.msg", "s" },
	{ "mime4j/russian-headers.msg", "s" },
	{ "mime4j/simple-attachment.msg", "M(ss)" },
	{ "mime4j/very-long-boundary.msg", "M(sss)" },	/* white space */
	{ "mime4j/very-very-long-boundary.msg", "M(sss)" },	/* white space */
	{ "mime4j/weird-boundary.msg", "M(sss)" },	/* white space */
	{ "mimetools/2002_06_12_doublebound.msg", "M(sss)" },
	{ "mimetools/ak-0696.msg", "M(sm(s))" },
	{ "mimetools/attachment-filename-encoding-Latin1.msg", "M(ss)" },
	{ "mimetools/attachment-filename-encoding-UTF8.msg", "M(ss)" },
	{ "mimetools/badbound.msg", "n" },	/* no parts */
	{ "mimetools/badfile.msg", "s" },
	{ "mimetools/bluedot-postcard.msg", "M(sM(ss))" },
	{ "mimetools/bluedot-simple.msg", "s" },
	{ "mimetools/double-bound.msg", "M(ssssssssss)" },
	{ "mimetools/double-semicolon.msg", "M(ss)" },
	{ "mimetools/double-semicolon2.msg", "M(ss)" },
	{ "mimetools/dup-names.msg", "M(sssss)" },
	{ "mimetools/empty-preamble.msg", "M(ss)" },
	{ "mimetools/frag.msg", "M(sm(M(sm(M(sm(M(ss)))))))" },
	{ "mimetools/german-qp.msg", "s" },
	{ "mimetools/german.msg", "s" },
	{ "mimetools/hdr-fakeout.msg", "s" },
	{ "mimetools/infinite.msg", "s" },
	{ "mimetools/intl.msg", "s" },
	{ "mimetools/jt-0498.msg", "M(sm(s))" },
	{ "mimetools/lennie.msg", "M(sss)" },
	{ "mimetools/mp-msg-rfc822.msg", "M(sm(s))" },
	{ "mimetools/multi-2evil.msg", "M(sss)" },
	{ "mimetools/multi-2gifs-base64.msg", "c" },	/* encoded */
	{ "mimetools/multi-2gifs.msg", "M(sss)" },
	{ "mimetools/multi-bad.msg", "M(s)" },
	{ "mimetools/multi-badnames.msg", "M(sss)" },
	{ "mimetools/multi-clen.msg", "M(sss)" },
	{ "mimetools/multi-digest.msg", "M(m(s)m(s))" },
	{ "mimetools/multi-frag.msg", "M(ssM(ss)sm(s))" },
	{ "mimetools/multi-igor.msg", "M(ssss)" },
	{ "mimetools/multi-igor2.msg", "M(ssss)" },
	{ "mimetools/multi-nested.msg", "M(ssM(ss)sm(s))" },
	{ "mimetools/multi-nested2.msg", "M(ssM(ss)sm(s))" },
	{ "mimetools/multi-nested3.msg", "M(ssM(ss)sm(s))" },
	{ "mimetools/multi-simple.msg", "M(ss)" },
	{ "mimetools/multi-weirdspace.msg", "M(sss)" },
	{ "mimetools/not-mime.msg", "s" },
	{ "mimetools/re-fwd.msg", "m(m(s))" },
	{ "mimetools/russian.msg", "s" },
	{ "mimetools/sig-uu.msg", "s" },
	{ "mimetools/simple.msg", "s" },
	{ "mimetools/ticket-60931.msg", "M(ss)" },
	{ "mimetools/twopart.msg", "M(ss)" },
	{ "mimetools/uu-junk-target.msg", "M(sM(sss))" },
	{ "mimetools/uu-junk.msg", "M(ss)" },
	{ "mimetools/uu-zeegee.msg", "s" },
	{ "mimetools/x-gzip64.msg", "s" },
};

static void
test_vectors(void **state)
{
	struct arena *a = arena_new(MIME_TREE_ARENA);
	struct bytes message;
	struct mime_tree t;
	struct buf out;
	char name[200];
	size_t i;

	(void)state;
	buf_init(&out, 10000);
	for (i = 0; i < LEN(vectors); i++) {
		snprintf(name, sizeof name, "mime/%s", vectors[i].name);
		message = vector(name);
		mime_tree_parse(message, a, &t);
		print(&t, false, &out);
		assert_row_bytes(name, buf_bytes(&out), text(vectors[i].want));
		check_crlf(message, name);
		arena_reset(a);
	}
	buf_fini(&out);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structures),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_too_deep),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
