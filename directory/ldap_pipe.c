/* SPDX-License-Identifier: ISC */
#include "directory/ldap_pipe.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/conn.h"
#include "base/file.h"
#include "base/mem.h"

#define IN_MAX	65536u
#define OUT_MAX	(2 * IN_MAX)

struct ldap_pipe {
	struct conn	server, library;
	int		 end;		/* borrowed: the other end of library's */
	struct ldap_pipe_owner owner;
};

/* ---- to and fro ---- */

/* What does not fit now waits where it is, and its sender with it. */
static void
pass(struct conn *from, struct conn *to)
{
	if (from->in.n == 0 || to->loop == NULL)
		return;
	if (conn_choked(to)) {
		conn_want_room(to);
		return;
	}
	buf_add(&to->out, buf_bytes(&from->in));
	buf_drop(&from->in, from->in.n);
	conn_flush(to);
}

static void
on_server_input(void *arg)
{
	struct ldap_pipe *p = arg;

	pass(&p->server, &p->library);
}

static void
on_library_input(void *arg)
{
	struct ldap_pipe *p = arg;

	pass(&p->library, &p->server);
}

static void
on_server_room(void *arg)
{
	struct ldap_pipe *p = arg;

	conn_resume(&p->library);
}

static void
on_library_room(void *arg)
{
	struct ldap_pipe *p = arg;

	conn_resume(&p->server);
}

/* ---- the end ---- */

static const char *
tls_words(const struct conn *c, char *words, size_t cap)
{
	struct conn_tls_facts f;
	const char *reason = ERR_reason_error_string(c->tls_error);

	if (conn_tls_facts(c, &f) && f.verify != X509_V_OK)
		snprintf(words, cap, "its certificate does not prove it: %s", X509_verify_cert_error_string(f.verify));
	else
		snprintf(words, cap, "TLS failed: %s", reason ? reason : "it broke off");
	return words;
}

static void
on_server_end(void *arg, enum conn_end why)
{
	struct ldap_pipe *p = arg;
	struct conn *c = &p->server;
	char words[256] = "it has closed the connection";

	if (why == CONN_TLS)
		tls_words(c, words, sizeof words);
	else if (why != CONN_EOF)
		snprintf(words, sizeof words, "%s", c->error != 0 ? strerrordesc_np(c->error) : "the connection broke");
	pass(&p->server, &p->library);
	p->owner.on_end(p->owner.owner, words);
}

static void
on_library_end(void *arg, enum conn_end why)
{
	struct ldap_pipe *p = arg;

	(void)why;
	p->owner.on_end(p->owner.owner, "it sends more than is taken");
}

static void
on_ready(void *arg)
{
	struct ldap_pipe *p = arg;

	p->owner.on_ready(p->owner.owner);
}

struct ldap_pipe *
ldap_pipe_new(struct loop *l, int fd, int *library, const struct ldap_pipe_owner *owner)
{
	struct ldap_pipe *p;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == -1) {
		fd_close(&fd);
		return NULL;
	}
	p = mem_alloc(sizeof *p);
	p->owner = *owner;
	p->end = *library = pair[1];
	conn_init(&p->server, l, fd, IN_MAX, OUT_MAX, on_server_input, on_server_end, p);
	conn_connecting(&p->server);
	p->server.on_ready = on_ready;
	p->server.on_room = on_server_room;
	conn_init(&p->library, l, pair[0], IN_MAX, OUT_MAX, on_library_input, on_library_end, p);
	p->library.on_room = on_library_room;
	return p;
}

void
ldap_pipe_free(struct ldap_pipe **taken)
{
	struct ldap_pipe *p = *taken;

	*taken = NULL;
	if (!p)
		return;
	conn_fini(&p->server);
	conn_fini(&p->library);
	mem_free(p);
}

bool
ldap_pipe_start_tls(struct ldap_pipe *p, SSL *ssl)
{
	int waiting = 0;

	if (p->library.out.n > 0 || ioctl(p->end, FIONREAD, &waiting) == -1 || waiting > 0) {
		SSL_free(ssl);
		return false;
	}
	return conn_start_tls_client(&p->server, ssl);
}
