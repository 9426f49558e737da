/* SPDX-License-Identifier: ISC */
/*
 * master/certificates.c - the files of tls_certificates, tls_client_ca_file and gssapi_keytab. master opens them, has the kernel copy
 * them, and hands the copies on: chains to who speaks TLS, keys to keys, CAs to whose clients log in. Of a key it reads nothing. Before that a
 * child with the rights of keys looks whether they belong together, at the same copies: what is served is what
 * was proven, though somebody writes new ones meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/tls_sign.h"
#include "mail/tls_files.h"
#include "master/master.h"

/* A copy that nobody can change: a process that is started again in a year gets what its siblings have, whatever has become of
 * the file. The kernel copies; nothing of a key is in our memory. -1: errno. */
static int
freeze(int from, off_t octets, const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	off_t done = 0;

	while (fd != -1 && done < octets) {
		ssize_t n = sendfile(fd, from, &done, (size_t)(octets - done));

		if (n == 0)
			errno = EBUSY;		/* it gets shorter meanwhile: it is being written */
		if (n <= 0 && errno != EINTR)
			fd_close(&fd);
	}
	if (fd != -1 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == -1)
		fd_close(&fd);
	return fd;
}

static void
say_fault(const char *path, const char *setting, const char *file, const char *what, const char *do_this, struct buf *faults)
{
	buf_fmt(faults, "%s: %s: %s: %s%s\n", path, setting, file, what, do_this);
}

static int
open_one(const char *setting, struct bytes name, bool secret, const char *path, struct buf *faults)
{
	char file[1024];
	struct stat st;
	int from, fd = -1;

	must(bytes_to_text(name, file, sizeof file));
	from = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);	/* links are followed: certbot makes them */
	if (from == -1 || fstat(from, &st) == -1)
		say_fault(path, setting, file, strerror(errno), errno == EACCES ? "; right would be to ask as root" : "", faults);
	else if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > TLS_FILE_MAX)
		say_fault(path, setting, file, "is no file of 1 octet to 1 MiB", "; right would be one in PEM", faults);
	else if (secret && (st.st_mode & S_IRWXO))
		say_fault(path, setting, file, "everybody on this host can read this key", "; right would be: chmod 600", faults);
	else if ((fd = freeze(from, st.st_size, secret ? "tls-key" : "tls-certificate")) == -1)
		say_fault(path, setting, file, strerror(errno), "", faults);
	fd_close(&from);
	return fd;
}

bool
certificates_open(struct config *c, const char *path, struct buf *faults)
{
	const struct setting_list *l = &c->tls.certificates;
	struct certificate_files *f = c->certificates = mem_alloc(sizeof *f);
	size_t before = faults->n;

	f->client_ca = f->keytab = -1;
	if (l->n > TLS_CERTIFICATES_MAX) {
		buf_fmt(faults, "%s: tls_certificates: %zu are too many; right would be at most %d (a certificate can have "
		    "many names)\n", path, l->n, TLS_CERTIFICATES_MAX);
		return false;
	}
	for (; f->n < l->n; f->n++) {
		struct bytes chain, key;

		must(tls_certificate_paths(l->item[f->n], &chain, &key));
		f->chain[f->n] = open_one("tls_certificates", chain, false, path, faults);
		f->key[f->n] = open_one("tls_certificates", key, true, path, faults);
	}
	if (c->tls.client_ca_file[0] != '\0')
		f->client_ca = open_one("tls_client_ca_file", text(c->tls.client_ca_file), false, path, faults);
	if (c->s.gssapi_keytab[0] != '\0')
		f->keytab = open_one("gssapi_keytab", text(c->s.gssapi_keytab), true, path, faults);
	return faults->n == before;
}

void
certificates_close(struct certificate_files **f)
{
	if (!*f)
		return;
	for (size_t i = 0; i < (*f)->n; i++) {
		fd_close(&(*f)->chain[i]);
		fd_close(&(*f)->key[i]);
	}
	fd_close(&(*f)->client_ca);
	fd_close(&(*f)->keytab);
	mem_free(*f);
	*f = NULL;
}

/* ---- the child ---- */

static void
say(struct buf *faults, const char *path, struct bytes file, const char *why)
{
	buf_fmt(faults, "%s: tls_certificates: %.*s: %s\n", path, BYTES_FMT(file), why);
}

static void
look_at_cas(const struct config *c, const char *path, struct buf *faults)
{
	STACK_OF(X509) *cas;
	char why[512];

	if (c->certificates->client_ca == -1)
		return;
	cas = tls_cas_read(c->certificates->client_ca, why, sizeof why);
	if (!cas)
		buf_fmt(faults, "%s: tls_client_ca_file: %s: %s\n", path, c->tls.client_ca_file, why);
	sk_X509_pop_free(cas, X509_free);
}

/* As the TLS library itself will see it, CAs and all: whoever speaks TLS would end over it. */
static bool
fits(STACK_OF(X509) *chain, EVP_PKEY *key, char *why, size_t cap)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *leaf = sk_X509_value(chain, 0);
	STACK_OF(X509) *cas = sk_X509_dup(chain);
	bool good = ctx && cas;

	sk_X509_shift(cas);
	if (good && X509_check_private_key(leaf, key) != 1) {
		snprintf(why, cap, "is not the key of the certificate beside it");
		good = false;
	} else if (good && !tls_sign_serves(key)) {
		snprintf(why, cap, "its kind of key is not served; right would be RSA of at most %d bits, ECDSA on P-256, P-384 or P-521, "
		    "or Ed25519", 8 * TLS_SIGNATURE_MAX);
		good = false;
	} else if (good && SSL_CTX_use_cert_and_key(ctx, leaf, key, cas, 1) != 1) {
		snprintf(why, cap, "cannot be used for TLS: %s", ERR_reason_error_string(ERR_peek_last_error()));
		good = false;
	}
	ERR_clear_error();
	sk_X509_free(cas);
	SSL_CTX_free(ctx);
	return good;
}

/* Its first octets: the version of the format. What keys there are auth says, who has the library for it. */
static void
look_at_keytab(const struct config *c, const char *path, struct buf *faults)
{
	unsigned char first[2];

	if (c->certificates->keytab != -1 && (pread(c->certificates->keytab, first, sizeof first, 0) != sizeof first
	    || first[0] != 5 || first[1] < 1 || first[1] > 2))
		buf_fmt(faults, "%s: gssapi_keytab: %s: is no keytab; right would be what ktadd of kadmin writes\n", path,
		    c->s.gssapi_keytab);
}

static void
look(const struct config *c, const char *path, struct buf *faults)
{
	for (size_t i = 0; i < c->certificates->n; i++) {
		STACK_OF(X509) *chain;
		struct bytes chain_name, key_name;
		char why[512];
		EVP_PKEY *key;

		must(tls_certificate_paths(c->tls.certificates.item[i], &chain_name, &key_name));
		chain = tls_chain_read(c->certificates->chain[i], why, sizeof why);
		if (!chain)
			say(faults, path, chain_name, why);
		key = tls_key_read(c->certificates->key[i], why, sizeof why);
		if (!key || (chain && !fits(chain, key, why, sizeof why)))
			say(faults, path, key_name, why);
		sk_X509_pop_free(chain, X509_free);
		EVP_PKEY_free(key);
	}
	look_at_cas(c, path, faults);
	look_at_keytab(c, path, faults);
}

bool
certificates_proof(const struct config *c, const char *path, struct buf *faults)
{
	return (c->certificates->n == 0 && c->certificates->client_ca == -1 && c->certificates->keytab == -1)
	    || proof(c, path, "keys", "the look at tls_certificates", look, faults);
}
