/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/settings.h"

struct some { const char *hostname; uint64_t size, wait; bool quick; unsigned word; struct setting_list nets; };

static const char *const words[] = { "reject", "normalize", NULL };
static const struct setting table[] = {
	SET_TEXT_IF("hostname", struct some, hostname, "localhost", setting_is_domain),
	SET_SIZE("size", struct some, size, "25M", 1, 0),
	SET_TIME("wait", struct some, wait, "5m", 0, 0),
	SET_BOOL("quick", struct some, quick, "no"),
	SET_WORD("newline", struct some, word, "reject", words),
	SET_LIST("nets", struct some, nets, "127.0.0.0/8\n", setting_is_network),
	SET_END
};
static const struct setting *const tables[] = { table, NULL };

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Either there is a fault in words, or what was read is good for a program. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct buf faults;
	struct settings_file *f;
	struct some some;

	buf_init(&faults, 1 << 16);
	f = settings_parse("fuzz.conf", bytes_of(p, n), tables, &faults);
	must(!f == (faults.n > 0 || faults.full));
	if (f) {
		settings_fill(f, table, &some);
		settings_free(table, &some);
	}
	settings_file_free(&f);
	buf_fini(&faults);
	return 0;
}
