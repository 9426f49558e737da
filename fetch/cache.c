/* SPDX-License-Identifier: ISC */
/*
 * fetch/cache.c - the directory of policies, a file each: a policy that was fetched once holds over a restart, when
 * whoever forges the DNS would like it to be forgotten (RFC 8461 section 10.2). A file's name is a hash: no octet of a
 * domain becomes part of a path.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "fetch/fetch.h"

void
cache_put(int dir, const struct kept *k)
{
	char name[KEPT_NAME];
	struct buf file;

	if (dir == -1)
		return;
	buf_init(&file, KEPT_MAX);
	kept_write(k, &file);
	kept_name(k->domain, name);
	if (file.full || !file_replace(dir, name, buf_bytes(&file), 0600))
		log_errno("mta_sts_directory: the policy of %s cannot be kept", log_text(k->domain));
	buf_fini(&file);
}

void
cache_remove(int dir, struct bytes domain)
{
	char name[KEPT_NAME];

	kept_name(domain, name);
	if (dir != -1 && unlinkat(dir, name, 0) == -1 && errno != ENOENT)
		log_errno("mta_sts_directory: the policy of %s cannot be removed", log_text(domain));
}

static bool
is_its_name(const char *name, struct bytes domain)
{
	char right[KEPT_NAME];

	kept_name(domain, right);
	return strcmp(name, right) == 0;
}

struct reading {
	int		 dir;
	size_t		 left;
	bool		(*take)(void *, const struct kept *);
	void		*arg;
	struct buf	 file;
};

static void
read_one(struct reading *r, const char *name)
{
	struct kept k;

	buf_clear(&r->file);
	if (r->left == 0) {
		unlinkat(r->dir, name, 0);
	} else if (!file_slurp(r->dir, name, &r->file)) {
		log_errno("mta_sts_directory: %s cannot be read", name);
	} else if (!kept_read(buf_bytes(&r->file), &k) || !is_its_name(name, k.domain)) {
		log_warn("mta_sts_directory: %s is damaged; it is removed", name);
		unlinkat(r->dir, name, 0);
	} else if (r->take(r->arg, &k)) {
		r->left--;
	} else {
		unlinkat(r->dir, name, 0);
	}
}

void
cache_read(int dir, size_t most, bool (*take)(void *, const struct kept *), void *arg)
{
	struct reading r = { .dir = dir, .left = most, .take = take, .arg = arg };
	DIR *d = dir == -1 ? NULL : dir_stream(dir, ".");
	struct dirent *e;

	if (!d) {
		if (dir != -1)
			log_errno("mta_sts_directory");
		return;
	}
	buf_init(&r.file, KEPT_MAX);
	while ((e = readdir(d)) != NULL)
		if (strlen(e->d_name) == KEPT_NAME - 1)
			read_one(&r, e->d_name);
		else if (strncmp(e->d_name, ".tmp.", 5) == 0)	/* file_replace's, which a crash has left */
			unlinkat(dir, e->d_name, 0);
	buf_fini(&r.file);
	closedir(d);
}
