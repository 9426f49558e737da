/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/smtp_cmd.h"

static const struct {
	const char *line;
	enum smtp_parse want;
	enum smtp_verb verb;
	const char *path, *rest;
} cases[] = {
	{ "MAIL FROM:<a@b.example>", SMTP_PARSED, SMTP_MAIL, "a@b.example", "" },
	{ "mail from:<> SIZE=9", SMTP_PARSED, SMTP_MAIL, "", "SIZE=9" },	/* section 4.5.5 */
	{ "MAIL FROM: <a@b>", SMTP_PARSED, SMTP_MAIL, "a@b", "" },		/* clients in use */
	{ "MAIL  FROM:<a@b>  SIZE=1  BODY=7BIT ", SMTP_PARSED, SMTP_MAIL, "a@b", "SIZE=1  BODY=7BIT" },
	{ "MAIL FROM:<\"a>b\"@c> SIZE=1", SMTP_PARSED, SMTP_MAIL, "\"a>b\"@c", "SIZE=1" },
	{ "MAIL FROM:<\"a\\\">b\"@c>", SMTP_PARSED, SMTP_MAIL, "\"a\\\">b\"@c", "" },
	{ "MAIL FROM:<@x:\"a>b\"@c>", SMTP_PARSED, SMTP_MAIL, "@x:\"a>b\"@c", "" },
	{ "MAIL FROM:<a\"@c> X=\"<>\"", SMTP_PARSED, SMTP_MAIL, "a\"@c", "X=\"<>\"" },
	{ "MAIL FROM:<;id;>", SMTP_PARSED, SMTP_MAIL, ";id;", "" },	/* the path's parser refuses it */
	{ "MAIL FROM:a@b", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:<", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:<a@b", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:<\"a@b>", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:<\"a\\", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:<a@b>SIZE=1", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:<a@b>>", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM :<a@b>", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL TO:<a@b>", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:Bob <a@b>", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:<a\rb@c>", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "MAIL FROM:<a@b> X=\x7f", SMTP_BAD_ARG, SMTP_MAIL, "", "" },
	{ "RCPT TO:<a@b>", SMTP_PARSED, SMTP_RCPT, "a@b", "" },
	{ "RCPT TO:<Postmaster>", SMTP_PARSED, SMTP_RCPT, "Postmaster", "" },
	{ "rcpt to:\t<a@b>\tNOTIFY=NEVER", SMTP_PARSED, SMTP_RCPT, "a@b", "NOTIFY=NEVER" },
	{ "RCPT FROM:<a@b>", SMTP_BAD_ARG, SMTP_RCPT, "", "" },
	{ "HELO a.example", SMTP_PARSED, SMTP_HELO, "", "a.example" },
	{ "EHLO [192.0.2.1]  ", SMTP_PARSED, SMTP_EHLO, "", "[192.0.2.1]" },
	{ "EHLO", SMTP_BAD_ARG, SMTP_EHLO, "", "" },
	{ "EHLO ", SMTP_BAD_ARG, SMTP_EHLO, "", "" },
	{ "DATA", SMTP_PARSED, SMTP_DATA, "", "" },
	{ "data  ", SMTP_PARSED, SMTP_DATA, "", "" },
	{ "DATA x", SMTP_BAD_ARG, SMTP_DATA, "", "" },
	{ "RSET", SMTP_PARSED, SMTP_RSET, "", "" },
	{ "RSET now", SMTP_BAD_ARG, SMTP_RSET, "", "" },
	{ "NOOP", SMTP_PARSED, SMTP_NOOP, "", "" },
	{ "NOOP what ever", SMTP_PARSED, SMTP_NOOP, "", "what ever" },
	{ "QUIT", SMTP_PARSED, SMTP_QUIT, "", "" },
	{ "QUIT x", SMTP_BAD_ARG, SMTP_QUIT, "", "" },
	{ "VRFY bob smith", SMTP_PARSED, SMTP_VRFY, "", "bob smith" },
	{ "VRFY", SMTP_BAD_ARG, SMTP_VRFY, "", "" },
	{ "EXPN list", SMTP_PARSED, SMTP_EXPN, "", "list" },
	{ "HELP", SMTP_PARSED, SMTP_HELP, "", "" },
	{ "HELP MAIL", SMTP_PARSED, SMTP_HELP, "", "MAIL" },
	{ "STARTTLS", SMTP_PARSED, SMTP_STARTTLS, "", "" },
	{ "STARTTLS x", SMTP_BAD_ARG, SMTP_STARTTLS, "", "" },	/* RFC 3207 section 4 */
	{ "WIZ", SMTP_BAD_VERB, 0, "", "" },
	{ "", SMTP_BAD_VERB, 0, "", "" },
	{ " ", SMTP_BAD_VERB, 0, "", "" },
	{ " NOOP", SMTP_BAD_VERB, 0, "", "" },
	{ "MAILFROM:<a@b>", SMTP_BAD_VERB, 0, "", "" },
	{ "NOOP\1", SMTP_BAD_VERB, 0, "", "" },
	{ "GET / HTTP/1.1", SMTP_BAD_VERB, 0, "", "" },	/* ALPACA: the session counts these */
	{ "\xff\xfd", SMTP_BAD_VERB, 0, "", "" },
};

static void
test_commands(void **state)
{
	struct smtp_cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		cmd = (struct smtp_cmd){ 0 };
		assert_row_int(cases[i].line, smtp_cmd_parse(text(cases[i].line), &cmd), cases[i].want);
		assert_row_int(cases[i].line, cmd.verb, cases[i].verb);
		assert_row_bytes(cases[i].line, cmd.path, text(cases[i].path));
		assert_row_bytes(cases[i].line, cmd.rest, text(cases[i].rest));
	}
	assert_int_equal(smtp_cmd_parse(OCTETS("NOOP a\0b"), &cmd), SMTP_BAD_ARG);
	assert_int_equal(smtp_cmd_parse(OCTETS("NOOP\0"), &cmd), SMTP_BAD_VERB);
	assert_string_equal(smtp_verb_text(SMTP_BDAT), "BDAT");
}

static const struct { const char *line; enum smtp_parse want; uint64_t size; bool last; } chunks[] = {
	{ "BDAT 0", SMTP_PARSED, 0, false },
	{ "BDAT 0 LAST", SMTP_PARSED, 0, true },
	{ "BDAT 86 last", SMTP_PARSED, 86, true },
	{ "BDAT 9223372036854775807", SMTP_PARSED, INT64_MAX, false },
	{ "BDAT 9223372036854775808", SMTP_BAD_ARG, 0, false },
	{ "BDAT 18446744073709551616", SMTP_BAD_ARG, 0, false },
	{ "BDAT -1", SMTP_BAD_ARG, 0, false },
	{ "BDAT +1", SMTP_BAD_ARG, 0, false },
	{ "BDAT 0x10", SMTP_BAD_ARG, 0, false },
	{ "BDAT", SMTP_BAD_ARG, 0, false },
	{ "BDAT LAST", SMTP_BAD_ARG, 0, false },
	{ "BDAT 1 FIRST", SMTP_BAD_ARG, 0, false },
	{ "BDAT 1 LAST 2", SMTP_BAD_ARG, 0, false },
};

static void
test_chunks(void **state)
{
	struct smtp_cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(chunks); i++) {
		assert_row_int(chunks[i].line, smtp_cmd_parse(text(chunks[i].line), &cmd), chunks[i].want);
		if (chunks[i].want != SMTP_PARSED)
			continue;
		assert_row_int(chunks[i].line, cmd.size_octets, chunks[i].size);
		assert_row_int(chunks[i].line, cmd.last, chunks[i].last);
	}
}

static const struct {
	const char *line;
	enum smtp_parse want;
	const char *mechanism, *initial;
	bool has;
} auths[] = {
	{ "AUTH PLAIN", SMTP_PARSED, "PLAIN", "", false },
	{ "auth scram-sha-256 biws", SMTP_PARSED, "scram-sha-256", "biws", true },
	{ "AUTH EXTERNAL =", SMTP_PARSED, "EXTERNAL", "=", true },
	{ "AUTH", SMTP_BAD_ARG, "", "", false },
	{ "AUTH PLAIN a b", SMTP_BAD_ARG, "", "", false },
	{ "AUTH PL@IN", SMTP_BAD_ARG, "", "", false },
	{ "AUTH ABCDEFGHIJKLMNOPQRSTU", SMTP_BAD_ARG, "", "", false },
};

static void
test_auth(void **state)
{
	struct smtp_cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(auths); i++) {
		assert_row_int(auths[i].line, smtp_cmd_parse(text(auths[i].line), &cmd), auths[i].want);
		if (auths[i].want != SMTP_PARSED)
			continue;
		assert_row_bytes(auths[i].line, cmd.mechanism, text(auths[i].mechanism));
		assert_row_bytes(auths[i].line, cmd.rest, text(auths[i].initial));
		assert_row_int(auths[i].line, cmd.initial, auths[i].has);
	}
}

static const struct { const char *name; enum smtp_name want; } names[] = {
	{ "mail.example", SMTP_NAME_DOMAIN },
	{ "localhost", SMTP_NAME_DOMAIN },
	{ "b\xc3\xbc" "cher.example", SMTP_NAME_DOMAIN },	/* RFC 6531 section 3.7.1 */
	{ "[192.0.2.1]", SMTP_NAME_LITERAL },
	{ "[IPv6:::1]", SMTP_NAME_LITERAL },
	{ "MY_PC", SMTP_NAME_ODD },
	{ "mail.example.", SMTP_NAME_ODD },
	{ "[192.0.2.1", SMTP_NAME_ODD },
	{ "::1", SMTP_NAME_ODD },
	{ "", SMTP_NAME_BAD },
	{ "a b", SMTP_NAME_BAD },
	{ "a(b", SMTP_NAME_BAD },
	{ "a\xff", SMTP_NAME_BAD },
	{ "<a>", SMTP_NAME_BAD },
	{ "${run{id}}", SMTP_NAME_BAD },
};

static void
test_names(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < LEN(names); i++)
		assert_row_int(names[i].name, smtp_helo_name(text(names[i].name)), names[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
