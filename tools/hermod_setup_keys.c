/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_setup_keys.c - keys and certificates of a new host.
 *
 * One key, ECDSA on P-256: all that speak TLS 1.2 know it, and nobody but DANE believes a certificate that is signed by
 * itself, so that a second of RSA would only be a second TLSA record to forget.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/tls_files.h"
#include "tools/hermod_certificates.h"
#include "tools/hermod_setup.h"

#define DAY_S		86400L
#define SOON_DAYS	14

static _Noreturn void
die_of_openssl(const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	hermod_die(EXIT_FAILED, "%s: %s", what, why ? why : "OpenSSL does not say why");
}

/* ---- reading ---- */

static int
open_file(const char *path, bool secret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);	/* links are followed: certbot makes them */
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1)
		hermod_die(errno == EACCES ? EXIT_DENIED : EXIT_FAILED, "%s: %s", path, strerror(errno));
	if (secret && (st.st_mode & S_IRWXO))
		hermod_die(EXIT_FAILED, "%s: everybody on this host can read this key; right would be: chmod 600", path);
	return fd;
}

/* That they fit, or why not. False: the host is not named; in the subject alone it is not, for clients (RFC 9525 section 2). */
static bool
look_at_pair(const struct setup *s, const char *chain_path, const char *key_path, X509 *own, EVP_PKEY *key)
{
	time_t soon = time(NULL) + SOON_DAYS * DAY_S;

	if (X509_check_private_key(own, key) != 1)
		hermod_die(EXIT_FAILED, "%s: is not the key of the certificate in %s", key_path, chain_path);
	if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0)
		fprintf(stderr, "hermod: %s: the certificate has expired: mail programs will refuse it\n", chain_path);
	else if (X509_cmp_time(X509_get0_notAfter(own), &soon) < 0)
		fprintf(stderr, "hermod: %s: the certificate ends within %d days\n", chain_path, SOON_DAYS);
	return X509_check_host(own, (const char *)s->source.host.p, s->source.host.n, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
	    NULL) == 1;
}

/* The server's own certificate, when it names the host; else NULL. The caller's to free. */
static X509 *
read_pair(const struct setup *s, const char *chain_path, const char *key_path)
{
	int chain_fd = open_file(chain_path, false), key_fd = open_file(key_path, true);
	STACK_OF(X509) *chain;
	EVP_PKEY *key;
	X509 *own;
	char why[512];

	if (!(chain = tls_chain_read(chain_fd, why, sizeof why)))
		hermod_die(EXIT_FAILED, "%s: %s", chain_path, why);
	if (!(key = tls_key_read(key_fd, why, sizeof why)))
		hermod_die(EXIT_FAILED, "%s: %s", key_path, why);
	own = sk_X509_shift(chain);
	if (!look_at_pair(s, chain_path, key_path, own, key)) {
		X509_free(own);
		own = NULL;
	}
	sk_X509_pop_free(chain, X509_free);
	EVP_PKEY_free(key);
	close(chain_fd);
	close(key_fd);
	return own;
}

void
setup_read_key(const char *path, struct buf *pem)
{
	int fd = open_file(path, true);

	if (!file_slurp_from(fd, pem))
		hermod_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	close(fd);
}

void
setup_read_certificates(struct setup *s)
{
	if (s->own && !(s->key_there && s->certificate_there))
		return;
	for (size_t i = 0; i < s->certificates; i++) {
		X509 *own = read_pair(s, s->chain[i], s->key[i]);

		if (own)
			publish_take_key(&s->source, own);
		else
			fprintf(stderr, "hermod: %s: the certificate does not name %.*s: it is for clients that want another name\n",
			    s->chain[i], BYTES_FMT(s->source.host));
		X509_free(own);
	}
	if (s->source.keys == 0)
		hermod_die(EXIT_FAILED, "no certificate names %.*s: who connects there would refuse it; right would be one that does, or "
		    "--hostname", BYTES_FMT(s->source.host));
}

/* ---- making ---- */

static void
take_bio(BIO *b, struct buf *out)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);

	buf_add(out, bytes_of(p, (size_t)n));
	explicit_bzero(p, (size_t)n);
	BIO_free(b);
}

void
setup_make_key(struct buf *pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *b = BIO_new(BIO_s_secmem());

	if (!key || !b || PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) != 1)
		die_of_openssl("a key cannot be made");
	take_bio(b, pem);
	EVP_PKEY_free(key);
}

static bool
add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;
	bool good;

	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	good = e && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return good;
}

/* A common name has at most 64 characters (RFC 5280 appendix A.1): a longer host is in subjectAltName alone. */
static bool
set_names(struct setup *s, X509 *x)
{
	struct bytes host = s->source.host, domain = s->source.domain;
	X509_NAME *subject = X509_get_subject_name(x);
	struct bytes names = arena_fmt(s->a, "DNS:%.*s%s%.*s", BYTES_FMT(host), bytes_eq(host, domain) ? "" : ",DNS:",
	    bytes_eq(host, domain) ? 0 : (int)domain.n, (const char *)domain.p);

	return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, host.n <= 64 ? host.p : (const unsigned char *)"Hermod",
	    host.n <= 64 ? (int)host.n : -1, -1, 0) == 1
	    && X509_set_issuer_name(x, subject) == 1 && add_extension(x, NID_subject_alt_name, arena_text(s->a, names));
}

static EVP_PKEY *
key_of(struct bytes pem)
{
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, (void *)"") : NULL;

	BIO_free(b);
	return key;
}

static void
fill_and_sign(struct setup *s, X509 *x, EVP_PKEY *key)
{
	if (X509_set_version(x, X509_VERSION_3) != 1 || !certificate_set_serial(x) || X509_set_pubkey(x, key) != 1 || !set_names(s, x)
	    || !add_extension(x, NID_basic_constraints, "critical,CA:FALSE")
	    || !add_extension(x, NID_key_usage, "critical,digitalSignature")
	    || !add_extension(x, NID_ext_key_usage, "serverAuth") || !add_extension(x, NID_subject_key_identifier, "hash")
	    || !certificate_date_and_sign(x, key))
		die_of_openssl("a certificate cannot be made");
}

void
setup_make_certificate(struct setup *s, struct bytes key_pem, struct buf *pem)
{
	EVP_PKEY *key = key_of(key_pem);
	X509 *x = X509_new();
	BIO *b = BIO_new(BIO_s_mem());

	if (!key)
		hermod_die(EXIT_FAILED, "%s: holds no private key in PEM; right would be to move it away, so that a new one is made",
		    s->key[0]);
	if (!x || !b)
		die_of_openssl("a certificate cannot be made");
	fill_and_sign(s, x, key);
	if (PEM_write_bio_X509(b, x) != 1)
		die_of_openssl("a certificate cannot be made");
	publish_take_key(&s->source, x);
	take_bio(b, pem);
	X509_free(x);
	EVP_PKEY_free(key);
}
