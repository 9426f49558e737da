/* SPDX-License-Identifier: ISC */
#include "proto/imap_cmd.h"

/* ---- any state, RFC 3501 section 6.1 --------------------------------------------- */

static bool
take_nothing(struct imap_lex *l, struct imap_cmd *out)
{
	(void)l;
	(void)out;
	return true;
}

/* string SP nstring */
static bool
take_pair(struct imap_lex *l, void *arg)
{
	struct imap_cmd *out = arg;
	struct imap_pair pair;

	if (!imap_lex_string(l, &pair.name) || !imap_lex_sp(l)
	    || !imap_lex_nstring(l, &pair.value, &pair.nil))
		return false;
	if (pair.name.n > IMAP_ID_NAME_MAX || pair.value.n > IMAP_ID_VALUE_MAX)
		return imap_lex_fail(l, "name or value too long");
	if (out->pair_count >= IMAP_ID_MAX)
		return imap_lex_complex(l, "too many pairs");
	out->pairs[out->pair_count++] = pair;
	return true;
}

/* RFC 2971 section 3.1: a list of pairs, or NIL. */
static bool
take_id(struct imap_lex *l, struct imap_cmd *out)
{
	struct bytes none;
	bool nil;

	if (!imap_lex_sp(l))
		return false;
	out->pairs = arena_array(l->arena, IMAP_ID_MAX, sizeof *out->pairs);
	if (imap_lex_at(l, '('))
		return imap_lex_list(l, true, take_pair, out);
	return imap_lex_nstring(l, &none, &nil) && (nil || imap_lex_fail(l, "list or NIL expected"));
}

/* ---- before login, section 6.2 ---------------------------------------------------- */

static bool
take_login(struct imap_lex *l, struct imap_cmd *out)
{
	return imap_lex_sp(l) && imap_lex_astring(l, &out->user)
	    && imap_lex_sp(l) && imap_lex_astring(l, &out->password);
}

/* Base64 has "+", "/" and "=", which a label has not. */
static bool
take_response(struct imap_lex *l, struct imap_cmd *out)
{
	size_t i;

	if (!imap_lex_atom(l, &out->response))
		return false;
	for (i = 0; i < out->response.n; i++)
		if (!ascii_alnum(out->response.p[i]) && strchr("+/=", out->response.p[i]) == NULL)
			return imap_lex_fail(l, "base64 expected");
	return out->initial = true;
}

/* Section 6.2.2, RFC 4959 section 3; names as in RFC 4422 section 3.1. */
static bool
take_authenticate(struct imap_lex *l, struct imap_cmd *out)
{
	if (!imap_lex_sp(l) || !imap_lex_label(l, &out->mechanism))
		return false;
	if (out->mechanism.n > IMAP_MECHANISM_MAX
	    || bytes_find(out->mechanism, '.') < out->mechanism.n)
		return imap_lex_fail(l, "name of a mechanism expected");
	return imap_lex_at_end(l) || (imap_lex_sp(l) && take_response(l, out));
}

/* ---- after login, section 6.3 ------------------------------------------------------- */

/* RFC 5161 section 3.1. Names nobody knows are no error. */
static bool
take_enable(struct imap_lex *l, struct imap_cmd *out)
{
	struct bytes name;

	do {
		if (!imap_lex_sp(l) || !imap_lex_atom(l, &name)
		    || !imap_names_add(l, &out->names, name, IMAP_ENABLE_MAX))
			return false;
	} while (!imap_lex_at_end(l));
	return true;
}

static bool
take_mailbox(struct imap_lex *l, struct imap_cmd *out)
{
	return imap_lex_sp(l) && imap_lex_mailbox(l, &out->mailbox);
}

static bool
take_select_parameter(struct imap_lex *l, void *arg)
{
	static const struct imap_word parameters[] = { { "CONDSTORE", true } };
	struct imap_cmd *out = arg;
	unsigned is;

	return out->condstore = imap_lex_word(l, parameters, LEN(parameters), &is, "unknown parameter");
}

/* RFC 4466 section 2.1. */
static bool
take_select(struct imap_lex *l, struct imap_cmd *out)
{
	return take_mailbox(l, out)
	    && (imap_lex_at_end(l)
	        || (imap_lex_sp(l) && imap_lex_list(l, false, take_select_parameter, out)));
}

static bool
take_use(struct imap_lex *l, void *arg)
{
	static const struct imap_word uses[] = {
		{ "\\All",	IMAP_USE_ALL },
		{ "\\Archive",	IMAP_USE_ARCHIVE },
		{ "\\Drafts",	IMAP_USE_DRAFTS },
		{ "\\Flagged",	IMAP_USE_FLAGGED },
		{ "\\Junk",	IMAP_USE_JUNK },
		{ "\\Sent",	IMAP_USE_SENT },
		{ "\\Trash",	IMAP_USE_TRASH },
	};
	struct imap_cmd *out = arg;
	struct bytes name;
	unsigned use = IMAP_USE_UNKNOWN;

	if (!imap_lex_backslash(l, &name))
		return false;
	imap_word_find(uses, LEN(uses), name, &use);
	out->uses |= use;
	return true;
}

static bool
take_create_parameter(struct imap_lex *l, void *arg)
{
	if (!imap_lex_keyword(l, "USE"))
		return imap_lex_fail(l, "unknown parameter");
	return imap_lex_list(l, true, take_use, arg);
}

/* RFC 4466 section 2.2, RFC 6154 section 3. */
static bool
take_create(struct imap_lex *l, struct imap_cmd *out)
{
	return take_mailbox(l, out)
	    && (imap_lex_at_end(l)
	        || (imap_lex_sp(l) && imap_lex_list(l, false, take_create_parameter, out)));
}

static bool
take_rename(struct imap_lex *l, struct imap_cmd *out)
{
	return take_mailbox(l, out) && imap_lex_sp(l) && imap_lex_mailbox(l, &out->new_name);
}

static bool
take_list(struct imap_lex *l, struct imap_cmd *out)
{
	return imap_list_parse(l, &out->list);
}

static bool
take_lsub(struct imap_lex *l, struct imap_cmd *out)
{
	return imap_lsub_parse(l, &out->list);
}

static bool
take_status(struct imap_lex *l, struct imap_cmd *out)
{
	return take_mailbox(l, out) && imap_lex_sp(l) && imap_status_items(l, &out->status);
}

static bool
take_append(struct imap_lex *l, struct imap_cmd *out)
{
	return take_mailbox(l, out) && imap_append_parse(l, &out->append);
}

/* ---- with a mailbox selected, section 6.4 ------------------------------------------- */

static bool
take_set(struct imap_lex *l, struct imap_cmd *out)
{
	return imap_lex_sp(l) && imap_lex_set(l, &out->set);
}

/* UID EXPUNGE has a set, RFC 4315 section 2.1. */
static bool
take_expunge(struct imap_lex *l, struct imap_cmd *out)
{
	return !out->uid || take_set(l, out);
}

static bool
take_search(struct imap_lex *l, struct imap_cmd *out)
{
	return imap_search_parse(l, &out->search);
}

static bool
take_fetch(struct imap_lex *l, struct imap_cmd *out)
{
	return take_set(l, out) && imap_fetch_parse(l, &out->fetch);
}

static bool
take_store(struct imap_lex *l, struct imap_cmd *out)
{
	return take_set(l, out) && imap_store_parse(l, &out->store);
}

static bool
take_copy(struct imap_lex *l, struct imap_cmd *out)
{
	return take_set(l, out) && take_mailbox(l, out);
}

/* ---- the table ------------------------------------------------------------------------ */

#define LOGIN		IMAP_IN_LOGIN
#define LOGGED_IN	(IMAP_IN_AUTHENTICATED | IMAP_IN_SELECTED)
#define SELECTED	IMAP_IN_SELECTED
#define ANY		(LOGIN | LOGGED_IN)

static const struct {
	const char *name;
	unsigned when;			/* the states that allow it */
	bool uid;			/* "UID" may stand before it, section 6.4.8 */
	bool (*arguments)(struct imap_lex *l, struct imap_cmd *out);	/* from after its name */
} verbs[IMAP_VERBS] = {
	[IMAP_CAPABILITY]	= { "CAPABILITY",	ANY,		false, take_nothing },
	[IMAP_NOOP]		= { "NOOP",		ANY,		false, take_nothing },
	[IMAP_LOGOUT]		= { "LOGOUT",		ANY,		false, take_nothing },
	[IMAP_ID]		= { "ID",		ANY,		false, take_id },
	[IMAP_STARTTLS]		= { "STARTTLS",		LOGIN,		false, take_nothing },
	[IMAP_AUTHENTICATE]	= { "AUTHENTICATE",	LOGIN,		false, take_authenticate },
	[IMAP_LOGIN]		= { "LOGIN",		LOGIN,		false, take_login },
	[IMAP_ENABLE]		= { "ENABLE",		LOGGED_IN,	false, take_enable },
	[IMAP_SELECT]		= { "SELECT",		LOGGED_IN,	false, take_select },
	[IMAP_EXAMINE]		= { "EXAMINE",		LOGGED_IN,	false, take_select },
	[IMAP_CREATE]		= { "CREATE",		LOGGED_IN,	false, take_create },
	[IMAP_DELETE]		= { "DELETE",		LOGGED_IN,	false, take_mailbox },
	[IMAP_RENAME]		= { "RENAME",		LOGGED_IN,	false, take_rename },
	[IMAP_SUBSCRIBE]	= { "SUBSCRIBE",	LOGGED_IN,	false, take_mailbox },
	[IMAP_UNSUBSCRIBE]	= { "UNSUBSCRIBE",	LOGGED_IN,	false, take_mailbox },
	[IMAP_LIST]		= { "LIST",		LOGGED_IN,	false, take_list },
	[IMAP_LSUB]		= { "LSUB",		LOGGED_IN,	false, take_lsub },
	[IMAP_NAMESPACE]	= { "NAMESPACE",	LOGGED_IN,	false, take_nothing },
	[IMAP_STATUS]		= { "STATUS",		LOGGED_IN,	false, take_status },
	[IMAP_APPEND]		= { "APPEND",		LOGGED_IN,	false, take_append },
	[IMAP_IDLE]		= { "IDLE",		LOGGED_IN,	false, take_nothing },
	[IMAP_CHECK]		= { "CHECK",		SELECTED,	false, take_nothing },
	[IMAP_CLOSE]		= { "CLOSE",		SELECTED,	false, take_nothing },
	[IMAP_UNSELECT]		= { "UNSELECT",		SELECTED,	false, take_nothing },
	[IMAP_EXPUNGE]		= { "EXPUNGE",		SELECTED,	true,  take_expunge },
	[IMAP_SEARCH]		= { "SEARCH",		SELECTED,	true,  take_search },
	[IMAP_FETCH]		= { "FETCH",		SELECTED,	true,  take_fetch },
	[IMAP_STORE]		= { "STORE",		SELECTED,	true,  take_store },
	[IMAP_COPY]		= { "COPY",		SELECTED,	true,  take_copy },
	[IMAP_MOVE]		= { "MOVE",		SELECTED,	true,  take_copy },
};

const char *
imap_verb_text(enum imap_verb verb)
{
	return verb < IMAP_VERBS ? verbs[verb].name : "?";
}

unsigned
imap_verb_when(enum imap_verb verb)
{
	return verb < IMAP_VERBS ? verbs[verb].when : 0;
}

bool
imap_done(struct bytes line)
{
	return bytes_case_eq(bytes_trim(line), text("DONE"));
}

static bool
take_verb(struct imap_lex *l, struct imap_cmd *out)
{
	struct bytes name;
	size_t v;

	if (!imap_lex_sp(l))
		return false;
	out->uid = imap_lex_keyword(l, "UID");
	if (!imap_lex_label(l, &name))
		return false;
	for (v = 0; v < IMAP_VERBS && !bytes_case_eq(name, text(verbs[v].name)); v++)
		;
	if (v == IMAP_VERBS || (out->uid && !verbs[v].uid))
		return imap_lex_fail(l, "unknown command");
	out->verb = (enum imap_verb)v;
	return true;
}

enum imap_parse
imap_cmd_parse(struct bytes text, struct arena *a, struct imap_cmd *out)
{
	enum imap_parse said = IMAP_PARSED;
	struct imap_lex l;

	*out = (struct imap_cmd){ 0 };
	imap_lex_init(&l, text, a);
	if (!imap_lex_tag(&l, &out->tag)) {
		out->tag = bytes_of("", 0);
		said = IMAP_BAD_TAG;
	} else if (!take_verb(&l, out)) {
		said = IMAP_BAD_VERB;
	} else if (!verbs[out->verb].arguments(&l, out) || !imap_lex_end(&l)) {
		said = l.complex ? IMAP_TOO_COMPLEX : IMAP_BAD_ARG;
	}
	if (said != IMAP_PARSED)		/* no half arguments, no password that was refused */
		*out = (struct imap_cmd){ .tag = out->tag, .verb = out->verb, .uid = out->uid,
		    .wrong = l.wrong };
	return said;
}
