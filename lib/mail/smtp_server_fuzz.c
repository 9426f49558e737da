/* SPDX-License-Identifier: ISC */
/* A whole conversation, of smtpd or of submission; the first octet chooses which, and the answers. */
#include "base/mem.h"
#include "mail/ipc.h"
#include "mail/smtp_server.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct smtp_rules strict = {
	.hostname = "mx.our.test", .authserv_id = "mx.our.test", .message_octets = 5000,
	.recipients = 3, .line_octets = 512, .header_octets = 2000, .header_line_octets = 500,
	.mime_depth = 3, .mime_parts = 10, .hops = 5, .errors = 40, .junk = 50,
};

static void
answer(struct smtp_server *s, unsigned how)
{
	struct buf routes;
	struct ipc_out o;

	buf_init(&routes, 4096);
	ipc_out_init(&o);
	ipc_put_route(&o, 0, &(struct ipc_route){ .final = s->asked.original,
	    .transport = text("local"), .mailbox = text("maildir:/m") });
	ipc_add_text(&routes, ipc_out_body(&o));
	ipc_out_fini(&o);
	smtp_server_checked(s, how % 4 == 3 ? NO : YES, 550, text("5.1.1 no"), buf_bytes(&routes));
	buf_fini(&routes);
}

static void
answer_auth(struct smtp_server *s, unsigned how)
{
	must(s->account.n == 0);
	if (s->auth.cancel || how % 4 == 0)
		smtp_server_not_logged_in(s, how % 8 == 0, text("wrong"));
	else if (how % 4 == 1)
		smtp_server_challenged(s, text("User Name"));
	else
		smtp_server_logged_in(s, text("anna@our.test"));
}

/* Of a submission: it is somebody's, in an envelope and in the From field. */
static void
check_submitted(const struct smtp_server *s, const struct envelope *e, bool mine)
{
	must(s->account.n > 0 && bytes_eq(e->account, text("anna@our.test")));
	must(mine);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	bool mine = true;
	struct smtp_rules rules = strict;
	struct smtp_server s;
	struct buf out;
	struct bytes in;
	unsigned how, step = 0;

	if (n == 0)
		return 0;
	how = p[0];
	rules.normalize_newlines = how & 1;
	if (how & 128) {
		rules.submission = rules.starttls = true;
		for (size_t i = 0; i < CHANNELS; i++)
			rules.mechanisms[i] = "PLAIN LOGIN";
		rules.auth_failures = 3;
		rules.hide_client = how & 64;
	}
	buf_init(&out, 1 << 20);
	smtp_server_init(&s, &rules, &out, text("192.0.2.9"), "S");
	s.secure = how & 32;
	for (in = bytes_of(p + 1, n - 1);;) {
		enum smtp_wants w = smtp_server_input(&s, &in);

		s.abandon = false;
		buf_clear(&s.content);
		buf_clear(&out);
		step++;
		if (w == SMTP_WANTS_RCPT)
			answer(&s, how + step);
		else if (w == SMTP_WANTS_OPEN)
			smtp_server_opened(&s, (how + step) % 5 ? OPEN_OK : OPEN_NO_SPACE, text("Q"));
		else if (w == SMTP_WANTS_AUTH)
			answer_auth(&s, how + step);
		else if (w == SMTP_WANTS_SENDER) {
			mine = (how + step) % 3 != 0;
			must(s.from.asked.n > 0);
			smtp_server_sender_checked(&s, mine ? YES : NO);
		} else if (w == SMTP_WANTS_TLS) {
			must(in.n == 0 && s.mail == NULL);	/* nothing from before is kept for after */
			smtp_server_secured(&s, text("TLSv1.3 TLS_AES_256_GCM_SHA384"));
			must(s.account.n == 0);
		} else if (w == SMTP_WANTS_COMMIT) {
			const struct envelope *e = smtp_server_envelope(&s, 1);

			if (rules.submission)
				check_submitted(&s, e, mine);
			smtp_server_committed(&s, (how + step) % 3 ? COMMIT_OK : COMMIT_FAILED, text(NULL));
		} else {
			break;
		}
	}
	smtp_server_fini(&s);
	buf_fini(&out);
	return 0;
}
