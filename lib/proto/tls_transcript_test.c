/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "base/testing.h"
#include "proto/tls_transcript.h"

static unsigned char room[512];

static struct bytes
verify(const char *who, size_t hash)
{
	size_t n = 64;

	memset(room, ' ', 64);
	memcpy(room + n, who, strlen(who) + 1);
	n += strlen(who) + 1;
	memset(room + n, 0xa5, hash);
	return bytes_of(room, n + hash);
}

static struct bytes
params(unsigned type, unsigned group, unsigned point, size_t octets)
{
	memset(room, 0x5a, sizeof room);
	room[64] = (unsigned char)type;
	room[65] = (unsigned char)(group >> 8);
	room[66] = (unsigned char)group;
	room[67] = (unsigned char)point;
	return bytes_of(room, 64 + 4 + octets);
}

static void
test_certificate_verify(void **state)
{
	static const char server[] = "TLS 1.3, server CertificateVerify";
	struct bytes s;

	(void)state;
	assert_true(tls_transcript_is_server(verify(server, 32)));
	assert_true(tls_transcript_is_server(verify(server, 48)));
	assert_false(tls_transcript_is_server(verify(server, 31)));
	assert_false(tls_transcript_is_server(verify(server, 33)));
	assert_false(tls_transcript_is_server(verify(server, 49)));
	assert_false(tls_transcript_is_server(verify(server, 64)));
	assert_false(tls_transcript_is_server(verify("TLS 1.3, client CertificateVerify", 32)));
	assert_false(tls_transcript_is_server(verify("TLS 1.3, server CertificateVerifx", 32)));
	s = verify(server, 32);
	for (size_t i = 0; i < 64 + sizeof server; i++) {
		room[i] ^= 1;
		assert_false(tls_transcript_is_server(s));
		room[i] ^= 1;
	}
	assert_true(tls_transcript_is_server(s));
	for (size_t n = 0; n < s.n; n++)
		assert_false(tls_transcript_is_server(bytes_head(s, n)));
}

static void
test_ecdhe(void **state)
{
	static const struct { unsigned group, point; } rows[] = { { 23, 65 }, { 24, 97 }, { 25, 133 }, { 29, 32 }, { 30, 56 } };

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		unsigned g = rows[i].group, p = rows[i].point;

		assert_true(tls_transcript_is_server(params(3, g, p, p)));
		assert_false(tls_transcript_is_server(params(3, g, p, p + 1)));
		assert_false(tls_transcript_is_server(params(3, g, p, p - 1)));
		assert_false(tls_transcript_is_server(params(3, g, p + 1, p + 1)));
		assert_false(tls_transcript_is_server(params(1, g, p, p)));
		assert_false(tls_transcript_is_server(params(3, g + 256, p, p)));
	}
	assert_false(tls_transcript_is_server(params(3, 22, 65, 65)));
}

static void
test_others(void **state)
{
	(void)state;
	assert_false(tls_transcript_is_server(text(NULL)));
	assert_false(tls_transcript_is_server(OCTETS("from:anna@example.org\r\nsubject:hello\r\ndkim-signature:v=1; a=rsa-sha256")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_certificate_verify),
		cmocka_unit_test(test_ecdhe),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
