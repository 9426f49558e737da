/* SPDX-License-Identifier: ISC */
/*
 * base/fault.h - failures on order, in test builds (configure --enable-faults).
 * The linker sends the calls named in FAULT_CALLS through fault.c (--wrap), so
 * no source mentions it. The environment says what fails:
 *
 *	HERMOD_FAULT=smtpd:fsync:3:EIO		the 3rd fsync of each smtpd
 *	HERMOD_FAULT=cleanup:write:5+:ENOSPC	the 5th and all after it
 *	HERMOD_FAULT=*:malloc:200:ENOMEM,...	several, by commas; * is any program
 *	HERMOD_FAULT=deliver:rename:2:kill	SIGKILL to itself at the 2nd
 *	HERMOD_RECORD=/path/file		every change of a file is appended to it
 *
 * master hands both on to its children, in test builds only. A release build has
 * neither the code nor the variables.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "config.h"

#ifdef HERMOD_FAULTS
void	fault_open(const char *program);	/* reads the environment; before confinement */
void	fault_name(const char *program);	/* a fork becomes another program (deliver) */
#else
static inline void fault_open(const char *program) { (void)program; }
static inline void fault_name(const char *program) { (void)program; }
#endif

#endif
