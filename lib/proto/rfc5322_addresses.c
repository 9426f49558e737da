/* SPDX-License-Identifier: ISC */
#include "proto/rfc5322_addresses.h"

enum token { END, ATOM, QUOTED, LITERAL, SPECIAL, BAD };

/* Room for text that is made, all of it taken from the arena at the start: no input gives more
 * than its own length of local parts, of domains, of display names with the spaces between. */
struct pool { unsigned char *p; size_t n; };

struct parser {
	struct bytes	rest;
	struct bytes	raw;		/* the last token, with its quotes or brackets */
	enum token	token;		/* its kind */
	unsigned char	special;	/* SPECIAL: which */
	size_t		bad;		/* BAD: octets that were looked at */
	struct bytes	comment;	/* the last one of this element, without () */
	bool		spaced;		/* white space or comments before the token */
	struct pool	pool;
	struct addresses *out;
	/* The words since the last ',' ':' ';' : a phrase, or a local part; which, shows later. */
	size_t		display_at;	/* in the pool */
	size_t		words;
	struct pool	local;		/* the same as a local part */
	bool		local_ok;	/* word *("." word) so far */
	bool		after_word;
	bool		in_group;
	bool		shown;		/* for rfc5322_addresses_shown */
};

static bool
is_atext(unsigned char c)
{
	return ascii_alnum(c) || c >= 0x80 || (c > ' ' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* ---- tokens ---- */

/* CFWS; false: a comment has no end. */
static bool
skip_cfws(struct parser *p)
{
	struct bytes *s = &p->rest;
	size_t i, depth = 0, comment = 0;

	for (i = 0; i < s->n; i++) {
		if (s->p[i] == '(') {
			if (depth++ == 0)
				comment = i + 1;
		} else if (depth > 0 && s->p[i] == ')') {
			if (--depth == 0)
				p->comment = bytes_of(s->p + comment, i - comment);
		} else if (depth > 0 && s->p[i] == '\\')
			i++;
		else if (depth == 0 && (s->p[i] == 0 || strchr(" \t\r\n", s->p[i]) == NULL))
			break;
	}
	p->spaced = i > 0;
	*s = bytes_skip(*s, i);
	return depth == 0;
}

/* In a quoted string or literal: what is no control, and the white space of folds. */
static bool
is_content(unsigned char c, bool escaped)
{
	return (c >= ' ' && c != 0x7f) || c == '\t' || (!escaped && (c == '\r' || c == '\n'));
}

/* Octets of what begins with '"' or '[' and ends with `close`; 0: it has no end, and *bad were looked at. */
static size_t
enclosed(struct bytes s, unsigned char close, size_t *bad)
{
	bool escaped = false;
	size_t i;

	for (i = 1; i < s.n && is_content(s.p[i], escaped); i++) {
		if (s.p[i] == close && !escaped)
			return i + 1;
		escaped = s.p[i] == '\\' && !escaped;
	}
	*bad = i;
	return 0;
}

static enum token
next_token(struct parser *p)
{
	size_t n = 0;

	p->bad = 1;
	p->token = BAD;
	if (!skip_cfws(p))
		return p->token;
	if (p->rest.n == 0)
		return p->token = END;
	p->special = p->rest.p[0];
	if (is_atext(p->special)) {
		while (n < p->rest.n && is_atext(p->rest.p[n]))
			n++;
		p->token = ATOM;
	} else if (p->special == '"' || p->special == '[') {
		p->token = p->special == '"' ? QUOTED : LITERAL;
		n = enclosed(p->rest, p->special == '"' ? '"' : ']', &p->bad);
	} else {
		p->token = SPECIAL;
		n = p->special != 0 && strchr("<>@,;:.", p->special) != NULL;
	}
	p->raw = bytes_head(p->rest, n);
	p->rest = bytes_skip(p->rest, n);
	return n > 0 ? p->token : (p->token = BAD);
}

/* ---- text ---- */

static void
put(struct pool *to, struct bytes s)
{
	if (s.n > 0)
		memcpy(to->p + to->n, s.p, s.n);
	to->n += s.n;
}

/* Without backslashes and folds. */
static void
put_inside(struct pool *to, struct bytes s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n)
			i++;
		else if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		to->p[to->n++] = s.p[i];
	}
}

/* An atom as it is; a quoted string without its quotes. */
static void
put_word(struct pool *to, struct bytes raw)
{
	if (raw.p[0] == '"')
		put_inside(to, bytes_of(raw.p + 1, raw.n - 2));
	else
		put(to, raw);
}

/* ---- grammar ---- */

static void
begin_words(struct parser *p)
{
	p->words = 0;
	p->display_at = p->pool.n;
	p->local.n = 0;
	p->local_ok = true;
	p->after_word = false;
}

static void
add_word(struct parser *p)
{
	if (p->after_word)
		p->local_ok = false;	/* two words without a dot */
	if (p->words++ > 0 && (p->after_word || p->spaced))
		put(&p->pool, text(" "));
	put_word(&p->pool, p->raw);
	put_word(&p->local, p->raw);
	p->after_word = true;
}

static void
add_dot(struct parser *p)
{
	if (!p->after_word)
		p->local_ok = false;
	put(&p->pool, text("."));
	put(&p->local, text("."));
	p->words++;
	p->after_word = false;
}

/* dot-atom or literal, with CFWS round its dots (obs-domain); the token after it in *then. */
static bool
parse_domain(struct parser *p, struct bytes *domain, enum token *then)
{
	size_t at = p->pool.n;
	enum token t = next_token(p);

	if (t == LITERAL) {
		put(&p->pool, p->raw);
		*then = next_token(p);
	} else {
		for (;;) {
			if (t != ATOM)
				return false;
			put(&p->pool, p->raw);
			*then = next_token(p);
			if (*then != SPECIAL || p->special != '.')
				break;
			put(&p->pool, text("."));
			t = next_token(p);
		}
	}
	*domain = bytes_of(p->pool.p + at, p->pool.n - at);
	return true;
}

/* What the words were: a local part. */
static bool
take_local(struct parser *p, struct bytes *local)
{
	if (!p->local_ok || !p->after_word)
		return false;
	*local = bytes_of(p->pool.p + p->pool.n, p->local.n);
	put(&p->pool, bytes_of(p->local.p, p->local.n));
	return true;
}

static bool
add_entry(struct parser *p, struct mailbox_entry entry)
{
	entry.in_group = p->in_group;
	if (p->out->n < p->out->max)
		p->out->v[p->out->n] = entry;
	return ++p->out->n <= p->out->max;
}

/* A mailbox is whole, the comments behind it too. */
static bool
add_mailbox(struct parser *p, struct mailbox_entry entry)
{
	size_t at = p->pool.n;

	if (p->shown && entry.display.n == 0) {
		put_inside(&p->pool, bytes_trim(p->comment));
		entry.display = bytes_of(p->pool.p + at, p->pool.n - at);
	}
	return add_entry(p, entry);
}

/* obs-route: "@a,@b:", of which the first '@' is read. */
static bool
parse_route(struct parser *p, struct bytes *route)
{
	size_t at = p->pool.n;
	struct bytes domain;
	enum token t;

	for (;;) {
		put(&p->pool, text("@"));
		if (!parse_domain(p, &domain, &t) || t != SPECIAL)
			return false;
		if (p->special == ':')
			break;
		while (t == SPECIAL && p->special == ',')
			t = next_token(p);
		if (t != SPECIAL || p->special != '@')
			return false;
		put(&p->pool, text(","));
	}
	*route = bytes_of(p->pool.p + at, p->pool.n - at);
	return true;
}

/* The words of a local part up to something else, which is in *then. */
static void
parse_words(struct parser *p, enum token *then)
{
	begin_words(p);
	while ((*then = next_token(p)) == ATOM || *then == QUOTED
	    || (*then == SPECIAL && p->special == '.'))
		if (*then == SPECIAL)
			add_dot(p);
		else
			add_word(p);
}

/* After '<', to '>': the addr-spec goes into *entry. */
static bool
parse_angle(struct parser *p, struct mailbox_entry *entry)
{
	enum token t;

	parse_words(p, &t);
	if (t == SPECIAL && p->special == '@' && p->words == 0) {
		if (!parse_route(p, &entry->route))
			return false;
		parse_words(p, &t);
	}
	if (!take_local(p, &entry->local))
		return false;
	if (t == SPECIAL && p->special == '@' && !parse_domain(p, &entry->domain, &t))
		return false;
	return t == SPECIAL && p->special == '>';
}

/* The words were its name. */
static enum addresses_result
begin_group(struct parser *p)
{
	struct mailbox_entry entry = { .kind = ENTRY_GROUP };

	if (p->words == 0 || p->in_group)
		return ADDRESSES_SYNTAX;
	entry.display = bytes_of(p->pool.p + p->display_at, p->pool.n - p->display_at);
	return !p->shown || add_entry(p, entry) ? ADDRESSES_OK : ADDRESSES_MANY;
}

static enum addresses_result
end_group(struct parser *p)
{
	p->in_group = false;
	return !p->shown || add_entry(p, (struct mailbox_entry){ .kind = ENTRY_GROUP_END })
	    ? ADDRESSES_OK : ADDRESSES_MANY;
}

/* One element of the list, from its first word through what ends it: *then is END, or
 * SPECIAL with ',' or ';' or ':' (after a group's name). */
static enum addresses_result
parse_element(struct parser *p, enum token *then)
{
	struct mailbox_entry entry = { 0 };

	parse_words(p, then);
	if (*then == SPECIAL && p->special == '<') {
		entry.display = bytes_of(p->pool.p + p->display_at, p->pool.n - p->display_at);
		if (!parse_angle(p, &entry))
			return ADDRESSES_SYNTAX;
		*then = next_token(p);
	} else if (*then == SPECIAL && p->special == ':') {
		return begin_group(p);
	} else if (p->words == 0) {
		return ADDRESSES_OK;			/* an empty element, obs-addr-list */
	} else if (!take_local(p, &entry.local)
	    || (*then == SPECIAL && p->special == '@' && !parse_domain(p, &entry.domain, then))) {
		return ADDRESSES_SYNTAX;
	}
	if (*then != END && (*then != SPECIAL || strchr(",;", p->special) == NULL))
		return ADDRESSES_SYNTAX;
	return add_mailbox(p, entry) ? ADDRESSES_OK : ADDRESSES_MANY;
}

/* What stands between elements: ',' and groups. */
static enum addresses_result
between(struct parser *p, enum token t)
{
	if (t == END && p->in_group)
		return p->shown ? end_group(p) : ADDRESSES_SYNTAX;
	if (t == END)
		return ADDRESSES_OK;
	if (t != SPECIAL)
		return ADDRESSES_SYNTAX;
	switch (p->special) {
	case ',':
		return ADDRESSES_OK;
	case ':':
		p->out->groups++;
		p->in_group = true;
		return ADDRESSES_OK;
	case ';':
		if (p->in_group)
			return end_group(p);
		return p->shown ? ADDRESSES_OK : ADDRESSES_SYNTAX;
	default:
		return ADDRESSES_SYNTAX;
	}
}

/* The element that began at start cannot be read: it is an entry up to what ends it. Only forward, and
 * behind all that was looked at. */
static enum addresses_result
add_broken(struct parser *p, struct bytes start)
{
	struct mailbox_entry entry = { .kind = ENTRY_BROKEN };
	size_t n;

	while (p->token != END && (p->token != SPECIAL || strchr(",;", p->special) == NULL)) {
		if (p->token == BAD)
			p->rest = bytes_skip(p->rest, p->bad);
		next_token(p);
	}
	n = start.n - p->rest.n - (p->token == SPECIAL ? 1 : 0);
	entry.display = bytes_trim(bytes_head(start, n));
	if (entry.display.n > 0 && !add_entry(p, entry))
		return ADDRESSES_MANY;
	return between(p, p->token);
}

static enum addresses_result
parse_list(struct parser *p)
{
	enum addresses_result r;
	struct bytes start;
	enum token t;

	do {
		start = p->rest;
		p->comment = bytes_of(NULL, 0);
		if ((r = parse_element(p, &t)) == ADDRESSES_OK)
			r = between(p, t);
		if (r == ADDRESSES_SYNTAX && p->shown)
			r = add_broken(p, start);
	} while (r == ADDRESSES_OK && p->token != END);
	return r;
}

static enum addresses_result
parse(struct parser *p, struct bytes value, size_t max, struct arena *a)
{
	struct addresses *out = p->out;
	enum addresses_result r;

	if (max > value.n)
		max = value.n;		/* more there cannot be */
	p->rest = value;
	p->pool.p = arena_alloc(a, 2 * value.n + 1);
	p->local.p = arena_alloc(a, value.n + 1);
	*out = (struct addresses){ .v = arena_array(a, max + 1, sizeof *out->v), .max = max };
	r = parse_list(p);
	if (out->n > max)
		out->n = max;
	out->at = value.n - p->rest.n;
	return r;
}

enum addresses_result
rfc5322_addresses(struct bytes value, size_t max, struct arena *a, struct addresses *out)
{
	struct parser p = { .out = out };

	return parse(&p, value, max, a);
}

enum addresses_result
rfc5322_addresses_shown(struct bytes value, size_t max, struct arena *a, struct addresses *out)
{
	struct parser p = { .out = out, .shown = true };

	return parse(&p, value, max, a);
}
