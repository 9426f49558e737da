/* SPDX-License-Identifier: ISC */
/*
 * master/tables.c - every table of settings there is: what hermod.conf may hold.
 */
#include "master/tables.h"

#include <stddef.h>

const struct setting *const all_settings[] = {
	master_settings,
	journal_settings,
	router_settings,
	become_settings,
	local_settings,
	smtp_client_settings,
	qmgr_settings,
	cleanup_settings,
	bounce_settings,
	pam_settings,
	auth_settings,
	pickup_settings,
	smtp_server_settings,
	smtpd_settings,
	login_settings,
	mechanism_settings,
	pop3d_settings,
	imapd_settings,
	mailbox_settings,
	resolver_settings,
	fetch_settings,
	directory_settings,
	keys_settings,
	submission_settings,
	tls_limits_settings,
	tls_settings,
	NULL
};
