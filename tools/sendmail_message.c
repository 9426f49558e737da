/* SPDX-License-Identifier: ISC */
/*
 * tools/sendmail_message.c - the message on standard input: its header section is
 * looked at first (recipients, From); when all of it has come it goes to pickup as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "proto/rfc5322_addresses.h"
#include "proto/rfc5322_field.h"
#include "proto/smtp_address.h"
#include "tools/sendmail.h"

#define PIECE		32768
#define RCPTS_MAX	10000

/* Octets read, 0 at the end, -1 with the fault said. */
static ssize_t
read_some(int fd, void *p, size_t n)
{
	ssize_t got;

	do
		got = read(fd, p, n);
	while (got == -1 && errno == EINTR);
	if (got == -1)
		fprintf(stderr, "sendmail: cannot read the message: %s\n", strerror(errno));
	return got;
}

enum { LINE_START, DOT, DOT_CR, TEXT };

/* Appends the octets to out, up to a line of a single dot; true: it was there. */
static bool
up_to_dot(unsigned char *state, struct bytes in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = in.p[i];

		if (*state == LINE_START && c == '.') {
			*state = DOT;		/* held back until the line is known */
			continue;
		}
		if (*state == DOT && c == '\r') {
			*state = DOT_CR;
			continue;
		}
		if ((*state == DOT || *state == DOT_CR) && c == '\n')
			return true;
		if (*state == DOT || *state == DOT_CR)
			buf_text(out, *state == DOT ? "." : ".\r");
		buf_char(out, c);
		*state = c == '\n' ? LINE_START : TEXT;
	}
	return false;
}

/* The next piece of the message, appended to out; false: it could not be read. */
static bool
read_piece(struct message *m, int fd, struct buf *out)
{
	static unsigned char piece[PIECE];
	ssize_t n = read_some(fd, piece, sizeof piece);

	if (n == -1)
		return false;
	if (n == 0)
		m->eof = true;
	else if (m->dot_ends)
		m->eof = up_to_dot(&m->dot, bytes_of(piece, (size_t)n), out);
	else
		buf_add(out, bytes_of(piece, (size_t)n));
	return true;
}

static bool
header_is_whole(const struct message *m)
{
	return m->head.p[0] == '\n' || memmem(m->head.p, m->head.n, "\n\n", 2) != NULL
	    || memmem(m->head.p, m->head.n, "\n\r\n", 3) != NULL;
}

/* Reads until the header section is whole, or there is no more. A huge one is pickup's to refuse. */
static bool
read_head(struct message *m, int fd)
{
	while (!m->eof && m->head.n < HEAD_READ_MAX && (m->head.n == 0 || !header_is_whole(m)))
		if (!read_piece(m, fd, &m->head))
			return false;
	return true;
}

/* The addresses of one field; false: said. */
static bool
take_field(struct message *m, const struct field *f)
{
	struct arena *a = arena_new(f->value.n * 4 + 4 * RCPTS_MAX * sizeof(struct mailbox_entry) + 65536);
	struct addresses list = { 0 };
	enum addresses_result r = rfc5322_addresses(f->value, RCPTS_MAX, a, &list);
	struct buf address;

	buf_init(&address, 4096);
	for (size_t i = 0; i < list.n && r == ADDRESSES_OK; i++) {
		buf_clear(&address);
		smtp_address_join(list.v[i].local, list.v[i].domain, &address);
		ipc_add_text(&m->rcpts, buf_bytes(&address));
	}
	if (r == ADDRESSES_SYNTAX)
		fprintf(stderr, "sendmail: the %.*s field is not a list of addresses, at: %s\n",
		    BYTES_FMT(f->name), log_text(bytes_head(bytes_skip(f->value, list.at), 40)));
	else if (r == ADDRESSES_MANY || m->rcpts.full)
		fprintf(stderr, "sendmail: too many recipients in the %.*s field\n", BYTES_FMT(f->name));
	buf_fini(&address);
	arena_free(&a);
	return r == ADDRESSES_OK && !m->rcpts.full;
}

/* -t: the Resent- fields, if there are any, say who gets it (RFC 5322 section 3.6.6). */
static bool
take_recipients(struct message *m, struct bytes head)
{
	static const char *const names[] = { "To", "Cc", "Bcc" };
	static const char *const resent[] = { "Resent-To", "Resent-Cc", "Resent-Bcc" };
	struct bytes rest = head;
	struct field f;
	bool again = false;

	while (field_next(&rest, &f))
		for (size_t i = 0; i < LEN(resent); i++)
			again = again || field_is(&f, resent[i]);
	while (field_next(&head, &f))
		for (size_t i = 0; i < LEN(names); i++)
			if (field_is(&f, again ? resent[i] : names[i]) && !take_field(m, &f))
				return false;
	return true;
}

bool
message_begin(struct message *m, int fd, bool dot_ends, bool take_rcpts, int *code)
{
	struct bytes rest;
	struct field f;

	*m = (struct message){ .dot_ends = dot_ends, .spool = -1 };
	buf_init(&m->head, HEAD_READ_MAX + 2 * PIECE);
	buf_init(&m->rcpts, 4 << 20);
	*code = EX_IOERR;
	if (!read_head(m, fd))
		return false;
	rest = buf_bytes(&m->head);
	if (bytes_starts(rest, text("From ")) || bytes_starts(rest, text(">From "))) {
		bytes_cut(&rest, '\n');		/* an mbox's line, as old programs pass it on */
		buf_drop(&m->head, m->head.n - rest.n);
		rest = buf_bytes(&m->head);
	}
	m->no_header = !field_next(&rest, &f) ? m->head.n > 0 && m->head.p[0] != '\n' && m->head.p[0] != '\r'
	    : f.name.n == 0;
	*code = EX_DATAERR;
	if (m->no_header) {
		if (take_rcpts)
			fprintf(stderr, "sendmail: the message has no header, so -t finds no recipients\n");
		return !take_rcpts;
	}
	m->has_from = field_find(buf_bytes(&m->head), "From", &f);
	return !take_rcpts || take_recipients(m, buf_bytes(&m->head));
}

void
message_fini(struct message *m)
{
	buf_fini(&m->head);
	buf_fini(&m->rcpts);
	fd_close(&m->spool);
}

bool
message_read(struct message *m, int fd, uint64_t limit, int *code)
{
	struct buf piece;
	uint64_t octets = m->head.n;
	bool good = true;

	if (m->eof)
		return true;
	*code = EX_IOERR;
	m->spool = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (m->spool == -1)
		m->spool = memfd_create("message", MFD_CLOEXEC);	/* its file system has no such files */
	buf_init(&piece, 2 * PIECE);
	while (good && !m->eof && octets <= limit) {
		buf_clear(&piece);
		if (!read_piece(m, fd, &piece)) {
			good = false;
		} else if (!file_write(m->spool, buf_bytes(&piece))) {
			fprintf(stderr, "sendmail: cannot keep the message in /tmp: %s\n", strerror(errno));
			good = false;
		}
		octets += piece.n;
	}
	buf_fini(&piece);
	return good;
}

bool
message_send(struct message *m, struct pickup_client *p)
{
	static unsigned char piece[PIECE];
	bool good = (!m->no_header || pickup_data(p, text("\n"))) && pickup_data(p, buf_bytes(&m->head));
	ssize_t n = 0;

	if (m->spool == -1 || !good)
		return good;
	for (off_t at = 0; good && (n = pread(m->spool, piece, sizeof piece, at)) > 0; at += n)
		good = pickup_data(p, bytes_of(piece, (size_t)n));
	return good && n == 0;
}
