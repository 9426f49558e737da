/* SPDX-License-Identifier: ISC */
/* mail/folders_list.c - which mailboxes there are: one look at each directory, one sort. */
#include "mail/folders_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- the order ---- */

/* '/' before all other octets, none of which is below it in a name but ' ' to '.'. */
static int
by_octets(struct bytes a, struct bytes b)
{
	size_t i = 0, n = a.n < b.n ? a.n : b.n;

	while (i < n && a.p[i] == b.p[i])
		i++;
	if (i == n)
		return (a.n > b.n) - (a.n < b.n);
	if (a.p[i] == FOLDER_SEPARATOR || b.p[i] == FOLDER_SEPARATOR)
		return a.p[i] == FOLDER_SEPARATOR ? -1 : 1;
	return a.p[i] < b.p[i] ? -1 : 1;
}

static int
by_name(const void *a, const void *b)
{
	struct bytes x = ((const struct folder_entry *)a)->name, y = ((const struct folder_entry *)b)->name;
	bool first = folder_is_below(x, folders_inbox());

	if (first != folder_is_below(y, folders_inbox()))
		return first ? -1 : 1;
	return by_octets(x, y);
}

static void
sort(struct folder_entry *e, size_t n)
{
	if (n > 1)
		qsort(e, n, sizeof *e, by_name);
}

/* ---- what is in the directories ---- */

static struct folder_entry *
add(struct folder_tree *t, struct bytes name, bool selectable)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->entry = mem_resize(t->entry, t->cap * sizeof *t->entry);
	}
	t->entry[t->n] = (struct folder_entry){ .name = name, .selectable = selectable };
	return &t->entry[t->n++];
}

struct scan {
	struct folders	*f;
	struct folder_tree *t;
	struct buf	path, name;	/* owned */
};

/* False: there are as many as are listed. */
static bool
found(struct scan *s, struct bytes name)
{
	if (s->t->n >= FOLDERS_MAX) {
		if (!s->f->told_many)
			log_warn("mailbox %s: it has more than %d folders; the others are not listed", s->f->what,
			    FOLDERS_MAX);
		s->f->told_many = true;
		return false;
	}
	add(s->t, arena_copy(s->t->names, name), true);
	return true;
}

/* As far as the entry itself tells. */
static bool
may_be_folder(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && e->d_type != DT_REG;
}

/* Whatever it is, s->name is its name, if it has one. */
static bool
is_folder(struct scan *s, DIR *d, const char *entry, struct bytes path)
{
	char cur[FOLDER_COMPONENT_MAX + 8];
	struct stat st;

	buf_clear(&s->name);
	if (!folder_of_path(s->f->layout, path, &s->name) || strlen(entry) > FOLDER_COMPONENT_MAX)
		return false;
	if (fstatat(dirfd(d), entry, &st, AT_SYMLINK_NOFOLLOW) == -1 || S_ISREG(st.st_mode))
		return false;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
		folders_tell_odd(s->f, path);
		return false;
	}
	memcpy(cur, entry, strlen(entry));
	memcpy(cur + strlen(entry), "/cur", sizeof "/cur");
	return fstatat(dirfd(d), cur, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static DIR *
open_list(int dir)
{
	DIR *d = dir == -1 ? NULL : fdopendir(dir);

	if (!d)
		fd_close(&dir);
	return d;
}

static bool
scan_maildirpp(struct scan *s)
{
	DIR *d = open_list(dir_open(s->f->root, "."));
	struct dirent *e;
	int fault;

	if (!d)
		return false;
	while ((errno = 0, e = readdir(d)) != NULL)
		if (e->d_name[0] == '.' && may_be_folder(e) && is_folder(s, d, e->d_name, text(e->d_name))
		    && !found(s, buf_bytes(&s->name)))
			break;
	fault = e ? 0 : errno;
	closedir(d);
	errno = fault;
	return fault == 0;
}

/* s->name is empty where the path is that of no folder: nothing below it is one, either, but for "INBOX", which
 * is not where INBOX lies, yet where that which is below INBOX does. */
static bool
leads_on(const struct scan *s, const struct dirent *e, unsigned depth)
{
	return !s->path.full && e->d_type != DT_LNK && depth < FOLDER_LEVELS_MAX
	    && (s->name.n > 0 || bytes_eq(buf_bytes(&s->path), folders_inbox()));
}

/* Takes dir, which is at s->path. A directory that is gone meanwhile, or cannot be read, has nothing. */
static bool
scan_below(struct scan *s, int dir, unsigned depth)
{
	DIR *d = open_list(dir);
	size_t at = s->path.n;
	struct dirent *e;
	bool more = true;

	if (!d)
		return depth > 0;
	while (more && (e = readdir(d)) != NULL) {
		if (!may_be_folder(e))
			continue;
		if (at > 0)
			buf_char(&s->path, '/');
		buf_text(&s->path, e->d_name);
		if (!s->path.full && is_folder(s, d, e->d_name, buf_bytes(&s->path)))
			more = found(s, buf_bytes(&s->name));
		if (more && leads_on(s, e, depth))
			more = scan_below(s, folders_own_dir(s->f, dirfd(d), e->d_name), depth + 1);
		s->path.n = at;
		s->path.full = false;
	}
	closedir(d);
	return more;
}

static bool
scan_all(struct folders *f, struct folder_tree *t)
{
	struct scan s = { .f = f, .t = t };
	bool good;

	add(t, folders_inbox(), true);
	if (f->inbox)
		return true;
	buf_init(&s.path, FOLDER_PATH_MAX);
	buf_init(&s.name, FOLDER_NAME_MAX);
	if (f->layout == FOLDERS_MAILDIRPP) {
		good = scan_maildirpp(&s);
	} else {
		int top = dir_open(f->root, ".");

		good = top != -1;
		if (good)
			scan_below(&s, top, 0);
	}
	buf_fini(&s.path);
	buf_fini(&s.name);
	return good;
}

/* ---- the levels between ---- */

/* Octets at which both are the same. */
static size_t
common(struct bytes a, struct bytes b)
{
	size_t i = 0;

	while (i < a.n && i < b.n && a.p[i] == b.p[i])
		i++;
	return i;
}

/* The entries on the way to the present one: place[k] has k + 1 levels. */
struct way { size_t place[FOLDER_LEVELS_MAX]; size_t n; };

/* Adds name's levels, the last of which is `last`. What stands on the way and is above name, too, stays. */
static void
add_with_levels(struct folder_tree *t, struct way *w, struct folder_entry last)
{
	bool there = last.selectable || last.children;
	size_t same = w->n > 0 ? common(t->entry[w->place[w->n - 1]].name, last.name) : 0, level = 0;

	for (size_t at = 0; at < last.name.n; at++) {
		struct bytes above = bytes_head(last.name, at);

		if (last.name.p[at] != FOLDER_SEPARATOR)
			continue;
		if (level >= w->n || at > same || t->entry[w->place[level]].name.n != at) {
			w->place[level] = t->n;
			w->n = level + 1;
			add(t, above, false);
		}
		t->entry[w->place[level++]].children |= there;
	}
	w->place[level] = t->n;
	w->n = level + 1;
	*add(t, last.name, false) = last;
}

static void
add_levels(struct folder_tree *t)
{
	struct folder_tree all = { .names = t->names, .own = t->own, .mailboxes = t->mailboxes };
	struct way w = { .n = 0 };

	/* What is renamed while a directory is read may be read twice. */
	for (size_t i = 0; i < t->n; i++)
		if (i == 0 || !bytes_eq(t->entry[i].name, t->entry[i - 1].name))
			add_with_levels(&all, &w, t->entry[i]);
	mem_free(t->entry);
	*t = all;
}

bool
folder_tree_read(struct folders *f, struct arena *a, struct folder_tree *t)
{
	*t = (struct folder_tree){ .own = a ? NULL : arena_new(FOLDERS_ARENA_MAX) };
	t->names = a ? a : t->own;
	if (!scan_all(f, t)) {
		int saved = errno;

		log_errno("mailbox %s: cannot list its folders", f->what);
		folder_tree_free(t);
		errno = saved;
		return false;
	}
	sort(t->entry, t->n);
	t->mailboxes = t->n;
	add_levels(t);
	return true;
}

void
folder_tree_free(struct folder_tree *t)
{
	mem_free(t->entry);
	arena_free(&t->own);
	*t = (struct folder_tree){ 0 };
}

static struct folder_entry *
find(struct folder_entry *e, size_t n, struct bytes name)
{
	struct folder_entry key = { .name = name };

	return n == 0 ? NULL : bsearch(&key, e, n, sizeof *e, by_name);
}

struct folder_entry *
folder_tree_find(const struct folder_tree *t, struct bytes name)
{
	return find(t->entry, t->n, name);
}

size_t
folder_tree_below(const struct folder_tree *t, const struct folder_entry *e)
{
	size_t first = (size_t)(e - t->entry), n = 0;

	while (first + n < t->n && folder_is_below(t->entry[first + n].name, e->name))
		n++;
	return n;
}

/* ---- the files beside them ---- */

bool
folders_slurp(struct folders *f, const char *name, struct buf *out)
{
	return file_slurp(f->root, name, out) || errno == ENOENT;
}

bool
folders_write(struct folders *f, const char *name, const struct buf *old, const struct buf *new)
{
	if (bytes_eq(buf_bytes(old), buf_bytes(new)) && !new->full)
		return true;
	errno = EFBIG;
	return !new->full && file_replace(f->root, name, buf_bytes(new), 0600);
}

/* A list without it is better than none. */
static void
slurp_or_tell(struct folders *f, const char *name, struct buf *out)
{
	if (!folders_slurp(f, name, out))
		log_errno("mailbox %s: cannot read %s", f->what, name);
}

static void
read_subscribed(struct folders *f, struct folder_tree *t)
{
	struct bytes rest;
	struct buf file, name;

	if (f->inbox) {			/* there is no file, and nothing else to subscribe to */
		add(t, folders_inbox(), false);
		return;
	}
	buf_init(&file, SUBSCRIPTIONS_MAX);
	buf_init(&name, FOLDER_NAME_MAX);
	slurp_or_tell(f, SUBSCRIPTIONS_FILE, &file);
	rest = buf_bytes(&file);
	while (t->n < FOLDERS_MAX && subscriptions_next(&rest, f->layout, &name))
		add(t, arena_copy(t->names, buf_bytes(&name)), false);
	sort(t->entry, t->n);
	buf_fini(&file);
	buf_fini(&name);
}

static void
take_uses(struct folders *f, struct folder_entry *e, size_t n)
{
	struct bytes rest;
	struct buf file, name;
	unsigned use;

	if (f->inbox)
		return;
	buf_init(&file, SPECIAL_USE_MAX);
	buf_init(&name, FOLDER_NAME_MAX);
	slurp_or_tell(f, SPECIAL_USE_FILE, &file);
	rest = buf_bytes(&file);
	while (special_use_next(&rest, f->layout, &use, &name)) {
		struct folder_entry *one = find(e, n, buf_bytes(&name));

		if (one && one->selectable)
			one->uses |= use;
	}
	buf_fini(&file);
	buf_fini(&name);
}

/* Both are in order, and so is what is made of them; what is subscribed twice stands once. */
static void
merge(const struct folder_tree *t, const struct folder_tree *subscribed, struct folder_tree *out)
{
	size_t i = 0, k = 0;

	while (i < t->n || k < subscribed->n) {
		int order = i == t->n ? 1 : k == subscribed->n ? -1 : by_name(&t->entry[i], &subscribed->entry[k]);
		struct folder_entry *e = add(out, (struct bytes){ 0 }, false);

		*e = order <= 0 ? t->entry[i++] : subscribed->entry[k];
		for (; order >= 0 && k < subscribed->n && by_name(e, &subscribed->entry[k]) == 0; k++)
			e->subscribed = true;
	}
}

bool
folders_list(struct folders *f, struct arena *a, struct folder_entry **out, size_t *n)
{
	struct folder_tree t, subscribed = { .names = a }, both = { .names = a };
	bool locked = !f->inbox && folders_begin(f);	/* without it, what is seen may be half of a change */
	bool good = folder_tree_read(f, a, &t);

	if (good) {
		read_subscribed(f, &subscribed);
		merge(&t, &subscribed, &both);
		add_levels(&both);
		take_uses(f, both.entry, both.n);
		*n = both.n;
		*out = arena_array(a, both.n, sizeof **out);
		memcpy(*out, both.entry, both.n * sizeof **out);
	}
	folder_tree_free(&t);
	folder_tree_free(&subscribed);
	folder_tree_free(&both);
	if (locked)
		folders_end(f);
	return good;
}

/* ---- subscriptions ---- */

static size_t
count_subscribed(struct folders *f, struct bytes file)
{
	struct buf name;
	size_t n = 0;

	buf_init(&name, FOLDER_NAME_MAX);
	while (subscriptions_next(&file, f->layout, &name))
		n++;
	buf_fini(&name);
	return n;
}

static enum folder_result
write_subscription(struct folders *f, struct bytes name, bool on)
{
	enum folder_result r = FOLDER_FAILED;
	struct buf old, new;

	buf_init(&old, SUBSCRIPTIONS_MAX);
	buf_init(&new, SUBSCRIPTIONS_MAX);
	if (folders_slurp(f, SUBSCRIPTIONS_FILE, &old)) {
		subscriptions_put(buf_bytes(&old), f->layout, name, on, &new);
		if (on && (new.full || count_subscribed(f, buf_bytes(&new)) > FOLDERS_MAX))
			r = FOLDER_MANY;
		else if (folders_write(f, SUBSCRIPTIONS_FILE, &old, &new))
			r = FOLDER_OK;
	}
	if (r == FOLDER_FAILED)
		log_errno("mailbox %s: cannot write %s", f->what, SUBSCRIPTIONS_FILE);
	buf_fini(&old);
	buf_fini(&new);
	return r;
}

static enum folder_result
change_subscription(struct folders *f, struct bytes name, bool on)
{
	struct folder_tree t;
	bool there = !on;

	if (on) {
		if (!folder_tree_read(f, NULL, &t))
			return FOLDER_FAILED;
		there = folder_tree_find(&t, name) != NULL;
		folder_tree_free(&t);
	}
	return there ? write_subscription(f, name, on) : FOLDER_NONE;
}

enum folder_result
folders_subscribe(struct folders *f, struct bytes name, bool on)
{
	char path[FOLDER_PATH_MAX];
	enum folder_result r;

	if (f->inbox)
		return !bytes_eq(name, folders_inbox()) ? FOLDER_NONE : on ? FOLDER_OK : FOLDER_INBOX;
	if (!folder_path(f->layout, name, path))
		return FOLDER_BAD_NAME;
	if (!folders_begin(f))
		return FOLDER_FAILED;
	r = change_subscription(f, name, on);
	folders_end(f);
	return r;
}
