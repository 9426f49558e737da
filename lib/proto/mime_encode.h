/* SPDX-License-Identifier: ISC */
/*
 * proto/mime_encode.h - a body in a transfer encoding, piece by piece: RFC 2045 sections 6.7 (quoted-printable) and 6.8
 * (base64). The other direction is proto/mime_decode.h, and gives the same octets, whatever they were: in quoted-printable
 * only CRLF is a line end, a CR or LF alone is encoded. No line begins with "-", so none can be a boundary that was none before.
 * Pure; linear; in any pieces the same octets out.
 */
#ifndef PROTO_MIME_ENCODE_H
#define PROTO_MIME_ENCODE_H

#include "base/buf.h"
#include "proto/mime_decode.h"

struct mime_encoder {
	enum mime_transfer how;		/* MIME_QUOTED, MIME_BASE64; MIME_PLAIN: as it is */
	unsigned	column;		/* of the line that is being written; lines have at most 76 octets */
	unsigned char	held[3];	/* base64: not yet a group */
	unsigned	held_n;
	unsigned char	space;		/* quoted-printable: SP or HTAB that may be at the end of a line; 0: none */
	bool		cr;		/* quoted-printable: CR that may be that of a CRLF */
};

void	mime_encoder_init(struct mime_encoder *e, enum mime_transfer how);
/* Appends at most four times as many octets, and sixteen more. */
void	mime_encode(struct mime_encoder *e, struct bytes in, struct buf *out);
/* What was held back. The last line has no line end, unless (quoted-printable) the body has. */
void	mime_encode_end(struct mime_encoder *e, struct buf *out);

#endif
