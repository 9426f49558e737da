/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/json_read.h"
#include "proto/utf8.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
look(const struct json_value *v, struct bytes whole)
{
	struct json_value member;
	struct buf b;
	int64_t number;

	must(v->kind != JSON_NONE && v->raw.p >= whole.p && v->raw.p + v->raw.n <= whole.p + whole.n);
	buf_init(&b, v->raw.n + 1);
	if (v->kind == JSON_STRING)		/* unquoted it is never longer */
		must(json_unquote(v, &b) && utf8_valid(buf_bytes(&b)) && json_equals(v, buf_bytes(&b)));
	else
		must(!json_unquote(v, &b) && b.n == 0);
	if (json_integer(v, &number))
		must(v->kind == JSON_NUMBER && number > -1000000000000000 && number < 1000000000000000);
	(void)json_member(v, "a", &member);
	if (member.kind != JSON_NONE)
		must(v->kind == JSON_OBJECT && member.raw.p > v->raw.p && member.raw.p + member.raw.n < v->raw.p + v->raw.n);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes whole = bytes_of(p, n);
	struct json_value v, item;

	if (!json_read(whole, &v))
		return 0;
	look(&v, whole);
	if (v.kind == JSON_ARRAY) {
		struct bytes rest = v.raw;

		while (json_item(&rest, &item))
			look(&item, v.raw);
		must(bytes_eq(rest, text("]")));
	}
	return 0;
}
