/* SPDX-License-Identifier: ISC */
/*
 * mail/publish_judge.c - what to think of what was published. Texts are whoever's wrote them: they are cut into words and
 * compared, no more.
 */
#include <stdio.h>

#include "base/mem.h"
#include "mail/publish.h"
#include "proto/dns_text.h"

struct judge {
	const struct publish_set *should;
	const struct publish_found *is;
	struct arena	*a;
	struct publish_verdict *out;
};

static void
say(struct judge *j, enum publish_state state, struct bytes why)
{
	j->out->state = state;
	j->out->why = why;
}

const char *
publish_state_name(enum publish_state state)
{
	static const char *const names[] = {
		[PUBLISH_UNSURE] = "not sure", [PUBLISH_RIGHT] = "right", [PUBLISH_MISSING] = "missing",
		[PUBLISH_DIFFERENT] = "different", [PUBLISH_INSECURE] = "insecure",
	};

	return names[state];
}

static struct bytes
in_words(struct judge *j, const struct dns_record *r)
{
	struct buf b;
	struct bytes words;

	buf_init(&b, 1 << 18);
	dns_record_put(&b, r, false);
	words = arena_copy(j->a, buf_bytes(&b));
	buf_fini(&b);
	return words;
}

/* ---- hosts ---- */

/* How many of these name the host; where is the first one of them. */
static size_t
naming(const struct judge *j, size_t *first)
{
	struct bytes host = j->should->source->host;
	size_t n = 0;

	for (size_t i = j->is->n; i-- > 0;) {
		const struct dns_record *r = &j->is->records[i];
		struct bytes name = r->type == DNS_MX ? r->mx.name : r->type == DNS_SRV ? r->srv.name : r->name;

		if (bytes_case_eq(name, host)) {
			*first = i;
			n++;
		}
	}
	return n;
}

static void
judge_mx(struct judge *j)
{
	struct bytes host = j->should->source->host;
	size_t ours = 0, before = 0;

	if (naming(j, &ours) == 0) {
		bool null = j->is->n == 1 && j->is->records[0].mx.name.n == 0;

		say(j, PUBLISH_DIFFERENT, null ? text("it says that this domain takes no mail (RFC 7505)")
		    : arena_fmt(j->a, "its mail does not go to %.*s", BYTES_FMT(host)));
		return;
	}
	for (size_t i = 0; i < j->is->n; i++)
		before += j->is->records[i].mx.preference < j->is->records[ours].mx.preference;
	say(j, PUBLISH_RIGHT, before > 0 ? text("other hosts come first") : text(""));
}

static void
judge_ptr(struct judge *j)
{
	size_t ours;

	if (naming(j, &ours) > 0)
		say(j, PUBLISH_RIGHT, text(""));
	else
		say(j, PUBLISH_DIFFERENT, arena_fmt(j->a, "many hosts take no mail from an address with another name than %.*s, "
		    "or trust it less", BYTES_FMT(j->should->source->host)));
}

static void
judge_srv(struct judge *j)
{
	uint16_t port = j->should->records[0].srv.port;

	for (size_t i = 0; i < j->is->n; i++)
		if (bytes_case_eq(j->is->records[i].srv.name, j->should->source->host) && j->is->records[i].srv.port == port) {
			say(j, PUBLISH_RIGHT, text(""));
			return;
		}
	say(j, PUBLISH_DIFFERENT, text("mail programs would look elsewhere"));
}

static const struct dns_record *
first_without(const struct dns_record *of, size_t n, const struct dns_record *in, size_t m)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < m && memcmp(of[i].address, in[k].address, sizeof of[i].address) != 0)
			k++;
		if (k == m)
			return &of[i];
	}
	return NULL;
}

static void
judge_address(struct judge *j)
{
	const struct publish_set *s = j->should;
	const struct dns_record *strange = first_without(j->is->records, j->is->n, s->records, s->n);
	const struct dns_record *lost = first_without(s->records, s->n, j->is->records, j->is->n);

	if (j->is->name.n > 0 && !bytes_case_eq(j->is->name, s->name))		/* RFC 2181 section 10.3 */
		say(j, PUBLISH_DIFFERENT, arena_fmt(j->a, "it is an alias (CNAME) of %.*s, and an MX must not name one",
		    BYTES_FMT(j->is->name)));
	else if (s->source->unsure[s->type == DNS_AAAA])
		say(j, PUBLISH_UNSURE, text(s->source->unsure[s->type == DNS_AAAA]));
	else if (strange)
		say(j, PUBLISH_DIFFERENT, arena_fmt(j->a, "%.*s is no address of this host", BYTES_FMT(in_words(j, strange))));
	else if (lost)
		say(j, PUBLISH_DIFFERENT, arena_fmt(j->a, "%.*s is missing", BYTES_FMT(in_words(j, lost))));
	else
		say(j, PUBLISH_RIGHT, text(""));
}

/* ---- keys ---- */

static bool
has_key(const struct publish_found *is, const struct dns_tlsa *key)
{
	for (size_t i = 0; i < is->n; i++) {
		const struct dns_tlsa *t = &is->records[i].tlsa;

		if (t->usage == key->usage && t->selector == key->selector && t->matching == key->matching
		    && bytes_eq(t->data, key->data))
			return true;
	}
	return false;
}

/* Of a CA, of a whole certificate, by another hash: they may be right. */
static bool
has_other_kinds(const struct publish_found *is)
{
	for (size_t i = 0; i < is->n; i++) {
		const struct dns_tlsa *t = &is->records[i].tlsa;

		if (t->usage != 3 || t->selector != 1 || t->matching != 1)
			return true;
	}
	return false;
}

static void
judge_tlsa(struct judge *j)
{
	const struct publish_set *s = j->should;
	size_t there = 0;

	for (size_t i = 0; i < s->n; i++)
		there += has_key(j->is, &s->records[i].tlsa);
	if (s->n == 0)
		say(j, PUBLISH_DIFFERENT, text("this host has no certificate: who keeps to DANE sends it nothing"));
	else if (there < s->n && has_other_kinds(j->is))
		say(j, PUBLISH_UNSURE, text("whether a record of another kind than 3 1 1 fits is not looked at"));
	else if (there < s->n)
		say(j, PUBLISH_DIFFERENT, there == 0 ? text("no key of this host is named: who keeps to DANE sends it nothing")
		    : text("a key of this host is not named: who keeps to DANE, and is shown that one, sends nothing"));
	else if (!j->is->secure)
		say(j, PUBLISH_INSECURE, text("it counts for nothing, since the zone is not signed by DNSSEC"));
	else
		say(j, PUBLISH_RIGHT, j->is->n > s->n ? text("other keys are named, too") : text(""));
}

/* ---- texts: policies in a TXT record ---- */

/* The next tag of "name=value; name=value": RFC 7489 section 6.4, RFC 8460 section 3. False: there is none. */
static bool
tag_next(struct bytes *list, struct bytes *name, struct bytes *value)
{
	struct bytes tag;

	if (list->n == 0)
		return false;
	tag = bytes_cut(list, ';');
	*name = bytes_trim(bytes_cut(&tag, '='));
	*value = bytes_trim(tag);
	return true;
}

static struct bytes
tag_value(struct bytes list, const char *wanted)
{
	struct bytes name, value;

	while (tag_next(&list, &name, &value))
		if (bytes_case_eq(name, text(wanted)))
			return value;
	return text("");
}

static bool
has_version(struct bytes list, const char *version)
{
	struct bytes name, value;

	return tag_next(&list, &name, &value) && bytes_eq(name, text("v")) && bytes_eq(value, text(version));
}

/* RFC 7208 section 4.5. */
static bool
is_spf(struct bytes s)
{
	return bytes_case_starts(s, text("v=spf1")) && (s.n == 6 || s.p[6] == ' ');
}

static bool
is_meant(enum publish_kind kind, struct bytes s)
{
	switch (kind) {
	case PUBLISH_SPF:	return is_spf(s);
	case PUBLISH_DMARC:	return has_version(s, "DMARC1");
	case PUBLISH_TLSRPT:	return has_version(s, "TLSRPTv1");
	default:		return true;
	}
}

/* "mx" of "+mx": a mechanism that says yes. Empty: any other. */
static struct bytes
passing(struct bytes term)
{
	if (term.n > 0 && (term.p[0] == '-' || term.p[0] == '~' || term.p[0] == '?'))
		return text("");
	return term.n > 0 && term.p[0] == '+' ? bytes_skip(term, 1) : term;
}

static bool
covers(struct bytes term, const struct address *a)
{
	struct bytes network = passing(term), kind = bytes_cut(&network, ':');
	struct network n;
	char why[256];

	return (bytes_case_eq(kind, text("ip4")) || bytes_case_eq(kind, text("ip6"))) && network_parse(network, &n, why, sizeof why)
	    && network_has(&n, a);
}

static bool
all_covered(struct bytes policy, const struct publish_source *s)
{
	for (size_t i = 0; i < s->addresses; i++) {
		struct bytes rest = policy;
		bool found = false;

		while (rest.n > 0 && !found)
			found = covers(bytes_cut(&rest, ' '), &s->address[i]);
		if (!found)
			return false;
	}
	return s->addresses > 0 && !s->unsure[0] && !s->unsure[1];
}

static bool
has_term(struct bytes policy, struct bytes term)
{
	while (policy.n > 0)
		if (bytes_case_eq(passing(bytes_cut(&policy, ' ')), term))
			return true;
	return false;
}

/* What the last `all` says of everybody else; 0: nothing (RFC 7208 section 5.1). */
static unsigned char
others_are(struct bytes policy)
{
	unsigned char said = 0;

	while (policy.n > 0) {
		struct bytes term = bytes_cut(&policy, ' ');

		if (bytes_case_eq(term, text("all")))
			said = '+';
		else if (term.n == 4 && bytes_case_eq(bytes_skip(term, 1), text("all")))
			said = term.p[0];
	}
	return said;
}

static bool
is_left_to_another(struct bytes policy)
{
	while (policy.n > 0)
		if (bytes_case_starts(bytes_cut(&policy, ' '), text("redirect=")))
			return true;
	return false;
}

static void
judge_spf(struct judge *j, struct bytes policy)
{
	struct bytes should = j->should->records[0].text, mechanism;
	unsigned char others = others_are(policy);

	bytes_cut(&should, ' ');
	mechanism = bytes_cut(&should, ' ');
	if (others == 0 && is_left_to_another(policy))
		say(j, PUBLISH_UNSURE, text("it is left to another domain's record"));
	else if (!has_term(policy, mechanism) && !all_covered(policy, j->should->source))
		say(j, PUBLISH_DIFFERENT, text("it does not say that this host may send in its name"));
	else if (others != '-' && others != '~')
		say(j, PUBLISH_DIFFERENT, text("it lets anybody send in its name; right would be ~all or -all at its end"));
	else
		say(j, PUBLISH_RIGHT, text(""));
}

static void
judge_dmarc(struct judge *j, struct bytes policy)
{
	static const char *const policies[] = { "none", "quarantine", "reject" };
	struct bytes p = tag_value(policy, "p");

	for (size_t i = 0; i < LEN(policies); i++)
		if (bytes_case_eq(p, text(policies[i]))) {
			say(j, PUBLISH_RIGHT, text(""));
			return;
		}
	say(j, PUBLISH_DIFFERENT, text("it has no policy; right would be p=none, p=quarantine or p=reject"));
}

static void
judge_tlsrpt(struct judge *j, struct bytes policy)
{
	struct bytes to = tag_value(policy, "rua");

	if (bytes_case_starts(to, text("mailto:")) || bytes_case_starts(to, text("https:")))
		say(j, PUBLISH_RIGHT, text(""));
	else
		say(j, PUBLISH_DIFFERENT, text("it names nobody to be told; right would be rua=mailto:..."));
}

/* Of several policies of a kind each is void: RFC 7208 section 4.5, RFC 7489 section 6.6.3, RFC 8460 section 3. */
static void
judge_text(struct judge *j)
{
	struct dns_record *meant = arena_array(j->a, j->is->n, sizeof *meant);
	enum publish_kind kind = j->should->kind;
	size_t n = 0;

	for (size_t i = 0; i < j->is->n; i++)
		if (is_meant(kind, j->is->records[i].text))
			meant[n++] = j->is->records[i];
	j->out->records = meant;
	j->out->n = n;
	if (n == 0)
		say(j, PUBLISH_MISSING, text(""));
	else if (n > 1)
		say(j, PUBLISH_DIFFERENT, text("there are several, and none of them counts; right would be one"));
	else if (kind == PUBLISH_SPF)
		judge_spf(j, meant[0].text);
	else if (kind == PUBLISH_DMARC)
		judge_dmarc(j, meant[0].text);
	else
		judge_tlsrpt(j, meant[0].text);
}

/* ---- all ---- */

static void
judge_records(struct judge *j)
{
	switch (j->should->kind) {
	case PUBLISH_MX:	judge_mx(j); break;
	case PUBLISH_ADDRESS:	judge_address(j); break;
	case PUBLISH_TLSA:	judge_tlsa(j); break;
	case PUBLISH_SRV:	judge_srv(j); break;
	case PUBLISH_PTR:	judge_ptr(j); break;
	case PUBLISH_SPF:
	case PUBLISH_DMARC:
	case PUBLISH_TLSRPT:	judge_text(j); break;
	}
}

void
publish_judge(const struct publish_set *should, const struct publish_found *is, struct arena *a, struct publish_verdict *out)
{
	struct judge j = { .should = should, .is = is, .a = a, .out = out };

	*out = (struct publish_verdict){ .why = text("") };
	switch (is->result) {
	case DNS_FAILED:
	case DNS_BOGUS:
		say(&j, PUBLISH_UNSURE, arena_fmt(a, "%s: %.*s", dns_result_name(is->result), BYTES_FMT(is->why)));
		return;
	case DNS_NO_DATA:
	case DNS_NO_NAME:
		say(&j, should->n > 0 ? PUBLISH_MISSING : PUBLISH_RIGHT, text(""));
		return;
	case DNS_FOUND:
		out->records = is->records;
		out->n = is->n;
		judge_records(&j);
	}
}
