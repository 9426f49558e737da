/* SPDX-License-Identifier: ISC */
/*
 * mail/mailbox.h - one mailbox (folder) of a user, Maildir or mbox, behind one
 * interface: delivery, POP3 and later IMAP. Always used by a process that runs as the
 * mailbox's owner. Other programs may touch the same files at any time.
 *
 * UIDs come from the ledger (mail/ledger.h): given by the first session to look,
 * under the ledger's lock, durable before anyone is told. Delivery to a Maildir takes no lock.
 */
#ifndef MAIL_MAILBOX_H
#define MAIL_MAILBOX_H

#include "base/arena.h"
#include "base/buf.h"
#include "mail/router.h"
#include "mail/segments.h"

enum mailbox_format { MAILBOX_MAILDIR, MAILBOX_MBOX };

struct mailbox;		/* an open one */

/* "maildir:/path" or "mbox:/path". */
bool	mailbox_parse(struct bytes spec, enum mailbox_format *format, char path[1024]);

/* Opens; makes an empty one (0700, Maildir: cur new tmp) where there is none and its parent is the owner's.
 * The owner is who we run as: a mailbox of somebody else, a symbolic or hard link in its place is
 * refused. wait_ms: how long to wait for a lock, here and later. NULL: errno, and why in words for the journal. */
struct mailbox	*mailbox_open(struct bytes spec, int64_t wait_ms, char *why, size_t cap);
void		 mailbox_close(struct mailbox **m);
/* Directories and files it holds open, for worker_confine. */
size_t		 mailbox_dirs(const struct mailbox *m, int *dirs, size_t max);

/* ---- delivery ---- */
struct delivery {
	struct bytes	head;		/* Return-Path, Delivered-To, X-Original-To: whole lines with CRLF */
	struct bytes	sender;		/* for mbox's From_ line; empty: MAILER-DAEMON */
	int		fd;		/* the queue file */
	struct bytes	segments;	/* mail/segments.h */
	uint64_t	octets;		/* of segments */
};
#define MAILBOX_BATCH 16		/* deliveries that are made durable together */

/* Durable when DELIVERED. Line ends become LF. reply has the enhanced status and words:
 * 4.2.2 over quota, 4.3.1 no space, 4.2.0 locked, ... Nothing half-written is ever seen in new/. */
enum outcome	mailbox_deliver(struct mailbox *m, const struct delivery *d, struct buf *reply);
/* n of them that share their syncs; outcome and reply: one each. */
void		 mailbox_deliver_all(struct mailbox *m, const struct delivery *d, size_t n,
		    enum outcome *outcome, struct buf *reply);
/* What an errno (0: none) means for a delivery; the reply in words. Used by the formats. */
enum outcome	 mailbox_outcome(int fault, struct buf *reply);

/* ---- reading ---- */
struct mail {
	uint32_t	uid;
	uint64_t	octets;		/* as sent: every line end CRLF. Counted, never believed from a file name */
	bool		sized;		/* octets is known */
	bool		seen, expunged;
	struct bytes	name;		/* Maildir: base name; mailbox's own, borrowed */
};

/* Looks at what is there now: gives UIDs, ledger durable. False: errno; not a change of what was known. */
bool		 mailbox_scan(struct mailbox *m);
uint32_t	 mailbox_uidvalidity(const struct mailbox *m);
size_t		 mailbox_count(const struct mailbox *m);
struct mail	*mailbox_mail(struct mailbox *m, size_t i);	/* 0 .. count-1, by rising UID */
bool		 mailbox_size(struct mailbox *m, size_t i);	/* fills octets; false: gone or unreadable */

struct mail_reader;	/* a message, its line ends made CRLF, in pieces */
struct mail_reader *mailbox_read(struct mailbox *m, size_t i);	/* NULL: gone (another program took it), errno */
long		 mail_reader_get(struct mail_reader *r, void *p, size_t n);	/* 0: end; -1: errno */
void		 mail_reader_free(struct mail_reader **r);

/* Removes for good, durable; those that are gone already count as removed. False: errno, some may be left. */
bool		 mailbox_expunge(struct mailbox *m, const size_t *which, size_t n);
bool		 mailbox_mark_seen(struct mailbox *m, size_t i);

/* The exclusive right to a POP3 session (RFC 1939 section 4): other POP3 sessions are kept out,
 * deliveries and IMAP are not. False: somebody has it. Goes with mailbox_close. */
bool		 mailbox_pop3_lock(struct mailbox *m);

#endif
