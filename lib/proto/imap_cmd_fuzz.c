/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_cmd.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(struct bytes text, struct arena *a)
{
	struct imap_cmd cmd;
	enum imap_parse said = imap_cmd_parse(text, a, &cmd);

	must((said == IMAP_PARSED) == (cmd.wrong == NULL));
	must((said == IMAP_BAD_TAG) == (cmd.tag.n == 0));
	must(cmd.tag.n == 0 || (cmd.tag.p == text.p && imap_tag_ok(cmd.tag)));
	must(cmd.verb < IMAP_VERBS && imap_verb_when(cmd.verb) != 0);
	must(cmd.pair_count <= IMAP_ID_MAX && cmd.names.n <= IMAP_ENABLE_MAX);
	must(bytes_find(cmd.password, '\0') == cmd.password.n);
	must(bytes_find(cmd.mailbox, '\0') == cmd.mailbox.n);
	must(said != IMAP_PARSED || cmd.verb != IMAP_SEARCH || cmd.search.keys->kids != NULL);
	must(arena_used(a) <= IMAP_CMD_ARENA_MAX / 4);
}

/* As it is, and as the reader gathers it. The first octet: the size of the pieces; literals of
 * 100 octets and more are streamed. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(IMAP_CMD_ARENA_MAX);
	struct imap_reader r;
	struct bytes in, run, all = bytes_of(p, n);
	size_t step = n > 0 ? 1u + p[0] : 1;
	enum imap_read st = IMAP_READ_MORE;

	all = bytes_skip(all, 1);
	if (all.n <= IMAP_COMMAND_MAX)
		check(all, a);
	imap_reader_init(&r, &imap_limits_session);
	for (; all.n > 0 && st != IMAP_READ_LOST; all = bytes_skip(all, step)) {
		in = bytes_head(all, step);
		while ((st = imap_reader_next(&r, &in, &run)) != IMAP_READ_MORE && st != IMAP_READ_LOST) {
			arena_reset(a);
			if (st == IMAP_READ_LITERAL && r.literal.octets >= 100)
				imap_reader_stream(&r);
			else if (st == IMAP_READ_LITERAL)
				imap_reader_accept(&r);
			else if (st == IMAP_READ_COMMAND)
				check(buf_bytes(&r.text), a);
		}
	}
	imap_reader_fini(&r);
	arena_free(&a);
	return 0;
}
