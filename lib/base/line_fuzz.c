/* SPDX-License-Identifier: ISC */
#include "base/line.h"
#include "base/mem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Chains up what is said of the input, fed `step` octets at a time. */
static uint64_t
said(struct bytes all, size_t max, size_t step)
{
	struct line_reader r;
	struct bytes input, line;
	enum line_status st;
	uint64_t sum = 14695981039346656037u;		/* FNV-1a */
	size_t come = 0;

	line_init(&r, max);
	while (come < all.n) {
		come = step < all.n - come ? come + step : all.n;
		input = bytes_head(all, come);
		while ((st = line_next(&r, &input, &line)) != LINE_MORE) {
			sum = (sum ^ st) * 1099511628211u;
			if (st != LINE_OK)
				continue;
			must(line.n + 2 <= max);
			for (size_t i = 0; i < line.n; i++) {
				must(line.p[i] != '\r' && line.p[i] != '\n' && line.p[i] != '\0');
				sum = (sum ^ line.p[i]) * 1099511628211u;
			}
		}
		all = bytes_skip(all, come - input.n);
		come = input.n;
		must(come < max);
	}
	return sum;
}

/* The first two octets: the limit, the size of the pieces. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes all = bytes_of(p, n);
	size_t max, step;

	if (n < 2)
		return 0;
	max = 2 + p[0];
	step = 1 + p[1];
	all = bytes_skip(all, 2);
	must(said(all, max, all.n + 1) == said(all, max, step));
	must(said(all, max, all.n + 1) == said(all, max, 1));
	return 0;
}
