/* SPDX-License-Identifier: ISC */
#include "mail/credentials.h"

#include <stdio.h>

#include "base/file.h"

/* By strength. What shows the server a password is last; what is known to be weak, or nobody's name, is not here at all. */
static const struct { const char *name; bool oauth, binds, shows; } known[] = {
	{ "SCRAM-SHA-256-PLUS",	false,	true,	false },
	{ "SCRAM-SHA-1-PLUS",	false,	true,	false },
	{ "SCRAM-SHA-256",	false,	false,	false },
	{ "SCRAM-SHA-1",	false,	false,	false },
	{ "PLAIN",		false,	false,	true },
	{ "LOGIN",		false,	false,	true },
	{ "OAUTHBEARER",	true,	false,	true },
	{ "XOAUTH2",		true,	false,	true },
};

#define SHAPE	"right would be USER PASSWORD, or USER oauth:FILE, with mechanisms=NAME,NAME before it where not all may be used"

static bool
fault(char *why, size_t cap, const char *what)
{
	snprintf(why, cap, "%s; " SHAPE, what);
	return false;
}

static bool
is_known(struct bytes name, bool oauth)
{
	for (size_t i = 0; i < LEN(known); i++)
		if (bytes_case_eq(name, text(known[i].name)) && known[i].oauth == oauth)
			return true;
	return false;
}

static bool
are_known(struct bytes list, bool oauth)
{
	while (list.n > 0)
		if (!is_known(bytes_cut(&list, ','), oauth))
			return false;
	return true;
}

static bool
take_token(struct credentials *out, char *why, size_t cap)
{
	const struct bytes tag = text("oauth:");
	char name[FILE_COMPONENT_MAX + 1];

	out->oauth = bytes_starts(out->secret, tag);
	if (!out->oauth)
		return true;
	out->secret = bytes_skip(out->secret, tag.n);
	return file_component(out->secret, false, name)
	    || fault(why, cap, "behind oauth: stands no name of a file in smtp_token_directory, without a folder");
}

bool
credentials_parse(struct bytes value, struct credentials *out, char *why, size_t cap)
{
	const struct bytes tag = text("mechanisms=");
	struct bytes rest = bytes_trim(value);

	*out = (struct credentials){ 0 };
	if (bytes_starts(rest, tag)) {
		out->mechanisms = bytes_skip(bytes_cut(&rest, ' '), tag.n);
		if (out->mechanisms.n == 0 || out->mechanisms.n > CREDENTIALS_MECHANISMS_MAX)
			return fault(why, cap, "mechanisms= names none, or too many");
		rest = bytes_trim(rest);
	}
	out->user = bytes_cut(&rest, ' ');
	out->secret = bytes_trim(rest);
	if (out->user.n == 0 || out->secret.n == 0)
		return fault(why, cap, "there is no user, or no password");
	if (out->user.n > CREDENTIALS_USER_MAX || out->secret.n > CREDENTIALS_SECRET_MAX)
		return fault(why, cap, "too long");
	if (bytes_has_control(out->user) || bytes_has_control(out->secret))
		return fault(why, cap, "there is a control character in it (a tab, or a second line)");
	if (!take_token(out, why, cap))
		return false;
	return are_known(out->mechanisms, out->oauth)
	    || fault(why, cap, out->oauth ? "of the mechanisms, OAUTHBEARER and XOAUTH2 go with a token"
	    : "of the mechanisms, SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN and LOGIN go with a password");
}

size_t
credentials_keys(struct bytes nexthop, struct arena *a, struct bytes keys[CREDENTIALS_KEYS])
{
	char address[NETWORK_TEXT_MAX];
	struct nexthop n;
	size_t have = 0;

	for (size_t i = 0; i < CREDENTIALS_KEYS; i++)
		keys[i] = bytes_of(NULL, 0);
	if (!nexthop_parse(nexthop, a, &n))
		return 0;
	keys[have++] = nexthop_text(&n, a);
	if (n.kind == NEXTHOP_UNIX)
		return have;
	if (n.nfrom > 0) {
		n.nfrom = 0;
		keys[have++] = nexthop_text(&n, a);
	}
	keys[have] = n.kind == NEXTHOP_ADDRESS ? arena_copy(a, text(address_text(&n.address, address))) : n.name;
	return bytes_eq(keys[have - 1], keys[have]) ? have : have + 1;
}

/* ---- which mechanism ---- */

static bool
is_listed(struct bytes list, unsigned char separator, const char *name)
{
	while (list.n > 0)
		if (bytes_case_eq(bytes_cut(&list, separator), text(name)))
			return true;
	return false;
}

bool
credentials_announced(struct bytes announced, const char *mechanism)
{
	return is_listed(announced, ' ', mechanism);
}

const char *
credentials_mechanism(struct bytes mechanisms, bool oauth, bool binds, bool shows, struct bytes announced)
{
	for (size_t i = 0; i < LEN(known); i++)
		if (known[i].oauth == oauth && (binds || !known[i].binds) && (shows || !known[i].shows)
		    && (mechanisms.n == 0 || is_listed(mechanisms, ',', known[i].name))
		    && credentials_announced(announced, known[i].name))
			return known[i].name;
	return NULL;
}
