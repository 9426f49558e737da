/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "base/buf.h"
#include "proto/mime_field.h"

/* class|type|subtype|boundary of a Content-Type. */
static const struct { const char *value, *want; bool odd; } types[] = {
	{ "text/plain", "0|text|plain|", false },
	{ "", "0|||", false },
	{ "text", "0|text||", false },
	{ "/", "0|||", false },
	{ "text/", "0|text||", false },
	{ "text plain", "0|text|plain|", false },
	{ " (c) MULTIPART (d) / (e) Mixed (f) ; boundary=a", "1|MULTIPART|Mixed|a", false },
	{ "multipart/mixed;\r\n\tboundary=\"a b\"", "1|multipart|mixed|a b", false },
	{ "multipart/mixed; boundary=\"a\\\"b\"", "1|multipart|mixed|a\"b", false },
	{ "multipart/mixed; boundary=\"a", "1|multipart|mixed|a", false },
	{ "multipart/mixed; boundary=\"a\r\n\tb\"", "1|multipart|mixed|a\tb", false },
	{ "multipart/mixed; boundary=a b", "1|multipart|mixed|a", false },
	{ "multipart/mixed; boundary=a(b)", "1|multipart|mixed|a", false },
	{ "multipart/mixed; x=\"y;boundary=z\"; BOUNDARY = a", "1|multipart|mixed|a", false },
	{ "multipart/mixed;; ;x; boundary=a;", "1|multipart|mixed|a", false },
	{ "multipart/mixed boundary=a", "1|multipart|mixed|", false },
	{ "multipart/mixed; boundary", "1|multipart|mixed|", false },
	{ "multipart/mixed (\\);boundary=a); boundary=b", "1|multipart|mixed|b", false },
	{ "multipart/mixed; (boundary=a", "1|multipart|mixed|", false },
	{ "multipart/mixed; boundary=\"\"", "1|multipart|mixed|", true },
	{ "multipart/mixed; boundary=", "1|multipart|mixed|", true },
	{ "multipart/mixed; boundary=\"a \"", "1|multipart|mixed|a", true },
	{ "multipart/mixed; boundary=\" \"", "1|multipart|mixed| ", false },
	{ "multipart/mixed; boundary=a; boundary=b", "1|multipart|mixed|a", true },	/* CVE-2024-28054 */
	{ "multipart/mixed; boundary=\"\"; boundary=b", "1|multipart|mixed|b", true },
	{ "multipart/mixed; boundary*0=a; boundary*1=b", "1|multipart|mixed|", true },
	{ "message/rfc822", "2|message|rfc822|", false },
	{ "Message/Global; x=y", "2|Message|Global|", false },
	{ "message/partial", "0|message|partial|", false },
	{ "multipart", "1|multipart||", false },
};

static void
test_types(void **state)
{
	struct mime_type t;
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 10000);
	for (i = 0; i < LEN(types); i++) {
		mime_type_parse(text(types[i].value), &t);
		buf_clear(&out);
		buf_fmt(&out, "%d|%.*s|%.*s|%.*s", t.class, BYTES_FMT(t.type), BYTES_FMT(t.subtype),
		    BYTES_FMT(t.boundary));
		assert_row_bytes(types[i].value, buf_bytes(&out), text(types[i].want));
		assert_row_int(types[i].value, t.odd, types[i].odd);
	}
	mime_type_parse(OCTETS("a\0b/c\0"), &t);
	assert_bytes_equal(t.type, OCTETS("a\0b"));
	assert_bytes_equal(t.subtype, OCTETS("c\0"));
	buf_fini(&out);
}

/* type/subtype, then |name=value for each parameter, "name*" for an extended one. */
static const struct { const char *value, *want; bool odd; } values[] = {
	{ "text/plain; charset=us-ascii (Plain text)", "text/plain|charset=us-ascii", false },
	{ "text/plain; charset=\"us-ascii\"", "text/plain|charset=us-ascii", false },
	{ "text; CharSet = utf-8", "text/|CharSet=utf-8", false },
	{ "text/plain; a=b; a=c; A=\"d\"", "text/plain|a=b", true },
	{ "text/plain; a; =b; ;c=d", "text/plain|c=d", false },
	{ "text/plain; a=;b=\"\"", "text/plain|a=|b=", false },
	{ "a/b; name=my file (1).txt ; c=d", "a/b|name=my file (1).txt|c=d", false },
	{ "a/b; charset=utf-8\r\n format=flowed; c=d", "a/b|charset=utf-8|c=d", false },
	{ "a/b; name=x \"y\"; c=d", "a/b|name=x|c=d", false },
	{ "a/b; name=\"x\" y; c=d", "a/b|name=x|c=d", false },
	{ "a/b; name==?utf-8?q?=41?=", "a/b|name==?utf-8?q?=41?=", false },
	{ "a/b; name=\"=?utf-8?q?a;b?=\"", "a/b|name==?utf-8?q?a;b?=", false },
	{ "a/b; name=\"C:\\\\d\\f\"", "a/b|name=C:\\df", false },
	{ "a/b; name=\"x\r\n y\\\"\"", "a/b|name=x y\"", false },
	{ "a/b; name=\"x; c=d", "a/b|name=x; c=d", false },
	{ "a/b; name=\"x\\", "a/b|name=x\\", false },
	/* RFC 2231 section 3 */
	{ "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n"
	    " URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
	    "message/external-body|access-type=URL|URL=ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar",
	    false },
	/* sections 4, 4.1 */
	{ "a/b; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
	    "a/b|title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", false },
	{ "a/b; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20;"
	    " title*2=\"isn't it!\"",
	    "a/b|title*=us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!", false },
	/* by number, at the place of the first */
	{ "a/b; f*1*=%20b; x=y; f*0*=utf-8''a", "a/b|f*=utf-8''a%20b|x=y", false },
	{ "a/b; f*0=a; f*2=c", "a/b|f=a", true },
	{ "a/b; f*1=a; x=y", "a/b|x=y", true },
	{ "a/b; f*0=a; f*1=b; F*1=c; f*2=d", "a/b|f=abd", true },
	{ "a/b; f*0=a; f*1*=%20b", "a/b|f=a%20b", false },
	{ "a/b; f*0*=a; f*1*=''b", "a/b|f=a''b", false },
	{ "a/b; f*=a'b", "a/b|f=a'b", false },
	{ "a/b; f=a; f*=utf-8''b", "a/b|f=a|f*=utf-8''b", false },
	{ "a/b; f=a; f*0=b", "a/b|f=a", true },
	{ "a/b; *=a; f**=b; f*x=c; f*00=d; f*1**=e; f*128=g", "a/b|*=a|f**=b|f*x=c|f*00=d|f*1**=e|f*128=g", false },
	{ "a/b; f*127=a", "a/b", true },
	{ "a/b; f*0=\"a\\\"\"; f*1=\"\r\n b\"", "a/b|f=a\" b", false },	/* CVE-2024-39929 */
};

static void
print(const struct mime_value *v, struct buf *out)
{
	size_t i;

	buf_clear(out);
	buf_add(out, v->type);
	buf_char(out, '/');
	buf_add(out, v->subtype);
	for (i = 0; i < v->params_n; i++) {
		buf_char(out, '|');
		buf_add(out, v->params[i].name);
		buf_text(out, v->params[i].extended ? "*=" : "=");
		buf_add(out, v->params[i].value);
	}
}

static void
test_values(void **state)
{
	static struct mime_value v;
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 100000);
	for (i = 0; i < LEN(values); i++) {
		mime_content_type(text(values[i].value), &v);
		print(&v, &out);
		assert_row_bytes(values[i].value, buf_bytes(&out), text(values[i].want));
		assert_row_int(values[i].value, v.odd, values[i].odd);
	}
	mime_content_disposition(text(" attachment (x) ; filename=a"), &v);
	print(&v, &out);
	assert_bytes_equal(buf_bytes(&out), text("attachment/|filename=a"));
	mime_content_disposition(text(""), &v);
	assert_int_equal(v.type.n + v.params_n, 0);
	buf_fini(&out);
}

/* rfc2231-vectors.yml of the suite's test data: what the parameter stands for. */
static const struct { const char *value, *name, *want, *charset, *language; } decoded[] = {
	{ "a/b;URL*0=\"ftp://\";URL*1=\"cs\"", "url", "ftp://cs", "", "" },
	{ "a/b; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "title", "This is ***fun***",
	    "us-ascii", "en-us" },
	{ "a/b; title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n"
	    " title*2=\"isn't it!\"", "title", "This is even more ***fun*** isn't it!", "us-ascii", "en" },
	{ "a; filename*1*=%20b; filename*0*=utf-8''a", "filename", "a b", "utf-8", "" },
	{ "a; filename*=UTF-8''%e2%82%ac%20rates", "filename", "\xe2\x82\xac rates", "UTF-8", "" },
	{ "a; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates", "filename",
	    "\xe2\x82\xac rates", "utf-8", "" },
	{ "a; filename*=utf-8''x; filename=y", "filename", "x", "utf-8", "" },
	{ "a; filename*0=\"foo.\"; filename*2=\"bar\"", "filename", "foo.", "", "" },
	{ "a; filename*=''x", "filename", "x", "", "" },
	{ "a; filename*=''%4%zz%41%", "filename", "%4%zzA%", "", "" },
	{ "a; filename=%41", "filename", "%41", "", "" },
};

static void
test_decoded(void **state)
{
	static struct mime_value v;
	const struct mime_param *p;
	struct bytes charset, language;
	unsigned char out[1000];
	size_t i;

	(void)state;
	for (i = 0; i < LEN(decoded); i++) {
		mime_content_type(text(decoded[i].value), &v);
		assert_non_null(p = mime_param_find(&v, decoded[i].name));
		assert_row_bytes(decoded[i].value,
		    bytes_of(out, mime_param_decode(p, out, &charset, &language)), text(decoded[i].want));
		assert_row_bytes(decoded[i].value, charset, text(decoded[i].charset));
		assert_row_bytes(decoded[i].value, language, text(decoded[i].language));
		assert_null(mime_param_find(&v, "none"));
	}
}

static void
test_others(void **state)
{
	unsigned char room[MIME_ENCODING_MAX];
	struct bytes tags[2];

	(void)state;
	assert_bytes_equal(mime_encoding(text(" \r\n (c) Base64 (d); x"), room), text("Base64"));
	assert_bytes_equal(mime_encoding(text("("), room), text(""));
	assert_true(mime_encoded(text(" BASE64\r\n")));
	assert_true(mime_encoded(text("quoted-printable; x")));
	assert_false(mime_encoded(text("base64x")));
	assert_false(mime_encoded(text("7bit")));
	assert_false(mime_encoded(text("")));
	assert_int_equal(mime_languages(text("de (German), ,\r\n en-US, fr"), tags, LEN(tags)), 2);
	assert_bytes_equal(tags[0], text("de"));
	assert_bytes_equal(tags[1], text("en-US"));
	assert_int_equal(mime_languages(text("de"), tags, LEN(tags)), 1);
	assert_int_equal(mime_languages(text(" (x) "), tags, LEN(tags)), 0);
}

/* value: n of unit, behind what is in start, and end. */
static void
fill(struct buf *b, const char *start, const char *unit, size_t n, const char *end)
{
	buf_clear(b);
	buf_text(b, start);
	while (n-- > 0)
		buf_text(b, unit);
	buf_text(b, end);
}

/* Each limit, and one past it. */
static void
test_limits(void **state)
{
	static struct mime_value v;
	struct mime_type t;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 1 << 20);
	for (i = 0; i < 2; i++) {
		fill(&b, "multipart/mixed; boundary=", "b", MIME_BOUNDARY_MAX + i, "");
		mime_type_parse(buf_bytes(&b), &t);
		assert_int_equal(t.boundary.n, i == 0 ? MIME_BOUNDARY_MAX : 0);
		assert_int_equal(t.odd, i);
		fill(&b, "a/b", " ", MIME_TYPE_MAX - 14 + i, ";boundary=x\r\n");
		mime_type_parse(buf_bytes(&b), &t);
		assert_int_equal(t.boundary.n, 1 - i);
		fill(&b, "a/b", " ", MIME_TYPE_MAX - 14 + i, ";boundary=yz");
		mime_type_parse(buf_bytes(&b), &t);
		assert_bytes_equal(t.boundary, text(i == 0 ? "y" : ""));
		assert_true(t.odd);
		fill(&b, "a/b;x=", "y", MIME_VALUE_MAX - 6 + i, "\r\n");
		mime_content_type(buf_bytes(&b), &v);
		assert_int_equal(v.params[0].value.n, MIME_VALUE_MAX - 6);
		assert_int_equal(v.odd, i);
		fill(&b, "\n", " ", MIME_ENCODING_MAX - 6 + i, "base64");
		assert_int_equal(mime_encoded(buf_bytes(&b)), i == 0);
	}
	buf_fini(&b);
}

static void
test_many(void **state)
{
	static struct mime_value v;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 1 << 20);
	for (i = 0; i < MIME_PARAMS_MAX + 1; i++) {
		buf_fmt(&b, ";n%zu=v", i);
		mime_content_disposition(buf_bytes(&b), &v);
		assert_int_equal(v.params_n, i < MIME_PARAMS_MAX ? i + 1 : MIME_PARAMS_MAX);
		assert_int_equal(v.odd, i >= MIME_PARAMS_MAX);
	}
	buf_clear(&b);
	for (i = 0; i < MIME_PIECES_MAX; i++)
		buf_fmt(&b, ";n*%zu=v", i);
	mime_content_disposition(buf_bytes(&b), &v);
	assert_int_equal(v.params_n, 1);
	assert_int_equal(v.params[0].value.n, MIME_PIECES_MAX);
	assert_false(v.odd);
	buf_text(&b, ";m=v");
	mime_content_disposition(buf_bytes(&b), &v);
	assert_int_equal(v.params_n, 1);
	assert_true(v.odd);
	/* the pool at its fullest */
	fill(&b, "a/b;n*0*=u'';n*1=\"", "\xff", MIME_VALUE_MAX - 18, "");
	mime_content_type(buf_bytes(&b), &v);
	assert_int_equal(v.params[0].value.n, 3 + 3 * (MIME_VALUE_MAX - 18));
	buf_fini(&b);
}

/* A million octets of what made others slow (CVE-2026-27859). */
static void
test_long(void **state)
{
	static const char *const units[] = { "(", ";", "a=b;", "a*0=b;", "\"", "\\", ";a=(b c", ";a*1*=%41", " ", "," };
	static struct mime_value v;
	struct mime_type t;
	struct bytes tags[4];
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 2 << 20);
	for (i = 0; i < LEN(units); i++) {
		fill(&b, "a/b;", units[i], 1000000 / strlen(units[i]), "");
		mime_type_parse(buf_bytes(&b), &t);
		mime_content_type(buf_bytes(&b), &v);
		mime_languages(buf_bytes(&b), tags, LEN(tags));
		assert_true(v.odd);
	}
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_decoded),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
