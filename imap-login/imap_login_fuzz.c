/* SPDX-License-Identifier: ISC */
#include "imap-login/session_testing.h"
#include "proto/imap_cmd.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define PIECE_MAX	16384		/* what daemon/login.c reads at once */

/* Replies are lines, and so is what was asked of login.c. */
static void
check_lines(struct bytes out)
{
	while (out.n > 0) {
		struct bytes line = bytes_cut(&out, '\n');

		must(line.n >= 2 && line.p[line.n - 1] == '\r');
	}
}

static void
talk(struct testing *t, bool may_log_in, const char *script, struct bytes in, size_t step)
{
	testing_init(t, may_log_in, script);
	for (; in.n > 0; in = bytes_skip(in, step))
		testing_feed(t, bytes_head(in, step));
	testing_end(t);
	must(!t->s.conn.out.full);
}

/* Whatever a client sends, and however it is cut, it is told the same: unless it did not wait for the answer to a
 * literal, which only shows when more has come. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const scripts[] = { "", "Cf", "ccfCo", "uCuo" };
	struct bytes in = bytes_skip(bytes_of(p, n), 1);
	const char *script = scripts[n > 0 ? p[0] & 3 : 0];
	bool may_log_in = n == 0 || (p[0] & 4) == 0;
	struct testing whole, pieces;
	struct bytes out;

	if (n > PIECE_MAX)
		return 0;
	talk(&whole, may_log_in, script, in, PIECE_MAX);
	talk(&pieces, may_log_in, script, in, n > 0 ? 1u + (p[0] >> 3) : 1);
	out = buf_bytes(&whole.s.conn.out);
	if (!whole.begun)
		check_lines(out);
	must(bytes_ends(out, text("to your literal>\r\n")) || bytes_eq(out, buf_bytes(&pieces.s.conn.out)));
	testing_fini(&whole);
	testing_fini(&pieces);
	return 0;
}
