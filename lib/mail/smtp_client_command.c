/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/smtp_client_impl.h"
#include "proto/smtp_address.h"
#include "proto/smtp_params.h"
#include "proto/utf8.h"
#include "proto/xtext.h"

/* ---- addresses ---- */

/* Nothing that could end a command, or the path in it. */
static bool
is_domain(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f || strchr("<>()\"\\,;@", s.p[i]) != NULL)
			return false;
	return s.n > 0;
}

/*
 * As RFC 5321 section 4.1.2 writes it. What an envelope holds was checked when it came, but may be the target of an alias
 * since: a local part with octets that need quotes gets them. False: it cannot be written, and nothing was.
 */
static bool
put_address(struct smtp_client *c, struct bytes address, struct buf *out)
{
	size_t at = bytes_rfind(address, '@');
	struct bytes local = bytes_head(address, at), domain = bytes_skip(address, at + 1);
	struct smtp_address parsed;

	arena_reset(c->scratch);
	switch (smtp_mailbox_parse(address, SMTP_TAKE_UTF8 | SMTP_TAKE_NO_DOMAIN | SMTP_TAKE_LONG_LOCAL, c->scratch,
	    &parsed)) {
	case SMTP_ADDRESS_OK:
		smtp_address_put(&parsed, out);
		return parsed.whole.n > 0;
	case SMTP_ADDRESS_SYNTAX:
		break;
	default:
		return false;
	}
	if (local.n == 0 || local.n > SMTP_PATH_MAX || local.p[0] == '"' || bytes_has_control(local) || !utf8_valid(local)
	    || (at < address.n && (!is_domain(domain) || !utf8_valid(domain))))
		return false;
	smtp_address_join(local, domain, out);
	return true;
}

static bool
can_put(struct smtp_client *c, struct bytes address)
{
	struct buf b;
	bool can;

	buf_init(&b, 4096);
	can = put_address(c, address, &b) && !b.full;
	buf_fini(&b);
	return can;
}

/* ---- what a message needs ---- */

static struct bytes
lacks_utf8(const struct smtp_client *c)
{
	return (c->mail->smtputf8 || !bytes_is_ascii(c->mail->sender)) && !smtp_client_has(c, SMTP_EXT_SMTPUTF8)
	    ? text("the message needs SMTPUTF8, which the server does not offer") : text(NULL);
}

/* RFC 3030 section 3 */
static struct bytes
lacks_binary(const struct smtp_client *c)
{
	return c->mail->body == BODY_BINARYMIME && !smtp_client_has(c, SMTP_EXT_BINARYMIME | SMTP_EXT_CHUNKING)
	    ? text("the message is binary, which the server does not take") : text(NULL);
}

/* RFC 6152 section 3: nor may it be sent as it is. Whoever can make it 7-bit has done so before. */
static struct bytes
lacks_8bit(const struct smtp_client *c)
{
	return c->mail->body == BODY_8BITMIME && !smtp_client_has(c, SMTP_EXT_8BITMIME)
	    ? text("the message has 8-bit content, which the server does not take") : text(NULL);
}

/* RFC 8689 section 4.2.1; section 5: a notification says REQUIRETLS where it can, and goes all the same where it cannot. */
static bool
requires_tls(const struct smtp_client *c)
{
	return c->mail->requiretls && c->mail->sender.n > 0;
}

static struct bytes
lacks_tls(const struct smtp_client *c)
{
	return requires_tls(c) && !c->secured ? text("the message requires TLS, and there is none to this server")
	    : text(NULL);
}

static struct bytes
lacks_requiretls(const struct smtp_client *c)
{
	return requires_tls(c) && !smtp_client_has(c, SMTP_EXT_REQUIRETLS)
	    ? text("REQUIRETLS support required: the server does not offer it") : text(NULL);
}

/* RFC 1870 section 6.1 */
static struct bytes
lacks_room(const struct smtp_client *c)
{
	uint64_t max = smtp_client_size_max(c);

	return max > 0 && c->mail->octets > max ? arena_fmt(c->arena, "the message has %llu octets, the server takes %llu",
	    (unsigned long long)c->mail->octets, (unsigned long long)max) : text(NULL);
}

static struct bytes
lacks_sender(const struct smtp_client *c)
{
	struct smtp_client *own = (struct smtp_client *)c;	/* for its scratch */

	return c->mail->sender.n > 0 && !can_put(own, c->mail->sender)
	    ? text("the sender's address is none that SMTP can carry") : text(NULL);
}

static const struct { const char *status; struct bytes (*lacks)(const struct smtp_client *); } needs[] = {
	{ "5.1.7",	lacks_sender },
	{ "5.6.7",	lacks_utf8 },
	{ "5.6.3",	lacks_binary },
	{ "5.6.3",	lacks_8bit },
	{ "5.7.10",	lacks_tls },
	{ "5.7.30",	lacks_requiretls },
	{ "5.3.4",	lacks_room },
};

/* ---- who is asked for ---- */

/* RFC 9422 section 4.3: RCPTDOMAINMAX counts the domains of a session, not of a transaction. */
static bool
fits_domains(struct smtp_client *c, struct bytes address)
{
	struct bytes domain = bytes_skip(address, bytes_rfind(address, '@') + 1), rest = buf_bytes(&c->domains);

	if (!smtp_client_has(c, SMTP_EXT_LIMITS) || c->ehlo.rcpt_domain_max == 0)
		return true;
	while (rest.n > 0)
		if (bytes_case_eq(bytes_cut(&rest, ' '), domain))
			return true;
	if (c->ndomains >= c->ehlo.rcpt_domain_max || c->domains.n + domain.n + 1 > c->domains.max)
		return false;
	buf_add(&c->domains, domain);
	buf_char(&c->domains, ' ');
	c->ndomains++;
	return true;
}

static size_t
one_too_many(struct smtp_client *c, size_t i, const char *words)
{
	size_t said = smtp_client_say(c, "4.5.3", text(words));

	smtp_client_settle(c, i, TRY_LATER, said);
	c->mail->rcpts[i].again = true;
	return said;
}

static void
choose_one(struct smtp_client *c, size_t i)
{
	struct bytes address = c->mail->rcpts[i].address;

	if (!can_put(c, address))
		smtp_client_settle(c, i, BOUNCE, smtp_client_say(c, "5.1.3",
		    text("the recipient's address is none that SMTP can carry")));
	else if (!bytes_is_ascii(address) && !smtp_client_has(c, SMTP_EXT_SMTPUTF8))
		smtp_client_settle(c, i, BOUNCE, smtp_client_say(c, "5.6.7",
		    text("the address needs SMTPUTF8, which the server does not offer")));
	else if (c->nask >= smtp_client_rcpt_max(c))
		one_too_many(c, i, "more recipients than the server takes at once: the next time");
	else if (!fits_domains(c, address))
		c->crowded = one_too_many(c, i, "of more domains than the server takes in this connection: in the next");
	else
		c->ask[c->nask++] = i;
}

void
smtp_client_choose(struct smtp_client *c)
{
	const struct smtp_client_mail *m = c->mail;
	struct bytes lacks;

	for (size_t i = 0; i < LEN(needs); i++)
		if ((lacks = needs[i].lacks(c)).n > 0) {
			smtp_client_settle_open(c, BOUNCE, smtp_client_say(c, needs[i].status, lacks));
			return;
		}
	c->utf8 = m->smtputf8 || !bytes_is_ascii(m->sender);
	for (size_t i = 0; i < m->nrcpts; i++)
		if (!m->rcpts[i].settled)
			choose_one(c, i);
	for (size_t i = 0; i < c->nask; i++)
		c->utf8 = c->utf8 || !bytes_is_ascii(m->rcpts[c->ask[i]].address);
}

/* ---- the commands ---- */

static void
put_dsn_of_mail(struct smtp_client *c)
{
	static const char *const ret[] = { [RET_UNSAID] = "", [RET_FULL] = " RET=FULL", [RET_HDRS] = " RET=HDRS" };
	struct buf id;

	if (c->mail->ret < LEN(ret))
		buf_text(c->out, ret[c->mail->ret]);
	buf_init(&id, SMTP_ENVID_MAX);
	xtext_encode(c->mail->envid, &id);
	if (id.n > 0 && !id.full) {
		buf_text(c->out, " ENVID=");
		buf_add(c->out, buf_bytes(&id));
	}
	buf_fini(&id);
}

/* RFC 5321 section 4.1.1.2. Only what was announced is said. */
void
smtp_client_put_mail(struct smtp_client *c)
{
	const struct smtp_client_mail *m = c->mail;

	buf_text(c->out, "MAIL FROM:<");
	if (m->sender.n > 0)
		must(put_address(c, m->sender, c->out));
	buf_char(c->out, '>');
	if (smtp_client_has(c, SMTP_EXT_SIZE))
		buf_fmt(c->out, " SIZE=%llu", (unsigned long long)m->octets);
	if (m->body == BODY_8BITMIME)
		buf_text(c->out, " BODY=8BITMIME");
	else if (m->body == BODY_BINARYMIME)
		buf_text(c->out, " BODY=BINARYMIME");
	if (c->utf8)
		buf_text(c->out, " SMTPUTF8");
	if (m->requiretls && c->secured && smtp_client_has(c, SMTP_EXT_REQUIRETLS))
		buf_text(c->out, " REQUIRETLS");
	if (m->mt_priority != 0 && smtp_client_has(c, SMTP_EXT_MT_PRIORITY))
		buf_fmt(c->out, " MT-PRIORITY=%d", m->mt_priority);
	if (smtp_client_has(c, SMTP_EXT_DSN))
		put_dsn_of_mail(c);
	buf_text(c->out, "\r\n");
}

/* RFC 3461 section 4.1 */
static void
put_notify(uint32_t notify, struct buf *out)
{
	static const struct { uint32_t bit; const char *name; } words[] = {
		{ NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
	};
	const char *before = " NOTIFY=";

	if (notify & NOTIFY_NEVER) {
		buf_text(out, " NOTIFY=NEVER");
		return;
	}
	for (size_t i = 0; i < LEN(words); i++)
		if (notify & words[i].bit) {
			buf_text(out, before);
			buf_text(out, words[i].name);
			before = ",";
		}
}

/* RFC 3461 section 4.2. An address that is not ASCII is of type utf-8, in its 7-bit form, which every server may be given
 * (RFC 6533 section 3). What does not fit the syntax, or its 500 octets, is left out: it is of use to people alone. */
static void
put_orcpt(struct bytes orcpt, struct buf *out)
{
	struct bytes address = orcpt, type = bytes_cut(&address, ';');
	bool utf8 = bytes_case_eq(type, text("utf-8")) || !bytes_is_ascii(address), good;
	struct buf b;

	for (size_t i = 0; i < type.n; i++)
		if (!ascii_alnum(type.p[i]) && type.p[i] != '-')
			return;
	buf_init(&b, SMTP_ORCPT_MAX);
	buf_add(&b, utf8 ? text("utf-8") : type);
	buf_char(&b, ';');
	good = type.n > 0 && address.n > 0;
	if (utf8)
		good = utf8_xtext_encode(address, &b) && good;
	else
		xtext_encode(address, &b);
	if (good && !b.full) {
		buf_text(out, " ORCPT=");
		buf_add(out, buf_bytes(&b));
	}
	buf_fini(&b);
}

void
smtp_client_put_rcpt(struct smtp_client *c, const struct smtp_client_rcpt *r)
{
	buf_text(c->out, "RCPT TO:<");
	must(put_address(c, r->address, c->out));
	buf_char(c->out, '>');
	if (smtp_client_has(c, SMTP_EXT_DSN)) {
		put_notify(r->notify, c->out);
		put_orcpt(r->orcpt, c->out);
	}
	buf_text(c->out, "\r\n");
}
