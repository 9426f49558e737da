/* SPDX-License-Identifier: ISC */
/*
 * auth/mech.c - Cyrus SASL (RFC 4422) for the exchanges. The library takes messages
 * apart; whether a password is right is said elsewhere, so that a slow PAM stops no
 * other client. Its callback for checking passwords only notes what was claimed.
 *
 * The library reads no configuration file, no user database, and loads no plugin
 * but those named here; all of that before the process is confined.
 */
#include "auth/auth.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

#define MECHANISMS "PLAIN LOGIN"

typedef int (*callback)(void);		/* as sasl_callback_t has it */

struct mech {
	sasl_conn_t	*conn;		/* owned */
	sasl_callback_t	 calls[3];
	struct buf	 user, password;
	bool		 noted;		/* the two are what the client claims */
};

static const char *fqdn;		/* borrowed for the life of the process */

/* ---- what the library may ask ------------------------------------------------------ */

static int
get_option(void *context, const char *plugin, const char *option, const char **result, unsigned *n)
{
	static const struct { const char *name, *value; } options[] = {
		{ "mech_list", MECHANISMS },
		{ "pwcheck_method", "none" },
		{ "auxprop_plugin", "none" },
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

/* No configuration file at all; of the plugins (there may be some for SQL and LDAP) two. */
static int
verify_file(void *context, const char *file, sasl_verify_type_t type)
{
	static const char *const good[] = { "libplain.so", "liblogin.so" };
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

/* Nobody acts for another account. */
static int
refuse_proxy(sasl_conn_t *conn, void *context, const char *requested, unsigned rlen,
    const char *identity, unsigned alen, const char *realm, unsigned urlen, struct propctx *props)
{
	(void)conn, (void)context, (void)realm, (void)urlen, (void)props;
	return bytes_eq(bytes_of(requested, rlen), bytes_of(identity, alen)) ? SASL_OK : SASL_NOAUTHZ;
}

static const sasl_callback_t library_calls[] = {
	{ SASL_CB_GETOPT, (callback)(void *)get_option, NULL },
	{ SASL_CB_VERIFYFILE, (callback)(void *)verify_file, NULL },
	{ SASL_CB_LOG, (callback)(void *)note_log, NULL },
	{ SASL_CB_LIST_END, NULL, NULL },
};

/* ---- life ----------------------------------------------------------------------------- */

bool
mechs_open(const char *hostname, char *why, size_t cap)
{
	const char *list = NULL;
	struct mech *m;
	int r;

	unsetenv("SASL_PATH");
	unsetenv("SASL_CONF_PATH");
	fqdn = hostname;
	r = sasl_server_init(library_calls, "hermod");
	if (r != SASL_OK) {
		snprintf(why, cap, "Cyrus SASL cannot start: %s", sasl_errstring(r, NULL, NULL));
		return false;
	}
	m = mech_new();
	if (m && sasl_listmech(m->conn, NULL, "", " ", "", &list, NULL, NULL) == SASL_OK && strstr(list, "PLAIN")
	    && strstr(list, "LOGIN")) {
		mech_free(&m);
		return true;
	}
	mech_free(&m);
	snprintf(why, cap, "Cyrus SASL lacks the mechanisms PLAIN and LOGIN (Debian package libsasl2-modules)");
	return false;
}

void
mechs_close(void)
{
	sasl_server_done();
}

struct mech *
mech_new(void)
{
	struct mech *m = mem_alloc(sizeof *m);

	buf_init(&m->user, ACCOUNT_NAME_MAX);
	buf_init(&m->password, ACCOUNT_PASSWORD_MAX);
	m->calls[0] = (sasl_callback_t){ SASL_CB_SERVER_USERDB_CHECKPASS, (callback)(void *)note_password, m };
	m->calls[1] = (sasl_callback_t){ SASL_CB_PROXY_POLICY, (callback)(void *)refuse_proxy, m };
	m->calls[2] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	if (sasl_server_new("hermod", fqdn, NULL, NULL, NULL, m->calls, 0, &m->conn) != SASL_OK)
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
	buf_wipe(&(*m)->user);
	buf_wipe(&(*m)->password);
	mem_free(*m);
	*m = NULL;
}

/* ---- an exchange --------------------------------------------------------------------------- */

static enum mech_result
result(struct mech *m, int r)
{
	switch (r) {
	case SASL_CONTINUE:	return MECH_MORE;
	case SASL_OK:		return m->noted ? MECH_CREDENTIALS : MECH_BROKEN;
	case SASL_NOMEM:	return MECH_BROKEN;
	default:		return MECH_FAILED;	/* SASL_NOMECH too: no plugin could look up an authzid */
	}
}

/* RFC 4422 section 3.1. Only what was offered: a name with other octets is nobody's. */
static bool
is_offered(struct bytes name, char dst[32])
{
	struct bytes list = text(MECHANISMS);

	while (list.n > 0)
		if (bytes_case_eq(bytes_cut(&list, ' '), name))
			return bytes_to_text(name, dst, 32);
	return false;
}

enum mech_result
mech_start(struct mech *m, struct bytes name, const struct bytes *initial, struct bytes *challenge)
{
	const char *out = NULL;
	char mechanism[32];
	unsigned n = 0;
	int r;

	*challenge = (struct bytes){ 0 };
	if (!is_offered(name, mechanism))
		return MECH_UNKNOWN;
	r = sasl_server_start(m->conn, mechanism, initial ? (initial->n ? (const char *)initial->p : "") : NULL,
	    initial ? (unsigned)initial->n : 0, &out, &n);
	*challenge = bytes_of(out, out ? n : 0);
	return result(m, r);
}

enum mech_result
mech_step(struct mech *m, struct bytes response, struct bytes *challenge)
{
	const char *out = NULL;
	unsigned n = 0;
	int r = sasl_server_step(m->conn, response.n ? (const char *)response.p : "", (unsigned)response.n, &out, &n);

	*challenge = bytes_of(out, out ? n : 0);
	return result(m, r);
}

struct bytes
mech_user(const struct mech *m)
{
	return buf_bytes(&m->user);
}

struct bytes
mech_password(const struct mech *m)
{
	return buf_bytes(&m->password);
}
