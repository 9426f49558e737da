/* SPDX-License-Identifier: ISC */
/*
 * mail/notice_human.c - the part for people: who said what, when, in answer to what; what it means, and what can be done.
 */
#include <stdio.h>

#include "base/clock.h"
#include "mail/notice_advice.h"
#include "mail/notice_impl.h"
#include "mail/notice_words.h"
#include "proto/rfc5322_field.h"

#define LISTED_MAX	100	/* recipients in words; the part for programs has all */
#define SUBJECT_MAX	200	/* octets of the message's subject */
#define LINE_MAX_	16384	/* octets of a template's line with what its names stand for; more is left out */
#define REPLY_MAX	4096	/* octets of a reply; a frame has less */

/* ---- what the names of a template stand for --------------------------------------------------- */

static void
put_field(const struct notice *n, const char *name, size_t max, struct buf *out)
{
	struct field f;
	struct buf value;

	buf_init(&value, max);
	if (field_find(n->header, name, &f))
		words_of_field(&value, f.value, max);
	words_plain(out, value.n > 0 ? buf_bytes(&value) : text("(none)"), true);
	buf_fini(&value);
}

static void
put_date(struct buf *out, int64_t wall_s)
{
	char date[CLOCK_DATE_MAX];

	buf_text(out, clock_date(wall_s, date));
}

static void
put_value(const struct notice *n, enum notice_name name, struct buf *out)
{
	switch (name) {
	case NAME_HOSTNAME:	buf_text(out, n->rules->hostname); break;
	case NAME_POSTMASTER:	buf_fmt(out, "postmaster@%s", n->rules->hostname); break;
	case NAME_SENDER:	words_plain(out, bytes_head(n->envelope->sender, ADDRESS_MAX), true); break;
	case NAME_SUBJECT:	put_field(n, "Subject", SUBJECT_MAX, out); break;
	case NAME_MESSAGE_ID:	put_field(n, "Message-ID", SUBJECT_MAX, out); break;
	case NAME_ARRIVED:	put_date(out, n->envelope->arrival_s); break;
	case NAME_WAITED:	words_duration(out, n->now_s - n->envelope->arrival_s); break;
	case NAME_UNTIL:	put_date(out, notice_until_s(n)); break;
	case NAME_QUEUE_ID:	buf_text(out, n->about); break;
	case NAME_NONE:
	case NAME_RECIPIENTS:
	case NAME_RETURNED:	break;
	}
}

bool
human_has_8bit(const struct notice *n)
{
	struct buf all;
	bool any = n->text->eight_bit || !bytes_is_ascii(n->envelope->sender);

	buf_init(&all, LINE_MAX_);
	put_field(n, "Subject", SUBJECT_MAX, &all);
	put_field(n, "Message-ID", SUBJECT_MAX, &all);
	any = any || !bytes_is_ascii(buf_bytes(&all));
	buf_fini(&all);
	for (size_t i = 0; i < n->ntold && !any; i++) {
		const struct recipient *r = told_recipient(n, i);

		any = !bytes_is_ascii(r->original) || !bytes_is_ascii(r->final) || !bytes_is_ascii(r->last_reply)
		    || !bytes_is_ascii(r->remote) || !bytes_is_ascii(r->command) || !bytes_is_ascii(r->said);
	}
	return any;
}

/* ---- what became of a recipient --------------------------------------------------------------------- */

static void
say(struct buf *out, const char *indent, struct buf *words)
{
	words_wrap(out, indent, buf_bytes(words), true);
	buf_clear(words);
}

/* Commands in words; others stand for themselves. */
static void
put_command(struct buf *words, struct bytes command)
{
	static const struct { const char *command, *words; } known[] = {
		{ "connect", "" }, { "greeting", ", before anything was said" },
		{ "EHLO", ", when this host said who it is (EHLO)" }, { "HELO", ", when this host said who it is (HELO)" },
		{ "LHLO", ", when this host said who it is (LHLO)" },
		{ "STARTTLS", ", when encryption was to begin (STARTTLS)" }, { "AUTH", ", when this host logged in (AUTH)" },
		{ "MAIL", ", in answer to the sender's address (MAIL)" },
		{ "RCPT", ", in answer to the recipient's address (RCPT)" },
		{ "DATA", ", before it had seen the message (DATA)" }, { "content", ", when it had seen the message" },
	};

	if (command.n == 0)
		return;
	for (size_t i = 0; i < LEN(known); i++)
		if (bytes_eq(command, text(known[i].command))) {
			buf_text(words, known[i].words);
			return;
		}
	buf_text(words, ", in answer to ");
	words_plain(words, bytes_head(command, ADDRESS_MAX), true);
}

static void
put_when(struct buf *words, const struct recipient *r)
{
	char date[CLOCK_DATE_MAX];

	if (r->last_s > 0)
		buf_fmt(words, " on %s", clock_date(r->last_s, date));
}

/* Who speaks, when, to what; then the words. */
static void
say_reply(const struct notice *n, const struct recipient *r, struct buf *words, struct buf *out)
{
	struct bytes reply = r->last_reply;

	if (r->said.n > 0) {
		words_plain(words, r->remote.n > 0 ? bytes_head(r->remote, ADDRESS_MAX) : text("The other side"), true);
		buf_text(words, " said");
		reply = r->said;
	} else if (r->remote.n > 0) {
		buf_fmt(words, "This host, %s, called ", n->rules->hostname);
		words_plain(words, bytes_head(r->remote, ADDRESS_MAX), true);
	} else {
		buf_fmt(words, "This host, %s, said", n->rules->hostname);
	}
	put_when(words, r);
	put_command(words, r->command);
	buf_char(words, ':');
	if (reply.n == 0)
		buf_clear(words);
	say(out, "    ", words);
	if (reply.n > 0)
		buf_text(out, "\r\n");
	words_wrap(out, "        ", bytes_head(reply, REPLY_MAX), true);
	buf_text(out, "\r\n");
}

static void
say_failed(const struct notice *n, const struct recipient *r, struct buf *words, struct buf *out)
{
	const struct envelope *e = n->envelope;

	if (r->last_reply.n > 0 && r->last_reply.p[0] == '4') {
		buf_text(words, "It could not be delivered within ");
		words_duration(words, n->now_s - e->arrival_s);
		buf_fmt(words, ", in %u attempt%s, and is not tried any more. Of the last one:", (unsigned)r->attempts,
		    r->attempts == 1 ? "" : "s");
		say(out, "    ", words);
	}
}

static void
say_advice(const struct notice *n, size_t i, struct buf *out)
{
	const struct recipient *r = told_recipient(n, i);
	unsigned status[3];

	notice_status(n, i, status);
	words_wrap(out, "    ", text(notice_advice(status, r->said.n == 0 && r->remote.n == 0)), true);
}

static void
say_what(const struct notice *n, size_t i, struct buf *out)
{
	const struct recipient *r = told_recipient(n, i);
	struct buf words;

	buf_init(&words, 16384);
	switch (n->told[i].action) {
	case ACTION_FAILED:
		say_failed(n, r, &words, out);
		say_reply(n, r, &words, out);
		say_advice(n, i, out);
		break;
	case ACTION_DELAYED:
		say_reply(n, r, &words, out);
		break;
	case ACTION_DELIVERED:
		words_wrap(out, "    ", text("It is in the recipient's mailbox."), true);
		break;
	case ACTION_RELAYED:
		buf_text(&words, "It was handed on to ");
		words_plain(&words, r->remote.n > 0 ? bytes_head(r->remote, ADDRESS_MAX) : text("another mail system"), true);
		buf_text(&words, ", which does not tell what becomes of it.");
		say(out, "    ", &words);
		break;
	case ACTION_EXPANDED:
		words_wrap(out, "    ", text("It was handed on to the addresses behind this one. Nothing more is told of them but if "
		    "it cannot be delivered."), true);
		break;
	case ACTION_NONE:
		break;
	}
	buf_fini(&words);
}

/* Of one action, for one reason? Then it is said once, below all of them. */
static bool
is_same(const struct notice *n, size_t i, size_t k)
{
	const struct recipient *a = told_recipient(n, i), *b = told_recipient(n, k);

	return n->told[i].action == n->told[k].action && bytes_eq(a->remote, b->remote) && bytes_eq(a->command, b->command)
	    && bytes_eq(a->said, b->said) && bytes_eq(a->last_reply, b->last_reply) && a->attempts == b->attempts
	    && a->last_s == b->last_s;
}

static void
put_quoted(struct buf *out, const char *before, struct bytes address)
{
	struct buf line;

	buf_init(&line, ADDRESS_MAX + 64);
	buf_char(&line, '<');
	buf_add(&line, bytes_head(address, ADDRESS_MAX));
	buf_char(&line, '>');
	buf_text(out, before);
	words_wrap(out, "", buf_bytes(&line), true);
	buf_fini(&line);
}

/* One of several behind an alias is shown with it; postmaster is shown where anybody's mail goes. */
static void
put_recipient_line(const struct notice *n, size_t i, struct buf *out)
{
	const struct recipient *r = told_recipient(n, i);
	struct bytes address = notice_address(n, i);

	put_quoted(out, "", address);
	if (!bytes_eq(address, r->original) && r->original.n > 0)
		put_quoted(out, "    one of those behind ", r->original);
	else if (n->to_postmaster && !bytes_eq(address, r->final))
		put_quoted(out, "    which leads to ", r->final);
}

static bool
put_recipient(struct notice *n, struct buf *out)
{
	size_t i = n->at++;

	if (i == n->ntold)
		return false;
	if (i == LISTED_MAX) {
		buf_fmt(out, "... and %zu more: see the delivery report, which is the next part of this letter.\r\n\r\n",
		    n->ntold - i);
		return false;
	}
	put_recipient_line(n, i, out);
	if (i + 1 < n->ntold && i + 1 < LISTED_MAX && is_same(n, i, i + 1))
		return true;
	say_what(n, i, out);
	if (n->told[i].action != ACTION_DELAYED)	/* which ends in one */
		buf_text(out, "\r\n");
	return true;
}

/* ---- what is returned ------------------------------------------------------------------------------------- */

static void
put_returned(const struct notice *n, struct buf *out)
{
	struct buf words;

	buf_init(&words, 1024);
	if (n->returned == RETURN_MESSAGE)
		buf_text(&words, "The message is attached.");
	else if (n->returned == RETURN_HEADER)
		buf_text(&words, "The header of the message is attached.");
	if (n->returned == RETURN_HEADER && n->failed > 0 && n->look != NULL)
		buf_text(&words, " All of it cannot be: it has octets that may not be sent on this way.");
	else if (n->returned == RETURN_HEADER && n->failed > 0 && n->octets > n->rules->full_octets
	    && n->envelope->ret != RET_HDRS)
		buf_fmt(&words, " The message has %llu octets, more than are sent back.", (unsigned long long)n->octets);
	if (words.n > 0) {
		words_wrap(out, "", buf_bytes(&words), true);
		buf_text(out, "\r\n");
	}
	buf_fini(&words);
}

/* ---- line by line -------------------------------------------------------------------------------------------- */

void
human_begin(struct notice *n)
{
	n->body_left = n->text->body;
	n->in_recipients = false;
}

/* A line with its names filled in: as it stands where it is short, else in several, indented as it is. */
static void
put_line(struct bytes line, struct buf *out)
{
	char indent[24];
	size_t spaces = 0;

	while (spaces < line.n && spaces < sizeof indent - 1 && line.p[spaces] == ' ')
		spaces++;
	memset(indent, ' ', spaces);
	indent[spaces] = '\0';
	if (line.n > NOTICE_COLUMNS) {
		words_wrap(out, indent, line, true);
		return;
	}
	words_plain(out, line, true);
	buf_text(out, "\r\n");
}

/* Text up to a line's end goes into *line. True: the line has ended. */
static bool
take_words(struct notice *n, struct bytes words, struct buf *line)
{
	size_t lf = bytes_find(words, '\n');

	buf_add(line, bytes_head(words, lf));
	if (lf == words.n)
		return false;
	n->body_left = bytes_of(words.p + lf + 1, (size_t)(n->text->body.p + n->text->body.n - (words.p + lf + 1)));
	return true;
}

/* A line of the template. False: there was none. */
static bool
put_template_line(struct notice *n, struct buf *out)
{
	struct bytes words, trimmed;
	enum notice_name name;
	struct buf line;
	bool any = false;

	buf_init(&line, LINE_MAX_);
	while (notice_template_next(&n->body_left, &words, &name)) {
		any = true;
		if (name == NAME_RECIPIENTS) {
			n->in_recipients = true;
			n->at = 0;
			break;
		}
		if (name == NAME_RETURNED) {
			put_returned(n, out);
			break;
		}
		if (name != NAME_NONE)
			put_value(n, name, &line);
		else if (take_words(n, words, &line))
			break;
	}
	trimmed = buf_bytes(&line);
	while (trimmed.n > 0 && (trimmed.p[trimmed.n - 1] == ' ' || trimmed.p[trimmed.n - 1] == '\r'))
		trimmed.n--;
	if (any && name < NAME_RECIPIENTS)
		put_line(trimmed, out);
	buf_fini(&line);
	return any;
}

bool
human_next(struct notice *n, struct buf *out)
{
	if (!n->in_recipients)
		return put_template_line(n, out);
	n->in_recipients = put_recipient(n, out);
	return true;
}
