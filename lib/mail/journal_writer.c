/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "mail/journal_writer.h"

#define WAITING_MAX	(1u << 20)	/* octets of lines that wait for a disk that is full */
#define SYSLOG_PATH	"/dev/log"
#define FACILITY_MAIL	(2 << 3)	/* RFC 3164 section 4.1.1 */

/* ---- syslog ---- */

/* Its own connection, not syslog(3): that would connect anew, which this process cannot. When the
 * other end goes, the journal ends and is started again, and so connects again. */
static int
connect_syslog(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = SYSLOG_PATH };
	struct timeval patience = { .tv_sec = 1 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd != -1 && (connect(fd, (struct sockaddr *)&to, sizeof to) == -1
	    || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == -1))
		fd_close(&fd);
	return fd;
}

/* "<22>Nov 23 08:08:07 hermod/smtpd[1]: text", RFC 3164 section 4.1, by the host's clock. */
static void
add_syslog_head(struct buf *line, const struct journal_record *r)
{
	static const int severities[] = { 7, 6, 4, 2 };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = r->wall_us / 1000000;
	struct tm tm = { .tm_mday = 1 };

	localtime_r(&t, &tm);
	buf_fmt(line, "<%d>%s %2d %02d:%02d:%02d ", FACILITY_MAIL | severities[r->level],
	    months[(unsigned)tm.tm_mon % 12], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* One datagram a line. */
static bool
send_lines(struct journal_writer *w)
{
	while (w->lines.n > 0) {
		size_t n = bytes_find(buf_bytes(&w->lines), '\n');

		if (send(w->fd, w->lines.p, n, MSG_NOSIGNAL) == -1 && errno != EMSGSIZE)
			return false;
		buf_drop(&w->lines, n + 1);
		w->waiting--;
	}
	return true;
}

/* ---- the file ---- */

static int
open_file(const struct journal_writer *w)
{
	return file_open(w->dir, w->name, O_WRONLY | O_APPEND | O_CREAT, 0640);
}

static uint64_t
count_lines(struct bytes s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static bool
write_lines(struct journal_writer *w)
{
	if (w->torn && write(w->fd, "\n", 1) == 1)	/* what is left of that line comes next */
		w->torn = false;
	while (w->lines.n > 0 && !w->torn) {
		ssize_t n = write(w->fd, w->lines.p, w->lines.n);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		w->waiting -= count_lines(bytes_of(w->lines.p, (size_t)n));
		w->torn = w->lines.p[n - 1] != '\n';
		buf_drop(&w->lines, (size_t)n);
	}
	return w->lines.n == 0;
}

/* ---- both ---- */

bool
journal_writer_open(struct journal_writer *w, int dir, const char *name)
{
	*w = (struct journal_writer){ .dir = dir, .name = name, .fd = -1 };
	buf_init(&w->lines, WAITING_MAX);
	w->fd = dir == -1 ? connect_syslog() : open_file(w);
	return w->fd != -1;
}

void
journal_writer_take(struct journal_writer *w, int fd)
{
	*w = (struct journal_writer){ .dir = AT_FDCWD, .fd = fd };
	buf_init(&w->lines, WAITING_MAX);
}

void
journal_writer_close(struct journal_writer *w)
{
	fd_close(&w->fd);
	buf_fini(&w->lines);
}

bool
journal_writer_reopen(struct journal_writer *w)
{
	int fd = w->dir == -1 ? -1 : open_file(w);

	if (fd == -1)
		return w->dir == -1;
	fd_close(&w->fd);
	w->fd = fd;
	w->torn = false;
	return true;
}

void
journal_writer_add(struct journal_writer *w, const struct journal_record *r, const char *service)
{
	size_t before = w->lines.n;
	char stamp[CLOCK_DATE_MAX];

	if (w->dir == -1)
		add_syslog_head(&w->lines, r);
	else
		buf_fmt(&w->lines, "%s ", clock_stamp(r->wall_us, stamp));
	journal_record_say(r, service, &w->lines);
	buf_char(&w->lines, '\n');
	if (w->lines.full) {
		w->lines.full = false;		/* what waits is good; this line is not */
		w->lines.n = before;
		w->lost++;
	} else {
		w->waiting++;
	}
}

static void
say_lost(struct journal_writer *w)
{
	char said[80];
	struct journal_record r = { .level = LOG_WARN_, .pid = (uint32_t)getpid(), .wall_us = clock_wall_us(),
	    .program = text("journal") };

	snprintf(said, sizeof said, "journal: %llu lines could not be written and are lost",
	    (unsigned long long)w->lost);
	r.text = text(said);
	w->lost = 0;
	journal_writer_add(w, &r, "journal");
}

bool
journal_writer_flush(struct journal_writer *w)
{
	bool (*write_all)(struct journal_writer *) = w->dir == -1 ? send_lines : write_lines;

	if (!write_all(w))
		return false;
	if (w->lost > 0) {
		say_lost(w);
		return write_all(w);
	}
	return true;
}
