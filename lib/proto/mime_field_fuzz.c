/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "base/mem.h"
#include "proto/mime_field.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The parameters, written out whole and quoted. */
static void
write_params(const struct mime_value *v, struct buf *out)
{
	size_t i, j;

	for (i = 0; i < v->params_n; i++) {
		buf_char(out, ';');
		buf_add(out, v->params[i].name);
		buf_text(out, v->params[i].extended ? "*=\"" : "=\"");
		for (j = 0; j < v->params[i].value.n; j++) {
			buf_char(out, '\\');
			buf_char(out, v->params[i].value.p[j]);
		}
		buf_char(out, '"');
	}
}

/* Read again they are the same. */
static void
check_again(const struct mime_value *v, struct buf *b)
{
	static struct mime_value again;
	size_t i;

	write_params(v, b);
	if (b->n > MIME_VALUE_MAX)
		return;
	mime_content_disposition(buf_bytes(b), &again);
	must(again.params_n == v->params_n && !again.odd);
	for (i = 0; i < v->params_n; i++) {
		must(bytes_eq(again.params[i].name, v->params[i].name));
		must(bytes_eq(again.params[i].value, v->params[i].value));
		must(again.params[i].extended == v->params[i].extended);
	}
}

/* What decides the structure and what is shown agree; extended values have their quotes. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct mime_value v;
	static unsigned char out[3 * MIME_VALUE_MAX];
	static struct mime_type t;
	struct bytes tags[8], charset, language;
	struct buf b;
	size_t i;

	mime_type_parse(bytes_of(p, n), &t);
	mime_content_type(bytes_of(p, n), &v);
	must(bytes_eq(t.type, v.type) && bytes_eq(t.subtype, v.subtype));
	must(t.boundary.n <= MIME_BOUNDARY_MAX);
	for (i = 0; i < v.params_n; i++) {
		must(v.params[i].name.n > 0);
		must(mime_param_decode(&v.params[i], out, &charset, &language) <= v.params[i].value.n);
		must(!v.params[i].extended || bytes_find(v.params[i].value, '\'') < v.params[i].value.n);
	}
	buf_init(&b, 8 * MIME_VALUE_MAX);
	check_again(&v, &b);
	mime_content_disposition(bytes_of(p, n), &v);
	buf_clear(&b);
	check_again(&v, &b);
	buf_fini(&b);
	for (i = mime_languages(bytes_of(p, n), tags, LEN(tags)); i > 0; i--)
		must(tags[i - 1].n > 0);
	mime_encoded(bytes_of(p, n));
	return 0;
}
