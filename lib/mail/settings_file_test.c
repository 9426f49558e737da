/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "mail/settings.h"

struct one { const char *hostname; uint64_t limit, wait; bool quick; struct setting_list nets; };
struct two { const char *hostname, *path; uint64_t limit; };

static const struct setting table_one[] = {
	SET_TEXT_IF("hostname", struct one, hostname, "localhost", setting_is_domain),
	SET_SIZE("message_size_limit", struct one, limit, "25M", 1, 0),
	SET_TIME("smtpd_timeout", struct one, wait, "5m", 0, 0),
	SET_BOOL("quick", struct one, quick, "no"),
	SET_LIST("trusted_networks", struct one, nets, "127.0.0.0/8\n::1/128\n", setting_is_network),
	SET_END
};
static const struct setting table_two[] = {
	SET_TEXT("hostname", struct two, hostname, "localhost"),
	SET_TEXT_IF("log_file", struct two, path, "/var/log/mail", setting_is_path),
	SET_SIZE("message_size_limit", struct two, limit, "25M", 1024, 1 << 30),
	SET_END
};
static const struct setting *const tables[] = { table_one, table_two, NULL };

static struct settings_file *
parse(const char *content, struct buf *faults)
{
	buf_init(faults, 65536);
	return settings_parse("/etc/hermod/hermod.conf", text(content), tables, faults);
}

/* What a name's value is when all is well. */
static const struct { const char *content, *name, *value, *origin; } good[] = {
	{ "",					"hostname", "localhost", "default" },
	{ "# nothing\n\n",			"hostname", "localhost", "default" },
	{ "hostname = mx.example.org",		"hostname", "mx.example.org", "hermod.conf:1" },
	{ "# c\n\n  hostname=\"mx.example.org\" # why\n", "hostname", "mx.example.org", "hermod.conf:3" },
	{ "hostname = 'a.example'\nquick = yes",	"quick", "yes", "hermod.conf:2" },
	{ "trusted_networks = {}",		"trusted_networks", "", "hermod.conf:1" },
	{ "trusted_networks = {10.0.0.0/8,\n\t\"192.168.0.0/16\"}\n", "trusted_networks",
	    "10.0.0.0/8\n192.168.0.0/16\n", "hermod.conf:1" },
	{ "trusted_networks += {10.0.0.0/8}\n", "trusted_networks",
	    "127.0.0.0/8\n::1/128\n10.0.0.0/8\n", "hermod.conf:1" },
	{ "trusted_networks = {\n# one\n10.0.0.0/8 # ten\n}\nquick = yes", "quick", "yes", "hermod.conf:5" },
	{ "log_file = '/a # b'",		"log_file", "/a # b", "hermod.conf:1" },
	{ "message_size_limit = 10M",		"message_size_limit", "10M", "hermod.conf:1" },
};

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(good); i++) {
		struct buf faults;
		struct settings_file *f = parse(good[i].content, &faults);

		if (!f)
			fail_msg("%s\n%.*s", good[i].content, BYTES_FMT(buf_bytes(&faults)));
		assert_string_equal(settings_value(f, good[i].name), good[i].value);
		assert_string_equal(settings_origin(f, good[i].name), good[i].origin);
		assert_int_equal(settings_given(f, good[i].name), strcmp(good[i].origin, "default") != 0);
		settings_file_free(&f);
		buf_fini(&faults);
	}
}

/* Each fault: file, line, parameter, what was wrong, what would be right. */
static const struct { const char *content; unsigned faults; const char *says[3]; } bad[] = {
	{ "hostnam = x.example", 1, { "hermod.conf:1: hostnam: ", "did you mean hostname?" } },
	{ "xyzzy = 1", 1, { "hermod.conf:1: xyzzy: ", "hermod config" } },
	{ "\n\nhostname = -x", 1, { "hermod.conf:3: hostname: \"-x\": ", "mail.example.org" } },
	{ "hostname = -x\nquick = perhaps\nfoo = 1\n", 3,
	    { ":1: hostname: ", ":2: quick: \"perhaps\": not understood; right would be yes or no", ":3: foo: " } },
	{ "quick = yes\nquick = no", 1, { ":2: quick: is set twice, first in line 1" } },
	{ "quick = yes\nquick = yes", 1, { ":2: quick: is set twice" } },
	{ "quick =\nhostname = a.example", 1, { ":1: quick: the value is missing" } },
	{ "quick", 1, { ":1: quick: ", "right would be name = value" } },
	{ "hello world\nquick = maybe", 2, { ":1: hello: ", ":2: quick: " } },
	{ "hostname = \"a.example\nquick = maybe", 1, { ":1: hostname: ", "not closed" } },
	{ "trusted_networks = {10.0.0.0/8", 1, { ":1: trusted_networks: ", "not closed" } },
	{ "trusted_networks = 10.0.0.0/8, 192.168.0.0/16", 1, { ":1: trusted_networks: ", "{a, b}" } },
	{ "trusted_networks = {10.0.0.0/8, 10.0.0.1/8, nonsense}", 2,
	    { ":1: trusted_networks: \"10.0.0.1/8\": ", "10.0.0.0/8", "\"nonsense\"" } },
	{ "trusted_networks = {\"\"}", 1, { ":1: trusted_networks: \"\": not an address" } },
	{ "trusted_networks = {\"10.0.0.0/8\\n11.0.0.0/8\"}", 1, { "10.0.0.0/8?11.0.0.0/8" } },
	{ "hostname = {a.example}", 1, { ":1: hostname: ", "name = value" } },
	{ "hostname += a.example", 1, { ":1: hostname: " } },
	{ "message_size_limit = 1", 1, { "1K or more" } },		/* the second table is stricter */
	{ "message_size_limit = 25 M", 1, { ":1: ", "M" } },
	{ "log_file = \"/a\\nb\"", 1, { ":1: log_file: \"/a?b\": holds a control character" } },
	{ "log_file = \"${HOME}/x\"", 1, { ":1: ${: the environment is not asked" } },
	{ "/* quick = yes\n */", 1, { ":1: /*: a comment begins with #" } },
	{ "quick = yes hostname = a.example", 1, { ":1: hostname: stands behind another setting" } },
	{ "trusted_networks += {10.0.0.0/8\n}quick = yes", 1, { ":1: quick: stands behind another setting" } },
	{ "quick = yes }", 1, { ":1: quick: ", "brace" } },
};

static unsigned
count_lines(struct bytes s)
{
	unsigned n = 0;

	while (s.n > 0 && bytes_cut(&s, '\n').n > 0)
		n++;
	return n;
}

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(bad); i++) {
		struct buf faults;
		struct settings_file *f = parse(bad[i].content, &faults);

		buf_char(&faults, '\0');
		faults.n--;
		assert_null(f);
		for (size_t j = 0; j < 3 && bad[i].says[j]; j++)
			if (!strstr((char *)faults.p, bad[i].says[j]))
				fail_msg("%s\nsays\n%s", bad[i].content, (char *)faults.p);
		if (count_lines(buf_bytes(&faults)) != bad[i].faults)
			fail_msg("%s\nsays\n%s", bad[i].content, (char *)faults.p);
		buf_fini(&faults);
	}
}

static void
test_nul(void **state)
{
	static const char content[] = "quick = yes\nhost\0name = x\n";
	struct buf faults;

	(void)state;
	buf_init(&faults, 4096);
	assert_null(settings_parse("c", bytes_of(content, sizeof content - 1), tables, &faults));
	assert_true(bytes_starts(buf_bytes(&faults), text("c:2: a NUL")));
	buf_fini(&faults);
}

static void
test_too_long(void **state)
{
	struct buf faults, content;

	(void)state;
	buf_init(&faults, 1 << 20);
	buf_init(&content, 1 << 20);
	buf_text(&content, "trusted_networks = {");
	for (int i = 0; i < 4000; i++)
		buf_text(&content, "10.0.0.0/8, ");
	buf_text(&content, "11.0.0.0/8}\n");
	assert_null(settings_parse("c", buf_bytes(&content), tables, &faults));
	assert_true(bytes_starts(buf_bytes(&faults), text("c:1: trusted_networks: too long")));
	buf_fini(&content);
	buf_fini(&faults);
}

static void
test_fill(void **state)
{
	struct buf faults;
	struct settings_file *f = parse("quick = yes\ntrusted_networks={10.0.0.0/8}\n", &faults);
	struct one one;

	(void)state;
	settings_fill(f, table_one, &one);
	assert_true(one.quick);
	assert_int_equal(one.nets.n, 1);
	assert_string_equal(one.nets.item[0], "10.0.0.0/8");
	assert_int_equal(one.limit, 25 << 20);
	settings_free(table_one, &one);
	settings_file_free(&f);
	buf_fini(&faults);
}

static void
test_no_file(void **state)
{
	struct buf faults;

	(void)state;
	buf_init(&faults, 4096);
	assert_null(settings_load("/nonexistent/hermod.conf", tables, &faults));
	assert_true(bytes_starts(buf_bytes(&faults), text("/nonexistent/hermod.conf: cannot be read")));
	buf_clear(&faults);
	assert_null(settings_load("/dev/null", tables, &faults));
	assert_true(bytes_starts(buf_bytes(&faults), text("/dev/null: is no regular file")));
	buf_fini(&faults);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
