/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "mail/notice_policy.h"

/* ---- what is said ---------------------------------------------------------------------- */

/* RFC 3461 section 4.1: unsaid means failure and delay. */
static bool
wants(const struct recipient *r, uint32_t what)
{
	if (r->notify == NOTIFY_UNSAID)
		return what == NOTIFY_FAILURE || what == NOTIFY_DELAY;
	return (r->notify & NOTIFY_NEVER) == 0 && (r->notify & what) != 0;
}

static enum notice_action
final_action(const struct recipient *r)
{
	if (r->state == RCPT_FAILED && wants(r, NOTIFY_FAILURE))
		return ACTION_FAILED;
	if (r->state == RCPT_PASSED && wants(r, NOTIFY_SUCCESS))
		return bytes_eq(r->transport, text("local")) ? ACTION_DELIVERED : ACTION_RELAYED;
	return ACTION_NONE;
}

static enum notice_action
action_of(const struct recipient *r, enum notice_kind kind)
{
	if (kind == NOTICE_FINAL)
		return final_action(r);
	return r->state == RCPT_WAITING && wants(r, NOTIFY_DELAY) ? ACTION_DELAYED : ACTION_NONE;
}

/* ---- several behind one address ------------------------------------------------------------ */

struct named { struct bytes original; uint32_t rcpt; };

static int
by_name(const void *x, const void *y)
{
	const struct named *a = x, *b = y;
	int c = bytes_cmp(a->original, b->original);

	return c != 0 ? c : a->rcpt < b->rcpt ? -1 : a->rcpt > b->rcpt;
}

/*
 * RFC 3461 section 5.2.7.3 (c): what was sent to an alias with several addresses is "expanded", said once: of the
 * first that has passed, unless one was told of before. members: of one address, in order.
 */
static void
settle_alias(const struct envelope *e, const struct named *members, size_t n, struct notice_told *all)
{
	bool told = false;

	for (size_t i = 0; i < n; i++)
		told = told || (e->rcpts[members[i].rcpt].state == RCPT_DELIVERED
		    && wants(&e->rcpts[members[i].rcpt], NOTIFY_SUCCESS));
	for (size_t i = 0; i < n; i++) {
		struct notice_told *t = &all[members[i].rcpt];

		t->alias = true;
		if (t->action != ACTION_DELIVERED && t->action != ACTION_RELAYED)
			continue;
		t->action = told ? ACTION_NONE : ACTION_EXPANDED;
		told = true;
	}
}

static void
settle_aliases(const struct envelope *e, struct arena *a, struct notice_told *all)
{
	struct named *named = arena_array(a, e->nrcpts, sizeof *named);

	for (size_t i = 0; i < e->nrcpts; i++)
		named[i] = (struct named){ e->rcpts[i].original, (uint32_t)i };
	qsort(named, e->nrcpts, sizeof *named, by_name);
	for (size_t i = 0, n; i < e->nrcpts; i += n) {
		for (n = 1; i + n < e->nrcpts && bytes_eq(named[i].original, named[i + n].original); n++)
			;
		if (n > 1 && named[i].original.n > 0)
			settle_alias(e, named + i, n, all);
	}
}

size_t
notice_recipients(const struct envelope *e, enum notice_kind kind, struct arena *a, struct notice_told **out,
    size_t *failed)
{
	struct notice_told *all = arena_array(a, e->nrcpts, sizeof *all);
	struct notice_told *told = arena_array(a, e->nrcpts, sizeof *told);
	size_t n = 0;

	for (size_t i = 0; i < e->nrcpts; i++)
		all[i] = (struct notice_told){ .rcpt = (uint32_t)i, .action = action_of(&e->rcpts[i], kind) };
	settle_aliases(e, a, all);
	for (size_t i = 0; i < e->nrcpts; i++)
		if (all[i].action == ACTION_FAILED)
			told[n++] = all[i];
	*failed = n;
	for (size_t i = 0; i < e->nrcpts; i++)
		if (all[i].action != ACTION_FAILED && all[i].action != ACTION_NONE)
			told[n++] = all[i];
	*out = told;
	return n;
}

/* ---- to whom ------------------------------------------------------------------------------------ */

/*
 * Do the verdicts show that the sender's address is no forgery: SPF or DKIM, passed, of its own domain? What nobody has
 * verified shows nothing.
 */
static bool
is_vouched_for(struct bytes verdicts, struct bytes sender)
{
	(void)verdicts;		/* nobody writes them yet */
	(void)sender;
	return false;
}

static bool
is_loopback(struct bytes client)
{
	struct address a;

	return address_parse(client, &a) && address_is_loopback(&a);
}

/* The sender's address is what the client says it is: of one that we know, who would hear of its own lie. */
static bool
is_known(const struct notice_policy *p, const struct envelope *e)
{
	enum client_class who = e->origin == ORIGIN_LOCAL_USER ? CLIENT_LOCAL_USER
	    : e->account.n > 0 ? CLIENT_ACCOUNT : CLIENT_STRANGER;

	return relay_allowed(p->relay, who, e->client) || is_loopback(e->client) || is_vouched_for(e->verdicts, e->sender);
}

/* Nobody who has sent it can be told. A notification to postmaster that fails is the end: what would tell of it goes the
 * same way. */
static enum notice_to
instead(const struct notice_policy *p, const struct envelope *e, size_t failed, const char **why)
{
	if (failed == 0)
		return NOTICE_TO_NOBODY;
	if (e->origin == ORIGIN_NOTICE_POSTMASTER) {
		*why = "a notification to postmaster could not be delivered";
		return NOTICE_TO_HOLD;
	}
	return p->to_postmaster ? NOTICE_TO_POSTMASTER : NOTICE_TO_NOBODY;
}

enum notice_to
notice_to(const struct notice_policy *p, const struct envelope *e, size_t failed, const char **why)
{
	*why = NULL;
	if (e->sender.n == 0)			/* RFC 5321 section 6.1: never to the sender of a notification */
		return instead(p, e, failed, why);
	return p->to_strangers || is_known(p, e) ? NOTICE_TO_SENDER : NOTICE_TO_SENDER_OF_OURS;
}

enum notice_to
notice_to_else(const struct notice_policy *p, const struct envelope *e, size_t failed, enum notice_to refused,
    const char **why)
{
	*why = NULL;
	if (refused != NOTICE_TO_SENDER_OF_OURS || failed == 0)
		return instead(p, e, failed, why);
	*why = "its sender cannot be told: the message came from a stranger, and the address may be forged";
	return NOTICE_TO_HOLD;
}
