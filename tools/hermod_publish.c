/* SPDX-License-Identifier: ISC */
#include "tools/hermod_publish.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/tls_files.h"
#include "mail/tls_settings.h"
#include "proto/dns_text.h"
#include "proto/idna.h"

/* ---- names ---- */

/* A host's, not one of those that only the DNS has: RFC 1123 section 2.1. No single label, and none like an address. */
static bool
is_host_name(struct bytes name, const char **why)
{
	struct bytes rest = name, label = name;
	size_t labels = 0;
	bool digits;

	for (; rest.n > 0; labels++) {
		label = bytes_cut(&rest, '.');
		*why = "a label begins and ends with a letter or digit, and has letters, digits and hyphens";
		if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-' || bytes_find(label, '_') < label.n)
			return false;
	}
	*why = "a domain has a dot in it";
	if (labels < 2)
		return false;
	digits = true;
	for (size_t i = 0; i < label.n; i++)
		digits = digits && ascii_digit(label.p[i]);
	*why = "it is an address, or like one";
	return !digits;
}

bool
publish_name(const char *given, struct arena *a, struct bytes *out, const char **why)
{
	struct bytes name = text(given);

	if (name.n > 1 && name.p[name.n - 1] == '.')
		name = bytes_head(name, name.n - 1);
	*why = "it is no domain name";
	if (!idna_ascii(name, a, out) || !is_host_name(*out, why))
		return false;
	*why = "it is too long: 235 octets are room for all names that mail has below it";
	return out->n <= PUBLISH_DOMAIN_MAX;
}

struct bytes
publish_name_or_die(const char *given, struct arena *a)
{
	struct bytes name;
	const char *why;

	if (!publish_name(given, a, &name, &why))
		hermod_die(EXIT_USE, "%s: %s; right would be like example.org", given, why);
	return name;
}

/* ---- addresses ---- */

static bool
has_address(const struct address *list, size_t n, const struct address *a)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(list[i].octet, a->octet, sizeof a->octet) == 0)
			return true;
	return false;
}

void
publish_take_address(struct publish_source *s, const char *given)
{
	struct address a;

	if (!address_parse(text(given), &a))
		hermod_die(EXIT_USE, "%s: not an address; right would be like 192.0.2.25 or 2001:db8::25", given);
	if (has_address(s->address, s->addresses, &a))
		return;
	if (s->addresses == PUBLISH_ADDRESSES_MAX)
		hermod_die(EXIT_USE, "%s: more than %d addresses are too many", given, PUBLISH_ADDRESSES_MAX);
	s->address[s->addresses++] = a;
}

size_t
publish_interfaces(struct address out[PUBLISH_INTERFACES_MAX])
{
	struct ifaddrs *all;
	size_t n = 0;

	if (getifaddrs(&all) == -1)
		hermod_die(EXIT_FAILED, "the addresses of this host cannot be found out: %s; --address says them", strerror(errno));
	for (struct ifaddrs *i = all; i && n < PUBLISH_INTERFACES_MAX; i = i->ifa_next) {
		struct sockaddr_storage sa = { 0 };
		struct address a;
		uint16_t port;

		if (!i->ifa_addr || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&sa, i->ifa_addr, i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		if (address_of_socket(&sa, &a, &port) && address_kind(&a) == ADDRESS_FINE && !has_address(out, n, &a))
			out[n++] = a;
	}
	freeifaddrs(all);
	return n;
}

void
publish_take_interfaces(struct publish_source *s)
{
	struct address all[PUBLISH_INTERFACES_MAX];
	size_t n = publish_interfaces(all);
	const char *why;

	s->addresses = 0;
	for (size_t i = 0; i < n && s->addresses < PUBLISH_ADDRESSES_MAX; i++)
		if (publish_is_public(&all[i], &why))
			s->address[s->addresses++] = all[i];
}

/* ---- keys ---- */

void
publish_take_key(struct publish_source *s, X509 *certificate)
{
	unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	unsigned octets = 0;

	if (n <= 0 || EVP_Digest(der, (size_t)n, digest, &octets, EVP_sha256(), NULL) != 1)
		hermod_die(EXIT_FAILED, "the key of a certificate cannot be hashed");
	OPENSSL_free(der);
	must(octets == PUBLISH_KEY_OCTETS);
	for (size_t i = 0; i < s->keys; i++)
		if (memcmp(s->key[i], digest, octets) == 0)
			return;
	if (s->keys == PUBLISH_KEYS_MAX)
		hermod_die(EXIT_SETTINGS, "more than %d certificates are too many", PUBLISH_KEYS_MAX);
	memcpy(s->key[s->keys++], digest, octets);
}

/* As daemon/tls_server.c chooses. always: also when it names another host. */
static void
take_certificate(struct publish_source *s, const char *item, bool always)
{
	struct bytes chain_path, key_path;
	STACK_OF(X509) *chain;
	char path[1024], why[512];
	X509 *own;
	int fd;

	if (!tls_certificate_paths(item, &chain_path, &key_path) || !bytes_to_text(chain_path, path, sizeof path))
		must(!"an item that the settings took");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		hermod_die(EXIT_SETTINGS, "tls_certificates: %s: %s", path, strerror(errno));
	chain = tls_chain_read(fd, why, sizeof why);
	close(fd);
	if (!chain)
		hermod_die(EXIT_SETTINGS, "tls_certificates: %s: %s", path, why);
	own = sk_X509_value(chain, 0);
	if (always || X509_check_host(own, (const char *)s->host.p, s->host.n, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1)
		publish_take_key(s, own);
	sk_X509_pop_free(chain, X509_free);
}

/* Who keeps to DANE names the host (RFC 7672 section 8.1), and is shown a certificate of that name; the first where there is
 * none. */
static void
take_certificates(struct publish_source *s, const struct setting_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		take_certificate(s, l->item[i], false);
	if (s->keys == 0 && l->n > 0)
		take_certificate(s, l->item[0], true);
}

/* ---- the configuration ---- */

struct publish_settings {
	const char	*hostname;
	struct setting_list local_domains;
	struct setting_list certificates;
	struct setting_list listen[PUBLISH_SERVICES];
};

#define S struct publish_settings

/* Those of other programs' tables that are asked for here. */
static const struct setting publish_settings[] = {
	SET_TEXT_IF("hostname",		S, hostname, "localhost.localdomain", setting_is_domain),
	SET_LIST("local_domains",	S, local_domains, "", setting_is_domain),
	SET_LIST("tls_certificates",	S, certificates, "", NULL),
	SET_LIST("listen_submissions",	S, listen[PUBLISH_SUBMISSIONS], "", setting_is_listen),
	SET_LIST("listen_submission",	S, listen[PUBLISH_SUBMISSION], "", setting_is_listen),
	SET_LIST("listen_imaps",	S, listen[PUBLISH_IMAPS], "", setting_is_listen),
	SET_LIST("listen_imap",		S, listen[PUBLISH_IMAP], "", setting_is_listen),
	SET_LIST("listen_pop3s",	S, listen[PUBLISH_POP3S], "", setting_is_listen),
	SET_LIST("listen_pop3",		S, listen[PUBLISH_POP3], "", setting_is_listen),
	SET_END
};

/* Where others can come in; 0: nowhere. */
static uint16_t
port_of(const struct setting_list *l, bool loopback_too)
{
	struct sockaddr_storage sa;
	struct address a;
	socklen_t size;
	uint16_t port;
	char why[256];

	for (size_t i = 0; i < l->n; i++)
		if (listen_parse(text(l->item[i]), &sa, &size, why, sizeof why) && address_of_socket(&sa, &a, &port)
		    && (loopback_too || !address_is_loopback(&a)))
			return port;
	return 0;
}

/* A service that listens on loopback alone is for this host, and nobody is told; where all do, somebody tries all of it. */
static void
take_ports(struct publish_source *s, const struct publish_settings *p)
{
	bool trial = true;

	for (size_t i = 0; i < PUBLISH_SERVICES; i++)
		trial = trial && port_of(&p->listen[i], false) == 0;
	for (size_t i = 0; i < PUBLISH_SERVICES; i++)
		s->port[i] = port_of(&p->listen[i], trial);
}

void
publish_from_settings(struct publish_source *s, struct arena *a)
{
	struct publish_settings p;

	hermod_fill(publish_settings, &p);
	if (strcmp(p.hostname, "localhost.localdomain") == 0)
		hermod_die(EXIT_SETTINGS, "hostname is not set, so that nobody knows what the DNS should say; `hermod setup` writes a "
		    "configuration");
	s->host = publish_name_or_die(p.hostname, a);
	take_certificates(s, &p.certificates);
	if (p.certificates.n > 0)	/* else nobody can log in: master/services.c */
		take_ports(s, &p);
	for (size_t i = 0; i < p.local_domains.n; i++)
		s->host_has_spf = s->host_has_spf || bytes_case_eq(text(p.local_domains.item[i]), s->host);
	settings_free(publish_settings, &p);
}

/* ---- what is printed ---- */

static void
print_json(const struct publish_set *s, const struct dns_record *r)
{
	struct buf data, o;

	buf_init(&data, 1 << 16);
	buf_init(&o, 1 << 16);
	dns_record_put(&data, r, true);
	buf_char(&o, '{');
	json_text(&o, "name", s->name);
	json_text(&o, "type", text(dns_type_name(s->type)));
	json_number(&o, "ttl", PUBLISH_TTL_S);
	json_text(&o, "data", buf_bytes(&data));
	json_text(&o, "purpose", text(publish_purpose(s->kind)));
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
	buf_fini(&data);
}

void
publish_print(const struct publish_set *sets, size_t n)
{
	struct buf out;

	if (hermod_options.json) {
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < sets[i].n; k++)
				print_json(&sets[i], &sets[i].records[k]);
		return;
	}
	buf_init(&out, 1 << 20);
	publish_zone(sets, n, &out);
	printf("%.*s", BYTES_FMT(buf_bytes(&out)));
	buf_fini(&out);
}
