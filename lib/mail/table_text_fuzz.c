/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/table_text.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The first octet says which grammar. What can be written is read back the same. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct text_table t, again;
	struct buf out;
	char why[128];
	enum text_grammar g = n > 0 ? p[0] % 3 : TEXT_PAIRS;

	if (n == 0 || !text_parse(bytes_of(p + 1, n - 1), g, &t, why, sizeof why))
		return 0;
	buf_init(&out, TEXT_FILE_MAX);
	for (size_t i = 0; i < t.n; i++) {
		struct bytes key = text_key(&t, &t.entry[i]), value = text_value(&t, &t.entry[i]);

		must(key.n > 0 && text_find(&t, key));
		buf_clear(&out);
		if (!text_put(key, value, &out))
			continue;
		must(text_parse(buf_bytes(&out), TEXT_PAIRS, &again, why, sizeof why) && again.n == 1);
		must(bytes_eq(text_key(&again, again.entry), key));
		must(bytes_eq(text_value(&again, again.entry), value));
		text_fini(&again);
	}
	buf_fini(&out);
	text_fini(&t);
	return 0;
}
