/* SPDX-License-Identifier: ISC */
#include "mail/digest.h"

#include <stdlib.h>

#include "mail/line_ends.h"
#include "proto/imap_structure.h"
#include "proto/rfc5322_field.h"

/*
 * What clients ask for of every message of a list: to show, thread, sort, filter and mark it. Thunderbird,
 * Apple Mail (DKIM-Signature and the BIMI fields since 2022), Outlook, K-9, FairEmail, mutt, Evolution, Roundcube,
 * Delta Chat, isync. Left out is what is big and asked for of one message only: Received, ARC-*. Without regard to
 * case in the order of the alphabet.
 */
static const char *const names[] = {
	"Archived-At", "Authentication-Results", "Auto-Submitted", "Autocrypt-Setup-Message", "Bcc",
	"BIMI-Indicator", "BIMI-Location", "Cc", "Chat-Is-Post-Message", "Chat-Version", "Comments",
	"Content-Class", "Content-Description", "Content-Disposition", "Content-ID", "Content-Language",
	"Content-Location", "Content-MD5", "Content-Transfer-Encoding", "Content-Type", "Date", "Delivered-To",
	"Disposition-Notification-To", "DKIM-Signature", "Envelope-To", "Errors-To", "Followup-To", "From",
	"Importance", "In-Reply-To", "Keywords", "Lines", "List-Archive", "List-Help", "List-ID", "List-Owner",
	"List-Post", "List-Subscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "Mail-Followup-To",
	"Mail-Reply-To", "Mailing-List", "Message-ID", "MIME-Version", "Newsgroups", "Organization", "Originator",
	"Precedence", "Priority", "References", "Reply-To", "Resent-Date", "Resent-From", "Resent-Message-ID",
	"Resent-To", "Return-Path", "Return-Receipt-To", "Sender", "Sensitivity", "Status", "Subject", "To",
	"User-Agent", "X-BeenThere", "X-BIMI-Indicator-Hash", "X-Draft-Info", "X-K9mail-Identity", "X-Label",
	"X-List", "X-Loop", "X-Mailer", "X-Mailing-List", "X-Mozilla-Draft-Info", "X-MSMail-Priority",
	"X-Original-To", "X-Priority", "X-Spam-Flag", "X-Spam-Level", "X-Spam-Score", "X-Spam-Status", "X-Status",
	"X-TUID", "X-Uniform-Type-Identifier", "X-Universally-Unique-Identifier",
};

static int
name_order(const void *key, const void *element)
{
	const struct bytes *name = key, other = text(*(const char *const *)element);
	size_t i;

	for (i = 0; i < name->n && i < other.n; i++) {
		int order = ascii_lower(name->p[i]) - ascii_lower(other.p[i]);

		if (order != 0)
			return order;
	}
	return (name->n > other.n) - (name->n < other.n);
}

bool
mail_digest_field(struct bytes name)
{
	return bsearch(&name, names, LEN(names), sizeof *names, name_order) != NULL;
}

static void
put_crlf(struct bytes s, struct buf *out)
{
	struct crlf_text t = { .rest = s };
	size_t n = s.n + bytes_bare_lfs(s);
	unsigned char *room = buf_room(out, n);

	if (room != NULL)
		out->n += crlf_text_get(&t, room, n);
}

static void
put_fields(struct bytes header, struct buf *out)
{
	struct field f;
	struct bytes rest = header;

	while (!out->full && field_next(&header, &f)) {
		rest = header;
		if (mail_digest_field(f.name))
			put_crlf(f.whole, out);
	}
	put_crlf(bytes_head(rest, rest.n - header.n), out);	/* the empty line */
}

/* What was put into room from `at` on; nothing, when it did not fit. */
static size_t
finish(struct buf *room, size_t at)
{
	if (room->full) {
		room->n = at;
		room->full = false;
	}
	return room->n - at;
}

void
mail_digest_tree(const struct mime_tree *t, struct arena *scratch, struct buf *room, struct index_data *out)
{
	struct mime_range head = mime_part_header(t->root), body = mime_part_body(t->root);
	struct bytes header = bytes_head(t->text, head.n < MIME_HEADER_MAX ? head.n : MIME_HEADER_MAX);
	size_t max = room->max, envelope, structure, fields;

	buf_clear(room);
	room->max = max < MAIL_DIGEST_MAX ? max : MAIL_DIGEST_MAX;
	imap_envelope(header, scratch, room);
	envelope = finish(room, 0);
	imap_body(t, IMAP_EXTENDED, scratch, room);
	structure = finish(room, envelope);
	put_fields(header, room);
	fields = finish(room, envelope + structure);
	room->max = max;
	*out = (struct index_data){
		.octets = (uint64_t)head.sent + body.sent,
		.envelope = bytes_of(room->p, envelope),
		.structure = bytes_of(room->p + envelope, structure),
		.fields = bytes_of(room->p + envelope + structure, fields),
	};
}

void
mail_digest(struct bytes message, struct arena *a, struct buf *room, struct index_data *out)
{
	struct arena *scratch = arena_new(IMAP_SCRATCH);
	struct mime_tree t;

	mime_tree_parse(message, a, &t);
	mail_digest_tree(&t, scratch, room, out);
	arena_free(&scratch);
}
