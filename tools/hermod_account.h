/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_account.h - what hermod setup shares with hermod account: passwords that are asked for, and an account that is
 * added by the configuration (hermod_settings). What does not work ends the program.
 */
#ifndef TOOLS_HERMOD_ACCOUNT_H
#define TOOLS_HERMOD_ACCOUNT_H

#include "base/buf.h"

/* A line without its LF. False: there is none. */
bool	account_read_line(int fd, struct buf *out);
/* Of the terminal, twice and without echo. An empty one is asked for once. */
void	account_ask_password(const char *prompt, bool may_be_empty, struct buf *password);
/* Whether the table is one that whoever asks may not read. */
bool	account_table_denied(const char *account_map);
/* With its mailbox. */
void	account_add(const char *address, const struct buf *password);

#endif
