/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "router/router.h"

static char scratch[64];
static struct router_settings settings;
static struct resolver resolver;

static void
set(const char *name, const char *value)
{
	char why[256];

	if (!settings_set(router_settings, name, value, &settings, why, sizeof why))
		fail_msg("%s: %s", name, why);
}

static void
write_file(const char *name, const char *content)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", scratch, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd != -1 && file_write(fd, text(content)));
	close(fd);
}

static const char aliases[] =
    "postmaster: anna\n"
    "root: postmaster\n"
    "office: anna, bert, anna, Anna@A.EXAMPLE\n"
    "self: self, anna\n"
    "loop1: loop2\nloop2: loop1\n"
    "half: anna, nobody-at-all\n"
    "dead: nobody-at-all\n"
    "command: \"|/bin/cat\"\n"
    "file: /tmp/x\n"
    "include: :include:/tmp/x\n"
    "away: x@elsewhere.example\n"
    "strange: anna bert\n"
    "bert+direct: anna\n"
    "who@b.example: bert@a.example\n"
    "deep0: deep1\ndeep1: deep2\ndeep2: deep3\ndeep3: deep4\ndeep4: deep5\ndeep5: deep6\n"
    "deep6: deep7\ndeep7: deep8\ndeep8: deep9\ndeep9: deep10\ndeep10: anna\n";
static const char accounts[] =
    "anna@a.example password=x\n"
    "bert@a.example mailbox=mbox:/var/mail/bert\n uid=5000\n gid=5001\n"
    "self@a.example password=x\n"
    "off@a.example state=disabled\n"
    "broken@a.example state=strange\n"
    "Case@a.example password=x\n";
static const char passwd[] =
    "root:x:0:0:root:/root:/bin/sh\n"
    "sys:x:1234:1235:A user:/home/sys:/bin/sh\n";

static int
open_resolver(void **state)
{
	char spec[128], why[256];

	(void)state;
	snprintf(scratch, sizeof scratch, "/tmp/resolve-test-XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	write_file("aliases", aliases);
	write_file("accounts", accounts);
	write_file("passwd", passwd);
	settings_standard(router_settings, &settings);
	set("local_domains", "a.example\nb.example\n");
	set("hostname", "mx.a.example");
	snprintf(spec, sizeof spec, "text:%s/aliases", scratch);
	set("alias_map", spec);
	snprintf(spec, sizeof spec, "text:%s/accounts", scratch);
	set("account_map", spec);
	snprintf(spec, sizeof spec, "%s/passwd", scratch);
	set("passwd_file", spec);
	set("mail_directory", "/m");
	set("mail_uid", "700");
	set("mail_gid", "701");
	return resolver_init(&resolver, &settings, why, sizeof why) ? 0 : -1;
}

static int
close_resolver(void **state)
{
	static const char *const files[] = { "aliases", "accounts", "passwd" };

	(void)state;
	resolver_fini(&resolver);
	settings_free(router_settings, &settings);
	for (size_t i = 0; i < LEN(files); i++) {
		char path[128];

		snprintf(path, sizeof path, "%s/%s", scratch, files[i]);
		unlink(path);
	}
	return rmdir(scratch);
}

/* want: the finals, by spaces, or the reply. */
static const struct { const char *recipient; enum client_class who; const char *client, *want; } cases[] = {
	{ "anna@a.example",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example" },
	{ "anna@A.EXAMPLE",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example" },
	{ "Anna@a.example",	CLIENT_STRANGER, "192.0.2.1",	"Anna@a.example" },
	{ "\"anna\"@a.example",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example" },
	{ "@x.example:anna@a.example", CLIENT_STRANGER, "192.0.2.1", "anna@a.example" },
	{ "anna@[127.0.0.1]",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example" },
	{ "anna@[IPv6:::1]",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example" },
	{ "anna@[192.0.2.9]",	CLIENT_STRANGER, "192.0.2.1",	"554 5.7.1" },
	{ "anna+list@a.example", CLIENT_STRANGER, "192.0.2.1",	"anna+list@a.example" },
	{ "anna@b.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },
	{ "nobody@a.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },
	{ "off@a.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.2.1" },
	{ "broken@a.example",	CLIENT_STRANGER, "192.0.2.1",	"451 4.3.0" },
	{ "case@a.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },
	{ "Case@a.example",	CLIENT_STRANGER, "192.0.2.1",	"Case@a.example" },
	{ "+@a.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },
	{ "../../etc@a.example", CLIENT_STRANGER, "192.0.2.1",	"501 5.1.3" },
	{ "\"../x\"@a.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },
	{ "sys@a.example",	CLIENT_STRANGER, "192.0.2.1",	"sys@a.example" },
	{ "sys@b.example",	CLIENT_STRANGER, "192.0.2.1",	"sys@b.example" },
	{ "postmaster",		CLIENT_STRANGER, "192.0.2.1",	"anna@a.example" },
	{ "PostMaster@b.example", CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },	/* see test_postmaster */
	{ "root@a.example",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example" },
	{ "office@a.example",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example bert@a.example Anna@a.example" },
	{ "OFFICE@a.example",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example bert@a.example Anna@a.example" },
	{ "self@a.example",	CLIENT_STRANGER, "192.0.2.1",	"self@a.example anna@a.example" },
	{ "loop1@a.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },
	{ "half@a.example",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example" },
	{ "dead@a.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },
	{ "command@a.example",	CLIENT_STRANGER, "192.0.2.1",	"451 4.3.5" },
	{ "file@a.example",	CLIENT_STRANGER, "192.0.2.1",	"451 4.3.5" },
	{ "include@a.example",	CLIENT_STRANGER, "192.0.2.1",	"451 4.3.5" },
	{ "away@a.example",	CLIENT_STRANGER, "192.0.2.1",	"451 4.3.5" },
	{ "strange@a.example",	CLIENT_STRANGER, "192.0.2.1",	"451 4.3.5" },
	{ "bert+direct@a.example", CLIENT_STRANGER, "192.0.2.1", "anna@a.example" },
	{ "bert+x@a.example",	CLIENT_STRANGER, "192.0.2.1",	"bert+x@a.example" },
	{ "who@b.example",	CLIENT_STRANGER, "192.0.2.1",	"bert@a.example" },
	{ "who@a.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },
	{ "deep0@a.example",	CLIENT_STRANGER, "192.0.2.1",	"451 4.3.5" },
	{ "deep1@a.example",	CLIENT_STRANGER, "192.0.2.1",	"anna@a.example" },
	{ "|cat@a.example",	CLIENT_STRANGER, "192.0.2.1",	"550 5.1.1" },
	{ "x@elsewhere.example", CLIENT_STRANGER, "192.0.2.1",	"554 5.7.1" },
	{ "x@elsewhere.example", CLIENT_TRUSTED, "192.0.2.1",	"554 5.7.1" },
	{ "x@elsewhere.example", CLIENT_STRANGER, "127.0.0.1",	"550 5.4.4" },
	{ "x@elsewhere.example", CLIENT_ACCOUNT, "192.0.2.1",	"550 5.4.4" },
	{ "x@elsewhere.example", 77,		 "192.0.2.1",	"554 5.7.1" },
	{ "x%elsewhere.example@a.example", CLIENT_ACCOUNT, "192.0.2.1", "550 5.1.1" },
	{ "anna",		CLIENT_STRANGER, "192.0.2.1",	"501 5.1.3" },
	{ "anna",		CLIENT_LOCAL_USER, "",		"anna@a.example" },
	{ "gr\xc3\xbc\xc3\x9f@a.example", CLIENT_STRANGER, "192.0.2.1", "553 5.6.7" },
	{ "",			CLIENT_STRANGER, "192.0.2.1",	"501 5.1.3" },
};

static void
describe(const struct answer *a, struct buf *out)
{
	struct bytes run = buf_bytes(&a->routes);
	bool bad = false;

	buf_clear(out);
	if (a->verdict != YES) {
		buf_fmt(out, "%u %.5s", a->code, a->reply);
		return;
	}
	while (run.n > 0 && !bad) {
		struct bytes body = ipc_cut_text(&run, &bad);
		struct ipc_route route;
		struct ipc_in in;

		ipc_in_bytes(&in, body);
		assert_true(ipc_get_route(&in, &route));
		if (out->n > 0)
			buf_char(out, ' ');
		buf_add(out, route.final);
	}
	assert_false(bad);
}

static void
test_recipients(void **state)
{
	struct answer a;
	struct buf got;

	(void)state;
	answer_init(&a);
	buf_init(&got, 60000);
	for (size_t i = 0; i < LEN(cases); i++) {
		const char *want = cases[i].want;

		if (strncmp(cases[i].recipient, "PostMaster", 10) == 0)
			continue;
		resolve_recipient(&resolver, &(struct ipc_rcpt_check){
			.client_class = cases[i].who, .client = text(cases[i].client),
			.recipient = text(cases[i].recipient) }, &a);
		describe(&a, &got);
		if (!bytes_eq(buf_bytes(&got), text(want)))
			fail_msg("row %zu: want %s, got %u %s", i, want, a.code, a.reply);
	}
	buf_fini(&got);
	answer_fini(&a);
}

static void
first_route(const char *recipient, struct answer *a, struct ipc_route *route)
{
	struct bytes run;
	struct ipc_in in;
	bool bad = false;

	resolve_recipient(&resolver, &(struct ipc_rcpt_check){ .recipient = text(recipient) }, a);
	assert_int_equal(a->verdict, YES);
	run = buf_bytes(&a->routes);
	ipc_in_bytes(&in, ipc_cut_text(&run, &bad));
	assert_true(ipc_get_route(&in, route));
}

static void
test_routes(void **state)
{
	struct ipc_route r;
	struct answer a;

	(void)state;
	answer_init(&a);
	first_route("anna@a.example", &a, &r);
	assert_true(bytes_eq(r.nexthop, text("anna@a.example")));
	assert_true(bytes_eq(r.mailbox, text("maildir:/m/a.example/anna/Maildir")));
	assert_int_equal(r.uid, 700);
	assert_int_equal(r.gid, 701);
	first_route("bert+x@a.example", &a, &r);
	assert_true(bytes_eq(r.nexthop, text("bert@a.example")));
	assert_true(bytes_eq(r.mailbox, text("mbox:/var/mail/bert")));
	assert_int_equal(r.uid, 5000);
	assert_int_equal(r.gid, 5001);
	first_route("sys@a.example", &a, &r);
	assert_true(bytes_eq(r.nexthop, text("sys")));
	assert_true(bytes_eq(r.mailbox, text("maildir:/home/sys/Maildir")));
	assert_int_equal(r.uid, 1234);
	answer_fini(&a);
}

/* In the second domain postmaster is an alias to anna, whom only the first has. */
static void
test_postmaster(void **state)
{
	struct answer a;
	struct ipc_route r;

	(void)state;
	answer_init(&a);
	assert_true(resolve_postmaster(&resolver));
	resolve_recipient(&resolver, &(struct ipc_rcpt_check){
		.recipient = text("PostMaster@b.example") }, &a);
	assert_int_equal(a.code, 451);
	set("postmaster_address", "bert@a.example");
	first_route("PostMaster@b.example", &a, &r);
	assert_true(bytes_eq(r.final, text("bert@a.example")));
	set("postmaster_address", "");
	answer_fini(&a);
}

static void
test_final(void **state)
{
	struct answer a;
	struct buf got;

	(void)state;
	answer_init(&a);
	buf_init(&got, 60000);
	resolve_final(&resolver, text("self@a.example"), &a);	/* its alias was followed before */
	describe(&a, &got);
	assert_true(bytes_eq(buf_bytes(&got), text("self@a.example")));
	resolve_final(&resolver, text("office@a.example"), &a);	/* became an alias since */
	describe(&a, &got);
	assert_true(bytes_eq(buf_bytes(&got), text("anna@a.example bert@a.example Anna@a.example")));
	resolve_final(&resolver, text("x@elsewhere.example"), &a);
	assert_int_equal(a.verdict, NO);
	resolve_final(&resolver, text("broken@a.example"), &a);
	assert_int_equal(a.verdict, NOT_SURE);
	buf_fini(&got);
	answer_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_postmaster),
		cmocka_unit_test(test_final),
	};

	return cmocka_run_group_tests(tests, open_resolver, close_resolver);
}
