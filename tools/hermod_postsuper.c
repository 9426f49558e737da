/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_postsuper.c - postsuper(1): each -d, -h, -H, -r is an order of its own, in their order. What it says
 * goes to standard error, as it always did.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/hermod.h"
#include "tools/hermod_postfix.h"
#include "tools/hermod_queue.h"

static const struct act {
	char		 option;
	enum queue_verb	 verb;
	const char	*queues;	/* where it looks when none is named; in our words */
	const char	*each, *all;	/* what is said of one, of how many */
} acts[] = {
	{ 'd', ORDER_DELETE,	"new,active,later,down,hold",	"removed",		"Deleted" },
	{ 'h', ORDER_HOLD,	"new,active,later,down",	"placed on hold",	"Placed on hold" },
	{ 'H', ORDER_RELEASE,	"hold",				"released from hold",	"Released from hold" },
	{ 'r', ORDER_REQUEUE,	"new,active,later,down,hold",	"requeued",		"Requeued" },
};

static const struct act *now;		/* for tell */

struct request { const struct act *act; const char *id; };

static _Noreturn void
usage(void)
{
	fputs("usage: postsuper [-psSv] [-c FILE] [-d QUEUE_ID] [-h QUEUE_ID] [-H QUEUE_ID] [-r QUEUE_ID] [QUEUE ...]\n"
	    "QUEUE_ID may be ALL, or - for those on standard input; QUEUE is hold, incoming, active or deferred.\n", stderr);
	exit(POSTFIX_FATAL);
}

/* Of one that is not there nothing is said. */
static void
tell(const char *id, enum queue_obeyed result, const char *why)
{
	if (result == OBEYED)
		fprintf(stderr, "postsuper: %s: %s\n", id, now->each);
	else if (result == OBEYED_BUSY)
		fprintf(stderr, "postsuper: %s: %s\n", id, why);
}

static void
carry_out(const struct request *r, unsigned queues)
{
	struct queue_told told;
	struct queue_ask a;
	unsigned long long n;

	now = r->act;
	queue_ask_init(&a, r->act->verb);
	a.tell = tell;
	a.filter.places = queues;
	if (queues == 0)
		must(queue_filter_places(text(r->act->queues), &a.filter.places));
	if (strcmp(r->id, "ALL") != 0)
		queue_ask_id(&a, text(r->id));
	told = queue_ask(&a);
	n = told.done + told.busy;
	if (n > 0)
		fprintf(stderr, "postsuper: %s: %llu message%s\n", r->act->all, n, n == 1 ? "" : "s");
	queue_ask_fini(&a);
}

static const struct act *
act_of(int option)
{
	for (size_t i = 0; i < LEN(acts); i++)
		if (acts[i].option == option)
			return &acts[i];
	return NULL;
}

/* The structure of the queue is qmgr's to see to: -p, -s and -S have nothing to do. */
int
postsuper(int argc, char **argv)
{
	struct request *all = mem_array((size_t)argc, sizeof *all);
	unsigned queues = 0;
	size_t n = 0;
	int c;

	while ((c = getopt(argc, argv, "c:d:h:H:pr:sSv")) != -1) {
		if (c == 'c')
			postfix_configuration(optarg);
		else if (act_of(c))
			all[n++] = (struct request){ act_of(c), optarg };
		else if (c == '?')
			usage();
	}
	for (; optind < argc; optind++)
		if (!queue_filter_places(text(argv[optind]), &queues))
			postfix_fatal(POSTFIX_FATAL, "%s: no queue; right would be some of: hold, incoming, active, deferred",
			    argv[optind]);
	for (size_t i = 0; i < n; i++)
		carry_out(&all[i], queues);
	mem_free(all);
	return EXIT_WORKED;
}
