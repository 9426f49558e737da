/* SPDX-License-Identifier: ISC */
/*
 * pam/ask.c - one exchange with PAM, in a process of its own: modules may block,
 * crash, leak, or change what they are run in.
 */
#include "pam/pam.h"

#include <security/pam_appl.h>
#include <stdlib.h>

#include "base/mem.h"

#define MESSAGES_MAX 8		/* in one round; more is no question about a password */

struct talk { const char *user; struct bytes password; };

/* Freed by PAM, with free(3). */
static char *
copy(struct bytes s)
{
	char *p = calloc(1, s.n + 1);

	if (p && s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

static int
converse(int n, const struct pam_message **m, struct pam_response **out, void *arg)
{
	const struct talk *t = arg;
	struct pam_response *r;

	if (n <= 0 || n > MESSAGES_MAX || !(r = calloc((size_t)n, sizeof *r)))
		return PAM_CONV_ERR;
	for (int i = 0; i < n; i++) {
		if (m[i]->msg_style == PAM_PROMPT_ECHO_OFF)
			r[i].resp = copy(t->password);
		else if (m[i]->msg_style == PAM_PROMPT_ECHO_ON)
			r[i].resp = copy(text(t->user));
	}
	*out = r;
	return PAM_SUCCESS;
}

static enum verdict
verdict_of(int r)
{
	switch (r) {
	case PAM_SUCCESS:
		return YES;
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
	case PAM_ACCT_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_CRED_EXPIRED:
	case PAM_PERM_DENIED:
		return NO;
	default:		/* a module could not find out */
		return NOT_SURE;
	}
}

enum verdict
pam_ask(const char *directory, const char *service, const char *user, struct bytes password,
    const char *client, const char **words)
{
	struct talk talk = { user, password };
	struct pam_conv conv = { converse, &talk };
	pam_handle_t *h = NULL;
	int r = directory[0] ? pam_start_confdir(service, user, &conv, directory, &h)
	    : pam_start(service, user, &conv, &h);

	if (r != PAM_SUCCESS || !h) {
		*words = "pam_start";
		return NOT_SURE;
	}
	if (client[0] != '\0')
		pam_set_item(h, PAM_RHOST, client);
	r = pam_authenticate(h, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (r == PAM_SUCCESS)
		r = pam_acct_mgmt(h, PAM_SILENT);
	*words = pam_strerror(h, r);
	pam_end(h, r);
	return verdict_of(r);
}
