/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "auth/auth.h"

#include "base/encode.h"
#include "base/mem.h"

#define OCTETS(literal) bytes_of(literal, sizeof(literal) - 1)

static int
open_mechs(void **state)
{
	char why[256];

	(void)state;
	if (mechs_open("mx.a.example", why, sizeof why))
		return 0;
	print_error("%s\n", why);
	return -1;
}

static int
close_mechs(void **state)
{
	(void)state;
	mechs_close();
	return 0;
}

#define NONE { NULL, 0 }

static const struct mech_channel no_channel = { NONE, NONE };

/* RFC 4616 section 4. */
static void
test_plain(void **state)
{
	const struct { struct bytes initial; enum mech_result want; const char *user; struct bytes password; const char *wanted; } cases[] = {
		{ OCTETS("\0anna@a.example\0secret"), MECH_CREDENTIALS, "anna@a.example", OCTETS("secret"), NULL },
		{ OCTETS("\0tim\0tanstaaf\ttanstaaf"), MECH_CREDENTIALS, "tim", OCTETS("tanstaaf\ttanstaaf"), NULL },
		{ OCTETS("tim\0tim\0x"), MECH_CREDENTIALS, "tim", OCTETS("x"), NULL },
		{ OCTETS("Ursel\0Kurt\0xipj3plmq"), MECH_CREDENTIALS, "Kurt", OCTETS("xipj3plmq"), "Ursel" },	/* are they the same? not for it to say */
		{ OCTETS("tim@A.EXAMPLE\0tim@a.example\0x"), MECH_CREDENTIALS, "tim@a.example", OCTETS("x"), "tim@A.EXAMPLE" },
		{ OCTETS(""), MECH_FAILED, NULL, NONE, NULL },
		{ OCTETS("\0"), MECH_FAILED, NULL, NONE, NULL },
		{ OCTETS("\0tim"), MECH_FAILED, NULL, NONE, NULL },
		{ OCTETS("\0tim\0"), MECH_CREDENTIALS, "tim", OCTETS(""), NULL },
		{ OCTETS("\0\0x"), MECH_FAILED, NULL, NONE, NULL },
		{ OCTETS("\0tim\0x\0y"), MECH_FAILED, NULL, NONE, NULL },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		for (int later = 0; later < 2; later++) {
			struct mech *m = mech_new(text("imap"));
			struct bytes challenge;
			enum mech_result r;

			assert_non_null(m);
			if (later) {
				assert_int_equal(mech_start(m, text("plain"), &no_channel, NULL, &challenge), MECH_MORE);
				assert_int_equal(challenge.n, 0);
				r = mech_step(m, cases[i].initial, &challenge);
			} else
				r = mech_start(m, text("PLAIN"), &no_channel, &cases[i].initial, &challenge);
			if (r != cases[i].want)
				fail_msg("row %zu: %d", i, r);
			if (r == MECH_CREDENTIALS) {
				assert_true(bytes_eq(mech_user(m), text(cases[i].user)));
				assert_true(bytes_eq(mech_password(m), cases[i].password));
				assert_true(bytes_eq(mech_wanted(m), text(cases[i].wanted)));
			}
			mech_free(&m);
		}
}

static void
test_login(void **state)
{
	struct bytes challenge, user = text("anna@a.example");

	(void)state;
	for (int initial = 0; initial < 2; initial++) {
		struct mech *m = mech_new(text("imap"));

		if (initial)
			assert_int_equal(mech_start(m, text("LOGIN"), &no_channel, &user, &challenge), MECH_MORE);
		else {
			assert_int_equal(mech_start(m, text("LOGIN"), &no_channel, NULL, &challenge), MECH_MORE);
			assert_true(bytes_eq(challenge, text("Username:")));
			assert_int_equal(mech_step(m, user, &challenge), MECH_MORE);
		}
		assert_true(bytes_eq(challenge, text("Password:")));
		assert_int_equal(mech_step(m, text("pass word"), &challenge), MECH_CREDENTIALS);
		assert_true(bytes_eq(mech_user(m), user));
		assert_true(bytes_eq(mech_password(m), text("pass word")));
		mech_free(&m);
	}
}

static void
test_unknown(void **state)
{
	static const char *const names[] = { "", "DIGEST-MD5", "ANONYMOUS", "GSS-SPNEGO", "GSSAPI-PLUS", "EXTERNAL-PLUS", "EXTERNA", "PLAIN ", "PLAI", "PLAIN LOGIN",
	    "PLAIN-PLUS", "X-HERMOD-SEED", "SCRAM-", "SCRAM-SHA-", "SCRAM-PLUS", "-PLUS", "SCRAM-SHA-256-PLUS-PLUS",
	    "SCRAM-SHA-256-PLUS" /* there is nothing to bind to */ };
	struct bytes challenge;

	(void)state;
	for (size_t i = 0; i < LEN(names); i++) {
		struct mech *m = mech_new(text("imap"));

		assert_int_equal(mech_start(m, text(names[i]), &no_channel, NULL, &challenge), MECH_UNKNOWN);
		mech_free(&m);
	}
}

/* RFC 4422 appendix A. */
static void
test_external(void **state)
{
	char longest[ACCOUNT_NAME_MAX + 1];
	const struct { struct bytes identity; enum mech_result want; } cases[] = {
		{ OCTETS(""), MECH_CERTIFICATE },
		{ OCTETS("anna@a.example"), MECH_CERTIFICATE },
		{ OCTETS("anna@a.example\0"), MECH_FAILED },
		{ OCTETS("\0"), MECH_FAILED },
		{ bytes_of(longest, ACCOUNT_NAME_MAX), MECH_CERTIFICATE },
		{ bytes_of(longest, ACCOUNT_NAME_MAX + 1), MECH_FAILED },
	};

	(void)state;
	memset(longest, 'a', sizeof longest);
	for (size_t i = 0; i < LEN(cases); i++)
		for (int later = 0; later < 2; later++) {
			struct mech *m = mech_new(text("imap"));
			struct bytes challenge;
			enum mech_result r;

			if (later) {
				assert_int_equal(mech_start(m, text("external"), &no_channel, NULL, &challenge), MECH_MORE);
				assert_int_equal(challenge.n, 0);
				r = mech_step(m, cases[i].identity, &challenge);
			} else
				r = mech_start(m, text("EXTERNAL"), &no_channel, &cases[i].identity, &challenge);
			assert_int_equal(r, cases[i].want);
			if (r == MECH_CERTIFICATE)
				assert_true(bytes_eq(mech_user(m), cases[i].identity));
			mech_free(&m);
		}
}

/* ---- SCRAM: a client of our own, RFC 5802 section 3 ---- */

#define PASSWORD "pencil"

static const unsigned char channel_octets[32] = "the exporter's thirty-two octets";
static const unsigned char end_octets[32] = "the certificate's hash, as it is";
static const struct mech_channel channel = { { channel_octets, 32 }, { end_octets, 32 } };

/* What a client does with a server's first message; its last goes into dst. */
static void
answer(const char *digest, const char *gs2, struct bytes bound, const char *bare, struct bytes server_first,
    const char *password, struct buf *dst)
{
	const EVP_MD *md = EVP_get_digestbyname(digest);
	unsigned n = (unsigned)EVP_MD_get_size(md), iterations;
	unsigned char salted[64], key[64], stored[64], signature[64];
	char first[512], nonce[256], salt[64];
	struct buf octets, c, message;

	assert_true(bytes_to_text(server_first, first, sizeof first));
	assert_int_equal(sscanf(first, "r=%255[^,],s=%63[^,],i=%u", nonce, salt, &iterations), 3);
	buf_init(&octets, 256);
	buf_init(&c, 256);
	buf_init(&message, 2048);
	assert_true(base64_decode(text(salt), &octets));
	must(PKCS5_PBKDF2_HMAC(password, (int)strlen(password), octets.p, (int)octets.n, (int)iterations, md, (int)n, salted) == 1);
	must(HMAC(md, salted, (int)n, (const unsigned char *)"Client Key", 10, key, NULL) != NULL);
	must(EVP_Digest(key, n, stored, NULL, md, NULL) == 1);
	buf_clear(&octets);
	buf_text(&octets, gs2);
	buf_add(&octets, bound);
	base64_encode(buf_bytes(&octets), &c);
	buf_fmt(dst, "c=%.*s,r=%s", BYTES_FMT(buf_bytes(&c)), nonce);
	buf_fmt(&message, "%s,%s,%.*s", bare, first, BYTES_FMT(buf_bytes(dst)));
	must(HMAC(md, stored, (int)n, message.p, message.n, signature, NULL) != NULL);
	for (unsigned i = 0; i < n; i++)
		key[i] ^= signature[i];
	buf_text(dst, ",p=");
	base64_encode(bytes_of(key, n), dst);
	buf_fini(&octets);
	buf_fini(&c);
	buf_fini(&message);
}

static struct account anna;
static struct arena *annas;

static void
make_anna(void)
{
	if (annas)
		return;
	annas = arena_new(1 << 16);
	assert_true(account_set_password(&anna, annas, text(PASSWORD), 4096));
}

static enum mech_result
scram(const char *name, const struct mech_channel *has, const char *gs2, struct bytes bound, const char *user,
    const char *password, bool later)
{
	const char *digest = strstr(name, "256") ? "SHA256" : "SHA1";
	struct mech_keys keys;
	struct mech *m = mech_new(text("imap"));
	struct bytes challenge, first;
	struct buf last;
	char bare[128], whole[256];
	enum mech_result r;

	make_anna();
	keys = (struct mech_keys){ anna.scram_sha_1, anna.scram_sha_256, text(NULL) };
	buf_init(&last, 1024);
	snprintf(bare, sizeof bare, "n=%s,r=clientnonce", user);
	snprintf(whole, sizeof whole, "%s%s", gs2, bare);
	first = text(whole);
	r = mech_start(m, text(name), has, later ? NULL : &first, &challenge);
	if (later && r == MECH_MORE)
		r = mech_step(m, first, &challenge);
	if (r == MECH_KEYS) {
		assert_true(bytes_eq(mech_user(m), text(user)));
		assert_true(bytes_eq(mech_wanted(m), text(strstr(gs2, "a=bert") ? "bert" : strstr(gs2, "a=") ? "anna" : "")));
		r = mech_go_on(m, &keys, &challenge);
	}
	if (r == MECH_MORE) {
		answer(digest, gs2, bound, bare, challenge, password, &last);
		r = mech_step(m, buf_bytes(&last), &challenge);
		if (r == MECH_MORE) {
			assert_true(bytes_starts(challenge, text("v=")));
			r = mech_step(m, text(""), &challenge);
		}
	}
	buf_fini(&last);
	mech_free(&m);
	return r;
}

static void
test_scram(void **state)
{
	const struct { const char *name; const struct mech_channel *has; const char *gs2; struct bytes bound; const char *password;
	    enum mech_result want; } cases[] = {
		{ "SCRAM-SHA-256", &no_channel, "n,,", NONE, PASSWORD, MECH_PASSED },
		{ "scram-sha-1", &no_channel, "n,,", NONE, PASSWORD, MECH_PASSED },
		{ "SCRAM-SHA-256", &channel, "n,,", NONE, PASSWORD, MECH_PASSED },
		{ "SCRAM-SHA-256", &no_channel, "n,,", NONE, "pencils", MECH_FAILED },
		{ "SCRAM-SHA-1", &no_channel, "n,,", NONE, "", MECH_FAILED },
		{ "SCRAM-SHA-256", &no_channel, "n,a=anna,", NONE, PASSWORD, MECH_PASSED },
		{ "SCRAM-SHA-256", &no_channel, "n,a=bert,", NONE, PASSWORD, MECH_PASSED },	/* who that is, was for others to look up */
		{ "SCRAM-SHA-256", &no_channel, "y,,", NONE, PASSWORD, MECH_PASSED },
		{ "SCRAM-SHA-256", &channel, "y,,", NONE, PASSWORD, MECH_FAILED },	/* somebody took -PLUS off the list */
		{ "SCRAM-SHA-256-PLUS", &channel, "p=tls-exporter,,", channel.exporter, PASSWORD, MECH_PASSED },
		{ "scram-sha-1-plus", &channel, "p=tls-server-end-point,,", channel.end_point, PASSWORD, MECH_PASSED },
		{ "SCRAM-SHA-256-PLUS", &channel, "p=tls-server-end-point,,", channel.exporter, PASSWORD, MECH_FAILED },
		{ "SCRAM-SHA-256-PLUS", &channel, "p=tls-exporter,,", channel.end_point, PASSWORD, MECH_FAILED },
		{ "SCRAM-SHA-256-PLUS", &channel, "p=tls-exporter,,", NONE, PASSWORD, MECH_FAILED },
		{ "SCRAM-SHA-256-PLUS", &channel, "p=tls-unique,,", channel.exporter, PASSWORD, MECH_FAILED },
		{ "SCRAM-SHA-256-PLUS", &channel, "n,,", NONE, PASSWORD, MECH_FAILED },
		{ "SCRAM-SHA-256-PLUS", &channel, "y,,", NONE, PASSWORD, MECH_FAILED },
		{ "SCRAM-SHA-256-PLUS", &no_channel, "p=tls-exporter,,", channel.exporter, PASSWORD, MECH_UNKNOWN },
		{ "SCRAM-SHA-256", &channel, "p=tls-exporter,,", channel.exporter, PASSWORD, MECH_FAILED },
		{ "SCRAM-SHA-256", &no_channel, "p=tls-exporter,,", channel.exporter, PASSWORD, MECH_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		for (int later = 0; later < 2; later++) {
			enum mech_result r = scram(cases[i].name, cases[i].has, cases[i].gs2, cases[i].bound, "anna",
			    cases[i].password, later);

			if (r != cases[i].want)
				fail_msg("row %zu: %d", i, r);
		}
}

/* RFC 5802 section 5.1: what was overheard is of no use in another exchange. */
static void
test_scram_replay(void **state)
{
	struct bytes first = text("n,,n=anna,r=clientnonce"), challenge;
	struct mech_keys keys;
	struct buf last;

	(void)state;
	make_anna();
	keys = (struct mech_keys){ anna.scram_sha_1, anna.scram_sha_256, text(NULL) };
	buf_init(&last, 1024);
	for (int again = 0; again < 2; again++) {
		struct mech *m = mech_new(text("imap"));

		assert_int_equal(mech_start(m, text("SCRAM-SHA-256"), &no_channel, &first, &challenge), MECH_KEYS);
		assert_int_equal(mech_go_on(m, &keys, &challenge), MECH_MORE);
		if (!again)
			answer("SHA256", "n,,", text(NULL), "n=anna,r=clientnonce", challenge, PASSWORD, &last);
		assert_int_equal(mech_step(m, buf_bytes(&last), &challenge), again ? MECH_FAILED : MECH_MORE);
		mech_free(&m);
	}
	buf_fini(&last);
}

/* Each exchange's nonce is another: none is made from the time of day. */
static void
test_nonces(void **state)
{
	struct bytes first = text("n,,n=anna,r=x"), challenge;
	struct mech_keys keys;
	char seen[64][128];

	(void)state;
	make_anna();
	keys = (struct mech_keys){ anna.scram_sha_1, anna.scram_sha_256, text(NULL) };
	for (size_t i = 0; i < LEN(seen); i++) {
		struct mech *m = mech_new(text("imap"));

		assert_int_equal(mech_start(m, text("SCRAM-SHA-1"), &no_channel, &first, &challenge), MECH_KEYS);
		assert_int_equal(mech_go_on(m, &keys, &challenge), MECH_MORE);
		assert_true(bytes_to_text(bytes_head(challenge, bytes_find(challenge, ',')), seen[i], sizeof seen[i]));
		assert_true(strlen(seen[i]) > 16);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(seen[i], seen[j]);
		mech_free(&m);
	}
}

/* The library asks for nothing but what it was given, and what it was given fits. */
static void
test_odd_keys(void **state)
{
	static const char *const odd[] = { "", "x", "8192:", "8192:c2FsdA==$", "8192:c2FsdA==$AAAA:AAAA", "0:c2FsdA==$AAAA:AAAA",
	    "99999999999999999999:c2FsdA==$AAAA:AAAA", "8192:!!!$AAAA:AAAA", ":::$$$", "8192:c2FsdA== $ : " };
	struct bytes first = text("n,,n=anna,r=x"), challenge;

	(void)state;
	for (size_t i = 0; i < LEN(odd); i++) {
		struct mech_keys keys = { text(odd[i]), text(odd[i]), text(odd[i]) };
		struct mech *m = mech_new(text("imap"));

		assert_int_equal(mech_start(m, text("SCRAM-SHA-256"), &no_channel, &first, &challenge), MECH_KEYS);
		if (mech_go_on(m, &keys, &challenge) != (odd[i][0] == '\0' ? MECH_FAILED : MECH_BROKEN))
			fail_msg("%s", odd[i]);
		mech_free(&m);
	}
}

static void
test_cram_md5(void **state)
{
	struct bytes early = text("anna 00000000000000000000000000000000"), challenge;

	(void)state;
	for (int wrong = 0; wrong < 2; wrong++) {
		struct mech_keys keys = { NONE, NONE, text(wrong ? "other" : PASSWORD) };
		struct mech *m = mech_new(text("imap"));
		unsigned char digest[16];
		char line[64] = "anna ";

		assert_int_equal(mech_start(m, text("CRAM-MD5"), &no_channel, NULL, &challenge), MECH_MORE);
		assert_true(bytes_starts(challenge, text("<")) && bytes_ends(challenge, text("@mx.a.example>")));
		must(HMAC(EVP_md5(), PASSWORD, (int)strlen(PASSWORD), challenge.p, challenge.n, digest, NULL) != NULL);
		for (size_t i = 0; i < sizeof digest; i++)
			snprintf(line + 5 + 2 * i, 3, "%02x", digest[i]);
		assert_int_equal(mech_step(m, text(line), &challenge), MECH_KEYS);
		assert_true(bytes_eq(mech_user(m), text("anna")));
		assert_int_equal(mech_go_on(m, &keys, &challenge), wrong ? MECH_FAILED : MECH_PASSED);
		mech_free(&m);
		m = mech_new(text("imap"));
		assert_int_equal(mech_start(m, text("CRAM-MD5"), &no_channel, &early, &challenge), MECH_FAILED);
		mech_free(&m);
	}
}

/* Messages that are none, at the first step and at the second. */
static void
test_scram_garbage(void **state)
{
	static const char *const firsts[] = { "", "n", "n,,", "n,,n=,r=x", "n,,n=a", "n,,r=x,n=a", "n,,m=1,n=a,r=x" };
	static const char *const seconds[] = { "", "c", "c=", "c=biws", "c=biws,r=x", "c=biws,r=x,p=", "c=biws,r=x,p=AAAA", "p=AAAA",
	    ",,,", "c=!!!!,r=,p=" };
	struct bytes good = text("n,,n=anna,r=x"), challenge;
	struct mech_keys keys;

	(void)state;
	make_anna();
	keys = (struct mech_keys){ anna.scram_sha_1, anna.scram_sha_256, text(NULL) };
	for (size_t i = 0; i < LEN(firsts); i++) {
		struct bytes first = text(firsts[i]);
		struct mech *m = mech_new(text("imap"));

		assert_int_equal(mech_start(m, text("SCRAM-SHA-256"), &no_channel, &first, &challenge), MECH_FAILED);
		mech_free(&m);
	}
	for (size_t i = 0; i < LEN(seconds); i++) {
		struct mech *m = mech_new(text("imap"));

		assert_int_equal(mech_start(m, text("SCRAM-SHA-256"), &no_channel, &good, &challenge), MECH_KEYS);
		assert_int_equal(mech_go_on(m, &keys, &challenge), MECH_MORE);
		assert_int_equal(mech_step(m, text(seconds[i]), &challenge), MECH_FAILED);
		mech_free(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_external),
		cmocka_unit_test(test_scram),
		cmocka_unit_test(test_scram_replay),
		cmocka_unit_test(test_scram_garbage),
		cmocka_unit_test(test_nonces),
		cmocka_unit_test(test_odd_keys),
		cmocka_unit_test(test_cram_md5),
	};

	return cmocka_run_group_tests(tests, open_mechs, close_mechs);
}
