/* SPDX-License-Identifier: ISC */
/*
 * auth/main.c - checks credentials:  login -> auth -> (ticket) -> become
 *
 * Holds the account tables' folders, read-only, a folder of its own for penalties, and
 * channels to become, pam and fetch, and in its memory the Kerberos keys of gssapi_keytab; no socket of a client, no mailbox. Believes of login only
 * what the client can have said; who a ticket is for is decided here. Mechanisms are in
 * auth/mech.c, the exchanges in auth/exchange.c, what a failure costs in auth/penalty.c.
 */
#include "auth/auth.h"

#include "base/log.h"

struct auth {
	struct penalties *penalties;
	struct keeper	*keeper;
	struct exchanges *exchanges;
	struct control	*control;
};

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	return exchanges_frame(((struct auth *)owner)->exchanges, c, in);
}

static void
on_gone(void *owner, struct channel *c)
{
	exchanges_gone(((struct auth *)owner)->exchanges, c);
}

static uint32_t
sessions(void *owner)
{
	return exchanges_open(((struct auth *)owner)->exchanges);
}

static void
on_listen(void *owner, const char *setting, int fd)
{
	(void)setting;
	control_accept(((struct auth *)owner)->control, fd);
}

int
main(void)
{
	struct daemon d;
	struct auth_settings settings;
	struct mechanism_settings mechanisms;
	struct accounts *accounts;
	struct tokens *tokens;
	struct auth me;
	unsigned char secret[ACCOUNT_SECRET];
	struct voucher_key voucher;
	char why[512], dir[1024];

	daemon_start(&d, "auth");
	daemon_settings(&d, auth_settings, &settings);
	daemon_settings(&d, mechanism_settings, &mechanisms);
	accounts = accounts_open(&settings.account, why, sizeof why);
	if (!accounts || !mechs_open(settings.hostname, why, sizeof why) || !(tokens = tokens_new(&settings.token, why, sizeof why)))
		log_fatal("%s", why);
	for (size_t i = 0; accounts_directory(&settings.account, i, dir); i++)
		daemon_keep_dir(&d, dir, false);
	account_password_ready();
	if (daemon_file(&d, "keytab") != -1) {
		if (!gssapi_open(daemon_file(&d, "keytab"), &settings, why, sizeof why))
			log_fatal("%s", why);
		daemon_file_close(&d, "keytab");
	}
	secret_read(daemon_file(&d, "auth_directory"), secret);
	voucher_key_take(&d, &voucher);
	daemon_confine(&d, KEEP_FILES | KEEP_WRITE | KEEP_ACCEPT);	/* ---- strangers only below ---- */
	me.penalties = penalties_new(daemon_file(&d, "tallies"));
	me.keeper = keeper_new(&d, me.penalties, daemon_file(&d, "auth_directory"));
	me.exchanges = exchanges_new(&d, &settings, &mechanisms, accounts, secret, &voucher, tokens, me.penalties, me.keeper);
	me.control = control_new(&d, me.penalties, me.keeper);
	d.owner = &me;
	d.on_frame = on_frame;
	d.on_gone = on_gone;
	d.on_listen = on_listen;
	d.sessions = sessions;
	daemon_serve(&d);
	control_free(&me.control);
	exchanges_free(&me.exchanges);
	keeper_free(&me.keeper);
	penalties_free(&me.penalties);
	tokens_free(&tokens);
	mechs_close();
	gssapi_close();
	accounts_close(&accounts);
	explicit_bzero(secret, sizeof secret);
	explicit_bzero(&voucher, sizeof voucher);
	settings_free(mechanism_settings, &mechanisms);
	settings_free(auth_settings, &settings);
	return daemon_stop(&d);
}
