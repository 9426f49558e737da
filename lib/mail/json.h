/* SPDX-License-Identifier: ISC */
/*
 * mail/json.h - JSON for `--json`: one object a line, RFC 8259. Only what is
 * written by hand is here: strings.
 */
#ifndef MAIL_JSON_H
#define MAIL_JSON_H

#include "base/buf.h"

/* Appends s in quotes. Octets that are no UTF-8 are taken for Latin-1, so that all can be told. */
void	json_string(struct buf *out, struct bytes s);
/* "name":"value", with a comma before it when a member stands before it. */
void	json_text(struct buf *out, const char *name, struct bytes value);
void	json_number(struct buf *out, const char *name, uint64_t value);
void	json_bool(struct buf *out, const char *name, bool value);

#endif
