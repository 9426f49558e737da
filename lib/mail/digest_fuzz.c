/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/digest.h"
#include "proto/imap_structure.h"
#include "proto/imap_structure_testing.h"
#include "proto/rfc5322_field.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The fields that are kept, found in another way: octet by octet, LF ends. */
static void
wanted_fields(struct bytes header, struct buf *out)
{
	struct field f;
	struct bytes rest = header;
	size_t i;

	while (field_next(&header, &f)) {
		for (i = 0; mail_digest_field(f.name) && i < f.whole.n; i++) {
			if (f.whole.p[i] == '\n' && (i == 0 || f.whole.p[i - 1] != '\r'))
				buf_char(out, '\r');
			buf_char(out, f.whole.p[i]);
		}
		rest = header;
	}
	if (rest.n > header.n)
		buf_text(out, "\r\n");
}

/* Each of the three is whole or not there; a message in CRLF has the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(MAIL_DIGEST_ARENA);
	struct buf room, again, fields, crlf;
	struct index_data d, e;
	size_t i;

	buf_init(&room, 1 << 16);
	buf_init(&again, 1 << 16);
	buf_init(&fields, 3 * n + 16);
	buf_init(&crlf, 2 * n + 1);
	for (i = 0; i < n; i++) {
		if (p[i] == '\n' && (i == 0 || p[i - 1] != '\r'))
			buf_char(&crlf, '\r');
		buf_char(&crlf, p[i]);
	}
	mail_digest(bytes_of(p, n), a, &room, &d);
	must(d.octets == crlf.n && room.n <= MAIL_DIGEST_MAX && !room.full);
	must(d.envelope.n == 0 || grammar_envelope(d.envelope));
	must(d.structure.n == 0 || grammar_body(d.structure, true, false) > 0);
	wanted_fields(bytes_of(p, n), &fields);
	must(d.fields.n == 0 || bytes_eq(d.fields, buf_bytes(&fields)));
	must(d.fields.n > 0 || room.n + fields.n > MAIL_DIGEST_MAX || fields.n == 0);
	arena_reset(a);
	mail_digest(buf_bytes(&crlf), a, &again, &e);
	must(d.octets == e.octets && bytes_eq(buf_bytes(&again), buf_bytes(&room)));
	buf_fini(&room);
	buf_fini(&again);
	buf_fini(&fields);
	buf_fini(&crlf);
	arena_free(&a);
	return 0;
}
