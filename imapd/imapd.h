/* SPDX-License-Identifier: ISC */
/*
 * imapd/imapd.h - a session, shared by the files of this folder:
 *
 *	session.c	its life: reads commands, calls them by table, sends
 *	view.c		the selected mailbox as the client was told of it
 *	select.c	SELECT, EXAMINE, CLOSE, UNSELECT, STATUS, IDLE, CHECK
 *	store.c		STORE, EXPUNGE, COPY, MOVE
 *	append.c	APPEND
 *	fetch.c		FETCH
 *	search.c	SEARCH
 *	list.c		LIST, LSUB, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE
 *
 * A session is straight-line code that blocks, always with a deadline.
 */
#ifndef IMAPD_IMAPD_H
#define IMAPD_IMAPD_H

#include "base/arena.h"
#include "base/buf.h"
#include "daemon/worker_wait.h"
#include "imapd/session.h"
#include "mail/folders.h"
#include "mail/mailbox.h"
#include "proto/imap_cmd.h"
#include "proto/imap_set.h"

#define OUT_AT		131072		/* octets gathered before they are sent */

/* A message as the client knows it; its message number is its place in view.told and one. */
struct told {
	uint64_t	modseq;
	uint32_t	uid;
	uint32_t	flags;		/* enum mail_flag, as was told or is to be told */
	bool		recent;
	bool		changed;	/* flags or modseq are to be told yet */
	bool		gone;		/* expunged, and to be told yet: until then it keeps its number */
};

struct view {
	struct mailbox	*box;		/* owned; NULL: no mailbox is selected */
	struct bytes	name;		/* in names */
	struct arena	*names;		/* owned */
	uint32_t	uidvalidity;
	bool		read_only;	/* EXAMINE */
	struct told	*told;		/* owned; by rising UID */
	size_t		n, cap;
	size_t		recent;		/* of them */
	size_t		exists, recent_told;	/* as the client was told last */
	uint64_t	highest;	/* HIGHESTMODSEQ as told */
	uint64_t	keywords;	/* a hash of the names that were told in FLAGS */
	struct imap_range *saved;	/* owned: result of SEARCH that was saved, in UIDs (RFC 5182) */
	size_t		saved_n;
};

struct session {
	const struct imapd_start *start;	/* borrowed */
	struct worker_socket socket;
	struct imap_reader reader;
	struct buf	 in, out;	/* owned; out takes 1 MiB: OUT_AT, and what is put without looking */
	struct arena	*arena;		/* owned; of one command */
	struct folders	*folders;	/* owned */
	struct view	 view;
	bool		 condstore;	/* RFC 7162 section 3.1: the client has enabled it */
	bool		 broken;	/* the client is gone */
	bool		 quit;
	const char	*farewell;	/* with quit: BYE's text, behind the answer to the command; NULL: it was said */
	unsigned	 errors;	/* commands not understood, in a row */
	struct append	*append;	/* owned by append.c; NULL: none yet */
	struct message	*message;	/* owned by message.h; NULL: none was read */
};

/* ---- session.c ---- */

/* Tagged: reply(s, cmd, "NO [NONEXISTENT] there is no such mailbox"). */
void	reply(struct session *s, const struct imap_cmd *cmd, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* Sends what is gathered once it is OUT_AT octets; `broken` is set when the client is gone. */
void	flush_if_much(struct session *s);
void	flush(struct session *s);
/* The octets as a string the client can read: quoted, or a literal. */
void	put_string(struct session *s, struct bytes octets);
/* A mailbox's name on the wire: modified UTF-7, quoted. */
void	put_mailbox(struct session *s, struct bytes name);
/* The name a client gave, decoded and normal, in the arena. False: it is none, and the client was told so (NO). */
bool	mailbox_name(struct session *s, const struct imap_cmd *cmd, struct bytes wire, struct bytes *name);
/* Answers NO with the code and words for what folders.h said. errno as it left it. */
void	reply_folder(struct session *s, const struct imap_cmd *cmd, enum folder_result r);
/* Answers NO for a system call that failed, and logs it. what: "the mailbox". */
void	reply_errno(struct session *s, const struct imap_cmd *cmd, const char *what);
/* For a session that does nothing: memory goes back to the system. */
void	session_rest(struct session *s);
/* For IDLE: input, or nothing for so long; GONE: the client is, or the session shall end (quit) and the client was told. */
enum session_wait { WAIT_INPUT, WAIT_NOTHING, WAIT_GONE } session_wait(struct session *s, uint64_t ms);
/* The next line off the input, after imap_reader_raw. False: it is not there yet. */
bool	session_raw_line(struct session *s, struct bytes *line);

/* ---- view.c ---- */

/* Selects it; box is taken. FOLDER_NONE: it was deleted in the same moment; FOLDER_FAILED: it cannot be read, errno.
 * Then box is closed. */
enum folder_result view_open(struct session *s, struct mailbox *box, struct bytes name, bool read_only);
void	view_close(struct session *s);
/* As mailbox_scan, of what was just opened: FOLDER_NONE where it was deleted in the same moment. */
enum folder_result view_scan(struct mailbox *box);
/* A mailbox that was deleted ends the session of who has it selected (RFC 2180 section 3.3); one that was renamed goes
 * on as it is (section 3.4). False: s->quit. */
bool	view_there(struct session *s);
/* Looks at what others did since, and tells the client: expunges only where RFC 3501 section 7.4.1 allows them. A
 * mailbox that is not what it was (UIDVALIDITY) ends the session, too. */
bool	view_update(struct session *s, bool expunges);	/* false: it cannot be read now, or s->quit */
/* Tells of changes that are known already, as view_update does. */
void	view_tell(struct session *s, bool expunges);
/* Looks without telling; false: the mailbox cannot be read now, or (s->quit) is not what it was. */
bool	view_look(struct session *s);
/* The same of what mailbox_store has just looked at: no second look. */
bool	view_take(struct session *s);
/* "* FLAGS" and PERMANENTFLAGS, if they are others than were told; always: anyway. */
void	put_flags_line(struct session *s, bool always);
/* "* 5 FETCH (UID 7 FLAGS (\Seen) MODSEQ (9))"; what was asked for or is due. */
void	put_fetch_flags(struct session *s, size_t place, bool flags, bool uid, bool modseq);

/* Places (indices into view.told) of the messages that cmd->set means, rising, none twice; in the arena. What UIDs
 * are not there is passed over. False: the client was answered BAD. */
struct places { uint32_t *at; size_t n; };
bool	view_places(struct session *s, const struct imap_cmd *cmd, struct places *out);
/* The mail behind a place; NULL: it is gone (expunged by another). *i: its index for mailbox_... functions. */
struct mail *view_mail(struct session *s, size_t place, size_t *i);
/* "\Seen $Forwarded" without parentheses. */
void	put_flags(struct session *s, uint32_t flags, bool recent);
/* Takes \Seen for those of the places that have it not, as FETCH of a body does; told.changed is set for them. */
void	view_mark_seen(struct session *s, const struct places *p);
/* From now on the client is told of mod-sequences; the first time with HIGHESTMODSEQ (RFC 7162 section 3.1). */
void	view_condstore(struct session *s);
/* The flag of a keyword the client named; 0: none has it. */
uint32_t view_keyword(struct session *s, struct bytes name);

/* ---- commands ---- */

void	do_fetch(struct session *s, struct imap_cmd *cmd);
void	do_search(struct session *s, struct imap_cmd *cmd);
/* A command is answered NO: of a SEARCH that should be saved nothing is, RFC 5182 section 2.1. */
void	search_refused(struct session *s, const struct imap_cmd *cmd);

void	do_list(struct session *s, struct imap_cmd *cmd);	/* LSUB, too */
void	do_create(struct session *s, struct imap_cmd *cmd);
void	do_delete(struct session *s, struct imap_cmd *cmd);
void	do_rename(struct session *s, struct imap_cmd *cmd);
void	do_subscribe(struct session *s, struct imap_cmd *cmd);	/* UNSUBSCRIBE, too */
void	do_namespace(struct session *s, struct imap_cmd *cmd);

void	do_select(struct session *s, struct imap_cmd *cmd);	/* EXAMINE, too */
void	do_close(struct session *s, struct imap_cmd *cmd);	/* UNSELECT, too */
void	do_status(struct session *s, struct imap_cmd *cmd);
void	do_idle(struct session *s, struct imap_cmd *cmd);

void	do_store(struct session *s, struct imap_cmd *cmd);
void	do_expunge(struct session *s, struct imap_cmd *cmd);
void	do_copy(struct session *s, struct imap_cmd *cmd);	/* MOVE, too */
/* Removes what is \Deleted, and among the UIDs (NULL: all). False: errno. */
bool	expunge_deleted(struct session *s, const struct imap_set *uids);
/* The flags that a client named, with letters for the keywords as they are now, and the keywords by name, for when they are
 * stored; makes keywords where `make`; keep: as for mailbox_keyword_make. False: the client was answered. */
struct named { uint32_t flags; struct bytes keywords; };
bool	flags_named(struct session *s, const struct imap_cmd *cmd, struct mailbox *box, const struct imap_flags *f,
	    bool make, uint32_t keep, struct named *out);
/* Answers NO to what could not be stored, with keywords or without: errno. */
void	reply_stored(struct session *s, const struct imap_cmd *cmd, bool keywords);

/* ---- append.c: the messages of an APPEND go to disk while they come ---- */

enum append_literal { APPEND_GATHER, APPEND_STREAM, APPEND_REFUSED /* the client was told */, APPEND_BAD };
enum append_literal append_literal(struct session *s);
void	append_run(struct session *s, struct bytes octets);
void	append_over(struct session *s);		/* of a command: what was not taken in is dropped */
void	append_rest(struct session *s);		/* the mailbox that is kept open is closed */
void	append_fini(struct session *s);
void	do_append(struct session *s, struct imap_cmd *cmd);

/* select.c: "* STATUS name (...)", for LIST-STATUS, too (RFC 5819). False: it could not be read; nothing was said. */
bool	put_status(struct session *s, struct bytes name, unsigned items);

#endif
