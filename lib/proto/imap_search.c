/* SPDX-License-Identifier: ISC */
#include "proto/imap_search.h"

/* What a key takes. */
enum argument {
	NOTHING,
	STRING,
	FIELD_STRING,		/* HEADER: a name and a string */
	ATOM,			/* a keyword */
	DATE,
	OCTETS,
	SECONDS,		/* nz-number, RFC 5032 section 4 */
	MOD_SEQUENCE,
	SET,
	KEYS,			/* as many as its row says */
};

static const struct row {
	const char *name;
	enum imap_key_kind kind;
	enum argument argument;
	bool want;			/* for FLAG, KEYWORD, RECENT */
	unsigned what;			/* enum imap_flag; how many keys */
	const char *field;
} rows[] = {
	{ "ALL",	IMAP_KEY_ALL,		NOTHING,	false, 0, "" },
	{ "ANSWERED",	IMAP_KEY_FLAG,		NOTHING,	true,  IMAP_ANSWERED, "" },
	{ "BCC",	IMAP_KEY_HEADER,	STRING,		false, 0, "Bcc" },
	{ "BEFORE",	IMAP_KEY_BEFORE,	DATE,		false, 0, "" },
	{ "BODY",	IMAP_KEY_BODY,		STRING,		false, 0, "" },
	{ "CC",		IMAP_KEY_HEADER,	STRING,		false, 0, "Cc" },
	{ "DELETED",	IMAP_KEY_FLAG,		NOTHING,	true,  IMAP_DELETED, "" },
	{ "DRAFT",	IMAP_KEY_FLAG,		NOTHING,	true,  IMAP_DRAFT, "" },
	{ "FLAGGED",	IMAP_KEY_FLAG,		NOTHING,	true,  IMAP_FLAGGED, "" },
	{ "FROM",	IMAP_KEY_HEADER,	STRING,		false, 0, "From" },
	{ "HEADER",	IMAP_KEY_HEADER,	FIELD_STRING,	false, 0, "" },
	{ "KEYWORD",	IMAP_KEY_KEYWORD,	ATOM,		true,  0, "" },
	{ "LARGER",	IMAP_KEY_LARGER,	OCTETS,		false, 0, "" },
	{ "MODSEQ",	IMAP_KEY_MODSEQ,	MOD_SEQUENCE,	false, 0, "" },
	{ "NEW",	IMAP_KEY_NEW,		NOTHING,	false, 0, "" },
	{ "NOT",	IMAP_KEY_NOT,		KEYS,		false, 1, "" },
	{ "OLD",	IMAP_KEY_RECENT,	NOTHING,	false, 0, "" },
	{ "OLDER",	IMAP_KEY_OLDER,		SECONDS,	false, 0, "" },
	{ "ON",		IMAP_KEY_ON,		DATE,		false, 0, "" },
	{ "OR",		IMAP_KEY_OR,		KEYS,		false, 2, "" },
	{ "RECENT",	IMAP_KEY_RECENT,	NOTHING,	true,  0, "" },
	{ "SEEN",	IMAP_KEY_FLAG,		NOTHING,	true,  IMAP_SEEN, "" },
	{ "SENTBEFORE",	IMAP_KEY_SENTBEFORE,	DATE,		false, 0, "" },
	{ "SENTON",	IMAP_KEY_SENTON,	DATE,		false, 0, "" },
	{ "SENTSINCE",	IMAP_KEY_SENTSINCE,	DATE,		false, 0, "" },
	{ "SINCE",	IMAP_KEY_SINCE,		DATE,		false, 0, "" },
	{ "SMALLER",	IMAP_KEY_SMALLER,	OCTETS,		false, 0, "" },
	{ "SUBJECT",	IMAP_KEY_HEADER,	STRING,		false, 0, "Subject" },
	{ "TEXT",	IMAP_KEY_TEXT,		STRING,		false, 0, "" },
	{ "TO",		IMAP_KEY_HEADER,	STRING,		false, 0, "To" },
	{ "UID",	IMAP_KEY_UID,		SET,		false, 0, "" },
	{ "UNANSWERED",	IMAP_KEY_FLAG,		NOTHING,	false, IMAP_ANSWERED, "" },
	{ "UNDELETED",	IMAP_KEY_FLAG,		NOTHING,	false, IMAP_DELETED, "" },
	{ "UNDRAFT",	IMAP_KEY_FLAG,		NOTHING,	false, IMAP_DRAFT, "" },
	{ "UNFLAGGED",	IMAP_KEY_FLAG,		NOTHING,	false, IMAP_FLAGGED, "" },
	{ "UNKEYWORD",	IMAP_KEY_KEYWORD,	ATOM,		false, 0, "" },
	{ "UNSEEN",	IMAP_KEY_FLAG,		NOTHING,	false, IMAP_SEEN, "" },
	{ "YOUNGER",	IMAP_KEY_YOUNGER,	SECONDS,	false, 0, "" },
};

/* A key whose own keys are being read. */
struct level {
	struct imap_key	**tail;		/* where the next goes */
	unsigned	wants;		/* how many more; MANY: up to ")" or the end */
};
#define MANY	(~0u)

struct builder {
	struct imap_search *out;
	unsigned	depth;		/* of stack that are in use */
	struct level	stack[IMAP_KEY_DEPTH_MAX];
};

static bool
push(struct imap_lex *l, struct builder *b, struct imap_key *key, unsigned wants)
{
	if (b->depth >= IMAP_KEY_DEPTH_MAX)
		return imap_lex_complex(l, "search keys nested too deep");
	b->stack[b->depth++] = (struct level){ &key->kids, wants };
	return true;
}

/* A new key where the innermost list goes on. */
static struct imap_key *
add_key(struct imap_lex *l, struct builder *b)
{
	struct level *top = &b->stack[b->depth - 1];
	struct imap_key *key;

	if (b->out->key_count >= IMAP_KEYS_MAX) {
		imap_lex_complex(l, "too many search keys");
		return NULL;
	}
	b->out->key_count++;
	key = arena_alloc(l->arena, sizeof *key);
	*top->tail = key;
	top->tail = &key->next;
	if (top->wants != MANY)
		top->wants--;
	return key;
}

/* search-modsequence, RFC 7162 section 7. */
static bool
take_modseq(struct imap_lex *l, struct imap_key *key)
{
	if (imap_lex_at(l, '"')) {
		if (!imap_lex_string(l, &key->name) || !imap_lex_sp(l) || !imap_lex_label(l, &key->text)
		    || !imap_lex_sp(l))
			return false;
		if (!bytes_case_starts(key->name, text("/flags/")))
			return imap_lex_fail(l, "\"/flags/...\" expected");
		if (!bytes_case_eq(key->text, text("priv")) && !bytes_case_eq(key->text, text("shared"))
		    && !bytes_case_eq(key->text, text("all")))
			return imap_lex_fail(l, "priv, shared or all expected");
	}
	return imap_lex_number63(l, &key->number);
}

static bool
take_seconds(struct imap_lex *l, struct imap_key *key)
{
	uint32_t seconds;

	if (!imap_lex_nz_number(l, &seconds))
		return false;
	key->number = seconds;
	return true;
}

static bool
take_argument(struct imap_lex *l, struct builder *b, const struct row *row, struct imap_key *key)
{
	if (row->argument == NOTHING)
		return true;
	if (!imap_lex_sp(l))
		return false;
	switch (row->argument) {
	case NOTHING:		return true;
	case STRING:		return imap_lex_astring(l, &key->text);
	case FIELD_STRING:	return imap_lex_astring(l, &key->name) && imap_lex_sp(l)
				    && imap_lex_astring(l, &key->text);
	case ATOM:		return imap_lex_atom(l, &key->text);
	case DATE:		return imap_lex_date(l, &key->day);
	case OCTETS:		return imap_lex_number63(l, &key->number);
	case SECONDS:		return take_seconds(l, key);
	case MOD_SEQUENCE:	return take_modseq(l, key);
	case SET:		return imap_lex_set(l, &key->text);
	case KEYS:		return push(l, b, key, row->what);
	}
	return false;
}

static bool
take_named_key(struct imap_lex *l, struct builder *b, struct imap_key *key, bool *holds)
{
	const struct row *row = NULL;
	struct bytes name;
	size_t i;

	if (!imap_lex_label(l, &name))
		return false;
	for (i = 0; i < LEN(rows) && row == NULL; i++)
		if (bytes_case_eq(name, text(rows[i].name)))
			row = &rows[i];
	if (row == NULL)
		return imap_lex_fail(l, "unknown search key");
	key->kind = row->kind;
	key->want = row->want;
	key->flag = row->kind == IMAP_KEY_FLAG ? row->what : 0;
	key->name = text(row->field);
	b->out->modseq = b->out->modseq || row->kind == IMAP_KEY_MODSEQ;
	*holds = row->argument == KEYS;
	return take_argument(l, b, row, key);
}

/* Up to where the next key begins, or to the end of this one. *holds: keys of its own come. */
static bool
take_key(struct imap_lex *l, struct builder *b, bool *holds)
{
	struct imap_key *key = add_key(l, b);

	if (key == NULL)
		return false;
	*holds = imap_lex_char(l, '(');
	if (*holds) {
		key->kind = IMAP_KEY_AND;
		return push(l, b, key, MANY);
	}
	if (imap_lex_at_set(l)) {
		key->kind = IMAP_KEY_SET;
		return imap_lex_set(l, &key->text);
	}
	return take_named_key(l, b, key, holds);
}

/* A key was whole: so may be those that hold it. */
static void
close_levels(struct imap_lex *l, struct builder *b)
{
	for (;;) {
		if (b->stack[b->depth - 1].wants == MANY
		    && (b->depth == 1 || !imap_lex_char(l, ')')))
			return;
		if (b->stack[b->depth - 1].wants != MANY && b->stack[b->depth - 1].wants > 0)
			return;
		b->depth--;
	}
}

static bool
take_keys(struct imap_lex *l, struct imap_search *out)
{
	struct builder b = { .out = out };
	bool holds;

	out->keys = arena_alloc(l->arena, sizeof *out->keys);
	out->keys->kind = IMAP_KEY_AND;
	if (!push(l, &b, out->keys, MANY))
		return false;
	for (;;) {
		if (!take_key(l, &b, &holds))
			return false;
		if (holds)
			continue;
		close_levels(l, &b);
		if (b.depth == 1 && imap_lex_at_end(l))
			return true;
		if (!imap_lex_char(l, ' '))
			return imap_lex_fail(l, "space expected between search keys");
	}
}

/* search-return-opts: RFC 4466 section 3, RFC 4731, RFC 5182. */
static bool
take_return(struct imap_lex *l, void *arg)
{
	static const struct imap_word options[] = {
		{ "MIN",	IMAP_RETURN_MIN },
		{ "MAX",	IMAP_RETURN_MAX },
		{ "ALL",	IMAP_RETURN_ALL },
		{ "COUNT",	IMAP_RETURN_COUNT },
		{ "SAVE",	IMAP_RETURN_SAVE },
	};
	struct imap_search *out = arg;
	unsigned option;

	if (!imap_lex_word(l, options, LEN(options), &option, "unknown return option"))
		return false;
	out->returns |= option;
	return true;
}

bool
imap_search_parse(struct imap_lex *l, struct imap_search *out)
{
	*out = (struct imap_search){ 0 };
	if (!imap_lex_sp(l))
		return false;
	out->extended = imap_lex_keyword(l, "RETURN");
	if (out->extended && (!imap_lex_list(l, true, take_return, out) || !imap_lex_sp(l)))
		return false;
	if (out->extended && out->returns == 0)
		out->returns = IMAP_RETURN_ALL;
	if (imap_lex_keyword(l, "CHARSET") && (!imap_lex_astring(l, &out->charset) || !imap_lex_sp(l)))
		return false;
	return take_keys(l, out);
}
