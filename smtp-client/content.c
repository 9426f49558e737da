/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/content.c - the message as one server gets it: joined from the queue file, and converted where that server
 * takes less than the message needs (mail/downgrade.h). A converted message is written twice, to count what comes out
 * (SIZE has to be right) and to send it, and before each it is looked at. All of that is done in steps, so that others
 * have their turn.
 */
#include <errno.h>

#include "base/log.h"
#include "smtp-client/client.h"

#define STEP		262144u		/* octets that are looked at in one turn of the loop */
#define WRITTEN_MAX	(5u * SMTP_CLIENT_PIECE + 2u * DOWNGRADE_HEADER_MAX + 4096u)	/* what one piece may bring forth */

static void
rewind_content(struct content *c)
{
	segment_reader_init(&c->reader, c->file, c->segments);
	c->left = c->stored;
	c->ended = false;
}

/* The next piece as it is stored; false: it cannot be read. */
static bool
read_stored(struct content *c, unsigned char piece[SMTP_CLIENT_PIECE], size_t *n)
{
	long got;

	*n = c->left < SMTP_CLIENT_PIECE ? (size_t)c->left : SMTP_CLIENT_PIECE;
	got = segment_reader_read(&c->reader, piece, *n);
	if (got != -1 && got != (long)*n)
		errno = EIO;
	c->left -= *n;
	return got == (long)*n;
}

/* ---- what is sent ---- */

/* Converts until there is something to be sent, or nothing is left. */
static bool
convert_more(struct content *c)
{
	unsigned char piece[SMTP_CLIENT_PIECE];
	size_t n;

	buf_clear(&c->written);
	c->taken = 0;
	while (c->written.n == 0 && !c->ended) {
		if (c->left == 0) {
			c->ended = true;
			if (!downgrade_end(c->downgrade, &c->written))
				return false;
		} else if (!read_stored(c, piece, &n)
		    || !downgrade_write(c->downgrade, bytes_of(piece, n), &c->written)) {
			return false;
		}
	}
	return !c->written.full;
}

bool
content_read(struct content *c, unsigned char piece[SMTP_CLIENT_PIECE], size_t *n)
{
	struct bytes rest;

	if (c->unreadable) {
		errno = EIO;
		return false;
	}
	if (!c->converts) {
		if (!read_stored(c, piece, n))
			return false;
		c->octets -= *n;
		return true;
	}
	if (c->taken == c->written.n && !convert_more(c)) {
		errno = EIO;			/* it is not what it was when it was looked at */
		return false;
	}
	rest = bytes_head(bytes_skip(buf_bytes(&c->written), c->taken), SMTP_CLIENT_PIECE);
	if (rest.n > c->octets || (rest.n == 0 && c->octets > 0)) {
		errno = EIO;
		return false;
	}
	memcpy(piece, rest.p, rest.n);
	*n = rest.n;
	c->taken += rest.n;
	c->octets -= rest.n;
	return true;
}

/* ---- the looks before ---- */

static void
finish(struct content *c, enum downgrade_result result)
{
	if (result != DOWNGRADE_POSSIBLE) {
		downgrade_free(&c->downgrade);
		c->octets = c->stored;
	}
	rewind_content(c);
	c->done(c->arg, result);
}

/* Neither the message nor the server is at fault: sending it will say so. */
static void
unreadable(struct content *c)
{
	c->unreadable = true;
	finish(c, DOWNGRADE_NEEDLESS);
}

static void
looked(struct content *c)
{
	const char *status, *why;
	enum downgrade_result result = downgrade_looked(c->downgrade, &status, &why);

	if (result == DOWNGRADE_IMPOSSIBLE)
		log_info("a message cannot be made fit for a server: %s %s", status, why);
	rewind_content(c);
	buf_clear(&c->written);
	c->taken = 0;
	if (result == DOWNGRADE_POSSIBLE && c->stage == CONTENT_LOOK) {
		c->stage = CONTENT_COUNT;
		c->octets = 0;
		timer_set(&c->turn, 0);
		return;
	}
	c->converts = result == DOWNGRADE_POSSIBLE;
	finish(c, result);
}

static void
look_at_some(struct content *c)
{
	unsigned char piece[SMTP_CLIENT_PIECE];
	size_t n;

	for (size_t i = 0; i < STEP / SMTP_CLIENT_PIECE && c->left > 0; i++) {
		if (!read_stored(c, piece, &n)) {
			unreadable(c);
			return;
		}
		downgrade_look(c->downgrade, bytes_of(piece, n));
	}
	if (c->left > 0)
		timer_set(&c->turn, 0);
	else
		looked(c);
}

static void
count_some(struct content *c)
{
	for (size_t i = 0; i < STEP / SMTP_CLIENT_PIECE && !c->ended; i++) {
		if (!convert_more(c)) {
			unreadable(c);
			return;
		}
		c->octets += c->written.n;
	}
	if (c->ended) {			/* and once more from the start, with a fresh eye */
		downgrade_free(&c->downgrade);
		c->downgrade = downgrade_new(c->what);
		rewind_content(c);
		c->stage = CONTENT_LOOK_AGAIN;
	}
	timer_set(&c->turn, 0);
}

static void
on_turn(void *arg)
{
	struct content *c = arg;

	if (c->stage == CONTENT_COUNT)
		count_some(c);
	else
		look_at_some(c);
}

void
content_init(struct content *c, int file, struct bytes segments, uint64_t octets)
{
	*c = (struct content){ .file = file, .segments = segments, .stored = octets, .octets = octets };
	rewind_content(c);
}

void
content_convert(struct content *c, struct loop *l, unsigned what, void (*on_done)(void *, enum downgrade_result), void *arg)
{
	c->what = what;
	c->done = on_done;
	c->arg = arg;
	c->downgrade = downgrade_new(what);
	buf_init(&c->written, WRITTEN_MAX);
	timer_init(&c->turn, l, on_turn, c);
	timer_set(&c->turn, 0);
}

void
content_fini(struct content *c)
{
	if (c->done)
		timer_clear(&c->turn);
	downgrade_free(&c->downgrade);
	buf_fini(&c->written);
	c->done = NULL;
}
