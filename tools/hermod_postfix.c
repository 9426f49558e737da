/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_postfix.c - what postqueue, postsuper and postcat share.
 */
#include "tools/hermod_postfix.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/hermod.h"

static const struct { const char *name; int (*run)(int, char **); } commands[] = {
	{ "postqueue", postqueue }, { "postsuper", postsuper }, { "postcat", postcat },
};

int
(*postfix_command(const char *name))(int argc, char **argv)
{
	for (size_t i = 0; i < LEN(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run;
	return NULL;
}

void
postfix_fatal(int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	hermod_die_marked(status, "fatal: ", fmt, ap);
}

void
postfix_configuration(const char *given)
{
	char path[4096];
	struct stat st;
	int n = snprintf(path, sizeof path, "%s%s", given, stat(given, &st) == 0 && S_ISDIR(st.st_mode) ? "/hermod.conf" : "");

	if (n < 0 || (size_t)n >= sizeof path || !(hermod_options.conf = realpath(path, NULL)))
		postfix_fatal(EXIT_SETTINGS, "%s: %s", path, strerror(errno));
}
