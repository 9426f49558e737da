/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_auth.c - hermod auth: who has given wrong passwords, and an end to what that costs them. Asks the auth
 * that runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mail/penalty_file.h"
#include "mail/queue_filter.h"
#include "tools/hermod_ask.h"

#define ANSWER_MS	30000
#define LINE_MAX_OCTETS	4096

struct look {
	int		 fd;		/* to auth; owned */
	struct bytes	 filter;	/* a pattern; empty: all */
	struct rows	 rows;
	unsigned char	 frame[IPC_FRAME_MAX];
};

/* ---- what auth says ---- */

static void
take_answer(struct look *l, enum ipc_type type, struct ipc_in *in)
{
	if (ipc_recv_wait(l->fd, l->frame, in, ANSWER_MS) != IPC_DONE || in->type != (uint32_t)type)
		hermod_die(EXIT_UNREACHED, "auth went away; try again");
}

static void
send_question(struct look *l, struct ipc_out *out)
{
	if (!ask_send(l->fd, out))
		hermod_die(EXIT_UNREACHED, "auth went away; try again");
}

/* One page into the rows. Where the next begins; 0: that was all. */
static uint32_t
ask_page(struct look *l, enum penalty_of of, uint32_t at, void (*each)(struct look *, enum penalty_of, const struct ipc_penalty_row *))
{
	struct ipc_penalty_list ask = { .of = of, .at = at };
	struct ipc_penalty_listed m;
	struct ipc_penalty_row row;
	struct ipc_out out;
	struct ipc_in in;
	bool bad = false;

	ipc_out_init(&out);
	ipc_put_penalty_list(&out, 1, &ask);
	send_question(l, &out);
	take_answer(l, IPC_penalty_listed, &in);
	if (!ipc_get_penalty_listed(&in, &m))
		hermod_die(EXIT_FAILED, "auth's answer makes no sense");
	while (m.rows.n > 0) {
		struct bytes body = ipc_cut_text(&m.rows, &bad);
		struct ipc_in part;

		ipc_in_bytes(&part, body);
		if (bad || !ipc_get_penalty_row(&part, &row))
			hermod_die(EXIT_FAILED, "auth's answer makes no sense");
		each(l, of, &row);
	}
	return m.at;
}

/* ---- list ---- */

static void
print_json(enum penalty_of of, const struct ipc_penalty_row *row)
{
	struct buf o;

	buf_init(&o, LINE_MAX_OCTETS);
	buf_char(&o, '{');
	json_text(&o, "of", text(penalty_of_name(of)));
	json_text(&o, "name", row->name);
	json_bool(&o, "cut", row->whole == 0);
	json_number(&o, "failures", row->failures);
	json_number(&o, "latest", row->age);
	json_number(&o, "wait_ms", row->wait_ms);
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

static void
show(struct look *l, enum penalty_of of, const struct ipc_penalty_row *row)
{
	char name[PENALTY_NAME + 4];

	if (l->filter.n > 0 && !queue_pattern(l->filter, row->name))
		return;
	if (hermod_options.json) {
		print_json(of, row);
		return;
	}
	rows_text(&l->rows, penalty_of_name(of));
	if (row->whole)
		rows_add(&l->rows, row->name);
	else {
		snprintf(name, sizeof name, "%.*s...", BYTES_FMT(row->name));
		rows_text(&l->rows, name);
	}
	rows_number(&l->rows, row->failures);
	rows_time(&l->rows, (uint64_t)row->age * 1000);
	rows_number(&l->rows, row->wait_ms);
}

static int
list(struct look *l)
{
	static const char *const title[] = { "OF", "NAME", "<FAILURES", "<LATEST", "<WAIT-MS", NULL };

	rows_init(&l->rows, title);
	for (unsigned of = 0; of < PENALTY_KINDS; of++) {
		uint32_t at = 0;

		do
			at = ask_page(l, of, at, show);
		while (at != 0);
	}
	if (hermod_options.json)
		buf_fini(&l->rows.cells);
	else
		rows_print(&l->rows);
	return EXIT_WORKED;
}

/* ---- clear ---- */

static int
clear(struct look *l, const char *name)
{
	bool all = strcmp(name, "--all") == 0;
	struct ipc_penalty_clear order = { .all = all, .name = text(all ? "" : name) };
	struct ipc_penalty_cleared m;
	struct ipc_out out;
	struct ipc_in in;

	if (order.name.n > 1024)
		hermod_die(EXIT_USE, "this is too long for the name of an account");
	ipc_out_init(&out);
	ipc_put_penalty_clear(&out, 1, &order);
	send_question(l, &out);
	take_answer(l, IPC_penalty_cleared, &in);
	if (!ipc_get_penalty_cleared(&in, &m))
		hermod_die(EXIT_FAILED, "auth's answer makes no sense");
	if (m.n == 0 && !all)
		hermod_die(EXIT_FAILED, "%s: there is no penalty under this name; `hermod auth list` shows all", name);
	if (hermod_options.json)
		printf("{\"cleared\":%u}\n", (unsigned)m.n);
	else
		printf("%u cleared\n", (unsigned)m.n);
	return EXIT_WORKED;
}

int
hermod_auth(int argc, char **argv)
{
	static struct look look;
	int status;

	if (argc == 2 && strcmp(argv[1], "list") == 0)
		look.filter = text("");
	else if (argc == 3 && strcmp(argv[1], "list") == 0 && argv[2][0] != '-')
		look.filter = text(argv[2]);
	else if (argc != 3 || strcmp(argv[1], "clear") != 0 || (argv[2][0] == '-' && strcmp(argv[2], "--all") != 0)
	    || argv[2][0] == '\0')
		hermod_usage("auth", argc > 1 ? argv[argc - 1] : NULL);
	look.fd = ask_connect("auth.sock", "auth");
	status = argv[1][0] == 'l' ? list(&look) : clear(&look, argv[2]);
	close(look.fd);
	return status;
}
