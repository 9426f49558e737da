/* SPDX-License-Identifier: ISC */
/*
 * proto/mime_decode.h - what a transfer encoding hides, and encoded words.
 * RFC 2045 sections 6.7 (quoted-printable), 6.8 (base64); RFC 2047 sections 2, 4.
 *
 * Pure; linear; piece by piece. For who looks for text in mail as it is, so nothing fails: of base64 what is
 * no digit is passed over, and padding may be followed by more; of quoted-printable a "=" that begins nothing
 * stands for itself.
 */
#ifndef PROTO_MIME_DECODE_H
#define PROTO_MIME_DECODE_H

#include "base/bytes.h"

enum mime_transfer {
	MIME_PLAIN,		/* 7bit, 8bit, binary, and what nobody knows */
	MIME_BASE64,		/* "B" of encoded words, too */
	MIME_QUOTED,
	MIME_Q,			/* of encoded words: "_" is a space, line ends are nothing */
};

/* What the value of a Content-Transfer-Encoding says. */
enum mime_transfer mime_transfer(struct bytes value);

struct mime_decoder {
	enum mime_transfer how;
	struct bytes	in;		/* borrowed: what is left */
	uint32_t	bits;		/* base64: the last n are not given out yet */
	unsigned	n;
};

void	mime_decoder_init(struct mime_decoder *d, enum mime_transfer how, struct bytes in);
/* Octets put into out, at most room (not 0); 0 at the end. */
size_t	mime_decode(struct mime_decoder *d, unsigned char *out, size_t room);

/* "=?charset*language?B?text?=" */
struct encoded_word {
	struct bytes	charset;	/* borrowed, as all of it; without language */
	enum mime_transfer how;		/* MIME_BASE64 or MIME_Q */
	struct bytes	text;		/* to be decoded */
};

/* The encoded word at the very front of s, and its octets; 0: there is none. Other than RFC 2047 has it, text may
 * hold white space and octets above 127, and be of any length. */
size_t	encoded_word(struct bytes s, struct encoded_word *out);

#endif
