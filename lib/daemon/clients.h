/* SPDX-License-Identifier: ISC */
/*
 * daemon/clients.h - how much one client address may have of a service: sessions
 * at once, connections a minute. An IPv6 client is its /64. Memory is fixed; under
 * a keyed hash; an address that finds no room is not limited (the worker's own limit
 * of sessions holds for all).
 *
 * The workers of a service share memory that master has made: each writes a table of its own there and
 * reads those of the others, without locks. So what a worker has counted when it dies is forgotten by the
 * next one in its place; and one that lies can keep clients out, and learns of addresses, no more.
 */
#ifndef DAEMON_CLIENTS_H
#define DAEMON_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct clients;
struct sockaddr_storage;

#define CLIENT_TEXT_MAX 48	/* "2001:db8::1" and a NUL */

/* Master's: memory for that many workers, sealed, to be handed to each. -1: errno. */
int		 clients_share(unsigned workers);
/* The two limits; 0: none. shared (borrowed) and which of its tables is ours; -1: there are no others, or
 * what they count is not to be had. */
struct clients	*clients_new(uint64_t sessions, uint64_t per_minute, int shared, unsigned slot);
void		 clients_free(struct clients **c);

enum clients_verdict { CLIENT_WELCOME, CLIENT_TOO_MANY, CLIENT_TOO_FAST };
/* The 16 octets of clients_key. Counts the session when welcome; then clients_leave once. */
enum clients_verdict clients_enter(struct clients *c, const unsigned char key[16], uint64_t now_ms);
void		 clients_leave(struct clients *c, const unsigned char key[16]);

/* The peer of a connected socket: its address as text (IPv4-mapped as IPv4), and its key. False: not
 * an internet socket, or it is gone. */
bool		 client_of(int fd, char text[CLIENT_TEXT_MAX], unsigned char key[16]);
/* The same of an address as such a text has it. */
bool		 client_named(struct bytes address, char text[CLIENT_TEXT_MAX], unsigned char key[16]);

#endif
