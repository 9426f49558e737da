/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_reader.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static uint64_t sum;

static void
mix(uint64_t v)
{
	sum = (sum ^ v) * 1099511628211u;		/* FNV-1a */
}

static void
mix_bytes(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		mix(s.p[i]);
}

static void
decide(struct imap_reader *r)
{
	must(r->literal.octets <= INT64_MAX);
	mix(r->literal.octets + r->fits);
	mix_bytes(buf_bytes(&r->text));
	switch (r->literal.octets % 5) {
	case 0:		imap_reader_refuse(r); break;
	case 1:
	case 2:		imap_reader_stream(r); break;
	default:	imap_reader_accept(r); break;
	}
}

/* After a command that ends with "!" comes a raw line. */
static bool
check_text(struct bytes s)
{
	must(s.n + 2 <= 200);
	mix_bytes(s);
	return bytes_ends(s, text("!"));
}

/* Chains up what is said of the input, fed `step` octets at a time; false: lost. */
static bool
feed(struct bytes all, size_t step)
{
	static const struct imap_limits limits = { 60, 200, 5, 6 };
	struct imap_reader r;
	struct bytes in, run;
	enum imap_read st;
	bool lost = false;

	imap_reader_init(&r, &limits);
	sum = 14695981039346656037u;
	while (all.n > 0 && !lost) {
		in = bytes_head(all, step);
		all = bytes_skip(all, step);
		while (!lost && (st = imap_reader_next(&r, &in, &run)) != IMAP_READ_MORE) {
			if (st == IMAP_READ_RUN) {
				mix_bytes(run);
				continue;
			}
			mix(st);
			mix_bytes(imap_reader_tag(&r));
			if (st == IMAP_READ_LITERAL)
				decide(&r);
			else if (st == IMAP_READ_COMMAND && check_text(buf_bytes(&r.text)))
				imap_reader_raw(&r);
			lost = st == IMAP_READ_LOST;
		}
		must(lost || in.n == 0);
	}
	imap_reader_fini(&r);
	return !lost;
}

/* The first octet: the size of the pieces. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes all = bytes_of(p, n);
	uint64_t whole;

	if (n < 1)
		return 0;
	all = bytes_skip(all, 1);
	feed(all, all.n + 1);
	whole = sum;
	feed(all, 1u + p[0]);
	must(sum == whole);
	feed(all, 1);
	must(sum == whole);
	return 0;
}
