/* SPDX-License-Identifier: ISC */
#include "proto/sasl_oauth.h"

#include "proto/sasl_claim.h"

#define SEPARATOR	'\x01'		/* kvsep */
#define STATUS_MAX	64u

static bool
user_fits(struct bytes user)
{
	return user.n > 0 && user.n <= SASL_OAUTH_USER_MAX && !bytes_has_control(user);
}

bool
sasl_oauth_token_fits(struct bytes token)
{
	for (size_t i = 0; i < token.n; i++)
		if (token.p[i] <= ' ' || token.p[i] > '~')
			return false;
	return token.n > 0 && token.n <= SASL_OAUTH_TOKEN_MAX;
}

/* saslname of RFC 5801 section 4. */
static void
put_name(struct bytes user, struct buf *out)
{
	for (size_t i = 0; i < user.n; i++)
		if (user.p[i] == ',')
			buf_text(out, "=2C");
		else if (user.p[i] == '=')
			buf_text(out, "=3D");
		else
			buf_char(out, user.p[i]);
}

static void
put_pair(const char *key, struct bytes value, struct buf *out)
{
	buf_text(out, key);
	buf_char(out, '=');
	buf_add(out, value);
	buf_char(out, SEPARATOR);
}

static void
put_token(struct bytes token, struct buf *out)
{
	buf_text(out, "auth=Bearer ");
	buf_add(out, token);
	buf_char(out, SEPARATOR);
	buf_char(out, SEPARATOR);
}

/* What is there in part must not be sent. */
static bool
is_whole(struct buf *out)
{
	if (!out->full)
		return true;
	buf_wipe(out);
	return false;
}

bool
sasl_oauthbearer(struct bytes user, struct bytes host, uint16_t port, struct bytes token, struct buf *out)
{
	if (!user_fits(user) || bytes_has_control(host) || !sasl_oauth_token_fits(token))
		return false;
	buf_text(out, "n,a=");
	put_name(user, out);
	buf_char(out, ',');
	buf_char(out, SEPARATOR);
	if (host.n > 0)
		put_pair("host", host, out);
	if (port > 0)
		buf_fmt(out, "port=%u%c", port, SEPARATOR);
	put_token(token, out);
	return is_whole(out);
}

bool
sasl_xoauth2(struct bytes user, struct bytes token, struct buf *out)
{
	if (!user_fits(user) || !sasl_oauth_token_fits(token))
		return false;
	put_pair("user", user, out);
	put_token(token, out);
	return is_whole(out);
}

/* ---- what the server says ---- */

static struct bytes
skip_white(struct bytes s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
		s = bytes_skip(s, 1);
	return s;
}

/* The word in quotes at the front of s; empty: it is none, or holds what an error code does not (RFC 6749 section 5.2). */
static struct bytes
quoted_word(struct bytes s)
{
	size_t n = 0;

	if (s.n == 0 || s.p[0] != '"')
		return bytes_of(NULL, 0);
	s = bytes_skip(s, 1);
	while (n < s.n && (ascii_alnum(s.p[n]) || s.p[n] == '_' || s.p[n] == '-' || s.p[n] == '.'))
		n++;
	return n <= STATUS_MAX && n < s.n && s.p[n] == '"' ? bytes_head(s, n) : bytes_of(NULL, 0);
}

/* Not all of JSON: whatever stands behind the first "status": that is a word will do for a line in the log. */
struct bytes
sasl_oauth_status(struct bytes error)
{
	const struct bytes name = text("\"status\"");

	for (; error.n > 0; error = bytes_skip(error, 1)) {
		struct bytes rest;

		if (!bytes_starts(error, name))
			continue;
		rest = skip_white(bytes_skip(error, name.n));
		if (rest.n > 0 && rest.p[0] == ':')
			return quoted_word(skip_white(bytes_skip(rest, 1)));
	}
	return bytes_of(NULL, 0);
}

/* ---- what the client says ---- */

/* gs2-header and kvsep. There is no channel binding: a client may be able to ("y"), and must not have done it ("p="). */
static bool
take_header(struct bytes *rest, struct buf *user)
{
	struct bytes flag = bytes_cut(rest, ','), name = bytes_cut(rest, ',');

	if (!bytes_eq(flag, text("n")) && !bytes_eq(flag, text("y")))
		return false;
	if (name.n > 0 && (!bytes_starts(name, text("a=")) || bytes_has_control(name) || !sasl_name_decode(bytes_skip(name, 2), user)))
		return false;
	if (rest->n == 0 || rest->p[0] != SEPARATOR)
		return false;
	*rest = bytes_skip(*rest, 1);
	return true;
}

/* RFC 6750 section 2.1; the scheme in upper or lower case (RFC 7235 section 2.1). */
static bool
take_token(struct bytes value, struct bytes *token)
{
	if (value.n == 0)
		return true;
	if (!bytes_case_starts(value, text("Bearer ")))
		return false;
	*token = bytes_skip(value, strlen("Bearer "));
	while (token->n > 0 && token->p[0] == ' ')
		*token = bytes_skip(*token, 1);
	return sasl_oauth_token_fits(*token);
}

static bool
take_port(struct bytes value, uint16_t *port)
{
	uint64_t v;

	if (!bytes_u64(value, UINT16_MAX, &v))
		return false;
	*port = (uint16_t)v;
	return true;
}

static bool
is_key(struct bytes key)
{
	for (size_t i = 0; i < key.n; i++)
		if (!ascii_alpha(key.p[i]))
			return false;
	return key.n > 0;
}

/* value: VCHAR, SP, HTAB, CR, LF; UTF-8 as well, since XOAUTH2 has the user there. */
static bool
is_value(struct bytes value)
{
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] == 0x7f || (value.p[i] < ' ' && !strchr("\t\r\n", value.p[i])))
			return false;
	return bytes_find(value, '\0') == value.n;
}

/* One pair. "auth" is there once, whatever else is. */
static bool
take_pair(struct bytes key, struct bytes value, bool *auth, struct sasl_oauth_said *out, struct bytes *user)
{
	if (!is_key(key) || !is_value(value))
		return false;
	if (bytes_eq(key, text("auth"))) {
		if (*auth)
			return false;
		*auth = true;
		return take_token(value, &out->token);
	}
	if (bytes_eq(key, text("host")))
		out->host = value;
	else if (bytes_eq(key, text("port")))
		return take_port(value, &out->port);
	else if (bytes_eq(key, text("user"))) {
		if (user->n > 0)
			return false;
		*user = value;
	}
	return true;
}

/* *kvpair kvsep, and nothing behind it. */
static bool
take_pairs(struct bytes rest, struct sasl_oauth_said *out, struct bytes *user)
{
	bool auth = false;

	*user = bytes_of(NULL, 0);
	while (rest.n > 0 && rest.p[0] != SEPARATOR) {
		size_t n = bytes_find(rest, SEPARATOR);
		struct bytes pair = bytes_head(rest, n), key;

		if (n == rest.n || bytes_find(pair, '=') == pair.n)
			return false;
		key = bytes_cut(&pair, '=');
		rest = bytes_skip(rest, n + 1);
		if (!take_pair(key, pair, &auth, out, user))
			return false;
	}
	return auth && rest.n == 1;
}

bool
sasl_oauthbearer_parse(struct bytes message, struct sasl_oauth_said *out, struct buf *user)
{
	struct bytes other;

	*out = (struct sasl_oauth_said){ 0 };
	buf_clear(user);
	return message.n <= SASL_OAUTH_MAX && take_header(&message, user) && take_pairs(message, out, &other);
}

bool
sasl_xoauth2_parse(struct bytes message, struct sasl_oauth_said *out, struct buf *user)
{
	struct bytes name;

	*out = (struct sasl_oauth_said){ 0 };
	buf_clear(user);
	if (message.n > SASL_OAUTH_MAX || !take_pairs(message, out, &name) || name.n == 0 || bytes_has_control(name))
		return false;
	buf_add(user, name);
	return !user->full;
}

/* ---- what is said to it ---- */

static void
put_member(const char *name, struct bytes value, struct buf *out)
{
	if (value.n == 0)
		return;
	buf_fmt(out, "%s\"%s\":\"", out->p[out->n - 1] == '{' ? "" : ",", name);
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] == '"' || value.p[i] == '\\' || value.p[i] < ' ' || value.p[i] > '~')
			buf_fmt(out, "\\u%04x", value.p[i]);
		else
			buf_char(out, value.p[i]);
	buf_char(out, '"');
}

void
sasl_oauth_error(struct bytes status, struct bytes scope, struct bytes configuration, struct buf *out)
{
	buf_char(out, '{');
	put_member("status", status, out);
	put_member("scope", scope, out);
	put_member("openid-configuration", configuration, out);
	buf_char(out, '}');
}
