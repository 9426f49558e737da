/* SPDX-License-Identifier: ISC */
/*
 * base/fault.h - failures on order, in test builds (configure --enable-faults).
 * The linker sends the calls named in fault_calls.list through fault.c (--wrap),
 * so no source mentions it. The environment says what fails:
 *
 *	HERMOD_FAULT=smtpd:fsync:3:EIO		the 3rd fsync of each smtpd
 *	HERMOD_FAULT=cleanup:write:5+:ENOSPC	the 5th and all after it
 *	HERMOD_FAULT=cleanup:write:~5:ENOSPC	the 5th after it was confined: never at the start
 *	HERMOD_FAULT=*:malloc:200:ENOMEM,...	several, by commas; * is any program
 *	HERMOD_FAULT=deliver:rename:2:kill	SIGKILL to itself at the 2nd
 *	HERMOD_FAULT=cleanup:write:1:short	only half of it is written
 *	HERMOD_RECORD=/path/file		every change of a file is appended to it
 *
 * Counted are the calls of one process since fault_open, fault_name or its fork. What
 * libraries call inside themselves is neither counted nor recorded. A close that fails
 * has closed, as Linux does it. A fault is logged when it happens (warning "fault: ...").
 *
 * master hands both on to its children, in test builds only. A release build has
 * neither the code nor the variables.
 *
 * The recording. Each change is one record, appended by one write after the call has
 * returned with success; so a record may be missing at the end, but the order of one
 * process, and of processes that have told each other, is that of the file. The file must
 * be writable by all who record (make it before, mode 0666); the descriptor is opened in
 * fault_open and no path after it. A filter of system calls must let the recorder have
 * fstat, newfstatat, lseek, writev, getpid and clock_gettime; who closes all descriptors in a
 * fork must leave fault_fd open. A record is this, little-endian, without padding:
 *
 *	 0 u32	magic			0x43455248, "HREC"
 *	 4 u32	size			octets of the whole record
 *	 8 u16	op			enum fault_op
 *	10 u16	name_n			octets of `name`
 *	12 u16	to_n			octets of `to`
 *	14 u16	0
 *	16 u32	pid
 *	20 u32	flags			OPEN: as given; UNLINK: 512 (AT_REMOVEDIR) for a folder
 *	24 u32	mode, 28 uid, 32 gid	of the file, as fstat says
 *	36 u32	0
 *	40 u64	stamp			CLOCK_MONOTONIC, nanoseconds, after the call
 *	48 u64	dev, 56 ino		the file. FSYNC, SYNCFS: perhaps a folder. UNLINK: 0
 *	64 u64	dir_dev, 72 dir_ino	the folder of `name`; O_TMPFILE: where it is, without a name
 *	80 u64	to_dev, 88 to_ino	RENAME: the folder of `to`
 *	96 u64	at			WRITE: offset; TRUNCATE: new length; SYNC_RANGE: offset;
 *					TIMES: of modification, seconds since 1970, two's complement
 *	104	program			16 octets, NUL-padded
 *	120	name, to, data		data: what was written, to the record's end
 *
 * tests/hermodtest/powercut.py reads it.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "config.h"

enum fault_op {
	FAULT_OPEN = 1,		/* with O_CREAT, O_TRUNC or O_TMPFILE */
	FAULT_WRITE,
	FAULT_TRUNCATE,
	FAULT_LINK,		/* name: the new one */
	FAULT_RENAME,		/* name: the old one, to: the new one */
	FAULT_UNLINK,
	FAULT_MKDIR,
	FAULT_FSYNC,
	FAULT_FDATASYNC,
	FAULT_SYNC_RANGE,	/* and waited for */
	FAULT_TIMES,		/* as they were set */
	FAULT_SYNCFS,		/* all of the file system that the file is in */
};

#ifdef HERMOD_FAULTS
void	fault_open(const char *program);	/* reads the environment; before confinement */
void	fault_name(const char *program);	/* a fork becomes another program (deliver) */
void	fault_confined(void);			/* from here on those with ~ are counted */
int	fault_fd(void);				/* the recording's descriptor, -1 if none */
#else
static inline void fault_open(const char *program) { (void)program; }
static inline void fault_name(const char *program) { (void)program; }
static inline void fault_confined(void) { }
static inline int fault_fd(void) { return -1; }
#endif

#endif
