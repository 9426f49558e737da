/* SPDX-License-Identifier: ISC */
/*
 * auth/control.c - the administrator looks at penalties, and clears them:  hermod auth -> run_directory/auth.sock -> auth
 *
 * Who is heard is in daemon/admins.h. Any worker can answer: what they count is in memory that all have.
 */
#include "auth/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/admins.h"

#define ROWS_MAX	49152	/* octets of rows in one frame */
#define ROW_MAX		(TALLY_NAME + 64)

struct control {
	struct admins	 admins;	/* owned */
	struct penalties *penalties;	/* borrowed, as the next */
	struct keeper	*keeper;
	struct ipc_out	 out;
	struct buf	 run;
};

static void
put_row(struct control *k, const struct penalty_seen *seen)
{
	struct ipc_penalty_row row = { .name = bytes_of(seen->row.name, seen->row.name_n), .whole = seen->row.whole,
	    .failures = seen->row.count.n, .age = seen->age_s, .wait_ms = seen->wait_ms };

	ipc_put_penalty_row(&k->out, 0, &row);
	ipc_add_text(&k->run, ipc_out_body(&k->out));
}

/* A page: as many as fit, and where the next begins. */
static void
list(struct control *k, struct channel *to, uint32_t id, const struct ipc_penalty_list *ask)
{
	struct ipc_penalty_listed m = { .at = ask->at };
	uint64_t now_ms = clock_mono_ms();
	struct penalty_seen seen;
	bool more = true;

	buf_clear(&k->run);
	while (k->run.n + ROW_MAX <= k->run.max
	    && (more = penalty_next(k->penalties, (enum penalty_of)ask->of, &m.at, now_ms, &seen)))
		put_row(k, &seen);
	m.at = more ? m.at : 0;
	m.rows = buf_bytes(&k->run);
	ipc_put_penalty_listed(&k->out, id, &m);
	channel_reply(to, id, &k->out);
}

static void
clear(struct control *k, const struct admin *a, uint32_t id, const struct ipc_penalty_clear *ask)
{
	struct ipc_penalty_cleared m = { 0 };
	struct arena *arena = arena_new(8 * ACCOUNT_NAME_MAX + 4096);

	m.n = ask->all ? penalty_clear_all(k->penalties)
	    : penalty_clear(k->penalties, ask->name.n > ACCOUNT_NAME_MAX ? ask->name : account_spelling(ask->name, arena));
	arena_free(&arena);
	log_info("uid %u clears penalties of %s: %u", (unsigned)a->uid, ask->all ? "all" : log_text(ask->name), (unsigned)m.n);
	keeper_changed(k->keeper);
	ipc_put_penalty_cleared(&k->out, id, &m);
	channel_reply(a->channel, id, &k->out);
}

static bool
on_frame(void *arg, struct admin *a, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_penalty_list ask;
	struct ipc_penalty_clear order;

	admin_idle(a, true);
	if (in->type == IPC_penalty_list && ipc_get_penalty_list(in, &ask) && ask.of < PENALTY_KINDS)
		list(arg, a->channel, id, &ask);
	else if (in->type == IPC_penalty_clear && ipc_get_penalty_clear(in, &order))
		clear(arg, a, id, &order);
	else
		return false;
	return true;
}

void
control_accept(struct control *k, int fd)
{
	admins_accept(&k->admins, fd);
}

struct control *
control_new(struct daemon *d, struct penalties *p, struct keeper *keeper)
{
	struct control *k = mem_alloc(sizeof *k);

	*k = (struct control){ .admins = { .loop = &d->loop, .frame = on_frame, .arg = k }, .penalties = p, .keeper = keeper };
	ipc_out_init(&k->out);
	buf_init(&k->run, ROWS_MAX);
	return k;
}

void
control_free(struct control **taken)
{
	struct control *k = *taken;

	*taken = NULL;
	admins_close(&k->admins);
	ipc_out_fini(&k->out);
	buf_fini(&k->run);
	mem_free(k);
}
