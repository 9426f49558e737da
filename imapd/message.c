/* SPDX-License-Identifier: ISC */
#include "imapd/message.h"

#include <errno.h>

#include "base/mem.h"
#include "mail/digest.h"
#include "proto/imap_structure.h"

#define HEADER_PIECE	8192		/* octets that are read at once */

static struct message *
message_new(void)
{
	struct message *m = mem_alloc(sizeof *m);

	buf_init(&m->text, MESSAGE_MAX);
	buf_init(&m->room, MAIL_DIGEST_MAX);
	buf_init(&m->header, MIME_HEADER_MAX + HEADER_PIECE);
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
	buf_fini(&(*m)->header);
	buf_fini(&(*m)->mailbox);
	arena_free(&(*m)->parts);
	arena_free(&(*m)->scratch);
	mem_free(*m);
	*m = NULL;
}

void
message_rest(struct session *s, size_t max)
{
	if (s->message != NULL && s->message->text.cap + s->message->header.cap > max)
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

/* Octets of the header that begins at s, from octet `seen` on; 0: its end is not there. */
static size_t
header_end(struct bytes s, size_t seen)
{
	const unsigned char *end;

	if (bytes_starts(s, text("\r\n")))
		return 2;
	seen = seen > 2 ? seen - 2 : 0;
	end = s.n > seen ? memmem(s.p + seen, s.n - seen, "\n\r\n", 3) : NULL;
	return end != NULL ? (size_t)(end + 3 - s.p) : 0;
}

static bool
read_header(struct mail_reader *r, struct buf *b, struct bytes *out)
{
	size_t end = 0;
	long got;

	do {
		unsigned char *p = buf_room(b, HEADER_PIECE);
		size_t seen = b->n;

		errno = EFBIG;
		if (p == NULL || (got = mail_reader_get(r, p, HEADER_PIECE)) < 0)
			return false;
		b->n += (size_t)got;
		end = header_end(buf_bytes(b), seen);
	} while (end == 0 && got > 0);
	*out = bytes_head(buf_bytes(b), end > 0 ? end : b->n);
	return true;
}

bool
message_header(struct session *s, size_t i, struct bytes *out)
{
	struct mail_reader *r = mailbox_read(s->view.box, i);
	bool good;

	if (r == NULL)
		return false;
	if (s->message == NULL)
		s->message = message_new();
	buf_clear(&s->message->header);
	good = read_header(r, &s->message->header, out);
	mail_reader_free(&r);
	return good;
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
