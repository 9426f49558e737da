/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_certificates.c - which certificates end soon; those that nobody has signed but themselves made anew.
 *
 * A new one has the key, the names and all else of the old one but number and dates: so a TLSA record for the key (3 1 1)
 * stays right, and whoever has been told to believe the key goes on to.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/tls_files.h"
#include "mail/tls_settings.h"
#include "tools/hermod.h"
#include "tools/hermod_certificates.h"

#define DAY_S		86400L
#define TEMPORARY	".hermod-renew"
#define WORDS		3000		/* octets of a line about one */

static int
open_file(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);	/* links are followed: certbot makes them */
}

/* The paths of an item, with the NUL. */
static void
paths_of(const char *item, char chain[1024], char key[1024])
{
	struct bytes c, k;

	if (!tls_certificate_paths(item, &c, &k) || !bytes_to_text(c, chain, 1024) || !bytes_to_text(k, key, 1024))
		must(!"an item that the settings took");
}

/* NULL: why. */
static STACK_OF(X509) *
read_file(const char *path, STACK_OF(X509) *(*read)(int, char *, size_t), char *why, size_t cap)
{
	STACK_OF(X509) *list = NULL;
	int fd = open_file(path);

	if (fd == -1)
		snprintf(why, cap, "%s", strerror(errno));
	else
		list = read(fd, why, cap);
	fd_close(&fd);
	return list;
}

static bool
signed_by_itself(X509 *x)
{
	bool is = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0
	    && X509_verify(x, X509_get0_pubkey(x)) == 1;

	ERR_clear_error();
	return is;
}

/* ---- time ---- */

static bool
end_of(const X509 *x, time_t *out)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1)
		return false;
	*out = timegm(&tm);
	return true;
}

static const char *
day_of(time_t t, char dst[32])
{
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(dst, 32, "%Y-%m-%d", &tm) == 0)
		snprintf(dst, 32, "?");
	return dst;
}

static void
warn_of(const char *path, X509 *x, const char *advice, void (*each)(struct bytes))
{
	time_t now = (time_t)clock_wall_s(), end;
	long days;
	char words[WORDS], name[256] = "?", day[32];

	if (!end_of(x, &end) || end > now + CERTIFICATE_SOON_DAYS * DAY_S)
		return;
	X509_NAME_oneline(X509_get_subject_name(x), name, sizeof name);
	days = (long)((end - now + DAY_S / 2) / DAY_S);
	if (end <= now)
		snprintf(words, sizeof words, "%s: the certificate of %s has expired on %s: clients refuse it; right would be: %s", path, name,
		    day_of(end, day), advice);
	else
		snprintf(words, sizeof words, "%s: the certificate of %s expires on %s, in %ld day%s; right would be: %s", path, name,
		    day_of(end, day), days, days == 1 ? "" : "s", advice);
	each(text(words));
}

static void
warn_of_file(const char *path, STACK_OF(X509) *(*read)(int, char *, size_t), bool ca, void (*each)(struct bytes))
{
	char why[512];
	STACK_OF(X509) *list = read_file(path, read, why, sizeof why);

	for (int i = 0; list && i < sk_X509_num(list); i++) {
		X509 *x = sk_X509_value(list, i);

		warn_of(path, x, ca ? "another CA there, and certificates of it for the clients, then `hermod reload`"
		    : i == 0 && signed_by_itself(x) ? "`hermod setup --renew`, then `hermod reload`"
		    : "a new one from whoever has signed it, then `hermod reload`", each);
	}
	sk_X509_pop_free(list, X509_free);
}

void
certificates_warn(void (*each)(struct bytes words))
{
	struct tls_settings s;
	char chain[1024], key[1024];

	hermod_fill(tls_settings, &s);
	for (size_t i = 0; i < s.certificates.n; i++) {
		paths_of(s.certificates.item[i], chain, key);
		warn_of_file(chain, tls_chain_read, false, each);
	}
	if (s.client_ca_file[0] != '\0')
		warn_of_file(s.client_ca_file, tls_cas_read, true, each);
	settings_free(tls_settings, &s);
}

/* ---- making ---- */

bool
certificate_set_serial(X509 *x)
{
	unsigned char octets[16];
	BIGNUM *n;
	bool good;

	random_fill(octets, sizeof octets);
	octets[0] = (unsigned char)((octets[0] & 0x7f) | 0x40);
	n = BN_bin2bn(octets, sizeof octets, NULL);
	good = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return good;
}

bool
certificate_date_and_sign(X509 *x, EVP_PKEY *key)
{
	bool bare = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");	/* which hash by themselves */
	time_t now = (time_t)clock_wall_s();

	return ASN1_TIME_set(X509_getm_notBefore(x), now - DAY_S) && ASN1_TIME_set(X509_getm_notAfter(x), now + CERTIFICATE_VALID_DAYS * DAY_S)
	    && X509_sign(x, key, bare ? NULL : EVP_sha256()) != 0;
}

/* ---- anew ---- */

static void
tell(const char *path, const char *state, const char *words)
{
	struct buf o;

	if (!hermod_options.json) {
		printf("%s: %s\n", path, words);
		return;
	}
	buf_init(&o, 1 << 16);
	buf_char(&o, '{');
	json_text(&o, "what", text("certificate"));
	json_text(&o, "name", text(path));
	json_text(&o, "state", text(state));
	json_text(&o, "words", text(words));
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

static EVP_PKEY *
key_of(const char *path, X509 *old, const char *chain)
{
	char why[512];
	int fd = open_file(path);
	EVP_PKEY *key;

	if (fd == -1)
		hermod_die(errno == EACCES ? EXIT_DENIED : EXIT_FAILED, "%s: %s. Nothing was changed", path, strerror(errno));
	key = tls_key_read(fd, why, sizeof why);
	if (!key)
		hermod_die(EXIT_FAILED, "%s: %s. Nothing was changed", path, why);
	if (X509_check_private_key(old, key) != 1)
		hermod_die(EXIT_FAILED, "%s: is not the key of the certificate in %s. Nothing was changed", path, chain);
	fd_close(&fd);
	return key;
}

static void
make_anew(X509 *old, EVP_PKEY *key, struct buf *pem)
{
	X509 *x = X509_dup(old);
	BIO *b = BIO_new(BIO_s_mem());
	char *p = NULL;
	long n;

	if (!x || !b || !certificate_set_serial(x) || !certificate_date_and_sign(x, key) || PEM_write_bio_X509(b, x) != 1)
		hermod_die(EXIT_FAILED, "a certificate cannot be made: %s. Nothing was changed", ERR_reason_error_string(ERR_peek_last_error()));
	n = BIO_get_mem_data(b, &p);
	buf_add(pem, bytes_of(p, (size_t)n));
	BIO_free(b);
	X509_free(x);
}

/* The old one or the new one, whatever happens meanwhile. */
static void
put(const char *path, struct bytes pem)
{
	const char *name = strrchr(path, '/') + 1;
	char folder[1024];
	struct stat st;
	int dir, lock;

	if (lstat(path, &st) == -1 || !S_ISREG(st.st_mode))
		hermod_die(EXIT_FAILED, "%s: is no regular file, and is left as it is", path);
	must(bytes_to_text(bytes_of(path, (size_t)(name - path)), folder, sizeof folder));
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	lock = dir == -1 ? -1 : dir_lock(dir, 0);
	if (lock == -1 || !file_replace_locked(dir, name, TEMPORARY, pem, st.st_mode & 07777))
		hermod_die(errno == EACCES || errno == EPERM || errno == EROFS ? EXIT_DENIED : EXIT_FAILED,
		    "%s: cannot be written: %s. The old one is there as before", path, strerror(errno));
	close(lock);
	close(dir);
}

/* False: it is not ours to renew. */
static bool
renew(const char *item, bool dry_run)
{
	char chain[1024], key_path[1024], why[512], words[600], issuer[256] = "?", day[32];
	STACK_OF(X509) *list;
	EVP_PKEY *key;
	struct buf pem;
	bool ours;

	paths_of(item, chain, key_path);
	list = read_file(chain, tls_chain_read, why, sizeof why);
	if (!list)
		hermod_die(EXIT_FAILED, "%s: %s. Nothing was changed", chain, why);
	if ((ours = signed_by_itself(sk_X509_value(list, 0)))) {
		buf_init(&pem, TLS_FILE_MAX);
		key = key_of(key_path, sk_X509_value(list, 0), chain);
		make_anew(sk_X509_value(list, 0), key, &pem);
		if (!dry_run)
			put(chain, buf_bytes(&pem));
		snprintf(words, sizeof words, "%s, good until %s; the key is the same, and a TLSA record 3 1 1 stays right",
		    dry_run ? "would be made anew" : "made anew",
		    day_of((time_t)clock_wall_s() + CERTIFICATE_VALID_DAYS * DAY_S, day));
		EVP_PKEY_free(key);
		buf_fini(&pem);
	} else {
		X509_NAME_oneline(X509_get_issuer_name(sk_X509_value(list, 0)), issuer, sizeof issuer);
		snprintf(words, sizeof words, "is signed by %s, which alone can renew it", issuer);
	}
	tell(chain, !ours ? "left" : dry_run ? "would be made" : "made", words);
	sk_X509_pop_free(list, X509_free);
	return ours;
}

int
certificates_renew(bool dry_run)
{
	struct tls_settings s;
	size_t n = 0;

	fault_open("hermod");
	hermod_fill(tls_settings, &s);
	for (size_t i = 0; i < s.certificates.n; i++)
		n += renew(s.certificates.item[i], dry_run);
	if (n == 0)
		hermod_die(EXIT_FAILED, "no certificate of tls_certificates is signed by itself: nothing was changed");
	if (!dry_run && !hermod_options.json)
		printf("`hermod reload` makes a suite that runs take it.\n");
	settings_free(tls_settings, &s);
	return EXIT_WORKED;
}
