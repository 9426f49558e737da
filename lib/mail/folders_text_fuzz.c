/* SPDX-License-Identifier: ISC */
/* The texts beside the folders, read; and what is written of them read again. */
#include "base/mem.h"
#include "mail/folders_text.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct bytes one = { (const unsigned char *)"one/two", 7 }, two = { (const unsigned char *)"two", 3 };

static bool
has_name(struct bytes file, enum folder_layout l, struct bytes wanted)
{
	struct buf name;
	bool found = false;

	buf_init(&name, FOLDER_NAME_MAX);
	while (!found && subscriptions_next(&file, l, &name))
		found = bytes_eq(buf_bytes(&name), wanted);
	buf_fini(&name);
	return found;
}

static void
check_subscriptions(struct bytes file, enum folder_layout l, struct buf *out)
{
	for (int on = 0; on < 2; on++) {
		buf_clear(out);
		subscriptions_put(file, l, one, on, out);
		must(out->full || has_name(buf_bytes(out), l, one) == on);
		must(out->full || has_name(buf_bytes(out), l, two) == has_name(file, l, two));
	}
}

static unsigned
uses_of(struct bytes file, enum folder_layout l, struct bytes wanted)
{
	unsigned all = 0, use;
	struct buf name;

	buf_init(&name, FOLDER_NAME_MAX);
	while (special_use_next(&file, l, &use, &name))
		all |= bytes_eq(buf_bytes(&name), wanted) ? use : 0;
	buf_fini(&name);
	return all;
}

static void
check_uses(struct bytes file, enum folder_layout l, struct buf *out)
{
	buf_clear(out);
	special_use_put(file, l, one, 5, out);
	must(out->full || (uses_of(buf_bytes(out), l, one) == 5 && (uses_of(buf_bytes(out), l, two) & 5) == 0));
	buf_clear(out);
	special_use_drop(file, l, one, true, out);
	must(out->full || uses_of(buf_bytes(out), l, one) == 0);
	buf_clear(out);
	special_use_copy(file, l, one, two, out);
	must(out->full || uses_of(buf_bytes(out), l, two) == uses_of(file, l, one));
}

static void
check_spent(struct bytes file, enum folder_layout l, struct buf *out)
{
	struct arena *a = arena_new(64 << 20);
	struct spent *s = mem_alloc(sizeof *s), *again = mem_alloc(sizeof *s);
	uint32_t floor;

	if (spent_parse(file, l, a, s)) {
		buf_clear(out);
		spent_put(s, l, out);
		must(!out->full && spent_parse(buf_bytes(out), l, a, again));
		must(again->floor == s->floor && again->forgotten == s->forgotten && again->n == s->n);
		must(spent_floor(buf_bytes(out), &floor) && floor == s->floor);
		must(spent_last(again, one) == spent_last(s, one));
	}
	mem_free(s);
	mem_free(again);
	arena_free(&a);
}

static void
check_redo(struct bytes file, struct buf *out)
{
	struct folder_redo r;

	if (!folder_redo_parse(file, &r))
		return;
	buf_clear(out);
	folder_redo_put(&r, out);
	must(!out->full && folder_redo_parse(buf_bytes(out), &r));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes file = bytes_of(p, n);
	struct buf out;

	buf_init(&out, SPENT_FILE_MAX);
	for (enum folder_layout l = FOLDERS_MAILDIRPP; l <= FOLDERS_FS; l++) {
		check_subscriptions(file, l, &out);
		check_uses(file, l, &out);
		check_spent(file, l, &out);
	}
	check_redo(file, &out);
	buf_fini(&out);
	return 0;
}
