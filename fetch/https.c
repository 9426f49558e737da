/* SPDX-License-Identifier: ISC */
/*
 * fetch/https.c - one document from one host, or the answer to one form: libcurl's multi interface on the event loop.
 *
 * The host is a stranger, and so is whoever answers in its place. libcurl looks up no name (the addresses are given, and
 * a socket to any other is refused), follows no redirect, uses no proxy, no cache, no second connection, no protocol but
 * https; it reads no file: the CAs are in memory before the process is confined. RFC 8461 section 3.3.
 */
#include <curl/curl.h>
#include <errno.h>
#include <linux/close_range.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "fetch/fetch.h"

#define HEADERS_MAX	65536u	/* octets of header fields */
#define RESOLVE_MAX	(256 + 8 + HTTPS_ADDRESSES * (NETWORK_TEXT_MAX + 3))

struct https {
	struct loop	*loop;		/* borrowed */
	CURLM		*multi;		/* owned */
	X509_STORE	*store;		/* owned; the CAs */
	struct timer	 due;		/* libcurl's */
	struct https_get *open;		/* owned */
};

struct https_get {
	struct https_get *next, **at;
	struct https	*https;		/* borrowed */
	CURL		*easy;		/* owned */
	struct curl_slist *resolve;	/* owned */
	struct curl_slist *fields;	/* owned; of the header; NULL: libcurl's own */
	char		 host[256];
	const char	*media_type;	/* borrowed: a literal */
	struct address	 addresses[HTTPS_ADDRESSES];
	size_t		 naddresses;
	uint16_t	 port;
	struct buf	 body;		/* owned */
	size_t		 headers;	/* octets that came */
	char		 error[CURL_ERROR_SIZE];
	const char	*why;		/* known better than libcurl does; NULL: not */
	https_done	 done;
	void		*arg;
};

struct socket_watch { struct https *https; struct watch watch; int fd; };

/* ---- the end of one ---- */

static void
get_free(struct https_get *g)
{
	*g->at = g->next;
	if (g->next)
		g->next->at = g->at;
	curl_multi_remove_handle(g->https->multi, g->easy);
	curl_easy_cleanup(g->easy);
	curl_slist_free_all(g->resolve);
	curl_slist_free_all(g->fields);
	buf_fini(&g->body);
	mem_free(g);
}

void
https_cancel(struct https_get **taken)
{
	struct https_get *g = *taken;

	*taken = NULL;
	if (g)
		get_free(g);
}

static bool
is_media_type(CURL *easy, const char *want)
{
	char *type = NULL;
	struct bytes rest;

	if (curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type) != CURLE_OK || !type)
		return false;
	rest = text(type);
	return bytes_case_eq(bytes_trim(bytes_cut(&rest, ';')), text(want));
}

/* NULL: it went well. words: room for what has to be written down. */
static const char *
why_not(struct https_get *g, CURLcode result, char *words, size_t cap)
{
	long status = 0;

	if (g->why)
		return g->why;
	if (result != CURLE_OK) {
		snprintf(words, cap, "%s", g->error[0] ? g->error : curl_easy_strerror(result));
		return words;
	}
	curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		snprintf(words, cap, "HTTP status %ld", status);
		return words;
	}
	if (!is_media_type(g->easy, g->media_type)) {
		snprintf(words, cap, "it is not of type %s", g->media_type);
		return words;
	}
	return NULL;
}

/* libcurl's words may have the server's in them. */
static void
make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			*s = '?';
}

static void
finish(struct https_get *g, CURLcode result)
{
	char words[CURL_ERROR_SIZE + 64];
	const char *why = why_not(g, result, words, sizeof words);
	https_done done = g->done;
	void *arg = g->arg;
	struct buf body = g->body;

	if (why == words)
		make_printable(words);
	g->body = (struct buf){ 0 };
	get_free(g);
	done(arg, buf_bytes(&body), why, result == CURLE_PEER_FAILED_VERIFICATION);
	buf_fini(&body);
}

/* What has come to its end. done may cancel others, or begin some: so one after the other. */
static void
finish_all(struct https *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		CURLcode result = m->data.result;
		struct https_get *g = NULL;

		if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&g) == CURLE_OK)
			finish(g, result);
	}
}

/* ---- libcurl and the loop ---- */

static void
on_due(void *arg)
{
	struct https *h = arg;
	int running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_all(h);
}

static void
on_ready(void *arg, short what)
{
	struct socket_watch *w = arg;	/* libcurl may free it meanwhile */
	struct https *h = w->https;
	int running, bits = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(h->multi, w->fd, bits, &running);
	finish_all(h);
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	struct https *h = arg;

	(void)multi;
	if (ms < 0)
		timer_clear(&h->due);
	else
		timer_set(&h->due, (uint64_t)ms);
	return 0;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *kept)
{
	struct https *h = arg;
	struct socket_watch *w = kept;
	short events = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	if (w)
		watch_off(&w->watch);
	if (what == CURL_POLL_REMOVE) {
		mem_free(w);
		curl_multi_assign(h->multi, fd, NULL);
		return 0;
	}
	if (!w) {
		w = mem_alloc(sizeof *w);
		w->https = h;
		w->fd = fd;
		curl_multi_assign(h->multi, fd, w);
	}
	watch_init(&w->watch, h->loop, fd, events, on_ready, w);
	watch_on(&w->watch);
	return 0;
}

/* ---- what libcurl asks of one ---- */

/* The last line of defence: to an address that nobody has looked up there is no socket. */
static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct https_get *g = arg;
	struct sockaddr_storage sa = { 0 };
	struct address a;
	uint16_t port;

	if (purpose != CURLSOCKTYPE_IPCXN || to->addrlen > sizeof sa)
		return CURL_SOCKET_BAD;
	memcpy(&sa, &to->addr, to->addrlen);
	if (!address_of_socket(&sa, &a, &port) || port != g->port)
		return CURL_SOCKET_BAD;
	for (size_t i = 0; i < g->naddresses; i++)
		if (memcmp(&a, &g->addresses[i], sizeof a) == 0)
			return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	return CURL_SOCKET_BAD;
}

/* Too much is an error, not a part of it. */
static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct https_get *g = arg;

	buf_add(&g->body, bytes_of(p, size * n));
	if (!g->body.full)
		return size * n;
	g->why = "it is too large";
	return 0;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct https_get *g = arg;

	(void)p;
	g->headers += size * n;
	if (g->headers <= HEADERS_MAX)
		return size * n;
	g->why = "its header is too large";
	return 0;
}

/* Our CAs; and DNS-IDs alone, which libcurl would not insist on. */
static CURLcode
on_ssl(CURL *easy, void *ctx, void *arg)
{
	struct https_get *g = arg;
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);

	(void)easy;
	SSL_CTX_set1_cert_store(ctx, g->https->store);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return X509_VERIFY_PARAM_set1_host(param, g->host, 0) == 1 ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

/* "+host:443:192.0.2.1,[2001:db8::1]": the "+" lets libcurl forget it. */
static bool
set_addresses(struct https_get *g)
{
	char words[RESOLVE_MAX], one[NETWORK_TEXT_MAX];
	int n = snprintf(words, sizeof words, "+%s:%u:", g->host, g->port);

	for (size_t i = 0; i < g->naddresses && n > 0 && (size_t)n < sizeof words; i++) {
		bool v4 = address_is_ipv4(&g->addresses[i]);

		n += snprintf(words + n, sizeof words - (size_t)n, "%s%s%s%s", i > 0 ? "," : "", v4 ? "" : "[",
		    address_text(&g->addresses[i], one), v4 ? "" : "]");
	}
	must(n > 0 && (size_t)n < sizeof words);
	g->resolve = curl_slist_append(NULL, words);
	return g->resolve != NULL && curl_easy_setopt(g->easy, CURLOPT_RESOLVE, g->resolve) == CURLE_OK;
}

#define SET(option, value) (good = good && curl_easy_setopt(g->easy, CURLOPT_##option, (value)) == CURLE_OK)

static bool
set_limits(struct https_get *g, uint64_t timeout_ms)
{
	bool good = true;

	SET(TIMEOUT_MS, (long)timeout_ms);
	SET(CONNECTTIMEOUT_MS, (long)timeout_ms);
	SET(PROTOCOLS_STR, "https");
	SET(FOLLOWLOCATION, 0L);
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(PROXY, "");
	SET(NOPROXY, "*");
	SET(NETRC, (long)CURL_NETRC_IGNORED);
	SET(FRESH_CONNECT, 1L);
	SET(FORBID_REUSE, 1L);
	SET(NOSIGNAL, 1L);
	SET(NOPROGRESS, 1L);
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(SSL_VERIFYPEER, 1L);
	SET(SSL_VERIFYHOST, 2L);
	SET(SSL_SESSIONID_CACHE, 0L);
	SET(CAINFO, NULL);
	SET(CAPATH, NULL);
	SET(USERAGENT, "hermod");
	return good;
}

static bool
set_callbacks(struct https_get *g)
{
	bool good = true;

	SET(PRIVATE, g);
	SET(ERRORBUFFER, g->error);
	SET(OPENSOCKETFUNCTION, on_open);
	SET(OPENSOCKETDATA, g);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, g);
	SET(HEADERFUNCTION, on_header);
	SET(HEADERDATA, g);
	SET(SSL_CTX_FUNCTION, on_ssl);
	SET(SSL_CTX_DATA, g);
	return good;
}

static bool
set_url(struct https_get *g, const char *path)
{
	char url[600];
	int n = snprintf(url, sizeof url, "https://%s:%u%s", g->host, g->port, path);

	must(n > 0 && (size_t)n < sizeof url);
	return curl_easy_setopt(g->easy, CURLOPT_URL, url) == CURLE_OK;
}

/* libcurl copies both. No "Expect": what is sent is small, and there are servers that do not know it. */
static bool
set_form(struct https_get *g, const struct https_request *r)
{
	bool good = true;
	char accept[128];

	if (r->form.n > 0) {
		snprintf(accept, sizeof accept, "Accept: %s", r->media_type);
		g->fields = curl_slist_append(NULL, accept);
		good = g->fields != NULL && curl_slist_append(g->fields, "Expect:") != NULL;
		SET(HTTPHEADER, g->fields);
		SET(POSTFIELDSIZE, (long)r->form.n);
		SET(COPYPOSTFIELDS, (const char *)r->form.p);
	}
	if (r->user) {
		SET(HTTPAUTH, (long)CURLAUTH_BASIC);
		SET(USERNAME, r->user);
		SET(PASSWORD, r->password);
	}
	return good;
}

struct https_get *
https_get(struct https *h, const struct https_request *r, https_done done, void *arg)
{
	struct https_get *g = mem_alloc(sizeof *g);

	must(r->naddresses > 0 && r->naddresses <= HTTPS_ADDRESSES);
	must(bytes_to_text(r->host, g->host, sizeof g->host));
	g->https = h;
	g->media_type = r->media_type;
	g->port = r->port;
	g->naddresses = r->naddresses;
	memcpy(g->addresses, r->addresses, r->naddresses * sizeof *r->addresses);
	g->done = done;
	g->arg = arg;
	buf_init(&g->body, r->octets_max);
	g->easy = curl_easy_init();
	if (!g->easy || !set_url(g, r->path) || !set_addresses(g) || !set_limits(g, r->timeout_ms) || !set_callbacks(g) || !set_form(g, r)
	    || curl_multi_add_handle(h->multi, g->easy) != CURLM_OK)
		log_fatal("out of memory: libcurl");
	g->next = h->open;
	g->at = &h->open;
	if (g->next)
		g->next->at = &g->next;
	h->open = g;
	return g;
}

/* ---- the process ---- */

static X509_STORE *
read_cas(const char *file)
{
	X509_STORE *store = X509_STORE_new();

	if (!store)
		log_fatal("out of memory: TLS");
	if (file[0] != '\0' && !X509_STORE_load_file(store, file)) {
		log_warn("tls_ca_file: %s: cannot be read: no policy can be fetched, and no token introspected (Debian package ca-certificates has the file)",
		    file);
		ERR_clear_error();
	}
	return store;
}

struct https *
https_new(struct loop *l, const char *ca_file)
{
	struct https *h = mem_alloc(sizeof *h);
	const curl_version_info_data *v;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		log_fatal("libcurl does not start");
	v = curl_version_info(CURLVERSION_NOW);
	if (!v->ssl_version || strncmp(v->ssl_version, "OpenSSL/", 8) != 0)
		log_fatal("this libcurl has %s and not OpenSSL (Debian package libcurl4)", v->ssl_version ? v->ssl_version : "no TLS");
	h->loop = l;
	h->store = read_cas(ca_file);
	h->multi = curl_multi_init();
	if (!h->multi)
		log_fatal("out of memory: libcurl");
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == -1)	/* libcurl has made a pair of sockets without */
		log_fatal("close_range: %s", strerrordesc_np(errno));
	timer_init(&h->due, l, on_due, h);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	return h;
}

void
https_free(struct https **taken)
{
	struct https *h = *taken;

	*taken = NULL;
	if (!h)
		return;
	while (h->open)
		get_free(h->open);
	curl_multi_cleanup(h->multi);
	timer_clear(&h->due);
	X509_STORE_free(h->store);
	mem_free(h);
	curl_global_cleanup();
}
