/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_setup_conf.c - hermod.conf and aliases of a new host.
 */
#include <stdio.h>
#include <unistd.h>

#include "config.h"
#include "tools/hermod_setup.h"

#define MAIL_UID_ABOVE	99	/* uid_base: far above those of all services */

const struct setup_service setup_services[SETUP_SERVICES] = {
	{ "listen_smtp", 25, -1 },
	{ "listen_submission", 587, PUBLISH_SUBMISSION },
	{ "listen_submissions", 465, PUBLISH_SUBMISSIONS },
	{ "listen_pop3", 110, PUBLISH_POP3 },
	{ "listen_imap", 143, PUBLISH_IMAP },
	{ "listen_pop3s", 995, PUBLISH_POP3S },
	{ "listen_imaps", 993, PUBLISH_IMAPS },
};

bool
setup_path_fits(const char *path)
{
	struct bytes p = text(path);

	for (size_t i = 0; i < p.n; i++)
		if (!ascii_alnum(p.p[i]) && !strchr("/._+,@%~-", p.p[i]))
			return false;
	return p.n > 1 && p.p[0] == '/' && p.n <= SETUP_PATH_MAX && p.p[p.n - 1] != '/';
}

const char *
setup_account_map(const struct setup *s)
{
#ifdef HAVE_BDB
	const char *type = "hash";
#else
	const char *type = "lmdb";
#endif
	return arena_text(s->a, arena_fmt(s->a, "%s:%s/accounts", type, s->etc));
}

const char *
setup_alias_file(const struct setup *s)
{
	return arena_text(s->a, arena_fmt(s->a, "%s/aliases", s->etc));
}

static void
put_listen(const struct setup *s, struct buf *out)
{
	static const char *const everywhere[] = { "0.0.0.0", "[::]" };

	buf_text(out, "\n# Where clients come in.\n");
	for (size_t i = 0; i < SETUP_SERVICES; i++) {
		unsigned port = (unsigned)(s->port_base + setup_services[i].port);

		buf_fmt(out, "%s = {", setup_services[i].setting);
		for (size_t k = 0; s->nlisten == 0 && k < LEN(everywhere); k++)
			buf_fmt(out, "%s\"%s:%u\"", k > 0 ? ", " : "", everywhere[k], port);
		for (size_t k = 0; k < s->nlisten; k++) {
			bool six = !address_is_ipv4(&s->listen[k]);
			char words[NETWORK_TEXT_MAX];

			buf_fmt(out, "%s\"%s%s%s:%u\"", k > 0 ? ", " : "", six ? "[" : "", address_text(&s->listen[k], words),
			    six ? "]" : "", port);
		}
		buf_text(out, "}\n");
	}
}

static void
put_folders(const struct setup *s, struct buf *out)
{
	static const struct { const char *setting, *below; } folders[] = {
		{ "queue_directory", "queue" }, { "auth_directory", "auth" }, { "dns_directory", "dns" }, { "mta_sts_directory", "mta-sts" },
		{ "tls_report_directory", "tls-report" }, { "run_directory", "run" }, { "mail_directory", "mail" },
		{ "log_file", "log/hermod.log" }, { "pid_file", "run/master.pid" },
	};

	buf_text(out, "\n# Folders are made at the start.\n");
	for (size_t i = 0; i < LEN(folders); i++)
		buf_fmt(out, "%s = \"%s/%s\"\n", folders[i].setting, s->directory, folders[i].below);
}

static void
put_users(const struct setup *s, struct buf *out)
{
	if (s->uid_base != 0) {
		unsigned long long mail = (unsigned long long)s->uid_base + MAIL_UID_ABOVE;

		buf_fmt(out, "\n# Each process has a numeric id of its own, which no user of this host has.\n"
		    "uid_base = %llu\nmail_uid = %llu\nmail_gid = %llu\n", (unsigned long long)s->uid_base, mail, mail);
	} else if (geteuid() != 0) {
		buf_text(out, "\n# Everything runs as one user, who is not root.\n");
		if (geteuid() < 1000)
			buf_fmt(out, "first_uid = %u\n", (unsigned)geteuid());
		buf_fmt(out, "mail_uid = %u\nmail_gid = %u\n", (unsigned)geteuid(), (unsigned)getegid());
	}
}

static void
put_certificates(const struct setup *s, struct buf *out)
{
	buf_text(out, s->own ? "\n# Made by hermod setup, signed by itself. A certificate that a CA has signed is put in its place here;\n"
	    "# with the same key the TLSA record in the DNS stays right.\n" : "\n");
	buf_text(out, "tls_certificates = {");
	for (size_t i = 0; i < s->certificates; i++)
		buf_fmt(out, "%s\"%s:%s\"", i > 0 ? ",\n    " : "", s->chain[i], s->key[i]);
	buf_text(out, "}\n");
}

void
setup_conf(const struct setup *s, struct buf *out)
{
	buf_text(out, "# hermod.conf, written by hermod setup. hermod.conf(5) explains all settings; `hermod check` finds what is\n"
	    "# wrong with a change, `hermod reload` makes it count.\n\n");
	buf_fmt(out, "hostname = \"%.*s\"\n", BYTES_FMT(s->source.host));
	buf_fmt(out, "local_domains = {\"%.*s\"}\n", BYTES_FMT(s->source.domain));
	buf_fmt(out, "postmaster_address = \"%s\"\n", s->account);
	put_certificates(s, out);
	buf_fmt(out, "\n# Who has a mailbox: `hermod account`.\naccount_map = \"%s\"\n", setup_account_map(s));
	buf_fmt(out, "alias_map = \"text:%s\"\n", setup_alias_file(s));
	buf_text(out, "# With yes users of this host have mailboxes, too, and log in with their passwords.\nsystem_accounts = no\n");
	if (s->directory)
		put_folders(s, out);
	if (s->programs)
		buf_fmt(out, "program_directory = \"%s\"\n", s->programs);
	if (s->nlisten > 0 || s->port_base > 0)
		put_listen(s, out);
	put_users(s, out);
}

void
setup_aliases(const struct setup *s, struct buf *out)
{
	buf_text(out, "# aliases, written by hermod setup: who reads mail to these. See hermod-aliases(5).\n");
	buf_fmt(out, "root: %s\nabuse: %s\n", s->account, s->account);
}
