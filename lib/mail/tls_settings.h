/* SPDX-License-Identifier: ISC */
/*
 * mail/tls_settings.h - what can be set about TLS for clients that connect here, by
 * all services that have it; a table of its own, beside each program's.
 */
#ifndef MAIL_TLS_SETTINGS_H
#define MAIL_TLS_SETTINGS_H

#include "mail/settings.h"

#define TLS_CERTIFICATES_MAX 64

enum tls_profile { TLS_INTERMEDIATE /* 1.2 and 1.3 */, TLS_MODERN /* 1.3 alone */ };

struct tls_settings {
	struct setting_list certificates;	/* "CHAIN:KEY", two paths; the first is for clients that name no server */
	const char	*client_ca_file;	/* who vouches for clients' certificates; empty: no client is asked for one */
	unsigned	 profile;		/* enum tls_profile */
	uint64_t	 ticket_time_ms;	/* how long a session can be resumed; 0: not at all */
};

extern const struct setting tls_settings[];

/* An item's two paths. False: it is not of that form. */
bool	tls_certificate_paths(const char *item, struct bytes *chain, struct bytes *key);

#endif
