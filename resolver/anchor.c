/* SPDX-License-Identifier: ISC */
/*
 * resolver/anchor.c - the root's keys. RFC 5011: who holds a key that is trusted learns from it which ones come after
 * it, if it asks now and then, and writes that down; libunbound does so in ANCHOR_FILE. A copy of the keys that were there
 * first lies beside it: when an administrator (or the package dns-root-data) brings others, they count from
 * then on.
 */
#include "resolver/resolver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define INITIAL_FILE	"initial.key"	/* what ANCHOR_FILE was begun with */
#define LEFT_S		3600		/* a file that libunbound was writing is left since a crash */

/* https://data.iana.org/root-anchors/root-anchors.xml: KSK-2017 and KSK-2024. */
static const char known[] =
	". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
	". DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n";

/* A line that is a key, or a key's digest. libunbound is content with a file that has none, and takes the whole tree for
 * insecure. */
static bool
has_key(struct bytes content)
{
	while (content.n > 0) {
		struct bytes line = bytes_cut(&content, '\n');

		line = bytes_head(line, bytes_find(line, ';'));
		while (line.n > 0) {
			bool tab = bytes_find(line, '\t') < bytes_find(line, ' ');
			struct bytes word = bytes_cut(&line, tab ? '\t' : ' ');

			if (bytes_case_eq(word, text("DNSKEY")) || bytes_case_eq(word, text("DS")))
				return true;
		}
	}
	return false;
}

static bool
read_keys(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool good = fd != -1 && file_slurp_from(fd, out);

	fd_close(&fd);
	if (good && !has_key(buf_bytes(out))) {
		good = false;
		errno = ENOKEY;
	}
	return good;
}

void
anchor_initial(const char *path, struct buf *out)
{
	if (path[0] != '\0') {
		if (read_keys(path, out))
			return;
		log_errno("trust_anchor_file: %s: cannot be read; the keys of the root that this version knows are used", path);
	}
	buf_clear(out);
	buf_text(out, known);
}

/* libunbound writes ANCHOR_FILE.PID-THREAD-ADDRESS, then renames it. */
static void
remove_left(int dir)
{
	DIR *d = dir_stream(dir, ".");
	const struct dirent *e;
	struct stat st;

	if (!d)
		return;
	while ((e = readdir(d)))
		if (bytes_starts(text(e->d_name), text(ANCHOR_FILE "."))
		    && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime + LEFT_S < clock_wall_s())
			(void)unlinkat(dir, e->d_name, 0);
	closedir(d);
}

static bool
is_begun_with(int dir, struct bytes initial)
{
	struct buf first, now;
	bool good;

	buf_init(&first, ANCHOR_MAX);
	buf_init(&now, ANCHOR_MAX);
	good = file_slurp(dir, INITIAL_FILE, &first) && bytes_eq(buf_bytes(&first), initial)
	    && file_slurp(dir, ANCHOR_FILE, &now) && has_key(buf_bytes(&now));
	buf_fini(&first);
	buf_fini(&now);
	return good;
}

bool
anchor_keep(int dir, struct bytes initial, bool anew)
{
	if (dir == -1)
		return false;
	remove_left(dir);
	if (!anew && is_begun_with(dir, initial))
		return true;
	if (file_replace(dir, ANCHOR_FILE, initial, 0600) && file_replace(dir, INITIAL_FILE, initial, 0600)) {
		log_info("the root's keys: begun with %s", anew ? "the first ones again" : "new ones");
		return true;
	}
	log_errno("dns_directory: the root's keys cannot be kept there: a new one (RFC 5011) will not be noticed");
	return false;
}
