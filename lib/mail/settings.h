/* SPDX-License-Identifier: ISC */
/*
 * mail/settings.h - settings: declared once, in the folder of the program that
 * uses them (<program>/settings.c), loaded into a struct that is then read-only
 * and passed down. master and hermod link every table; a program only its own.
 *
 * hermod.conf is read with libconfuse: `name = value`, lists `name = {a, b}`. A
 * setting may stand in several tables when several programs use it; then type
 * and default must be equal (master checks that).
 */
#ifndef MAIL_SETTINGS_H
#define MAIL_SETTINGS_H

#include "base/buf.h"

enum setting_type {
	SETTING_TEXT,		/* const char *, owned by the loaded settings */
	SETTING_BOOL,		/* bool: yes, no */
	SETTING_NUMBER,		/* uint64_t, with least and most */
	SETTING_SIZE,		/* uint64_t octets: 25M, 64K, 1G, 512 */
	SETTING_TIME,		/* uint64_t milliseconds: 5m, 300s, 2h, 1d, 100ms */
	SETTING_WORD,		/* unsigned: index into words, a NULL-ended list */
	SETTING_LIST,		/* struct setting_list of texts */
};

struct setting_list { char **item; size_t n; };		/* owned by the loaded settings */

struct setting {
	const char	*name;
	enum setting_type type;
	size_t		 offset;	/* of the member in the program's struct */
	const char	*standard;	/* default, as it would stand in the file; a list's items with LF ends */
	uint64_t	 least, most;	/* NUMBER, SIZE, TIME; most 0: no bound */
	const char *const *words;	/* WORD */
	/* NULL, or checks a value (one item of a list): false, and what would be right in why. */
	bool		(*check)(const char *value, char *why, size_t cap);
};

#define SET_TEXT(name, s, m, standard)	{ name, SETTING_TEXT, offsetof(s, m), standard, 0, 0, NULL, NULL }
#define SET_TEXT_IF(name, s, m, standard, check) { name, SETTING_TEXT, offsetof(s, m), standard, 0, 0, NULL, check }
#define SET_BOOL(name, s, m, standard)	{ name, SETTING_BOOL, offsetof(s, m), standard, 0, 0, NULL, NULL }
#define SET_NUMBER(name, s, m, standard, least, most) { name, SETTING_NUMBER, offsetof(s, m), standard, least, most, NULL, NULL }
#define SET_SIZE(name, s, m, standard, least, most) { name, SETTING_SIZE, offsetof(s, m), standard, least, most, NULL, NULL }
#define SET_TIME(name, s, m, standard, least, most) { name, SETTING_TIME, offsetof(s, m), standard, least, most, NULL, NULL }
#define SET_WORD(name, s, m, standard, words) { name, SETTING_WORD, offsetof(s, m), standard, 0, 0, words, NULL }
#define SET_LIST(name, s, m, standard, check) { name, SETTING_LIST, offsetof(s, m), standard, 0, 0, NULL, check }
#define SET_END				{ NULL, 0, 0, NULL, 0, 0, NULL, NULL }

/* Sets every member of *out to its default. */
void	settings_standard(const struct setting *table, void *out);
/* One value as it stands in the file (list: all items, each with LF). False: why says
 * what was wrong and what would be right. */
bool	settings_set(const struct setting *table, const char *name, const char *value, void *out,
	    char *why, size_t cap);
void	settings_free(const struct setting *table, void *out);
const struct setting *settings_find(const struct setting *table, const char *name);

/* Shared checks. */
bool	setting_is_path(const char *value, char *why, size_t cap);	/* absolute */
bool	setting_is_path_or_empty(const char *value, char *why, size_t cap);
bool	setting_is_log(const char *value, char *why, size_t cap);	/* "syslog", or a path */
bool	setting_is_domain(const char *value, char *why, size_t cap);
bool	setting_is_listen(const char *value, char *why, size_t cap);	/* "127.0.0.1:25", "[::1]:25" */
bool	setting_is_network(const char *value, char *why, size_t cap);	/* "10.0.0.0/8", "2001:db8::/32", host bits zero */
bool	setting_is_table(const char *value, char *why, size_t cap);	/* "type:/path" of a type that is built in */

/*
 * The file (mail/settings_file.c, linked by master and hermod alone).
 */
struct settings_file;		/* every setting of all tables, with value, file and line */

/* NULL when there is any fault; each is one line in faults: file:line: name: what was
 * wrong; what would be right. All faults are found, not the first alone. */
struct settings_file	*settings_load(const char *path, const struct setting *const *tables, struct buf *faults);
/* The same, but where there are faults the defaults stand in for what is wrong: for a command that must work
 * with a broken file (`hermod stop`), and says the faults. Never NULL. */
struct settings_file	*settings_load_anyway(const char *path, const struct setting *const *tables, struct buf *faults);
/* As settings_load, for octets that are read already; path is for the faults. Pure. */
struct settings_file	*settings_parse(const char *path, struct bytes content,
			    const struct setting *const *tables, struct buf *faults);
void			 settings_file_free(struct settings_file **f);
/* Fills *out for this table with what the file says. */
void			 settings_fill(const struct settings_file *f, const struct setting *table, void *out);
/* The value as it goes into `setting` messages; NULL: no table has the name. */
const char		*settings_value(const struct settings_file *f, const char *name);
bool			 settings_given(const struct settings_file *f, const char *name);	/* it stands in the file */
/* Walks all names in order; NULL after the last. */
const char		*settings_next(const struct settings_file *f, size_t *i);
/* "hermod.conf:12" of the line that set it, or "default". */
const char		*settings_origin(const struct settings_file *f, const char *name);

#endif
