/* SPDX-License-Identifier: ISC */
/*
 * mail/mailbox_check.h - what is wrong with a mailbox, and what lies beside it. Reads all of it,
 * and changes nothing: a mailbox of folders_mailbox_as_is, that is never scanned.
 *
 * Others may deliver, read and remove at the same time; what they have not finished is no fault. The locks
 * of the ledger are held while its files are read, and not while messages are.
 */
#ifndef MAIL_MAILBOX_CHECK_H
#define MAIL_MAILBOX_CHECK_H

#include "mail/mailbox.h"

/* What to do about it. */
enum finding_advice {
	FINDING_TOLD,		/* nothing: it is as it may be, or the next session sees to it */
	FINDING_REBUILD,	/* make the index anew */
	FINDING_OPEN,		/* the next session repairs it */
	FINDING_MOVE,		/* the administrator has to move it away */
	FINDING_READ,		/* to find out why it cannot be read: rights, the disk */
};

struct finding {
	bool		fault;		/* else it is only told */
	struct bytes	where;		/* a file's name, relative to the mailbox; empty: all of it */
	const char	*what;
	enum finding_advice advice;
};

struct check {
	void		(*found)(void *arg, const struct finding *f);
	void		(*step)(void *arg, size_t done, size_t all);	/* messages that were read; may be NULL */
	void		*arg;
};

/* False: errno; the mailbox cannot be read. */
bool	mailbox_check(struct mailbox *m, const struct check *c);

struct beside {
	struct beside_ledger {
		bool		there, whole;
		uint64_t	octets;
	} ledger[2];			/* whole: undamaged, and written to this very file */
	bool		alike;		/* both copies have the same records */
	bool		index, index_whole;
	uint64_t	index_octets, index_messages;
	bool		data, data_whole;	/* whole: of the file that the index means */
	uint64_t	data_octets;
	uint64_t	kept, kept_octets;	/* messages that were expunged and are kept */
};

/* False: errno. */
bool	mailbox_beside(struct mailbox *m, struct beside *out);

#endif
