/* SPDX-License-Identifier: ISC */
/*
 * proto/rfc5322_addresses.h - the addresses of a To, Cc, Bcc or From field.
 * RFC 5322 sections 3.4 (groups), 3.2.2 (comments), 4.4 (obsolete forms: routes,
 * empty elements, white space in addresses, dots in phrases).
 * Pure, iterative, linear. Encoded words are not decoded (what they hold is no
 * address). Domains and lengths are not judged here: smtp_mailbox_parse does it,
 * on what smtp_address_join makes.
 */
#ifndef PROTO_RFC5322_ADDRESSES_H
#define PROTO_RFC5322_ADDRESSES_H

#include "base/arena.h"

enum entry_kind {
	ENTRY_MAILBOX,
	/* These for rfc5322_addresses_shown alone. */
	ENTRY_GROUP,		/* begins; display is its name */
	ENTRY_GROUP_END,	/* each group has one */
	ENTRY_BROKEN,		/* no address; display is the text with its folds */
};

struct mailbox_entry {		/* all in the arena */
	enum entry_kind	kind;
	struct bytes	display;	/* words before <>, unquoted, one space between; may be empty */
	struct bytes	local;		/* unquoted */
	struct bytes	domain;		/* name, or literal with []; empty: local part alone */
	struct bytes	route;		/* obs-route, "@a,@b"; mostly empty */
	bool		in_group;
};

enum addresses_result {
	ADDRESSES_OK,
	ADDRESSES_SYNTAX,	/* *out has those before the error; *at is where it was */
	ADDRESSES_MANY,		/* more than max */
};

struct addresses {
	struct mailbox_entry *v;	/* in the arena */
	size_t		n, max;
	size_t		groups;		/* how many; an empty one ("undisclosed:;") has no entries */
	size_t		at;		/* octets read: where an error was */
};

/* value: unfolded or not. The arena takes at most 3 * value.n octets, and max (or
 * value.n) entries. */
enum addresses_result rfc5322_addresses(struct bytes value, size_t max, struct arena *a,
    struct addresses *out);

/*
 * The same for who shows the list as it is: with entries where groups begin and end,
 * and for what is no address. Never ADDRESSES_SYNTAX: behind an error it goes on with
 * the next ',' or ';', a group without end ends with the list. When all can be read the
 * mailboxes are those of rfc5322_addresses, but a display name that is empty is the last
 * comment, if there is one ("a@b (Name)": older than names before <>). MANY: the end of a group
 * may be missing. BROKEN's display is borrowed from the value.
 */
enum addresses_result rfc5322_addresses_shown(struct bytes value, size_t max, struct arena *a,
    struct addresses *out);

#endif
