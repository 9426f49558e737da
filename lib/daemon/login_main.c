/* SPDX-License-Identifier: ISC */
/*
 * daemon/login_main.c - the life of a login process: pop3-login and imap-login differ in
 * their name and their protocol. Apart from login.c, which tests link without it.
 */
#include "daemon/login.h"

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

static void
stop(void *owner)
{
	login_stop(owner);
}

int
login_main(const char *name, const struct login_protocol *p)
{
	struct daemon d;
	struct login_limits limits;
	struct login_service *service;

	daemon_start(&d, name);
	daemon_settings(&d, login_settings, &limits);
	daemon_confine(&d, KEEP_ACCEPT);		/* ---- strangers only below ---- */
	service = login_service_new(&d, p, &limits);
	d.owner = service;
	d.on_listen = accept_one;
	d.on_drain = drain;
	d.on_stop = stop;
	d.sessions = sessions;
	daemon_serve(&d);
	login_service_free(&service);
	settings_free(login_settings, &limits);
	return daemon_stop(&d);
}
