/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_setup_write.c - what hermod setup writes. The configuration gets its name last, when all else is there and
 * master has found nothing wrong with it; whatever ends the program before, all that was made is taken back. After SIGKILL
 * or a power cut there is no configuration yet: the next run finds what was made, keeps it, and makes the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/account.h"
#include "mail/tls_files.h"
#include "tools/hermod_account.h"
#include "tools/hermod_setup.h"

#define CONF_MAX	(1 << 20)	/* octets of a configuration that is compared */
#define OLD_MAX		1000		/* of them that are kept */
#define UNDO_MAX	(SETUP_PATH_MAX + 16)
#define TEMPORARY	".hermod-setup"

/* ---- taking back ---- */

enum made { MADE_FOLDER, MADE_FILE, MADE_ROW };

static struct {
	struct { enum made what; const char *name; } made[UNDO_MAX];	/* borrowed from the arena; ROW: the account */
	size_t		 n;
	const char	*account_map;
} undo;
static volatile sig_atomic_t stopped;

static void
remember(enum made what, const char *name)
{
	must(undo.n < UNDO_MAX);
	undo.made[undo.n].what = what;
	undo.made[undo.n++].name = name;
}

static bool
remove_row(const char *name)
{
	char why[512];
	struct table *t = table_open_write(undo.account_map, false, why, sizeof why);
	bool good = t && table_delete(t, text(name), why, sizeof why);

	table_close(&t);
	return good;
}

/* At the end of the program, whatever ends it. */
static void
take_back(void)
{
	while (undo.n > 0) {
		const char *name = undo.made[--undo.n].name;
		bool good = true;

		switch (undo.made[undo.n].what) {
		case MADE_FOLDER:	(void)rmdir(name); break;	/* what others put there meanwhile stays */
		case MADE_FILE:		good = unlink(name) == 0 || errno == ENOENT; break;
		case MADE_ROW:		good = remove_row(name); break;
		}
		if (!good)
			fprintf(stderr, "hermod: %s was made, and cannot be removed: %s\n", name, strerror(errno));
	}
}

static void
on_signal(int sig)
{
	stopped = sig;
}

static void
catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < LEN(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

/* Between two steps. */
static void
go_on(void)
{
	if (stopped)
		hermod_die(EXIT_FAILED, "ended by a signal: nothing was changed");
}

static _Noreturn void
die_of(const char *path)
{
	if (errno == EACCES || errno == EPERM || errno == EROFS)
		hermod_die(EXIT_DENIED, "%s: cannot be written: %s; right would be to ask as root, or another folder (--directory). "
		    "Nothing was changed", path, strerror(errno));
	hermod_die(EXIT_FAILED, "%s: cannot be written: %s. Nothing was changed", path, strerror(errno));
}

/* ---- what is there ---- */

static bool
is_there(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return true;
	if (errno != ENOENT && errno != ENOTDIR)
		hermod_die(errno == EACCES ? EXIT_DENIED : EXIT_FAILED, "%s: %s", path, strerror(errno));
	return false;
}

static bool
is_same(const struct setup *s)
{
	struct buf now, then;
	bool same;

	buf_init(&now, CONF_MAX);
	buf_init(&then, CONF_MAX);
	setup_conf(s, &then);
	if (!file_slurp(AT_FDCWD, s->conf, &now) && errno != EFBIG)
		hermod_die(errno == EACCES ? EXIT_DENIED : EXIT_FAILED, "%s: %s", s->conf, strerror(errno));
	same = bytes_eq(buf_bytes(&now), buf_bytes(&then));
	buf_fini(&now);
	buf_fini(&then);
	return same;
}

static bool
has_account(const struct setup *s)
{
	const char *spec = setup_account_map(s);
	struct table *t;
	struct buf row;
	char path[1024], why[512];
	enum verdict v;

	if (!table_file(spec, path))
		must(!"a table that setup_account_map names");
	if (!is_there(path))
		return false;
	buf_init(&row, ACCOUNT_ROW_MAX);
	t = table_open(spec, why, sizeof why);
	v = t ? table_get(t, text(s->account), &row) : NOT_SURE;
	buf_wipe(&row);
	table_close(&t);
	if (v == NOT_SURE)
		hermod_die(EXIT_FAILED, "%s cannot be read; right would be to ask as its owner, or to move it away when it is damaged",
		    path);
	return v == YES;
}

/* Its owner alone may change what is in a folder, or a link to it: whoever else could would choose our keys. */
static void
look_at_folder(const char *path)
{
	struct stat st;
	uid_t link;

	if (!is_there(path))
		return;
	if (lstat(path, &st) == -1)
		hermod_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	link = st.st_uid;
	if (stat(path, &st) == -1)
		hermod_die(EXIT_FAILED, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		hermod_die(EXIT_FAILED, "%s: is not a folder; right would be another place (--config, --directory)", path);
	if (link != geteuid() || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		hermod_die(EXIT_FAILED, "%s: belongs to uid %u with mode %o; right would be a folder of uid %u that nobody else can write "
		    "to, or another place (--config, --directory)", path,
		    (unsigned)(link != geteuid() ? link : st.st_uid), (unsigned)st.st_mode & 07777, (unsigned)geteuid());
}

/* Daemons have users of their own, who must come to the tables and to the mail. */
static void
look_at_way(const struct setup *s, const char *path)
{
	for (size_t n = 1; geteuid() == 0 && n <= strlen(path); n++) {
		const char *part = arena_text(s->a, bytes_of(path, n));
		struct stat st;

		if ((path[n] == '/' || path[n] == '\0') && stat(part, &st) == 0 && !(st.st_mode & S_IXOTH))
			hermod_die(EXIT_FAILED, "%s: has mode %o, and the users that the daemons run as could not enter it; right would be: "
			    "chmod o+x %s, or another place (--config, --directory)", part, (unsigned)st.st_mode & 07777, part);
	}
}

void
setup_look(struct setup *s)
{
	if (s->directory) {
		look_at_folder(s->directory);
		look_at_way(s, s->directory);
	}
	look_at_folder(s->etc);
	look_at_way(s, s->etc);
	if (s->own) {
		look_at_folder(s->tls);
		s->key_there = is_there(s->key[0]);
		s->certificate_there = is_there(s->chain[0]);
		if (s->certificate_there && !s->key_there)
			hermod_die(EXIT_FAILED, "%s is there without its key, %s; right would be to put the key there, or to move the "
			    "certificate away", s->chain[0], s->key[0]);
	}
	s->conf_there = is_there(s->conf);
	s->conf_same = s->conf_there && is_same(s);
	s->aliases_there = is_there(setup_alias_file(s));
	s->account_there = has_account(s);
}

/* ---- steps ---- */

/* The folder and those above it, as far as they are missing; anybody may enter them. */
static void
make_folder(const struct setup *s, const char *path)
{
	for (size_t n = 1; n <= strlen(path); n++) {
		const char *part;

		if (path[n] != '/' && path[n] != '\0')
			continue;
		part = arena_text(s->a, bytes_of(path, n));
		if (mkdir(part, 0755) == 0)
			remember(MADE_FOLDER, part);
		else if (errno != EEXIST)
			die_of(part);
	}
	look_at_folder(path);			/* again: it may have been made meanwhile */
}

static void
put_file(const struct setup *s, const char *path, struct bytes content, mode_t mode)
{
	const char *name = strrchr(path, '/') + 1;
	const char *folder = arena_text(s->a, bytes_of(path, (size_t)(name - path)));
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	go_on();
	remember(MADE_FILE, path);		/* it may be there though it is said to have failed */
	if (dir == -1 || !file_replace_locked(dir, name, TEMPORARY, content, mode))
		die_of(path);
	close(dir);
}

/* Open, locked against another run, and empty. It is removed with the others until it has its name. */
static int
open_staged(const char *path)
{
	struct stat st, named;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);

	if (fd == -1)
		die_of(path);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 || fstat(fd, &st) == -1 || lstat(path, &named) == -1 || st.st_ino != named.st_ino)
		hermod_die(EXIT_FAILED, "another hermod setup is at work there; right would be to wait until it ends");
	remember(MADE_FILE, path);
	if (!S_ISREG(st.st_mode) || ftruncate(fd, 0) == -1 || fchmod(fd, 0644) == -1)
		die_of(path);
	return fd;
}

static void
write_staged(const struct setup *s, int fd, const char *path)
{
	struct buf conf;

	buf_init(&conf, CONF_MAX);
	setup_conf(s, &conf);
	must(!conf.full);
	if (!file_write(fd, buf_bytes(&conf)) || fsync(fd) == -1)
		die_of(path);
	buf_fini(&conf);
}

static void
write_keys(struct setup *s)
{
	struct buf key, certificate;

	if (s->certificate_there)
		return;
	buf_init(&key, TLS_FILE_MAX);
	buf_init(&certificate, TLS_FILE_MAX);
	make_folder(s, s->tls);
	if (!s->key_there)
		setup_make_key(&key);
	else
		setup_read_key(s->key[0], &key);
	setup_make_certificate(s, buf_bytes(&key), &certificate);
	if (!s->key_there)
		put_file(s, s->key[0], buf_bytes(&key), 0600);
	put_file(s, s->chain[0], buf_bytes(&certificate), 0644);
	buf_wipe(&key);
	buf_fini(&certificate);
}

static void
write_aliases(const struct setup *s)
{
	struct buf aliases;

	if (s->aliases_there)
		return;
	buf_init(&aliases, CONF_MAX);
	setup_aliases(s, &aliases);
	put_file(s, setup_alias_file(s), buf_bytes(&aliases), 0644);
	buf_fini(&aliases);
}

/* By the configuration that has not its name yet. */
static void
write_account(struct setup *s)
{
	char path[1024];

	go_on();
	undo.account_map = setup_account_map(s);
	if (!table_file(undo.account_map, path))
		must(!"a table that setup_account_map names");
	if (s->account_there)
		return;
	if (is_there(path)) {
		account_add(s->account, &s->password);
		remember(MADE_ROW, s->account);
	} else {
		account_add(s->account, &s->password);
		remember(MADE_FILE, arena_text(s->a, text(path)));
	}
}

static void
say_fault(struct bytes fault)
{
	fprintf(stderr, "hermod: %.*s\n", BYTES_FMT(fault));
}

/* The one that is there gets another name: the first that is free. */
static void
keep_old(const struct setup *s)
{
	for (unsigned i = 1; s->conf_there; i++) {
		const char *old = arena_text(s->a, i == 1 ? arena_fmt(s->a, "%s.old", s->conf) : arena_fmt(s->a, "%s.old.%u", s->conf, i));

		if (linkat(AT_FDCWD, s->conf, AT_FDCWD, old, 0) == 0) {
			remember(MADE_FILE, old);
			return;
		}
		if (errno != EEXIST || i == OLD_MAX)
			die_of(old);
	}
}

/* From here on all of it is there. */
static void
give_name(const struct setup *s, const char *staged)
{
	int dir = open(s->etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir == -1 || rename(staged, s->conf) == -1)
		die_of(s->conf);
	undo.n = 0;
	if (!dir_sync(dir))
		fprintf(stderr, "hermod: %s: after a power cut it may be gone: %s\n", s->conf, strerror(errno));
	close(dir);
}

void
setup_write(struct setup *s)
{
	const char *staged = arena_text(s->a, arena_fmt(s->a, "%s" SETUP_STAGED, s->conf));
	int fd;

	catch_signals();
	umask(022);
	if (atexit(take_back) != 0)
		hermod_die(EXIT_FAILED, "no memory");
	make_folder(s, s->etc);
	if (s->directory)
		make_folder(s, s->directory);
	fd = open_staged(staged);
	if (s->own)
		write_keys(s);
	write_aliases(s);
	write_staged(s, fd, staged);
	hermod_options.conf = staged;
	write_account(s);
	go_on();
	if (master_check(say_fault) != EXIT_WORKED) {
		go_on();
		hermod_die(EXIT_SETTINGS, "the configuration would not work, as said above. Nothing was changed");
	}
	go_on();
	keep_old(s);
	give_name(s, staged);
	hermod_options.conf = s->conf;
	close(fd);
}
