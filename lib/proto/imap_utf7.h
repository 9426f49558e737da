/* SPDX-License-Identifier: ISC */
/*
 * proto/imap_utf7.h - mailbox names on the wire: modified UTF-7, RFC 3501
 * section 5.1.3 (UTF-7 itself: RFC 2152).
 * Pure. Each name has one form on the wire and each form one name: what is
 * decoded encodes to the very same octets, so that no two names are one mailbox
 * and no mailbox has two names.
 */
#ifndef PROTO_IMAP_UTF7_H
#define PROTO_IMAP_UTF7_H

#include "base/buf.h"

/*
 * Both append to a buf of the caller's, whose max is the limit of a name; no limit
 * else. False: the buf holds what it did before; `full` is set when its max was why.
 * The empty name is true and empty.
 *
 * Neither takes a control (U+0000-001F, U+007F-009F) or a line or paragraph
 * separator (U+2028, U+2029): RFC 6855 section 3 has them in no mailbox name.
 */

/*
 * Strict. False for an octet outside 0x20-0x7e; base64 that is without its '-', has
 * an octet not of the alphabet, or holds a printable ASCII character ("&-" is the
 * only form of '&'); a run right after another ("&...-&...-"); bits left over that
 * are not zero, or a whole character of base64 of them; half a surrogate pair.
 * Gives at most 9 octets for 8 of wire.
 */
bool	imap_utf7_decode(struct bytes wire, struct buf *utf8);

/* False when utf8 is not well-formed. Gives at most 5 octets for 2 of utf8. */
bool	imap_utf7_encode(struct bytes utf8, struct buf *wire);

#endif
