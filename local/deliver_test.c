/* SPDX-License-Identifier: ISC */
/*
 * The worker itself, forked and confined as it is in the suite, at the other end
 * of a channel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "local/deliver.h"
#include "mail/ipc.h"
#include "mail/mailbox.h"
#include "mail/segments.h"

#define WAIT_MS 30000

static char	root[64], spec[100];
static int	queue_file = -1, channel = -1;
static pid_t	child;
static unsigned char frame[IPC_FRAME_MAX];

static int
begin(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "/tmp/deliver-test.XXXXXX");
	if (!mkdtemp(root))
		return -1;
	snprintf(spec, sizeof spec, "maildir:%s/Maildir", root);
	queue_file = open(root, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return queue_file == -1 ? -1 : 0;
}

static int
remove_one(const char *name, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(name);
}

static int
end(void **state)
{
	(void)state;
	close(queue_file);
	return nftw(root, remove_one, 10, FTW_DEPTH | FTW_PHYS);
}

static void
send_hello(void)
{
	struct ipc_hello hello = { .hash = ipc_hash() };
	struct ipc_out out;
	struct ipc_in in;

	ipc_out_init(&out);
	ipc_put_hello(&out, 0, &hello);
	assert_int_equal(ipc_send_wait(channel, &out, WAIT_MS), IPC_DONE);
	ipc_out_fini(&out);
	assert_int_equal(ipc_recv_wait(channel, frame, &in, WAIT_MS), IPC_DONE);
	assert_int_equal(in.type, IPC_hello);
}

static void
start_worker(void)
{
	int pair[2];

	assert_true(ipc_pair(pair));
	child = fork();
	assert_int_not_equal(child, -1);
	if (child == 0) {
		close(pair[0]);
		_exit(deliver_run(pair[1], text(spec), "tester"));
	}
	close(pair[1]);
	channel = pair[0];
	send_hello();
}

static void
stop_worker(void)
{
	int status;

	close(channel);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
send_job(uint32_t id, const char *mailbox, const char *recipient, const char *content)
{
	struct ipc_deliver m = { .queue_id = text("ID"), .file = queue_file,
	    .sender = text("s@x.example"), .recipient = text(recipient),
	    .original = text("alias@h.example"), .mailbox = text(mailbox), .size = strlen(content) };
	struct ipc_out out;
	struct buf segments;

	buf_init(&segments, 60000);
	segments_add_text(&segments, text(content));
	m.segments = buf_bytes(&segments);
	ipc_out_init(&out);
	ipc_put_deliver(&out, id, &m);
	assert_int_equal(ipc_send_wait(channel, &out, WAIT_MS), IPC_DONE);
	ipc_out_fini(&out);
	buf_fini(&segments);
}

static void
expect(uint32_t id, enum outcome outcome, const char *status)
{
	struct ipc_delivered m;
	struct ipc_in in;

	assert_int_equal(ipc_recv_wait(channel, frame, &in, WAIT_MS), IPC_DONE);
	assert_int_equal(in.id, id);
	assert_int_equal(in.type, IPC_delivered);
	assert_true(ipc_get_delivered(&in, &m));
	if (!bytes_eq(m.status, text(status)))
		print_error("%.*s %.*s\n", BYTES_FMT(m.status), BYTES_FMT(m.reply));
	assert_int_equal(m.outcome, outcome);
	assert_true(bytes_eq(m.status, text(status)));
	assert_true(m.reply.n > 0);
}

/* The one file whose content begins so; its octets. */
static size_t
count_mail(struct buf *content)
{
	char name[200];
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	snprintf(name, sizeof name, "%s/Maildir/new", root);
	d = opendir(name);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		buf_clear(content);
		assert_true(file_slurp(dirfd(d), e->d_name, content));
	}
	closedir(d);
	return n;
}

static void
test_delivers(void **state)
{
	struct buf content;

	(void)state;
	start_worker();
	send_job(1, spec, "u@h.example", "Subject: x\r\n\r\nbody\r\n");
	expect(1, DELIVERED, "2.0.0");
	buf_init(&content, 10000);
	assert_int_equal(count_mail(&content), 1);
	buf_char(&content, '\0');
	assert_string_equal((char *)content.p, "Return-Path: <s@x.example>\n"
	    "X-Original-To: alias@h.example\nDelivered-To: u@h.example\nSubject: x\n\nbody\n");
	for (uint32_t id = 2; id < 42; id++)
		send_job(id, spec, "u@h.example", "Subject: x\r\n\r\nbody\r\n");
	for (uint32_t id = 2; id < 42; id++)
		expect(id, DELIVERED, "2.0.0");
	assert_int_equal(count_mail(&content), 41);
	buf_fini(&content);
	stop_worker();
}

static void
test_refuses(void **state)
{
	struct buf content;

	(void)state;
	start_worker();
	send_job(7, "maildir:/tmp/other", "u@h.example", "S: x\r\n\r\n");
	expect(7, TRY_LATER, "4.3.5");
	send_job(8, spec, "u@h.example", "Received: x\r\ndelivered-to:  U@h.example \r\nS: x\r\n\r\n");
	expect(8, BOUNCE, "5.4.6");
	send_job(9, spec, "u@h.example", "S: x\r\n\r\nDelivered-To: u@h.example\r\n");
	expect(9, DELIVERED, "2.0.0");
	buf_init(&content, 10000);
	assert_int_equal(count_mail(&content), 1);
	buf_fini(&content);
	stop_worker();
}

/* Mail that is queued is answered with the reason, then the worker ends. */
static void
test_no_mailbox(void **state)
{
	/* The account's folder is made, and its domain's; more that is missing is not mounted, perhaps. */
	static const struct { const char *below; enum outcome outcome; const char *status; } rows[] = {
		{ "domain/user/Maildir", DELIVERED, "2.0.0" }, { "mail/domain/user/Maildir", TRY_LATER, "4.3.0" },
	};

	(void)state;
	for (size_t i = 0; i < LEN(rows); i++) {
		snprintf(spec, sizeof spec, "maildir:%s/%s", root, rows[i].below);
		start_worker();
		send_job(1, spec, "u@h.example", "S: x\r\n\r\n");
		expect(1, rows[i].outcome, rows[i].status);
		stop_worker();
	}
}

static void
test_nonsense_ends_it(void **state)
{
	struct ipc_out out;
	struct ipc_in in;
	struct ipc_go m = { .slot = 1 };

	(void)state;
	start_worker();
	ipc_out_init(&out);
	ipc_put_go(&out, 1, &m);
	assert_int_equal(ipc_send_wait(channel, &out, WAIT_MS), IPC_DONE);
	ipc_out_fini(&out);
	assert_int_equal(ipc_recv_wait(channel, frame, &in, WAIT_MS), IPC_CLOSED);
	stop_worker();
}

static void
test_loops(void **state)
{
	static const struct { const char *content; bool loops; } cases[] = {
		{ "Delivered-To: u@h.example\r\n\r\n", true },
		{ "A: b\nDelivered-To: u@h.example\n\n", true },
		{ "DELIVERED-TO:u@H.EXAMPLE\r\n\r\n", true },
		{ "X: y\r\nDelivered-To: v@h.example\r\n\r\n", false },
		{ "X: y\r\nDelivered-To: u@h.example.org\r\n\r\n", false },
		{ "X: y\r\n\r\nDelivered-To: u@h.example\r\n", false },
		{ "X-Delivered-To: u@h.example\r\n\r\n", false },
		{ "", false },
		{ "Delivered-To: u@h.example", false },
	};

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct bytes c = text(cases[i].content);

		for (size_t cut = 0; cut <= c.n; cut++) {
			struct buf segments;

			buf_init(&segments, 1000);
			segments_add_text(&segments, bytes_head(c, cut));
			segments_add_text(&segments, bytes_skip(c, cut));
			assert_int_equal(deliver_loops(-1, buf_bytes(&segments), text("u@h.example")),
			    cases[i].loops);
			buf_fini(&segments);
		}
	}
}

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_delivers), T(test_refuses), T(test_no_mailbox), T(test_nonsense_ends_it),
		cmocka_unit_test(test_loops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
