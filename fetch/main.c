/* SPDX-License-Identifier: ISC */
/*
 * fetch/main.c - get what must come by HTTPS:  smtp-client, auth -> fetch -> the world
 *
 * MTA-STS policies, RFC 8461; and keep what smtp-client says of its sessions, for reports to whom they concern (RFC 8460).
 * For auth it introspects bearer tokens (RFC 7662), at the one URL that is set and nowhere else, whatever auth says: a token
 * passes through, and nothing of it is kept.
 * Connects to strangers, by the addresses that the resolver gives and to port 443 alone, and
 * holds the directory where policies are kept; no mail, and nothing that is not public. Believes what a certificate of a
 * CA proves, and of that only a text whose grammar is in proto/mta_sts.h. fetch.h says where the rest is.
 */
#include "fetch/fetch.h"

#include "base/log.h"

struct fetch { struct policies *policies; struct reports *reports; struct introspector *introspector; };

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	struct fetch *f = owner;

	if (in->type == IPC_token_ask)
		return strcmp(channel_peer(c), "auth") == 0 && introspector_take(f->introspector, c, in);
	return in->type == IPC_tls_seen ? reports_take(f->reports, in) : policies_take(f->policies, c, in);
}

static void
on_gone(void *owner, struct channel *c)
{
	struct fetch *f = owner;

	policies_forget(f->policies, c);
	introspector_forget(f->introspector, c);
}

static void
on_stop(void *owner)
{
	struct fetch *f = owner;

	policies_stop(f->policies);
	introspector_stop(f->introspector);
}

static uint32_t
sessions(void *owner)
{
	const struct fetch *f = owner;

	return policies_waiting(f->policies) + introspector_waiting(f->introspector);
}

int
main(void)
{
	struct daemon d;
	struct fetch_settings settings;
	struct https *https;
	struct fetch f;

	daemon_start(&d, "fetch");
	daemon_settings(&d, fetch_settings, &settings);
	https = https_new(&d.loop, settings.tls_ca_file);
	f.introspector = introspector_new(&d, &settings, https);
	daemon_confine(&d, KEEP_FILES | KEEP_WRITE | KEEP_NET_OUT);	/* ---- strangers only below ---- */
	f.reports = reports_new(&d, &settings, daemon_file(&d, "tls_report_directory"));
	f.policies = policies_new(&d, &settings, https, f.reports, daemon_file(&d, "mta_sts_directory"));
	d.owner = &f;
	d.on_frame = on_frame;
	d.on_gone = on_gone;
	d.on_stop = on_stop;
	d.sessions = sessions;
	daemon_serve(&d);
	introspector_free(&f.introspector);
	policies_free(&f.policies);
	reports_stop(f.reports);
	reports_free(&f.reports);
	https_free(&https);
	settings_free(fetch_settings, &settings);
	return daemon_stop(&d);
}
