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
	qmgr_settings,
	cleanup_settings,
	pam_settings,
	auth_settings,
	pickup_settings,
	smtpd_settings,
	login_settings,
	pop3d_settings,
	imapd_settings,
	mailbox_settings,
	NULL
};
