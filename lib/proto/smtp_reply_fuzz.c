/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/smtp_reply.h"
#include "proto/utf8.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What we write from any text, we read as one reply. */
static void
check_written(struct bytes s)
{
	struct smtp_reply r;
	struct bytes rest, line;
	enum smtp_reply_status st = SMTP_REPLY_MORE;
	struct buf out;

	buf_init(&out, 1 << 20);
	smtp_reply_init(&r);
	smtp_reply_put(&out, 550, s);
	for (rest = buf_bytes(&out); rest.n > 0;) {
		must(st == SMTP_REPLY_MORE || r.lines >= SMTP_REPLY_LINES_MAX);
		line = bytes_cut(&rest, '\n');
		must(line.n > 4 && line.n < SMTP_REPLY_LINE_MAX && line.p[line.n - 1] == '\r');
		st = smtp_reply_read(&r, bytes_head(line, line.n - 1));
	}
	must(st == SMTP_REPLY_DONE || r.lines >= SMTP_REPLY_LINES_MAX);
	smtp_reply_fini(&r);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = bytes_of(p, n);
	struct smtp_reply r;

	smtp_reply_init(&r);
	while (rest.n > 0)
		if (smtp_reply_read(&r, bytes_cut(&rest, '\n')) != SMTP_REPLY_MORE) {
			must(utf8_valid(buf_bytes(&r.text)) && r.text.n <= SMTP_REPLY_KEEP && !r.text.full);
			must(bytes_find(buf_bytes(&r.text), '\r') == r.text.n);
			smtp_reply_reset(&r);
		}
	smtp_reply_fini(&r);
	check_written(bytes_of(p, n));
	return 0;
}
