/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_config.c - hermod config: every setting there is, as it stands.
 */
#include <stdio.h>

#include "master/tables.h"
#include "tools/hermod.h"

static const struct setting *
declared(const char *name)
{
	for (size_t t = 0; all_settings[t]; t++) {
		const struct setting *s = settings_find(all_settings[t], name);

		if (s)
			return s;
	}
	return NULL;
}

/* As it would stand in the file. */
static void
add_conf(struct buf *out, const struct setting *s, struct bytes value)
{
	bool bare = s->type != SETTING_TEXT && s->type != SETTING_LIST;

	if (bare && value.n > 0) {
		buf_add(out, value);
	} else if (bare || s->type == SETTING_TEXT) {	/* a word may be empty */
		json_string(out, value);
	} else {
		buf_char(out, '{');
		for (bool first = true; value.n > 0; first = false) {
			buf_text(out, first ? "" : ", ");
			json_string(out, bytes_cut(&value, '\n'));
		}
		buf_char(out, '}');
	}
}

static void
add_json(struct buf *out, const struct setting *s, const char *member, struct bytes value)
{
	if (s->type != SETTING_LIST) {
		json_text(out, member, value);
		return;
	}
	buf_fmt(out, ",\"%s\":[", member);
	for (bool first = true; value.n > 0; first = false) {
		buf_text(out, first ? "" : ",");
		json_string(out, bytes_cut(&value, '\n'));
	}
	buf_char(out, ']');
}

enum show { SHOW_ALL, SHOW_DEFAULTS, SHOW_CHANGED };

static void
show_one(const char *name, enum show show)
{
	const struct settings_file *f = hermod_settings();
	const struct setting *s = declared(name);
	bool given = settings_given(f, name);
	struct bytes value = text(show == SHOW_DEFAULTS ? s->standard : settings_value(f, name));
	struct buf out;

	buf_init(&out, 1 << 18);
	if (hermod_options.json) {
		buf_char(&out, '{');
		json_text(&out, "name", text(name));
		add_json(&out, s, "value", value);
		add_json(&out, s, "default", text(s->standard));
		json_bool(&out, "changed", given);
		json_text(&out, "origin", text(settings_origin(f, name)));
		buf_char(&out, '}');
	} else {
		const char *bold = hermod_options.colour && given ? "\033[1m" : "", *plain = *bold ? "\033[0m" : "";

		buf_fmt(&out, "%s%s = ", bold, name);
		add_conf(&out, s, value);
		buf_text(&out, plain);
		if (given && show != SHOW_DEFAULTS)
			buf_fmt(&out, "\t# %s", settings_origin(f, name));
	}
	printf("%.*s\n", BYTES_FMT(buf_bytes(&out)));
	buf_fini(&out);
}

int
hermod_config(int argc, char **argv)
{
	enum show show = SHOW_ALL;
	const char *name;
	size_t at = 0;
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--defaults") == 0)
			show = SHOW_DEFAULTS;
		else if (strcmp(argv[i], "--changed") == 0)
			show = SHOW_CHANGED;
		else
			hermod_usage("config", argv[i]);
	}
	for (int j = i; j < argc; j++) {
		if (!declared(argv[j]))
			hermod_die(EXIT_FAILED, "%s: no setting has this name; `hermod config` lists all", argv[j]);
		show_one(argv[j], show);
	}
	while (i == argc && (name = settings_next(hermod_settings(), &at)))
		if (show != SHOW_CHANGED || settings_given(hermod_settings(), name))
			show_one(name, show);
	return EXIT_WORKED;
}
