/* SPDX-License-Identifier: ISC */
#include "base/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "proto/sasl_oauth.h"
#include "router/logins.h"

static char scratch[64];
static struct router_settings settings;
static const char *const files[] = { "logins", "token", "loose", "shared", "foreign", "empty", "spaced", "long", "longest" };

static void
write_file(const char *name, struct bytes content, mode_t mode)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", scratch, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd != -1 && file_write(fd, content) && fchmod(fd, mode) == 0);
	close(fd);
}

static const char logins[] =
    "[mx.example.org]:587 anna correct horse\n"
    "mx.example.org mechanisms=PLAIN bert secret\n"
    "example.org off oauth:token\n"
    "192.0.2.1 off oauth:loose\n"
    "192.0.2.2 off oauth:nowhere\n"
    "192.0.2.3 off oauth:shared\n"
    "192.0.2.4 off oauth:foreign\n"
    "192.0.2.5 off oauth:empty\n"
    "192.0.2.6 off oauth:spaced\n"
    "192.0.2.7 off oauth:long\n"
    "192.0.2.8 off oauth:longest\n"
    "192.0.2.9 anna\n"
    "unix:/run/lmtp anna x\n";

static int
begin(void **state)
{
	static unsigned char x[SASL_OAUTH_TOKEN_MAX + 1];
	char spec[128], why[256];

	(void)state;
	snprintf(scratch, sizeof scratch, "/tmp/logins-test-XXXXXX");
	assert_non_null(mkdtemp(scratch));
	memset(x, 'x', sizeof x);
	write_file("logins", text(logins), 0600);
	write_file("token", text("ya29.token\n"), 0640);
	write_file("loose", text("t"), 0644);
	write_file("shared", text("t"), 0660);
	write_file("foreign", text("t"), 0600);
	write_file("empty", text("\n"), 0600);
	write_file("spaced", text("a b"), 0600);
	write_file("long", bytes_of(x, sizeof x), 0600);
	write_file("longest", bytes_of(x, sizeof x - 1), 0600);
	settings_standard(router_settings, &settings);
	snprintf(spec, sizeof spec, "text:%s/logins", scratch);
	assert_true(settings_set(router_settings, "smtp_credentials", spec, &settings, why, sizeof why));
	return 0;
}

static int
end(void **state)
{
	(void)state;
	settings_free(router_settings, &settings);
	for (size_t i = 0; i < LEN(files); i++) {
		char path[128];

		snprintf(path, sizeof path, "%s/%s", scratch, files[i]);
		unlink(path);
	}
	return rmdir(scratch);
}

static const struct { const char *nexthop; enum verdict v; const char *key, *user, *mechanisms, *secret; bool oauth; } cases[] = {
	{ "[mx.example.org]:587", YES, "[mx.example.org]:587", "anna", "", "correct horse", false },
	{ "[MX.example.org]:25", YES, "mx.example.org", "bert", "PLAIN", "secret", false },
	{ "mx.example.org", YES, "mx.example.org", "bert", "PLAIN", "secret", false },
	{ "example.org:587", YES, "example.org", "off", "", "ya29.token", true },
	{ "unix:/run/lmtp", YES, "unix:/run/lmtp", "anna", "", "x", false },
	{ "sub.example.org", NO, "", "", "", "", false },
	{ "example.com", NO, "", "", "", "", false },
	{ "", NO, "", "", "", "", false },
	{ "[192.0.2.1]", NOT_SURE, "192.0.2.1", "", "", "chmod 640", false },
	{ "[192.0.2.2]", NOT_SURE, "192.0.2.2", "", "", "nowhere: No such file", false },
	{ "[192.0.2.3]", NOT_SURE, "192.0.2.3", "", "", "chmod 640", false },
	{ "[192.0.2.5]", NOT_SURE, "192.0.2.5", "", "", "empty", false },
	{ "[192.0.2.6]", NOT_SURE, "192.0.2.6", "", "", "no token has", false },
	{ "[192.0.2.7]", NOT_SURE, "192.0.2.7", "", "", "no token has", false },
	{ "[192.0.2.9]", NOT_SURE, "192.0.2.9", "", "", "no password", false },
};

static void
test_find(void **state)
{
	char why[256];
	struct logins *l = logins_open(&settings, why, sizeof why);

	(void)state;
	assert_non_null(l);
	for (size_t i = 0; i < LEN(cases); i++) {
		struct ipc_credentials_answer a;
		const char *row = cases[i].nexthop;

		logins_find(l, text(row), &a);
		assert_row_int(row, a.verdict, cases[i].v);
		assert_row_bytes(row, a.key, text(cases[i].key));
		assert_row_bytes(row, a.user, text(cases[i].user));
		assert_row_bytes(row, a.mechanisms, text(cases[i].mechanisms));
		assert_row_int(row, a.oauth, cases[i].oauth);
		if (cases[i].v == NOT_SURE) {
			assert_row_int(row, strstr((const char *)a.reply.p, cases[i].secret) != NULL, true);
			assert_row_int(row, a.secret.n, 0);
		} else {
			assert_row_bytes(row, a.secret, text(cases[i].secret));
		}
	}
	logins_close(&l);
}

/* A token is read anew each time; one of the greatest length is taken. */
static void
test_token(void **state)
{
	char why[256];
	struct logins *l = logins_open(&settings, why, sizeof why);
	struct ipc_credentials_answer a;

	(void)state;
	logins_find(l, text("[192.0.2.8]"), &a);
	assert_int_equal(a.secret.n, SASL_OAUTH_TOKEN_MAX);
	write_file("token", text("another"), 0600);
	logins_find(l, text("example.org"), &a);
	assert_bytes_equal(a.secret, text("another"));
	logins_wipe(l);
	logins_close(&l);
}

static void
test_owner(void **state)
{
	char why[256], path[128];
	struct logins *l = logins_open(&settings, why, sizeof why);
	struct ipc_credentials_answer a;

	(void)state;
	snprintf(path, sizeof path, "%s/foreign", scratch);
	if (geteuid() == 0 && chown(path, 65534, 65534) == 0) {
		logins_find(l, text("[192.0.2.4]"), &a);
		assert_int_equal(a.verdict, NOT_SURE);
		assert_true(chown(scratch, 65534, 65534) == 0);		/* but where the folder is that user's it may be */
		logins_find(l, text("[192.0.2.4]"), &a);
		assert_int_equal(a.verdict, YES);
		assert_true(chown(scratch, 0, 0) == 0);
	}
	logins_close(&l);
}

static void
test_none(void **state)
{
	struct router_settings s;
	struct ipc_credentials_answer a;
	struct logins *l;
	char why[256];

	(void)state;
	settings_standard(router_settings, &s);
	l = logins_open(&s, why, sizeof why);
	logins_find(l, text("example.org"), &a);
	assert_int_equal(a.verdict, NO);
	logins_close(&l);
	assert_true(settings_set(router_settings, "smtp_credentials", "text:/nowhere/at/all", &s, why, sizeof why));
	l = logins_open(&s, why, sizeof why);
	assert_null(l);
	settings_free(router_settings, &s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
