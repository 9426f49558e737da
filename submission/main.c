/* SPDX-License-Identifier: ISC */
/*
 * submission/main.c - mail from the host's own users:  client -> submission -> cleanup -> queue
 *
 * As smtpd, with rules of its own (RFC 6409): nobody sends who has not logged in, and nobody as
 * somebody else; what a message lacks is added. Who may log in is the answer of auth, whose an address is that of
 * router. Holds client sockets and channels, nothing else: see its row in master/services.c. The
 * conversation is in mail/smtp_server.c, its place on the event loop in daemon/smtp_session.c.
 */
#include "submission/submission.h"

#include "daemon/daemon.h"
#include "daemon/smtp_session.h"
#include "mail/mechanisms.h"

struct submission { struct smtp_service *service; struct control *control; };

static void
on_listen(void *owner, const char *setting, int fd)
{
	struct submission *me = owner;

	if (strcmp(setting, "submission_socket") == 0)
		control_accept(me->control, fd);
	else
		smtp_service_accept(me->service, fd, strcmp(setting, "listen_submissions") == 0);
}

static void
on_drain(void *owner)
{
	smtp_service_drain(((struct submission *)owner)->service);
}

static uint32_t
sessions(void *owner)
{
	return smtp_service_sessions(((struct submission *)owner)->service);
}

/* What is not so for smtpd, too. */
static void
differ(const struct submission_settings *s, struct smtp_rules *r, struct smtp_limits *l)
{
	r->recipients = s->recipients;
	r->starttls = true;
	r->insecure_auth = s->insecure_auth;
	r->auth_failures = s->auth_failures;
	r->submission = true;
	r->hide_client = s->hide_client;
	l->quota.messages = s->messages_per_hour;
	l->quota.recipients = s->recipients_per_hour;
	l->crowd.sessions = s->sessions;
	l->crowd.client_sessions = s->client_sessions;
	l->crowd.client_rate = s->client_rate;
}

int
main(void)
{
	struct daemon d;
	struct smtp_settings common;
	struct submission_settings settings;
	struct tls_settings tls_set;
	struct mechanism_settings mechanism_set;
	char mechanisms[CHANNELS][MECHANISMS_MAX];
	struct tls_server *tls;
	struct voucher_key voucher;
	struct smtp_rules r;
	struct smtp_limits l;
	struct submission me;

	daemon_start(&d, "submission");
	daemon_settings(&d, smtp_server_settings, &common);
	daemon_settings(&d, submission_settings, &settings);
	daemon_settings(&d, tls_settings, &tls_set);
	daemon_settings(&d, mechanism_settings, &mechanism_set);
	tls = tls_server_new(&d, &tls_set);	/* there is one: see its row */
	voucher_key_take(&d, &voucher);
	daemon_confine(&d, KEEP_ACCEPT);		/* ---- strangers only below ---- */
	smtp_settings_apply(&common, &r, &l);
	differ(&settings, &r, &l);
	for (unsigned i = 0; i < CHANNELS; i++) {
		mechanisms_offered(&mechanism_set, i, mechanisms[i]);
		r.mechanisms[i] = mechanisms[i];
	}
	me.service = smtp_service_new(&d, &r, &l, tls, &voucher);
	me.control = control_new(&d, smtp_service_quota(me.service));
	d.owner = &me;
	d.on_listen = on_listen;
	d.on_drain = on_drain;
	d.sessions = sessions;
	daemon_serve(&d);
	control_free(&me.control);
	smtp_service_free(&me.service);
	tls_server_free(&tls);
	settings_free(mechanism_settings, &mechanism_set);
	settings_free(tls_settings, &tls_set);
	settings_free(submission_settings, &settings);
	settings_free(smtp_server_settings, &common);
	return daemon_stop(&d);
}
