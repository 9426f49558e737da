/* SPDX-License-Identifier: ISC */
#include "mail/directory_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "config.h"
#include "mail/network.h"
#include "proto/ldap_filter.h"

const char *const directory_scopes[] = { "sub", "one", "base", NULL };
const char *const directory_passwords[] = { "bind", "attribute", NULL };

const char *const directory_fields[DIRECTORY_FIELDS] = {
	[DIRECTORY_PASSWORD] = "password", [DIRECTORY_SCRAM_SHA_1] = "scram_sha_1",
	[DIRECTORY_SCRAM_SHA_256] = "scram_sha_256", [DIRECTORY_MAILBOX] = "mailbox", [DIRECTORY_UID] = "uid",
	[DIRECTORY_GID] = "gid", [DIRECTORY_STATE] = "state", [DIRECTORY_NAME] = "name",
};
#define FIELDS_IN_WORDS	"password, scram_sha_1, scram_sha_256, mailbox, uid, gid, state, name"

static bool __attribute__((format(printf, 3, 4)))
fault(char *why, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, cap, fmt, ap);
	va_end(ap);
	return false;
}

enum directory_field
directory_field(struct bytes name)
{
	unsigned f = 0;

	while (f < DIRECTORY_FIELDS && !bytes_case_eq(name, text(directory_fields[f])))
		f++;
	return f;
}

/* ---- servers ---- */

static bool
is_address(const char *host, struct address *a)
{
	return address_parse(text(host), a);
}

bool
directory_is_here(const struct directory_server *s)
{
	struct address a;

	return s->host[0] == '\0' || strcmp(s->host, "localhost") == 0 || (is_address(s->host, &a) && address_is_loopback(&a));
}

static bool
take_host(struct bytes host, struct directory_server *out)
{
	struct address a;
	char why[256];

	if (!bytes_to_text(host, out->host, sizeof out->host))
		return false;
	for (char *p = out->host; *p; p++)
		*p = (char)ascii_lower((unsigned char)*p);
	return is_address(out->host, &a) || setting_is_domain(out->host, why, sizeof why);
}

/* "host", "host:389", "[::1]:389" */
static bool
take_authority(struct bytes s, uint16_t standard, struct directory_server *out)
{
	struct bytes host = s;
	uint64_t port = standard;

	if (s.n > 0 && s.p[0] == '[') {
		if (bytes_find(s, ']') == s.n)
			return false;
		s = bytes_skip(s, 1);
		host = bytes_cut(&s, ']');
		if (bytes_find(host, ':') == host.n || (s.n > 0 && s.p[0] != ':'))
			return false;
		s = bytes_skip(s, 1);
	} else
		host = bytes_cut(&s, ':');
	if (s.n > 0 && (!bytes_u64(s, UINT16_MAX, &port) || port == 0))
		return false;
	out->port = (uint16_t)port;
	return take_host(host, out);
}

static int
hex(unsigned char c)
{
	c = ascii_lower(c);
	return ascii_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986 section 2.1: %2Frun%2Fldapi */
static bool
take_path(struct bytes s, struct directory_server *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c == '%') {
			if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
				return false;
			c = (unsigned char)(16 * hex(s.p[i + 1]) + hex(s.p[i + 2]));
			i += 2;
		}
		if (c < ' ' || n + 1 >= sizeof out->path)
			return false;
		out->path[n++] = (char)c;
	}
	return out->path[0] == '/' && out->path[n - 1] != '/';
}

static bool
parse_uri(struct bytes s, struct directory_server *out)
{
	struct bytes scheme = s;
	size_t at = 0;

	*out = (struct directory_server){ 0 };
	while (at + 3 <= s.n && memcmp(s.p + at, "://", 3) != 0)
		at++;
	if (at + 3 > s.n)
		return false;
	scheme = bytes_head(s, at);
	s = bytes_skip(s, at + 3);
	if (s.n > 0 && s.p[s.n - 1] == '/')
		s = bytes_head(s, s.n - 1);
	if (bytes_case_eq(scheme, text("ldapi")))
		return take_path(s, out);
	out->tls = bytes_case_eq(scheme, text("ldaps"));
	if (!out->tls && !bytes_case_eq(scheme, text("ldap")))
		return false;
	return take_authority(s, out->tls ? 636 : 389, out);
}

bool
directory_ldap_uri(const char *uri, struct directory_server *out, char *why, size_t cap)
{
	return parse_uri(text(uri), out) || fault(why, cap, "ldap_uri: right would be like ldaps://ldap.example.org, "
	    "ldap://127.0.0.1:389 or ldapi://%%2Frun%%2Fslapd%%2Fldapi, one server and nothing behind it");
}

static const char *const sslmodes[] = { "disable", "allow", "prefer", "require", "verify-ca", "verify-full", NULL };

static bool
is_one_of(const char *s, const char *const *words)
{
	while (*words && strcmp(s, *words) != 0)
		words++;
	return *words != NULL;
}

bool
directory_postgresql(const struct conninfo *c, struct directory_server *out, char *why, size_t cap)
{
	const char *host = c->value[CONNINFO_HOST], *port = c->value[CONNINFO_PORT], *mode = c->value[CONNINFO_SSLMODE];
	const char *ca = c->value[CONNINFO_SSLROOTCERT];
	uint64_t n = 5432;

	*out = (struct directory_server){ 0 };
	if (port && (!bytes_u64(text(port), UINT16_MAX, &n) || n == 0))
		return fault(why, cap, "sql_database: port is no port; right would be a number, 1 to 65535");
	out->port = (uint16_t)n;
	if (!host || !c->value[CONNINFO_USER] || c->value[CONNINFO_USER][0] == '\0')
		return fault(why, cap, "sql_database: right would be host and user in it, like host=db.example.org user=mail "
		    "dbname=mail sslmode=verify-full");
	if (mode && !is_one_of(mode, sslmodes))
		return fault(why, cap, "sql_database: sslmode is not known; right would be verify-full");
	if (ca && ca[0] != '/')
		return fault(why, cap, "sql_database: sslrootcert is no absolute path; right would be like "
		    "/etc/ssl/certs/ca-certificates.crt");
	if (host[0] == '/')
		return snprintf(out->path, sizeof out->path, "%s/.s.PGSQL.%u", host, out->port) < (int)sizeof out->path
		    || fault(why, cap, "sql_database: host: the path is too long for a socket");
	if (!take_host(text(host), out))
		return fault(why, cap, "sql_database: host is neither a name, an address, nor a folder with a socket; right would be "
		    "one of them, and one alone");
	if (!directory_is_here(out) && (!mode || strcmp(mode, "verify-full") != 0))
		return fault(why, cap, "sql_database: over a network anybody could answer in the server's place; right would be "
		    "sslmode=verify-full in it (and sslrootcert, if the CA is not one of the system's)");
	return true;
}

/* ---- attributes ---- */

/* RFC 4512 section 2.5: name or number, with options. */
static bool
is_attribute(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != ';')
			return false;
	return s.n > 0 && s.n <= 128 && ascii_alnum(s.p[0]);
}

bool
directory_attribute(struct bytes item, enum directory_field *field, struct bytes *attribute)
{
	*attribute = item;
	*field = directory_field(bytes_cut(attribute, '='));
	return *field < DIRECTORY_FIELDS && is_attribute(*attribute);
}

bool
setting_is_ldap_attribute(const char *value, char *why, size_t cap)
{
	enum directory_field f;
	struct bytes attribute;

	return directory_attribute(text(value), &f, &attribute)
	    || fault(why, cap, "right would be FIELD=ATTRIBUTE, like mailbox=mailMessageStore; FIELD one of " FIELDS_IN_WORDS);
}

/* ---- all of it ---- */

static bool
has_library(unsigned kind, char *why, size_t cap)
{
	static const struct { bool here; const char *what, *package; } libraries[] = {
		[DIRECTORY_NONE] = { true, "", "" },
#ifdef HAVE_LDAP
		[DIRECTORY_LDAP] = { true, "", "" },
#else
		[DIRECTORY_LDAP] = { false, "LDAP", "libldap-dev" },
#endif
#ifdef HAVE_SQLITE
		[DIRECTORY_SQLITE] = { true, "", "" },
#else
		[DIRECTORY_SQLITE] = { false, "SQLite", "libsqlite3-dev" },
#endif
#ifdef HAVE_POSTGRESQL
		[DIRECTORY_POSTGRESQL] = { true, "", "" },
#else
		[DIRECTORY_POSTGRESQL] = { false, "PostgreSQL", "libpq-dev" },
#endif
	};

	return libraries[kind].here || fault(why, cap, "account_directory: this build knows no %s; right would be one that was "
	    "configured where %s is installed", libraries[kind].what, libraries[kind].package);
}

static bool
judge_query(const struct directory_settings *s, char *why, size_t cap)
{
	const char *p = s->sql_query;

	if (p[0] == '\0')
		return fault(why, cap, "sql_query: is not set; right would be like SELECT password, mailbox FROM accounts WHERE name = $1");
	while ((p = strstr(p, "$1")) && ascii_digit((unsigned char)p[2]))
		p += 2;
	if (!p)
		return fault(why, cap, "sql_query: has no $1, so that it would be the same for everybody; right would be $1 where the "
		    "name goes, without quotes around it");
	return true;
}

static bool
judge_postgresql(const struct directory_settings *s, char *why, size_t cap)
{
	struct arena *arena = arena_new(CONNINFO_ARENA);
	struct directory_server server;
	struct conninfo c;
	char what[512];
	bool good = conninfo_parse(text(s->sql_database), arena, &c, what, sizeof what)
	    || fault(why, cap, "sql_database: %s", what);

	good = good && directory_postgresql(&c, &server, why, cap);
	arena_free(&arena);
	return good;
}

static bool
judge_sqlite(const struct directory_settings *s, char *why, size_t cap)
{
	size_t n = strlen(s->sql_database);

	return (n > 1 && n < 1000 && s->sql_database[0] == '/' && s->sql_database[n - 1] != '/')
	    || fault(why, cap, "sql_database: not the path of a file; right would be like /var/lib/mail/accounts.db");
}

static bool
has_password(const struct setting_list *l)
{
	enum directory_field f;
	struct bytes attribute;

	for (size_t i = 0; i < l->n; i++)
		if (directory_attribute(text(l->item[i]), &f, &attribute) && f == DIRECTORY_PASSWORD)
			return true;
	return false;
}

static bool
is_twice(const struct setting_list *l)
{
	unsigned seen = 0;
	enum directory_field f;
	struct bytes attribute;

	for (size_t i = 0; i < l->n; i++) {
		if (!directory_attribute(text(l->item[i]), &f, &attribute) || (seen & 1u << f))
			return true;
		seen |= 1u << f;
	}
	return false;
}

static bool
judge_ldap(const struct directory_settings *s, char *why, size_t cap)
{
	struct directory_server server;

	if (!directory_ldap_uri(s->ldap_uri, &server, why, cap))
		return false;
	if (s->ldap_starttls && (server.tls || server.host[0] == '\0'))
		return fault(why, cap, "ldap_starttls: begins TLS where there is none yet; right would be ldap:// in ldap_uri beside it");
	if (!server.tls && !s->ldap_starttls && !directory_is_here(&server))
		return fault(why, cap, "ldap_uri: over a network everybody could read the passwords; right would be ldaps:// in it, or "
		    "ldap_starttls = yes beside it");
	if (s->ldap_base[0] == '\0')
		return fault(why, cap, "ldap_base: is not set; right would be like ou=people,dc=example,dc=org");
	if (!ldap_filter_is_template(text(s->ldap_filter)))
		return fault(why, cap, "ldap_filter: not one filter in parentheses with %%s where the name goes; right would be like "
		    "(&(objectClass=inetOrgPerson)(mail=%%s))");
	if ((s->ldap_bind_dn[0] != '\0') != (s->ldap_password_file[0] != '\0'))
		return fault(why, cap, "ldap_bind_dn: right would be ldap_password_file beside it, or neither of them");
	if (is_twice(&s->ldap_attributes))
		return fault(why, cap, "ldap_attributes: has a field twice; right would be each one once");
	if ((s->ldap_password == DIRECTORY_ATTRIBUTE) != has_password(&s->ldap_attributes))
		return fault(why, cap, "ldap_password: right would be \"attribute\" with password=ATTRIBUTE in ldap_attributes, or "
		    "\"bind\" without it");
	return true;
}

bool
directory_judge(const struct directory_settings *s, char *why, size_t cap)
{
	if (!has_library(s->kind, why, cap))
		return false;
	switch (s->kind) {
	case DIRECTORY_LDAP:		return judge_ldap(s, why, cap);
	case DIRECTORY_SQLITE:		return judge_sqlite(s, why, cap) && judge_query(s, why, cap);
	case DIRECTORY_POSTGRESQL:	return judge_postgresql(s, why, cap) && judge_query(s, why, cap);
	default:			return true;
	}
}

/* ---- files ---- */

const char *
directory_secret_file(const struct directory_settings *s, const char **setting)
{
	*setting = s->kind == DIRECTORY_LDAP ? "ldap_password_file" : "sql_password_file";
	return s->kind == DIRECTORY_LDAP ? s->ldap_password_file : s->kind == DIRECTORY_POSTGRESQL ? s->sql_password_file : "";
}

static bool
read_open(const char *setting, const char *path, int fd, struct buf *secret, char *why, size_t cap)
{
	struct bytes all, line;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return fault(why, cap, "%s: %s: %s", setting, path, strerror(errno));
	if (st.st_mode & (S_IWGRP | S_IRWXO))
		return fault(why, cap, "%s: %s: others than its owner can write it, or everybody read it: chmod 640", setting, path);
	if (!file_slurp_from(fd, secret))
		return fault(why, cap, "%s: %s: %s", setting, path, strerror(errno));
	all = buf_bytes(secret);
	line = bytes_cut(&all, '\n');
	secret->n = line.n;
	return (line.n > 0 && line.n <= DIRECTORY_SECRET_MAX && !bytes_has_control(line))
	    || fault(why, cap, "%s: %s: right would be one line, the password, of at most %u octets", setting, path, DIRECTORY_SECRET_MAX);
}

bool
directory_secret_read(const char *setting, const char *path, struct buf *secret, char *why, size_t cap)
{
	int fd = file_open(AT_FDCWD, path, O_RDONLY, 0);
	bool good;

	if (fd == -1)
		return fault(why, cap, "%s: %s: %s", setting, path, strerror(errno));
	good = read_open(setting, path, fd, secret, why, cap);
	fd_close(&fd);
	return good;
}

static bool
can_read(const char *setting, const char *path, char *why, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd != -1 || fault(why, cap, "%s: %s: %s", setting, path, strerror(errno));

	fd_close(&fd);
	return good;
}

static bool
can_read_root(const struct directory_settings *s, char *why, size_t cap)
{
	struct arena *arena = arena_new(CONNINFO_ARENA);
	struct conninfo c;
	char what[512];
	bool good = !conninfo_parse(text(s->sql_database), arena, &c, what, sizeof what) || !c.value[CONNINFO_SSLROOTCERT]
	    || can_read("sql_database: sslrootcert", c.value[CONNINFO_SSLROOTCERT], why, cap);

	arena_free(&arena);
	return good;
}

bool
directory_judge_files(const struct directory_settings *s, char *why, size_t cap)
{
	const char *setting, *path = directory_secret_file(s, &setting);
	struct directory_server server;
	struct buf secret;
	bool good = true;

	buf_init(&secret, DIRECTORY_SECRET_MAX + 512);
	if (path[0] != '\0')
		good = directory_secret_read(setting, path, &secret, why, cap);
	buf_wipe(&secret);
	if (good && s->kind == DIRECTORY_SQLITE)
		good = can_read("sql_database", s->sql_database, why, cap);
	if (good && s->kind == DIRECTORY_POSTGRESQL)
		good = can_read_root(s, why, cap);
	if (good && s->kind == DIRECTORY_LDAP && directory_ldap_uri(s->ldap_uri, &server, why, cap)
	    && (server.tls || s->ldap_starttls))
		good = can_read("ldap_ca_file", s->ldap_ca_file, why, cap);
	return good;
}
