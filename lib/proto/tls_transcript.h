/* SPDX-License-Identifier: ISC */
/*
 * proto/tls_transcript.h - what a TLS server signs, and nothing else: who holds a key for
 * others looks at it first, so that the key of a certificate cannot be made to sign a
 * message, a certificate or a client's proof.
 * RFC 8446 section 4.4.3; RFC 8422 section 5.4 (ECDHE in TLS 1.2), RFC 5246 section 7.4.3.
 * Pure.
 */
#ifndef PROTO_TLS_TRANSCRIPT_H
#define PROTO_TLS_TRANSCRIPT_H

#include "base/bytes.h"

bool	tls_transcript_is_server(struct bytes to_sign);

#endif
