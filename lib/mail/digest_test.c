/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "base/mem.h"
#include "mail/digest.h"
#include "proto/imap_structure.h"

#define PLAIN	"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\" "

static const struct { const char *message, *fields; uint64_t octets; const char *structure; } rows[] = {
	{ "", "", 0, PLAIN "0 0 NIL NIL NIL NIL)" },
	{ "\n", "\r\n", 2, PLAIN "0 0 NIL NIL NIL NIL)" },
	{ "Subject: a\n\nb\n", "Subject: a\r\n\r\n", 17, PLAIN "3 1 NIL NIL NIL NIL)" },
	{ "Subject: a\r\n\r\nb\r\n", "Subject: a\r\n\r\n", 17, PLAIN "3 1 NIL NIL NIL NIL)" },
	/* no empty line, no line end: none is made up */
	{ "subject: a\n", "subject: a\r\n", 12, PLAIN "0 0 NIL NIL NIL NIL)" },
	{ "X-TUID: a", "X-TUID: a", 9, PLAIN "0 0 NIL NIL NIL NIL)" },
	/* in order, folded, more than once, in any case; others and what is no field are left out */
	{ "Received: x\n\ty\nTO: a,\n b\nX: y\nno field\nFrom: c\nto : d\n\nTo: e\n",
	    "TO: a,\r\n b\r\nFrom: c\r\nto : d\r\n\r\n", 71, PLAIN "7 1 NIL NIL NIL NIL)" },
	{ "Received: x\n\n", "\r\n", 15, PLAIN "0 0 NIL NIL NIL NIL)" },
};

static void
test_rows(void **state)
{
	struct arena *a = arena_new(MAIL_DIGEST_ARENA);
	struct buf room;

	(void)state;
	buf_init(&room, 1 << 20);
	for (size_t i = 0; i < LEN(rows); i++) {
		struct index_data d;

		arena_reset(a);
		mail_digest(text(rows[i].message), a, &room, &d);
		assert_row_bytes(rows[i].message, d.fields, text(rows[i].fields));
		assert_row_int(rows[i].message, d.octets, rows[i].octets);
		assert_row_bytes(rows[i].message, d.structure, text(rows[i].structure));
		assert_true(bytes_starts(d.envelope, text("(NIL ")));
		assert_int_equal(room.max, 1 << 20);
	}
	buf_fini(&room);
	arena_free(&a);
}

static void
test_fields(void **state)
{
	static const char *const kept[] = {
		"subject", "SUBJECT", "To", "archived-at", "X-Universally-Unique-Identifier", "message-id", "MIME-VERSION",
		"x-msmail-PRIORITY", "dkim-signature", "x-bimi-indicator-hash", "list-unsubscribe-post", "bcc",
	}, *const others[] = { "", "t", "too", "Received", "subjec", "subject ", "subject:", "x-universally-unique-identifiers",
	    "zzz", "a", "\xff" };

	(void)state;
	for (size_t i = 0; i < LEN(kept); i++)
		assert_true(mail_digest_field(text(kept[i])));
	for (size_t i = 0; i < LEN(others); i++)
		assert_false(mail_digest_field(text(others[i])));
}

/* A message with a subject of n octets. */
static void
subject_of(struct buf *b, size_t n, const char *rest)
{
	buf_clear(b);
	buf_text(b, "Subject: ");
	memset(buf_room(b, n), 's', n);
	b->n += n;
	buf_text(b, rest);
}

/* What does not fit is left out whole, and what comes behind it may still fit. */
static void
test_limit(void **state)
{
	struct arena *a = arena_new(MAIL_DIGEST_ARENA);
	struct buf room, small, message;
	struct index_data d;
	size_t n;

	(void)state;
	buf_init(&room, 1 << 20);
	buf_init(&small, 1000);
	buf_init(&message, 1 << 20);
	subject_of(&message, 100, "\n\n");
	mail_digest(buf_bytes(&message), a, &room, &d);
	n = (MAIL_DIGEST_MAX - room.n) / 2;		/* it is in the envelope and the fields */
	subject_of(&message, 100 + n, "\n\n");
	mail_digest(buf_bytes(&message), a, &room, &d);
	assert_true(room.n == MAIL_DIGEST_MAX || room.n == MAIL_DIGEST_MAX - 1);
	assert_true(d.envelope.n > n && d.structure.n > 0 && d.fields.n > n);
	subject_of(&message, 101 + n, "\n\n");
	mail_digest(buf_bytes(&message), a, &room, &d);
	assert_true(d.envelope.n > n && d.structure.n > 0);
	assert_int_equal(d.fields.n, 0);
	assert_false(room.full);
	subject_of(&message, MAIL_DIGEST_MAX, "\nTo: a\n\nx");
	mail_digest(buf_bytes(&message), a, &room, &d);
	assert_int_equal(d.envelope.n, 0);
	assert_bytes_equal(d.structure, text(PLAIN "1 0 NIL NIL NIL NIL)"));
	assert_int_equal(d.fields.n, 0);
	assert_int_equal(d.octets, message.n + 3);
	/* the room's own maximum, when it is less */
	subject_of(&message, 1000, "\n\nx");
	mail_digest(buf_bytes(&message), a, &small, &d);
	assert_bytes_equal(d.structure, text(PLAIN "1 0 NIL NIL NIL NIL)"));
	assert_int_equal(d.envelope.n + d.fields.n, 0);
	buf_fini(&room);
	buf_fini(&small);
	buf_fini(&message);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_fields), cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
