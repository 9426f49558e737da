/* SPDX-License-Identifier: ISC */
/*
 * mail_left - for tests of power cuts and of damage: what a suite would find in the
 * folders that were left.
 *
 *	mail_left UID GID MAILBOX,... FOLDER...
 *		For each FOLDER: its name; a line for each message of FOLDER/queue,
 *			queue PLACE NAME sound|damaged|gone|foreign|trouble [RECIPIENT...]
 *		(those that still wait, or of whose failure nobody was told, when it is sound); then, as UID and GID, for each
 *		MAILBOX (a Maildir below FOLDER), after a look as by a POP3 session:
 *			mailbox MAILBOX UIDVALIDITY | mailbox MAILBOX failed
 *			uid MAILBOX UID NAME
 */
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "mail/mailbox.h"
#include "mail/queue.h"

static int proc_fd;

struct reading { struct queue *q; enum queue_place place; };

static bool
show_message(void *arg, const char *name)
{
	static const char *const words[] = { "sound", "gone", "damaged", "foreign", "trouble" };
	struct reading *r = arg;
	struct queue_message *m;
	enum queue_read got = queue_message_open(r->q, r->place, name, &m);

	if (got == QUEUE_READ)
		got = queue_message_verify(m);
	printf("queue %s %s %s", queue_place_name[r->place], name, words[got]);
	for (size_t i = 0; got == QUEUE_READ && i < m->envelope.nrcpts; i++)
		if (m->envelope.rcpts[i].state == RCPT_WAITING || m->envelope.rcpts[i].state == RCPT_FAILED)
			printf(" %.*s", BYTES_FMT(m->envelope.rcpts[i].final));
	printf("\n");
	queue_message_free(&m);
	return true;
}

static void
show_queue(const char *folder)
{
	char path[4096];
	struct queue q;
	struct reading r = { .q = &q };
	int dir;

	snprintf(path, sizeof path, "%s/queue", folder);
	dir = dir_open(AT_FDCWD, path);
	if (dir == -1 || !queue_open(&q, dir, proc_fd))
		log_fatal("cannot open %s", path);
	close(dir);
	printf("%s\n", folder);
	for (r.place = 0; r.place < QUEUE_PLACES; r.place++)
		queue_walk(&q, r.place, show_message, &r);
	queue_close(&q);
}

static void
show_mailbox(const char *folder, const char *name)
{
	char spec[4096], why[160];
	struct mailbox *m;

	snprintf(spec, sizeof spec, "maildir:%s/%s", folder, name);
	m = mailbox_open(text(spec), 1000, why, sizeof why);
	if (!m || !mailbox_scan(m)) {
		printf("mailbox %s failed\n", name);
		mailbox_close(&m);
		return;
	}
	printf("mailbox %s %u\n", name, (unsigned)mailbox_uidvalidity(m));
	for (size_t i = 0; i < mailbox_count(m); i++) {
		const struct mail *mail = mailbox_mail(m, i);

		printf("uid %s %u %.*s\n", name, (unsigned)mail->uid, BYTES_FMT(mail->name));
	}
	mailbox_close(&m);
}

static void
become(uid_t uid, gid_t gid)
{
	if (geteuid() == 0 && (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1
	    || setresuid(uid, uid, uid) == -1))
		log_fatal("cannot become uid %u", (unsigned)uid);
}

int
main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: mail_left UID GID MAILBOX,... FOLDER...\n");
		return 2;
	}
	proc_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 4; i < argc; i++)
		show_queue(argv[i]);
	become((uid_t)strtoul(argv[1], NULL, 10), (gid_t)strtoul(argv[2], NULL, 10));
	for (int i = 4; i < argc; i++) {
		struct bytes rest = text(argv[3]);
		char name[1024];

		printf("%s\n", argv[i]);
		while (rest.n > 0 && bytes_to_text(bytes_cut(&rest, ','), name, sizeof name))
			show_mailbox(argv[i], name);
	}
	return 0;
}
