/* SPDX-License-Identifier: ISC */
/*
 * proto/smtp_content.h - a message as a client sends it: behind DATA, RFC 5321 sections 4.1.1.4 and 4.5.2 (dots), or in
 * chunks of BDAT, RFC 3030 section 2. The other direction is proto/smtp_data.h.
 *
 * Lines go out with CRLF and nothing else. Content has had CRLF since it was received, so a bare CR or LF is damage, or a
 * fault of ours; the next host could take it for the end of the message (SMTP smuggling, as CVE-2023-51764). The content
 * of a file is no reason to stop a process that serves others, nor to keep the message from its recipient: it becomes
 * CRLF, and `mended` says so. Only SMTP_CONTENT_BINARY (BODY=BINARYMIME) has octets that are no lines.
 * Pure; any pieces in, the same octets out.
 */
#ifndef PROTO_SMTP_CONTENT_H
#define PROTO_SMTP_CONTENT_H

#include "base/buf.h"

enum smtp_content_mode { SMTP_CONTENT_DATA, SMTP_CONTENT_BDAT, SMTP_CONTENT_BINARY };

struct smtp_content {
	enum smtp_content_mode mode;
	bool		mended;		/* a bare CR or LF was found */
	bool		at_line_start, cr;	/* its own */
};

void	smtp_content_init(struct smtp_content *s, enum smtp_content_mode mode);
/* Appends at most twice as many octets, and two more. */
void	smtp_content_feed(struct smtp_content *s, struct bytes in, struct buf *out);
/* What was held back; DATA: CRLF if it lacks, then ".CRLF". */
void	smtp_content_end(struct smtp_content *s, struct buf *out);
/* "BDAT 1000\r\n" or "BDAT 1000 LAST\r\n", for so many octets behind it. */
void	smtp_bdat_put(struct buf *out, size_t octets, bool last);

#endif
