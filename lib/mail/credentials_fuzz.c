/* SPDX-License-Identifier: ISC */
/* A value of the table, and behind an LF a next hop; the value's mechanisms are also announced. */
#include "base/mem.h"
#include "mail/credentials.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool
is_in(struct bytes part, struct bytes whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = bytes_of(p, n), value = bytes_cut(&rest, '\n'), keys[CREDENTIALS_KEYS];
	struct arena *a = arena_new(1 << 20);
	struct credentials c;
	char why[512];

	if (credentials_parse(value, &c, why, sizeof why)) {
		must(is_in(c.user, value) && is_in(c.secret, value) && is_in(c.mechanisms, value));
		must(c.user.n > 0 && c.user.n <= CREDENTIALS_USER_MAX && c.secret.n > 0 && c.secret.n <= CREDENTIALS_SECRET_MAX);
		must(bytes_find(c.secret, '\0') == c.secret.n && bytes_find(c.user, '\0') == c.user.n);
		must(!c.oauth || bytes_find(c.secret, '/') == c.secret.n);
		(void)credentials_mechanism(c.mechanisms, c.oauth, true, true, value);
	}
	for (size_t i = credentials_keys(rest, a, keys); i > 0; i--)
		must(keys[i - 1].n > 0 && keys[i - 1].n <= NEXTHOP_MAX);
	arena_free(&a);
	return 0;
}
