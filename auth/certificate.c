/* SPDX-License-Identifier: ISC */
/*
 * auth/certificate.c - whose account a certificate opens. It may name several addresses, and not every address is an account
 * (some are aliases); where that leaves a choice the client has to make it.
 */
#include "auth/auth.h"

/* The first of them, which is taken off. */
static enum verdict
get_next(struct accounts *a, struct bytes *addresses, struct arena *arena, struct account *out)
{
	bool bad = false;
	struct bytes one = ipc_cut_text(addresses, &bad);

	if (!bad)
		return accounts_get(a, one, arena, out);
	*addresses = text(NULL);
	return NOT_SURE;
}

/* Names are compared as the table has them: in a certificate they may be in upper case. Behind one that is not sure the others
 * are looked up, too: the directory is to be asked for all of them at once. */
static enum verdict
find_wanted(struct accounts *a, struct bytes addresses, struct bytes wanted, struct arena *arena, struct account *out)
{
	enum verdict v = accounts_get(a, wanted, arena, out);
	bool unsure = v == NOT_SURE;
	struct account one;

	if (v == NO)
		return NO;
	while (addresses.n > 0) {
		v = get_next(a, &addresses, arena, &one);
		if (v == YES && !unsure && bytes_eq(one.name, out->name))
			return YES;
		unsure |= v == NOT_SURE;
	}
	return unsure ? NOT_SURE : NO;
}

static enum verdict
find_only(struct accounts *a, struct bytes addresses, struct arena *arena, struct account *out)
{
	bool found = false, unsure = false;
	struct account one;

	while (addresses.n > 0) {
		enum verdict v = get_next(a, &addresses, arena, &one);

		unsure |= v == NOT_SURE;
		if (v != YES || unsure)
			continue;
		if (found && !bytes_eq(one.name, out->name))
			return NO;
		found = true;
		*out = one;
	}
	return unsure ? NOT_SURE : found ? YES : NO;
}

enum verdict
certificate_account(struct accounts *a, struct bytes addresses, struct bytes wanted, struct arena *arena, struct account *out)
{
	return wanted.n > 0 ? find_wanted(a, addresses, wanted, arena, out) : find_only(a, addresses, arena, out);
}
