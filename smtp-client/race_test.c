/* SPDX-License-Identifier: ISC */
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/file.h"
#include "smtp-client/testing.h"

/* Addresses of loopback stand for servers: who listens takes, who does not refuses, and whose queue is full is silent. */
struct server { int fd, fill[8]; uint16_t port; };

static struct server
listening(bool silent)
{
	struct server s = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof in4;

	assert_int_equal(bind(s.fd, (struct sockaddr *)&in4, size), 0);
	assert_int_equal(listen(s.fd, silent ? 0 : 10), 0);
	assert_int_equal(getsockname(s.fd, (struct sockaddr *)&in4, &size), 0);
	s.port = ntohs(in4.sin_port);
	for (size_t i = 0; i < LEN(s.fill); i++) {
		s.fill[i] = silent ? socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) : -1;
		if (silent)
			(void)!connect(s.fill[i], (struct sockaddr *)&in4, size);
	}
	return s;
}

static void
close_server(struct server *s)
{
	fd_close(&s->fd);
	for (size_t i = 0; i < LEN(s->fill); i++)
		fd_close(&s->fill[i]);
}

static struct { unsigned calls; size_t which; int fd; } result;

static void
done(void *arg, size_t which, int fd)
{
	(void)arg;
	result.calls++;
	result.which = which;
	fd_close(&result.fd);
	result.fd = fd;
}

static struct candidate
place(uint16_t port, unsigned preference)
{
	struct candidate p = { .port = port, .preference = preference };

	assert_true(address_parse(text("127.0.0.1"), &p.address));
	return p;
}

static void
begin(struct fixture *f, struct target *t, struct candidate *p, size_t n)
{
	fixture_init(f);
	fixture_set(f, "smtp_connect_timeout", "2s");
	fixture_serve(f);
	*t = (struct target){ .places = p, .nplaces = n };
	result.calls = 0;
	result.fd = -1;
}

static void
next(struct fixture *f, struct race *r)
{
	unsigned before = result.calls;

	race_next(r);
	assert_int_equal(result.calls, before);	/* never from within */
	UNTIL(f, result.calls > before)
		;
}

static void
finish(struct fixture *f, struct race **r)
{
	race_free(r);
	fd_close(&result.fd);
	fixture_fini(f);
}

/* Who refuses is passed by at once; who has connected and was of no use is followed by the next; then there is none. */
static void
test_in_order(void **state)
{
	struct server none = listening(false), a = listening(false), b = listening(false);
	struct candidate p[] = { place(none.port, 0), place(a.port, 10), place(b.port, 20) };
	uint64_t began = clock_mono_ms();
	struct fixture f;
	struct target t;
	struct race *r;

	(void)state;
	close_server(&none);
	begin(&f, &t, p, LEN(p));
	r = race_new(&f.client, &t, done, NULL);
	next(&f, r);
	assert_int_equal(result.which, 1);
	assert_true(result.fd != -1);
	assert_bytes_equal(race_failure(r, 0), text("Connection refused"));
	race_again(r, 1);
	next(&f, r);
	assert_int_equal(result.which, 1);
	next(&f, r);
	assert_int_equal(result.which, 2);
	next(&f, r);
	assert_int_equal(result.fd, -1);
	assert_false(race_ours(r));
	assert_true(clock_mono_ms() - began < 1500);
	finish(&f, &r);
	close_server(&a);
	close_server(&b);
}

/* RFC 8305: silence for a quarter of a second lets the next have a try; of another preference, for five seconds - unless
 * the first is given up before. */
static void
test_silence(void **state)
{
	struct server silent = listening(true), a = listening(false);

	(void)state;
	for (unsigned preference = 0; preference < 2; preference++) {
		struct candidate p[] = { place(silent.port, 0), place(a.port, preference) };
		struct fixture f;
		struct target t;
		struct race *r;
		uint64_t began, took;

		begin(&f, &t, p, LEN(p));
		r = race_new(&f.client, &t, done, NULL);
		began = clock_mono_ms();
		next(&f, r);
		took = clock_mono_ms() - began;
		assert_int_equal(result.which, 1);
		assert_true(preference == 0 ? took >= 240 && took < 1900 : took >= 1900);
		next(&f, r);		/* the loser, where it was not given up, has its turn */
		assert_int_equal(result.fd, -1);
		assert_bytes_equal(race_failure(r, 0), text("no answer within 2 s"));
		finish(&f, &r);
	}
	close_server(&silent);
	close_server(&a);
}

/* Everybody at once, in every state, and nothing is left behind. */
static void
test_free_at_any_time(void **state)
{
	struct server silent = listening(true), a = listening(false);
	struct candidate p[] = { place(silent.port, 0), place(silent.port, 0), place(a.port, 0) };

	(void)state;
	for (unsigned turns = 0; turns < 12; turns++) {
		struct fixture f;
		struct target t;
		struct race *r;

		begin(&f, &t, p, LEN(p));
		r = race_new(&f.client, &t, done, NULL);
		race_next(r);
		for (unsigned i = 0; i < turns; i++) {
			event_base_loop(f.daemon.loop.base, EVLOOP_NONBLOCK);
			usleep(50000);
		}
		finish(&f, &r);
	}
	close_server(&silent);
	close_server(&a);
}

static void
test_bind(void **state)
{
	struct server a = listening(false);
	struct candidate p[] = { place(a.port, 0) };
	struct sockaddr_in in4;
	socklen_t size = sizeof in4;
	struct fixture f;
	struct target t;
	struct race *r;

	(void)state;
	begin(&f, &t, p, LEN(p));
	fixture_set(&f, "smtp_bind_ipv4", "127.0.0.9");
	r = race_new(&f.client, &t, done, NULL);
	next(&f, r);
	assert_int_equal(getsockname(result.fd, (struct sockaddr *)&in4, &size), 0);
	assert_int_equal(ntohl(in4.sin_addr.s_addr), 0x7f000009);
	finish(&f, &r);

	begin(&f, &t, p, LEN(p));
	fixture_set(&f, "smtp_bind_ipv4", "192.0.2.1");		/* not this host's */
	r = race_new(&f.client, &t, done, NULL);
	next(&f, r);
	assert_int_equal(result.fd, -1);
	assert_true(race_ours(r));
	finish(&f, &r);
	close_server(&a);
}

static void
test_no_place(void **state)
{
	struct fixture f;
	struct target t;
	struct race *r;

	(void)state;
	begin(&f, &t, NULL, 0);
	r = race_new(&f.client, &t, done, NULL);
	next(&f, r);
	assert_int_equal(result.fd, -1);
	finish(&f, &r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_free_at_any_time),
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_no_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
