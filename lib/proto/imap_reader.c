/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/imap_reader.h"

const struct imap_limits imap_limits_login = {
	IMAP_LINE_LOGIN_MAX, IMAP_COMMAND_LOGIN_MAX, IMAP_LITERALS_LOGIN_MAX, IMAP_DEPTH_LOGIN_MAX
};
const struct imap_limits imap_limits_session = {
	IMAP_LINE_MAX, IMAP_COMMAND_MAX, IMAP_LITERALS_MAX, IMAP_DEPTH_MAX
};

enum state {
	START,		/* between commands: text is the last one's */
	LINE,		/* in a line that is gathered */
	ASKED,		/* LITERAL was said, the caller has not decided */
	GATHER,		/* in a literal that is gathered */
	STREAM,		/* in one that is handed out */
	DROP,		/* in a line of a command that is dropped */
	SKIP,		/* in a literal of such a command */
	REPORT,		/* the dropped command is over: say the verdict */
	LOST,
};

/* How much of a literal's "~{310+}" the line ends with so far. */
enum header { NONE, TILDE, OPEN, DIGITS, PLUS, CLOSED, HEADERS };

/* RFC 3501 section 9 literal, RFC 7888 section 8, RFC 4466 literal8. It is read forward, so that
 * nothing of a line that is dropped need be kept. */
static const unsigned char next_header[HEADERS][6] = {
	/*		  other   '~'      '{'     digit    '+'    '}'     */
	[NONE]		= { NONE, TILDE,  OPEN,  NONE,    NONE,  NONE },
	[TILDE]		= { NONE, TILDE,  OPEN,  NONE,    NONE,  NONE },
	[OPEN]		= { NONE, TILDE,  OPEN,  DIGITS,  NONE,  NONE },
	[DIGITS]	= { NONE, TILDE,  OPEN,  DIGITS,  PLUS,  CLOSED },
	[PLUS]		= { NONE, TILDE,  OPEN,  NONE,    NONE,  CLOSED },
	[CLOSED]	= { NONE, TILDE,  OPEN,  NONE,    NONE,  NONE },
};

static size_t
column(unsigned char c)
{
	switch (c) {
	case '~':	return 1;
	case '{':	return 2;
	case '+':	return 4;
	case '}':	return 5;
	}
	return ascii_digit(c) ? 3 : 0;
}

static void
track_header(struct imap_reader *r, unsigned char c)
{
	struct imap_literal *l = &r->literal;
	enum header was = r->header;

	r->header = next_header[was][column(c)];
	if (r->header == OPEN) {
		*l = (struct imap_literal){ .eight = was == TILDE };
		r->too_large = false;
	} else if (r->header == PLUS) {
		l->nonsync = true;
	} else if (r->header == DIGITS) {
		unsigned digit = c - (unsigned)'0';

		if (r->too_large || l->octets > ((uint64_t)INT64_MAX - digit) / 10)
			r->too_large = true;
		else
			l->octets = l->octets * 10 + digit;
	}
}

void
imap_reader_init(struct imap_reader *r, const struct imap_limits *limits)
{
	*r = (struct imap_reader){ .state = START };
	imap_reader_limits(r, limits);
}

void
imap_reader_limits(struct imap_reader *r, const struct imap_limits *limits)
{
	must(r->state == START && limits->line >= 2 && limits->command >= 2);
	r->limits = *limits;
	buf_wipe(&r->text);
	buf_init(&r->text, limits->command);
}

void
imap_reader_fini(struct imap_reader *r)
{
	buf_wipe(&r->text);
}

void
imap_reader_idle(struct imap_reader *r)
{
	if (r->state == START)
		buf_wipe(&r->text);
}

void
imap_reader_raw(struct imap_reader *r)
{
	must(r->state == START);
	r->raw = true;
}

static void
start_line(struct imap_reader *r, enum state state)
{
	r->state = state;
	r->line = 0;
	r->header = NONE;
	r->cr = r->quoted = r->escaped = false;
}

static void
start_command(struct imap_reader *r)
{
	buf_clear(&r->text);
	r->command = 0;
	r->literals = r->depth = 0;
	r->verdict = IMAP_READ_MORE;
	r->dropped = 0;
	r->awaited = false;
	r->wrong = NULL;
	start_line(r, LINE);
}

/* From here on nothing is kept but the tag. */
static void
give_up(struct imap_reader *r, enum imap_read verdict, const char *wrong)
{
	struct bytes tag = imap_reader_tag(r);

	r->text.n = tag.n > 0 ? tag.n + 1 : 0;	/* with its SP */
	r->verdict = (unsigned char)verdict;
	r->wrong = wrong;
}

static void
lose(struct imap_reader *r)
{
	r->wrong = "literal too large";
	r->state = LOST;
}

/* The line of a dropped command ended: is there more of it? */
static void
drop_on(struct imap_reader *r)
{
	bool literal = r->header == CLOSED && !r->raw;

	if (!literal || !r->literal.nonsync) {
		r->awaited = literal;
		if (literal && r->verdict == IMAP_READ_MORE)
			r->verdict = IMAP_READ_ENDED;
		r->state = r->verdict == IMAP_READ_MORE ? START : REPORT;
		r->raw = false;
	} else if (r->too_large) {
		lose(r);
	} else {
		r->left = r->literal.octets;
		r->state = SKIP;
	}
}

static bool
refused(struct imap_reader *r, enum imap_read verdict, const char *wrong)
{
	give_up(r, verdict, wrong);
	return false;
}

static bool
track_depth(struct imap_reader *r, unsigned char c)
{
	if (r->quoted) {
		r->quoted = r->escaped || c != '"';
		r->escaped = !r->escaped && c == '\\';
	} else if (c == '"') {
		r->quoted = true;
	} else if (c == '(' || c == '[') {
		return r->depth++ < r->limits.depth;
	} else if ((c == ')' || c == ']') && r->depth > 0) {
		r->depth--;
	}
	return true;
}

/* May this octet be in the line? Judged by those before it alone. */
static bool
judge(struct imap_reader *r, unsigned char c)
{
	if (r->cr)
		return c == '\n' || refused(r, IMAP_READ_BAD, "CR without LF");
	if (c == '\r')
		return true;
	if (r->line + 2 >= r->limits.line)	/* no room is left for its CRLF */
		return refused(r, IMAP_READ_TOO_BIG, "line too long");
	if (r->command + 2 >= r->limits.command)
		return refused(r, IMAP_READ_TOO_BIG, "command too long");
	if (c == '\n')
		return refused(r, IMAP_READ_BAD, "LF without CR");
	if (c == '\0')
		return refused(r, IMAP_READ_BAD, "NUL in a line");
	return track_depth(r, c) || refused(r, IMAP_READ_TOO_BIG, "nested too deep");
}

/* The line in hand announced a literal. */
static enum imap_read
announce(struct imap_reader *r)
{
	if (r->too_large) {
		give_up(r, IMAP_READ_TOO_BIG, "literal too large");
	} else if (r->literals++ >= r->limits.literals) {
		give_up(r, IMAP_READ_TOO_BIG, "too many literals");
	} else if (r->command > r->limits.command - 2) {	/* no room is left for the last CRLF */
		give_up(r, IMAP_READ_TOO_BIG, "command too long");
	} else {
		r->fits = r->literal.octets <= r->limits.command - 2
		    && r->command <= r->limits.command - 2 - (size_t)r->literal.octets;
		buf_add(&r->text, text("\r\n"));
		r->state = ASKED;
		return IMAP_READ_LITERAL;
	}
	drop_on(r);
	return IMAP_READ_MORE;
}

static enum imap_read
end_line(struct imap_reader *r)
{
	if (r->header == CLOSED && !r->raw)
		return announce(r);
	r->raw = false;
	r->state = START;
	return IMAP_READ_COMMAND;
}

static enum imap_read
read_line(struct imap_reader *r, struct bytes *in)
{
	size_t i;

	for (i = 0; i < in->n; i++) {
		unsigned char c = in->p[i];

		if (!judge(r, c)) {
			r->state = DROP;
			*in = bytes_skip(*in, i);	/* this octet may begin a literal, or be a CR */
			return IMAP_READ_MORE;
		}
		r->line++;
		r->command++;
		if (r->cr) {
			*in = bytes_skip(*in, i + 1);
			return end_line(r);
		}
		r->cr = c == '\r';
		if (!r->cr) {
			track_header(r, c);
			buf_char(&r->text, c);
		}
	}
	*in = bytes_skip(*in, in->n);
	return IMAP_READ_MORE;
}

static void
drop_line(struct imap_reader *r, struct bytes *in)
{
	size_t i;

	for (i = 0; i < in->n && !(r->cr && in->p[i] == '\n'); i++) {
		if (r->cr)
			track_header(r, '\r');		/* it was one alone, of the line */
		r->cr = in->p[i] == '\r';
		if (!r->cr)
			track_header(r, in->p[i]);
	}
	r->dropped += i;
	if (i == in->n) {
		*in = bytes_skip(*in, i);
		return;
	}
	*in = bytes_skip(*in, i + 1);
	drop_on(r);
}

/* What there is of the literal, taken off the input. */
static struct bytes
take_literal(struct imap_reader *r, struct bytes *in)
{
	struct bytes run = *in;

	if (r->left < run.n)
		run.n = (size_t)r->left;
	*in = bytes_skip(*in, run.n);
	r->left -= run.n;
	return run;
}

static enum imap_read
read_literal(struct imap_reader *r, struct bytes *in, struct bytes *run)
{
	enum state state = r->state;
	struct bytes octets = take_literal(r, in);

	if (r->left == 0)
		start_line(r, state == SKIP ? DROP : LINE);
	if (state == SKIP) {
		r->dropped += octets.n;
	} else if (state == GATHER) {
		buf_add(&r->text, octets);
	} else if (octets.n > 0) {
		*run = octets;
		return IMAP_READ_RUN;
	}
	return IMAP_READ_MORE;
}

static enum imap_read
step(struct imap_reader *r, struct bytes *in, struct bytes *run)
{
	switch ((enum state)r->state) {
	case START:
		start_command(r);
		return IMAP_READ_MORE;
	case LINE:
		return read_line(r, in);
	case DROP:
		drop_line(r, in);
		return IMAP_READ_MORE;
	case GATHER:
	case STREAM:
	case SKIP:
		return read_literal(r, in, run);
	case REPORT:
	case LOST:
	case ASKED:
		break;
	}
	return IMAP_READ_MORE;
}

enum imap_read
imap_reader_next(struct imap_reader *r, struct bytes *in, struct bytes *run)
{
	enum imap_read said = IMAP_READ_MORE;

	must(r->state != ASKED);
	while (said == IMAP_READ_MORE && in->n > 0 && r->state != REPORT && r->state != LOST)
		said = step(r, in, run);
	must(!r->text.full);			/* the limits were tested before */
	if (r->state == LOST) {
		*in = bytes_skip(*in, in->n);
		return IMAP_READ_LOST;
	}
	if (said == IMAP_READ_MORE && r->state == REPORT) {
		r->state = START;
		return r->verdict;
	}
	return said;
}

static void
start_literal(struct imap_reader *r, enum state state)
{
	r->left = r->literal.octets;
	r->state = (unsigned char)state;
	if (r->left == 0)
		start_line(r, LINE);
}

void
imap_reader_accept(struct imap_reader *r)
{
	must(r->state == ASKED);
	if (r->fits) {
		r->command += (size_t)r->literal.octets;
		start_literal(r, GATHER);
	} else {
		give_up(r, IMAP_READ_TOO_BIG, "literal too large");
		drop_on(r);
	}
}

void
imap_reader_stream(struct imap_reader *r)
{
	must(r->state == ASKED && r->text.n >= 2);
	r->text.p[r->text.n - 2] = '\n';	/* for CRLF */
	r->text.n--;
	start_literal(r, STREAM);
}

void
imap_reader_refuse(struct imap_reader *r)
{
	must(r->state == ASKED);
	give_up(r, IMAP_READ_MORE, NULL);
	drop_on(r);
}

bool
imap_tag_ok(struct bytes tag)
{
	size_t i;

	for (i = 0; i < tag.n; i++)
		if (tag.p[i] <= ' ' || tag.p[i] >= 0x7f || strchr("(){%*\"\\+", tag.p[i]))
			return false;
	return tag.n > 0 && tag.n <= IMAP_TAG_MAX;
}

struct bytes
imap_reader_tag(const struct imap_reader *r)
{
	struct bytes tag = bytes_head(buf_bytes(&r->text), bytes_find(buf_bytes(&r->text), ' '));

	return tag.n < r->text.n && !r->raw && imap_tag_ok(tag) ? tag : text("");
}
