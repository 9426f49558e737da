/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_setup.h - hermod setup: from an empty host to one that is configured. What was asked for and found out
 * (hermod_setup.c) becomes a configuration (hermod_setup_conf.c) and keys (hermod_setup_keys.c), which are written so that
 * all of it is there in the end, or nothing (hermod_setup_write.c).
 */
#ifndef TOOLS_HERMOD_SETUP_H
#define TOOLS_HERMOD_SETUP_H

#include <openssl/x509.h>

#include "mail/tls_settings.h"
#include "tools/hermod_publish.h"

#define SETUP_PATH_MAX		800	/* octets of a path that was given: others are below it */
#define SETUP_LISTEN_MAX	8
#define SETUP_STAGED		".new"	/* behind the configuration's name, until all is done */

struct setup {
	struct arena	*a;		/* owned: all texts below */
	bool		 force, yes, dry_run;

	/* places */
	const char	*conf;		/* absolute path */
	const char	*etc;		/* its folder; aliases and accounts are there, too */
	const char	*tls;		/* below it: keys and certificates that are made here */
	const char	*directory;	/* where all other folders are; NULL: where the build says */
	const char	*programs;	/* of a build that is run where it was made; NULL: installed */

	/* the mail system */
	struct publish_source source;	/* domain, host, addresses, ports; keys when they are there */
	const char	*account;	/* address in lower case */
	struct address	 listen[SETUP_LISTEN_MAX];
	size_t		 nlisten;	/* 0, and no port_base: the addresses and ports of the build */
	uint64_t	 port_base;
	uint64_t	 uid_base;	/* 0: system users */

	/* certificates */
	const char	*chain[TLS_CERTIFICATES_MAX], *key[TLS_CERTIFICATES_MAX];	/* absolute paths */
	size_t		 certificates;
	bool		 own;		/* the one of them is made here */

	/* the password of a new account */
	const char	*password_file;
	struct buf	 password;	/* wiped */
	bool		 made_up;	/* and is shown once */

	/* what is there already */
	bool		 conf_there, conf_same;
	bool		 aliases_there, account_there, key_there, certificate_there;
};

/* Services in the order of hermod.conf(5). */
#define SETUP_SERVICES	7
struct setup_service { const char *setting; uint16_t port; int publish; /* enum publish_service, or -1 */ };
extern const struct setup_service setup_services[SETUP_SERVICES];

/* ---- hermod_setup_conf.c: pure ---- */

/* The same settings give the same octets. */
void	setup_conf(const struct setup *s, struct buf *out);
void	setup_aliases(const struct setup *s, struct buf *out);
const char *setup_account_map(const struct setup *s);	/* "hash:/usr/local/etc/accounts" */
const char *setup_alias_file(const struct setup *s);
/* No octet that hermod.conf, or a list of paths in it, would take for another thing. */
bool	setup_path_fits(const char *path);

/* ---- hermod_setup_keys.c; what cannot be ends the program ---- */

/* The pairs that were given, or that an earlier run made: into source. What users of them should know is said on
 * standard error. */
void	setup_read_certificates(struct setup *s);
/* PEM. */
void	setup_read_key(const char *path, struct buf *pem);
void	setup_make_key(struct buf *pem);
/* Of that key, which is into source, too. */
void	setup_make_certificate(struct setup *s, struct bytes key_pem, struct buf *pem);

/* ---- hermod_setup_write.c ---- */

/* What is there, and whether it is the same. Nothing is changed. */
void	setup_look(struct setup *s);
/* All of it, or nothing: what was made is taken back when the program ends before. */
void	setup_write(struct setup *s);

#endif
