/* SPDX-License-Identifier: ISC */
/*
 * journal/main.c - what the processes decided:  every process -> journal -> log_file
 *
 * Holds the reading ends of channels on which every process sends records
 * (base/log.h), and the folder of its file. Believes none of them: a record makes one
 * line, whatever is in it, under the name of the service whose channel it came on.
 * master holds the channels open, too: when this process ends, what it has not read is
 * read by the next.
 *
 * Nothing waits for the journal, and it waits for nobody: it reads what there is, writes it
 * at once, then rests for a moment, so that a busy suite costs it a hundred wake-ups a
 * second and not one a record.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "daemon/daemon.h"
#include "journal/journal.h"
#include "mail/journal_writer.h"

#define BATCH		32	/* records taken from a channel at once */
#define REST_MS		10
#define AGAIN_MS	1000	/* until a file that could not be written is tried again */

struct source {
	struct source	*next, **at;	/* in journal.sources */
	struct journal	*journal;	/* borrowed */
	struct watch	 watch;
	int		 fd;		/* owned */
	char		 service[33];
};

struct journal {
	struct daemon	*daemon;	/* borrowed */
	struct journal_settings settings;
	struct journal_writer	 writer;
	struct source	*sources;	/* owned */
	uint32_t	 nsources;
	struct timer	 flush;
	int		 own;		/* our end of the channel for our own records */
};

extern const struct setting journal_settings[];

static void
rest(void)
{
	struct timespec t = { .tv_nsec = REST_MS * 1000000 };

	nanosleep(&t, NULL);
}

static void
flush(void *arg)
{
	struct journal *j = arg;

	if (journal_writer_flush(&j->writer)) {
		rest();
		return;
	}
	if (j->writer.dir == -1)		/* a new process connects to it anew */
		log_fatal("syslog has gone away: %s", strerrordesc_np(errno));
	timer_set(&j->flush, AGAIN_MS);
}

static void
source_free(struct source *s)
{
	watch_off(&s->watch);
	close(s->fd);
	*s->at = s->next;
	if (s->next)
		s->next->at = s->at;
	s->journal->nsources--;
	mem_free(s);
}

static bool
wanted(const struct journal *j, enum log_level level)
{
	return level >= (j->settings.log_level == JOURNAL_WARNING ? LOG_WARN_ : LOG_INFO_);
}

static void
take(struct source *s, struct bytes wire)
{
	struct journal *j = s->journal;
	struct journal_record r;

	if (!journal_record_parse(wire, &r)) {
		log_warn("journal: %s sent what is no record", s->service);
	} else if (wanted(j, r.level)) {
		journal_writer_add(&j->writer, &r, s->service);
		j->daemon->served++;
	}
}

/* Records there are now, at most BATCH: how many; -1 when the other end is gone. Descriptors that
 * come along have no room, and the kernel closes them. */
static int
read_batch(struct source *s)
{
	static unsigned char wires[BATCH][JOURNAL_WIRE_MAX];
	static struct iovec pieces[BATCH];
	static struct mmsghdr messages[BATCH];
	int n;

	for (int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){ wires[i], JOURNAL_WIRE_MAX };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &pieces[i], .msg_iovlen = 1 } };
	}
	n = recvmmsg(s->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	for (int i = 0; i < n; i++) {
		if (messages[i].msg_len == 0)
			return -1;
		take(s, bytes_of(wires[i], messages[i].msg_len));
	}
	return n;
}

static void
readable(void *arg, short what)
{
	struct source *s = arg;
	struct journal *j = s->journal;

	(void)what;
	if (read_batch(s) == -1) {
		source_free(s);
		daemon_settled(j->daemon);
	}
	if (!j->flush.set)			/* once a round: after all who have something to say */
		timer_set(&j->flush, 0);
}

static void
add_source(void *owner, const char *service, unsigned slot, int fd)
{
	struct journal *j = owner;
	struct source *s = mem_alloc(sizeof *s);

	(void)slot;
	*s = (struct source){ .next = j->sources, .at = &j->sources, .journal = j, .fd = fd };
	snprintf(s->service, sizeof s->service, "%s", service);
	if (s->next)
		s->next->at = &s->next;
	j->sources = s;
	j->nsources++;
	fd_nonblock(fd, true);
	watch_init(&s->watch, &j->daemon->loop, fd, EV_READ, readable, s);
	watch_on(&s->watch);
}

/* Our own records take the way of all others. */
static void
hear_oneself(struct journal *j)
{
	int fds[2];

	if (!ipc_pair(fds))
		log_fatal("cannot make a channel: %s", strerrordesc_np(errno));
	log_open(fds[1]);
	j->own = fds[0];
}

static void
reopen(void *owner)
{
	struct journal *j = owner;

	journal_writer_flush(&j->writer);
	if (!journal_writer_reopen(&j->writer))
		log_errno("log_file %s: cannot be opened anew", j->settings.log_file);
	else
		log_info("log_file opened anew");
}

/* Those that can still say something; oneself does not count. */
static uint32_t
others(void *owner)
{
	return ((struct journal *)owner)->nsources - 1;
}

static void
open_writer(struct journal *j)
{
	const char *path = j->settings.log_file, *name = strrchr(path, '/');
	bool to_syslog = strcmp(path, "syslog") == 0;
	int dir = to_syslog ? -1 : daemon_file(j->daemon, "log_directory");

	if (!to_syslog && (dir == -1 || !name))
		log_fatal("master has not handed over the folder of log_file");
	if (!journal_writer_open(&j->writer, dir, to_syslog ? NULL : name + 1))
		log_fatal("log_file %s: cannot be opened: %s", path, strerrordesc_np(errno));
}

/* The end: whatever was sent before it is written. */
static void
read_the_rest(struct journal *j)
{
	for (struct source *s = j->sources, *next; s; s = next) {
		next = s->next;
		while (read_batch(s) > 0)
			;
	}
	journal_writer_flush(&j->writer);
}

int
main(void)
{
	struct daemon d;
	struct journal j = { .daemon = &d };

	daemon_start(&d, "journal");
	daemon_settings(&d, journal_settings, &j.settings);
	open_writer(&j);
	hear_oneself(&j);
	daemon_confine(&d, KEEP_FILES | KEEP_WRITE);	/* ---- strangers only below ---- */
	d.owner = &j;
	d.on_channel = add_source;
	d.on_reopen = reopen;
	d.sessions = others;
	timer_init(&j.flush, &d.loop, flush, &j);
	add_source(&j, "journal", 0, j.own);
	daemon_serve(&d);
	read_the_rest(&j);
	return daemon_stop(&d);
}
