/* SPDX-License-Identifier: ISC */
/*
 * directory/directory.h - what the parts of directory know of each other.
 *
 *	questions.c	who asks what, how long he waits, what he is told
 *	line.c		one connection to the server: what waits for it, and when it is not worth being tried
 *	cache.c		what was found, for a while
 *	row.c		what was found, as a row of the account table: pure
 *	cost.c		what a hash of that would cost: pure
 *	place.c		where the server is
 *	ldap.c		how an LDAP server is asked; ldap_pipe.c: what it is asked over
 *	postgresql.c, sqlite.c	the same of others
 *
 * Each kind of server has one connection for searches, LDAP a second one for passwords, and each asks one thing at a time: who
 * needs more of it has more workers. All but SQLite, which is a file, is asked on the event loop, TLS as well: LDAP's
 * handshakes are those of base/conn.h, under libldap, and PostgreSQL's libpq's own. SQLite reads while the loop waits, at most
 * for directory_timeout, as processes of this suite wait for the disk.
 */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H

#include "config.h"

#include <sys/queue.h>

#include "base/arena.h"
#include "daemon/daemon.h"
#include "mail/account.h"
#include "mail/directory_settings.h"
#include "mail/network.h"

extern const struct setting directory_settings[];

#define DIRECTORY_WHY	512

/* ---- row.c ---- */

#define FOUND_DN_MAX	2048	/* octets of an entry's name */

/* What a server has of a name, or why not. */
struct found {
	enum verdict	verdict;
	struct arena	*arena;		/* owned: the texts */
	bool		has[DIRECTORY_FIELDS];
	struct bytes	value[DIRECTORY_FIELDS];
	struct bytes	dn;		/* LDAP */
	char		why[DIRECTORY_WHY]; /* NOT_SURE: in words, printable */
};

/* Words of a server or a library, fit for the log: one line, printable, no quotes. */
void		words_tidy(char *s);

void		found_init(struct found *f);		/* NO */
void		found_fini(struct found *f);		/* wipes */
/* Nothing of it counts any more. */
void		found_unsure(struct found *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A field; an empty value is none. Where the value cannot be one, or there is one already, all is not sure. */
void		found_add(struct found *f, enum directory_field field, struct bytes value);

/* In the account table's form. False: why, nothing of a value in it. odd: the password is of a kind that cannot be checked
 * here, or would cost too much, and was left out. secrets: else neither password nor keys are in it. */
bool		row_make(const struct found *f, bool secrets, struct buf *row, bool *odd, const char **why);
bool		row_is_secret(enum directory_field field);	/* password, keys */
bool		row_is_disabled(const struct found *f);

/* ---- cost.c ---- */

/* A comparison with it takes a second or two at most. */
bool		hash_is_bearable(struct bytes hash);

/* ---- cache.c ---- */

#define CACHE_ENTRIES	4096u

struct cache;

struct cached {				/* borrowed from the cache until it changes */
	enum verdict	verdict;	/* YES or NO */
	struct bytes	row;		/* without secrets */
	struct bytes	dn;
	bool		disabled;
};

struct cache	*cache_new(uint64_t keep_ms);		/* 0: nothing is kept */
void		 cache_free(struct cache **c);
bool		 cache_get(struct cache *c, struct bytes name, uint64_t now_ms, struct cached *out);
void		 cache_put(struct cache *c, struct bytes name, uint64_t now_ms, const struct cached *what);
size_t		 cache_count(const struct cache *c);

/* ---- place.c ---- */

#define PLACE_ADDRESSES	8

struct place;				/* of one server; for one who asks at a time */

struct place_found {
	struct address	address[PLACE_ADDRESSES];
	size_t		n;
	const char	*why;		/* n == 0 */
};

struct place	*place_new(struct daemon *d, const struct directory_server *s, unsigned timeout_ms);
void		 place_free(struct place **p);
/* done is called once, from the loop, or within this call where nobody has to be asked. */
void		 place_ask(struct place *p, void (*done)(void *arg, const struct place_found *f), void *arg);
void		 place_cancel(struct place *p);

/* ---- line.c ---- */

struct line;

/* Answers of a server, as its kind gives them: exactly one for each begun find or check, perhaps at once. */
void		 line_found(struct line *l, struct found *f /* taken */);
void		 line_checked(struct line *l, enum verdict v, const char *why);
/* There is no connection, or it broke. reused: it had been good before, so that it is worth being made anew at once. */
void		 line_lost(struct line *l, const char *why, bool reused);

/* A kind of server. */
struct server_kind {
	/* Before the process is confined. Never NULL; what is wrong is said to who asks. */
	void	*(*open)(struct daemon *d, const struct directory_settings *s, struct bytes secret);
	void	 (*confined)(void *server);		/* right after; NULL: nothing to do */
	void	 (*attach)(void *server, struct line *l, bool checks);	/* it answers to this line */
	void	 (*find)(void *server, struct bytes name);
	void	 (*check)(void *server, struct bytes dn, struct bytes password);	/* NULL: never */
	void	 (*drop)(void *server, bool checks);	/* what is under way, and the connection; not answered */
	void	 (*close)(void **server);
};

extern const struct server_kind ldap_server, sqlite_server, postgresql_server;

/* What is to be asked over a line: owned by questions.c; in it as long as it waits. */
struct job {
	TAILQ_ENTRY(job) link;
	struct line	*waits;		/* NULL: it does not, or has begun */
	struct bytes	 name;		/* borrowed, as the next two, until done or line_forget */
	struct bytes	 dn, password;	/* a check */
};

/* found: NULL with a check. why: NOT_SURE. */
typedef void (*line_done)(void *owner, struct job *j /* NULL: it was forgotten */, struct bytes name, enum verdict v,
    const struct found *found, const char *why);

struct line	*line_new(struct daemon *d, const struct directory_settings *s, const struct server_kind *k, void *server, bool checks,
		    line_done done, void *owner);
void		 line_free(struct line **l);
void		 line_add(struct line *l, struct job *j);	/* done may be called before this returns */
void		 line_forget(struct line *l, struct job *j);	/* what is begun goes on, for the cache */
/* Asked before a find is begun: true: it was answered otherwise, and has left. */
void		 line_before(struct line *l, bool (*settled)(void *owner, struct job *j));

/* ---- questions.c ---- */

struct questions;

struct questions *questions_new(struct daemon *d, const struct directory_settings *s);	/* before it is confined */
void		 questions_confined(struct questions *q);
void		 questions_free(struct questions **q);
bool		 questions_take(struct questions *q, struct channel *c, struct ipc_in *in);	/* as channel_frame */
void		 questions_forget(struct questions *q, struct channel *c);
void		 questions_stop(struct questions *q);		/* whoever waits is told that nobody knows */
uint32_t	 questions_waiting(const struct questions *q);
void		 questions_report(const struct questions *q, struct buf *note);

#endif
