/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_mailbox_check.c - hermod mailbox check: what mail/mailbox_check finds, in words.
 */
#include "tools/hermod.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "mail/mailbox_check.h"
#include "tools/hermod_mailbox.h"

struct telling { struct mailbox_job *job; struct bytes folder; size_t faults; };

/* May hold quotes: for people, who know what their shell wants. */
static void
put_advice(const struct telling *t, enum finding_advice advice, struct buf *out)
{
	switch (advice) {
	case FINDING_TOLD:
		break;
	case FINDING_REBUILD:
		buf_fmt(out, "hermod mailbox rebuild %s ", t->job->account);
		buf_add(out, t->folder);
		buf_text(out, " makes it anew");
		break;
	case FINDING_OPEN:
		buf_text(out, "the next session sees to it");
		break;
	case FINDING_MOVE:
		buf_text(out, "look at it, and move it out of the mailbox");
		break;
	case FINDING_READ:
		buf_text(out, "look at its rights and owner, and at the disk");
		break;
	}
}

static void
tell_json(const struct telling *t, const struct finding *f, struct bytes advice)
{
	struct buf o;

	job_json(&o, t->folder);
	json_bool(&o, "fault", f->fault);
	json_text(&o, "file", f->where);
	json_text(&o, "finding", text(f->what));
	json_text(&o, "advice", advice);
	job_json_end(&o);
}

static void
tell_text(const struct telling *t, const struct finding *f, struct bytes advice)
{
	const char *on = !hermod_options.colour ? "" : f->fault ? "\033[1;31m" : "\033[2m";

	printf("%s%s%s %s: ", on, f->fault ? "fault" : "note", *on ? "\033[0m" : "", log_text(t->folder));
	if (f->where.n > 0)
		printf("%s: ", log_text(f->where));
	printf("%s", f->what);
	if (advice.n > 0)
		printf("; %s", log_text(advice));
	putchar('\n');
}

static void
found(void *arg, const struct finding *f)
{
	struct telling *t = arg;
	struct buf advice;

	buf_init(&advice, 4096);
	put_advice(t, f->advice, &advice);
	t->faults += f->fault;
	job_progress(t->job, t->folder, 1, 1);		/* its line makes way */
	(hermod_options.json ? tell_json : tell_text)(t, f, buf_bytes(&advice));
	buf_fini(&advice);
}

static void
step(void *arg, size_t done, size_t all)
{
	struct telling *t = arg;

	job_progress(t->job, t->folder, done, all);
}

static size_t
check_one(struct mailbox_job *j, struct bytes folder, struct mailbox *m)
{
	struct telling t = { .job = j, .folder = folder };
	struct check c = { found, step, &t };

	if (!mailbox_check(m, &c))
		hermod_die(EXIT_FAILED, "%s: cannot be read: %s", log_text(folder), strerror(errno));
	return t.faults;
}

int
job_check(struct mailbox_job *j)
{
	size_t faults = job_each(j, true, check_one);

	if (!hermod_options.json)
		printf("%zu fault%s\n", faults, faults == 1 ? "" : "s");
	return faults > 0 ? EXIT_FAILED : EXIT_WORKED;
}
