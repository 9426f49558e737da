/* SPDX-License-Identifier: ISC */
/*
 * proto/json_read.h - JSON that somebody else has written, RFC 8259: looked at where it stands, one member after the other.
 * Pure, no allocation; values are borrowed from the text. Stricter than many: UTF-8 alone, no half of a surrogate pair,
 * nothing behind the value, no name twice where it is asked for (RFC 7519 section 4).
 */
#ifndef PROTO_JSON_READ_H
#define PROTO_JSON_READ_H

#include "base/buf.h"

#define JSON_DEPTH	16	/* arrays and objects in one another */

enum json_kind { JSON_NONE /* it is not there */, JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	enum json_kind	kind;
	struct bytes	raw;	/* as it is written; of a string what is between the quotes, of an array or object with its brackets */
};

/* The whole of a text. False: it is none, or nested too deep. */
bool	json_read(struct bytes text, struct json_value *out);
/* The following are for what json_read has given, and what is in it. */
/* False: the name is there twice. JSON_NONE: it is not there, or this is no object. */
bool	json_member(const struct json_value *object, const char *name, struct json_value *out);
/* The items of an array, one after the other: *rest begins as its raw. False: there was no more. */
bool	json_item(struct bytes *rest, struct json_value *out);
/* A string's octets, appended. False: it is none, or there is no room: nothing is appended. */
bool	json_unquote(const struct json_value *string, struct buf *out);
bool	json_equals(const struct json_value *string, struct bytes want);
/* A number's integer part; what is behind the dot is left out. False: it is none, is written with an exponent, or has more
 * than 15 digits. */
bool	json_integer(const struct json_value *number, int64_t *out);

#endif
