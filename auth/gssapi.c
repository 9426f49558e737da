/* SPDX-License-Identifier: ISC */
/*
 * auth/gssapi.c - logins with Kerberos tickets: SASL's GSSAPI (RFC 4752), by the library of MIT Kerberos, without the one of
 * SASL, which asks for a realm in a file that is out of reach.
 *
 * The keytab comes open from master, is read before the process is confined, and lives in its memory. From then on
 * the library finds no configuration file, and works with what it has built in. It keeps no cache of replays: the client
 * goes on under TLS, with a key that who replays a ticket has not, and is not logged in before (section 3.1).
 */
#include "auth/auth.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "proto/sasl_gssapi.h"

#ifdef HAVE_GSSAPI

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>

#define TOKENS_MAX	8		/* messages of one login */
#define KEYTAB		"MEMORY:hermod"

/* RFC 5034, 3501, 4954: under which name each protocol's service is known. */
static const struct { const char *protocol, *service; } services[] = {
	{ "pop3", "pop" }, { "imap", "imap" }, { "smtp", "smtp" },
};

static struct {
	krb5_context	 context;	/* owned, as the next: as long as it is open its keys are in memory */
	krb5_keytab	 keys;
	gss_cred_id_t	 credential[LEN(services)];	/* owned; GSS_C_NO_CREDENTIAL: no key */
	const char	*realm, *domain;	/* borrowed */
} own;

struct gssapi {
	gss_cred_id_t	 credential;	/* borrowed */
	gss_ctx_id_t	 context;	/* owned */
	gss_buffer_desc	 said;		/* owned: for the client */
	char		 principal[ACCOUNT_NAME_MAX + 1];
	unsigned	 tokens;
	enum { SPEAKS_GSSAPI, SAYS_NOTHING, CHOOSES } next;	/* what the client's message is */
};

/* ---- the keys ---- */

static bool
copy_keys(krb5_keytab from, krb5_error_code *e)
{
	krb5_keytab_entry entry;
	krb5_kt_cursor at;

	*e = krb5_kt_start_seq_get(own.context, from, &at);
	while (*e == 0 && (*e = krb5_kt_next_entry(own.context, from, &entry, &at)) == 0) {
		*e = krb5_kt_add_entry(own.context, own.keys, &entry);
		krb5_free_keytab_entry_contents(own.context, &entry);
	}
	if (*e == KRB5_KT_END)
		*e = krb5_kt_end_seq_get(own.context, from, &at);
	return *e == 0;
}

static bool
load_keys(int fd, char *why, size_t cap)
{
	krb5_error_code e = krb5_init_context(&own.context);
	krb5_keytab file = NULL;
	char name[64];

	if (e != 0) {
		snprintf(why, cap, "Kerberos cannot start: error %d (is /etc/krb5.conf well-formed?)", (int)e);
		return false;
	}
	snprintf(name, sizeof name, "FILE:/proc/self/fd/%d", fd);
	e = krb5_kt_resolve(own.context, KEYTAB, &own.keys);
	if (e == 0)
		e = krb5_kt_resolve(own.context, name, &file);
	if (e != 0 || !copy_keys(file, &e)) {
		const char *words = krb5_get_error_message(own.context, e);

		snprintf(why, cap, "gssapi_keytab: cannot be read: %s", words);
		krb5_free_error_message(own.context, words);
	}
	if (file)
		krb5_kt_close(own.context, file);
	return e == 0;
}

static gss_cred_id_t
acquire(const char *service, const char *hostname)
{
	gss_key_value_element_desc where[] = { { "keytab", KEYTAB }, { "rcache", "none:" } };
	gss_key_value_set_desc store = { LEN(where), where };
	gss_OID_set_desc krb5 = { 1, (gss_OID)(uintptr_t)gss_mech_krb5 };
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	gss_buffer_desc words;
	gss_name_t name;
	char principal[700];
	OM_uint32 minor;

	words.length = (size_t)snprintf(principal, sizeof principal, "%s/%s@%s", service, hostname, own.realm);
	words.value = principal;
	if (gss_import_name(&minor, &words, (gss_OID)(uintptr_t)GSS_KRB5_NT_PRINCIPAL_NAME, &name) != GSS_S_COMPLETE)
		return GSS_C_NO_CREDENTIAL;
	if (gss_acquire_cred_from(&minor, name, GSS_C_INDEFINITE, &krb5, GSS_C_ACCEPT, &store, &credential, NULL, NULL) != GSS_S_COMPLETE)
		credential = GSS_C_NO_CREDENTIAL;
	gss_release_name(&minor, &name);
	return credential;
}

bool
gssapi_open(int fd, const struct auth_settings *s, char *why, size_t cap)
{
	size_t n = 0;

	own.realm = s->gssapi_realm;
	own.domain = s->gssapi_domain;
	setenv("KRB5RCACHENAME", "none:", 1);
	if (!load_keys(fd, why, cap))
		return false;
	for (size_t i = 0; i < LEN(services); i++) {
		own.credential[i] = acquire(services[i].service, s->hostname);
		if (own.credential[i] != GSS_C_NO_CREDENTIAL)
			n++;
		else
			log_warn("gssapi_keytab: has no key of %s/%s@%s: nobody can log in by GSSAPI over %s", services[i].service,
			    s->hostname, own.realm, services[i].protocol);
	}
	return true;
}

void
gssapi_close(void)
{
	OM_uint32 minor;

	for (size_t i = 0; i < LEN(services); i++)
		gss_release_cred(&minor, &own.credential[i]);
	if (own.keys)
		krb5_kt_close(own.context, own.keys);
	if (own.context)
		krb5_free_context(own.context);
}

/* ---- an exchange ---- */

struct gssapi *
gssapi_new(struct bytes protocol)
{
	struct gssapi *g = mem_alloc(sizeof *g);

	g->credential = GSS_C_NO_CREDENTIAL;
	g->context = GSS_C_NO_CONTEXT;
	for (size_t i = 0; i < LEN(services); i++)
		if (bytes_eq(protocol, text(services[i].protocol)))
			g->credential = own.credential[i];
	return g;
}

void
gssapi_free(struct gssapi **taken)
{
	struct gssapi *g = *taken;
	OM_uint32 minor;

	if (!g)
		return;
	*taken = NULL;
	gss_release_buffer(&minor, &g->said);
	gss_delete_sec_context(&minor, &g->context, GSS_C_NO_BUFFER);
	mem_free(g);
}

static bool
keep_principal(struct gssapi *g, gss_name_t name)
{
	gss_buffer_desc words = GSS_C_EMPTY_BUFFER;
	gss_OID kind = GSS_C_NO_OID;
	OM_uint32 minor;
	bool good = gss_display_name(&minor, name, &words, &kind) == GSS_S_COMPLETE
	    && bytes_to_text(bytes_of(words.value, words.length), g->principal, sizeof g->principal);

	gss_release_buffer(&minor, &words);
	return good;
}

/* RFC 4752 section 3.1: when the context is there, the layers that we have, wrapped. */
static enum mech_result
offer(struct gssapi *g)
{
	gss_buffer_desc layers = { 4, (void *)(uintptr_t)GSSAPI_OFFER };
	OM_uint32 minor;

	gss_release_buffer(&minor, &g->said);
	g->next = CHOOSES;
	return gss_wrap(&minor, g->context, 0, GSS_C_QOP_DEFAULT, &layers, NULL, &g->said) == GSS_S_COMPLETE ? MECH_MORE : MECH_BROKEN;
}

static enum mech_result
accept_token(struct gssapi *g, struct bytes token)
{
	gss_buffer_desc in = { token.n, (void *)(uintptr_t)token.p };
	gss_name_t name = GSS_C_NO_NAME;
	OM_uint32 minor, other, r;
	bool good;

	if (token.n == 0 || g->credential == GSS_C_NO_CREDENTIAL || ++g->tokens > TOKENS_MAX)
		return MECH_FAILED;
	r = gss_accept_sec_context(&minor, &g->context, g->credential, &in, GSS_C_NO_CHANNEL_BINDINGS, &name, NULL, &g->said, NULL,
	    NULL, NULL);
	good = r == GSS_S_CONTINUE_NEEDED || (r == GSS_S_COMPLETE && keep_principal(g, name));
	gss_release_name(&other, &name);
	if (!good)
		return MECH_FAILED;
	if (r == GSS_S_CONTINUE_NEEDED)
		return MECH_MORE;
	g->next = SAYS_NOTHING;
	return g->said.length > 0 ? MECH_MORE : offer(g);
}

/* Of what a client may say that it wants to be, all that is itself. */
static bool
is_himself(const struct gssapi *g, struct bytes wanted, struct bytes user, struct bytes account)
{
	return wanted.n == 0 || bytes_eq(wanted, user) || bytes_eq(wanted, text(g->principal)) || bytes_case_eq(wanted, account);
}

static enum mech_result
take_answer(struct gssapi *g, struct bytes message, struct buf *account)
{
	gss_buffer_desc in = { message.n, (void *)(uintptr_t)message.p }, plain = GSS_C_EMPTY_BUFFER;
	struct bytes wanted, user;
	bool good = false;
	OM_uint32 minor;

	if (gssapi_user(text(g->principal), text(own.realm), &user)) {
		buf_add(account, user);
		buf_fmt(account, "@%s", own.domain);
		good = !account->full;
	} else {
		buf_text(account, g->principal);
	}
	if (gss_unwrap(&minor, g->context, &in, &plain, NULL, NULL) != GSS_S_COMPLETE)
		return MECH_FAILED;
	good = good && gssapi_answer(bytes_of(plain.value, plain.length), &wanted) && is_himself(g, wanted, user, buf_bytes(account));
	gss_release_buffer(&minor, &plain);
	return good ? MECH_IDENTIFIED : MECH_FAILED;
}

enum mech_result
gssapi_step(struct gssapi *g, struct bytes message, struct bytes *challenge, struct buf *account)
{
	enum mech_result r = MECH_FAILED;
	OM_uint32 minor;

	gss_release_buffer(&minor, &g->said);
	switch (g->next) {
	case SPEAKS_GSSAPI:	r = accept_token(g, message); break;
	case SAYS_NOTHING:	r = message.n == 0 ? offer(g) : MECH_FAILED; break;
	case CHOOSES:		r = take_answer(g, message, account); break;
	}
	*challenge = bytes_of(g->said.value, g->said.length);
	return r;
}

#else

bool
gssapi_open(int fd, const struct auth_settings *s, char *why, size_t cap)
{
	(void)fd, (void)s;
	snprintf(why, cap, "auth_mechanisms: this build has no GSSAPI (configure with libkrb5-dev)");
	return false;
}

void
gssapi_close(void)
{
}

struct gssapi *
gssapi_new(struct bytes protocol)
{
	(void)protocol;
	return NULL;
}

void
gssapi_free(struct gssapi **taken)
{
	*taken = NULL;
}

enum mech_result
gssapi_step(struct gssapi *g, struct bytes message, struct bytes *challenge, struct buf *account)
{
	(void)g, (void)message, (void)account;
	*challenge = text(NULL);
	return MECH_UNKNOWN;
}

#endif
