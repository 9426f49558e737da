/* SPDX-License-Identifier: ISC */
/*
 * mail/directory_settings.h - accounts from LDAP, SQLite or PostgreSQL, as the administrator writes it: what can be set, and whether that
 * makes sense. For the process `directory`, which asks, and for master, which judges before anything starts.
 */
#ifndef MAIL_DIRECTORY_SETTINGS_H
#define MAIL_DIRECTORY_SETTINGS_H

#include "mail/account.h"
#include "mail/conninfo.h"
#include "mail/settings.h"

/* In the order of account_directories. */
enum directory_kind { DIRECTORY_NONE, DIRECTORY_LDAP, DIRECTORY_SQLITE, DIRECTORY_POSTGRESQL };

/* What an account may have there: the names of columns, and those at the left of ldap_attributes. */
enum directory_field {
	DIRECTORY_PASSWORD, DIRECTORY_SCRAM_SHA_1, DIRECTORY_SCRAM_SHA_256, DIRECTORY_MAILBOX, DIRECTORY_UID, DIRECTORY_GID,
	DIRECTORY_STATE, DIRECTORY_NAME, DIRECTORY_FIELDS
};
extern const char *const directory_fields[DIRECTORY_FIELDS];	/* "password", "scram_sha_1" */
enum directory_field directory_field(struct bytes name);	/* any case; DIRECTORY_FIELDS: none of them */

extern const char *const directory_scopes[];		/* sub, one, base */
enum directory_scope { DIRECTORY_SUB, DIRECTORY_ONE, DIRECTORY_BASE };
extern const char *const directory_passwords[];	/* bind, attribute */
enum directory_password { DIRECTORY_BIND, DIRECTORY_ATTRIBUTE };

struct directory_settings {
	unsigned	 kind;			/* enum directory_kind */
	uint64_t	 timeout_ms, cache_ms;
	const char	*sql_database, *sql_query, *sql_password_file;
	const char	*ldap_uri, *ldap_ca_file, *ldap_base, *ldap_filter, *ldap_bind_dn, *ldap_password_file;
	bool		 ldap_starttls;
	unsigned	 ldap_scope, ldap_password;
	struct setting_list ldap_attributes;	/* "field=attribute" */
};

/* A server of the administrator's choice. */
struct directory_server {
	char		 host[256];		/* lower case; a name, or an address; "": a UNIX socket */
	uint16_t	 port;
	char		 path[108];		/* of the UNIX socket; "": none */
	bool		 tls;			/* from the start: ldaps */
};
/* True: what is said to it leaves this host by no wire: a UNIX socket, localhost, an address of loopback. */
bool	directory_is_here(const struct directory_server *s);

/* "ldap://ldap.example.org:389", "ldaps://...", "ldapi://%2Frun%2Fslapd%2Fldapi". False: what would be right. */
bool	directory_ldap_uri(const char *uri, struct directory_server *out, char *why, size_t cap);
/* The server of a conninfo, and how its words must be together. */
bool	directory_postgresql(const struct conninfo *c, struct directory_server *out, char *why, size_t cap);
/* "password=userPassword" */
bool	setting_is_ldap_attribute(const char *value, char *why, size_t cap);
bool	directory_attribute(struct bytes item, enum directory_field *field, struct bytes *attribute);

/* All of it together. False: "setting: what is wrong; right would be ...". No file is looked at. */
bool	directory_judge(const struct directory_settings *s, char *why, size_t cap);
/* The files that it needs are there and can be read, as whoever calls. */
bool	directory_judge_files(const struct directory_settings *s, char *why, size_t cap);

/* A password, the first line of a file that others cannot read. Wiped by the caller. False: what is wrong with the file;
 * nothing of it is in that. */
#define DIRECTORY_SECRET_MAX 512u
bool	directory_secret_read(const char *setting, const char *path, struct buf *secret, char *why, size_t cap);
/* That password file: of LDAP, or SQL; "": there is none. */
const char *directory_secret_file(const struct directory_settings *s, const char **setting);

/* Their rows in a settings table. */
#define DIRECTORY_SETTINGS(S)						\
	SET_WORD("account_directory",	S, kind, "", account_directories),		\
	SET_TIME("directory_timeout",	S, timeout_ms, "5s", 100, 40000),	\
	SET_TIME("directory_cache_time", S, cache_ms, "1m", 0, 86400000),	\
	SET_TEXT("sql_database",	S, sql_database, ""),			\
	SET_TEXT("sql_query",		S, sql_query, ""),			\
	SET_TEXT_IF("sql_password_file", S, sql_password_file, "", setting_is_path_or_empty), \
	SET_TEXT("ldap_uri",		S, ldap_uri, ""),			\
	SET_BOOL("ldap_starttls",	S, ldap_starttls, "no"),		\
	SET_TEXT_IF("ldap_ca_file",	S, ldap_ca_file, "/etc/ssl/certs/ca-certificates.crt", setting_is_path), \
	SET_TEXT("ldap_base",		S, ldap_base, ""),			\
	SET_WORD("ldap_scope",		S, ldap_scope, "sub", directory_scopes), \
	SET_TEXT("ldap_filter",		S, ldap_filter, "(mail=%s)"),		\
	SET_TEXT("ldap_bind_dn",	S, ldap_bind_dn, ""),			\
	SET_TEXT_IF("ldap_password_file", S, ldap_password_file, "", setting_is_path_or_empty), \
	SET_WORD("ldap_password",	S, ldap_password, "bind", directory_passwords), \
	SET_LIST("ldap_attributes",	S, ldap_attributes, "", setting_is_ldap_attribute)

#endif
