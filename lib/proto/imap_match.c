/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_match.h"

/*
 * Where in the pattern one can stand after the octets of the name so far, all ways of
 * reading its wildcards at once: there is nothing to go back to. Rising, each once.
 */
struct places { uint16_t at[IMAP_MATCH_PATTERN_MAX + 1]; size_t n; };

static bool
wildcard(unsigned char c)
{
	return c == '*' || c == '%';
}

/* Adds i and, as a wildcard may be nothing, the places after each wildcard from there. */
static void
stand(const struct imap_match *m, struct places *s, size_t i)
{
	if (s->n > 0 && s->at[s->n - 1] >= i)	/* i never falls: it is there, and those after it */
		return;
	s->at[s->n++] = (uint16_t)i;
	for (; i < m->pattern.n && wildcard(m->pattern.p[i]); i++)
		s->at[s->n++] = (uint16_t)(i + 1);
}

/* The next octet of the name is c; any_case: it is one of INBOX. */
static void
step(const struct imap_match *m, const struct places *from, struct places *to, unsigned char c,
    bool any_case)
{
	size_t k;

	to->n = 0;
	for (k = 0; k < from->n && from->at[k] < m->pattern.n; k++) {
		size_t i = from->at[k];
		unsigned char p = m->pattern.p[i];

		if (p == '*' || (p == '%' && c != m->separator))
			stand(m, to, i);
		else if (p == c || (any_case && ascii_lower(p) == ascii_lower(c)))
			stand(m, to, i + 1);
	}
}

/* How many octets of the name match in any case: those of INBOX as its first level. */
static size_t
any_case(const struct imap_match *m, struct bytes name)
{
	struct bytes level = bytes_head(name, bytes_find(name, m->separator));

	return bytes_case_eq(level, text("INBOX")) ? level.n : 0;
}

/* Returns the one of two[] that is after the whole name. */
static struct places *
walk(const struct imap_match *m, struct bytes name, struct places two[2])
{
	size_t i, inbox = any_case(m, name);

	two[0].n = 0;
	stand(m, &two[0], 0);
	for (i = 0; i < name.n && two[i % 2].n > 0; i++)
		step(m, &two[i % 2], &two[(i + 1) % 2], name.p[i], i < inbox);
	return &two[i % 2];
}

/*
 * Is there, from one of these places, a rest of a name: levels with a separator between,
 * none empty? From the end of the pattern to its start, with the answer for a rest that
 * begins a level and for one that goes on within a level. (What can begin one can go on
 * in one; so a wildcard does best with one octet that is no separator.)
 */
static bool
goes_on(const struct imap_match *m, const struct places *s)
{
	bool begins = false, within = true;	/* at the end of the pattern: the rest is empty */
	size_t i = m->pattern.n, k = s->n;

	while (k > 0) {
		if (s->at[k - 1] == i) {
			if (begins)
				return true;
			k--;
		} else if (m->pattern.p[--i] == m->separator) {
			within = begins;
			begins = false;
		} else {
			begins = within;
		}
	}
	return false;
}

bool
imap_match_init(struct imap_match *m, struct bytes pattern, unsigned char separator)
{
	must(!wildcard(separator));
	if (pattern.n > IMAP_MATCH_PATTERN_MAX)
		return false;
	*m = (struct imap_match){ pattern, separator };
	return true;
}

bool
imap_match_name(const struct imap_match *m, struct bytes name)
{
	struct places two[2], *s = walk(m, name, two);

	return s->n > 0 && s->at[s->n - 1] == m->pattern.n;
}

bool
imap_match_child(const struct imap_match *m, struct bytes name)
{
	struct places two[2], *s = walk(m, name, two), *below = s == two ? two + 1 : two;

	if (name.n == 0)
		return goes_on(m, s);
	if (m->separator == 0)
		return false;
	step(m, s, below, m->separator, false);
	return goes_on(m, below);
}
