/* SPDX-License-Identifier: ISC */
/*
 * mail/settings_file.c - hermod.conf. libconfuse reads each statement by itself,
 * so that a fault in one hides none in the next; a statement begins at a line that
 * starts with `name =`, outside quotes. Comments are "#" to the end of the line:
 * they are blanked before, and so is nothing else. The environment has no say:
 * libconfuse would put it in for ${NAME}.
 */
#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/settings.h"

#define FILE_MAX	(1 << 20)	/* octets of a configuration file */
#define VALUE_MAX	32768		/* octets of a value: field `value` of message `setting` */
#define NAMES_MAX	512

struct entry {
	const struct setting *s;	/* borrowed: the first of this name */
	struct buf	 value;		/* owned; NUL behind it; as in `setting` messages */
	unsigned	 line;		/* 0: default */
};

struct settings_file {
	char		*name;		/* owned: last part of the path */
	char		*path;		/* owned */
	const struct setting *const *tables;	/* borrowed, constant */
	struct entry	*entry;		/* owned */
	size_t		 n;
	char		 origin[300];	/* what settings_origin said last */
	/* while reading: */
	struct buf	*faults;	/* borrowed */
	unsigned	 count;		/* of faults */
	unsigned	 line;		/* where the statement begins */
	bool		 open;		/* it ends inside quotes */
	char		 said[256];	/* by libconfuse */
	unsigned	 said_line;
};

/* ---- faults ------------------------------------------------------------------------ */

static void fault(struct settings_file *f, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
fault(struct settings_file *f, unsigned line, const char *fmt, ...)
{
	char words[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	f->count++;
	if (line > 0)
		buf_fmt(f->faults, "%s:%u: %s\n", f->path, line, words);
	else
		buf_fmt(f->faults, "%s: %s\n", f->path, words);
}

/* A value as it can be shown: it may be anything. */
static const char *
shown(struct bytes v, char dst[84])
{
	size_t n = 0;

	for (size_t i = 0; i < v.n && n < 76; i++)
		dst[n++] = v.p[i] < ' ' || v.p[i] == 0x7f ? '?' : (char)v.p[i];
	memcpy(dst + n, n == 76 ? "..." : "", n == 76 ? 4 : 1);
	return dst;
}

/* ---- names -------------------------------------------------------------------------- */

static struct entry *
entry_of(const struct settings_file *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->entry[i].s->name, name) == 0)
			return &f->entry[i];
	return NULL;
}

/* How many letters must change to make b of a (Levenshtein), both at most 63. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[64], n = strlen(b), m = strlen(a);

	if (n > 63 || m > 63)
		return 64;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; i <= m; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t least = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			if (row[j - 1] + 1 < least)
				least = row[j - 1] + 1;
			if (row[j] + 1 < least)
				least = row[j] + 1;
			row[j] = least;
		}
	}
	return row[n];
}

static void
fault_unknown(struct settings_file *f, unsigned line, const char *name)
{
	const char *best = NULL;
	size_t least = strlen(name) / 3 + 1;
	char dst[84];

	for (size_t i = 0; i < f->n; i++) {
		size_t d = distance(name, f->entry[i].s->name);

		if (d <= least && (!best || d < least)) {
			least = d;
			best = f->entry[i].s->name;
		}
	}
	if (best)
		fault(f, line, "%s: no setting has this name; did you mean %s?",
		    shown(text(name), dst), best);
	else
		fault(f, line, "%s: no setting has this name; `hermod config` lists all",
		    shown(text(name), dst));
}

/* ---- values ------------------------------------------------------------------------- */

union any { char *text; bool yes; uint64_t number; unsigned word; struct setting_list list; };

/* What one table's row of this name says to a value (one item of a list). */
static bool
row_takes(const struct setting *row, const char *value, char *why, size_t cap)
{
	struct setting alone[2] = { *row, SET_END };
	union any any;
	bool ok;

	alone[0].offset = 0;
	settings_standard(alone, &any);
	ok = settings_set(alone, row->name, value, &any, why, cap);
	settings_free(alone, &any);
	return ok;
}

static bool
all_take(struct settings_file *f, const char *name, const char *value, char *why, size_t cap)
{
	for (size_t t = 0; f->tables[t]; t++) {
		const struct setting *row = settings_find(f->tables[t], name);

		if (row && !row_takes(row, value, why, cap))
			return false;
	}
	return true;
}

/* Each item of a list by itself, so that the fault names it; an LF would make two of it. */
static bool
check_value(struct settings_file *f, const struct entry *e, const char *value)
{
	char why[512], dst[84];
	struct buf item;
	bool ok;

	buf_init(&item, strlen(value) + 2);
	buf_text(&item, value);
	if (e->s->type == SETTING_LIST)
		buf_char(&item, strchr(value, '\n') ? '\t' : '\n');	/* no control is ever taken */
	buf_char(&item, '\0');
	ok = all_take(f, e->s->name, (const char *)item.p, why, sizeof why);
	if (!ok)
		fault(f, f->line, "%s: \"%s\": %s", e->s->name, shown(text(value), dst), why);
	buf_fini(&item);
	return ok;
}

static void
set_standard(struct entry *e)
{
	buf_clear(&e->value);
	buf_text(&e->value, e->s->standard);
	buf_char(&e->value, '\0');
	e->value.n--;
}

/* Takes what a statement set. */
static void
take_value(struct settings_file *f, struct entry *e, cfg_opt_t *opt, bool append)
{
	bool ok = true;

	if (e->line > 0 && !append) {
		fault(f, f->line, "%s: is set twice, first in line %u; right would be once",
		    e->s->name, e->line);
		return;
	}
	e->line = f->line;
	if (!append)
		buf_clear(&e->value);
	for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
		const char *value = cfg_opt_getnstr(opt, i);

		ok = check_value(f, e, value) && ok;
		buf_text(&e->value, value);
		if (e->s->type == SETTING_LIST)
			buf_char(&e->value, '\n');
	}
	buf_char(&e->value, '\0');
	if (e->value.full)
		fault(f, f->line, "%s: too long; right would be %u octets at most", e->s->name, VALUE_MAX);
	if (e->value.full || !ok)
		set_standard(e);
	else
		e->value.n--;
}

/* ---- one statement, by libconfuse ------------------------------------------------------ */

static struct settings_file *reading;	/* libconfuse hands its error function nothing of ours */

static void __attribute__((format(printf, 2, 0)))
hear(cfg_t *cfg, const char *fmt, va_list ap)
{
	if (reading->said[0])
		return;			/* the first is the cause */
	vsnprintf(reading->said, sizeof reading->said, fmt, ap);
	reading->said_line = cfg->line > 0 ? (unsigned)cfg->line : 1;
}

static void
fault_open(struct settings_file *f, const char *name)
{
	char dst[84];

	fault(f, f->line, "%s: the value is missing, or a quote or brace is not closed; right "
	    "would be name = value, name = \"value\" or name = {a, b}", shown(text(name), dst));
}

/* libconfuse's words, and what would be right. */
static void
fault_syntax(struct settings_file *f, const char *name)
{
	static const char unknown[] = "no such option '";
	unsigned line = f->line + f->said_line - 1;
	char dst[84];

	if (strncmp(f->said, unknown, sizeof unknown - 1) == 0) {
		char *at = f->said + sizeof unknown - 1;

		at[strcspn(at, "'")] = '\0';
		fault_unknown(f, line, at);
	} else if (strstr(f->said, "end of file"))
		fault_open(f, name);
	else
		fault(f, line, "%s: %s; right would be name = value, name = \"value\" or, for a list, "
		    "name = {a, b}", shown(text(name), dst), f->said);
}

static void
read_statement(struct settings_file *f, const char *statement, const char *name, bool append)
{
	cfg_opt_t *opts = mem_array(f->n + 1, sizeof *opts);
	cfg_t *cfg;

	for (size_t i = 0; i < f->n; i++)
		opts[i] = f->entry[i].s->type == SETTING_LIST
		    ? (cfg_opt_t)CFG_STR_LIST(f->entry[i].s->name, NULL, CFGF_NODEFAULT)
		    : (cfg_opt_t)CFG_STR(f->entry[i].s->name, NULL, CFGF_NODEFAULT);
	opts[f->n] = (cfg_opt_t)CFG_END();
	cfg = cfg_init(opts, CFGF_NONE);
	must(cfg);
	reading = f;
	f->said[0] = '\0';
	cfg_set_error_function(cfg, hear);
	if (cfg_parse_buf(cfg, statement) != CFG_SUCCESS)
		fault_syntax(f, name);
	else
		for (size_t i = 0; i < f->n; i++) {
			cfg_opt_t *opt = cfg_getnopt(cfg, (unsigned)i);
			const char *set = f->entry[i].s->name;

			if (strcmp(set, name) == 0)
				take_value(f, &f->entry[i], opt, append);
			else if (cfg_opt_size(opt) > 0)
				fault(f, f->line, "%s: stands behind another setting; right would be a line of its own",
				    set);
		}
	reading = NULL;
	cfg_free(cfg);
	mem_free(opts);
}

/* ---- the file in statements --------------------------------------------------------------- */

enum quoting { PLAIN, DOUBLE, SINGLE, COMMENT };

/* Does this line start with `name =`? */
static bool
begins_statement(struct bytes s)
{
	size_t i = 0;

	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	if (i == s.n || !ascii_alpha(s.p[i]))
		return false;
	while (i < s.n && (ascii_alnum(s.p[i]) || s.p[i] == '_' || s.p[i] == '-'))
		i++;
	while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
		i++;
	return i < s.n && (s.p[i] == '=' || (s.p[i] == '+' && i + 1 < s.n && s.p[i + 1] == '='));
}

static enum quoting
quoting_after(enum quoting q, unsigned char c)
{
	switch (q) {
	case PLAIN:	return c == '"' ? DOUBLE : c == '\'' ? SINGLE : c == '#' ? COMMENT : PLAIN;
	case DOUBLE:	return c == '"' ? PLAIN : DOUBLE;
	case SINGLE:	return c == '\'' ? PLAIN : SINGLE;
	case COMMENT:	return c == '\n' ? PLAIN : COMMENT;
	}
	return PLAIN;
}

/* Octets of the statement that file begins with; its comments are blanked in file. */
static size_t
statement_length(struct settings_file *f, unsigned char *p, size_t n)
{
	enum quoting q = PLAIN;
	unsigned line = f->line;
	size_t i = 0;

	while (i < n) {
		unsigned char c = p[i];

		if (q == PLAIN && c == '/' && i + 1 < n && p[i + 1] == '*')
			fault(f, line, "/*: a comment begins with #, and ends with its line");
		if (q == DOUBLE && c == '$' && i + 1 < n && p[i + 1] == '{')
			fault(f, line, "${: the environment is not asked; right would be the value itself");
		if (q == DOUBLE && c == '\\' && i + 1 < n && p[i + 1] != '\n')
			i++;
		else
			q = quoting_after(q, c);
		if (q == COMMENT)
			p[i] = ' ';
		i++;
		line += c == '\n';
		if (c == '\n' && q == PLAIN && begins_statement(bytes_of(p + i, n - i)))
			break;
	}
	f->open = q == DOUBLE || q == SINGLE;
	return i;
}

static unsigned
lines_in(struct bytes s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static void
take_statement(struct settings_file *f, struct bytes s)
{
	struct bytes rest = bytes_trim(s), head = bytes_cut(&rest, '=');
	bool append = bytes_ends(head, text("+"));
	char name[65], *statement;

	if (head.n == 0)
		return;				/* blank lines and comments */
	head = bytes_trim(bytes_head(head, head.n - append));
	head = bytes_head(head, bytes_find(head, '\n'));
	bytes_to_text(bytes_head(head, 64), name, sizeof name);
	if (f->open) {			/* libconfuse would print what is behind the quote */
		fault_open(f, name);
		return;
	}
	statement = mem_alloc(s.n + 1);
	memcpy(statement, s.p, s.n);
	read_statement(f, statement, name, append);
	mem_free(statement);
}

static void
read_all(struct settings_file *f, struct bytes content)
{
	unsigned char *copy = mem_alloc(content.n + 1), *p = copy;
	size_t left = content.n;

	if (content.n > 0)
		memcpy(copy, content.p, content.n);
	f->line = 1;
	while (left > 0) {
		size_t n = statement_length(f, p, left);
		struct bytes s = bytes_of(p, n);
		unsigned blank = 0;

		/* The line that is named is that of the name, not of the blank lines before. */
		while (bytes_find(s, '\n') < s.n
		    && bytes_trim(bytes_head(s, bytes_find(s, '\n'))).n == 0) {
			s = bytes_skip(s, bytes_find(s, '\n') + 1);
			blank++;
		}
		f->line += blank;
		take_statement(f, s);
		f->line += lines_in(s);
		p += n;
		left -= n;
	}
	mem_free(copy);
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* One entry a name. Tables that differ are our own fault, found by the first test that runs. */
static void
add_tables(struct settings_file *f)
{
	f->entry = mem_array(NAMES_MAX, sizeof *f->entry);
	for (size_t t = 0; f->tables[t]; t++)
		for (const struct setting *s = f->tables[t]; s->name; s++) {
			struct entry *e = entry_of(f, s->name);

			if (!e) {
				must(f->n < NAMES_MAX);
				e = &f->entry[f->n++];
				e->s = s;
				buf_init(&e->value, VALUE_MAX + 1);
				set_standard(e);
			} else if (e->s->type != s->type || strcmp(e->s->standard, s->standard) != 0)
				fault(f, 0, "%s: two programs declare it with different defaults or types; "
				    "this is a fault in Hermod", s->name);
		}
}

static struct settings_file *
parse(const char *path, struct bytes content, const struct setting *const *tables, struct buf *faults)
{
	struct settings_file *f = mem_alloc(sizeof *f);
	const char *slash = strrchr(path, '/');

	f->path = mem_text(path);
	f->name = mem_text(slash ? slash + 1 : path);
	f->tables = tables;
	f->faults = faults;
	add_tables(f);
	if (bytes_find(content, '\0') < content.n)
		fault(f, 1 + lines_in(bytes_head(content, bytes_find(content, '\0'))),
		    "a NUL: this is not a text file");
	else
		read_all(f, content);
	f->faults = NULL;
	return f;
}

struct settings_file *
settings_parse(const char *path, struct bytes content, const struct setting *const *tables, struct buf *faults)
{
	struct settings_file *f = parse(path, content, tables, faults);

	if (f->count > 0)
		settings_file_free(&f);
	return f;
}

/* A symbolic link is followed: the path is the administrator's own. */
static bool
slurp(const char *path, struct buf *content, char *why, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	unsigned char *room;
	bool ok = false;

	if (fd == -1 || fstat(fd, &st) == -1)
		snprintf(why, cap, "cannot be read: %s; right would be a file of settings", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		snprintf(why, cap, "is no regular file; right would be a file of settings");
	else if (st.st_mode & S_IWOTH)
		snprintf(why, cap, "everybody may write it; right would be chmod o-w");
	else if (st.st_size > FILE_MAX || !(room = buf_room(content, (size_t)st.st_size + 1)))
		snprintf(why, cap, "is too large; right would be at most %d octets", FILE_MAX);
	else if (!file_pread(fd, room, (size_t)st.st_size, 0))
		snprintf(why, cap, "cannot be read: %s; it may be being written: try again", strerror(errno));
	else {
		content->n += (size_t)st.st_size;
		ok = true;
	}
	fd_close(&fd);
	return ok;
}

/* What cannot be read at all leaves the defaults. */
struct settings_file *
settings_load_anyway(const char *path, const struct setting *const *tables, struct buf *faults)
{
	struct settings_file *f;
	struct buf content;
	char why[256];

	buf_init(&content, FILE_MAX + 1);
	if (!slurp(path, &content, why, sizeof why))
		buf_fmt(faults, "%s: %s\n", path, why);
	f = parse(path, buf_bytes(&content), tables, faults);
	buf_fini(&content);
	return f;
}

struct settings_file *
settings_load(const char *path, const struct setting *const *tables, struct buf *faults)
{
	size_t before = faults->n;
	struct settings_file *f = settings_load_anyway(path, tables, faults);

	if (faults->n > before || faults->full)
		settings_file_free(&f);
	return f;
}

void
settings_file_free(struct settings_file **f)
{
	if (!*f)
		return;
	for (size_t i = 0; i < (*f)->n; i++)
		buf_fini(&(*f)->entry[i].value);
	mem_free((*f)->entry);
	mem_free((*f)->name);
	mem_free((*f)->path);
	mem_free(*f);
	*f = NULL;
}

const char *
settings_value(const struct settings_file *f, const char *name)
{
	const struct entry *e = entry_of(f, name);

	return e ? (const char *)e->value.p : NULL;
}

bool
settings_given(const struct settings_file *f, const char *name)
{
	const struct entry *e = entry_of(f, name);

	return e && e->line > 0;
}

const char *
settings_next(const struct settings_file *f, size_t *i)
{
	return *i < f->n ? f->entry[(*i)++].s->name : NULL;
}

const char *
settings_origin(const struct settings_file *f, const char *name)
{
	const struct entry *e = entry_of(f, name);
	char *dst = ((struct settings_file *)f)->origin;	/* a place to speak from, no state */

	if (!e || e->line == 0)
		return "default";
	snprintf(dst, sizeof f->origin, "%s:%u", f->name, e->line);
	return dst;
}

void
settings_fill(const struct settings_file *f, const struct setting *table, void *out)
{
	char why[256];

	settings_standard(table, out);
	for (const struct setting *s = table; s->name; s++)
		must(settings_set(table, s->name, settings_value(f, s->name), out, why, sizeof why));
}
