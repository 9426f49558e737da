/* SPDX-License-Identifier: ISC */
#include "mail/tls_files.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct content { unsigned char *p; size_t n; };		/* owned; p has n octets */

static void
forget(struct content *c)
{
	if (c->p)
		explicit_bzero(c->p, c->n);
	mem_free(c->p);
	c->p = NULL;
}

static bool
read_whole(int fd, struct content *c, char *why, size_t cap)
{
	struct stat st;
	size_t done = 0;

	*c = (struct content){ NULL, 0 };
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > TLS_FILE_MAX) {
		snprintf(why, cap, "is no file of 1 octet to 1 MiB; right would be one in PEM");
		return false;
	}
	c->n = (size_t)st.st_size;
	c->p = mem_alloc(c->n);
	while (done < c->n) {
		ssize_t got = pread(fd, c->p + done, c->n - done, (off_t)done);

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0) {
			snprintf(why, cap, "cannot be read: %s", got == 0 ? "it is being changed" : strerror(errno));
			forget(c);
			return false;
		}
		done += (size_t)got;
	}
	return true;
}

static bool
holds_key(const struct content *c)
{
	static const char mark[] = "PRIVATE KEY-----";

	return memmem(c->p, c->n, mark, sizeof mark - 1) != NULL;
}

static bool
judge_chain(STACK_OF(X509) *chain, char *why, size_t cap)
{
	int n = sk_X509_num(chain);

	if (n == 0 || n > TLS_CHAIN_MAX) {
		snprintf(why, cap, "holds %d certificates in PEM; right would be 1 to %d: the server's own, then those of "
		    "the CAs that signed it", n, TLS_CHAIN_MAX);
		return false;
	}
	for (int i = 1; i < n; i++)
		if (X509_check_issued(sk_X509_value(chain, i), sk_X509_value(chain, i - 1)) != X509_V_OK) {
			snprintf(why, cap, "certificate %d has not signed the one before it; right would be the server's own "
			    "first, then who signed it, and so on", i + 1);
			return false;
		}
	return true;
}

/* The names travel to each client, in a message that has room for 65535 octets. */
static bool
judge_cas(STACK_OF(X509) *cas, char *why, size_t cap)
{
	int n = sk_X509_num(cas), names = 0;

	if (n == 0 || n > TLS_CAS_MAX) {
		snprintf(why, cap, "holds %d certificates in PEM; right would be 1 to %d, of CAs", n, TLS_CAS_MAX);
		return false;
	}
	for (int i = 0; i < n; i++) {
		if (X509_check_ca(sk_X509_value(cas, i)) != 1) {
			snprintf(why, cap, "certificate %d is no CA's: it could vouch for nobody; right would be that of the CA which "
			    "signs those of the clients (CA:TRUE)", i + 1);
			return false;
		}
		names += i2d_X509_NAME(X509_get_subject_name(sk_X509_value(cas, i)), NULL) + 2;
	}
	if (names > TLS_CA_NAMES_MAX) {
		snprintf(why, cap, "the names of its CAs have %d octets; right would be at most %d", names, TLS_CA_NAMES_MAX);
		return false;
	}
	return true;
}

/* Takes them; NULL when they are not good. */
static STACK_OF(X509) *
if_good(STACK_OF(X509) *all, bool good)
{
	if (good)
		return all;
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

/* Reading ended there: because nothing more begins, not over one that is damaged. Without it clients may lack a CA's. */
static bool
ended_well(int n, char *why, size_t cap)
{
	unsigned long e = ERR_peek_last_error();
	bool good = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	if (!good)
		snprintf(why, cap, "certificate %d cannot be read: %s", n + 1, ERR_reason_error_string(e));
	return good;
}

/* At most one more than max. */
static STACK_OF(X509) *
read_certificates(int fd, int max, char *why, size_t cap)
{
	STACK_OF(X509) *all = NULL;
	struct content c;
	bool good = true;
	BIO *b;
	X509 *x;

	if (!read_whole(fd, &c, why, cap))
		return NULL;
	if (holds_key(&c)) {
		snprintf(why, cap, "holds a private key, too; right would be a file of its own for it, since this one is read "
		    "by processes that talk to strangers");
		forget(&c);
		return NULL;
	}
	if (!(all = sk_X509_new_null()) || !(b = BIO_new_mem_buf(c.p, (int)c.n)))
		must(!"memory for a certificate");
	ERR_clear_error();
	while (sk_X509_num(all) <= max && good)
		if ((x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL)
			sk_X509_push(all, x);
		else if ((good = ended_well(sk_X509_num(all), why, cap)))
			break;
	ERR_clear_error();
	BIO_free(b);
	forget(&c);
	return if_good(all, good);
}

STACK_OF(X509) *
tls_chain_read(int fd, char *why, size_t cap)
{
	STACK_OF(X509) *chain = read_certificates(fd, TLS_CHAIN_MAX, why, cap);

	return if_good(chain, chain && judge_chain(chain, why, cap));
}

STACK_OF(X509) *
tls_cas_read(int fd, char *why, size_t cap)
{
	STACK_OF(X509) *cas = read_certificates(fd, TLS_CAS_MAX, why, cap);

	return if_good(cas, cas && judge_cas(cas, why, cap));
}

/* OpenSSL would ask the terminal. */
static int
no_password(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

EVP_PKEY *
tls_key_read(int fd, char *why, size_t cap)
{
	bool asked = false;
	struct content c;
	EVP_PKEY *key;
	BIO *b;

	if (!read_whole(fd, &c, why, cap))
		return NULL;
	if (!(b = BIO_new_mem_buf(c.p, (int)c.n)))
		must(!"memory for a key");
	key = PEM_read_bio_PrivateKey(b, NULL, no_password, &asked);
	ERR_clear_error();
	BIO_free(b);
	forget(&c);
	if (!key && asked)
		snprintf(why, cap, "is encrypted, and nobody is there to type the password; right would be a key without one "
		    "(openssl pkey -in KEY -out NEW), readable by root alone");
	else if (!key)
		snprintf(why, cap, "holds no private key in PEM");
	return key;
}
