/* SPDX-License-Identifier: ISC */
/*
 * submission/control.c - the administrator asks what an account has sent:  hermod explain -> run_directory/submission.sock -> submission
 *
 * Who is heard is in daemon/admins.h. Any worker can answer: what they count is in memory that all have. Asking counts nothing.
 */
#include "submission/submission.h"

#include "base/clock.h"
#include "base/mem.h"
#include "daemon/admins.h"

struct control {
	struct admins	 admins;	/* owned */
	struct quota	*quota;		/* borrowed */
	struct ipc_out	 out;
};

static void
answer(struct control *k, struct channel *to, uint32_t id, struct bytes account)
{
	uint64_t now_ms = clock_mono_ms();
	struct quota_answer next = quota_look(k->quota, account, true, now_ms);
	struct quota_count messages, recipients;
	char words[QUOTA_WORDS] = "";

	quota_counts(k->quota, account, now_ms, &messages, &recipients);
	if (next.verdict != QUOTA_FINE)
		quota_words(k->quota, &next, words);
	ipc_put_share_answer(&k->out, id, &(struct ipc_share_answer){ .messages = messages.n, .messages_limit = messages.limit,
	    .messages_left = messages.left_s, .recipients = recipients.n, .recipients_limit = recipients.limit,
	    .recipients_left = recipients.left_s, .code = next.verdict != QUOTA_FINE ? QUOTA_CODE : 0, .reply = text(words) });
	channel_reply(to, id, &k->out);
}

static bool
on_frame(void *arg, struct admin *a, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_share_ask ask;

	admin_idle(a, true);
	if (in->type != IPC_share_ask || !ipc_get_share_ask(in, &ask))
		return false;
	answer(arg, a->channel, id, ask.account);
	return true;
}

void
control_accept(struct control *k, int fd)
{
	admins_accept(&k->admins, fd);
}

struct control *
control_new(struct daemon *d, struct quota *q)
{
	struct control *k = mem_alloc(sizeof *k);

	*k = (struct control){ .admins = { .loop = &d->loop, .frame = on_frame, .arg = k }, .quota = q };
	ipc_out_init(&k->out);
	return k;
}

void
control_free(struct control **taken)
{
	struct control *k = *taken;

	*taken = NULL;
	admins_close(&k->admins);
	ipc_out_fini(&k->out);
	mem_free(k);
}
