/* SPDX-License-Identifier: ISC */
/*
 * master/place.c - what is on this host for the suite: directories with the right
 * owners, the pid file, sockets, the empty root, the empty network. Nothing here
 * follows a name in a directory that a daemon can write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/account.h"
#include "mail/drop.h"
#include "mail/network.h"
#include "mail/notice_template.h"
#include "mail/table.h"
#include "master/master.h"

#define BACKLOG		1024	/* connections; the kernel takes what net.core.somaxconn allows */
#define PID_TRIES	10
#define BIND_WAIT_MS	5000	/* for the processes of a master that was killed to go */

void
place_init(struct place *p)
{
	*p = (struct place){ .pid_fd = -1, .null_fd = -1, .root_fd = -1, .net_fd = -1, .queue_fd = -1,
	    .log_fd = -1, .auth_fd = -1, .dns_fd = -1, .mta_sts_fd = -1, .tls_report_fd = -1, .control_fd = -1 };
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		p->listeners[i].fd = -1;
}

/* ---- directories ------------------------------------------------------------------------ */

/* The directory and those above it, as far as they are missing. */
static bool
make_path(const char *path, mode_t mode)
{
	char part[1024];

	for (const char *at = path + 1; (at = strchr(at, '/')); at++) {
		if (!bytes_to_text(bytes_of(path, (size_t)(at - path)), part, sizeof part))
			return false;
		if (mkdir(part, 0755) == -1 && errno != EEXIST)
			return false;
	}
	return mkdir(path, mode) == 0 || errno == EEXIST;
}

static bool
is_empty(int fd)
{
	DIR *d = dir_stream(fd, ".");
	const struct dirent *e;
	bool empty = d != NULL;

	if (!d)
		return false;
	while (empty && (e = readdir(d)))
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(d);
	return empty;
}

/*
 * The directory that a setting names, opened, and owned by these ids. One that is missing is made; an empty
 * one of root's is given to its owner. -1: said.
 */
static int
own_directory(const char *setting, const char *path, uid_t uid, gid_t gid, mode_t mode, struct buf *faults)
{
	struct stat st;
	int fd;

	if (!make_path(path, mode) || (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1
	    || fstat(fd, &st) == -1) {
		buf_fmt(faults, "%s: %s: cannot be made or opened: %s\n", setting, path, strerror(errno));
		return -1;
	}
	if (st.st_uid != uid && st.st_uid == geteuid() && is_empty(fd)) {
		if (fchown(fd, uid, gid) == -1 || fchmod(fd, mode) == -1 || fstat(fd, &st) == -1)
			buf_fmt(faults, "%s: %s: cannot be given to its owner: %s\n", setting, path,
			    strerror(errno));
	}
	if (st.st_uid != uid || (st.st_mode & S_IWOTH)) {
		buf_fmt(faults, "%s: %s: belongs to uid %u with mode %o; right would be uid %u, and not "
		    "writable by everybody: chown -R %u:%u %s\n", setting, path, (unsigned)st.st_uid,
		    (unsigned)st.st_mode & 07777, (unsigned)uid, (unsigned)uid, (unsigned)gid, path);
		fd_close(&fd);
	}
	return fd;
}

static bool
ids_of(const char *service, const struct config *c, uid_t *uid, gid_t *gid)
{
	for (const struct service *s = services; s->name; s++)
		if (strcmp(s->name, service) == 0)
			return service_ids(s->user, c->s.uid_base, uid, gid);
	return false;
}

/*
 * Where hermod-drop leaves mail while the suite is down: its group may pass the queue's folder and add to drop/,
 * not list it. Without the group (numeric ids, no root) pickup makes drop/ for itself. No link is
 * followed: the queue's folder is a daemon's.
 */
static bool
make_drop(int queue, const struct config *c, uid_t uid)
{
	const struct group *gr = geteuid() == 0 && c->s.uid_base == 0 ? getgrnam("hermod-drop") : NULL;
	struct stat st;
	bool good;
	int fd;

	if (gr == NULL)
		return true;
	if (!dir_make(queue, DROP_DIRECTORY, 0700) || (fd = dir_open(queue, DROP_DIRECTORY)) == -1)
		return false;
	good = fstat(fd, &st) == 0 && (st.st_uid == uid || st.st_uid == geteuid())
	    && fchown(fd, uid, gr->gr_gid) == 0 && fchmod(fd, 01730) == 0
	    && fchown(queue, (uid_t)-1, gr->gr_gid) == 0 && fchmod(queue, 0710) == 0;
	fd_close(&fd);
	return good;
}

static bool
make_queue(struct place *p, const struct config *c, struct buf *faults)
{
	uid_t uid;
	gid_t gid;

	if (!ids_of("qmgr", c, &uid, &gid))
		return false;
	p->queue_fd = own_directory("queue_directory", c->s.queue_directory, uid, gid, 0700, faults);
	if (p->queue_fd == -1)
		return false;
	if (!make_drop(p->queue_fd, c, uid)) {
		buf_fmt(faults, "queue_directory: %s/%s: cannot be made or given to its group: %s\n",
		    c->s.queue_directory, DROP_DIRECTORY, strerror(errno));
		return false;
	}
	return true;
}

/* A directory that is one service's alone. Returns -1 when there is a fault. */
static int
make_own(const char *service, const char *setting, const char *path, const struct config *c, struct buf *faults)
{
	uid_t uid;
	gid_t gid;

	if (!ids_of(service, c, &uid, &gid))
		return -1;
	return own_directory(setting, path, uid, gid, 0700, faults);
}

static bool
make_states(struct place *p, const struct config *c, struct buf *faults)
{
	p->auth_fd = make_own("auth", "auth_directory", c->s.auth_directory, c, faults);
	p->dns_fd = make_own("resolver", "dns_directory", c->s.dns_directory, c, faults);
	p->mta_sts_fd = make_own("fetch", "mta_sts_directory", c->s.mta_sts_directory, c, faults);
	p->tls_report_fd = make_own("fetch", "tls_report_directory", c->s.tls_report_directory, c, faults);
	return p->auth_fd != -1 && p->dns_fd != -1 && p->mta_sts_fd != -1 && p->tls_report_fd != -1;
}

/* In a directory of root's the journal cannot make its file: then it is made for it. In one of its own,
 * root touches nothing. */
void
place_log_file(const struct config *c)
{
	char directory[1024];
	const char *name = strrchr(c->s.log_file, '/');
	struct stat st;
	uid_t uid;
	gid_t gid;
	int dir, fd;

	if (!name || !ids_of("journal", c, &uid, &gid))
		return;
	path_parent(c->s.log_file, directory, sizeof directory);
	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir != -1 && fstat(dir, &st) == 0 && st.st_uid == geteuid()) {
		fd = openat(dir, name + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
		if (fd != -1 && fchown(fd, uid, gid) == -1)
			log_errno("%s: cannot be given to the journal", c->s.log_file);
		fd_close(&fd);
	}
	fd_close(&dir);
}

/* Of all that cannot be written, this one could be said nowhere later. A folder that is not there yet will be made. */
static void
check_log(const struct config *c, struct buf *faults)
{
	char directory[1024];

	if (strcmp(c->s.log_file, "syslog") == 0)
		return;
	path_parent(c->s.log_file, directory, sizeof directory);
	if (access(access(c->s.log_file, F_OK) == 0 ? c->s.log_file : directory, W_OK) == -1 && errno == EROFS)
		buf_fmt(faults, "log_file: %s: %s; right would be a folder that can be written\n", c->s.log_file, strerror(errno));
}

static bool
make_log(struct place *p, const struct config *c, struct buf *faults)
{
	char directory[1024];
	struct stat st;
	uid_t uid;
	gid_t gid;

	if (strcmp(c->s.log_file, "syslog") == 0)
		return true;
	if (!ids_of("journal", c, &uid, &gid))
		return false;
	path_parent(c->s.log_file, directory, sizeof directory);
	if (stat(directory, &st) == -1 && make_path(directory, 0755)
	    && chown(directory, uid, gid) == -1)
		buf_fmt(faults, "log_file: %s: cannot be given to the journal: %s\n", directory, strerror(errno));
	place_log_file(c);
	check_log(c, faults);
	p->log_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->log_fd == -1)
		buf_fmt(faults, "log_file: %s: cannot be opened: %s\n", directory, strerror(errno));
	else if (fstatat(p->log_fd, strrchr(c->s.log_file, '/') + 1, &st, AT_SYMLINK_NOFOLLOW) == 0
	    && (!S_ISREG(st.st_mode) || st.st_uid != uid))
		buf_fmt(faults, "log_file: %s: belongs to uid %u; right would be a file of uid %u: chown %u:%u "
		    "%s\n", c->s.log_file, (unsigned)st.st_uid, (unsigned)uid, (unsigned)uid, (unsigned)gid,
		    c->s.log_file);
	return p->log_fd != -1;
}

static bool
make_run(struct place *p, const struct config *c, struct buf *faults)
{
	int fd = own_directory("run_directory", c->s.run_directory, geteuid(), getegid(), 0755, faults);
	bool good = false;

	if (fd == -1)
		return false;
	if (dir_make(fd, "empty", 0555) && dir_make(fd, "public", 0755)
	    && (p->root_fd = openat(fd, "empty", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) != -1)
		good = is_empty(p->root_fd);
	if (!good)
		buf_fmt(faults, "run_directory: %s: its folders `empty` (with nothing in it) and `public` "
		    "cannot be had: %s\n", c->s.run_directory, strerror(errno));
	fd_close(&fd);
	return good;
}

/* ---- the pid file -------------------------------------------------------------------------- */

static void
say_running(int fd, const struct config *c, struct buf *faults)
{
	char pid[24];
	ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
	struct bytes b = bytes_trim(bytes_of(pid, n > 0 ? (size_t)n : 0));
	uint64_t number = 0;

	(void)bytes_u64(b, INT32_MAX, &number);
	buf_fmt(faults, "Hermod runs already, as process %llu (%s); `hermod stop` ends it, `hermod reload` "
	    "makes it read its configuration\n", (unsigned long long)number, c->s.pid_file);
}

/* The file that is open is the one that has the name. */
static bool
is_still(int fd, const char *path)
{
	struct stat is, named;

	return fstat(fd, &is) == 0 && stat(path, &named) == 0 && is.st_ino == named.st_ino && is.st_dev == named.st_dev;
}

bool
place_lock(struct place *p, const struct config *c, struct buf *faults)
{
	char directory[1024];
	struct stat st;

	path_parent(c->s.pid_file, directory, sizeof directory);
	if (!make_path(directory, 0755) || stat(directory, &st) == -1
	    || (st.st_mode & S_IWOTH) || (st.st_uid != 0 && st.st_uid != geteuid())) {
		buf_fmt(faults, "pid_file: %s: must be in a directory that only root%s may write\n",
		    c->s.pid_file, geteuid() == 0 ? "" : " and you");
		return false;
	}
	for (int tries = 0; tries < PID_TRIES; tries++) {
		p->pid_fd = open(c->s.pid_file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);
		if (p->pid_fd == -1 || fstat(p->pid_fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_nlink > 1) {
			buf_fmt(faults, "pid_file: %s: cannot be opened: %s\n", c->s.pid_file,
			    p->pid_fd == -1 ? strerror(errno) : "not a regular file of its own");
			break;
		}
		if (flock(p->pid_fd, LOCK_EX | LOCK_NB) == -1) {
			say_running(p->pid_fd, c, faults);
			break;
		}
		if (is_still(p->pid_fd, c->s.pid_file))
			return true;
		fd_close(&p->pid_fd);	/* the one before us ended just now, and took its file with it */
	}
	fd_close(&p->pid_fd);
	return false;
}

bool
place_write_pid(struct place *p)
{
	char pid[24];
	int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());

	return ftruncate(p->pid_fd, 0) == 0 && file_pwrite(p->pid_fd, bytes_of(pid, (size_t)n), 0);
}

/* ---- the empty network ------------------------------------------------------------------------ */

/* A child makes it, and master keeps a descriptor of it. Where the host does not let us (a container)
 * seccomp alone keeps the daemons from the network. */
static void
make_network(struct place *p)
{
	int up[2], down[2];
	char path[64], ok = 0;
	pid_t pid;

	if (geteuid() != 0 || pipe2(up, O_CLOEXEC) == -1)
		return;
	if (pipe2(down, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		log_fatal("cannot make a process");
	if (pid == 0) {
		ok = unshare(CLONE_NEWNET) == 0;
		close(down[1]);
		_exit(write(up[1], &ok, 1) == 1 && read(down[0], &ok, 1) == 0 ? 0 : 1);
	}
	close(up[1]);
	snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	if (read(up[0], &ok, 1) == 1 && ok)
		p->net_fd = open(path, O_RDONLY | O_CLOEXEC);
	close(up[0]);
	close(down[0]);
	close(down[1]);			/* which ends the child */
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
	if (p->net_fd == -1)
		log_warn("no empty network namespace can be had here: seccomp alone keeps the daemons from the "
		    "network");
}

/* ---- sockets ----------------------------------------------------------------------------------- */

static int
bind_local(const char *path, mode_t mode)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t old;

	if (fd == -1 || !bytes_to_text(text(path), sa.sun_path, sizeof sa.sun_path)) {
		fd_close(&fd);
		return -1;
	}
	unlink(path);			/* of a master that was killed; the directory is root's alone */
	old = umask(0777 & ~mode);
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) == -1 || listen(fd, BACKLOG) == -1)
		fd_close(&fd);
	umask(old);
	return fd;
}

static int
bind_inet(const char *where)
{
	struct sockaddr_storage sa;
	socklen_t size;
	int fd, on = 1;
	char why[256];

	if (!listen_parse(text(where), &sa, &size, why, sizeof why)) {
		errno = EINVAL;
		return -1;
	}
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1
	    || (sa.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == -1)
	    || bind(fd, (struct sockaddr *)&sa, size) == -1 || listen(fd, BACKLOG) == -1)
		fd_close(&fd);
	return fd;
}

int
place_dial(struct bytes path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd != -1 && !bytes_to_text(path, sa.sun_path, sizeof sa.sun_path)) {
		errno = ENAMETOOLONG;
		fd_close(&fd);
	}
	if (fd != -1 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == -1)
		fd_close(&fd);
	return fd;
}

/* Sockets that have a name: the setting that stands for each, its place below run_directory, who may open it. */
static const struct { const char *setting, *name; mode_t mode; } locals[] = {
	{ "pickup_socket", "public/pickup", 0666 },
	{ "dns_socket", "dns.sock", 0600 },
	{ "explain_socket", "explain.sock", 0600 },
	{ "auth_socket", "auth.sock", 0600 },
	{ "submission_socket", "submission.sock", 0600 },
	{ "queue_socket", "queue.sock", 0666 },
};

/* wait_ms: how long processes of a master that was killed may still hold the address. */
static int
bind_patiently(const char *where, mode_t mode, uint64_t wait_ms)
{
	uint64_t until = clock_mono_ms() + wait_ms;
	int fd;

	for (;;) {
		struct timespec pause = { .tv_nsec = 50000000 };

		fd = where[0] == '/' ? bind_local(where, mode) : bind_inet(where);
		if (fd != -1 || errno != EADDRINUSE || clock_mono_ms() >= until)
			return fd;
		nanosleep(&pause, NULL);
	}
}

static struct listener *
find_listener(struct place *p, const char *setting, const char *where)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		if (p->listeners[i].fd != -1 && strcmp(p->listeners[i].where, where) == 0
		    && strcmp(p->listeners[i].setting, setting) == 0)
			return &p->listeners[i];
	return NULL;
}

static bool
listen_at(struct place *p, const char *setting, const char *where, mode_t mode, uint64_t wait_ms, struct buf *faults)
{
	struct listener *l = find_listener(p, setting, where);
	int fd;

	if (l) {
		l->wanted = true;
		return true;
	}
	fd = bind_patiently(where, mode, wait_ms);
	if (fd == -1) {
		buf_fmt(faults, "%s: %s: cannot listen there: %s%s\n", setting, where, strerror(errno),
		    errno == EADDRINUSE ? "; another program does: `ss -lptn` names it" :
		    errno == EACCES ? "; ports below 1024 are root's" : "");
		return false;
	}
	for (l = p->listeners; l < p->listeners + LISTENERS_MAX && l->fd != -1; l++)
		;
	if (l == p->listeners + LISTENERS_MAX) {
		buf_fmt(faults, "%s: %s: more than %d sockets to listen at\n", setting, where, LISTENERS_MAX);
		close(fd);
		return false;
	}
	*l = (struct listener){ .fd = fd, .wanted = true };
	if (!bytes_to_text(text(setting), l->setting, sizeof l->setting)
	    || !bytes_to_text(text(where), l->where, sizeof l->where))
		must(!"names that fit");
	return true;
}

static bool
listen_for(struct place *p, const struct config *c, const char *setting, uint64_t wait_ms, struct buf *faults)
{
	char where[128];
	struct bytes rest;
	bool good = true;

	for (size_t i = 0; i < LEN(locals); i++)
		if (strcmp(setting, locals[i].setting) == 0) {
			snprintf(where, sizeof where, "%s/%s", c->s.run_directory, locals[i].name);
			return listen_at(p, setting, where, locals[i].mode, wait_ms, faults);
		}
	rest = text(settings_value(c->file, setting));
	while (rest.n > 0) {
		if (!bytes_to_text(bytes_cut(&rest, '\n'), where, sizeof where))
			must(!"an address that setting_is_listen took");
		good = listen_at(p, setting, where, 0, wait_ms, faults) && good;
	}
	return good;
}

bool
place_listen(struct place *p, const struct config *c, struct buf *faults)
{
	uint64_t wait_ms = p->control_fd == -1 ? BIND_WAIT_MS : 0;	/* a reload does not wait */
	bool good = true;

	for (size_t i = 0; i < LISTENERS_MAX; i++)
		p->listeners[i].wanted = false;
	for (const struct service *s = services; s->name; s++)
		for (size_t i = 0; i < LEN(s->listens) && s->listens[i] && config_runs(c, s); i++)
			good = listen_for(p, c, s->listens[i], wait_ms, faults) && good;
	return good;
}

void
place_unlisten(struct place *p)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		if (!p->listeners[i].wanted)
			fd_close(&p->listeners[i].fd);
}

static bool
make_control(struct place *p, const struct config *c, struct buf *faults)
{
	char path[128];

	snprintf(path, sizeof path, "%s/master.sock", c->s.run_directory);
	p->control_fd = bind_local(path, 0600);
	if (p->control_fd == -1)
		buf_fmt(faults, "run_directory: %s: cannot be made: %s\n", path, strerror(errno));
	return p->control_fd != -1;
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static void
check_programs(const struct config *c, struct buf *faults)
{
	for (const struct service *s = services; s->name; s++) {
		char path[1100];
		uid_t uid;
		gid_t gid;

		snprintf(path, sizeof path, "%s/%s", c->s.program_directory, s->name);
		if (access(path, X_OK) == -1)
			buf_fmt(faults, "program_directory: %s: cannot be executed: %s\n", path, strerror(errno));
		if (!service_ids(s->user, c->s.uid_base, &uid, &gid))
			buf_fmt(faults, "there is no system user %s (for %s); right would be to make the users of "
			    "packaging/hermod.sysusers by systemd-sysusers, or to set uid_base\n", s->user, s->name);
	}
}

/* Several services may ask the same table. */
static bool
is_asked_before(const struct config *c, const struct service *until, const char *name)
{
	for (const struct service *s = services; s != until; s++)
		if (config_runs(c, s) && settings_find(s->settings, name))
			return true;
	return false;
}

static void
say_missing(struct buf *faults, const char *name, const char *value, const char *path)
{
	buf_fmt(faults, "%s: %s: %s; right would be %s, or %s = \"\"\n", name, path, strerror(errno),
	    strcmp(name, "account_map") == 0 ? "`hermod account add`, which makes it" :
	    strncmp(value, "text:", 5) == 0 ? "a file there, if an empty one" :
	    strcmp(name, "alias_map") == 0 ? "`newaliases`, which makes it from the text beside it" : "a table there", name);
}

/* Not where a default stands in for what a line says wrongly: the administrator means something else. */
static bool
is_meant(const struct config *c, const struct setting *t)
{
	return !c->broken || (settings_given(c->file, t->name) && strcmp(settings_value(c->file, t->name), t->standard) != 0);
}

/* Lookup tables: a table that is not there would only show when its program starts. */
static void
check_tables(const struct config *c, struct buf *faults)
{
	for (const struct service *s = services; s->name; s++)
		for (const struct setting *t = s->settings; config_runs(c, s) && t->name; t++) {
			const char *value = settings_value(c->file, t->name);
			char path[1024];

			if (is_asked_before(c, s, t->name) || !is_meant(c, t))
				continue;
			if (t->check == setting_is_table && table_file(value, path) && access(path, F_OK) == -1)
				say_missing(faults, t->name, value, path);
			if (t->check == account_is_sasldb && value[0] != '\0' && access(value, F_OK) == -1)
				buf_fmt(faults, "%s: %s: %s\n", t->name, value, strerror(errno));
		}
}

/* Bounce would say it to the log, and use the standard text. */
static void
check_templates(const struct config *c, struct buf *faults)
{
	struct notice_templates t;

	notice_templates_load(&t, settings_value(c->file, "bounce_template_directory"), faults);
	notice_templates_free(&t);
}

void
place_check(const struct config *c, struct buf *faults)
{
	check_tables(c, faults);
	check_templates(c, faults);
	if (c->broken)
		return;			/* the others stand on many settings at once */
	check_programs(c, faults);
	check_log(c, faults);
}

bool
place_make(struct place *p, const struct config *c, struct buf *faults)
{
	size_t before = faults->n;

	p->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (p->null_fd == -1)
		buf_fmt(faults, "/dev/null: %s\n", strerror(errno));
	check_programs(c, faults);
	if (faults->n > before || !make_run(p, c, faults) || !make_queue(p, c, faults) || !make_log(p, c, faults)
	    || !make_states(p, c, faults))
		return false;
	if (faults->n > before || !place_listen(p, c, faults) || !make_control(p, c, faults))
		return false;
	make_network(p);
	return true;
}

void
place_leave(struct place *p, const struct config *c)
{
	char path[128];

	snprintf(path, sizeof path, "%s/master.sock", c->s.run_directory);
	unlink(path);
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		if (p->listeners[i].fd != -1 && p->listeners[i].where[0] == '/')
			unlink(p->listeners[i].where);
	unlink(c->s.pid_file);
}
