/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/queue_filter.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* As slow and plain as can be: what queue_pattern says must be the same. */
static bool
naive(struct bytes pattern, struct bytes s)
{
	if (pattern.n == 0)
		return s.n == 0;
	if (pattern.p[0] == '*')
		return naive(bytes_skip(pattern, 1), s) || (s.n > 0 && naive(pattern, bytes_skip(s, 1)));
	return s.n > 0 && (pattern.p[0] == '?' || ascii_lower(pattern.p[0]) == ascii_lower(s.p[0]))
	    && naive(bytes_skip(pattern, 1), bytes_skip(s, 1));
}

/* A pattern, a LF, a text; both short enough for the other way. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes s = bytes_of(p, n), pattern = bytes_cut(&s, '\n');
	struct queue_filter f = { .sender = pattern, .reason = pattern, .nexthop = pattern };
	unsigned places = 0;
	struct recipient r = { .final = s, .nexthop = s, .last_reply = s };
	struct envelope e = { .sender = s, .rcpts = &r, .nrcpts = 1 };

	(void)queue_filter_envelope(&f, &e, 0);
	if (queue_filter_places(s, &places))
		must(places != 0 && places < 1u << QUEUE_PLACES);
	if (pattern.n <= 8 && s.n <= 16)
		must(queue_pattern(pattern, s) == naive(pattern, s));
	return 0;
}
