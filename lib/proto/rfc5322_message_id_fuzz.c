/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/rfc5322_message_id.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Whatever the pieces, the same is found; and nothing that would end a line. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t half = n > 0 ? p[0] % n : 0;
	struct message_id one, two;
	struct bytes id;

	message_id_init(&one);
	message_id_init(&two);
	message_id_feed(&one, bytes_of(p, n));
	message_id_feed(&two, bytes_of(p, half));
	message_id_feed(&two, bytes_of(p + half, n - half));
	id = message_id_text(&one);
	must(bytes_eq(id, message_id_text(&two)));
	must(id.n <= MESSAGE_ID_MAX && bytes_find(id, '\n') == id.n && bytes_find(id, '\r') == id.n);
	return 0;
}
