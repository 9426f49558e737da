/* SPDX-License-Identifier: ISC */
/*
 * mail/conninfo.h - how PostgreSQL's server is reached, in libpq's own words: "host=db.example.org user=mail dbname=mail
 * sslmode=verify-full", values with spaces in single quotes, a backslash before what is meant as it is. Parsed here, as
 * master judges it and links no libpq. Known is what makes sense for a server that only this one file names: one host and
 * no password, no service file, no key of a client. Pure.
 */
#ifndef MAIL_CONNINFO_H
#define MAIL_CONNINFO_H

#include "base/arena.h"

#define CONNINFO_MAX	1024	/* octets */

enum conninfo_word {
	CONNINFO_HOST, CONNINFO_PORT, CONNINFO_USER, CONNINFO_DBNAME, CONNINFO_SSLMODE, CONNINFO_SSLROOTCERT,
	CONNINFO_CHANNEL_BINDING, CONNINFO_APPLICATION_NAME, CONNINFO_OPTIONS, CONNINFO_WORDS
};

extern const char *const conninfo_words[CONNINFO_WORDS];

struct conninfo { const char *value[CONNINFO_WORDS]; };	/* in the arena; NULL: not said */

#define CONNINFO_ARENA	((CONNINFO_WORDS + 1) * (CONNINFO_MAX + 32))

/* False: what is wrong, and what would be right; no value stands in that. */
bool	conninfo_parse(struct bytes s, struct arena *arena, struct conninfo *out, char *why, size_t cap);

#endif
