/* SPDX-License-Identifier: ISC */
/*
 * proto/sasl_claim.h - who a client says it is, in the message that its keys are needed for: the first of SCRAM (RFC 5802
 * section 7), the answer to a challenge of CRAM-MD5 (RFC 2195 section 2). For whoever fetches the keys, and chooses the
 * channel binding, before the SASL library takes the same message apart. Pure.
 */
#ifndef PROTO_SASL_CLAIM_H
#define PROTO_SASL_CLAIM_H

#include "base/buf.h"

/* gs2-cbind-flag. */
enum scram_binds {
	SCRAM_BINDS_NOT = 'n',		/* the client cannot */
	SCRAM_COULD_BIND = 'y',		/* it could, and believes that the server cannot */
	SCRAM_BINDS = 'p',
};

struct scram_claim {
	enum scram_binds binds;
	struct bytes	binding;	/* SCRAM_BINDS: its name, "tls-exporter"; borrowed from the message */
};

/* The user goes into *user, and whom it wants to be into *wanted (empty: it does not say), decoded. False: no such message, or
 * one of them too long. */
bool	scram_claim(struct bytes message, struct scram_claim *out, struct buf *user, struct buf *wanted);
bool	cram_md5_claim(struct bytes message, struct buf *user);
/* saslname of RFC 5801 section 4, appended. False: none, empty, or too long. */
bool	sasl_name_decode(struct bytes s, struct buf *out);

#endif
