/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "master/master.h"
#include "master/tables.h"

void
path_parent(const char *path, char *dst, size_t cap)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash && slash > path ? (size_t)(slash - path) : 1;

	if (!bytes_to_text(bytes_of(path, n), dst, cap))
		must(!"a path that setting_is_path took");
}

/* Does the address at this place stand before it, too? */
static bool
is_listened(const struct setting_list *const *lists, size_t list, size_t item)
{
	const char *address = lists[list]->item[item];

	for (size_t l = 0; l <= list; l++)
		for (size_t i = 0; i < (l < list ? lists[l]->n : item); i++)
			if (strcmp(lists[l]->item[i], address) == 0)
				return true;
	return false;
}

/* Two sockets of one address would be bound one after the other, and the second fail at a bad time. */
static void
check_listeners(const struct config *c, const char *path, struct buf *faults)
{
	static const char *const names[] = { "listen_smtp", "listen_pop3", "listen_imap" };
	const struct setting_list *const lists[] = { &c->s.listen_smtp, &c->s.listen_pop3, &c->s.listen_imap };

	for (size_t l = 0; l < LEN(lists); l++)
		for (size_t i = 0; i < lists[l]->n; i++)
			if (is_listened(lists, l, i))
				buf_fmt(faults, "%s: %s: \"%s\": is listened at twice; right would be one "
				    "service at an address and port\n", path, names[l], lists[l]->item[i]);
}

static void
check_together(const struct config *c, const char *path, struct buf *faults)
{
	/* A socket's path has room for 107 octets (unix(7)). */
	if (strlen(c->s.run_directory) > 80)
		buf_fmt(faults, "%s: run_directory: too long for the names of sockets below it; right would "
		    "be at most 80 octets\n", path);
	check_listeners(c, path, faults);
	relay_proof(c, path, faults);
}

struct config *
config_load(const char *path, struct buf *faults)
{
	struct config *c = mem_alloc(sizeof *c);
	size_t before = faults->n;

	c->file = settings_load(path, all_settings, faults);
	if (c->file) {
		settings_fill(c->file, master_settings, &c->s);
		check_together(c, path, faults);
	}
	if (faults->n > before || faults->full)
		config_free(&c);
	return c;
}

void
config_free(struct config **c)
{
	if (!*c)
		return;
	if ((*c)->file)
		settings_free(master_settings, &(*c)->s);
	settings_file_free(&(*c)->file);
	mem_free(*c);
	*c = NULL;
}

bool
config_runs(const struct config *c, const struct service *s)
{
	const char *value = s->only_if ? settings_value(c->file, s->only_if) : "yes";

	return value && strcmp(value, "yes") == 0;
}

unsigned
config_workers(const struct config *c, const struct service *s)
{
	const struct setting *row;

	if (!s->workers)
		return 1;
	row = settings_find(master_settings, s->workers);
	must(row && row->type == SETTING_NUMBER);
	return (unsigned)*(const uint64_t *)((const char *)&c->s + row->offset);
}

const char *
config_fixed_change(const struct config *old, const struct config *new)
{
	static const char *const fixed[] = {
		"queue_directory", "run_directory", "pid_file", "log_file", "uid_base",
	};

	for (size_t i = 0; i < LEN(fixed); i++)
		if (strcmp(settings_value(old->file, fixed[i]), settings_value(new->file, fixed[i])) != 0)
			return fixed[i];
	/* The journal goes on over a reload: it must lose no record. */
	for (const struct setting *s = journal_settings; s->name; s++)
		if (strcmp(settings_value(old->file, s->name), settings_value(new->file, s->name)) != 0)
			return s->name;
	return NULL;
}
