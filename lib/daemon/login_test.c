/* SPDX-License-Identifier: ISC */
/* A protocol of single letters, with this test as client, auth and become. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "daemon/hidden.h"
#include "daemon/login.h"
#include "mail/router.h"

#define PATIENCE_MS	10000
#define IN_MAX		16384		/* as login.c has it */
#define BIG		15000		/* octets of a reply: less than what chokes it, more than the socket takes here */

static struct daemon d;
static struct hidden hidden;
static struct login_service *service;
static struct timer step;
static uint64_t steps;
static int client;			/* its side */
static char got[65536];			/* what the client has read */
static size_t got_n;

/* ---- the protocol: N is answered, B at length, S by who it is; L logs in, T starts TLS; x is nothing ---- */

static size_t wanted;			/* octets that must be there before any is taken */

static void
greet(struct login_session *s)
{
	buf_text(&s->conn.out, "hello\r\n");
}

static void
go_on(struct login_session *s)
{
	(void)s;
}

static bool
input(struct login_session *s, struct bytes *in)
{
	unsigned char c;

	if (in->n < wanted || in->n == 0)
		return false;
	wanted = 0;
	c = in->p[0];
	*in = bytes_skip(*in, 1);
	if (c == 'N')
		buf_text(&s->conn.out, "n\r\n");
	for (int i = 0; c == 'B' && i < BIG; i++)
		buf_char(&s->conn.out, 'b');
	if (c == 'S')
		buf_fmt(&s->conn.out, "%s %d %d %d\r\n", s->guest.client, s->tls, s->secure, s->may_start_tls);
	if (c == 'L')
		login_auth(s, text("PLAIN"), NULL);
	if (c == 'T')
		login_start_tls(s, *in, "go\r\n");
	return c != 'L' && c != 'T';
}

static void
failed(struct login_session *s, bool unavailable, struct bytes words)
{
	buf_fmt(&s->conn.out, "%s: %.*s\r\n", unavailable ? "unavailable" : "wrong", BYTES_FMT(words));
}

static void
welcome(struct login_session *s, struct buf *reply)
{
	(void)s;
	buf_text(reply, "welcome\r\n");
}

static const struct login_protocol protocol = {
	.name = "letters", .state_octets = 1, .greet = greet, .go_on = go_on, .input = input,
	.failed = failed, .welcome = welcome,
	.busy = "busy\r\n", .slow = "slow\r\n", .timeout = "timeout\r\n", .enough = "enough\r\n", .bye = "bye\r\n",
};

/* ---- auth and become ---- */

static struct channel *auth, *become, *tls;
static struct { unsigned count; char session_id[33]; int socket; } taken;	/* by tls */
static uint32_t auth_says, become_says;
static char auth_was_told[65];	/* of TLS */
static struct { unsigned count; char input[IN_MAX]; size_t input_n; char output[64]; int socket; } begun;

static bool
on_auth(void *arg, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_auth_start m;
	struct ipc_out out;

	(void)arg;
	if (!ipc_get_auth_start(in, &m) || !bytes_to_text(m.tls, auth_was_told, sizeof auth_was_told))
		return false;
	ipc_out_init(&out);
	ipc_put_auth_step(&out, id, &(struct ipc_auth_step){ .result = auth_says, .text = text("so it is"),
	    .ticket = text("01234567890123456789012345678901") });
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	return true;
}

static bool
on_tls(void *arg, struct channel *c, struct ipc_in *in)
{
	struct ipc_tls_begin m;

	(void)arg, (void)c;
	if (!ipc_get_tls_begin(in, &m) || !bytes_to_text(m.session_id, taken.session_id, sizeof taken.session_id))
		return false;
	taken.count++;
	taken.socket = m.socket;
	return true;
}

/* What tls says to the service. */
static bool
on_frame(void *arg, struct channel *c, struct ipc_in *in)
{
	(void)arg, (void)c;
	return login_take(service, in);
}

static bool
on_become(void *arg, struct channel *c, struct ipc_in *in)
{
	uint32_t id = in->id;
	struct ipc_session m;
	struct ipc_out out;

	(void)arg;
	if (!ipc_get_session(in, &m) || !bytes_to_text(m.output, begun.output, sizeof begun.output)
	    || m.input.n > sizeof begun.input)
		return false;
	begun.count++;
	begun.input_n = m.input.n;
	memcpy(begun.input, m.input.p, m.input.n);
	begun.socket = m.socket;
	ipc_out_init(&out);
	ipc_put_session_started(&out, id, &(struct ipc_session_started){ .status = become_says });
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	return true;
}

static void
on_gone(void *arg, struct channel *c)
{
	(void)c;
	*(struct channel **)arg = NULL;
}

static void
add_peer(const char *name, channel_frame frame, struct channel **other)
{
	int fds[2];
	struct peers *p = peers_new(name);

	assert_true(bytes_to_text(text(name), hidden.asked[d.npeers], sizeof hidden.asked[0]));
	d.peers[d.npeers++] = p;
	assert_true(ipc_pair(fds));
	peers_add(p, 0, channel_new(&d.loop, fds[0], on_frame, NULL, NULL));
	*other = channel_new(&d.loop, fds[1], frame, on_gone, other);
	channel_is_asked(*other);
}

/* ---- the client ---- */

static void
read_some(void)
{
	ssize_t n = recv(client, got + got_n, sizeof got - 1 - got_n, MSG_DONTWAIT);

	got_n += n > 0 ? (size_t)n : 0;
	got[got_n] = '\0';
}

static const char *awaited;		/* the last words that the client waits for; NULL: a session */

static bool
is_there(void)
{
	if (awaited == NULL)
		return begun.count > 0 && login_sessions(service) == 0;
	read_some();
	return bytes_ends(bytes_of(got, got_n), text(awaited));
}

static void
on_step(void *arg)
{
	(void)arg;
	if (is_there() || steps++ > PATIENCE_MS)
		loop_stop(&d.loop);
	else
		timer_set(&step, 1);
}

/* Lets it all run until these words, or the session, are there. */
static void
await(const char *words)
{
	awaited = words;
	steps = 0;
	timer_set(&step, 0);
	loop_run(&d.loop);
	if (steps > PATIENCE_MS)
		fail_msg("waited for %s, got %s", words ? words : "a session", got);
}

static void
run_once(void)
{
	assert_true(event_base_loop(d.loop.base, EVLOOP_NONBLOCK) >= 0);
	usleep(1000);
}

static void
say(const char *octets, size_t n)
{
	assert_int_equal(send(client, octets, n, 0), (ssize_t)n);
}

/* Connects with sockets that hold little. */
static void
connect_client(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	const int little = 1;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVBUF, &little, sizeof little), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&a, len), 0);
	fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
	close(l);
	login_accept(service, fd);
	await("hello\r\n");
	got_n = 0;
}

/* ---- the tests ---- */

static int
setup(void **state)
{
	static const struct mechanism_settings mechanisms = { .system_accounts = true, .sasldb_file = "", .introspection_url = "" };
	static const struct login_limits limits = { .timeout_ms = 60000, .failures = 2,
	    .crowd = { .sessions = 10, .stress_timeout_ms = 10000 } };

	(void)state;
	memset(&d, 0, sizeof d);
	memset(&begun, 0, sizeof begun);
	memset(&taken, 0, sizeof taken);
	begun.socket = taken.socket = -1;
	wanted = got_n = 0;
	auth_says = AUTH_OK;
	become_says = 0;
	d.hidden = &hidden;
	loop_init(&d.loop);
	timer_init(&step, &d.loop, on_step, NULL);
	add_peer("auth", on_auth, &auth);
	add_peer("become", on_become, &become);
	add_peer("tls", on_tls, &tls);
	service = login_service_new(&d, &protocol, &limits, &mechanisms);
	connect_client();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(client);
	if (begun.socket != -1)
		close(begun.socket);
	if (taken.socket != -1)
		close(taken.socket);
	login_service_free(&service);
	channel_close(&auth);
	channel_close(&become);
	channel_close(&tls);
	peers_free(&d.peers[0]);
	peers_free(&d.peers[1]);
	peers_free(&d.peers[2]);
	timer_clear(&step);
	loop_fini(&d.loop);
	return 0;
}

/* All that was read, a whole buffer, goes on with the session. */
static void
test_input_goes_on(void **state)
{
	static char all[IN_MAX];

	(void)state;
	memset(all, 'x', sizeof all);
	all[0] = 'L';
	wanted = sizeof all;
	say(all, sizeof all);
	await(NULL);
	assert_int_equal(begun.input_n, sizeof all - 1);
	assert_memory_equal(begun.input, all + 1, begun.input_n);
	assert_string_equal(begun.output, "welcome\r\n");
	assert_int_equal(send(begun.socket, "here\r\n", 6, 0), 6);
	await("here\r\n");
	assert_int_equal(got_n, 6);
}

/* tls has the socket, and what comes on it next. */
static void
test_start_tls(void **state)
{
	char rest[16];

	(void)state;
	say("T", 1);
	await("go\r\n");
	for (int i = 0; i < 2000 && taken.count == 0; i++)
		run_once();
	assert_int_equal(taken.count, 1);
	assert_true(taken.session_id[0] != '\0');
	assert_int_equal(login_sessions(service), 0);
	say("secret", 6);
	for (int i = 0; i < 20; i++)
		run_once();
	assert_int_equal(recv(taken.socket, rest, sizeof rest, MSG_DONTWAIT), 6);
}

/* CVE-2011-0411: they would look protected. Nobody gets them, nor the socket. */
static void
test_octets_behind_starttls(void **state)
{
	(void)state;
	wanted = 2;
	say("TN", 2);
	for (int i = 0; i < 100; i++)
		run_once();
	read_some();
	assert_int_equal(taken.count, 0);
	assert_int_equal(got_n, 0);
}

/* While a reply has not left there is no TLS: it would come in the middle of the handshake. */
static void
test_unread_replies_before_tls(void **state)
{
	(void)state;
	say("B", 1);
	for (int i = 0; i < 20; i++)		/* the client reads nothing meanwhile */
		run_once();
	say("T", 1);
	for (int i = 0; i < 100; i++)
		run_once();
	assert_int_equal(taken.count, 0);
}

/* A client behind a handshake; with this address and session id. */
static void
enter(const char *address, const char *session_id)
{
	struct ipc_out out;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	ipc_out_init(&out);
	ipc_put_tls_client(&out, 0, &(struct ipc_tls_client){ .client = text(address), .session_id = text(session_id),
	    .tls = text("TLSv1.3 X"), .socket = pair[0] });
	channel_send(tls, &out);
	ipc_out_fini(&out);
	close(pair[0]);
	close(client);
	client = pair[1];
	got_n = 0;
}

static void
test_behind_tls(void **state)
{
	(void)state;
	enter("192.0.2.7", "");
	await("hello\r\n");
	say("S", 1);
	await("192.0.2.7 1 1 0\r\n");
	say("L", 1);
	await(NULL);
	assert_string_equal(auth_was_told, "TLSv1.3 X");
	assert_int_equal(send(begun.socket, "here\r\n", 6, 0), 6);
	await("here\r\n");
}

/* No greeting. */
static void
test_behind_starttls(void **state)
{
	(void)state;
	enter("2001:db8::7", "ABCDEFGHIJKLM");
	say("S", 1);
	await("2001:db8::7 1 1 0\r\n");
	assert_null(strstr(got, "hello"));
}

/* What has no address is nobody: the socket is closed, and the service goes on. */
static void
test_behind_tls_without_an_address(void **state)
{
	ssize_t n = -1;
	char c;

	(void)state;
	enter("anywhere", "");
	for (int i = 0; i < 2000 && n != 0; i++) {
		run_once();
		n = recv(client, &c, 1, MSG_DONTWAIT);
	}
	assert_int_equal(n, 0);
}

/* No session begins while a reply has not left: it would be lost, or come behind the session's. */
static void
test_unread_replies(void **state)
{
	static const char told[] = "unavailable: read the replies before you log in\r\n";

	(void)state;
	say("BL", 2);
	for (int i = 0; i < 200 && begun.count == 0; i++)	/* the client reads nothing meanwhile */
		run_once();
	assert_int_equal(begun.count, 0);
	await(told);
	assert_int_equal(got_n, BIG + strlen(told));
	say("L", 1);
	await(NULL);
}

/* Wrong passwords are counted, what is not sure is not. */
static void
test_failures(void **state)
{
	(void)state;
	auth_says = AUTH_UNAVAILABLE;
	for (int i = 0; i < 5; i++) {
		say("L", 1);
		await("unavailable: so it is\r\n");
		got_n = 0;
	}
	auth_says = AUTH_FAILED;
	say("L", 1);
	await("wrong: so it is\r\n");
	say("LN", 2);
	await("wrong: so it is\r\nwrong: so it is\r\nenough\r\n");
	shutdown(client, SHUT_WR);
	for (int i = 0; i < PATIENCE_MS && login_sessions(service) > 0; i++)
		run_once();
	assert_int_equal(login_sessions(service), 0);
}

static void
test_nobody_there(void **state)
{
	(void)state;
	become_says = EACCES;
	say("LN", 2);
	await("unavailable: no session can be started now; try again later\r\nn\r\n");
	channel_close(&become);
	channel_close(&auth);
	say("LN", 2);
	await("unavailable: logins are not possible now; try again later\r\nn\r\n");
	assert_int_equal(login_sessions(service), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_input_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unread_replies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_octets_behind_starttls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unread_replies_before_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind_starttls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_behind_tls_without_an_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
