/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_match.h"

#define NAME_LONGEST	256	/* keeps the table below small */

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool
same(unsigned char p, unsigned char c, bool any_case)
{
	return p == c || (any_case && ascii_lower(p) == ascii_lower(c));
}

/* As imap_match_name, by another way: a row for each octet of the pattern. row[k]: the
 * pattern so far means the first k octets of the name. */
static bool
by_table(const struct imap_match *m, struct bytes name)
{
	bool row[NAME_LONGEST + 1] = { true }, before, now;
	size_t i, k;
	size_t inbox = bytes_case_starts(name, text("INBOX"))
	    && bytes_find(name, m->separator) == 5 ? 5 : 0;

	for (i = 0; i < m->pattern.n; i++) {
		unsigned char p = m->pattern.p[i];

		for (before = row[0], k = 0; k <= name.n; k++) {
			unsigned char c = k > 0 ? name.p[k - 1] : 0;

			if (p == '*' || p == '%')
				now = row[k] || (k > 0 && row[k - 1] && (p == '*' || c != m->separator));
			else
				now = k > 0 && before && same(p, c, k <= inbox);
			before = row[k];
			row[k] = now;
		}
	}
	return row[name.n];
}

static bool
levels_are_whole(struct bytes s, unsigned char separator)
{
	while (s.n > 0) {
		if (s.p[0] == separator || s.p[s.n - 1] == separator)
			return false;
		bytes_cut(&s, separator);
	}
	return true;
}

/* What is meant is below each name that is above it. */
static void
check_above(const struct imap_match *m, struct bytes name)
{
	size_t i;

	if (name.n == 0 || !levels_are_whole(name, m->separator))
		return;
	must(imap_match_child(m, text("")));
	for (i = 0; i < name.n; i++)
		if (name.p[i] == m->separator)
			must(imap_match_child(m, bytes_head(name, i)));
}

/* The separator, the pattern, a line feed, the name. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes name = bytes_skip(bytes_of(p, n), 1), pattern = bytes_cut(&name, '\n');
	struct imap_match m;
	bool match;

	if (n == 0 || p[0] == '*' || p[0] == '%' || name.n > NAME_LONGEST
	    || bytes_find(name, '\0') < name.n)	/* with separator 0: "no levels" */
		return 0;
	if (!imap_match_init(&m, pattern, p[0])) {
		must(pattern.n > IMAP_MATCH_PATTERN_MAX);
		return 0;
	}
	match = imap_match_name(&m, name);
	must(match == by_table(&m, name));
	if (match)
		check_above(&m, name);
	else
		imap_match_child(&m, name);
	return 0;
}
