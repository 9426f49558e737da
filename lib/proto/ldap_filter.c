/* SPDX-License-Identifier: ISC */
#include "proto/ldap_filter.h"

static bool
is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '(' && c != ')' && c != '*' && c != '\\';
}

void
ldap_filter_escape(struct bytes value, struct buf *out)
{
	for (size_t i = 0; i < value.n; i++)
		if (is_plain(value.p[i]))
			buf_char(out, value.p[i]);
		else
			buf_fmt(out, "\\%02x", value.p[i]);
}

/* At a '%': whether it is %s. */
static bool
is_place(struct bytes s, size_t at)
{
	return at + 1 < s.n && s.p[at + 1] == 's';
}

/* \HH is two digits; a parenthesis inside a value is written so, and does not count. */
bool
ldap_filter_is_template(struct bytes s)
{
	unsigned depth = 0, places = 0;

	if (s.n > LDAP_FILTER_MAX || s.n < 2 || s.p[0] != '(' || bytes_has_control(s))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && !is_place(s, i))
			return false;
		places += s.p[i] == '%';
		if (s.p[i] == '(' && ++depth > LDAP_FILTER_DEPTH)
			return false;
		if (s.p[i] == ')' && (depth == 0 || (--depth == 0 && i + 1 < s.n)))
			return false;
	}
	return depth == 0 && places > 0;
}

bool
ldap_filter_make(struct bytes words, struct bytes name, struct buf *out)
{
	for (size_t i = 0; i < words.n; i++)
		if (words.p[i] == '%' && is_place(words, i)) {
			ldap_filter_escape(name, out);
			i++;
		} else
			buf_char(out, words.p[i]);
	return !out->full;
}
