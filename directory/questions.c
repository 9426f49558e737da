/* SPDX-License-Identifier: ISC */
/*
 * directory/questions.c - who asks what. Each waits at most directory_timeout, whatever the server does; and who asks of a
 * name that was found a moment ago, or not found, is told that.
 *
 * Keys and hashes go to auth alone, and always come from the server: the cache has none, so that who has changed his
 * password is not let in with the old one. A password that the server judges is in memory until it has done so.
 */
#include <stdio.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "directory/directory.h"
#include "proto/utf8.h"

#define WAITING_MAX	2000u

struct asked {
	struct job	 job;		/* first: a job is its question */
	TAILQ_ENTRY(asked) link;
	struct questions *all;		/* borrowed */
	struct channel	*from;		/* borrowed */
	uint32_t	 id;		/* of the question */
	bool		 check;		/* of a password, else of an account */
	bool		 nobody;	/* the answer is no, whatever the server says to the password */
	bool		 secrets;	/* auth asks */
	struct buf	 name, password, dn;	/* owned */
	char		 client[65];	/* who has said the password */
	struct timer	 deadline;
};

struct questions {
	struct daemon	*daemon;	/* borrowed, as the next */
	const struct directory_settings *settings;
	const struct server_kind *kind;	/* NULL: there is none that could be asked */
	void		*server;	/* owned */
	struct line	*searches, *checks;	/* owned; checks: NULL where nobody's password is checked there */
	struct cache	*cache;		/* owned */
	TAILQ_HEAD(, asked) list;
	uint32_t	 n;
	struct buf	 row;		/* owned; wiped */
	struct ipc_out	 out;		/* owned; wiped */
	bool		 has_secrets;	/* hashes or keys may be there, which the cache has not */
	bool		 odd_said, full_said;
	char		 stranger[FOUND_DN_MAX];	/* the name of an entry that is not there */
};

/* ---- the end of one ---- */

static void
asked_free(struct asked *a)
{
	struct questions *q = a->all;

	timer_clear(&a->deadline);
	if (q->searches)
		line_forget(q->searches, &a->job);
	if (q->checks)
		line_forget(q->checks, &a->job);
	buf_wipe(&a->name);
	buf_wipe(&a->password);
	buf_wipe(&a->dn);
	TAILQ_REMOVE(&q->list, a, link);
	q->n--;
	mem_free(a);
}

static void
reply(struct questions *q, struct channel *to, uint32_t id, bool check, enum verdict v, struct bytes row)
{
	struct ipc_directory_answer m = { .verdict = v, .row = v == YES ? row : bytes_of(NULL, 0),
	    .checks = v != NOT_SURE && q->checks };	/* of nobody's password, too: it takes as long */

	if (check)
		ipc_put_directory_checked(&q->out, id, &(struct ipc_directory_checked){ .verdict = v });
	else
		ipc_put_directory_answer(&q->out, id, &m);
	channel_reply(to, id, &q->out);
	buf_wipe(&q->out.frame);
}

static void
settle(struct asked *a, enum verdict v, struct bytes row)
{
	struct questions *q = a->all;

	reply(q, a->from, a->id, a->check, v, row);
	asked_free(a);
	daemon_settled(q->daemon);
}

static void
on_deadline(void *arg)
{
	settle(arg, NOT_SURE, text(NULL));
}

/* ---- passwords ---- */

/* Of a name that nobody has, or that is disabled, the server is asked as well: it takes as long. */
static void
begin_check(struct asked *a, enum verdict found, struct bytes dn, bool disabled)
{
	struct questions *q = a->all;

	a->nobody = found != YES || disabled;
	buf_clear(&a->dn);
	buf_add(&a->dn, found == YES ? dn : text(q->stranger));
	a->job.dn = buf_bytes(&a->dn);
	a->job.password = buf_bytes(&a->password);
	line_add(q->checks, &a->job);
}

static void
on_checked(void *owner, struct job *j, struct bytes name, enum verdict v, const struct found *f, const char *why)
{
	struct asked *a = (struct asked *)j;

	(void)owner, (void)f;
	if (v == NOT_SURE && why)
		log_warn("account %s: its password, from client=%s, cannot be checked by the directory: %s", log_text(name),
		    a ? log_text(text(a->client)) : "", log_text(text(why)));
	if (a)
		settle(a, a->nobody && v == YES ? NO : v, text(NULL));
}

/* ---- accounts ---- */

static void
say_odd(struct questions *q, struct bytes name)
{
	if (q->odd_said)
		return;
	q->odd_said = true;
	log_warn("account %s: its password in the directory is of a scheme that is not known here (CRYPT, PLAIN, CLEARTEXT are), or a hash "
	    "that would take more than a second or two: nobody can log in with such a one%s; said once", log_text(name),
	    q->settings->kind == DIRECTORY_LDAP ? "; ldap_password = \"bind\" has the server judge it" : "");
}

/* What is found, into the cache. False: it is worth nothing. */
static bool
keep(struct questions *q, struct bytes name, enum verdict v, const struct found *f)
{
	struct cached what = { .verdict = v };
	const char *why = "";
	bool odd = false, good = v == NO || row_make(f, true, &q->row, &odd, &why);

	if (odd)
		say_odd(q, name);
	if (!good)
		log_warn("account %s: what the directory has of it cannot be used: %s", log_text(name), why);
	if (good && v == YES) {
		must(row_make(f, false, &q->row, &odd, &why));
		what.row = buf_bytes(&q->row);
		what.dn = f->dn;
		what.disabled = row_is_disabled(f);
	}
	if (good)
		cache_put(q->cache, name, clock_mono_ms(), &what);
	buf_wipe(&q->row);
	return good;
}

static void
answer(struct asked *a, enum verdict v, const struct found *f)
{
	struct questions *q = a->all;
	const char *why;
	bool odd;

	if (a->check && v != NOT_SURE) {
		begin_check(a, v, f ? f->dn : text(NULL), f && row_is_disabled(f));
		return;
	}
	if (v == YES)
		must(row_make(f, a->secrets, &q->row, &odd, &why));
	settle(a, v, buf_bytes(&q->row));
	buf_wipe(&q->row);
}

static void
on_found(void *owner, struct job *j, struct bytes name, enum verdict v, const struct found *f, const char *why)
{
	struct questions *q = owner;

	if (v == NOT_SURE && why)
		log_warn("account %s: the directory cannot tell: %s", log_text(name), log_text(text(why)));
	if (v != NOT_SURE && !keep(q, name, v, f))
		v = NOT_SURE;
	if (j)
		answer((struct asked *)j, v, f);
}

/* Whether it can be answered by what was found before. Keys and hashes are not there; and where auth has to ask the server for
 * whoever is there, it does so for nobody, too: who asks for keys (SCRAM) sees how long the answer takes. */
static bool
from_cache(void *owner, struct job *j)
{
	struct questions *q = owner;
	struct asked *a = (struct asked *)j;
	struct cached c;

	if ((a->secrets && !a->check && q->has_secrets) || !cache_get(q->cache, buf_bytes(&a->name), clock_mono_ms(), &c))
		return false;
	line_forget(q->searches, j);
	if (a->check)
		begin_check(a, c.verdict, c.dn, c.disabled);
	else
		settle(a, c.verdict, c.row);
	return true;
}

/* ---- who asks ---- */

/* Nobody has such a name, on any server. */
static bool
is_impossible(struct bytes name)
{
	return bytes_has_control(name) || !utf8_valid(name);
}

static void
say_full(struct questions *q)
{
	if (!q->full_said)
		log_warn("too many questions wait for the directory's server: more directory_workers would help, or a quicker server");
	q->full_said = true;
}

static void
add(struct questions *q, struct channel *c, uint32_t id, struct bytes name, const struct ipc_directory_check *check)
{
	struct asked *a = mem_alloc(sizeof *a);

	*a = (struct asked){ .all = q, .from = c, .id = id, .check = check, .secrets = strcmp(channel_peer(c), "auth") == 0 };
	buf_init(&a->name, ACCOUNT_NAME_MAX);
	buf_init(&a->password, ACCOUNT_PASSWORD_MAX);
	buf_init(&a->dn, FOUND_DN_MAX);
	buf_add(&a->name, name);
	if (check) {
		buf_add(&a->password, check->password);
		if (!bytes_to_text(check->client, a->client, sizeof a->client))
			a->client[0] = '\0';
	}
	a->job.name = buf_bytes(&a->name);
	timer_init(&a->deadline, &q->daemon->loop, on_deadline, a);
	timer_set(&a->deadline, q->settings->timeout_ms);
	TAILQ_INSERT_TAIL(&q->list, a, link);
	q->n++;
	if (!from_cache(q, &a->job))
		line_add(q->searches, &a->job);
}

static void
take(struct questions *q, struct channel *c, uint32_t id, struct bytes name, const struct ipc_directory_check *check)
{
	enum verdict v = NOT_SURE;

	q->daemon->served++;
	if (q->n < WAITING_MAX / 2)
		q->full_said = false;
	if (is_impossible(name) || (check && check->password.n == 0))
		v = NO;			/* an empty password: RFC 4513 section 5.1.2 */
	else if (!q->kind || (check && !q->checks))
		v = NOT_SURE;
	else if (q->n >= WAITING_MAX)
		say_full(q);
	else {
		add(q, c, id, name, check);
		return;
	}
	reply(q, c, id, check, v, text(NULL));
}

bool
questions_take(struct questions *q, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_directory_ask ask;
	struct ipc_directory_check check;

	if (id == 0)
		return false;
	if (in->type == IPC_directory_ask && ipc_get_directory_ask(in, &ask) && ask.name.n > 0) {
		take(q, c, id, ask.name, NULL);
		return true;
	}
	if (in->type != IPC_directory_check || strcmp(channel_peer(c), "auth") != 0 || !ipc_get_directory_check(in, &check)
	    || check.name.n == 0)
		return false;
	take(q, c, id, check.name, &check);
	return true;
}

void
questions_forget(struct questions *q, struct channel *c)
{
	for (struct asked *a = TAILQ_FIRST(&q->list), *after; a; a = after) {
		after = TAILQ_NEXT(a, link);
		if (a->from == c)
			asked_free(a);
	}
}

void
questions_stop(struct questions *q)
{
	while (!TAILQ_EMPTY(&q->list))
		settle(TAILQ_FIRST(&q->list), NOT_SURE, text(NULL));
	daemon_settled(q->daemon);
}

uint32_t
questions_waiting(const struct questions *q)
{
	return q->n;
}

void
questions_report(const struct questions *q, struct buf *note)
{
	if (cache_count(q->cache) > 0)
		buf_fmt(note, ", %zu names in the cache", cache_count(q->cache));
}

/* ---- the process ---- */

static bool
read_secret(const struct directory_settings *s, struct buf *secret, char *why, size_t cap)
{
	const char *setting, *path = directory_secret_file(s, &setting);

	return path[0] == '\0' || directory_secret_read(setting, path, secret, why, cap);
}

static const struct server_kind *
kind_of(unsigned kind)
{
	switch (kind) {
	case DIRECTORY_LDAP:		return &ldap_server;
	case DIRECTORY_SQLITE:		return &sqlite_server;
	case DIRECTORY_POSTGRESQL:	return &postgresql_server;
	default:			return NULL;
	}
}

/* Below ldap_base, where a search begins, and not to be guessed: whoever had it could be asked for nobody's password. */
static void
name_stranger(struct questions *q)
{
	unsigned char random[16];
	struct buf b;

	random_fill(random, sizeof random);
	buf_init(&b, sizeof q->stranger);
	buf_text(&b, "cn=hermod-nobody-");
	for (size_t i = 0; i < sizeof random; i++)
		buf_fmt(&b, "%02x", random[i]);
	buf_fmt(&b, ",%s", q->settings->ldap_base);
	if (!bytes_to_text(buf_bytes(&b), q->stranger, sizeof q->stranger))
		log_fatal("ldap_base is too long");
	buf_fini(&b);
}

static bool
has_secrets(const struct directory_settings *s)
{
	enum directory_field f;
	struct bytes attribute;

	for (size_t i = 0; s->kind == DIRECTORY_LDAP && i < s->ldap_attributes.n; i++)
		if (directory_attribute(text(s->ldap_attributes.item[i]), &f, &attribute) && row_is_secret(f))
			return true;
	return s->kind != DIRECTORY_LDAP;
}

struct questions *
questions_new(struct daemon *d, const struct directory_settings *s)
{
	struct questions *q = mem_alloc(sizeof *q);
	struct buf secret;
	char why[DIRECTORY_WHY];

	*q = (struct questions){ .daemon = d, .settings = s };
	TAILQ_INIT(&q->list);
	buf_init(&q->row, ACCOUNT_ROW_MAX);
	buf_init(&secret, DIRECTORY_SECRET_MAX + 512);
	ipc_out_init(&q->out);
	q->cache = cache_new(s->cache_ms);
	q->has_secrets = has_secrets(s);
	if (!directory_judge(s, why, sizeof why) || !read_secret(s, &secret, why, sizeof why))
		log_warn("%s; until it is right and the suite has been reloaded nothing is known of accounts there", why);
	else
		q->kind = kind_of(s->kind);
	if (q->kind) {
		q->server = q->kind->open(d, s, buf_bytes(&secret));
		q->searches = line_new(d, s, q->kind, q->server, false, on_found, q);
		line_before(q->searches, from_cache);
		if (s->kind == DIRECTORY_LDAP && s->ldap_password == DIRECTORY_BIND) {
			q->checks = line_new(d, s, q->kind, q->server, true, on_checked, q);
			name_stranger(q);
		}
	}
	buf_wipe(&secret);
	return q;
}

void
questions_confined(struct questions *q)
{
	if (q->kind && q->kind->confined)
		q->kind->confined(q->server);
}

void
questions_free(struct questions **taken)
{
	struct questions *q = *taken;

	*taken = NULL;
	if (!q)
		return;
	while (!TAILQ_EMPTY(&q->list))
		asked_free(TAILQ_FIRST(&q->list));
	if (q->kind)
		q->kind->close(&q->server);
	line_free(&q->searches);
	line_free(&q->checks);
	cache_free(&q->cache);
	buf_wipe(&q->row);
	ipc_out_fini(&q->out);
	mem_free(q);
}
