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

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	(void)c;
	return login_take(owner, in);
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
	struct mechanism_settings mechanisms;
	struct login_service *service;

	daemon_start(&d, name);
	daemon_settings(&d, login_settings, &limits);
	daemon_settings(&d, mechanism_settings, &mechanisms);
	daemon_confine(&d, KEEP_ACCEPT);		/* ---- strangers only below ---- */
	service = login_service_new(&d, p, &limits, &mechanisms);
	d.owner = service;
	d.on_listen = accept_one;
	d.on_frame = on_frame;
	d.on_drain = drain;
	d.on_stop = stop;
	d.sessions = sessions;
	daemon_serve(&d);
	login_service_free(&service);
	settings_free(mechanism_settings, &mechanisms);
	settings_free(login_settings, &limits);
	return daemon_stop(&d);
}
