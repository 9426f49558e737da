/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_drop.c - keeps a message while the suite is down:
 *	sendmail -> hermod-drop -> queue_directory/drop -> pickup
 *
 * The one program of the suite with more rights than its caller: it is set-gid
 * hermod-drop, the group that may write into drop/. So it does next to nothing. It
 * has no options, reads no environment, no current folder and no header: sendmail,
 * which has no rights, does all that, and talks to it over a socket (descriptor 0)
 * as it talks to pickup. What comes from there is believed in nothing; the file
 * belongs to the caller, by which pickup knows him. Where the group is not
 * installed it works with the rights of its caller, who may name a configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "mail/drop.h"
#include "mail/ipc.h"
#include "mail/settings.h"
#include "master/tables.h"

#define WAIT_MS		600000		/* for the next frame of sendmail, which has read its input before */
#define RCPTS_MAX	1000
#define NAME_LEN	32

/* Of other programs' tables; defaults come from there. */
struct drop_settings { const char *queue_directory; uint64_t message_octets, minfree_octets; };

static const struct setting drop_settings[] = {
	SET_TEXT("queue_directory",	struct drop_settings, queue_directory, ""),
	SET_SIZE("message_size_limit",	struct drop_settings, message_octets, "25M", 0, 0),
	SET_SIZE("queue_minfree_submission", struct drop_settings, minfree_octets, "32M", 0, 0),
	SET_END
};

enum { IDLE, ADDRESSES, CONTENT };

struct drop {
	int		 dir;			/* drop/, O_PATH; owned */
	uint64_t	 limit, minfree;	/* octets */
	unsigned	 state;
	char		 name[NAME_LEN + 1], temp[NAME_LEN + 2];
	int		 file;			/* owned; -1: none */
	struct drop_file f;
	struct buf	 record;		/* owned */
	size_t		 rcpts;
	unsigned	 refuse_code;		/* of the message in progress; 0: none */
	const char	*refuse_words;
	struct ipc_out	 out;			/* owned */
};

static _Noreturn void
die(int code, const char *words)
{
	fprintf(stderr, "hermod-drop: %s%s%s\n", words, errno ? ": " : "", errno ? strerror(errno) : "");
	exit(code);
}

/* ---- what a caller may have left us ------------------------------------------------------ */

/* Descriptors, environment, current folder, umask, signals, limits: ours, not the caller's. */
static void
clean_up(void)
{
	static const int ignored[] = { SIGPIPE, SIGXFSZ, SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2 };
	const struct rlimit none = { 0, 0 };
	sigset_t all;

	if (clearenv() != 0 || close_range(3, ~0u, 0) == -1)
		_exit(EX_OSERR);
	for (int fd = 0; fd < 3; fd++)		/* else a file of ours would be "standard error" */
		if (fcntl(fd, F_GETFD) == -1)
			_exit(EX_OSERR);
	umask(022);
	if (chdir("/") == -1 || setrlimit(RLIMIT_CORE, &none) == -1)
		_exit(EX_OSERR);
	for (size_t i = 0; i < LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);	/* a message half written helps nobody */
	sigemptyset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) == -1)
		_exit(EX_OSERR);
}

static bool
privileged(void)
{
	return getauxval(AT_SECURE) != 0 || getegid() != getgid() || geteuid() != getuid();
}

/* ---- where to ----------------------------------------------------------------------------- */

static struct settings_file *
configuration(int argc, char **argv)
{
	const char *path = HERMOD_SYSCONFDIR "/hermod.conf";
	struct settings_file *f;
	struct buf faults;
	struct stat st;

	if (!privileged() && argc == 3 && strcmp(argv[1], "-C") == 0)
		path = argv[2];
	if (privileged() && (stat(path, &st) == -1 || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))) {
		errno = 0;
		die(EX_CONFIG, HERMOD_SYSCONFDIR "/hermod.conf must belong to root and be writable by nobody else");
	}
	buf_init(&faults, 65536);
	f = settings_load(path, all_settings, &faults);
	if (f == NULL) {
		errno = 0;
		die(EX_CONFIG, "the configuration cannot be used; `hermod check` says why");
	}
	buf_fini(&faults);
	return f;
}

/* drop/ need not be readable: nobody of the group can list what others have dropped. */
static int
open_drop(const char *queue_directory)
{
	int queue = open(queue_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int dir = queue == -1 ? -1 : openat(queue, DROP_DIRECTORY, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir == -1)
		die(EX_CANTCREAT, "the mail system is down and its drop folder cannot be reached");
	fd_close(&queue);
	return dir;
}

/* ---- one message ---------------------------------------------------------------------------- */

static void
abandon(struct drop *d)
{
	if (d->file != -1) {
		fd_close(&d->file);
		if (unlinkat(d->dir, d->temp, 0) == -1)
			log_errno("%s: cannot be removed", d->temp);
	}
	d->f = (struct drop_file){ 0 };
	d->rcpts = 0;
	d->refuse_code = 0;
	d->state = IDLE;
}

static void
refuse(struct drop *d, unsigned code, const char *words)
{
	if (d->refuse_code != 0)
		return;
	d->refuse_code = code;
	d->refuse_words = words;
}

static void
put(struct drop *d, const struct drop_record *r)
{
	if (d->refuse_code != 0)
		return;
	buf_clear(&d->record);
	drop_put(&d->f, r, &d->record);
	if (!file_write(d->file, buf_bytes(&d->record)))
		refuse(d, errno == ENOSPC || errno == EDQUOT ? 452 : 451, "4.3.1 cannot keep this message now");
}

static bool
has_room(const struct drop *d)
{
	struct statvfs fs;

	return fstatvfs(d->dir, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize >= d->minfree 
	    && (fs.f_files == 0 || fs.f_favail > 0);	/* btrfs counts no files */
}

static void
create(struct drop *d)
{
	struct buf name;
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		die(EX_OSERR, "no randomness");
	buf_init(&name, NAME_LEN);
	base32_u64((uint64_t)clock_wall_us(), 12, &name);
	base32_u64(random, 13, &name);
	if (!bytes_to_text(buf_bytes(&name), d->name, sizeof d->name))
		must(!"a name that fits");
	buf_fini(&name);
	snprintf(d->temp, sizeof d->temp, ".%s", d->name);
	/* Readable: pickup is neither the caller nor of the group. The folder keeps all others out. */
	d->file = openat(d->dir, d->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
}

static unsigned
begin(struct drop *d, const struct ipc_submit *m, const char **words)
{
	if (!has_room(d)) {
		*words = "4.3.1 no room for mail now; try again later";
		return 452;
	}
	create(d);
	if (d->file == -1) {
		*words = "4.3.0 the mail system is down and its drop folder cannot be written";
		return 451;
	}
	d->state = ADDRESSES;
	put(d, &(struct drop_record){ .type = DROP_SENDER, .sender = m->sender, .envid = m->envid,
	    .null_sender = m->null_sender != 0, .body_8bit = m->body_8bit != 0 });
	*words = "2.1.0 sender kept";
	return 250;
}

static unsigned
add_rcpt(struct drop *d, const struct ipc_submit_rcpt *m, const char **words)
{
	if (d->rcpts >= RCPTS_MAX) {
		*words = "4.5.3 too many recipients; send the others in another message";
		return 452;
	}
	d->rcpts++;
	put(d, &(struct drop_record){ .type = DROP_RCPT, .recipient = m->recipient, .notify = m->notify });
	*words = "2.1.5 recipient kept";
	return 250;
}

static void
add_content(struct drop *d, struct bytes octets)
{
	if (d->f.octets + octets.n > d->limit)
		refuse(d, 552, "5.3.4 message too big: message_size_limit");
	if (octets.n > 0)
		put(d, &(struct drop_record){ .type = DROP_CONTENT, .content = octets });
}

/* The whole file system is synced: a folder that cannot be read cannot be. */
static unsigned
finish(struct drop *d, const char **words)
{
	if (d->rcpts == 0)
		refuse(d, 554, "5.5.1 no recipient");
	put(d, &(struct drop_record){ .type = DROP_END });
	if (d->refuse_code == 0 && (fsync(d->file) == -1
	    || renameat(d->dir, d->temp, d->dir, d->name) == -1))
		refuse(d, 451, "4.3.0 cannot keep this message now");
	if (d->refuse_code != 0) {
		unsigned code = d->refuse_code;

		*words = d->refuse_words;
		abandon(d);
		return code;
	}
	if (syncfs(d->file) == -1) {		/* it may be delivered all the same */
		fd_close(&d->file);
		abandon(d);
		*words = "4.3.0 cannot say whether this message is safe";
		return 451;
	}
	fd_close(&d->file);
	abandon(d);
	*words = "2.0.0 kept until the mail system is up";
	return 250;
}

/* ---- the conversation: as pickup's (pickup/submission.c) -------------------------------------- */

static bool
answer(struct drop *d, uint32_t id, unsigned code, const char *words)
{
	ipc_put_submitted(&d->out, id, &(struct ipc_submitted){ .code = code, .reply = text(words) });
	return ipc_send_wait(STDIN_FILENO, &d->out, WAIT_MS) == IPC_DONE;
}

/* False: the end. */
static bool
take_frame(struct drop *d, struct ipc_in *in)
{
	const char *words = NULL;
	unsigned code;
	struct ipc_submit begins;
	struct ipc_submit_rcpt rcpt;
	struct ipc_submit_data data;
	struct ipc_submit_end ends;

	switch (in->type) {
	case IPC_submit:
		if (d->state != IDLE || !ipc_get_submit(in, &begins))
			return false;
		code = begin(d, &begins, &words);
		break;
	case IPC_submit_rcpt:
		if (d->state != ADDRESSES || !ipc_get_submit_rcpt(in, &rcpt))
			return false;
		code = add_rcpt(d, &rcpt, &words);
		break;
	case IPC_submit_data:
		if (d->state == IDLE || !ipc_get_submit_data(in, &data))
			return false;
		if (d->rcpts == 0)
			refuse(d, 554, "5.5.1 no recipient");
		d->state = CONTENT;
		add_content(d, data.octets);
		return true;
	case IPC_submit_end:
		if (d->state == IDLE || !ipc_get_submit_end(in, &ends))
			return false;
		code = finish(d, &words);
		break;
	default:
		return false;
	}
	return answer(d, in->id, code, words);
}

static bool
greet(struct drop *d, unsigned char *frame)
{
	struct ipc_in in;
	struct ipc_hello m;

	ipc_put_hello(&d->out, 0, &(struct ipc_hello){ .hash = ipc_hash() });
	return ipc_recv_wait(STDIN_FILENO, frame, &in, WAIT_MS) == IPC_DONE && in.type == IPC_hello
	    && ipc_get_hello(&in, &m) && m.hash == ipc_hash()
	    && ipc_send_wait(STDIN_FILENO, &d->out, WAIT_MS) == IPC_DONE;
}

static void
talk(struct drop *d)
{
	static unsigned char frame[IPC_FRAME_MAX];
	struct ipc_in in;
	bool on = greet(d, frame);

	while (on && ipc_recv_wait(STDIN_FILENO, frame, &in, WAIT_MS) == IPC_DONE) {
		on = take_frame(d, &in);
		ipc_in_close(&in);
	}
}

int
main(int argc, char **argv)
{
	struct drop d = { .file = -1 };
	struct drop_settings settings;
	struct settings_file *f;
	int type = 0;
	socklen_t len = sizeof type;

	clean_up();
	errno = 0;
	if (geteuid() != getuid())
		die(EX_CONFIG, "must be set-gid, not set-uid");
	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &len) == -1 || type != SOCK_SEQPACKET) {
		errno = 0;
		die(EX_USAGE, "run by sendmail(8), not by hand");
	}
	f = configuration(argc, argv);
	settings_fill(f, drop_settings, &settings);
	settings_file_free(&f);
	d.limit = settings.message_octets;
	d.minfree = settings.minfree_octets;
	d.dir = open_drop(settings.queue_directory);
	settings_free(drop_settings, &settings);
	buf_init(&d.record, DROP_RECORD_MAX + 64);
	ipc_out_init(&d.out);
	talk(&d);
	abandon(&d);
	fd_close(&d.dir);
	buf_fini(&d.record);
	ipc_out_fini(&d.out);
	return EX_OK;
}
