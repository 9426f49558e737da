/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_tls.c - hermod tls: how sessions with other hosts were protected, a day and a policy a line; with --json in
 * the members that RFC 8460 section 4.4 has for a policy of a report. From the files that fetch keeps.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "mail/json.h"
#include "mail/tls_report.h"
#include "tools/hermod.h"

#define DAYS_MAX	4000	/* more than tls_report_days can be */
#define POLICIES_MAX	100000	/* as tls_report_limit may be */

struct show {
	const char	*path;		/* borrowed */
	int		 dir;		/* owned */
	const char	*domain;	/* borrowed; NULL: all */
	struct rows	 rows;
	char		 days[DAYS_MAX][TLS_REPORT_DAY];
	size_t		 ndays;
};

/* ---- a policy, in the words of RFC 8460 ---- */

/* What stands behind such a name in the policy's lines. */
static void
put_array(struct buf *o, const char *member, struct bytes lines, const char *name)
{
	bool first = true;

	buf_fmt(o, ",\"%s\":[", member);
	while (lines.n > 0) {
		struct bytes line = bytes_cut(&lines, '\n');

		if (!bytes_eq(bytes_cut(&line, ' '), text(name)))
			continue;
		if (!first)
			buf_char(o, ',');
		json_string(o, line);
		first = false;
	}
	buf_char(o, ']');
}

static void
put_optional(struct buf *o, const char *name, struct bytes value)
{
	if (value.n > 0)
		json_text(o, name, value);
}

static void
put_failure(struct buf *o, const struct tls_report_failure *f)
{
	buf_char(o, '{');
	json_text(o, "result-type", text(tls_result_name(f->result)));
	put_optional(o, "sending-mta-ip", f->sending);
	put_optional(o, "receiving-mx-hostname", f->mx);
	put_optional(o, "receiving-ip", f->receiving);
	json_number(o, "failed-session-count", f->n);
	put_optional(o, "failure-reason-code", f->reason);
	buf_char(o, '}');
}

static void
print_json(const char *day, const struct tls_report_entry *e)
{
	struct buf o;

	buf_init(&o, 8 * TLS_REPORT_OCTETS);
	buf_char(&o, '{');
	json_text(&o, "day", text(day));
	buf_text(&o, ",\"policy\":{");
	json_text(&o, "policy-type", text(tls_report_type_name(e->policy.type)));
	if (e->policy.type != TLS_REPORT_NO_POLICY)
		put_array(&o, "policy-string", e->policy.lines, "string");
	json_text(&o, "policy-domain", e->policy.domain);
	if (e->policy.type == TLS_REPORT_STS)
		put_array(&o, "mx-host", e->policy.lines, "mx");
	buf_text(&o, "},\"summary\":{");
	json_number(&o, "total-successful-session-count", e->good);
	json_number(&o, "total-failure-session-count", tls_report_failed(e));
	buf_text(&o, "},\"failure-details\":[");
	for (const struct tls_report_failure *f = e->failures; f; f = f->next) {
		if (f != e->failures)
			buf_char(&o, ',');
		put_failure(&o, f);
	}
	buf_text(&o, "]}");
	printf("%.*s\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

/* ---- the same for people ---- */

static void
row(struct show *s, const char *day, const struct tls_report_entry *e, uint64_t good, uint64_t failed, struct bytes why)
{
	rows_text(&s->rows, day);
	rows_add(&s->rows, e->policy.domain);
	rows_text(&s->rows, tls_report_type_name(e->policy.type));
	rows_number(&s->rows, good);
	rows_number(&s->rows, failed);
	rows_add(&s->rows, why);
}

static void
row_failure(struct show *s, const char *day, const struct tls_report_entry *e, const struct tls_report_failure *f)
{
	struct buf why;

	buf_init(&why, 1024);
	buf_text(&why, tls_result_name(f->result));
	if (f->mx.n > 0)
		buf_fmt(&why, " %.*s", BYTES_FMT(f->mx));
	if (f->receiving.n > 0)
		buf_fmt(&why, " [%.*s]", BYTES_FMT(f->receiving));
	if (f->reason.n > 0)
		buf_fmt(&why, ": %.*s", BYTES_FMT(f->reason));
	row(s, day, e, 0, f->n, buf_bytes(&why));
	buf_fini(&why);
}

static void
add_rows(struct show *s, const char *day, const struct tls_report_entry *e)
{
	if (e->good > 0 || !e->failures)
		row(s, day, e, e->good, 0, text(""));
	for (const struct tls_report_failure *f = e->failures; f; f = f->next)
		row_failure(s, day, e, f);
	if (e->further > 0)
		row(s, day, e, 0, e->further, text("further ones"));
}

/* ---- days ---- */

static void
show_day(struct show *s, const char *day)
{
	struct tls_report *r = tls_report_new(POLICIES_MAX);
	struct buf file;

	buf_init(&file, TLS_REPORT_FILE);
	if (!file_slurp(s->dir, day, &file))
		hermod_die(EXIT_FAILED, "%s/%s: %s", s->path, day, strerror(errno));
	if (!tls_report_read(r, day, buf_bytes(&file)))
		hermod_die(EXIT_FAILED, "%s/%s is damaged", s->path, day);
	for (size_t i = 0; i < tls_report_count(r); i++) {
		const struct tls_report_entry *e = tls_report_at(r, i);

		if (s->domain && !bytes_case_eq(e->policy.domain, text(s->domain)))
			continue;
		if (hermod_options.json)
			print_json(day, e);
		else
			add_rows(s, day, e);
	}
	if (tls_report_further(r) > 0)
		fprintf(stderr, "hermod: %s: %llu further sessions, of policies beyond tls_report_limit\n", day,
		    (unsigned long long)tls_report_further(r));
	buf_fini(&file);
	tls_report_free(&r);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
find_days(struct show *s)
{
	DIR *d = dir_stream(s->dir, ".");
	struct dirent *e;

	if (!d)
		hermod_die(EXIT_FAILED, "%s: %s", s->path, strerror(errno));
	while ((e = readdir(d)) != NULL)
		if (tls_report_is_day(e->d_name) && s->ndays < DAYS_MAX)
			memcpy(s->days[s->ndays++], e->d_name, TLS_REPORT_DAY);
	closedir(d);
	qsort(s->days, s->ndays, sizeof s->days[0], compare);
}

static void
open_directory(struct show *s)
{
	s->path = settings_value(hermod_settings(), "tls_report_directory");
	s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir == -1 && errno == EACCES)
		hermod_die(EXIT_DENIED, "%s: only root, or whoever started Hermod, may read it", s->path);
	if (s->dir == -1)
		hermod_die(EXIT_FAILED, "%s: %s; it is made at the first start", s->path, strerror(errno));
}

int
hermod_tls(int argc, char **argv)
{
	static const char *const title[] = { "DAY", "DOMAIN", "POLICY", "<GOOD", "<FAILED", "WHY", NULL };
	struct show *s = mem_alloc(sizeof *s);
	const char *day = NULL;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--day") == 0 && i + 1 < argc && tls_report_is_day(argv[i + 1]))
			day = argv[++i];
		else if (argv[i][0] != '-' && !s->domain)
			s->domain = argv[i];
		else
			hermod_usage("tls", argv[i]);
	open_directory(s);
	if (!hermod_options.json)
		rows_init(&s->rows, title);
	if (day)
		show_day(s, day);
	else
		find_days(s);
	for (size_t i = 0; i < s->ndays; i++)
		show_day(s, s->days[i]);
	if (!hermod_options.json)
		rows_print(&s->rows);
	close(s->dir);
	mem_free(s);
	return EXIT_WORKED;
}
