/* SPDX-License-Identifier: ISC */
/*
 * mail/mechanisms.h - which SASL mechanisms (RFC 4422) clients are offered: by POP3, IMAP and submission alike, and by auth,
 * which takes no other. What happens to be installed decides nothing.
 */
#ifndef MAIL_MECHANISMS_H
#define MAIL_MECHANISMS_H

#include "mail/settings.h"

struct mechanism_settings {
	struct setting_list names;	/* auth_mechanisms; empty: all that every account can be checked by */
	bool		 system_accounts;	/* their passwords are known to PAM alone, which must see them */
	unsigned	 directory;		/* not 0: whether accounts have keys, it alone knows; a bind sees the password */
	bool		 plain_passwords;	/* an account may have one that is not hashed */
	const char	*sasldb_file;		/* not "": there are accounts whose passwords are known themselves */
	const char	*introspection_url;	/* of bearer tokens; "": nobody can be asked */
	struct setting_list jwt_keys;		/* that they may be signed with */
};

extern const struct setting mechanism_settings[];

#define MECHANISMS_MAX	256		/* octets of all names */

/* Of the TLS channel that a client is on. */
enum {
	CHANNEL_BINDS = 1,		/* those ending in -PLUS can be bound to it (RFC 5802 section 6) */
	CHANNEL_CERTIFIED = 2,		/* the client has shown a certificate that names whom it speaks for: EXTERNAL */
	CHANNELS = 4,			/* sets of them */
};

/* The strongest first, joined by ' '; none may be left. channel: CHANNEL_ bits; 0 also without TLS. EXTERNAL is offered only
 * where it is named, and so are those ending in -PLUS: there are mail programs (mutt of Debian 12) that choose one because
 * it is there, cannot bind to TLS 1.3, and try nothing else. */
void		mechanisms_offered(const struct mechanism_settings *s, unsigned channel, char dst[MECHANISMS_MAX]);
/* Where bearer tokens are named: there is exactly one way to check them. False: what is wrong. */
bool		mechanisms_tokens(const struct mechanism_settings *s, char *why, size_t cap);
/* In upper or lower case. */
bool		mechanism_in(const char *offered, struct bytes name);

#endif
