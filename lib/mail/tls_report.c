/* SPDX-License-Identifier: ISC */
#include "mail/tls_report.h"

#include <stdio.h>
#include <time.h>

#include "base/encode.h"
#include "base/mem.h"

#define FIRST		"hermod tls-report 1\n"
#define ROOM		(2u * TLS_REPORT_OCTETS)	/* of the arena; what is counted is bounded by TLS_REPORT_OCTETS */

const char *
tls_report_type_name(enum tls_report_type t)
{
	static const char *const names[] = { [TLS_REPORT_NO_POLICY] = "no-policy-found", [TLS_REPORT_TLSA] = "tlsa",
	    [TLS_REPORT_STS] = "sts" };

	return names[t];
}

const char *
tls_result_name(enum tls_result r)
{
	static const char *const names[TLS_RESULTS] = {
		[TLS_GOOD] = "",
		[TLS_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
		[TLS_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
		[TLS_CERTIFICATE_EXPIRED] = "certificate-expired",
		[TLS_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
		[TLS_VALIDATION_FAILURE] = "validation-failure",
		[TLS_TLSA_INVALID] = "tlsa-invalid",
		[TLS_DNSSEC_INVALID] = "dnssec-invalid",
		[TLS_DANE_REQUIRED] = "dane-required",
		[TLS_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
		[TLS_STS_POLICY_INVALID] = "sts-policy-invalid",
		[TLS_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
	};

	return names[r];
}

/* ---- what a host's decision is counted under ---- */

/* A line that would not fit is left out, whole. */
static void
put_line(struct buf *lines, struct bytes line)
{
	if (lines->n + line.n + 1 > lines->max)
		return;
	buf_add(lines, line);
	buf_char(lines, '\n');
}

/* Section 4.4: "TLSA record (RFC 6698 section 2.3)". */
static void
put_tlsa(struct buf *lines, const struct dns_tlsa *t)
{
	struct buf line;

	buf_init(&line, 2 * DNS_RDATA_MAX + 32);
	buf_fmt(&line, "string %u %u %u ", t->usage, t->selector, t->matching);
	hex_encode(t->data, &line);
	put_line(lines, buf_bytes(&line));
	buf_fini(&line);
}

static void
put_sts(struct buf *lines, struct arena *a, const struct mta_sts_policy *p)
{
	put_line(lines, text("string version: STSv1"));
	put_line(lines, arena_fmt(a, "string mode: %s", mta_sts_mode_name(p->mode)));
	for (size_t i = 0; i < p->nmx; i++)
		put_line(lines, arena_fmt(a, "string mx: %.*s", BYTES_FMT(p->mx[i])));
	put_line(lines, arena_fmt(a, "string max_age: %u", (unsigned)p->max_age_s));
	for (size_t i = 0; i < p->nmx; i++)
		put_line(lines, arena_fmt(a, "mx %.*s", BYTES_FMT(p->mx[i])));
}

static struct bytes
lower(struct bytes s, struct arena *a)
{
	unsigned char *p = arena_alloc(a, s.n + 1);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return bytes_of(p, s.n);
}

static bool
has_sts(const struct tls_question *q)
{
	return q->sts && q->sts->policy.mode != MTA_STS_NONE && tls_wants_sts(q) && q->tlsa == TLSA_NONE;
}

void
tls_report_policy(const struct tls_question *q, const struct tls_decision *d, struct arena *a, struct tls_report_policy *out)
{
	struct buf lines;

	*out = (struct tls_report_policy){ .domain = q->host->domain };
	if (q->host->name.n == 0 || (!d->refused && d->level == TLS_NEVER)) {	/* no domain's, or nobody has tried */
		out->domain = bytes_of(NULL, 0);
		return;
	}
	buf_init(&lines, TLS_REPORT_LINES);
	if (q->tlsa != TLSA_NONE) {
		out->type = TLS_REPORT_TLSA;
		out->domain = q->tlsa_base.n > 0 ? q->tlsa_base : q->host->name;	/* section 1.1: the TLSA base domain */
		for (size_t i = 0; i < q->ntlsa && q->tlsa == TLSA_THERE; i++)
			put_tlsa(&lines, &q->tlsa_records[i].tlsa);
	} else if (has_sts(q)) {
		out->type = TLS_REPORT_STS;
		put_sts(&lines, a, &q->sts->policy);
	}
	out->domain = lower(out->domain, a);
	out->lines = arena_copy(a, buf_bytes(&lines));
	buf_fini(&lines);
}

bool
tls_report_refusal(const struct tls_question *q, enum tls_result *out)
{
	if (q->tlsa == TLSA_UNKNOWN)
		*out = TLS_DNSSEC_INVALID;
	else if (q->rule->wish == TLS_WISH_DANE)
		*out = TLS_DANE_REQUIRED;
	else if (has_sts(q) && !mta_sts_allows(&q->sts->policy, q->host->name))
		*out = TLS_VALIDATION_FAILURE;
	else
		return false;
	return true;
}

/* ---- a day ---- */

struct entry {
	struct tls_report_entry seen;		/* first */
	struct tls_report_failure *last;
	unsigned	 nfailures;
};

struct tls_report {
	struct arena	*arena;		/* owned; all below */
	struct entry	**entry;	/* owned; sorted */
	size_t		 n, cap, max;
	uint64_t	 further;
};

struct tls_report *
tls_report_new(size_t policies_max)
{
	struct tls_report *r = mem_alloc(sizeof *r);

	*r = (struct tls_report){ .arena = arena_new(ROOM), .max = policies_max };
	return r;
}

void
tls_report_clear(struct tls_report *r)
{
	arena_reset(r->arena);
	r->n = 0;
	r->further = 0;
}

void
tls_report_free(struct tls_report **taken)
{
	struct tls_report *r = *taken;

	*taken = NULL;
	if (!r)
		return;
	arena_free(&r->arena);
	mem_free(r->entry);
	mem_free(r);
}

static int
compare(const struct tls_report_policy *a, const struct tls_report_policy *b)
{
	int c = bytes_cmp(a->domain, b->domain);

	if (c == 0)
		c = (int)a->type - (int)b->type;
	return c != 0 ? c : bytes_cmp(a->lines, b->lines);
}

/* Where it is, or would be: what is read comes in order, so the end is looked at first. */
static size_t
search(const struct tls_report *r, const struct tls_report_policy *p, bool *found)
{
	size_t low = 0, high = r->n;

	*found = false;
	if (r->n > 0 && compare(&r->entry[r->n - 1]->seen.policy, p) < 0)
		return r->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int c = compare(&r->entry[middle]->seen.policy, p);

		if (c == 0) {
			*found = true;
			return middle;
		}
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
has_room(const struct tls_report *r, size_t octets)
{
	return arena_used(r->arena) + octets + sizeof(struct entry) + 64 <= TLS_REPORT_OCTETS;
}

static void
grow(struct tls_report *r)
{
	struct entry **more;

	if (r->n < r->cap)
		return;
	r->cap = r->cap ? 2 * r->cap : 64;
	more = mem_array(r->cap, sizeof(struct entry *));
	if (r->n > 0)
		memcpy(more, r->entry, r->n * sizeof *more);
	mem_free(r->entry);
	r->entry = more;
}

/* NULL: there is no room. */
static struct entry *
entry_of(struct tls_report *r, const struct tls_report_policy *p)
{
	bool found;
	size_t at = search(r, p, &found);
	struct entry *e;

	if (found)
		return r->entry[at];
	if (r->n >= r->max || !has_room(r, p->domain.n + p->lines.n))
		return NULL;
	grow(r);
	e = arena_alloc(r->arena, sizeof *e);
	e->seen.policy = (struct tls_report_policy){ .type = p->type, .domain = arena_copy(r->arena, p->domain),
	    .lines = arena_copy(r->arena, p->lines) };
	memmove(&r->entry[at + 1], &r->entry[at], (r->n - at) * sizeof(struct entry *));
	r->entry[at] = e;
	r->n++;
	return e;
}

static bool
is_same(const struct tls_report_failure *f, const struct tls_report_session *s)
{
	return f->result == s->result && bytes_eq(f->sending, s->sending) && bytes_eq(f->receiving, s->receiving)
	    && bytes_eq(f->mx, s->mx) && bytes_eq(f->reason, s->reason);
}

static void
add_failure(struct tls_report *r, struct entry *e, const struct tls_report_session *s, uint64_t n)
{
	struct tls_report_failure *f, *first = (struct tls_report_failure *)(uintptr_t)e->seen.failures;

	for (f = first; f; f = (struct tls_report_failure *)(uintptr_t)f->next)
		if (is_same(f, s)) {
			f->n += n;
			return;
		}
	if (e->nfailures == TLS_REPORT_FAILURES
	    || !has_room(r, s->sending.n + s->receiving.n + s->mx.n + s->reason.n)) {
		e->seen.further += n;
		return;
	}
	f = arena_alloc(r->arena, sizeof *f);
	*f = (struct tls_report_failure){ .result = s->result, .n = n, .sending = arena_copy(r->arena, s->sending),
	    .receiving = arena_copy(r->arena, s->receiving), .mx = arena_copy(r->arena, s->mx),
	    .reason = arena_copy(r->arena, s->reason) };
	if (e->last)
		e->last->next = f;
	else
		e->seen.failures = f;
	e->last = f;
	e->nfailures++;
}

/* A word of the file; "-" stands for an empty one. */
static bool
is_word(struct bytes s, size_t most)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return false;
	return s.n <= most && !bytes_eq(s, text("-"));
}

static bool
is_line(struct bytes s, size_t most)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] >= 0x7f)
			return false;
	return s.n <= most;
}

static bool
are_lines(struct bytes run)
{
	if (run.n > TLS_REPORT_LINES || (run.n > 0 && !bytes_ends(run, text("\n"))))
		return false;
	while (run.n > 0) {
		struct bytes line = bytes_cut(&run, '\n');

		if (!is_line(line, TLS_REPORT_LINES)
		    || !(bytes_starts(line, text("string ")) || bytes_starts(line, text("mx "))))
			return false;
	}
	return true;
}

static bool
makes_sense(const struct tls_report_session *s)
{
	return s->policy.type <= TLS_REPORT_STS && s->result < TLS_RESULTS && s->policy.domain.n > 0
	    && is_word(s->policy.domain, 253) && are_lines(s->policy.lines) && is_word(s->sending, NETWORK_TEXT_MAX)
	    && is_word(s->receiving, NETWORK_TEXT_MAX) && is_word(s->mx, 253) && is_line(s->reason, TLS_REPORT_REASON);
}

static void
add(struct tls_report *r, const struct tls_report_session *s, uint64_t n)
{
	struct entry *e = entry_of(r, &s->policy);

	if (!e)
		r->further += n;
	else if (s->result == TLS_GOOD)
		e->seen.good += n;
	else
		add_failure(r, e, s, n);
}

bool
tls_report_add(struct tls_report *r, const struct tls_report_session *s)
{
	bool good = makes_sense(s);

	if (good)
		add(r, s, 1);
	return good;
}

/* Of failures without words, or of a policy without room. */
static void
add_further(struct tls_report *r, const struct tls_report_policy *p, uint64_t n)
{
	struct entry *e = entry_of(r, p);

	*(e ? &e->seen.further : &r->further) += n;
}

void
tls_report_merge(struct tls_report *r, const struct tls_report *from)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct tls_report_entry *e = &from->entry[i]->seen;

		add(r, &(struct tls_report_session){ .policy = e->policy }, e->good);
		for (const struct tls_report_failure *f = e->failures; f; f = f->next)
			add(r, &(struct tls_report_session){ .policy = e->policy, .result = f->result, .sending = f->sending,
			    .receiving = f->receiving, .mx = f->mx, .reason = f->reason }, f->n);
		if (e->further > 0)
			add_further(r, &e->policy, e->further);
	}
	r->further += from->further;
}

bool
tls_report_is_empty(const struct tls_report *r)
{
	return r->n == 0 && r->further == 0;
}

size_t
tls_report_count(const struct tls_report *r)
{
	return r->n;
}

const struct tls_report_entry *
tls_report_at(const struct tls_report *r, size_t i)
{
	must(i < r->n);
	return &r->entry[i]->seen;
}

uint64_t
tls_report_further(const struct tls_report *r)
{
	return r->further;
}

uint64_t
tls_report_failed(const struct tls_report_entry *e)
{
	uint64_t n = e->further;

	for (const struct tls_report_failure *f = e->failures; f; f = f->next)
		n += f->n;
	return n;
}

/* ---- the file ---- */

char *
tls_report_day(int64_t wall_s, char dst[TLS_REPORT_DAY])
{
	time_t t = (time_t)wall_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(dst, TLS_REPORT_DAY, "%Y-%m-%d", &tm) != TLS_REPORT_DAY - 1)
		memcpy(dst, "1970-01-01", TLS_REPORT_DAY);
	return dst;
}

bool
tls_report_is_day(const char *name)
{
	static const char form[] = "0000-00-00";

	for (size_t i = 0; i < sizeof form - 1; i++)
		if (form[i] == '0' ? !ascii_digit((unsigned char)name[i]) : name[i] != form[i])
			return false;
	return name[sizeof form - 1] == '\0';
}

static void
put_word(struct buf *out, struct bytes word)
{
	buf_char(out, ' ');
	buf_add(out, word.n > 0 ? word : text("-"));
}

static void
put_failure(struct buf *out, const struct tls_report_failure *f)
{
	buf_fmt(out, "failure %llu %s", (unsigned long long)f->n, tls_result_name(f->result));
	put_word(out, f->sending);
	put_word(out, f->receiving);
	put_word(out, f->mx);
	buf_char(out, ' ');
	buf_add(out, f->reason);
	buf_char(out, '\n');
}

static void
put_entry(struct buf *out, const struct tls_report_entry *e)
{
	buf_fmt(out, "policy %s %llu ", tls_report_type_name(e->policy.type), (unsigned long long)e->good);
	buf_add(out, e->policy.domain);
	buf_char(out, '\n');
	buf_add(out, e->policy.lines);
	for (const struct tls_report_failure *f = e->failures; f; f = f->next)
		put_failure(out, f);
	if (e->further > 0)
		buf_fmt(out, "further %llu\n", (unsigned long long)e->further);
}

void
tls_report_write(const struct tls_report *r, const char *day, struct buf *out)
{
	struct buf rest;

	buf_init(&rest, TLS_REPORT_FILE);
	buf_fmt(&rest, "day %s\nfurther %llu\n", day, (unsigned long long)r->further);
	for (size_t i = 0; i < r->n; i++)
		put_entry(&rest, &r->entry[i]->seen);
	buf_fmt(out, FIRST "crc32 %08x\n", (unsigned)crc32_of(0, buf_bytes(&rest)));
	buf_add(out, buf_bytes(&rest));
	out->full = out->full || rest.full;
	buf_fini(&rest);
}

/* "name value\n"; false: another name is there, and nothing was cut. */
static bool
cut_line(struct bytes *rest, const char *name, struct bytes *value)
{
	struct bytes after = *rest, line = bytes_cut(&after, '\n');

	if (!bytes_eq(bytes_cut(&line, ' '), text(name)))
		return false;
	*value = line;
	*rest = after;
	return true;
}

static bool
cut_number(struct bytes *line, uint64_t *out)
{
	return bytes_u64(bytes_cut(line, ' '), INT64_MAX, out);
}

static struct bytes
cut_word(struct bytes *line)
{
	struct bytes word = bytes_cut(line, ' ');

	return bytes_eq(word, text("-")) ? bytes_of(NULL, 0) : word;
}

static bool
find_type(struct bytes name, enum tls_report_type *out)
{
	for (unsigned i = 0; i <= TLS_REPORT_STS; i++)
		if (bytes_eq(name, text(tls_report_type_name((enum tls_report_type)i)))) {
			*out = (enum tls_report_type)i;
			return true;
		}
	return false;
}

static bool
find_result(struct bytes name, enum tls_result *out)
{
	for (unsigned i = TLS_GOOD + 1; i < TLS_RESULTS; i++)
		if (bytes_eq(name, text(tls_result_name((enum tls_result)i)))) {
			*out = (enum tls_result)i;
			return true;
		}
	return false;
}

/* r NULL: only looked at. */
static bool
read_failure(struct tls_report *r, struct tls_report_session *s, struct bytes line)
{
	uint64_t n;

	if (!cut_number(&line, &n) || !find_result(bytes_cut(&line, ' '), &s->result))
		return false;
	s->sending = cut_word(&line);
	s->receiving = cut_word(&line);
	s->mx = cut_word(&line);
	s->reason = line;
	if (!makes_sense(s))
		return false;
	if (r)
		add(r, s, n);
	return true;
}

static bool
read_policy(struct tls_report *r, struct bytes line, struct bytes *rest)
{
	struct tls_report_session s = { 0 };
	const unsigned char *from;
	struct bytes value;
	uint64_t n;

	if (!find_type(bytes_cut(&line, ' '), &s.policy.type) || !cut_number(&line, &n))
		return false;
	s.policy.domain = line;
	from = rest->p;
	while (cut_line(rest, "string", &value) || cut_line(rest, "mx", &value))
		;
	s.policy.lines = bytes_of(from, (size_t)(rest->p - from));
	if (!makes_sense(&s))
		return false;
	if (r)
		add(r, &s, n);
	while (cut_line(rest, "failure", &value))
		if (!read_failure(r, &s, value))
			return false;
	if (cut_line(rest, "further", &value)) {
		if (!bytes_u64(value, INT64_MAX, &n))
			return false;
		if (r)
			add_further(r, &s.policy, n);
	}
	return true;
}

static bool
read_body(struct tls_report *r, const char *day, struct bytes rest)
{
	struct bytes value;
	uint64_t further;

	if (!cut_line(&rest, "day", &value) || !bytes_eq(value, text(day)) || !cut_line(&rest, "further", &value)
	    || !bytes_u64(value, INT64_MAX, &further))
		return false;
	while (rest.n > 0)
		if (!cut_line(&rest, "policy", &value) || !read_policy(r, value, &rest))
			return false;
	if (r)
		r->further += further;
	return true;
}

bool
tls_report_read(struct tls_report *r, const char *day, struct bytes file)
{
	char right[9];
	struct bytes crc;

	if (!bytes_starts(file, text(FIRST)) || !bytes_ends(file, text("\n")))
		return false;
	file = bytes_skip(file, strlen(FIRST));
	if (!cut_line(&file, "crc32", &crc))
		return false;
	snprintf(right, sizeof right, "%08x", (unsigned)crc32_of(0, file));
	return bytes_eq(crc, text(right)) && read_body(NULL, day, file) && read_body(r, day, file);
}
