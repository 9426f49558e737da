/* SPDX-License-Identifier: ISC */
#include "mail/tls_identity.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "mail/ipc.h"
#include "proto/smtp_address.h"

static bool
add(const ASN1_IA5STRING *name, struct buf *run)
{
	struct bytes octets = bytes_of(ASN1_STRING_get0_data(name), (size_t)ASN1_STRING_length(name));
	struct arena *a = arena_new(8192);
	struct smtp_address address;
	bool good = octets.n <= TLS_ADDRESS_OCTETS
	    && smtp_mailbox_parse(octets, 0, a, &address) == SMTP_ADDRESS_OK && !address.utf8;

	if (good)
		ipc_add_text(run, smtp_address_text(&address, a));
	arena_free(&a);
	return good && !run->full;
}

static enum tls_identity
add_all(const GENERAL_NAMES *names, struct buf *run)
{
	unsigned n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_EMAIL)
			continue;
		if (n++ == TLS_ADDRESSES_MAX)
			return TLS_IDENTITY_MANY;
		if (!add(g->d.rfc822Name, run))
			return TLS_IDENTITY_BAD;
	}
	return n > 0 ? TLS_IDENTITY_FOUND : TLS_IDENTITY_NONE;
}

enum tls_identity
tls_identity(const X509 *certificate, struct buf *run)
{
	int how;
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &how, NULL);
	enum tls_identity i;

	buf_clear(run);
	if (names)
		i = add_all(names, run);
	else
		i = how == -1 ? TLS_IDENTITY_NONE : TLS_IDENTITY_BAD;	/* twice, or no ASN.1 of such a kind */
	if (i != TLS_IDENTITY_FOUND)
		buf_clear(run);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return i;
}

const char *
tls_identity_text(enum tls_identity i)
{
	switch (i) {
	case TLS_IDENTITY_FOUND:	return "";
	case TLS_IDENTITY_NONE:		return "it names no address (subjectAltName, rfc822Name)";
	case TLS_IDENTITY_MANY:		return "it names more than 8 addresses";
	case TLS_IDENTITY_BAD:		break;
	}
	return "its subjectAltName has what is no address";
}
