/* SPDX-License-Identifier: ISC */
/*
 * tools/sendmail_queue.c - mailq: what is queued, as pickup tells it.
 */
#include <stdio.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "mail/take.h"
#include "tools/sendmail.h"

/* Octets from outside on a terminal: printable ASCII, UTF-8 above it, nothing else. */
static void
put_safe(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		putchar(s.p[i] >= 32 && s.p[i] != 127 ? s.p[i] : '?');
}

static void
put_json(struct bytes s)
{
	putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			printf("\\%c", s.p[i]);
		else if (s.p[i] < 32 || s.p[i] == 127)
			printf("\\u%04x", s.p[i]);
		else
			putchar(s.p[i]);
	}
	putchar('"');
}

static const char *
when(uint64_t s, char dst[32])
{
	time_t t = (time_t)s;
	struct tm tm;

	if (s == 0 || localtime_r(&t, &tm) == NULL || strftime(dst, 32, "%a %b %e %H:%M:%S", &tm) == 0)
		snprintf(dst, 32, "-");
	return dst;
}

/* Walks the recipients; each is printed by one line or as JSON. */
static void
recipients(struct bytes run, bool json)
{
	bool bad = false, first = true;

	while (run.n > 0 && !bad) {
		struct bytes address = ipc_cut_text(&run, &bad);
		uint32_t state = take_u32(&run, &bad);
		struct bytes reply = ipc_cut_text(&run, &bad);

		(void)state;
		if (bad)
			break;
		if (json) {
			printf("%s{\"address\":", first ? "" : ",");
			put_json(address);
			printf(",\"reply\":");
			put_json(reply);
			printf("}");
		} else {
			printf("%42s", "");
			put_safe(address);
			putchar('\n');
			if (reply.n > 0) {
				printf("%12s(", "");
				put_safe(reply);
				printf(")\n");
			}
		}
		first = false;
	}
}

static void
show_json(const struct ipc_queue_entry *e)
{
	printf("{\"id\":");
	put_json(e->queue_id);
	printf(",\"place\":");
	put_json(e->place);
	printf(",\"arrival\":%llu,\"next\":%llu,\"size\":%llu,\"sender\":",
	    (unsigned long long)e->arrival, (unsigned long long)e->next, (unsigned long long)e->size);
	put_json(e->sender);
	printf(",\"reason\":");
	put_json(e->reason);
	printf(",\"recipients\":[");
	recipients(e->recipients, true);
	printf("],\"recipients_left_out\":%u}\n", (unsigned)e->more);
}

/* As the mailq of old shows it, for those who read it by program: '*' active, '!' held, '#' corrupt. */
static void
show_text(const struct ipc_queue_entry *e)
{
	char date[32];
	char mark = bytes_eq(e->place, text("hold")) ? '!' : bytes_eq(e->place, text("corrupt")) ? '#'
	    : bytes_eq(e->place, text("later")) ? ' ' : '*';

	printf("%.*s%c %9llu %s  ", BYTES_FMT(e->queue_id), mark, (unsigned long long)e->size,
	    when(e->arrival, date));
	if (e->sender.n == 0)
		printf("MAILER-DAEMON");
	else
		put_safe(e->sender);
	putchar('\n');
	if (e->reason.n > 0) {
		printf("%12s(", "");
		put_safe(e->reason);
		printf(")\n");
	}
	recipients(e->recipients, false);
	if (e->more > 0)
		printf("%42sand %u more\n", "", (unsigned)e->more);
	putchar('\n');
}

int
show_queue(const char *run_directory, bool json)
{
	struct pickup_client p;
	struct ipc_queue_entry e;
	unsigned long long n = 0, octets = 0;
	int code = pickup_connect(&p, run_directory), got;

	if (code == EX_TEMPFAIL) {
		fprintf(stderr, "mailq: the mail system is down (nobody answers at %s/public/pickup); "
		    "start it with: hermod start\n", run_directory);
		return EX_UNAVAILABLE;
	}
	if (code != EX_OK)
		return code;
	while ((got = pickup_list(&p, &e)) == 1) {
		if (!json && n == 0)
			printf("-Queue ID-         --Size-- ----Arrival Time---- -Sender/Recipient-------\n");
		n++;
		octets += e.size;
		if (json)
			show_json(&e);
		else
			show_text(&e);
	}
	pickup_close(&p);
	if (got == -1) {
		fprintf(stderr, "mailq: the list broke off; try again\n");
		return EX_TEMPFAIL;
	}
	if (!json && n == 0)
		printf("Mail queue is empty\n");
	else if (!json)
		printf("-- %llu Kbytes in %llu Request%s.\n", (octets + 1023) / 1024, n, n == 1 ? "" : "s");
	return EX_OK;
}
