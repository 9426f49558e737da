/* SPDX-License-Identifier: ISC */
#include "proto/rfc5322_date.h"
#include "proto/rfc5322_field.h"

static bool
take_char(struct bytes *s, unsigned char c)
{
	field_skip_cfws(s);
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = bytes_skip(*s, 1);
	return true;
}

/* A number of low to high digits, at most max. */
static bool
take_number(struct bytes *s, size_t low, size_t high, int max, int *out)
{
	size_t n = 0;
	uint64_t v;

	field_skip_cfws(s);
	while (n < s->n && ascii_digit(s->p[n]))
		n++;
	if (n < low || n > high || !bytes_u64(bytes_head(*s, n), (uint64_t)max, &v))
		return false;
	*s = bytes_skip(*s, n);
	*out = (int)v;
	return true;
}

static struct bytes
take_letters(struct bytes *s)
{
	struct bytes word;
	size_t n = 0;

	field_skip_cfws(s);
	while (n < s->n && ascii_alpha(s->p[n]))
		n++;
	word = bytes_head(*s, n);
	*s = bytes_skip(*s, n);
	return word;
}

static bool
take_month(struct bytes *s, int *month)
{
	static const char names[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
	};
	struct bytes word = take_letters(s);

	for (*month = 1; *month <= 12; ++*month)
		if (bytes_case_eq(word, text(names[*month - 1])))
			return true;
	return false;
}

/* Section 4.3: two digits are 2000 to 2049 or 1950 to 1999, three are from 1900 on. */
static bool
take_year(struct bytes *s, int *year)
{
	size_t before;

	field_skip_cfws(s);
	before = s->n;
	if (!take_number(s, 2, 4, 9999, year))
		return false;
	if (before - s->n == 2)
		*year += *year < 50 ? 2000 : 1900;
	else if (before - s->n == 3)
		*year += 1900;
	return true;
}

/* zone of section 3.3, obs-zone of 4.3; none at all is not in the grammar, but in the mail. */
static bool
take_zone(struct bytes *s, int *zone_min)
{
	static const struct { const char *name; int hours; } names[] = {
		{ "EDT", -4 }, { "EST", -5 }, { "CDT", -5 }, { "CST", -6 }, { "MDT", -6 }, { "MST", -7 },
		{ "PDT", -7 }, { "PST", -8 },
	};
	struct bytes word;
	bool minus;
	int hhmm;
	size_t i;

	*zone_min = 0;
	field_skip_cfws(s);
	minus = s->n > 0 && s->p[0] == '-';
	if (take_char(s, '-') || take_char(s, '+')) {
		if (!take_number(s, 4, 4, 9959, &hhmm) || hhmm % 100 > 59)
			return false;
		*zone_min = (hhmm / 100 * 60 + hhmm % 100) * (minus ? -1 : 1);
		return true;
	}
	word = take_letters(s);
	for (i = 0; i < LEN(names); i++)
		if (bytes_case_eq(word, text(names[i].name)))
			*zone_min = names[i].hours * 60;
	return true;
}

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
month_days(int year, int month)
{
	static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to the first of the month; Gregorian throughout. */
static int64_t
days_to(int year, int month)
{
	int64_t y = year, days = y * 365 + (y + 3) / 4 - (y + 99) / 100 + (y + 399) / 400 - 719528;
	int m;

	for (m = 1; m < month; m++)
		days += month_days(year, m);
	return days;
}

bool
rfc5322_date_parse(struct bytes value, int64_t *wall_s, int *zone_min)
{
	int year, month, day, hour, minute, second = 0, zone;
	struct bytes rest = value, before;

	before = rest;
	if (take_letters(&rest).n == 0)
		rest = before;
	else if (!take_char(&rest, ','))
		return false;
	if (!take_number(&rest, 1, 2, 31, &day) || !take_month(&rest, &month) || !take_year(&rest, &year)
	    || !take_number(&rest, 1, 2, 23, &hour) || !take_char(&rest, ':')
	    || !take_number(&rest, 2, 2, 59, &minute))
		return false;
	if (take_char(&rest, ':') && !take_number(&rest, 2, 2, 60, &second))
		return false;
	if (!take_zone(&rest, &zone) || day < 1 || day > month_days(year, month))
		return false;
	field_skip_cfws(&rest);
	if (rest.n > 0)
		return false;
	*wall_s = (days_to(year, month) + day - 1) * 86400 + hour * 3600 + minute * 60 + second - zone * 60;
	*zone_min = zone;
	return true;
}
