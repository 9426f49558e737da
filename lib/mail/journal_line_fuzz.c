/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/journal_line.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool
is_within(struct bytes part, struct bytes whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes line = bytes_of(p, n), rest = line, name, value;
	struct journal_line l;

	if (journal_line_parse(line, &l)) {
		must(l.stamp.n == JOURNAL_STAMP && is_within(l.text, line) && is_within(l.id, l.text));
		must(l.id.n == 0 || journal_is_id(l.id));
	}
	while (journal_line_value(&rest, &name, &value))
		must(name.n > 0 && is_within(name, line) && is_within(value, line) && is_within(rest, line));
	return 0;
}
