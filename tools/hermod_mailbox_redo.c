/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_mailbox_redo.c - hermod mailbox rebuild, undelete.
 */
#include "tools/hermod.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "mail/digest.h"
#include "mail/mailbox_check.h"
#include "tools/hermod_mailbox.h"

#define MESSAGE_MAX	(1u << 30)	/* what is larger is counted, and not looked into: as sessions do */

/* ---- rebuild --------------------------------------------------------------------------- */

struct room { struct buf text, digest; struct arena *tree; };

static void
room_init(struct room *r)
{
	buf_init(&r->text, MESSAGE_MAX);
	buf_init(&r->digest, MAIL_DIGEST_MAX);
	r->tree = arena_new(MAIL_DIGEST_ARENA);
}

static void
room_fini(struct room *r)
{
	buf_fini(&r->text);
	buf_fini(&r->digest);
	arena_free(&r->tree);
}

/* False: errno; ENOENT: it is gone. */
static bool
digest_one(struct mailbox *m, size_t i, struct room *r)
{
	struct index_data d;
	int64_t date_s;

	buf_clear(&r->text);
	arena_reset(r->tree);
	if (!mailbox_text(m, i, &r->text))
		return errno == EFBIG && mailbox_size(m, i) && mailbox_date(m, i, &date_s);
	mail_digest(buf_bytes(&r->text), r->tree, &r->digest, &d);
	mailbox_data_keep(m, i, &d);
	return mailbox_date(m, i, &date_s);
}

static size_t
digest_all(struct mailbox_job *j, struct bytes folder, struct mailbox *m)
{
	size_t n = mailbox_count(m), failed = 0;
	struct room r;

	room_init(&r);
	for (size_t i = 0; i < n; i++) {
		if (!digest_one(m, i, &r) && errno != ENOENT) {
			job_progress(j, folder, 1, 1);
			fprintf(stderr, "hermod: %s: UID %u cannot be read: %s\n", log_text(folder), (unsigned)mailbox_mail(m, i)->uid,
			    strerror(errno));
			failed++;
		}
		job_progress(j, folder, i + 1, n);
	}
	room_fini(&r);
	return failed;
}

static void
tell_rebuilt(const struct mailbox_job *j, struct bytes folder, size_t messages, size_t failed)
{
	struct buf o;

	if (!hermod_options.json) {
		printf("%s: %s %zu message%s", log_text(folder), j->dry_run ? "would read" : "made anew from", messages,
		    messages == 1 ? "" : "s");
		if (failed > 0)
			printf(", %zu of them unreadable", failed);
		putchar('\n');
		return;
	}
	job_json(&o, folder);
	json_number(&o, "messages", messages);
	json_number(&o, "unreadable", failed);
	json_bool(&o, "done", !j->dry_run);
	job_json_end(&o);
}

static size_t
rebuild_one(struct mailbox_job *j, struct bytes folder, struct mailbox *m)
{
	size_t failed = 0;

	if (!j->dry_run) {
		if (!mailbox_index_anew(m))
			hermod_die(EXIT_FAILED, "%s: its index cannot be removed: %s", log_text(folder), strerror(errno));
		mailbox_index(m);
	}
	job_scan(j, folder, m);
	if (!j->dry_run)
		failed = digest_all(j, folder, m);
	tell_rebuilt(j, folder, mailbox_count(m), failed);
	return failed;
}

int
job_rebuild(struct mailbox_job *j)
{
	return job_each(j, false, rebuild_one) > 0 ? EXIT_FAILED : EXIT_WORKED;
}

/* ---- undelete ----------------------------------------------------------------------------- */

static const struct { uint32_t flag; const char *name; } names[] = {
	{ MAIL_ANSWERED, "\\Answered" }, { MAIL_FLAGGED, "\\Flagged" }, { MAIL_SEEN, "\\Seen" }, { MAIL_DRAFT, "\\Draft" },
	{ MAIL_FORWARDED, "$Forwarded" },
};

static void
put_flags(struct buf *out, struct mailbox *m, uint32_t flags)
{
	for (size_t i = 0; i < LEN(names); i++)
		if (flags & names[i].flag)
			buf_fmt(out, "%s%s", out->n ? " " : "", names[i].name);
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++) {
		struct bytes name = mailbox_keyword(m, i);

		if ((flags & (uint32_t)MAIL_KEYWORD << i) && name.n > 0)
			buf_fmt(out, "%s%.*s", out->n ? " " : "", BYTES_FMT(name));
	}
}

static void
tell_one(struct rows *r, struct bytes folder, struct mailbox *m, const struct kept_mail *k, bool back)
{
	char removed[32], date[32];
	struct buf flags, o;

	buf_init(&flags, 65536);
	put_flags(&flags, m, k->flags);
	if (hermod_options.json) {
		job_json(&o, folder);
		json_number(&o, "expunged", (uint64_t)k->removed_s);
		json_number(&o, "date", k->date_s < 0 ? 0 : (uint64_t)k->date_s);
		json_number(&o, "octets", k->octets);
		json_text(&o, "flags", buf_bytes(&flags));
		json_bool(&o, "back", back);
		job_json_end(&o);
	} else {
		job_time(removed, k->removed_s);
		job_time(date, k->date_s);
		rows_text(r, removed);
		rows_text(r, date);
		rows_size(r, k->octets);
		rows_add(r, buf_bytes(&flags));
	}
	buf_fini(&flags);
}

/* False: it is gone, or stays. */
static bool
bring_back(struct mailbox_job *j, struct bytes folder, struct mailbox *m, const struct kept_mail *k)
{
	if (j->dry_run)
		return false;
	if (mailbox_unexpunge(m, k))
		return true;
	if (errno != ENOENT) {
		int fault = errno;

		mailbox_unexpunged(m);
		hermod_die(EXIT_FAILED, "%s: %s cannot be brought back: %s; those before it are", log_text(folder),
		    log_text(text(k->name)), strerror(fault));
	}
	return false;
}

static void
sum_up(const struct mailbox_job *j, struct bytes folder, size_t listed, size_t back)
{
	if (hermod_options.json)
		return;
	if (listed == 0)
		printf("%s: nothing that was expunged%s is kept%s\n", log_text(folder), j->since_s == INT64_MIN ? "" : " since then",
		    j->keeps ? "" : ": expunge_keep is 0");
	else if (j->dry_run)
		printf("%zu message%s would be brought back\n", listed, listed == 1 ? "" : "s");
	else
		printf("%zu message%s brought back\n", back, back == 1 ? "" : "s");
}

static size_t
undelete_one(struct mailbox_job *j, struct bytes folder, struct mailbox *m)
{
	static const char *const title[] = { "EXPUNGED", "DATE", "<SIZE", "FLAGS", NULL };
	struct arena *a = arena_new(MAILBOX_KEPT_ARENA);
	struct kept_mail *kept;
	struct rows r;
	size_t n, listed = 0, back = 0;

	job_scan(j, folder, m);
	if (!mailbox_kept(m, a, &kept, &n))
		hermod_die(EXIT_FAILED, "%s: what is kept cannot be read: %s", log_text(folder), strerror(errno));
	rows_init(&r, title);
	for (size_t i = 0; i < n; i++) {
		bool is_back;

		if (kept[i].removed_s < j->since_s)
			continue;
		is_back = bring_back(j, folder, m, &kept[i]);
		listed++;
		back += is_back;
		tell_one(&r, folder, m, &kept[i], is_back);
	}
	if (back > 0 && !mailbox_unexpunged(m))
		hermod_die(EXIT_FAILED, "%s: cannot be made durable: %s", log_text(folder), strerror(errno));
	if (back > 0)
		job_scan(j, folder, m);		/* they get their UIDs, in this order */
	if (!hermod_options.json && listed > 0)
		rows_print(&r);
	sum_up(j, folder, listed, back);
	arena_free(&a);
	return 0;
}

int
job_undelete(struct mailbox_job *j)
{
	if (j->mbox)
		hermod_die(EXIT_FAILED, "%s: its mailbox is an mbox, of which nothing that was expunged is kept", j->account);
	job_each(j, false, undelete_one);
	return EXIT_WORKED;
}
