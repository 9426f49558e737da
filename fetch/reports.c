/* SPDX-License-Identifier: ISC */
/*
 * fetch/reports.c - what smtp-client says of sessions, for TLS reporting (RFC 8460), into a file a day
 * (doc/tls-report-format.md).
 *
 * What has come in is in memory for tls_report_interval, and is then added to the file: under a lock, since for a while
 * after a reload there are two of this process. A crash loses what is in memory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "fetch/fetch.h"
#include "mail/tls_report.h"

#define DAY_S		86400
#define TEMPORARY	".new"
#define LOCK_TRIES	50		/* of 100 ms, when the process ends; else the next time will do */

struct reports {
	struct daemon	*daemon;	/* borrowed */
	const struct fetch_settings *settings;	/* borrowed */
	int		 dir;		/* borrowed; -1: nothing is kept */
	struct tls_report *fresh;	/* owned; not in a file yet */
	char		 day[TLS_REPORT_DAY];	/* of fresh */
	struct timer	 due;
};

/* ---- the directory ---- */

/* Older than tls_report_days: their reports are sent, or will never be. */
static void
remove_old(const struct reports *r)
{
	char oldest[TLS_REPORT_DAY];
	DIR *d = dir_stream(r->dir, ".");
	struct dirent *e;

	if (!d) {
		log_errno("tls_report_directory");
		return;
	}
	tls_report_day(clock_wall_s() - (int64_t)r->settings->report_days * DAY_S, oldest);
	while ((e = readdir(d)) != NULL)
		if (tls_report_is_day(e->d_name) && strcmp(e->d_name, oldest) < 0 && unlinkat(r->dir, e->d_name, 0) == -1)
			log_errno("tls_report_directory: %s cannot be removed", e->d_name);
	closedir(d);
}

/* False: it cannot be read just now. */
static bool
read_file(const struct reports *r, struct tls_report *all)
{
	struct buf file;
	bool good, large;

	buf_init(&file, TLS_REPORT_FILE);
	good = file_slurp(r->dir, r->day, &file) || errno == ENOENT;
	large = !good && errno == EFBIG;	/* none that was written here */
	good = good || large;
	if (!good)
		log_errno("tls_report_directory: %s cannot be read", r->day);
	else if (large || (file.n > 0 && !tls_report_read(all, r->day, buf_bytes(&file))))
		log_warn("tls_report_directory: %s is damaged; it begins anew", r->day);
	buf_fini(&file);
	return good;
}

static bool
write_file(const struct reports *r, const struct tls_report *all)
{
	struct buf file;
	bool good;

	buf_init(&file, TLS_REPORT_FILE);
	tls_report_write(all, r->day, &file);
	good = !file.full && file_replace_locked(r->dir, r->day, TEMPORARY, buf_bytes(&file), 0600);
	if (!good)
		log_errno("tls_report_directory: %s cannot be written", r->day);
	buf_fini(&file);
	return good;
}

/* ---- what is fresh, to where it stays ---- */

/* The file's counts, and then ours: where there is too much, those who came first stay. */
static bool
add_to_file(const struct reports *r)
{
	struct tls_report *all = tls_report_new(r->settings->report_limit);
	bool good = read_file(r, all);

	if (good)
		tls_report_merge(all, r->fresh);
	good = good && write_file(r, all);
	tls_report_free(&all);
	return good;
}

/* False: it is still fresh. */
static bool
flush(struct reports *r, bool patient)
{
	bool good;
	int fd;

	if (r->dir == -1 || tls_report_is_empty(r->fresh))
		return true;
	fd = dir_lock(r->dir, patient ? LOCK_TRIES : 0);
	good = fd != -1 && add_to_file(r);
	if (good) {
		tls_report_clear(r->fresh);
		remove_old(r);
	}
	fd_close(&fd);
	return good;
}

static void
on_due(void *arg)
{
	struct reports *r = arg;

	if (!flush(r, false))
		timer_set(&r->due, r->settings->report_interval_ms);
}

/* What belongs to a day that is over goes to its file; if it cannot, it is lost, and said to be. */
static void
begin_day(struct reports *r)
{
	char today[TLS_REPORT_DAY];

	if (strcmp(tls_report_day(clock_wall_s(), today), r->day) == 0)
		return;
	if (!flush(r, true)) {
		log_warn("tls_report_directory: sessions of %s that were not written yet are not counted", r->day);
		tls_report_clear(r->fresh);
	}
	memcpy(r->day, today, sizeof today);
}

bool
reports_take(struct reports *r, struct ipc_in *in)
{
	struct ipc_tls_seen m;
	struct tls_report_session s;

	if (!ipc_get_tls_seen(in, &m))
		return false;
	s = (struct tls_report_session){ .policy = { .type = m.type, .domain = m.domain, .lines = m.lines }, .result = m.result,
	    .sending = m.sending, .receiving = m.receiving, .mx = m.mx, .reason = m.reason };
	reports_add(r, &s);
	return true;
}

void
reports_add(struct reports *r, const struct tls_report_session *s)
{
	if (r->dir == -1)
		return;
	begin_day(r);
	if (tls_report_add(r->fresh, s) && !r->due.set)
		timer_set(&r->due, r->settings->report_interval_ms);
}

void
reports_stop(struct reports *r)
{
	if (!flush(r, true))
		log_warn("tls_report_directory: sessions of %s that were not written yet are not counted", r->day);
}

struct reports *
reports_new(struct daemon *d, const struct fetch_settings *s, int dir)
{
	struct reports *r = mem_alloc(sizeof *r);

	*r = (struct reports){ .daemon = d, .settings = s, .dir = dir, .fresh = tls_report_new(s->report_limit) };
	tls_report_day(clock_wall_s(), r->day);
	timer_init(&r->due, &d->loop, on_due, r);
	return r;
}

void
reports_free(struct reports **taken)
{
	struct reports *r = *taken;

	*taken = NULL;
	if (!r)
		return;
	timer_clear(&r->due);
	tls_report_free(&r->fresh);
	mem_free(r);
}
