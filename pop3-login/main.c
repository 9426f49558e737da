/* SPDX-License-Identifier: ISC */
/*
 * pop3-login/main.c - POP3 until the client is known:
 *	client -> pop3-login -> auth -> (ticket) -> become -> pop3d
 *
 * Holds sockets of strangers and channels to auth and become. Knows no account and
 * no mailbox: it repeats to become a ticket that auth made. The protocol is in
 * pop3-login/session.c, the rest in daemon/login.c and login_main.c.
 */
#include "pop3-login/pop3_login.h"

int
main(void)
{
	return login_main("pop3-login", &pop3_login_protocol);
}
