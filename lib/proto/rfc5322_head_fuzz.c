/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/rfc5322_head.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct head_limits limits = { .depth = 10, .parts = 50, .fields = 100, .hops = 5 };

static void
scan(struct head *h, struct bytes s, size_t step)
{
	static struct bytes names[3];

	names[0] = text("From");
	names[1] = text("bcc");
	names[2] = text("Content-Type");
	head_init(h, &limits, text("mx.our.test"), names, LEN(names));
	while (s.n > 0) {
		head_feed(h, bytes_head(s, step));
		s = bytes_skip(s, step);
	}
	head_end(h);
}

/* The results do not depend on how the message was cut; ranges are lines of the header. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct head x, y;
	uint64_t at = 0;
	unsigned i;

	if (n < 1)
		return 0;
	scan(&x, bytes_of(p + 1, n - 1), n);
	scan(&y, bytes_of(p + 1, n - 1), 1 + p[0] % 30);
	must(x.octets == n - 1 && x.header_octets <= x.octets);
	must(x.header_octets == y.header_octets && x.header_done == y.header_done && x.over == y.over);
	must(x.fields == y.fields && x.hops == y.hops && x.malformed == y.malformed && x.ours == y.ours);
	must(x.longest_line == y.longest_line && x.longest_header_line == y.longest_header_line);
	must(x.parts == y.parts && x.depth == y.depth && x.mime_odd == y.mime_odd);
	must(x.bare_cr == y.bare_cr && x.bare_lf == y.bare_lf && x.nul == y.nul);
	must(x.header_8bit == y.header_8bit && x.body_8bit == y.body_8bit);
	must(x.ranges_n == y.ranges_n && memcmp(x.count, y.count, sizeof x.count) == 0);
	for (i = 0; i < x.ranges_n; i++) {
		must(x.ranges[i].at == y.ranges[i].at && x.ranges[i].n == y.ranges[i].n);
		must(x.ranges[i].what == y.ranges[i].what);
		must(x.ranges[i].at >= at && x.ranges[i].n > 0);
		must(x.ranges[i].at == 0 || p[1 + x.ranges[i].at - 1] == '\n');
		at = x.ranges[i].at + x.ranges[i].n;
		must(at <= x.header_octets);
	}
	return 0;
}
