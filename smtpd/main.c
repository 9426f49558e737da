/* SPDX-License-Identifier: ISC */
/*
 * smtpd/main.c - receive mail:  client -> smtpd -> cleanup -> queue
 *
 * Holds client sockets and channels to router and cleanup, nothing else: see its row
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
	smtp_service_accept(owner, fd);
}

static uint32_t
sessions(void *owner)
{
	return smtp_service_sessions(owner);
}

static void
drain(void *owner)
{
	smtp_service_drain(owner);
}

static struct smtp_rules
rules(const struct smtpd_settings *s)
{
	return (struct smtp_rules){
		.hostname = s->hostname, .authserv_id = s->hostname,
		.message_octets = s->message_octets, .recipients = s->recipients,
		.line_octets = s->line_octets,
		.header_octets = s->header_octets, .header_line_octets = s->header_line_octets,
		.mime_depth = s->mime_depth, .mime_parts = s->mime_parts, .hops = s->hops,
		.errors = s->errors, .junk = s->junk,
		.normalize_newlines = s->bare_newline == BARE_NORMALIZE,
	};
}

static struct smtp_limits
limits(const struct smtpd_settings *s)
{
	return (struct smtp_limits){
		.command_timeout_ms = s->command_timeout_ms,
		.content_timeout_ms = s->content_timeout_ms,
		.session_timeout_ms = s->session_timeout_ms,
		.greet_delay_ms = s->greet_delay_ms,
		.crowd = { .sessions = s->sessions, .client_sessions = s->client_sessions,
		    .client_rate = s->client_rate, .stress_timeout_ms = s->stress_timeout_ms },
	};
}

int
main(void)
{
	struct daemon d;
	struct smtpd_settings settings;
	struct smtp_rules r;
	struct smtp_limits l;
	struct smtp_service *service;

	daemon_start(&d, "smtpd");			/* descriptors handed over by master */
	daemon_settings(&d, smtpd_settings, &settings);
	daemon_confine(&d, KEEP_ACCEPT);		/* ---- strangers only below ---- */
	r = rules(&settings);
	l = limits(&settings);
	service = smtp_service_new(&d, &r, &l);
	d.owner = service;
	d.on_listen = session_accept;
	d.on_drain = drain;
	d.sessions = sessions;
	daemon_serve(&d);				/* the one event loop */
	smtp_service_free(&service);
	settings_free(smtpd_settings, &settings);
	return daemon_stop(&d);
}
