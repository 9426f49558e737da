/* SPDX-License-Identifier: ISC */
/* The first octet chooses the pieces. Whatever they are, our server reads one message, the same that BDAT would carry. */
#include "base/mem.h"
#include "proto/smtp_content.h"
#include "proto/smtp_data.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
encode(struct bytes in, enum smtp_content_mode mode, size_t piece, struct buf *out)
{
	struct smtp_content s;

	smtp_content_init(&s, mode);
	while (in.n > 0) {
		size_t before = out->n, got = piece < in.n ? piece : in.n;

		smtp_content_feed(&s, bytes_head(in, piece), out);
		must(out->n - before <= 2 * got + 2);
		in = bytes_skip(in, piece);
	}
	smtp_content_end(&s, out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf data, bdat, back;
	struct smtp_data d;
	struct bytes rest;

	if (n == 0)
		return 0;
	buf_init(&data, 1 << 24);
	buf_init(&bdat, 1 << 24);
	buf_init(&back, 1 << 24);
	encode(bytes_of(p + 1, n - 1), SMTP_CONTENT_DATA, 1 + p[0], &data);
	encode(bytes_of(p + 1, n - 1), SMTP_CONTENT_BDAT, 1 + p[0] % 3, &bdat);
	if (bdat.n > 0 && bdat.p[bdat.n - 1] != '\n')
		buf_text(&bdat, "\r\n");
	smtp_data_init(&d, SMTP_DATA_REJECT);
	rest = buf_bytes(&data);
	must(smtp_data_feed_buf(&d, &rest, &back) == SMTP_DATA_END && rest.n == 0);
	must(!d.bare_cr && !d.bare_lf && bytes_eq(buf_bytes(&back), buf_bytes(&bdat)));
	buf_fini(&data);
	buf_fini(&bdat);
	buf_fini(&back);
	return 0;
}
