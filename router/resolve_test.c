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
	set("local_domains", "a.example\nb.example\nxn--bcher-kva.example\n");
	set("hostname", "mx.a.example");
	set("relay_domains", "backup.example\n");
	set("routes", "sink.example smtp:[127.0.0.1]:2626\n.sub.example lmtp:unix:/run/lmtp\nboss@sink.example smtp:special.example\n"
	    "closed.example error:5.1.2 closed for good\nbusy.example error:4.3.2 not today\nplain.example smtp:\nfrom.example smtp:;from=2001:db8::5,192.0.2.5\n"
	    "fixed.example smtp:[mx.fixed.example]:26;from=192.0.2.5\nv4.example smtp:;from=192.0.2.5\n");
	write_file("transports", "mapped.example smtp:[mx.mapped.example]\nwrong.example smpt:x\n.example smtp:all.example\n"
	    "sink.example smtp:never.example\n");
	snprintf(spec, sizeof spec, "text:%s/transports", scratch);
	set("transport_map", spec);
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
	static const char *const files[] = { "aliases", "accounts", "passwd", "transports" };

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
	{ "away@a.example",	CLIENT_STRANGER, "192.0.2.1",	"x@elsewhere.example" },
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
	{ "x@elsewhere.example", CLIENT_STRANGER, "127.0.0.1",	"x@elsewhere.example" },
	{ "x@elsewhere.example", CLIENT_ACCOUNT, "192.0.2.1",	"x@elsewhere.example" },
	{ "x@backup.example",	CLIENT_STRANGER, "192.0.2.1",	"x@backup.example" },
	{ "x@BACKUP.example",	CLIENT_STRANGER, "192.0.2.1",	"x@backup.example" },
	{ "x@sub.backup.example", CLIENT_STRANGER, "192.0.2.1",	"554 5.7.1" },
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

/* RFC 6531 section 3.2: a domain comes as U-labels or A-labels; settings and tables have the latter. */
static void
test_international_domains(void **state)
{
	static const struct { const char *recipient, *want; } rows[] = {
		{ "sys@b\xc3\xbc" "cher.example", "sys@xn--bcher-kva.example" },
		{ "sys@B\xc3\x9c" "CHER.example", "sys@xn--bcher-kva.example" },
		{ "sys@xn--bcher-kva.example", "sys@xn--bcher-kva.example" },
		{ "nobody@b\xc3\xbc" "cher.example", "550 5.1.1" },
		{ "sys@b\xc3\xbc" "cher.test", "554 5.7.1" },
	};
	struct answer a;
	struct buf got;

	(void)state;
	answer_init(&a);
	buf_init(&got, 60000);
	for (size_t i = 0; i < LEN(rows); i++) {
		resolve_recipient(&resolver, &(struct ipc_rcpt_check){ .client_class = CLIENT_STRANGER, .client = text("192.0.2.1"),
		    .recipient = text(rows[i].recipient), .smtputf8 = 1 }, &a);
		describe(&a, &got);
		if (!bytes_eq(buf_bytes(&got), text(rows[i].want)))
			fail_msg("row %zu: want %s, got %u %s", i, rows[i].want, a.code, a.reply);
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

/* want: transport and next hop, or the refusal. */
static const struct { const char *recipient, *want; } ways[] = {
	{ "x@other.test",	"smtp other.test" },
	{ "x@Other.Test",	"smtp other.test" },
	{ "x@b\xc3\xbc" "cher.test", "smtp xn--bcher-kva.test" },
	{ "x@[192.0.2.7]",	"smtp [192.0.2.7]" },
	{ "x@[IPv6:2001:DB8::7]", "smtp [2001:db8::7]" },
	{ "x@[x400:c]",		"550 5.1.2" },
	{ "x@sink.example",	"smtp [127.0.0.1]:2626" },	/* before the table */
	{ "x@SINK.example",	"smtp [127.0.0.1]:2626" },
	{ "boss@sink.example",	"smtp special.example" },
	{ "Boss@sink.example",	"smtp special.example" },
	{ "\"boss\"@sink.example", "smtp special.example" },
	{ "x@sub.example",	"smtp all.example" },		/* not below itself, but below .example */
	{ "x@a.sub.example",	"lmtp unix:/run/lmtp" },
	{ "x@b.a.sub.example",	"lmtp unix:/run/lmtp" },
	{ "x@plain.example",	"smtp plain.example" },
	{ "x@mapped.example",	"smtp [mx.mapped.example]" },
	{ "x@from.example",	"smtp from.example;from=192.0.2.5,2001:db8::5" },
	{ "x@fixed.example",	"smtp [mx.fixed.example]:26;from=192.0.2.5" },
	{ "x@wrong.example",	"451 4.3.5" },
	{ "x@closed.example",	"550 5.1.2" },
	{ "x@busy.example",	"451 4.3.2" },
};

static void
describe_way(const char *recipient, struct answer *a, struct buf *got)
{
	struct ipc_route r;
	struct bytes run;
	struct ipc_in in;
	bool bad = false;

	resolve_recipient(&resolver, &(struct ipc_rcpt_check){ .client_class = CLIENT_ACCOUNT, .smtputf8 = 1,
	    .recipient = text(recipient) }, a);
	buf_clear(got);
	if (a->verdict != YES) {
		buf_fmt(got, "%u %.5s", a->code, a->reply);
		return;
	}
	run = buf_bytes(&a->routes);
	ipc_in_bytes(&in, ipc_cut_text(&run, &bad));
	assert_true(ipc_get_route(&in, &r));
	buf_fmt(got, "%.*s %.*s", BYTES_FMT(r.transport), BYTES_FMT(r.nexthop));
}

static void
test_ways(void **state)
{
	struct answer a;
	struct buf got;

	(void)state;
	answer_init(&a);
	buf_init(&got, 4096);
	for (size_t i = 0; i < LEN(ways); i++) {
		describe_way(ways[i].recipient, &a, &got);
		if (!bytes_eq(buf_bytes(&got), text(ways[i].want)))
			fail_msg("%s: want %s, got %.*s: %s", ways[i].recipient, ways[i].want, BYTES_FMT(buf_bytes(&got)), a.reply);
	}
	set("relay_host", "[smart.example]:587");
	describe_way("x@other.test", &a, &got);
	assert_true(bytes_eq(buf_bytes(&got), text("smtp [smart.example]:587")));
	describe_way("x@sink.example", &a, &got);
	assert_true(bytes_eq(buf_bytes(&got), text("smtp [127.0.0.1]:2626")));
	describe_way("x@[192.0.2.7]", &a, &got);
	assert_true(bytes_eq(buf_bytes(&got), text("smtp [smart.example]:587")));
	set("relay_host", "[192.0.2.1];from=192.0.2.6");
	describe_way("x@other.test", &a, &got);
	assert_true(bytes_eq(buf_bytes(&got), text("smtp [192.0.2.1];from=192.0.2.6")));
	describe_way("x@from.example", &a, &got);	/* of the route, not of relay_host */
	assert_true(bytes_eq(buf_bytes(&got), text("smtp [192.0.2.1];from=192.0.2.5,2001:db8::5")));
	set("relay_host", "[2001:db8::1]");
	describe_way("x@v4.example", &a, &got);		/* no way leads from there */
	assert_true(bytes_eq(buf_bytes(&got), text("451 4.3.5")));
	set("relay_host", "");
	buf_fini(&got);
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
	assert_int_equal(resolve_postmaster(&resolver), YES);
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
	describe(&a, &got);
	assert_true(bytes_eq(buf_bytes(&got), text("x@elsewhere.example")));
	resolve_final(&resolver, text("x@closed.example"), &a);
	assert_int_equal(a.verdict, NO);
	resolve_final(&resolver, text("broken@a.example"), &a);
	assert_int_equal(a.verdict, NOT_SURE);
	buf_fini(&got);
	answer_fini(&a);
}

/* want: rule and words of each step, a blank for each alias it is in; @ is the scratch folder. */
static const struct { const char *recipient; enum client_class who; const char *client, *want; } steps[] = {
	{ "anna+x@A.example", CLIENT_STRANGER, "192.0.2.1",
	    "domain a.example is ours: it is in local_domains\n"
	    "alias alias_map text:@/aliases does not have anna+x@a.example\n"
	    "alias alias_map text:@/aliases does not have anna+x\n"
	    "account anna+x@a.example is not in account_map text:@/accounts\n"
	    "account anna+x is not in passwd_file @/passwd\n"
	    "subaddress anna+x is anna with what recipient_delimiter + separates\n"
	    "alias alias_map text:@/aliases does not have anna@a.example\n"
	    "alias alias_map text:@/aliases does not have anna\n"
	    "account anna@a.example has the mailbox maildir:/m/a.example/anna/Maildir, of uid 700 and gid 701\n"
	    "recipient anna+x@a.example, by local to anna@a.example\n" },
	{ "self@mx.a.example", CLIENT_STRANGER, "192.0.2.1",
	    "domain mx.a.example is ours: it is hostname\n"
	    "alias alias_map text:@/aliases does not have self@mx.a.example\n"
	    "alias alias_map text:@/aliases has self: self, anna\n"
	    "item self\n"
	    " alias self@mx.a.example stands for the mailbox itself: no alias is looked for\n"
	    " account self@mx.a.example is not in account_map text:@/accounts\n"
	    " account self is not in passwd_file @/passwd\n"
	    "fault alias self@mx.a.example: self has no mailbox here\n"
	    "item anna\n"
	    " alias alias_map text:@/aliases does not have anna@mx.a.example\n"
	    " alias alias_map text:@/aliases does not have anna\n"
	    " account anna@mx.a.example is not in account_map text:@/accounts\n"
	    " account anna is not in passwd_file @/passwd\n"
	    "fault alias self@mx.a.example: anna has no mailbox here\n" },
	{ "loop1@[127.0.0.1]", CLIENT_STRANGER, "192.0.2.1",
	    "domain [127.0.0.1] is this host: local_addresses has 127.0.0.1/32\n"
	    "alias alias_map text:@/aliases does not have loop1@a.example\n"
	    "alias alias_map text:@/aliases has loop1: loop2\n"
	    "item loop2\n"
	    " alias alias_map text:@/aliases does not have loop2@a.example\n"
	    " alias alias_map text:@/aliases has loop2: loop1\n"
	    " item loop1\n"
	    "  alias alias_map text:@/aliases does not have loop1@a.example\n"
	    "  alias alias_map text:@/aliases has loop1: loop2\n"
	    "  alias loop1@a.example has been followed already\n"
	    " fault alias loop2@a.example: loop1 has no mailbox here\n"
	    "fault alias loop1@a.example: loop2 has no mailbox here\n" },
	{ "off@a.example", CLIENT_STRANGER, "192.0.2.1",
	    "domain a.example is ours: it is in local_domains\n"
	    "alias alias_map text:@/aliases does not have off@a.example\n"
	    "alias alias_map text:@/aliases does not have off\n"
	    "account off@a.example is disabled\n" },
	{ "command@a.example", CLIENT_STRANGER, "192.0.2.1",
	    "domain a.example is ours: it is in local_domains\n"
	    "alias alias_map text:@/aliases does not have command@a.example\n"
	    "alias alias_map text:@/aliases has command: \"|/bin/cat\"\n"
	    "item \"|/bin/cat\"\n"
	    " fault alias command@a.example: commands, files and :include: are not understood yet; right would be addresses\n" },
	{ "Postmaster@b.example", CLIENT_STRANGER, "192.0.2.1",
	    "domain b.example is ours: it is in local_domains\n"
	    "postmaster is always taken (RFC 5321 section 4.5.1)\n"
	    "alias alias_map text:@/aliases does not have postmaster@b.example\n"
	    "alias alias_map text:@/aliases has postmaster: anna\n"
	    "item anna\n"
	    " alias alias_map text:@/aliases does not have anna@b.example\n"
	    " alias alias_map text:@/aliases does not have anna\n"
	    " account anna@b.example is not in account_map text:@/accounts\n"
	    " account anna is not in passwd_file @/passwd\n"
	    "fault alias postmaster@b.example: anna has no mailbox here\n"
	    "postmaster nobody has it: postmaster_address is empty\n"
	    "fault alias postmaster: nobody reads its mail; right would be an alias postmaster, or postmaster_address\n" },
	{ "x@elsewhere.test", CLIENT_STRANGER, "192.0.2.1",
	    "domain elsewhere.test is another host's: it is neither hostname nor in local_domains\n"
	    "relay 192.0.2.1 is in none of trusted_networks, and has not logged in\n"
	    "relay elsewhere.test is not in relay_domains\n" },
	{ "x@backup.example", CLIENT_STRANGER, "192.0.2.1",
	    "domain backup.example is another host's: it is neither hostname nor in local_domains\n"
	    "relay 192.0.2.1 is in none of trusted_networks, and has not logged in\n"
	    "relay backup.example is taken from anybody: it is in relay_domains\n"
	    "route transport_map text:@/transports does not have x@backup.example\n"
	    "route transport_map text:@/transports does not have backup.example\n"
	    "route transport_map text:@/transports has .example: smtp:all.example\n"
	    "recipient x@backup.example, by smtp to all.example\n" },
	{ "x@sink.example", CLIENT_STRANGER, "127.0.0.9",
	    "domain sink.example is another host's: it is neither hostname nor in local_domains\n"
	    "relay 127.0.0.9 may send to other hosts: trusted_networks has 127.0.0.0/8\n"
	    "route transport_map text:@/transports does not have x@sink.example\n"
	    "route routes has sink.example: smtp:[127.0.0.1]:2626\n"
	    "recipient x@sink.example, by smtp to [127.0.0.1]:2626\n" },
	{ "x@wrong.example", CLIENT_LOCAL_USER, "local",
	    "domain wrong.example is another host's: it is neither hostname nor in local_domains\n"
	    "relay users of this host may send to other hosts\n"
	    "route transport_map text:@/transports does not have x@wrong.example\n"
	    "route transport_map text:@/transports has wrong.example: smpt:x\n"
	    "fault transport_map: wrong.example: not a transport; right would be smtp:, lmtp: or error:\n" },
	{ "x@[192.0.2.7]", CLIENT_ACCOUNT, "",
	    "domain [192.0.2.7] is another host's: it is not in local_addresses\n"
	    "relay who has logged in may send to other hosts\n"
	    "route transport_map text:@/transports does not have x@[192.0.2.7]\n"
	    "route transport_map text:@/transports does not have [192.0.2.7]\n"
	    "route transport_map text:@/transports does not have .0.2.7]\n"
	    "route transport_map text:@/transports does not have .2.7]\n"
	    "route transport_map text:@/transports does not have .7]\n"
	    "route transport_map text:@/transports does not have *\n"
	    "route neither routes nor transport_map has a way for [192.0.2.7]\n"
	    "route relay_host is empty: to [192.0.2.7] itself\n"
	    "recipient x@[192.0.2.7], by smtp to [192.0.2.7]\n" },
	{ "not an address", CLIENT_STRANGER, "192.0.2.1", "" },
};

/* The steps as rows have them. */
static void
describe_steps(const struct explanation *e, struct buf *out)
{
	struct bytes run = buf_bytes(&e->steps);
	bool bad = false;

	buf_clear(out);
	while (run.n > 0) {
		struct ipc_explain_step step;
		struct ipc_in in;

		ipc_in_bytes(&in, ipc_cut_text(&run, &bad));
		assert_true(ipc_get_explain_step(&in, &step) && !bad);
		for (unsigned i = 0; i < step.depth; i++)
			buf_char(out, ' ');
		buf_fmt(out, "%.*s %.*s\n", BYTES_FMT(step.rule), BYTES_FMT(step.words));
	}
}

static void
put_wanted(const char *want, struct buf *out)
{
	buf_clear(out);
	for (; *want; want++)
		if (*want == '@' && want[1] == '/')
			buf_text(out, scratch);
		else
			buf_char(out, (unsigned char)*want);
}

/* The steps are told, and what is answered is what would be answered without. */
static void
test_explained(void **state)
{
	struct explanation e;
	struct answer a, plain;
	struct buf got, want;

	(void)state;
	explanation_init(&e);
	answer_init(&a);
	answer_init(&plain);
	buf_init(&got, 60000);
	buf_init(&want, 60000);
	for (size_t i = 0; i < LEN(steps); i++) {
		struct ipc_rcpt_check ask = { .client_class = steps[i].who, .client = text(steps[i].client),
		    .recipient = text(steps[i].recipient) };

		explanation_clear(&e);
		resolver.explain = &e;
		resolve_recipient(&resolver, &ask, &a);
		resolver.explain = NULL;
		resolve_recipient(&resolver, &ask, &plain);
		describe_steps(&e, &got);
		put_wanted(steps[i].want, &want);
		if (!bytes_eq(buf_bytes(&got), buf_bytes(&want)))
			fail_msg("%s: want\n%.*sgot\n%.*s", steps[i].recipient, BYTES_FMT(buf_bytes(&want)), BYTES_FMT(buf_bytes(&got)));
		assert_int_equal(e.depth, 0);
		assert_int_equal(e.left_out, 0);
		assert_int_equal(a.code, plain.code);
		assert_string_equal(a.reply, plain.reply);
		assert_true(bytes_eq(buf_bytes(&a.routes), buf_bytes(&plain.routes)));
	}
	buf_fini(&want);
	buf_fini(&got);
	answer_fini(&plain);
	answer_fini(&a);
	explanation_fini(&e);
}

/* What is too long ends in "..."; what is too much is counted, and nothing is cut in the middle. */
static void
test_explained_at_length(void **state)
{
	static char words[EXPLAIN_WORDS + 2];
	struct ipc_explain_step step;
	struct explanation e;
	struct bytes run;
	struct ipc_in in;
	bool bad = false;
	size_t n = 0;

	(void)state;
	explanation_init(&e);
	memset(words, 'x', EXPLAIN_WORDS);
	explain(&e, "rule", "%s", words);
	words[EXPLAIN_WORDS] = 'x';
	explain(&e, "rule", "%s", words);
	run = buf_bytes(&e.steps);
	for (size_t i = 0; i < 2; i++) {
		ipc_in_bytes(&in, ipc_cut_text(&run, &bad));
		assert_true(ipc_get_explain_step(&in, &step) && !bad && step.words.n == EXPLAIN_WORDS);
		assert_int_equal(bytes_ends(step.words, text("x...")), i == 1);
	}
	explanation_clear(&e);
	while (e.left_out < 3)
		explain(&e, "rule", "%zu %s", n++, words);
	assert_true(e.steps.n <= EXPLAIN_OCTETS && e.steps.n + EXPLAIN_WORDS + 64 > EXPLAIN_OCTETS);
	for (run = buf_bytes(&e.steps); run.n > 0; n--) {
		ipc_in_bytes(&in, ipc_cut_text(&run, &bad));
		assert_true(ipc_get_explain_step(&in, &step) && !bad);
	}
	assert_int_equal(n, 3);
	explanation_fini(&e);
	explain(NULL, "rule", "nobody listens");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_international_domains),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_postmaster),
		cmocka_unit_test(test_final),
		cmocka_unit_test(test_explained),
		cmocka_unit_test(test_explained_at_length),
	};

	return cmocka_run_group_tests(tests, open_resolver, close_resolver);
}
