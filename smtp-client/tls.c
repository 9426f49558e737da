/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/tls.c - TLS to other hosts. Certificates are always looked at, and what they are worth is said in the
 * journal; whether that matters is for mail/tls_policy.h to say (RFC 7435: some protection most of the time). What
 * servers give to resume a session by is kept in memory, and used for the same host and address only.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "smtp-client/client.h"

#define SESSIONS	512	/* servers of which something is remembered */
#define KEY_MAX		(CANDIDATE_TEXT_MAX + 2)

struct remembered { char key[KEY_MAX]; SSL_SESSION *session; };

struct tls {
	SSL_CTX		*ctx;
	struct remembered sessions[SESSIONS];	/* each in the one place that its key gives it */
};

static int key_index = -1;	/* of the key in an SSL's extra data */

static void
key_free(void *parent, void *key, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	mem_free(key);
}

static struct remembered *
slot_of(struct tls *t, const char *key)
{
	uint32_t h = 2166136261u;	/* FNV-1a: a server that makes two names collide loses but its own memory */

	for (const char *p = key; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	return &t->sessions[h % SESSIONS];
}

/* OpenSSL has a session for us: 1 says that we keep it. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const char *key = SSL_get_ex_data(ssl, key_index);
	struct remembered *r;

	if (!key)
		return 0;
	r = slot_of(t, key);
	SSL_SESSION_free(r->session);
	r->session = session;
	snprintf(r->key, sizeof r->key, "%s", key);
	return 1;
}

/* Taken out: what is used twice can be linked by whoever listens (RFC 8446 appendix C.4); the server gives another. */
static SSL_SESSION *
recall(struct tls *t, const char *key)
{
	struct remembered *r = slot_of(t, key);
	SSL_SESSION *session = r->session;

	if (!session || strcmp(r->key, key) != 0)
		return NULL;
	r->session = NULL;
	return session;
}

struct tls *
tls_new(const struct smtp_client_settings *s)
{
	struct tls *t = mem_alloc(sizeof *t);

	t->ctx = SSL_CTX_new(TLS_client_method());
	if (key_index == -1)
		key_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, key_free);
	if (!t->ctx || key_index == -1 || !tls_check_context(t->ctx))
		log_fatal("out of memory: TLS");
	SSL_CTX_set_app_data(t->ctx, t);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(t->ctx, on_session);
	if (s->tls_ca_file[0] != '\0' && !SSL_CTX_load_verify_file(t->ctx, s->tls_ca_file)) {
		log_warn("tls_ca_file: %s: cannot be read: no server's certificate will be taken for verified "
		    "(Debian package ca-certificates has the file)", s->tls_ca_file);
		ERR_clear_error();
	}
	return t;
}

void
tls_free(struct tls **taken)
{
	struct tls *t = *taken;

	*taken = NULL;
	if (!t)
		return;
	for (size_t i = 0; i < SESSIONS; i++)
		SSL_SESSION_free(t->sessions[i].session);
	SSL_CTX_free(t->ctx);
	mem_free(t);
}

/* Who must prove himself does so each time: a certificate that has expired since, or that no TLSA record names any more,
 * would pass for as long as sessions are resumed. So this is for others. */
static void
remember(struct tls *t, SSL *ssl, const struct candidate *p, bool resume)
{
	char *key = mem_alloc(KEY_MAX);
	SSL_SESSION *session;

	candidate_text(p, key);
	if (!SSL_set_ex_data(ssl, key_index, key))
		log_fatal("out of memory: TLS");
	session = resume ? recall(t, key) : NULL;
	if (session)
		SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
}

SSL *
tls_begin(struct tls *t, const struct candidate *p, bool resume)
{
	SSL *ssl = SSL_new(t->ctx);

	if (!ssl)
		log_fatal("out of memory: TLS");
	if (!tls_check_apply(ssl, p->tls, &p->address)) {
		SSL_free(ssl);
		return NULL;
	}
	if (!tls_level_proves(p->tls->level) && !p->tls->login)
		remember(t, ssl, p, resume);
	ERR_clear_error();
	return ssl;
}

char *
tls_facts(SSL *ssl, enum tls_proof proof, char dst[TLS_FACTS_MAX])
{
	snprintf(dst, TLS_FACTS_MAX, "%s %s %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl), tls_proof_name(proof));
	return dst;
}
