/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "base/mem.h"
#include "mail/conninfo.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What was understood is understood the same when it is written again, each value quoted. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *arena = arena_new(CONNINFO_ARENA), *second = arena_new(CONNINFO_ARENA);
	struct conninfo c, again;
	struct buf b;
	char why[512];

	buf_init(&b, 4 * CONNINFO_MAX);
	if (conninfo_parse(bytes_of(p, n), arena, &c, why, sizeof why)) {
		for (unsigned w = 0; w < CONNINFO_WORDS; w++) {
			if (!c.value[w])
				continue;
			buf_fmt(&b, " %s='", conninfo_words[w]);
			for (const char *v = c.value[w]; *v; v++)
				buf_fmt(&b, *v == '\'' || *v == '\\' ? "\\%c" : "%c", *v);
			buf_char(&b, '\'');
		}
		if (b.n <= CONNINFO_MAX) {
			must(conninfo_parse(buf_bytes(&b), second, &again, why, sizeof why));
			for (unsigned w = 0; w < CONNINFO_WORDS; w++)
				must(bytes_eq(text(c.value[w]), text(again.value[w])));
		}
	} else
		must(why[0] != '\0');
	buf_fini(&b);
	arena_free(&arena);
	arena_free(&second);
	return 0;
}
