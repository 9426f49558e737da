/* SPDX-License-Identifier: ISC */
/*
 * imap-login/main.c - IMAP until the client is known:
 *	client -> imap-login -> auth -> (ticket) -> become -> imapd
 *
 * Holds sockets of strangers and channels to auth and become. Knows no account and
 * no mailbox: it repeats to become a ticket that auth made. The protocol is in
 * imap-login/session.c, the rest in daemon/login.c.
 */
#include "imap-login/imap_login.h"

static void
accept_one(void *owner, const char *setting, int fd)
{
	(void)setting;
	login_accept(owner, fd);
}

static uint32_t
sessions(void *owner)
{
	return login_sessions(owner);
}

static void
drain(void *owner)
{
	login_drain(owner);
}

int
main(void)
{
	struct daemon d;
	struct login_limits limits;
	struct login_service *service;

	daemon_start(&d, "imap-login");
	daemon_settings(&d, login_settings, &limits);
	daemon_confine(&d, KEEP_ACCEPT);		/* ---- strangers only below ---- */
	service = login_service_new(&d, &imap_login_protocol, &limits);
	d.owner = service;
	d.on_listen = accept_one;
	d.on_drain = drain;
	d.sessions = sessions;
	daemon_serve(&d);
	login_service_free(&service);
	settings_free(login_settings, &limits);
	return daemon_stop(&d);
}
