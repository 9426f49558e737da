/* SPDX-License-Identifier: ISC */
#include "mail/oauth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "mail/network.h"

#define SCHEME	"https://"

static bool
is_host(const char *host)
{
	struct address a;
	char why[256];

	return setting_is_domain(host, why, sizeof why) && !address_parse(text(host), &a);
}

/* Printable, and nothing that ends a path or a query. */
static bool
is_path(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '#' || s.p[i] == '"' || s.p[i] == '\\')
			return false;
	return true;
}

static size_t
authority_length(struct bytes s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '/' && s.p[n] != '?')
		n++;
	return n;
}

static bool
parse(struct bytes s, struct oauth_url *out)
{
	struct bytes authority, host;
	uint64_t port = 443;

	if (s.n > OAUTH_URL_MAX || !bytes_starts(s, text(SCHEME)) || !is_path(s))
		return false;
	s = bytes_skip(s, strlen(SCHEME));
	authority = bytes_head(s, authority_length(s));
	s = bytes_skip(s, authority.n);
	host = bytes_cut(&authority, ':');
	if (host.p + host.n < s.p && (!bytes_u64(authority, UINT16_MAX, &port) || port == 0))	/* there was a ':' */
		return false;
	out->port = (uint16_t)port;
	snprintf(out->path, sizeof out->path, "%s%.*s", s.n > 0 && s.p[0] == '/' ? "" : "/", BYTES_FMT(s));
	if (!bytes_to_text(host, out->host, sizeof out->host) || !is_host(out->host))
		return false;
	for (char *p = out->host; *p; p++)
		*p = (char)ascii_lower((unsigned char)*p);
	return true;
}

bool
oauth_url_parse(const char *words, struct oauth_url *out, char *why, size_t cap)
{
	if (parse(text(words), out))
		return true;
	snprintf(why, cap, "right would be like https://id.example.org/introspect, by name, with https, and at most %d octets", OAUTH_URL_MAX);
	return false;
}

bool
setting_is_oauth_url(const char *value, char *why, size_t cap)
{
	struct oauth_url url;

	return value[0] == '\0' || oauth_url_parse(value, &url, why, cap);
}

/* ---- the file ---- */

static bool
say(const char *path, const char *what, char *why, size_t cap)
{
	snprintf(why, cap, "oauth_client_file: %s: %s", path, what);
	return false;
}

/* VSCHAR, RFC 6749 appendix A.1 and A.2; UTF-8 is in use as well. */
static bool
take(struct bytes s, struct buf *out)
{
	buf_clear(out);
	buf_add(out, s);
	return s.n > 0 && s.n <= OAUTH_CLIENT_MAX && !out->full && !bytes_has_control(s);
}

static bool
read_open(const char *path, int fd, struct buf *id, struct buf *secret, char *why, size_t cap)
{
	struct buf all;
	struct bytes rest, line;
	struct stat st;
	bool good;

	if (fstat(fd, &st) == -1)
		return say(path, strerror(errno), why, cap);
	if (st.st_mode & (S_IWGRP | S_IRWXO))
		return say(path, "others than its owner can write it, or everybody read it: chmod 640", why, cap);
	buf_init(&all, 4 * OAUTH_CLIENT_MAX);
	good = file_slurp_from(fd, &all) || say(path, strerror(errno), why, cap);
	if (good) {
		rest = buf_bytes(&all);
		rest = bytes_trim(bytes_cut(&rest, '\n'));
		line = bytes_cut(&rest, ' ');
		good = (take(line, id) && take(rest, secret))
		    || say(path, "right would be one line: the client's id, a space, its secret", why, cap);
	}
	buf_wipe(&all);
	return good;
}

bool
oauth_client_read(const char *path, struct buf *id, struct buf *secret, char *why, size_t cap)
{
	int fd = file_open(AT_FDCWD, path, O_RDONLY, 0);
	bool good;

	if (fd == -1)
		return say(path, strerror(errno), why, cap);
	good = read_open(path, fd, id, secret, why, cap);
	fd_close(&fd);
	return good;
}
