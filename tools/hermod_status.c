/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_status.c - hermod status: each process as master knows it and as the
 * kernel shows it. What a process says of itself is its number of sessions; its
 * rights are read from /proc, where it has no say.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/hermod.h"

struct facts {				/* of /proc/PID; "?" where it may not be read */
	char	uid[16], gid[16], root[256], seccomp[8], nnp[8], caps[24], net[16];
	bool	has_pss;
	uint64_t pss;			/* octets */
};

struct shown {				/* one object that master sent */
	char	service[64], state[32], note[600], what[128];
	uint64_t pid, slot, generation, restarts, uptime_ms, sessions, served;
};

/* ---- /proc --------------------------------------------------------------------------------- */

static bool
slurp(uint64_t pid, const char *file, struct buf *out)
{
	char path[64];
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "/proc/%llu/%s", (unsigned long long)pid, file);
	if (!(f = fopen(path, "re")))
		return false;
	do {
		unsigned char *room = buf_room(out, 4096);

		n = room ? fread(room, 1, 4096, f) : 0;
		out->n += n;
	} while (n > 0);
	fclose(f);
	return out->n > 0;
}

/* The first word behind "Name:" in a file of such lines. */
static void
field(struct bytes file, const char *name, char *dst, size_t cap)
{
	while (file.n > 0) {
		struct bytes line = bytes_cut(&file, '\n'), rest = line, key = bytes_cut(&rest, ':');

		if (bytes_eq(key, text(name))) {
			rest = bytes_trim(rest);
			rest = bytes_head(rest, bytes_find(rest, '\t'));
			bytes_to_text(bytes_head(rest, bytes_find(rest, ' ')), dst, cap);
			return;
		}
	}
}

static void
link_of(uint64_t pid, const char *file, char *dst, size_t cap)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%llu/%s", (unsigned long long)pid, file);
	n = readlink(path, dst, cap - 1);
	if (n == -1)
		snprintf(dst, cap, "?");
	else
		dst[n] = '\0';
}

static void
look_net(uint64_t pid, struct facts *f)
{
	char its[64], ours[64];

	link_of(pid, "ns/net", its, sizeof its);
	link_of((uint64_t)getpid(), "ns/net", ours, sizeof ours);
	snprintf(f->net, sizeof f->net, "%s", strcmp(its, "?") == 0 ? "?" : strcmp(its, ours) == 0 ? "host" : "empty");
}

static void
look(uint64_t pid, struct facts *f)
{
	static const char *const modes[] = { "off", "strict", "filter" };
	char pss[24] = "", mode[8] = "?";
	struct buf file;
	uint64_t kib;

	*f = (struct facts){ .uid = "?", .gid = "?", .root = "?", .seccomp = "?", .nnp = "?", .caps = "?", .net = "?" };
	buf_init(&file, 1 << 20);
	if (slurp(pid, "status", &file)) {
		field(buf_bytes(&file), "Uid", f->uid, sizeof f->uid);
		field(buf_bytes(&file), "Gid", f->gid, sizeof f->gid);
		field(buf_bytes(&file), "Seccomp", mode, sizeof mode);
		field(buf_bytes(&file), "NoNewPrivs", f->nnp, sizeof f->nnp);
		field(buf_bytes(&file), "CapEff", f->caps, sizeof f->caps);
		if (mode[0] >= '0' && mode[0] <= '2')
			snprintf(f->seccomp, sizeof f->seccomp, "%s", modes[mode[0] - '0']);
	}
	buf_clear(&file);
	if (slurp(pid, "smaps_rollup", &file)) {
		field(buf_bytes(&file), "Pss", pss, sizeof pss);
		f->has_pss = bytes_u64(text(pss), UINT64_MAX / 1024, &kib);
		f->pss = f->has_pss ? kib * 1024 : 0;
	}
	buf_fini(&file);
	link_of(pid, "root", f->root, sizeof f->root);
	look_net(pid, f);
}

/* ---- what master says ---------------------------------------------------------------------------- */

/* Our own master's objects: flat, as json_text and json_number write them. */
static bool
member(struct bytes object, const char *name, struct bytes *out)
{
	char key[40];
	size_t n = (size_t)snprintf(key, sizeof key, "\"%s\":", name);

	for (size_t i = 0; i + n <= object.n; i++)
		if (memcmp(object.p + i, key, n) == 0) {
			*out = bytes_skip(object, i + n);
			return true;
		}
	return false;
}

static void
text_member(struct bytes object, const char *name, char *dst, size_t cap)
{
	struct bytes v;
	size_t n = 0;

	dst[0] = '\0';
	if (!member(object, name, &v) || v.n == 0 || v.p[0] != '"')
		return;
	for (size_t i = 1; i < v.n && v.p[i] != '"' && n + 1 < cap; i++)
		if (v.p[i] != '\\')
			dst[n++] = (char)v.p[i];
	dst[n] = '\0';
}

static uint64_t
number_member(struct bytes object, const char *name)
{
	struct bytes v;
	uint64_t number = 0;
	size_t digits = 0;

	if (!member(object, name, &v))
		return 0;
	while (digits < v.n && ascii_digit(v.p[digits]))
		digits++;
	(void)bytes_u64(bytes_head(v, digits), UINT64_MAX, &number);
	return number;
}

struct report { struct rows rows; uint64_t pss, processes; struct buf json; };

static void
add_row(struct report *r, const struct shown *s, const struct facts *f)
{
	char name[80];

	snprintf(name, sizeof name, "%s%s", strcmp(s->state, "worker") == 0 ? "  " : "", s->service);
	rows_text(&r->rows, name);
	rows_number(&r->rows, s->pid);
	rows_text(&r->rows, s->state);
	rows_text(&r->rows, f->uid);
	rows_text(&r->rows, f->root);
	rows_text(&r->rows, f->seccomp);
	rows_text(&r->rows, strcmp(f->nnp, "1") == 0 ? "yes" : strcmp(f->nnp, "0") == 0 ? "no" : "?");
	rows_text(&r->rows, strspn(f->caps, "0") == strlen(f->caps) ? "none" : f->caps + strspn(f->caps, "0"));
	rows_text(&r->rows, f->net);
	if (f->has_pss)
		rows_size(&r->rows, f->pss);
	else
		rows_text(&r->rows, "?");
	rows_number(&r->rows, s->sessions);
	rows_number(&r->rows, s->restarts);
	rows_time(&r->rows, s->uptime_ms);
	rows_text(&r->rows, s->note);
}

static void
add_object(struct report *r, const struct shown *s, const struct facts *f)
{
	struct buf *o = &r->json;

	buf_clear(o);
	buf_char(o, '{');
	json_text(o, "service", text(s->service));
	json_number(o, "slot", s->slot);
	json_number(o, "generation", s->generation);
	json_number(o, "pid", s->pid);
	json_text(o, "state", text(s->state));
	json_text(o, "uid", text(f->uid));
	json_text(o, "gid", text(f->gid));
	json_text(o, "root", text(f->root));
	json_text(o, "seccomp", text(f->seccomp));
	json_bool(o, "no_new_privs", strcmp(f->nnp, "1") == 0);
	json_text(o, "capabilities", text(f->caps));
	json_text(o, "network", text(f->net));
	json_number(o, "pss", f->pss);
	json_number(o, "sessions", s->sessions);
	json_number(o, "served", s->served);
	json_number(o, "restarts", s->restarts);
	json_number(o, "uptime_ms", s->uptime_ms);
	json_text(o, "confined", text(s->note));
	json_text(o, "what", text(s->what));
	printf("%.*s}\n", BYTES_FMT(buf_bytes(o)));
}

static void
show(struct report *r, const struct shown *s)
{
	struct facts f;

	look(s->pid, &f);
	r->pss += f.pss;
	r->processes += s->pid != 0;
	if (hermod_options.json)
		add_object(r, s, &f);
	else
		add_row(r, s, &f);
}

/* Workers are become's children, which master does not know: deliver, pop3d, imapd. */
static void
show_children(struct report *r, const struct shown *parent)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	struct buf file;

	buf_init(&file, 1 << 16);
	while (d && (e = readdir(d))) {
		char ppid[24] = "";
		struct shown s = { .slot = 0, .generation = parent->generation };

		if (!bytes_u64(text(e->d_name), INT32_MAX, &s.pid))
			continue;
		buf_clear(&file);
		if (!slurp(s.pid, "status", &file))
			continue;
		field(buf_bytes(&file), "PPid", ppid, sizeof ppid);
		if (strtoull(ppid, NULL, 10) != parent->pid)
			continue;
		field(buf_bytes(&file), "Name", s.service, sizeof s.service);
		snprintf(s.state, sizeof s.state, "worker");
		snprintf(s.what, sizeof s.what, "acts as a mailbox's owner");
		show(r, &s);
	}
	if (d)
		closedir(d);
	buf_fini(&file);
}

static void
take(void *arg, struct bytes object)
{
	struct report *r = arg;
	struct shown s = {
		.pid = number_member(object, "pid"), .slot = number_member(object, "slot"),
		.generation = number_member(object, "generation"), .restarts = number_member(object, "restarts"),
		.uptime_ms = number_member(object, "uptime_ms"), .sessions = number_member(object, "sessions"),
		.served = number_member(object, "served"),
	};

	text_member(object, "service", s.service, sizeof s.service);
	text_member(object, "state", s.state, sizeof s.state);
	text_member(object, "note", s.note, sizeof s.note);
	text_member(object, "what", s.what, sizeof s.what);
	show(r, &s);
	if (strcmp(s.service, "become") == 0 && s.pid != 0)
		show_children(r, &s);
}

int
hermod_status(int argc, char **argv)
{
	static const char *const titles[] = { "SERVICE", "<PID", "STATE", "<UID", "ROOT", "SECCOMP", "NNP", "CAPS", "NET",
		"<MEMORY", "<SESSIONS", "<RESTARTS", "<UP", "CONFINED BY", NULL };
	struct report r = { 0 };
	int fd, status;

	if (argc > 1)
		hermod_usage("status", argv[1]);
	if ((fd = master_connect()) == -1 && master_runs())
		master_unreached(EXIT_STOPPED);
	if (fd == -1)
		hermod_die(EXIT_STOPPED, "Hermod does not run; `hermod start` starts it");
	rows_init(&r.rows, titles);
	buf_init(&r.json, 1 << 16);
	status = master_ask(fd, "status", 10000, take, &r);
	close(fd);
	if (!hermod_options.json) {
		rows_print(&r.rows);
		rows_init(&r.rows, titles);
		rows_size(&r.rows, r.pss);
		printf("%llu processes, %s octets of memory (PSS)\n", (unsigned long long)r.processes,
		    (const char *)r.rows.cells.p);
	}
	buf_fini(&r.rows.cells);
	buf_fini(&r.json);
	if (status != 0)
		hermod_die(EXIT_FAILED, "master did not answer to the end");
	return EXIT_WORKED;
}
