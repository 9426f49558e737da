/* SPDX-License-Identifier: ISC */
/*
 * mail/mbox.h - mailboxes that are one file: RFC 4155, and mboxrd's quoting: a line
 * ">*From " has one more '>' in the file than in the message. Used by mail/mailbox.c.
 *
 * Locks as Debian policy section 11.6 has them: fcntl first, then FILE.lock; when the
 * second cannot be had the first is given back. In a directory where we may not write
 * (/var/mail, group mail) no FILE.lock can be made: then fcntl alone.
 *
 * An append writes its From_ line with UNFINISHED in place of the date, then the
 * message, syncs, then puts the date there and syncs again. No line of a message can be a From_
 * line, so whoever next holds the lock finds an append that a crash cut short, and takes it
 * off. Removal writes what is to follow the gap to a side file first; a crash half-way is
 * completed from it by whoever next holds the lock.
 *
 * Messages are known to the ledger by a keyed hash of what they hold, without the
 * fields that mail readers rewrite in place. X-UID, Status, Content-Length are not believed.
 */
#ifndef MAIL_MBOX_H
#define MAIL_MBOX_H

#include "mail/mailbox.h"

/* ---- pure: where messages begin and end ---- */

#define MBOX_NAME_MAX	64

struct mbox_part {
	uint64_t	at;		/* of its From_ line */
	uint64_t	start, end;	/* of the message; the empty line after it is not in it */
	uint64_t	next;		/* where the next From_ line or the end of the file is */
	uint64_t	octets;		/* as sent: unquoted, CRLF */
	uint64_t	hash;
};

struct mbox_splitter {
	/* Its own. */
	unsigned char	key[16];
	uint64_t	at;		/* of the next octet */
	uint64_t	line_at;	/* of the present line */
	uint64_t	line_n;		/* its octets so far */
	unsigned char	head[64];	/* the first of them */
	bool		judged;		/* what kind of line it is is known */
	bool		hashed;		/* it counts for the hash */
	bool		blank_before, in_message, in_header, folded_out, held_blank, last_cr;
	struct mbox_part part;		/* the present message */
	uint64_t	chain;
	size_t		block_n;
	unsigned char	block[1024];	/* what is not hashed yet; the first 8 are the chain */
};

typedef void (*mbox_each)(void *arg, const struct mbox_part *part);

void	mbox_split_init(struct mbox_splitter *s, const unsigned char key[16]);
/* Any pieces, in order. each is called for every message that is over; arg is its argument. */
void	mbox_split_feed(struct mbox_splitter *s, struct bytes piece, mbox_each each, void *arg);
void	mbox_split_end(struct mbox_splitter *s, mbox_each each, void *arg);

/* ---- pure: quoting ---- */

#define FROM_SLACK 8			/* octets that can be held back */

struct from_filter {
	bool		quote;		/* else: unquote */
	/* Its own; zero to begin with. */
	bool		held;		/* unquote: one '>' */
	unsigned char	matched;	/* of "From " */
	bool		rest;		/* past the point where it could match */
};

/* out has room for n + n / 5 + FROM_SLACK octets (quote), n + FROM_SLACK (unquote; may then lie FROM_SLACK
 * or more before in, overlapping). Returns octets of out. */
size_t	from_filter(struct from_filter *f, const unsigned char *in, size_t n, unsigned char *out);
size_t	from_filter_end(struct from_filter *f, unsigned char out[FROM_SLACK]);

/* "From SENDER DATE\n"; the last 25 octets are the date (24) and LF. */
#define MBOX_DATE 24
#define MBOX_UNFINISHED "UNFINISHED.............."
void	mbox_from_line(struct bytes sender, int64_t wall_s, struct buf *out);
/* When a From_ line says that it was delivered: the last date in it, "Thu Jan  1 00:00:00 2026", seconds and a zone's
 * name before the year may be there or not. Taken for UTC. False: there is none. */
bool	mbox_from_date(struct bytes line, int64_t *wall_s);

/* ---- the file ---- */

struct mbox {
	int		parent;		/* the directory it is in; owned */
	int		state;		/* where ledger and side file are; owned */
	char		name[201];
	char		stem[201];	/* of what lies in state */
	char		*what;		/* owned; for the journal */
	int64_t		wait_ms;
	bool		no_dotlock;
	int		fd;		/* locked and open, else -1 */
	bool		dotlocked;
	/* The end of the file after our own last append, when it needs no look for a crash's traces. */
	uint64_t	clean_size, clean_ino;
	uint64_t	appended_size, appended_ino;	/* the same, for mbox_take_off */
	/* What was there when it was split. */
	uint64_t	ino, size;
	int64_t		mtime_s;
	long		mtime_ns;
	struct mbox_part *part;		/* owned; in the order of the file */
	size_t		n, cap;
};

/* Takes parent. False: errno, why in words. */
bool	mbox_open(struct mbox *m, int parent, const char *name, const char *what, int64_t wait_ms,
	    char *why, size_t cap);
/* The same, through the directories that `old` holds. False: errno, why in words. */
bool	mbox_again(struct mbox *m, const struct mbox *old, char *why, size_t cap);
void	mbox_close(struct mbox *m);

/* n deliveries, MAILBOX_BATCH at most, in one go. outcome and reply: one each. */
void	mbox_deliver(struct mbox *m, const struct delivery *d, size_t n, enum outcome *outcome,
	    struct buf *reply);

/* All of them or none; starts: where each begins in the file. False: errno. */
bool	mbox_append(struct mbox *m, const struct delivery *d, size_t n, uint64_t *starts);
/* What the last mbox_append added, and begins there, is taken off again. False: errno; it stays, for something has come
 * behind it, or the file cannot be cut. */
bool	mbox_take_off(struct mbox *m, uint64_t start);

/* The file is as mbox_list found it. */
bool	mbox_same(const struct mbox *m);
/* When it was delivered: its From_ line, or what the file says. False: errno. */
bool	mbox_date(struct mbox *m, const struct mbox_part *p, int64_t *wall_s);
/* Splits the file if it is not as it was; *changed says so. False: errno. */
bool	mbox_list(struct mbox *m, const unsigned char key[16], bool *changed);
/* The message, unquoted, LF ends; its hash is checked. False: ESTALE: the file is another by now. */
bool	mbox_get(struct mbox *m, const unsigned char key[16], const struct mbox_part *p, struct buf *out);
/* Removes those; parts as mbox_list had them. False: errno; ESTALE: list again. */
bool	mbox_remove(struct mbox *m, const unsigned char key[16], const size_t *which, size_t n);

#endif
