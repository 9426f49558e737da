/* SPDX-License-Identifier: ISC */
#include "mail/folders_text.h"

#include <stdio.h>

#include "base/encode.h"

static const struct bytes inbox = { (const unsigned char *)"INBOX", 5 };

bool
folder_is_below(struct bytes name, struct bytes top)
{
	return bytes_starts(name, top) && (name.n == top.n || name.p[top.n] == FOLDER_SEPARATOR);
}

/* ---- names in lines ---- */

static void
put_name(enum folder_layout layout, struct bytes name, struct buf *out)
{
	char path[FOLDER_PATH_MAX];

	if (bytes_eq(name, inbox))
		buf_add(out, name);
	else if (folder_path(layout, name, path))
		buf_text(out, path + (layout == FOLDERS_MAILDIRPP));
	else
		out->full = true;
}

/* Clears name first. */
static bool
take_name(enum folder_layout layout, struct bytes s, struct buf *name)
{
	unsigned char path[FOLDER_PATH_MAX] = ".";

	buf_clear(name);
	if (bytes_case_eq(s, inbox)) {
		buf_add(name, inbox);
		return true;
	}
	if (s.n == 0 || s.n >= FOLDER_PATH_MAX - 1 || bytes_eq(s, text(".")))
		return false;
	if (layout == FOLDERS_FS)
		return folder_of_path(layout, s, name);
	memcpy(path + 1, s.p, s.n);
	return folder_of_path(layout, bytes_of(path, s.n + 1), name);
}

static struct bytes
take_line(struct bytes *rest)
{
	struct bytes line = bytes_cut(rest, '\n');

	return line.n > 0 && line.p[line.n - 1] == '\r' ? bytes_head(line, line.n - 1) : line;
}

static void
put_line(struct bytes line, struct buf *out)
{
	buf_add(out, line);
	buf_char(out, '\n');
}

/* ---- subscriptions ---- */

bool
subscriptions_next(struct bytes *rest, enum folder_layout layout, struct buf *name)
{
	while (rest->n > 0)
		if (take_name(layout, take_line(rest), name))
			return true;
	return false;
}

void
subscriptions_put(struct bytes file, enum folder_layout layout, struct bytes name, bool on, struct buf *out)
{
	struct buf other;

	buf_init(&other, FOLDER_NAME_MAX);
	while (file.n > 0) {
		struct bytes line = bytes_cut(&file, '\n'), copy = line;

		if (!take_name(layout, take_line(&copy), &other) || !bytes_eq(buf_bytes(&other), name))
			put_line(line, out);
	}
	buf_fini(&other);
	if (!on)
		return;
	put_name(layout, name, out);
	buf_char(out, '\n');
}

/* ---- special uses ---- */

const char *const folder_use_text[7] = {
	"\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash"
};

static bool
take_use(enum folder_layout layout, struct bytes line, unsigned *use, struct buf *name)
{
	struct bytes word = bytes_cut(&line, ' ');

	for (unsigned i = 0; i < LEN(folder_use_text); i++)
		if (bytes_case_eq(word, text(folder_use_text[i]))) {
			*use = 1u << i;
			return take_name(layout, line, name);
		}
	return false;
}

static void
put_use(enum folder_layout layout, unsigned bit, struct bytes name, struct buf *out)
{
	buf_text(out, folder_use_text[bit]);
	buf_char(out, ' ');
	put_name(layout, name, out);
	buf_char(out, '\n');
}

bool
special_use_next(struct bytes *rest, enum folder_layout layout, unsigned *use, struct buf *name)
{
	while (rest->n > 0)
		if (take_use(layout, take_line(rest), use, name))
			return true;
	return false;
}

/* All lines but those of that name, and those of these uses. */
static void
drop(struct bytes file, enum folder_layout layout, struct bytes top, bool below, unsigned uses, struct buf *out)
{
	struct buf name;

	buf_init(&name, FOLDER_NAME_MAX);
	while (file.n > 0) {
		struct bytes line = bytes_cut(&file, '\n'), copy = line;
		unsigned use;

		if (!take_use(layout, take_line(&copy), &use, &name) || ((use & uses) == 0
		    && !bytes_eq(buf_bytes(&name), top) && !(below && folder_is_below(buf_bytes(&name), top))))
			put_line(line, out);
	}
	buf_fini(&name);
}

void
special_use_drop(struct bytes file, enum folder_layout layout, struct bytes name, bool below, struct buf *out)
{
	drop(file, layout, name, below, 0, out);
}

void
special_use_put(struct bytes file, enum folder_layout layout, struct bytes name, unsigned uses, struct buf *out)
{
	drop(file, layout, name, false, uses, out);
	for (unsigned i = 0; i < LEN(folder_use_text); i++)
		if (uses & 1u << i)
			put_use(layout, i, name, out);
}

static unsigned
bit_of(unsigned use)
{
	unsigned i = 0;

	while (use >> i > 1)
		i++;
	return i;
}

void
special_use_copy(struct bytes file, enum folder_layout layout, struct bytes from, struct bytes to, struct buf *out)
{
	struct buf name, moved;
	unsigned use;

	buf_init(&name, FOLDER_NAME_MAX);
	buf_init(&moved, 2 * FOLDER_NAME_MAX);
	drop(file, layout, to, true, 0, out);
	while (special_use_next(&file, layout, &use, &name)) {
		if (!folder_is_below(buf_bytes(&name), from))
			continue;
		buf_clear(&moved);
		buf_add(&moved, to);
		buf_add(&moved, bytes_skip(buf_bytes(&name), from.n));
		put_use(layout, bit_of(use), buf_bytes(&moved), out);
	}
	buf_fini(&name);
	buf_fini(&moved);
}

/* ---- UIDVALIDITYs ---- */

static bool
take_first_line(struct bytes *rest, struct spent *s)
{
	struct bytes line = take_line(rest), floor = bytes_cut(&line, ' ');
	uint64_t a, b = 0;

	if (!bytes_u64(floor, UINT32_MAX, &a) || (line.n > 0 && !bytes_u64(line, UINT32_MAX, &b)))
		return false;
	s->floor = (uint32_t)a;
	s->forgotten = (uint32_t)b;
	return true;
}

bool
spent_floor(struct bytes file, uint32_t *floor)
{
	struct spent s = { .n = 0 };
	bool good = bytes_find(file, '\n') < file.n && take_first_line(&file, &s);

	*floor = s.floor;
	return good;
}

static bool
take_spent(struct bytes line, enum folder_layout layout, struct arena *a, struct buf *name, struct spent *s)
{
	struct bytes number = bytes_cut(&line, ' ');
	uint64_t v;

	if (!bytes_u64(number, UINT32_MAX, &v) || !take_name(layout, line, name))
		return false;
	spent_add(s, arena_copy(a, buf_bytes(name)), (uint32_t)v);
	return true;
}

bool
spent_parse(struct bytes file, enum folder_layout layout, struct arena *a, struct spent *s)
{
	struct buf name;
	bool good;

	s->floor = s->forgotten = 0;
	s->n = 0;
	buf_init(&name, FOLDER_NAME_MAX);
	good = take_first_line(&file, s);
	while (good && file.n > 0)
		good = take_spent(take_line(&file), layout, a, &name, s);
	buf_fini(&name);
	if (good)
		return true;
	s->floor = s->forgotten = 0;
	s->n = 0;
	return false;
}

static size_t
place_of(const struct spent *s, struct bytes name)
{
	size_t i = 0;

	while (i < s->n && !bytes_eq(s->at[i].name, name))
		i++;
	return i;
}

uint32_t
spent_last(const struct spent *s, struct bytes name)
{
	size_t i = place_of(s, name);

	return i < s->n && s->at[i].uidvalidity > s->forgotten ? s->at[i].uidvalidity : s->forgotten;
}

static void
take_out(struct spent *s, size_t i)
{
	memmove(&s->at[i], &s->at[i + 1], (s->n - i - 1) * sizeof s->at[0]);
	s->n--;
}

static void
forget_first(struct spent *s)
{
	if (s->at[0].uidvalidity > s->forgotten)
		s->forgotten = s->at[0].uidvalidity;
	take_out(s, 0);
}

void
spent_add(struct spent *s, struct bytes name, uint32_t uidvalidity)
{
	size_t i = place_of(s, name);

	if (i < s->n) {
		uidvalidity = uidvalidity > s->at[i].uidvalidity ? uidvalidity : s->at[i].uidvalidity;
		take_out(s, i);
	}
	if (s->n == SPENT_MAX)
		forget_first(s);
	s->at[s->n].name = name;
	s->at[s->n++].uidvalidity = uidvalidity;
	s->floor = uidvalidity > s->floor ? uidvalidity : s->floor;
}

void
spent_put(struct spent *s, enum folder_layout layout, struct buf *out)
{
	for (;;) {
		buf_clear(out);
		buf_fmt(out, "%u %u\n", (unsigned)s->floor, (unsigned)s->forgotten);
		for (size_t i = 0; i < s->n; i++) {
			buf_decimal(out, s->at[i].uidvalidity);
			buf_char(out, ' ');
			put_name(layout, s->at[i].name, out);
			buf_char(out, '\n');
		}
		if (!out->full || s->n == 0)
			return;
		for (size_t n = s->n / 2 + 1; n > 0; n--)
			forget_first(s);
	}
}

/* ---- what is to be completed ---- */

#define REDO_FIRST	"hermod-folders 1"

static const char *const redo_words[] = { "delete", "rename", "inbox" };
static const char *const layout_words[] = { "maildir++", "fs" };

void
folder_redo_put(const struct folder_redo *r, struct buf *out)
{
	size_t at = out->n;

	buf_fmt(out, "%s\n%s\n%s\n", REDO_FIRST, redo_words[r->what], layout_words[r->layout]);
	buf_decimal(out, r->inode);
	buf_char(out, '\n');
	put_line(r->from, out);
	put_line(r->to, out);
	buf_fmt(out, "%08x\n", (unsigned)crc32_of(0, bytes_skip(buf_bytes(out), at)));
}

/* Index of the word, or n. */
static size_t
word_of(struct bytes s, const char *const *words, size_t n)
{
	size_t i = 0;

	while (i < n && !bytes_eq(s, text(words[i])))
		i++;
	return i;
}

static bool
is_normal(struct bytes name)
{
	struct buf normal;
	bool good;

	buf_init(&normal, FOLDER_NAME_MAX);
	good = folder_name_normal(name, &normal) && bytes_eq(buf_bytes(&normal), name);
	buf_fini(&normal);
	return good;
}

static bool
names_fit(const struct folder_redo *r)
{
	return is_normal(r->from) && (r->what == REDO_INBOX) == bytes_eq(r->from, inbox)
	    && (r->what == REDO_DELETE ? r->to.n == 0 : is_normal(r->to) && !bytes_eq(r->to, inbox)
	    && (r->what == REDO_INBOX || !folder_is_below(r->to, r->from)));
}

bool
folder_redo_parse(struct bytes file, struct folder_redo *r)
{
	struct bytes rest = file;
	size_t what, layout;
	char sum[16];

	if (file.n > FOLDER_REDO_MAX || !bytes_eq(bytes_cut(&rest, '\n'), text(REDO_FIRST)))
		return false;
	what = word_of(bytes_cut(&rest, '\n'), redo_words, LEN(redo_words));
	layout = word_of(bytes_cut(&rest, '\n'), layout_words, LEN(layout_words));
	if (what == LEN(redo_words) || layout == LEN(layout_words)
	    || !bytes_u64(bytes_cut(&rest, '\n'), UINT64_MAX, &r->inode))
		return false;
	r->what = (enum folder_redo_what)what;
	r->layout = (enum folder_layout)layout;
	r->from = bytes_cut(&rest, '\n');
	r->to = bytes_cut(&rest, '\n');
	snprintf(sum, sizeof sum, "%08x\n", (unsigned)crc32_of(0, bytes_head(file, file.n - rest.n)));
	return bytes_eq(rest, text(sum)) && names_fit(r);
}
