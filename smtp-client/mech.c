/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/mech.c - the client's side of SASL (RFC 4422): PLAIN, LOGIN and SCRAM (RFC 5802, 7677) are Cyrus SASL's,
 * OAUTHBEARER and XOAUTH2 are one message each (proto/sasl_oauth.h). Which of them is used is said elsewhere
 * (mail/credentials.h); the library is asked for that one, and for none that it might think of itself.
 *
 * Its plugins are loaded before the process is confined, three of them and no other. After that it would still look for
 * two things outside, at each new exchange, and finds both here: the name of this host, in the DNS, and /dev/urandom.
 */
#include "smtp-client/login.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <sasl/saslutil.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/credentials.h"
#include "proto/sasl_oauth.h"

#define SEED		"X-HERMOD-SEED"	/* no mechanism, and never sent: seed_new */
#define ITERATIONS_MAX	200000u		/* of SCRAM: some 0.1 s, in which nothing else is done. Servers have 4096 to 100000 */
#define BINDING_MAX	64u

typedef int (*callback)(void);		/* as sasl_callback_t has it */

struct mech {
	const char	*name;		/* borrowed; of mail/credentials.h */
	bool		 oauth, scram;
	char		 user[CREDENTIALS_USER_MAX + 1];
	sasl_secret_t	*password;	/* owned; wiped */
	sasl_conn_t	*conn;		/* owned; NULL: oauth */
	sasl_callback_t	 calls[4];
	sasl_channel_binding_t binding;	/* its data is: */
	unsigned char	 channel[BINDING_MAX];
	struct buf	 message;	/* owned; oauth: a secret */
	bool		 done;		/* the library has seen all that it wants */
	unsigned	 steps;
	char		 why[128];
};

/* ---- what the library finds here instead of outside ---- */

/*
 * sasl_client_new looks for this host's name in the DNS, unless gethostname says one with a dot in it. No mechanism used
 * here has any use for it; so the process, which may neither read /etc/hosts nor wait for a name server, has this one.
 */
int
gethostname(char *name, size_t cap)
{
	return snprintf(name, cap, "localhost.localdomain") < (int)cap ? 0 : -1;
}

/*
 * SCRAM's nonce comes out of a generator that each exchange has anew, and that opens /dev/urandom when it has no seed: from the
 * empty root in vain, and then the time of day has to do. It can be seeded, but only a mechanism gets to see it: so
 * each exchange begins as this one, which does that and nothing else, and goes on as the real one.
 */
static int
seed_new(void *global, sasl_client_params_t *params, void **context)
{
	static int dummy;
	char seed[6];				/* all it takes */

	(void)global;
	random_fill(seed, sizeof seed);
	sasl_randseed(params->utils->rpool, seed, sizeof seed);
	*context = &dummy;
	return SASL_OK;
}

static int
seed_step(void *context, sasl_client_params_t *params, const char *in, unsigned n, sasl_interact_t **prompt,
    const char **out, unsigned *out_n, sasl_out_params_t *outparams)
{
	(void)context, (void)params, (void)in, (void)n, (void)prompt, (void)outparams;
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
seed_plugin(const sasl_utils_t *utils, int max, int *version, sasl_client_plug_t **list, int *n)
{
	static sasl_client_plug_t plugs[] = { { .mech_name = SEED, .security_flags = SASL_SEC_NOANONYMOUS,
	    .mech_new = seed_new, .mech_step = seed_step, .mech_dispose = seed_dispose } };

	(void)utils;
	if (max < SASL_CLIENT_PLUG_VERSION)
		return SASL_BADVERS;
	*version = SASL_CLIENT_PLUG_VERSION;
	*list = plugs;
	*n = LEN(plugs);
	return SASL_OK;
}

/* ---- what it may ask ---- */

static int
get_option(void *context, const char *plugin, const char *option, const char **result, unsigned *n)
{
	(void)context, (void)plugin;
	if (strcmp(option, "log_level") != 0)
		return SASL_FAIL;
	*result = "1";
	if (n)
		*n = 1;
	return SASL_OK;
}

/* No configuration file; and nothing of the plugins that log in as nobody, or weakly. */
static int
verify_file(void *context, const char *file, sasl_verify_type_t type)
{
	static const char *const good[] = { "libplain.so", "liblogin.so", "libscram.so" };
	const char *name = strrchr(file, '/');

	(void)context;
	name = name ? name + 1 : file;
	for (size_t i = 0; type == SASL_VRFY_PLUGIN && i < LEN(good); i++)
		if (strncmp(name, good[i], strlen(good[i])) == 0)
			return SASL_OK;
	return SASL_CONTINUE;
}

/* What fails is told with the reply; the library's own words may have been the server's. */
static int
no_log(void *context, int level, const char *message)
{
	(void)context, (void)level, (void)message;
	return SASL_OK;
}

static int
get_user(void *context, int id, const char **result, unsigned *n)
{
	const struct mech *m = context;

	*result = id == SASL_CB_AUTHNAME ? m->user : "";	/* as oneself: no authorization identity */
	if (n)
		*n = (unsigned)strlen(*result);
	return SASL_OK;
}

static int
get_password(sasl_conn_t *conn, void *context, int id, sasl_secret_t **secret)
{
	const struct mech *m = context;

	(void)conn, (void)id;
	*secret = m->password;
	return SASL_OK;
}

static const sasl_callback_t library_calls[] = {
	{ SASL_CB_GETOPT, (callback)(void *)get_option, NULL },
	{ SASL_CB_VERIFYFILE, (callback)(void *)verify_file, NULL },
	{ SASL_CB_LOG, (callback)(void *)no_log, NULL },
	{ SASL_CB_LIST_END, NULL, NULL },
};

/* ---- life ---- */

/* Tried once, so that what is missing is known at the start, and what is loaded late is there before the process is confined. */
static bool
can_do(const char *name)
{
	struct login l = { .user = text("user"), .secret = text("secret") };
	struct mech *m = mech_new(&l, name, NULL, bytes_of(NULL, 0));
	struct bytes response;
	bool good = m && mech_begin(m, NULL, &response) != MECH_BROKEN;

	mech_free(&m);
	return good;
}

bool
mechs_open(void)
{
	static const char *const names[] = { "PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256" };
	bool good;

	unsetenv("SASL_PATH");
	unsetenv("SASL_CONF_PATH");
	good = sasl_client_init(library_calls) == SASL_OK && sasl_client_add_plugin("hermod", seed_plugin) == SASL_OK;
	for (size_t i = 0; good && i < LEN(names); i++)
		good = can_do(names[i]);
	if (!good)
		log_warn("smtp_credentials: Cyrus SASL cannot log in with a password (Debian package libsasl2-modules)");
	return good;
}

void
mechs_close(void)
{
	sasl_client_done();
}

/* RFC 9266 for TLS 1.3; before it RFC 5929 section 3, where RFC 7627 makes it safe. False: there is nothing to bind to. */
static bool
bind_channel(SSL *ssl, sasl_channel_binding_t *b, unsigned char channel[BINDING_MAX])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	size_t n = 32;

	if (!ssl)
		return false;
	if (SSL_version(ssl) == TLS1_3_VERSION) {
		if (SSL_export_keying_material(ssl, channel, n, label, sizeof label - 1, (const unsigned char *)"", 0, 1) != 1)
			return false;
	} else if (SSL_version(ssl) == TLS1_2_VERSION && SSL_get_extms_support(ssl) == 1) {
		/* the first Finished: the client's, or the server's where a session is resumed */
		n = SSL_session_reused(ssl) ? SSL_get_peer_finished(ssl, channel, BINDING_MAX)
		    : SSL_get_finished(ssl, channel, BINDING_MAX);
	} else {
		return false;
	}
	*b = (sasl_channel_binding_t){ .name = SSL_version(ssl) == TLS1_3_VERSION ? "tls-exporter" : "tls-unique",
	    .data = channel, .len = n };
	return n > 0 && n <= BINDING_MAX;
}

static bool
is_plus(const char *name)
{
	return bytes_ends(text(name), text("-PLUS"));
}

bool
mech_binds(SSL *ssl)
{
	sasl_channel_binding_t b;
	unsigned char channel[BINDING_MAX];

	return bind_channel(ssl, &b, channel);
}

/*
 * With a binding at hand the library says "p=" for a -PLUS mechanism, and otherwise "y": this client could, but the
 * server offers none; so that a server that does offer one notices that somebody has taken it off the list (RFC 5802
 * section 6). It is not at hand where the administrator's list is the reason.
 */
static bool
begin_conn(struct mech *m, SSL *ssl, struct bytes announced)
{
	const sasl_security_properties_t properties = { .security_flags = SASL_SEC_NOANONYMOUS };	/* no layer: it has TLS */
	bool plus = is_plus(m->name);
	char other[32];
	const char *out, *chosen;
	unsigned n;

	if (sasl_client_new("smtp", "localhost.localdomain", NULL, NULL, m->calls, 0, &m->conn) != SASL_OK
	    || sasl_setprop(m->conn, SASL_SEC_PROPS, &properties) != SASL_OK)
		return false;
	snprintf(other, sizeof other, "%s-PLUS", m->name);
	if (m->scram && (plus || !credentials_announced(announced, other)) && bind_channel(ssl, &m->binding, m->channel)
	    && sasl_setprop(m->conn, SASL_CHANNEL_BINDING, &m->binding) != SASL_OK)
		return false;
	return (!plus || m->binding.len > 0) && sasl_client_start(m->conn, SEED, NULL, &out, &n, &chosen) == SASL_CONTINUE;
}

static bool
take_login(struct mech *m, const struct login *l)
{
	m->password = mem_alloc(sizeof *m->password + l->secret.n + 1);
	m->password->len = l->secret.n;
	if (l->secret.n > 0)
		memcpy(m->password->data, l->secret.p, l->secret.n);
	return bytes_to_text(l->user, m->user, sizeof m->user);
}

struct mech *
mech_new(const struct login *l, const char *name, SSL *ssl, struct bytes announced)
{
	struct mech *m = mem_alloc(sizeof *m);

	*m = (struct mech){ .name = name, .oauth = l->oauth, .scram = bytes_starts(text(name), text("SCRAM-")) };
	buf_init(&m->message, SASL_OAUTH_MAX);
	m->calls[0] = (sasl_callback_t){ SASL_CB_USER, (callback)(void *)get_user, m };
	m->calls[1] = (sasl_callback_t){ SASL_CB_AUTHNAME, (callback)(void *)get_user, m };
	m->calls[2] = (sasl_callback_t){ SASL_CB_PASS, (callback)(void *)get_password, m };
	m->calls[3] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	if (!take_login(m, l) || (!m->oauth && !begin_conn(m, ssl, announced)))
		mech_free(&m);
	return m;
}

void
mech_free(struct mech **taken)
{
	struct mech *m = *taken;

	*taken = NULL;
	if (!m)
		return;
	if (m->conn)
		sasl_dispose(&m->conn);
	if (m->password) {
		explicit_bzero(m->password->data, m->password->len);
		mem_free(m->password);
	}
	buf_wipe(&m->message);
	mem_free(m);
}

/* ---- an exchange ---- */

static enum mech_result
result(struct mech *m, int r)
{
	if (r == SASL_CONTINUE)
		return MECH_MORE;
	m->done = true;
	if (r == SASL_OK)
		return MECH_ENOUGH;
	if (m->steps == 0)			/* it is this side's own trouble */
		return MECH_BROKEN;
	snprintf(m->why, sizeof m->why, "%s: %s", m->name, m->scram && m->steps == 2
	    ? "the server has not proved that it knows the password" : "what the server says makes no sense");
	return MECH_BROKEN;
}

static enum mech_result
begin_oauth(struct mech *m, const struct candidate *p, struct bytes *initial)
{
	struct bytes token = bytes_of(m->password->data, m->password->len);
	bool good = strcmp(m->name, "XOAUTH2") == 0 ? sasl_xoauth2(text(m->user), token, &m->message)
	    : sasl_oauthbearer(text(m->user), p ? p->host : bytes_of(NULL, 0), p ? p->port : 0, token, &m->message);

	*initial = buf_bytes(&m->message);
	snprintf(m->why, sizeof m->why, "%s: there is something in the user's name or the token that cannot be sent", m->name);
	return good ? MECH_ENOUGH : MECH_BROKEN;
}

enum mech_result
mech_begin(struct mech *m, const struct candidate *p, struct bytes *initial)
{
	const char *out = NULL, *chosen = NULL;
	char list[64];
	unsigned n = 0;
	int r;

	*initial = bytes_of(NULL, 0);
	if (m->oauth)
		return begin_oauth(m, p, initial);
	/* It says "y" only where it believes to have had a choice; of these two it takes the one that is worth more. */
	snprintf(list, sizeof list, "%s%s", m->name, m->binding.len > 0 && !is_plus(m->name) ? " " SEED : "");
	r = sasl_client_start(m->conn, list, NULL, &out, &n, &chosen);
	if (chosen && !bytes_starts(text(m->name), text(chosen)))
		r = SASL_NOMECH;
	if (out)
		*initial = bytes_of(out, n);
	return result(m, r);
}

/* RFC 7628 section 3.2.3: the server has said what is wrong with the token, and is owed one more response before it fails. */
static enum mech_result
step_oauth(struct mech *m, struct bytes challenge, struct bytes *response)
{
	struct bytes status = sasl_oauth_status(challenge);

	snprintf(m->why, sizeof m->why, "%s: the token is refused%s%.*s", m->name, status.n > 0 ? ": " : "", BYTES_FMT(status));
	*response = strcmp(m->name, "XOAUTH2") == 0 ? bytes_of("", 0) : bytes_of("\1", 1);
	if (m->done)
		return MECH_BROKEN;
	m->done = true;
	return MECH_MORE;
}

/* The "i=" of a SCRAM server's first message, if it has one (RFC 5802 section 7). */
static bool
too_many_iterations(struct bytes challenge)
{
	uint64_t n;

	while (challenge.n > 0) {
		struct bytes field = bytes_cut(&challenge, ',');

		if (bytes_starts(field, text("i=")) && !bytes_u64(bytes_skip(field, 2), ITERATIONS_MAX, &n))
			return true;
	}
	return false;
}

enum mech_result
mech_step(struct mech *m, struct bytes challenge, struct bytes *response)
{
	char in[SMTP_CLIENT_SAID_MAX + 1];	/* with a NUL behind it, which plugins have been known to look for */
	const char *out = NULL;
	unsigned n = 0;
	int r;

	*response = bytes_of(NULL, 0);
	if (m->oauth)
		return step_oauth(m, challenge, response);
	if (m->done || challenge.n >= sizeof in)
		return result(m, SASL_BADPROT);
	if (m->scram && too_many_iterations(challenge)) {
		snprintf(m->why, sizeof m->why, "%s: the server asks for more than %u iterations", m->name, ITERATIONS_MAX);
		return MECH_BROKEN;
	}
	if (challenge.n > 0)
		memcpy(in, challenge.p, challenge.n);
	in[challenge.n] = '\0';
	m->steps++;
	r = sasl_client_step(m->conn, in, (unsigned)challenge.n, NULL, &out, &n);
	if (out)
		*response = bytes_of(out, n);
	return result(m, r);
}

const char *
mech_why(const struct mech *m)
{
	return m->why;
}

const char *
mech_name(const struct mech *m)
{
	return m->name;
}
