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

/* A message's flags, as a set. The first five are RFC 3501 section 2.3.2's, with the bits of enum imap_flag;
 * from MAIL_KEYWORD on a bit each for 26 keywords, whose names the mailbox keeps (mailbox_keyword). */
enum mail_flag {
	MAIL_ANSWERED = 1, MAIL_FLAGGED = 2, MAIL_DELETED = 4, MAIL_SEEN = 8, MAIL_DRAFT = 16,
	MAIL_FORWARDED = 32,		/* the keyword $Forwarded, RFC 5788; "P" in a Maildir */
	MAIL_KEYWORD = 64
};
#define MAIL_KEYWORDS	26

struct mailbox;		/* an open one */

/* "maildir:/path" or "mbox:/path". */
bool	mailbox_parse(struct bytes spec, enum mailbox_format *format, char path[1024]);

/* Opens; makes an empty one (0700, Maildir: cur new tmp) where there is none and its parent is the owner's; the parent, too, and
 * that one's, where what they would be in is the owner's.
 * The owner is who we run as: a mailbox of somebody else, a symbolic or hard link in its place is
 * refused. wait_ms: how long to wait for a lock, here and later. NULL: errno, and why in words for the journal. */
struct mailbox	*mailbox_open(struct bytes spec, int64_t wait_ms, char *why, size_t cap);
/* Of a Maildir: its directory alone, made as mailbox_open does it, for mailbox_open_dir. -1: errno, and why. */
int		 mailbox_open_root(struct bytes spec, char *why, size_t cap);
/* Before a process is confined that will open mailboxes after it: what it has to know of where they are. */
void		 mailbox_prepare(int dir);
/* A Maildir whose directory is open already: dir is taken. what: for the journal. Without `make` one that is none, perhaps
 * since a moment ago, is not made: NULL with ENOENT. */
struct mailbox	*mailbox_open_dir(int dir, bool make, const char *what, int64_t wait_ms, char *why, size_t cap);
/* The same once more, also when the process was confined since: through the directories it holds open. */
struct mailbox	*mailbox_again(const struct mailbox *m, char *why, size_t cap);
/* Before the first scan: a UIDVALIDITY that has to be chosen is above this one. */
void		 mailbox_uidvalidity_above(struct mailbox *m, uint32_t uidvalidity);
void		 mailbox_close(struct mailbox **m);
/* It still is the mailbox that its directory has: false when it was deleted, by whomever. One that was renamed is in
 * place. Two system calls. */
bool		 mailbox_in_place(const struct mailbox *m);
/* Directories and files it holds open, for worker_confine. */
size_t		 mailbox_dirs(const struct mailbox *m, int *dirs, size_t max);

/* ---- delivery ---- */
struct delivery {
	struct bytes	head;		/* Return-Path, Delivered-To, X-Original-To: whole lines with CRLF */
	struct bytes	sender;		/* for mbox's From_ line; empty: MAILER-DAEMON */
	int		fd;		/* the queue file */
	struct bytes	segments;	/* mail/segments.h */
	uint64_t	octets;		/* of segments */
	int64_t		date_s;		/* mbox: for the From_ line; 0: now */
};
#define MAILBOX_BATCH 16		/* deliveries that are made durable together */

/* Durable when DELIVERED. Line ends become LF. reply has the enhanced status and words:
 * 4.2.2 over quota, 4.3.1 no space, 4.2.0 locked, ... Nothing half-written is ever seen in new/. */
enum outcome	mailbox_deliver(struct mailbox *m, const struct delivery *d, struct buf *reply);
/* Looks into what was delivered, for the index: when nobody waits for an answer. */
void		 mailbox_digest(struct mailbox *m);
/* n of them that share their syncs; outcome and reply: one each. */
void		 mailbox_deliver_all(struct mailbox *m, const struct delivery *d, size_t n,
		    enum outcome *outcome, struct buf *reply);
/* What an errno (0: none) means for a delivery; the reply in words. Used by the formats. */
enum outcome	 mailbox_outcome(int fault, struct buf *reply);

/* ---- what is there ---- */
struct mail {
	uint32_t	uid;
	uint32_t	flags;		/* enum mail_flag */
	uint64_t	modseq;		/* RFC 7162 section 3.1; 0 before mailbox_index */
	uint64_t	octets;		/* as sent: every line end CRLF. Counted, never believed from a file name */
	bool		sized;		/* octets is known */
	bool		recent;		/* no session has looked at it yet, RFC 3501 section 2.3.2 */
	bool		expunged;	/* by mailbox_expunge or mailbox_move, since the last scan */
	struct bytes	name;		/* Maildir: base name; mailbox's own, borrowed */
};

/* Looks at what is there now: gives UIDs, ledger durable. False: errno; not a change of what was known. */
bool		 mailbox_scan(struct mailbox *m);
/* Nothing has come, gone or changed since the last scan, as far as a look at directories tells: two system calls. */
bool		 mailbox_quiet(const struct mailbox *m);
/* From now on scans look after mod-sequences and the cache of the index, too: for IMAP. Before the first scan. */
void		 mailbox_index(struct mailbox *m);
/* Before mailbox_index, and before the first scan: the index begins anew, for all sessions. False: errno. */
bool		 mailbox_index_anew(struct mailbox *m);
uint32_t	 mailbox_uidvalidity(const struct mailbox *m);
uint32_t	 mailbox_uidnext(const struct mailbox *m);
uint64_t	 mailbox_highestmodseq(const struct mailbox *m);	/* at least 1 */
size_t		 mailbox_count(const struct mailbox *m);
struct mail	*mailbox_mail(struct mailbox *m, size_t i);	/* 0 .. count-1, by rising UID */
/* Index of the first mail whose UID is that or above; count when there is none. */
size_t		 mailbox_find(const struct mailbox *m, uint32_t uid);
bool		 mailbox_size(struct mailbox *m, size_t i);	/* fills octets; false: gone or unreadable */
bool		 mailbox_date(struct mailbox *m, size_t i, int64_t *wall_s);	/* internal date */

/* The name of the keyword with the flag MAIL_KEYWORD << i; empty: that one is free. Borrowed until the next scan. */
struct bytes	 mailbox_keyword(const struct mailbox *m, unsigned i);
/* Its flag; 0: there is none of that name (in any case of letters). */
uint32_t	 mailbox_keyword_flag(const struct mailbox *m, struct bytes name);
/* As above; makes it, durably, where there is none. keep: flags that no message has yet, but will have: their letters
 * are not given anew. 0: errno; ENOSPC with 26 in use is EMLINK. */
uint32_t	 mailbox_keyword_make(struct mailbox *m, struct bytes name, uint32_t keep);

struct mail_reader;	/* a message, its line ends made CRLF, in pieces */
struct mail_reader *mailbox_read(struct mailbox *m, size_t i);	/* NULL: gone (another program took it), errno */
long		 mail_reader_get(struct mail_reader *r, void *p, size_t n);	/* 0: end; -1: errno */
void		 mail_reader_free(struct mail_reader **r);
/* The whole message as it is stored, appended. False: gone, or larger than room's maximum (EFBIG). */
bool		 mailbox_text(struct mailbox *m, size_t i, struct buf *room);
/* What the index has of it (mail/index.h); false: nothing. Until the next scan. */
struct index_data;
bool		 mailbox_data(struct mailbox *m, size_t i, struct index_data *out);
void		 mailbox_data_keep(struct mailbox *m, size_t i, const struct index_data *d);

/* ---- changing ---- */

/* Moves what is new to where no other session takes it for recent (Maildir: to cur/). The mails that were moved
 * stay `recent` until the next scan; one that cannot be moved is so for others, too. */
void		 mailbox_claim(struct mailbox *m);
/* Removes, durable; those that are gone already count as removed. False: errno, some may be left. */
bool		 mailbox_expunge(struct mailbox *m, const size_t *which, size_t n);
/* The same of those that are \\Deleted yet: one that somebody has taken it from since the last scan stays. */
bool		 mailbox_expunge_deleted(struct mailbox *m, const size_t *which, size_t n);

/* ---- what was expunged, and is kept (a Maildir's alone; doc/mailbox-layout.md) ---- */

/*
 * From now on what mailbox_expunge removes is kept for so many seconds, and mailbox_close removes for good some of what
 * is older. 0: nothing is kept, and what was goes. Whoever does not call this neither keeps nor removes. What is
 * moved to another mailbox is not kept. What cannot be kept (disk full) is removed all the same: the journal is told once.
 */
void		 mailbox_keep_expunged(struct mailbox *m, int64_t keep_s);
struct kept_mail {
	int64_t		removed_s;	/* wall clock, when it was expunged */
	int64_t		date_s;		/* internal date */
	uint64_t	octets;		/* as it is stored */
	uint32_t	flags;		/* enum mail_flag, as they were */
	const char	*name;
};
#define MAILBOX_KEPT_ARENA (256u << 20)	/* octets of an arena that mailbox_kept may need */
/* All of it in the arena, in the order of removal. False: errno. */
bool		 mailbox_kept(struct mailbox *m, struct arena *a, struct kept_mail **out, size_t *n);
/* Back into the mailbox, that was scanned, without \\Deleted; the next scan gives it a UID. ENOENT: it is gone. Durable once
 * mailbox_unexpunged returned true. */
bool		 mailbox_unexpunge(struct mailbox *m, const struct kept_mail *k);
bool		 mailbox_unexpunged(struct mailbox *m);

struct flag_change {
	enum { FLAGS_SET, FLAGS_ADD, FLAGS_REMOVE } how;
	uint32_t	flags;		/* enum mail_flag */
	struct bytes	keywords;	/* further ones by name, a space between each two; mailbox_store adds them to flags */
	bool		unchangedsince;	/* only where modseq is not above: RFC 7162 section 3.1.3 */
	uint64_t	modseq;
};
enum flag_changed { FLAG_GONE, FLAG_CHANGED, FLAG_SAME /* had them so */, FLAG_MODIFIED /* modseq is above */ };
/* n messages; result: one each. False: errno, the results up to there hold; EMLINK: as of mailbox_keyword_make. Mails have
 * their new flags and mod-sequences; it looks first what is there, so indices of mails are others after it. */
bool		 mailbox_store(struct mailbox *m, const size_t *which, size_t n, struct flag_change *c,
		    enum flag_changed *result);

/* A message on its way into a mailbox that nobody sees yet. */
struct arrival;
struct arrival	*mailbox_arrive(struct mailbox *m);		/* NULL: errno */
bool		 arrival_add(struct arrival *a, struct bytes octets);	/* CRLF becomes LF; false: errno, sticks */
void		 arrival_flags(struct arrival *a, uint32_t flags);
/* By name, a space between each two: until it is taken in their letters may be given to others. Instead of those in flags. */
void		 arrival_keywords(struct arrival *a, struct bytes names);
void		 arrival_date(struct arrival *a, int64_t wall_s);	/* internal date; without it, now */
void		 arrival_free(struct arrival **a);			/* also drops it, when it was not taken in */
/* All of them or none, durable, in order; gives their UIDs. The mails are seen by the next scan. False: errno; EMLINK: as of
 * mailbox_keyword_make. */
bool		 mailbox_take(struct mailbox *m, struct arrival **a, size_t n, uint32_t *uids);

/* Copies, all or none, durable, with flags, keywords and dates; UIDs are those in `to`, in the same order. What is
 * gone fails with ENOENT. left_out: keywords (of m) that found no room in `to`, for the mail counts for more. */
bool		 mailbox_copy(struct mailbox *m, const size_t *which, size_t n, struct mailbox *to, uint32_t *uids,
		    uint32_t *left_out);
/* RFC 6851, as mailbox_copy: each message is in one of both, or in both, whatever crashes. False: errno; all are
 * where they were, but for a fault of the removal itself: then all are in `to`, and some in both. One that somebody
 * else took away meanwhile is not in `to` either; its UID is 0. */
bool		 mailbox_move(struct mailbox *m, const size_t *which, size_t n, struct mailbox *to, uint32_t *uids,
		    uint32_t *left_out);

/* Gives back what can be made again: for a session that idles. There are no mails until the next scan. */
void		 mailbox_rest(struct mailbox *m);
bool		 mailbox_scanned(const struct mailbox *m);

/* The exclusive right to a POP3 session (RFC 1939 section 4): other POP3 sessions are kept out,
 * deliveries and IMAP are not. False: somebody has it. Goes with mailbox_close. */
bool		 mailbox_pop3_lock(struct mailbox *m);

#endif
