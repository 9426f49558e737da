/* SPDX-License-Identifier: ISC */
/*
 * fetch/introspect.c - what the authorization server says of a token (RFC 7662):  auth -> fetch -> oauth_introspection_url
 *
 * Who asks gives a token, and nothing that decides where it goes or what this host shows there. The answer is passed on as
 * it is: auth reads it. Nothing is kept here, neither tokens nor answers. The host is the administrator's own choice, so it
 * may be anywhere, on loopback and in smtp_networks or not; by its name, which its certificate has to prove.
 */
#include <stdio.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "fetch/fetch.h"

#define OPEN_MAX	64		/* at one time; others wait for their turn */
#define ASKERS_MAX	2000u
#define WHY_MAX		480

struct introspection {
	TAILQ_ENTRY(introspection) link;
	struct introspector *all;	/* borrowed */
	struct channel	*from;		/* borrowed */
	uint32_t	 id;		/* of the question */
	bool		 open;		/* it had its turn */
	struct buf	 form;		/* owned; a secret */
	struct timer	 deadline;
	uint64_t	 addresses[2];	/* questions */
	struct address	 found[HTTPS_ADDRESSES];
	size_t		 nfound;
	bool		 lame;		/* an address could not be looked up */
	struct https_get *get;
};

struct introspector {
	struct daemon	*daemon;	/* borrowed, as the next two */
	const struct fetch_settings *settings;
	struct https	*https;
	struct dns	*dns;		/* owned */
	struct oauth_url url;
	struct buf	 user, password;	/* owned; secrets; empty: nothing is shown */
	char		 why[WHY_MAX];	/* why nobody can be asked; "": somebody can */
	TAILQ_HEAD(, introspection) list;	/* in the order that they came in */
	uint32_t	 n, open;
	struct ipc_out	 out;
};

static void	next_turn(struct introspector *x);

/* ---- the end of one ---- */

static void
introspection_free(struct introspection *i)
{
	struct introspector *x = i->all;

	timer_clear(&i->deadline);
	dns_cancel(x->dns, i->addresses[0]);
	dns_cancel(x->dns, i->addresses[1]);
	https_cancel(&i->get);
	buf_wipe(&i->form);
	TAILQ_REMOVE(&x->list, i, link);
	x->n--;
	x->open -= i->open;
	mem_free(i);
}

static void
reply(struct introspector *x, struct channel *to, uint32_t id, struct bytes body, const char *why)
{
	ipc_put_token_answer(&x->out, id, &(struct ipc_token_answer){ .body = body, .why = text(why) });
	channel_reply(to, id, &x->out);
	buf_wipe(&x->out.frame);
}

static void
end(struct introspection *i, struct bytes body, const char *why)
{
	struct introspector *x = i->all;

	reply(x, i->from, i->id, body, why);
	introspection_free(i);
	next_turn(x);
	daemon_settled(x->daemon);
}

static void
fail(struct introspection *i, const char *why)
{
	char words[WHY_MAX];

	snprintf(words, sizeof words, "https://%s:%u: %s", i->all->url.host, i->all->url.port, why);
	end(i, text(NULL), words);
}

static void
on_deadline(void *arg)
{
	struct introspection *i = arg;

	fail(i, i->open ? "no answer within oauth_timeout" : "too many tokens to be checked at once");
}

/* ---- the question ---- */

static const char *
advice(const char *why)
{
	if (strcmp(why, "HTTP status 401") == 0 || strcmp(why, "HTTP status 403") == 0)
		return "it refuses this host, whatever the token: look at oauth_client_file";
	if (strcmp(why, "HTTP status 404") == 0 || strcmp(why, "HTTP status 405") == 0)
		return "nothing is introspected at this path: look at oauth_introspection_url";
	return NULL;
}

static void
on_answer(void *arg, struct bytes body, const char *why, bool untrusted)
{
	struct introspection *i = arg;
	char words[WHY_MAX];

	(void)untrusted;
	i->get = NULL;
	if (why && advice(why)) {
		snprintf(words, sizeof words, "%s: %s", why, advice(why));
		why = words;
	}
	if (why)
		fail(i, why);
	else if (body.n == 0)
		fail(i, "its answer is empty");
	else
		end(i, body, "");
}

static void
post(struct introspection *i)
{
	struct introspector *x = i->all;
	struct https_request r = { .host = text(x->url.host), .port = x->url.port, .path = x->url.path,
	    .media_type = "application/json", .addresses = i->found, .naddresses = i->nfound, .octets_max = OAUTH_ANSWER_MAX,
	    .timeout_ms = x->settings->introspection_ms, .form = buf_bytes(&i->form) };

	if (x->user.n > 0) {
		r.user = (const char *)x->user.p;
		r.password = (const char *)x->password.p;
	}
	if (i->nfound > 0)
		i->get = https_get(x->https, &r, on_answer, i);
	else
		fail(i, i->lame ? "its address cannot be looked up" : "it has no address");
}

/* ---- where it is ---- */

static void
keep_address(struct introspection *i, const unsigned char octet[16])
{
	if (i->nfound < HTTPS_ADDRESSES)
		memcpy(i->found[i->nfound++].octet, octet, sizeof i->found[0].octet);
}

static void
keep_addresses(struct introspection *i, const struct dns_answer *a)
{
	for (size_t k = 0; k < a->n; k++)
		keep_address(i, a->records[k].address);
	i->lame = i->lame || a->result == DNS_FAILED || a->result == DNS_BOGUS;
	if (i->addresses[0] == 0 && i->addresses[1] == 0)
		post(i);
}

static void
on_a(void *arg, const struct dns_answer *a)
{
	struct introspection *i = arg;

	i->addresses[0] = 0;
	keep_addresses(i, a);
}

static void
on_aaaa(void *arg, const struct dns_answer *a)
{
	struct introspection *i = arg;

	i->addresses[1] = 0;
	keep_addresses(i, a);
}

/* RFC 6761 section 6.3: nobody is asked for this one. */
static bool
is_localhost(const char *host)
{
	return strcmp(host, "localhost") == 0;
}

static void
begin(struct introspection *i)
{
	struct introspector *x = i->all;
	unsigned timeout = (unsigned)x->settings->introspection_ms;
	struct address v4, v6;

	i->open = true;
	x->open++;
	if (is_localhost(x->url.host)) {
		must(address_parse(text("127.0.0.1"), &v4) && address_parse(text("::1"), &v6));
		keep_address(i, v4.octet);
		keep_address(i, v6.octet);
		post(i);
		return;
	}
	i->addresses[0] = dns_ask(x->dns, text(x->url.host), DNS_A, timeout, on_a, i);
	i->addresses[1] = dns_ask(x->dns, text(x->url.host), DNS_AAAA, timeout, on_aaaa, i);
}

static void
next_turn(struct introspector *x)
{
	struct introspection *i;

	if (x->open >= OPEN_MAX)
		return;
	TAILQ_FOREACH(i, &x->list, link)
		if (!i->open) {
			begin(i);
			return;
		}
}

/* ---- who asks ---- */

/* application/x-www-form-urlencoded, as RFC 6749 appendix B has it. */
static void
put_encoded(struct bytes s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		if (ascii_alnum(s.p[i]) || s.p[i] == '-' || s.p[i] == '.' || s.p[i] == '_' || s.p[i] == '~')
			buf_char(out, s.p[i]);
		else
			buf_fmt(out, "%%%02X", s.p[i]);
}

static void
ask(struct introspector *x, struct channel *c, uint32_t id, struct bytes token)
{
	struct introspection *i = mem_alloc(sizeof *i);

	*i = (struct introspection){ .all = x, .from = c, .id = id };
	buf_init(&i->form, 3 * OAUTH_TOKEN_MAX + 64);
	buf_text(&i->form, "token=");
	put_encoded(token, &i->form);
	buf_text(&i->form, "&token_type_hint=access_token");
	must(!i->form.full);
	timer_init(&i->deadline, &x->daemon->loop, on_deadline, i);
	timer_set(&i->deadline, x->settings->introspection_ms);
	TAILQ_INSERT_TAIL(&x->list, i, link);
	x->n++;
	next_turn(x);
}

bool
introspector_take(struct introspector *x, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_token_ask m;

	if (!ipc_get_token_ask(in, &m) || m.token.n == 0 || id == 0)
		return false;
	x->daemon->served++;
	if (x->why[0] != '\0')
		reply(x, c, id, text(NULL), x->why);
	else if (x->n >= ASKERS_MAX)
		reply(x, c, id, text(NULL), "too many tokens to be checked at once");
	else
		ask(x, c, id, m.token);
	return true;
}

void
introspector_forget(struct introspector *x, struct channel *c)
{
	for (struct introspection *i = TAILQ_FIRST(&x->list), *next; i; i = next) {
		next = TAILQ_NEXT(i, link);
		if (i->from == c)
			introspection_free(i);
	}
	for (uint32_t n = x->n; n > 0; n--)	/* as many as may be open */
		next_turn(x);
}

void
introspector_stop(struct introspector *x)
{
	while (!TAILQ_EMPTY(&x->list)) {
		struct introspection *i = TAILQ_FIRST(&x->list);

		reply(x, i->from, i->id, text(NULL), "the suite stops");
		introspection_free(i);
	}
	daemon_settled(x->daemon);
}

uint32_t
introspector_waiting(const struct introspector *x)
{
	return x->n;
}

/* ---- the process ---- */

/* RFC 6749 section 2.3.1: both are encoded, and then they are HTTP's user and password. */
static void
encode(struct buf *secret)
{
	struct buf encoded;

	buf_init(&encoded, secret->max);
	put_encoded(buf_bytes(secret), &encoded);
	buf_wipe(secret);
	buf_add(secret, buf_bytes(&encoded));
	buf_char(secret, '\0');			/* for libcurl */
	must(!secret->full && !encoded.full);
	buf_wipe(&encoded);
}

static void
read_client(struct introspector *x)
{
	char why[WHY_MAX];

	if (!oauth_client_read(x->settings->client_file, &x->user, &x->password, why, sizeof why)) {
		log_warn("%s; until it is right and the suite has been reloaded no token is introspected", why);
		snprintf(x->why, sizeof x->why, "%s", why);
		return;
	}
	encode(&x->user);
	encode(&x->password);
}

struct introspector *
introspector_new(struct daemon *d, const struct fetch_settings *s, struct https *h)
{
	struct introspector *x = mem_alloc(sizeof *x);

	*x = (struct introspector){ .daemon = d, .settings = s, .https = h };
	TAILQ_INIT(&x->list);
	x->dns = dns_new(&d->loop, daemon_peers(d, "resolver"));
	ipc_out_init(&x->out);
	buf_init(&x->user, 3 * OAUTH_CLIENT_MAX + 1);
	buf_init(&x->password, 3 * OAUTH_CLIENT_MAX + 1);
	if (!oauth_url_parse(s->introspection_url, &x->url, x->why, sizeof x->why))
		snprintf(x->why, sizeof x->why, "oauth_introspection_url is not set");
	else if (s->client_file[0] != '\0')
		read_client(x);
	return x;
}

void
introspector_free(struct introspector **taken)
{
	struct introspector *x = *taken;

	*taken = NULL;
	if (!x)
		return;
	while (!TAILQ_EMPTY(&x->list))
		introspection_free(TAILQ_FIRST(&x->list));
	dns_free(&x->dns);
	ipc_out_fini(&x->out);
	buf_wipe(&x->user);
	buf_wipe(&x->password);
	mem_free(x);
}
