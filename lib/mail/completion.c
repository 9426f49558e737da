/* SPDX-License-Identifier: ISC */
#include "mail/completion.h"

#include "base/clock.h"
#include "proto/rfc5322_write.h"

const struct bytes completion_names[COMPLETION_FIELDS] = {
#define NAME(s)	{ (const unsigned char *)s, sizeof s - 1 }
	[FIELD_FROM] = NAME("From"), [FIELD_DATE] = NAME("Date"), [FIELD_MESSAGE_ID] = NAME("Message-ID"),
	[FIELD_BCC] = NAME("Bcc"), [FIELD_RESENT_BCC] = NAME("Resent-Bcc"),
	[FIELD_RETURN_PATH] = NAME("Return-Path"), [FIELD_RESENT_FROM] = NAME("Resent-From"),
	[FIELD_SENDER] = NAME("Sender"), [FIELD_RESENT_SENDER] = NAME("Resent-Sender"),
#undef NAME
};

static void
insert(struct envelope *e, const char *name, struct bytes line)
{
	e->edits[e->nedits++] = (struct header_edit){ .op = EDIT_INSERT, .name = text(name), .text = line };
}

static struct bytes
new_message_id(const struct completion *c, struct arena *a)
{
	struct buf line;
	struct bytes out;

	buf_init(&line, 1024);
	message_id_put(text(c->queue_id), text(c->hostname), &line);
	message_id_init(c->message_id);
	message_id_feed(c->message_id, buf_bytes(&line));
	out = arena_copy(a, buf_bytes(&line));
	buf_fini(&line);
	return out;
}

static struct bytes
name_of(const struct head_range *r)
{
	return r->what == HEAD_OURS ? text("Authentication-Results") : completion_names[r->what];
}

void
complete_message(const struct completion *c, struct arena *a, struct envelope *e)
{
	const struct head *h = c->head;
	char date[CLOCK_DATE_MAX];

	if (h->count[FIELD_DATE] == 0)
		insert(e, "Date", arena_fmt(a, "Date: %s\r\n", clock_date(c->now_s, date)));
	if (h->count[FIELD_FROM] == 0 && h->count[FIELD_RESENT_FROM] == 0)
		insert(e, "From", c->from.n > 0 ? arena_fmt(a, "From: <%.*s>\r\n", BYTES_FMT(c->from))
		    : arena_fmt(a, "From: MAILER-DAEMON@%s\r\n", c->hostname));
	if (h->count[FIELD_MESSAGE_ID] == 0)
		insert(e, "Message-ID", new_message_id(c, a));
	for (unsigned i = 0; i < h->ranges_n; i++) {
		const struct head_range *r = &h->ranges[i];

		if (r->what == HEAD_OURS || r->what == FIELD_BCC || r->what == FIELD_RESENT_BCC || r->what == FIELD_RETURN_PATH)
			e->edits[e->nedits++] = (struct header_edit){ .op = EDIT_DELETE, .name = name_of(r), .offset = r->at,
			    .octets = r->n };
	}
}
