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
 * first_uid. Confined processes cannot ask NSS.
 *
 * Of sasldb_file, Cyrus SASL's own, user@realm is an account, with a password that is known itself.
 *
 * Where account_directory says so an LDAP server or an SQL database has further accounts. Another
 * process knows them, and who asks it cannot wait: mail/account_memo.h.
 */
#ifndef MAIL_ACCOUNT_H
#define MAIL_ACCOUNT_H

#include <stddef.h>

#include "config.h"

#include "base/arena.h"
#include "mail/account_memo.h"
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
	bool		from_directory;
	bool		checked_elsewhere; /* its password is for directory_check to judge, whatever stands in `password` */
	enum account_state state;
	struct bytes	password;	/* empty: cannot log in by password; system: ask PAM */
	struct bytes	secret;		/* the password itself, of sasldb_file alone; empty: it is not known */
	struct bytes	scram_sha_1, scram_sha_256;
	uint32_t	uid, gid;
	struct bytes	mailbox;	/* "maildir:/path", "mbox:/path" */
};

struct account_settings {	/* shared by router and auth, both tables name them */
	const char	*account_map;		/* "" : no virtual accounts */
	const char	*mail_directory;	/* virtual: mail_directory/domain/local-part/Maildir */
	unsigned	 mailbox_format;	/* of virtual accounts: enum mailbox_format */
	const char	*system_mailbox;	/* "maildir:~/Maildir", "mbox:/var/mail/%u" */
	const char	*sasldb_file;		/* "": none */
	const char	*passwd_file;		/* where system accounts stand */
	bool		 system_accounts;
	unsigned	 directory;		/* index into account_directories; 0: there is none */
	uint64_t	 directory_timeout_ms;	/* its own patience; who asks it has a little more */
	uint64_t	 first_uid;
	uint64_t	 mail_uid, mail_gid;	/* owner of virtual mailboxes */
	bool		 allow_plain_passwords;
	uint64_t	 scram_iterations;	/* of keys that are made, and made up */
};

/* Their rows in a settings table; m is the member of S that is a struct account_settings. */
#define ACCOUNT_SETTINGS(S, m)							\
	SET_TEXT_IF("account_map",	S, m.account_map, "hash:" HERMOD_SYSCONFDIR "/accounts", setting_is_table), \
	SET_TEXT_IF("mail_directory",	S, m.mail_directory, "/var/mail/hermod", setting_is_path), \
	SET_WORD("mailbox_format",	S, m.mailbox_format, "maildir", account_formats), \
	SET_TEXT_IF("system_mailbox",	S, m.system_mailbox, "maildir:~/Maildir", account_is_pattern), \
	SET_TEXT_IF("sasldb_file",	S, m.sasldb_file, "", account_is_sasldb), \
	SET_TEXT_IF("passwd_file",	S, m.passwd_file, "/etc/passwd", setting_is_path), \
	SET_BOOL("system_accounts",	S, m.system_accounts, "yes"),		\
	SET_WORD("account_directory",	S, m.directory, "", account_directories), \
	SET_TIME("directory_timeout",	S, m.directory_timeout_ms, "5s", 100, 40000), \
	SET_NUMBER("first_uid",		S, m.first_uid, "1000", 1, 4294967294),	\
	SET_NUMBER("mail_uid",		S, m.mail_uid, "0", 0, 4294967294),	\
	SET_NUMBER("mail_gid",		S, m.mail_gid, "0", 0, 4294967294),	\
	SET_BOOL("allow_plain_passwords", S, m.allow_plain_passwords, "no"),	\
	SET_NUMBER("scram_iterations",	S, m.scram_iterations, "8192", 4096, 1000000)

extern const char *const account_formats[];
extern const char *const account_directories[];
bool	account_is_sasldb(const char *value, char *why, size_t cap);	/* sasldb_file */
bool	account_is_pattern(const char *value, char *why, size_t cap);	/* of system_mailbox */

struct accounts;	/* opened tables */

struct accounts	*accounts_open(const struct account_settings *s, char *why, size_t cap);
void		 accounts_close(struct accounts **a);
/* The one spelling by which a login name is counted, and compared without a look at the tables: its domain in A-labels (RFC 5890),
 * where it is one, and all of it in lower case. In the arena. */
struct bytes	 account_spelling(struct bytes name, struct arena *arena);
/* By login name (full address; or a bare name): in account_map, in sasldb_file, or where the name is bare in passwd_file, then in the directory.
 * The tables are asked for the local part as it is, then in lower case; the directory for account_spelling alone: it may
 * take Anna for anna, and they must not become two accounts; out->name is the name that it gives back, if it gives one. Domains are A-labels in lower case in either. YES: *out is in the arena, and in the memo. */
enum verdict	 accounts_get(struct accounts *a, struct bytes name, struct arena *arena, struct account *out);
/* From now on what the directory has said is in this memo, and what it is to be asked for is put there; borrowed until the
 * next call. NULL, as at the start: what only the directory can know is not sure. */
void		 accounts_remember(struct accounts *a, struct account_memo *memo);
/* The memo wants something: an answer that is not sure may be so for want of that alone. */
bool		 accounts_want(const struct accounts *a);
/* The name by which the directory is asked. False: it knows nobody by such a name (and is not asked): LDAP takes no
 * notice of some spaces, so that one account would have many names. */
bool		 accounts_directory_name(struct bytes name, struct arena *arena, struct bytes *out);
/* Folders to keep when confined: the i-th, false after the last. */
bool		 accounts_directory(const struct account_settings *s, size_t i, char dst[1024]);
/* Each virtual account until false is returned; a malformed row is given with NULL. False: not readable. */
bool		 accounts_walk(struct accounts *a, bool (*each)(void *arg, struct bytes name, const struct account *),
		    void *arg);
/* The row, decoded and encoded. False: malformed. Only what stands in the row is set. In what the directory says there may be a name,
 * too: whose the account is, which in the table is the key. */
bool		 account_decode(struct bytes row, struct arena *arena, struct account *out);
bool		 account_decode_row(struct bytes row, struct arena *arena, struct account *out);	/* of the table */
void		 account_encode(const struct account *a, struct buf *row);

/* Where a virtual account's mail is: "maildir:MAIL_DIRECTORY/domain/local-part/Maildir". False: its
 * name cannot be a folder's. */
bool		 account_mailbox(const struct account_settings *s, struct bytes name, struct arena *arena,
		    struct bytes *out);

/* In the next three iterations is scram_iterations: RFC 7677 section 4 wants 4096 at least. */

/* A yescrypt hash and SCRAM keys of this password, into the account (RFC 5802 section 3). SASLprep (RFC
 * 4013) changes nothing in printable ASCII; any other password gets no SCRAM keys: its normal form
 * is not known here, and it would be right by PLAIN and wrong by SCRAM. False: empty, too long, or
 * holds a NUL or control. */
bool		 account_set_password(struct account *a, struct arena *arena, struct bytes password, uint64_t iterations);
/* Keys for SCRAM that no password fits, always the same for one name under one secret: so that whoever asks for a name that
 * is not here, or has none, is told what looks like another's. Upper and lower case are one, as in accounts_get. */
#define ACCOUNT_SECRET 32
void		 account_fake_keys(const unsigned char secret[ACCOUNT_SECRET], struct bytes name, uint64_t iterations,
		    struct arena *arena, struct account *out);
/* Keys of a password that is known itself, with the salt that account_fake_keys has for the name; one of the two is made. Of what is
 * not printable ASCII none are, after the same work. */
void		 account_make_keys(const unsigned char secret[ACCOUNT_SECRET], struct bytes name, struct bytes password, bool sha_256,
		    uint64_t iterations, struct arena *arena, struct account *out);
/* The password is `a->secret`, and the account active; costs what account_check_password does. */
enum verdict	 account_check_secret(const struct account *a, struct bytes password);
void		 account_password_ready(void);	/* at start: the hash that unknown users are compared with */
/* YES: the password is right, the account active. {PLAIN} counts only with allow_plain, and
 * costs nothing; else a wrong password costs as much as for an account that is not there (a NULL). */
enum verdict	 account_check_password(const struct account *a, struct bytes password, bool allow_plain);

#endif
