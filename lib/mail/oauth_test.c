/* SPDX-License-Identifier: ISC */
#include <fcntl.h>

#include "base/file.h"
#include "mail/oauth.h"
#include "mail/testing.h"

static const struct { const char *words, *host; uint16_t port; const char *path; } urls[] = {
	{ "https://id.example.org/introspect", "id.example.org", 443, "/introspect" },
	{ "https://ID.example.org:8443/a/b?c=d&e", "id.example.org", 8443, "/a/b?c=d&e" },
	{ "https://localhost", "localhost", 443, "/" },
	{ "https://localhost:1?x", "localhost", 1, "/?x" },
	{ "http://id.example.org/", NULL, 0, NULL },
	{ "HTTPS://id.example.org/", NULL, 0, NULL },
	{ "https://192.0.2.1/", NULL, 0, NULL },
	{ "https://[2001:db8::1]/", NULL, 0, NULL },
	{ "https://a:b@id.example.org/", NULL, 0, NULL },
	{ "https://a@id.example.org/", NULL, 0, NULL },
	{ "https://id.example.org:/", NULL, 0, NULL },
	{ "https://id.example.org:0/", NULL, 0, NULL },
	{ "https://id.example.org:65536/", NULL, 0, NULL },
	{ "https://id.example.org:443x/", NULL, 0, NULL },
	{ "https://id.example.org/#a", NULL, 0, NULL },
	{ "https://id.example.org/a b", NULL, 0, NULL },
	{ "https://id.example.org/\r\nHost: x", NULL, 0, NULL },
	{ "https://id.example.org/\xc3\xa4", NULL, 0, NULL },
	{ "https:///introspect", NULL, 0, NULL },
	{ "https://", NULL, 0, NULL },
	{ "", NULL, 0, NULL },
};

static void
test_urls(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(urls); i++) {
		struct oauth_url u;
		char why[256] = "";
		bool good = oauth_url_parse(urls[i].words, &u, why, sizeof why);

		assert_row_int(urls[i].words, good, urls[i].host != NULL);
		assert_row_int(urls[i].words, setting_is_oauth_url(urls[i].words, why, sizeof why), good || urls[i].words[0] == '\0');
		if (!good) {
			assert_non_null(strstr(why, "https://id.example.org/introspect"));
			continue;
		}
		assert_row_bytes(urls[i].words, text(u.host), text(urls[i].host));
		assert_row_int(urls[i].words, u.port, urls[i].port);
		assert_row_bytes(urls[i].words, text(u.path), text(urls[i].path));
	}
}

static void
test_url_limit(void **state)
{
	char words[OAUTH_URL_MAX + 2], why[256];
	struct oauth_url u;

	(void)state;
	snprintf(words, sizeof words, "https://a.test/%0*d", (int)(OAUTH_URL_MAX - strlen("https://a.test/")), 0);
	assert_true(oauth_url_parse(words, &u, why, sizeof why));
	snprintf(words, sizeof words, "https://a.test?%0*d", (int)(OAUTH_URL_MAX - strlen("https://a.test?")), 0);
	assert_true(oauth_url_parse(words, &u, why, sizeof why));
	assert_int_equal(strlen(u.path), OAUTH_URL_MAX - strlen("https://a.test") + 1);
	snprintf(words, sizeof words, "https://a.test/%0*d", (int)(OAUTH_URL_MAX - strlen("https://a.test/")) + 1, 0);
	assert_false(oauth_url_parse(words, &u, why, sizeof why));
}

#define RIGHT	"right would be one line"

static void
test_files(void **state)
{
	static char most[OAUTH_CLIENT_MAX + 3], large[OAUTH_CLIENT_MAX + 4];
	static const struct { const char *content; mode_t mode; const char *id, *secret, *why; } cases[] = {
		{ "hermod s3cret\n", 0600, "hermod", "s3cret", NULL },
		{ "hermod with some spaces\r\nmore\n", 0640, "hermod", "with some spaces", NULL },
		{ "hermod \xc3\xa4", 0400, "hermod", "\xc3\xa4", NULL },
		{ "hermod s3cret\n", 0644, NULL, NULL, "chmod 640" },
		{ "hermod s3cret\n", 0660, NULL, NULL, "chmod 640" },
		{ "hermod\n", 0600, NULL, NULL, RIGHT },
		{ "hermod \n", 0600, NULL, NULL, RIGHT },
		{ "hermod a\tb\n", 0600, NULL, NULL, RIGHT },
		{ "\nhermod s3cret\n", 0600, NULL, NULL, RIGHT },
		{ "", 0600, NULL, NULL, RIGHT },
		{ most, 0600, "a", most + 2, NULL },
		{ large, 0600, NULL, NULL, RIGHT },
	};
	struct buf id, secret;
	char path[128], why[512];

	(void)state;
	memset(most, 'a', sizeof most - 1);
	memset(large, 'a', sizeof large - 1);
	most[1] = large[1] = ' ';
	snprintf(path, sizeof path, "%s/client", test_dir);
	buf_init(&id, 3 * OAUTH_CLIENT_MAX);
	buf_init(&secret, 3 * OAUTH_CLIENT_MAX);
	for (size_t i = 0; i < LEN(cases); i++) {
		char row[32];
		bool good;

		snprintf(row, sizeof row, "row %zu", i);
		assert_true(file_replace(AT_FDCWD, path, text(cases[i].content), 0600));
		assert_int_equal(chmod(path, cases[i].mode), 0);
		good = oauth_client_read(path, &id, &secret, why, sizeof why);
		assert_row_int(row, good, cases[i].id != NULL);
		if (good) {
			assert_row_bytes(row, buf_bytes(&id), text(cases[i].id));
			assert_row_bytes(row, buf_bytes(&secret), text(cases[i].secret));
		} else if (!strstr(why, cases[i].why) || !strstr(why, path) || strstr(why, "s3cret"))
			fail_msg("%s: %s", row, why);
	}
	assert_false(oauth_client_read("/nonexistent", &id, &secret, why, sizeof why));
	assert_non_null(strstr(why, "No such file"));
	buf_fini(&id);
	buf_fini(&secret);
}

static int
make(void **state)
{
	(void)state;
	return test_dir_make("oauth", true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_url_limit),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, make, test_dir_remove);
}
