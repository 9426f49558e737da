/* SPDX-License-Identifier: ISC */
#include "proto/tls_transcript.h"

/* RFC 8446 section 4.4.3: spaces, who signs, and the hash (SHA-256 or SHA-384) of what both sides said. */
static bool
is_certificate_verify(struct bytes s)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";	/* with the NUL behind it */

	if (s.n != 64 + sizeof context + 32 && s.n != 64 + sizeof context + 48)
		return false;
	for (size_t i = 0; i < 64; i++)
		if (s.p[i] != ' ')
			return false;
	return bytes_eq(bytes_head(bytes_skip(s, 64), sizeof context), bytes_of(context, sizeof context));
}

/* Both sides' random octets, then the server's half of the exchange: RFC 8422 section 5.4. */
static bool
is_ecdhe_params(struct bytes s)
{
	static const struct { unsigned group; size_t point; } groups[] = {	/* RFC 8422 section 5.1.1 */
		{ 23, 65 }, { 24, 97 }, { 25, 133 },	/* secp256r1, secp384r1, secp521r1: uncompressed */
		{ 29, 32 }, { 30, 56 },			/* x25519, x448 */
	};
	const struct bytes p = bytes_skip(s, 64);

	if (s.n < 64 + 4 || p.p[0] != 3)		/* named_curve */
		return false;
	for (size_t i = 0; i < LEN(groups); i++)
		if ((unsigned)(p.p[1] << 8 | p.p[2]) == groups[i].group)
			return p.p[3] == groups[i].point && p.n == 4 + groups[i].point;
	return false;
}

bool
tls_transcript_is_server(struct bytes s)
{
	return is_certificate_verify(s) || is_ecdhe_params(s);
}
