/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/job.c - one `relay`: recipients of one message that go to one next hop. In order:
 *
 *	a connection that is kept from before, or: a login if there is one, addresses, a connection, a greeting
 *	the transaction; a further one for recipients that were too many for the first
 *	the answer
 *
 * What is said of a recipient is said of it alone (RFC 5321 section 4.2.1: 4yz is tried again, 5yz is not). What is said
 * of a server - it is not there, greets with a refusal, closes, puts off MAIL - sends those recipients that nothing was
 * said of to the next address in the list (section 5.1: "the client MUST be able to try each of the relevant
 * addresses"). A recipient that was put off by name is not taken elsewhere: that would be a way around greylisting at
 * best, and a second queue at the backup host at worst.
 *
 * A greeting of 5yz means one host. It is a reason to give up when every host that there is greets so (section 3.1 has
 * 554 for "no SMTP service here", RFC 7504 has 521); while one of them is merely silent, mail waits for that one.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/idna.h"
#include "smtp-client/login.h"

#define RCPTS_MAX	800	/* what `relay` has room for */
#define WORDS_MAX	1024
#define JOB_ARENA	(64u << 20)	/* the most that can come together: a reply for each recipient and each connection */

/* What became of one place. */
struct tried {
	bool		 failed;	/* by a session, of which the rest is told; a connection that failed, the race knows */
	bool		 permanent, tls;
	enum session_tls how;		/* of the next connection */
	bool		 heard;		/* a transaction there has left recipients to others: why */
	bool		 judged;	/* likewise, and it is our judgement that they are nothing for that server */
	bool		 same;		/* the same is said of its address under another name */
	struct answer_reply reply;	/* in the arena */
};

struct job {
	struct job	*next, **at;	/* of the client's */
	struct client	*client;	/* borrowed */
	struct channel	*from;		/* borrowed; NULL: nobody waits for the answer */
	uint32_t	 id;
	struct arena	*arena;		/* owned; all that is not said to be elsewhere */
	int		 file;		/* owned: it carries the message's lock */
	bool		 lmtp;
	struct tls_rule	 rule;		/* what is wanted of the hosts */
	bool		 requiretls;	/* it is wanted of them, too; not for a notification, RFC 8689 section 5 */
	bool		 tls_waived;	/* "TLS-Required: No": what the domain publishes is not */
	struct nexthop	 nexthop;
	struct bytes	 key;		/* of the pool */
	struct bytes	 segments;
	struct smtp_client_mail mail;
	bool		*final;		/* for each recipient: its result stays */
	struct answer	 answer;
	struct bytes	 words;		/* the next hop, as qmgr has it */
	struct login	*login;		/* owned; NULL: not asked for */
	struct target	*target;	/* owned */
	struct guard	*guard;		/* owned */
	struct race	*race;		/* owned */
	struct session	*session;	/* owned */
	size_t		 which;		/* its place; SIZE_MAX: it was kept, and the places are not known */
	struct tried	*tried;		/* for each place */
	unsigned	 connections;	/* that were used */
	bool		 served;	/* the present one has brought a transaction to its end */
	enum relay_contact contact;	/* the worst of those that failed */
	struct timer	 deadline;
};

static void	find_login(struct job *j);

/* ---- the end ---- */

static void
job_free(struct job *j)
{
	struct client *c = j->client;

	*j->at = j->next;
	if (j->next)
		j->next->at = j->at;
	c->njobs--;
	timer_clear(&j->deadline);
	session_free(&j->session);
	race_free(&j->race);
	guard_free(&j->guard);
	target_free(&j->target);
	login_free(&j->login);
	fd_close(&j->file);
	arena_free(&j->arena);
	mem_free(j);
	daemon_settled(c->daemon);
}

static void
finish(struct job *j)
{
	struct client *c = j->client;

	if (j->session && session_alive(j->session))
		pool_put(c->pool, j->key, &j->session);
	else
		session_quit(&j->session);
	if (j->rule.waived && j->answer.contact == CONTACT_GOOD)
		j->answer.contact = CONTACT_NONE;	/* other mail may want more of it */
	if (j->from) {
		answer_put(&j->answer, &c->out, j->id);
		channel_reply(j->from, j->id, &c->out);
	}
	job_free(j);
}

/* ---- our judgement of a server, that it takes less than the message needs ---- */

/* The best of the places that were judged so; SIZE_MAX: none was. */
static size_t
best_judged(const struct job *j)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; j->tried && i < j->target->nplaces; i++)
		if (j->tried[i].judged
		    && (best == SIZE_MAX || j->target->places[i].preference < j->target->places[best].preference))
			best = i;
	return best;
}

/* Perhaps by another of its addresses. */
static bool
is_judged(const struct job *j, struct bytes host)
{
	for (size_t i = 0; i < j->target->nplaces; i++)
		if (j->tried[i].judged && bytes_eq(j->target->places[i].host, host))
			return true;
	return false;
}

/* Is this place merely down for the moment, so that nobody knows what it takes? */
static bool
is_open(const struct job *j, size_t i)
{
	const struct tried *t = &j->tried[i];

	return !t->permanent && !(j->requiretls && t->tls) && !is_judged(j, j->target->places[i].host);
}

/*
 * A backup may take less than the host that it stands in for (RFC 5321 section 5.1): what it does not take is refused for
 * good only when no host that is at least as good may still take it. One that is worse would pass it on to this one.
 */
static bool
judgement_stands(const struct job *j)
{
	size_t best = best_judged(j);
	unsigned preference;

	if (best == SIZE_MAX)		/* the judgement is of a connection that was kept: to one of them */
		return false;
	preference = j->target->places[best].preference;
	for (size_t i = 0; i < j->target->nplaces; i++)
		if (j->target->places[i].preference <= preference && is_open(j, i))
			return false;
	return j->target->missing > preference;
}

/* To all that nothing is said of yet. keep: what was said of someone by some server stays, and so does our judgement that
 * stands. */
static void
give_rest(struct job *j, enum outcome outcome, const struct answer_reply *r, bool keep)
{
	size_t reply = answer_reply(&j->answer, r);
	bool stands = judgement_stands(j);

	for (size_t i = 0; i < j->mail.nrcpts; i++)
		if (!j->final[i] && !(keep && j->answer.results[i].given
		    && (stands || j->answer.results[i].outcome != BOUNCE)))
			j->answer.results[i] = (struct answer_result){ .outcome = outcome, .given = true, .reply = reply };
}

/* ---- words ---- */

/* "mx.example.org [192.0.2.1]:25 said: 550 5.1.1 no such user (to RCPT)"; or what we say of it. */
static struct bytes
words_of(struct job *j, struct bytes remote, const char *command, struct bytes status, struct bytes reply, struct bytes said)
{
	if (said.n == 0)
		return arena_fmt(j->arena, "%.*s: %.*s (%s)", BYTES_FMT(remote), BYTES_FMT(reply), command);
	return arena_fmt(j->arena, "%.*s said: %.*s %.*s %.*s (to %s)", BYTES_FMT(remote), BYTES_FMT(bytes_head(said, 3)),
	    BYTES_FMT(status), BYTES_FMT(reply), command);
}

/* Borrows from the session; only `reply` is in the arena. */
static struct answer_reply
reply_of(struct job *j, const char *command, struct bytes status, struct bytes reply, struct bytes said)
{
	struct bytes remote = text(session_remote(j->session));

	return (struct answer_reply){ .status = status, .remote = remote, .command = text(command), .said = said,
	    .reply = words_of(j, remote, command, status, reply, said) };
}

/* ---- no place is left ---- */

/* Why there was no connection to a place: for people. */
static struct answer_reply
connect_reply(struct job *j, size_t which)
{
	char place[CANDIDATE_TEXT_MAX];

	candidate_text(&j->target->places[which], place);
	return (struct answer_reply){
		.status = text("4.4.1"), .command = text("connect"),
		.reply = arena_fmt(j->arena, "connect to %s: %.*s", place, BYTES_FMT(race_failure(j->race, which))),
	};
}

/* Of that address, under a name that was before it. */
static bool
is_said(const struct job *j, size_t which)
{
	const struct tried *t = &j->tried[which];

	if (t->same || t->failed || t->heard)
		return t->same;
	for (size_t i = 0; i < which; i++)
		if (candidate_same_address(&j->target->places[i], &j->target->places[which]))
			return true;
	return false;
}

/* All places have failed: each one's words, in one line; its status and the rest are those of the one that said most. */
static struct answer_reply
all_failed(struct job *j)
{
	struct answer_reply best = { .status = text("4.4.1"), .command = text("connect"), .reply = text("") };
	struct buf words;

	buf_init(&words, WORDS_MAX);
	for (size_t i = 0; i < j->target->nplaces; i++) {
		struct answer_reply r = j->tried[i].failed || j->tried[i].heard ? j->tried[i].reply : connect_reply(j, i);

		if (is_said(j, i))
			continue;
		if (words.n > 0)
			buf_text(&words, "; ");
		buf_add(&words, r.reply);	/* what does not fit is left out */
		words.full = false;
		if (r.remote.n > 0 ? best.remote.n == 0 || r.said.n > 0 : j->tried[i].failed && best.remote.n == 0)
			best = r;
	}
	best.reply = arena_copy(j->arena, buf_bytes(&words));
	buf_fini(&words);
	return best;
}

static bool
all_places(const struct job *j, bool (*is)(const struct tried *))
{
	for (size_t i = 0; i < j->target->nplaces; i++)
		if (!j->tried[i].failed || !is(&j->tried[i]))
			return false;
	return j->target->nplaces > 0 && j->target->all;
}

static bool is_permanent(const struct tried *t) { return t->permanent; }
static bool is_tls(const struct tried *t) { return t->tls; }

static void
give_up(struct job *j)
{
	struct answer_reply r = all_failed(j);
	enum outcome outcome = TRY_LATER;

	if (all_places(j, is_permanent)) {
		outcome = BOUNCE;
	} else if (j->requiretls && all_places(j, is_tls)) {
		r.status = text("5.7.10");	/* RFC 8689 section 4.2.1 */
		outcome = BOUNCE;
	} else if (r.status.n > 0 && r.status.p[0] != '4') {
		r.status = text("4.4.0");	/* one refuses, but others may not */
	}
	give_rest(j, outcome, &r, true);
	if (race_ours(j->race) || j->requiretls)	/* ours, or what it lacks is this message's to want */
		j->answer.contact = CONTACT_NONE;
	else if (outcome == BOUNCE)
		j->answer.contact = CONTACT_GOOD;
	else if (j->answer.contact == CONTACT_NONE)
		j->answer.contact = j->contact;
	finish(j);
}

/* ---- a transaction is over ---- */

/* Is this about the server, so that another may be asked? */
static bool
is_servers(const struct smtp_client_rcpt *r, const struct smtp_client_said *said)
{
	if (r->uncertain || r->outcome == DELIVERED)
		return false;
	if (said->said.n == 0)			/* it said nothing, or offers too little: our judgement of this one */
		return true;
	return r->outcome == TRY_LATER && (bytes_starts(said->said, text("421")) || strcmp(said->command, "MAIL") == 0);
}

/* What was said of it is its result, whatever is still to come. */
static bool
is_final(const struct job *j, const struct smtp_client_rcpt *r)
{
	return r->settled && !r->again && !is_servers(r, smtp_client_said(session_client(j->session), r->said));
}

/* One look at all recipients after a transaction. */
struct round {
	bool	 again, left;		/* some are to be tried once more: by this very server; at all */
	bool	 progress;		/* some are not */
	size_t	 said, reply;		/* the last that was noted, and what it became in the answer */
};

/* What was said of those before, it has said of the next, mostly. */
static size_t
note(struct job *j, struct round *round, size_t said_index)
{
	const struct smtp_client_said *said = smtp_client_said(session_client(j->session), said_index);

	if (said_index != round->said) {
		struct answer_reply r = reply_of(j, said->command, said->status, said->reply, said->said);

		round->reply = answer_reply(&j->answer, &r);
		round->said = said_index;
	}
	return round->reply;
}

/* Of those that were too many nothing is noted: a server could say so without end, and each time in other words. */
static size_t
note_too_many(struct job *j)
{
	struct answer_reply r = { .status = text("4.5.3"), .command = text("RCPT"),
	    .remote = text(session_remote(j->session)), .reply = text("too many recipients for one message") };

	return answer_reply(&j->answer, &r);
}

/* What sends a recipient to the next place. */
static void
note_place(struct job *j, const struct answer_result *result)
{
	struct tried *t = &j->tried[j->which];

	t->heard = true;
	t->judged = t->judged || result->outcome == BOUNCE;
	t->reply = j->answer.replies[result->reply];
}

static void
collect_one(struct job *j, struct round *round, size_t i)
{
	struct smtp_client_rcpt *r = &j->mail.rcpts[i];
	struct answer_result *result = &j->answer.results[i];

	must(r->settled);
	j->final[i] = is_final(j, r);
	*result = (struct answer_result){ .outcome = r->outcome, .given = true, .uncertain = r->uncertain, .dsn = r->dsn };
	result->reply = r->again ? note_too_many(j) : note(j, round, r->said);
	if (!j->final[i] && j->which != SIZE_MAX)
		note_place(j, result);
	round->again = round->again || r->again;
	round->left = round->left || !j->final[i];
	round->progress = round->progress || j->final[i];
	r->settled = j->final[i];
}

static void
send_mail(struct job *j)
{
	session_mail(j->session, &j->mail, j->file, j->segments);
}

/* Of what has nothing to do with TLS, and so with a name, the same is true of the other names of that address. */
static void
leave_out_names(struct job *j)
{
	const struct candidate *places = j->target->places;

	for (size_t i = 0; i < j->target->nplaces; i++)
		if (candidate_same_address(&places[i], &places[j->which]) && !race_tried(j->race, i)) {
			race_leave_out(j->race, i);
			j->tried[i] = j->tried[j->which];
			j->tried[i].same = true;
		}
}

/* Those that are left go to another place, if there is one. A connection that was kept is to one of several, or is old: then
 * all begins anew. */
static void
go_on(struct job *j)
{
	bool kept = j->which == SIZE_MAX;

	session_quit(&j->session);
	if (kept)
		find_login(j);
	else if (j->connections > 2 * j->target->nplaces + 2)
		finish(j);
	else
		race_next(j->race);
}

static void
note_tls(struct job *j)
{
	if (session_content_sent(j->session))
		j->answer.tls = (const char *)arena_text(j->arena, text(session_tls(j->session)));
}

static void
on_done(void *arg)
{
	struct job *j = arg;
	struct round round = { .said = SIZE_MAX };

	if (smtp_client_mended(session_client(j->session)))
		log_warn("a message for %s had a bare CR or LF in its content; it was sent with CRLF there",
		    session_remote(j->session));
	for (size_t i = 0; i < j->mail.nrcpts; i++)
		if (!j->final[i])
			collect_one(j, &round, i);
	j->answer.contact = smtp_client_contact(session_client(j->session));
	note_tls(j);
	if (round.again && round.progress)
		j->connections = 0;		/* it takes few at once: that has an end all the same */
	if (!round.left) {
		finish(j);
	} else if (round.again && session_alive(j->session)) {
		j->served = true;
		send_mail(j);
	} else {
		if (j->which != SIZE_MAX && (round.again || (j->served && !session_alive(j->session))))
			race_again(j->race, j->which);	/* it takes no more on this connection, but on another */
		else if (j->which != SIZE_MAX)
			leave_out_names(j);
		go_on(j);
	}
}

/* ---- a connection ---- */

static void
on_ready(void *arg)
{
	send_mail(arg);
}

static bool
logs_in(const struct job *j)
{
	return j->login && j->login->verdict == YES;
}

/* Where a password is to be said, TLS is no longer a matter of taste. */
static bool
may_go_clear(const struct job *j)
{
	return !logs_in(j) || login_in_clear(j->client, &j->target->places[j->which]);
}

/* Another host of the same next hop has the same users; a password that is wrong, once for each, locks an account. */
static void
end_without_login(struct job *j, const struct session_fault *f)
{
	struct answer_reply r = reply_of(j, "AUTH", f->status, f->reply, f->said);
	bool more = f->why_login && f->why_login[0] != '\0' && f->said.n > 0;	/* else it is the reply already */

	r.reply = arena_fmt(j->arena, "%.*s%s%s; see %.*s in smtp_credentials (%s)", BYTES_FMT(r.reply),
	    more ? "; " : "", more ? f->why_login : "", BYTES_FMT(j->login->key),
	    j->client->settings->credentials);
	log_warn("login at %s failed: %.*s", session_remote(j->session), BYTES_FMT(r.reply));
	give_rest(j, TRY_LATER, &r, true);
	j->answer.contact = CONTACT_FAILED;
	finish(j);
}

/* TLS that would do for other mail will not do for this. */
static void
advise(struct job *j, struct answer_reply *r)
{
	r->reply = arena_fmt(j->arena, "%.*s; there is a login (%.*s in smtp_credentials, %s): correct the server's certificate, "
	    "or add its CA to tls_ca_file, or see smtp_auth_unproven", BYTES_FMT(r->reply), BYTES_FMT(j->login->key),
	    j->client->settings->credentials);
	log_warn("no login at %s: %.*s", session_remote(j->session), BYTES_FMT(r->reply));
}

/* TLS has failed: is there another way to the same host? */
static bool
try_otherwise(struct job *j, const struct session_fault *f)
{
	struct tried *t = &j->tried[j->which];
	const char *how;

	if (!f->tls || t->how == SESSION_CLEAR)
		return false;
	if (f->resumed && t->how == SESSION_RESUMES) {
		t->how = SESSION_FRESH;
		how = "without the session of before";
	} else if (j->target->places[j->which].tls->level == TLS_MAY && may_go_clear(j)) {
		t->how = SESSION_CLEAR;
		how = "in clear";
	} else {
		return false;
	}
	log_info("%s: %.*s; it is tried %s", session_remote(j->session), BYTES_FMT(f->reply), how);
	return true;
}

static void
on_failed(void *arg, const struct session_fault *f)
{
	struct job *j = arg;
	struct answer_reply r;
	struct tried *t;

	if (j->which == SIZE_MAX) {		/* it was kept, and is gone before it was used */
		go_on(j);
		return;
	}
	if (f->login) {
		end_without_login(j, f);
		return;
	}
	t = &j->tried[j->which];
	if (try_otherwise(j, f)) {
		race_again(j->race, j->which);
	} else {
		t->failed = true;
		t->permanent = f->permanent;
		t->tls = f->tls;
		r = reply_of(j, f->command ? f->command : "connect", f->status, f->reply, f->said);
		if (f->tls && logs_in(j))
			advise(j, &r);
		t->reply = (struct answer_reply){ .reply = r.reply, .command = r.command,
		    .status = arena_copy(j->arena, r.status), .said = arena_copy(j->arena, r.said),
		    .remote = arena_copy(j->arena, r.remote) };
		if (f->contact == CONTACT_BUSY)
			j->contact = CONTACT_BUSY;
		if (!f->tls)
			leave_out_names(j);
	}
	session_quit(&j->session);
	race_next(j->race);
}

static const struct session_owner owner = { .ready = on_ready, .failed = on_failed, .done = on_done };

static void
on_connected(void *arg, size_t which, int fd)
{
	struct job *j = arg;
	struct session_owner o = owner;

	if (fd == -1) {
		give_up(j);
		return;
	}
	o.arg = j;
	j->which = which;
	j->connections++;
	j->served = false;
	j->session = session_new(j->client, &j->target->places[which], j->lmtp, j->tried[which].how, logs_in(j) ? j->login : NULL, fd,
	    &o);
}

/* Of what a host must show it is known that it will not: it counts as one that cannot be reached (RFC 8461 section 8.4,
 * RFC 7672 section 2.1.2). */
static void
leave_out(struct job *j, size_t which)
{
	const struct candidate *p = &j->target->places[which];
	struct tried *t = &j->tried[which];
	char place[CANDIDATE_TEXT_MAX];

	t->failed = true;
	t->permanent = t->tls = p->tls->permanent;
	t->reply = (struct answer_reply){ .status = text(p->tls->status), .command = text("connect"),
	    .reply = arena_fmt(j->arena, "%s: %.*s", candidate_text(p, place), BYTES_FMT(p->tls->why)) };
	race_leave_out(j->race, which);
}

static void
on_guarded(void *arg)
{
	struct job *j = arg;
	struct target *t = j->target;

	j->tried = arena_array(j->arena, t->nplaces, sizeof *j->tried);
	j->race = race_new(j->client, t, on_connected, j);
	for (size_t i = 0; i < t->nplaces; i++)
		if (t->places[i].tls->refused)
			leave_out(j, i);
	race_next(j->race);
}

static void
on_target(void *arg)
{
	struct job *j = arg;
	struct target *t = j->target;

	if (t->nplaces == 0) {
		struct answer_reply r = { .status = t->status, .reply = t->reply };

		give_rest(j, t->outcome, &r, true);
		j->answer.contact = t->contact;
		finish(j);
		return;
	}
	if (logs_in(j))
		login_rule(j->client, t->places, t->nplaces, &j->rule);
	j->guard = guard_new(j->client, t, &j->rule, j->requiretls, j->nexthop.kind == NEXTHOP_DOMAIN && !j->lmtp,
	    on_guarded, j);
}

/* Does the mail go there since a route says so, and not the recipients' own domain? */
static bool
is_routed(struct job *j)
{
	for (size_t i = 0; i < j->mail.nrcpts; i++) {
		struct bytes address = j->mail.rcpts[i].address, domain = bytes_skip(address, bytes_rfind(address, '@') + 1);

		if (!bytes_case_eq(domain, j->nexthop.name)
		    && (!idna_ascii(domain, j->arena, &domain) || !bytes_eq(domain, j->nexthop.name)))
			return true;
	}
	return false;
}

/* Where is it? */
static void
look(struct job *j)
{
	j->target = target_new(j->client, &j->nexthop, j->lmtp, is_routed(j), on_target, j);
}

/* What is not known is not taken for no: mail is not sent without a login where it may need one. */
static void
on_login(void *arg)
{
	struct job *j = arg;
	struct answer_reply r = { .status = text("4.3.0") };

	if (j->login->verdict != NOT_SURE) {
		look(j);
		return;
	}
	r.reply = arena_fmt(j->arena, "how to log in there (smtp_credentials, %s): %.*s", j->client->settings->credentials,
	    BYTES_FMT(j->login->why));
	give_rest(j, TRY_LATER, &r, true);
	j->answer.contact = CONTACT_NONE;
	finish(j);
}

static void
find_login(struct job *j)
{
	login_free(&j->login);
	if (j->client->settings->credentials[0] == '\0')
		look(j);
	else
		j->login = login_new(j->client, j->words, on_login, j);
}

static void
begin(struct job *j)
{
	struct session_owner o = owner;

	j->which = SIZE_MAX;
	j->contact = CONTACT_FAILED;
	j->session = pool_take(j->client->pool, j->key);
	if (!j->session) {
		find_login(j);
		return;
	}
	o.arg = j;
	session_own(j->session, &o);
	send_mail(j);
}

/* ---- it takes too long, or this host stops ---- */

/* LMTP: who has a reply behind the content has it, while others still wait for theirs. */
static void
keep_final(struct job *j)
{
	struct round round = { .said = SIZE_MAX };

	for (size_t i = 0; i < j->mail.nrcpts; i++)
		if (!j->final[i] && is_final(j, &j->mail.rcpts[i]))
			collect_one(j, &round, i);
}

static void
cut_short(struct job *j, const char *status, const char *why, enum relay_contact contact)
{
	bool sent = j->session && session_content_sent(j->session);
	struct answer_reply r = { .status = text(status), .reply = text(why) };

	if (j->session) {
		r.remote = text(session_remote(j->session));
		note_tls(j);
		keep_final(j);
	}
	give_rest(j, TRY_LATER, &r, false);
	for (size_t i = 0; i < j->mail.nrcpts && sent; i++)
		if (!j->mail.rcpts[i].settled)
			j->answer.results[i].uncertain = true;
	j->answer.contact = contact;
	finish(j);
}

static void
on_deadline(void *arg)
{
	cut_short(arg, "4.4.7", "not done within smtp_delivery_timeout", CONTACT_FAILED);
}

void
job_stop(struct client *c)
{
	for (struct job *j = c->jobs, *next; j; j = next) {
		next = j->next;
		if (!j->session || !session_content_sent(j->session))
			cut_short(j, "4.3.2", "this host's mail service stops; it will be tried again", CONTACT_NONE);
	}
}

void
job_forget(struct client *c, struct channel *from)
{
	for (struct job *j = c->jobs, *next; j; j = next) {
		next = j->next;
		if (j->from == from)
			job_free(j);		/* no result would be written down */
	}
}

void
job_end_all(struct client *c)
{
	while (c->jobs)
		job_free(c->jobs);
}

/* ---- the question ---- */

static bool
take_recipient(struct job *j, struct bytes body, struct smtp_client_rcpt *r)
{
	struct ipc_relay_rcpt m;
	struct ipc_in in;

	ipc_in_bytes(&in, body);
	if (!ipc_get_relay_rcpt(&in, &m) || m.address.n == 0)
		return false;
	*r = (struct smtp_client_rcpt){ .address = arena_copy(j->arena, m.address),
	    .orcpt = arena_copy(j->arena, m.orcpt), .notify = m.notify };
	return true;
}

static bool
take_recipients(struct job *j, struct bytes run)
{
	bool bad = false;

	j->mail.rcpts = arena_array(j->arena, RCPTS_MAX, sizeof *j->mail.rcpts);
	while (run.n > 0 && j->mail.nrcpts < RCPTS_MAX) {
		struct bytes body = ipc_cut_text(&run, &bad);

		if (bad || !take_recipient(j, body, &j->mail.rcpts[j->mail.nrcpts]))
			return false;
		j->mail.nrcpts++;
	}
	return run.n == 0 && j->mail.nrcpts > 0;
}

static void
take_rule(struct job *j)
{
	const struct smtp_client_settings *s = j->client->settings;
	char address[NETWORK_TEXT_MAX];

	if (j->nexthop.kind == NEXTHOP_UNIX) {
		j->rule = (struct tls_rule){ .wish = TLS_WISH_NEVER };	/* it does not leave this host */
		j->requiretls = j->mail.requiretls = false;
	} else {
		tls_rule_find(&s->tls_policies, (enum tls_wish)s->tls, j->nexthop.kind == NEXTHOP_ADDRESS
		    ? text(address_text(&j->nexthop.address, address)) : j->nexthop.name, &j->rule);
	}
	if (j->tls_waived)
		tls_rule_waive(&j->rule);
}

static bool
take(struct job *j, const struct ipc_relay *m)
{
	uint64_t octets;

	j->lmtp = bytes_eq(m->transport, text("lmtp"));
	j->mail = (struct smtp_client_mail){
		.sender = arena_copy(j->arena, m->sender), .envid = arena_copy(j->arena, m->envid), .ret = m->ret,
		.body = (enum body_type)m->body, .smtputf8 = m->smtputf8 == 1, .requiretls = m->requiretls == TLS_REQUIRED,
		.mt_priority = (int)m->mt_priority - 9, .octets = m->size,
	};
	j->requiretls = j->mail.requiretls && m->sender.n > 0;
	j->tls_waived = m->requiretls == TLS_NOT_REQUIRED;
	j->segments = arena_copy(j->arena, m->segments);
	if (!(j->lmtp || bytes_eq(m->transport, text("smtp"))) || m->file == -1 || m->body > BODY_BINARYMIME
	    || m->ret > RET_HDRS || m->mt_priority > 18 || !segments_size(j->segments, &octets) || octets != m->size
	    || !nexthop_parse(m->nexthop, j->arena, &j->nexthop) || (j->nexthop.kind == NEXTHOP_UNIX && !j->lmtp))
		return false;
	take_rule(j);
	j->words = arena_copy(j->arena, m->nexthop);
	j->key = arena_fmt(j->arena, "%d %d %d %.*s", j->lmtp, j->requiretls, j->tls_waived, BYTES_FMT(m->nexthop));
	return take_recipients(j, m->recipients);
}

bool
job_begin(struct client *c, struct channel *from, uint32_t id, const struct ipc_relay *m)
{
	struct job *j = mem_alloc(sizeof *j);

	*j = (struct job){ .client = c, .from = from, .id = id, .file = m->file, .arena = arena_new(JOB_ARENA),
	    .next = c->jobs, .at = &c->jobs };
	if (j->next)
		j->next->at = &j->next;
	c->jobs = j;
	c->njobs++;
	timer_init(&j->deadline, &c->daemon->loop, on_deadline, j);
	if (!take(j, m)) {
		job_free(j);
		return false;
	}
	answer_init(&j->answer, j->arena, j->mail.nrcpts);
	j->final = arena_array(j->arena, j->mail.nrcpts, sizeof *j->final);
	timer_set(&j->deadline, c->settings->delivery_timeout_ms);
	begin(j);
	return true;
}
