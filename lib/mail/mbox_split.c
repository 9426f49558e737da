/* SPDX-License-Identifier: ISC */
/*
 * mail/mbox_split.c - the pure half of mail/mbox.h.
 */
#include <stdio.h>
#include <time.h>

#include "base/encode.h"
#include "mail/mbox.h"

#define CHAIN 8			/* octets of the chain at the front of a block */

/* ---- where messages begin and end ---- */

void
mbox_split_init(struct mbox_splitter *s, const unsigned char key[16])
{
	memset(s, 0, sizeof *s);
	memcpy(s->key, key, sizeof s->key);
	s->blank_before = true;		/* the start of the file */
	s->block_n = CHAIN;
}

static void
hash_block(struct mbox_splitter *s)
{
	uint64_t h = hash_keyed(s->key, bytes_of(s->block, s->block_n));

	for (size_t i = 0; i < CHAIN; i++)
		s->block[i] = (unsigned char)(h >> 8 * i);
	s->chain = h;
	s->block_n = CHAIN;
}

static void
hash_octets(struct mbox_splitter *s, struct bytes b)
{
	while (b.n > 0) {
		size_t room = sizeof s->block - s->block_n;
		size_t n = b.n < room ? b.n : room;

		memcpy(s->block + s->block_n, b.p, n);
		s->block_n += n;
		b = bytes_skip(b, n);
		if (s->block_n == sizeof s->block)
			hash_block(s);
	}
}

static void
finish(struct mbox_splitter *s, uint64_t next, mbox_each each, void *arg)
{
	if (!s->in_message)
		return;
	s->part.next = next;
	hash_block(s);
	s->part.hash = s->chain;
	each(arg, &s->part);
	s->in_message = false;
}

static void
begin(struct mbox_splitter *s)
{
	s->part = (struct mbox_part){ .at = s->line_at };
	memset(s->block, 0, CHAIN);
	s->block_n = CHAIN;
	s->in_message = s->in_header = true;
	s->held_blank = s->folded_out = false;
}

/* Fields that mail readers rewrite where they stand. */
static bool
is_rewritten(struct bytes line)
{
	static const char *const names[] = { "Status:", "X-Status:", "X-UID:", "X-IMAP:",
	    "X-IMAPbase:", "X-Keywords:", "Content-Length:", "Lines:" };

	for (size_t i = 0; i < LEN(names); i++)
		if (bytes_case_starts(line, text(names[i])))
			return true;
	return false;
}

static bool
is_quoted(struct bytes line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == '>')
		n++;
	return n > 0 && bytes_starts(bytes_skip(line, n), text("From "));
}

/* The empty line before the present one belongs to the message after all. */
static void
release_blank(struct mbox_splitter *s)
{
	if (!s->held_blank)
		return;
	s->held_blank = false;
	hash_octets(s, text("\n"));
	s->part.octets += 2;
}

/* The line's first octets are in head: up to 64, or all of it. */
static void
judge(struct mbox_splitter *s, mbox_each each, void *arg)
{
	struct bytes line = bytes_of(s->head, s->line_n < sizeof s->head ? (size_t)s->line_n
	    : sizeof s->head);

	s->judged = true;
	s->hashed = true;
	if (s->blank_before && bytes_starts(line, text("From "))) {
		finish(s, s->line_at, each, arg);
		begin(s);
		hash_octets(s, line);
		return;
	}
	if (!s->in_message)
		return;
	release_blank(s);
	if (s->in_header) {
		bool folded = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

		if (!folded)
			s->folded_out = is_rewritten(line);
		s->hashed = !s->folded_out;
	}
	if (s->hashed)
		hash_octets(s, line);
	s->part.octets += line.n - is_quoted(line);
}

/* A From_ line: where the message starts, and what was counted of it is not of the message. */
static bool
is_from_line(const struct mbox_splitter *s)
{
	return s->in_message && s->part.at == s->line_at;
}

static bool
is_blank(const struct mbox_splitter *s)
{
	return s->line_n == 0 || (s->line_n == 1 && s->head[0] == '\r');
}

/* At its LF. An empty line of the body is held: it may be the one between two messages. */
static void
end_line(struct mbox_splitter *s, mbox_each each, void *arg)
{
	bool blank = is_blank(s);

	if (blank && s->in_message && !s->in_header) {
		release_blank(s);
		s->part.end = s->line_at;
		s->held_blank = true;
	} else {
		if (!s->judged)
			judge(s, each, arg);
		if (s->hashed && s->in_message)
			hash_octets(s, text("\n"));
		if (is_from_line(s))
			s->part.start = s->at;
		else if (s->in_message)
			s->part.octets += s->last_cr ? 1 : 2;
		s->part.end = s->at;
		s->in_header = s->in_header && !blank;
	}
	s->blank_before = blank;
	s->judged = s->last_cr = false;
	s->line_n = 0;
	s->line_at = s->at;
}

/* A run of a line, without LF. */
static void
run_of_line(struct mbox_splitter *s, struct bytes run, mbox_each each, void *arg)
{
	if (run.n == 0)
		return;
	s->last_cr = run.p[run.n - 1] == '\r';
	if (s->line_n < sizeof s->head) {
		size_t room = sizeof s->head - (size_t)s->line_n;
		struct bytes first = bytes_head(run, room);

		memcpy(s->head + s->line_n, first.p, first.n);
		s->line_n += first.n;
		run = bytes_skip(run, first.n);
		if (s->line_n == sizeof s->head)
			judge(s, each, arg);
	}
	s->line_n += run.n;
	if (run.n == 0 || !s->in_message)
		return;
	if (s->hashed)
		hash_octets(s, run);
	if (!is_from_line(s))
		s->part.octets += run.n;
}

void
mbox_split_feed(struct mbox_splitter *s, struct bytes piece, mbox_each each, void *arg)
{
	while (piece.n > 0) {
		size_t lf = bytes_find(piece, '\n');

		run_of_line(s, bytes_head(piece, lf), each, arg);
		s->at += lf;
		piece = bytes_skip(piece, lf);
		if (piece.n > 0) {
			s->at++;
			piece = bytes_skip(piece, 1);
			end_line(s, each, arg);
		}
	}
}

void
mbox_split_end(struct mbox_splitter *s, mbox_each each, void *arg)
{
	if (s->line_n > 0) {		/* a last line without its end */
		if (!s->judged)
			judge(s, each, arg);
		if (is_from_line(s))
			s->part.start = s->at;
		s->part.end = s->at;
	}
	finish(s, s->at, each, arg);
}

/* ---- quoting ---- */

static const unsigned char from_[5] = { 'F', 'r', 'o', 'm', ' ' };

/* What was held back because the line might have been a quoted one. */
static size_t
let_go(struct from_filter *f, unsigned char *out)
{
	size_t n = 0;

	if (f->held)
		out[n++] = '>';
	memcpy(out + n, from_, f->matched);
	n += f->matched;
	f->held = false;
	f->matched = 0;
	return n;
}

/* The whole of "From " is there. */
static size_t
matched(struct from_filter *f, unsigned char *out)
{
	size_t n = 0;

	if (f->quote)
		out[n++] = '>';
	memcpy(out + n, from_, sizeof from_);
	f->held = false;
	f->matched = 0;
	f->rest = true;
	return n + sizeof from_;
}

/* One octet near the start of a line. */
static size_t
near_start(struct from_filter *f, unsigned char c, unsigned char *out)
{
	size_t n;

	if (c == from_[f->matched]) {
		f->matched++;
		return f->matched == sizeof from_ ? matched(f, out) : 0;
	}
	if (c == '>' && f->matched == 0) {
		if (!f->quote && !f->held) {
			f->held = true;		/* if this line is a quoted one, here is what it has too much */
			return 0;
		}
		out[0] = '>';
		return 1;
	}
	n = let_go(f, out);
	out[n++] = c;
	f->rest = c != '\n';
	return n;
}

size_t
from_filter(struct from_filter *f, const unsigned char *in, size_t n, unsigned char *out)
{
	size_t done = 0, i = 0;

	while (i < n) {
		const unsigned char *lf;
		size_t run;

		if (!f->rest) {
			done += near_start(f, in[i++], out + done);
			continue;
		}
		lf = memchr(in + i, '\n', n - i);
		run = lf ? (size_t)(lf + 1 - (in + i)) : n - i;
		memmove(out + done, in + i, run);
		done += run;
		i += run;
		f->rest = !lf;
	}
	return done;
}

size_t
from_filter_end(struct from_filter *f, unsigned char out[FROM_SLACK])
{
	return let_go(f, out);
}

/* ---- From_ lines ---- */

/* RFC 4155 appendix A: no white space in the sender; the date as asctime(3) has it, UTC. */
void
mbox_from_line(struct bytes sender, int64_t wall_s, struct buf *out)
{
	static const char *const day[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const month[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
	    "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t at = (time_t)wall_s;
	struct tm t;

	if (!gmtime_r(&at, &t) || t.tm_year < 0 || t.tm_year > 8099) {
		at = 0;
		gmtime_r(&at, &t);
	}
	buf_text(out, "From ");
	if (sender.n == 0)
		sender = text("MAILER-DAEMON");
	for (size_t i = 0; i < sender.n; i++)
		buf_char(out, sender.p[i] <= ' ' || sender.p[i] == 0x7f ? '_' : sender.p[i]);
	buf_fmt(out, " %s %s %2d %02d:%02d:%02d %4d\n", day[t.tm_wday], month[t.tm_mon], t.tm_mday,
	    t.tm_hour, t.tm_min, t.tm_sec, t.tm_year + 1900);
}

/* ---- the date of a From_ line ---- */

#define WORDS_MAX 16

static bool
clock_of(struct bytes s, struct tm *t)
{
	uint64_t part[3] = { 0, 0, 0 };
	static const uint64_t most[3] = { 23, 59, 60 };
	size_t n = 0;

	while (s.n > 0 && n < 3) {
		if (!bytes_u64(bytes_cut(&s, ':'), most[n], &part[n]))
			return false;
		n++;
	}
	t->tm_hour = (int)part[0];
	t->tm_min = (int)part[1];
	t->tm_sec = (int)part[2];
	return s.n == 0 && n >= 2;
}

static bool
month_of(struct bytes s, struct tm *t)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (t->tm_mon = 0; s.n == 3 && t->tm_mon < 12; t->tm_mon++)
		if (memcmp(names + 3 * t->tm_mon, s.p, 3) == 0)
			return true;
	return false;
}

/* word: "Jan", "1", "00:00:00", [zone], "2026" */
static bool
date_at(const struct bytes *word, size_t n, int64_t *wall_s)
{
	struct tm t = { 0 };
	uint64_t day, year;
	bool good = n >= 4 && month_of(word[0], &t) && bytes_u64(word[1], 31, &day) && clock_of(word[2], &t)
	    && (bytes_u64(word[3], 9999, &year) || (n >= 5 && bytes_u64(word[4], 9999, &year)));

	if (!good || year < 1970 || day == 0)
		return false;
	t.tm_mday = (int)day;
	t.tm_year = (int)year - 1900;
	*wall_s = timegm(&t);
	return true;
}

bool
mbox_from_date(struct bytes line, int64_t *wall_s)
{
	struct bytes word[WORDS_MAX];
	size_t n = 0;
	bool found = false;

	line = bytes_trim(line);
	while (line.n > 0) {
		struct bytes w = bytes_cut(&line, ' ');

		if (w.n == 0)
			continue;
		if (n == WORDS_MAX) {		/* an odd sender; the date is at the end */
			memmove(word, word + 1, sizeof word - sizeof *word);
			n--;
		}
		word[n++] = w;
	}
	for (size_t i = 0; i < n; i++)
		found |= date_at(word + i, n - i, wall_s);
	return found;
}
