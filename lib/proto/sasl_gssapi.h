/* SPDX-License-Identifier: ISC */
/*
 * proto/sasl_gssapi.h - what is left of SASL's GSSAPI (RFC 4752) when GSSAPI itself has done its part: the client's last message,
 * unwrapped, and whose a Kerberos principal is. Pure.
 */
#ifndef PROTO_SASL_GSSAPI_H
#define PROTO_SASL_GSSAPI_H

#include "base/bytes.h"

#define GSSAPI_OFFER "\1\0\0\0"		/* section 3.1: no security layer, and so no size; 4 octets */

/* Section 3.1: the layer that was offered, and the authorization identity, which may be empty; borrowed from the message. False:
 * another layer, or no such message. */
bool	gssapi_answer(struct bytes message, struct bytes *identity);
/* The user of "user@REALM"; borrowed. False: of another realm, of several components (user/admin), or with what would have
 * to be escaped. */
bool	gssapi_user(struct bytes principal, struct bytes realm, struct bytes *user);

#endif
