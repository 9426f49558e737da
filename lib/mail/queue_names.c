/* SPDX-License-Identifier: ISC */
#include "mail/queue_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define BUCKET_S	60
#define SUB_DIGITS	8		/* of a directory in later/ or down/, in hex */
#define NAME_OCTETS	64		/* as struct queue_message */

/* ---- what a name tells ---- */

/* Behind the last component's id: -hash in later/, .1 and so on where corrupt/ has several of one id, both there. */
bool
queue_name_id(const char *name, char id[QUEUE_ID_MAX + 1])
{
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strchr(base, '.');
	size_t n = strcspn(base, "-.");

	if (dot && (dot[1] == '\0' || strspn(dot + 1, "0123456789") != strlen(dot + 1)))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!ascii_alnum((unsigned char)base[i]))
			return false;
	return n > 0 && bytes_to_text(bytes_of(base, n), id, QUEUE_ID_MAX + 1);
}

static bool
has_sub(enum queue_place place)
{
	return place == QUEUE_LATER || place == QUEUE_DOWN;
}

/* Where the hash of the next hop stands; "m" for several; empty: the name does not tell. */
static struct bytes
hash_in(enum queue_place place, const char *name)
{
	const char *dash = strrchr(name, '-');

	if (place == QUEUE_DOWN)
		return bytes_head(text(name), bytes_find(text(name), '/'));
	return place == QUEUE_LATER && dash ? text(dash + 1) : text("");
}

bool
queue_name_tells_hop(enum queue_place place, const char *name)
{
	return hash_in(place, name).n == QUEUE_HASH;
}

bool
queue_name_hop(enum queue_place place, const char *name, struct bytes nexthop)
{
	char want[QUEUE_HASH + 1];

	queue_hop_hash(nexthop, want);
	return !queue_name_tells_hop(place, name) || bytes_eq(hash_in(place, name), text(want));
}

/* ---- what can be done with it ---- */

/* "bucket/ID-hash". A bucket's name says when it is due; this minute's is, whose time has come. */
static bool
due_name(enum queue_place place, const char *name, int64_t now_s, char bucket[SUB_DIGITS + 1], char to[NAME_OCTETS])
{
	const char *slash = strchr(name, '/');
	int n;

	if (place != QUEUE_LATER || !slash || slash - name != SUB_DIGITS || now_s < 0 || now_s / BUCKET_S > UINT32_MAX) {
		errno = EINVAL;
		return false;
	}
	snprintf(bucket, SUB_DIGITS + 1, "%08x", (unsigned)(now_s / BUCKET_S));
	n = snprintf(to, NAME_OCTETS, "%s%s", bucket, slash);
	if (n > 0 && n < NAME_OCTETS)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

bool
queue_hurry(struct queue *q, enum queue_place place, const char *name, int64_t now_s)
{
	char bucket[SUB_DIGITS + 1], to[NAME_OCTETS];
	int from = q->places[place], later = q->places[QUEUE_LATER];

	if (place == QUEUE_DOWN)
		return faccessat(from, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (!due_name(place, name, now_s, bucket, to))
		return false;
	if (memcmp(name, bucket, SUB_DIGITS) <= 0)	/* hex digits in ASCII order */
		return true;
	return renameat(from, name, later, to) == 0
	    || (errno == ENOENT && dir_make(later, bucket, 0700) && dir_sync(later) && renameat(from, name, later, to) == 0);
}

bool
queue_sync(struct queue *q, enum queue_place place, const char *name)
{
	const char *slash = strchr(name, '/');
	char sub[SUB_DIGITS + 1];
	bool good;
	int fd;

	if (!has_sub(place) || !slash || !bytes_to_text(bytes_of(name, (size_t)(slash - name)), sub, sizeof sub))
		return dir_sync(q->places[place]);
	fd = dir_open(q->places[place], sub);
	if (fd == -1)			/* removed since, when it was empty */
		return errno == ENOENT && dir_sync(q->places[place]);
	good = dir_sync(fd);
	fd_close(&fd);
	return good;
}

/* ---- a walk that is left and gone on with ---- */

struct queue_cursor {
	DIR	*top, *in;		/* owned; in: a directory of later/ or down/, NULL: none is open */
	bool	 subs;
	int	 fault;			/* errno of what could not be read; the walk went on behind it */
	char	 sub[SUB_DIGITS + 1];
	char	 path[SUB_DIGITS + 1 + NAME_MAX + 1];
};

struct queue_cursor *
queue_cursor_new(struct queue *q, enum queue_place place)
{
	struct queue_cursor *c = mem_alloc(sizeof *c);

	c->subs = has_sub(place);
	c->top = dir_stream(q->places[place], ".");
	c->fault = c->top ? 0 : errno;
	return c;
}

void
queue_cursor_free(struct queue_cursor **c)
{
	if (!*c)
		return;
	if ((*c)->in)
		closedir((*c)->in);
	if ((*c)->top)
		closedir((*c)->top);
	mem_free(*c);
	*c = NULL;
}

static const char *
next_entry(DIR *d)
{
	struct dirent *entry;

	do {
		errno = 0;
		entry = readdir(d);
	} while (entry && entry->d_name[0] == '.');
	return entry ? entry->d_name : NULL;
}

/* Opens the next directory. False: there is none, or errno. One that is gone since, or is none, is passed over. */
static bool
next_sub(struct queue_cursor *c)
{
	const char *name;

	while ((name = next_entry(c->top))) {
		if (strlen(name) != SUB_DIGITS || strspn(name, "0123456789abcdef") != SUB_DIGITS)
			continue;
		memcpy(c->sub, name, sizeof c->sub);
		c->in = dir_stream(dirfd(c->top), name);
		if (c->in)
			return true;
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			c->fault = errno;
	}
	return false;
}

static const char *
next_in_subs(struct queue_cursor *c)
{
	const char *name;

	while (c->in || next_sub(c)) {
		if ((name = next_entry(c->in))) {
			snprintf(c->path, sizeof c->path, "%s/%s", c->sub, name);
			return c->path;
		}
		c->fault = errno ? errno : c->fault;
		closedir(c->in);
		c->in = NULL;
	}
	return NULL;
}

const char *
queue_cursor_next(struct queue_cursor *c)
{
	const char *name = NULL;

	if (c->top) {
		name = c->subs ? next_in_subs(c) : next_entry(c->top);
		if (!name && errno != 0)
			c->fault = errno;
	}
	if (!name)
		errno = c->fault;
	return name;
}
