/* SPDX-License-Identifier: ISC */
/*
 * mail/network.h - addresses and networks, as settings and clients have them.
 * Pure: no name is ever looked up, no I/O, no allocation.
 *
 * Every address is 16 octets; an IPv4 address is its IPv4-mapped form
 * (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2), so that a client is the same client
 * over a socket of either family, and one comparison serves both.
 */
#ifndef MAIL_NETWORK_H
#define MAIL_NETWORK_H

#include <sys/socket.h>

#include "base/bytes.h"

struct address { unsigned char octet[16]; };
struct network { struct address first; unsigned bits; };	/* of 128: 10.0.0.0/8 has 104 */

#define NETWORK_TEXT_MAX 64

/* "192.0.2.1", "2001:db8::1", "fe80::1%eth0" (the zone is dropped). No names, no
 * leading zeros (is 010 eight?), no short forms (10.1). */
bool	address_parse(struct bytes s, struct address *out);
/* IPv4 in its own form. Returns dst. */
char	*address_text(const struct address *a, char dst[NETWORK_TEXT_MAX]);
bool	address_is_loopback(const struct address *a);	/* 127.0.0.0/8, ::1 */
bool	address_is_ipv4(const struct address *a);
/* What a name in the public DNS may lead to: the others nobody else could mean. */
enum address_kind { ADDRESS_FINE, ADDRESS_LOOPBACK, ADDRESS_NOWHERE /* unspecified, link-local, multicast, reserved */ };
enum address_kind address_kind(const struct address *a);
/* For bind and connect: of the address's own family. Returns its size. */
socklen_t address_socket(const struct address *a, uint16_t port, struct sockaddr_storage *out);
/* The other way round; false: of no such family. */
bool	address_of_socket(const struct sockaddr_storage *sa, struct address *out, uint16_t *port);

/* "10.0.0.0/8", "2001:db8::/32", or one address. Bits past the prefix must be zero. False: what
 * would be right in why. */
bool	network_parse(struct bytes s, struct network *out, char *why, size_t cap);
/* "10.0.0.0/8"; what network_parse takes. Returns dst. */
char	*network_text(const struct network *n, char dst[NETWORK_TEXT_MAX]);
bool	network_has(const struct network *n, const struct address *a);
void	network_last(const struct network *n, struct address *out);

/* "127.0.0.1:25", "[::1]:25". False: what would be right in why. */
bool	listen_parse(struct bytes s, struct sockaddr_storage *out, socklen_t *size, char *why, size_t cap);

#endif
