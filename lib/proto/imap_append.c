/* SPDX-License-Identifier: ISC */
#include "proto/imap_append.h"

/* append-message up to its literal: [SP flag-list] [SP date-time] SP */
static bool
take_options(struct imap_lex *l, struct imap_message *out)
{
	*out = (struct imap_message){ 0 };
	if (!imap_lex_sp(l))
		return false;
	if (imap_lex_at(l, '(') && (!imap_lex_flag_list(l, &out->flags) || !imap_lex_sp(l)))
		return false;
	out->dated = imap_lex_at(l, '"');
	return !out->dated || (imap_lex_date_time(l, &out->date) && imap_lex_sp(l));
}

bool
imap_append_parse(struct imap_lex *l, struct imap_append *out)
{
	struct imap_message **tail = &out->messages;

	*out = (struct imap_append){ 0 };
	do {
		if (out->message_count++ >= IMAP_MESSAGES_MAX)
			return imap_lex_complex(l, "too many messages");
		*tail = arena_alloc(l->arena, sizeof **tail);
		if (!take_options(l, *tail) || !imap_lex_octets(l, &(*tail)->content))
			return false;
		if ((*tail)->content.where == IMAP_COMING)
			return imap_lex_fail(l, "literal cut short");
		tail = &(*tail)->next;
	} while (!imap_lex_at_end(l));
	return true;
}

/* tag SP "APPEND" SP mailbox; false at the end of the text too: a literal in it is still to come. */
static bool
take_head(struct imap_append_scan *s, struct imap_lex *l)
{
	struct bytes tag;

	if (!imap_lex_tag(l, &tag) || !imap_lex_sp(l) || !imap_lex_keyword(l, "APPEND")) {
		s->other = true;
		return false;
	}
	if (!imap_lex_mailbox(l, &s->mailbox) || l->at == l->text.n)
		return false;
	s->mailbox = arena_copy(l->arena, s->mailbox);	/* the text moves when it grows */
	return true;
}

/* The message said last has been read, or passed on: what comes behind it. */
static bool
skip_message(struct imap_lex *l)
{
	struct imap_octets octets;

	return imap_lex_octets(l, &octets);
}

enum imap_append_literal
imap_append_scan(struct imap_append_scan *s, struct bytes text, struct arena *a,
    struct imap_message *out)
{
	struct imap_lex l;
	size_t start;

	if (s->other)
		return IMAP_LITERAL_ARGUMENT;
	imap_lex_init(&l, text, a);
	l.at = s->at < text.n ? s->at : text.n;
	if (s->at == 0 ? !take_head(s, &l) : !skip_message(&l)) {
		s->wrong = l.wrong;
		return s->other || l.at == text.n ? IMAP_LITERAL_ARGUMENT : IMAP_LITERAL_BAD;
	}
	if (!take_options(&l, out)) {
		s->wrong = l.wrong;
		return IMAP_LITERAL_BAD;
	}
	start = l.at;
	if (!imap_lex_octets(&l, &out->content) || l.at < text.n) {
		s->wrong = l.wrong != NULL ? l.wrong : "space expected";
		return IMAP_LITERAL_BAD;
	}
	s->at = start;
	if (s->message_count++ >= IMAP_MESSAGES_MAX) {
		s->wrong = "too many messages";
		return IMAP_LITERAL_BAD;
	}
	out->content.where = IMAP_COMING;	/* one of no octets too */
	return IMAP_LITERAL_MESSAGE;
}
