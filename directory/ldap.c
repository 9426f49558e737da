/* SPDX-License-Identifier: ISC */
/*
 * directory/ldap.c - accounts from an LDAP server (RFC 4511): a search for the name, and a bind with the password. By libldap,
 * whose calls are all made so that they do not wait.
 *
 * Passwords are tried over a connection of their own: whoever is bound there is not who searches (RFC 4513 section 5.1.3).
 * Referrals are not followed: they would lead to hosts that the administrator has not named, with his password.
 */
#include "directory/directory.h"

#ifdef HAVE_LDAP

#include <errno.h>
#include <ldap.h>
#include <openldap.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "directory/ldap_pipe.h"
#include "proto/ldap_filter.h"

#define MESSAGE_MAX	(256u << 10)	/* octets of one that is taken */
#define ENTRIES_MAX	2		/* of one search: two are one too many */
#define FILTER_OCTETS	(LDAP_FILTER_MAX + LDAP_FILTER_MAX / 2 * 3 * ACCOUNT_NAME_MAX)

enum state { GONE, PLACING, CONNECTING, STARTING_TLS, SECURING, BINDING, READY, SEARCHING, CHECKING };

struct link {				/* one connection */
	struct ldap_server *all;	/* borrowed */
	struct line	*line;		/* borrowed */
	bool		 checks;	/* its binds are others' */
	enum state	 state;
	bool		 used;		/* it has answered a question */
	struct place	*place;		/* owned */
	struct place_found places;
	size_t		 at;		/* of the next place */
	struct ldap_pipe *pipe;		/* owned, as the next; NULL: GONE or PLACING */
	LDAP		*ld;
	unsigned	 serial;	/* which connection this is */
	struct watch	 readable;
	struct timer	 attempt;
	bool		 ended;		/* the pipe is at its end */
	char		 ended_why[256];

	struct bytes	 name, dn, password; /* borrowed: what is asked */
	struct found	 found;		/* owned, while SEARCHING */
	unsigned	 entries;
};

struct ldap_server {
	struct daemon	*daemon;	/* borrowed, as the next */
	const struct directory_settings *settings;
	struct directory_server where;
	SSL_CTX		*tls;		/* owned; NULL: there is none */
	struct buf	 secret;	/* owned */
	int		 folder;	/* of the UNIX socket; -1: none */
	char		*attributes[DIRECTORY_FIELDS + 1]; /* owned; of a search, NULL behind the last */
	enum directory_field fields[DIRECTORY_FIELDS];	/* what they are */
	size_t		 n;
	struct link	 search, check;
};

static void	try_next(struct link *k, const char *why);

/* ---- the end of a connection ---- */

static void
close_link(struct link *k)
{
	timer_clear(&k->attempt);
	place_cancel(k->place);
	if (k->ld) {
		watch_off(&k->readable);
		ldap_unbind_ext(k->ld, NULL, NULL);
		k->ld = NULL;
	}
	ldap_pipe_free(&k->pipe);
	found_fini(&k->found);
	k->state = GONE;
	k->ended = false;
}

/* It broke: what was under way is not answered, or another place is tried. */
static void
lost(struct link *k, const char *why)
{
	bool opening = k->state >= CONNECTING && k->state <= BINDING, asked = k->state >= SEARCHING, reused = k->used;
	char words[DIRECTORY_WHY];

	snprintf(words, sizeof words, "%s", why);
	close_link(k);
	if (opening)
		try_next(k, words);
	else if (asked)
		line_lost(k->line, words, reused);
}

static void
lost_ldap(struct link *k, const char *what, int code)
{
	char words[DIRECTORY_WHY], *said = NULL;

	ldap_get_option(k->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &said);
	snprintf(words, sizeof words, "%s: %s%s%s", what, ldap_err2string(code), said && *said ? ": " : "", said ? said : "");
	ldap_memfree(said);
	lost(k, words);
}

/* ---- what is asked ---- */

static void
search(struct link *k)
{
	static const int scopes[] = { [DIRECTORY_SUB] = LDAP_SCOPE_SUBTREE, [DIRECTORY_ONE] = LDAP_SCOPE_ONELEVEL,
	    [DIRECTORY_BASE] = LDAP_SCOPE_BASE };
	const struct directory_settings *s = k->all->settings;
	static char nothing[] = LDAP_NO_ATTRS;
	char *none[] = { nothing, NULL };
	struct timeval limit = { .tv_sec = (time_t)(s->timeout_ms / 1000) + 1 };
	struct buf filter;
	int id, r;

	k->state = SEARCHING;
	k->entries = 0;
	found_init(&k->found);
	buf_init(&filter, FILTER_OCTETS);
	must(ldap_filter_make(text(s->ldap_filter), k->name, &filter));
	buf_char(&filter, '\0');
	r = ldap_search_ext(k->ld, s->ldap_base, scopes[s->ldap_scope], (const char *)filter.p,
	    k->all->n > 0 ? k->all->attributes : none, 0, NULL, NULL, &limit, ENTRIES_MAX, &id);
	buf_fini(&filter);
	if (r != LDAP_SUCCESS)
		lost_ldap(k, "a search", r);
}

static bool
bind_as(struct link *k, const char *dn, struct bytes password)
{
	struct berval credentials = { .bv_len = password.n, .bv_val = (char *)(uintptr_t)password.p };
	int id, r;

	/* Without one it would be nobody's bind, and succeed: RFC 4513 section 5.1.2. */
	must(password.n > 0 && dn[0] != '\0');
	r = ldap_sasl_bind(k->ld, dn, LDAP_SASL_SIMPLE, &credentials, NULL, NULL, &id);
	if (r != LDAP_SUCCESS)
		lost_ldap(k, "a bind", r);
	return r == LDAP_SUCCESS;
}

static void
check(struct link *k)
{
	char dn[FOUND_DN_MAX + 1];

	must(bytes_to_text(k->dn, dn, sizeof dn));
	k->state = CHECKING;
	bind_as(k, dn, k->password);
}

/* Connected, with TLS where that is wanted, and bound: what is asked goes out. */
static void
ready(struct link *k)
{
	timer_clear(&k->attempt);
	k->state = READY;
	if (k->checks)
		check(k);
	else
		search(k);
}

static void
introduce(struct link *k)
{
	const char *dn = k->all->settings->ldap_bind_dn;

	if (k->checks || dn[0] == '\0') {
		ready(k);
		return;
	}
	k->state = BINDING;
	bind_as(k, dn, buf_bytes(&k->all->secret));
}

/* ---- what is answered ---- */

static void
take_entry(struct link *k, LDAPMessage *m)
{
	const struct ldap_server *s = k->all;
	char *dn = ldap_get_dn(k->ld, m);
	size_t n = dn ? strlen(dn) : 0;

	if (++k->entries > 1)
		found_unsure(&k->found, "there is more than one entry for it");
	else if (n == 0 || n > FOUND_DN_MAX)
		found_unsure(&k->found, "its entry has a name that cannot be used");
	else
		k->found.dn = arena_copy(k->found.arena, text(dn));
	ldap_memfree(dn);
	for (size_t i = 0; i < s->n; i++) {
		struct berval **values = ldap_get_values_len(k->ld, m, s->attributes[i]);

		for (size_t v = 0; values && values[v]; v++)
			found_add(&k->found, s->fields[i], bytes_of(values[v]->bv_val, values[v]->bv_len));
		ldap_value_free_len(values);
	}
}

/* Words of a result; the server's own behind them. */
static int
take_result(struct link *k, LDAPMessage *m, char *words, size_t cap)
{
	char *said = NULL;
	int code = LDAP_DECODING_ERROR, r = ldap_parse_result(k->ld, m, &code, NULL, &said, NULL, NULL, 0);

	if (r != LDAP_SUCCESS)
		code = LDAP_DECODING_ERROR;
	snprintf(words, cap, "%s%s%s", ldap_err2string(code), said && *said ? ": " : "", said ? said : "");
	words_tidy(words);
	ldap_memfree(said);
	return code;
}

static void
end_search(struct link *k, LDAPMessage *m)
{
	char words[DIRECTORY_WHY];
	int code = take_result(k, m, words, sizeof words);
	struct found f = k->found;

	k->found = (struct found){ 0 };
	if (f.verdict != NOT_SURE && code != LDAP_SUCCESS)
		found_unsure(&f, "%s", words);
	else if (f.verdict != NOT_SURE && k->entries == 1)
		f.verdict = YES;
	k->state = READY;
	k->used = true;
	line_found(k->line, &f);
}

static void
end_check(struct link *k, LDAPMessage *m)
{
	char words[DIRECTORY_WHY];
	enum verdict v = NOT_SURE;

	switch (take_result(k, m, words, sizeof words)) {
	case LDAP_SUCCESS:
		v = YES;
		break;
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INAPPROPRIATE_AUTH:	/* it has no password */
	case LDAP_CONSTRAINT_VIOLATION:	/* it is locked */
		v = NO;
		break;
	default:
		break;
	}
	k->state = READY;
	k->used = true;
	line_checked(k->line, v, words);
}

/* Of what has to go well before anything can be asked: what comes next, or the end. */
static void
end_step(struct link *k, LDAPMessage *m, const char *what, void (*next)(struct link *))
{
	char words[DIRECTORY_WHY], why[DIRECTORY_WHY + 64];

	if (take_result(k, m, words, sizeof words) == LDAP_SUCCESS) {
		next(k);
		return;
	}
	snprintf(why, sizeof why, "%s: %s", what, words);
	lost(k, why);
}

static SSL *
new_tls(const struct ldap_server *s)
{
	SSL *ssl = SSL_new(s->tls);
	struct address a;
	bool good = ssl != NULL;

	if (good && address_parse(text(s->where.host), &a))
		good = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), address_text(&a, (char[NETWORK_TEXT_MAX]){ 0 })) == 1;
	else if (good)
		good = SSL_set_tlsext_host_name(ssl, s->where.host) == 1 && SSL_set1_host(ssl, s->where.host) == 1;
	if (!good)
		log_fatal("out of memory: TLS");
	return ssl;
}

static void
begin_tls(struct link *k)
{
	k->state = SECURING;
	if (!ldap_pipe_start_tls(k->pipe, new_tls(k->all)))
		lost(k, "something came behind the answer to StartTLS");
}

/* One message. Whatever comes at a time when it makes no sense ends the connection. */
static void
take_message(struct link *k, int type, LDAPMessage *m)
{
	if (k->state == SEARCHING && type == LDAP_RES_SEARCH_ENTRY && k->entries < ENTRIES_MAX)
		take_entry(k, m);
	else if (k->state == SEARCHING && type == LDAP_RES_SEARCH_REFERENCE)
		log_debug("a reference to another server is not followed");
	else if (k->state == SEARCHING && type == LDAP_RES_SEARCH_RESULT)
		end_search(k, m);
	else if (k->state == CHECKING && type == LDAP_RES_BIND)
		end_check(k, m);
	else if (k->state == BINDING && type == LDAP_RES_BIND)
		end_step(k, m, "ldap_bind_dn cannot bind", ready);
	else if (k->state == STARTING_TLS && type == LDAP_RES_EXTENDED)
		end_step(k, m, "StartTLS", begin_tls);
	else
		lost(k, "it says what nobody has asked");
}

/* All that has come. False: the connection has been closed; perhaps there is another one by now. */
static bool
take_messages(struct link *k)
{
	unsigned serial = k->serial;
	LDAPMessage *m;
	int type;

	while (k->ld && k->serial == serial) {
		m = NULL;
		type = ldap_result(k->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &(struct timeval){ 0 }, &m);
		if (type == 0)
			return true;
		if (type < 0) {
			lost(k, k->ended ? k->ended_why : "what it says makes no sense");
			return false;
		}
		take_message(k, type, m);
		ldap_msgfree(m);
	}
	return false;
}

static void
on_readable(void *arg, short what)
{
	(void)what;
	take_messages(arg);
}

/* ---- making a connection ---- */

static void
on_pipe_ready(void *arg)
{
	struct link *k = arg;
	int id, r;

	if (k->state == SECURING) {
		introduce(k);
	} else if (k->all->where.tls) {
		begin_tls(k);
	} else if (k->all->settings->ldap_starttls) {
		k->state = STARTING_TLS;
		r = ldap_extended_operation(k->ld, LDAP_EXOP_START_TLS, NULL, NULL, NULL, &id);
		if (r != LDAP_SUCCESS)
			lost_ldap(k, "StartTLS", r);
	} else
		introduce(k);
}

/* What came before the end may be the answer. */
static void
on_pipe_end(void *arg, const char *why)
{
	struct link *k = arg;

	k->ended = true;
	snprintf(k->ended_why, sizeof k->ended_why, "%s", why);
	if (take_messages(k))
		lost(k, k->ended_why);
}

static bool
make_ldap(struct link *k, int *fd)
{
	ber_len_t most = MESSAGE_MAX;
	int version = LDAP_VERSION3;
	Sockbuf *sb = NULL;

	if (ldap_init_fd(*fd, LDAP_PROTO_TCP, NULL, &k->ld) != LDAP_SUCCESS || !k->ld) {
		k->ld = NULL;
		fd_close(fd);
		return false;
	}
	ldap_set_option(k->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	ldap_set_option(k->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	if (ldap_get_option(k->ld, LDAP_OPT_SOCKBUF, &sb) == LDAP_OPT_SUCCESS && sb)
		ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &most);
	watch_init(&k->readable, &k->all->daemon->loop, *fd, EV_READ, on_readable, k);
	watch_on(&k->readable);
	return true;
}

/* fd is taken. */
static void
begin(struct link *k, int fd)
{
	struct ldap_pipe_owner owner = { on_pipe_ready, on_pipe_end, k };
	int library;

	k->state = CONNECTING;
	k->used = false;
	k->serial++;
	k->pipe = ldap_pipe_new(&k->all->daemon->loop, fd, &library, &owner);
	if (!k->pipe)
		lost(k, strerrordesc_np(errno));
	else if (!make_ldap(k, &library))
		lost(k, "out of memory: libldap");
}

static int
connect_inet(const struct address *a, uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t size = address_socket(a, port, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd != -1 && connect(fd, (struct sockaddr *)&sa, size) == -1 && errno != EINPROGRESS)
		fd_close(&fd);
	return fd;
}

/* By its name in the folder that was kept, which is the current one. */
static int
connect_unix(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", strrchr(path, '/') + 1);
	if (fd != -1 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == -1)
		fd_close(&fd);
	return fd;
}

static const char *
place_text(const struct link *k, char *words, size_t cap)
{
	const struct directory_server *w = &k->all->where;
	char address[NETWORK_TEXT_MAX] = "";

	if (k->at > 0 && k->places.n > 0)
		address_text(&k->places.address[k->at - 1], address);
	if (w->host[0] == '\0')
		snprintf(words, cap, "%s", w->path);
	else
		snprintf(words, cap, "%s[%s]:%u", w->host, address, w->port);
	return words;
}

/* why: of the place before; NULL: this is the first. */
static void
try_next(struct link *k, const char *why)
{
	const struct directory_server *w = &k->all->where;
	char where[512], words[DIRECTORY_WHY + 512];
	size_t left = w->host[0] == '\0' ? (why ? 0 : 1) : k->places.n - k->at;
	int fd;

	if (left == 0) {
		snprintf(words, sizeof words, "%s: %s", place_text(k, where, sizeof where), why);
		k->state = GONE;
		line_lost(k->line, words, false);
		return;
	}
	fd = w->host[0] == '\0' ? connect_unix(w->path) : connect_inet(&k->places.address[k->at++], w->port);
	if (fd == -1) {
		try_next(k, strerrordesc_np(errno));
		return;
	}
	timer_set(&k->attempt, k->all->settings->timeout_ms / left);
	begin(k, fd);
}

static void
on_attempt_over(void *arg)
{
	lost(arg, "it does not answer");
}

static void
on_place(void *arg, const struct place_found *f)
{
	struct link *k = arg;
	char words[DIRECTORY_WHY];

	k->places = *f;
	k->at = 0;
	if (f->n > 0) {
		try_next(k, NULL);
		return;
	}
	k->state = GONE;
	snprintf(words, sizeof words, "%s: %s", k->all->where.host, f->why);
	line_lost(k->line, words, false);
}

static void
connect_link(struct link *k)
{
	k->state = PLACING;
	if (k->all->where.host[0] == '\0')
		try_next(k, NULL);
	else
		place_ask(k->place, on_place, k);
}

/* ---- a kind of server ---- */

static void
find_account(void *server, struct bytes name)
{
	struct ldap_server *s = server;

	s->search.name = name;
	if (s->search.state == READY)
		search(&s->search);
	else
		connect_link(&s->search);
}

static void
check_password(void *server, struct bytes dn, struct bytes password)
{
	struct ldap_server *s = server;

	s->check.dn = dn;
	s->check.password = password;
	if (s->check.state == READY)
		check(&s->check);
	else
		connect_link(&s->check);
}

static void
drop(void *server, bool checks)
{
	struct ldap_server *s = server;

	close_link(checks ? &s->check : &s->search);
}

static void
attach(void *server, struct line *l, bool checks)
{
	struct ldap_server *s = server;

	(checks ? &s->check : &s->search)->line = l;
}

static void
read_cas(struct ldap_server *s)
{
	s->tls = SSL_CTX_new(TLS_client_method());
	if (!s->tls || !SSL_CTX_set_min_proto_version(s->tls, TLS1_2_VERSION))
		log_fatal("out of memory: TLS");
	SSL_CTX_set_verify(s->tls, SSL_VERIFY_PEER, NULL);
	if (!SSL_CTX_load_verify_file(s->tls, s->settings->ldap_ca_file)) {
		log_warn("ldap_ca_file: %s: cannot be read: no LDAP server will be believed (Debian package ca-certificates has the file)",
		    s->settings->ldap_ca_file);
		ERR_clear_error();
	}
}

static void
read_attributes(struct ldap_server *s)
{
	const struct setting_list *l = &s->settings->ldap_attributes;
	struct bytes attribute;

	for (size_t i = 0; i < l->n; i++) {
		must(s->n < DIRECTORY_FIELDS && directory_attribute(text(l->item[i]), &s->fields[s->n], &attribute));
		s->attributes[s->n++] = mem_text((const char *)attribute.p);	/* the rest of the item */
	}
}

static void
keep_folder(struct ldap_server *s)
{
	char folder[sizeof s->where.path];
	const char *slash = strrchr(s->where.path, '/');

	snprintf(folder, sizeof folder, "%.*s", slash == s->where.path ? 1 : (int)(slash - s->where.path), s->where.path);
	s->folder = daemon_keep_dir(s->daemon, folder, false);
	if (s->folder == -1)
		log_errno("ldap_uri: %s: cannot be opened; until it can and the suite has been reloaded nothing is known of accounts there",
		    folder);
}

static void
link_init(struct link *k, struct ldap_server *s, bool checks)
{
	*k = (struct link){ .all = s, .checks = checks };
	k->place = place_new(s->daemon, &s->where, (unsigned)s->settings->timeout_ms);
	timer_init(&k->attempt, &s->daemon->loop, on_attempt_over, k);
}

/* The library looks around when it is first used: not for files of settings, and not later. */
static void
wake_library(void)
{
	LDAP *ld = NULL;

	if (setenv("LDAPNOINIT", "1", 1) == -1 || ldap_create(&ld) != LDAP_SUCCESS)
		log_fatal("out of memory: libldap");
	ldap_unbind_ext(ld, NULL, NULL);
}

static void *
open_server(struct daemon *d, const struct directory_settings *settings, struct bytes secret)
{
	struct ldap_server *s = mem_alloc(sizeof *s);
	char why[256];

	*s = (struct ldap_server){ .daemon = d, .settings = settings, .folder = -1 };
	must(directory_ldap_uri(settings->ldap_uri, &s->where, why, sizeof why));
	buf_init(&s->secret, DIRECTORY_SECRET_MAX);
	buf_add(&s->secret, secret);
	wake_library();
	if (s->where.tls || settings->ldap_starttls)
		read_cas(s);
	if (s->where.host[0] == '\0')
		keep_folder(s);
	read_attributes(s);
	link_init(&s->search, s, false);
	link_init(&s->check, s, true);
	return s;
}

static void
confined(void *server)
{
	struct ldap_server *s = server;

	if (s->folder != -1 && fchdir(s->folder) == -1)
		log_errno("ldap_uri: the folder of the socket cannot be entered");
}

static void
close_server(void **taken)
{
	struct ldap_server *s = *taken;

	*taken = NULL;
	if (!s)
		return;
	close_link(&s->search);
	close_link(&s->check);
	place_free(&s->search.place);
	place_free(&s->check.place);
	for (size_t i = 0; i < s->n; i++)
		mem_free(s->attributes[i]);
	SSL_CTX_free(s->tls);
	buf_wipe(&s->secret);
	mem_free(s);
}

const struct server_kind ldap_server = { open_server, confined, attach, find_account, check_password, drop, close_server };

#else

const struct server_kind ldap_server = { 0 };	/* directory_judge has said so */

#endif
