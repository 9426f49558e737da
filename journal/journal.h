/* SPDX-License-Identifier: ISC */
/*
 * journal/journal.h - records of all processes become lines of one file, or of syslog.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "base/log.h"
#include "base/loop.h"
#include "mail/settings.h"

enum journal_words { JOURNAL_INFO, JOURNAL_WARNING };	/* log_level, in the order of its words */

struct journal_settings {
	const char	*log_file;	/* a path, or "syslog" */
	unsigned	 log_level;	/* enum journal_words: what is less is left out */
};

/* ---- record.c: pure ---- */

#define RECORD_WIRE_MAX	(14 + 255 + LOG_RECORD_MAX)	/* of base/log.h */
#define LINE_MAX_OCTETS	(4 * (255 + LOG_RECORD_MAX) + 128)

struct record {
	enum log_level	 level;
	uint32_t	 pid;
	int64_t		 wall_us;
	struct bytes	 program, text;	/* borrowed; any octet */
};

/* False: it is no record. */
bool	record_parse(struct bytes wire, struct record *r);
/*
 * "hermod/smtpd[123]: text", one line without its end: what is not printable is \xHH
 * again. service: whose channel it came on. Only become's forks have names of their own;
 * another that says it is somebody else is called by both names.
 */
void	record_say(const struct record *r, const char *service, struct buf *line);

/* ---- writer.c: where lines go ---- */

struct writer {
	int		 dir;		/* borrowed: log_file's folder; -1: syslog */
	const char	*name;		/* borrowed: in dir */
	int		 fd;		/* owned: the file, or the socket of syslog */
	struct buf	 lines;		/* owned: a round's, each with LF; what could not be written waits here */
	uint64_t	 waiting, lost;	/* lines in it; lines that it had no room for */
	bool		 torn;		/* the file ends within a line */
};

/* False: errno. */
bool	writer_open(struct writer *w, int dir, const char *name);
void	writer_close(struct writer *w);
/* A record's line is put down; writer_flush writes all that is there. */
void	writer_add(struct writer *w, const struct record *r, const char *service);
/* True: nothing waits. False: to be tried again later. */
bool	writer_flush(struct writer *w);
/* The file has been moved away: opens it anew. False: errno, and it goes on with the old one. */
bool	writer_reopen(struct writer *w);

#endif
