/* SPDX-License-Identifier: ISC */
#include <fcntl.h>

#include "base/file.h"
#include "mail/notice_template.h"
#include "mail/testing.h"

static void
test_faults(void **state)
{
	static const struct { const char *name; struct bytes in; const char *wrong; } rows[] = {
#define ROW(name, in, wrong)	{ name, { (const unsigned char *)in, sizeof in - 1 }, wrong }
		ROW("fine", "Subject: s\n\na $$ $sender, $until.\n$recipients\n  $returned \n", NULL),
		ROW("CRLF", "subject:s\r\n\r\n$recipients\r\n", NULL),
		ROW("no body", "Subject: s\n\n", NULL),
		ROW("no empty line", "Subject: s", NULL),
		ROW("nothing", "", "Subject: ..."),
		ROW("no subject", "Hello\n\nx", "Subject: ..."),
		ROW("an empty subject", "Subject: \n\nx", "line 1"),
		ROW("something in line 2", "Subject: s\nFrom: x\n\n", "an empty one"),
		ROW("an unknown name", "Subject: s\n\nx\n$nobody\n", "line 4: $nobody is no name"),
		ROW("a name's beginning", "Subject: s\n\n$send\n", "line 3: $send is no name"),
		ROW("a name that goes on", "Subject: s\n\n$senders\n", "line 3: $senders is no name"),
		ROW("a dollar", "Subject: s\n\n5 $\n", "line 3: $ is no name"),
		ROW("not by itself", "Subject: s\n\nto $recipients\n", "line 3: $recipients has to be a line"),
		ROW("twice", "Subject: s\n\n$recipients\n$recipients\n", "line 4: $recipients has to be"),
		ROW("a control", "Subject: s\n\n\x1b[2J", "not a text"),
		ROW("NUL", "Subject: s\n\n\0", "not a text"),
		ROW("no UTF-8", "Subject: s\n\n\xe4", "not a text"),
#undef ROW
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct notice_template t;
		char why[256] = "";
		bool good = notice_template_parse(rows[i].in, &t, why, sizeof why);

		if (good != (rows[i].wrong == NULL) || (!good && strstr(why, rows[i].wrong) == NULL))
			fail_msg("%s: %s", rows[i].name, why);
	}
}

static void
test_size(void **state)
{
	static char all[NOTICE_TEMPLATE_MAX + 1] = "Subject: s\n\n";
	struct notice_template t;
	char why[256];

	(void)state;
	memset(all + 12, 'x', sizeof all - 12);
	assert_true(notice_template_parse(bytes_of(all, NOTICE_TEMPLATE_MAX), &t, why, sizeof why));
	assert_false(notice_template_parse(bytes_of(all, NOTICE_TEMPLATE_MAX + 1), &t, why, sizeof why));
}

static void
test_pieces(void **state)
{
	static const struct { const char *words; enum notice_name name; } want[] = {
		{ "a ", NAME_NONE }, { NULL, NAME_SENDER }, { " costs 5 ", NAME_NONE }, { "$", NAME_NONE }, { "\n  ", NAME_NONE },
		{ NULL, NAME_RECIPIENTS }, { "b", NAME_NONE },
	};
	struct bytes body = text("a $sender costs 5 $$\n  $recipients \nb"), words;
	enum notice_name name;

	(void)state;
	for (size_t i = 0; i < LEN(want); i++) {
		assert_true(notice_template_next(&body, &words, &name));
		assert_int_equal(name, want[i].name);
		if (want[i].words)
			assert_bytes_equal(words, text(want[i].words));
	}
	assert_false(notice_template_next(&body, &words, &name));
}

static void
write_file(const char *name, const char *words)
{
	int dir = open(test_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(file_replace(dir, name, text(words), 0644));
	fd_close(&dir);
}

static void
test_files(void **state)
{
	struct notice_templates t;
	struct buf faults;

	(void)state;
	buf_init(&faults, 4096);
	write_file("failure.txt", "Subject: ours\n\n$recipients\n");
	write_file("delay.txt", "Subject: ours\n\n$nobody\n");
	notice_templates_load(&t, test_dir, &faults);
	assert_bytes_equal(t.text[NOTICE_TEXT_FAILURE].subject, text("ours"));
	assert_bytes_equal(t.text[NOTICE_TEXT_DELAY].subject, notice_template_standard(NOTICE_TEXT_DELAY).subject);
	assert_bytes_equal(t.text[NOTICE_TEXT_SUCCESS].subject, notice_template_standard(NOTICE_TEXT_SUCCESS).subject);
	buf_char(&faults, '\0');
	assert_non_null(strstr((char *)faults.p, "/delay.txt: line 3: $nobody is no name"));
	assert_null(strstr((char *)faults.p, "failure.txt"));
	assert_null(strstr((char *)faults.p, "success.txt"));
	notice_templates_free(&t);
	buf_fini(&faults);
}

static int
set_up(void **state)
{
	(void)state;
	return test_dir_make("notice_template", true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test_setup_teardown(test_files, set_up, test_dir_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
