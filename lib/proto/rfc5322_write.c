/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "base/mem.h"
#include "proto/rfc5322_write.h"
#include "proto/smtp_address.h"
#include "proto/smtp_cmd.h"
#include "proto/utf8.h"

#define COLUMNS	78	/* RFC 5322 section 2.1.1 */

/* A field being written: words, with a fold where the next would pass the column. */
struct folder { struct buf *out; size_t column; };

static void
begin(struct folder *f, struct buf *out, const char *name)
{
	f->out = out;
	f->column = strlen(name) + 1;
	buf_text(out, name);
	buf_char(out, ':');
}

static void
word(struct folder *f, struct bytes s)
{
	bool fold = f->column + 1 + s.n > COLUMNS && f->column > 1;

	buf_text(f->out, fold ? "\r\n\t" : " ");
	buf_add(f->out, s);
	f->column = (fold ? 8 : f->column + 1) + s.n;	/* a tab is eight columns to a reader */
}

/* Two that stay together: "id 1A2B". */
static void
pair(struct folder *f, const char *key, struct bytes value)
{
	struct buf b;

	buf_init(&b, strlen(key) + value.n + 1);
	buf_text(&b, key);
	buf_char(&b, ' ');
	buf_add(&b, value);
	word(f, buf_bytes(&b));
	buf_fini(&b);
}

static void
end(struct folder *f)
{
	buf_text(f->out, "\r\n");
}

/* atext or dot, RFC 5322 section 3.2.3; UTF-8 where the message may have it. */
static bool
is_safe(unsigned char c, bool utf8)
{
	return ascii_alnum(c) || (utf8 && c >= 0x80)
	    || (c != 0 && c < 0x80 && strchr(".!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* s with all that is not dot-atom as '-'. */
static void
put_atoms(struct bytes s, bool utf8, struct buf *out)
{
	size_t i;

	utf8 = utf8 && utf8_valid(s);
	for (i = 0; i < s.n; i++)
		buf_char(out, is_safe(s.p[i], utf8) ? s.p[i] : '-');
}

/* What the client calls itself. What is no name at all is not repeated. */
static void
put_helo(const struct received *r, struct buf *out)
{
	switch (smtp_helo_name(r->helo)) {
	case SMTP_NAME_LITERAL:
		buf_add(out, r->helo);
		break;
	case SMTP_NAME_DOMAIN:
	case SMTP_NAME_ODD:
		put_atoms(r->helo, r->smtputf8, out);
		break;
	case SMTP_NAME_BAD:
		buf_text(out, "unknown");
		break;
	}
}

/* TCP-info of section 4.4: "(name [192.0.2.1])". */
static void
put_client(const struct received *r, struct buf *out)
{
	bool v6 = bytes_find(r->client_ip, ':') < r->client_ip.n;

	buf_char(out, '(');
	if (r->client_name.n > 0) {
		put_atoms(r->client_name, false, out);
		buf_char(out, ' ');
	}
	buf_text(out, v6 ? "[IPv6:" : "[");
	buf_add(out, r->client_ip);
	buf_text(out, "])");
}

const char *
received_protocol(const struct received *r)
{
	/* by ESMTP / LMTP / UTF8SMTP / UTF8LMTP, then TLS, then AUTH */
	static const char *const names[4][2][2] = {
		{ { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
		{ { "LMTP", "LMTPA" }, { "LMTPS", "LMTPSA" } },
		{ { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
		{ { "UTF8LMTP", "UTF8LMTPA" }, { "UTF8LMTPS", "UTF8LMTPSA" } },
	};

	if (!r->esmtp && !r->lmtp)
		return "SMTP";
	return names[(r->smtputf8 ? 2 : 0) + (r->lmtp ? 1 : 0)][r->tls.n > 0][r->auth];
}

/* The words after "from": the name, and the address it came from. */
static void
put_from(struct folder *f, const struct received *r)
{
	struct buf b;

	buf_init(&b, 2048);
	put_helo(r, &b);
	pair(f, "from", buf_bytes(&b));
	buf_clear(&b);
	if (r->client_ip.n > 0) {
		put_client(r, &b);
		word(f, buf_bytes(&b));
	}
	buf_fini(&b);
}

/* An address as a path; what could end a line was never let in. */
static void
put_path(struct bytes address, struct buf *out)
{
	size_t i;

	for (i = 0; i < address.n; i++)
		must(address.p[i] >= ' ' && address.p[i] != 0x7f);
	buf_char(out, '<');
	buf_add(out, address);
	buf_char(out, '>');
}

/* The last of its pairs has the semicolon. */
static void
put_last(struct folder *f, const char *key, struct buf *value, int mt_priority)
{
	char number[16];

	if (mt_priority == 0)
		buf_char(value, ';');
	pair(f, key, buf_bytes(value));
	if (mt_priority != 0) {		/* RFC 6710 section 4.1 */
		snprintf(number, sizeof number, "%d;", mt_priority);
		pair(f, "PRIORITY", text(number));
	}
}

void
received_put(const struct received *r, struct buf *out)
{
	struct folder f;
	struct buf b;

	buf_init(&b, 1024);
	begin(&f, out, "Received");
	if (r->helo.n > 0 || r->client_ip.n > 0)
		put_from(&f, r);
	put_atoms(r->by, false, &b);
	pair(&f, "by", buf_bytes(&b));
	pair(&f, "with", text(received_protocol(r)));
	if (r->tls.n > 0) {
		buf_clear(&b);
		put_atoms(r->tls, false, &b);
		pair(&f, "tls", buf_bytes(&b));
	}
	buf_clear(&b);
	put_atoms(r->id, false, &b);
	if (r->recipient.n > 0) {
		pair(&f, "id", buf_bytes(&b));
		buf_clear(&b);
		put_path(r->recipient, &b);
		put_last(&f, "for", &b, r->mt_priority);
	} else {
		put_last(&f, "id", &b, r->mt_priority);
	}
	word(&f, text(r->date));
	end(&f);
	buf_fini(&b);
}

void
return_path_put(struct bytes address, struct buf *out)
{
	buf_text(out, "Return-Path: ");
	put_path(address, out);
	buf_text(out, "\r\n");
}

void
address_field_put(const char *name, struct bytes address, struct buf *out)
{
	size_t i;

	for (i = 0; i < address.n; i++)
		must(address.p[i] >= ' ' && address.p[i] != 0x7f);
	buf_text(out, name);
	buf_text(out, ": ");
	buf_add(out, address);
	buf_text(out, "\r\n");
}

void
message_id_put(struct bytes left, struct bytes host, struct buf *out)
{
	buf_text(out, "Message-ID: <");
	put_atoms(left, false, out);
	buf_char(out, '@');
	put_atoms(host, false, out);
	buf_text(out, ">\r\n");
}

void
text_field_put(const char *name, struct bytes words, struct buf *out)
{
	struct folder f;
	struct bytes one;
	struct buf b;
	size_t i;

	begin(&f, out, name);
	buf_init(&b, words.n + 1);
	while (words.n > 0) {
		one = bytes_cut(&words, ' ');
		if (one.n == 0)
			continue;
		buf_clear(&b);
		for (i = 0; i < one.n; i++)
			buf_char(&b, one.p[i] < ' ' || one.p[i] == 0x7f ? '?' : one.p[i]);
		word(&f, buf_bytes(&b));
	}
	end(&f);
	buf_fini(&b);
}
