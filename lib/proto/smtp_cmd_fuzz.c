/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/smtp_cmd.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool
inside(struct bytes part, struct bytes line)
{
	return part.n == 0 || (part.p >= line.p && part.p + part.n <= line.p + line.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes line = bytes_of(p, n);
	struct smtp_cmd cmd;

	if (smtp_cmd_parse(line, &cmd) == SMTP_PARSED) {
		must(cmd.verb < SMTP_VERBS && cmd.size_octets <= SMTP_BDAT_MAX);
		must(inside(cmd.path, line) && inside(cmd.rest, line) && inside(cmd.mechanism, line));
		smtp_helo_name(cmd.rest);
	}
	return 0;
}
