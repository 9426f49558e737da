/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_dns_check.c - hermod dns records: what a domain should have in the DNS; hermod dns check: whether it has.
 */
#include <stdio.h>

#include "base/mem.h"
#include "proto/dns_text.h"
#include "tools/hermod_ask.h"
#include "tools/hermod_publish.h"

struct check {
	struct publish_source source;
	bool		 given;		/* --address says whose addresses are this host's */
	bool		 zone_unsigned;	/* --unsigned: nobody expects DNSSEC */
	struct dns_asker asker;
	struct arena	*a;		/* owned: names */
	struct rows	 rows;
	size_t		 all, right;
	struct address	 published[PUBLISH_ADDRESSES_MAX];	/* of the host's name */
	size_t		 npublished;
	bool		 unsure;	/* whether these are all */
};

/* ---- what is shown -------------------------------------------------------------------------------- */

static void
put_records(struct buf *out, const struct dns_record *records, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_text(out, ", ");
		dns_record_put(out, &records[i], false);
	}
}

/* A line's last column: what is there, what should be, why. */
static void
put_words(struct buf *out, const struct publish_set *s, const struct publish_verdict *v)
{
	bool should = v->state == PUBLISH_MISSING || v->state == PUBLISH_DIFFERENT;

	if (v->state == PUBLISH_DIFFERENT)
		buf_text(out, "is: ");
	put_records(out, v->records, v->n);
	if (should && s->n > 0) {
		buf_text(out, v->n > 0 ? "; should be: " : "should be: ");
		put_records(out, s->records, s->n);
	}
	if (v->why.n > 0)
		buf_fmt(out, "%s(%.*s)", out->n > 0 ? " " : "", BYTES_FMT(v->why));
}

static void
json_records(struct buf *o, const char *member, const struct dns_record *records, size_t n)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_fmt(o, ",\"%s\":[", member);
	for (size_t i = 0; i < n; i++) {
		buf_clear(&b);
		dns_record_put(&b, &records[i], false);
		buf_text(o, i > 0 ? "," : "");
		json_string(o, buf_bytes(&b));
	}
	buf_char(o, ']');
	buf_fini(&b);
}

static void
print_json(const struct publish_set *s, const struct publish_verdict *v, const char *dnssec)
{
	struct buf o;

	buf_init(&o, 1 << 24);
	buf_char(&o, '{');
	json_text(&o, "name", s->name);
	json_text(&o, "type", text(dns_type_name(s->type)));
	json_text(&o, "state", text(publish_state_name(v->state)));
	json_text(&o, "dnssec", text(dnssec));
	json_records(&o, "published", v->records, v->n);
	json_records(&o, "right", s->records, s->n);
	json_text(&o, "why", v->why);
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

static void
show(struct check *c, const struct publish_set *s, const struct publish_verdict *v, const char *dnssec)
{
	struct buf words;

	c->all++;
	c->right += v->state == PUBLISH_RIGHT;
	if (hermod_options.json) {
		print_json(s, v, dnssec);
		return;
	}
	buf_init(&words, 1 << 20);
	put_words(&words, s, v);
	rows_text(&c->rows, publish_state_name(v->state));
	rows_add(&c->rows, s->name);
	rows_text(&c->rows, dns_type_name(s->type));
	rows_text(&c->rows, dnssec);
	rows_add(&c->rows, buf_bytes(&words));
	buf_fini(&words);
}

/* ---- the host's addresses ---------------------------------------------------------------------------- */

static struct publish_found
found(const struct dns_answer *a)
{
	return (struct publish_found){ .result = a->result, .secure = a->secure, .name = a->name, .why = a->why, .records = a->records,
	    .n = a->n };
}

static void
take_addresses(struct check *c, const struct dns_answer *answer)
{
	c->unsure = c->unsure || answer->result == DNS_FAILED || answer->result == DNS_BOGUS;
	for (size_t i = 0; answer->result == DNS_FOUND && i < answer->n && c->npublished < PUBLISH_ADDRESSES_MAX; i++)
		memcpy(c->published[c->npublished++].octet, answer->records[i].address, sizeof answer->records[i].address);
}

static void
ask_addresses(struct check *c)
{
	struct dns_question q[2] = { { .name = c->source.host, .type = DNS_A }, { .name = c->source.host, .type = DNS_AAAA } };
	struct arena *a = arena_new(LEN(q) * DNS_QUESTION_ARENA);

	dns_asker_ask_all(&c->asker, q, LEN(q), a);
	for (size_t i = 0; i < LEN(q); i++)
		take_addresses(c, &q[i].answer);
	arena_free(&a);
}

static bool
among(const struct address *list, size_t n, const struct address *a)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(list[i].octet, a->octet, sizeof a->octet) == 0)
			return true;
	return false;
}

/*
 * Which addresses are this host's, when nobody has said it: those of its name that an interface has, too; a host may have more.
 * Behind a NAT no interface has a public one of that family: then nobody here knows.
 */
static void
find_addresses(struct check *c)
{
	struct publish_source *s = &c->source;
	struct address own[PUBLISH_INTERFACES_MAX];
	size_t n = publish_interfaces(own);
	bool is_public[2] = { false, false };

	publish_take_interfaces(s);
	if (c->npublished == 0)
		return;
	for (size_t i = 0; i < s->addresses; i++)
		is_public[!address_is_ipv4(&s->address[i])] = true;
	s->addresses = 0;
	for (size_t i = 0; i < c->npublished; i++) {
		const struct address *a = &c->published[i];
		bool six = !address_is_ipv4(a), ours = among(own, n, a);

		if (!ours && !is_public[six])
			s->unsure[six] = "no interface of this host has a public address like it; --address says which it has";
		if (ours || !is_public[six])
			s->address[s->addresses++] = *a;
	}
	if (s->addresses == 0)
		publish_take_interfaces(s);
}

/* ---- each record ----------------------------------------------------------------------------------------- */

static void
note_address(struct arena *a, struct publish_verdict *v)
{
	for (size_t i = 0; i < v->n && v->state == PUBLISH_RIGHT && v->why.n == 0; i++) {
		char words[NETWORK_TEXT_MAX];
		struct address address;
		const char *why;

		memcpy(address.octet, v->records[i].address, sizeof address.octet);
		if (!publish_is_public(&address, &why))
			v->why = arena_fmt(a, "%s is not public, but %s: strangers cannot reach it", address_text(&address, words), why);
	}
}

/* RFC 1912 section 2.1: the name leads back to the address. */
static void
confirm(struct check *c, const struct address *address, struct arena *a, struct publish_verdict *v)
{
	if (v->state != PUBLISH_RIGHT || among(c->published, c->npublished, address))
		return;
	v->state = c->unsure ? PUBLISH_UNSURE : PUBLISH_DIFFERENT;
	v->why = arena_fmt(a, c->unsure ? "whether %.*s leads back to this address cannot be found out"
	    : "but %.*s does not lead back to this address", BYTES_FMT(c->source.host));
}

/* ptr: of a PTR, which of the addresses it is of. */
static void
check_set(struct check *c, const struct publish_set *s, const struct dns_answer *answer, size_t ptr)
{
	struct arena *a = arena_new(PUBLISH_ARENA);
	struct publish_found is = found(answer);
	struct publish_verdict v;

	publish_judge(s, &is, a, &v);
	if (s->kind == PUBLISH_ADDRESS)
		note_address(a, &v);
	if (s->kind == PUBLISH_PTR)
		confirm(c, &c->source.address[ptr], a, &v);
	if (s->kind == PUBLISH_ADDRESS && s->type == DNS_A && c->npublished == 0 && c->source.addresses == 0
	    && v.state == PUBLISH_RIGHT) {
		v.state = PUBLISH_MISSING;
		v.why = text("the host's name leads to no address; --address says which it has");
	}
	if (s->n > 0 || v.state != PUBLISH_RIGHT)	/* what should not be, and is not, is not worth a word */
		show(c, s, &v, dns_security(answer));
	arena_free(&a);
}

/* Sets of PTR come in the order of the addresses. */
static void
check_sets(struct check *c, const struct publish_set *sets, size_t n)
{
	struct arena *a = arena_new(n * DNS_QUESTION_ARENA + PUBLISH_ARENA);
	struct dns_question q[PUBLISH_SETS_MAX];
	size_t ptr = 0;

	for (size_t i = 0; i < n; i++)
		q[i] = (struct dns_question){ .name = sets[i].name, .type = sets[i].type };
	dns_asker_ask_all(&c->asker, q, n, a);
	for (size_t i = 0; i < n; i++)
		if (!(c->zone_unsigned && sets[i].kind == PUBLISH_TLSA))
			check_set(c, &sets[i], &q[i].answer, sets[i].kind == PUBLISH_PTR ? ptr++ : 0);
	arena_free(&a);
}

/* ---- domains ------------------------------------------------------------------------------------------------ */

struct domains {
	struct setting_list local;
};

static const struct setting domains_settings[] = {
	SET_LIST("local_domains", struct domains, local, "", setting_is_domain),
	SET_END
};

static void
one_domain(struct check *c, const char *name, void (*each)(struct check *, struct arena *))
{
	struct arena *a = arena_new(PUBLISH_ARENA);

	c->source.domain = publish_name_or_die(name, a);
	c->source.host_has_spf = c->source.host_has_spf || bytes_eq(c->source.domain, c->source.host);
	each(c, a);
	arena_free(&a);
}

static bool
takes_mail_for(const struct domains *d, struct bytes name)
{
	for (size_t i = 0; i < d->local.n; i++)
		if (bytes_case_eq(text(d->local.item[i]), name))
			return true;
	return false;
}

/* The one that was given; else each of local_domains; of none the host's own name. */
static void
each_domain(struct check *c, const char *given, void (*each)(struct check *, struct arena *))
{
	const char *host = arena_text(c->a, c->source.host);
	struct domains d;

	hermod_fill(domains_settings, &d);
	if (given) {
		struct bytes name = publish_name_or_die(given, c->a);

		if (!takes_mail_for(&d, name) && !bytes_eq(name, c->source.host))
			fprintf(stderr, "hermod: %.*s is not in local_domains: this host takes no mail for it\n", BYTES_FMT(name));
		one_domain(c, given, each);
	}
	for (size_t i = 0; !given && i < d.local.n; i++)
		one_domain(c, d.local.item[i], each);
	if (!given && d.local.n == 0)
		one_domain(c, host, each);
	settings_free(domains_settings, &d);
}

static void
print_domain(struct check *c, struct arena *a)
{
	struct publish_set sets[PUBLISH_SETS_MAX];

	publish_print(sets, publish_domain(&c->source, a, sets));
}

static void
check_domain(struct check *c, struct arena *a)
{
	struct publish_set sets[PUBLISH_SETS_MAX];

	check_sets(c, sets, publish_domain(&c->source, a, sets));
}

/* ---- the verbs ------------------------------------------------------------------------------------------------- */

static const char *
take_arguments(struct check *c, int argc, char **argv, bool checks)
{
	const char *domain = NULL;

	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], "--address") == 0 && i + 1 < argc) {
			publish_take_address(&c->source, argv[++i]);
			c->given = true;
		} else if (checks && strcmp(argv[i], "--unsigned") == 0)
			c->zone_unsigned = true;
		else if (argv[i][0] == '-' || domain)
			hermod_usage("dns", argv[i]);
		else
			domain = argv[i];
	return domain;
}

static void
sum_up(const struct check *c)
{
	if (c->right == c->all)
		printf("\nAll %zu are right.\n", c->all);
	else
		printf("\n%zu of %zu are right. `hermod dns records` prints what should be published; a change is seen when the TTL of "
		    "what was there is over.\n", c->right, c->all);
}

int
hermod_dns_records(int argc, char **argv)
{
	struct check *c = mem_alloc(sizeof *c);
	const char *domain = take_arguments(c, argc, argv, false);
	struct publish_set sets[PUBLISH_SETS_MAX];

	c->a = arena_new(PUBLISH_ARENA);
	publish_from_settings(&c->source, c->a);
	if (!c->given)
		publish_take_interfaces(&c->source);
	each_domain(c, domain, print_domain);
	publish_print(sets, publish_host(&c->source, c->a, sets));
	if (c->source.addresses == 0)
		fprintf(stderr, "hermod: no interface of this host has a public address; --address says which it has, for A, AAAA and "
		    "PTR records\n");
	arena_free(&c->a);
	mem_free(c);
	return EXIT_WORKED;
}

int
hermod_dns_check(int argc, char **argv)
{
	static const char *const title[] = { "STATE", "NAME", "TYPE", "DNSSEC", "DATA", NULL };
	struct check *c = mem_alloc(sizeof *c);
	const char *domain = take_arguments(c, argc, argv, true);
	struct publish_set sets[PUBLISH_SETS_MAX];
	int status;

	c->a = arena_new(PUBLISH_ARENA);
	publish_from_settings(&c->source, c->a);
	dns_asker_open(&c->asker);
	if (!hermod_options.json)
		rows_init(&c->rows, title);
	ask_addresses(c);
	if (!c->given)
		find_addresses(c);
	each_domain(c, domain, check_domain);
	check_sets(c, sets, publish_host(&c->source, c->a, sets));
	if (!hermod_options.json) {
		rows_print(&c->rows);
		sum_up(c);
	}
	status = c->right == c->all ? EXIT_WORKED : EXIT_FAILED;
	dns_asker_close(&c->asker);
	arena_free(&c->a);
	mem_free(c);
	return status;
}
