/* SPDX-License-Identifier: ISC */
/*
 * bounce/bounce.h - what the parts of bounce know of each other.
 *
 *	notify.c	one notification: who is told, by whose leave, and into the queue with it
 *	write.c		its octets: what the message was, and writing
 */
#ifndef BOUNCE_BOUNCE_H
#define BOUNCE_BOUNCE_H

#include "daemon/daemon.h"
#include "mail/notice.h"
#include "mail/queue.h"

struct bounce_settings {
	const char	*hostname, *template_directory;
	unsigned	 returned;		/* index into its words */
	uint64_t	 size_octets, header_octets;
	uint64_t	 lifetime_ms;		/* of a message, as qmgr has it */
	unsigned	 double_bounce;		/* index into its words */
	bool		 to_strangers;
	struct setting_list trusted_networks;
};
enum { BOUNCE_FULL, BOUNCE_HEADERS };
enum { DOUBLE_POSTMASTER, DOUBLE_DISCARD };

extern const struct setting bounce_settings[];

struct bounce {
	struct daemon	*daemon;	/* borrowed */
	const struct bounce_settings *settings;	/* borrowed */
	struct peers	*router, *cleanup;
	struct relay_rule relay;	/* owned, as the next two */
	struct notice_templates templates;
	struct ipc_out	 out;
	struct notice_rules rules;
	struct notice_policy policy;
	struct notification *open;	/* those in work, owned */
	uint32_t	 count;
};

/* ---- notify.c ---- */

void		 bounce_init(struct bounce *b, struct daemon *d, const struct bounce_settings *s);	/* both borrowed */
void		 bounce_fini(struct bounce *b);
/* Before a process is confined: reads the templates, says what is wrong with them. */
void		 bounce_templates(struct bounce *b);
bool		 bounce_frame(void *bounce, struct channel *c, struct ipc_in *in);
void		 bounce_gone(void *bounce, struct channel *c);
uint32_t	 bounce_count(void *bounce);

/* ---- write.c ---- */

/* What has to be read of the message before the first octet is written; and with it, what the notification will be. */
struct returned {
	struct buf	 segments;	/* owned: the message as it goes out, mail/segments.h */
	struct buf	 header;	/* owned: its header, whole lines */
	uint64_t	 octets;
	char		 boundary[NOTICE_BOUNDARY_MAX];
	struct notice_look header_look, look;
	bool		 looked;	/* at all of it */
};

/* Bounded: the header up to header_octets, all of it where it is to be returned. What cannot be read is not returned; that
 * is logged. */
void		 returned_read(struct returned *r, const struct queue_message *about, const struct notice_rules *rules,
		    size_t failed, uint64_t header_octets);
void		 returned_free(struct returned *r);
/* Octets that the notification may take. */
uint64_t	 returned_room(const struct returned *r, size_t recipients);
/* Writes all of it to `to`, in pieces. n was begun. False: errno, and nothing can be said of what was written. */
bool		 returned_write(const struct returned *r, const struct queue_message *about, struct notice *n, int to,
		    uint64_t *octets);

#endif
