/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/rfc5322_field.h"
#include "proto/rfc5322_write.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Whatever the client called itself: one field, of legal lines. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = bytes_of(p, n), line;
	struct received r = { .by = text("mx.our.test"), .id = text("1"), .date = "today" };
	struct field f;
	struct buf out;

	r.helo = bytes_cut(&rest, '\t');
	r.client_name = bytes_cut(&rest, '\t');
	r.tls = rest;
	r.client_ip = text("192.0.2.1");
	r.smtputf8 = n % 2;
	buf_init(&out, 1 << 20);
	received_put(&r, &out);
	rest = buf_bytes(&out);
	must(field_next(&rest, &f) && rest.n == 0 && field_is(&f, "Received"));
	while (f.whole.n > 0) {
		line = bytes_cut(&f.whole, '\n');
		must(line.n > 1 && bytes_find(line, '\r') == line.n - 1);
	}
	buf_fini(&out);
	return 0;
}
