/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_rows.c - tables for people.
 */
#include <stdio.h>

#include "base/mem.h"
#include "proto/utf8.h"
#include "tools/hermod.h"

void
rows_init(struct rows *r, const char *const *title)
{
	*r = (struct rows){ .title = title };
	while (title[r->columns])
		r->columns++;
	must(r->columns <= ROW_CELLS);
	buf_init(&r->cells, 1u << 30);
}

void
rows_add(struct rows *r, struct bytes cell)
{
	bool utf8 = utf8_valid(cell);

	for (size_t i = 0; i < cell.n; i++) {
		unsigned char c = cell.p[i];
		bool c1 = utf8 && c == 0xc2 && cell.p[i + 1] < 0xa0;	/* U+0080 to U+009F: controls, too */

		buf_char(&r->cells, c < ' ' || c == 0x7f || (c > 0x7f && !utf8) || c1 ? '?' : c);
		i += c1;
	}
	buf_char(&r->cells, '\0');
	r->n++;
}

void
rows_text(struct rows *r, const char *cell)
{
	rows_add(r, text(cell));
}

void
rows_number(struct rows *r, uint64_t cell)
{
	char dst[24];

	snprintf(dst, sizeof dst, "%llu", (unsigned long long)cell);
	rows_text(r, dst);
}

void
rows_size(struct rows *r, uint64_t octets)
{
	static const char units[] = " KMGTP";
	double v = (double)octets;
	size_t u = 0;
	char dst[24];

	while (v >= 1024 && units[u + 1]) {
		v /= 1024;
		u++;
	}
	if (u == 0)
		snprintf(dst, sizeof dst, "%llu", (unsigned long long)octets);
	else
		snprintf(dst, sizeof dst, v < 10 ? "%.1f%c" : "%.0f%c", v, units[u]);
	rows_text(r, dst);
}

void
rows_time(struct rows *r, uint64_t ms)
{
	uint64_t s = ms / 1000;
	char dst[24];

	if (s < 120)
		snprintf(dst, sizeof dst, "%llus", (unsigned long long)s);
	else if (s < 7200)
		snprintf(dst, sizeof dst, "%llum", (unsigned long long)s / 60);
	else if (s < 172800)
		snprintf(dst, sizeof dst, "%lluh", (unsigned long long)s / 3600);
	else
		snprintf(dst, sizeof dst, "%llud", (unsigned long long)s / 86400);
	rows_text(r, dst);
}

/* Characters, not octets: all of width one is near enough. */
static size_t
width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void
print_cell(const char *cell, size_t wide, bool right, bool last)
{
	int pad = (int)(wide - width(cell));

	if (right)
		printf("%*s%s%s", pad, "", cell, last ? "\n" : "  ");
	else if (last)
		printf("%s\n", cell);
	else
		printf("%s%*s  ", cell, pad, "");
}

static void
measure(const struct rows *r, size_t *wide)
{
	const char *cell = (const char *)r->cells.p;

	for (size_t c = 0; c < r->columns; c++)
		wide[c] = width(r->title[c] + (r->title[c][0] == '<'));
	for (size_t i = 0; i < r->n; i++) {
		if (width(cell) > wide[i % r->columns])
			wide[i % r->columns] = width(cell);
		cell += strlen(cell) + 1;
	}
}

void
rows_print(struct rows *r)
{
	size_t wide[ROW_CELLS];
	const char *cell = (const char *)r->cells.p;

	must(r->n % r->columns == 0);
	measure(r, wide);
	if (hermod_options.colour)
		fputs("\033[1m", stdout);
	for (size_t c = 0; c < r->columns; c++) {
		bool right = r->title[c][0] == '<', last = c + 1 == r->columns;

		if (last && hermod_options.colour) {
			print_cell(r->title[c] + right, wide[c], right, false);
			fputs("\033[0m\n", stdout);
		} else
			print_cell(r->title[c] + right, wide[c], right, last);
	}
	for (size_t i = 0; i < r->n; i++) {
		size_t c = i % r->columns;

		print_cell(cell, wide[c], r->title[c][0] == '<', c + 1 == r->columns);
		cell += strlen(cell) + 1;
	}
	buf_fini(&r->cells);
}
