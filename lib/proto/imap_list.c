/* SPDX-License-Identifier: ISC */
#include "proto/imap_list.h"

static bool
take_status_item(struct imap_lex *l, void *arg)
{
	static const struct imap_word items[] = {
		{ "MESSAGES",		IMAP_STATUS_MESSAGES },
		{ "RECENT",		IMAP_STATUS_RECENT },
		{ "UIDNEXT",		IMAP_STATUS_UIDNEXT },
		{ "UIDVALIDITY",	IMAP_STATUS_UIDVALIDITY },
		{ "UNSEEN",		IMAP_STATUS_UNSEEN },
		{ "HIGHESTMODSEQ",	IMAP_STATUS_HIGHESTMODSEQ },
		{ "SIZE",		IMAP_STATUS_SIZE },
		{ "APPENDLIMIT",	IMAP_STATUS_APPENDLIMIT },
	};
	unsigned *all = arg, item;

	if (!imap_lex_word(l, items, LEN(items), &item, "unknown status item"))
		return false;
	*all |= item;
	return true;
}

bool
imap_status_items(struct imap_lex *l, unsigned *items)
{
	*items = 0;
	return imap_lex_list(l, false, take_status_item, items);
}

/* list-select-opt, RFC 5258 section 3.1. Unknown ones must be refused. */
static bool
take_select(struct imap_lex *l, void *arg)
{
	static const struct imap_word options[] = {
		{ "SUBSCRIBED",		IMAP_LIST_SUBSCRIBED },
		{ "REMOTE",		IMAP_LIST_REMOTE },
		{ "RECURSIVEMATCH",	IMAP_LIST_RECURSIVEMATCH },
		{ "SPECIAL-USE",	IMAP_LIST_SPECIAL_USE },
	};
	struct imap_list *out = arg;
	unsigned option;

	if (!imap_lex_word(l, options, LEN(options), &option, "unknown selection option"))
		return false;
	out->selects |= option;
	return true;
}

/* return-option: RFC 5258 section 3.2, RFC 5819 section 4, RFC 6154 section 6. */
static bool
take_return(struct imap_lex *l, void *arg)
{
	static const struct imap_word options[] = {
		{ "SUBSCRIBED",		IMAP_LIST_SUBSCRIBED },
		{ "CHILDREN",		IMAP_LIST_CHILDREN },
		{ "SPECIAL-USE",	IMAP_LIST_SPECIAL_USE },
		{ "STATUS",		IMAP_LIST_STATUS },
	};
	struct imap_list *out = arg;
	unsigned option;

	if (!imap_lex_word(l, options, LEN(options), &option, "unknown return option"))
		return false;
	out->returns |= option;
	if (option != IMAP_LIST_STATUS)
		return true;
	return imap_lex_sp(l) && imap_lex_list(l, false, take_status_item, &out->status);
}

static bool
take_pattern(struct imap_lex *l, void *arg)
{
	struct imap_list *out = arg;
	struct bytes pattern;

	return imap_lex_list_mailbox(l, &pattern)
	    && imap_names_add(l, &out->patterns, pattern, IMAP_PATTERNS_MAX);
}

static bool
take_selects(struct imap_lex *l, struct imap_list *out)
{
	out->extended = imap_lex_at(l, '(');
	if (!out->extended)
		return true;
	if (!imap_lex_list(l, true, take_select, out) || !imap_lex_sp(l))
		return false;
	if ((out->selects & IMAP_LIST_RECURSIVEMATCH) && !(out->selects & IMAP_LIST_SUBSCRIBED))
		return imap_lex_fail(l, "RECURSIVEMATCH without SUBSCRIBED");
	return true;
}

/* mbox-or-pat */
static bool
take_patterns(struct imap_lex *l, struct imap_list *out)
{
	if (!imap_lex_at(l, '('))
		return take_pattern(l, out);
	out->extended = true;
	return imap_lex_list(l, false, take_pattern, out);
}

static bool
take_returns(struct imap_lex *l, struct imap_list *out)
{
	if (imap_lex_at_end(l))
		return true;
	if (!imap_lex_sp(l) || !imap_lex_keyword(l, "RETURN"))
		return imap_lex_fail(l, "RETURN expected");
	out->extended = true;
	return imap_lex_list(l, true, take_return, out);
}

bool
imap_list_parse(struct imap_lex *l, struct imap_list *out)
{
	*out = (struct imap_list){ 0 };
	return imap_lex_sp(l) && take_selects(l, out) && imap_lex_astring(l, &out->reference)
	    && imap_lex_sp(l) && take_patterns(l, out) && take_returns(l, out);
}

bool
imap_lsub_parse(struct imap_lex *l, struct imap_list *out)
{
	*out = (struct imap_list){ 0 };
	return imap_lex_sp(l) && imap_lex_astring(l, &out->reference) && imap_lex_sp(l)
	    && take_pattern(l, out);
}
