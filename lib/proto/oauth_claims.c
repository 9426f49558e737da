/* SPDX-License-Identifier: ISC */
#include "proto/oauth_claims.h"

#include "proto/json_read.h"

/* The first thing that is wrong decides. */
struct judge {
	const struct oauth_rules *rules;
	struct json_value all;
	struct oauth_claims *out;
};

static bool
say(struct judge *j, enum oauth_verdict v, const char *why)
{
	j->out->verdict = v;
	j->out->why = why;
	return false;
}

/* False, and said: it is there twice. */
static bool
get(struct judge *j, const char *name, struct json_value *v)
{
	return json_member(&j->all, name, v) || say(j, OAUTH_BROKEN, "it says something twice");
}

static bool
is_active(struct judge *j)
{
	struct json_value v;

	if (!j->rules->introspected)
		return true;
	if (!get(j, "active", &v))
		return false;
	if (v.kind != JSON_TRUE && v.kind != JSON_FALSE)
		return say(j, OAUTH_BROKEN, "\"active\" is neither true nor false");
	return v.kind == JSON_TRUE || say(j, OAUTH_REFUSED, "it is not active: revoked, expired, or never issued");
}

/* A time, if there is one: else *out is as it was. */
static bool
get_time(struct judge *j, const char *name, int64_t *out)
{
	struct json_value v;

	if (!get(j, name, &v))
		return false;
	return v.kind == JSON_NONE || json_integer(&v, out) || say(j, OAUTH_BROKEN, "a time in it is no number");
}

static bool
is_in_time(struct judge *j)
{
	int64_t begins = INT64_MIN, now = j->rules->now_s;

	if (!get_time(j, "exp", &j->out->expires_s) || !get_time(j, "nbf", &begins))
		return false;
	if (j->out->expires_s == OAUTH_NEVER && !j->rules->introspected)
		return say(j, OAUTH_REFUSED, "it does not say when it ends");
	if (j->out->expires_s != OAUTH_NEVER && now >= j->out->expires_s + OAUTH_LEEWAY_S)
		return say(j, OAUTH_REFUSED, "it has expired");
	if (begins != INT64_MIN && now + OAUTH_LEEWAY_S < begins)
		return say(j, OAUTH_REFUSED, "its time has not begun");
	return true;
}

static bool
is_of_issuer(struct judge *j)
{
	struct json_value v;

	if (j->rules->issuer[0] == '\0')
		return true;
	if (!get(j, "iss", &v))
		return false;
	return json_equals(&v, text(j->rules->issuer)) || say(j, OAUTH_REFUSED, "it is not from oauth_issuer");
}

/* RFC 7519 section 4.1.3: one, or several. */
static bool
is_for_us(struct judge *j)
{
	struct bytes want = text(j->rules->audience), rest;
	struct json_value v, item;

	if (want.n == 0)
		return true;
	if (!get(j, "aud", &v))
		return false;
	if (json_equals(&v, want))
		return true;
	rest = v.raw;
	while (v.kind == JSON_ARRAY && json_item(&rest, &item))
		if (json_equals(&item, want))
			return true;
	return say(j, OAUTH_REFUSED, "it is not for oauth_audience");
}

static bool
has_word(struct bytes words, struct bytes want)
{
	while (words.n > 0)
		if (bytes_eq(bytes_cut(&words, ' '), want))
			return true;
	return false;
}

static bool
has_scope(struct judge *j)
{
	struct bytes want = text(j->rules->scope);
	struct json_value v;

	if (want.n == 0)
		return true;
	if (!get(j, "scope", &v))
		return false;
	while (want.n > 0)		/* a word of a scope needs no escape in JSON: raw will do */
		if (v.kind != JSON_STRING || !has_word(v.raw, bytes_cut(&want, ' ')))
			return say(j, OAUTH_SCOPE, "it lacks a scope of oauth_scope");
	return true;
}

/* OpenID Connect Core section 5.1: whoever has an account there can write any address into it; only a verified one is his.
 * Some say it as a string. */
static bool
is_verified(struct judge *j)
{
	struct json_value v;

	if (strcmp(j->rules->user_claim, "email") != 0)
		return true;
	if (!get(j, "email_verified", &v))
		return false;
	return v.kind == JSON_NONE || v.kind == JSON_TRUE || json_equals(&v, text("true"))
	    || say(j, OAUTH_REFUSED, "its email is not verified");
}

static bool
names_user(struct judge *j, struct buf *user)
{
	struct json_value v;

	if (!get(j, j->rules->user_claim, &v))
		return false;
	if (v.kind == JSON_NONE || v.kind == JSON_NULL)
		return say(j, OAUTH_REFUSED, "it does not have the claim of oauth_user_claim");
	if (v.kind != JSON_STRING)
		return say(j, OAUTH_BROKEN, "the claim of oauth_user_claim is no string");
	buf_clear(user);
	if (!json_unquote(&v, user) || user->n == 0 || user->n > OAUTH_CLAIM_MAX || bytes_has_control(buf_bytes(user)))
		return say(j, OAUTH_REFUSED, "the claim of oauth_user_claim is no name of an account");
	return true;
}

void
oauth_claims_judge(struct bytes json, const struct oauth_rules *r, struct oauth_claims *out, struct buf *user)
{
	struct judge j = { .rules = r, .out = out };

	*out = (struct oauth_claims){ .expires_s = OAUTH_NEVER };
	buf_clear(user);
	if (!json_read(json, &j.all) || j.all.kind != JSON_OBJECT)
		say(&j, OAUTH_BROKEN, "it is no JSON object");
	else if (is_active(&j) && is_in_time(&j) && is_of_issuer(&j) && is_for_us(&j) && has_scope(&j) && is_verified(&j)
	    && names_user(&j, user))
		return;
	buf_clear(user);
}

bool
oauth_is_scope(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool space = s.p[i] == ' ';

		if (space ? i == 0 || i + 1 == s.n || s.p[i - 1] == ' ' : s.p[i] < '!' || s.p[i] > '~' || s.p[i] == '"' || s.p[i] == '\\')
			return false;
	}
	return true;
}
