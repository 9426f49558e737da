/* SPDX-License-Identifier: ISC */
/*
 * proto/mta_sts.h - MTA Strict Transport Security, RFC 8461: the TXT record that announces a policy (section 3.1), the
 * policy itself (section 3.2), and whether it names a host (section 4.1).
 *
 * Pure and bounded. What the RFC tells senders to ignore is ignored: fields that are not known, and all but the first of
 * those that may stand once.
 */
#ifndef PROTO_MTA_STS_H
#define PROTO_MTA_STS_H

#include "base/arena.h"

#define MTA_STS_ID_MAX		32
#define MTA_STS_POLICY_MAX	65536u		/* octets of a policy that are read, RFC 8461 section 3.3 */
#define MTA_STS_MX_MAX		1000		/* patterns of one policy; a policy with more is refused */
#define MTA_STS_MX_OCTETS	32768u		/* of them together */
#define MTA_STS_AGE_MAX_S	31557600u	/* a longer max_age means this */
#define MTA_STS_ARENA		(1u << 18)	/* room that one policy needs */

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };

struct mta_sts_policy {
	enum mta_sts_mode mode;
	uint32_t	max_age_s;
	struct bytes	*mx;		/* patterns, lower-case: "mx.example.org", "*.example.org" */
	size_t		 nmx;		/* 0 only with MTA_STS_NONE */
};

/* One TXT record, its strings joined. False: it announces nothing. *id is borrowed from it. */
bool		 mta_sts_txt(struct bytes record, struct bytes *id);
/* Of all TXT records of the name: true when exactly one is for us, and makes sense. */
bool		 mta_sts_txt_choose(const struct bytes *records, size_t n, struct bytes *id);

/* NULL: *out is what it says, in the arena. Else it is no policy, and this is why, in words. */
const char	*mta_sts_policy_parse(struct bytes body, struct arena *a, struct mta_sts_policy *out);
const char	*mta_sts_mode_name(enum mta_sts_mode mode);

/* Is this what may stand behind "mx:"? */
bool		 mta_sts_is_pattern(struct bytes pattern);
/* host: without a last dot. "*." stands for exactly one label. */
bool		 mta_sts_matches(struct bytes pattern, struct bytes host);
bool		 mta_sts_allows(const struct mta_sts_policy *p, struct bytes host);

#endif
