/* SPDX-License-Identifier: ISC */
#include "proto/sasl_gssapi.h"

#define NO_LAYER 1

/* Size says nothing where there is no layer: some send 0, some what they could take. */
bool
gssapi_answer(struct bytes message, struct bytes *identity)
{
	if (message.n < 4 || message.p[0] != NO_LAYER)
		return false;
	*identity = bytes_skip(message, 4);
	return bytes_find(*identity, '\0') == identity->n;
}

bool
gssapi_user(struct bytes principal, struct bytes realm, struct bytes *user)
{
	size_t at = bytes_rfind(principal, '@');

	if (at == principal.n || at == 0 || realm.n == 0 || !bytes_eq(bytes_skip(principal, at + 1), realm))
		return false;
	*user = bytes_head(principal, at);
	for (size_t i = 0; i < user->n; i++)
		if (user->p[i] <= ' ' || user->p[i] >= 127 || user->p[i] == '/' || user->p[i] == '\\' || user->p[i] == '@')
			return false;
	return true;
}
