/* SPDX-License-Identifier: ISC */
/*
 * auth/main.c - checks credentials:  login -> auth -> (ticket) -> become
 *
 * Holds the account tables' folders, read-only, and channels to become and pam; no
 * socket of a client, no mailbox. Believes of login only what the client can have
 * said; who a ticket is for is decided here. Mechanisms are in auth/mech.c, the
 * exchanges in auth/exchange.c.
 */
#include "auth/auth.h"

#include "base/log.h"

int
main(void)
{
	struct daemon d;
	struct auth_settings settings;
	struct accounts *accounts;
	struct exchanges *x;
	char why[512], dir[1024];

	daemon_start(&d, "auth");
	daemon_settings(&d, auth_settings, &settings);
	accounts = accounts_open(&settings.account, why, sizeof why);
	if (!accounts || !mechs_open(settings.hostname, why, sizeof why))
		log_fatal("%s", why);
	for (size_t i = 0; accounts_directory(&settings.account, i, dir); i++)
		daemon_keep_dir(&d, dir, false);
	account_password_ready();
	daemon_confine(&d, KEEP_FILES);		/* ---- strangers only below ---- */
	x = exchanges_new(&d, &settings, accounts);
	d.owner = x;
	d.on_frame = exchanges_frame;
	d.on_gone = exchanges_gone;
	d.sessions = exchanges_open;
	daemon_serve(&d);
	exchanges_free(&x);
	mechs_close();
	accounts_close(&accounts);
	settings_free(auth_settings, &settings);
	return daemon_stop(&d);
}
