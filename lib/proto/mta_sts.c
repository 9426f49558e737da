/* SPDX-License-Identifier: ISC */
#include "proto/mta_sts.h"

#include "base/buf.h"

static bool
is_wsp(unsigned char c)
{
	return c == ' ' || c == '\t';
}

static struct bytes
trim_wsp(struct bytes s)
{
	while (s.n > 0 && is_wsp(s.p[0]))
		s = bytes_skip(s, 1);
	while (s.n > 0 && is_wsp(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* sts-ext-name and sts-policy-ext-name, which the names that are known fit, too. */
static bool
is_name(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]) && (i == 0 || (s.p[i] != '_' && s.p[i] != '-' && s.p[i] != '.')))
			return false;
	return s.n > 0 && s.n <= 32;
}

/* ---- the TXT record: section 3.1 ---- */

static bool
is_id(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]))
			return false;
	return s.n > 0 && s.n <= MTA_STS_ID_MAX;
}

/* sts-ext-value: the delimiter is not in it any more. */
static bool
is_value(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == '=' || s.p[i] == ';')
			return false;
	return s.n > 0;
}

/* What stands for the version and is not to be passed over as another protocol's record: "v=STSv1;". */
static bool
is_ours(struct bytes record, struct bytes *fields)
{
	struct bytes rest = record;
	struct bytes version = bytes_cut(&rest, ';');

	*fields = rest;
	return version.n < record.n && bytes_eq(trim_wsp(version), text("v=STSv1")) && version.p[0] == 'v';
}

static bool
take_fields(struct bytes fields, struct bytes *id)
{
	bool found = false;

	while (fields.n > 0) {
		struct bytes value = trim_wsp(bytes_cut(&fields, ';')), name;

		if (value.n == 0) {		/* the delimiter at the end; two in a row are none */
			if (trim_wsp(fields).n > 0)
				return false;
			continue;
		}
		name = bytes_cut(&value, '=');
		if (!is_name(name) || !is_value(value))
			return false;
		if (!bytes_eq(name, text("id")) || found)
			continue;
		if (!is_id(value))
			return false;
		*id = value;
		found = true;
	}
	return found;
}

bool
mta_sts_txt(struct bytes record, struct bytes *id)
{
	struct bytes fields;

	return is_ours(record, &fields) && take_fields(fields, id);
}

bool
mta_sts_txt_choose(const struct bytes *records, size_t n, struct bytes *id)
{
	struct bytes fields, ours = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (is_ours(records[i], &fields)) {
			ours = fields;
			count++;
		}
	return count == 1 && take_fields(ours, id);
}

/* ---- the policy: section 3.2 ---- */

static const char *const modes[] = { [MTA_STS_NONE] = "none", [MTA_STS_TESTING] = "testing",
    [MTA_STS_ENFORCE] = "enforce" };

const char *
mta_sts_mode_name(enum mta_sts_mode mode)
{
	return modes[mode];
}

static bool
is_label(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_alnum(s.p[i]) && s.p[i] != '_' && (s.p[i] != '-' || i == 0 || i == s.n - 1))
			return false;
	return s.n > 0 && s.n <= 63;
}

bool
mta_sts_is_pattern(struct bytes s)
{
	if (bytes_starts(s, text("*.")))
		s = bytes_skip(s, 2);
	if (s.n == 0 || s.n > 253 || s.p[s.n - 1] == '.')
		return false;
	while (s.n > 0)
		if (!is_label(bytes_cut(&s, '.')))
			return false;
	return true;
}

struct reading {			/* a policy */
	struct mta_sts_policy *out;
	struct arena	*arena;
	bool		 version, mode, max_age;	/* were found */
	size_t		 octets;			/* of patterns */
	const char	*why;		/* it is none */
};

static void
take_version(struct reading *r, struct bytes value)
{
	if (!r->version && !bytes_eq(value, text("STSv1")))
		r->why = "its version is not STSv1";
	r->version = true;
}

static void
take_mode(struct reading *r, struct bytes value)
{
	bool known = false;

	for (size_t i = 0; i < LEN(modes) && !r->mode; i++)
		if (bytes_eq(value, text(modes[i]))) {
			r->out->mode = (enum mta_sts_mode)i;
			known = true;
		}
	if (!r->mode && !known)
		r->why = "its mode is none of enforce, testing, none";
	r->mode = true;
}

static void
take_max_age(struct reading *r, struct bytes value)
{
	uint64_t v;

	if (r->max_age)
		return;
	r->max_age = true;
	if (value.n > 10 || !bytes_u64(value, UINT64_MAX, &v))
		r->why = "its max_age is no number of seconds";
	else
		r->out->max_age_s = v > MTA_STS_AGE_MAX_S ? MTA_STS_AGE_MAX_S : (uint32_t)v;
}

static void
take_mx(struct reading *r, struct bytes value)
{
	unsigned char *p;

	if (!mta_sts_is_pattern(value)) {
		r->why = "an mx in it is no name of a host";
		return;
	}
	r->octets += value.n;
	if (r->out->nmx == MTA_STS_MX_MAX || r->octets > MTA_STS_MX_OCTETS) {
		r->why = "it has too many mx";
		return;
	}
	p = arena_alloc(r->arena, value.n);
	for (size_t i = 0; i < value.n; i++)
		p[i] = ascii_lower(value.p[i]);
	r->out->mx[r->out->nmx++] = bytes_of(p, value.n);
}

static const struct { const char *name; void (*take)(struct reading *, struct bytes); } fields[] = {
	{ "version", take_version }, { "mode", take_mode }, { "max_age", take_max_age }, { "mx", take_mx },
};

/* sts-policy-ext-value may be any UTF-8; here it is enough that it has no control character. */
static bool
is_printable(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

/* A line without its end. */
static void
take_line(struct reading *r, struct bytes line)
{
	struct bytes value = line, name = bytes_cut(&value, ':');

	if (name.n == line.n || !is_name(name) || !is_printable(value)) {
		r->why = "a line in it is not a name, a colon and a value";
		return;
	}
	value = trim_wsp(value);
	for (size_t i = 0; i < LEN(fields); i++)
		if (bytes_eq(name, text(fields[i].name)))
			fields[i].take(r, value);
}

static const char *
lacking(const struct reading *r)
{
	if (!r->version)
		return "it has no version";
	if (!r->mode)
		return "it has no mode";
	if (!r->max_age)
		return "it has no max_age";
	if (r->out->nmx == 0 && r->out->mode != MTA_STS_NONE)
		return "it names no mx";
	return NULL;
}

const char *
mta_sts_policy_parse(struct bytes body, struct arena *a, struct mta_sts_policy *out)
{
	struct reading r = { .out = out, .arena = a };

	*out = (struct mta_sts_policy){ .mx = arena_array(a, MTA_STS_MX_MAX, sizeof *out->mx) };
	if (body.n > MTA_STS_POLICY_MAX)
		return "it is too large";
	while (body.n > 0 && !r.why) {
		struct bytes line = bytes_cut(&body, '\n');

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		if (trim_wsp(line).n > 0)	/* empty lines are not in the grammar, and in many policies */
			take_line(&r, line);
	}
	return r.why ? r.why : lacking(&r);
}

/* ---- hosts: section 4.1 ---- */

bool
mta_sts_matches(struct bytes pattern, struct bytes host)
{
	if (!bytes_starts(pattern, text("*.")))
		return bytes_case_eq(pattern, host);
	(void)bytes_cut(&pattern, '.');
	return bytes_cut(&host, '.').n > 0 && bytes_case_eq(pattern, host);
}

bool
mta_sts_allows(const struct mta_sts_policy *p, struct bytes host)
{
	for (size_t i = 0; i < p->nmx; i++)
		if (mta_sts_matches(p->mx[i], host))
			return true;
	return false;
}
