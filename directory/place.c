/* SPDX-License-Identifier: ISC */
/*
 * directory/place.c - the addresses of the server: it is the administrator's own choice, and may be anywhere. Of a name they
 * are asked for each time that a connection is made; the resolver has a cache.
 */
#include "directory/directory.h"

#include "base/mem.h"
#include "daemon/dns.h"

struct place {
	struct dns	*dns;		/* owned */
	const struct directory_server *server;	/* borrowed */
	unsigned	 timeout_ms;
	uint64_t	 a, aaaa;	/* questions; 0: answered */
	bool		 lame;		/* an address could not be looked up */
	struct place_found found;
	void		(*done)(void *, const struct place_found *);
	void		*arg;
};

struct place *
place_new(struct daemon *d, const struct directory_server *s, unsigned timeout_ms)
{
	struct place *p = mem_alloc(sizeof *p);

	*p = (struct place){ .server = s, .timeout_ms = timeout_ms };
	p->dns = dns_new(&d->loop, daemon_peers(d, "resolver"));
	return p;
}

void
place_free(struct place **taken)
{
	struct place *p = *taken;

	*taken = NULL;
	if (!p)
		return;
	place_cancel(p);
	dns_free(&p->dns);
	mem_free(p);
}

void
place_cancel(struct place *p)
{
	dns_cancel(p->dns, p->a);
	dns_cancel(p->dns, p->aaaa);
	p->a = p->aaaa = 0;
}

static void
keep(struct place *p, const unsigned char octet[16])
{
	if (p->found.n < PLACE_ADDRESSES)
		memcpy(p->found.address[p->found.n++].octet, octet, 16);
}

static void
finish(struct place *p)
{
	if (p->found.n == 0)
		p->found.why = p->lame ? "its address cannot be looked up" : "it has no address";
	p->done(p->arg, &p->found);
}

static void
take(struct place *p, const struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->n; i++)
		keep(p, answer->records[i].address);
	p->lame = p->lame || answer->result == DNS_FAILED || answer->result == DNS_BOGUS;
	if (p->a == 0 && p->aaaa == 0)
		finish(p);
}

static void
on_a(void *arg, const struct dns_answer *answer)
{
	struct place *p = arg;

	p->a = 0;
	take(p, answer);
}

static void
on_aaaa(void *arg, const struct dns_answer *answer)
{
	struct place *p = arg;

	p->aaaa = 0;
	take(p, answer);
}

void
place_ask(struct place *p, void (*done)(void *, const struct place_found *), void *arg)
{
	const char *host = p->server->host;
	struct address a;

	place_cancel(p);
	p->found = (struct place_found){ 0 };
	p->lame = false;
	p->done = done;
	p->arg = arg;
	if (address_parse(text(host), &a))
		keep(p, a.octet);
	else if (strcmp(host, "localhost") == 0) {	/* RFC 6761 section 6.3: nobody is asked for this one */
		must(address_parse(text("127.0.0.1"), &a));
		keep(p, a.octet);
		must(address_parse(text("::1"), &a));
		keep(p, a.octet);
	}
	if (p->found.n > 0) {
		finish(p);
		return;
	}
	p->a = dns_ask(p->dns, text(host), DNS_A, p->timeout_ms, on_a, p);
	p->aaaa = dns_ask(p->dns, text(host), DNS_AAAA, p->timeout_ms, on_aaaa, p);
}
