/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/pop3_cmd.h"

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
	struct pop3_cmd cmd;

	if (pop3_cmd_parse(line, &cmd) == POP3_PARSED) {
		must(cmd.verb < POP3_VERBS && inside(cmd.arg, line) && inside(cmd.more, line));
		must(!cmd.numbered || cmd.number > 0);
	}
	return 0;
}
