/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_postqueue.c - postqueue(1). What is queued is told by pickup, as to mailq: root sees everything, others
 * what they sent. A delivery is asked for of qmgr, who hears root and the queue's user.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "mail/take.h"
#include "tools/hermod.h"
#include "tools/hermod_postfix.h"
#include "tools/hermod_queue.h"
#include "tools/sendmail.h"

static _Noreturn void
usage(void)
{
	fputs("usage: postqueue [-v] [-c FILE] -f | -i QUEUE_ID | -j | -p | -s SITE\n", stderr);
	exit(EX_USAGE);
}

/* ---- -j ------------------------------------------------------------------------------------------ */

/* NULL: Postfix would not list it. */
static const char *
queue_name(struct bytes place)
{
	static const struct { const char *ours, *theirs; } names[] = {
		{ "new", "incoming" }, { "active", "active" }, { "later", "deferred" }, { "down", "deferred" }, { "hold", "hold" },
	};

	for (size_t i = 0; i < LEN(names); i++)
		if (bytes_eq(place, text(names[i].ours)))
			return names[i].theirs;
	return NULL;
}

static void
put(struct buf *o, const char *name, struct bytes value)
{
	buf_fmt(o, "\"%s\": ", name);
	json_string(o, value);
}

static void
put_recipients(struct buf *o, struct bytes run)
{
	bool bad = false, first = true;

	while (run.n > 0) {
		struct bytes address = ipc_cut_text(&run, &bad), reply;

		(void)take_u32(&run, &bad);
		reply = ipc_cut_text(&run, &bad);
		if (bad)
			return;
		buf_text(o, first ? "{" : ", {");
		put(o, "address", address);
		if (reply.n > 0) {
			buf_text(o, ", ");
			put(o, "delay_reason", reply);
		}
		buf_char(o, '}');
		first = false;
	}
}

static void
print_entry(const struct ipc_queue_entry *e)
{
	const char *queue = queue_name(e->place);
	struct buf o;

	if (!queue)
		return;
	buf_init(&o, 1 << 24);
	buf_fmt(&o, "{\"queue_name\": \"%s\", ", queue);
	put(&o, "queue_id", e->queue_id);
	buf_fmt(&o, ", \"arrival_time\": %llu, \"message_size\": %llu, \"forced_expire\": false, ",
	    (unsigned long long)e->arrival, (unsigned long long)e->size);
	put(&o, "sender", e->sender.n > 0 ? e->sender : text("MAILER-DAEMON"));
	buf_text(&o, ", \"recipients\": [");
	put_recipients(&o, e->recipients);
	buf_text(&o, "]}\n");
	fwrite(o.p, 1, o.n, stdout);
	buf_fini(&o);
}

static int
list_json(void)
{
	const char *run = settings_value(hermod_settings(), "run_directory");
	struct pickup_client p;
	struct ipc_queue_entry e;
	int got, code = pickup_connect(&p, run);

	if (code == EX_TEMPFAIL)
		postfix_fatal(EX_UNAVAILABLE, "the mail system is down (nobody answers at %s/public/pickup); start it with: "
		    "hermod start", run);
	if (code != EX_OK)
		return code;
	while ((got = pickup_list(&p, &e)) == 1)
		print_entry(&e);
	pickup_close(&p);
	if (got == -1)
		postfix_fatal(EX_TEMPFAIL, "the list broke off; try again");
	return EX_OK;
}

/* ---- -f, -i, -s ---------------------------------------------------------------------------------------- */

static void
tell_failure(const char *id, enum queue_obeyed result, const char *why)
{
	if (result == OBEYED_FAILED || result == OBEYED_NEEDLESS)
		fprintf(stderr, "postqueue: %s: %s\n", id, why);
}

/* As Postfix: a queue id that is not there, a site for which nothing waits, is no failure. */
static int
flush(const char *id, const char *site)
{
	struct queue_ask a;

	queue_ask_init(&a, ORDER_FLUSH);
	a.tell = tell_failure;
	if (id)
		queue_ask_id(&a, text(id));
	if (site && site[0] == '[')
		a.filter.nexthop = text(site);
	else if (site)
		a.filter.domain = text(site);
	if (strlen(id ? id : site ? site : "") > QUEUE_PATTERN_MAX)
		usage();
	queue_ask(&a);
	queue_ask_fini(&a);
	return EX_OK;
}

int
postqueue(int argc, char **argv)
{
	const char *id = NULL, *site = NULL;
	int mode = 0, c;

	while ((c = getopt(argc, argv, "c:fi:jps:v")) != -1) {
		if (c == 'c')
			postfix_configuration(optarg);
		else if (c == 'v')
			;
		else if (c == '?' || mode != 0)
			usage();
		else
			mode = c;
		if (c == 'i')
			id = optarg;
		if (c == 's')
			site = optarg;
	}
	if (optind < argc || (id && id[0] == '\0') || (site && site[0] == '\0'))
		usage();
	switch (mode) {
	case 'p':	return show_queue(settings_value(hermod_settings(), "run_directory"), false);
	case 'j':	return list_json();
	case 'f': case 'i': case 's': return flush(id, site);
	default:	usage();
	}
}
