/* SPDX-License-Identifier: ISC */
/*
 * mail/folders_text.h - the texts that lie beside an account's folders: subscriptions, special uses, and
 * what is to be completed after a crash. Pure. doc/mailbox-layout.md has them.
 *
 * Other programs write the first, people the second: lines that name no mailbox are passed over, and
 * stay as they are when the file is written anew. Names are as in mail/folder_name.h; in the
 * files a name is its folder's path, in Maildir++ without the leading dot, and INBOX is "INBOX".
 */
#ifndef MAIL_FOLDERS_TEXT_H
#define MAIL_FOLDERS_TEXT_H

#include "base/arena.h"
#include "mail/folder_name.h"

#define SUBSCRIPTIONS_MAX	(1u << 20)	/* octets of the file */
#define SPECIAL_USE_MAX		(1u << 16)
#define FOLDER_REDO_MAX		4096

/* Is name this one, or below it? */
bool	folder_is_below(struct bytes name, struct bytes top);

/* ---- subscriptions: a name a line ---- */

/* The next mailbox of the file; name is cleared first. False: there is none. */
bool	subscriptions_next(struct bytes *rest, enum folder_layout layout, struct buf *name);
/* The file with that name in it once, or not at all. */
void	subscriptions_put(struct bytes file, enum folder_layout layout, struct bytes name, bool on, struct buf *out);

/* ---- special uses: "\Use NAME" a line, a line for each use; RFC 6154 section 2 ---- */

extern const char *const folder_use_text[7];	/* "\\All": by bits of enum folder_use */

bool	special_use_next(struct bytes *rest, enum folder_layout layout, unsigned *use, struct buf *name);
/* The file without lines of that name (below: and of those below it). */
void	special_use_drop(struct bytes file, enum folder_layout layout, struct bytes name, bool below, struct buf *out);
/* The file in which that name has these uses, no others, and no other name has them. */
void	special_use_put(struct bytes file, enum folder_layout layout, struct bytes name, unsigned uses,
	    struct buf *out);
/* The file in which `to`, and what is below it, has the uses of `from`, which keeps them. */
void	special_use_copy(struct bytes file, enum folder_layout layout, struct bytes from, struct bytes to,
	    struct buf *out);

/* ---- UIDVALIDITYs that were given: "FLOOR FORGOTTEN", then "UIDVALIDITY NAME" a line ---- */

#define SPENT_MAX	1000		/* names */
#define SPENT_FILE_MAX	(1u << 20)	/* octets */

struct spent {
	uint32_t	floor;		/* none of a folder that was made or given up is above it */
	uint32_t	forgotten;	/* nor one of a name that was given up, and is not in the list, above this */
	size_t		n;
	struct { uint32_t uidvalidity; struct bytes name; } at[SPENT_MAX];	/* given up, the latest last */
};

/* The first line alone; false: it is damaged. */
bool	spent_floor(struct bytes file, uint32_t *floor);
/* Names are in a. False: damaged; *s is empty. */
bool	spent_parse(struct bytes file, enum folder_layout layout, struct arena *a, struct spent *s);
/* The greatest that this name may have had. */
uint32_t spent_last(const struct spent *s, struct bytes name);
/* name is borrowed. The earliest is forgotten when there are SPENT_MAX. */
void	spent_add(struct spent *s, struct bytes name, uint32_t uidvalidity);
/* What does not fit into out is forgotten. */
void	spent_put(struct spent *s, enum folder_layout layout, struct buf *out);

/* ---- what is to be completed ---- */

enum folder_redo_what { REDO_DELETE, REDO_RENAME, REDO_INBOX /* its mail goes into `to` */ };

struct folder_redo {
	enum folder_redo_what what;
	enum folder_layout layout;	/* in which it was begun */
	uint64_t	inode;		/* DELETE: of the folder's cur */
	struct bytes	from, to;	/* DELETE: to is empty */
};

void	folder_redo_put(const struct folder_redo *r, struct buf *out);
/* False: it is none, or damaged. Names borrow from the file. */
bool	folder_redo_parse(struct bytes file, struct folder_redo *r);

#endif
