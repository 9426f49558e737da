/* SPDX-License-Identifier: ISC */
#include "base/encode.h"
#include "proto/jwt.h"
#include "proto/testing.h"

/* RFC 7515 appendix A.2.1: {"alg":"RS256"}. */
#define RS256	"eyJhbGciOiJSUzI1NiJ9"
#define CLAIMS	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define NO_JWT	"it is no JSON Web Token with a signature"
#define NO_ALG	"it is not signed by RS256, PS256, ES256 or EdDSA"

static void
test_example(void **state)
{
	struct arena *a = arena_new(JWT_ARENA);
	struct jwt j;

	(void)state;
	assert_null(jwt_parse(text(RS256 "." CLAIMS "._-8"), a, &j));
	assert_int_equal(j.algorithm, JWT_RS256);
	assert_bytes_equal(j.signs, text(RS256 "." CLAIMS));
	assert_bytes_equal(j.claims, text("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}"));
	assert_bytes_equal(j.signature, OCTETS("\xff\xef"));
	arena_free(&a);
}

/* In base64url. */
static void
encode(struct buf *out, const char *s)
{
	size_t at = out->n;

	base64_encode(text(s), out);
	for (size_t i = at; i < out->n; i++)
		out->p[i] = out->p[i] == '+' ? '-' : out->p[i] == '/' ? '_' : out->p[i];
	while (out->n > at && out->p[out->n - 1] == '=')
		out->n--;
}

static void
test_headers(void **state)
{
	static const struct { const char *header; enum jwt_algorithm algorithm; const char *why; } cases[] = {
		{ "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"1\"}", JWT_RS256, NULL },
		{ "{\"alg\":\"PS256\"}", JWT_PS256, NULL },
		{ "{\"alg\":\"ES256\"}", JWT_ES256, NULL },
		{ " {\"alg\":\"EdDSA\"} ", JWT_EDDSA, NULL },
		{ "{\"alg\":\"none\"}", 0, NO_ALG },
		{ "{\"alg\":\"HS256\"}", 0, NO_ALG },
		{ "{\"alg\":\"rs256\"}", 0, NO_ALG },
		{ "{\"alg\":\"RS256x\"}", 0, NO_ALG },
		{ "{\"alg\":[\"RS256\"]}", 0, NO_ALG },
		{ "{\"alg\":null}", 0, NO_ALG },
		{ "{\"typ\":\"JWT\"}", 0, NO_ALG },
		{ "{\"alg\":\"HS256\",\"alg\":\"RS256\"}", 0, "its header says something twice" },
		{ "{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", 0, "its header has an extension that is not known here" },
		{ "{\"alg\":\"RS256\",\"b64\":false}", 0, "its header has an extension that is not known here" },
		{ "\"RS256\"", 0, "its header is no JSON object" },
		{ "[]", 0, "its header is no JSON object" },
		{ "{", 0, "its header is no JSON object" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct arena *a = arena_new(JWT_ARENA);
		struct jwt j;
		const char *why;
		struct buf b;

		buf_init(&b, JWT_MAX);
		encode(&b, cases[i].header);
		buf_text(&b, "." CLAIMS ".AAAA");
		why = jwt_parse(buf_bytes(&b), a, &j);
		assert_row_bytes(cases[i].header, text(why), text(cases[i].why));
		if (!why)
			assert_row_int(cases[i].header, j.algorithm, cases[i].algorithm);
		buf_fini(&b);
		arena_free(&a);
	}
}

static void
test_forms(void **state)
{
	static const char *const wrong[] = { "", ".", "..", "...", RS256, RS256 "." CLAIMS, RS256 "." CLAIMS ".", RS256 "..AAAA",
	    "." CLAIMS ".AAAA", RS256 "." CLAIMS ".AAAA.", RS256 "." CLAIMS ".AAAA.AAAA.AAAA" /* encrypted */, RS256 "=." CLAIMS ".AAAA",
	    RS256 "." CLAIMS ".AAA+", RS256 "." CLAIMS ".AAA/", RS256 "." CLAIMS ".AAA=", RS256 "." CLAIMS ".A", RS256 "." CLAIMS ".AB",
	    RS256 "." CLAIMS ".AA AA", "ya29.opaque.token" };

	(void)state;
	for (size_t i = 0; i < LEN(wrong); i++) {
		struct arena *a = arena_new(JWT_ARENA);
		struct jwt j;

		assert_row_bytes(wrong[i], text(jwt_parse(text(wrong[i]), a, &j)), text(NO_JWT));
		arena_free(&a);
	}
}

static void
test_limit(void **state)
{
	static char token[JWT_MAX + 2];
	struct arena *a = arena_new(JWT_ARENA);
	struct jwt j;

	(void)state;
	memset(token, 'A', JWT_MAX);
	memcpy(token, RS256 "." CLAIMS ".", strlen(RS256 "." CLAIMS "."));
	assert_null(jwt_parse(text(token), a, &j));
	token[JWT_MAX] = 'A';
	assert_bytes_equal(text(jwt_parse(text(token), a, &j)), text("it is too long"));
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
