/* SPDX-License-Identifier: ISC */
/*
 * mail/account.h - who has a mailbox here. A virtual account is a row of the
 * account table: key the address (lower case domain; local part as given, lower
 * case), value a run of `name=value` LF lines: password (a crypt(3) hash, yescrypt,
 * or {PLAIN}secret where allow_plain_passwords = yes), scram-sha-1, scram-sha-256
 * (RFC 5803's iterations:salt$StoredKey:ServerKey), mailbox, uid, gid, state (active,
 * disabled). Each at most once, each may be missing; what is not known here makes
 * the row malformed, and a malformed row is a temporary failure.
 *
 * A system account is a row of passwd_file, passwd(5), with a uid of at least
 * first_uid. Confined processes cannot ask NSS: users of LDAP and the like need a row
 * in the account table.
 */
#ifndef MAIL_ACCOUNT_H
#define MAIL_ACCOUNT_H

#include <stddef.h>

#include "config.h"

#include "base/arena.h"
#include "mail/router.h"
#include "mail/settings.h"
#include "mail/table.h"

#define ACCOUNT_NAME_MAX	320	/* octets */
#define ACCOUNT_ROW_MAX		8192
#define ACCOUNT_PASSWORD_MAX	1024

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
	unsigned	 mailbox_format;	/* of virtual accounts: enum mailbox_format */
	const char	*system_mailbox;	/* "maildir:~/Maildir", "mbox:/var/mail/%u" */
	const char	*passwd_file;		/* where system accounts stand */
	bool		 system_accounts;
	uint64_t	 first_uid;
	uint64_t	 mail_uid, mail_gid;	/* owner of virtual mailboxes */
	bool		 allow_plain_passwords;
};

/* Their rows in a settings table; m is the member of S that is a struct account_settings. */
#define ACCOUNT_SETTINGS(S, m)							\
	SET_TEXT_IF("account_map",	S, m.account_map, "hash:" HERMOD_SYSCONFDIR "/accounts", setting_is_table), \
	SET_TEXT_IF("mail_directory",	S, m.mail_directory, "/var/mail/hermod", setting_is_path), \
	SET_WORD("mailbox_format",	S, m.mailbox_format, "maildir", account_formats), \
	SET_TEXT_IF("system_mailbox",	S, m.system_mailbox, "maildir:~/Maildir", account_is_pattern), \
	SET_TEXT_IF("passwd_file",	S, m.passwd_file, "/etc/passwd", setting_is_path), \
	SET_BOOL("system_accounts",	S, m.system_accounts, "yes"),		\
	SET_NUMBER("first_uid",		S, m.first_uid, "1000", 1, 4294967294),	\
	SET_NUMBER("mail_uid",		S, m.mail_uid, "0", 0, 4294967294),	\
	SET_NUMBER("mail_gid",		S, m.mail_gid, "0", 0, 4294967294),	\
	SET_BOOL("allow_plain_passwords", S, m.allow_plain_passwords, "no")

extern const char *const account_formats[];
bool	account_is_pattern(const char *value, char *why, size_t cap);	/* of system_mailbox */

struct accounts;	/* opened tables */

struct accounts	*accounts_open(const struct account_settings *s, char *why, size_t cap);
void		 accounts_close(struct accounts **a);
/* By login name (full address; or bare name for a system user). YES: *out is in the arena. */
enum verdict	 accounts_get(struct accounts *a, struct bytes name, struct arena *arena, struct account *out);
/* Folders to keep when confined: the i-th, false after the last. */
bool		 accounts_directory(const struct account_settings *s, size_t i, char dst[1024]);
/* Each virtual account until false is returned; a malformed row is given with NULL. False: not readable. */
bool		 accounts_walk(struct accounts *a, bool (*each)(void *arg, struct bytes name, const struct account *),
		    void *arg);
/* The row, decoded and encoded. False: malformed. Only what stands in the row is set. */
bool		 account_decode(struct bytes row, struct arena *arena, struct account *out);
void		 account_encode(const struct account *a, struct buf *row);

/* Where a virtual account's mail is: "maildir:MAIL_DIRECTORY/domain/local-part/Maildir". False: its
 * name cannot be a folder's. */
bool		 account_mailbox(const struct account_settings *s, struct bytes name, struct arena *arena,
		    struct bytes *out);

/* A yescrypt hash and SCRAM keys of this password, into the account (RFC 5802 section 3). SASLprep (RFC
 * 4013) changes nothing in printable ASCII; any other password gets no SCRAM keys: its normal form
 * is not known here, and it would be right by PLAIN and wrong by SCRAM. False: empty, too long, or
 * holds a NUL or control. */
bool		 account_set_password(struct account *a, struct arena *arena, struct bytes password);
void		 account_password_ready(void);	/* at start: the hash that unknown users are compared with */
/* YES: the password is right, the account active. {PLAIN} counts only with allow_plain. Takes the same time for an account that is not there (out NULL). */
enum verdict	 account_check_password(const struct account *a, struct bytes password, bool allow_plain);

#endif
