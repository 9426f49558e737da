/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_cmd.h - one command of IMAP, taken apart.
 * RFC 3501 section 6 (commands), 9 (formal syntax); RFC 4466 (parameters); and
 * RFC 2177 IDLE, 2342 NAMESPACE, 2971 ID, 3502 MULTIAPPEND, 3691 UNSELECT, 4315
 * UIDPLUS, 4731 ESEARCH, 4959 SASL-IR, 5032 WITHIN, 5161 ENABLE, 5182 SEARCHRES,
 * 5258 LIST-EXTENDED, 5819 LIST-STATUS, 6154 SPECIAL-USE, 6851 MOVE, 7162
 * CONDSTORE, 8438 STATUS=SIZE.
 * Pure. Takes what imap_reader gathered; results point into that text, or into the
 * arena. What is bound to which command is said beside each member; the others are
 * zero.
 */
#ifndef PROTO_IMAP_CMD_H
#define PROTO_IMAP_CMD_H

#include "proto/imap_append.h"
#include "proto/imap_fetch.h"
#include "proto/imap_list.h"
#include "proto/imap_search.h"

#define IMAP_MECHANISM_MAX	20	/* octets, RFC 4422 section 3.1 */
#define IMAP_ENABLE_MAX		32	/* names in one ENABLE */
#define IMAP_ID_MAX		30	/* pairs; RFC 2971 section 3.3, as the next two */
#define IMAP_ID_NAME_MAX	30	/* octets */
#define IMAP_ID_VALUE_MAX	1024	/* octets */
/* What an arena needs for a command of IMAP_COMMAND_MAX octets and all its literals' scans: lists
 * of shortest words are the worst, 16 octets for 2, twice over while they grow, parsed twice. */
#define IMAP_CMD_ARENA_MAX	(8u << 20)
#define IMAP_CMD_ARENA_LOGIN_MAX (1u << 20)	/* the same of IMAP_COMMAND_LOGIN_MAX */

enum imap_verb {
	IMAP_CAPABILITY, IMAP_NOOP, IMAP_LOGOUT, IMAP_ID,
	IMAP_STARTTLS, IMAP_AUTHENTICATE, IMAP_LOGIN,
	IMAP_ENABLE, IMAP_SELECT, IMAP_EXAMINE, IMAP_CREATE, IMAP_DELETE, IMAP_RENAME, IMAP_SUBSCRIBE,
	IMAP_UNSUBSCRIBE, IMAP_LIST, IMAP_LSUB, IMAP_NAMESPACE, IMAP_STATUS, IMAP_APPEND, IMAP_IDLE,
	IMAP_CHECK, IMAP_CLOSE, IMAP_UNSELECT, IMAP_EXPUNGE, IMAP_SEARCH, IMAP_FETCH, IMAP_STORE,
	IMAP_COPY, IMAP_MOVE, IMAP_VERBS
};

/* RFC 3501 section 3; a set of them. */
enum imap_state { IMAP_IN_LOGIN = 1, IMAP_IN_AUTHENTICATED = 2, IMAP_IN_SELECTED = 4 };

enum imap_parse {
	IMAP_PARSED,
	IMAP_BAD_TAG,		/* untagged BAD: there is no tag that may be repeated */
	IMAP_BAD_VERB,		/* tagged BAD, here and below */
	IMAP_BAD_ARG,
	IMAP_TOO_COMPLEX,	/* a limit of ours was passed */
};

enum imap_use {			/* RFC 6154 section 2 */
	IMAP_USE_ALL = 1, IMAP_USE_ARCHIVE = 2, IMAP_USE_DRAFTS = 4, IMAP_USE_FLAGGED = 8,
	IMAP_USE_JUNK = 16, IMAP_USE_SENT = 32, IMAP_USE_TRASH = 64,
	IMAP_USE_UNKNOWN = 128	/* another: NO [USEATTR], section 3 */
};

struct imap_pair { struct bytes name, value; bool nil; };

struct imap_cmd {
	struct bytes	tag;
	enum imap_verb	verb;
	bool		uid;		/* UID FETCH and so on: sets and answers are of UIDs */
	const char	*wrong;		/* constant; unless IMAP_PARSED */

	struct bytes	set;		/* FETCH, STORE, COPY, MOVE, UID EXPUNGE: text of a
					 * sequence-set, not judged; "$" as in RFC 5182 */
	struct bytes	mailbox;	/* SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE,
					 * UNSUBSCRIBE, STATUS, APPEND; COPY, MOVE: to where. INBOX
					 * in capitals */
	struct bytes	new_name;	/* RENAME */
	bool		condstore;	/* SELECT, EXAMINE: RFC 7162 section 3.1.8 */
	unsigned	uses;		/* CREATE: of enum imap_use */
	unsigned	status;		/* STATUS: of enum imap_status_item */

	struct bytes	user, password;	/* LOGIN */
	struct bytes	mechanism;	/* AUTHENTICATE */
	struct bytes	response;	/* AUTHENTICATE: initial response, base64 not decoded; "=" if
					 * empty */
	bool		initial;	/* AUTHENTICATE: there is one */
	struct imap_names names;	/* ENABLE */
	struct imap_pair *pairs;	/* ID; in the arena */
	size_t		pair_count;

	struct imap_list list;		/* LIST, LSUB */
	struct imap_append append;	/* APPEND */
	struct imap_search search;	/* SEARCH */
	struct imap_fetch fetch;	/* FETCH */
	struct imap_store store;	/* STORE */
};

/*
 * The tag is set unless IMAP_BAD_TAG; verb and uid on IMAP_PARSED, IMAP_BAD_ARG and
 * IMAP_TOO_COMPLEX; the arguments on IMAP_PARSED only, else they are zero. Says nothing
 * of the state: see imap_verb_when.
 */
enum imap_parse	imap_cmd_parse(struct bytes text, struct arena *a, struct imap_cmd *out);

const char	*imap_verb_text(enum imap_verb verb);	/* "FETCH" */
unsigned	 imap_verb_when(enum imap_verb verb);	/* of enum imap_state */

/* RFC 2177: the line that ends IDLE, which is no command; see imap_reader_raw. */
bool		 imap_done(struct bytes line);

#endif
