/* SPDX-License-Identifier: ISC */
/*
 * daemon/sanitize.c - in builds with sanitizers: a process that can open nothing still
 * leaves its report. The sanitizers write into memory; when they end the process,
 * that is copied into the directory which log_path in ASAN_OPTIONS names.
 */
#include "config.h"

#ifdef HERMOD_SANITIZED

#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "daemon/confine.h"

#define PATH_MAX_OCTETS 1024

static int directory = -1, report = -1;
static struct stat known;		/* of the directory: its number may be another's in a fork */

static void
copy_report(void)
{
	char name[32], piece[4096];
	ssize_t n;
	int fd;

	snprintf(name, sizeof name, "report.%d", (int)getpid());
	if (report == -1 || (fd = openat(directory, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) == -1)
		return;
	for (off_t at = 0; (n = pread(report, piece, sizeof piece, at)) > 0; at += n)
		if (write(fd, piece, (size_t)n) != n)
			break;
	close(fd);
}

static void
collect_reports(void)
{
	report = memfd_create("report", MFD_CLOEXEC);
	if (report == -1)
		return;
	__sanitizer_set_report_fd((void *)(intptr_t)report);
	__sanitizer_set_death_callback(copy_report);
}

int
sanitize_open(void)
{
	struct bytes rest = text(getenv("ASAN_OPTIONS"));
	char path[PATH_MAX_OCTETS];

	struct stat now;

	if (directory != -1 && (fstat(directory, &now) == -1 || now.st_ino != known.st_ino
	    || now.st_dev != known.st_dev))
		directory = -1;
	while (directory == -1 && rest.n > 0) {
		struct bytes option = bytes_cut(&rest, ':');

		if (!bytes_starts(option, text("log_path="))
		    || !bytes_to_text(bytes_head(option, bytes_rfind(option, '/')), path, sizeof path))
			continue;
		directory = open(path + strlen("log_path="), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (directory != -1 && fstat(directory, &known) == 0)
			collect_reports();
	}
	return directory;
}

void
sanitize_fork(void)
{
	if (directory != -1)
		collect_reports();
}

#else
extern int sanitize_is_off;	/* a file of C has a declaration */
#endif
