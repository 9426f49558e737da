/* SPDX-License-Identifier: ISC */
/*
 * master/services.c - the architecture in a table: every process, as whom it
 * runs, what it may reach, whom it may ask. master starts what stands here, in
 * this order, and nothing else; each row is asserted by tests from outside (/proc)
 * and from inside. No process has a right it does not use:
 *
 *	what talks to the network has no file system;
 *	what has the queue has no network;
 *	what has private keys has neither;
 *	root is in master and become alone, and neither reads mail.
 *
 * A process waits for the network in an event loop and for the disk in a process
 * of its own. Every pair of "asks" is one socket pair a worker, made by master.
 * The journal is asked by all and stands in no list.
 */
#include "master/services.h"

#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "master/tables.h"

const struct service services[] = {
	{ .name = "journal", .user = "hermod-log", .net = NET_NONE,
	  .keep = KEEP_FILES | KEEP_WRITE, .dirs = { "+log_directory" },
	  .settings = journal_settings,
	  .what = "writes what the processes decided" },
	{ .name = "router", .user = "hermod-map", .workers = "router_workers", .net = NET_NONE,
	  .keep = KEEP_FILES | KEEP_ACCEPT, .listens = { "explain_socket" }, .dirs = { "tables" },
	  .asks = { "directory" }, .settings = router_settings,
	  .what = "answers questions about addresses" },
	{ .name = "become", .user = NULL, .net = NET_NONE,
	  .keep = KEEP_FILES | KEEP_WRITE | KEEP_FORK | KEEP_UID,
	  .settings = become_settings, .more = { pop3d_settings, imapd_settings, mailbox_settings },
	  .what = "forks workers that act as a mailbox's owner" },
	{ .name = "local", .user = "hermod-local", .net = NET_NONE,
	  .asks = { "become" }, .settings = local_settings,
	  .what = "delivers to mailboxes" },
	{ .name = "qmgr", .user = "hermod-queue", .net = NET_NONE,
	  .keep = KEEP_FILES | KEEP_WRITE | KEEP_ACCEPT, .listens = { "queue_socket" },
	  .dirs = { "+queue_directory" },
	  .asks = { "router", "local", "smtp-client", "bounce" }, .takes_over = true, .settings = qmgr_settings,
	  .what = "decides what to deliver next" },
	{ .name = "cleanup", .user = "hermod-queue", .workers = "cleanup_workers", .net = NET_NONE,
	  .keep = KEEP_FILES | KEEP_WRITE | KEEP_LEASE, .dirs = { "+queue_directory" },
	  .asks = { "qmgr" }, .settings = cleanup_settings,
	  .what = "makes messages durable" },
	{ .name = "pam", .user = "hermod-pam", .group = "shadow", .only_if = "system_accounts",
	  .net = NET_HOST,
	  .keep = KEEP_FILES | KEEP_WRITE | KEEP_FORK | KEEP_EXEC | KEEP_NET_OUT,
	  .settings = pam_settings,
	  .what = "asks PAM about system users" },
	{ .name = "auth", .user = "hermod-auth", .group = "hermod-map", .workers = "auth_workers", .net = NET_NONE,
	  .keep = KEEP_FILES | KEEP_WRITE | KEEP_ACCEPT, .listens = { "auth_socket" },
	  .dirs = { "tables", "+auth_directory" }, .tallies = 4, .vouches = true, .gets_keytab = true,
	  .asks = { "become", "pam", "fetch", "directory" }, .settings = auth_settings, .more = { mechanism_settings },
	  .what = "checks credentials" },
	{ .name = "pickup", .user = "hermod-queue", .net = NET_NONE,
	  .keep = KEEP_FILES | KEEP_WRITE | KEEP_ACCEPT, .listens = { "pickup_socket" },
	  .dirs = { "+queue_directory" },
	  .asks = { "router", "cleanup" }, .settings = pickup_settings,
	  .what = "takes mail from local commands" },
	{ .name = "smtpd", .user = "hermod-in", .workers = "smtpd_workers", .net = NET_NONE,
	  .keep = KEEP_ACCEPT, .listens = { "listen_smtp" }, .counts_clients = true,
	  .asks = { "router", "cleanup", "keys" }, .gets_certificates = true,
	  .settings = smtpd_settings, .more = { smtp_server_settings, tls_settings },
	  .what = "receives mail from other hosts" },
	{ .name = "pop3-login", .user = "hermod-login", .workers = "pop3_login_workers", .net = NET_NONE,
	  .keep = KEEP_ACCEPT, .listens = { "listen_pop3" }, .counts_clients = true,
	  .asks = { "auth", "become", "tls" }, .settings = login_settings, .more = { mechanism_settings },
	  .what = "POP3 until the client is known" },
	{ .name = "imap-login", .user = "hermod-login", .workers = "imap_login_workers", .net = NET_NONE,
	  .keep = KEEP_ACCEPT, .listens = { "listen_imap" }, .counts_clients = true,
	  .asks = { "auth", "become", "tls" }, .settings = login_settings, .more = { mechanism_settings },
	  .what = "IMAP until the client is known" },
	/* Numeric ids (uid_base) go by place: what is new stands at the end. */
	{ .name = "resolver", .user = "hermod-dns", .net = NET_HOST,
	  .keep = KEEP_FILES | KEEP_WRITE | KEEP_ACCEPT | KEEP_NET_OUT, .listens = { "dns_socket" },
	  .dirs = { "+dns_directory" }, .settings = resolver_settings,
	  .what = "asks the DNS" },
	{ .name = "smtp-client", .user = "hermod-out", .workers = "smtp_client_workers", .net = NET_HOST,
	  .keep = KEEP_NET_OUT, .dials = "lmtp_sockets",
	  .asks = { "resolver", "fetch", "router" }, .settings = smtp_client_settings,
	  .what = "sends mail to other hosts" },
	{ .name = "bounce", .user = "hermod-queue", .net = NET_NONE,
	  .asks = { "router", "cleanup" }, .takes_over = true, .settings = bounce_settings,
	  .what = "tells senders what became of their mail" },
	{ .name = "fetch", .user = "hermod-fetch", .net = NET_HOST,
	  .keep = KEEP_FILES | KEEP_WRITE | KEEP_NET_OUT, .dirs = { "+mta_sts_directory", "+tls_report_directory" },
	  .asks = { "resolver" }, .settings = fetch_settings,
	  .what = "gets policies by HTTPS, and asks about tokens" },
	{ .name = "keys", .user = "hermod-keys", .only_if = "tls_certificates", .workers = "keys_workers", .net = NET_NONE,
	  .gets_keys = true, .settings = keys_settings, .more = { tls_settings },
	  .what = "signs with private keys" },
	{ .name = "submission", .user = "hermod-submit", .only_if = "tls_certificates", .workers = "submission_workers",
	  .net = NET_NONE,
	  .keep = KEEP_ACCEPT, .listens = { "listen_submission", "listen_submissions", "submission_socket" }, .counts_clients = true, .tallies = 2,
	  .asks = { "router", "cleanup", "auth", "keys" }, .gets_certificates = true, .gets_client_ca = true, .vouches = true,
	  .settings = submission_settings, .more = { smtp_server_settings, tls_settings, mechanism_settings },
	  .what = "receives mail from users who log in" },
	{ .name = "tls", .user = "hermod-tls", .only_if = "tls_certificates", .workers = "tls_workers", .net = NET_NONE,
	  .keep = KEEP_ACCEPT, .listens = { "listen_imaps", "listen_pop3s" }, .counts_clients = true,
	  .asks = { "imap-login", "pop3-login", "keys" }, .gets_certificates = true, .gets_client_ca = true, .vouches = true,
	  .settings = tls_limits_settings, .more = { tls_settings },
	  .what = "ends TLS for POP3 and IMAP" },
	{ .name = "directory", .user = "hermod-directory", .only_if = "account_directory", .workers = "directory_workers",
	  .net = NET_HOST, .keep = KEEP_FILES | KEEP_NET_OUT,
	  .asks = { "resolver" }, .settings = directory_settings,
	  .what = "asks LDAP or SQL about accounts" },
	{ 0 }
};

bool
service_ids(const char *user, uint64_t uid_base, uid_t *uid, gid_t *gid)
{
	const struct passwd *pw;
	uint32_t index = 0;

	*uid = geteuid();
	*gid = getegid();
	if (!user || *uid != 0)
		return true;
	if (uid_base == 0) {
		if (!(pw = getpwnam(user)))
			return false;
		*uid = pw->pw_uid;
		*gid = pw->pw_gid;
		return true;
	}
	/* The first service of a user counts for all of them. */
	while (services[index].name && (!services[index].user || strcmp(services[index].user, user) != 0))
		index++;
	*uid = (uid_t)(uid_base + index);
	*gid = (gid_t)(uid_base + index);
	return services[index].name != NULL;
}
