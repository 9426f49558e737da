/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_publish.h - what this host has that the DNS should tell (mail/publish.h): for `hermod setup`, `hermod dns
 * records` and `hermod dns check`.
 */
#ifndef TOOLS_HERMOD_PUBLISH_H
#define TOOLS_HERMOD_PUBLISH_H

#include <openssl/x509.h>

#include "mail/publish.h"
#include "tools/hermod.h"

/* A domain as people write it, other letters than a-z too, and with or without a dot at the end; out: as the DNS has it, in
 * the arena. False: it is none that mail could go to; why says what would be right. */
bool	publish_name(const char *given, struct arena *a, struct bytes *out, const char **why);
/* The same; ends the program where it is none. */
struct bytes publish_name_or_die(const char *given, struct arena *a);

/* --address: one more. Ends the program where it is none, or one too many. */
void	publish_take_address(struct publish_source *s, const char *given);
/* Those of this host's interfaces but loopback and link-local ones. */
#define PUBLISH_INTERFACES_MAX	256	/* addresses; further ones are left out */
size_t	publish_interfaces(struct address out[PUBLISH_INTERFACES_MAX]);
/* Of them, those that strangers can reach: the first PUBLISH_ADDRESSES_MAX. */
void	publish_take_interfaces(struct publish_source *s);

/* The certificate's public key, unless it is there already. Ends the program when there are too many. */
void	publish_take_key(struct publish_source *s, X509 *certificate);
/* Host, ports and keys, from the configuration. What cannot be read ends the program. */
void	publish_from_settings(struct publish_source *s, struct arena *a);

/* To standard output: a zone file's lines, or with --json an object for each record. */
void	publish_print(const struct publish_set *sets, size_t n);

#endif
