/* SPDX-License-Identifier: ISC */
#include "proto/smtp_ehlo.h"

static struct bytes
next_word(struct bytes *rest)
{
	struct bytes word;

	do {
		word = bytes_cut(rest, ' ');
	} while (word.n == 0 && rest->n > 0);
	return word;
}

/* "SIZE" alone announces no limit, nor does 0; nor what is no number. */
static void
take_size(struct smtp_ehlo *e, struct bytes params)
{
	if (!bytes_u64(next_word(&params), UINT64_MAX, &e->size_octets))
		e->size_octets = 0;
}

/* sasl-mech, RFC 4422 section 3.1. */
static bool
is_mechanism(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	return s.n > 0 && s.n <= SMTP_MECHANISM_MAX;
}

static bool
has_mechanism(const struct smtp_ehlo *e, struct bytes name)
{
	struct bytes all = smtp_ehlo_mechanisms(e);

	while (all.n > 0)
		if (bytes_case_eq(bytes_cut(&all, ' '), name))
			return true;
	return false;
}

static void
add_mechanism(struct smtp_ehlo *e, struct bytes name)
{
	size_t space = e->mechanisms_n > 0;

	if (!is_mechanism(name) || has_mechanism(e, name)
	    || name.n + space > sizeof e->mechanisms - e->mechanisms_n)
		return;
	if (space)
		e->mechanisms[e->mechanisms_n++] = ' ';
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = name.p[i];

		e->mechanisms[e->mechanisms_n++] = c >= 'a' && c <= 'z' ? (unsigned char)(c - 32) : c;
	}
}

static void
take_auth(struct smtp_ehlo *e, struct bytes params)
{
	while (params.n > 0)
		add_mechanism(e, next_word(&params));
}

/* RFC 9422: name=value, a number of one to six digits that does not begin with 0. What is malformed is ignored, that
 * limit alone; so are limits that are not known here. */
static void
take_limits(struct smtp_ehlo *e, struct bytes params)
{
	const struct { const char *name; uint32_t *to; } limits[] = {
		{ "MAILMAX", &e->mail_max }, { "RCPTMAX", &e->rcpt_max }, { "RCPTDOMAINMAX", &e->rcpt_domain_max },
	};

	while (params.n > 0) {
		struct bytes value = next_word(&params), name = bytes_cut(&value, '=');
		uint64_t v;

		for (size_t i = 0; i < LEN(limits); i++)
			if (bytes_case_eq(name, text(limits[i].name)) && value.n > 0 && value.p[0] != '0'
			    && bytes_u64(value, 999999, &v))
				*limits[i].to = (uint32_t)v;
	}
}

static const struct {
	const char	*name;
	unsigned	 bit;
	void		(*params)(struct smtp_ehlo *, struct bytes);
} keywords[] = {
	{ "PIPELINING",		 SMTP_EXT_PIPELINING,	NULL },
	{ "SIZE",		 SMTP_EXT_SIZE,		take_size },
	{ "8BITMIME",		 SMTP_EXT_8BITMIME,	NULL },
	{ "CHUNKING",		 SMTP_EXT_CHUNKING,	NULL },
	{ "BINARYMIME",		 SMTP_EXT_BINARYMIME,	NULL },
	{ "STARTTLS",		 SMTP_EXT_STARTTLS,	NULL },
	{ "ENHANCEDSTATUSCODES", SMTP_EXT_STATUSCODES,	NULL },
	{ "DSN",		 SMTP_EXT_DSN,		NULL },
	{ "AUTH",		 SMTP_EXT_AUTH,		take_auth },
	{ "SMTPUTF8",		 SMTP_EXT_SMTPUTF8,	NULL },
	{ "MT-PRIORITY",	 SMTP_EXT_MT_PRIORITY,	NULL },
	{ "REQUIRETLS",		 SMTP_EXT_REQUIRETLS,	NULL },
	{ "LIMITS",		 SMTP_EXT_LIMITS,	take_limits },
};

void
smtp_ehlo_init(struct smtp_ehlo *e)
{
	*e = (struct smtp_ehlo){ 0 };
}

void
smtp_ehlo_line(struct smtp_ehlo *e, struct bytes line)
{
	struct bytes params = bytes_trim(line), name = next_word(&params);

	if (bytes_case_starts(name, text("AUTH="))) {	/* drafts of RFC 2554 had it so, and servers still say both */
		e->extensions |= SMTP_EXT_AUTH;
		add_mechanism(e, bytes_skip(name, 5));
		take_auth(e, params);
		return;
	}
	for (size_t i = 0; i < LEN(keywords); i++)
		if (bytes_case_eq(name, text(keywords[i].name))) {
			e->extensions |= keywords[i].bit;
			if (keywords[i].params)
				keywords[i].params(e, params);
		}
}

struct bytes
smtp_ehlo_mechanisms(const struct smtp_ehlo *e)
{
	return bytes_of(e->mechanisms, e->mechanisms_n);
}
