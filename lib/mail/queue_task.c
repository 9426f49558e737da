/* SPDX-License-Identifier: ISC */
#include "mail/queue_task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "mail/ipc.h"
#include "mail/queue_down.h"
#include "mail/queue_names.h"

/* What was removed from there is to stay so after a power cut. */
struct queue_task_touched {
	struct queue_task_touched *next;
	enum queue_place place;
	char		 name[64];	/* one that stood in it */
};

/*
 * A sync costs a flush of the disk: so changes are written to many messages, and one sync is for all of them. Until then
 * each is where it was, with its lock, and nobody is told.
 */
struct queue_task_group {
	struct { struct queue_message *m; struct queue_ordered did; int fault; } all[QUEUE_TASK_FILES];	/* owned */
	size_t		 n, at;		/* at: of the next, in each stage */
	enum { GROUP_FILLS, GROUP_SETTLES, GROUP_ENDS } stage;
};

/* ---- which are meant ---- */

static int
by_id(const void *x, const void *y)
{
	return bytes_cmp(((const struct queue_task_id *)x)->text, ((const struct queue_task_id *)y)->text);
}

/* NULL: it was not named. */
static struct queue_task_id *
find_id(const struct queue_task *t, const char *id)
{
	struct queue_task_id key = { .text = text(id) };

	return t->nids > 0 ? bsearch(&key, t->ids, t->nids, sizeof *t->ids, by_id) : NULL;
}

/* NULL: likewise, or it was met already. */
static struct queue_task_id *
named(const struct queue_task *t, const char *id)
{
	struct queue_task_id *found = find_id(t, id);

	return found && !found->met ? found : NULL;
}

bool
queue_task_names(struct queue_task *t, const char *id)
{
	struct queue_task_id *i = named(t, id);

	if (!i)
		return false;
	i->met = true;
	i->meetings++;
	t->nmet++;
	return true;
}

/* It has another name, which is to go, too. */
static void
look_on(struct queue_task *t, const char *id)
{
	struct queue_task_id *i = find_id(t, id);

	if (i && i->met) {
		i->met = false;
		t->nmet--;
	}
}

/* An order that moves messages to where the walk may yet come. */
static bool
meets_again(const struct queue_task *t)
{
	return !t->dry && !t->named && t->order->verb != ORDER_HOLD && t->order->verb != ORDER_DELETE;
}

static bool
was_seen(const struct queue_task *t, const char *id)
{
	return hash_set_has(&t->seen, text(id));
}

void
queue_task_see(struct queue_task *t, const char *id)
{
	if (meets_again(t))
		(void)hash_set_add(&t->seen, text(id));
}

/* Where an order looks that names no places. */
static unsigned
places_of(const struct queue_task *t)
{
	enum { WAITING = 1u << QUEUE_NEW | 1u << QUEUE_ACTIVE | 1u << QUEUE_LATER | 1u << QUEUE_DOWN };

	if (t->filter->places)
		return t->filter->places;
	switch (t->order->verb) {
	case ORDER_FLUSH:
	case ORDER_HOLD:	return WAITING;
	case ORDER_RELEASE:	return 1u << QUEUE_HOLD;
	default:		return WAITING | 1u << QUEUE_HOLD;
	}
}

/* Of those that are named, too. */
static bool
place_fits(const struct queue_task *t, enum queue_place place)
{
	return t->filter->places == 0 || (t->filter->places >> place & 1) != 0;
}

static bool
looks_at(const struct queue_task *t, enum queue_place place)
{
	if (t->named)			/* elsewhere names are ids, and need no search */
		return place_fits(t, place) && (place == QUEUE_LATER || place == QUEUE_DOWN || place == QUEUE_CORRUPT);
	return (places_of(t) >> place & 1) != 0;
}

bool
queue_task_meant(struct queue_task *t, const struct queue_message *m)
{
	if (t->named)
		return place_fits(t, m->place) && queue_task_names(t, m->id);
	return looks_at(t, m->place) && !was_seen(t, m->id) && queue_filter_name(t->filter, m->place, m->name) != FILTER_NO
	    && queue_filter_envelope(t->filter, &m->envelope, t->now_s);
}

/* ---- what is to be synced ---- */

static bool
same_directory(const struct queue_task_touched *d, enum queue_place place, const char *name)
{
	struct bytes old = text(d->name), new = text(name);

	return d->place == place && ((place != QUEUE_LATER && place != QUEUE_DOWN)
	    || bytes_eq(bytes_head(old, bytes_find(old, '/')), bytes_head(new, bytes_find(new, '/'))));
}

/* A walk comes to one directory after the other, and all goes to one: the last two are what matters. */
static void
touch(struct queue_task *t, enum queue_place place, const char *name)
{
	struct queue_task_touched *d = t->touched;

	if (d && (same_directory(d, place, name) || (d->next && same_directory(d->next, place, name))))
		return;
	d = mem_alloc(sizeof *d);
	*d = (struct queue_task_touched){ .next = t->touched, .place = place };
	if (!bytes_to_text(text(name), d->name, sizeof d->name))
		d->name[0] = '\0';		/* one of corrupt/: the place is all that counts */
	t->touched = d;
}

bool
queue_task_sync(struct queue_task *t)
{
	struct queue_task_touched *d = t->touched;

	if (!d)
		return false;
	if (!queue_sync(t->queue, d->place, d->name)) {
		snprintf(t->fault, sizeof t->fault, "it is done, but a power cut may undo some of it: %s", strerror(errno));
		log_warn("queue: %s/ cannot be synced: %s", queue_place_name[d->place], strerror(errno));
	}
	t->touched = d->next;
	mem_free(d);
	return true;
}

/* ---- one message ---- */

static void
tell(struct queue_task *t, const char *id, const struct envelope *e, enum queue_obeyed result, const char *why)
{
	const struct queue_task_id *i = find_id(t, id);

	queue_task_see(t, id);
	if (i && i->meetings > 1 && result == OBEYED)
		return;			/* of its first name that was said */
	if (result != OBEYED_NEEDLESS || t->named)
		t->tell(t->arg, id, e, result, result == OBEYED ? "" : why);
}

static void
made_due(struct queue_task *t, enum queue_place place, const char *name)
{
	char hash[QUEUE_HASH + 1];

	if (place != QUEUE_DOWN) {
		t->due = true;
	} else if (bytes_to_text(bytes_head(text(name), QUEUE_HASH), hash, sizeof hash)) {
		if (t->hurry)
			t->hurry(t->arg, hash);
		else
			queue_down_hurry(t->queue, hash);
	}
}

/* It has obeyed: it stood in place, by name. */
static void
obeyed(struct queue_task *t, const struct queue_message *m, enum queue_place place, const char *name)
{
	enum queue_verb verb = t->order->verb;

	/* All else is in the envelope, too; but what has left hold/ would stay there. Where it is now is synced first. */
	if (verb == ORDER_DELETE || (place == QUEUE_HOLD && m->place != QUEUE_HOLD))
		touch(t, place, name);
	if (verb == ORDER_DELETE && queue_message_names(m) > 0)
		look_on(t, m->id);
	if (verb != ORDER_DELETE && place == QUEUE_HOLD && m->place != QUEUE_HOLD)
		touch(t, m->place, m->name);
	if (verb != ORDER_DELETE && (m->place == QUEUE_LATER || (verb == ORDER_FLUSH && m->place == QUEUE_DOWN)))
		made_due(t, m->place, m->name);
}

/* fault: as queue_order_end. */
static enum queue_obeyed
finish(struct queue_task *t, struct queue_message *m, const struct queue_ordered *did, int fault, char *why, size_t cap)
{
	enum queue_place place = m->place;
	char name[sizeof m->name];
	enum queue_obeyed result;

	memcpy(name, m->name, sizeof name);
	result = queue_order_end(t->queue, m, t->order, t->now_s, did, fault, why, cap);
	if (result == OBEYED)
		obeyed(t, m, place, name);
	return result;
}

/* did: what is left to be done, if it says that it was written. */
static enum queue_obeyed
begin(struct queue_task *t, struct queue_message *m, struct queue_ordered *did, char *why, size_t cap)
{
	enum queue_place place = m->place;
	enum queue_obeyed result = queue_order_begin(t->queue, m, t->order, t->now_s, did, why, cap);

	if (result == OBEYED && !did->written)
		obeyed(t, m, place, m->name);
	return result;
}

enum queue_obeyed
queue_task_obey(struct queue_task *t, struct queue_message *m, char *why, size_t cap)
{
	struct queue_ordered did;
	enum queue_obeyed result = begin(t, m, &did, why, cap);
	bool good;

	if (!did.written)
		return result;
	good = queue_update_settle(t->queue, m) && queue_update_sync(t->queue, m);
	return finish(t, m, &did, good ? 0 : errno, why, cap);
}

/* ---- many at once ---- */

/* m is taken. */
static void
join_group(struct queue_task *t, struct queue_message *m, const struct queue_ordered *did)
{
	struct queue_task_group *g = t->group;

	if (!g)
		g = t->group = mem_alloc(sizeof *g);
	g->all[g->n].m = m;
	g->all[g->n].fault = 0;
	g->all[g->n++].did = *did;
}

/* Behind the last one. */
static void
sync_group(struct queue_task *t)
{
	struct queue_task_group *g = t->group;
	size_t i = 0;
	int fault;

	while (i < g->n && g->all[i].fault != 0)
		i++;
	if (i == g->n || queue_update_sync(t->queue, g->all[i].m))
		return;
	fault = errno;
	for (i = 0; i < g->n; i++)
		if (g->all[i].fault == 0)
			g->all[i].fault = fault;
}

static void
settle_one(struct queue_task *t)
{
	struct queue_task_group *g = t->group;

	if (!queue_update_settle(t->queue, g->all[g->at].m))
		g->all[g->at].fault = errno;
	if (++g->at < g->n)
		return;
	sync_group(t);
	g->at = 0;
	g->stage = GROUP_ENDS;
}

static void
end_one(struct queue_task *t)
{
	struct queue_task_group *g = t->group;
	struct queue_message *m = g->all[g->at].m;
	char why[256];
	enum queue_obeyed result = finish(t, m, &g->all[g->at].did, g->all[g->at].fault, why, sizeof why);

	if (++g->at == g->n) {
		g->n = g->at = 0;
		g->stage = GROUP_FILLS;
	}
	tell(t, m->id, &m->envelope, result, why);
	queue_message_free(&m);
}

/* Of one message, once the group is full, or (rest) whatever there is. False: there is nothing to do. */
static bool
step_group(struct queue_task *t, bool rest)
{
	struct queue_task_group *g = t->group;

	if (!g || g->n == 0)
		return false;
	if (g->stage == GROUP_FILLS) {
		if (g->n < LEN(g->all) && !rest)
			return false;
		g->stage = GROUP_SETTLES;
	}
	if (g->stage == GROUP_SETTLES)
		settle_one(t);
	else
		end_one(t);
	return true;
}

/* m is taken. */
static void
meet_message(struct queue_task *t, struct queue_message *m)
{
	char why[256] = "somebody works on it just now; try again";
	enum queue_obeyed result = OBEYED_FAILED;
	struct queue_ordered did = { 0 };

	if (t->dry)
		result = queue_order_fits(m->place, t->order->verb, why, sizeof why);
	else if (queue_lock(m) && queue_message_is_current(t->queue, m))
		result = begin(t, m, &did, why, sizeof why);
	if (did.written) {
		join_group(t, m, &did);
		return;
	}
	tell(t, m->id, &m->envelope, result, why);
	queue_message_free(&m);
}

/* A damaged file, or a later version's: no filter can be asked of it. */
static void
meet_unread(struct queue_task *t, enum queue_place place, const char *name, const char *id)
{
	enum queue_obeyed result = OBEYED;
	char why[256] = "";

	if (!t->named || !queue_task_names(t, id))
		return;
	if (!t->dry || t->order->verb != ORDER_DELETE)
		result = queue_order_obey_unread(t->queue, place, name, t->order, why, sizeof why);
	if (result == OBEYED && !t->dry)
		touch(t, place, name);
	tell(t, id, NULL, result, why);
}

static void
open_and_meet(struct queue_task *t, enum queue_place place, const char *name, const char *id)
{
	struct queue_message *m = NULL;
	enum queue_read how = queue_message_open(t->queue, place, name, &m);

	if (how == QUEUE_DAMAGED || how == QUEUE_FOREIGN) {
		meet_unread(t, place, name, id);
	} else if (how == QUEUE_TROUBLE) {
		snprintf(t->fault, sizeof t->fault, "%s/%s cannot be read: %s", queue_place_name[place], id, strerror(errno));
		log_warn("queue: %s", t->fault);
	} else if (how == QUEUE_READ) {
		if (t->named ? queue_task_names(t, id) : queue_filter_envelope(t->filter, &m->envelope, t->now_s)) {
			meet_message(t, m);
			return;
		}
	}
	queue_message_free(&m);
}

/* A flush opens no file where all that matters is in the name. */
static void
hurry(struct queue_task *t, enum queue_place place, const char *name, const char *id)
{
	if (t->named && !queue_task_names(t, id))
		return;
	if (t->dry || queue_hurry(t->queue, place, name, t->now_s)) {
		if (!t->dry)
			made_due(t, place, name);
		tell(t, id, NULL, OBEYED, "");
	} else if (errno != ENOENT) {	/* else it is being delivered by now */
		tell(t, id, NULL, OBEYED_FAILED, strerror(errno));
	}
}

static void
meet_name(struct queue_task *t, enum queue_place place, const char *name)
{
	enum filter_name fits = t->named ? FILTER_YES : queue_filter_name(t->filter, place, name);
	char id[QUEUE_ID_MAX + 1];

	t->looked++;
	if (fits == FILTER_NO || !queue_name_id(name, id) || (t->named ? !named(t, id) : was_seen(t, id))
	    || (t->elsewhere && t->elsewhere(t->arg, id)))
		return;
	if (t->order->verb == ORDER_FLUSH && fits == FILTER_YES && (place == QUEUE_LATER || place == QUEUE_DOWN))
		hurry(t, place, name, id);
	else
		open_and_meet(t, place, name, id);
}

/* ---- the walk ---- */

/* Where a name is an id, nothing need be searched. */
static bool
step_named(struct queue_task *t)
{
	static const enum queue_place direct[] = { QUEUE_NEW, QUEUE_ACTIVE, QUEUE_HOLD };
	char name[QUEUE_ID_MAX + 1];

	if (!t->named || t->at == t->nids)
		return false;
	if (bytes_to_text(t->ids[t->at].text, name, sizeof name))
		for (size_t i = 0; i < LEN(direct) && !t->ids[t->at].met; i++)
			if (place_fits(t, direct[i]))
				meet_name(t, direct[i], name);
	t->at++;
	return true;
}

/* One name. False: there is none left. */
static bool
step_walk(struct queue_task *t)
{
	const char *name;

	if (t->named && t->nmet == t->nids)
		return false;
	for (; t->place < QUEUE_PLACES; t->place++) {
		if (!looks_at(t, t->place))
			continue;
		if (!t->cursor)
			t->cursor = queue_cursor_new(t->queue, t->place);
		name = queue_cursor_next(t->cursor);
		if (name) {
			meet_name(t, t->place, name);
			return true;
		}
		if (errno != 0) {
			snprintf(t->fault, sizeof t->fault, "%s/ cannot be read to its end: %s",
			    queue_place_name[t->place], strerror(errno));
			log_warn("queue: %s", t->fault);
		}
		queue_cursor_free(&t->cursor);
	}
	return false;
}

/* Whoever was named and not met; not certain where something could not be read. */
static bool
step_unmet(struct queue_task *t)
{
	char id[QUEUE_ID_MAX + 1];

	for (size_t i = 0; i < t->nids && t->fault[0] == '\0'; i++)
		if (!t->ids[i].met && t->ids[i].meetings == 0 && bytes_to_text(t->ids[i].text, id, sizeof id)) {
			queue_task_names(t, id);
			tell(t, id, NULL, OBEYED_FAILED, "there is no such message in the queue");
		}
	return false;
}

bool
queue_task_step(struct queue_task *t)
{
	return step_group(t, false) || step_named(t) || step_walk(t) || step_group(t, true) || queue_task_sync(t)
	    || step_unmet(t);
}

bool
queue_task_at_work(const struct queue_task *t)
{
	return t->group && t->group->n > 0;
}

bool
queue_task_rest(struct queue_task *t)
{
	return step_group(t, true);
}

void
queue_task_stop(struct queue_task *t)
{
	t->place = QUEUE_PLACES;
	t->at = t->nids;
	for (size_t i = 0; i < t->nids; i++)
		t->ids[i].met = true;
	t->nmet = t->nids;
}

/* ---- life ---- */

static size_t
count_texts(struct bytes run)
{
	size_t n = 0;
	bool bad = false;

	for (; run.n > 0 && !bad; n++)
		(void)ipc_cut_text(&run, &bad);
	return bad ? SIZE_MAX : n;
}

bool
queue_task_begin(struct queue_task *t, struct bytes ids)
{
	size_t n = count_texts(ids);
	bool bad = n == SIZE_MAX;
	unsigned char *copy;

	if (bad || ids.n > UINT32_MAX)
		return false;
	t->ids = mem_alloc(n * sizeof *t->ids + ids.n);
	copy = (unsigned char *)(t->ids + n);
	if (ids.n > 0)
		memcpy(copy, ids.p, ids.n);
	for (ids.p = copy; ids.n > 0; t->nids++) {
		t->ids[t->nids].text = ipc_cut_text(&ids, &bad);
		bad = bad || t->ids[t->nids].text.n == 0 || t->ids[t->nids].text.n > QUEUE_ID_MAX;
	}
	if (bad) {
		queue_task_end(t);
		return false;
	}
	qsort(t->ids, t->nids, sizeof *t->ids, by_id);
	n = 0;
	for (size_t i = 0; i < t->nids; i++)	/* each once */
		if (n == 0 || !bytes_eq(t->ids[n - 1].text, t->ids[i].text))
			t->ids[n++] = t->ids[i];
	t->nids = n;
	return true;
}

void
queue_task_end(struct queue_task *t)
{
	while (queue_task_rest(t))
		;
	mem_free(t->group);
	t->group = NULL;
	queue_cursor_free(&t->cursor);
	while (t->touched) {
		struct queue_task_touched *d = t->touched;

		t->touched = d->next;
		mem_free(d);
	}
	mem_free(t->ids);
	hash_set_free(&t->seen);
	t->ids = NULL;
	t->nids = 0;
}
