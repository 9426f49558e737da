/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define HEADER_MAX	(1 + 1 + 4 + 8 + 255)	/* of the wire form, log.h */
#define TEXT_BUFFERS	16
#define TEXT_MAX	255

/* The one ambient thing in lib/: a journal that had to be passed to each function would be
 * used by none. No function here allocates: that is how out of memory can be said. */
static struct {
	const char	*program;
	int		 fd;
	bool		 debug;
	pid_t		 pid;		/* whose the ring is: a fork starts with none */
	size_t		 head, n;	/* the ring: first octet, octets used */
	uint64_t	 lost;		/* records that found the ring full */
} journal = { .program = "hermod", .fd = -1 };

static unsigned char ring[LOG_RING];	/* records, each after its length in two octets */

void
log_name(const char *program)
{
	journal.program = program;
}

void
log_open(int fd)
{
	if (journal.fd != -1 && journal.fd != fd)
		close(journal.fd);
	journal.fd = fd;
	journal.n = 0;
	journal.lost = 0;
}

int
log_fd(void)
{
	return journal.fd;
}

void
log_debug_on(bool on)
{
	journal.debug = on;
}

static void
ring_copy_in(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ring[(journal.head + journal.n++) % LOG_RING] = p[i];
}

static bool
ring_put(struct bytes record)
{
	unsigned char length[2] = { (unsigned char)record.n, (unsigned char)(record.n >> 8) };

	if (record.n + 2 > LOG_RING - journal.n)
		return false;
	ring_copy_in(length, 2);
	ring_copy_in(record.p, record.n);
	return true;
}

/* The record at `head`; taken off by ring_drop. */
static struct bytes
ring_first(unsigned char into[HEADER_MAX + LOG_RECORD_MAX])
{
	size_t n = ring[journal.head] | (size_t)ring[(journal.head + 1) % LOG_RING] << 8;

	for (size_t i = 0; i < n; i++)
		into[i] = ring[(journal.head + 2 + i) % LOG_RING];
	return bytes_of(into, n);
}

static void
ring_drop(size_t n)
{
	journal.head = (journal.head + n + 2) % LOG_RING;
	journal.n -= n + 2;
}

static bool
send_record(struct bytes record)
{
	ssize_t sent;

	do {
		sent = send(journal.fd, record.p, record.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent == -1 && errno == EINTR);
	return sent != -1;
}

static struct bytes
compose(enum log_level level, struct bytes said, unsigned char into[HEADER_MAX + LOG_RECORD_MAX])
{
	struct bytes name = bytes_head(text(journal.program), 255);
	uint64_t wall = (uint64_t)clock_wall_us();
	uint32_t pid = (uint32_t)journal.pid;
	size_t n = 0;

	into[n++] = (unsigned char)level;
	into[n++] = (unsigned char)name.n;
	for (unsigned i = 0; i < 4; i++)
		into[n++] = (unsigned char)(pid >> (8 * i));
	for (unsigned i = 0; i < 8; i++)
		into[n++] = (unsigned char)(wall >> (8 * i));
	memcpy(into + n, name.p, name.n);
	memcpy(into + n + name.n, said.p, said.n);
	return bytes_of(into, n + name.n + said.n);
}

static bool
send_lost(void)
{
	unsigned char record[HEADER_MAX + LOG_RECORD_MAX];
	char said[80];

	if (journal.lost == 0)
		return true;
	snprintf(said, sizeof said, "journal: %llu records did not fit and are lost",
	    (unsigned long long)journal.lost);
	if (!send_record(compose(LOG_WARN_, text(said), record)))
		return false;
	journal.lost = 0;
	return true;
}

/* A child has its parent's ring, and the parent will send it. */
static void
know_own_pid(void)
{
	pid_t pid = getpid();

	if (journal.pid != pid && journal.pid != 0) {
		journal.n = 0;
		journal.lost = 0;
	}
	journal.pid = pid;
}

bool
log_flush(void)
{
	unsigned char record[HEADER_MAX + LOG_RECORD_MAX];
	int saved = errno;
	bool empty;

	know_own_pid();
	if (journal.fd == -1)
		return true;
	while (journal.n > 0) {
		struct bytes first = ring_first(record);

		if (!send_record(first))
			break;
		ring_drop(first.n);
	}
	empty = journal.n == 0 && send_lost();
	errno = saved;
	return empty;
}

/* The octets of a well-formed UTF-8 sequence (RFC 3629 section 4) of more than one octet at the
 * start of s, that is no C1 control; 0 when there is none. */
static size_t
utf8_length(struct bytes s)
{
	unsigned char c = s.p[0], low = 0x80, high = 0xbf;
	size_t n = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;

	if (n == 0 || s.n < n)
		return 0;
	switch (c) {			/* overlong forms, surrogates, past U+10FFFF; C1 */
	case 0xc2: low = 0xa0; break;
	case 0xe0: low = 0xa0; break;
	case 0xed: high = 0x9f; break;
	case 0xf0: low = 0x90; break;
	case 0xf4: high = 0x8f; break;
	default: break;
	}
	if (s.p[1] < low || s.p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s.p[i] < 0x80 || s.p[i] > 0xbf)
			return 0;
	return n;
}

/* What stands for the start of s in a log line: *n octets of it, in `into`; its length. too: those of ASCII that are
 * escaped with the controls. */
static size_t
escape_one(struct bytes s, const char *too, char into[5], size_t *n)
{
	unsigned char c = s.p[0];
	size_t whole = c >= 0x80 ? utf8_length(s) : 0;
	bool plain = c >= ' ' && c < 0x7f && strchr(too, c) == NULL;

	*n = whole > 0 ? whole : 1;
	if (whole == 0 && !plain)
		return (size_t)snprintf(into, 5, "\\x%02X", c);
	memcpy(into, s.p, *n);
	return *n;
}

static const char *
escaped(struct bytes s, const char *too)
{
	static char buffers[TEXT_BUFFERS][TEXT_MAX + sizeof "..."];
	static unsigned turn;
	char *dst = buffers[turn++ % TEXT_BUFFERS];
	size_t at = 0;

	while (s.n > 0) {
		char one[5];
		size_t n, length = escape_one(s, too, one, &n);

		if (at + length > TEXT_MAX) {
			memcpy(dst + at, "...", 3);
			at += 3;
			break;
		}
		memcpy(dst + at, one, length);
		at += length;
		s = bytes_skip(s, n);
	}
	dst[at] = '\0';
	return dst;
}

const char *log_text(struct bytes s) { return escaped(s, "\\\""); }
const char *log_value(struct bytes s) { return escaped(s, "\\\" "); }

static void
write_stderr(const char *line, size_t n)
{
	while (n > 0) {
		ssize_t done = write(STDERR_FILENO, line, n);

		if (done == -1 && errno == EINTR)
			continue;
		if (done <= 0)
			return;		/* there is nobody left to tell */
		line += done;
		n -= (size_t)done;
	}
}

/* "hermod: warning: text": what people see who run a tool. Escapes are those that the text has
 * already; the terminal is still not given any control. */
static void
to_stderr(enum log_level level, struct bytes said)
{
	static const char *const levels[] = { "debug: ", "", "warning: ", "fatal: " };
	char line[256 + 16 + 4 * LOG_RECORD_MAX + 2];
	size_t at = (size_t)snprintf(line, 256 + 16, "%.200s: %s", journal.program, levels[level]);

	while (said.n > 0) {
		size_t n;

		at += escape_one(said, "", line + at, &n);	/* its NUL has room too */
		said = bytes_skip(said, n);
	}
	line[at++] = '\n';
	write_stderr(line, at);
}

static void
record(enum log_level level, struct bytes said)
{
	unsigned char wire[HEADER_MAX + LOG_RECORD_MAX];
	bool clear = log_flush();	/* what waits goes first */

	if (journal.fd == -1) {
		to_stderr(level, said);
	} else {
		struct bytes composed = compose(level, said, wire);

		if (!(clear && send_record(composed)) && !ring_put(composed))
			journal.lost++;
	}
}

static void __attribute__((format(printf, 3, 0)))
log_as(enum log_level level, int error, const char *fmt, va_list ap)
{
	char said[LOG_RECORD_MAX + 1];
	int saved = errno, n = vsnprintf(said, sizeof said, fmt, ap);
	size_t length = n < 0 ? 0 : (size_t)n;

	if (error != 0 && length < sizeof said) {
		const char *why = strerrordesc_np(error);

		n = snprintf(said + length, sizeof said - length, ": %s", why ? why : "unknown error");
		length += n < 0 ? 0 : (size_t)n;
	}
	if (length > LOG_RECORD_MAX) {
		length = LOG_RECORD_MAX;
		memcpy(said + length - 3, "...", 3);
	}
	record(level, bytes_of(said, length));
	errno = saved;
}

#define LOG_AS(level, error)				\
	do {						\
		va_list ap;				\
		va_start(ap, fmt);			\
		log_as(level, error, fmt, ap);		\
		va_end(ap);				\
	} while (0)

void
log_debug(const char *fmt, ...)
{
	if (journal.debug)
		LOG_AS(LOG_DEBUG_, 0);
}

void
log_info(const char *fmt, ...)
{
	LOG_AS(LOG_INFO_, 0);
}

void
log_warn(const char *fmt, ...)
{
	LOG_AS(LOG_WARN_, 0);
}

void
log_errno(const char *fmt, ...)
{
	LOG_AS(LOG_WARN_, errno);
}

void
log_fatal(const char *fmt, ...)
{
	LOG_AS(LOG_FATAL_, 0);
	if (!log_flush()) {		/* the journal does not take it: last words elsewhere */
		char said[LOG_RECORD_MAX + 1];
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(said, sizeof said, fmt, ap);
		va_end(ap);
		to_stderr(LOG_FATAL_, text(said));
	}
	_exit(1);
}
