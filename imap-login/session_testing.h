/* SPDX-License-Identifier: ISC */
/*
 * imap-login/session_testing.h - a session without a client, auth and become: for the
 * test and the fuzz target alone. What it asks of daemon/login.c is written among its
 * replies, between < and >; what auth then says stands in a script, a letter each:
 *
 *	c	a challenge, "what?"		C	an empty one
 *	f	wrong				u	unavailable
 *	o	right: the session begins; testing_end shows what goes on with it
 */
#ifndef IMAP_LOGIN_SESSION_TESTING_H
#define IMAP_LOGIN_SESSION_TESTING_H

#include "base/encode.h"
#include "base/mem.h"
#include "imap-login/imap_login.h"

struct testing {
	struct login_session s;
	struct buf	in;
	const char	*script;	/* at its end: f */
	bool		begun;		/* the session */
};

/* The first octets; NUL as "|", other controls as "~". */
static inline void
testing_show(struct buf *out, struct bytes octets)
{
	for (size_t i = 0; i < octets.n && i < 64; i++)
		buf_char(out, octets.p[i] == '\0' ? '|' : octets.p[i] < ' ' ? '~' : octets.p[i]);
}

/* Instead of daemon/login.c's. */
void
login_auth(struct login_session *s, struct bytes mechanism, const struct bytes *initial)
{
	buf_fmt(&s->conn.out, "<auth %.*s", BYTES_FMT(mechanism));
	if (initial != NULL) {
		buf_fmt(&s->conn.out, " %zu ", initial->n);
		testing_show(&s->conn.out, *initial);
	}
	buf_text(&s->conn.out, ">\r\n");
	s->guest.waiting = true;
}

void
login_respond(struct login_session *s, struct bytes response)
{
	buf_fmt(&s->conn.out, "<respond %zu ", response.n);
	testing_show(&s->conn.out, response);
	buf_text(&s->conn.out, ">\r\n");
	s->guest.waiting = true;
}

void
login_cancel(struct login_session *s)
{
	buf_text(&s->conn.out, "<cancel>\r\n");
	s->guest.waiting = true;
}

void
login_start_tls(struct login_session *s, struct bytes rest, const char *ready)
{
	buf_fmt(&s->conn.out, "<tls %zu behind, %.*s>\r\n", rest.n, (int)strcspn(ready, "\r"), ready);
	s->guest.ending = true;
}

void
login_end(struct login_session *s, const char *why)
{
	buf_fmt(&s->conn.out, "<end%s%s>\r\n", why != NULL ? ": " : "", why != NULL ? why : "");
	s->guest.ending = true;
}

static inline void
testing_init(struct testing *t, bool may_log_in, const char *script)
{
	*t = (struct testing){ .script = script };
	t->s.may_log_in = may_log_in;
	snprintf(t->s.mechanisms, sizeof t->s.mechanisms, "PLAIN LOGIN");
	t->s.state = mem_alloc(imap_login_protocol.state_octets);
	buf_init(&t->in, 1 << 20);
	buf_init(&t->s.conn.out, 1 << 24);
	imap_login_protocol.greet(&t->s);
}

static inline void
testing_fini(struct testing *t)
{
	imap_login_protocol.fini(&t->s);
	mem_free(t->s.state);
	buf_fini(&t->in);
	buf_fini(&t->s.conn.out);
}

static inline void
testing_answer(struct testing *t)
{
	const struct login_protocol *p = &imap_login_protocol;
	char a = *t->script != '\0' ? *t->script++ : 'f';

	t->s.guest.waiting = false;
	if (a == 'c' || a == 'C') {
		p->challenge(&t->s, text(a == 'c' ? "what?" : ""));
	} else if (a == 'o') {
		p->welcome(&t->s, &t->s.conn.out);
		t->begun = t->s.guest.ending = true;
	} else {
		p->failed(&t->s, a == 'u', text(a == 'u' ? "try again later" : ""));
	}
}

/* As run() of daemon/login.c has it. */
static inline void
testing_feed(struct testing *t, struct bytes piece)
{
	bool on = true;

	buf_add(&t->in, piece);
	while (on && !t->s.guest.ending) {
		struct bytes rest = buf_bytes(&t->in);
		size_t before = rest.n;

		on = imap_login_protocol.input(&t->s, &rest);
		buf_drop(&t->in, before - rest.n);
		if (t->s.guest.waiting) {
			testing_answer(t);
			on = true;
		}
	}
}

static inline void
testing_end(struct testing *t)
{
	if (t->begun)
		buf_fmt(&t->s.conn.out, "<session: %.*s>\r\n", BYTES_FMT(buf_bytes(&t->in)));
}

#endif
