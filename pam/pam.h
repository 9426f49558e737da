/* SPDX-License-Identifier: ISC */
/*
 * pam/pam.h - settings of pam, and the exchange that its children run.
 */
#ifndef PAM_PAM_H
#define PAM_PAM_H

#include "base/bytes.h"
#include "mail/router.h"
#include "mail/settings.h"

struct pam_settings {
	const char	*pam_directory;		/* of service files; "": PAM's own, /etc/pam.d */
	uint64_t	 pam_processes;		/* exchanges at once */
	uint64_t	 pam_timeout_ms;	/* of one */
};

extern const struct setting pam_settings[];

/* Asks PAM; blocks. directory: "" or where the service's file is. NOT_SURE: PAM itself failed,
 * words says how. */
enum verdict	pam_ask(const char *directory, const char *service, const char *user, struct bytes password,
		    const char *client, const char **words);

#endif
