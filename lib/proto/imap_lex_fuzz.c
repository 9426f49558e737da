/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_lex.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

typedef bool token(struct imap_lex *l, struct bytes *out);

static bool
nested(struct imap_lex *l, void *arg)
{
	struct bytes atom;

	return imap_lex_at(l, '(') ? imap_lex_list(l, true, nested, arg) : imap_lex_astring(l, &atom);
}

static bool
other(struct imap_lex *l, unsigned which)
{
	struct imap_flags flags = { 0 };
	struct imap_octets octets;
	struct imap_time t;
	struct bytes s;
	uint32_t v;
	uint64_t big;
	int32_t day;
	bool nil;

	switch (which) {
	case 0:	return imap_lex_nstring(l, &s, &nil);
	case 1:	return imap_lex_number(l, &v);
	case 2:	return imap_lex_nz_number(l, &v) && v > 0;
	case 3:	return imap_lex_number63(l, &big) && big <= INT64_MAX;
	case 4:	return imap_lex_date(l, &day) && day >= -719528 && day <= 2932896;
	case 5:	return imap_lex_date_time(l, &t) && t.zone_min > -1440 && t.zone_min < 1440;
	case 6:	return imap_lex_flag_list(l, &flags);
	case 7:	return imap_lex_list(l, false, nested, NULL);
	case 8:	return imap_lex_octets(l, &octets) && octets.literal.octets <= INT64_MAX;
	default: return imap_lex_end(l);
	}
}

/* The first octet: which token. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static token *const tokens[] = {
		imap_lex_tag, imap_lex_atom, imap_lex_label, imap_lex_string, imap_lex_astring,
		imap_lex_mailbox, imap_lex_list_mailbox, imap_lex_set, imap_lex_backslash,
	};
	struct arena *a = arena_new(1 << 20);
	struct imap_lex l;
	struct bytes out;
	unsigned which = n > 0 ? p[0] % 20u : 0;
	bool ok;

	imap_lex_init(&l, n > 0 ? bytes_of(p + 1, n - 1) : text(""), a);
	if (which < LEN(tokens)) {
		ok = tokens[which](&l, &out);
		must(!ok || bytes_find(out, '\0') == out.n);
	} else {
		ok = other(&l, which - (unsigned)LEN(tokens));
	}
	must(l.at <= l.text.n && ok == (l.wrong == NULL));
	arena_free(&a);
	return 0;
}
