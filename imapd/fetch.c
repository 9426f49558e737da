/* SPDX-License-Identifier: ISC */
/*
 * imapd/fetch.c - FETCH and UID FETCH: RFC 3501 sections 6.4.5, 7.4.2; RFC 7162 section 3.1.4.
 *
 * What is asked of all messages of a mailbox is sent from the index; else a message is read once for all of
 * its items, and what the index wants of it is kept. Nothing is sent of a message before all of it that can fail
 * has not failed: one that is gone has no answer (RFC 2180 section 4.1.2). A literal that cannot be filled
 * ends the session.
 */
#include "imapd/imapd.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "imapd/message.h"
#include "mail/digest.h"
#include "proto/imap_structure.h"

#define PIECE		65536		/* octets put into s->out at once */
#define STRUCTURE_MAX	(64u << 20)	/* octets of ENVELOPE and BODY of one message together */

/* One FETCH. */
struct fetch {
	struct session	*s;
	const struct imap_fetch *want;
	unsigned	items;		/* of enum imap_item; UID FETCH has UID */
	bool		*kept;		/* for each section: the index has all of its fields; in s->arena */
	bool		partial;	/* there is a section in pieces: more of them will be asked for */
	struct buf	printed;	/* owned; structures that the index has not */
	char		before;		/* stands before the next item: "(" or " " */
	bool		gone, failed, large;	/* messages that were passed over */
};

/* One message of it. */
struct one {
	struct told	*told;
	size_t		number, i;	/* message number; index for mailbox.h */
	struct mail	*mail;
	struct index_data data;		/* what is empty is not known */
	bool		cached;		/* data is the index's */
	struct message	*text;		/* NULL: it was not needed */
	struct bytes	header;		/* all that was needed of it, as sent; p NULL: more was */
	struct mail_reader *reader;	/* owned; sections are read through it */
	uint64_t	octets;		/* as sent */
	int64_t		date_s;
	struct bytes	envelope, structure, body;
};

/* ---- literals ---- */

/* RFC 3501 section 9: a literal has no NUL; and neither has a message, RFC 5322 section 2.2. */
static void
replace_nul(unsigned char *p, size_t n)
{
	unsigned char *nul;

	while (n > 0 && (nul = memchr(p, 0, n)) != NULL) {
		*nul = '?';
		n -= (size_t)(nul + 1 - p);
		p = nul + 1;
	}
}

static unsigned char *
out_room(struct session *s, size_t n)
{
	unsigned char *p = buf_room(&s->out, n);

	must(p != NULL);		/* it has room for OUT_AT and what is put at once */
	return p;
}

static void
out_filled(struct session *s, unsigned char *p, size_t n)
{
	replace_nul(p, n);
	s->out.n += n;
	flush_if_much(s);
}

/* The next n octets of t, as many as there are. */
static uint64_t
put_text(struct session *s, struct crlf_text *t, uint64_t n)
{
	uint64_t done = 0;

	while (done < n && t->rest.n > 0 && !s->broken) {
		size_t room = n - done < PIECE ? (size_t)(n - done) : PIECE;
		unsigned char *p = out_room(s, room);
		size_t got = crlf_text_get(t, p, room);

		out_filled(s, p, got);
		done += got;
	}
	return done;
}

/* A section that is one piece goes on where the last FETCH of it ended, if it did. */
static void
put_piece(struct session *s, struct bytes section, uint64_t skip, uint64_t n)
{
	struct message *m = s->message;
	struct crlf_text t = { .rest = section };

	if (m->mark.section.p == section.p && m->mark.section.n == section.n && m->mark.sent == skip)
		t = m->mark.text;
	else
		crlf_text_skip(&t, skip);
	put_text(s, &t, n);
	m->mark.section = section;
	m->mark.sent = skip + n;
	m->mark.text = t;
}

/* n octets of the pieces, behind the first `skip`. They are there. */
static void
put_pieces(struct session *s, struct imap_pieces *p, uint64_t skip, uint64_t n)
{
	struct bytes piece;

	while (n > 0 && imap_section_next(p, &piece)) {
		struct crlf_text t = { .rest = piece };

		skip -= crlf_text_skip(&t, skip);
		n -= put_text(s, &t, n);
	}
}

/* The message is not as long as we have said, or cannot be read any more. There is no way to say so. */
static void
break_off(struct fetch *f, const struct one *o, long got)
{
	if (got < 0)
		log_errno("%.*s: cannot read message uid %u", BYTES_FMT(f->s->start->session_id),
		    (unsigned)o->told->uid);
	else
		log_warn("%.*s: message uid %u has changed while it was sent",
		    BYTES_FMT(f->s->start->session_id), (unsigned)o->told->uid);
	flush(f->s);
	f->s->broken = true;
}

/* Octets of the reader to nowhere. False: there are not so many. */
static bool
skip_read(struct mail_reader *r, uint64_t n, long *got)
{
	static unsigned char nowhere[PIECE];

	for (*got = 1; n > 0; n -= (uint64_t)*got) {
		*got = mail_reader_get(r, nowhere, n < PIECE ? (size_t)n : PIECE);
		if (*got <= 0)
			return false;
	}
	return true;
}

/* As put_pieces, of the whole message, which is too large to be in memory. */
static void
put_read(struct fetch *f, struct one *o, uint64_t skip, uint64_t n)
{
	bool to_end = skip + n == o->octets;
	unsigned char more[1];
	long got = 0;

	if (o->reader == NULL)
		o->reader = mailbox_read(f->s->view.box, o->i);
	if (o->reader == NULL || !skip_read(o->reader, skip, &got)) {
		break_off(f, o, o->reader == NULL ? -1 : got);
		return;
	}
	while (n > 0 && !f->s->broken) {
		size_t room = n < PIECE ? (size_t)n : PIECE;
		unsigned char *p = out_room(f->s, room);

		if ((got = mail_reader_get(o->reader, p, room)) <= 0) {
			break_off(f, o, got);
			break;
		}
		out_filled(f->s, p, (size_t)got);
		n -= (uint64_t)got;
	}
	if (to_end && !f->s->broken && (got = mail_reader_get(o->reader, more, sizeof more)) != 0)
		break_off(f, o, got);
	mail_reader_free(&o->reader);
}

/* ---- what is needed of a message ---- */

/* What there must be at hand of a message; for a section, and for several. */
enum { NOTHING = 0, ITS_HEADER = 1, WHOLE = 2, TREE = 4 };

static unsigned
section_needs(const struct imap_section *x)
{
	if (x->part_count > 0 || x->what == IMAP_PART_TEXT)
		return TREE;
	return x->what == IMAP_PART_ALL ? WHOLE : ITS_HEADER;
}

/* Of header fields alone, and the index has them all. */
static bool
is_kept(const struct imap_section *x)
{
	size_t i;

	if (x->part_count > 0 || x->what != IMAP_PART_FIELDS)
		return false;
	for (i = 0; i < x->fields.n; i++)
		if (!mail_digest_field(x->fields.name[i]))
			return false;
	return true;
}

static bool
from_index(const struct fetch *f, const struct one *o, size_t section)
{
	return f->kept[section] && o->data.fields.n > 0;
}

/* Is there a structure that the index has not? */
static bool
needs_structure(const struct fetch *f, const struct one *o)
{
	return (f->items & IMAP_ITEM_BODY) != 0
	    || ((f->items & IMAP_ITEM_ENVELOPE) != 0 && o->data.envelope.n == 0)
	    || ((f->items & IMAP_ITEM_BODYSTRUCTURE) != 0 && o->data.structure.n == 0);
}

/* Of all sections that the index has not. */
static unsigned
needs(const struct fetch *f, const struct one *o)
{
	const struct imap_section *x;
	unsigned all = needs_structure(f, o) ? TREE : NOTHING;
	size_t i;

	for (x = f->want->sections, i = 0; x != NULL; x = x->next, i++)
		if (!from_index(f, o, i))
			all |= section_needs(x);
	return all;
}

/* So large that it is sent without being in memory. */
static bool
open_reader(struct fetch *f, struct one *o)
{
	struct mailbox *box = f->s->view.box;

	if (!mailbox_size(box, o->i) || (o->reader = mailbox_read(box, o->i)) == NULL)
		return false;
	o->octets = o->mail->octets;
	errno = EFBIG;
	return o->octets <= UINT32_MAX;		/* what a literal can have */
}

/* Reads of the message what must be read. False: errno. */
static bool
read_text(struct fetch *f, struct one *o)
{
	unsigned all = needs(f, o);
	bool size = (f->items & IMAP_ITEM_SIZE) != 0 && !o->cached && !o->mail->sized;
	size_t max = all != WHOLE ? MESSAGE_MAX : f->partial ? MESSAGE_KEPT : MESSAGE_SMALL;
	bool at_hand = message_at_hand(f->s, o->i);

	if (all == NOTHING && !size)
		return true;
	if (all == ITS_HEADER && o->cached && !at_hand && message_header(f->s, o->i, &o->header))
		return true;
	if (all == WHOLE && o->mail->sized && o->mail->octets / 2 > max && !at_hand)
		return open_reader(f, o);
	o->text = message_read(f->s, o->i, max);
	if (o->text == NULL)
		return all == WHOLE && errno == EFBIG && open_reader(f, o);
	if (!o->cached) {
		message_digest(o->text, &o->data);
		mailbox_data_keep(f->s->view.box, o->i, &o->data);
		o->octets = o->data.octets;
	}
	return true;
}

/* Prints what the index has not. */
static bool
print_structure(struct fetch *f, struct one *o)
{
	size_t envelope, structure, body;

	o->envelope = o->data.envelope;
	o->structure = o->data.structure;
	if (!needs_structure(f, o))
		return true;
	buf_clear(&f->printed);
	if (o->envelope.n == 0 && (f->items & IMAP_ITEM_ENVELOPE) != 0) {
		struct mime_range r = mime_part_header(message_tree(o->text)->root);

		imap_envelope(bytes_head(buf_bytes(&o->text->text), r.n), o->text->scratch, &f->printed);
	}
	envelope = f->printed.n;
	if (o->structure.n == 0 && (f->items & IMAP_ITEM_BODYSTRUCTURE) != 0)
		imap_body(message_tree(o->text), IMAP_EXTENDED, o->text->scratch, &f->printed);
	structure = f->printed.n - envelope;
	if ((f->items & IMAP_ITEM_BODY) != 0)
		imap_body(message_tree(o->text), 0, o->text->scratch, &f->printed);
	body = f->printed.n - envelope - structure;
	if (envelope > 0)
		o->envelope = bytes_of(f->printed.p, envelope);
	if (structure > 0)
		o->structure = bytes_of(f->printed.p + envelope, structure);
	o->body = bytes_of(f->printed.p + envelope + structure, body);
	errno = EFBIG;
	return !f->printed.full;
}

/* All that can fail. What is only the view's needs no message: it may be gone. False: errno. */
static bool
prepare(struct fetch *f, struct one *o, size_t place)
{
	struct mailbox *box = f->s->view.box;

	if ((f->items & ~(IMAP_ITEM_UID | IMAP_ITEM_FLAGS | IMAP_ITEM_MODSEQ)) == 0
	    && f->want->section_count == 0)
		return true;
	errno = ENOENT;
	if ((o->mail = view_mail(f->s, place, &o->i)) == NULL
	    || ((f->items & IMAP_ITEM_INTERNALDATE) != 0 && !mailbox_date(box, o->i, &o->date_s)))
		return false;
	o->cached = mailbox_data(box, o->i, &o->data);
	o->octets = o->cached ? o->data.octets : o->mail->octets;
	return read_text(f, o) && print_structure(f, o);
}

/* ---- what is said ---- */

static void
put_label(struct fetch *f, const char *label)
{
	buf_char(&f->s->out, (unsigned char)f->before);
	buf_text(&f->s->out, label);
	f->before = ' ';
}

/* "17-Jul-1996 02:44:25 -0700": RFC 3501 section 9, date-time. */
static void
put_date(struct fetch *f, int64_t wall_s)
{
	char date[CLOCK_DATE_MAX], *day = strchr(clock_date(wall_s, date), ' ') + 1;
	char *month = strchr(day, ' '), *year = strchr(month + 1, ' ');

	*month = *year = '-';
	put_label(f, month - day == 1 ? "INTERNALDATE \"0" : "INTERNALDATE \"");
	buf_text(&f->s->out, day);
	buf_char(&f->s->out, '"');
}

static void
put_long(struct session *s, struct bytes octets)
{
	while (octets.n > 0 && !s->broken) {
		unsigned char *p = out_room(s, octets.n < PIECE ? octets.n : PIECE);
		size_t n = octets.n < PIECE ? octets.n : PIECE;

		memcpy(p, octets.p, n);
		out_filled(s, p, n);
		octets = bytes_skip(octets, n);
	}
}

/* FLAGS too when they have changed, since nobody else tells it while this command runs; and with them, for who
 * knows of it, MODSEQ (RFC 7162 section 3.1). */
static void
put_dynamic(struct fetch *f, const struct one *o)
{
	bool flags = (f->items & IMAP_ITEM_FLAGS) != 0 || o->told->changed;
	struct buf *out = &f->s->out;

	if (flags) {
		put_label(f, "FLAGS (");
		put_flags(f->s, o->told->flags, o->told->recent);
		buf_char(out, ')');
		o->told->changed = false;
	}
	if ((f->items & IMAP_ITEM_MODSEQ) != 0 || (flags && f->s->condstore)) {
		put_label(f, "MODSEQ (");
		buf_decimal(out, o->told->modseq);
		buf_char(out, ')');
	}
}

static void
put_structures(struct fetch *f, const struct one *o)
{
	if ((f->items & IMAP_ITEM_ENVELOPE) != 0) {
		put_label(f, "ENVELOPE ");
		put_long(f->s, o->envelope);
	}
	if ((f->items & IMAP_ITEM_BODY) != 0) {
		put_label(f, "BODY ");
		put_long(f->s, o->body);
	}
	if ((f->items & IMAP_ITEM_BODYSTRUCTURE) != 0) {
		put_label(f, "BODYSTRUCTURE ");
		put_long(f->s, o->structure);
	}
}

/* The text of a section, if it is at hand; else it is all of the message. False: there is no such part. */
static bool
find_section(const struct one *o, const struct imap_section *x, bool kept, struct imap_pieces *p)
{
	*p = (struct imap_pieces){ .octets = o->octets };
	if (kept)
		imap_section_fields(o->data.fields, x, p);
	else if (o->text != NULL)
		return imap_section_find(message_tree(o->text), x, p);
	else if (o->header.p != NULL && x->what != IMAP_PART_HEADER)
		imap_section_fields(o->header, x, p);
	else if (o->header.p != NULL)
		*p = (struct imap_pieces){ .rest = o->header, .octets = o->header.n };
	return true;
}

static void
put_section(struct fetch *f, struct one *o, const struct imap_section *x, bool kept)
{
	struct imap_pieces p;
	uint64_t octets, skip, n;

	put_label(f, "");
	imap_section_name(x, &f->s->out);
	if (!find_section(o, x, kept, &p)) {
		buf_text(&f->s->out, " NIL");
		return;
	}
	octets = imap_section_octets(p);
	skip = x->partial ? x->first < octets ? x->first : octets : 0;
	n = x->partial && x->octets < octets - skip ? x->octets : octets - skip;
	buf_fmt(&f->s->out, n > 0 ? " {%llu}\r\n" : " \"\"", (unsigned long long)n);
	if (!kept && o->text == NULL && o->header.p == NULL)
		put_read(f, o, skip, n);
	else if (o->text != NULL && p.fields == NULL)
		put_piece(f->s, p.rest, skip, n);
	else
		put_pieces(f->s, &p, skip, n);
	flush_if_much(f->s);
}

/* What is small comes first: a client may use it while the rest arrives. */
static void
put_response(struct fetch *f, struct one *o)
{
	const struct imap_section *x;
	size_t i;

	buf_text(&f->s->out, "* ");
	buf_decimal(&f->s->out, o->number);
	buf_text(&f->s->out, " FETCH ");
	f->before = '(';
	if ((f->items & IMAP_ITEM_UID) != 0) {
		put_label(f, "UID ");
		buf_decimal(&f->s->out, o->told->uid);
	}
	put_dynamic(f, o);
	if ((f->items & IMAP_ITEM_INTERNALDATE) != 0)
		put_date(f, o->date_s);
	if ((f->items & IMAP_ITEM_SIZE) != 0) {
		put_label(f, "RFC822.SIZE ");
		buf_decimal(&f->s->out, o->octets < UINT32_MAX ? o->octets : UINT32_MAX);
	}
	put_structures(f, o);
	for (x = f->want->sections, i = 0; x != NULL && !f->s->broken; x = x->next, i++)
		put_section(f, o, x, from_index(f, o, i));
	if (f->s->broken)		/* perhaps in a literal: nothing may follow */
		return;
	buf_text(&f->s->out, ")\r\n");
	flush_if_much(f->s);
}

/* ---- the command ---- */

static void
fetch_one(struct fetch *f, size_t place)
{
	struct one o = { .told = &f->s->view.told[place], .number = place + 1 };

	if (prepare(f, &o, place)) {
		put_response(f, &o);
	} else if (errno == ENOENT) {
		f->gone = true;
	} else if (errno == EFBIG) {
		f->large = true;
	} else {
		log_errno("%.*s: cannot read message uid %u", BYTES_FMT(f->s->start->session_id),
		    (unsigned)o.told->uid);
		f->failed = true;
	}
	mail_reader_free(&o.reader);
}

/* RFC 7162 section 3.1.4.1. */
static void
leave_changed(const struct session *s, uint64_t since, struct places *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		if (s->view.told[p->at[i]].modseq > since)
			p->at[n++] = p->at[i];
	p->n = n;
}

/* True: a section that is looked at is seen by that. */
static bool
look_at_sections(struct fetch *f)
{
	const struct imap_section *x;
	bool seen = false;
	size_t i;

	f->kept = arena_array(f->s->arena, f->want->section_count + 1, sizeof *f->kept);
	for (x = f->want->sections, i = 0; x != NULL; x = x->next, i++) {
		f->kept[i] = is_kept(x);
		f->partial = f->partial || x->partial;
		seen = seen || !x->peek;
	}
	return seen;
}

/* What others did is told behind what was asked for: there are clients that take the first response of a FETCH for its
 * answer, and an EXISTS or another message's flags for a broken one (curl, fetchmail; getmail takes it for the message). */
static void
finish(struct fetch *f, const struct imap_cmd *cmd)
{
	message_rest(f->s, f->partial ? MESSAGE_KEPT : MESSAGE_SMALL);
	buf_fini(&f->printed);
	view_update(f->s, cmd->uid);
	if (f->s->broken || f->s->quit)
		return;
	if (f->failed)
		reply(f->s, cmd, "NO [UNAVAILABLE] some of the messages cannot be read now");
	else if (f->large)
		reply(f->s, cmd, "NO [LIMIT] some of the messages are too large to be taken apart");
	else if (f->gone && !cmd->uid)		/* by UID it is as if there had been none: RFC 3501 section 6.4.8 */
		reply(f->s, cmd, "NO [EXPUNGEISSUED] some of the messages are gone");
	else
		reply(f->s, cmd, "OK FETCH completed");
}

void
do_fetch(struct session *s, struct imap_cmd *cmd)
{
	struct fetch f = { .s = s, .want = &cmd->fetch,
		.items = cmd->fetch.items | (cmd->uid ? IMAP_ITEM_UID : 0) };
	struct places places;

	if (!view_places(s, cmd, &places))
		return;
	if ((f.items & IMAP_ITEM_MODSEQ) != 0)
		view_condstore(s);
	if (f.want->changedsince)
		leave_changed(s, f.want->modseq, &places);
	if (look_at_sections(&f) && !s->view.read_only)
		view_mark_seen(s, &places);
	buf_init(&f.printed, STRUCTURE_MAX);
	for (size_t i = 0; i < places.n && !s->broken; i++)
		fetch_one(&f, places.at[i]);
	finish(&f, cmd);
}
