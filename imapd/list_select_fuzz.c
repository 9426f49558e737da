/* SPDX-License-Identifier: ISC */
/* First line: reference; second: pattern; then names, "+" in front of those subscribed to, "-" of those not there. */
#include <stdlib.h>

#include "base/mem.h"
#include "imapd/list_select.h"
#include "mail/folders_text.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define NAMES	64

static size_t
take_names(struct bytes rest, struct folder_entry *e)
{
	size_t n = 0;

	while (rest.n > 0 && n < NAMES) {
		struct bytes line = bytes_cut(&rest, '\n');
		bool marked = line.n > 0 && (line.p[0] == '+' || line.p[0] == '-');
		struct folder_entry one = { .name = bytes_skip(line, marked), .subscribed = marked && line.p[0] == '+',
		    .selectable = !marked || line.p[0] == '+', .uses = (unsigned)line.n & 127 };
		struct buf normal;

		buf_init(&normal, FOLDER_NAME_MAX);
		if (folder_name_normal(one.name, &normal) && bytes_eq(one.name, buf_bytes(&normal))
		    && (n == 0 || !bytes_eq(e[n - 1].name, one.name)))
			e[n++] = one;
		buf_fini(&normal);
	}
	return n;
}

/* What was selected was meant, and nothing that meets was left out. */
static void
check(const struct folder_entry *e, size_t n, const struct imap_match *m, unsigned selects)
{
	struct list_answer a[NAMES];
	size_t found = list_select(e, n, m, 1, selects, a), at = 0;

	for (size_t i = 0; i < n; i++) {
		bool answered = at < found && a[at].entry == &e[i];
		bool wanted = selects & IMAP_LIST_SUBSCRIBED ? e[i].subscribed : e[i].selectable;

		must(!answered || imap_match_name(m, e[i].name));
		must(!answered || a[at].meets == wanted);
		must(answered || !wanted || !imap_match_name(m, e[i].name));
		at += answered;
	}
	must(at == found);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = bytes_of(p, n), reference = bytes_cut(&rest, '\n'), wire = bytes_cut(&rest, '\n');
	struct folder_entry e[NAMES] = { { .uses = 0 } };
	struct imap_match m;
	struct buf pattern, out;
	size_t names;

	buf_init(&pattern, IMAP_MATCH_PATTERN_MAX);
	buf_init(&out, 256);
	if (list_pattern(reference, wire, &pattern) && imap_match_init(&m, buf_bytes(&pattern), '/')) {
		names = take_names(rest, e);
		check(e, names, &m, 0);
		check(e, names, &m, IMAP_LIST_SUBSCRIBED);
		check(e, names, &m, IMAP_LIST_SUBSCRIBED | IMAP_LIST_RECURSIVEMATCH);
		for (size_t i = 0; i < names; i++) {
			buf_clear(&out);
			list_attributes(&e[i], i & 1, i & 2, &out);
			must(!out.full);
		}
	}
	buf_fini(&pattern);
	buf_fini(&out);
	return 0;
}
