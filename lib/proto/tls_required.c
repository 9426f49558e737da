/* SPDX-License-Identifier: ISC */
#include "proto/tls_required.h"

/* The field has ended, since the next line does not go on with it. */
static void
end_field(struct tls_required *t)
{
	struct bytes field = bytes_of(t->field, t->n < sizeof t->field ? t->n : sizeof t->field);
	size_t colon = bytes_find(field, ':');

	if (bytes_case_eq(bytes_trim(bytes_head(field, colon)), text("TLS-Required")) && colon < field.n) {
		t->odd = t->seen;
		t->seen = true;
		t->no = t->n <= sizeof t->field && bytes_case_eq(bytes_trim(bytes_skip(field, colon + 1)), text("No"));
	}
	t->n = 0;
}

static void
take(struct tls_required *t, unsigned char c)
{
	if (c == '\r')
		return;
	if (c == '\n') {
		t->over = !t->in_line;
		t->in_line = false;
		return;
	}
	if (!t->in_line && c != ' ' && c != '\t')
		end_field(t);
	t->in_line = true;
	if (t->n < sizeof t->field)
		t->field[t->n] = c;
	t->n++;
}

void
tls_required_feed(struct tls_required *t, struct bytes content)
{
	for (size_t i = 0; i < content.n && !t->over; i++)
		take(t, content.p[i]);
}

bool
tls_required_is_no(const struct tls_required *t)
{
	struct tls_required end = *t;

	end_field(&end);
	return end.seen && end.no && !end.odd;
}
