/* SPDX-License-Identifier: ISC */
/*
 * mail/mailbox_digest.c - what a delivery tells the index of the messages that it brought, once
 * their senders have their answer: the first client to look need not open them. Where no session has made an
 * index there is nobody to be told.
 */
#include "mail/mailbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "mail/digest.h"

#define DIGEST_TEXT_MAX	(8u << 20)	/* octets of a message that a delivery looks into */

static bool
wanted(const struct mailbox *m)
{
	const char *stem;
	char name[256];
	int dir = mailbox_state_dir(m, &stem);

	snprintf(name, sizeof name, "%s.data", stem);
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* One that was moved already is its session's to look into. */
static void
digest_one(struct mailbox *m, const char *name, struct arena *a, struct buf *content, struct buf *room)
{
	struct maildir_file f = { .name = text(name), .in_new = true };
	struct index_data d;

	buf_clear(content);
	if (!mailbox_slurp(m, &f, content))
		return;
	arena_reset(a);
	mail_digest(buf_bytes(content), a, room, &d);
	index_data_add(m->index, f.name, &d, NULL);
}

void
mailbox_digest(struct mailbox *m)
{
	struct buf content, room;
	struct arena *a;

	if (m->format == MAILBOX_MBOX || m->maildir.fresh_n == 0)
		return;
	if (wanted(m)) {
		mailbox_index(m);
		a = arena_new(MAIL_DIGEST_ARENA);
		buf_init(&content, DIGEST_TEXT_MAX);
		buf_init(&room, MAIL_DIGEST_MAX);
		for (size_t i = 0; i < m->maildir.fresh_n; i++)
			digest_one(m, m->maildir.fresh[i], a, &content, &room);
		index_data_flush(m->index);
		buf_fini(&room);
		buf_fini(&content);
		arena_free(&a);
	}
	m->maildir.fresh_n = 0;
}
