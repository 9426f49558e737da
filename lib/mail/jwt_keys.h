/* SPDX-License-Identifier: ISC */
/*
 * mail/jwt_keys.h - public keys that tokens are signed with (proto/jwt.h), as the administrator has them: a file of PEM each.
 * A key fits one algorithm, or the two of RSA, so that nobody chooses how his forgery is looked at.
 */
#ifndef MAIL_JWT_KEYS_H
#define MAIL_JWT_KEYS_H

#include "mail/settings.h"
#include "proto/jwt.h"

#define JWT_KEYS_MAX	16		/* files: a token may be tried with each */

struct jwt_keys;

/* Of the setting oauth_jwt_keys; before the process is confined. NULL: what is wrong with which in why. */
struct jwt_keys	*jwt_keys_read(const struct setting_list *files, char *why, size_t cap);
void		 jwt_keys_free(struct jwt_keys **k);
/* One of the keys has signed it. */
bool		 jwt_keys_signed(const struct jwt_keys *k, const struct jwt *j);

#endif
