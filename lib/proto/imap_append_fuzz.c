/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_append.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct said { size_t messages; uint64_t octets; bool bad; };

/* What the scans said of the literals of one command. */
static void
answer(struct imap_reader *r, struct imap_append_scan *s, struct arena *a, struct said *said)
{
	struct imap_message m;

	switch (imap_append_scan(s, buf_bytes(&r->text), a, &m)) {
	case IMAP_LITERAL_ARGUMENT:
		imap_reader_accept(r);
		break;
	case IMAP_LITERAL_MESSAGE:
		must(m.content.literal.octets == r->literal.octets);
		must(m.content.literal.nonsync == r->literal.nonsync);
		said->messages++;
		said->octets += r->literal.octets;
		imap_reader_stream(r);
		break;
	case IMAP_LITERAL_BAD:
		must(s->wrong != NULL);
		said->bad = true;
		imap_reader_refuse(r);
		break;
	}
}

/* The whole command, taken apart at its end, must have the messages that were said. */
static void
check(struct bytes text, const struct said *said, struct arena *a)
{
	struct imap_append append;
	struct imap_message *m;
	struct bytes s;
	struct imap_lex l;
	uint64_t octets = 0;

	must(!said->bad);
	imap_lex_init(&l, text, a);
	if (!imap_lex_tag(&l, &s) || !imap_lex_sp(&l) || !imap_lex_keyword(&l, "APPEND")
	    || !imap_lex_mailbox(&l, &s) || !imap_append_parse(&l, &append))
		return;
	for (m = append.messages; m != NULL; m = m->next) {
		must(m->content.where == IMAP_STREAMED);
		octets += m->content.literal.octets;
	}
	must(append.message_count == said->messages && octets == said->octets);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_of(p, n), run;
	struct arena *a = arena_new((1 << 22) + 64 * n);
	struct imap_append_scan s = { 0 };
	struct said said = { 0 };
	struct imap_reader r;
	enum imap_read st;

	imap_reader_init(&r, &imap_limits_session);
	while ((st = imap_reader_next(&r, &in, &run)) != IMAP_READ_MORE && st != IMAP_READ_LOST) {
		if (st == IMAP_READ_RUN)
			continue;
		if (st == IMAP_READ_LITERAL)
			answer(&r, &s, a, &said);
		if (st == IMAP_READ_COMMAND)
			check(buf_bytes(&r.text), &said, a);
		if (st != IMAP_READ_LITERAL || said.bad) {
			s = (struct imap_append_scan){ 0 };
			said = (struct said){ 0 };
			arena_reset(a);
		}
	}
	imap_reader_fini(&r);
	arena_free(&a);
	return 0;
}
