/* SPDX-License-Identifier: ISC */
#include "config.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/alias.h"
#include "mail/table_text.h"

/* ---- items --------------------------------------------------------------------------- */

/* How far the item at the front goes: to a comma outside quotes, comments and <>. *open: something
 * of these does not end. */
static size_t
item_length(struct bytes s, bool *open)
{
	bool quoted = false, angle = false;
	unsigned comment = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c == '\\' && i + 1 < s.n)
			i++;
		else if (quoted)
			quoted = c != '"';
		else if (comment > 0)
			comment += c == '(' ? 1 : c == ')' ? -1u : 0;
		else if (c == '"')
			quoted = true;
		else if (c == '(')
			comment++;
		else if (c == '<' || c == '>')
			angle = c == '<';
		else if (c == ',' && !angle)
			break;
	}
	*open = quoted || angle || comment > 0;
	return i;
}

/* Without comments, and only what is inside <> where there is such; both outside quotes. */
static struct bytes
address_of(struct bytes s, struct arena *arena)
{
	unsigned char *p = arena_alloc(arena, s.n + 1);
	bool quoted = false;
	unsigned comment = 0;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];
		bool pair = c == '\\' && i + 1 < s.n;

		if (!pair && !quoted && (c == '(' || (comment > 0 && c == ')'))) {
			comment += c == '(' ? 1 : -1u;
			continue;
		}
		if (comment > 0) {
			i += pair;
			continue;
		}
		if (!pair && !quoted && c == '<') {
			n = 0;
			continue;
		}
		if (!pair && !quoted && c == '>')
			break;
		if (!pair && c == '"')
			quoted = !quoted;
		p[n++] = c;
		if (pair)
			p[n++] = s.p[++i];
	}
	return bytes_trim(bytes_of(p, n));
}

/* A whole item in quotes, "|command args": what is inside. */
static struct bytes
inside(struct bytes s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return bytes_head(bytes_skip(s, 1), s.n - 2);
	return s;
}

static bool
is_later(struct bytes s)
{
	s = bytes_trim(inside(s));
	return s.n > 0 && (s.p[0] == '|' || s.p[0] == '/' || s.p[0] == ':');
}

bool
alias_next(struct bytes *value, struct arena *arena, struct alias_item *out)
{
	while (value->n > 0) {
		bool open;
		size_t n = item_length(*value, &open);
		struct bytes item = bytes_trim(bytes_head(*value, n));

		*value = bytes_skip(*value, n + 1);
		if (item.n == 0)
			continue;
		*out = (struct alias_item){ .kind = ALIAS_MALFORMED, .text = item };
		if (is_later(item))
			out->kind = ALIAS_LATER;
		if (out->kind == ALIAS_LATER || open)
			return true;
		out->text = address_of(item, arena);
		while (out->text.n > 0 && out->text.p[0] == '\\') {
			out->direct = true;
			out->text = bytes_skip(out->text, 1);
		}
		if (out->text.n == 0)		/* a comment alone */
			continue;
		out->kind = is_later(out->text) ? ALIAS_LATER : ALIAS_ADDRESS;
		return true;
	}
	return false;
}

/* ---- newaliases ------------------------------------------------------------------------ */

static bool
read_source(const char *path, struct text_table *t, struct buf *report)
{
	char why[256];
	struct buf file;
	bool good;

	buf_init(&file, TEXT_FILE_MAX);
	good = file_slurp(AT_FDCWD, path, &file);
	if (!good)
		buf_fmt(report, "%s: cannot be read: %s", path, strerror(errno));
	else if (!(good = text_parse(buf_bytes(&file), TEXT_ALIASES, t, why, sizeof why)))
		buf_fmt(report, "%s: %s", path, why);
	buf_fini(&file);
	return good;
}

static bool
write_table(const char *spec, const struct text_table *t, struct buf *report)
{
	char why[512];
	struct table_change *c = mem_array(t->n + 1, sizeof *c);
	struct table *table;
	size_t n = 0;
	bool good;

	for (size_t i = 0; i < t->n; i++)	/* the first of equal names counts */
		if (text_find(t, text_key(t, &t->entry[i])) == &t->entry[i])
			c[n++] = (struct table_change){ text_key(t, &t->entry[i]),
			    text_value(t, &t->entry[i]), false };
	table = table_open_write(spec, true, why, sizeof why);
	if (table)
		table_rights(table, (gid_t)-1, 0644);	/* as the text is */
	good = table && table_change(table, c, n, true, why, sizeof why);
	if (good)
		buf_fmt(report, "%s: %zu aliases", table_path(table), n);
	else
		buf_text(report, why);
	table_close(&table);
	mem_free(c);
	return good;
}

bool
alias_build(const char *spec, struct buf *report)
{
	struct bytes path = text(spec), type = bytes_cut(&path, ':');
	struct text_table t;
	bool good;

	if (!table_type_known(type) || path.n == 0) {
		buf_fmt(report, "alias_map is \"%s\": there is no table to make", spec);
		return false;
	}
	if (!read_source((const char *)path.p, &t, report))
		return false;
	good = bytes_eq(type, text("text"));
	if (good)
		buf_fmt(report, "%s: %zu %s; a text table is read as it is", (const char *)path.p, t.n,
		    t.n == 1 ? "alias" : "aliases");
	else
		good = write_table(spec, &t, report);
	text_fini(&t);
	return good;
}
