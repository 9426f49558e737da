/* SPDX-License-Identifier: ISC */
#include "keys/keys.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/tls_sign.h"
#include "mail/tls_files.h"
#include "proto/tls_transcript.h"

struct keys {
	struct daemon	*daemon;		/* borrowed */
	EVP_PKEY	*tls[TLS_CERTIFICATES_MAX];	/* owned; in the order of tls_certificates */
	size_t		 n;
	struct ipc_out	 out;
};

struct keys *
keys_new(struct daemon *d, const struct tls_settings *s)
{
	struct keys *k = mem_alloc(sizeof *k);
	char name[32], why[512];

	k->daemon = d;
	ipc_out_init(&k->out);
	for (; k->n < s->certificates.n && k->n < TLS_CERTIFICATES_MAX; k->n++) {
		snprintf(name, sizeof name, "key.%zu", k->n);
		k->tls[k->n] = tls_key_read(daemon_file(d, name), why, sizeof why);
		if (!k->tls[k->n])
			log_fatal("tls_certificates: %s: its key %s", s->certificates.item[k->n], why);
		daemon_file_close(d, name);
	}
	return k;
}

void
keys_free(struct keys **k)
{
	for (size_t i = 0; i < (*k)->n; i++)
		EVP_PKEY_free((*k)->tls[i]);
	ipc_out_fini(&(*k)->out);
	mem_free(*k);
	*k = NULL;
}

/* Who speaks TLS as a server has server's transcripts signed: not a message, which the key of DKIM is for, nor what a
 * client or a CA would sign. */
static bool
may_sign(struct keys *k, const struct channel *c, const struct ipc_sign *m)
{
	if (m->key < k->n && tls_transcript_is_server(m->octets))
		return true;
	log_warn("%s wants a signature that it may not have: refused. No program of this suite asks for it; "
	    "look at that process", channel_peer(c));
	return false;
}

bool
keys_take(struct keys *k, struct channel *c, struct ipc_in *in)
{
	unsigned char signature[TLS_SIGNATURE_MAX];
	uint32_t id = in->id;
	struct ipc_sign m;
	size_t n = 0;

	if (in->type != IPC_sign || !ipc_get_sign(in, &m))
		return false;
	if (may_sign(k, c, &m))
		n = tls_sign(k->tls[m.key], m.scheme, m.octets, signature);
	k->daemon->served += n > 0;
	ipc_put_signature(&k->out, id, &(struct ipc_signature){ .octets = bytes_of(signature, n) });
	channel_reply(c, id, &k->out);
	return true;
}
