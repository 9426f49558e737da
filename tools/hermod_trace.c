/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_trace.c - hermod trace: what became of a message, out of the log and its rotated neighbours.
 *
 * Two looks: the first finds the messages and sessions that are meant, and those that belong to them; the second
 * shows their lines. Of each id 8 octets are kept, and of the lines those that may yet change places: processes write
 * through channels of their own, so neighbours in the log may be some milliseconds out of order.
 * root opens the files and becomes their owner before it reads what strangers have caused to be written.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/hash_set.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/journal_line.h"
#include "mail/queue_filter.h"
#include "tools/hermod.h"
#include "tools/hermod_queue.h"

#define FILES_MAX	1000
#define LINE_OCTETS	65536	/* longer ones are not the journal's */
#define PIECE		(1u << 18)
#define IDS_MAX		2000000	/* messages and sessions of one answer */
#define WINDOW		4096	/* lines that wait for earlier ones */

struct log { char name[NAME_MAX + 1]; int fd; char first[JOURNAL_STAMP + 1]; };

struct held { char stamp[JOURNAL_STAMP + 1]; char *line; };

struct trace {
	struct bytes	 what;		/* as log_value would write it */
	bool		 is_id;
	struct log	 logs[FILES_MAX];
	size_t		 nlogs;
	struct hash_set	 ids;		/* owned: messages and sessions */
	struct held	 window[WINDOW];
	size_t		 nheld, shown;
	char		 last[JOURNAL_STAMP + 1];
	uint64_t	 lines;
	bool		 damaged;
	struct queue_progress progress;
};

/* ---- the files -------------------------------------------------------------------------------------------- */

/* hermod.log, hermod.log.1, hermod.log.2.gz, hermod.log-20261126 */
static bool
is_neighbour(const char *name, const char *base)
{
	size_t n = strlen(base);

	return strncmp(name, base, n) == 0 && (name[n] == '\0' || ((name[n] == '.' || name[n] == '-') && name[n + 1] != '\0'));
}

/* The owner of the log: what is in it was caused by strangers. */
static void
become_owner(int dir, const char *base)
{
	struct stat st;

	if (geteuid() != 0 || fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == -1 || st.st_uid == 0)
		return;
	if (setgroups(0, NULL) == -1 || setresgid(st.st_gid, st.st_gid, st.st_gid) == -1
	    || setresuid(st.st_uid, st.st_uid, st.st_uid) == -1)
		hermod_die(EXIT_FAILED, "cannot become the log's owner: %s", strerror(errno));
}

static void
open_log(struct trace *t, int dir, const char *name)
{
	struct log *l = &t->logs[t->nlogs];

	l->fd = file_open(dir, name, O_RDONLY | O_CLOEXEC, 0);
	if (l->fd == -1) {
		if (errno == EACCES)
			hermod_die(EXIT_DENIED, "%s: %s; root may read the log, and its owner", name, strerror(errno));
		fprintf(stderr, "hermod: %s: %s\n", name, strerror(errno));
		return;
	}
	must(bytes_to_text(text(name), l->name, sizeof l->name));
	t->nlogs++;
}

static void
open_logs(struct trace *t, const char *path)
{
	const char *base = strrchr(path, '/') + 1;
	char dir[4096];
	struct dirent *e;
	DIR *d;

	if (!bytes_to_text(bytes_of(path, (size_t)(base - path)), dir, sizeof dir) || !(d = opendir(dir)))
		hermod_die(errno == EACCES ? EXIT_DENIED : EXIT_FAILED, "log_file: %s: %s", path, strerror(errno));
	while ((e = readdir(d)) && t->nlogs < FILES_MAX)
		if (is_neighbour(e->d_name, base))
			open_log(t, dirfd(d), e->d_name);
	become_owner(dirfd(d), base);
	closedir(d);
	if (t->nlogs == 0)
		hermod_die(EXIT_FAILED, "log_file: %s: there is none yet", path);
}

/* ---- lines ---------------------------------------------------------------------------------------------------- */

struct reader { gzFile file; unsigned char *octets; size_t n, at; bool skip; };

static void
reader_open(struct reader *r, const struct log *l)
{
	int fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);

	if (fd == -1 || lseek(fd, 0, SEEK_SET) == -1 || !(r->file = gzdopen(fd, "r")))
		hermod_die(EXIT_FAILED, "%s: %s", l->name, strerror(errno));
	(void)gzbuffer(r->file, PIECE);
	r->octets = mem_alloc(PIECE + LINE_OCTETS);
	r->n = r->at = 0;
	r->skip = false;
}

/* More octets behind those that are left. False: the end, or it is damaged. */
static bool
reader_fill(struct reader *r)
{
	int got;

	if (r->n > r->at)
		memmove(r->octets, r->octets + r->at, r->n - r->at);
	r->n -= r->at;
	r->at = 0;
	if (r->n >= LINE_OCTETS) {		/* no line of ours: what follows of it is passed over, too */
		r->n = 0;
		r->skip = true;
	}
	got = gzread(r->file, r->octets + r->n, PIECE);
	if (got <= 0)
		return false;
	r->n += (size_t)got;
	return true;
}

/* False: there is none more. A last line without its end is being written. */
static bool
reader_line(struct reader *r, struct bytes *line)
{
	for (;;) {
		struct bytes left = bytes_of(r->octets + r->at, r->n - r->at);
		size_t n = bytes_find(left, '\n');
		bool skipped = r->skip;

		if (n == left.n) {
			if (!reader_fill(r))
				return false;
			continue;
		}
		r->at += n + 1;
		r->skip = false;
		*line = bytes_head(left, n);
		if (!skipped)
			return true;
	}
}

/* True: it was whole. */
static bool
reader_close(struct reader *r)
{
	int error = Z_OK;

	(void)gzerror(r->file, &error);
	mem_free(r->octets);
	return gzclose_r(r->file) == Z_OK && error >= Z_OK;	/* Z_BUF_ERROR: a compressed file ends too early */
}

static void
each_line(struct trace *t, const struct log *l, void (*each)(struct trace *, struct bytes, const struct journal_line *))
{
	struct reader r;
	struct journal_line line;
	struct bytes whole;

	reader_open(&r, l);
	while (reader_line(&r, &whole)) {
		if ((++t->lines & 0xffff) == 0)
			queue_progress_say(&t->progress, t->lines);
		if (journal_line_parse(whole, &line))
			each(t, whole, &line);
	}
	if (!reader_close(&r) && !t->damaged) {
		fprintf(stderr, "hermod: %s: cannot be read to its end\n", l->name);
		t->damaged = true;
	}
}

/* ---- in order ---------------------------------------------------------------------------------------------------- */

static int
by_first(const void *x, const void *y)
{
	return strcmp(((const struct log *)x)->first, ((const struct log *)y)->first);
}

static void
look_first(struct log *l)
{
	struct reader r;
	struct journal_line line;
	struct bytes whole;

	reader_open(&r, l);
	for (int i = 0; i < 100 && l->first[0] == '\0' && reader_line(&r, &whole); i++)
		if (journal_line_parse(whole, &line))
			must(bytes_to_text(line.stamp, l->first, sizeof l->first));
	reader_close(&r);
}

/* By what they begin with: the names of rotated files tell it in many ways. */
static void
sort_logs(struct trace *t)
{
	for (size_t i = 0; i < t->nlogs; i++)
		look_first(&t->logs[i]);
	qsort(t->logs, t->nlogs, sizeof *t->logs, by_first);
}

/* ---- the first look: who is meant? ------------------------------------------------------------------------------- */

static bool
is_address_of(struct bytes name)
{
	static const char *const names[] = { "from", "to", "orig_to", "message-id" };

	for (size_t i = 0; i < LEN(names); i++)
		if (bytes_eq(name, text(names[i])))
			return true;
	return false;
}

static void
meant(struct trace *t, struct bytes id)
{
	if (id.n > 0 && t->ids.n < IDS_MAX)
		(void)hash_set_add(&t->ids, id);
}

/* A session goes with its messages, but not all its messages with one of them. */
static void
find_id(struct trace *t, const struct journal_line *l)
{
	struct bytes rest = l->text, name, value;
	bool ours = hash_set_has(&t->ids, l->id);

	while (journal_line_value(&rest, &name, &value)) {
		bool session = bytes_eq(name, text("session")), notice = bytes_eq(name, text("notice"));

		if ((!session && !notice) || !journal_is_id(value))
			continue;
		if (bytes_eq(value, t->what))
			meant(t, l->id);
		else if (ours)
			meant(t, value);
	}
}

static bool
has_address(const struct trace *t, const struct journal_line *l)
{
	struct bytes rest = l->text, name, value;

	while (journal_line_value(&rest, &name, &value))
		if (is_address_of(name) && queue_pattern(t->what, value))
			return true;
	return false;
}

static void
find(struct trace *t, struct bytes whole, const struct journal_line *l)
{
	(void)whole;
	if (!t->is_id && l->id.n > 0 && has_address(t, l))
		meant(t, l->id);
	find_id(t, l);
}

/* ---- the second look: their lines -------------------------------------------------------------------------------- */

static void
print_json(struct bytes whole)
{
	struct journal_line l;
	struct buf o;

	must(journal_line_parse(whole, &l));
	buf_init(&o, 1 << 20);
	buf_char(&o, '{');
	json_text(&o, "time", l.stamp);
	json_text(&o, "process", l.process);
	json_text(&o, "pid", l.pid);
	json_text(&o, "level", l.level.n > 0 ? l.level : text("info"));
	json_text(&o, "id", l.id);
	json_text(&o, "text", l.text);
	printf("%.*s}\n", BYTES_FMT(buf_bytes(&o)));
	buf_fini(&o);
}

/* The first n that wait. */
static void
show(struct trace *t, size_t n)
{
	if (n > 0)
		queue_progress_end(&t->progress);
	for (size_t i = 0; i < n; i++) {
		if (hermod_options.json)
			print_json(text(t->window[i].line));
		else
			puts(t->window[i].line);
		mem_free(t->window[i].line);
	}
	memmove(t->window, t->window + n, (t->nheld - n) * sizeof *t->window);
	t->nheld -= n;
	t->shown += n;
}

static void
hold(struct trace *t, struct bytes whole, struct bytes stamp)
{
	struct held new = { .line = mem_alloc(whole.n + 1) };
	size_t i;

	memcpy(new.line, whole.p, whole.n);
	must(bytes_to_text(stamp, new.stamp, sizeof new.stamp));
	if (t->nheld == WINDOW)
		show(t, WINDOW / 2);
	for (i = t->nheld; i > 0 && strcmp(t->window[i - 1].stamp, new.stamp) > 0; i--)
		t->window[i] = t->window[i - 1];
	t->window[i] = new;
	t->nheld++;
}

static void
tell(struct trace *t, struct bytes whole, const struct journal_line *l)
{
	must(bytes_to_text(l->stamp, t->last, sizeof t->last));
	if (l->id.n > 0 && hash_set_has(&t->ids, l->id) && bytes_find(whole, '\0') == whole.n)
		hold(t, whole, l->stamp);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

static int
say_nothing_found(const struct trace *t)
{
	const char *first = "";

	for (size_t i = 0; i < t->nlogs && first[0] == '\0'; i++)
		first = t->logs[i].first;
	fflush(stdout);
	fprintf(stderr, "hermod: %.*s: nothing about it in the log: %zu %s, ", BYTES_FMT(t->what), t->nlogs,
	    t->nlogs == 1 ? "file" : "files");
	if (first[0] == '\0')
		fprintf(stderr, "which are empty\n");
	else
		fprintf(stderr, "from %.19s to %.19s UTC\n", first, t->last);
	fprintf(stderr, "Can be looked for: the id of a message or of a session, the address of a sender or a recipient (whole, "
	    "or with * and ?), a message-id. What a sender's host never sent stands in no log of this one.\n");
	return EXIT_FAILED;
}

static struct bytes
take_what(const char *given, bool *is_id)
{
	struct bytes what = bytes_trim(text(given));

	if (what.n >= 2 && what.p[0] == '<' && what.p[what.n - 1] == '>')
		what = bytes_head(bytes_skip(what, 1), what.n - 2);
	if (what.n == 0 || what.n > QUEUE_PATTERN_MAX)
		hermod_usage("trace", NULL);
	*is_id = journal_is_id(what);
	return text(mem_text(log_value(what)));
}

int
hermod_trace(int argc, char **argv)
{
	const char *path = settings_value(hermod_settings(), "log_file");
	struct trace *t;
	int status = EXIT_WORKED;

	if (argc != 2 || argv[1][0] == '-')
		hermod_usage("trace", argc > 1 ? argv[argc - 1] : NULL);
	if (path[0] != '/')
		hermod_die(EXIT_FAILED, "log_file = %s: the log is not ours to read; try: journalctl -t hermod", path);
	t = mem_alloc(sizeof *t);
	t->progress = (struct queue_progress){ .what = "lines read:" };
	t->what = take_what(argv[1], &t->is_id);
	open_logs(t, path);
	sort_logs(t);
	if (t->is_id)
		meant(t, t->what);
	for (size_t i = 0; i < t->nlogs; i++)
		each_line(t, &t->logs[i], find);
	for (size_t i = 0; i < t->nlogs; i++)
		each_line(t, &t->logs[i], tell);
	show(t, t->nheld);
	queue_progress_end(&t->progress);
	if (t->ids.n >= IDS_MAX)
		hermod_die(EXIT_FAILED, "that are more than %d messages: not all of them were shown", IDS_MAX);
	if (t->shown == 0)
		status = say_nothing_found(t);
	hash_set_free(&t->ids);
	for (size_t i = 0; i < t->nlogs; i++)
		fd_close(&t->logs[i].fd);
	mem_free((void *)(uintptr_t)t->what.p);
	mem_free(t);
	return status;
}
