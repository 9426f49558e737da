/* SPDX-License-Identifier: ISC */
/*
 * mail/account.h - who has a mailbox here. A virtual account is a row of the
 * account table: key the address (lower case domain; local part as given, lower
 * case), value a run of `name=value` LF lines: password (a crypt(3) hash, yescrypt,
 * or {PLAIN}secret where allow_plain_passwords = yes), scram-sha-1, scram-sha-256
 * (salt, iterations, keys), mailbox, uid, gid, state. A system account is a row
 * of passwd(5) with a uid of at least first_uid.
 */
#ifndef MAIL_ACCOUNT_H
#define MAIL_ACCOUNT_H

#include "base/arena.h"
#include "mail/router.h"
#include "mail/table.h"

enum account_state { ACCOUNT_ACTIVE, ACCOUNT_DISABLED };

struct account {			/* in the arena */
	struct bytes	name;		/* the login name: full address, or the system user's */
	bool		system;
	enum account_state state;
	struct bytes	password;	/* empty: cannot log in by password; system: ask PAM */
	struct bytes	scram_sha_1, scram_sha_256;
	uint32_t	uid, gid;
	struct bytes	mailbox;	/* "maildir:/path", "mbox:/path" */
};

struct account_settings {	/* shared by router and auth, both tables name them */
	const char	*account_map;		/* "" : no virtual accounts */
	const char	*mail_directory;	/* virtual: mail_directory/domain/local-part/Maildir */
	const char	*mailbox_format;	/* virtual and system: "maildir" or "mbox" */
	const char	*system_mailbox;	/* "maildir:~/Maildir", "mbox:/var/mail/%u" */
	bool		 system_accounts;
	uint64_t	 first_uid;
	uint64_t	 mail_uid, mail_gid;	/* owner of virtual mailboxes */
	bool		 allow_plain_passwords;
};

struct accounts;	/* opened tables */

struct accounts	*accounts_open(const struct account_settings *s, char *why, size_t cap);
void		 accounts_close(struct accounts **a);
/* By login name (full address; or bare name for a system user). YES: *out is in the arena. */
enum verdict	 accounts_get(struct accounts *a, struct bytes name, struct arena *arena, struct account *out);
/* The row, decoded and encoded. False: malformed. */
bool		 account_decode(struct bytes row, struct arena *arena, struct account *out);
void		 account_encode(const struct account *a, struct buf *row);

/* A yescrypt hash and SCRAM keys of this password, into the account (RFC 5802 section 3). */
bool		 account_set_password(struct account *a, struct arena *arena, struct bytes password);
/* YES: the password is right. Takes the same time for an account that is not there (out NULL). */
enum verdict	 account_check_password(const struct account *a, struct bytes password, bool allow_plain);

#endif
