/* SPDX-License-Identifier: ISC */
/*
 * imapd/search.c - SEARCH and UID SEARCH: RFC 3501 sections 6.4.4, 7.2.5; RFC 4731 (ESEARCH), RFC 5182 (SEARCHRES),
 * RFC 5032 (WITHIN), RFC 7162 sections 3.1.5, 3.1.6, 3.1.10 (MODSEQ).
 *
 * Each message is judged by all keys, the cheap ones first: what the view knows, what the index has, and only then
 * what is in the message. One that is gone matches nothing, not even NOT. How text is compared is mail/find.h's.
 */
#include "imapd/imapd.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "imapd/message.h"
#include "mail/digest.h"
#include "mail/find.h"
#include "proto/rfc5322_date.h"
#include "proto/rfc5322_field.h"

#define ARENA_MAX	(32u << 20)	/* octets of keys, sets and texts; a command has IMAP_COMMAND_MAX */

/* What it takes to judge by a key. */
enum cost { VIEW, DATE, INDEX, HEADER, BODY, COSTS };

struct key {			/* in the arena */
	const struct imap_key *is;	/* borrowed from the command */
	enum cost	cost;		/* of kids, the most */
	struct key	*kids, *next;	/* by rising cost */
	struct imap_set	set;		/* UID, SET */
	bool		of_uids;	/* that set is */
	uint32_t	flag;		/* KEYWORD: its flag; 0: no message has it */
	struct needle	needle;		/* HEADER, BODY, TEXT */
};

struct search {
	struct session	*s;
	const struct imap_cmd *cmd;
	const struct charset *charset;	/* of the command's texts */
	struct arena	*arena;		/* owned */
	struct finder	*finder;	/* owned */
	struct key	*keys;
	int64_t		now_s;
	bool		failed, large;	/* messages that could not be judged */

	/* the message that is judged */
	size_t		place, i;
	struct told	*told;
	struct mail	*mail;		/* NULL: nobody has looked yet */
	struct index_data data;
	bool		known;		/* data is set */
	struct message	*text;		/* NULL: it was not read yet */
	struct bytes	header;		/* and perhaps what follows it; p NULL: it was not read yet */
	bool		lost;		/* it cannot be judged */
};

/* ---- the message at hand ---- */

/* False: errno says why it cannot be judged. */
static bool
lose(struct search *x)
{
	x->lost = true;
	if (errno == EFBIG) {
		x->large = true;
	} else if (errno != ENOENT) {
		log_errno("%.*s: cannot read message uid %u", BYTES_FMT(x->s->start->session_id),
		    (unsigned)x->told->uid);
		x->failed = true;
	}
	return false;
}

static bool
look(struct search *x)
{
	if (x->lost || x->mail != NULL)
		return !x->lost;
	errno = ENOENT;
	x->mail = view_mail(x->s, x->place, &x->i);
	return x->mail != NULL || lose(x);
}

/* The message itself; what the index wants of it is kept. */
static bool
read_text(struct search *x)
{
	struct mailbox *box = x->s->view.box;

	if (!look(x) || x->text != NULL)
		return !x->lost;
	x->header = bytes_of(NULL, 0);		/* it may be in what is let go for that */
	if ((x->text = message_read(x->s, x->i, MESSAGE_MAX)) == NULL)
		return lose(x);
	if (!x->known && !mailbox_data(box, x->i, &x->data)) {
		message_digest(x->text, &x->data);
		mailbox_data_keep(box, x->i, &x->data);
	}
	return x->known = true;
}

/* What the index has of it. */
static bool
know(struct search *x)
{
	if (!look(x) || x->known)
		return !x->lost;
	x->known = mailbox_data(x->s->view.box, x->i, &x->data);
	return x->known || read_text(x);
}

/* Header lines in which a field of that name is, if there is one. */
static bool
header_with(struct search *x, struct bytes name, struct bytes *out)
{
	if (mail_digest_field(name)) {
		if (!know(x))
			return false;
		*out = x->data.fields;
		if (out->n > 0)
			return true;
	}
	if (know(x) && x->text == NULL && x->header.p == NULL)
		message_header(x->s, x->i, &x->header);
	if (x->header.p == NULL && read_text(x))
		x->header = buf_bytes(&x->text->text);	/* a header ends at its empty line */
	*out = x->header;
	return !x->lost;
}

/* ---- keys ---- */

static bool
match_all(struct search *x, const struct key *k)
{
	(void)x;
	(void)k;
	return true;
}

static bool
match_flag(struct search *x, const struct key *k)
{
	return ((x->told->flags & (uint32_t)k->is->flag) != 0) == k->is->want;
}

static bool
match_keyword(struct search *x, const struct key *k)
{
	return ((x->told->flags & k->flag) != 0) == k->is->want;
}

static bool
match_recent(struct search *x, const struct key *k)
{
	return x->told->recent == k->is->want;
}

static bool
match_new(struct search *x, const struct key *k)
{
	(void)k;
	return x->told->recent && (x->told->flags & MAIL_SEEN) == 0;
}

static bool
match_modseq(struct search *x, const struct key *k)
{
	return x->told->modseq >= k->is->number;
}

static bool
match_set(struct search *x, const struct key *k)
{
	return imap_set_has(&k->set, k->of_uids ? x->told->uid : (uint32_t)x->place + 1);
}

static int64_t
day_of(int64_t wall_s, int64_t zone_s)
{
	int64_t s = wall_s + zone_s;

	return s / 86400 - (s % 86400 < 0);
}

/* The day of the internal date, in the zone that FETCH shows it in. */
static bool
internal_day(struct search *x, int64_t *day)
{
	int64_t wall_s;
	struct tm tm;
	time_t t;

	if (!look(x))
		return false;
	if (!mailbox_date(x->s->view.box, x->i, &wall_s))
		return lose(x);
	t = (time_t)wall_s;
	*day = day_of(wall_s, localtime_r(&t, &tm) != NULL ? tm.tm_gmtoff : 0);
	return true;
}

/* The day of the Date field, in its own zone. Without one that can be read there is none. */
static bool
sent_day(struct search *x, int64_t *day)
{
	struct bytes header;
	struct field f;
	int64_t wall_s;
	int zone_min;

	if (!header_with(x, text("Date"), &header) || !field_find(header, "Date", &f)
	    || !rfc5322_date_parse(f.value, &wall_s, &zone_min))
		return false;
	*day = day_of(wall_s, (int64_t)zone_min * 60);
	return true;
}

static bool
match_day(struct search *x, const struct key *k)
{
	int64_t day, want = k->is->day;

	switch (k->is->kind) {
	case IMAP_KEY_BEFORE:		return internal_day(x, &day) && day < want;
	case IMAP_KEY_ON:		return internal_day(x, &day) && day == want;
	case IMAP_KEY_SINCE:		return internal_day(x, &day) && day >= want;
	case IMAP_KEY_SENTBEFORE:	return sent_day(x, &day) && day < want;
	case IMAP_KEY_SENTON:		return sent_day(x, &day) && day == want;
	default:			return sent_day(x, &day) && day >= want;
	}
}

/* RFC 5032 section 2; both have the second itself. */
static bool
match_age(struct search *x, const struct key *k)
{
	int64_t wall_s, then_s = x->now_s - (int64_t)k->is->number;

	if (!look(x))
		return false;
	if (!mailbox_date(x->s->view.box, x->i, &wall_s))
		return lose(x);
	return k->is->kind == IMAP_KEY_OLDER ? wall_s <= then_s : wall_s >= then_s;
}

static bool
match_size(struct search *x, const struct key *k)
{
	uint64_t octets;

	if (!look(x) || (!x->mail->sized && !know(x)))
		return false;
	octets = x->mail->sized ? x->mail->octets : x->data.octets;
	return k->is->kind == IMAP_KEY_LARGER ? octets > k->is->number : octets < k->is->number;
}

static bool
match_header(struct search *x, const struct key *k)
{
	struct bytes header;

	return header_with(x, k->is->name, &header) && find_in_field(x->finder, &k->needle, header, k->is->name);
}

static bool
match_body(struct search *x, const struct key *k)
{
	return read_text(x) && find_in_body(x->finder, &k->needle, message_tree(x->text));
}

static bool
match_text(struct search *x, const struct key *k)
{
	return read_text(x) && (find_in_header(x->finder, &k->needle, buf_bytes(&x->text->text))
	    || find_in_body(x->finder, &k->needle, message_tree(x->text)));
}

static bool	match(struct search *x, const struct key *k);

static bool
match_and(struct search *x, const struct key *k)
{
	const struct key *kid;

	for (kid = k->kids; kid != NULL && match(x, kid); kid = kid->next)
		;
	return kid == NULL;
}

static bool
match_or(struct search *x, const struct key *k)
{
	const struct key *kid;

	for (kid = k->kids; kid != NULL && !match(x, kid); kid = kid->next)
		;
	return kid != NULL;
}

static bool
match_not(struct search *x, const struct key *k)
{
	return !match(x, k->kids);
}

static const struct {
	bool	(*match)(struct search *, const struct key *);
	enum cost cost;
} kinds[] = {
	[IMAP_KEY_AND]		= { match_and,		VIEW },
	[IMAP_KEY_OR]		= { match_or,		VIEW },
	[IMAP_KEY_NOT]		= { match_not,		VIEW },
	[IMAP_KEY_ALL]		= { match_all,		VIEW },
	[IMAP_KEY_FLAG]		= { match_flag,		VIEW },
	[IMAP_KEY_KEYWORD]	= { match_keyword,	VIEW },
	[IMAP_KEY_RECENT]	= { match_recent,	VIEW },
	[IMAP_KEY_NEW]		= { match_new,		VIEW },
	[IMAP_KEY_MODSEQ]	= { match_modseq,	VIEW },
	[IMAP_KEY_UID]		= { match_set,		VIEW },
	[IMAP_KEY_SET]		= { match_set,		VIEW },
	[IMAP_KEY_BEFORE]	= { match_day,		DATE },
	[IMAP_KEY_ON]		= { match_day,		DATE },
	[IMAP_KEY_SINCE]	= { match_day,		DATE },
	[IMAP_KEY_YOUNGER]	= { match_age,		DATE },
	[IMAP_KEY_OLDER]	= { match_age,		DATE },
	[IMAP_KEY_SENTBEFORE]	= { match_day,		INDEX },
	[IMAP_KEY_SENTON]	= { match_day,		INDEX },
	[IMAP_KEY_SENTSINCE]	= { match_day,		INDEX },
	[IMAP_KEY_LARGER]	= { match_size,		INDEX },
	[IMAP_KEY_SMALLER]	= { match_size,		INDEX },
	[IMAP_KEY_HEADER]	= { match_header,	INDEX },
	[IMAP_KEY_BODY]		= { match_body,		BODY },
	[IMAP_KEY_TEXT]		= { match_text,		BODY },
};

static bool
match(struct search *x, const struct key *k)
{
	return !x->lost && kinds[k->is->kind].match(x, k);
}

static bool
judge(struct search *x, size_t place)
{
	x->place = place;
	x->told = &x->s->view.told[place];
	x->mail = NULL;
	x->text = NULL;
	x->header = bytes_of(NULL, 0);
	x->known = x->lost = false;
	return !x->told->gone && match(x, x->keys) && !x->lost;
}

/* RFC 5182: in UIDs, so that no EXPUNGE changes it. A range may hold UIDs between two messages that are next to each
 * other: there will never be a message of those. */
static void
save(struct view *v, const uint32_t *found, size_t n)
{
	struct imap_range *saved = n > 0 ? mem_array(n, sizeof *saved) : NULL;
	size_t ranges = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t uid = v->told[found[i]].uid;

		if (i > 0 && found[i] == found[i - 1] + 1)
			saved[ranges - 1].last = uid;
		else
			saved[ranges++] = (struct imap_range){ uid, uid };
	}
	mem_free(v->saved);
	v->saved = saved;
	v->saved_n = ranges;
}

void
search_refused(struct session *s, const struct imap_cmd *cmd)
{
	if (cmd->verb == IMAP_SEARCH && (cmd->search.returns & IMAP_RETURN_SAVE) != 0)
		save(&s->view, NULL, 0);
}

/* ---- from the command to keys; false: the client was answered ---- */

static bool
take_set(struct search *x, struct key *k)
{
	const struct view *v = &x->s->view;
	bool uids = k->is->kind == IMAP_KEY_UID;
	uint32_t largest = v->n == 0 ? 0 : uids ? v->told[v->n - 1].uid : (uint32_t)v->n;
	struct imap_set_text parsed;

	k->of_uids = uids;
	switch (imap_set_parse(k->is->text, IMAP_SEQUENCE_SET, x->arena, &parsed)) {
	case IMAP_SET_BAD:
		reply(x->s, x->cmd, "BAD that is no set of messages");
		return false;
	case IMAP_SET_MANY:
		reply(x->s, x->cmd, "BAD [LIMIT] there are too many numbers in that set");
		return false;
	case IMAP_SET_SAVED:
		k->set = (struct imap_set){ v->saved, v->saved_n };
		k->of_uids = true;
		return true;
	case IMAP_SET_PARSED:
		break;
	}
	k->set = imap_set_resolve(&parsed, largest, x->arena);
	if (uids || v->n == 0 || imap_set_last(&k->set) <= v->n)
		return true;
	reply(x->s, x->cmd, "BAD there is no message of that number");
	return false;
}

static bool
take_text(struct search *x, struct key *k)
{
	if (k->is->kind == IMAP_KEY_HEADER && !mail_digest_field(k->is->name))
		k->cost = HEADER;
	if (needle_init(&k->needle, k->is->text, x->charset, x->arena))
		return true;
	search_refused(x->s, x->cmd);
	reply(x->s, x->cmd, "NO [LIMIT] a text that is searched for has at most %d octets", NEEDLE_MAX);
	return false;
}

static bool
take_argument(struct search *x, struct key *k)
{
	switch (k->is->kind) {
	case IMAP_KEY_UID:
	case IMAP_KEY_SET:
		return take_set(x, k);
	case IMAP_KEY_HEADER:
	case IMAP_KEY_BODY:
	case IMAP_KEY_TEXT:
		return take_text(x, k);
	case IMAP_KEY_KEYWORD:
		k->flag = view_keyword(x->s, k->is->text);
		return true;
	default:
		return true;
	}
}

/* Puts kids, which are in a list by `next`, in order of their cost; those of one cost stay as they are. */
static void
sort_kids(struct key *k, struct key *kids)
{
	struct key *of[COSTS] = { NULL }, **last[COSTS], **tail = &k->kids;
	unsigned c;

	for (c = 0; c < COSTS; c++)
		last[c] = &of[c];
	for (; kids != NULL; kids = kids->next) {
		*last[kids->cost] = kids;
		last[kids->cost] = &kids->next;
		if (k->cost < kids->cost)
			k->cost = kids->cost;
	}
	for (c = 0; c < COSTS; c++) {
		*last[c] = NULL;
		*tail = of[c];
		if (of[c] != NULL)
			tail = last[c];
	}
}

/* The tree is at most IMAP_KEY_DEPTH_MAX deep. */
static bool
take_key(struct search *x, const struct imap_key *is, struct key **out)
{
	struct key *k = arena_alloc(x->arena, sizeof *k), *kids = NULL, **tail = &kids;
	const struct imap_key *kid;

	*out = k;
	k->is = is;
	k->cost = kinds[is->kind].cost;
	for (kid = is->kids; kid != NULL; kid = kid->next) {
		if (!take_key(x, kid, tail))
			return false;
		tail = &(*tail)->next;
	}
	sort_kids(k, kids);
	return take_argument(x, k);
}

static bool
take_charset(struct search *x)
{
	struct bytes name = x->cmd->search.charset;
	struct buf names;

	x->charset = name.n > 0 ? charset_find(name) : charset_any();
	if (x->charset != NULL)
		return true;
	search_refused(x->s, x->cmd);
	buf_init(&names, 4096);
	charset_names(&names);
	reply(x->s, x->cmd, "NO [BADCHARSET (%.*s)] that charset is unknown", BYTES_FMT(buf_bytes(&names)));
	buf_fini(&names);
	return false;
}

/* ---- what was found ---- */

static uint32_t
shown(const struct search *x, size_t place)
{
	return x->cmd->uid ? x->s->view.told[place].uid : (uint32_t)place + 1;
}

/* "* SEARCH 2 5 (MODSEQ 7)": sent while it is found. */
static void
search_plain(struct search *x)
{
	struct session *s = x->s;
	uint64_t highest = 0;

	buf_text(&s->out, "* SEARCH");
	for (size_t place = 0; place < s->view.n && !s->broken; place++) {
		if (!judge(x, place))
			continue;
		buf_char(&s->out, ' ');
		buf_decimal(&s->out, shown(x, place));
		if (highest < x->told->modseq)
			highest = x->told->modseq;
		flush_if_much(s);
	}
	if (x->cmd->search.modseq && highest > 0)
		buf_fmt(&s->out, " (MODSEQ %llu)", (unsigned long long)highest);
	buf_text(&s->out, "\r\n");
}

/* Places of those that are asked for, rising: all; or, for MIN and MAX alone, the first and the last. */
static size_t
find_places(struct search *x, uint32_t *found)
{
	unsigned returns = x->cmd->search.returns & ~(unsigned)IMAP_RETURN_SAVE;
	bool ends = returns != 0 && (returns & ~(unsigned)(IMAP_RETURN_MIN | IMAP_RETURN_MAX)) == 0;
	bool first = ends && (returns & IMAP_RETURN_MIN) != 0, last = ends && (returns & IMAP_RETURN_MAX) != 0;
	size_t total = x->s->view.n, n = 0, place;

	for (place = 0; place < total && (!ends || (first && n == 0)); place++)
		if (judge(x, place))
			found[n++] = (uint32_t)place;
	for (total = last ? total : 0; total > (n > 0 ? found[0] + 1u : place); total--)
		if (judge(x, total - 1)) {
			found[n++] = (uint32_t)total - 1;
			break;
		}
	return n;
}

static void
put_set(struct search *x, const uint32_t *found, size_t n)
{
	struct imap_set_writer w;

	imap_set_begin(&w, &x->s->out, 0);
	for (size_t i = 0; i < n && !x->s->broken; i++) {
		uint32_t number = shown(x, found[i]);

		imap_set_add(&w, number, number);
		flush_if_much(x->s);
	}
	imap_set_end(&w);
}

/* RFC 4731 section 3.1: MIN, MAX and ALL of nothing are not there, COUNT is. */
static void
put_esearch(struct search *x, const uint32_t *found, size_t n)
{
	unsigned returns = x->cmd->search.returns;
	struct buf *out = &x->s->out;
	uint64_t highest = 0;

	buf_text(out, "* ESEARCH (TAG \"");
	buf_add(out, x->cmd->tag);
	buf_text(out, x->cmd->uid ? "\") UID" : "\")");
	if (n > 0 && (returns & IMAP_RETURN_MIN) != 0)
		buf_fmt(out, " MIN %u", (unsigned)shown(x, found[0]));
	if (n > 0 && (returns & IMAP_RETURN_MAX) != 0)
		buf_fmt(out, " MAX %u", (unsigned)shown(x, found[n - 1]));
	if ((returns & IMAP_RETURN_COUNT) != 0)
		buf_fmt(out, " COUNT %zu", n);
	for (size_t i = 0; i < n; i++)
		if (highest < x->s->view.told[found[i]].modseq)
			highest = x->s->view.told[found[i]].modseq;
	if (n > 0 && x->cmd->search.modseq)
		buf_fmt(out, " MODSEQ %llu", (unsigned long long)highest);
	if (n > 0 && (returns & IMAP_RETURN_ALL) != 0) {
		buf_text(out, " ALL ");
		put_set(x, found, n);
	}
	buf_text(out, "\r\n");
}

static void
search_extended(struct search *x)
{
	unsigned returns = x->cmd->search.returns;
	uint32_t *found = mem_array(x->s->view.n + 1, sizeof *found);
	size_t n = find_places(x, found);

	if (returns != IMAP_RETURN_SAVE)
		put_esearch(x, found, n);
	if ((returns & IMAP_RETURN_SAVE) != 0)
		save(&x->s->view, found, n);
	mem_free(found);
}

/* ---- the command ---- */

static void
run(struct search *x)
{
	struct session *s = x->s;

	x->now_s = clock_wall_s();
	x->finder = finder_new();
	if (x->cmd->search.modseq)
		view_condstore(s);
	if (x->cmd->search.extended)
		search_extended(x);
	else
		search_plain(x);
	message_rest(s, MESSAGE_SMALL);
	finder_free(&x->finder);
}

void
do_search(struct session *s, struct imap_cmd *cmd)
{
	struct search x = { .s = s, .cmd = cmd, .arena = arena_new(ARENA_MAX) };
	bool good = take_charset(&x) && take_key(&x, cmd->search.keys, &x.keys);

	if (good)
		run(&x);
	if (x.failed || x.large)
		search_refused(s, cmd);
	if (good && x.failed)
		reply(s, cmd, "NO [UNAVAILABLE] some of the messages cannot be read now");
	else if (good && x.large)
		reply(s, cmd, "NO [LIMIT] some of the messages are too large to be taken apart");
	else if (good)
		reply(s, cmd, "OK SEARCH completed");
	arena_free(&x.arena);
}
