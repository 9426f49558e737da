/* SPDX-License-Identifier: ISC */
#include "proto/imap_capability.h"

/* Only what can be used before the login; ENABLE cannot (RFC 5161 section 3.1). */
#define ALWAYS		"IMAP4rev1 LITERAL+ ID "

const char imap_capability_login[] = ALWAYS "SASL-IR";
const char imap_capability_closed[] = ALWAYS "LOGINDISABLED";

/* APPENDLIMIT without a number (RFC 7889 section 2): STATUS tells it; what is told before the mailbox is
 * open need not know its settings. */
const char imap_capability_session[] = ALWAYS "SASL-IR ENABLE IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE "
    "SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE APPENDLIMIT ESEARCH SEARCHRES "
    "MULTIAPPEND WITHIN CONDSTORE";
