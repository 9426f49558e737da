/* SPDX-License-Identifier: ISC */
/* A whole conversation; the first octet chooses the answers and the pieces. */
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

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct smtp_rules rules = strict;
	struct smtp_server s;
	struct buf out;
	struct bytes in;
	unsigned how, step = 0;

	if (n == 0)
		return 0;
	how = p[0];
	rules.normalize_newlines = how & 1;
	buf_init(&out, 1 << 20);
	smtp_server_init(&s, &rules, &out, text("192.0.2.9"), "S");
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
		else if (w == SMTP_WANTS_COMMIT) {
			smtp_server_envelope(&s, 1);
			smtp_server_committed(&s, (how + step) % 3 ? COMMIT_OK : COMMIT_FAILED, text(NULL));
		} else {
			break;
		}
	}
	smtp_server_fini(&s);
	buf_fini(&out);
	return 0;
}
