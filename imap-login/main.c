/* SPDX-License-Identifier: ISC */
/*
 * imap-login/main.c - IMAP until the client is known:
 *	client -> imap-login -> auth -> (ticket) -> become -> imapd
 *
 * Holds sockets of strangers and channels to auth and become. Knows no account and
 * no mailbox: it repeats to become a ticket that auth made. The protocol is in
 * imap-login/session.c, the rest in daemon/login.c and login_main.c.
 */
#include "imap-login/imap_login.h"

int
main(void)
{
	return login_main("imap-login", &imap_login_protocol);
}
