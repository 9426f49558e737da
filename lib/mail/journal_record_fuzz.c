/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/journal_writer.h"
#include "proto/utf8.h"

int	LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

/* Whatever a record holds: one line of well-formed UTF-8 without controls, no longer than promised. */
int
LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct journal_record r;
	struct buf line;

	if (n > JOURNAL_WIRE_MAX || !journal_record_parse(bytes_of(p, n), &r))
		return 0;
	buf_init(&line, JOURNAL_LINE_MAX);
	journal_record_say(&r, "smtpd", &line);
	must(!line.full && utf8_valid(buf_bytes(&line)));
	for (size_t i = 0; i < line.n; i++)
		must(line.p[i] >= ' ' && line.p[i] != 0x7f);
	buf_fini(&line);
	return 0;
}
