/* SPDX-License-Identifier: ISC */
/*
 * auth/keep.c - penalties over a restart: a file in auth_directory (doc/penalties-format.md), read by the first
 * process that has the memory they are in, written some time after a change and at the end, by whichever worker is
 * first; under a lock, since there are several. What a crash of the host loses are the last seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define NAME		"penalties"
#define TEMPORARY	".new"
#define SAVE_MS		15000		/* after a change */
#define LOCK_TRIES	20		/* of 100 ms, when the process ends; else the next time will do */

struct keeper {
	struct penalties *penalties;	/* borrowed */
	int		 dir;		/* borrowed; -1: nothing is kept */
	struct timer	 due;
	bool		 broken;	/* it was said that the file cannot be written */
};

/* ---- reading ---- */

static void
restore(struct keeper *k, struct bytes lines)
{
	int64_t now_s = clock_wall_s();
	uint64_t now_ms = clock_mono_ms();
	struct penalty p;

	while (penalty_file_next(&lines, &p))
		penalty_restore(k->penalties, &p, now_s - p.last_s, now_ms);
}

static void
read_file(struct keeper *k)
{
	struct bytes lines;
	struct buf file;

	buf_init(&file, PENALTY_FILE);
	if (!file_slurp(k->dir, NAME, &file) && errno != EFBIG) {
		if (errno == ENOENT)
			log_info("auth_directory: no " NAME " are kept there yet; they begin now");
		else
			log_errno("auth_directory: " NAME " cannot be read, and begin anew");
	} else if (file.full || !penalty_file_read(buf_bytes(&file), &lines))
		log_warn("auth_directory: " NAME " is damaged; it begins anew");
	else
		restore(k, lines);
	buf_fini(&file);
}

/* ---- writing ---- */

/* A name that is not whole cannot be found again by it. */
static void
put_all(struct keeper *k, struct buf *lines)
{
	int64_t now_s = clock_wall_s();
	uint64_t now_ms = clock_mono_ms();
	struct penalty_seen seen;

	for (unsigned of = 0; of < PENALTY_KINDS; of++)
		for (uint32_t at = 0; penalty_next(k->penalties, of, &at, now_ms, &seen); ) {
			struct penalty p = { .of = of, .failures = seen.row.count.n, .last_s = now_s - seen.age_s,
			    .name_n = seen.row.name_n };

			memcpy(p.name, seen.row.name, p.name_n);
			if (seen.row.whole && p.last_s >= 0)
				penalty_file_add(lines, &p);
		}
}

static bool
write_file(struct keeper *k)
{
	struct buf lines, file;
	bool good;

	buf_init(&lines, PENALTY_FILE);
	buf_init(&file, PENALTY_FILE);
	put_all(k, &lines);
	penalty_file_write(buf_bytes(&lines), &file);
	good = !file.full && file_replace_locked(k->dir, NAME, TEMPORARY, buf_bytes(&file), 0600);
	if (!good && !k->broken)
		log_errno("auth_directory: " NAME " cannot be written, and are forgotten at the next start");
	k->broken = !good;
	buf_fini(&lines);
	buf_fini(&file);
	return good;
}

/* False: it is still to be written. */
static bool
save(struct keeper *k, bool patient)
{
	struct tallies *t = penalties_tallies(k->penalties);
	bool good = true;
	int fd;

	if (!tallies_changed(t))
		return true;		/* another worker was faster */
	if ((fd = dir_lock(k->dir, patient ? LOCK_TRIES : 0)) == -1)
		return false;
	if (tallies_changed(t)) {
		tallies_saved(t);
		good = write_file(k);
		if (!good)
			tallies_unsaved(t);
	}
	fd_close(&fd);
	return good;
}

static void
on_due(void *arg)
{
	struct keeper *k = arg;

	if (!save(k, false))
		timer_set(&k->due, SAVE_MS);
}

void
keeper_changed(struct keeper *k)
{
	if (k->dir != -1 && !k->due.set && tallies_changed(penalties_tallies(k->penalties)))
		timer_set(&k->due, SAVE_MS);
}

/* ---- life ---- */

struct keeper *
keeper_new(struct daemon *d, struct penalties *p, int dir)
{
	struct keeper *k = mem_alloc(sizeof *k);

	*k = (struct keeper){ .penalties = p, .dir = dir };
	timer_init(&k->due, &d->loop, on_due, k);
	if (dir != -1 && tallies_first(penalties_tallies(p)))
		read_file(k);
	return k;
}

void
keeper_free(struct keeper **taken)
{
	struct keeper *k = *taken;

	*taken = NULL;
	timer_clear(&k->due);
	if (k->dir != -1 && !save(k, true))
		log_warn("auth_directory: the latest " NAME " are not kept");
	mem_free(k);
}
