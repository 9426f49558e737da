/* SPDX-License-Identifier: ISC */
/*
 * mail/oauth.h - where bearer tokens are introspected (RFC 7662), as the administrator writes it: the URL, and the file with
 * what this host shows there.
 */
#ifndef MAIL_OAUTH_H
#define MAIL_OAUTH_H

#include "mail/settings.h"

#define OAUTH_URL_MAX		512	/* octets */
#define OAUTH_CLIENT_MAX	512u	/* of an id, or a secret */
#define OAUTH_TOKEN_MAX		6144u	/* as SASL_OAUTH_TOKEN_MAX, and token_ask of messages.def */
#define OAUTH_ANSWER_MAX	32768u	/* as token_answer has it */

struct oauth_url { char host[256]; uint16_t port; char path[OAUTH_URL_MAX + 1]; };	/* path: with the query */

/* "https://id.example.org:8443/introspect"; a name, not an address: a certificate has to prove it. False: what would be right. */
bool	oauth_url_parse(const char *words, struct oauth_url *out, char *why, size_t cap);
bool	setting_is_oauth_url(const char *value, char *why, size_t cap);		/* the same, or "" */

/*
 * The file: "ID SECRET" in its first line. Nobody else may read it: it is the secret of this host. False: what is wrong with
 * it, nothing of it is in that. Both are wiped by the caller.
 */
bool	oauth_client_read(const char *path, struct buf *id, struct buf *secret, char *why, size_t cap);

#endif
