/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_lex.h"

void
imap_lex_init(struct imap_lex *l, struct bytes text, struct arena *a)
{
	*l = (struct imap_lex){ .text = text, .arena = a };
}

bool
imap_lex_fail(struct imap_lex *l, const char *wrong)
{
	if (l->wrong == NULL)
		l->wrong = wrong;
	return false;
}

bool
imap_lex_complex(struct imap_lex *l, const char *wrong)
{
	if (l->wrong == NULL)
		l->complex = true;
	return imap_lex_fail(l, wrong);
}

static struct bytes
rest(const struct imap_lex *l)
{
	return bytes_skip(l->text, l->at);
}

bool
imap_lex_at(const struct imap_lex *l, unsigned char c)
{
	return l->at < l->text.n && l->text.p[l->at] == c;
}

bool
imap_lex_char(struct imap_lex *l, unsigned char c)
{
	if (!imap_lex_at(l, c))
		return false;
	l->at++;
	return true;
}

bool
imap_lex_sp(struct imap_lex *l)
{
	return imap_lex_char(l, ' ') || imap_lex_fail(l, "space expected");
}

bool
imap_lex_at_end(const struct imap_lex *l)
{
	size_t i;

	for (i = l->at; i < l->text.n && l->text.p[i] == ' '; i++)
		;
	return i == l->text.n;
}

bool
imap_lex_end(struct imap_lex *l)
{
	if (!imap_lex_at_end(l))
		return imap_lex_fail(l, "more than the command takes");
	l->at = l->text.n;
	return true;
}

bool
imap_lex_keyword(struct imap_lex *l, const char *label)
{
	size_t n = strlen(label);

	if (!bytes_case_starts(rest(l), text(label)) || l->at + n >= l->text.n
	    || l->text.p[l->at + n] != ' ')
		return false;
	l->at += n + 1;
	return true;
}

/* ---- characters, RFC 3501 section 9 ---------------------------------------------- */

static bool
atom_char(unsigned char c)
{
	return c > ' ' && c < 0x7f && strchr("(){%*\"\\]", c) == NULL;
}

static bool
astring_char(unsigned char c)
{
	return c == ']' || atom_char(c);
}

static bool
list_char(unsigned char c)
{
	return c == '%' || c == '*' || astring_char(c);
}

static bool
label_char(unsigned char c)
{
	return ascii_alnum(c) || c == '.' || c == '-' || c == '_';
}

static bool
set_char(unsigned char c)
{
	return ascii_digit(c) || c == ':' || c == ',' || c == '*' || c == '$';
}

/* All octets of a class, at least one. */
static bool
take(struct imap_lex *l, bool (*in_class)(unsigned char), struct bytes *out, const char *wrong)
{
	size_t start = l->at;

	while (l->at < l->text.n && in_class(l->text.p[l->at]))
		l->at++;
	*out = bytes_head(bytes_skip(l->text, start), l->at - start);
	return out->n > 0 || imap_lex_fail(l, wrong);
}

bool
imap_lex_tag(struct imap_lex *l, struct bytes *out)
{
	return take(l, astring_char, out, "tag expected")
	    && (imap_tag_ok(*out) || imap_lex_fail(l, "tag expected"));
}

bool
imap_lex_atom(struct imap_lex *l, struct bytes *out)
{
	return take(l, atom_char, out, "atom expected");
}

bool
imap_lex_label(struct imap_lex *l, struct bytes *out)
{
	return take(l, label_char, out, "name expected");
}

/* ---- strings ------------------------------------------------------------------------ */

/* "[~]{n[+]}" and the line end, RFC 7888 section 8, RFC 4466. */
static bool
take_header(struct imap_lex *l, struct imap_octets *out)
{
	struct bytes digits;
	bool crlf;

	out->literal.eight = imap_lex_char(l, '~');
	if (!imap_lex_char(l, '{') || !take(l, ascii_digit, &digits, "literal expected")
	    || !bytes_u64(digits, INT64_MAX, &out->literal.octets))
		return imap_lex_fail(l, "literal expected");
	out->literal.nonsync = imap_lex_char(l, '+');
	if (!imap_lex_char(l, '}'))
		return imap_lex_fail(l, "literal expected");
	crlf = imap_lex_char(l, '\r');
	out->where = crlf ? IMAP_GATHERED : IMAP_STREAMED;
	return imap_lex_char(l, '\n') || imap_lex_fail(l, "literal expected");
}

bool
imap_lex_octets(struct imap_lex *l, struct imap_octets *out)
{
	*out = (struct imap_octets){ 0 };
	if (!take_header(l, out))
		return false;
	if (out->where == IMAP_STREAMED)
		return true;
	if (out->literal.octets > l->text.n - l->at) {
		out->where = IMAP_COMING;
		return l->at == l->text.n || imap_lex_fail(l, "literal cut short");
	}
	out->octets = bytes_head(rest(l), (size_t)out->literal.octets);
	l->at += out->octets.n;
	return true;
}

/* A literal as an argument: a message's octets are not kept, and NUL is in no string (section 9,
 * note 3), also where literal8 would let it through (CVE-2019-11500). */
static bool
take_literal(struct imap_lex *l, struct bytes *out)
{
	struct imap_octets octets;

	if (!imap_lex_octets(l, &octets))
		return false;
	if (octets.where != IMAP_GATHERED)
		return imap_lex_fail(l, "literal not here");
	*out = octets.octets;
	return bytes_find(*out, '\0') == out->n || imap_lex_fail(l, "NUL in a string");
}

static struct bytes
unescape(struct arena *a, struct bytes s)
{
	unsigned char *to = arena_alloc(a, s.n);
	size_t i, n = 0;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;		/* take_quoted saw that there is another */
		to[n++] = s.p[i];
	}
	return bytes_of(to, n);
}

static bool
take_quoted(struct imap_lex *l, struct bytes *out)
{
	size_t start = ++l->at;
	bool escapes = false;

	for (; l->at < l->text.n && l->text.p[l->at] != '"'; l->at++) {
		unsigned char c = l->text.p[l->at];

		if (c == '\r' || c == '\n' || c == '\0')
			return imap_lex_fail(l, "quoted string has no end");
		if (c != '\\')
			continue;
		escapes = true;
		l->at++;
		if (!imap_lex_at(l, '"') && !imap_lex_at(l, '\\'))
			return imap_lex_fail(l, "only \\\" and \\\\ in a quoted string");
	}
	*out = bytes_of(l->text.p + start, l->at - start);
	if (!imap_lex_char(l, '"'))
		return imap_lex_fail(l, "quoted string has no end");
	if (escapes)
		*out = unescape(l->arena, *out);
	return true;
}

/* Is it a literal8? "~" begins atoms too ("~/mail"). */
static bool
at_literal(const struct imap_lex *l)
{
	return imap_lex_at(l, '{') || bytes_starts(rest(l), text("~{"));
}

bool
imap_lex_string(struct imap_lex *l, struct bytes *out)
{
	if (imap_lex_at(l, '"'))
		return take_quoted(l, out);
	if (at_literal(l))
		return take_literal(l, out);
	return imap_lex_fail(l, "string expected");
}

static bool
at_string(const struct imap_lex *l)
{
	return imap_lex_at(l, '"') || at_literal(l);
}

bool
imap_lex_astring(struct imap_lex *l, struct bytes *out)
{
	if (at_string(l))
		return imap_lex_string(l, out);
	return take(l, astring_char, out, "atom or string expected");
}

bool
imap_lex_nstring(struct imap_lex *l, struct bytes *out, bool *nil)
{
	*nil = false;
	if (at_string(l))
		return imap_lex_string(l, out);
	*nil = take(l, atom_char, out, "string or NIL expected") && bytes_case_eq(*out, text("NIL"));
	*out = text("");
	return *nil || imap_lex_fail(l, "string or NIL expected");
}

/* RFC 3501 section 5.1: INBOX is one name in any case, quoted or not. */
bool
imap_lex_mailbox(struct imap_lex *l, struct bytes *out)
{
	if (!at_string(l)) {
		if (!take(l, astring_char, out, "mailbox name expected"))
			return false;
	} else if (!imap_lex_string(l, out)) {
		return false;
	}
	if (bytes_case_eq(*out, text("INBOX")))
		*out = text("INBOX");
	return true;
}

bool
imap_lex_list_mailbox(struct imap_lex *l, struct bytes *out)
{
	if (at_string(l))
		return imap_lex_string(l, out);
	return take(l, list_char, out, "mailbox pattern expected");
}

/* ---- numbers ------------------------------------------------------------------------- */

static bool
take_number(struct imap_lex *l, uint64_t max, uint64_t *out)
{
	struct bytes digits;

	return take(l, ascii_digit, &digits, "number expected")
	    && (bytes_u64(digits, max, out) || imap_lex_fail(l, "number too large"));
}

bool
imap_lex_number63(struct imap_lex *l, uint64_t *out)
{
	return take_number(l, INT64_MAX, out);
}

bool
imap_lex_number(struct imap_lex *l, uint32_t *out)
{
	uint64_t v;

	if (!take_number(l, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool
imap_lex_nz_number(struct imap_lex *l, uint32_t *out)
{
	if (imap_lex_at(l, '0'))
		return imap_lex_fail(l, "number from 1 expected");
	return imap_lex_number(l, out);
}

bool
imap_lex_at_set(const struct imap_lex *l)
{
	return l->at < l->text.n && set_char(l->text.p[l->at]);
}

bool
imap_lex_set(struct imap_lex *l, struct bytes *out)
{
	return take(l, set_char, out, "sequence set expected");
}

/* ---- dates --------------------------------------------------------------------------- */

static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

static unsigned
days_of(unsigned month, unsigned year)
{
	static const unsigned char days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* Since 1970-01-01, Gregorian: years begin in March, so that the leap day is the last. */
static int32_t
day_number(unsigned year, unsigned month, unsigned day)
{
	unsigned y = year + 400 - (month <= 2 ? 1u : 0u);
	unsigned m = (month + 9) % 12;

	return (int32_t)(365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1)
	    - 719468 - 146097;
}

/* Exactly `n` digits off the front; liberal: `least` are enough. */
static bool
cut_digits(struct bytes *s, size_t least, size_t n, unsigned *out)
{
	size_t i;

	for (*out = 0, i = 0; i < n && i < s->n && ascii_digit(s->p[i]); i++)
		*out = *out * 10 + (unsigned)(s->p[i] - '0');
	*s = bytes_skip(*s, i);
	return i >= least;
}

static bool
cut_char(struct bytes *s, unsigned char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = bytes_skip(*s, 1);
	return true;
}

static bool
cut_month(struct bytes *s, unsigned *month)
{
	for (*month = 1; *month <= 12; ++*month)
		if (bytes_case_starts(*s, text(months[*month - 1]))) {
			*s = bytes_skip(*s, 3);
			return true;
		}
	return false;
}

/* date-text, and date-day-fixed. */
static bool
cut_date(struct bytes *s, int32_t *out)
{
	unsigned day, month, year;

	if (!cut_digits(s, 1, 2, &day) || !cut_char(s, '-') || !cut_month(s, &month)
	    || !cut_char(s, '-') || !cut_digits(s, 4, 4, &year))
		return false;
	*out = day_number(year, month, day);
	return day >= 1 && day <= days_of(month, year);
}

bool
imap_lex_date(struct imap_lex *l, int32_t *day)
{
	bool quoted = imap_lex_char(l, '"');
	struct bytes s = rest(l), before = s;

	if (!cut_date(&s, day))
		return imap_lex_fail(l, "date expected, like 1-Feb-1994");
	l->at += before.n - s.n;
	return !quoted || imap_lex_char(l, '"') || imap_lex_fail(l, "date has no end");
}

/* time SP zone; a second of 60 is a leap second. */
static bool
cut_time(struct bytes *s, int *time_s, int *zone_min)
{
	unsigned hour, minute, second, zone;
	bool west;

	if (!cut_digits(s, 2, 2, &hour) || !cut_char(s, ':') || !cut_digits(s, 2, 2, &minute)
	    || !cut_char(s, ':') || !cut_digits(s, 2, 2, &second) || !cut_char(s, ' '))
		return false;
	west = cut_char(s, '-');
	if ((!west && !cut_char(s, '+')) || !cut_digits(s, 4, 4, &zone))
		return false;
	*time_s = (int)(hour * 3600 + minute * 60 + second);
	*zone_min = (int)(zone / 100 * 60 + zone % 100) * (west ? -1 : 1);
	return hour < 24 && minute < 60 && second <= 60 && zone / 100 < 24 && zone % 100 < 60;
}

bool
imap_lex_date_time(struct imap_lex *l, struct imap_time *out)
{
	struct bytes s = rest(l), before = s;
	int time_s;
	int32_t day;

	if (!cut_char(&s, '"') || (cut_char(&s, ' ') && (s.n < 2 || s.p[1] != '-'))
	    || !cut_date(&s, &day) || !cut_char(&s, ' ')
	    || !cut_time(&s, &time_s, &out->zone_min) || !cut_char(&s, '"'))
		return imap_lex_fail(l, "date expected, like \"17-Jul-1996 02:44:25 -0700\"");
	out->wall_s = (int64_t)day * 86400 + time_s - (int64_t)out->zone_min * 60;
	l->at += before.n - s.n;
	return true;
}

/* ---- lists --------------------------------------------------------------------------- */

bool
imap_lex_list(struct imap_lex *l, bool none, bool (*item)(struct imap_lex *l, void *arg), void *arg)
{
	if (!imap_lex_char(l, '('))
		return imap_lex_fail(l, "list in parentheses expected");
	if (l->depth >= IMAP_LIST_DEPTH_MAX)
		return imap_lex_complex(l, "lists nested too deep");
	if (none && imap_lex_char(l, ')'))
		return true;
	l->depth++;
	do {
		if (!item(l, arg))
			return false;
	} while (imap_lex_char(l, ' '));
	l->depth--;
	return imap_lex_char(l, ')') || imap_lex_fail(l, "space or ) expected");
}

bool
imap_names_add(struct imap_lex *l, struct imap_names *names, struct bytes name, size_t max)
{
	struct bytes *grown;

	if (names->n >= max)
		return imap_lex_complex(l, "too many in a list");
	if (names->n == names->cap) {
		names->cap = names->cap > 0 ? 2 * names->cap : 4;
		grown = arena_array(l->arena, names->cap, sizeof *grown);
		if (names->n > 0)
			memcpy(grown, names->name, names->n * sizeof *grown);
		names->name = grown;
	}
	names->name[names->n++] = name;
	return true;
}

bool
imap_word_find(const struct imap_word *words, size_t n, struct bytes name, unsigned *value)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (bytes_case_eq(name, text(words[i].name))) {
			*value = words[i].value;
			return true;
		}
	return false;
}

bool
imap_lex_word(struct imap_lex *l, const struct imap_word *words, size_t n, unsigned *value,
    const char *wrong)
{
	struct bytes name;

	return take(l, label_char, &name, wrong)
	    && (imap_word_find(words, n, name, value) || imap_lex_fail(l, wrong));
}

/* ---- flags, RFC 3501 section 2.3.2 --------------------------------------------------- */

static const struct imap_word system_flags[] = {
	{ "\\Answered",	IMAP_ANSWERED },
	{ "\\Flagged",	IMAP_FLAGGED },
	{ "\\Deleted",	IMAP_DELETED },
	{ "\\Seen",	IMAP_SEEN },
	{ "\\Draft",	IMAP_DRAFT },
};

bool
imap_lex_backslash(struct imap_lex *l, struct bytes *out)
{
	size_t start = l->at;

	if (!imap_lex_char(l, '\\') || !take(l, atom_char, out, "\\name expected"))
		return imap_lex_fail(l, "\\name expected");
	*out = bytes_of(l->text.p + start, l->at - start);
	return true;
}

bool
imap_lex_flag(struct imap_lex *l, struct imap_flags *add_to)
{
	struct bytes name;
	unsigned flag = 0;

	if (!imap_lex_at(l, '\\'))
		return take(l, atom_char, &name, "flag expected")
		    && imap_names_add(l, &add_to->keywords, name, IMAP_KEYWORDS_MAX);
	if (!imap_lex_backslash(l, &name))
		return false;
	if (bytes_case_eq(name, text("\\Recent")))
		return imap_lex_fail(l, "\\Recent cannot be set");
	if (!imap_word_find(system_flags, LEN(system_flags), name, &flag))
		add_to->unknown = true;
	add_to->system |= flag;
	return true;
}

static bool
flag_item(struct imap_lex *l, void *arg)
{
	return imap_lex_flag(l, arg);
}

bool
imap_lex_flag_list(struct imap_lex *l, struct imap_flags *add_to)
{
	return imap_lex_list(l, true, flag_item, add_to);
}
