/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/pop3_cmd.h"

#define HEX32	"c4c9334bac560ecc979e58001b3e22fb"

static const struct {
	const char *line;
	enum pop3_parse want;
	enum pop3_verb verb;
	const char *arg, *more;
	uint32_t number, lines;
} cases[] = {
	{ "USER mrose", POP3_PARSED, POP3_USER, "mrose", "", 0, 0 },
	{ "user  a@b.example ", POP3_PARSED, POP3_USER, "a@b.example", "", 0, 0 },
	{ "USER John Smith", POP3_PARSED, POP3_USER, "John Smith", "", 0, 0 },
	{ "USER", POP3_BAD_ARG, POP3_USER, "", "", 0, 0 },
	{ "USER ", POP3_BAD_ARG, POP3_USER, "", "", 0, 0 },
	{ "USER a\tb", POP3_BAD_ARG, POP3_USER, "", "", 0, 0 },		/* CVE-2008-1218 */
	{ "PASS secret", POP3_PARSED, POP3_PASS, "secret", "", 0, 0 },
	{ "PASS  two words ", POP3_PARSED, POP3_PASS, " two words ", "", 0, 0 },
	{ "PASS a\tb", POP3_PARSED, POP3_PASS, "a\tb", "", 0, 0 },
	{ "PASS", POP3_BAD_ARG, POP3_PASS, "", "", 0, 0 },
	{ "PASS ", POP3_BAD_ARG, POP3_PASS, "", "", 0, 0 },
	{ "APOP mrose " HEX32, POP3_PARSED, POP3_APOP, "mrose", HEX32, 0, 0 },
	{ "APOP John Smith " HEX32, POP3_PARSED, POP3_APOP, "John Smith", HEX32, 0, 0 },
	{ "APOP mrose " HEX32 "0", POP3_BAD_ARG, POP3_APOP, "", "", 0, 0 },
	{ "APOP mrose xyz", POP3_BAD_ARG, POP3_APOP, "", "", 0, 0 },
	{ "APOP " HEX32, POP3_BAD_ARG, POP3_APOP, "", "", 0, 0 },
	{ "QUIT", POP3_PARSED, POP3_QUIT, "", "", 0, 0 },
	{ "quit ", POP3_PARSED, POP3_QUIT, "", "", 0, 0 },
	{ "QUIT x", POP3_BAD_ARG, POP3_QUIT, "", "", 0, 0 },
	{ "STAT", POP3_PARSED, POP3_STAT, "", "", 0, 0 },
	{ "LIST", POP3_PARSED, POP3_LIST, "", "", 0, 0 },
	{ "LIST 2", POP3_PARSED, POP3_LIST, "", "", 2, 0 },
	{ "LIST 2 3", POP3_BAD_ARG, POP3_LIST, "", "", 0, 0 },
	{ "RETR 1", POP3_PARSED, POP3_RETR, "", "", 1, 0 },
	{ "RETR 007 ", POP3_PARSED, POP3_RETR, "", "", 7, 0 },
	{ "RETR", POP3_BAD_ARG, POP3_RETR, "", "", 0, 0 },
	{ "RETR 0", POP3_BAD_ARG, POP3_RETR, "", "", 0, 0 },
	{ "RETR -1", POP3_BAD_ARG, POP3_RETR, "", "", 0, 0 },
	{ "RETR +1", POP3_BAD_ARG, POP3_RETR, "", "", 0, 0 },
	{ "RETR 4294967295", POP3_PARSED, POP3_RETR, "", "", 4294967295u, 0 },
	{ "RETR 4294967296", POP3_BAD_ARG, POP3_RETR, "", "", 0, 0 },
	{ "RETR 4294967297", POP3_BAD_ARG, POP3_RETR, "", "", 0, 0 },
	{ "RETR 99999999999999999999999", POP3_BAD_ARG, POP3_RETR, "", "", 0, 0 },
	{ "RETR 1x", POP3_BAD_ARG, POP3_RETR, "", "", 0, 0 },
	{ "DELE 3", POP3_PARSED, POP3_DELE, "", "", 3, 0 },
	{ "NOOP", POP3_PARSED, POP3_NOOP, "", "", 0, 0 },
	{ "RSET", POP3_PARSED, POP3_RSET, "", "", 0, 0 },
	{ "TOP 1 10", POP3_PARSED, POP3_TOP, "", "", 1, 10 },
	{ "TOP 1  0", POP3_PARSED, POP3_TOP, "", "", 1, 0 },
	{ "TOP 1 99999999999", POP3_PARSED, POP3_TOP, "", "", 1, UINT32_MAX },
	{ "TOP 1", POP3_BAD_ARG, POP3_TOP, "", "", 0, 0 },
	{ "TOP 1 -1", POP3_BAD_ARG, POP3_TOP, "", "", 0, 0 },
	{ "TOP 0 1", POP3_BAD_ARG, POP3_TOP, "", "", 0, 0 },
	{ "TOP 1 1 1", POP3_BAD_ARG, POP3_TOP, "", "", 0, 0 },
	{ "UIDL", POP3_PARSED, POP3_UIDL, "", "", 0, 0 },
	{ "UIDL 9", POP3_PARSED, POP3_UIDL, "", "", 9, 0 },
	{ "CAPA", POP3_PARSED, POP3_CAPA, "", "", 0, 0 },
	{ "STLS", POP3_PARSED, POP3_STLS, "", "", 0, 0 },
	{ "STLS x", POP3_BAD_ARG, POP3_STLS, "", "", 0, 0 },
	{ "AUTH", POP3_PARSED, POP3_AUTH, "", "", 0, 0 },
	{ "AUTH PLAIN", POP3_PARSED, POP3_AUTH, "PLAIN", "", 0, 0 },
	{ "AUTH PLAIN AGEAYg==", POP3_PARSED, POP3_AUTH, "PLAIN", "AGEAYg==", 0, 0 },
	{ "AUTH PLAIN =", POP3_PARSED, POP3_AUTH, "PLAIN", "=", 0, 0 },
	{ "AUTH PLAIN a b", POP3_BAD_ARG, POP3_AUTH, "", "", 0, 0 },
	{ "AUTH PL/AIN", POP3_BAD_ARG, POP3_AUTH, "", "", 0, 0 },
	{ "UTF8", POP3_BAD_VERB, 0, "", "", 0, 0 },
	{ "LANG *", POP3_BAD_VERB, 0, "", "", 0, 0 },
	{ "XTND XMIT", POP3_BAD_VERB, 0, "", "", 0, 0 },
	{ "", POP3_BAD_VERB, 0, "", "", 0, 0 },
	{ " STAT", POP3_BAD_VERB, 0, "", "", 0, 0 },
	{ "STAT\t", POP3_BAD_VERB, 0, "", "", 0, 0 },
	{ "RETR1", POP3_BAD_VERB, 0, "", "", 0, 0 },
};

static void
test_commands(void **state)
{
	struct pop3_cmd cmd;
	size_t i;

	(void)state;
	for (i = 0; i < LEN(cases); i++) {
		cmd = (struct pop3_cmd){ 0 };
		assert_row_int(cases[i].line, pop3_cmd_parse(text(cases[i].line), &cmd), cases[i].want);
		assert_row_int(cases[i].line, cmd.verb, cases[i].verb);
		assert_row_bytes(cases[i].line, cmd.arg, text(cases[i].arg));
		assert_row_bytes(cases[i].line, cmd.more, text(cases[i].more));
		assert_row_int(cases[i].line, cmd.number, cases[i].number);
		assert_row_int(cases[i].line, cmd.lines, cases[i].lines);
		assert_row_int(cases[i].line, cmd.numbered, cases[i].number > 0);
	}
	assert_string_equal(pop3_verb_text(POP3_UIDL), "UIDL");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_commands) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
