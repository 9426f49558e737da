/* SPDX-License-Identifier: ISC */
/*
 * daemon/voucher.h - what one process has seen, said to another through a third that is believed nothing: whom a client's
 * certificate names, by tls to auth, through a login process. That talks with strangers, and could otherwise name anybody.
 *
 * The key is master's, the same for as long as it runs, and on no disk; it is handed to those whose row in
 * master/services.c says so. Who passes a voucher on can use it himself while it holds, and make none.
 */
#ifndef DAEMON_VOUCHER_H
#define DAEMON_VOUCHER_H

#include "daemon/daemon.h"

#define VOUCHER_KEY	32
#define VOUCHER_OCTETS	40		/* when, 8 octets; HMAC-SHA-256 over that and the words */
#define VOUCHER_MS	660000		/* it holds so long: the longest login_timeout, and a minute */

struct voucher_key { unsigned char octets[VOUCHER_KEY]; bool there; };

/* For master: a new key, in a memory file that nobody can change. -1: errno. */
int	voucher_key_make(void);
/* Before daemon_confine, from the open file "voucher", which it closes. Without one nothing is vouched for. */
void	voucher_key_take(struct daemon *d, struct voucher_key *k);
/* Nothing, when there is no key. */
struct bytes voucher_make(const struct voucher_key *k, struct bytes words, uint64_t now_ms, unsigned char room[VOUCHER_OCTETS]);
bool	voucher_holds(const struct voucher_key *k, struct bytes words, struct bytes voucher, uint64_t now_ms);

#endif
