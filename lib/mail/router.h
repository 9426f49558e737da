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

enum open_status { OPEN_FAILED, OPEN_OK, OPEN_NO_SPACE };
enum commit_status { COMMIT_FAILED, COMMIT_OK, COMMIT_NO_SPACE, COMMIT_REFUSED };
enum early_result { EARLY_KEEP, EARLY_DELIVERED, EARLY_REFUSED };
enum auth_result { AUTH_UNAVAILABLE, AUTH_CONTINUE, AUTH_OK, AUTH_FAILED };

#endif
