/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_dns.c - hermod dns: what the suite sees in the DNS, asked of its own resolver with its own cache: the
 * answer that smtp-client and the others get.
 */
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "mail/network.h"
#include "proto/dns_text.h"
#include "tools/hermod_ask.h"

#define MORE_MS		5000	/* that the resolver may take above dns_timeout */
#define PATIENCE_MS	3000	/* until a person is told what is waited for */

static const enum dns_type usual[] = { DNS_MX, DNS_A, DNS_AAAA };	/* what a delivery looks at first */

struct dns_tool_settings { uint64_t timeout_ms; };

static const struct setting dns_tool_settings[] = {
	SET_TIME("dns_timeout",	struct dns_tool_settings, timeout_ms, "30s", 1000, 300000),
	SET_END
};

/* ---- asking ---------------------------------------------------------------------------------------- */

void
dns_asker_open(struct dns_asker *d)
{
	struct dns_tool_settings settings;

	hermod_fill(dns_tool_settings, &settings);
	d->timeout_ms = (int)settings.timeout_ms + MORE_MS;
	d->told = false;
	settings_free(dns_tool_settings, &settings);
	d->fd = ask_connect("dns.sock", "resolver");
}

void
dns_asker_close(struct dns_asker *d)
{
	close(d->fd);
}

static _Noreturn void
die_of_silence(void)
{
	hermod_die(EXIT_UNREACHED, "the resolver went away; `hermod status` says why");
}

static void
send_question(struct dns_asker *d, struct bytes name, enum dns_type type, uint32_t id)
{
	struct ipc_out out;

	ipc_out_init(&out);
	ipc_put_dns_ask(&out, id, &(struct ipc_dns_ask){ .name = name, .type = type });
	if (!ask_send(d->fd, &out))
		die_of_silence();
}

/* On a terminal, and once: servers that do not answer take a while, and it looks as if nothing were done. */
static void
tell_of_waiting(struct dns_asker *d)
{
	struct pollfd answer = { .fd = d->fd, .events = POLLIN };

	if (d->told || !isatty(STDERR_FILENO) || poll(&answer, 1, PATIENCE_MS) != 0)
		return;
	d->told = true;
	fprintf(stderr, "hermod: the DNS has not answered yet; each question may take dns_timeout, %d s\n",
	    (d->timeout_ms - MORE_MS) / 1000);
}

void
dns_asker_ask(struct dns_asker *d, struct bytes name, enum dns_type type, struct arena *a, struct dns_answer *answer)
{
	struct ipc_dns_answer m;
	struct ipc_in in;

	send_question(d, name, type, 1);
	tell_of_waiting(d);
	if (ipc_recv_wait(d->fd, d->frame, &in, d->timeout_ms) != IPC_DONE || in.type != IPC_dns_answer
	    || !ipc_get_dns_answer(&in, &m))
		die_of_silence();
	dns_answer_decode(&m, type, a, answer);
}

void
dns_asker_ask_all(struct dns_asker *d, struct dns_question *q, size_t n, struct arena *a)
{
	bool *answered = arena_array(a, n, sizeof *answered);

	for (size_t i = 0; i < n; i++)
		send_question(d, q[i].name, q[i].type, (uint32_t)(i + 1));
	for (size_t i = 0; i < n; i++) {
		unsigned char *frame = arena_alloc(a, IPC_FRAME_MAX);
		struct ipc_dns_answer m;
		struct ipc_in in;

		tell_of_waiting(d);
		if (ipc_recv_wait(d->fd, frame, &in, d->timeout_ms) != IPC_DONE || in.type != IPC_dns_answer || in.id == 0
		    || in.id > n || answered[in.id - 1] || !ipc_get_dns_answer(&in, &m))
			die_of_silence();
		answered[in.id - 1] = true;
		dns_answer_decode(&m, q[in.id - 1].type, a, &q[in.id - 1].answer);
	}
}

const char *
dns_security(const struct dns_answer *a)
{
	return a->result == DNS_BOGUS ? "bogus" : a->result == DNS_FAILED ? "-" : a->secure ? "secure" : "insecure";
}

/* ---- what is shown ------------------------------------------------------------------------------------ */

static void
add_row(struct rows *rows, struct bytes name, enum dns_type type, const struct dns_answer *a, struct bytes data)
{
	rows_add(rows, a->name.n > 0 ? a->name : name);
	rows_text(rows, dns_type_name(type));
	rows_text(rows, dns_security(a));
	if (a->result == DNS_FAILED || a->result == DNS_BOGUS)
		rows_text(rows, "-");
	else
		rows_number(rows, a->ttl_s);
	rows_add(rows, data);
}

static void
show(struct rows *rows, struct bytes name, enum dns_type type, const struct dns_answer *a)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < a->n; i++) {
		buf_clear(&b);
		dns_record_put(&b, &a->records[i], false);
		add_row(rows, name, type, a, buf_bytes(&b));
	}
	if (a->n == 0) {
		buf_fmt(&b, "(%s%s%.*s)", dns_result_name(a->result), a->why.n > 0 ? ": " : "", BYTES_FMT(a->why));
		add_row(rows, name, type, a, buf_bytes(&b));
	}
	buf_fini(&b);
}

static void
print_json(struct bytes name, enum dns_type type, const struct dns_answer *a)
{
	struct buf o, b;

	buf_init(&o, 1 << 24);
	buf_init(&b, 1 << 20);
	buf_char(&o, '{');
	json_text(&o, "name", name);
	json_text(&o, "type", text(dns_type_name(type)));
	json_text(&o, "result", text(dns_result_name(a->result)));
	json_text(&o, "dnssec", text(dns_security(a)));
	json_number(&o, "ttl", a->ttl_s);
	json_text(&o, "canonical", a->name);
	json_text(&o, "why", a->why);
	buf_text(&o, ",\"records\":[");
	for (size_t i = 0; i < a->n; i++) {
		buf_clear(&b);
		dns_record_put(&b, &a->records[i], false);
		if (i > 0)
			buf_char(&o, ',');
		json_string(&o, buf_bytes(&b));
	}
	printf("%.*s]}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&b);
	buf_fini(&o);
}

/* ---- the verb ------------------------------------------------------------------------------------------ */

/* EXIT_FAILED: an answer is not sure. */
static int
lookup(struct bytes name, const enum dns_type *types, size_t n)
{
	static const char *const title[] = { "NAME", "TYPE", "DNSSEC", "<TTL", "DATA", NULL };
	static struct dns_asker asker;
	struct dns_question q[LEN(usual)];
	struct arena *a = arena_new(n * DNS_QUESTION_ARENA);
	int status = EXIT_WORKED;
	struct rows rows;

	must(n <= LEN(q));
	for (size_t i = 0; i < n; i++)
		q[i] = (struct dns_question){ .name = name, .type = types[i] };
	dns_asker_open(&asker);
	rows_init(&rows, title);
	dns_asker_ask_all(&asker, q, n, a);
	for (size_t i = 0; i < n; i++) {
		if (hermod_options.json)
			print_json(name, types[i], &q[i].answer);
		else
			show(&rows, name, types[i], &q[i].answer);
		if (q[i].answer.result == DNS_FAILED || q[i].answer.result == DNS_BOGUS)
			status = EXIT_FAILED;
	}
	arena_free(&a);
	if (!hermod_options.json)
		rows_print(&rows);
	dns_asker_close(&asker);
	return status;
}

static int
do_lookup(int argc, char **argv)
{
	enum dns_type type = DNS_PTR;
	struct address address;
	char reversed[DNS_REVERSE_MAX];
	struct bytes name;

	if (argc != 3 && argc != 4)
		hermod_usage("dns", argc > 4 ? argv[4] : NULL);
	name = text(argv[2]);
	if (argc == 4 && !dns_type_parse(text(argv[3]), &type))
		hermod_die(EXIT_USE, "%s: no type that mail has a use for; right would be A, AAAA, MX, TXT, TLSA, PTR, CNAME, NS, "
		    "SOA or SRV", argv[3]);
	if (type == DNS_PTR && address_parse(name, &address)) {
		name = text(dns_reverse(address.octet, reversed));
		return lookup(name, &type, 1);
	}
	return argc == 4 ? lookup(name, &type, 1) : lookup(name, usual, LEN(usual));
}

int
hermod_dns(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "lookup") == 0)
		return do_lookup(argc, argv);
	if (argc > 1 && strcmp(argv[1], "records") == 0)
		return hermod_dns_records(argc, argv);
	if (argc > 1 && strcmp(argv[1], "check") == 0)
		return hermod_dns_check(argc, argv);
	hermod_usage("dns", argc > 1 ? argv[1] : NULL);
}
