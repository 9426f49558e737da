/* SPDX-License-Identifier: ISC */
/*
 * mail/drop.h - a message that was given to the sendmail command while the suite
 * was down: hermod-drop writes one file, pickup reads it when it is up.
 * doc/drop-format.md has the format octet by octet. Unlike messages.def it does not
 * change from version to version: what waits while the suite is replaced must be read by the next.
 *
 * Pure: no I/O.
 */
#ifndef MAIL_DROP_H
#define MAIL_DROP_H

#include "base/buf.h"

#define DROP_DIRECTORY	"drop"		/* below queue_directory */
#define DROP_REFUSED	"drop-refused"	/* beside it: what pickup could not hand on, for a person */
#define DROP_BODY_MAX	57344		/* octets of a record's body */
#define DROP_RECORD_MAX	(8 + DROP_BODY_MAX)

enum drop_type { DROP_SENDER = 1, DROP_RCPT, DROP_CONTENT, DROP_END };

struct drop_record {			/* texts are borrowed from the run it was taken from */
	enum drop_type	type;
	struct bytes	sender, envid;	/* SENDER */
	bool		null_sender, body_8bit;
	struct bytes	recipient;	/* RCPT */
	uint32_t	notify;
	struct bytes	content;	/* CONTENT: as the user gave it; never empty */
	uint64_t	octets;		/* END: of all content; set by the writer, too */
};

/* Both sides keep one from the first octet of the file to the last. */
struct drop_file { unsigned state; uint32_t crc; uint64_t octets; };

/* Appends the record, before the first one the file's mark. Records come as SENDER, RCPT (one or more), CONTENT
 * (any number), END; the count and the checksum in END are filled in here. */
void	drop_put(struct drop_file *f, const struct drop_record *r, struct buf *out);

enum drop_take {
	DROP_TAKEN,
	DROP_MORE,	/* the run ends within a record: read on */
	DROP_BAD,	/* not such a file, or a damaged one; or something behind its end */
};
/* Takes the next record off the front of *in. After END *in must be empty, and the file at its end. */
enum drop_take	drop_take(struct drop_file *f, struct bytes *in, struct drop_record *r);
bool		drop_whole(const struct drop_file *f);	/* END was taken, with the right count and checksum */

#endif
