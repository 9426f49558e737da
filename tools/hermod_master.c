/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_master.c - the verbs that ask master, or start it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "mail/ipc.h"
#include "master/master.h"
#include "master/tables.h"
#include "tools/hermod.h"
#include "tools/hermod_certificates.h"

#define GREETING_MS 5000
#define DYING_MS 1000		/* from a SIGKILL until the kernel has closed everything */
#define STARTING_MS 10000

/* ---- the socket -------------------------------------------------------------------------- */

static bool
greet(int fd)
{
	unsigned char frame[IPC_FRAME_MAX];
	struct ipc_hello hello = { .hash = ipc_hash() }, theirs;
	struct ipc_out out;
	struct ipc_in in;
	bool good;

	ipc_out_init(&out);
	ipc_put_hello(&out, 0, &hello);
	good = ipc_send_wait(fd, &out, GREETING_MS) == IPC_DONE && ipc_recv_wait(fd, frame, &in, GREETING_MS) == IPC_DONE;
	ipc_out_fini(&out);
	if (!good)
		return false;
	if (in.type != IPC_hello || !ipc_get_hello(&in, &theirs) || theirs.hash != ipc_hash())
		hermod_die(EXIT_FAILED, "the master that runs is of another version; `kill -TERM` it with the process id "
		    "in its pid file, then start this one");
	return true;
}

/* flock, not the number: a pid file that was left behind says nothing. */
bool
master_runs(void)
{
	int fd = open(settings_value(hermod_settings(), "pid_file"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool runs;

	if (fd == -1)
		return false;
	runs = flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
	close(fd);
	return runs;
}

static bool
wait_gone(uint64_t within_ms)
{
	uint64_t until = clock_mono_ms() + within_ms;

	while (master_runs()) {
		struct timespec pause = { .tv_nsec = 20000000 };

		if (clock_mono_ms() >= until)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

int
master_connect(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd == -1)
		hermod_die(EXIT_FAILED, "cannot make a socket: %s", strerror(errno));
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/master.sock", settings_value(hermod_settings(), "run_directory"));
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) == -1) {
		if (errno == EACCES)
			hermod_die(EXIT_DENIED, "only root, or whoever started Hermod, may ask its master (%s)", sa.sun_path);
		close(fd);
		return -1;
	}
	if (greet(fd))
		return fd;
	close(fd);
	if (!wait_gone(DYING_MS))
		hermod_die(EXIT_UNREACHED, "master does not answer at %s; only root, or whoever started it, may ask it",
		    sa.sun_path);
	return -1;			/* it ended while it was asked */
}

void
master_unreached(int status)
{
	hermod_die(status, "a master runs (%s), but does not listen at %s/master.sock: it starts or stops just now, or has begun "
	    "with another run_directory", settings_value(hermod_settings(), "pid_file"), settings_value(hermod_settings(), "run_directory"));
}

int
master_ask(int fd, const char *verb, int timeout_ms, void (*each)(void *, struct bytes), void *arg)
{
	static unsigned char frame[IPC_FRAME_MAX];
	struct ipc_command m = { .verb = text(verb) };
	struct ipc_answer a;
	struct ipc_out out;
	struct ipc_in in;
	bool sent;

	ipc_out_init(&out);
	ipc_put_command(&out, 1, &m);
	sent = ipc_send_wait(fd, &out, GREETING_MS) == IPC_DONE;
	ipc_out_fini(&out);
	while (sent && ipc_recv_wait(fd, frame, &in, timeout_ms) == IPC_DONE) {
		if (in.type != IPC_answer || !ipc_get_answer(&in, &a))
			break;
		if (a.text.n > 0)
			each(arg, a.text);
		if (!a.more)
			return (int)a.status;
	}
	return -1;
}

static void
print_words(void *arg, struct bytes words)
{
	FILE *to = arg;

	while (words.n > 0 && words.p[words.n - 1] == '\n')
		words.n--;
	fprintf(to, "%.*s\n", BYTES_FMT(words));
}

/* ---- start, check ------------------------------------------------------------------------------ */

/* Runs master, which returns when the suite is ready (or has been checked). */
static int
run_master(char **argv, int error_fd)
{
	int status;
	pid_t pid = fork();

	if (pid == -1)
		hermod_die(EXIT_FAILED, "cannot make a process: %s", strerror(errno));
	if (pid == 0) {
		if (error_fd != -1 && dup3(error_fd, STDERR_FILENO, 0) == -1)
			_exit(1);
		execv(argv[0], argv);
		fprintf(stderr, "hermod: %s: %s; right would be the folder of the daemons in program_directory\n", argv[0],
		    strerror(errno));
		_exit(EXIT_SETTINGS);
	}
	if (error_fd != -1)
		close(error_fd);
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return EXIT_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static char *
master_path(void)
{
	static char path[1100];

	snprintf(path, sizeof path, "%s/master", settings_value(hermod_settings(), "program_directory"));
	return path;
}

/* Only a master that answers runs: one that stops or was killed keeps its lock for a moment, and
 * one that starts will answer soon. -1: none runs. */
static int
master_reach(void)
{
	uint64_t until = clock_mono_ms() + STARTING_MS;
	int fd;

	while ((fd = master_connect()) == -1 && master_runs()) {
		struct timespec pause = { .tv_nsec = 20000000 };

		if (clock_mono_ms() >= until)
			master_unreached(EXIT_UNREACHED);
		nanosleep(&pause, NULL);
	}
	return fd;
}

int
hermod_start(int argc, char **argv)
{
	bool foreground = argc == 2 && (strcmp(argv[1], "-F") == 0 || strcmp(argv[1], "--foreground") == 0);
	char *args[] = { master_path(), "-c", (char *)hermod_options.conf, foreground ? "-F" : NULL, NULL };
	int fd, status;

	if (argc > 1 && !foreground)
		hermod_usage("start", argv[1]);
	if (foreground) {
		execv(args[0], args);
		hermod_die(EXIT_SETTINGS, "%s: %s", args[0], strerror(errno));
	}
	if ((fd = master_reach()) != -1) {
		close(fd);
		printf("Hermod runs already. The log is %s.\n", settings_value(hermod_settings(), "log_file"));
		return EXIT_WORKED;
	}
	status = run_master(args, -1);
	if (status == 0)
		printf("Hermod has started. The log is %s.\n", settings_value(hermod_settings(), "log_file"));
	return status;
}

static void
print_line(const char *what, struct bytes line)
{
	struct buf out;

	if (!hermod_options.json) {
		printf("%.*s\n", BYTES_FMT(line));
		return;
	}
	buf_init(&out, 1 << 16);
	buf_char(&out, '{');
	json_text(&out, what, line);
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&out)));
	buf_fini(&out);
}

static void
print_fault(struct bytes line)
{
	print_line("fault", line);
}

static void
print_warning(struct bytes line)
{
	print_line("warning", line);
}

/* master checks with the eyes it starts with; what it says are faults, a line each. */
int
master_check(void (*each)(struct bytes fault))
{
	char *args[] = { master_path(), "-n", "-c", (char *)hermod_options.conf, NULL };
	FILE *said = tmpfile();
	char line[4096];
	int status;

	if (!said)
		hermod_die(EXIT_FAILED, "cannot make a temporary file: %s", strerror(errno));
	status = run_master(args, fcntl(fileno(said), F_DUPFD_CLOEXEC, 3));
	rewind(said);
	while (fgets(line, sizeof line, said))
		each(bytes_trim(text(line)));
	fclose(said);
	return status;
}

static struct buf own_faults;	/* what this command has found itself, a line each */

static void
keep_fault(struct bytes line)
{
	buf_add(&own_faults, line);
	buf_char(&own_faults, '\n');
}

/* master finds these faults, too, and says them with all others. False: where it is may be one of them; they are said. */
static bool
leave_faults_to_master(void)
{
	struct bytes lines;
	bool left;

	hermod_options.fault = print_fault;
	if (access(hermod_options.conf, R_OK) == -1)
		return true;
	buf_init(&own_faults, 1 << 20);
	hermod_options.anyway = true;
	hermod_options.fault = keep_fault;
	left = access(master_path(), X_OK) == 0 || own_faults.n == 0;
	for (lines = buf_bytes(&own_faults); lines.n > 0 && !left;)
		print_fault(bytes_cut(&lines, '\n'));
	buf_fini(&own_faults);
	return left;
}

int
hermod_check(int argc, char **argv)
{
	int status;

	if (argc > 1)
		hermod_usage("check", argv[1]);
	if (!leave_faults_to_master())
		return EXIT_SETTINGS;
	status = master_check(print_fault);
	if (status == 0)
		certificates_warn(print_warning);
	if (status == 0 && !hermod_options.json)
		printf("%s is right: nothing was found wrong.\n", hermod_options.conf);
	return status;
}

/* ---- stop, reload, reopen -------------------------------------------------------------------------- */

static uint64_t
time_of(const char *name)
{
	struct master_settings s;
	uint64_t ms;

	hermod_fill(master_settings, &s);
	ms = strcmp(name, "stop_timeout") == 0 ? s.stop_timeout_ms : s.start_timeout_ms;
	settings_free(master_settings, &s);
	return ms;
}

static void
ignore(void *arg, struct bytes words)
{
	(void)arg;
	(void)words;
}

int
hermod_stop(int argc, char **argv)
{
	uint64_t within = time_of("stop_timeout") + 20000;
	int fd;

	if (argc > 1)
		hermod_usage("stop", argv[1]);
	if ((fd = master_reach()) == -1) {
		printf("Hermod does not run.\n");
		return EXIT_WORKED;
	}
	(void)master_ask(fd, "stop", (int)within, ignore, NULL);
	close(fd);
	if (!wait_gone(within))
		hermod_die(EXIT_FAILED, "master still runs; its process id is in %s",
		    settings_value(hermod_settings(), "pid_file"));
	printf("Hermod has stopped.\n");
	return EXIT_WORKED;
}

static int
ask_simply(int argc, char **argv, const char *verb, uint64_t within_ms)
{
	int fd, status;

	if (argc > 1)
		hermod_usage(verb, argv[1]);
	if ((fd = master_reach()) == -1)
		hermod_die(EXIT_STOPPED, "Hermod does not run; `hermod start` starts it");
	status = master_ask(fd, verb, (int)within_ms, print_words, stdout);
	close(fd);
	if (status == -1)
		hermod_die(EXIT_FAILED, "master did not answer in time; the log is %s",
		    settings_value(hermod_settings(), "log_file"));
	return status == 0 ? EXIT_WORKED : EXIT_FAILED;
}

int
hermod_reload(int argc, char **argv)
{
	return ask_simply(argc, argv, "reload", time_of("start_timeout") + 15000);
}

int
hermod_reopen(int argc, char **argv)
{
	return ask_simply(argc, argv, "reopen", GREETING_MS);
}
