/* SPDX-License-Identifier: ISC */
#include "base/encode.h"
#include "mail/folder_name.h"
#include "proto/imap_utf7.h"

static const struct bytes inbox = { (const unsigned char *)"INBOX", 5 };

/* "maildir++" would have to stand in quotes. */
const char *const folder_layouts[] = { [FOLDERS_MAILDIRPP] = "maildir", [FOLDERS_FS] = "fs", NULL };

/* ---- names ---- */

bool
folder_name_normal(struct bytes name, struct buf *out)
{
	struct bytes rest = name, first;
	unsigned levels = 0;
	struct buf wire;
	bool good;

	if (name.n == 0 || name.n > FOLDER_NAME_MAX || name.p[name.n - 1] == FOLDER_SEPARATOR)
		return false;
	while (rest.n > 0)
		if (bytes_cut(&rest, FOLDER_SEPARATOR).n == 0 || ++levels > FOLDER_LEVELS_MAX)
			return false;
	buf_init(&wire, 4 * FOLDER_NAME_MAX);	/* only to see whether it has a form on the wire */
	good = imap_utf7_encode(name, &wire);
	buf_fini(&wire);
	if (!good)
		return false;
	first = bytes_head(name, bytes_find(name, FOLDER_SEPARATOR));
	buf_add(out, bytes_case_eq(first, inbox) ? inbox : first);
	buf_add(out, bytes_skip(name, first.n));
	return true;
}

/* ---- one level on disk ---- */

/* What lies beside fs's folders: a Maildir's own, and files of ours and of others. */
static bool
is_taken(struct bytes level)
{
	static const char *const taken[] = { "cur", "new", "tmp", "subscriptions", "maildirfolder" };

	for (size_t i = 0; i < LEN(taken); i++)
		if (bytes_eq(level, text(taken[i])))
			return true;
	return level.p[0] == '.' || bytes_starts(level, text("hermod.")) || bytes_starts(level, text("dovecot"));
}

/* "&AC4-" for '.': one unit of UTF-16, of which RFC 3501 allows no printable one. */
static void
put_escaped(unsigned char c, struct buf *out)
{
	unsigned char unit[2] = { 0, c };
	size_t at;

	buf_char(out, '&');
	at = out->n;
	base64_encode(bytes_of(unit, 2), out);
	while (out->n > at && out->p[out->n - 1] == '=')
		out->n--;
	buf_char(out, '-');
}

#define ESCAPED	5		/* octets of it */

/* The octet, if s begins with one that put_escaped has written; 0: it does not. */
static unsigned char
take_escaped(struct bytes s)
{
	unsigned char base64[4] = { 0, 0, 0, '=' };
	unsigned char c = 0;
	struct buf unit;

	if (s.n < ESCAPED || s.p[0] != '&' || s.p[ESCAPED - 1] != '-')
		return 0;
	memcpy(base64, s.p + 1, 3);
	buf_init(&unit, 2);
	if (base64_decode(bytes_of(base64, 4), &unit) && unit.n == 2 && unit.p[0] == 0
	    && unit.p[1] > ' ' && unit.p[1] < 0x7f)
		c = unit.p[1];
	buf_fini(&unit);
	return c;
}

/* Is this octet of a level put into base64? Where levels are joined by dots, each dot; else the first
 * of a level that could be taken for something else. */
static bool
is_escaped(enum folder_layout layout, struct bytes level, size_t at)
{
	return layout == FOLDERS_MAILDIRPP ? level.p[at] == '.' : at == 0 && is_taken(level);
}

static void
put_level(enum folder_layout layout, struct bytes level, struct buf *out)
{
	for (size_t at = 0, n; at < level.n; at += n) {
		if (is_escaped(layout, level, at)) {
			put_escaped(level.p[at], out);
			n = 1;
			continue;
		}
		for (n = 1; at + n < level.n && !is_escaped(layout, level, at + n); n++)
			;
		if (!imap_utf7_encode(bytes_of(level.p + at, n), out))
			out->full = true;
	}
}

/* As far as the next escaped octet. */
static struct bytes
plain_part(struct bytes s)
{
	size_t n = 0;

	while (n < s.n && take_escaped(bytes_skip(s, n)) == 0)
		n++;
	return bytes_head(s, n);
}

static bool
take_level(struct bytes disk, struct buf *name)
{
	while (disk.n > 0) {
		unsigned char c = take_escaped(disk);
		struct bytes plain = c ? bytes_of(NULL, 0) : plain_part(disk);

		if (c)
			buf_char(name, c);
		else if (!imap_utf7_decode(plain, name))
			return false;
		disk = bytes_skip(disk, c ? ESCAPED : plain.n);
	}
	return !name->full;
}

/* ---- all levels ---- */

static bool
components_fit(struct bytes path)
{
	while (path.n > 0)
		if (bytes_cut(&path, '/').n > FOLDER_COMPONENT_MAX)
			return false;
	return true;
}

bool
folder_path(enum folder_layout layout, struct bytes name, char path[FOLDER_PATH_MAX])
{
	struct bytes rest = name;
	struct buf out;
	bool good;

	buf_init(&out, FOLDER_PATH_MAX - 1);
	if (bytes_eq(name, inbox))
		buf_char(&out, '.');
	while (!bytes_eq(name, inbox) && rest.n > 0) {
		if (layout == FOLDERS_MAILDIRPP)
			buf_char(&out, '.');
		else if (out.n > 0)
			buf_char(&out, '/');
		put_level(layout, bytes_cut(&rest, FOLDER_SEPARATOR), &out);
	}
	good = !out.full && components_fit(buf_bytes(&out)) && bytes_to_text(buf_bytes(&out), path, FOLDER_PATH_MAX);
	buf_fini(&out);
	return good;
}

static bool
take_levels(struct bytes path, unsigned char between, struct buf *name)
{
	struct bytes rest = path;
	bool first = true;

	while (rest.n > 0) {
		if (!first)
			buf_char(name, FOLDER_SEPARATOR);
		first = false;
		if (!take_level(bytes_cut(&rest, between), name))
			return false;
	}
	return true;
}

/* Only what folder_path would make of the name is that name's folder: no two folders have one name. */
static bool
is_canonical(enum folder_layout layout, struct bytes path, struct bytes name)
{
	char again[FOLDER_PATH_MAX];
	struct buf normal;
	bool good;

	buf_init(&normal, FOLDER_NAME_MAX);
	good = folder_name_normal(name, &normal) && bytes_eq(buf_bytes(&normal), name)
	    && folder_path(layout, name, again) && bytes_eq(text(again), path);
	buf_fini(&normal);
	return good;
}

bool
folder_of_path(enum folder_layout layout, struct bytes path, struct buf *name)
{
	struct bytes levels = path;
	struct buf found;
	bool good;

	buf_init(&found, FOLDER_NAME_MAX);
	if (bytes_eq(path, text("."))) {
		buf_add(&found, inbox);
		good = true;
	} else if (layout == FOLDERS_MAILDIRPP) {
		good = path.n > 1 && path.p[0] == '.';
		levels = bytes_skip(path, 1);
		good = good && take_levels(levels, '.', &found);
	} else {
		good = take_levels(levels, '/', &found);
	}
	good = good && is_canonical(layout, path, buf_bytes(&found));
	if (good)
		buf_add(name, buf_bytes(&found));
	buf_fini(&found);
	return good;
}
