/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/penalty_file.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* As it is, and with a beginning and a checksum that are right. What is taken is written as it was. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes lines, body = bytes_of(p, n);
	struct penalty one;
	struct buf file, again;

	(void)penalty_file_read(body, &lines);
	buf_init(&file, PENALTY_FILE);
	buf_init(&again, PENALTY_FILE);
	penalty_file_write(body, &file);
	if (penalty_file_read(buf_bytes(&file), &lines)) {
		must(bytes_eq(lines, body));
		while (penalty_file_next(&lines, &one))
			penalty_file_add(&again, &one);
		must(bytes_eq(buf_bytes(&again), body));
	}
	buf_fini(&file);
	buf_fini(&again);
	return 0;
}
