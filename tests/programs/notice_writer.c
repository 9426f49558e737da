/* SPDX-License-Identifier: ISC */
/*
 * notice_writer - for tests: the notification that the suite would write about a message.
 *
 *	notice_writer MESSAGE [TEMPLATES]
 *		MESSAGE: a file, lines with CRLF. On stdin the envelope and what else is to be known, a line
 *		each: a name and the value's octets in hexadecimal. `rcpt` begins a recipient, what follows is of it.
 *		The notification goes to stdout; to stderr its body type, SMTPUTF8, and what is returned:
 *		"body 0 smtputf8 0 returned 2". Status 3: nobody is told of anything.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/mem.h"
#include "mail/notice_testing.h"

#define RCPTS 2000

static struct arena *arena;
static struct envelope envelope;
static struct recipient rcpts[RCPTS];
static struct notice_templates templates;
static struct notice_rules rules = { .hostname = "mx.example.org", .full = true, .full_octets = 1 << 20,
    .lifetime_s = 432000, .templates = &templates };
static struct notice notice = { .rules = &rules, .envelope = &envelope, .about = "ABOUT", .id = "NOTICE",
    .now_s = 1700000000 };
static enum notice_kind kind;

static const struct { const char *name; size_t at; } texts[] = {
	{ "sender", offsetof(struct envelope, sender) }, { "envid", offsetof(struct envelope, envid) },
	{ "client", offsetof(struct envelope, client) }, { "helo", offsetof(struct envelope, helo) },
}, rcpt_texts[] = {
	{ "original", offsetof(struct recipient, original) }, { "final", offsetof(struct recipient, final) },
	{ "orcpt", offsetof(struct recipient, orcpt) }, { "reply", offsetof(struct recipient, last_reply) },
	{ "remote", offsetof(struct recipient, remote) }, { "command", offsetof(struct recipient, command) },
	{ "said", offsetof(struct recipient, said) }, { "transport", offsetof(struct recipient, transport) },
};

static bool
set_number(const char *name, uint64_t v)
{
	struct recipient *r = &rcpts[envelope.nrcpts > 0 ? envelope.nrcpts - 1 : 0];

	if (strcmp(name, "rcpt") == 0)
		must(envelope.nrcpts++ < RCPTS);
	else if (strcmp(name, "state") == 0)
		r->state = (enum rcpt_state)v;
	else if (strcmp(name, "notify") == 0)
		r->notify = (uint32_t)v;
	else if (strcmp(name, "attempts") == 0)
		r->attempts = (uint32_t)v;
	else if (strcmp(name, "last") == 0)
		r->last_s = (int64_t)v;
	else if (strcmp(name, "arrival") == 0)
		envelope.arrival_s = (int64_t)v;
	else if (strcmp(name, "smtputf8") == 0)
		envelope.smtputf8 = (uint32_t)v;
	else if (strcmp(name, "ret") == 0)
		envelope.ret = (uint32_t)v;
	else if (strcmp(name, "kind") == 0)
		kind = (enum notice_kind)v;
	else if (strcmp(name, "full") == 0)
		rules.full = v;
	else if (strcmp(name, "full_octets") == 0)
		rules.full_octets = v;
	else if (strcmp(name, "takes_8bit") == 0)
		notice.takes_8bit = v;
	else if (strcmp(name, "to_postmaster") == 0)
		notice.to_postmaster = v;
	else
		return false;
	return true;
}

static void
set(const char *name, struct bytes v)
{
	struct recipient *r = &rcpts[envelope.nrcpts > 0 ? envelope.nrcpts - 1 : 0];
	uint64_t number = 0;

	for (size_t i = 0; i < LEN(texts); i++)
		if (strcmp(texts[i].name, name) == 0) {
			*(struct bytes *)((char *)&envelope + texts[i].at) = v;
			return;
		}
	for (size_t i = 0; i < LEN(rcpt_texts); i++)
		if (strcmp(rcpt_texts[i].name, name) == 0) {
			*(struct bytes *)((char *)r + rcpt_texts[i].at) = v;
			return;
		}
	(void)bytes_u64(v, UINT64_MAX, &number);
	if (!set_number(name, number)) {
		fprintf(stderr, "notice_writer: what is %s?\n", name);
		exit(2);
	}
}

static void
read_envelope(void)
{
	static char line[1 << 20];

	envelope.rcpts = rcpts;
	while (fgets(line, sizeof line, stdin) != NULL) {
		struct bytes value = bytes_trim(text(line)), name = bytes_cut(&value, ' ');
		char word[64];
		struct buf octets;

		buf_init(&octets, sizeof line);
		must(bytes_to_text(name, word, sizeof word) && hex_decode(value, &octets));
		set(word, arena_copy(arena, buf_bytes(&octets)));
		buf_fini(&octets);
	}
}

static void
write_all(struct bytes message)
{
	struct buf out;
	enum notice_next next;

	buf_init(&out, NOTICE_PIECE_MAX + 4 * NOTICE_CHUNK + 256);
	notice_begin(&notice, arena);
	do {
		next = notice_next(&notice, &out);
		while (next == NOTICE_CONTENT && message.n > 0) {
			struct bytes some = bytes_head(message, NOTICE_CHUNK);

			must(file_write(STDOUT_FILENO, buf_bytes(&out)));
			buf_clear(&out);
			notice_content(&notice, some, &out);
			message = bytes_skip(message, some.n);
		}
		must(file_write(STDOUT_FILENO, buf_bytes(&out)));
		buf_clear(&out);
	} while (next != NOTICE_DONE);
	buf_fini(&out);
}

int
main(int argc, char **argv)
{
	struct notice_look header_look, look;
	char boundary[NOTICE_BOUNDARY_MAX];
	struct notice_told *told;
	struct buf message, faults;

	if (argc < 2)
		return 2;
	arena = arena_new(1u << 30);
	buf_init(&message, 1u << 30);
	buf_init(&faults, 65536);
	must(file_slurp(AT_FDCWD, argv[1], &message));
	notice_templates_load(&templates, argc > 2 ? argv[2] : "", &faults);
	read_envelope();
	notice.ntold = notice_recipients(&envelope, kind, arena, &told, &notice.failed);
	if (notice.ntold == 0)
		return 3;
	notice.told = told;
	notice.to = notice.to_postmaster ? text("postmaster@mx.example.org") : envelope.sender;
	notice_boundary((const unsigned char *)"0123456789abcdef", boundary);
	notice.boundary = boundary;
	notice.header = header_of(buf_bytes(&message));
	notice.octets = message.n;
	look_at(&header_look, boundary, notice.header);
	look_at(&look, boundary, buf_bytes(&message));
	notice.header_look = &header_look;
	if (notice_wants_message(&rules, &envelope, notice.failed, notice.octets))
		notice.look = &look;
	write_all(buf_bytes(&message));
	fprintf(stderr, "%.*sbody %d smtputf8 %d returned %d\n", BYTES_FMT(buf_bytes(&faults)), notice.body, notice.smtputf8,
	    notice.returned);
	return 0;
}
