/* SPDX-License-Identifier: ISC */
/*
 * mail/folder_name.h - the name of a mailbox as people have it, and the folder in which
 * it lies. Pure. Whatever a client calls a mailbox, the folder is below the account's own,
 * is no other mailbox's, and none of the files that lie there.
 *
 * A name is UTF-8, levels separated by '/'; "INBOX" in any case is the account's own
 * folder (RFC 3501 section 5.1). On disk a level is in modified UTF-7 (RFC 3501 section
 * 5.1.3), as other servers have it; what must not stand there is put into base64 though it
 * is printable, which the encoding itself never does: so one name has one folder, and
 * one folder one name.
 *
 *	name		Maildir++		fs
 *	INBOX		(the folder itself)	(the folder itself)
 *	Work/2024	.Work.2024		Work/2024
 *	Ä.b		.&AMQ-&AC4-b		&AMQ-.b
 *	a/cur		.a.cur			a/&AGM-ur
 */
#ifndef MAIL_FOLDER_NAME_H
#define MAIL_FOLDER_NAME_H

#include "base/buf.h"

enum folder_layout { FOLDERS_MAILDIRPP, FOLDERS_FS };
extern const char *const folder_layouts[];	/* as the setting folder_layout has them */

#define FOLDER_SEPARATOR	'/'
#define FOLDER_NAME_MAX		1000	/* octets of a name */
#define FOLDER_LEVELS_MAX	50
#define FOLDER_COMPONENT_MAX	255	/* octets of one component on disk; Maildir++ has all levels in one */
#define FOLDER_PATH_MAX		2048	/* with a NUL */

/* Makes INBOX, also as the first level, what it is called here. False: no name of a mailbox: empty levels,
 * not UTF-8, controls, too long, too many levels. Appends nothing then. */
bool	folder_name_normal(struct bytes name, struct buf *out);

/* Where it lies, relative to the account's folder; "." for INBOX. name is as folder_name_normal makes it.
 * False: there can be no such folder: it would be too long. */
bool	folder_path(enum folder_layout layout, struct bytes name, char path[FOLDER_PATH_MAX]);

/* What lies there, appended; path relative, as folder_path makes it, or as another program did. False:
 * no mailbox of ours: not Maildir++'s ".x", not canonical, or one of our own files. */
bool	folder_of_path(enum folder_layout layout, struct bytes path, struct buf *name);

#endif
