/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "config.h"
#include "mail/directory_settings.h"
#include "mail/jwt_keys.h"
#include "mail/oauth.h"
#include "master/master.h"
#include "master/tables.h"

void
path_parent(const char *path, char *dst, size_t cap)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash && slash > path ? (size_t)(slash - path) : 1;

	if (!bytes_to_text(bytes_of(path, n), dst, cap))
		must(!"a path that setting_is_path took");
}

/* Does the address at this place stand before it, too? */
static bool
is_listened(const struct setting_list *const *lists, size_t list, size_t item)
{
	const char *address = lists[list]->item[item];

	for (size_t l = 0; l <= list; l++)
		for (size_t i = 0; i < (l < list ? lists[l]->n : item); i++)
			if (strcmp(lists[l]->item[i], address) == 0)
				return true;
	return false;
}

/* Two sockets of one address would be bound one after the other, and the second fail at a bad time. */
static void
check_listeners(const struct config *c, const char *path, struct buf *faults)
{
	static const char *const names[] = { "listen_smtp", "listen_submission", "listen_submissions", "listen_pop3",
	    "listen_pop3s", "listen_imap", "listen_imaps" };
	const struct setting_list *const lists[] = { &c->s.listen_smtp, &c->s.listen_submission, &c->s.listen_submissions,
	    &c->s.listen_pop3, &c->s.listen_pop3s, &c->s.listen_imap, &c->s.listen_imaps };

	for (size_t l = 0; l < LEN(lists); l++)
		for (size_t i = 0; i < lists[l]->n; i++)
			if (is_listened(lists, l, i))
				buf_fmt(faults, "%s: %s: \"%s\": is listened at twice; right would be one "
				    "service at an address and port\n", path, names[l], lists[l]->item[i]);
}

static bool
lists(const char *items, const char *item)
{
	struct bytes rest = text(items);

	while (rest.n > 0)
		if (bytes_case_eq(bytes_cut(&rest, '\n'), text(item)))
			return true;
	return false;
}

/* What would let nobody in. */
static void
check_mechanisms(const struct config *c, const char *path, struct buf *faults)
{
	const char *names = settings_value(c->file, "auth_mechanisms");

	if (lists(names, "CRAM-MD5") && !c->mechanisms.plain_passwords && c->mechanisms.sasldb_file[0] == '\0')
		buf_fmt(faults, "%s: auth_mechanisms: CRAM-MD5 would let nobody in; right would be allow_plain_passwords = yes beside "
		    "it, and passwords that are not hashed, or sasldb_file, or better SCRAM-SHA-256\n", path);
	if (lists(names, "EXTERNAL") && c->tls.client_ca_file[0] == '\0')
		buf_fmt(faults, "%s: auth_mechanisms: EXTERNAL would let nobody in; right would be tls_client_ca_file beside it, "
		    "the CA of the clients' certificates\n", path);
	if (lists(names, "GSSAPI") && (c->s.gssapi_keytab[0] == '\0' || settings_value(c->file, "gssapi_realm")[0] == '\0'))
		buf_fmt(faults, "%s: auth_mechanisms: GSSAPI would let nobody in; right would be gssapi_keytab, gssapi_realm and "
		    "gssapi_domain beside it\n", path);
#ifndef HAVE_GSSAPI
	if (lists(names, "GSSAPI"))
		buf_fmt(faults, "%s: auth_mechanisms: this build knows no GSSAPI; right would be one with libkrb5-dev\n", path);
#endif
}

/* ---- bearer tokens: each file as the process that uses it would read it ---- */

static void
prove_keys(const struct config *c, const char *path, struct buf *faults)
{
	struct jwt_keys *k;
	char why[1400];

	k = jwt_keys_read(&c->mechanisms.jwt_keys, why, sizeof why);
	if (!k)
		buf_fmt(faults, "%s: %s\n", path, why);
	jwt_keys_free(&k);
}

static void
prove_client(const struct config *c, const char *path, struct buf *faults)
{
	struct buf id, secret;
	char why[1400];

	buf_init(&id, OAUTH_CLIENT_MAX);
	buf_init(&secret, OAUTH_CLIENT_MAX);
	if (!oauth_client_read(settings_value(c->file, "oauth_client_file"), &id, &secret, why, sizeof why))
		buf_fmt(faults, "%s: %s\n", path, why);
	buf_wipe(&id);
	buf_wipe(&secret);
}

static void
check_tokens(const struct config *c, const char *path, struct buf *faults)
{
	char why[512];

	if (!mechanisms_tokens(&c->mechanisms, why, sizeof why))
		buf_fmt(faults, "%s: %s\n", path, why);
	if (c->mechanisms.jwt_keys.n > 0)
		proof(c, path, "auth", "the look at oauth_jwt_keys", prove_keys, faults);
	if (settings_value(c->file, "oauth_client_file")[0] != '\0')
		proof(c, path, "fetch", "the look at oauth_client_file", prove_client, faults);
}

/* ---- accounts from LDAP and SQL ---- */

static void
prove_directory(const struct config *c, const char *path, struct buf *faults)
{
	struct directory_settings s;
	char why[1400];

	settings_fill(c->file, directory_settings, &s);
	if (!directory_judge_files(&s, why, sizeof why))
		buf_fmt(faults, "%s: %s\n", path, why);
	settings_free(directory_settings, &s);
}

static void
check_directory(const struct config *c, const char *path, struct buf *faults)
{
	struct directory_settings s;
	char why[1400];

	settings_fill(c->file, directory_settings, &s);
	if (!directory_judge(&s, why, sizeof why))
		buf_fmt(faults, "%s: %s\n", path, why);
	else if (s.kind != DIRECTORY_NONE)
		proof(c, path, "directory", "the look at the files of account_directory", prove_directory, faults);
	settings_free(directory_settings, &s);
}

static void
check_together(struct config *c, const char *path, struct buf *faults)
{
	/* A socket's path has room for 107 octets (unix(7)). */
	if (strlen(c->s.run_directory) > 80)
		buf_fmt(faults, "%s: run_directory: too long for the names of sockets below it; right would "
		    "be at most 80 octets\n", path);
	check_listeners(c, path, faults);
	if (c->tls.certificates.n == 0 && strcmp(settings_value(c->file, "smtpd_tls"), "must") == 0)
		buf_fmt(faults, "%s: smtpd_tls: \"must\" without a certificate would take no mail; right would be "
		    "tls_certificates beside it\n", path);
	check_tokens(c, path, faults);
	check_directory(c, path, faults);
	check_mechanisms(c, path, faults);
	relay_proof(c, path, faults);
	if (certificates_open(c, path, faults))
		certificates_proof(c, path, faults);
}

/* Only lines that are right are looked at together: defaults may contradict them. */
static struct config *
load(const char *path, struct buf *faults)
{
	struct config *c = mem_alloc(sizeof *c);
	size_t before = faults->n;

	c->file = settings_load_anyway(path, all_settings, faults);
	c->broken = faults->n > before || faults->full;
	settings_fill(c->file, master_settings, &c->s);
	settings_fill(c->file, tls_settings, &c->tls);
	settings_fill(c->file, mechanism_settings, &c->mechanisms);
	if (!c->broken)
		check_together(c, path, faults);
	return c;
}

struct config *
config_load(const char *path, struct buf *faults)
{
	size_t before = faults->n;
	struct config *c = load(path, faults);

	if (faults->n > before || faults->full)
		config_free(&c);
	return c;
}

void
config_check(const char *path, struct buf *faults)
{
	struct config *c = load(path, faults);

	place_check(c, faults);
	config_free(&c);
}

void
config_free(struct config **c)
{
	if (!*c)
		return;
	if ((*c)->file) {
		settings_free(master_settings, &(*c)->s);
		settings_free(tls_settings, &(*c)->tls);
		settings_free(mechanism_settings, &(*c)->mechanisms);
	}
	certificates_close(&(*c)->certificates);
	settings_file_free(&(*c)->file);
	mem_free(*c);
	*c = NULL;
}

bool
config_runs(const struct config *c, const struct service *s)
{
	const char *value = s->only_if ? settings_value(c->file, s->only_if) : "yes";

	return value && value[0] != '\0' && strcmp(value, "no") != 0;
}

unsigned
config_workers(const struct config *c, const struct service *s)
{
	const struct setting *row;

	if (!s->workers)
		return 1;
	row = settings_find(master_settings, s->workers);
	must(row && row->type == SETTING_NUMBER);
	return (unsigned)*(const uint64_t *)((const char *)&c->s + row->offset);
}

const char *
config_fixed_change(const struct config *old, const struct config *new)
{
	static const char *const fixed[] = {
		"queue_directory", "auth_directory", "dns_directory", "mta_sts_directory", "tls_report_directory", "run_directory",
		"pid_file", "log_file", "uid_base",
	};

	for (size_t i = 0; i < LEN(fixed); i++)
		if (strcmp(settings_value(old->file, fixed[i]), settings_value(new->file, fixed[i])) != 0)
			return fixed[i];
	/* The journal goes on over a reload: it must lose no record. */
	for (const struct setting *s = journal_settings; s->name; s++)
		if (strcmp(settings_value(old->file, s->name), settings_value(new->file, s->name)) != 0)
			return s->name;
	return NULL;
}
