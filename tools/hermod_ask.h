/* SPDX-License-Identifier: ISC */
/*
 * tools/hermod_ask.h - questions to the processes of the suite that runs, by the sockets in run_directory that are for
 * root, or whoever runs it. What cannot be asked ends the program, with words.
 */
#ifndef TOOLS_HERMOD_ASK_H
#define TOOLS_HERMOD_ASK_H

#include "daemon/dns.h"
#include "tools/hermod.h"

#define ASK_SEND_MS	5000	/* for a greeting, and for a question to be taken */

/* Connected and greeted. socket: "dns.sock"; whose: "resolver", for the words. */
int	ask_connect(const char *socket, const char *whose);
/* The same, and -1 where Hermod does not run. */
int	ask_try(const char *socket, const char *whose);
/* False: it is gone. out is finished in any case. */
bool	ask_send(int fd, struct ipc_out *out);

/* The resolver (hermod_dns.c). */
struct dns_asker {
	int		 fd;		/* owned */
	int		 timeout_ms;
	bool		 told;		/* that it takes a while */
	unsigned char	 frame[IPC_FRAME_MAX];	/* what the last answer borrows from */
};
void	dns_asker_open(struct dns_asker *d);
void	dns_asker_close(struct dns_asker *d);
/* The answer is in the arena, of DNS_ANSWER_ARENA, and in d until the next question. */
void	dns_asker_ask(struct dns_asker *d, struct bytes name, enum dns_type type, struct arena *a, struct dns_answer *answer);
/* Several at once: all of them are there after the time that one may take. The arena has room for as many of DNS_QUESTION_ARENA,
 * and the answers are in it. */
#define DNS_QUESTION_ARENA	(DNS_ANSWER_ARENA + IPC_FRAME_MAX)
struct dns_question { struct bytes name; enum dns_type type; struct dns_answer answer; };
void	dns_asker_ask_all(struct dns_asker *d, struct dns_question *q, size_t n, struct arena *a);
/* "secure", "insecure", "bogus"; "-" where nothing is known. */
const char *dns_security(const struct dns_answer *a);

#endif
