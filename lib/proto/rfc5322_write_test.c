/* SPDX-License-Identifier: ISC */
#include "proto/testing.h"
#include "proto/rfc5322_write.h"

#define DATE	"Mon, 23 Nov 2026 09:08:07 +0100"
#define T(s)	{ (const unsigned char *)(s), sizeof(s) - 1 }

static const struct { struct received in; const char *out; } cases[] = {
	{ { .helo = T("mail.example"), .client_name = T("mail.example"), .client_ip = T("192.0.2.1"),
	    .by = T("mx.our.test"), .id = T("3F2B"), .recipient = T("a@our.test"), .esmtp = true, .date = DATE },
	  "Received: from mail.example (mail.example [192.0.2.1]) by mx.our.test\r\n"
	  "\twith ESMTP id 3F2B for <a@our.test>; Mon, 23 Nov 2026 09:08:07 +0100\r\n" },
	{ { .helo = T("[IPv6:2001:db8::1]"), .client_ip = T("2001:db8::1"), .by = T("mx"), .id = T("1"),
	    .date = DATE },
	  "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) by mx with SMTP id 1;\r\n"
	  "\tMon, 23 Nov 2026 09:08:07 +0100\r\n" },
	{ { .helo = T("x"), .client_ip = T("192.0.2.1"), .by = T("mx"), .id = T("1"), .esmtp = true,
	    .auth = true, .smtputf8 = true, .tls = T("TLS_AES_256_GCM_SHA384"), .date = DATE },
	  "Received: from x ([192.0.2.1]) by mx with UTF8SMTPSA\r\n"
	  "\ttls TLS_AES_256_GCM_SHA384 id 1; Mon, 23 Nov 2026 09:08:07 +0100\r\n" },
	/* what clients put into the name */
	{ { .helo = T("MY_PC:1"), .client_ip = T("192.0.2.1"), .by = T("mx"), .id = T("1"), .date = DATE },
	  "Received: from MY_PC-1 ([192.0.2.1]) by mx with SMTP id 1;\r\n"
	  "\tMon, 23 Nov 2026 09:08:07 +0100\r\n" },
	{ { .helo = T("a by evil.test; x"), .client_ip = T("192.0.2.1"), .by = T("mx"), .id = T("1"),
	    .date = DATE },
	  "Received: from unknown ([192.0.2.1]) by mx with SMTP id 1;\r\n"
	  "\tMon, 23 Nov 2026 09:08:07 +0100\r\n" },
	{ { .helo = T("a\r\nX: y"), .client_name = T("b)\n(c"), .client_ip = T("192.0.2.1"), .by = T("mx"),
	    .id = T("1"), .date = DATE },
	  "Received: from unknown (b---c [192.0.2.1]) by mx with SMTP id 1;\r\n"
	  "\tMon, 23 Nov 2026 09:08:07 +0100\r\n" },
	{ { .helo = T("b\xc3\xbc"), .client_ip = T("192.0.2.1"), .by = T("mx"), .id = T("1"), .date = DATE },
	  "Received: from b-- ([192.0.2.1]) by mx with SMTP id 1;\r\n"
	  "\tMon, 23 Nov 2026 09:08:07 +0100\r\n" },
	/* RFC 6710 */
	{ { .helo = T("x"), .client_ip = T("192.0.2.1"), .by = T("mx"), .id = T("1"), .date = DATE, .mt_priority = -9 },
	  "Received: from x ([192.0.2.1]) by mx with SMTP id 1 PRIORITY -9;\r\n"
	  "\tMon, 23 Nov 2026 09:08:07 +0100\r\n" },
	{ { .helo = T("x"), .client_ip = T("192.0.2.1"), .by = T("mx"), .id = T("1"), .recipient = T("a@our.test"), .date = DATE,
	    .mt_priority = 3 },
	  "Received: from x ([192.0.2.1]) by mx with SMTP id 1 for <a@our.test>\r\n"
	  "\tPRIORITY 3; Mon, 23 Nov 2026 09:08:07 +0100\r\n" },
	/* by the sendmail command: nobody connected */
	{ { .by = T("mx"), .id = T("1"), .date = DATE, .lmtp = true },
	  "Received: by mx with LMTP id 1; Mon, 23 Nov 2026 09:08:07 +0100\r\n" },
};

static void
test_received(void **state)
{
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 10000);
	for (i = 0; i < LEN(cases); i++) {
		buf_clear(&out);
		received_put(&cases[i].in, &out);
		assert_bytes_equal(buf_bytes(&out), text(cases[i].out));
	}
	buf_fini(&out);
}

static void
test_others(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	return_path_put(text(""), &out);
	return_path_put(text("a@b"), &out);
	address_field_put("Delivered-To", text("a@b"), &out);
	message_id_put(text("1.2"), text("mx our"), &out);
	text_field_put("X", text("a  b\nc"), &out);
	text_field_put("Subject", text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb "
	    "ccccccccc"), &out);
	assert_bytes_equal(buf_bytes(&out), text("Return-Path: <>\r\nReturn-Path: <a@b>\r\nDelivered-To: a@b\r\n"
	    "Message-ID: <1.2@mx-our>\r\nX: a b?c\r\nSubject: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"
	    "\tbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb ccccccccc\r\n"));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_received), cmocka_unit_test(test_others) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
