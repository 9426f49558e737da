/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "daemon/testing.h"
#include "local/local.h"
#include "mail/router.h"

/* local's process, with one become; both ends of everything are here. */
struct fixture {
	struct daemon	 daemon;
	struct hidden	 hidden;
	struct local_settings settings;
	struct workers	*workers;
	struct channel	*become;	/* become's own end */
	int		 worker[4];	/* the deliver processes' ends, as become got them; owned */
	unsigned	 started;
};

/* ---- become ---- */

static bool
on_frame(void *arg, struct channel *c, struct ipc_in *in)
{
	struct fixture *f = arg;
	uint32_t id = in->id;
	struct ipc_worker m;
	struct ipc_out out;

	if (in->type != IPC_worker || !ipc_get_worker(in, &m))
		return false;
	assert_true(f->started < LEN(f->worker));
	f->worker[f->started++] = m.channel;
	ipc_out_init(&out);
	ipc_put_worker_started(&out, id, &(struct ipc_worker_started){ .pid = 1 });
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	return true;
}

static int
set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	f->settings = (struct local_settings){ .workers = 2, .idle_ms = 60000, .timeout_ms = 60000 };
	memset(f->worker, -1, sizeof f->worker);
	f->daemon.hidden = &f->hidden;
	loop_init(&f->daemon.loop);
	f->become = neighbour_of(&f->daemon, "become", on_frame, f);
	f->workers = workers_new(&f->daemon, &f->settings);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	workers_free(&f->workers);
	channel_close(&f->become);
	peers_free(&f->daemon.peers[0]);
	for (size_t i = 0; i < LEN(f->worker); i++)
		fd_close(&f->worker[i]);
	loop_fini(&f->daemon.loop);
	mem_free(f);
	return 0;
}

static void
job(struct fixture *f, const char *mailbox)
{
	struct ipc_deliver m = { .queue_id = text("ID"), .file = open("/dev/null", O_RDONLY | O_CLOEXEC),
	    .recipient = text("a@x.example"), .uid = 5, .gid = 6, .mailbox = text(mailbox) };

	workers_deliver(f->workers, NULL, 1, &m);
}

/* ---- */

static void
test_one_worker_a_mailbox(void **state)
{
	struct fixture *f = *state;

	job(f, "maildir:/a");
	job(f, "maildir:/a");
	job(f, "maildir:/b");
	run_ms(&f->daemon.loop, 20);
	assert_int_equal(f->started, 2);
	assert_int_equal(workers_jobs(f->workers), 3);
	job(f, "maildir:/c");		/* the two there may be are busy: it waits */
	run_ms(&f->daemon.loop, 20);
	assert_int_equal(f->started, 2);
	assert_int_equal(workers_jobs(f->workers), 4);
}

/* A worker dies, and before anybody has noticed more jobs are sent to it. They are answered like those it
 * had, and later than those; nothing of it may be gone by then. */
static void
test_jobs_for_one_that_has_just_died(void **state)
{
	struct fixture *f = *state;

	job(f, "maildir:/a");
	run_ms(&f->daemon.loop, 20);
	assert_int_equal(f->started, 1);
	fd_close(&f->worker[0]);
	job(f, "maildir:/a");		/* finds the channel broken */
	job(f, "maildir:/a");		/* is put on a channel that is broken */
	assert_int_equal(workers_jobs(f->workers), 3);
	run_ms(&f->daemon.loop, 20);
	assert_int_equal(workers_jobs(f->workers), 0);
	job(f, "maildir:/a");
	run_ms(&f->daemon.loop, 20);
	assert_int_equal(f->started, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_worker_a_mailbox, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_jobs_for_one_that_has_just_died, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
