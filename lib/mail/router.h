/* SPDX-License-Identifier: ISC */
/*
 * mail/router.h - the words in which the router is asked and answers.
 */
#ifndef MAIL_ROUTER_H
#define MAIL_ROUTER_H

/* Three values: zero, the forgotten case, is the temporary one. */
enum verdict { NOT_SURE, YES, NO };

/* Who asks. Only these may matter to relaying. */
enum client_class {
	CLIENT_STRANGER,	/* any host */
	CLIENT_TRUSTED,		/* its address is in trusted_networks */
	CLIENT_ACCOUNT,		/* authenticated */
	CLIENT_LOCAL_USER,	/* the sendmail command */
};

/* What became of one delivery: zero keeps the mail. */
enum outcome { TRY_LATER, DELIVERED, BOUNCE };

/* What a delivery says of its next hop: a delivery to it was tried, or is not worth being tried by others just now. */
enum relay_contact {
	CONTACT_NONE,		/* it says nothing: no attempt was made, or it failed on this side */
	CONTACT_GOOD,		/* the other side talks, whatever it said of this message */
	CONTACT_BUSY,		/* it asks for less: 421, or a temporary refusal before MAIL */
	CONTACT_FAILED,		/* nobody there: no address, no connection, no greeting, a session that breaks */
};

/* What a notification is about. */
enum notice_kind { NOTICE_FINAL /* recipients in RCPT_FAILED and RCPT_PASSED */, NOTICE_DELAY /* those that wait */ };
enum notice_result {
	NOTICE_LATER,		/* it could not be made: ask again */
	NOTICE_SENT,		/* it is in the queue, durable */
	NOTICE_NEEDLESS,	/* nobody wants to be told, or may be: as good as sent */
	NOTICE_HOLD,		/* nobody can be told who should be: a person has to look */
};

enum open_status { OPEN_FAILED, OPEN_OK, OPEN_NO_SPACE };
enum commit_status { COMMIT_FAILED, COMMIT_OK, COMMIT_NO_SPACE, COMMIT_REFUSED };
enum early_result { EARLY_KEEP, EARLY_DELIVERED, EARLY_REFUSED };
enum auth_result { AUTH_UNAVAILABLE, AUTH_CONTINUE, AUTH_OK, AUTH_FAILED };

#endif
