/* SPDX-License-Identifier: ISC */
/* The first octet chooses the pieces. What is encoded is 7-bit, in short lines, and decodes to what there was. */
#include "base/mem.h"
#include "proto/mime_encode.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
there_and_back(struct bytes in, enum mime_transfer how, size_t piece)
{
	struct mime_encoder e;
	struct mime_decoder d;
	struct buf out, back;
	struct bytes rest;
	size_t got;

	buf_init(&out, 1 << 24);
	buf_init(&back, 1 << 24);
	mime_encoder_init(&e, how);
	for (rest = in; rest.n > 0; rest = bytes_skip(rest, piece)) {
		struct bytes one = bytes_head(rest, piece);
		size_t before = out.n;

		mime_encode(&e, one, &out);
		must(out.n - before <= 4 * one.n + 16);
	}
	mime_encode_end(&e, &out);
	mime_decoder_init(&d, how, buf_bytes(&out));
	while ((got = mime_decode(&d, buf_room(&back, 100), 100)) > 0)
		back.n += got;
	must(bytes_eq(buf_bytes(&back), in));
	for (rest = buf_bytes(&out); rest.n > 0;) {
		struct bytes line = bytes_cut(&rest, '\n');

		must(line.n <= 77 && !bytes_starts(line, text("-")));
		for (size_t i = 0; i < line.n; i++)
			must(line.p[i] < 0x7f && (line.p[i] >= ' ' || line.p[i] == '\t' || line.p[i] == '\r'));
	}
	buf_fini(&out);
	buf_fini(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n == 0)
		return 0;
	there_and_back(bytes_of(p + 1, n - 1), MIME_QUOTED, 1 + p[0]);
	there_and_back(bytes_of(p + 1, n - 1), MIME_BASE64, 1 + p[0]);
	return 0;
}
