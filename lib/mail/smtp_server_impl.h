/* SPDX-License-Identifier: ISC */
/*
 * mail/smtp_server_impl.h - shared by the files of smtp_server:
 *
 *	smtp_server.c			commands, and whose turn it is
 *	smtp_server_content.c		DATA and BDAT, and the envelope
 *	smtp_server_auth.c		AUTH
 *	smtp_server_submission.c	is the sender's address the account's?
 */
#ifndef MAIL_SMTP_SERVER_IMPL_H
#define MAIL_SMTP_SERVER_IMPL_H

#include "mail/smtp_server.h"

/* RFC 5321 section 4.1.4. */
enum { NEW = 1, GREETED = 2, MAIL = 4, RCPT = 8, ANY = 15 };

enum { COMMANDS, DATA, CHUNK, AUTH_LINE, WAIT_RCPT, WAIT_OPEN, WAIT_COMMIT, WAIT_TLS, WAIT_AUTH, WAIT_SENDER };

void	smtp_server_reply(struct smtp_server *s, unsigned code, const char *words);
/* A command that was refused or not understood. */
void	smtp_server_fail(struct smtp_server *s, unsigned code, const char *words);
void	smtp_server_end_transaction(struct smtp_server *s);

/* ---- smtp_server_content.c ---- */

void	smtp_server_data(struct smtp_server *s, const struct smtp_cmd *cmd);
void	smtp_server_bdat(struct smtp_server *s, const struct smtp_cmd *cmd);
/* In the modes DATA and CHUNK: takes content off *in. */
void	smtp_server_take_data(struct smtp_server *s, struct bytes *in);
void	smtp_server_take_chunk(struct smtp_server *s, struct bytes *in);
/* Forgets the message in progress; the first reason stays. */
void	smtp_server_refuse(struct smtp_server *s, unsigned code, const char *words);

/* ---- smtp_server_auth.c ---- */

void	smtp_auth_init(struct smtp_server *s);
void	smtp_auth_fini(struct smtp_server *s);
void	smtp_auth_forget(struct smtp_server *s);	/* RFC 3207 section 4.2 */
bool	smtp_auth_offered(const struct smtp_server *s);
void	smtp_auth_command(struct smtp_server *s, const struct smtp_cmd *cmd);
void	smtp_auth_line(struct smtp_server *s, struct bytes line);

/* ---- smtp_server_submission.c ---- */

/* False: nobody has to be asked, and all is fine. */
bool	smtp_sender_ask(struct smtp_server *s);
void	smtp_from_feed(struct smtp_server *s, struct bytes run);
/* At the end of content; may refuse the message. True: s->mode says what is waited for. */
bool	smtp_from_ask(struct smtp_server *s);
void	smtp_sender_forget(struct smtp_server *s);

#endif
