/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/smtp_data.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct buf out[3];

/* Cuts the input at places that its first octets choose; the content must not depend on it,
 * nothing bare is in it, and stuffed again it decodes to itself. */
static size_t
decode(struct bytes in, enum smtp_data_mode mode, size_t step, struct buf *to)
{
	struct smtp_data d;
	struct bytes piece;
	size_t taken = 0;

	smtp_data_init(&d, mode);
	buf_clear(to);
	while (taken < in.n) {
		piece = bytes_head(bytes_skip(in, taken), step);
		taken += piece.n;
		if (smtp_data_feed_buf(&d, &piece, to) == SMTP_DATA_END)
			return taken - piece.n;
	}
	return taken;
}

static void
check_again(struct bytes content)
{
	struct smtp_stuff s;
	struct smtp_data d;
	struct bytes in;

	smtp_stuff_init(&s);
	buf_clear(&out[1]);
	buf_clear(&out[2]);
	smtp_stuff_feed(&s, content, &out[1]);
	smtp_stuff_end(&s, &out[1]);
	in = buf_bytes(&out[1]);
	smtp_data_init(&d, SMTP_DATA_REJECT);
	must(smtp_data_feed_buf(&d, &in, &out[2]) == SMTP_DATA_END && in.n == 0);
	must(!d.bare_cr && !d.bare_lf && bytes_starts(buf_bytes(&out[2]), content));
	must(out[2].n <= content.n + 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	enum smtp_data_mode mode;
	struct bytes in;
	size_t i, whole;

	if (n < 2)
		return 0;
	for (i = 0; i < LEN(out); i++)
		buf_init(&out[i], 16 * n + 100);
	mode = p[0] & 1 ? SMTP_DATA_NORMALIZE : SMTP_DATA_REJECT;
	in = bytes_of(p + 2, n - 2);
	whole = decode(in, mode, n, &out[0]);
	must(decode(in, mode, 1 + p[1] % 16, &out[1]) == whole);
	must(bytes_eq(buf_bytes(&out[0]), buf_bytes(&out[1])));
	if (out[0].n > 0 && (mode == SMTP_DATA_NORMALIZE) && out[0].p[out[0].n - 1] == '\n')
		check_again(buf_bytes(&out[0]));
	for (i = 0; i < LEN(out); i++)
		buf_fini(&out[i]);
	return 0;
}
