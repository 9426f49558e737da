/* SPDX-License-Identifier: ISC */
#include "proto/rfc5322_message_id.h"

enum state {
	NAME,		/* at the start of a line, or in what may be the field's name */
	SKIP,		/* in another field */
	BEFORE,		/* behind the colon */
	FOLD,		/* at the start of a line behind that: does the field go on? */
	IN,		/* in <> */
	IN_FOLD,	/* there, at the start of a line */
	BARE,		/* in an id without <> */
	DONE,		/* it was found, or the header section is over */
};

static const char field[] = "message-id";

void
message_id_init(struct message_id *m)
{
	m->state = NAME;
	m->matched = 0;
	m->n = 0;
}

static bool
is_space(unsigned char c)
{
	return c == ' ' || c == '\t';
}

static void
keep(struct message_id *m, unsigned char c)
{
	if (m->n < MESSAGE_ID_MAX)
		m->id[m->n++] = c;
}

/* An empty line is LF, or CR and LF: what stands before LF matched nothing then. */
static void
in_name(struct message_id *m, unsigned char c)
{
	if (c == '\n') {
		m->state = m->matched == 0 ? DONE : NAME;
		m->matched = 0;
	} else if (c == '\r' && m->matched == 0) {
		;
	} else if (m->matched < sizeof field - 1 && ascii_lower(c) == (unsigned char)field[m->matched]) {
		m->matched++;
	} else if (m->matched == sizeof field - 1 && c == ':') {
		m->state = BEFORE;
	} else if (m->matched < sizeof field - 1 || !is_space(c)) {
		m->state = SKIP;
	}
}

static void
next_line(struct message_id *m)
{
	m->state = NAME;
	m->matched = 0;
}

static void
take(struct message_id *m, unsigned char c)
{
	switch ((enum state)m->state) {
	case NAME:
		in_name(m, c);
		break;
	case SKIP:
		if (c == '\n')
			next_line(m);
		break;
	case FOLD:
	case IN_FOLD:
		if (is_space(c)) {
			m->state = m->state == FOLD ? BEFORE : IN;
			break;
		}
		m->n = 0;		/* the field ended without one */
		next_line(m);
		in_name(m, c);
		break;
	case BEFORE:
		if (c == '<') {
			m->state = IN;
		} else if (c == '\n') {
			m->state = FOLD;
		} else if (!is_space(c) && c != '\r') {
			m->state = BARE;
			keep(m, c);
		}
		break;
	case IN:
		if (c == '>')
			m->state = DONE;
		else if (c == '\n')
			m->state = IN_FOLD;
		else if (!is_space(c) && c != '\r')
			keep(m, c);
		break;
	case BARE:
		if (is_space(c) || c == '\r' || c == '\n')
			m->state = DONE;
		else
			keep(m, c);
		break;
	case DONE:
		break;
	}
}

void
message_id_feed(struct message_id *m, struct bytes content)
{
	for (size_t i = 0; i < content.n && m->state != DONE; i++)
		take(m, content.p[i]);
}

struct bytes
message_id_text(const struct message_id *m)
{
	return bytes_of(m->id, m->n);
}
