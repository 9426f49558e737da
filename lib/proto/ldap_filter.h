/* SPDX-License-Identifier: ISC */
/*
 * proto/ldap_filter.h - a search filter of LDAP, RFC 4515, with a place for a name in it: "(&(objectClass=person)(mail=%s))".
 * Pure: no I/O, no state.
 */
#ifndef PROTO_LDAP_FILTER_H
#define PROTO_LDAP_FILTER_H

#include "base/buf.h"

#define LDAP_FILTER_MAX	1024	/* octets of a template */
#define LDAP_FILTER_DEPTH 16

/* One filter in parentheses that fit, %s once at least and no other %, no control. */
bool	ldap_filter_is_template(struct bytes s);
/* A value as RFC 4515 section 3 wants it, so that nothing in it is a part of the filter: whatever could mean something
 * to a server, and all that is not printable ASCII, is \HH. */
void	ldap_filter_escape(struct bytes value, struct buf *out);
/* %s of a template replaced by the escaped name. False: out is full. */
bool	ldap_filter_make(struct bytes words, struct bytes name, struct buf *out);

#endif
