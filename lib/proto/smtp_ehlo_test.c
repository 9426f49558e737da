/* SPDX-License-Identifier: ISC */
#include "proto/smtp_ehlo.h"
#include "proto/testing.h"

static const struct {
	const char	*lines;		/* each ends in LF */
	unsigned	 extensions;
	uint64_t	 size;
	uint32_t	 mails, rcpts, domains;
	const char	*mechanisms;
} cases[] = {
	{ "", 0, 0, 0, 0, 0, "" },
	{ "PIPELINING\nSIZE 52428800\n8BITMIME\nCHUNKING\nBINARYMIME\nSTARTTLS\nENHANCEDSTATUSCODES\nDSN\n"
	  "AUTH PLAIN LOGIN\nSMTPUTF8\nMT-PRIORITY MIXER\nREQUIRETLS\nLIMITS RCPTMAX=100\n",
	    8191, 52428800, 0, 100, 0, "PLAIN LOGIN" },
	{ "pipelining\nStartTls\n", SMTP_EXT_PIPELINING | SMTP_EXT_STARTTLS, 0, 0, 0, 0, "" },
	{ "PIPELININGX\nXPIPELINING\n PIPE LINING\nX-PIPELINING\n", 0, 0, 0, 0, 0, "" },
	{ "PIPELINING and more of it\n", SMTP_EXT_PIPELINING, 0, 0, 0, 0, "" },
	{ "  DSN \n", SMTP_EXT_DSN, 0, 0, 0, 0, "" },
	{ "250 DSN\n", 0, 0, 0, 0, 0, "" },
	/* RFC 1870 section 4 */
	{ "SIZE\n", SMTP_EXT_SIZE, 0, 0, 0, 0, "" },
	{ "SIZE 0\n", SMTP_EXT_SIZE, 0, 0, 0, 0, "" },
	{ "SIZE 18446744073709551615\n", SMTP_EXT_SIZE, UINT64_MAX, 0, 0, 0, "" },
	{ "SIZE 18446744073709551616\n", SMTP_EXT_SIZE, 0, 0, 0, 0, "" },
	{ "SIZE -1\nSIZE\n", SMTP_EXT_SIZE, 0, 0, 0, 0, "" },
	{ "SIZE 10MB\n", SMTP_EXT_SIZE, 0, 0, 0, 0, "" },
	{ "SIZE  1000  2000\n", SMTP_EXT_SIZE, 1000, 0, 0, 0, "" },
	{ "SIZE=1000\n", 0, 0, 0, 0, 0, "" },
	/* AUTH, and what it was in drafts */
	{ "AUTH=LOGIN PLAIN\nAUTH LOGIN PLAIN\n", SMTP_EXT_AUTH, 0, 0, 0, 0, "LOGIN PLAIN" },
	{ "AUTH plain\nAUTH PLAIN SCRAM-SHA-256\n", SMTP_EXT_AUTH, 0, 0, 0, 0, "PLAIN SCRAM-SHA-256" },
	{ "AUTH\n", SMTP_EXT_AUTH, 0, 0, 0, 0, "" },
	{ "AUTH PL\"AIN  LOGIN\tX 12345678901234567890 123456789012345678901 \xc3\xa4\n", SMTP_EXT_AUTH, 0, 0, 0, 0,
	    "12345678901234567890" },
	/* RFC 9422 */
	{ "LIMITS MAILMAX=5 RCPTMAX=999999 RCPTDOMAINMAX=1\n", SMTP_EXT_LIMITS, 0, 5, 999999, 1, "" },
	{ "LIMITS mailmax=7  FUTURE=9 ODD\n", SMTP_EXT_LIMITS, 0, 7, 0, 0, "" },
	{ "LIMITS MAILMAX=0 RCPTMAX=1000000 RCPTDOMAINMAX=01\n", SMTP_EXT_LIMITS, 0, 0, 0, 0, "" },
	{ "LIMITS MAILMAX= RCPTMAX RCPTDOMAINMAX=-1\nLIMITS\n", SMTP_EXT_LIMITS, 0, 0, 0, 0, "" },
	{ "LIMITS MAILMAX=9 MAILMAX=x\n", SMTP_EXT_LIMITS, 0, 9, 0, 0, "" },
};

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct bytes rest = text(cases[i].lines);
		struct smtp_ehlo e;

		smtp_ehlo_init(&e);
		while (rest.n > 0)
			smtp_ehlo_line(&e, bytes_cut(&rest, '\n'));
		assert_row_int(cases[i].lines, e.extensions, cases[i].extensions);
		assert_row_int(cases[i].lines, e.size_octets, cases[i].size);
		assert_row_int(cases[i].lines, e.mail_max, cases[i].mails);
		assert_row_int(cases[i].lines, e.rcpt_max, cases[i].rcpts);
		assert_row_int(cases[i].lines, e.rcpt_domain_max, cases[i].domains);
		assert_row_bytes(cases[i].lines, smtp_ehlo_mechanisms(&e), text(cases[i].mechanisms));
	}
}

/* What was announced before TLS is nothing after it. */
static void
test_forgets(void **state)
{
	struct smtp_ehlo e;

	(void)state;
	smtp_ehlo_init(&e);
	smtp_ehlo_line(&e, text("AUTH PLAIN"));
	smtp_ehlo_line(&e, text("LIMITS RCPTMAX=9"));
	smtp_ehlo_init(&e);
	assert_int_equal(e.extensions, 0);
	assert_int_equal(e.rcpt_max, 0);
	assert_int_equal(smtp_ehlo_mechanisms(&e).n, 0);
}

/* As many names as there is room for, to the octet; one more is left out, a shorter one is not. */
static void
test_many_mechanisms(void **state)
{
	struct smtp_ehlo e;
	char name[32];

	(void)state;
	smtp_ehlo_init(&e);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "AUTH MECH-%06u", i);	/* 12 octets with its space */
		smtp_ehlo_line(&e, text(name));
	}
	assert_int_equal(e.mechanisms_n, 42 * 12 - 1 + 0);	/* 503: 9 are left */
	smtp_ehlo_line(&e, text("AUTH 123456789"));
	assert_int_equal(e.mechanisms_n, 503);
	smtp_ehlo_line(&e, text("AUTH 12345678"));
	assert_int_equal(e.mechanisms_n, 512);
	smtp_ehlo_line(&e, text("AUTH X"));
	assert_int_equal(e.mechanisms_n, 512);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_many_mechanisms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
