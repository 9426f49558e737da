/* SPDX-License-Identifier: ISC */
#include "mail/directory_settings.h"

#include <fcntl.h>

#include "base/file.h"
#include "config.h"
#include "mail/testing.h"

static const struct { const char *uri, *host; uint16_t port; const char *path; bool tls, here; } uris[] = {
	{ "ldap://ldap.example.org", "ldap.example.org", 389, "", false, false },
	{ "LDAPS://LDAP.example.org/", "ldap.example.org", 636, "", true, false },
	{ "ldaps://ldap.example.org:1636", "ldap.example.org", 1636, "", true, false },
	{ "ldap://127.0.0.1:65535", "127.0.0.1", 65535, "", false, true },
	{ "ldap://[::1]", "::1", 389, "", false, true },
	{ "ldap://[2001:db8::1]:390/", "2001:db8::1", 390, "", false, false },
	{ "ldap://localhost", "localhost", 389, "", false, true },
	{ "ldapi://%2Frun%2fslapd%2Fldapi", "", 0, "/run/slapd/ldapi", false, true },
	{ "ldapi://%2Fa%20b/", "", 0, "/a b", false, true },
	{ "ldap://", NULL, 0, NULL, false, false },
	{ "ldap://a b", NULL, 0, NULL, false, false },
	{ "ldap://ldap.example.org:0", NULL, 0, NULL, false, false },
	{ "ldap://ldap.example.org:65536", NULL, 0, NULL, false, false },
	{ "ldap://ldap.example.org:389x", NULL, 0, NULL, false, false },
	{ "ldap://[127.0.0.1]", NULL, 0, NULL, false, false },
	{ "ldap://[::1]x", NULL, 0, NULL, false, false },
	{ "ldap://[::1", NULL, 0, NULL, false, false },
	{ "ldap://a.test/dc=test", NULL, 0, NULL, false, false },
	{ "ldap://a.test ldap://b.test", NULL, 0, NULL, false, false },
	{ "ldapi://", NULL, 0, NULL, false, false },
	{ "ldapi://run", NULL, 0, NULL, false, false },
	{ "ldapi://%2", NULL, 0, NULL, false, false },
	{ "ldapi://%2Fa%00b", NULL, 0, NULL, false, false },
	{ "ldapi://%2Fa%2F", NULL, 0, NULL, false, false },
	{ "http://a.test", NULL, 0, NULL, false, false },
	{ "a.test", NULL, 0, NULL, false, false },
	{ "", NULL, 0, NULL, false, false },
};

static void
test_uris(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(uris); i++) {
		struct directory_server s;
		char why[512] = "";
		bool good = directory_ldap_uri(uris[i].uri, &s, why, sizeof why);

		assert_row_int(uris[i].uri, good, uris[i].host != NULL);
		if (!good) {
			assert_non_null(strstr(why, "ldap_uri: right would be"));
			continue;
		}
		assert_row_bytes(uris[i].uri, text(s.host), text(uris[i].host));
		assert_row_bytes(uris[i].uri, text(s.path), text(uris[i].path));
		assert_row_int(uris[i].uri, s.port, uris[i].port);
		assert_row_int(uris[i].uri, s.tls, uris[i].tls);
		assert_row_int(uris[i].uri, directory_is_here(&s), uris[i].here);
	}
}

/* unix(7): 107 octets. */
static void
test_socket_limit(void **state)
{
	struct directory_server s;
	char uri[256], why[512];

	(void)state;
	for (int more = 0; more < 2; more++) {
		snprintf(uri, sizeof uri, "ldapi://%%2F%0*d", 106 + more, 0);
		assert_int_equal(directory_ldap_uri(uri, &s, why, sizeof why), !more);
	}
}

static void
test_attributes(void **state)
{
	static const struct { const char *item; bool want; } rows[] = {
		{ "mailbox=mailMessageStore", true }, { "PASSWORD=userPassword", true }, { "uid=1.3.6.1.4.1", true },
		{ "state=x;lang-de", true }, { "mailbox=", false }, { "mailbox", false }, { "name=cn", true }, { "login=cn", false }, { "uid=a b", false },
		{ "uid=-a", false }, { "scram-sha-1=a", false }, { "scram_sha_1=a", true }, { "", false },
	};
	char why[512];

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		assert_row_int(rows[i].item, setting_is_ldap_attribute(rows[i].item, why, sizeof why), rows[i].want);
}

/* ---- all of it ---- */

#define QUERY	"SELECT mailbox FROM accounts WHERE name = $1"

static const struct directory_settings good_ldap = {
	.kind = DIRECTORY_LDAP, .ldap_uri = "ldaps://ldap.example.org", .ldap_base = "dc=example,dc=org", .ldap_filter = "(mail=%s)",
	.ldap_bind_dn = "", .ldap_password_file = "", .ldap_ca_file = "/ca", .sql_database = "", .sql_query = "",
	.sql_password_file = "", .ldap_password = DIRECTORY_BIND,
};

/* Names of members, and what they are changed to. */
static void
judge(struct directory_settings s, const char *want)
{
	char why[1400] = "";
	bool good = directory_judge(&s, why, sizeof why);

	if (want ? good || !strstr(why, want) : !good) {
		print_error("want \"%s\", got \"%s\"\n", want ? want : "", why);
		fail();
	}
}

#define JUDGE(want, ...) do {							\
		struct directory_settings s = base;				\
		__VA_ARGS__;							\
		judge(s, want);							\
	} while (0)

static void
test_ldap(void **state)
{
	struct directory_settings base = good_ldap;
	char *once[] = { (char *)"password=userPassword" }, *twice[] = { (char *)"uid=a", (char *)"uid=b" };

	(void)state;
#ifndef HAVE_LDAP
	JUDGE("account_directory: this build knows no LDAP; right would be one that was configured where libldap-dev is installed", );
	return;
#endif
	JUDGE(NULL, );
	JUDGE("ldap_uri: right would be", s.ldap_uri = "");
	JUDGE("ldap_uri: over a network everybody could read", s.ldap_uri = "ldap://ldap.example.org");
	JUDGE(NULL, s.ldap_uri = "ldap://ldap.example.org"; s.ldap_starttls = true);
	JUDGE(NULL, s.ldap_uri = "ldap://127.0.0.1");
	JUDGE("ldap_starttls: begins TLS where there is none yet", s.ldap_starttls = true);
	JUDGE("ldap_starttls: begins TLS", s.ldap_uri = "ldapi://%2Fa"; s.ldap_starttls = true);
	JUDGE("ldap_base: is not set", s.ldap_base = "");
	JUDGE("ldap_filter: not one filter", s.ldap_filter = "(mail=anna)");
	JUDGE("ldap_bind_dn: right would be", s.ldap_bind_dn = "cn=a");
	JUDGE("ldap_bind_dn: right would be", s.ldap_password_file = "/a");
	JUDGE(NULL, s.ldap_bind_dn = "cn=a"; s.ldap_password_file = "/a");
	JUDGE("ldap_password: right would be \"attribute\" with", s.ldap_password = DIRECTORY_ATTRIBUTE);
	JUDGE("ldap_password: right would be", s.ldap_attributes.item = once; s.ldap_attributes.n = 1);
	JUDGE(NULL, s.ldap_password = DIRECTORY_ATTRIBUTE; s.ldap_attributes.item = once; s.ldap_attributes.n = 1);
	JUDGE("ldap_attributes: has a field twice", s.ldap_attributes.item = twice; s.ldap_attributes.n = 2);
}

static void
test_sqlite(void **state)
{
	struct directory_settings base = good_ldap;

	(void)state;
	base.kind = DIRECTORY_SQLITE;
	base.sql_database = "/var/lib/mail/accounts.db";
	base.sql_query = QUERY;
#ifndef HAVE_SQLITE
	JUDGE("this build knows no SQLite; right would be one that was configured where libsqlite3-dev is installed", );
	return;
#endif
	JUDGE(NULL, );
	JUDGE("sql_database: not the path of a file", s.sql_database = "");
	JUDGE("sql_database: not the path of a file", s.sql_database = "accounts.db");
	JUDGE("sql_database: not the path of a file", s.sql_database = "/var/");
	JUDGE("sql_query: is not set", s.sql_query = "");
	JUDGE("sql_query: has no $1", s.sql_query = "SELECT mailbox FROM accounts WHERE name = ?");
	JUDGE("sql_query: has no $1", s.sql_query = "SELECT mailbox FROM accounts WHERE name = $12");
	JUDGE(NULL, s.sql_query = "SELECT $12, $1");
}

static void
test_postgresql(void **state)
{
	struct directory_settings base = good_ldap;

	(void)state;
	base.kind = DIRECTORY_POSTGRESQL;
	base.sql_database = "host=db.example.org user=mail sslmode=verify-full";
	base.sql_query = QUERY;
#ifndef HAVE_POSTGRESQL
	JUDGE("this build knows no PostgreSQL; right would be one that was configured where libpq-dev is installed", );
	return;
#endif
	JUDGE(NULL, );
	JUDGE("sql_database: a password does not stand there", s.sql_database = "host=a.test user=b password=c");
	JUDGE("sql_database: right would be host and user", s.sql_database = "");
	JUDGE("sql_database: right would be host and user", s.sql_database = "host=a.test");
	JUDGE("sql_database: port is no port", s.sql_database = "host=/run port=0 user=b");
	JUDGE("sql_database: sslmode is not known", s.sql_database = "host=/run user=b sslmode=full");
	JUDGE("sql_database: sslrootcert is no absolute path", s.sql_database = "host=/run user=b sslrootcert=system");
	JUDGE("sslmode=verify-full in it", s.sql_database = "host=db.example.org user=mail");
	JUDGE("sslmode=verify-full in it", s.sql_database = "host=192.0.2.1 user=mail sslmode=verify-ca");
	JUDGE("sql_database: host is neither", s.sql_database = "host=a.test,b.test user=mail sslmode=verify-full");
	JUDGE("sql_database: host is neither", s.sql_database = "host=@a user=mail");
	JUDGE(NULL, s.sql_database = "host=/run/postgresql user=mail");
	JUDGE(NULL, s.sql_database = "host=127.0.0.2 user=mail");
	JUDGE(NULL, s.sql_database = "host=::1 user=mail");
	JUDGE("sql_query: has no $1", s.sql_query = "SELECT 1");
}

/* ---- the file ---- */

static void
write_secret(const char *content, mode_t mode)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/secret", test_dir);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, text(content)));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static bool
read_secret(struct buf *secret, char why[512])
{
	char path[128];

	snprintf(path, sizeof path, "%s/secret", test_dir);
	buf_clear(secret);
	return directory_secret_read("ldap_password_file", path, secret, why, 512);
}

static void
test_secret(void **state)
{
	char line[DIRECTORY_SECRET_MAX + 3], why[512] = "";
	struct buf secret;

	(void)state;
	buf_init(&secret, DIRECTORY_SECRET_MAX + 512);
	write_secret("a b\"c\nmore\n", 0640);
	assert_true(read_secret(&secret, why));
	assert_bytes_equal(buf_bytes(&secret), text("a b\"c"));
	write_secret("secret", 0600);
	assert_true(read_secret(&secret, why));
	assert_bytes_equal(buf_bytes(&secret), text("secret"));
	write_secret("secret", 0644);
	assert_false(read_secret(&secret, why));
	assert_non_null(strstr(why, "chmod 640"));
	write_secret("\nsecret", 0600);
	assert_false(read_secret(&secret, why));
	assert_null(strstr(why, "/secret\n"));
	write_secret("a\rb", 0600);
	assert_false(read_secret(&secret, why));
	for (int more = 0; more < 2; more++) {
		snprintf(line, sizeof line, "%0*d\n", (int)DIRECTORY_SECRET_MAX + more, 0);
		write_secret(line, 0600);
		assert_int_equal(read_secret(&secret, why), !more);
	}
	buf_wipe(&secret);
}

static int
make_dir(void **state)
{
	(void)state;
	return test_dir_make("directory", true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uris), cmocka_unit_test(test_socket_limit), cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_ldap), cmocka_unit_test(test_sqlite), cmocka_unit_test(test_postgresql),
		cmocka_unit_test(test_secret),
	};

	return cmocka_run_group_tests(tests, make_dir, test_dir_remove);
}
