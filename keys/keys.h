/* SPDX-License-Identifier: ISC */
/*
 * keys/keys.h - the private keys, and what each caller may have signed with them.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "daemon/daemon.h"
#include "mail/tls_settings.h"

extern const struct setting keys_settings[];

struct keys;

/* Of the open files "key.0" and so on, which it closes. Ends the process when one cannot be read. */
struct keys	*keys_new(struct daemon *d, const struct tls_settings *s);
void		 keys_free(struct keys **k);
/* A question. False: it is none. */
bool		 keys_take(struct keys *k, struct channel *c, struct ipc_in *in);

#endif
