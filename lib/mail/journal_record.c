/* SPDX-License-Identifier: ISC */
#include "base/clock.h"
#include "base/little.h"
#include "mail/journal_writer.h"
#include "proto/utf8.h"

#define HEADER 14		/* level, length of the name, pid, time: base/log.h */
#define WALL_MAX_US (253402300799 * 1000000)	/* the end of year 9999 */

bool
journal_record_parse(struct bytes wire, struct journal_record *r)
{
	struct bytes rest = bytes_skip(wire, HEADER);
	uint64_t wall;

	if (wire.n < HEADER || wire.p[0] > LOG_FATAL_ || rest.n < wire.p[1])
		return false;
	wall = little_u64(wire.p + 6);
	r->level = (enum log_level)wire.p[0];
	r->pid = little_u32(wire.p + 2);
	r->wall_us = wall < WALL_MAX_US ? (int64_t)wall : WALL_MAX_US;
	r->program = bytes_head(rest, wire.p[1]);
	r->text = bytes_head(bytes_skip(rest, wire.p[1]), LOG_RECORD_MAX);
	return true;
}

/* No control, neither C0 nor C1 (a terminal obeys both), and only what is well-formed UTF-8. */
static void
add_printable(struct buf *line, struct bytes s)
{
	while (s.n > 0) {
		uint32_t c = 0;
		size_t n = utf8_take(s, &c);

		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) {
			buf_fmt(line, "\\x%02X", s.p[0]);
			n = 1;
		} else {
			buf_add(line, bytes_head(s, n));
		}
		s = bytes_skip(s, n);
	}
}

static bool
may_be_called(const char *service, struct bytes program)
{
	return bytes_eq(text(service), program) || strcmp(service, "become") == 0;
}

void
journal_record_say(const struct journal_record *r, const char *service, struct buf *line)
{
	static const char *const levels[] = { "debug: ", "", "warning: ", "fatal: " };

	buf_fmt(line, "hermod/%s", may_be_called(service, r->program) ? "" : service);
	if (!may_be_called(service, r->program))
		buf_text(line, " as ");
	add_printable(line, r->program);
	buf_fmt(line, "[%u]: %s", (unsigned)r->pid, levels[r->level]);
	add_printable(line, r->text);
}
