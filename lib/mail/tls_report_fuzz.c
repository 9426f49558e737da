/* SPDX-License-Identifier: ISC */
#include "base/encode.h"
#include "base/mem.h"
#include "mail/tls_report.h"

#define DAY "2026-11-26"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* As it is, and with a beginning and a checksum that are right. What is taken comes out as it would come out again. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct tls_report *r = tls_report_new(50), *again = tls_report_new(50);
	struct bytes body = bytes_of(p, n);
	struct buf file, out;

	(void)tls_report_read(r, DAY, body);
	tls_report_clear(r);
	buf_init(&file, TLS_REPORT_FILE);
	buf_init(&out, TLS_REPORT_FILE);
	buf_fmt(&file, "hermod tls-report 1\ncrc32 %08x\n", (unsigned)crc32_of(0, body));
	buf_add(&file, body);
	if (tls_report_read(r, DAY, buf_bytes(&file))) {
		tls_report_write(r, DAY, &out);
		must(!out.full && tls_report_read(again, DAY, buf_bytes(&out)));
		buf_clear(&file);
		tls_report_write(again, DAY, &file);
		must(bytes_eq(buf_bytes(&file), buf_bytes(&out)));
	}
	buf_fini(&file);
	buf_fini(&out);
	tls_report_free(&r);
	tls_report_free(&again);
	return 0;
}
