/* SPDX-License-Identifier: ISC */
/*
 * pop3-login/main.c - POP3 until the client is known:
 *	client -> pop3-login -> auth -> (ticket) -> become -> pop3d
 *
 * Holds sockets of strangers and channels to auth and become. Knows no account and
 * no mailbox: it repeats to become a ticket that auth made. The protocol is in
 * pop3-login/session.c, the rest in daemon/login.c.
 */
#include "pop3-login/pop3_login.h"

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
	struct pop3_login_settings settings;
	struct login_limits limits;
	struct login_service *service;

	daemon_start(&d, "pop3-login");
	daemon_settings(&d, pop3_login_settings, &settings);
	daemon_confine(&d, KEEP_ACCEPT);		/* ---- strangers only below ---- */
	pop3_login_allow_insecure(settings.insecure);
	limits = (struct login_limits){ .timeout_ms = settings.timeout_ms, .failures = settings.failures,
	    .crowd = { .sessions = settings.sessions, .client_sessions = settings.client_sessions,
		.client_rate = settings.client_rate, .stress_timeout_ms = settings.stress_timeout_ms } };
	service = login_service_new(&d, &pop3_login_protocol, &limits);
	d.owner = service;
	d.on_listen = accept_one;
	d.on_drain = drain;
	d.sessions = sessions;
	daemon_serve(&d);
	login_service_free(&service);
	settings_free(pop3_login_settings, &settings);
	return daemon_stop(&d);
}
