/* SPDX-License-Identifier: ISC */
#include "proto/smtp_address.h"
#include "proto/smtp_params.h"
#include "proto/utf8.h"
#include "proto/xtext.h"

/* One parameter list being read; which of the two results is not NULL says whose. */
struct reader {
	struct arena	*arena;
	unsigned	 offered;
	bool		 smtputf8;
	struct smtp_mail_params *mail;
	struct smtp_rcpt_params *rcpt;
};

/* The words of *s, in any case, each with its number; false when none is s. */
struct word { const char *name; int value; };

static bool
one_of(struct bytes s, const struct word *words, size_t n, int *value)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (bytes_case_eq(s, text(words[i].name))) {
			*value = words[i].value;
			return true;
		}
	return false;
}

/* RFC 1870 section 4: up to 20 digits, which may be more than 64 bits. */
static bool
take_size(struct reader *r, struct bytes value)
{
	size_t i;

	if (value.n == 0 || value.n > 20)
		return false;
	for (i = 0; i < value.n; i++)
		if (!ascii_digit(value.p[i]))
			return false;
	if (!bytes_u64(value, UINT64_MAX, &r->mail->size_octets))
		r->mail->size_octets = UINT64_MAX;
	return true;
}

static bool
take_body(struct reader *r, struct bytes value)
{
	static const struct word words[] = {
		{ "7BIT", SMTP_BODY_7BIT }, { "8BITMIME", SMTP_BODY_8BITMIME },
		{ "BINARYMIME", SMTP_BODY_BINARYMIME },
	};
	int body;

	if (!one_of(value, words, LEN(words), &body)
	    || (body == SMTP_BODY_BINARYMIME && (r->offered & SMTP_PARAM_BINARYMIME) == 0))
		return false;
	r->mail->body = (enum smtp_body)body;
	return true;
}

static bool
take_smtputf8(struct reader *r, struct bytes value)
{
	(void)value;
	return r->mail->smtputf8 = true;
}

static bool
take_requiretls(struct reader *r, struct bytes value)
{
	(void)value;
	return r->mail->requiretls = true;
}

static bool
take_ret(struct reader *r, struct bytes value)
{
	static const struct word words[] = { { "FULL", SMTP_RET_FULL }, { "HDRS", SMTP_RET_HDRS } };
	int ret;

	if (!one_of(value, words, LEN(words), &ret))
		return false;
	r->mail->ret = (enum smtp_ret)ret;
	return true;
}

static bool
take_envid(struct reader *r, struct bytes value)
{
	r->mail->envid_xtext = value;
	return value.n > 0 && value.n <= SMTP_ENVID_MAX && xtext_decode(value, r->arena, &r->mail->envid);
}

/*
 * RFC 4954 section 5: a mailbox in xtext, or <>. Relays that put <> round the
 * mailbox are understood. What it decodes to must be a mailbox: an AUTH= that held
 * a line end wrote lines into the spool file of another server (CVE-2020-28021).
 */
static bool
take_auth(struct reader *r, struct bytes value)
{
	struct smtp_address addr;
	struct bytes mailbox;

	if (value.n == 0 || value.n > SMTP_AUTH_MAX || !xtext_decode(value, r->arena, &mailbox))
		return false;
	if (bytes_starts(mailbox, text("<")) && bytes_ends(mailbox, text(">")))
		mailbox = bytes_head(bytes_skip(mailbox, 1), mailbox.n - 2);
	r->mail->auth = mailbox;
	return smtp_reverse_path(mailbox, SMTP_TAKE_NO_DOMAIN | SMTP_TAKE_LONG_LOCAL, r->arena, &addr)
	    == SMTP_ADDRESS_OK;
}

/* RFC 6710 section 4.1: -9 to 9. "+3" and "03" are not in its grammar. */
static bool
take_mt_priority(struct reader *r, struct bytes value)
{
	bool minus = value.n == 2 && value.p[0] == '-';
	struct bytes digit = minus ? bytes_skip(value, 1) : value;

	if (digit.n != 1 || !ascii_digit(digit.p[0]) || (minus && digit.p[0] == '0'))
		return false;
	r->mail->mt_priority = minus ? '0' - digit.p[0] : digit.p[0] - '0';
	return true;
}

/* RFC 3461 section 4.1: NEVER alone, or a list of the others. */
static bool
take_notify(struct reader *r, struct bytes value)
{
	static const struct word words[] = {
		{ "NEVER", SMTP_NOTIFY_NEVER }, { "SUCCESS", SMTP_NOTIFY_SUCCESS },
		{ "FAILURE", SMTP_NOTIFY_FAILURE }, { "DELAY", SMTP_NOTIFY_DELAY },
	};
	unsigned all = 0;
	int one;

	if (value.n == 0 || value.p[value.n - 1] == ',')
		return false;
	while (value.n > 0) {
		if (!one_of(bytes_cut(&value, ','), words, LEN(words), &one))
			return false;
		all |= (unsigned)one;
	}
	r->rcpt->notify = all;
	return (all & SMTP_NOTIFY_NEVER) == 0 || all == SMTP_NOTIFY_NEVER;
}

/* addr-type of RFC 3461 section 4.2 is an atom. */
static bool
is_type(struct bytes s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return s.n > 0;
}

static bool
take_orcpt(struct reader *r, struct bytes value)
{
	struct smtp_rcpt_params *out = r->rcpt;
	struct bytes address = value;

	if (value.n > SMTP_ORCPT_MAX || bytes_find(value, ';') == value.n)
		return false;
	out->orcpt_raw = value;
	out->orcpt_type = bytes_cut(&address, ';');
	if (!is_type(out->orcpt_type) || address.n == 0)
		return false;
	if (bytes_case_eq(out->orcpt_type, text("utf-8")))	/* RFC 6533 section 3 */
		return utf8_xtext_decode(address, r->smtputf8, r->arena, &out->orcpt);
	return xtext_decode(address, r->arena, &out->orcpt);
}

/* The keywords of both commands; a value is wanted, or must not be there. */
static const struct keyword {
	const char	*name;
	unsigned	 bit;
	bool		 rcpt, valued;
	bool		(*take)(struct reader *, struct bytes);
} keywords[] = {
	{ "SIZE",	 SMTP_PARAM_SIZE,	 false, true,	take_size },
	{ "BODY",	 SMTP_PARAM_BODY,	 false, true,	take_body },
	{ "SMTPUTF8",	 SMTP_PARAM_SMTPUTF8,	 false, false,	take_smtputf8 },
	{ "RET",	 SMTP_PARAM_RET,	 false, true,	take_ret },
	{ "ENVID",	 SMTP_PARAM_ENVID,	 false, true,	take_envid },
	{ "AUTH",	 SMTP_PARAM_AUTH,	 false, true,	take_auth },
	{ "MT-PRIORITY", SMTP_PARAM_MT_PRIORITY, false, true,	take_mt_priority },
	{ "REQUIRETLS",	 SMTP_PARAM_REQUIRETLS,	 false, false,	take_requiretls },
	{ "NOTIFY",	 SMTP_PARAM_NOTIFY,	 true,	true,	take_notify },
	{ "ORCPT",	 SMTP_PARAM_ORCPT,	 true,	true,	take_orcpt },
};

/* esmtp-keyword, RFC 5321 section 4.1.2. */
static bool
is_keyword(struct bytes s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]) && (i == 0 || s.p[i] != '-'))
			return false;
	return s.n > 0;
}

/* esmtp-value: printable, no "=", no SP. "=" is let through to the value's own parser for
 * AUTH= and ENVID= of clients that do not know xtext: it then says VALUE. UTF-8 is RFC 6531's. */
static bool
is_value(struct bytes s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return s.n > 0 && utf8_valid(s);
}

static enum smtp_params_result
take_param(struct reader *r, struct bytes param)
{
	unsigned *given = r->mail != NULL ? &r->mail->given : &r->rcpt->given;
	struct bytes value = param, name = bytes_cut(&value, '=');
	bool valued = name.n < param.n;
	const struct keyword *k;

	if (!is_keyword(name) || (valued && !is_value(value)))
		return SMTP_PARAMS_SYNTAX;
	for (k = keywords; k < keywords + LEN(keywords); k++)
		if (k->rcpt == (r->rcpt != NULL) && bytes_case_eq(name, text(k->name)))
			break;
	if (k == keywords + LEN(keywords) || (r->offered & k->bit) == 0)
		return SMTP_PARAMS_UNKNOWN;
	if ((*given & k->bit) != 0)
		return SMTP_PARAMS_TWICE;
	*given |= k->bit;
	if (valued != k->valued || !k->take(r, value))
		return SMTP_PARAMS_VALUE;
	return SMTP_PARAMS_OK;
}

static struct bytes
next_param(struct bytes *params)
{
	struct bytes param;
	size_t i;

	*params = bytes_trim(*params);
	for (i = 0; i < params->n && params->p[i] != ' ' && params->p[i] != '\t'; i++)
		;
	param = bytes_head(*params, i);
	*params = bytes_skip(*params, i);
	return param;
}

static enum smtp_params_result
take_params(struct reader *r, struct bytes params, struct bytes *bad)
{
	enum smtp_params_result result;
	struct bytes param;

	while ((param = next_param(&params)).n > 0)
		if ((result = take_param(r, param)) != SMTP_PARAMS_OK) {
			if (bad != NULL)
				*bad = param;
			return result;
		}
	return SMTP_PARAMS_OK;
}

enum smtp_params_result
smtp_mail_params(struct bytes params, unsigned offered, struct arena *a, struct smtp_mail_params *out,
    struct bytes *bad)
{
	struct reader r = { .arena = a, .offered = offered, .mail = out };

	*out = (struct smtp_mail_params){ 0 };
	return take_params(&r, params, bad);
}

enum smtp_params_result
smtp_rcpt_params(struct bytes params, unsigned offered, bool smtputf8, struct arena *a,
    struct smtp_rcpt_params *out, struct bytes *bad)
{
	struct reader r = { .arena = a, .offered = offered, .smtputf8 = smtputf8, .rcpt = out };

	*out = (struct smtp_rcpt_params){ 0 };
	return take_params(&r, params, bad);
}
