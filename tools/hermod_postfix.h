/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_postfix.h - other names of the hermod command, under which administrators and their scripts know the
 * queue from Postfix: the same options, the same words where a script may look for them.
 */
#ifndef TOOLS_HERMOD_POSTFIX_H
#define TOOLS_HERMOD_POSTFIX_H

#include <stdbool.h>

enum { POSTFIX_FATAL = 1 };		/* exit status of all that goes wrong in postsuper and postcat */

/* NULL: it is none of these names. */
int	(*postfix_command(const char *name))(int argc, char **argv);

int	postqueue(int argc, char **argv);
int	postsuper(int argc, char **argv);
int	postcat(int argc, char **argv);

/* -c: a file, or a directory with hermod.conf in it. Ends the program when there is neither. */
void	postfix_configuration(const char *given);
/* "postsuper: fatal: ...", then the end. */
_Noreturn void	postfix_fatal(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
