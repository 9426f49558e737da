/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/notice_template.h"
#include "proto/utf8.h"

static const char *const standard[NOTICE_TEXTS] = {
	[NOTICE_TEXT_FAILURE] =
	    "Subject: Your message could not be delivered\n"
	    "\n"
	    "This is the mail system of $hostname. No person has read your message.\n"
	    "\n"
	    "Your message\n"
	    "\n"
	    "    Subject:  $subject\n"
	    "    received: $arrived\n"
	    "\n"
	    "was not delivered to everybody it was sent to. What happened, and what you\n"
	    "can do:\n"
	    "\n"
	    "$recipients\n"
	    "$returned\n"
	    "If you need help, ask $postmaster and send all of this letter along.\n"
	    "It is about $queue_id.\n",
	[NOTICE_TEXT_DELAY] =
	    "Subject: Your message is delayed\n"
	    "\n"
	    "This is the mail system of $hostname. No person has read your message.\n"
	    "\n"
	    "Your message\n"
	    "\n"
	    "    Subject:  $subject\n"
	    "    received: $arrived\n"
	    "\n"
	    "has been waiting for $waited. IT NEED NOT BE SENT AGAIN: this host goes\n"
	    "on trying until $until, and tells you if it gives up.\n"
	    "What it is waiting for:\n"
	    "\n"
	    "$recipients\n"
	    "$returned\n"
	    "If you need help, ask $postmaster and send all of this letter along.\n"
	    "It is about $queue_id.\n",
	[NOTICE_TEXT_SUCCESS] =
	    "Subject: Your message was delivered\n"
	    "\n"
	    "This is the mail system of $hostname. No person has read your message.\n"
	    "\n"
	    "You asked to be told what becomes of your message\n"
	    "\n"
	    "    Subject:  $subject\n"
	    "    received: $arrived\n"
	    "\n"
	    "$recipients\n"
	    "$returned\n",
	[NOTICE_TEXT_POSTMASTER] =
	    "Subject: Undeliverable, and its sender cannot be told\n"
	    "\n"
	    "This is the mail system of $hostname. A message of <$sender>\n"
	    "\n"
	    "    Subject:  $subject\n"
	    "    received: $arrived\n"
	    "\n"
	    "could not be delivered. Nor can its sender be told: it is itself a\n"
	    "notification, or its sender's address does not exist. So you are. What\n"
	    "happened:\n"
	    "\n"
	    "$recipients\n"
	    "$returned\n"
	    "The log says more of $queue_id.\n",
};

static const struct { const char *name; enum notice_name what; } names[] = {
	{ "hostname", NAME_HOSTNAME }, { "postmaster", NAME_POSTMASTER }, { "sender", NAME_SENDER },
	{ "subject", NAME_SUBJECT }, { "message_id", NAME_MESSAGE_ID }, { "arrived", NAME_ARRIVED },
	{ "waited", NAME_WAITED }, { "until", NAME_UNTIL }, { "queue_id", NAME_QUEUE_ID },
	{ "recipients", NAME_RECIPIENTS }, { "returned", NAME_RETURNED },
};

const char *
notice_template_file(enum notice_text which)
{
	static const char *const files[NOTICE_TEXTS] = {
		[NOTICE_TEXT_FAILURE] = "failure.txt", [NOTICE_TEXT_DELAY] = "delay.txt",
		[NOTICE_TEXT_SUCCESS] = "success.txt", [NOTICE_TEXT_POSTMASTER] = "postmaster.txt",
	};

	return files[which];
}

/* ---- names in a text ------------------------------------------------------------------------- */

static bool
is_name(unsigned char c)
{
	return ascii_alnum(c) || c == '_';
}

/* The name at the front of s, behind its dollar; *n: its octets. */
static enum notice_name
name_at(struct bytes s, size_t *n)
{
	for (*n = 0; *n < s.n && is_name(s.p[*n]); ++*n)
		;
	for (size_t i = 0; i < LEN(names); i++)
		if (bytes_eq(bytes_head(s, *n), text(names[i].name)))
			return names[i].what;
	return NAME_NONE;
}

bool
notice_template_next(struct bytes *body, struct bytes *words, enum notice_name *name)
{
	size_t dollar = bytes_find(*body, '$'), n;

	*name = NAME_NONE;
	if (body->n == 0)
		return false;
	if (dollar > 0) {
		*words = bytes_head(*body, dollar);
		*body = bytes_skip(*body, dollar);
		return true;
	}
	*body = bytes_skip(*body, 1);
	*words = bytes_head(*body, 1);		/* $$ */
	*name = name_at(*body, &n);
	*body = bytes_skip(*body, *name == NAME_NONE ? 1 : n);
	if (*name == NAME_RECIPIENTS || *name == NAME_RETURNED)
		*body = bytes_skip(*body, bytes_find(*body, '\n') + 1);
	return true;
}

/* ---- what is wrong with one --------------------------------------------------------------------- */

static bool
is_text(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < ' ' && s.p[i] != '\t' && s.p[i] != '\n' && s.p[i] != '\r') || s.p[i] == 0x7f)
			return false;
	return utf8_valid(s);
}

static bool
check_name(struct bytes line, struct bytes name, enum notice_name what, unsigned *seen, char *why, size_t cap)
{
	if (what == NAME_NONE) {
		snprintf(why, cap, "$%.*s is no name; right would be one of hermod-bounce-templates(5), or $$ for a dollar",
		    (int)(name.n < 60 ? name.n : 60), (const char *)name.p);
		return false;
	}
	if (what < NAME_RECIPIENTS)
		return true;
	if (name.n + 1 != bytes_trim(line).n || (*seen & 1u << what) != 0) {
		snprintf(why, cap, "$%.*s has to be a line by itself, and may be there once", BYTES_FMT(name));
		return false;
	}
	*seen |= 1u << what;
	return true;
}

static bool
check_line(struct bytes line, unsigned *seen, char *why, size_t cap)
{
	struct bytes rest = line;

	while (bytes_find(rest, '$') < rest.n) {
		enum notice_name what;
		size_t n;

		rest = bytes_skip(rest, bytes_find(rest, '$') + 1);
		if (rest.n > 0 && rest.p[0] == '$') {
			rest = bytes_skip(rest, 1);
			continue;
		}
		what = name_at(rest, &n);
		if (!check_name(line, bytes_head(rest, n), what, seen, why, cap))
			return false;
		rest = bytes_skip(rest, n);
	}
	return true;
}

static bool
check_body(struct bytes body, char *why, size_t cap)
{
	unsigned seen = 0;

	for (unsigned number = 3; body.n > 0; number++) {
		char wrong[160];

		if (!check_line(bytes_cut(&body, '\n'), &seen, wrong, sizeof wrong)) {
			snprintf(why, cap, "line %u: %s", number, wrong);
			return false;
		}
	}
	return true;
}

bool
notice_template_parse(struct bytes whole, struct notice_template *out, char *why, size_t cap)
{
	struct bytes rest = whole, first = bytes_cut(&rest, '\n'), second = bytes_cut(&rest, '\n');

	*out = (struct notice_template){ .body = rest };
	if (whole.n > NOTICE_TEMPLATE_MAX || !is_text(whole)) {
		snprintf(why, cap, "not a text; right would be UTF-8 of at most %d octets", NOTICE_TEMPLATE_MAX);
		return false;
	}
	if (!bytes_case_starts(first, text("Subject:")) || bytes_trim(second).n > 0) {
		snprintf(why, cap, "right would be \"Subject: ...\" as the first line, and an empty one behind it");
		return false;
	}
	out->subject = bytes_trim(bytes_skip(first, 8));
	if (out->subject.n == 0 || out->subject.n > 500) {
		snprintf(why, cap, "line 1: the subject should have 1 to 500 octets");
		return false;
	}
	for (size_t i = 0; i < whole.n; i++)
		out->eight_bit = out->eight_bit || whole.p[i] >= 0x80;
	return check_body(rest, why, cap);
}

struct notice_template
notice_template_standard(enum notice_text which)
{
	struct notice_template t;
	char why[200];

	must(notice_template_parse(text(standard[which]), &t, why, sizeof why));
	return t;
}

/* ---- files --------------------------------------------------------------------------------------- */

static void
load(struct notice_templates *t, enum notice_text which, const char *directory, struct buf *faults)
{
	struct notice_template found;
	char path[2048], why[256];

	t->text[which] = notice_template_standard(which);
	buf_init(&t->file[which], NOTICE_TEMPLATE_MAX);
	if (directory[0] == '\0')
		return;
	snprintf(path, sizeof path, "%s/%s", directory, notice_template_file(which));
	if (!file_slurp(AT_FDCWD, path, &t->file[which])) {
		if (errno != ENOENT)
			buf_fmt(faults, "%s: %s; the standard text is used\n", path, strerror(errno));
		return;
	}
	if (notice_template_parse(buf_bytes(&t->file[which]), &found, why, sizeof why))
		t->text[which] = found;
	else
		buf_fmt(faults, "%s: %s; the standard text is used\n", path, why);
}

void
notice_templates_load(struct notice_templates *t, const char *directory, struct buf *faults)
{
	for (int i = 0; i < NOTICE_TEXTS; i++)
		load(t, (enum notice_text)i, directory, faults);
}

void
notice_templates_free(struct notice_templates *t)
{
	for (int i = 0; i < NOTICE_TEXTS; i++)
		buf_fini(&t->file[i]);
}
