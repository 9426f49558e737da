/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/ipc.h"

static unsigned char octets[IPC_FRAME_MAX];

static size_t
open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* ---- each message of messages.def, with texts of 0, some and the most octets ---- */

static size_t
length(size_t max, unsigned round)
{
	return round == 0 ? 0 : round == 1 && max > 11 ? 11 : max;
}

static unsigned char frame[IPC_FRAME_MAX];

static void
send_recv(const struct ipc_out *out, int a, int b, struct ipc_in *in)
{
	assert_int_equal(ipc_send(a, out), IPC_DONE);
	assert_int_equal(ipc_recv(b, frame, in), IPC_DONE);
	assert_int_equal(in->id, 7);
}

#define MSG(m)		static void took_##m(const struct ipc_##m *want, struct ipc_in *in)	\
			{ struct ipc_##m got; (void)want;					\
			  assert_int_equal(in->type, IPC_##m); assert_true(ipc_get_##m(in, &got));
#define TEXT(f, max)	assert_true(bytes_eq(got.f, want->f));
#define U32(f)		assert_true(got.f == want->f);
#define U64(f)		assert_true(got.f == want->f);
#define FD(f)		assert_true((got.f == -1) == (want->f == -1)); if (got.f != -1) {	\
				assert_true(fcntl(got.f, F_GETFD) & FD_CLOEXEC); close(got.f); }
#define END(m)		}
#include "mail/messages.def"
#undef MSG
#undef TEXT
#undef U32
#undef U64
#undef FD
#undef END

#define MSG(m)		static void trip_##m(struct ipc_out *out, int a, int b, unsigned round)	\
			{ struct ipc_##m msg = { 0 }; struct ipc_in in; (void)round;
#define TEXT(f, max)	msg.f = bytes_of(octets, length(max, round));
#define U32(f)		msg.f = 0x80000001u + round;
#define U64(f)		msg.f = 0x8000000000000001u + round;
#define FD(f)		msg.f = round == 1 ? -1 : a;
#define END(m)		ipc_put_##m(out, 7, &msg); assert_false(out->frame.full);		\
			send_recv(out, a, b, &in); took_##m(&msg, &in); }
#include "mail/messages.def"
#undef MSG
#undef TEXT
#undef U32
#undef U64
#undef FD
#undef END

static void
test_every_message(void **state)
{
	struct ipc_out out;
	size_t before = open_fds();
	int fds[2];

	(void)state;
	assert_true(ipc_pair(fds));
	ipc_out_init(&out);
	for (unsigned round = 0; round < 3; round++) {
#define MSG(m)		trip_##m(&out, fds[0], fds[1], round);
#define TEXT(f, max)
#define U32(f)
#define U64(f)
#define FD(f)
#define END(m)
#include "mail/messages.def"
#undef MSG
	}
	ipc_out_fini(&out);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(open_fds(), before);
}

/* ---- what is no frame ---- */

static void
send_raw(int fd, const void *p, size_t n, int pass, unsigned npass)
{
	struct iovec piece = { (void *)(uintptr_t)p, n };
	union { char octets[CMSG_SPACE(253 * sizeof(int))]; struct cmsghdr align; } space = { .octets = { 0 } };
	struct msghdr msg = { .msg_iov = &piece, .msg_iovlen = 1 };

	if (npass > 0) {
		struct cmsghdr *c;

		msg.msg_control = space.octets;
		msg.msg_controllen = CMSG_SPACE(npass * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(npass * sizeof(int));
		for (unsigned i = 0; i < npass; i++)
			memcpy(CMSG_DATA(c) + i * sizeof pass, &pass, sizeof pass);
	}
	assert_int_equal(sendmsg(fd, &msg, MSG_DONTWAIT), (ssize_t)n);
}

#define H(type)	type, 0, 0, 0, 1, 0, 0, 0

static const struct {
	const char	*name;
	unsigned char	 octets[64];
	size_t		 n;
	unsigned	 fds;
	enum ipc_io	 want;
	bool		 good;		/* as a `listener` */
} raw[] = {
	{ "right",		{ H(IPC_listener), 1, 0, 0, 0, 'x', 1 },	14, 1, IPC_DONE, true },
	{ "right, no fd",	{ H(IPC_listener), 1, 0, 0, 0, 'x', 0 },	14, 0, IPC_DONE, true },
	{ "fd in no field",	{ H(IPC_listener), 1, 0, 0, 0, 'x', 0 },	14, 1, IPC_DONE, false },
	{ "fd missing",		{ H(IPC_listener), 1, 0, 0, 0, 'x', 1 },	14, 0, IPC_DONE, false },
	{ "one fd too many",	{ H(IPC_listener), 1, 0, 0, 0, 'x', 1 },	14, 2, IPC_DONE, false },
	{ "three fds",		{ H(IPC_listener), 1, 0, 0, 0, 'x', 1 },	14, 3, IPC_BAD, false },
	{ "253 fds",		{ H(IPC_listener), 1, 0, 0, 0, 'x', 1 },	14, 253, IPC_BAD, false },
	{ "fd flag 2",		{ H(IPC_listener), 1, 0, 0, 0, 'x', 2 },	14, 1, IPC_DONE, false },
	{ "short",		{ H(IPC_listener), 1, 0, 0, 0, 'x' },		13, 1, IPC_DONE, false },
	{ "left over",		{ H(IPC_listener), 1, 0, 0, 0, 'x', 1, 0 },	15, 1, IPC_DONE, false },
	{ "text past the end",	{ H(IPC_listener), 9, 0, 0, 0, 'x', 1 },	14, 1, IPC_DONE, false },
	{ "huge length",	{ H(IPC_listener), 255, 255, 255, 255, 'x', 1 }, 14, 1, IPC_DONE, false },
	{ "past the maximum",	{ H(IPC_listener), 65, 0, 0, 0 },		64, 0, IPC_DONE, false },
	{ "another message",	{ H(IPC_go), 1, 0, 0, 0, 0, 0, 0, 0 },		16, 0, IPC_DONE, false },
	{ "type 0",		{ H(IPC_NONE), 1, 0, 0, 0, 'x', 0 },		14, 1, IPC_BAD, false },
	{ "unknown type",	{ H(IPC_TYPES) },				8, 0, IPC_BAD, false },
	{ "no whole head",	{ H(IPC_listener) },				7, 2, IPC_BAD, false },
	{ "one octet",		{ 1 },						1, 1, IPC_BAD, false },
};

static void
test_raw(void **state)
{
	size_t before = open_fds();
	int fds[2];

	(void)state;
	for (size_t i = 0; i < LEN(raw); i++) {
		struct ipc_listener m = { .fd = -1 };
		struct ipc_in in;
		enum ipc_io io;
		bool good;

		assert_true(ipc_pair(fds));
		send_raw(fds[0], raw[i].octets, raw[i].n, fds[0], raw[i].fds);
		io = ipc_recv(fds[1], frame, &in);
		good = io == IPC_DONE && ipc_get_listener(&in, &m);
		if (io != raw[i].want || good != raw[i].good)
			fail_msg("%s: io %d, good %d", raw[i].name, io, good);
		if (good && m.fd != -1)
			close(m.fd);
		ipc_in_close(&in);
		close(fds[0]);
		close(fds[1]);
		assert_int_equal(open_fds(), before);	/* whatever came along is closed */
	}
}

/* No descriptor is free for what comes: the frame is there, without it, and the channel lives. */
static void
test_no_room_for_a_descriptor(void **state)
{
	struct ipc_listener m = { .name = text("x") };
	struct rlimit all, few;
	struct ipc_out out;
	struct ipc_in in;
	int fds[2], free_one;

	(void)state;
	assert_true(ipc_pair(fds));
	ipc_out_init(&out);
	m.fd = fds[0];
	ipc_put_listener(&out, 1, &m);
	assert_int_equal(ipc_send(fds[0], &out), IPC_DONE);
	assert_int_equal(ipc_send(fds[0], &out), IPC_DONE);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	free_one = dup(0);
	close(free_one);
	few = (struct rlimit){ (rlim_t)free_one, all.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(ipc_recv(fds[1], frame, &in), IPC_DONE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_true(ipc_get_listener(&in, &m));
	assert_int_equal(m.fd, -1);
	assert_int_equal(ipc_recv(fds[1], frame, &in), IPC_DONE);
	assert_true(ipc_get_listener(&in, &m));
	assert_true(m.fd != -1);
	close(m.fd);
	ipc_out_fini(&out);
	close(fds[0]);
	close(fds[1]);
}

static void
test_too_long(void **state)
{
	static unsigned char long_one[IPC_FRAME_MAX + 1] = { H(IPC_submit_data) };
	struct ipc_out out;
	struct ipc_in in;
	int fds[2];

	(void)state;
	assert_true(ipc_pair(fds));
	send_raw(fds[0], long_one, sizeof long_one, fds[0], 1);
	assert_int_equal(ipc_recv(fds[1], frame, &in), IPC_BAD);
	ipc_out_init(&out);		/* a field past its maximum is not sent */
	ipc_put_setting(&out, 1, &(struct ipc_setting){ .name = bytes_of(octets, 65) });
	assert_int_equal(ipc_send(fds[0], &out), IPC_BAD);
	ipc_put_setting(&out, 1, &(struct ipc_setting){ .name = bytes_of(octets, 64) });
	assert_int_equal(ipc_send(fds[0], &out), IPC_DONE);
	ipc_out_fini(&out);
	close(fds[0]);
	close(fds[1]);
}

static void
test_ends(void **state)
{
	struct ipc_out out;
	struct ipc_in in;
	enum ipc_io io;
	int fds[2];

	(void)state;
	assert_true(ipc_pair(fds));
	ipc_out_init(&out);
	ipc_put_submit_data(&out, 1, &(struct ipc_submit_data){ .octets = bytes_of(octets, 57344) });
	assert_int_equal(ipc_recv(fds[1], frame, &in), IPC_AGAIN);
	assert_int_equal(ipc_recv_wait(fds[1], frame, &in, 20), IPC_AGAIN);
	for (unsigned n = 0; (io = ipc_send(fds[0], &out)) == IPC_DONE; n++)
		assert_true(n < 10000);
	assert_int_equal(io, IPC_AGAIN);	/* a peer that never reads */
	assert_int_equal(ipc_send_wait(fds[0], &out, 20), IPC_AGAIN);
	assert_int_equal(ipc_recv_wait(fds[1], frame, &in, 1000), IPC_DONE);
	close(fds[0]);
	while ((io = ipc_recv(fds[1], frame, &in)) == IPC_DONE)
		;
	assert_int_equal(io, IPC_CLOSED);
	assert_int_equal(ipc_send(fds[1], &out), IPC_CLOSED);
	ipc_out_fini(&out);
	close(fds[1]);
}

static void
test_run_of_bodies(void **state)
{
	struct ipc_out out;
	struct ipc_in in;
	struct ipc_route route;
	struct buf run;
	struct bytes rest, one;
	bool bad = false;

	(void)state;
	buf_init(&run, 4096);
	ipc_out_init(&out);
	for (uint32_t i = 0; i < 3; i++) {
		ipc_put_route(&out, 0, &(struct ipc_route){ .final = text("a@b"), .uid = i });
		ipc_add_text(&run, ipc_out_body(&out));
	}
	rest = buf_bytes(&run);
	for (uint32_t i = 0; i < 3; i++) {
		one = ipc_cut_text(&rest, &bad);
		ipc_in_bytes(&in, one);
		assert_true(ipc_get_route(&in, &route));
		assert_int_equal(route.uid, i);
		assert_true(bytes_eq(route.final, text("a@b")));
	}
	assert_int_equal(rest.n, 0);
	assert_false(bad);
	rest = bytes_head(buf_bytes(&run), run.n - 1);
	for (uint32_t i = 0; i < 3; i++)
		ipc_cut_text(&rest, &bad);
	assert_true(bad);
	buf_fini(&run);
	ipc_out_fini(&out);
}

static void
test_print(void **state)
{
	struct ipc_pam_check m = { .user = text("anna\n"), .password = text("secret") };
	struct ipc_out out;
	struct buf said;

	(void)state;
	buf_init(&said, 4096);
	ipc_out_init(&out);
	ipc_put_pam_check(&out, 1, &m);
	ipc_print((struct ipc_in){ .type = IPC_pam_check, .rest = ipc_out_body(&out) }, &said);
	buf_char(&said, '\0');
	assert_string_equal((char *)said.p, "pam_check user=\"anna\\x0A\" password=*** service=\"\" client=\"\"");
	buf_clear(&said);
	ipc_put_directory_answer(&out, 1, &(struct ipc_directory_answer){ .verdict = 1, .row = text("password=x") });
	ipc_print((struct ipc_in){ .type = IPC_directory_answer, .rest = ipc_out_body(&out) }, &said);
	buf_char(&said, '\0');
	assert_string_equal((char *)said.p, "directory_answer verdict=1 row=*** checks=0");
	buf_clear(&said);
	ipc_print((struct ipc_in){ .type = IPC_pam_check }, &said);
	assert_true(bytes_ends(buf_bytes(&said), text("(malformed)")));
	assert_string_equal(ipc_name(IPC_pam_check), "pam_check");
	assert_string_equal(ipc_name(IPC_TYPES), "?");
	assert_string_equal(ipc_name(IPC_NONE), "?");
	assert_true(ipc_hash() != 0 && ipc_hash() == ipc_hash());
	buf_fini(&said);
	ipc_out_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_message),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_no_room_for_a_descriptor),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_run_of_bodies),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
