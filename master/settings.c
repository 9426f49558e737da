/* SPDX-License-Identifier: ISC */
/*
 * master/settings.c - what master itself needs, and what says where the whole
 * suite is: the programs are handed sockets and directories, not their names.
 */
#include "master/master.h"

#include <stddef.h>

#include "config.h"
#include "mail/relay.h"
#include "master/tables.h"

#define S struct master_settings

const struct setting master_settings[] = {
	SET_TEXT_IF("queue_directory",	S, queue_directory, HERMOD_LOCALSTATEDIR "/spool/hermod", setting_is_path),
	SET_TEXT_IF("auth_directory",	S, auth_directory, HERMOD_LOCALSTATEDIR "/lib/hermod/auth", setting_is_path),
	SET_TEXT_IF("dns_directory",	S, dns_directory, HERMOD_LOCALSTATEDIR "/lib/hermod/dns", setting_is_path),
	SET_TEXT_IF("mta_sts_directory", S, mta_sts_directory, HERMOD_LOCALSTATEDIR "/lib/hermod/mta-sts", setting_is_path),
	SET_TEXT_IF("tls_report_directory", S, tls_report_directory, HERMOD_LOCALSTATEDIR "/lib/hermod/tls-report", setting_is_path),
	SET_TEXT_IF("run_directory",	S, run_directory, HERMOD_LOCALSTATEDIR "/run/hermod", setting_is_path),
	SET_TEXT_IF("program_directory", S, program_directory, HERMOD_LIBEXECDIR, setting_is_path),
	SET_TEXT_IF("pid_file",		S, pid_file, HERMOD_LOCALSTATEDIR "/run/hermod/master.pid", setting_is_path),
	SET_TEXT_IF("log_file",		S, log_file, HERMOD_LOCALSTATEDIR "/log/hermod.log", setting_is_log),
	SET_LIST("listen_smtp",		S, listen_smtp, "0.0.0.0:25\n[::]:25\n", setting_is_listen),
	SET_LIST("listen_submission",	S, listen_submission, "0.0.0.0:587\n[::]:587\n", setting_is_listen),
	SET_LIST("listen_submissions",	S, listen_submissions, "0.0.0.0:465\n[::]:465\n", setting_is_listen),
	SET_LIST("listen_pop3",		S, listen_pop3, "0.0.0.0:110\n[::]:110\n", setting_is_listen),
	SET_LIST("listen_imap",		S, listen_imap, "0.0.0.0:143\n[::]:143\n", setting_is_listen),
	SET_LIST("listen_pop3s",	S, listen_pop3s, "0.0.0.0:995\n[::]:995\n", setting_is_listen),
	SET_LIST("listen_imaps",	S, listen_imaps, "0.0.0.0:993\n[::]:993\n", setting_is_listen),
	SET_TEXT_IF("gssapi_keytab",	S, gssapi_keytab, "", setting_is_path_or_empty),
	SET_LIST("trusted_networks",	S, trusted_networks, RELAY_NETWORKS_STANDARD, setting_is_network),
	SET_BOOL("allow_unauthenticated_relay", S, allow_unauthenticated_relay, "no"),
	SET_NUMBER("uid_base",		S, uid_base, "0", 0, 4000000000),
	SET_NUMBER("router_workers",	S, router_workers, "1", 1, 32),
	SET_NUMBER("smtp_client_workers", S, smtp_client_workers, "1", 1, 32),
	SET_NUMBER("directory_workers",	S, directory_workers, "2", 1, 32),
	SET_NUMBER("tls_workers",	S, tls_workers, "1", 1, 32),
	SET_NUMBER("submission_workers", S, submission_workers, "1", 1, 32),
	SET_NUMBER("keys_workers",	S, keys_workers, "1", 1, 32),
	SET_NUMBER("cleanup_workers",	S, cleanup_workers, "2", 1, 32),
	SET_NUMBER("auth_workers",	S, auth_workers, "2", 1, 32),
	SET_NUMBER("smtpd_workers",	S, smtpd_workers, "2", 1, 32),
	SET_NUMBER("pop3_login_workers", S, pop3_login_workers, "1", 1, 32),
	SET_NUMBER("imap_login_workers", S, imap_login_workers, "1", 1, 32),
	SET_NUMBER("open_files",	S, open_files, "65536", 256, 1048576),
	SET_TIME("start_timeout",	S, start_timeout_ms, "30s", 1000, 600000),
	SET_TIME("stop_timeout",	S, stop_timeout_ms, "5s", 100, 600000),
	SET_END
};
