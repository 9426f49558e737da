/* SPDX-License-Identifier: ISC */
/*
 * directory/postgresql.c - accounts from a PostgreSQL server, by libpq, whose calls are all made so that they do not wait: the
 * addresses come from the resolver, one at a time, and libpq looks up no name. It opens by name what it wants to read: the file
 * of CAs is in the folder that is kept, and the current one; of a UNIX socket the folder is the process's root.
 */
#include "directory/directory.h"

#ifdef HAVE_POSTGRESQL

#include <errno.h>
#include <libpq-fe.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define SYSTEM_CAS	"/etc/ssl/certs/ca-certificates.crt"
#define WORDS_MAX	24

enum state { GONE, PLACING, CONNECTING, READY, ASKING };

struct postgresql {
	struct daemon	*daemon;	/* borrowed, as the next two */
	const struct directory_settings *settings;
	struct line	*line;
	struct arena	*arena;		/* owned */
	struct conninfo	 conninfo;	/* in arena */
	struct directory_server where;
	struct buf	 secret;	/* owned; with a NUL */
	int		 folder;	/* of the CAs, or the socket; -1: none */
	const char	*cas;		/* the file in it; borrowed */
	const char	*socket_folder;	/* as it is to be said to libpq; NULL: TCP */

	enum state	 state;
	bool		 used;		/* the connection has answered a question */
	struct place	*place;		/* owned */
	struct place_found places;
	size_t		 at;		/* of the next place */
	PGconn		*conn;		/* owned; NULL: GONE or PLACING */
	struct watch	 watch;
	short		 waits_for;	/* EV_READ, EV_WRITE; 0: watch is off */
	int		 fd;		/* that is watched; libpq's */
	struct timer	 attempt;

	struct bytes	 name;		/* borrowed: what is asked */
	struct found	 found;		/* owned, while ASKING */
	unsigned	 rows;
};

static void	try_next(struct postgresql *p, const char *why);
static void	on_event(void *arg, short what);

/* ---- the end of a connection ---- */

static void
wait_for(struct postgresql *p, short what)
{
	int fd = p->conn ? PQsocket(p->conn) : -1;

	if (p->waits_for == what && p->fd == fd)
		return;
	if (p->waits_for != 0)
		watch_off(&p->watch);
	p->waits_for = fd == -1 ? 0 : what;
	p->fd = fd;
	if (p->waits_for == 0)
		return;
	watch_init(&p->watch, &p->daemon->loop, fd, what, on_event, p);
	watch_on(&p->watch);
}

static void
close_connection(struct postgresql *p)
{
	timer_clear(&p->attempt);
	place_cancel(p->place);
	if (p->waits_for != 0)
		watch_off(&p->watch);
	p->waits_for = 0;
	PQfinish(p->conn);
	p->conn = NULL;
	found_fini(&p->found);
	p->state = GONE;
}

static void
lost(struct postgresql *p, const char *why)
{
	enum state state = p->state;
	bool reused = p->used;
	char words[DIRECTORY_WHY];

	snprintf(words, sizeof words, "%s", why);
	close_connection(p);
	if (state == CONNECTING)
		try_next(p, words);
	else if (state == ASKING)
		line_lost(p->line, words, reused);
}

/* Its words are lines, the last with an end. */
static void
lost_libpq(struct postgresql *p)
{
	char words[DIRECTORY_WHY];

	snprintf(words, sizeof words, "%s", PQerrorMessage(p->conn));
	lost(p, words);
}

/* ---- a question ---- */

static void
fail(struct postgresql *p, const PGresult *r)
{
	const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE), *words = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	/* Of a name that the database's encoding has no place for: nobody there can have it. */
	if (code && strcmp(code, "22P05") == 0)
		return;
	found_unsure(&p->found, "%s%s%s%s", words ? words : PQresultErrorMessage(r), code ? " (SQLSTATE " : "", code ? code : "",
	    code ? ")" : "");
}

static void
take_row(struct postgresql *p, const PGresult *r)
{
	if (++p->rows > 1)
		found_unsure(&p->found, "there is more than one row for it");
	for (int i = 0; i < PQnfields(r) && p->rows == 1; i++)
		if (!PQgetisnull(r, 0, i))
			found_add(&p->found, directory_field(text(PQfname(r, i))), bytes_of(PQgetvalue(r, 0, i),
			    (size_t)PQgetlength(r, 0, i)));
}

static bool
columns_known(struct postgresql *p, const PGresult *r)
{
	for (int i = 0; i < PQnfields(r); i++)
		if (directory_field(text(PQfname(r, i))) == DIRECTORY_FIELDS) {
			found_unsure(&p->found, "sql_query gives a column %s, which means nothing here", PQfname(r, i));
			return false;
		}
	return true;
}

/* Rows come one by one; a result without a row is behind the last. */
static void
take_result(struct postgresql *p, const PGresult *r)
{
	switch (PQresultStatus(r)) {
	case PGRES_SINGLE_TUPLE:
		if (columns_known(p, r))
			take_row(p, r);
		break;
	case PGRES_TUPLES_OK:
		columns_known(p, r);
		break;
	case PGRES_FATAL_ERROR:
	case PGRES_BAD_RESPONSE:
		fail(p, r);
		break;
	default:
		found_unsure(&p->found, "sql_query: not one statement that reads");
		break;
	}
}

static void
end_question(struct postgresql *p)
{
	struct found f = p->found;

	if (PQstatus(p->conn) == CONNECTION_BAD) {	/* it said why, as an error */
		lost(p, f.verdict == NOT_SURE ? f.why : PQerrorMessage(p->conn));
		return;
	}
	p->found = (struct found){ 0 };
	if (f.verdict != NOT_SURE && p->rows == 1)
		f.verdict = YES;
	p->state = READY;
	p->used = true;
	wait_for(p, EV_READ);
	line_found(p->line, &f);
}

/* Who sends many rows sends them to nobody. */
static void
too_many(struct postgresql *p)
{
	struct found f = p->found;

	p->found = (struct found){ 0 };
	close_connection(p);
	line_found(p->line, &f);
}

static void
take_results(struct postgresql *p)
{
	PGresult *r;

	while (!PQisBusy(p->conn)) {
		r = PQgetResult(p->conn);
		if (!r) {
			end_question(p);
			return;
		}
		take_result(p, r);
		PQclear(r);
		if (p->rows > 1) {
			too_many(p);
			return;
		}
	}
}

static void
go_on(struct postgresql *p)
{
	int left = PQflush(p->conn);

	if (left < 0)
		lost_libpq(p);
	else
		wait_for(p, left > 0 ? EV_READ | EV_WRITE : EV_READ);
}

static void
ask(struct postgresql *p)
{
	char name[ACCOUNT_NAME_MAX + 1];
	const char *values[] = { name };

	must(bytes_to_text(p->name, name, sizeof name));
	p->state = ASKING;
	p->rows = 0;
	found_init(&p->found);
	if (!PQsendQueryParams(p->conn, p->settings->sql_query, 1, NULL, values, NULL, NULL, 0) || !PQsetSingleRowMode(p->conn))
		lost_libpq(p);
	else
		go_on(p);
}

/* ---- events ---- */

static void
go_on_connecting(struct postgresql *p)
{
	switch (PQconnectPoll(p->conn)) {
	case PGRES_POLLING_READING:
		wait_for(p, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		wait_for(p, EV_WRITE);
		break;
	case PGRES_POLLING_OK:
		timer_clear(&p->attempt);
		if (PQsetnonblocking(p->conn, 1) == -1)
			lost_libpq(p);
		else
			ask(p);
		break;
	default:
		lost_libpq(p);
		break;
	}
}

/* Its socket may be another one than before: libpq tries again without TLS where that may be. */
static void
on_event(void *arg, short what)
{
	struct postgresql *p = arg;

	if (p->state == CONNECTING) {
		watch_off(&p->watch);
		p->waits_for = 0;
		go_on_connecting(p);
		return;
	}
	if ((what & EV_READ) && !PQconsumeInput(p->conn)) {
		lost_libpq(p);
		return;
	}
	if (p->state == READY) {		/* a notice; or the end, which nobody has to hear of */
		PGresult *r = PQgetResult(p->conn);

		PQclear(r);
		if (PQstatus(p->conn) == CONNECTION_BAD)
			close_connection(p);
		return;
	}
	if (what & EV_WRITE)
		go_on(p);
	if (p->state == ASKING)
		take_results(p);
}

/* ---- making a connection ---- */

struct words { const char *word[WORDS_MAX + 1], *value[WORDS_MAX + 1]; size_t n; };

static void
put(struct words *w, const char *word, const char *value)
{
	must(w->n < WORDS_MAX);
	w->word[w->n] = word;
	w->value[w->n++] = value;
}

static void
nothing_said(void *arg, const char *message)
{
	(void)arg, (void)message;	/* libpq would write it to stderr */
}

/* What libpq would look for in files is said, or switched off. */
static PGconn *
start(struct postgresql *p, const char *address)
{
	static const enum conninfo_word passed[] = { CONNINFO_PORT, CONNINFO_USER, CONNINFO_DBNAME, CONNINFO_SSLMODE,
	    CONNINFO_CHANNEL_BINDING, CONNINFO_APPLICATION_NAME, CONNINFO_OPTIONS };
	struct words w = { 0 };

	put(&w, "host", p->socket_folder ? p->socket_folder : p->where.host);
	if (!p->socket_folder)
		put(&w, "hostaddr", address);
	for (size_t i = 0; i < LEN(passed); i++)
		if (p->conninfo.value[passed[i]])
			put(&w, conninfo_words[passed[i]], p->conninfo.value[passed[i]]);
	if (p->secret.n > 0)
		put(&w, "password", (const char *)p->secret.p);
	put(&w, "passfile", "none");
	if (p->cas)
		put(&w, "sslrootcert", p->cas);
	put(&w, "gssencmode", "disable");
	put(&w, "client_encoding", "UTF8");
	put(&w, "fallback_application_name", "hermod");
	return PQconnectStartParams(w.word, w.value, 0);
}

static void
begin(struct postgresql *p, const char *address)
{
	p->state = CONNECTING;
	p->used = false;
	p->conn = start(p, address);
	if (!p->conn)
		log_fatal("out of memory: libpq");
	PQsetNoticeProcessor(p->conn, nothing_said, NULL);
	if (PQstatus(p->conn) == CONNECTION_BAD)
		lost_libpq(p);
	else
		wait_for(p, EV_WRITE);
}

/* why: of the place before; NULL: this is the first. libpq's words name the place. */
static void
try_next(struct postgresql *p, const char *why)
{
	char address[NETWORK_TEXT_MAX] = "", words[DIRECTORY_WHY];
	size_t left = p->socket_folder ? (why ? 0 : 1) : p->places.n - p->at;

	if (left == 0) {
		snprintf(words, sizeof words, "%s", why);
		p->state = GONE;
		line_lost(p->line, words, false);
		return;
	}
	if (!p->socket_folder)
		address_text(&p->places.address[p->at++], address);
	timer_set(&p->attempt, p->settings->timeout_ms / left);
	begin(p, address);
}

static void
on_attempt_over(void *arg)
{
	struct postgresql *p = arg;
	char words[DIRECTORY_WHY];

	snprintf(words, sizeof words, "%s: it does not answer", p->socket_folder ? p->where.path : p->where.host);
	lost(p, words);
}

static void
on_place(void *arg, const struct place_found *f)
{
	struct postgresql *p = arg;
	char words[DIRECTORY_WHY];

	p->places = *f;
	p->at = 0;
	if (f->n > 0) {
		try_next(p, NULL);
		return;
	}
	p->state = GONE;
	snprintf(words, sizeof words, "%s: %s", p->where.host, f->why);
	line_lost(p->line, words, false);
}

static void
find_account(void *server, struct bytes name)
{
	struct postgresql *p = server;

	p->name = name;
	if (p->state == READY) {
		ask(p);
		return;
	}
	p->state = PLACING;
	if (p->socket_folder)
		try_next(p, NULL);
	else
		place_ask(p->place, on_place, p);
}

/* ---- a kind of server ---- */

static void
attach(void *server, struct line *l, bool checks)
{
	struct postgresql *p = server;

	must(!checks);
	p->line = l;
}

static void
drop(void *server, bool checks)
{
	(void)checks;
	close_connection(server);
}

static void
keep_folder(struct postgresql *p, const char *path)
{
	p->folder = daemon_keep_dir(p->daemon, path, false);
	if (p->folder == -1)
		log_errno("sql_database: %s: cannot be opened; until it can and the suite has been reloaded nothing is known of accounts there",
		    path);
}

/* Of a file: its folder is kept, and it is known by its name in there. */
static void
keep_cas(struct postgresql *p)
{
	const char *path = p->conninfo.value[CONNINFO_SSLROOTCERT], *mode = p->conninfo.value[CONNINFO_SSLMODE], *slash;

	if (!path && mode && strncmp(mode, "verify", strlen("verify")) == 0)
		path = SYSTEM_CAS;
	if (!path)
		return;
	slash = strrchr(path, '/');
	keep_folder(p, slash == path ? "/" : arena_text(p->arena, bytes_of(path, (size_t)(slash - path))));
	p->cas = slash + 1;
}

static void *
open_server(struct daemon *d, const struct directory_settings *settings, struct bytes secret)
{
	struct postgresql *p = mem_alloc(sizeof *p);
	char why[DIRECTORY_WHY];

	*p = (struct postgresql){ .daemon = d, .settings = settings, .folder = -1, .fd = -1 };
	p->arena = arena_new(CONNINFO_ARENA + 1024);
	must(conninfo_parse(text(settings->sql_database), p->arena, &p->conninfo, why, sizeof why)
	    && directory_postgresql(&p->conninfo, &p->where, why, sizeof why));
	buf_init(&p->secret, DIRECTORY_SECRET_MAX + 1);
	if (secret.n > 0) {
		buf_add(&p->secret, secret);
		buf_char(&p->secret, '\0');
	}
	/* Its home is where nothing of it lies; without one it would ask who it is. OpenSSL reads its own settings now. */
	if (setenv("HOME", "/", 1) == -1 || !OPENSSL_init_ssl(0, NULL))
		log_fatal("out of memory: libpq");
	if (p->where.path[0] != '\0') {
		p->socket_folder = p->conninfo.value[CONNINFO_HOST];
		keep_folder(p, p->socket_folder);
		daemon_root(d, p->folder);
	} else
		keep_cas(p);
	p->place = place_new(d, &p->where, (unsigned)settings->timeout_ms);
	timer_init(&p->attempt, &d->loop, on_attempt_over, p);
	return p;
}

static bool
is_root(int fd)
{
	struct stat own, root;

	return fstat(fd, &own) == 0 && stat("/", &root) == 0 && own.st_dev == root.st_dev && own.st_ino == root.st_ino;
}

static void
confined(void *server)
{
	struct postgresql *p = server;

	if (p->folder != -1 && fchdir(p->folder) == -1)
		log_errno("sql_database: its folder cannot be entered");
	if (p->socket_folder && p->folder != -1 && is_root(p->folder))
		p->socket_folder = "/";
}

static void
close_server(void **taken)
{
	struct postgresql *p = *taken;

	*taken = NULL;
	if (!p)
		return;
	close_connection(p);
	place_free(&p->place);
	buf_wipe(&p->secret);
	arena_free(&p->arena);
	mem_free(p);
}

const struct server_kind postgresql_server = { open_server, confined, attach, find_account, NULL, drop, close_server };

#else

const struct server_kind postgresql_server = { 0 };	/* directory_judge has said so */

#endif
