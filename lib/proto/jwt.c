/* SPDX-License-Identifier: ISC */
#include "proto/jwt.h"

#include "base/encode.h"
#include "proto/json_read.h"

bool
base64url_decode(struct bytes s, struct arena *a, struct bytes *out)
{
	struct buf with, octets;
	bool good = bytes_find(s, '+') == s.n && bytes_find(s, '/') == s.n && bytes_find(s, '=') == s.n;

	buf_init(&with, s.n + 3);
	buf_init(&octets, s.n + 3);
	for (size_t i = 0; i < s.n; i++)
		buf_char(&with, s.p[i] == '-' ? '+' : s.p[i] == '_' ? '/' : s.p[i]);
	while (with.n % 4 != 0)
		buf_char(&with, '=');
	good = good && s.n > 0 && base64_decode(buf_bytes(&with), &octets);
	if (good)
		*out = arena_copy(a, buf_bytes(&octets));
	buf_wipe(&with);
	buf_wipe(&octets);
	return good;
}

static bool
find_algorithm(const struct json_value *name, enum jwt_algorithm *out)
{
	static const struct { const char *name; enum jwt_algorithm algorithm; } known[] = {
		{ "RS256", JWT_RS256 }, { "PS256", JWT_PS256 }, { "ES256", JWT_ES256 }, { "EdDSA", JWT_EDDSA } };

	for (size_t i = 0; i < LEN(known); i++)
		if (json_equals(name, text(known[i].name))) {
			*out = known[i].algorithm;
			return true;
		}
	return false;
}

/* RFC 7515 section 4.1; what is critical and not known here must not be passed over (4.1.11), and nothing of it is. */
static const char *
parse_header(struct bytes header, struct jwt *out)
{
	struct json_value all, alg, crit, b64;

	if (!json_read(header, &all) || all.kind != JSON_OBJECT)
		return "its header is no JSON object";
	if (!json_member(&all, "alg", &alg) || !json_member(&all, "crit", &crit) || !json_member(&all, "b64", &b64))
		return "its header says something twice";
	if (crit.kind != JSON_NONE || b64.kind != JSON_NONE)
		return "its header has an extension that is not known here";
	if (!find_algorithm(&alg, &out->algorithm))
		return "it is not signed by RS256, PS256, ES256 or EdDSA";
	return NULL;
}

const char *
jwt_parse(struct bytes token, struct arena *a, struct jwt *out)
{
	struct bytes rest = token, header, claims;

	*out = (struct jwt){ 0 };
	if (token.n > JWT_MAX)
		return "it is too long";
	header = bytes_cut(&rest, '.');
	claims = bytes_cut(&rest, '.');
	if (!base64url_decode(header, a, &header) || !base64url_decode(claims, a, &out->claims)
	    || !base64url_decode(rest, a, &out->signature))
		return "it is no JSON Web Token with a signature";
	out->signs = bytes_head(token, token.n - rest.n - 1);
	return parse_header(header, out);
}
