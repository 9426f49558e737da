/* SPDX-License-Identifier: ISC */
/*
 * resolver/recursor.c - libunbound, by its event interface: no thread, no other process, on our own loop. What it is
 * told is here, and nothing else of the suite knows it.
 *
 * By itself it reads neither /etc/resolv.conf nor /etc/hosts.
 */
#include "resolver/resolver.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unbound-event.h>
#include <unbound.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define CLASS_IN	1
#define RCODE_SERVFAIL	2
#define PORTS_MOST	1024	/* UDP questions under way at once; the others wait in libunbound */
#define FDS_OTHERS	128	/* descriptors that are not for DNS */
#define TCP		"64"	/* connections at once */
#define FORWARDER_MS	"1128"	/* least time before it is asked again; libunbound's own is 50 */
#define SAID_MOST	20	/* lines of libunbound's a minute that are worth a place in the log */
#define MINUTE_MS	60000

struct recursor {
	struct ub_ctx	*ub;		/* owned */
	FILE		*said;		/* owned: libunbound's complaints */
	uint64_t	 minute_ms;	/* since when they are counted */
	unsigned	 lines;
};

struct recursor_question {
	recursor_done	 done;
	void		*arg;		/* borrowed */
	int		 ticket;
	bool		*answered;	/* set where the answer comes before recursor_ask returns; then NULL */
};

/* ---- its complaints --------------------------------------------------------------------------------- */

/* "[1700000000] libunbound[4711:0] error: what" */
static struct bytes
complaint(struct bytes line)
{
	for (int i = 0; i < 2; i++) {
		size_t end = bytes_find(line, ']');

		if (end < line.n)
			line = bytes_trim(bytes_skip(line, end + 1));
	}
	return line;
}

static ssize_t
take_lines(void *cookie, const char *p, size_t n)
{
	struct recursor *r = cookie;
	struct bytes rest = bytes_of(p, n);
	uint64_t now = clock_mono_ms();

	if (now - r->minute_ms >= MINUTE_MS) {
		r->minute_ms = now;
		r->lines = 0;
	}
	while (rest.n > 0) {
		struct bytes line = complaint(bytes_trim(bytes_cut(&rest, '\n')));

		if (line.n > 0 && r->lines++ < SAID_MOST)
			log_warn("libunbound: %s", log_text(line));
	}
	return (ssize_t)n;
}

static void
listen_to(struct recursor *r)
{
	static const cookie_io_functions_t io = { .write = take_lines };

	r->said = fopencookie(r, "w", io);
	if (!r->said)
		return;			/* then they go to stderr, which is /dev/null */
	setvbuf(r->said, NULL, _IOLBF, 0);
	(void)ub_ctx_debugout(r->ub, r->said);
}

/* ---- what it is told ---------------------------------------------------------------------------------- */

static void
tell(struct recursor *r, const char *option, const char *value)
{
	int st = ub_ctx_set_option(r->ub, option, value);

	if (st != 0)
		log_fatal("libunbound does not take %s %s: %s", option, value, ub_strerror(st));
}

static void
tell_number(struct recursor *r, const char *option, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
	tell(r, option, digits);
}

static uint64_t
udp_ports(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1 || files.rlim_cur > PORTS_MOST + 2 * FDS_OTHERS)
		return PORTS_MOST;
	return files.rlim_cur > 2 * FDS_OTHERS ? files.rlim_cur - FDS_OTHERS : FDS_OTHERS / 2;
}

static void
tell_limits(struct recursor *r, const struct resolver_settings *s)
{
	tell_number(r, "msg-cache-size:", s->cache_octets / 4);
	tell_number(r, "rrset-cache-size:", s->cache_octets / 2);
	tell_number(r, "key-cache-size:", s->cache_octets / 8);
	tell_number(r, "neg-cache-size:", s->cache_octets / 8);
	tell_number(r, "cache-max-negative-ttl:", s->negative_ttl_ms / 1000);
	tell_number(r, "num-queries-per-thread:", s->questions);
	tell_number(r, "outgoing-range:", udp_ports());
	tell(r, "outgoing-num-tcp:", TCP);
}

/* As its authors recommend them; not all are on by themselves in a library. */
static void
tell_habits(struct recursor *r)
{
	tell(r, "qname-minimisation:", "yes");
	tell(r, "harden-glue:", "yes");
	tell(r, "harden-dnssec-stripped:", "yes");
	tell(r, "harden-below-nxdomain:", "yes");
	tell(r, "aggressive-nsec:", "yes");
	tell(r, "minimal-responses:", "yes");
	tell(r, "serve-expired:", "no");
	/* A server that was down is asked again after a minute, not after 15: mail that waits for it is tried again in five. */
	tell(r, "infra-host-ttl:", "60");
}

/*
 * Names that the world's DNS has no use for (RFC 6303, RFC 6761, RFC 8375): libunbound says of them by itself that they
 * are not there. Whoever names servers of his own may have them there.
 */
static void
unblock_private_names(struct recursor *r)
{
	tell(r, "unblock-lan-zones:", "yes");
	tell(r, "insecure-lan-zones:", "yes");
	/* "nodefault" would be the word, but libunbound 1.17 takes it for a part of the name. */
	tell(r, "local-zone:", "test. transparent");
	tell(r, "local-zone:", "home.arpa. transparent");
}

static void
tell_servers(struct recursor *r, const struct resolver_settings *s)
{
	bool loopback = false;
	int st = 0;

	for (size_t i = 0; i < s->forwarders.n && st == 0; i++) {
		struct dns_server server;

		if (strcmp(s->forwarders.item[i], DNS_FORWARDERS_SYSTEM) == 0) {
			st = ub_ctx_resolvconf(r->ub, "/etc/resolv.conf");
			loopback = true;	/* where many of them have theirs */
			continue;
		}
		must(dns_server_parse(text(s->forwarders.item[i]), &server));
		st = ub_ctx_set_fwd(r->ub, server.words);
		loopback |= server.loopback;
	}
	for (size_t i = 0; i < s->zones.n && st == 0; i++) {
		struct dns_zone zone;

		must(dns_zone_parse(text(s->zones.item[i]), &zone));
		st = ub_ctx_set_stub(r->ub, zone.zone, zone.server.words, 0);
		loopback |= zone.server.loopback;
	}
	if (st != 0)
		log_fatal("dns_forwarders, dns_zones: libunbound does not take them: %s", ub_strerror(st));
	/* A stranger's delegation leads nobody to this host's own servers. */
	tell(r, "do-not-query-localhost:", loopback ? "no" : "yes");
	if (s->forwarders.n + s->zones.n > 0)
		unblock_private_names(r);
	/* A forwarder has to ask others before it answers, however quick it was the last time. */
	if (s->forwarders.n > 0) {
		tell(r, "unknown-server-time-limit:", FORWARDER_MS);
		tell(r, "infra-cache-min-rtt:", FORWARDER_MS);
	}
}

static void
trust(struct recursor *r, struct bytes record)
{
	char line[4096];

	record = bytes_trim(bytes_head(record, bytes_find(record, ';')));
	if (record.n > 0 && bytes_to_text(record, line, sizeof line) && ub_ctx_add_ta(r->ub, line) != 0)
		log_warn("a trust anchor is not taken: %s", log_text(record));
}

static void
tell_anchors(struct recursor *r, const struct resolver_settings *s, struct bytes initial, bool kept)
{
	for (size_t i = 0; i < s->insecure.n; i++)
		if (strcmp(s->insecure.item[i], ".") != 0)
			tell(r, "domain-insecure:", s->insecure.item[i]);
	for (size_t i = 0; i < s->trust_anchors.n; i++)
		trust(r, text(s->trust_anchors.item[i]));
	if (dns_insecure_root(s))
		return;
	if (kept)
		(void)ub_ctx_add_ta_autr(r->ub, ANCHOR_FILE);
	while (!kept && initial.n > 0)
		trust(r, bytes_cut(&initial, '\n'));
}

/* ---- questions ------------------------------------------------------------------------------------------ */

static void
answered(void *arg, int rcode, void *packet, int n, int security, char *why_bogus, int was_ratelimited)
{
	struct recursor_question *q = arg;
	recursor_done done = q->done;
	void *owner = q->arg;
	bool there = packet && n > 0;

	(void)was_ratelimited;
	if (q->answered)
		*q->answered = true;
	mem_free(q);
	if (rcode == 0 && !there)
		rcode = RCODE_SERVFAIL;
	done(owner, (unsigned)rcode, there ? bytes_of(packet, (size_t)n) : bytes_of(NULL, 0),
	    security == 2 ? RECURSOR_SECURE : security == 1 ? RECURSOR_BOGUS : RECURSOR_INSECURE, why_bogus);
}

static int
ask(struct recursor *r, const char *name, enum dns_type type, recursor_done done, void *arg, struct recursor_question **out)
{
	struct recursor_question *q = mem_alloc(sizeof *q);
	bool at_once = false;
	int st, ticket = 0;

	*out = NULL;
	*q = (struct recursor_question){ .done = done, .arg = arg, .answered = &at_once };
	st = ub_resolve_event(r->ub, name, (int)type, CLASS_IN, q, answered, &ticket);
	if (at_once)
		return 0;
	if (st == 0) {
		q->answered = NULL;
		q->ticket = ticket;
		*out = q;
	} else
		mem_free(q);
	return st;
}

bool
recursor_ask(struct recursor *r, const char *name, enum dns_type type, recursor_done done, void *arg,
    struct recursor_question **out)
{
	int st = ask(r, name, type, done, arg, out);

	if (st != 0)
		log_warn("libunbound does not take a question: %s", ub_strerror(st));
	return st == 0;
}

void
recursor_cancel(struct recursor *r, struct recursor_question **q)
{
	if (!*q)
		return;
	(void)ub_cancel(r->ub, (*q)->ticket);
	mem_free(*q);
	*q = NULL;
}

/* ---- beginning and end --------------------------------------------------------------------------------------- */

static void
ignore(void *arg, unsigned rcode, struct bytes packet, enum recursor_security security, const char *why_bogus)
{
	(void)arg;
	(void)rcode;
	(void)packet;
	(void)security;
	(void)why_bogus;
}

struct recursor *
recursor_new(struct loop *l, const struct resolver_settings *s, struct bytes initial, bool kept, char *why, size_t cap)
{
	struct recursor *r = mem_alloc(sizeof *r);
	struct recursor_question *q;
	int st;

	r->ub = ub_ctx_create_event(l->base);
	if (!r->ub)
		log_fatal("libunbound cannot be set up");
	listen_to(r);
	tell_limits(r, s);
	tell_habits(r);
	tell_servers(r, s);
	tell_anchors(r, s, initial, kept);
	/* It answers this itself; but before that it takes in all it was told. */
	st = ask(r, "localhost.", DNS_A, ignore, NULL, &q);
	recursor_cancel(r, &q);
	if (st != 0) {
		snprintf(why, cap, "%s", ub_strerror(st));
		recursor_free(&r);
	}
	return r;
}

void
recursor_free(struct recursor **r)
{
	if (!*r)
		return;
	ub_ctx_delete((*r)->ub);
	if ((*r)->said)
		fclose((*r)->said);
	mem_free(*r);
	*r = NULL;
}
