/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/notice_advice.h"
#include "mail/notice_testing.h"
#include "proto/mime_field.h"
#include "proto/mime_tree.h"
#include "proto/rfc5322_field.h"
#include "proto/testing.h"

/* One message, one notification, and what is found in it. */
struct made {
	struct arena	*arena;
	struct envelope	 envelope;
	struct recipient rcpts[4];
	struct notice_templates templates;
	struct notice_rules rules;
	struct notice	 notice;
	struct notice_look header_look, look;
	char		 boundary[NOTICE_BOUNDARY_MAX];
	struct buf	 out;
	struct mime_tree tree;
};

static const char plain[] = "From: anna@x.example\r\nSubject: s\r\nMessage-ID: <1@x.example>\r\n\r\nHello.\r\n";

static void
made_init(struct made *m)
{
	struct buf faults;

	memset(m, 0, sizeof *m);
	buf_init(&faults, 10);
	buf_init(&m->out, 4 << 20);
	m->arena = arena_new(64 << 20);
	notice_templates_load(&m->templates, "", &faults);
	m->rules = (struct notice_rules){ .hostname = "mx.example", .full = true, .full_octets = 100000, .lifetime_s = 432000,
	    .templates = &m->templates };
	m->envelope = (struct envelope){ .sender = text("anna@x.example"), .client = text("192.0.2.9"),
	    .helo = text("client.example"), .arrival_s = 1600000000, .rcpts = m->rcpts, .nrcpts = 1 };
	m->rcpts[0] = (struct recipient){ .original = text("bert@y.example"), .final = text("bert@y.example"),
	    .state = RCPT_FAILED, .last_reply = text("5.1.1 no such user"), .remote = text("mx.y.example [192.0.2.1]:25"),
	    .command = text("RCPT"), .said = text("550 5.1.1 no such user"), .last_s = 1600000100, .attempts = 1,
	    .transport = text("smtp") };
}

static void
made_fini(struct made *m)
{
	buf_fini(&m->out);
	notice_templates_free(&m->templates);
	arena_free(&m->arena);
}

static void
make(struct made *m, struct bytes message, enum notice_kind kind)
{
	struct notice *n = &m->notice;
	struct notice_told *told;
	enum notice_next next;

	*n = (struct notice){ .rules = &m->rules, .envelope = &m->envelope, .about = "ABOUT", .id = "NOTICE",
	    .to = m->envelope.sender, .takes_8bit = n->takes_8bit, .to_postmaster = n->to_postmaster, .now_s = 1600432100,
	    .header = header_of(message), .octets = message.n, .header_look = &m->header_look };
	n->ntold = notice_recipients(&m->envelope, kind, m->arena, &told, &n->failed);
	n->told = told;
	notice_boundary((const unsigned char *)"0123456789abcdef", m->boundary);
	n->boundary = m->boundary;
	notice_look_init(&m->header_look, m->boundary);
	notice_look(&m->header_look, n->header);
	look_at(&m->look, m->boundary, message);
	if (notice_wants_message(&m->rules, &m->envelope, n->failed, message.n))
		n->look = &m->look;
	notice_begin(n, m->arena);
	while ((next = notice_next(n, &m->out)) != NOTICE_DONE)
		for (struct bytes rest = message; next == NOTICE_CONTENT && rest.n > 0; rest = bytes_skip(rest, NOTICE_CHUNK))
			notice_content(n, bytes_head(rest, NOTICE_CHUNK), &m->out);
	assert_false(m->out.full);
	mime_tree_parse(buf_bytes(&m->out), m->arena, &m->tree);
}

static struct bytes
body_of(const struct made *m, const char *number)
{
	const struct mime_part *p = mime_tree_part(&m->tree, text(number));
	struct mime_range r;

	assert_non_null(p);
	r = mime_part_body(p);
	return bytes_of(m->out.p + r.at, r.n);
}

static bool
says(struct bytes in, const char *words)
{
	return memmem(in.p, in.n, words, strlen(words)) != NULL;
}

#define assert_says(in, words)	do { if (!says((in), (words))) \
	fail_msg("\"%s\" is not in:\n%.*s", (words), BYTES_FMT(in)); } while (0)
#define assert_not_says(in, words)	do { if (says((in), (words))) \
	fail_msg("\"%s\" is in:\n%.*s", (words), BYTES_FMT(in)); } while (0)

/* Lines, octets, and three parts; whatever went in. */
static void
check_legal(const struct made *m)
{
	struct bytes rest = buf_bytes(&m->out);
	const struct mime_part *p;
	size_t parts = 0;

	assert_true(rest.n > 2 && rest.p[rest.n - 1] == '\n');
	while (rest.n > 0) {
		struct bytes line = bytes_cut(&rest, '\n');

		assert_true(line.n > 0 && line.n <= 999 && line.p[line.n - 1] == '\r');
		for (size_t i = 0; i + 1 < line.n; i++)
			assert_true(line.p[i] != '\r' && line.p[i] != '\0' && (line.p[i] < 0x80 || m->notice.body != BODY_7BIT));
	}
	assert_int_equal(m->tree.root->kind, MIME_MULTIPART);
	for (p = m->tree.root->first; p != NULL; p = p->next)
		parts++;
	assert_int_equal(parts, m->notice.returned == RETURN_NOTHING ? 2 : 3);
}

static void
field_is_in(struct bytes part, const char *name, const char *want)
{
	struct field f;

	if (!field_find(part, name, &f))
		fail_msg("no %s in:\n%.*s", name, BYTES_FMT(part));
	assert_row_bytes(name, f.value, text(want));
}

static struct bytes
type_of(const struct made *m, const char *number)
{
	return bytes_trim(mime_tree_part(&m->tree, text(number))->fields[MIME_TYPE]);
}

static struct bytes
encoding_of(const struct made *m, const char *number)
{
	return bytes_trim(mime_tree_part(&m->tree, text(number))->fields[MIME_ENCODING]);
}

/* ---- */

static void
test_a_failure(void **state)
{
	struct made m;
	struct bytes all, status, rcpt;

	(void)state;
	made_init(&m);
	m.envelope.envid = text("Env-1 (a)");
	m.rcpts[0].orcpt = text("rfc822;Bert@y.example");
	make(&m, text(plain), NOTICE_FINAL);
	check_legal(&m);
	all = buf_bytes(&m.out);
	field_is_in(all, "From", "MAILER-DAEMON <postmaster@mx.example>");
	field_is_in(all, "To", "<anna@x.example>");
	field_is_in(all, "Auto-Submitted", "auto-replied");
	field_is_in(all, "References", "<1@x.example>");
	field_is_in(all, "Message-ID", "<NOTICE@mx.example>");
	status = body_of(&m, "2");
	field_is_in(status, "Original-Envelope-Id", "Env-1 (a)");
	field_is_in(status, "Reporting-MTA", "dns; mx.example");
	field_is_in(status, "Received-From-MTA", "dns; client.example (192.0.2.9)");
	rcpt = bytes_of(memmem(status.p, status.n, "\r\n\r\n", 4), 0);
	rcpt = bytes_of(rcpt.p + 4, (size_t)(status.p + status.n - rcpt.p - 4));
	field_is_in(rcpt, "Original-Recipient", "rfc822; Bert@y.example");
	field_is_in(rcpt, "Final-Recipient", "rfc822; bert@y.example");
	field_is_in(rcpt, "Action", "failed");
	field_is_in(rcpt, "Status", "5.1.1");
	field_is_in(rcpt, "Remote-MTA", "dns; mx.y.example");
	field_is_in(rcpt, "Diagnostic-Code", "smtp; 550 5.1.1 no such user");
	assert_says(body_of(&m, "1"), "<bert@y.example>");
	assert_says(body_of(&m, "1"), "There is no mailbox of that name");
	assert_says(body_of(&m, "1"), "The message is attached.");
	assert_bytes_equal(type_of(&m, "3"), text("message/rfc822"));
	assert_bytes_equal(body_of(&m, "3"), text(plain));
	made_fini(&m);
}

/* What is not there is not made up. */
static void
test_little_is_known(void **state)
{
	struct made m;

	(void)state;
	made_init(&m);
	m.rcpts[0] = (struct recipient){ .final = text("f@x.example"), .state = RCPT_FAILED };
	m.envelope.client = m.envelope.helo = text("local");
	m.envelope.origin = ORIGIN_LOCAL_USER;
	make(&m, text(""), NOTICE_FINAL);
	check_legal(&m);
	assert_int_equal(m.notice.returned, RETURN_MESSAGE);
	assert_not_says(body_of(&m, "2"), "Original-");
	assert_not_says(body_of(&m, "2"), "Received-From-MTA");
	assert_not_says(body_of(&m, "2"), "Remote-MTA");
	assert_not_says(body_of(&m, "2"), "Diagnostic-Code");
	assert_says(body_of(&m, "2"), "Status: 5.0.0");
	assert_says(body_of(&m, "2"), "Final-Recipient: rfc822; f@x.example");
	assert_not_says(buf_bytes(&m.out), "References");
	made_fini(&m);
}

static void
test_actions(void **state)
{
	static const struct { const char *name; enum rcpt_state state; uint32_t notify; const char *transport, *reply;
	    enum notice_kind kind; const char *subject, *fields, *words; } rows[] = {
		{ "a delay", RCPT_WAITING, 0, "smtp", "4.4.1 no answer", NOTICE_DELAY, "Your message is delayed",
		    "Action: delayed\r\nStatus: 4.4.1\r\n", "IT NEED NOT BE SENT AGAIN" },
		{ "a delay that says 5", RCPT_WAITING, 0, "smtp", "5.4.1 x", NOTICE_DELAY, "Your message is delayed",
		    "Action: delayed\r\nStatus: 4.0.0\r\n", "until Fri, 18 Sep 2020" },
		{ "too late", RCPT_FAILED, 0, "smtp", "4.4.1 no answer", NOTICE_FINAL, "Your message could not be delivered",
		    "Action: failed\r\nStatus: 4.4.1\r\n", "It could not be delivered within 5 days, in 1 attempt" },
		{ "no code", RCPT_FAILED, 0, "smtp", "no", NOTICE_FINAL, "Your message could not be delivered",
		    "Action: failed\r\nStatus: 5.0.0\r\n", "no other reason" },
		{ "delivered", RCPT_PASSED, NOTIFY_SUCCESS, "local", "2.1.5 fine", NOTICE_FINAL, "Your message was delivered",
		    "Action: delivered\r\nStatus: 2.1.5\r\n", "in the recipient's mailbox" },
		{ "relayed", RCPT_PASSED, NOTIFY_SUCCESS, "smtp", "2.0.0 ok", NOTICE_FINAL, "Your message was delivered",
		    "Action: relayed\r\nStatus: 2.0.0\r\n", "It was handed on to mx.y.example" },
		{ "delivered, by an old code", RCPT_PASSED, NOTIFY_SUCCESS, "local", "4.2.2 full", NOTICE_FINAL,
		    "Your message was delivered", "Action: delivered\r\nStatus: 2.0.0\r\n", "in the recipient's mailbox" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct made m;

		made_init(&m);
		m.rcpts[0].state = rows[i].state;
		m.rcpts[0].notify = rows[i].notify;
		m.rcpts[0].transport = text(rows[i].transport);
		m.rcpts[0].last_reply = text(rows[i].reply);
		make(&m, text(plain), rows[i].kind);
		check_legal(&m);
		field_is_in(buf_bytes(&m.out), "Subject", rows[i].subject);
		assert_says(body_of(&m, "2"), rows[i].fields);
		assert_says(body_of(&m, "1"), rows[i].words);
		if (says(body_of(&m, "2"), "Will-Retry-Until") != (rows[i].kind == NOTICE_DELAY))
			fail_msg("%s: Will-Retry-Until", rows[i].name);
		if (m.notice.failed == 0)
			assert_bytes_equal(type_of(&m, "3"), text("text/rfc822-headers"));
		made_fini(&m);
	}
}

static void
test_aliases(void **state)
{
	struct made m;
	struct bytes status;

	(void)state;
	made_init(&m);
	m.envelope.nrcpts = 3;
	m.rcpts[0] = (struct recipient){ .original = text("team@x.example"), .final = text("secret@y.example"),
	    .state = RCPT_PASSED, .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE, .transport = text("local") };
	m.rcpts[1] = m.rcpts[0];
	m.rcpts[1].final = text("carl@y.example");
	m.rcpts[1].state = RCPT_FAILED;
	m.rcpts[2] = m.rcpts[1];
	m.rcpts[2].original = text("single@x.example");
	m.rcpts[2].final = text("hidden@y.example");
	make(&m, text(plain), NOTICE_FINAL);
	check_legal(&m);
	status = body_of(&m, "2");
	assert_says(status, "Final-Recipient: rfc822; carl@y.example\r\nAction: failed");
	assert_says(status, "Final-Recipient: rfc822; single@x.example\r\nAction: failed");
	assert_says(status, "Final-Recipient: rfc822; team@x.example\r\nAction: expanded");
	assert_says(body_of(&m, "1"), "<carl@y.example>\r\n    one of those behind <team@x.example>");
	assert_not_says(buf_bytes(&m.out), "secret@");
	assert_not_says(buf_bytes(&m.out), "hidden@");
	buf_clear(&m.out);
	m.notice.to_postmaster = true;
	make(&m, text(plain), NOTICE_FINAL);
	assert_says(body_of(&m, "1"), "which leads to <hidden@y.example>");
	made_fini(&m);
}

static void
test_replies(void **state)
{
	static const struct { const char *said, *want; } rows[] = {
		{ "550 no", "smtp; 550 no\r\n" },
		{ "550-no\n550 never", "smtp; 550-no\r\n 550 never\r\n" },
		{ "550 no\nnever\nagain", "smtp; 550-no\r\n 550-never\r\n 550 again\r\n" },
		{ "550", "smtp; 550\r\n" },
		{ "550 a\r\nFinal-Recipient: rfc822; x@y", "smtp; 550-a\r\n 550 Final-Recipient: rfc822; x@y\r\n" },	/* CVE-2020-8794 */
		{ "hello", "x-hermod; 5.1.1 no such user\r\n" },
		{ "550 gr\xc3\xbc\xc3\x9f", "smtp; 550 gr??\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct made m;
		char want[200];

		made_init(&m);
		m.rcpts[0].said = text(rows[i].said);
		make(&m, text(plain), NOTICE_FINAL);
		check_legal(&m);
		snprintf(want, sizeof want, "\r\nDiagnostic-Code: %s", rows[i].want);
		assert_says(body_of(&m, "2"), want);
		made_fini(&m);
	}
}

static void
test_remotes(void **state)
{
	static const struct { const char *remote, *want; } rows[] = {
		{ "mx.y.example [192.0.2.1]:25", "dns; mx.y.example\r\n" },
		{ "[192.0.2.1]:25", "dns; [192.0.2.1]\r\n" },
		{ "[IPv6:2001:db8::1]:25", "dns; [IPv6:2001:db8::1]\r\n" },
		{ "unix:/run/lmtp", "x-unix; /run/lmtp\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct made m;
		char want[200];

		made_init(&m);
		m.rcpts[0].remote = text(rows[i].remote);
		make(&m, text(plain), NOTICE_FINAL);
		snprintf(want, sizeof want, "Remote-MTA: %s", rows[i].want);
		assert_says(body_of(&m, "2"), want);
		made_fini(&m);
	}
}

/* RFC 3461 section 4.3, RFC 6522 section 3, RFC 6533 section 4. */
static void
test_what_is_returned(void **state)
{
#define UTF8_HEADER "Subject: gr\xc3\xbc\xc3\x9f\r\n"
	static const struct { const char *name; const char *message; enum dsn_ret ret; bool full, local, smtputf8; uint64_t most;
	    const char *type, *encoding; enum body_type body; } rows[] = {
		{ "FULL", plain, RET_FULL, false, false, false, 1000, "message/rfc822", "7bit", BODY_7BIT },
		{ "HDRS", plain, RET_HDRS, true, false, false, 1000, "text/rfc822-headers", "7bit", BODY_7BIT },
		{ "unsaid, full", plain, RET_UNSAID, true, false, false, 1000, "message/rfc822", "7bit", BODY_7BIT },
		{ "unsaid, headers", plain, RET_UNSAID, false, false, false, 1000, "text/rfc822-headers", "7bit", BODY_7BIT },
		{ "as much as may be", plain, RET_FULL, true, false, false, sizeof plain - 1, "message/rfc822", "7bit", BODY_7BIT },
		{ "one more", plain, RET_FULL, true, false, false, sizeof plain - 2, "text/rfc822-headers", "7bit", BODY_7BIT },
		{ "8-bit, here", "A: b\r\n\r\n\xe4\r\n", RET_FULL, true, true, false, 1000, "message/rfc822", "8bit",
		    BODY_8BITMIME },
		{ "8-bit, elsewhere", "A: b\r\n\r\n\xe4\r\n", RET_FULL, true, false, false, 1000, "text/rfc822-headers", "7bit",
		    BODY_7BIT },
		{ "8-bit header, here", "A: \xe4\r\n\r\n", RET_HDRS, true, true, false, 1000, "text/rfc822-headers",
		    "quoted-printable", BODY_7BIT },
		{ "8-bit header, elsewhere", "A: \xe4\r\n\r\n", RET_FULL, true, false, false, 1000, "text/rfc822-headers",
		    "quoted-printable", BODY_7BIT },
		{ "a bare LF", "A: b\r\n\r\na\nb\r\n", RET_FULL, true, true, false, 1000, "text/rfc822-headers", "7bit", BODY_7BIT },
		{ "a bare CR", "A: b\r\n\r\na\rb\r\n", RET_FULL, true, true, false, 1000, "text/rfc822-headers", "7bit", BODY_7BIT },
		{ "a CR at the end", "A: b\r\n\r\na\r", RET_FULL, true, true, false, 1000, "text/rfc822-headers", "7bit",
		    BODY_7BIT },
		{ "no end of a line", "A: b\r\n\r\na", RET_FULL, true, true, false, 1000, "message/rfc822", "7bit", BODY_7BIT },
		{ "SMTPUTF8, here", UTF8_HEADER "\r\n\xc3\xa4\r\n", RET_FULL, true, true, true, 1000, "message/global", "8bit",
		    BODY_8BITMIME },
		{ "SMTPUTF8, elsewhere", UTF8_HEADER "\r\n\xc3\xa4\r\n", RET_FULL, true, false, true, 1000, "message/global",
		    "base64", BODY_7BIT },
		{ "SMTPUTF8, header, here", UTF8_HEADER "\r\nx\r\n", RET_HDRS, true, true, true, 1000, "message/global-headers",
		    "8bit", BODY_8BITMIME },
		{ "SMTPUTF8, header, elsewhere", UTF8_HEADER "\r\nx\r\n", RET_HDRS, true, false, true, 1000,
		    "message/global-headers", "quoted-printable", BODY_7BIT },
		{ "SMTPUTF8, not UTF-8", "A: \xe4\r\n\r\nx\r\n", RET_HDRS, true, true, true, 1000, "text/rfc822-headers",
		    "quoted-printable", BODY_8BITMIME },
		{ "SMTPUTF8, all ASCII", plain, RET_FULL, true, false, true, 1000, "message/rfc822", "7bit", BODY_7BIT },
	};
#undef UTF8_HEADER

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct made m;

		made_init(&m);
		m.envelope.ret = rows[i].ret;
		m.envelope.smtputf8 = rows[i].smtputf8;
		m.rules.full = rows[i].full;
		m.rules.full_octets = rows[i].most;
		m.notice.takes_8bit = rows[i].local;
		make(&m, text(rows[i].message), NOTICE_FINAL);
		check_legal(&m);
		assert_row_bytes(rows[i].name, type_of(&m, "3"), text(rows[i].type));
		assert_row_bytes(rows[i].name, encoding_of(&m, "3"), text(rows[i].encoding));
		assert_row_int(rows[i].name, m.notice.body, rows[i].body);
		assert_row_int(rows[i].name, m.notice.smtputf8, rows[i].smtputf8 && rows[i].local);
		assert_row_bytes(rows[i].name, type_of(&m, "2"), text(rows[i].smtputf8 && rows[i].local
		    ? "message/global-delivery-status" : "message/delivery-status"));
		made_fini(&m);
	}
}

static void
test_odd_content(void **state)
{
	struct notice_look l;
	unsigned char line[1002];
	char boundary[NOTICE_BOUNDARY_MAX];

	(void)state;
	memset(line, 'a', sizeof line);
	notice_boundary((const unsigned char *)"0123456789abcdef", boundary);
	for (size_t n = 998; n <= 999; n++) {
		notice_look_init(&l, boundary);
		notice_look(&l, bytes_of(line, n));
		notice_look(&l, text("\r"));
		notice_look(&l, text("\n"));
		notice_look_end(&l);
		assert_int_equal(l.odd, n > 998);
	}
	notice_look_init(&l, boundary);
	notice_look(&l, OCTETS("a\0b"));
	assert_true(l.odd && !l.eight_bit);
}

static void
test_boundary_is_seen(void **state)
{
	char boundary[NOTICE_BOUNDARY_MAX], all[200];
	struct notice_look l;
	size_t n;

	(void)state;
	notice_boundary((const unsigned char *)"0123456789abcdef", boundary);
	n = (size_t)snprintf(all, sizeof all, "==_hermod_3031==_%s", boundary);
	for (size_t piece = 1; piece < 60; piece++) {
		notice_look_init(&l, boundary);
		for (struct bytes rest = bytes_of(all, n); rest.n > 0; rest = bytes_skip(rest, piece))
			notice_look(&l, bytes_head(rest, piece));
		assert_true(l.has_boundary);
		notice_look_init(&l, boundary);
		notice_look(&l, bytes_of(all, n - 1));
		assert_false(l.has_boundary);
	}
}

static void
test_addresses_of_utf8(void **state)
{
	static const struct { const char *name, *sender; bool local; const char *want, *original; bool smtputf8; } rows[] = {
		{ "here", "anna@x.example", true, "Final-Recipient: utf-8; j\xc3\xb6rg@y.example\r\n",
		    "Original-Recipient: utf-8; J\xc3\xb6rg@y.example\r\n", true },
		{ "elsewhere", "anna@x.example", false, "Final-Recipient: utf-8; j\\x{F6}rg@y.example\r\n",
		    "Original-Recipient: utf-8; J\\x{F6}rg@y.example\r\n", false },
		{ "to one of UTF-8", "\xc3\xa4nna@x.example", false, "Final-Recipient: utf-8; j\xc3\xb6rg@y.example\r\n",
		    "Original-Recipient: utf-8; J\xc3\xb6rg@y.example\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		struct made m;

		made_init(&m);
		m.envelope.smtputf8 = 1;
		m.envelope.sender = text(rows[i].sender);
		m.rcpts[0].original = m.rcpts[0].final = text("j\xc3\xb6rg@y.example");
		m.rcpts[0].orcpt = text("utf-8;J\xc3\xb6rg@y.example");
		m.notice.takes_8bit = rows[i].local;
		make(&m, text(plain), NOTICE_FINAL);
		check_legal(&m);
		assert_says(body_of(&m, "2"), rows[i].want);
		assert_says(body_of(&m, "2"), rows[i].original);
		assert_row_int(rows[i].name, m.notice.smtputf8, rows[i].smtputf8);
		made_fini(&m);
	}
}

static void
test_message_ids(void **state)
{
	static const struct { const char *field; bool taken; } rows[] = {
		{ "Message-ID: <a@b>", true }, { "message-id:\r\n <a@b>", true }, { "Message-ID: a@b", false },
		{ "Message-ID: <a@b> <c@d>", false }, { "Message-ID: <a>b>", false }, { "Message-ID: <a\xc3\xa4@b>", false },
		{ "Message-ID: <>", false }, { "Message-ID:", false }, { "Message-ID: <a\r\n\tb@c>", false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		char message[200];
		struct made m;

		made_init(&m);
		snprintf(message, sizeof message, "%s\r\n\r\n", rows[i].field);
		make(&m, text(message), NOTICE_FINAL);
		check_legal(&m);
		assert_row_int(rows[i].field, says(header_of(buf_bytes(&m.out)), "References: <"), rows[i].taken);
		made_fini(&m);
	}
}

/* A subject goes to people, in whatever it is. */
static void
test_subject_in_words(void **state)
{
	struct made m;

	(void)state;
	made_init(&m);
	m.notice.takes_8bit = true;
	make(&m, text("Subject: =?utf-8?Q?gr=C3=BC=C3=9F=0D=0A=0D=0A--x?=\r\n\r\n"), NOTICE_FINAL);
	check_legal(&m);
	assert_says(body_of(&m, "1"), "Subject:  gr\xc3\xbc\xc3\x9f???" "?--x\r\n");
	assert_bytes_equal(encoding_of(&m, "1"), text("8bit"));
	made_fini(&m);
}

/* Many for one reason: it is said once, and not all are listed. */
static void
test_many(void **state)
{
	struct made m;
	struct recipient *r = mem_array(1000, sizeof *r);
	struct bytes words;
	size_t n = 0;

	(void)state;
	made_init(&m);
	for (size_t i = 0; i < 1000; i++)
		r[i] = m.rcpts[0];
	for (size_t i = 0; i < 1000; i++)
		r[i].original = r[i].final = arena_fmt(m.arena, "%zu@y.example", i);
	m.envelope.rcpts = r;
	m.envelope.nrcpts = 1000;
	make(&m, text(plain), NOTICE_FINAL);
	check_legal(&m);
	for (words = body_of(&m, "1"); words.n > 0; )
		n += says(bytes_cut(&words, '\n'), "no such user");
	assert_int_equal(n, 1);
	assert_says(body_of(&m, "1"), "... and 900 more");
	for (words = body_of(&m, "2"), n = 0; words.n > 0; )
		n += bytes_starts(bytes_cut(&words, '\n'), text("Final-Recipient:"));
	assert_int_equal(n, 1000);
	made_fini(&m);
	mem_free(r);
}

static void
test_advice(void **state)
{
	static const struct { unsigned status[3]; bool here; const char *want; } rows[] = {
		{ { 5, 1, 1 }, false, "no mailbox of that name" }, { { 4, 2, 2 }, false, "mailbox is full" },
		{ { 5, 3, 4 }, false, "other mail system takes" }, { { 5, 3, 4 }, true, "this host takes" },
		{ { 4, 3, 5 }, true, "The fault is this host's" }, { { 4, 3, 5 }, false, "out of order" },
		{ { 4, 4, 1 }, false, "No server" }, { { 5, 1, 99 }, false, "does not take mail for that address" },
		{ { 5, 7, 1 }, false, "by a rule of its own" }, { { 5, 0, 0 }, false, "no other reason" },
		{ { 5, 0, 0 }, true, "knows no better reason" }, { { 5, 9, 9 }, false, "no other reason" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++)
		assert_says(text(notice_advice(rows[i].status, rows[i].here)), rows[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failure),
		cmocka_unit_test(test_little_is_known),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_remotes),
		cmocka_unit_test(test_what_is_returned),
		cmocka_unit_test(test_odd_content),
		cmocka_unit_test(test_boundary_is_seen),
		cmocka_unit_test(test_addresses_of_utf8),
		cmocka_unit_test(test_message_ids),
		cmocka_unit_test(test_subject_in_words),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_advice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
