/* SPDX-License-Identifier: ISC */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "mail/network.h"
#include "mail/settings.h"

static void *
member(const struct setting *s, void *out)
{
	return (char *)out + s->offset;
}

static bool fault(char *why, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool
fault(char *why, size_t cap, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, cap, fmt, ap);
	va_end(ap);
	return false;
}

const struct setting *
settings_find(const struct setting *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

/* ---- numbers with units ------------------------------------------------------- */

struct unit { const char *name; uint64_t factor; };

static const struct unit size_units[] = {	/* the first that divides is how it is shown */
	{ "T", 1ull << 40 }, { "G", 1ull << 30 }, { "M", 1ull << 20 }, { "K", 1ull << 10 }, { "", 1 },
	{ NULL, 0 }
};
static const struct unit time_units[] = {
	{ "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 },
	{ "ms", 1 }, { NULL, 0 }
};
static const struct unit plain_units[] = { { "", 1 }, { NULL, 0 } };

static const struct unit *
units_of(enum setting_type type)
{
	return type == SETTING_SIZE ? size_units : type == SETTING_TIME ? time_units : plain_units;
}

static bool
number_parse(const struct unit *units, struct bytes v, uint64_t *out)
{
	size_t digits = 0;
	uint64_t n;

	while (digits < v.n && ascii_digit(v.p[digits]))
		digits++;
	if (!bytes_u64(bytes_head(v, digits), UINT64_MAX, &n))
		return false;
	for (; units->name; units++)
		if (bytes_eq(bytes_skip(v, digits), text(units->name))
		    && n <= UINT64_MAX / units->factor) {
			*out = n * units->factor;
			return true;
		}
	if (n == 0 && digits == v.n) {		/* nothing needs no unit */
		*out = 0;
		return true;
	}
	return false;
}

static const char *
number_text(const struct unit *units, uint64_t n, char dst[32])
{
	while (units[1].name && (n == 0 || n % units->factor != 0))
		units++;
	snprintf(dst, 32, "%llu%s", (unsigned long long)(n / units->factor), units->name);
	return dst;
}

static bool
set_number(const struct setting *s, struct bytes v, uint64_t *out, char *why, size_t cap)
{
	static const char *const right[] = {
		[SETTING_NUMBER] = "a number in decimal digits, as 100",
		[SETTING_SIZE] = "octets, or a number with K, M, G or T, as 25M",
		[SETTING_TIME] = "a number with ms, s, m, h, d or w, as 5m",
	};
	const struct unit *units = units_of(s->type);
	char least[32], most[32];
	uint64_t n;

	if (!number_parse(units, v, &n))
		return fault(why, cap, "not understood; right would be %s", right[s->type]);
	number_text(units, s->least, least);
	number_text(units, s->most, most);
	if (n < s->least)
		return fault(why, cap, "too small; right would be %s or more", least);
	if (s->most != 0 && n > s->most)
		return fault(why, cap, "too large; right would be from %s to %s", least, most);
	*out = n;
	return true;
}

/* ---- the other types -------------------------------------------------------------- */

static bool
set_bool(struct bytes v, bool *out, char *why, size_t cap)
{
	if (!bytes_eq(v, text("yes")) && !bytes_eq(v, text("no")))
		return fault(why, cap, "not understood; right would be yes or no");
	*out = bytes_eq(v, text("yes"));
	return true;
}

static bool
set_word(const struct setting *s, struct bytes v, unsigned *out, char *why, size_t cap)
{
	size_t used = 0;

	for (unsigned i = 0; s->words[i]; i++)
		if (bytes_eq(v, text(s->words[i]))) {
			*out = i;
			return true;
		}
	fault(why, cap, "not a word known here; right would be one of");
	for (unsigned i = 0; s->words[i] && (used = strlen(why)) < cap; i++)
		fault(why + used, cap - used, "%s %s", i == 0 ? ":" : ",", s->words[i][0] ? s->words[i] : "\"\"");
	return false;
}

/* Nothing that is not printable gets into a setting: an LF would be two items of a list. */
static bool
is_plain(struct bytes v, char *why, size_t cap)
{
	return !bytes_has_control(v) || fault(why, cap, "holds a control character; right would be printable text");
}

/* A default is right by definition: it may be empty where a given value may not. */
static bool
item_ok(const struct setting *s, const char *item, bool standard, char *why, size_t cap)
{
	return is_plain(text(item), why, cap)
	    && (standard || !s->check || s->check(item, why, cap));
}

static void
list_free(struct setting_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		mem_free(l->item[i]);
	mem_free(l->item);
	*l = (struct setting_list){ 0 };
}

static char *
text_copy(struct bytes v)
{
	char *copy = mem_alloc(v.n + 1);

	if (v.n > 0)
		memcpy(copy, v.p, v.n);
	return copy;
}

static bool
set_list(const struct setting *s, struct bytes v, bool standard, struct setting_list *out,
    char *why, size_t cap)
{
	struct setting_list l = { 0 };
	size_t most = 1;		/* the last LF may be missing */
	bool ok = true;

	for (size_t i = 0; i < v.n; i++)
		most += v.p[i] == '\n';
	l.item = mem_array(most, sizeof *l.item);
	while (ok && v.n > 0) {
		l.item[l.n] = text_copy(bytes_cut(&v, '\n'));
		ok = item_ok(s, l.item[l.n++], standard, why, cap);
	}
	if (!ok) {
		list_free(&l);
		return false;
	}
	list_free(out);
	*out = l;
	return true;
}

static bool
set_text(const struct setting *s, const char *v, bool standard, char **out, char *why, size_t cap)
{
	if (!item_ok(s, v, standard, why, cap))
		return false;
	mem_free(*out);
	*out = mem_text(v);
	return true;
}

static bool
set_any(const struct setting *s, const char *v, void *out, char *why, size_t cap)
{
	bool standard = strcmp(v, s->standard) == 0;
	void *m = member(s, out);

	switch (s->type) {
	case SETTING_TEXT:	return set_text(s, v, standard, m, why, cap);
	case SETTING_BOOL:	return set_bool(text(v), m, why, cap);
	case SETTING_NUMBER:
	case SETTING_SIZE:
	case SETTING_TIME:	return set_number(s, text(v), m, why, cap);
	case SETTING_WORD:	return set_word(s, text(v), m, why, cap);
	case SETTING_LIST:	return set_list(s, text(v), standard, m, why, cap);
	}
	must(!"a type of setting that is known");
	return false;
}

bool
settings_set(const struct setting *table, const char *name, const char *value, void *out,
    char *why, size_t cap)
{
	const struct setting *s = settings_find(table, name);

	if (!s)
		return fault(why, cap, "no setting has this name");
	return set_any(s, value, out, why, cap);
}

void
settings_standard(const struct setting *table, void *out)
{
	char why[256];

	for (const struct setting *s = table; s->name; s++) {
		void *m = member(s, out);

		if (s->type == SETTING_TEXT)
			*(char **)m = NULL;
		else if (s->type == SETTING_LIST)
			*(struct setting_list *)m = (struct setting_list){ 0 };
		must(set_any(s, s->standard, out, why, sizeof why));
	}
}

void
settings_free(const struct setting *table, void *out)
{
	for (const struct setting *s = table; s->name; s++) {
		void *m = member(s, out);

		if (s->type == SETTING_TEXT) {
			mem_free(*(char **)m);
			*(char **)m = NULL;
		} else if (s->type == SETTING_LIST)
			list_free(m);
	}
}

/* ---- shared checks ---------------------------------------------------------------- */

bool
setting_is_path(const char *value, char *why, size_t cap)
{
	if (value[0] != '/')
		return fault(why, cap, "not an absolute path; right would be one that starts with /");
	if (strlen(value) >= 1024)
		return fault(why, cap, "too long; right would be a path of less than 1024 octets");
	if (strstr(value, "/../") || bytes_ends(text(value), text("/..")))
		return fault(why, cap, "leads back by \"..\"; right would be the path itself");
	return true;
}

bool
setting_is_path_or_empty(const char *value, char *why, size_t cap)
{
	return value[0] == '\0' || setting_is_path(value, why, cap);
}

bool
setting_is_log(const char *value, char *why, size_t cap)
{
	return strcmp(value, "syslog") == 0 || setting_is_path(value, why, cap);
}

static bool
label_ok(struct bytes l)
{
	if (l.n == 0 || l.n > 63 || l.p[0] == '-' || l.p[l.n - 1] == '-')
		return false;
	for (size_t i = 0; i < l.n; i++)
		if (!ascii_alnum(l.p[i]) && l.p[i] != '-')
			return false;
	return true;
}

/* RFC 5321 section 4.1.2, Domain; at most 255 octets (section 4.5.3.1.2). */
bool
setting_is_domain(const char *value, char *why, size_t cap)
{
	struct bytes rest = text(value);
	bool ok = rest.n > 0 && rest.n <= 255 && rest.p[rest.n - 1] != '.';

	while (ok && rest.n > 0)
		ok = label_ok(bytes_cut(&rest, '.'));
	if (!ok)
		return fault(why, cap, "not a domain name; right would be like mail.example.org, no dot "
		    "at the end, other letters than a-z as xn--...");
	return true;
}

bool
setting_is_listen(const char *value, char *why, size_t cap)
{
	struct sockaddr_storage sa;
	socklen_t size;

	return listen_parse(text(value), &sa, &size, why, cap);
}

bool
setting_is_network(const char *value, char *why, size_t cap)
{
	struct network n;

	return network_parse(text(value), &n, why, cap);
}
