/* SPDX-License-Identifier: ISC */
#include "imapd/message.h"

#include <errno.h>

#include "base/mem.h"
#include "mail/digest.h"
#include "proto/imap_structure.h"

static struct message *
message_new(void)
{
	struct message *m = mem_alloc(sizeof *m);

	buf_init(&m->text, MESSAGE_MAX);
	buf_init(&m->room, MAIL_DIGEST_MAX);
	buf_init(&m->mailbox, 65536);
	m->parts = arena_new(MIME_TREE_ARENA);
	m->scratch = arena_new(IMAP_SCRATCH);
	return m;
}

static void
message_free(struct message **m)
{
	buf_fini(&(*m)->text);
	buf_fini(&(*m)->room);
	buf_fini(&(*m)->mailbox);
	arena_free(&(*m)->parts);
	arena_free(&(*m)->scratch);
	mem_free(*m);
	*m = NULL;
}

void
message_rest(struct session *s, size_t max)
{
	if (s->message != NULL && s->message->text.cap > max)
		message_free(&s->message);
}

/* A mailbox that was deleted and made again has another UIDVALIDITY. */
bool
message_at_hand(const struct session *s, size_t i)
{
	const struct message *m = s->message;

	return m != NULL && m->uid != 0 && m->uid == mailbox_mail(s->view.box, i)->uid
	    && m->uidvalidity == mailbox_uidvalidity(s->view.box)
	    && bytes_eq(buf_bytes(&m->mailbox), s->view.name);
}

struct message *
message_read(struct session *s, size_t i, size_t max)
{
	struct message *m;

	if (message_at_hand(s, i) && s->message->text.n <= max)
		return s->message;
	message_rest(s, MESSAGE_SMALL);
	if (s->message == NULL)
		s->message = message_new();
	m = s->message;
	m->uid = 0;
	m->parsed = false;
	m->mark.section = bytes_of(NULL, 0);
	buf_clear(&m->text);
	m->text.max = max;
	if (!mailbox_text(s->view.box, i, &m->text))
		return NULL;
	m->uid = mailbox_mail(s->view.box, i)->uid;
	m->uidvalidity = mailbox_uidvalidity(s->view.box);
	buf_clear(&m->mailbox);
	buf_add(&m->mailbox, s->view.name);
	return m;
}

const struct mime_tree *
message_tree(struct message *m)
{
	if (!m->parsed) {
		arena_reset(m->parts);
		mime_tree_parse(buf_bytes(&m->text), m->parts, &m->tree);
		m->parsed = true;
	}
	return &m->tree;
}

void
message_digest(struct message *m, struct index_data *out)
{
	mail_digest_tree(message_tree(m), m->scratch, &m->room, out);
}
