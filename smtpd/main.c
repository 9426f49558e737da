/* SPDX-License-Identifier: ISC */
/*
 * smtpd/main.c - receive mail:  client -> smtpd -> cleanup -> queue
 *
 * Holds client sockets and channels to router, cleanup and keys, nothing else: see its row
 * in master/services.c. Believes nothing a client says. Who may send where is the
 * router's answer; the conversation is in mail/smtp_server.c, its place on the event
 * loop in daemon/smtp_session.c, the grammar in proto/smtp_cmd.h.
 */
#include "smtpd/smtpd.h"

#include "daemon/daemon.h"
#include "daemon/smtp_session.h"

static void
session_accept(void *owner, const char *setting, int fd)
{
	(void)setting;
	smtp_service_accept(owner, fd, false);
}

/* What is not so for submission, too. */
static void
differ(const struct smtpd_settings *s, const struct tls_server *tls, struct smtp_rules *r, struct smtp_limits *l)
{
	r->recipients = s->recipients;
	r->starttls = tls != NULL;
	r->tls_required = s->tls == SMTPD_TLS_MUST;
	l->greet_delay_ms = s->greet_delay_ms;
	l->crowd.sessions = s->sessions;
	l->crowd.client_sessions = s->client_sessions;
	l->crowd.client_rate = s->client_rate;
}

int
main(void)
{
	struct daemon d;
	struct smtp_settings common;
	struct smtpd_settings settings;
	struct tls_settings tls_set;
	struct tls_server *tls = NULL;
	struct smtp_rules r;
	struct smtp_limits l;
	struct smtp_service *service;

	daemon_start(&d, "smtpd");			/* descriptors handed over by master */
	daemon_settings(&d, smtp_server_settings, &common);
	daemon_settings(&d, smtpd_settings, &settings);
	daemon_settings(&d, tls_settings, &tls_set);
	if (settings.tls != SMTPD_TLS_NEVER)
		tls = tls_server_new(&d, &tls_set);
	daemon_confine(&d, KEEP_ACCEPT);		/* ---- strangers only below ---- */
	smtp_settings_apply(&common, &r, &l);
	differ(&settings, tls, &r, &l);
	service = smtp_service_new(&d, &r, &l, tls, NULL);
	d.owner = service;
	d.on_listen = session_accept;
	d.on_drain = smtp_service_drain;
	d.sessions = smtp_service_sessions;
	daemon_serve(&d);				/* the one event loop */
	smtp_service_free(&service);
	tls_server_free(&tls);
	settings_free(tls_settings, &tls_set);
	settings_free(smtpd_settings, &settings);
	settings_free(smtp_server_settings, &common);
	return daemon_stop(&d);
}
