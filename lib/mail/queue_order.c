/* SPDX-License-Identifier: ISC */
#include "mail/queue_order.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "mail/queue_filter.h"
#include "mail/queue_names.h"
#include "mail/routes.h"

#define REASON_STANDARD	"held by the administrator"

const char *const queue_verb_name[ORDER_VERBS] = {
	[ORDER_FLUSH] = "flush", [ORDER_HOLD] = "hold", [ORDER_RELEASE] = "release",
	[ORDER_REQUEUE] = "requeue", [ORDER_DELETE] = "delete", [ORDER_EDIT] = "edit",
};
const char *const queue_verb_done[ORDER_VERBS] = {
	[ORDER_FLUSH] = "flushed", [ORDER_HOLD] = "held", [ORDER_RELEASE] = "released",
	[ORDER_REQUEUE] = "requeued", [ORDER_DELETE] = "deleted", [ORDER_EDIT] = "edited",
};

/* ---- recipients ---- */

static bool
is_open(const struct recipient *r)
{
	return r->state == RCPT_WAITING || r->state == RCPT_FAILED;
}

static void
route_anew(struct recipient *r)
{
	r->state = RCPT_WAITING;
	r->attempts = r->uncertain = 0;
	r->transport = r->nexthop = r->mailbox = (struct bytes){ 0 };
	r->uid = r->gid = 0;
}

/* Takes out those that fit; *like is the last of them. How many. */
static size_t
take_out(struct envelope *e, struct bytes pattern, struct recipient *like)
{
	size_t kept = 0, before = e->nrcpts;

	for (size_t i = 0; i < before; i++) {
		const struct recipient *r = &e->rcpts[i];

		if (is_open(r) && (queue_pattern(pattern, r->final) || queue_pattern(pattern, r->original)))
			*like = *r;
		else
			e->rcpts[kept++] = *r;
	}
	e->nrcpts = kept;
	return before - kept;
}

/* ORCPT tells the sender what the sender asked for: that is no longer so of an address that we chose. */
static bool
put_in(struct envelope *e, struct arena *a, const struct queue_change *c, const struct recipient *like)
{
	struct recipient asked = { .original = arena_copy(a, c->to), .notify = like->notify };
	size_t cap = e->nrcpts;

	return routes_add(e, &cap, a, &asked, c->routes);
}

static bool
change(struct envelope *e, struct arena *a, const struct queue_change *c, char *why, size_t cap)
{
	struct recipient like = { 0 };

	if (c->kind == CHANGE_SENDER) {
		e->sender = arena_copy(a, c->to);
		return true;
	}
	if (c->kind != CHANGE_ADD && take_out(e, c->what, &like) == 0) {
		snprintf(why, cap, "it has no such recipient that waits");
		return false;
	}
	if (c->kind != CHANGE_REMOVE && !put_in(e, a, c, &like)) {
		snprintf(why, cap, "it would have more recipients than a message may have");
		return false;
	}
	return true;
}

static bool
edit(struct envelope *e, struct arena *a, const struct queue_order *o, char *why, size_t cap)
{
	for (size_t i = 0; i < o->nchanges; i++)
		if (!change(e, a, &o->changes[i], why, cap))
			return false;
	if (e->nrcpts > 0)
		return true;
	snprintf(why, cap, "no recipient would be left; delete it instead");
	return false;
}

/* ---- the message ---- */

/* Into the bucket of this minute: it is due. */
static bool
make_due(struct queue *q, struct queue_message *m, int64_t now_s)
{
	m->envelope.next_s = now_s - now_s % 60;
	return queue_move(q, m, QUEUE_LATER);
}

static bool
prepare(struct queue_message *m, const struct queue_order *o, char *why, size_t cap)
{
	struct envelope *e = &m->envelope;

	switch (o->verb) {
	case ORDER_HOLD:
		e->hold_reason = arena_copy(m->arena, o->reason.n > 0 ? bytes_head(o->reason, QUEUE_REASON_MAX)
		    : text(REASON_STANDARD));
		return true;
	case ORDER_REQUEUE:
		e->attempts = 0;
		for (size_t i = 0; i < e->nrcpts; i++)
			if (is_open(&e->rcpts[i]))
				route_anew(&e->rcpts[i]);
		m->rewrite = true;
		break;
	case ORDER_EDIT:
		m->rewrite = true;
		return edit(e, m->arena, o, why, cap);	/* what is held stays so */
	case ORDER_RELEASE:
		if (e->attempts == 0)
			e->attempts = 1;	/* the routes found at RCPT are old by now: they are asked again */
		break;
	default:
		break;
	}
	e->hold_reason = (struct bytes){ 0 };
	return true;
}

static bool
move(struct queue *q, struct queue_message *m, const struct queue_order *o, int64_t now_s)
{
	if (o->verb == ORDER_HOLD)
		return m->place == QUEUE_HOLD || queue_move(q, m, QUEUE_HOLD);
	if (m->envelope.hold_reason.n > 0)
		return true;
	return make_due(q, m, now_s);
}

/* What is changed from here on is a copy: what fails leaves all as it was. */
static void
copy_recipients(struct queue_message *m, struct envelope *before)
{
	struct envelope *e = &m->envelope;

	*before = *e;
	e->rcpts = arena_array(m->arena, before->nrcpts + 1, sizeof *e->rcpts);
	if (before->nrcpts > 0)
		memcpy(e->rcpts, before->rcpts, before->nrcpts * sizeof *e->rcpts);
}

static enum queue_obeyed
rewrite(struct queue *q, struct queue_message *m, const struct queue_order *o, struct queue_ordered *did, char *why, size_t cap)
{
	struct envelope *e = &m->envelope;

	copy_recipients(m, &did->before);
	if (!prepare(m, o, why, cap)) {
		*e = did->before;
		return OBEYED_FAILED;
	}
	if (!queue_update_write(q, m)) {
		snprintf(why, cap, "its state cannot be written: %s", strerror(errno));
		*e = did->before;
		return OBEYED_FAILED;
	}
	did->written = true;
	return OBEYED;
}

static enum queue_obeyed
flush(struct queue *q, const struct queue_message *m, int64_t now_s, char *why, size_t cap)
{
	if ((m->place != QUEUE_LATER && m->place != QUEUE_DOWN) || queue_hurry(q, m->place, m->name, now_s))
		return OBEYED;			/* elsewhere it is due, or being tried */
	snprintf(why, cap, "it cannot be moved: %s", strerror(errno));
	return OBEYED_FAILED;
}

static enum queue_obeyed
erase(struct queue *q, enum queue_place place, const char *name, char *why, size_t cap)
{
	if (unlinkat(q->places[place], name, 0) == 0)
		return OBEYED;
	snprintf(why, cap, "it cannot be removed: %s", strerror(errno));
	return OBEYED_FAILED;
}

/* Nothing is left to be done of it. */
static void
conclude(struct envelope *e)
{
	for (size_t i = 0; i < e->nrcpts; i++) {
		struct recipient *r = &e->rcpts[i];

		if (is_open(r))
			r->state = RCPT_TOLD;
		else if (r->state == RCPT_PASSED)
			r->state = RCPT_DELIVERED;
		else
			continue;
		if (r->changed == RCPT_SAME)
			r->changed = RCPT_STATE_CHANGED;
	}
}

/* By another name, which a power cut may have left, it would be delivered all the same: so its state says first that there is
 * nothing to be delivered. */
static enum queue_obeyed
delete(struct queue *q, struct queue_message *m, char *why, size_t cap)
{
	struct envelope before;

	if (queue_message_names(m) > 1) {
		copy_recipients(m, &before);
		conclude(&m->envelope);
		if (!queue_update(q, m)) {
			snprintf(why, cap, "its state cannot be written: %s", strerror(errno));
			m->envelope = before;
			return OBEYED_FAILED;
		}
	}
	return erase(q, m->place, m->name, why, cap);
}

enum queue_obeyed
queue_order_fits(enum queue_place place, enum queue_verb verb, char *why, size_t cap)
{
	why[0] = '\0';
	if (place == QUEUE_CORRUPT && verb != ORDER_DELETE)
		snprintf(why, cap, "it is damaged; all that can be done is to delete it");
	else if (place == QUEUE_HOLD && verb == ORDER_FLUSH)
		snprintf(why, cap, "it is held; release it");
	else if (place != QUEUE_HOLD && verb == ORDER_RELEASE)
		snprintf(why, cap, "it is not held");
	return why[0] == '\0' ? OBEYED : OBEYED_NEEDLESS;
}

enum queue_obeyed
queue_order_begin(struct queue *q, struct queue_message *m, const struct queue_order *o, int64_t now_s,
    struct queue_ordered *did, char *why, size_t cap)
{
	enum queue_obeyed fits = queue_order_fits(m->place, o->verb, why, cap);

	did->written = false;
	if (fits != OBEYED)
		return fits;
	switch (o->verb) {
	case ORDER_FLUSH:	return flush(q, m, now_s, why, cap);
	case ORDER_DELETE:	return delete(q, m, why, cap);
	default:		return rewrite(q, m, o, did, why, cap);
	}
}

enum queue_obeyed
queue_order_end(struct queue *q, struct queue_message *m, const struct queue_order *o, int64_t now_s,
    const struct queue_ordered *did, int fault, char *why, size_t cap)
{
	why[0] = '\0';
	if (fault != 0) {
		queue_update_undone(m);
		snprintf(why, cap, "its state cannot be written: %s", strerror(fault));
		m->envelope = did->before;
		return OBEYED_FAILED;
	}
	queue_update_done(m);
	if (!move(q, m, o, now_s)) {	/* its envelope says where it belongs */
		snprintf(why, cap, "it was changed, but cannot be moved: %s", strerror(errno));
		return OBEYED_FAILED;
	}
	return OBEYED;
}

enum queue_obeyed
queue_order_obey_unread(struct queue *q, enum queue_place place, const char *name, const struct queue_order *o,
    char *why, size_t cap)
{
	why[0] = '\0';
	if (o->verb == ORDER_DELETE)
		return erase(q, place, name, why, cap);
	snprintf(why, cap, "it cannot be read as a message; all that can be done is to delete it");
	return OBEYED_FAILED;
}

/* ---- what is said of it ---- */

bool
queue_order_line(const struct queue_order *o, const char *id, const struct envelope *e, enum queue_obeyed result,
    const char *why, uint32_t uid, char *line, size_t cap)
{
	bool reason = o->verb == ORDER_HOLD && o->reason.n > 0;

	if (result == OBEYED_FAILED)
		snprintf(line, cap, "%s: uid=%u asked to %s it: %s", id, (unsigned)uid, queue_verb_name[o->verb], why);
	else if (result == OBEYED && o->verb != ORDER_FLUSH)
		snprintf(line, cap, "%s: from=<%s> nrcpt=%zu status=%s uid=%u%s%s%s", id, e ? log_value(e->sender) : "",
		    e ? e->nrcpts : 0, queue_verb_done[o->verb], (unsigned)uid, reason ? " reason=\"" : "",
		    reason ? log_text(o->reason) : "", reason ? "\"" : "");
	else
		return false;
	return true;
}

void
queue_order_line_flushed(uint64_t messages, struct bytes nexthop, uint32_t uid, char *line, size_t cap)
{
	snprintf(line, cap, "queue: flushed by uid=%u messages=%llu%s%s%s", (unsigned)uid, (unsigned long long)messages,
	    nexthop.n > 0 ? " nexthop=<" : "", nexthop.n > 0 ? log_value(nexthop) : "", nexthop.n > 0 ? ">" : "");
}
