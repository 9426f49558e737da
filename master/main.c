/* SPDX-License-Identifier: ISC */
/*
 * master/main.c - starts the suite, and starts again what dies.
 *
 *	hermod start ── master ── journal, router, become, ... (services.c)
 *
 * Run by `hermod start` or an init system; it detaches itself, unless -F says not to,
 * and returns when all processes are ready. It reads the configuration as root, binds
 * sockets as root, and forks; nothing a stranger wrote comes near it. What it holds
 * for others: their sockets, and the channels to the journal, so that no record is lost
 * when the journal dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "master/master.h"

struct master {
	const char	*path;		/* of the configuration */
	bool		 foreground, check;
	struct loop	 loop;
	struct place	 place;
	struct house	 house;
	struct control	*control;
	int		 told_fd;	/* whoever waits for the start reads its end there; -1: told */
	bool		 failed;
	struct event	 term, interrupt, hup, usr1;
};

/* ---- the command line ---------------------------------------------------------------------- */

static _Noreturn void
usage(void)
{
	fputs("usage: master [-c FILE] [-F | -n]\n"
	    "  -c FILE   configuration [" HERMOD_SYSCONFDIR "/hermod.conf]\n"
	    "  -F        stay in the foreground\n"
	    "  -n        only check: configuration, relay proof, tables, programs\n"
	    "It is started by `hermod start`.\n", stderr);
	exit(64);
}

static void
options(struct master *m, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "c:Fn")) != -1) {
		switch (opt) {
		case 'c':	m->path = optarg; break;
		case 'F':	m->foreground = true; break;
		case 'n':	m->check = true; break;
		default:	usage();
		}
	}
	if (optind != argc)
		usage();
	if (m->path[0] != '/' && !(m->path = realpath(m->path, NULL))) {
		fprintf(stderr, "%s: %s\n", argv[argc - 1], strerror(errno));
		exit(78);
	}
}

/* Faults go to whoever started us; 78 is EX_CONFIG of sysexits.h. */
static _Noreturn void
refuse(int status, struct buf *faults)
{
	(void)file_write(STDERR_FILENO, buf_bytes(faults));
	fputs("hermod: nothing was started\n", stderr);
	exit(status);
}

static _Noreturn void
only_check(struct master *m)
{
	struct buf faults;
	bool good;

	buf_init(&faults, 1 << 20);
	config_check(m->path, &faults);
	(void)file_write(STDERR_FILENO, buf_bytes(&faults));
	good = faults.n == 0;
	buf_fini(&faults);
	exit(good ? 0 : 78);
}

/* ---- detaching ---------------------------------------------------------------------------------- */

/* The first process waits until the suite is ready, says what it hears and ends with that status. */
static _Noreturn void
wait_for_start(int fd, const struct config *c)
{
	char words[2048];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof words && ((got = read(fd, words + n, sizeof words - n)) > 0 || (got == -1 && errno == EINTR)))
		n += got > 0 ? (size_t)got : 0;
	if (n > 0 && words[0] == '+')
		exit(0);
	fprintf(stderr, "hermod: not started: %.*s\n", n > 1 ? (int)n - 1 : 20, n > 1 ? words + 1 : "master died at its start");
	fprintf(stderr, "The log is %s.\n", c->s.log_file);
	exit(1);
}

/* Standard output and error go to the log file until the journal is up, and when master itself fails. */
static void
leave_stdio(struct master *m, const struct config *c)
{
	int fd = -1;

	if (c->s.log_file[0] == '/')
		fd = open(c->s.log_file, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		fd = fcntl(m->place.null_fd, F_DUPFD_CLOEXEC, 3);
	if (dup3(m->place.null_fd, 0, 0) == -1 || dup3(fd, 1, 0) == -1 || dup3(fd, 2, 0) == -1)
		log_fatal("cannot let go of the terminal");
	close(fd);
}

static void
detach(struct master *m, const struct config *c)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1 || (pid = fork()) == -1) {
		perror("hermod: cannot detach");
		exit(1);
	}
	if (pid > 0) {
		close(fds[1]);
		wait_for_start(fds[0], c);
	}
	close(fds[0]);
	m->told_fd = fds[1];
	setsid();
	leave_stdio(m, c);
}

static void
tell(struct master *m, bool good, const char *why)
{
	char mark = good ? '+' : '-';

	if (m->told_fd == -1)
		return;
	(void)file_write(m->told_fd, bytes_of(&mark, 1));
	(void)file_write(m->told_fd, text(why));
	fd_close(&m->told_fd);
}

/* ---- the life of it -------------------------------------------------------------------------------- */

static void
started(void *arg, bool good, const char *why)
{
	struct master *m = arg;

	tell(m, good, why);
	if (good || m->house.stopping)
		return;
	if (m->foreground)
		fprintf(stderr, "hermod: not started: %s\n", why);
	m->failed = true;
	control_stop(m->control);
}

static void
on_term(evutil_socket_t sig, short what, void *arg)
{
	struct master *m = arg;

	(void)what;
	log_info("stopping (signal %d)", (int)sig);
	control_stop(m->control);
}

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct master *m = arg;

	(void)sig;
	(void)what;
	control_reload(m->control);
}

static void
on_usr1(evutil_socket_t sig, short what, void *arg)
{
	struct master *m = arg;

	(void)sig;
	(void)what;
	house_reopen(&m->house);
}

static void
watch_signals(struct master *m)
{
	struct event_base *base = m->loop.base;

	signal(SIGPIPE, SIG_IGN);
	evsignal_assign(&m->term, base, SIGTERM, on_term, m);
	evsignal_assign(&m->interrupt, base, SIGINT, on_term, m);
	evsignal_assign(&m->hup, base, SIGHUP, on_hup, m);
	evsignal_assign(&m->usr1, base, SIGUSR1, on_usr1, m);
	evsignal_add(&m->term, NULL);
	evsignal_add(&m->interrupt, NULL);
	evsignal_add(&m->hup, NULL);
	evsignal_add(&m->usr1, NULL);
}

/* Descriptors 0 to 2 are there, whatever started us: no file becomes one of them. */
static void
own_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);	/* lint: 0 to 2 stay open over exec */
	while (fd != -1 && fd < 3);
	if (fd != -1)
		close(fd);
}

static void
raise_limits(const struct config *c)
{
	struct rlimit r = { c->s.open_files, c->s.open_files };

	if (setrlimit(RLIMIT_NOFILE, &r) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {	/* what there is must do */
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void
serve(struct master *m, struct config *c)
{
	loop_init(&m->loop);
	watch_signals(m);
	house_init(&m->house, &m->loop, &m->place, m->path);
	m->control = control_new(&m->loop, &m->house, m->place.control_fd);
	log_open(fcntl(m->house.log_out, F_DUPFD_CLOEXEC, 3));
	log_info("Hermod %s starts", HERMOD_VERSION);
	house_begin(&m->house, c, started, m);
	loop_run(&m->loop);
}

int
main(int argc, char **argv)
{
	struct master m = { .path = HERMOD_SYSCONFDIR "/hermod.conf", .told_fd = -1 };
	struct config *c;
	struct buf faults;

	log_name("master");
	own_stdio();
	fault_open("master");
	options(&m, argc, argv);
	if (m.check)
		only_check(&m);
	umask(022);
	buf_init(&faults, 1 << 20);
	place_init(&m.place);
	if (!(c = config_load(m.path, &faults)))
		refuse(78, &faults);
	if (!place_lock(&m.place, c, &faults) || !place_make(&m.place, c, &faults))
		refuse(1, &faults);
	buf_fini(&faults);
	if (chdir("/") == -1 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		log_fatal("cannot leave the folder it was started in");
	raise_limits(c);
	if (!m.foreground)
		detach(&m, c);
	if (!place_write_pid(&m.place))
		log_fatal("%s: cannot be written", c->s.pid_file);
	serve(&m, c);
	place_leave(&m.place, m.house.newest->config);
	return m.failed ? 1 : 0;
}
