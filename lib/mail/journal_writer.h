/* SPDX-License-Identifier: ISC */
/*
 * mail/journal_writer.h - records become lines of one file, or of syslog: for the journal, and for who does what the
 * processes would have done while none of them runs.
 */
#ifndef MAIL_JOURNAL_WRITER_H
#define MAIL_JOURNAL_WRITER_H

#include "base/buf.h"
#include "base/log.h"

/* ---- journal_record.c: pure ---- */

#define JOURNAL_WIRE_MAX	(14 + 255 + LOG_RECORD_MAX)	/* of base/log.h */
#define JOURNAL_LINE_MAX	(4 * (255 + LOG_RECORD_MAX) + 128)

struct journal_record {
	enum log_level	 level;
	uint32_t	 pid;
	int64_t		 wall_us;
	struct bytes	 program, text;	/* borrowed; any octet */
};

/* False: it is no record. */
bool	journal_record_parse(struct bytes wire, struct journal_record *r);
/*
 * "hermod/smtpd[123]: text", one line without its end: what is not printable is \xHH
 * again. service: whose channel it came on. Only become's forks have names of their own;
 * another that says it is somebody else is called by both names.
 */
void	journal_record_say(const struct journal_record *r, const char *service, struct buf *line);

/* ---- journal_writer.c: where lines go ---- */

struct journal_writer {
	int		 dir;		/* borrowed: log_file's folder; -1: syslog */
	const char	*name;		/* borrowed: in dir */
	int		 fd;		/* owned: the file, or the socket of syslog */
	struct buf	 lines;		/* owned: a round's, each with LF; what could not be written waits here */
	uint64_t	 waiting, lost;	/* lines in it; lines that it had no room for */
	bool		 torn;		/* the file ends within a line */
};

/* False: errno. */
bool	journal_writer_open(struct journal_writer *w, int dir, const char *name);
/* Lines go to that file, which is taken; it cannot be opened anew. */
void	journal_writer_take(struct journal_writer *w, int fd);
void	journal_writer_close(struct journal_writer *w);
/* A record's line is put down; journal_writer_flush writes all that is there. */
void	journal_writer_add(struct journal_writer *w, const struct journal_record *r, const char *service);
/* True: nothing waits. False: to be tried again later. */
bool	journal_writer_flush(struct journal_writer *w);
/* The file has been moved away: opens it anew. False: errno, and it goes on with the old one. */
bool	journal_writer_reopen(struct journal_writer *w);

#endif
