/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_queue_journal.c - what the command itself does to the queue, while qmgr does not run, stands where qmgr
 * would have had it written: `hermod trace` finds it there. The journal does not run either then (or writes its last
 * lines, each in one piece at the end of the file, as we do): so the file is opened here, as it is. Root makes none:
 * it would not be the journal's. Where a line cannot be written a person is told so, and the order is carried out all the
 * same: nothing depends on the journal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "mail/journal_writer.h"
#include "tools/hermod.h"
#include "tools/hermod_queue.h"

/* One file, of one name, that was there before. */
static int
open_log(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd == -1 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1))
		return fd;
	fd_close(&fd);
	errno = EINVAL;
	return -1;
}

void
queue_journal_open(struct queue_journal *j)
{
	const char *path = settings_value(hermod_settings(), "log_file");
	int fd;

	*j = (struct queue_journal){ .uid = (uint32_t)getuid(), .least = LOG_INFO_ };
	if (strcmp(settings_value(hermod_settings(), "log_level"), "warning") == 0)
		j->least = LOG_WARN_;
	if (strcmp(path, "syslog") == 0) {
		j->open = journal_writer_open(&j->writer, -1, NULL);
	} else if ((fd = open_log(path)) != -1) {
		journal_writer_take(&j->writer, fd);
		j->open = true;
	}
	if (!j->open)
		fprintf(stderr, "%s: log_file %s: %s; what is done now is not noted there\n", hermod_options.name, path,
		    strerror(errno));
}

void
queue_journal_say(struct queue_journal *j, enum log_level level, const char *line)
{
	struct journal_record r = { .level = level, .pid = (uint32_t)getpid(), .wall_us = clock_wall_us(), .program = text("hermod"),
	    .text = bytes_head(text(line), LOG_RECORD_MAX) };

	if (!j->open || level < j->least)
		return;
	journal_writer_add(&j->writer, &r, "hermod");
	(void)journal_writer_flush(&j->writer);	/* what could not be written is tried again with the next one */
}

void
queue_journal_close(struct queue_journal *j)
{
	if (!j->open)
		return;
	if (!journal_writer_flush(&j->writer))
		fprintf(stderr, "%s: %llu lines could not be written to the log: %s\n", hermod_options.name,
		    (unsigned long long)(j->writer.waiting + j->writer.lost), strerror(errno));
	journal_writer_close(&j->writer);
	j->open = false;
}
