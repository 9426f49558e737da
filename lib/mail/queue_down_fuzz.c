/* SPDX-License-Identifier: ISC */
#include "base/encode.h"
#include "base/little.h"
#include "base/mem.h"
#include "mail/queue_down.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* As it is, and with a checksum that is right. What is taken is written as it was, but for texts that are cut. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct queue_down d, again;
	struct buf note, out;

	queue_down_decode(bytes_of(p, n), &d);
	buf_init(&note, QUEUE_DOWN_MAX);
	buf_init(&out, QUEUE_DOWN_MAX);
	buf_add(&note, bytes_head(bytes_of(p, n), QUEUE_DOWN_MAX - 4));
	buf_u32(&note, crc32_of(0, buf_bytes(&note)));
	if (queue_down_decode(buf_bytes(&note), &d)) {
		queue_down_encode(&d, &out);
		must(!out.full && queue_down_decode(buf_bytes(&out), &again));
		must(again.next_s == d.next_s && again.attempts == d.attempts && bytes_starts(d.reply, again.reply));
	}
	buf_fini(&note);
	buf_fini(&out);
	return 0;
}
