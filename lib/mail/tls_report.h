/* SPDX-License-Identifier: ISC */
/*
 * mail/tls_report.h - how sessions with other hosts were protected, counted as TLS reporting wants it (RFC 8460): of a day,
 * for each policy domain and each policy of it, those that were as they should be, and the others by what was wrong.
 *
 * Pure. smtp-client says what a session was, fetch counts and keeps a file a day (doc/tls-report-format.md), hermod tls
 * shows it. All is bounded: what there is no room for is counted as such.
 */
#ifndef MAIL_TLS_REPORT_H
#define MAIL_TLS_REPORT_H

#include "base/buf.h"
#include "mail/network.h"
#include "mail/tls_policy.h"

enum tls_report_type { TLS_REPORT_NO_POLICY, TLS_REPORT_TLSA, TLS_REPORT_STS };
const char	*tls_report_type_name(enum tls_report_type t);	/* section 4.4: "tlsa" */

enum tls_result {		/* section 4.3 */
	TLS_GOOD,
	TLS_STARTTLS_NOT_SUPPORTED,
	TLS_CERTIFICATE_HOST_MISMATCH,
	TLS_CERTIFICATE_EXPIRED,
	TLS_CERTIFICATE_NOT_TRUSTED,
	TLS_VALIDATION_FAILURE,
	TLS_TLSA_INVALID,
	TLS_DNSSEC_INVALID,
	TLS_DANE_REQUIRED,
	TLS_STS_POLICY_FETCH_ERROR,
	TLS_STS_POLICY_INVALID,
	TLS_STS_WEBPKI_INVALID,
	TLS_RESULTS
};
const char	*tls_result_name(enum tls_result r);	/* "certificate-expired"; TLS_GOOD: "" */

#define TLS_REPORT_LINES	8192u	/* octets of a policy */
#define TLS_REPORT_REASON	128u
#define TLS_REPORT_FAILURES	32u	/* of one policy that are told apart */
#define TLS_REPORT_OCTETS	(16u << 20)	/* of one day */
#define TLS_REPORT_FILE		(TLS_REPORT_OCTETS + 65536u)
#define TLS_REPORT_DAY		11	/* "2026-11-26", with its NUL */

struct tls_report_policy {
	enum tls_report_type type;
	struct bytes	domain;		/* the policy domain (section 1.1), lower-case; empty: nothing is counted */
	struct bytes	lines;		/* as in the file: "string version: STSv1\n", "mx *.example.org\n" */
};

struct tls_report_session {		/* one session, or one that did not come about */
	struct tls_report_policy policy;
	enum tls_result	 result;
	/* Not TLS_GOOD; each may be empty: */
	struct bytes	 sending, receiving;	/* addresses */
	struct bytes	 mx;		/* the host's name */
	struct bytes	 reason;	/* in words; "failure-reason-code" */
};

/* What a host's decision is to be counted under; in the arena. */
void		 tls_report_policy(const struct tls_question *q, const struct tls_decision *d, struct arena *a,
		    struct tls_report_policy *out);
/* Why nothing went to a host (d->refused). False: for a reason that is none of the receiving domain's. */
bool		 tls_report_refusal(const struct tls_question *q, enum tls_result *out);

/* ---- a day ---- */

struct tls_report_failure {
	enum tls_result	 result;
	uint64_t	 n;
	struct bytes	 sending, receiving, mx, reason;
	const struct tls_report_failure *next;
};

struct tls_report_entry {
	struct tls_report_policy policy;
	uint64_t	 good;
	uint64_t	 further;	/* failures that there was no room to tell apart */
	const struct tls_report_failure *failures;
};

struct tls_report;

struct tls_report *tls_report_new(size_t policies_max);
void		 tls_report_free(struct tls_report **r);
void		 tls_report_clear(struct tls_report *r);
/* What makes no sense is not counted: false. */
bool		 tls_report_add(struct tls_report *r, const struct tls_report_session *s);
/* Adds all of from. */
void		 tls_report_merge(struct tls_report *r, const struct tls_report *from);
bool		 tls_report_is_empty(const struct tls_report *r);
/* In the order of the domains. */
size_t		 tls_report_count(const struct tls_report *r);
const struct tls_report_entry *tls_report_at(const struct tls_report *r, size_t i);
uint64_t	 tls_report_further(const struct tls_report *r);	/* sessions under policies that there was no room for */
/* Of failures, and of those without room. */
uint64_t	 tls_report_failed(const struct tls_report_entry *e);

/* The file of a day. */
void		 tls_report_write(const struct tls_report *r, const char *day, struct buf *out);
/* Adds what a file has. False: it is damaged, or another day's, and nothing was added. */
bool		 tls_report_read(struct tls_report *r, const char *day, struct bytes file);
/* UTC. Returns dst. */
char		*tls_report_day(int64_t wall_s, char dst[TLS_REPORT_DAY]);
bool		 tls_report_is_day(const char *name);	/* has it the form of one? */

#endif
