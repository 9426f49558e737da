/* SPDX-License-Identifier: ISC */
#include "base/testing.h"
#include "mail/drop.h"

static void
write_file(struct buf *out)
{
	struct drop_file f = { 0 };

	buf_init(out, 1 << 20);
	drop_put(&f, &(struct drop_record){ .type = DROP_SENDER, .sender = text("a@b.test"),
	    .envid = text("id"), .body_8bit = true }, out);
	drop_put(&f, &(struct drop_record){ .type = DROP_RCPT, .recipient = text("c@d.test"), .notify = 3 }, out);
	drop_put(&f, &(struct drop_record){ .type = DROP_RCPT, .recipient = text("e@f.test") }, out);
	drop_put(&f, &(struct drop_record){ .type = DROP_CONTENT, .content = OCTETS("Subject: x\n\n\0\n") }, out);
	drop_put(&f, &(struct drop_record){ .type = DROP_CONTENT, .content = text("end\n") }, out);
	drop_put(&f, &(struct drop_record){ .type = DROP_END }, out);
	assert_false(out->full);
	assert_true(drop_whole(&f));
}

/* Reads it piece octets at a time; what it was is said in words. */
static bool
read_file(struct bytes file, size_t piece, struct buf *said)
{
	struct drop_file f = { 0 };
	size_t given = 0, taken = 0;

	for (;;) {
		struct bytes in = bytes_of(file.p + taken, given - taken);
		struct drop_record r;
		enum drop_take t = drop_take(&f, &in, &r);

		taken = given - in.n;
		if (t == DROP_BAD)
			return drop_whole(&f) && taken == file.n;
		if (t == DROP_MORE) {
			if (given == file.n)
				return false;
			given = given + piece < file.n ? given + piece : file.n;
			continue;
		}
		buf_fmt(said, "%d:%.*s%.*s%.*s%.*s;", (int)r.type, BYTES_FMT(r.sender), BYTES_FMT(r.envid),
		    BYTES_FMT(r.recipient), BYTES_FMT(bytes_head(r.content, 9)));
		if (drop_whole(&f) && taken == file.n)
			return true;
	}
}

static void
test_round(void **state)
{
	static const size_t pieces[] = { 1, 2, 7, 100, 100000 };
	struct buf file, said;

	(void)state;
	write_file(&file);
	buf_init(&said, 4096);
	for (size_t i = 0; i < LEN(pieces); i++) {
		buf_clear(&said);
		assert_true(read_file(buf_bytes(&file), pieces[i], &said));
		assert_bytes_equal(buf_bytes(&said),
		    text("1:a@b.testid;2:c@d.test;2:e@f.test;3:Subject: ;3:end\n;4:;"));
	}
	buf_fini(&said);
	buf_fini(&file);
}

/* Cut anywhere, or with any bit turned, it is not taken for a message. */
static void
test_damage(void **state)
{
	struct buf file, said;

	(void)state;
	write_file(&file);
	buf_init(&said, 4096);
	for (size_t i = 0; i < file.n; i++) {
		buf_clear(&said);
		assert_false(read_file(bytes_head(buf_bytes(&file), i), 100000, &said));
	}
	for (size_t i = 0; i < file.n * 8; i++) {
		file.p[i / 8] ^= (unsigned char)(1u << i % 8);
		buf_clear(&said);
		assert_false(read_file(buf_bytes(&file), 100000, &said));
		file.p[i / 8] ^= (unsigned char)(1u << i % 8);
	}
	buf_char(&file, 'x');			/* something behind the end */
	buf_clear(&said);
	assert_false(read_file(buf_bytes(&file), 100000, &said));
	buf_fini(&said);
	buf_fini(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
