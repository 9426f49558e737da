/* SPDX-License-Identifier: ISC */
/*
 * A context for each certificate: its own, and beside it those of other kinds of key (RSA, ECDSA)
 * that have all its names, so that each client gets the best that it can verify. The server name that a client
 * asks for chooses the context; who asks for none, or for one that nobody has, gets the first. One that has expired is shown
 * only where no other will do.
 */
#include "daemon/tls_server.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/tls_key.h"
#include "mail/tls_files.h"

#define SIGN_MS		10000		/* the answer of keys; it takes a millisecond */
#define CLIENT_DEPTH	8		/* CAs between a client's certificate and one that is trusted */
#define CLIENT_OCTETS	32768		/* of all certificates that a client sends */
#define SOON_S		(7 * 86400)	/* a certificate that ends so soon is said in the journal */

/* RFC 9325 section 4.2, RFC 8446 section 9.1: forward secrecy and AEAD alone. */
#define CIPHERS_1_2	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
			"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
/* SHA-256 first: most processors have instructions for it, and it serves all the keys of a handshake, on both sides. */
#define CIPHERS_1_3	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS		"X25519:P-256:P-384"
#define SIGALGS		"ed25519:ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:" \
			"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512"

struct certificate {
	STACK_OF(X509)	*chain;		/* owned; the server's own first */
	EVP_PKEY	*key;		/* owned; its public half and its number */
	SSL_CTX		*ctx;		/* owned */
};

struct tls_server {
	struct daemon	*daemon;	/* borrowed: has the keys of tickets */
	struct peers	*keys;		/* borrowed */
	STACK_OF(X509)	*client_cas;	/* owned; NULL: clients are asked for no certificate */
	X509_STORE	*client_store;	/* owned; of these alone */
	unsigned char	 client_hash[32]; /* of these: a session that was made under others is not resumed */
	struct certificate certificate[TLS_CERTIFICATES_MAX];
	size_t		 n;
	struct ipc_out	 out;
};

/* ---- signatures ---- */

static void
on_signature(void *arg, struct ipc_in *in)
{
	struct ipc_signature m = { .octets = { NULL, 0 } };

	if (!in || in->type != IPC_signature || !ipc_get_signature(in, &m))
		log_warn("keys gives no signature: this TLS handshake fails");
	tls_signed(arg, m.octets);
}

static void
ask_keys(void *arg, struct tls_signing *s, uint32_t key, unsigned scheme, struct bytes to_sign)
{
	struct tls_server *t = arg;

	ipc_put_sign(&t->out, 0, &(struct ipc_sign){ .key = key, .scheme = scheme, .octets = to_sign });
	peers_call(t->keys, &t->out, SIGN_MS, on_signature, s);
}

/* ---- which certificate ---- */

static X509 *
leaf(const struct certificate *c)
{
	return sk_X509_value(c->chain, 0);
}

/* RFC 6066 section 3, RFC 9525: names, and "*" for one label; what stands in the subject alone is not looked at. */
static bool
has_name(const struct certificate *c, const char *name, size_t n)
{
	return n > 0 && X509_check_host(leaf(c), name, n, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

/* Word for word: of two wildcards no one stands for the other. */
static bool
lists_name(const struct certificate *c, const ASN1_STRING *name)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf(c), NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; names && !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		found = g->type == GEN_DNS && ASN1_STRING_length(g->d.dNSName) == ASN1_STRING_length(name)
		    && strncasecmp((const char *)ASN1_STRING_get0_data(g->d.dNSName), (const char *)ASN1_STRING_get0_data(name),
		    (size_t)ASN1_STRING_length(name)) == 0;
	}
	GENERAL_NAMES_free(names);
	return found;
}

static bool
has_names_of(const struct certificate *c, const struct certificate *other)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf(other), NID_subject_alt_name, NULL, NULL);
	bool all = names != NULL;

	for (int i = 0; all && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type == GEN_DNS)
			all = lists_name(c, g->d.dNSName) || has_name(c, (const char *)ASN1_STRING_get0_data(g->d.dNSName),
			    (size_t)ASN1_STRING_length(g->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	return all;
}

/* RFC 5280 section 4.1.2.5. */
static bool
is_in_its_time(const struct certificate *c)
{
	return X509_cmp_timeframe(NULL, X509_get0_notBefore(leaf(c)), X509_get0_notAfter(leaf(c))) == 0;
}

/* The first of that name, but one that clients refuse for its time only where there is no other. NULL: nobody has it. */
static const struct certificate *
find_name(const struct tls_server *t, const char *name)
{
	const struct certificate *found = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct certificate *c = &t->certificate[i];

		if (!has_name(c, name, strlen(name)))
			continue;
		if (is_in_its_time(c))
			return c;
		if (!found)
			found = c;
	}
	return found;
}

/* The first of all, or, while it is not in its time, one that is and has its names. */
static const struct certificate *
first_or_like_it(const struct tls_server *t)
{
	const struct certificate *first = &t->certificate[0];

	if (is_in_its_time(first))
		return first;
	for (size_t i = 1; i < t->n; i++)
		if (is_in_its_time(&t->certificate[i]) && has_names_of(&t->certificate[i], first))
			return &t->certificate[i];
	return first;
}

static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_server *t = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct certificate *c = name ? find_name(t, name) : NULL;

	(void)alert;
	SSL_set_SSL_CTX(ssl, c ? c->ctx : first_or_like_it(t)->ctx);
	return c ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* ---- tickets ---- */

enum { TICKET_NONE = 0, TICKET_GOOD = 1, TICKET_OLD = 2 };	/* what OpenSSL is told */

static int
use_ticket_key(const unsigned char *key, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)(key + 48), 32),
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)"SHA256", 0), OSSL_PARAM_END
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key + 16, iv, encrypt) == 1
	    && EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int
on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	static const unsigned char none[80];
	const struct tls_server *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	for (int i = 0; i < 2; i++) {
		const unsigned char *key = t->daemon->ticket_keys[i];

		if (memcmp(key, none, sizeof none) == 0 || (encrypt && i > 0))
			return TICKET_NONE;
		if (encrypt) {
			memcpy(name, key, 16);
			random_fill(iv, 16);
		} else if (memcmp(name, key, 16) != 0) {
			continue;
		}
		return !use_ticket_key(key, iv, cipher, mac, encrypt) ? TICKET_NONE : i == 0 ? TICKET_GOOD : TICKET_OLD;
	}
	return TICKET_NONE;
}

/* The certificate's hash, by the function of its signature, but for those that are weak; who signs without one (Ed25519)
 * leaves it undefined. */
static void
hash_certificate(SSL *ssl, struct tls_binding *b)
{
	X509 *own = SSL_get_certificate(ssl);
	const EVP_MD *md;
	unsigned n = 0;
	int nid;

	b->n = 0;
	if (!own || X509_get_signature_info(own, &nid, NULL, NULL, NULL) != 1 || nid == NID_undef)
		return;
	md = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
	if (md && EVP_MD_get_size(md) <= TLS_BINDING_MAX && X509_digest(own, md, b->octets, &n) == 1)
		b->n = n;
}

/* What is resumed has it from the ticket before. */
static int
on_ticket_made(SSL *ssl, void *arg)
{
	struct tls_binding b;

	(void)arg;
	if (SSL_session_reused(ssl))
		return 1;
	hash_certificate(ssl, &b);
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), b.octets, b.n);
}

/* RFC 6066 section 3: the only name in a client's list; empty: it has said none. */
static struct bytes
asked_name(SSL *ssl)
{
	struct bytes list = text(NULL);

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &list.p, &list.n) != 1 || list.n < 5
	    || list.p[2] != TLSEXT_NAMETYPE_host_name)
		return text(NULL);
	return bytes_head(bytes_skip(list, 5), (size_t)(list.p[3] << 8 | list.p[4]));
}

/* Before a ticket is looked at: it is good for one service, one name (RFC 6066 section 3), and the CAs that clients' certificates
 * were judged by: what came of that is in it. */
static int
on_hello(SSL *ssl, int *alert, void *arg)
{
	const struct tls_server *t = arg;
	struct bytes name = asked_name(ssl);
	unsigned char whole[32];
	struct buf words;
	bool good;

	buf_init(&words, 1024);
	buf_fmt(&words, "%s %s ", t->daemon->name, (const char *)SSL_get_app_data(ssl));
	buf_add(&words, bytes_of(t->client_hash, sizeof t->client_hash));
	buf_add(&words, bytes_head(name, 255));
	good = EVP_Q_digest(NULL, "SHA256", NULL, words.p, words.n, whole, NULL) == 1
	    && SSL_set_session_id_context(ssl, whole, sizeof whole) == 1;
	buf_fini(&words);
	*alert = SSL_AD_INTERNAL_ERROR;
	return good ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

/* ---- other services ---- */

static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *offered, unsigned offered_n, void *arg)
{
	const char *name = SSL_get_app_data(ssl);
	unsigned char wire[16], *found;		/* length, name */

	(void)arg;
	wire[0] = (unsigned char)strlen(name);
	memcpy(wire + 1, name, wire[0]);
	if (SSL_select_next_proto(&found, n, offered, offered_n, wire, wire[0] + 1u) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;	/* RFC 7301 section 3.2 */
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- certificates of clients ---- */

/* All that there is to say stays with the session; a bad one ends no handshake. It runs on a small stack (base/conn.h). */
static int
judge_client(X509_STORE_CTX *v, void *arg)
{
	(void)arg;
	if (X509_verify_cert(v) != 1 && X509_STORE_CTX_get_error(v) == X509_V_OK)
		X509_STORE_CTX_set_error(v, X509_V_ERR_UNSPECIFIED);
	ERR_clear_error();
	return 1;
}

static void
ask_clients(SSL_CTX *ctx, const struct tls_server *t)
{
	if (SSL_CTX_set1_verify_cert_store(ctx, t->client_store) != 1)
		log_fatal("TLS cannot be set up: %s", ERR_reason_error_string(ERR_peek_last_error()));
	for (int i = 0; i < sk_X509_num(t->client_cas); i++)
		if (SSL_CTX_add_client_CA(ctx, sk_X509_value(t->client_cas, i)) != 1)
			log_fatal("TLS cannot be set up: %s", ERR_reason_error_string(ERR_peek_last_error()));
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_verify_depth(ctx, CLIENT_DEPTH);
	SSL_CTX_set_max_cert_list(ctx, CLIENT_OCTETS);
	SSL_CTX_set_cert_verify_callback(ctx, judge_client, NULL);
}

/* A certificate of the file is where trust begins, whoever has signed it. */
static void
load_client_cas(struct tls_server *t, struct daemon *d, const char *path)
{
	int fd = daemon_file(d, "client_ca");
	struct buf hashes;
	char why[512];

	if (fd == -1)
		return;
	t->client_cas = tls_cas_read(fd, why, sizeof why);
	if (!t->client_cas)
		log_fatal("tls_client_ca_file: %s: %s", path, why);
	daemon_file_close(d, "client_ca");
	t->client_store = X509_STORE_new();
	must(t->client_store && X509_STORE_set_flags(t->client_store, X509_V_FLAG_PARTIAL_CHAIN) == 1);
	buf_init(&hashes, TLS_CAS_MAX * 32);
	for (int i = 0; i < sk_X509_num(t->client_cas); i++) {
		unsigned char *room = buf_room(&hashes, 32);

		if (X509_STORE_add_cert(t->client_store, sk_X509_value(t->client_cas, i)) != 1
		    || X509_digest(sk_X509_value(t->client_cas, i), EVP_sha256(), room, NULL) != 1)
			log_fatal("tls_client_ca_file: %s: %s", path, ERR_reason_error_string(ERR_peek_last_error()));
		hashes.n += 32;
	}
	must(EVP_Q_digest(NULL, "SHA256", NULL, hashes.p, hashes.n, t->client_hash, NULL) == 1);
	buf_fini(&hashes);
}

/* NULL: it counts. Its times are looked at again: since the handshake that a session was made in some hours may have passed. */
static const char *
why_not(const struct conn *c, const X509 *x, struct buf *run)
{
	long result = SSL_get_verify_result(c->ssl);
	enum tls_identity i;

	if (result != X509_V_OK)
		return X509_verify_cert_error_string(result);
	if (X509_cmp_current_time(X509_get0_notAfter(x)) != 1)
		return X509_verify_cert_error_string(X509_V_ERR_CERT_HAS_EXPIRED);
	i = tls_identity(x, run);
	return i == TLS_IDENTITY_FOUND ? NULL : tls_identity_text(i);
}

bool
tls_server_identity(const struct conn *c, const char *session, const char *client, struct buf *run)
{
	const char *why = "";
	char subject[256];
	X509 *x;

	buf_clear(run);
	if (c->tls != CONN_PROTECTED || !(x = SSL_get1_peer_certificate(c->ssl)))
		return false;
	why = why_not(c, x, run);
	if (why) {
		X509_NAME_oneline(X509_get_subject_name(x), subject, sizeof subject);
		log_info("%s: client=%s certificate=\"%s\" does not count: %s", session, client, log_text(text(subject)), why);
		buf_clear(run);
	}
	X509_free(x);
	return !why;
}

/* ---- made once ---- */

static void
fatal(const char *item, const char *what)
{
	log_fatal("tls_certificates: %s: %s: %s", item, what, ERR_reason_error_string(ERR_peek_last_error()));
}

static void
tell_end(const char *item, const struct certificate *c)
{
	time_t soon = time(NULL) + SOON_S;

	if (X509_cmp_current_time(X509_get0_notAfter(leaf(c))) < 0)
		log_warn("tls_certificates: %s: this certificate is no longer valid: clients will refuse it; renew it, then "
		    "hermod reload", item);
	else if (X509_cmp_time(X509_get0_notAfter(leaf(c)), &soon) < 0)
		log_warn("tls_certificates: %s: this certificate ends within a week; renew it, then hermod reload", item);
}

static void
use(SSL_CTX *ctx, const struct certificate *c, const char *item)
{
	if (SSL_CTX_use_certificate(ctx, leaf(c)) != 1 || SSL_CTX_use_PrivateKey(ctx, c->key) != 1)
		fatal(item, "cannot be used");
	for (int i = 1; i < sk_X509_num(c->chain); i++)
		if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(c->chain, i)) != 1)
			fatal(item, "its chain cannot be used");
}

static SSL_CTX *
new_ctx(struct tls_server *t, const struct tls_settings *s)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || SSL_CTX_set_min_proto_version(ctx, s->profile == TLS_MODERN ? TLS1_3_VERSION : TLS1_2_VERSION) != 1
	    || SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) != 1 || SSL_CTX_set_ciphersuites(ctx, CIPHERS_1_3) != 1
	    || SSL_CTX_set1_groups_list(ctx, GROUPS) != 1 || SSL_CTX_set1_sigalgs_list(ctx, SIGALGS) != 1)
		log_fatal("TLS cannot be set up: %s", ERR_reason_error_string(ERR_peek_last_error()));
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);		/* what the file has is sent; looking for more costs each handshake */
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA
	    | (s->ticket_time_ms == 0 ? SSL_OP_NO_TICKET : 0));
	SSL_CTX_set_num_tickets(ctx, s->ticket_time_ms == 0 ? 0 : 1);
	SSL_CTX_set_timeout(ctx, (long)((s->ticket_time_ms + 999) / 1000));
	SSL_CTX_set_app_data(ctx, t);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
	if (SSL_CTX_set_session_ticket_cb(ctx, on_ticket_made, NULL, NULL) != 1)
		log_fatal("TLS cannot be set up: %s", ERR_reason_error_string(ERR_peek_last_error()));
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);	/* a worker's own would be of no use at the next */
	SSL_CTX_set_client_hello_cb(ctx, on_hello, t);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, t);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	if (t->client_cas)
		ask_clients(ctx, t);
	return ctx;
}

static void
load(struct tls_server *t, struct daemon *d, const char *item)
{
	struct certificate *c = &t->certificate[t->n];
	char name[32], why[512];

	snprintf(name, sizeof name, "certificate.%zu", t->n);
	c->chain = tls_chain_read(daemon_file(d, name), why, sizeof why);
	if (!c->chain)
		log_fatal("tls_certificates: %s: its chain %s", item, why);
	daemon_file_close(d, name);
	c->key = tls_key_new(X509_get0_pubkey(leaf(c)), (uint32_t)t->n);
	if (!c->key)
		log_fatal("tls_certificates: %s: its kind of key is not served; right would be RSA, ECDSA or Ed25519", item);
	tell_end(item, c);
	t->n++;
}

/* Itself, and those beside it. OpenSSL keeps one of each kind of key. False: none is in its time, where that is asked for. */
static bool
use_all(struct tls_server *t, const struct certificate *c, bool in_time, const struct tls_settings *s)
{
	bool has[3] = { false, false, false };

	for (size_t i = 0; i < t->n + 1; i++) {
		const struct certificate *o = i == 0 ? c : &t->certificate[i - 1];
		size_t kind = EVP_PKEY_is_a(o->key, "RSA") ? 0 : EVP_PKEY_is_a(o->key, "EC") ? 1 : 2;

		if (has[kind] || (o != c && !has_names_of(o, c)) || (in_time && !is_in_its_time(o)))
			continue;
		has[kind] = true;
		use(c->ctx, o, s->certificates.item[o - t->certificate]);
	}
	return has[0] || has[1] || has[2];
}

struct tls_server *
tls_server_new(struct daemon *d, const struct tls_settings *s)
{
	struct tls_server *t;

	if (s->certificates.n == 0)
		return NULL;
	t = mem_alloc(sizeof *t);
	must(s->certificates.n <= TLS_CERTIFICATES_MAX);
	t->daemon = d;
	t->keys = daemon_peers(d, "keys");
	ipc_out_init(&t->out);
	if (!tls_key_init(ask_keys, t))
		log_fatal("TLS cannot be set up: %s", ERR_reason_error_string(ERR_peek_last_error()));
	for (size_t i = 0; i < s->certificates.n; i++)
		load(t, d, s->certificates.item[i]);
	load_client_cas(t, d, s->client_ca_file);
	for (size_t i = 0; i < t->n; i++) {
		t->certificate[i].ctx = new_ctx(t, s);
		if (!use_all(t, &t->certificate[i], true, s))	/* a client may take it all the same: mail goes on */
			use_all(t, &t->certificate[i], false, s);
	}
	return t;
}

void
tls_server_free(struct tls_server **t)
{
	if (!*t)
		return;
	for (size_t i = 0; i < (*t)->n; i++) {
		SSL_CTX_free((*t)->certificate[i].ctx);
		EVP_PKEY_free((*t)->certificate[i].key);
		sk_X509_pop_free((*t)->certificate[i].chain, X509_free);
	}
	sk_X509_pop_free((*t)->client_cas, X509_free);
	X509_STORE_free((*t)->client_store);
	ipc_out_fini(&(*t)->out);
	mem_free(*t);
	*t = NULL;
}

bool
tls_server_start(struct tls_server *t, struct conn *c, const char *alpn)
{
	must(strlen(alpn) < 16);
	if (!conn_start_tls(c, t->certificate[0].ctx))
		return false;
	SSL_set_app_data(c->ssl, (void *)(uintptr_t)alpn);
	return true;
}

bool
tls_server_facts(const struct conn *c, char dst[TLS_SERVER_FACTS_MAX])
{
	struct conn_tls_facts f;

	if (!conn_tls_facts(c, &f))
		return false;
	snprintf(dst, TLS_SERVER_FACTS_MAX, "%s %s", f.protocol, f.cipher);
	return true;
}

struct bytes
tls_binding_octets(const struct tls_binding *b)
{
	return bytes_of(b->octets, b->n);
}

/* RFC 9266 section 4.2: before TLS 1.3 it is one channel's alone only with RFC 7627. */
static void
export(SSL *ssl, struct tls_binding *b)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	b->n = 0;
	if ((SSL_version(ssl) == TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1)
	    && SSL_export_keying_material(ssl, b->octets, 32, label, sizeof label - 1, (const unsigned char *)"", 0, 1) == 1)
		b->n = 32;
}

/* In a session that is resumed no certificate is chosen: what counts is the one that it began with, of which the ticket tells. */
static void
find_end_point(SSL *ssl, struct tls_binding *b)
{
	void *octets;
	size_t n;

	if (!SSL_session_reused(ssl)) {
		hash_certificate(ssl, b);
		return;
	}
	b->n = SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &octets, &n) == 1 && n <= TLS_BINDING_MAX ? n : 0;
	if (b->n > 0)
		memcpy(b->octets, octets, b->n);
}

void
tls_server_bindings(const struct conn *c, struct tls_bindings *out)
{
	*out = (struct tls_bindings){ 0 };
	if (c->tls != CONN_PROTECTED)
		return;
	export(c->ssl, &out->exporter);
	find_end_point(c->ssl, &out->end_point);
}

struct bytes
tls_server_name(const struct conn *c)
{
	return text(c->tls == CONN_PROTECTED ? SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name) : NULL);
}

const char *
tls_server_why(const struct conn *c)
{
	const char *why = c->tls_error == 0 ? NULL : ERR_reason_error_string(c->tls_error);

	return why ? why : c->tls_error == 0 ? "the client closed the connection" : "OpenSSL does not say why";
}
