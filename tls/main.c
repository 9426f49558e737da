/* SPDX-License-Identifier: ISC */
/*
 * tls/main.c - end TLS for POP3 and IMAP:  client == tls -- imap-login, then imapd
 *
 * Knows no mail protocol: it moves octets between a client's socket and one half of a pair, of
 * which the login service, and after the login the session, has the other. So a session that is a process of its own,
 * as its mailbox's owner, needs no TLS, and its process no keys. What a client's certificate says it tells auth, by way of login and
 * vouched for. Holds client sockets and channels, nothing else.
 */
#include "tls/tls.h"

static void
accept_one(void *owner, const char *setting, int fd)
{
	links_accept(owner, fd, strcmp(setting, "listen_imaps") == 0);
}

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	return links_take(owner, c, in);
}

static uint32_t
sessions(void *owner)
{
	return links_count(owner);
}

static void
drain(void *owner)
{
	links_drain(owner);
}

int
main(void)
{
	struct daemon d;
	struct tls_limits limits;
	struct tls_settings settings;
	struct tls_server *server;
	struct voucher_key voucher;
	struct links *links;

	daemon_start(&d, "tls");
	daemon_settings(&d, tls_limits_settings, &limits);
	daemon_settings(&d, tls_settings, &settings);
	server = tls_server_new(&d, &settings);		/* there is one: see its row */
	voucher_key_take(&d, &voucher);
	daemon_confine(&d, KEEP_ACCEPT);		/* ---- strangers only below ---- */
	links = links_new(&d, &limits, server, &voucher);
	d.owner = links;
	d.on_listen = accept_one;
	d.on_frame = on_frame;
	d.on_drain = drain;
	d.sessions = sessions;
	d.leaves_callers = true;			/* login asks tls, and tls login */
	daemon_serve(&d);
	links_free(&links);
	tls_server_free(&server);
	settings_free(tls_settings, &settings);
	settings_free(tls_limits_settings, &limits);
	return daemon_stop(&d);
}
