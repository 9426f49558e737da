/* SPDX-License-Identifier: ISC */
/* The life of a process, with this test as its master. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon.h"

#define PATIENCE_MS 10000

/* ---- the process ------------------------------------------------------------------ */

struct options { const char *greeting; uint64_t number; };

static const struct setting table[] = {
	SET_TEXT("greeting", struct options, greeting, "none"),
	SET_NUMBER("number", struct options, number, "5", 0, 100),
	SET_END
};

struct process { struct daemon d; struct options o; uint32_t open; bool drained, stopped; };

static void
answer(struct channel *c, uint32_t id, const char *said)
{
	struct ipc_out out;

	ipc_out_init(&out);
	ipc_put_pam_answer(&out, id, &(struct ipc_pam_answer){ .verdict = 1, .text = text(said) });
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
}

/* "greet": the setting. "peer": who asks. "settle": its one session ends. "forward": asks router. */
static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	struct process *p = owner;
	struct ipc_pam_check m;

	if (!ipc_get_pam_check(in, &m))
		return false;
	if (bytes_eq(m.user, text("greet")))
		answer(c, in->id, p->o.greeting);
	else if (bytes_eq(m.user, text("peer")))
		answer(c, in->id, channel_peer(c));
	else if (bytes_eq(m.user, text("stopped")))
		answer(c, in->id, p->stopped ? "yes" : "no");
	else if (bytes_eq(m.user, text("drained")))
		answer(c, in->id, p->drained ? "yes" : "no");
	else if (bytes_eq(m.user, text("settle")))
		p->open = 0;
	else
		return false;
	daemon_settled(&p->d);
	return true;
}

static void
on_listen(void *owner, const char *setting, int fd)
{
	struct process *p = owner;

	must(write(fd, setting, strlen(setting)) > 0);
	close(fd);
	p->d.served++;
}

static void
on_stop(void *owner)
{
	((struct process *)owner)->stopped = true;
}

static void
on_drain(void *owner)
{
	((struct process *)owner)->drained = true;
}

static uint32_t
sessions(void *owner)
{
	return ((struct process *)owner)->open;
}

static bool leaves_callers;	/* of the next process */

static int
run(int control, uint32_t open)
{
	struct process p = { .open = open };

	dup2(control, DAEMON_CONTROL_FD);
	for (int fd = DAEMON_CONTROL_FD + 1; fd < 64; fd++)
		close(fd);
	daemon_start(&p.d, "daemon_test");
	daemon_settings(&p.d, table, &p.o);
	must(daemon_file(&p.d, "root") == -1);
	daemon_confine(&p.d, KEEP_ACCEPT);
	p.d.owner = &p;
	p.d.on_frame = on_frame;
	p.d.on_listen = on_listen;
	p.d.on_drain = on_drain;
	p.d.on_stop = on_stop;
	p.d.sessions = sessions;
	p.d.leaves_callers = leaves_callers;
	daemon_serve(&p.d);
	settings_free(table, &p.o);
	return daemon_stop(&p.d);
}

/* ---- master ------------------------------------------------------------------------- */

static unsigned char	 frame[IPC_FRAME_MAX];
static struct ipc_out	 out;
static pid_t		 pid;
static int		 control;

static void
send_frame(int fd)
{
	assert_int_equal(ipc_send_wait(fd, &out, PATIENCE_MS), IPC_DONE);
}

static void
greet(int fd)
{
	ipc_put_hello(&out, 0, &(struct ipc_hello){ .hash = ipc_hash() });
	send_frame(fd);
}

/* The next frame, which must be of this type. */
static struct ipc_in
expect_frame(int fd, enum ipc_type type)
{
	struct ipc_in in;

	assert_int_equal(ipc_recv_wait(fd, frame, &in, PATIENCE_MS), IPC_DONE);
	if (in.type != type)
		fail_msg("got %s, not %s", ipc_name(in.type), ipc_name(type));
	return in;
}

static void
start_process(uint32_t open)
{
	int fds[2];

	ipc_out_init(&out);
	assert_true(ipc_pair(fds));
	pid = fork();
	if (pid == 0)
		_exit(run(fds[1], open));
	close(fds[1]);
	control = fds[0];
	greet(control);
	expect_frame(control, IPC_hello);
}

static void
send_setting(const char *name, const char *value)
{
	ipc_put_setting(&out, 0, &(struct ipc_setting){ .name = text(name), .value = text(value) });
	send_frame(control);
}

/* A channel on which we ask it; greeted. */
static int
send_channel(const char *service, bool caller)
{
	int fds[2];

	assert_true(ipc_pair(fds));
	ipc_put_channel(&out, 0, &(struct ipc_channel){ .service = text(service), .caller = caller, .fd = fds[1] });
	send_frame(control);
	close(fds[1]);
	greet(fds[0]);
	return fds[0];
}

static void
send_go(void)
{
	ipc_put_go(&out, 0, &(struct ipc_go){ .slot = 3 });
	send_frame(control);
	expect_frame(control, IPC_ready);
}

static void
send_drain(bool stop)
{
	ipc_put_drain(&out, 0, &(struct ipc_drain){ .stop = stop });
	send_frame(control);
}

static void
ask(int fd, const char *what)
{
	ipc_put_pam_check(&out, 9, &(struct ipc_pam_check){ .user = text(what) });
	send_frame(fd);
}

static void
assert_answer(int fd, const char *what, const char *want)
{
	struct ipc_pam_answer m;
	struct ipc_in in;

	ask(fd, what);
	in = expect_frame(fd, IPC_pam_answer);
	assert_int_equal(in.id, 9);
	assert_true(ipc_get_pam_answer(&in, &m) && bytes_eq(m.text, text(want)));
}

static struct ipc_reported
ask_report(void)
{
	struct ipc_reported m;
	struct ipc_in in;

	ipc_put_report(&out, 77, &(struct ipc_report){ 0 });
	send_frame(control);
	in = expect_frame(control, IPC_reported);
	assert_int_equal(in.id, 77);
	assert_true(ipc_get_reported(&in, &m));
	return m;
}

static bool
ended(void)
{
	return waitpid(pid, NULL, WNOHANG) != 0;
}

static void
assert_ends(int status)
{
	int st;

	for (int i = 0; waitpid(pid, &st, WNOHANG) == 0; i++) {
		if (i == PATIENCE_MS)
			fail_msg("it does not end");
		usleep(1000);
	}
	assert_true(WIFEXITED(st));
	assert_int_equal(WEXITSTATUS(st), status);
	close(control);
	ipc_out_fini(&out);
}

static void
test_life(void **state)
{
	struct ipc_reported r;
	int a, b;

	(void)state;
	start_process(1);
	send_setting("greeting", "hello there");
	send_setting("another's", "1");			/* of no table of this process */
	a = send_channel("auth", false);
	send_go();
	expect_frame(a, IPC_hello);
	b = send_channel("smtpd", false);		/* after go: a new process */
	expect_frame(b, IPC_hello);
	assert_answer(a, "greet", "hello there");
	assert_answer(a, "peer", "auth");
	assert_answer(b, "peer", "smtpd");
	r = ask_report();
	assert_int_equal(r.sessions, 1);
	assert_true(bytes_starts(r.note, text("root=host landlock=")));
	ask(b, "nonsense");				/* that channel is closed, nothing else */
	assert_int_equal(ipc_recv_wait(b, frame, &(struct ipc_in){ 0 }, PATIENCE_MS), IPC_CLOSED);
	close(b);
	assert_answer(a, "drained", "no");
	send_drain(false);
	ask_report();
	assert_answer(a, "drained", "yes");
	assert_answer(a, "stopped", "no");
	send_drain(true);				/* a stop while it drains */
	ask_report();
	assert_answer(a, "stopped", "yes");
	ask(a, "settle");
	assert_answer(a, "peer", "auth");		/* somebody can still ask it */
	assert_false(ended());
	close(a);
	assert_ends(0);
}

static void
test_drain_at_once(void **state)
{
	(void)state;
	start_process(0);
	send_go();
	send_drain(false);
	assert_ends(0);
	start_process(0);
	ipc_put_go(&out, 0, &(struct ipc_go){ 0 });
	send_frame(control);
	send_drain(false);					/* before it serves */
	assert_ends(0);
}

/* One that is asked, in a circle, by those who wait for it: it ends with its session. */
static void
test_drain_that_leaves_callers(void **state)
{
	int a;

	(void)state;
	leaves_callers = true;
	start_process(1);
	leaves_callers = false;
	a = send_channel("auth", false);
	send_go();
	expect_frame(a, IPC_hello);
	send_drain(false);
	ask_report();
	assert_false(ended());
	ask(a, "settle");
	assert_ends(0);
	close(a);
}

static void
test_master_gone(void **state)
{
	(void)state;
	start_process(5);
	send_go();
	close(control);
	assert_ends(0);
	start_process(5);				/* before it is told to go */
	close(control);
	assert_ends(0);
}

static void
test_nonsense(void **state)
{
	(void)state;
	start_process(0);
	ipc_put_open(&out, 0, &(struct ipc_open){ 0 });
	send_frame(control);
	assert_ends(1);
	start_process(0);
	send_go();
	send_setting("greeting", "too late");
	assert_ends(1);
	start_process(0);
	send_setting("number", "101");			/* master did not check it */
	ipc_put_go(&out, 0, &(struct ipc_go){ 0 });
	send_frame(control);
	assert_ends(1);
}

static int
dial(const struct sockaddr_in *to)
{
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(s, (const struct sockaddr *)to, sizeof *to) == -1) {
		close(s);
		return -1;
	}
	return s;
}

static void
test_listen(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), c;
	char got[32];

	(void)state;
	assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(s, 100), 0);
	assert_int_equal(getsockname(s, (struct sockaddr *)&at, &n), 0);
	start_process(1);
	ipc_put_listener(&out, 0, &(struct ipc_listener){ .name = text("listen_smtp"), .fd = s });
	send_frame(control);
	close(s);
	send_go();
	for (int i = 0; i < 50; i++) {
		c = dial(&at);
		assert_int_equal(read(c, got, sizeof got), strlen("listen_smtp"));
		close(c);
	}
	assert_int_equal(ask_report().served, 50);
	send_drain(false);
	ask_report();
	assert_int_equal(dial(&at), -1);		/* the port is free */
	close(control);
	assert_ends(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_drain_at_once),
		cmocka_unit_test(test_drain_that_leaves_callers),
		cmocka_unit_test(test_master_gone),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
