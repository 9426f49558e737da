/* SPDX-License-Identifier: ISC */
/*
 * master/tables.h - the settings tables of all programs: <program>/settings.c
 * of each, and those in lib that several share. master and hermod link them all.
 */
#ifndef MASTER_TABLES_H
#define MASTER_TABLES_H

#include "mail/mechanisms.h"
#include "mail/tls_settings.h"

extern const struct setting master_settings[];	/* and what several programs share */
extern const struct setting become_settings[];
extern const struct setting smtp_server_settings[];	/* of smtpd and submission; daemon/smtp_session.h */
extern const struct setting smtpd_settings[];
extern const struct setting cleanup_settings[];
extern const struct setting smtp_client_settings[];
extern const struct setting bounce_settings[];
extern const struct setting qmgr_settings[];
extern const struct setting router_settings[];
extern const struct setting local_settings[];
extern const struct setting pickup_settings[];
extern const struct setting auth_settings[];
extern const struct setting pam_settings[];
extern const struct setting journal_settings[];
extern const struct setting resolver_settings[];
extern const struct setting fetch_settings[];
extern const struct setting keys_settings[];
extern const struct setting submission_settings[];
extern const struct setting tls_limits_settings[];
extern const struct setting directory_settings[];
extern const struct setting login_settings[];	/* of pop3-login and imap-login; daemon/login.h */
extern const struct setting pop3d_settings[];	/* loaded by become, for its sessions; so is the next */
extern const struct setting imapd_settings[];
extern const struct setting mailbox_settings[];	/* of both; mail/mailbox_settings.h */

extern const struct setting *const all_settings[];	/* every table above; ends with NULL */

#endif
