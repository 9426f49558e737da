/* SPDX-License-Identifier: ISC */
#include "mail/folder_name.h"
#include "proto/testing.h"

static const struct {
	const char *name, *maildirpp, *fs;	/* NULL: there can be none */
} pairs[] = {
	{ "INBOX",		".",			"." },
	{ "Work",		".Work",		"Work" },
	{ "Work/2024",		".Work.2024",		"Work/2024" },
	{ "INBOX/old",		".INBOX.old",		"INBOX/old" },
	{ "\xc3\x84.b",		".&AMQ-&AC4-b",		"&AMQ-.b" },
	{ "a.b.c",		".a&AC4-b&AC4-c",	"a.b.c" },
	{ ".",			".&AC4-",		"&AC4-" },
	{ "..",			".&AC4-&AC4-",		"&AC4-." },
	{ "../../etc/passwd",	".&AC4-&AC4-.&AC4-&AC4-.etc.passwd", "&AC4-./&AC4-./etc/passwd" },
	{ ".Work",		".&AC4-Work",		"&AC4-Work" },
	{ "a/cur",		".a.cur",		"a/&AGM-ur" },
	{ "new",		".new",			"&AG4-ew" },
	{ "tmp/tmp",		".tmp.tmp",		"&AHQ-mp/&AHQ-mp" },
	{ "current",		".current",		"current" },
	{ "subscriptions",	".subscriptions",	"&AHM-ubscriptions" },
	{ "hermod.ledger",	".hermod&AC4-ledger",	"&AGg-ermod.ledger" },
	{ "dovecot-uidlist",	".dovecot-uidlist",	"&AGQ-ovecot-uidlist" },
	{ "a&b",		".a&-b",		"a&-b" },
	{ "&AC4-",		".&-AC4-",		"&-AC4-" },
	{ "a b\\*%\"",		".a b\\*%\"",		"a b\\*%\"" },
	{ "\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac", ".&U,BTFw-.&ZeVnLA-", "&U,BTFw-/&ZeVnLA-" },
};

static void
test_there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(pairs); i++) {
		for (enum folder_layout l = FOLDERS_MAILDIRPP; l <= FOLDERS_FS; l++) {
			char path[FOLDER_PATH_MAX];
			struct buf name;

			assert_true(folder_path(l, text(pairs[i].name), path));
			assert_string_equal(path, l == FOLDERS_FS ? pairs[i].fs : pairs[i].maildirpp);
			buf_init(&name, FOLDER_NAME_MAX);
			assert_true(folder_of_path(l, text(path), &name));
			assert_bytes_equal(buf_bytes(&name), text(pairs[i].name));
			buf_fini(&name);
		}
	}
}

static void
test_no_folders_of_ours(void **state)
{
	static const struct { enum folder_layout layout; const char *path; } cases[] = {
		{ FOLDERS_MAILDIRPP, "" }, { FOLDERS_MAILDIRPP, "cur" }, { FOLDERS_MAILDIRPP, ".." },
		{ FOLDERS_MAILDIRPP, ".a..b" }, { FOLDERS_MAILDIRPP, ".a." }, { FOLDERS_MAILDIRPP, "subscriptions" },
		{ FOLDERS_MAILDIRPP, ".INBOX" },		/* INBOX is the folder itself */
		{ FOLDERS_MAILDIRPP, ".Inbox.x" },		/* it is .INBOX.x */
		{ FOLDERS_MAILDIRPP, ".\xc3\x84" },		/* not in modified UTF-7 */
		{ FOLDERS_MAILDIRPP, ".&AGM-ur" },		/* nothing there wants it escaped */
		{ FOLDERS_MAILDIRPP, ".a/b" }, { FOLDERS_MAILDIRPP, ".&AMQ" }, { FOLDERS_MAILDIRPP, ".&AC4" },
		{ FOLDERS_FS, "" }, { FOLDERS_FS, "cur" }, { FOLDERS_FS, "a/new" }, { FOLDERS_FS, "/a" }, { FOLDERS_FS, "a//b" },
		{ FOLDERS_FS, "a/" }, { FOLDERS_FS, ".." }, { FOLDERS_FS, "../a" }, { FOLDERS_FS, "a/../b" }, { FOLDERS_FS, ".x" },
		{ FOLDERS_FS, "hermod.lock" }, { FOLDERS_FS, "INBOX" }, { FOLDERS_FS, "a&AC4-b" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct buf name;

		buf_init(&name, FOLDER_NAME_MAX);
		if (folder_of_path(cases[i].layout, text(cases[i].path), &name))
			fail_msg("%s is %.*s", cases[i].path, (int)name.n, (char *)name.p);
		assert_int_equal(name.n, 0);
		buf_fini(&name);
	}
}

static void
test_normal(void **state)
{
	static const struct { const char *name, *normal; } cases[] = {
		{ "inbox", "INBOX" }, { "InBox/A", "INBOX/A" }, { "inboxes", "inboxes" }, { "a/inbox", "a/inbox" },
		{ "", NULL }, { "/", NULL }, { "/a", NULL }, { "a/", NULL }, { "a//b", NULL }, { "a\r\nb", NULL },
		{ "a\x7f", NULL }, { "\xff", NULL }, { "\xc3", NULL }, { "a\xc2\x85", NULL }, { "~", "~" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct buf out;
		bool good;

		buf_init(&out, FOLDER_NAME_MAX);
		good = folder_name_normal(text(cases[i].name), &out);
		if (good != (cases[i].normal != NULL))
			fail_msg("\"%s\": %d", cases[i].name, good);
		assert_bytes_equal(buf_bytes(&out), text(cases[i].normal));
		buf_fini(&out);
	}
}

/* n levels of the octet c, each of so many. */
static struct bytes
levels(unsigned char *p, size_t n, size_t each)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			p[at++] = '/';
		memset(p + at, 'x', each);
		at += each;
	}
	return bytes_of(p, at);
}

static void
test_limits(void **state)
{
	static unsigned char p[4096];
	char path[FOLDER_PATH_MAX];
	struct buf out;

	(void)state;
	buf_init(&out, FOLDER_NAME_MAX);
	assert_true(folder_name_normal(levels(p, FOLDER_LEVELS_MAX, 1), &out));
	assert_false(folder_name_normal(levels(p, FOLDER_LEVELS_MAX + 1, 1), &out));
	buf_clear(&out);
	assert_true(folder_name_normal(levels(p, 1, FOLDER_NAME_MAX), &out));
	assert_false(folder_name_normal(levels(p, 1, FOLDER_NAME_MAX + 1), &out));
	assert_true(folder_path(FOLDERS_MAILDIRPP, levels(p, 1, 254), path));	/* and its dot */
	assert_false(folder_path(FOLDERS_MAILDIRPP, levels(p, 1, 255), path));
	assert_false(folder_path(FOLDERS_MAILDIRPP, levels(p, 2, 127), path));
	assert_true(folder_path(FOLDERS_FS, levels(p, 1, 255), path));
	assert_false(folder_path(FOLDERS_FS, levels(p, 1, 256), path));
	assert_true(folder_path(FOLDERS_FS, levels(p, 3, 255), path));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_no_folders_of_ours),
		cmocka_unit_test(test_normal),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
