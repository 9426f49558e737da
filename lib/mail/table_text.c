/* SPDX-License-Identifier: ISC */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/table_impl.h"

/* ---- the grammar ------------------------------------------------------------------- */

static bool
is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

struct bytes
text_key(const struct text_table *t, const struct text_entry *e)
{
	return bytes_of(t->store.p + e->key, e->key_n);
}

struct bytes
text_value(const struct text_table *t, const struct text_entry *e)
{
	return bytes_of(t->store.p + e->value, e->value_n);
}

/* How long the key at the front is: to the first octet of `ends` outside quotes; 0: a quote
 * is left open. */
static size_t
key_length(struct bytes line, const char *ends)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < line.n; i++) {
		if (line.p[i] == '"')
			quoted = !quoted;
		else if (quoted && line.p[i] == '\\')
			i++;
		else if (!quoted && strchr(ends, line.p[i]))
			break;
	}
	return quoted || i > line.n ? 0 : i;
}

/* An alias's name is written in any case, perhaps in quotes: it is kept in lower case, without. */
static size_t
alias_name(unsigned char *p, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"')
			continue;
		if (p[i] == '\\' && i + 1 < n)
			i++;
		p[out++] = ascii_lower(p[i]);
	}
	return out;
}

/* One logical line, at `at` in the store and to its end: key and value. False: it has no key. */
static bool
split(struct text_table *t, size_t at, enum text_grammar g, struct text_entry *e)
{
	static const char *const ends[] = { " \t\n", ":", ":" };
	struct bytes line = bytes_skip(buf_bytes(&t->store), at), value;
	size_t n = key_length(line, ends[g]), key_n = n;

	if (n == 0 || (g != TEXT_PAIRS && n == line.n))
		return false;
	value = bytes_skip(line, g == TEXT_PAIRS ? n : n + 1);
	if (g == TEXT_ALIASES) {
		while (key_n > 0 && is_blank(line.p[key_n - 1]))
			key_n--;
		key_n = alias_name(t->store.p + at, key_n);
	}
	if (g != TEXT_PASSWD)
		value = bytes_trim(value);
	e->key = (uint32_t)at;
	e->key_n = (uint32_t)key_n;
	e->value = (uint32_t)(value.n > 0 ? (size_t)(value.p - t->store.p) : at);
	e->value_n = (uint32_t)value.n;
	return key_n > 0;
}

static uint32_t *
slot_of(const struct text_table *t, struct bytes key)
{
	size_t i = (size_t)hash_bytes(key) & (t->slots - 1);

	while (t->slot[i] != 0 && !bytes_eq(text_key(t, &t->entry[t->slot[i] - 1]), key))
		i = (i + 1) & (t->slots - 1);
	return &t->slot[i];
}

const struct text_entry *
text_find(const struct text_table *t, struct bytes key)
{
	uint32_t found = t->slots > 0 ? *slot_of(t, key) : 0;

	return found ? &t->entry[found - 1] : NULL;
}

static void
index_entries(struct text_table *t)
{
	t->slots = 16;
	while (t->slots < 2 * t->n)
		t->slots *= 2;
	t->slot = mem_array(t->slots, sizeof *t->slot);
	for (size_t i = 0; i < t->n; i++) {
		uint32_t *slot = slot_of(t, text_key(t, &t->entry[i]));

		if (*slot == 0)			/* the first of equal keys counts */
			*slot = (uint32_t)i + 1;
	}
}

static struct text_entry *
entry_add(struct text_table *t)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		must(t->cap <= TEXT_FILE_MAX);
		t->entry = mem_resize(t->entry, t->cap * sizeof *t->entry);
	}
	return &t->entry[t->n++];
}

/* What is no entry: empty, a comment; NIS lines of passwd(5). */
static bool
skipped(struct bytes line, enum text_grammar g)
{
	struct bytes bare = bytes_trim(line);

	return bare.n == 0 || bare.p[0] == '#'
	    || (g == TEXT_PASSWD && (bare.p[0] == '+' || bare.p[0] == '-'));
}

static size_t
cut_line(struct bytes *rest, struct bytes *line)
{
	size_t whole = bytes_find(*rest, '\n');

	*line = bytes_head(*rest, whole);
	while (line->n > 0 && (is_blank(line->p[line->n - 1]) || line->p[line->n - 1] == '\r'))
		line->n--;
	if (whole < rest->n)
		whole++;
	*rest = bytes_skip(*rest, whole);
	return whole;
}

static bool
goes_on(struct bytes line, enum text_grammar g)
{
	return g != TEXT_PASSWD && line.n > 0 && is_blank(line.p[0]);
}

/* Takes one entry with all its lines off *rest, the first of them cut already. */
static bool
take_entry(struct text_table *t, struct bytes file, struct bytes first, struct bytes *rest,
    size_t *lines, enum text_grammar g)
{
	size_t at = t->store.n;
	struct text_entry e = { .from = (uint32_t)(first.p - file.p) };

	buf_add(&t->store, first);
	e.to = (uint32_t)(file.n - rest->n);
	for (;;) {
		struct bytes ahead = *rest, line;

		if (rest->n == 0)
			break;
		cut_line(&ahead, &line);
		if (!skipped(line, g)) {
			if (!goes_on(line, g))
				break;
			buf_char(&t->store, g == TEXT_ALIASES ? ' ' : '\n');
			buf_add(&t->store, bytes_trim(line));
			e.to = (uint32_t)(file.n - ahead.n);
		}
		++*lines;
		*rest = ahead;
	}
	if (!split(t, at, g, &e))
		return false;
	*entry_add(t) = e;
	return true;
}

void
text_fini(struct text_table *t)
{
	buf_fini(&t->store);
	mem_free(t->entry);
	mem_free(t->slot);
	*t = (struct text_table){ 0 };
}

static bool
refuse(struct text_table *t, char *why, size_t cap, size_t line, const char *wrong)
{
	text_fini(t);
	return table_fault(why, cap, "line %zu: %s", line, wrong);
}

bool
text_parse(struct bytes file, enum text_grammar g, struct text_table *t, char *why, size_t cap)
{
	static const char *const right[] = {
		"not understood; right would be: key value",
		"not understood; right would be: name: address, ...",
		"not understood; right would be as in passwd(5)",
	};
	struct bytes rest = file, line;
	size_t lines = 0;

	*t = (struct text_table){ 0 };
	buf_init(&t->store, TEXT_FILE_MAX + 1);
	if (file.n > TEXT_FILE_MAX)
		return refuse(t, why, cap, 1, "the file is larger than 64 MiB");
	while (rest.n > 0) {
		lines++;
		cut_line(&rest, &line);
		if (bytes_find(line, '\0') < line.n)
			return refuse(t, why, cap, lines, "holds a NUL; right would be text");
		if (skipped(line, g))
			continue;
		if (goes_on(line, g))
			return refuse(t, why, cap, lines, "goes on with a line that is not there; "
			    "right would be no white space in front");
		if (!take_entry(t, file, line, &rest, &lines, g))
			return refuse(t, why, cap, lines, right[g]);
		if (bytes_find(bytes_skip(buf_bytes(&t->store), t->entry[t->n - 1].key), '\0')
		    < t->store.n - t->entry[t->n - 1].key)
			return refuse(t, why, cap, lines, "holds a NUL; right would be text");
	}
	index_entries(t);
	return true;
}

/* ---- writing ------------------------------------------------------------------------ */

static bool
line_ok(struct bytes line)
{
	struct bytes bare = bytes_trim(line);

	return line.n > 0 && bare.n == line.n && line.p[0] != '#'
	    && bytes_find(line, '\0') == line.n && bytes_find(line, '\r') == line.n;
}

bool
text_put(struct bytes key, struct bytes value, struct buf *out)
{
	bool first = true;

	if (value.n > 0 && value.p[value.n - 1] == '\n')
		return false;
	if (!line_ok(key) || key_length(key, " \t\n") != key.n || bytes_find(key, '\n') < key.n)
		return false;
	buf_add(out, key);
	while (value.n > 0) {
		struct bytes line = bytes_cut(&value, '\n');

		if (!line_ok(line))
			return false;
		buf_text(out, first ? " " : "\n\t");
		buf_add(out, line);
		first = false;
	}
	buf_char(out, '\n');
	return !out->full;
}

/* The file with one entry changed, all else as it was, comments too. */
static bool
edit(struct buf *file, const struct table_change *c, char *why, size_t cap)
{
	struct text_table t;
	struct buf out;
	const struct text_entry *e;
	struct bytes old = buf_bytes(file), tail = { 0 };
	bool good;

	if (!text_parse(old, TEXT_PAIRS, &t, why, cap))
		return false;
	buf_init(&out, TEXT_FILE_MAX);
	e = text_find(&t, c->key);
	if (e) {
		tail = bytes_skip(old, e->to);
		old = bytes_head(old, e->from);
	}
	buf_add(&out, old);
	if (out.n > 0 && out.p[out.n - 1] != '\n')
		buf_char(&out, '\n');
	good = c->delete || text_put(c->key, c->value, &out);
	buf_add(&out, tail);
	if (!good || out.full)
		good = table_fault(why, cap, out.full ? "the file would be larger than 64 MiB"
		    : "a text table cannot hold this entry");
	text_fini(&t);
	buf_fini(file);
	*file = out;
	return good;
}

static bool
change(int dir, const char *name, const struct table_change *c, size_t n, char *why, size_t cap)
{
	struct buf file;
	bool good = true;
	int fd = -1;

	buf_init(&file, TEXT_FILE_MAX);
	if (!file_slurp(dir, name, &file) && errno != ENOENT)
		good = table_fault(why, cap, "cannot be read: %s", strerror(errno));
	for (size_t i = 0; good && i < n; i++) {
		good = edit(&file, &c[i], why, cap);
		/* A removed entry may stand there once more. */
		if (good && c[i].delete) {
			struct text_table t;
			bool again = text_parse(buf_bytes(&file), TEXT_PAIRS, &t, why, cap)
			    && text_find(&t, c[i].key);

			text_fini(&t);
			i -= again;
		}
	}
	if (good) {
		fd = file_open(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd == -1 || !file_write(fd, buf_bytes(&file)))
			good = table_fault(why, cap, "cannot be written: %s", strerror(errno));
	}
	fd_close(&fd);
	buf_fini(&file);
	return good;
}

/* ---- as a type of table --------------------------------------------------------------- */

static void *
open_text(int dir, const char *name, enum text_grammar g, char *why, size_t cap)
{
	struct text_table *t = mem_alloc(sizeof *t);
	struct buf file;
	bool good;

	buf_init(&file, TEXT_FILE_MAX);
	good = file_slurp(dir, name, &file);
	if (!good)
		table_fault(why, cap, "cannot be read: %s", strerror(errno));
	else
		good = text_parse(buf_bytes(&file), g, t, why, cap);
	buf_wipe(&file);
	if (good)
		return t;
	mem_free(t);
	return NULL;
}

static void
close_text(void *open)
{
	text_fini(open);
	mem_free(open);
}

static enum verdict
get(void *open, struct bytes key, struct buf *value)
{
	const struct text_entry *e = text_find(open, key);

	if (!e)
		return NO;
	buf_add(value, text_value(open, e));
	return value->full ? NOT_SURE : YES;
}

static bool
walk(void *open, bool (*each)(void *, struct bytes, struct bytes), void *arg)
{
	const struct text_table *t = open;

	for (size_t i = 0; i < t->n; i++)
		if (text_find(t, text_key(t, &t->entry[i])) == &t->entry[i]
		    && !each(arg, text_key(t, &t->entry[i]), text_value(t, &t->entry[i])))
			break;
	return true;
}

const struct table_type table_text = { "text", "", true, open_text, close_text, get, walk, change };
