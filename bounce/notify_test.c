/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/mem.h"
#include "bounce/bounce.h"
#include "daemon/testing.h"
#include "mail/queue_testing.h"

#define CONTENT "From: anna@here.example\r\nSubject: test\r\n\r\nHello, bert.\r\n"

/* bounce's process, with one qmgr, router and cleanup; both ends of everything are here. */
struct fixture {
	struct daemon	 daemon;
	struct hidden	 hidden;
	struct bounce_settings settings;
	struct bounce	 bounce;
	struct channel	*qmgr, *router, *cleanup;	/* their own ends */
	/* What they do. */
	const char	*refused;	/* the router says NO of addresses that begin so */
	bool		 unsure;
	const char	*transport;
	enum open_status open;
	bool		 full;		/* the file that cleanup gives takes nothing */
	enum commit_status commit[2];	/* the first, and all after it */
	/* What they saw. */
	unsigned	 asked, opened, commits, abandoned, answers;
	uint32_t	 client_class;	/* of the last question */
	int		 file;		/* what was written to last; owned */
	struct arena	*arena;		/* of its envelope; owned */
	struct envelope	 envelope;
	uint64_t	 octets;
	struct ipc_notified answer;
	char		 notice[33], reply[600];
};

/* ---- router ---- */

static bool
on_router(void *arg, struct channel *c, struct ipc_in *in)
{
	struct fixture *f = arg;
	uint32_t id = in->id;
	struct ipc_rcpt_check m;
	struct ipc_rcpt_answer a = { .verdict = YES, .code = 250 };
	struct ipc_out out;
	struct buf routes;

	if (in->type != IPC_rcpt_check || !ipc_get_rcpt_check(in, &m))
		return false;
	f->asked++;
	f->client_class = m.client_class;
	ipc_out_init(&out);
	buf_init(&routes, 4096);
	ipc_put_route(&out, 0, &(struct ipc_route){ .final = m.recipient, .transport = text(f->transport),
	    .nexthop = text("x"), .mailbox = text("maildir:/m") });
	ipc_add_text(&routes, ipc_out_body(&out));
	a.routes = buf_bytes(&routes);
	if (f->unsure)
		a = (struct ipc_rcpt_answer){ .verdict = NOT_SURE };
	else if (f->refused && bytes_starts(m.recipient, text(f->refused)))
		a = (struct ipc_rcpt_answer){ .verdict = NO, .code = 550, .reply = text("5.1.1 no") };
	ipc_put_rcpt_answer(&out, 0, &a);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	buf_fini(&routes);
	return true;
}

/* ---- cleanup ---- */

static void
do_open(struct fixture *f, struct channel *c, uint32_t id)
{
	struct ipc_opened a = { .status = f->open, .file = -1 };
	struct ipc_out out;

	f->opened++;
	if (f->open == OPEN_OK) {
		fd_close(&f->file);
		f->file = f->full ? open("/dev/full", O_RDWR | O_CLOEXEC) : memfd_create("notice", MFD_CLOEXEC);
		a.file = f->file;
		a.queue_id = text("N2345678");
	}
	ipc_out_init(&out);
	ipc_put_opened(&out, 0, &a);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
}

static void
do_commit(struct fixture *f, struct channel *c, uint32_t id, const struct ipc_commit *m)
{
	struct ipc_out out;

	arena_free(&f->arena);
	f->arena = arena_new(ENVELOPE_ARENA);
	assert_true(envelope_decode(arena_copy(f->arena, m->records), f->arena, &f->envelope));
	f->octets = m->octets;
	ipc_out_init(&out);
	ipc_put_committed(&out, 0, &(struct ipc_committed){ .status = f->commit[f->commits > 0], .reply = text("5.4.6 loop"),
	    .next = -1 });
	f->commits++;
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
}

static bool
on_cleanup(void *arg, struct channel *c, struct ipc_in *in)
{
	struct fixture *f = arg;
	uint32_t id = in->id;
	struct ipc_open open;
	struct ipc_commit commit;
	struct ipc_abandon abandon;

	switch (in->type) {
	case IPC_open:
		assert_true(ipc_get_open(in, &open));
		do_open(f, c, id);
		return true;
	case IPC_commit:
		assert_true(ipc_get_commit(in, &commit));
		do_commit(f, c, id, &commit);
		return true;
	case IPC_abandon:
		f->abandoned++;
		return ipc_get_abandon(in, &abandon);
	}
	return false;
}

/* ---- qmgr ---- */

static void
on_answer(void *arg, struct ipc_in *in)
{
	struct fixture *f = arg;

	if (in == NULL)
		return;			/* qmgr was closed */
	f->answers++;
	assert_true(in->type == IPC_notified && ipc_get_notified(in, &f->answer));
	bytes_to_text(f->answer.notice, f->notice, sizeof f->notice);
	bytes_to_text(f->answer.reply, f->reply, sizeof f->reply);
	loop_stop(&f->daemon.loop);
}

/* A message in the queue, as qmgr has it open. */
static int
put_message(const struct envelope *e)
{
	char id[QUEUE_ID_MAX + 1];
	int fd;

	commit_of(&queue, text(CONTENT), e, id);
	fd = openat(queue.places[QUEUE_NEW], id, O_RDONLY | O_CLOEXEC);
	assert_true(fd != -1);
	return fd;
}

static void
ask(struct fixture *f, int fd, enum notice_kind kind)
{
	struct ipc_out out;

	ipc_out_init(&out);
	ipc_put_notify(&out, 0, &(struct ipc_notify){ .queue_id = text("M2345678"), .file = fd, .kind = kind });
	channel_call(f->qmgr, &out, 5000, on_answer, f);
	ipc_out_fini(&out);
	fd_close(&fd);
}

static void
notify(struct fixture *f, const struct envelope *e, enum notice_kind kind)
{
	ask(f, put_message(e), kind);
	run_ms(&f->daemon.loop, 5000);
	assert_int_equal(bounce_count(&f->bounce), 0);
}

/* ---- the process ---- */

static int
set_up(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	struct channel *near;
	int fds[2];

	assert_int_equal(test_queue_make("notify", true), 0);
	f->file = -1;
	f->transport = "local";
	f->open = OPEN_OK;
	f->commit[0] = f->commit[1] = COMMIT_OK;
	settings_standard(bounce_settings, &f->settings);
	f->daemon.hidden = &f->hidden;
	loop_init(&f->daemon.loop);
	bounce_init(&f->bounce, &f->daemon, &f->settings);
	bounce_templates(&f->bounce);
	f->router = neighbour_of(&f->daemon, "router", on_router, f);
	f->cleanup = neighbour_of(&f->daemon, "cleanup", on_cleanup, f);
	f->bounce.router = f->daemon.peers[0];
	f->bounce.cleanup = f->daemon.peers[1];
	assert_true(ipc_pair(fds));
	near = channel_new(&f->daemon.loop, fds[0], bounce_frame, bounce_gone, &f->bounce);
	channel_is_asked(near);
	f->qmgr = channel_new(&f->daemon.loop, fds[1], NULL, NULL, NULL);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	channel_close(&f->qmgr);
	run_ms(&f->daemon.loop, 20);	/* bounce's end of it goes */
	bounce_fini(&f->bounce);
	channel_close(&f->router);
	channel_close(&f->cleanup);
	peers_free(&f->daemon.peers[0]);
	peers_free(&f->daemon.peers[1]);
	loop_fini(&f->daemon.loop);
	settings_free(bounce_settings, &f->settings);
	arena_free(&f->arena);
	fd_close(&f->file);
	mem_free(f);
	return test_queue_remove(state);
}

/* ---- */

static struct recipient failed = { .state = RCPT_FAILED };

static struct envelope
message(void)
{
	failed = (struct recipient){ .original = text("bert@there.example"), .final = text("bert@there.example"),
	    .state = RCPT_FAILED, .last_reply = text("5.1.1 no such user"), .transport = text("smtp"), .nexthop = text("x") };
	return (struct envelope){ .sender = text("anna@here.example"), .client = text("127.0.0.1"), .helo = text("c.example"),
	    .arrival_s = 1600000000, .rcpts = &failed, .nrcpts = 1 };
}

static void
check_written(struct fixture *f, const char *words)
{
	char all[20000];
	ssize_t n = pread(f->file, all, sizeof all - 1, 0);

	assert_true(n > 0 && (uint64_t)n == f->octets);
	all[n] = '\0';
	if (strstr(all, words) == NULL)
		fail_msg("\"%s\" is not in:\n%s", words, all);
}

static void
test_to_its_sender(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_SENT);
	assert_string_equal(f->notice, "N2345678");
	assert_int_equal(f->client_class, CLIENT_LOCAL_USER);
	assert_int_equal(f->envelope.sender.n, 0);
	assert_int_equal(f->envelope.origin, ORIGIN_NOTICE);
	assert_int_equal(f->envelope.nrcpts, 1);
	assert_int_equal(f->envelope.rcpts[0].notify, NOTIFY_UNSAID);
	assert_bytes_equal(f->envelope.rcpts[0].final, text("anna@here.example"));
	check_written(f, "\r\nTo: <anna@here.example>\r\n");
	check_written(f, "\r\nContent-Type: message/rfc822\r\n");
	check_written(f, "\r\n" CONTENT "\r\n--=_hermod_");
	check_written(f, "\r\nFinal-Recipient: rfc822; bert@there.example\r\n");
}

static void
test_settings(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	f->bounce.rules.full = false;
	notify(f, &e, NOTICE_FINAL);
	check_written(f, "Content-Type: text/rfc822-headers\r\n");
	check_written(f, "\r\nFrom: anna@here.example\r\nSubject: test\r\n\r\n--=_");
	f->bounce.rules.full = true;
	f->bounce.rules.full_octets = sizeof CONTENT - 2;
	notify(f, &e, NOTICE_FINAL);
	check_written(f, "Content-Type: text/rfc822-headers\r\n");
	check_written(f, "is attached. The message has ");
	e.ret = RET_FULL;
	f->bounce.rules.full = false;
	f->bounce.rules.full_octets = sizeof CONTENT - 1;
	notify(f, &e, NOTICE_FINAL);
	check_written(f, "Content-Type: message/rfc822\r\n");
	assert_int_equal(f->envelope.requiretls, 0);
	e.requiretls = 1;			/* RFC 8689 section 5 */
	e.mt_priority = -4;
	notify(f, &e, NOTICE_FINAL);
	check_written(f, "Content-Type: text/rfc822-headers\r\n");
	assert_int_equal(f->envelope.requiretls, 1);
	assert_int_equal(f->envelope.mt_priority, -4);
}

/* A header that is longer than may be looked at is cut at a line. */
static void
test_a_long_header(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	f->settings.header_octets = 30;
	e.ret = RET_HDRS;
	notify(f, &e, NOTICE_FINAL);
	check_written(f, "\r\n\r\nFrom: anna@here.example\r\n\r\n--=_");
}

static void
test_nobody(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	failed.notify = NOTIFY_NEVER;
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_NEEDLESS);
	failed.notify = NOTIFY_UNSAID;
	notify(f, &e, NOTICE_DELAY);		/* nobody waits */
	assert_int_equal(f->answer.result, NOTICE_NEEDLESS);
	e.sender = text("");
	failed.state = RCPT_WAITING;
	notify(f, &e, NOTICE_DELAY);		/* nobody to be told */
	assert_int_equal(f->answer.result, NOTICE_NEEDLESS);
	assert_int_equal(f->asked + f->opened, 0);
}

static void
test_null_sender(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	e.sender = text("");
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_SENT);
	assert_int_equal(f->envelope.origin, ORIGIN_NOTICE_POSTMASTER);
	assert_bytes_equal(f->envelope.rcpts[0].original, text("postmaster@localhost.localdomain"));
	check_written(f, "To: <postmaster@localhost.localdomain>\r\nSubject: Undeliverable");
	e = f->envelope;			/* and that one fails, too */
	failed.state = RCPT_FAILED;
	e.rcpts = &failed;
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_HOLD);
	assert_string_equal(f->reply, "a notification to postmaster could not be delivered");
}

static void
test_refused_addresses(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	f->refused = "anna@";
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_SENT);
	assert_int_equal(f->asked, 2);
	assert_int_equal(f->envelope.origin, ORIGIN_NOTICE_POSTMASTER);
	f->refused = "";
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_HOLD);
	failed.state = RCPT_WAITING;
	notify(f, &e, NOTICE_DELAY);		/* it still may be delivered: nothing to hold */
	assert_int_equal(f->answer.result, NOTICE_NEEDLESS);
}

static void
test_strangers(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	e.client = text("198.51.100.7");
	notify(f, &e, NOTICE_FINAL);		/* an address of ours */
	assert_int_equal(f->answer.result, NOTICE_SENT);
	assert_int_equal(f->client_class, CLIENT_STRANGER);
	f->refused = "anna@";
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_HOLD);
	assert_non_null(strstr(f->reply, "came from a stranger"));
	f->refused = NULL;
	f->bounce.policy.to_strangers = true;
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_SENT);
	assert_int_equal(f->client_class, CLIENT_LOCAL_USER);
}

static void
test_trouble(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	f->unsure = true;
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_LATER);
	f->unsure = false;
	f->open = OPEN_NO_SPACE;
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_LATER);
	assert_string_equal(f->reply, "there is no room in the queue for a notification");
	f->open = OPEN_FAILED;
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_LATER);
	f->open = OPEN_OK;
	assert_int_equal(f->abandoned, 0);
	f->full = true;				/* the disk, while it is written */
	notify(f, &e, NOTICE_FINAL);
	run_ms(&f->daemon.loop, 20);
	assert_int_equal(f->answer.result, NOTICE_LATER);
	assert_int_equal(f->abandoned, 1);
	assert_int_equal(f->commits, 0);
	f->full = false;
	f->commit[0] = COMMIT_FAILED;
	f->commit[1] = COMMIT_NO_SPACE;
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_LATER);
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_LATER);
	assert_int_equal(f->abandoned, 1);
}

/* All who would have got it refuse it at once: then postmaster hears. */
static void
test_refused_when_delivered(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	f->commit[0] = COMMIT_REFUSED;
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_SENT);
	assert_int_equal(f->commits, 2);
	assert_int_equal(f->envelope.origin, ORIGIN_NOTICE_POSTMASTER);
	f->commit[1] = COMMIT_REFUSED;
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_HOLD);
}

static void
test_neighbours_that_are_gone(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	channel_close(&f->cleanup);
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_LATER);
	channel_close(&f->router);
	notify(f, &e, NOTICE_FINAL);
	assert_int_equal(f->answer.result, NOTICE_LATER);
}

/* qmgr dies: another one asks anew, and this is not sent for nobody. */
static void
test_the_asker_is_gone(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();

	ask(f, put_message(&e), NOTICE_FINAL);
	run_ms(&f->daemon.loop, 0);
	channel_close(&f->qmgr);
	run_ms(&f->daemon.loop, 50);
	assert_int_equal(bounce_count(&f->bounce), 0);
	assert_true(f->commits == 0 || f->commits == 1);
	assert_int_equal(f->answers, 0);
}

static void
test_bad_questions(void **state)
{
	struct fixture *f = *state;
	struct envelope e = message();
	int fd = put_message(&e), writer;
	char path[200];

	ask(f, -1, NOTICE_FINAL);
	run_ms(&f->daemon.loop, 5000);
	assert_int_equal(f->answer.result, NOTICE_LATER);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	writer = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(file_pwrite(writer, text("xxxx"), 8));	/* its preamble is damaged */
	close(writer);
	ask(f, fd, NOTICE_FINAL);
	run_ms(&f->daemon.loop, 5000);
	assert_int_equal(f->answer.result, NOTICE_HOLD);
	assert_string_equal(f->reply, "its envelope cannot be read");
}

int
main(void)
{
#define TEST(t)	cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_to_its_sender), TEST(test_settings), TEST(test_a_long_header), TEST(test_nobody), TEST(test_null_sender),
		TEST(test_refused_addresses), TEST(test_strangers), TEST(test_trouble), TEST(test_refused_when_delivered),
		TEST(test_neighbours_that_are_gone), TEST(test_the_asker_is_gone), TEST(test_bad_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
