/* SPDX-License-Identifier: ISC */
/* Apart from account.c: router needs no hashes. */
#include "config.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/mem.h"
#include "mail/account.h"

#define SCRAM_ITERATIONS 8192	/* RFC 7677 section 4: at least 4096 */
#define SALT_OCTETS 16
#define PLAIN "{PLAIN}"

/* ---- hashes ---------------------------------------------------------------------- */

static char *
text_of(struct bytes s)
{
	char *p = mem_alloc(s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

static void
wipe_text(char *p, size_t n)
{
	explicit_bzero(p, n);
	mem_free(p);
}

/* crypt(3) of the password under this setting or hash; empty: it cannot be done. */
static struct bytes
hash(struct bytes password, const char *setting, struct arena *arena)
{
	struct crypt_data *d = mem_alloc(sizeof *d);
	char *secret = text_of(password);
	const char *r = crypt_r(secret, setting, d);
	struct bytes out = { 0 };

	if (r && r[0] != '*')
		out = arena_copy(arena, text(r));
	wipe_text(secret, password.n);
	explicit_bzero(d, sizeof *d);
	mem_free(d);
	return out;
}

static struct bytes
new_hash(struct bytes password, struct arena *arena)
{
	char salt[SALT_OCTETS], *setting;
	struct bytes out;

	random_fill(salt, sizeof salt);
	setting = crypt_gensalt_ra("$y$", 0, salt, sizeof salt);
	must(setting != NULL);
	out = hash(password, setting, arena);
	free(setting);
	return out;
}

/* RFC 5802 section 3: SaltedPassword, StoredKey = H(HMAC(it, "Client Key")), ServerKey. */
static struct bytes
scram_keys(struct bytes password, const char *digest, struct arena *arena)
{
	const EVP_MD *md = EVP_get_digestbyname(digest);
	size_t n = (size_t)EVP_MD_get_size(md);
	unsigned char salt[SALT_OCTETS], salted[EVP_MAX_MD_SIZE], key[EVP_MAX_MD_SIZE];
	unsigned char stored[EVP_MAX_MD_SIZE], server[EVP_MAX_MD_SIZE];
	struct buf out;
	struct bytes done;

	random_fill(salt, sizeof salt);
	must(PKCS5_PBKDF2_HMAC((const char *)password.p, (int)password.n, salt, sizeof salt,
	    SCRAM_ITERATIONS, md, (int)n, salted) == 1);
	must(HMAC(md, salted, (int)n, (const unsigned char *)"Client Key", 10, key, NULL) != NULL);
	must(EVP_Digest(key, n, stored, NULL, md, NULL) == 1);
	must(HMAC(md, salted, (int)n, (const unsigned char *)"Server Key", 10, server, NULL) != NULL);
	buf_init(&out, 512);
	buf_fmt(&out, "%d:", SCRAM_ITERATIONS);
	base64_encode(bytes_of(salt, sizeof salt), &out);
	buf_char(&out, '$');
	base64_encode(bytes_of(stored, n), &out);
	buf_char(&out, ':');
	base64_encode(bytes_of(server, n), &out);
	done = arena_copy(arena, buf_bytes(&out));
	buf_wipe(&out);
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(key, sizeof key);
	return done;
}

/* ---- setting ------------------------------------------------------------------------ */

static bool
usable(struct bytes password, bool *ascii)
{
	*ascii = true;
	for (size_t i = 0; i < password.n; i++) {
		if (password.p[i] < ' ' || password.p[i] == 0x7f)
			return false;
		if (password.p[i] >= 0x80)
			*ascii = false;
	}
	/* crypt(3) of libcrypt takes 512 octets. */
	return password.n > 0 && password.n < CRYPT_MAX_PASSPHRASE_SIZE;
}

bool
account_set_password(struct account *a, struct arena *arena, struct bytes password)
{
	bool ascii;

	if (!usable(password, &ascii))
		return false;
	a->scram_sha_1 = a->scram_sha_256 = (struct bytes){ 0 };
	a->password = new_hash(password, arena);
	if (ascii) {
		a->scram_sha_1 = scram_keys(password, "SHA1", arena);
		a->scram_sha_256 = scram_keys(password, "SHA256", arena);
	}
	return a->password.n > 0;
}

/* ---- checking ------------------------------------------------------------------------ */

/* Whose password is not known, or not there, is compared with this one's: the same work. */
static const char *
nobody(void)
{
	static char made[CRYPT_OUTPUT_SIZE];
	struct arena *arena;
	struct bytes h;

	if (made[0] == '\0') {
		arena = arena_new(4096);
		h = new_hash(text("nobody has this"), arena);
		must(bytes_to_text(h, made, sizeof made));
		arena_free(&arena);
	}
	return made;
}

static bool
matches(struct bytes password, const char *stored)
{
	struct arena *arena = arena_new(4096);
	struct bytes h = hash(password, stored, arena);
	bool same = h.n > 0 && bytes_eq_secret(h, text(stored));

	arena_free(&arena);
	return same;
}

void
account_password_ready(void)
{
	nobody();
}

enum verdict
account_check_password(const struct account *a, struct bytes password, bool allow_plain)
{
	char stored[CRYPT_OUTPUT_SIZE];
	bool known = a && !a->system && a->password.n > 0, plain, same;

	plain = known && bytes_starts(a->password, text(PLAIN));
	if (plain && allow_plain)
		return bytes_eq_secret(bytes_skip(a->password, strlen(PLAIN)), password)
		    && a->state == ACCOUNT_ACTIVE ? YES : NO;
	known = known && !plain && bytes_to_text(a->password, stored, sizeof stored);
	if (password.n >= CRYPT_MAX_PASSPHRASE_SIZE || bytes_find(password, '\0') < password.n) {
		known = false;		/* crypt(3) would look at a part of it */
		password = text("too long");
	}
	same = matches(password, known ? stored : nobody());
	return known && same && a->state == ACCOUNT_ACTIVE ? YES : NO;
}
