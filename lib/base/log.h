/* SPDX-License-Identifier: ISC */
/*
 * base/log.h - records to the journal. A decision is logged once, where it is
 * made: session or queue id, then key=value; outside octets through log_text.
 *
 * Before log_open, and in tools, lines go to stderr. After it each record is
 * one datagram on a channel to the journal; sending never blocks: what does
 * not fit into the kernel's buffer waits in a ring of LOG_RING octets, and what
 * overflows that is counted and said when there is room again.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/bytes.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_FATAL_ };

#define LOG_RECORD_MAX	2048	/* octets of one record's text; longer is cut and ends in "..." */
#define LOG_RING	65536

/*
 * The wire form of a record, one datagram: u8 level, u8 length of the program
 * name, u32 pid, u64 wall clock in microseconds (little-endian), program name,
 * text. The journal escapes what is not printable once more: nothing that a
 * sender does makes a second line.
 */

void	log_name(const char *program);		/* borrowed for the life of the process */
void	log_open(int fd);			/* owned from here; -1: back to stderr */
int	log_fd(void);				/* the channel, -1 if none; for a fork that closes all else */
void	log_debug_on(bool on);
bool	log_flush(void);			/* tries to send what waits in the ring; true when it is empty */

void	log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* a warning, with ": strerror(errno)" */
_Noreturn void	log_fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));	/* then _exit(1) */

/*
 * Outside octets made fit for a log line: printable ASCII as it is, all else
 * (controls, DEL, 8-bit that is not well-formed UTF-8, backslash, double quote)
 * as \xHH; at most 255 octets of result, then "...". Lives in one of 16 turning
 * buffers: for the arguments of one log call.
 */
const char	*log_text(struct bytes s);
/*
 * The same for the value of a key: a space, which would end it and begin a field of somebody's choosing, is \x20. For names and
 * addresses that strangers choose, in <> or as they are.
 */
const char	*log_value(struct bytes s);

#endif
