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

#define SALT_OCTETS 16
#define FAKE_WORK 32
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

/* RFC 5803 section 3, without the name of the mechanism. */
static struct bytes
put_keys(uint64_t iterations, const unsigned char salt[SALT_OCTETS], struct bytes stored, struct bytes server, struct arena *arena)
{
	struct buf out;
	struct bytes done;

	buf_init(&out, 512);
	buf_fmt(&out, "%u:", (unsigned)iterations);
	base64_encode(bytes_of(salt, SALT_OCTETS), &out);
	buf_char(&out, '$');
	base64_encode(stored, &out);
	buf_char(&out, ':');
	base64_encode(server, &out);
	done = arena_copy(arena, buf_bytes(&out));
	buf_wipe(&out);
	return done;
}

/* RFC 5802 section 3: SaltedPassword, StoredKey = H(HMAC(it, "Client Key")), ServerKey. */
static struct bytes
scram_keys(struct bytes password, uint64_t iterations, const unsigned char salt[SALT_OCTETS], const char *digest, struct arena *arena)
{
	const EVP_MD *md = EVP_get_digestbyname(digest);
	size_t n = (size_t)EVP_MD_get_size(md);
	unsigned char salted[EVP_MAX_MD_SIZE], key[EVP_MAX_MD_SIZE];
	unsigned char stored[EVP_MAX_MD_SIZE], server[EVP_MAX_MD_SIZE];
	struct bytes done;

	must(PKCS5_PBKDF2_HMAC((const char *)password.p, (int)password.n, salt, SALT_OCTETS,
	    (int)iterations, md, (int)n, salted) == 1);
	must(HMAC(md, salted, (int)n, (const unsigned char *)"Client Key", 10, key, NULL) != NULL);
	must(EVP_Digest(key, n, stored, NULL, md, NULL) == 1);
	must(HMAC(md, salted, (int)n, (const unsigned char *)"Server Key", 10, server, NULL) != NULL);
	done = put_keys(iterations, salt, bytes_of(stored, n), bytes_of(server, n), arena);
	explicit_bzero(salted, sizeof salted);
	explicit_bzero(key, sizeof key);
	return done;
}

/* ---- setting ------------------------------------------------------------------------ */

static bool
usable(struct bytes password, bool *ascii)
{
	*ascii = bytes_is_ascii(password);
	/* crypt(3) of libcrypt takes 512 octets. */
	return password.n > 0 && password.n < CRYPT_MAX_PASSPHRASE_SIZE && !bytes_has_control(password);
}

bool
account_set_password(struct account *a, struct arena *arena, struct bytes password, uint64_t iterations)
{
	unsigned char salt[2][SALT_OCTETS];
	bool ascii;

	if (!usable(password, &ascii))
		return false;
	random_fill(salt, sizeof salt);
	a->scram_sha_1 = a->scram_sha_256 = (struct bytes){ 0 };
	a->password = new_hash(password, arena);
	if (ascii) {
		a->scram_sha_1 = scram_keys(password, iterations, salt[0], "SHA1", arena);
		a->scram_sha_256 = scram_keys(password, iterations, salt[1], "SHA256", arena);
	}
	return a->password.n > 0;
}

/* ---- of those who have none ---- */

/* n octets that only who has the secret can tell from a salt or a key. */
static void
fake(const unsigned char secret[ACCOUNT_SECRET], struct bytes name, const char *what, unsigned char *dst, size_t n)
{
	unsigned char whole[EVP_MAX_MD_SIZE];
	struct buf m;

	buf_init(&m, ACCOUNT_NAME_MAX + 64);
	buf_text(&m, what);
	buf_char(&m, ' ');
	for (size_t i = 0; i < name.n && i < ACCOUNT_NAME_MAX; i++)
		buf_char(&m, (char)ascii_lower(name.p[i]));
	must(HMAC(EVP_sha256(), secret, ACCOUNT_SECRET, m.p, m.n, whole, NULL) != NULL && n <= 32);
	memcpy(dst, whole, n);
	buf_fini(&m);
}

static struct bytes
fake_keys(const unsigned char secret[ACCOUNT_SECRET], struct bytes name, uint64_t iterations, const char *const what[3], size_t n,
    struct arena *arena)
{
	unsigned char salt[SALT_OCTETS], stored[32], server[32];

	fake(secret, name, what[0], salt, sizeof salt);
	fake(secret, name, what[1], stored, n);
	fake(secret, name, what[2], server, n);
	return put_keys(iterations, salt, bytes_of(stored, n), bytes_of(server, n), arena);
}

/* More work for one name than for another: so whoever asks for a name again and again, and takes the mean, sees that, and not
 * the microsecond or two that finding a row takes. */
static void
fake_work(const unsigned char secret[ACCOUNT_SECRET], struct bytes name)
{
	unsigned char n, octets[32];

	fake(secret, name, "work", &n, sizeof n);
	for (n %= FAKE_WORK; n > 0; n--)
		fake(secret, name, "more work", octets, sizeof octets);
}

void
account_fake_keys(const unsigned char secret[ACCOUNT_SECRET], struct bytes name, uint64_t iterations, struct arena *arena,
    struct account *out)
{
	static const char *const sha_1[] = { "salt 1", "stored 1", "server 1" };
	static const char *const sha_256[] = { "salt 256", "stored 256", "server 256" };

	fake_work(secret, name);
	out->scram_sha_1 = fake_keys(secret, name, iterations, sha_1, 20, arena);
	out->scram_sha_256 = fake_keys(secret, name, iterations, sha_256, 32, arena);
}

void
account_make_keys(const unsigned char secret[ACCOUNT_SECRET], struct bytes name, struct bytes password, bool sha_256,
    uint64_t iterations, struct arena *arena, struct account *out)
{
	unsigned char salt[SALT_OCTETS];
	struct bytes made;
	bool ascii, good = usable(password, &ascii) && ascii;

	fake(secret, name, sha_256 ? "salt 256" : "salt 1", salt, sizeof salt);
	made = scram_keys(good ? password : text("none"), iterations, salt, sha_256 ? "SHA256" : "SHA1", arena);
	if (good)
		*(sha_256 ? &out->scram_sha_256 : &out->scram_sha_1) = made;
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

/* "$y$j9T$": what a hash costs, without its salt; empty: it cannot be told. */
static struct bytes
cost_of(const char *stored)
{
	struct bytes s = text(stored), rest = s;

	for (unsigned part = 0; part < 3; part++)
		bytes_cut(&rest, '$');
	return stored[0] == '$' ? bytes_head(s, s.n - rest.n) : text(NULL);
}

/* A wrong password costs what that of an unknown name does, or more. On a busy host that counts, too: whoever has had less of
 * the CPU is the first to have it again. */
static bool
matches_at_full_cost(struct bytes password, const char *stored)
{
	bool same = matches(password, stored);

	if (!same && !bytes_eq(cost_of(stored), cost_of(nobody())))
		(void)matches(password, nobody());
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
	same = matches_at_full_cost(password, known ? stored : nobody());
	return known && same && a->state == ACCOUNT_ACTIVE ? YES : NO;
}

enum verdict
account_check_secret(const struct account *a, struct bytes password)
{
	bool same = a->secret.n > 0 && bytes_eq_secret(a->secret, password);

	(void)account_check_password(NULL, password, false);
	return same && a->state == ACCOUNT_ACTIVE ? YES : NO;
}
