/* SPDX-License-Identifier: ISC */
/*
 * router/control.c - the administrator asks why:  hermod explain -> run_directory/explain.sock -> router
 *
 * Who is heard is in daemon/admins.h. A question is answered by the code that answers smtpd, from the same tables, with
 * its steps written down.
 */
#include "base/mem.h"
#include "daemon/admins.h"
#include "router/control.h"

#define STEPS_MAX	49152	/* octets of steps in one frame */
#define ACCOUNT_ARENA	(1u << 16)	/* of one account, of a row of ACCOUNT_ROW_MAX */

struct control {
	struct admins	 admins;	/* owned */
	struct resolver	*resolver;	/* borrowed */
	struct logins	*logins;	/* borrowed, as the next two */
	struct senders	*senders;
	struct later	*later;
	struct explanation explanation;	/* owned; of one question, as the rest */
	struct answer	 answer;
	struct ipc_out	 out;
	struct buf	 run;
};

/* ---- questions ---- */

static void
send_run(struct control *k, struct channel *to, uint32_t id, uint64_t left_out)
{
	ipc_put_explained(&k->out, id, &(struct ipc_explained){ .steps = buf_bytes(&k->run), .left_out = left_out });
	channel_reply(to, id, &k->out);
	buf_clear(&k->run);
}

/* As many frames as it takes; the last, which may be empty, says what was left out. */
static void
send_steps(struct control *k, struct channel *to, uint32_t id)
{
	struct bytes steps = buf_bytes(&k->explanation.steps);
	bool bad = false;

	buf_clear(&k->run);
	while (steps.n > 0) {
		struct bytes step = ipc_cut_text(&steps, &bad);

		must(!bad);
		if (k->run.n + sizeof(uint32_t) + step.n > k->run.max)
			send_run(k, to, id, 0);
		ipc_add_text(&k->run, step);
	}
	send_run(k, to, id, k->explanation.left_out);
}

/* Each look at it is explained, and the last is told. */
static enum said
answer(void *arg, struct channel *to, struct ipc_in *in)
{
	struct control *k = arg;
	struct answer *a = &k->answer;
	uint32_t id = in->id;
	struct ipc_explain_ask ask;

	if (!ipc_get_explain_ask(in, &ask))
		return NONSENSE;
	explanation_clear(&k->explanation);
	k->resolver->explain = &k->explanation;
	resolve_recipient(k->resolver, &(struct ipc_rcpt_check){ .client_class = ask.client_class, .client = ask.client,
	    .sender = ask.sender, .recipient = ask.recipient, .smtputf8 = ask.smtputf8 }, a);
	k->resolver->explain = NULL;
	if (later_needed(k->later, a->verdict))
		return SAID_LATER;
	send_steps(k, to, id);
	ipc_put_rcpt_answer(&k->out, id, &(struct ipc_rcpt_answer){ .verdict = a->verdict, .code = a->code,
	    .reply = text(a->reply), .routes = buf_bytes(&a->routes) });
	channel_reply(to, id, &k->out);
	return SAID;
}

static enum said
answer_sender(void *arg, struct channel *to, struct ipc_in *in)
{
	struct control *k = arg;
	uint32_t id = in->id;
	struct ipc_explain_sender ask;
	enum verdict v;

	if (!ipc_get_explain_sender(in, &ask))
		return NONSENSE;
	explanation_clear(&k->explanation);
	k->resolver->explain = &k->explanation;
	v = senders_may(k->senders, k->resolver, ask.account, ask.address);
	k->resolver->explain = NULL;
	if (later_needed(k->later, v))
		return SAID_LATER;
	send_steps(k, to, id);
	ipc_put_sender_answer(&k->out, id, &(struct ipc_sender_answer){ .verdict = v });
	channel_reply(to, id, &k->out);
	return SAID;
}

/* As auth would find it. Nothing that is secret. */
static enum said
answer_account(void *arg, struct channel *to, struct ipc_in *in)
{
	struct control *k = arg;
	struct arena *arena = arena_new(ACCOUNT_ARENA);
	uint32_t id = in->id;
	struct ipc_account_ask ask;
	struct account account = { 0 };
	enum said said = NONSENSE;

	if (ipc_get_account_ask(in, &ask)) {
		enum verdict v = accounts_get(k->resolver->accounts, ask.name, arena, &account);

		said = later_needed(k->later, v) ? SAID_LATER : SAID;
		if (v != YES)
			account = (struct account){ 0 };
		ipc_put_account_answer(&k->out, id, &(struct ipc_account_answer){ .verdict = v, .name = account.name,
		    .state = account.state, .system = account.system, .uid = account.uid, .gid = account.gid, .mailbox = account.mailbox });
	}
	if (said == SAID)
		channel_reply(to, id, &k->out);
	arena_free(&arena);
	return said;
}

/* Who logs in where, and never with what: this goes to a terminal. */
static void
answer_login(struct control *k, struct channel *to, uint32_t id, struct bytes nexthop)
{
	struct ipc_credentials_answer a;

	logins_find(k->logins, nexthop, &a);
	ipc_put_login_answer(&k->out, id, &(struct ipc_login_answer){ .verdict = a.verdict, .key = a.key,
	    .mechanisms = a.mechanisms, .user = a.user, .oauth = a.oauth, .reply = a.reply });
	channel_reply(to, id, &k->out);
	logins_wipe(k->logins);
}

static bool
on_frame(void *arg, struct admin *a, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct control *k = arg;
	struct ipc_login_ask login;

	admin_idle(a, true);
	if (in->type == IPC_explain_ask)
		return later_frame(k->later, a->channel, in, answer, k);
	if (in->type == IPC_explain_sender)
		return later_frame(k->later, a->channel, in, answer_sender, k);
	if (in->type == IPC_account_ask)
		return later_frame(k->later, a->channel, in, answer_account, k);
	if (in->type != IPC_login_ask || !ipc_get_login_ask(in, &login))
		return false;
	answer_login(k, a->channel, id, login.nexthop);
	return true;
}

static void
on_gone(void *arg, struct admin *a)
{
	later_gone(((struct control *)arg)->later, a->channel);
}

void
control_accept(struct control *k, int fd)
{
	admins_accept(&k->admins, fd);
}

/* ---- life ---- */

struct control *
control_new(struct daemon *d, struct resolver *r, struct logins *l, struct senders *s, struct later *later)
{
	struct control *k = mem_alloc(sizeof *k);

	*k = (struct control){ .admins = { .loop = &d->loop, .frame = on_frame, .gone = on_gone, .arg = k }, .resolver = r,
	    .logins = l, .senders = s, .later = later };
	explanation_init(&k->explanation);
	answer_init(&k->answer);
	ipc_out_init(&k->out);
	buf_init(&k->run, STEPS_MAX);
	return k;
}

void
control_free(struct control **taken)
{
	struct control *k = *taken;

	*taken = NULL;
	admins_close(&k->admins);
	explanation_fini(&k->explanation);
	answer_fini(&k->answer);
	ipc_out_fini(&k->out);
	buf_fini(&k->run);
	mem_free(k);
}
