/* SPDX-License-Identifier: ISC */
/*
 * mail/notice_policy.h - who is told what of a message's fate, and who must not be.
 * RFC 3461 sections 4.1 and 5.2 (NOTIFY), RFC 5321 section 6.1 (null reverse-path), RFC 3464 section 2.
 *
 * A notification goes to an address that the message itself has named. Sent to whoever
 * is named there it makes this host a tool against third parties (backscatter): so it goes only where there
 * is a reason to believe the name. Everything that speaks of it is here. Pure.
 */
#ifndef MAIL_NOTICE_POLICY_H
#define MAIL_NOTICE_POLICY_H

#include "mail/envelope.h"
#include "mail/relay.h"
#include "mail/router.h"

/* What a notification says of one recipient: the Action of RFC 3464 section 2.3.3. */
enum notice_action { ACTION_NONE, ACTION_FAILED, ACTION_DELAYED, ACTION_DELIVERED, ACTION_RELAYED, ACTION_EXPANDED };

struct notice_told { uint32_t rcpt; enum notice_action action; bool alias; };	/* alias: one of several behind one address */

/*
 * The recipients that the notification speaks of, failed ones first, else in their order; in the arena. *failed: how many of
 * them. The others have said that nobody is to be told, or have nothing to tell.
 */
size_t	notice_recipients(const struct envelope *e, enum notice_kind kind, struct arena *a, struct notice_told **out,
	    size_t *failed);

struct notice_policy {
	const struct relay_rule *relay;	/* borrowed: trusted_networks */
	bool		 to_strangers;	/* bounce_to_strangers */
	bool		 to_postmaster;	/* double_bounce = postmaster; else it is discarded */
};

enum notice_to {
	NOTICE_TO_NOBODY,	/* as good as told */
	NOTICE_TO_SENDER,
	NOTICE_TO_SENDER_OF_OURS,	/* if the address is one of this host's; else notice_to_else */
	NOTICE_TO_POSTMASTER,
	NOTICE_TO_HOLD,		/* a person has to look */
};

/* To whom, before the router has said where the sender's address leads. failed: recipients that failed, which
 * somebody has to hear of. *why: in words, when it is HOLD; else NULL. */
enum notice_to	notice_to(const struct notice_policy *p, const struct envelope *e, size_t failed, const char **why);
/* The same when the router refuses the sender's address, which `refused` named. */
enum notice_to	notice_to_else(const struct notice_policy *p, const struct envelope *e, size_t failed, enum notice_to refused,
	    const char **why);

#endif
