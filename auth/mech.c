/* SPDX-License-Identifier: ISC */
/*
 * auth/mech.c - Cyrus SASL (RFC 4422) for the exchanges. The library takes messages apart, and computes SCRAM's proofs
 * (RFC 5802, 7677). Whether a password that is shown is right is said elsewhere, so that a slow PAM stops no other client: the
 * callback for that only notes what was claimed. Keys are fetched elsewhere, too: before the library sees the message that
 * it needs them for, and then its question finds them here.
 *
 * The library reads no configuration file, no user database, no random numbers of its own, and loads no plugin
 * but those named here; all of that before the process is confined.
 */
#include "auth/auth.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <sasl/saslutil.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/sasl_claim.h"

#define SEED		"X-HERMOD-SEED"	/* no mechanism, and never offered: seed_new */
#define ALL		"PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256"
#define BINDING_MAX	64
#define MESSAGE_MAX	2048		/* of a client, in a mechanism that shows no password: the library takes no more */
#define SECRETS_MAX	1024

typedef int (*callback)(void);		/* as sasl_callback_t has it */

enum kind { SHOWS, SCRAM, CRAM, EXTERNAL, GSSAPI };

struct binding { unsigned char octets[BINDING_MAX]; size_t n; };

struct mech {
	sasl_conn_t	*conn;		/* owned */
	struct gssapi	*gssapi;	/* owned; NULL: another mechanism */
	sasl_callback_t	 calls[3];
	char		 protocol[16];
	struct buf	 user, wanted, password;
	bool		 noted;		/* the two are what the client claims */
	enum kind	 kind;
	bool		 plus;		/* the name says that the channel is bound to */
	bool		 started;	/* the library has been told which mechanism */
	bool		 asked;		/* MECH_KEYS was said */
	char		 name[32];
	struct buf	 message;	/* owned: that the keys are needed for */
	struct buf	 secrets;	/* owned: what the library is told of them; wiped */
	struct binding	 exporter, end_point;
	sasl_channel_binding_t channel;		/* one of the two */
};

static const char *fqdn;		/* borrowed for the life of the process */

/* ---- randomness ---- */

/*
 * A nonce comes out of a generator that each exchange has anew, and that opens /dev/urandom when it has no seed: from
 * the empty root in vain, and then the time of day has to do. It can be seeded, but only a mechanism gets to see
 * it: so each exchange begins as this one, which does that and nothing else, and goes on as the real one.
 */
static int
seed_new(void *global, sasl_server_params_t *params, const char *challenge, unsigned n, void **context)
{
	static int dummy;
	char seed[6];				/* all it takes */

	(void)global, (void)challenge, (void)n;
	random_fill(seed, sizeof seed);
	sasl_randseed(params->utils->rpool, seed, sizeof seed);
	*context = &dummy;
	return SASL_OK;
}

static int
seed_step(void *context, sasl_server_params_t *params, const char *in, unsigned n, const char **out, unsigned *out_n,
    sasl_out_params_t *outparams)
{
	(void)context, (void)params, (void)in, (void)n, (void)outparams;
	*out = NULL;
	*out_n = 0;
	return SASL_CONTINUE;
}

static void
seed_dispose(void *context, const sasl_utils_t *utils)
{
	(void)context, (void)utils;
}

static int
seed_plugin(const sasl_utils_t *utils, int max, int *version, sasl_server_plug_t **list, int *n)
{
	static sasl_server_plug_t plugs[] = { { .mech_name = SEED, .security_flags = SASL_SEC_NOANONYMOUS,
	    .mech_new = seed_new, .mech_step = seed_step, .mech_dispose = seed_dispose } };

	(void)utils;
	if (max < SASL_SERVER_PLUG_VERSION)
		return SASL_BADVERS;
	*version = SASL_SERVER_PLUG_VERSION;
	*list = plugs;
	*n = LEN(plugs);
	return SASL_OK;
}

/* ---- keys ---- */

/* Which of all exchanges asks: its context is that of the callback, which no other has. */
static struct mech *
who_asks(const sasl_server_params_t *params)
{
	sasl_callback_ft call;
	void *context = NULL;

	return params->utils->getcallback(params->utils->conn, SASL_CB_SERVER_USERDB_CHECKPASS, &call, &context) == SASL_OK
	    ? context : NULL;
}

/* Only for the one whose keys were fetched: the library may read a name otherwise. */
static int
look_up(void *global, sasl_server_params_t *params, unsigned flags, const char *user, unsigned n)
{
	struct mech *m = who_asks(params);
	struct bytes rest;

	(void)global;
	if (flags & SASL_AUXPROP_AUTHZID)
		return SASL_OK;				/* it needs no keys: note_wanted */
	if (!m || !bytes_eq(bytes_of(user, n), buf_bytes(&m->user)))
		return SASL_NOUSER;
	rest = buf_bytes(&m->secrets);			/* name NUL value NUL ... */
	while (rest.n > 0) {
		const char *name = (const char *)rest.p, *value = name + strlen(name) + 1;

		if (params->utils->prop_set(params->propctx, name, value, -1) != SASL_OK)
			return SASL_FAIL;
		rest = bytes_skip(rest, strlen(name) + strlen(value) + 2);
	}
	return SASL_OK;
}

static int
keys_plugin(const sasl_utils_t *utils, int max, int *version, sasl_auxprop_plug_t **plug, const char *name)
{
	static char own_name[] = "hermod";
	static sasl_auxprop_plug_t own = { .auxprop_lookup = look_up, .name = own_name };

	(void)utils, (void)name;
	if (max < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	*version = SASL_AUXPROP_PLUG_VERSION;
	*plug = &own;
	return SASL_OK;
}

/* ---- what the library may ask ------------------------------------------------------ */

static int
get_option(void *context, const char *plugin, const char *option, const char **result, unsigned *n)
{
	static const struct { const char *name, *value; } options[] = {
		{ "mech_list", ALL " " SEED },
		{ "pwcheck_method", "none" },
		{ "auxprop_plugin", "hermod" },
		{ "auto_transition", "no" },
		{ "log_level", "1" },
	};

	(void)context, (void)plugin;
	for (size_t i = 0; i < LEN(options); i++)
		if (strcmp(options[i].name, option) == 0) {
			*result = options[i].value;
			if (n)
				*n = (unsigned)strlen(*result);
			return SASL_OK;
		}
	return SASL_FAIL;
}

/* No configuration file at all; of the plugins (there may be some for SQL and LDAP) these. */
static int
verify_file(void *context, const char *file, sasl_verify_type_t type)
{
	static const char *const good[] = { "libplain.so", "liblogin.so", "libscram.so", "libcrammd5.so" };
	const char *name = strrchr(file, '/');

	(void)context;
	name = name ? name + 1 : file;
	for (size_t i = 0; type == SASL_VRFY_PLUGIN && i < LEN(good); i++)
		if (strncmp(name, good[i], strlen(good[i])) == 0)
			return SASL_OK;
	return SASL_CONTINUE;
}

static int
note_log(void *context, int level, const char *message)
{
	(void)context;
	if (level == SASL_LOG_ERR)
		log_warn("sasl: %s", log_text(text(message)));
	return SASL_OK;
}

/* RFC 4616: the password is noted here and looked at later. */
static int
note_password(sasl_conn_t *conn, void *context, const char *user, const char *password, unsigned n,
    struct propctx *props)
{
	struct mech *m = context;

	(void)conn, (void)props;
	buf_clear(&m->user);
	buf_clear(&m->password);
	buf_text(&m->user, user);
	buf_add(&m->password, bytes_of(password, n));
	m->noted = !m->user.full && !m->password.full;
	return m->noted ? SASL_OK : SASL_BADAUTH;
}

/* Whom the client wants to be: whether that is its own account is looked up elsewhere, before it is let in; of SCRAM it has been, by
 * what claim has read in the message. */
static int
note_wanted(sasl_conn_t *conn, void *context, const char *requested, unsigned rlen,
    const char *identity, unsigned alen, const char *realm, unsigned urlen, struct propctx *props)
{
	struct bytes wanted = bytes_of(requested, rlen);
	struct mech *m = context;

	(void)conn, (void)realm, (void)urlen, (void)props;
	if (bytes_eq(wanted, bytes_of(identity, alen)))
		return SASL_OK;
	if (m->kind == SHOWS)
		buf_add(&m->wanted, wanted);
	return !m->wanted.full && bytes_eq(wanted, buf_bytes(&m->wanted)) ? SASL_OK : SASL_NOAUTHZ;
}

static const sasl_callback_t library_calls[] = {
	{ SASL_CB_GETOPT, (callback)(void *)get_option, NULL },
	{ SASL_CB_VERIFYFILE, (callback)(void *)verify_file, NULL },
	{ SASL_CB_LOG, (callback)(void *)note_log, NULL },
	{ SASL_CB_LIST_END, NULL, NULL },
};

/* ---- life ----------------------------------------------------------------------------- */

/* Each tried once, so that what is missing is known at the start. */
static bool
can_do(struct bytes name)
{
	struct mech *m = mech_new(text(""));
	struct mech_channel none = { { NULL, 0 }, { NULL, 0 } };
	struct bytes challenge;
	bool good = m && mech_start(m, name, &none, NULL, &challenge) == MECH_MORE;

	mech_free(&m);
	return good;
}

bool
mechs_open(const char *hostname, char *why, size_t cap)
{
	struct bytes all = text(ALL);
	int r;

	unsetenv("SASL_PATH");
	unsetenv("SASL_CONF_PATH");
	fqdn = hostname;
	r = sasl_server_init(library_calls, "hermod");
	if (r == SASL_OK)
		r = sasl_server_add_plugin("hermod", seed_plugin);
	if (r == SASL_OK)
		r = sasl_auxprop_add_plugin("hermod", keys_plugin);
	if (r != SASL_OK) {
		snprintf(why, cap, "Cyrus SASL cannot start: %s", sasl_errstring(r, NULL, NULL));
		return false;
	}
	while (all.n > 0) {
		struct bytes name = bytes_cut(&all, ' ');

		if (can_do(name))
			continue;
		snprintf(why, cap, "Cyrus SASL lacks the mechanism %.*s (Debian package libsasl2-modules)", BYTES_FMT(name));
		return false;
	}
	return true;
}

void
mechs_close(void)
{
	sasl_server_done();
}

struct mech *
mech_new(struct bytes protocol)
{
	struct mech *m = mem_alloc(sizeof *m);
	const char *out;
	unsigned n;

	(void)bytes_to_text(protocol, m->protocol, sizeof m->protocol);
	buf_init(&m->user, ACCOUNT_NAME_MAX);
	buf_init(&m->wanted, ACCOUNT_NAME_MAX);
	buf_init(&m->password, ACCOUNT_PASSWORD_MAX);
	buf_init(&m->message, MESSAGE_MAX);
	buf_init(&m->secrets, SECRETS_MAX);
	m->calls[0] = (sasl_callback_t){ SASL_CB_SERVER_USERDB_CHECKPASS, (callback)(void *)note_password, m };
	m->calls[1] = (sasl_callback_t){ SASL_CB_PROXY_POLICY, (callback)(void *)note_wanted, m };
	m->calls[2] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	if (sasl_server_new("hermod", fqdn, NULL, NULL, NULL, m->calls, 0, &m->conn) != SASL_OK
	    || sasl_server_start(m->conn, SEED, NULL, 0, &out, &n) != SASL_CONTINUE)
		mech_free(&m);
	return m;
}

void
mech_free(struct mech **m)
{
	if (!*m)
		return;
	if ((*m)->conn)
		sasl_dispose(&(*m)->conn);
	gssapi_free(&(*m)->gssapi);
	buf_wipe(&(*m)->user);
	buf_wipe(&(*m)->wanted);
	buf_wipe(&(*m)->password);
	buf_wipe(&(*m)->message);
	buf_wipe(&(*m)->secrets);
	mem_free(*m);
	*m = NULL;
}

/* ---- an exchange --------------------------------------------------------------------------- */

/* The library's word, and ours: that the name is the one whose keys it was given. */
static bool
is_user(const struct mech *m)
{
	const void *user = NULL;

	return sasl_getprop(m->conn, SASL_AUTHUSER, &user) == SASL_OK && user && m->asked
	    && bytes_eq(text(user), buf_bytes(&m->user));
}

static enum mech_result
result(struct mech *m, int r)
{
	switch (r) {
	case SASL_CONTINUE:	return MECH_MORE;
	case SASL_OK:
		if (m->kind == SHOWS)
			return m->noted ? MECH_CREDENTIALS : MECH_BROKEN;
		return is_user(m) ? MECH_PASSED : MECH_BROKEN;
	case SASL_NOMEM:	return MECH_BROKEN;
	default:		return MECH_FAILED;	/* SASL_NOMECH too: no plugin could look up an authzid */
	}
}

static void
keep_binding(struct binding *b, struct bytes octets)
{
	b->n = octets.n <= sizeof b->octets ? octets.n : 0;
	if (b->n > 0)
		memcpy(b->octets, octets.p, b->n);
}

static bool
use_binding(struct mech *m, const char *name, const struct binding *b)
{
	m->channel = (sasl_channel_binding_t){ .name = name, .critical = 1, .data = b->octets, .len = b->n };
	return b->n > 0;
}

/* RFC 5801 section 5: what the client says of the channel, the mechanism's name and what we have must agree. Who could bind
 * and believes that we cannot, though we said so, was lied to on the way. */
static bool
binds_right(struct mech *m, const struct scram_claim *c)
{
	switch (c->binds) {
	case SCRAM_BINDS_NOT:	return !m->plus;
	case SCRAM_COULD_BIND:	return !m->plus && m->exporter.n + m->end_point.n == 0;
	case SCRAM_BINDS:	break;
	}
	return m->plus && (bytes_eq(c->binding, text("tls-exporter")) ? use_binding(m, "tls-exporter", &m->exporter)
	    : bytes_eq(c->binding, text("tls-server-end-point")) && use_binding(m, "tls-server-end-point", &m->end_point));
}

/* The message that says who the client is. */
static enum mech_result
claim(struct mech *m, struct bytes message)
{
	struct scram_claim c;

	buf_add(&m->message, message);
	if (m->message.full || (m->kind == SCRAM ? !scram_claim(message, &c, &m->user, &m->wanted) || !binds_right(m, &c)
	    : !cram_md5_claim(message, &m->user)))
		return MECH_FAILED;
	m->asked = true;
	return MECH_KEYS;
}

static enum mech_result
start_library(struct mech *m, const struct bytes *initial, struct bytes *challenge)
{
	const char *out = NULL;
	unsigned n = 0;
	int r;

	m->started = true;
	r = sasl_server_start(m->conn, m->name, initial ? (initial->n ? (const char *)initial->p : "") : NULL,
	    initial ? (unsigned)initial->n : 0, &out, &n);
	*challenge = bytes_of(out, out ? n : 0);
	return result(m, r);
}

/* False: no mechanism that is known here. */
static bool
take_name(struct mech *m, struct bytes name)
{
	struct bytes all = text(ALL), plus = text("-PLUS"), base = name;

	m->plus = bytes_case_starts(name, text("SCRAM-")) && name.n > plus.n
	    && bytes_case_eq(bytes_skip(name, name.n - plus.n), plus);
	if (m->plus)
		base = bytes_head(name, name.n - plus.n);
	while (all.n > 0) {
		struct bytes known = bytes_cut(&all, ' ');

		if (!bytes_case_eq(known, base))
			continue;
		snprintf(m->name, sizeof m->name, "%.*s%s", BYTES_FMT(known), m->plus ? "-PLUS" : "");
		m->kind = bytes_starts(known, text("SCRAM-")) ? SCRAM : bytes_eq(known, text("CRAM-MD5")) ? CRAM : SHOWS;
		return true;
	}
	return false;
}

/* RFC 4422 appendix A, for which there is no need of a library: the one message is an authorization identity, or empty. */
static enum mech_result
take_external(struct mech *m, struct bytes message)
{
	buf_add(&m->user, message);
	return m->user.full || bytes_find(message, '\0') < message.n ? MECH_FAILED : MECH_CERTIFICATE;
}

enum mech_result
mech_start(struct mech *m, struct bytes name, const struct mech_channel *channel, const struct bytes *initial,
    struct bytes *challenge)
{
	*challenge = (struct bytes){ 0 };
	if (bytes_case_eq(name, text("EXTERNAL"))) {
		m->kind = EXTERNAL;
		return initial ? take_external(m, *initial) : MECH_MORE;
	}
	if (bytes_case_eq(name, text("GSSAPI"))) {
		m->kind = GSSAPI;
		m->gssapi = gssapi_new(text(m->protocol));
		return initial ? gssapi_step(m->gssapi, *initial, challenge, &m->user) : MECH_MORE;
	}
	if (!take_name(m, name))
		return MECH_UNKNOWN;
	keep_binding(&m->exporter, channel->exporter);
	keep_binding(&m->end_point, channel->end_point);
	if (m->plus) {
		if (!use_binding(m, "tls-exporter", &m->exporter) && !use_binding(m, "tls-server-end-point", &m->end_point))
			return MECH_UNKNOWN;
		if (sasl_setprop(m->conn, SASL_CHANNEL_BINDING, &m->channel) != SASL_OK)
			return MECH_BROKEN;
	}
	if (initial && m->kind == SCRAM)
		return claim(m, *initial);
	if (initial && m->kind == CRAM)
		return MECH_FAILED;		/* RFC 2195: the server speaks first */
	return start_library(m, initial, challenge);
}

static enum mech_result
step_library(struct mech *m, struct bytes response, struct bytes *challenge)
{
	const char *out = NULL;
	unsigned n = 0;
	int r = sasl_server_step(m->conn, response.n ? (const char *)response.p : "", (unsigned)response.n, &out, &n);

	*challenge = bytes_of(out, out ? n : 0);
	return result(m, r);
}

enum mech_result
mech_step(struct mech *m, struct bytes response, struct bytes *challenge)
{
	*challenge = (struct bytes){ 0 };
	if (m->kind == EXTERNAL)
		return take_external(m, response);
	if (m->kind == GSSAPI)
		return gssapi_step(m->gssapi, response, challenge, &m->user);
	return m->kind != SHOWS && !m->asked ? claim(m, response) : step_library(m, response, challenge);
}

/* RFC 5803 section 3 has the name of the mechanism before the rest. */
static void
put_secret(struct mech *m, const char *property, const char *scheme, struct bytes secret)
{
	if (secret.n == 0 || bytes_find(secret, '\0') < secret.n)
		return;
	buf_text(&m->secrets, property);
	buf_char(&m->secrets, '\0');
	buf_text(&m->secrets, scheme);
	buf_add(&m->secrets, secret);
	buf_char(&m->secrets, '\0');
}

enum mech_result
mech_go_on(struct mech *m, const struct mech_keys *keys, struct bytes *challenge)
{
	struct bytes message = buf_bytes(&m->message);

	must(m->asked);
	*challenge = (struct bytes){ 0 };
	if (m->kind == CRAM)
		put_secret(m, SASL_AUX_PASSWORD, "", keys->password);
	else if (bytes_starts(text(m->name), text("SCRAM-SHA-256")))
		put_secret(m, "*authPassword", "SCRAM-SHA-256$", keys->scram_sha_256);
	else
		put_secret(m, "*authPassword", "SCRAM-SHA-1$", keys->scram_sha_1);
	if (m->secrets.full)
		return MECH_BROKEN;
	return m->started ? step_library(m, message, challenge) : start_library(m, &message, challenge);
}

struct bytes
mech_user(const struct mech *m)
{
	return buf_bytes(&m->user);
}

struct bytes
mech_wanted(const struct mech *m)
{
	return buf_bytes(&m->wanted);
}

struct bytes
mech_password(const struct mech *m)
{
	return buf_bytes(&m->password);
}
