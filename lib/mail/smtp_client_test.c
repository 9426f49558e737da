/* SPDX-License-Identifier: ISC */
/*
 * Conversations, each a script, a letter and a space at the front of each line:
 *	S	the server says this line		s	these octets, without a line end
 *	C	the client says this line next		o	these octets	c	nothing else
 *	M	the driver begins a transaction		T	has made the handshake		Q	quits
 *	L	the connection is lost			Z	the content cannot be read
 *	A	the driver logs in: mechanism and initial response, "-" for none, '!' in front where 235 may not follow yet
 *	D	the challenge				P	the response to it, as A's	X	cancels	N	will not log in
 *	R	the recipients' results, as result() writes them
 *	W	what the client wants			F	its fault			G	contact
 * WANTS_LOGIN is answered with no_login but with LOGIN, WANTS_CONTENT with the content. Each runs four times: what the server says, and
 * the content, whole and octet by octet.
 */
#include "base/mem.h"
#include "mail/smtp_client.h"
#include "mail/testing.h"
#include "proto/smtp_reply.h"

#define SHORT	"Subject: x\r\n\r\nhello\r\n"

enum { LMTP = 1, MUST = 2, NEVER = 4, NULL_SENDER = 8, EIGHT = 16, BINARY = 32, UTF8 = 64, REQTLS = 128, DSN = 256, BIG = 512,
	HUNGRY = 1024 /* content is not given by itself */, PRIORITY = 2048, DOTS = 4096, BARE = 8192,
	WHOLE = 16384 /* not octet by octet */, LOGIN = 32768 };

struct play {
	const char	*name;
	unsigned	 flags;
	size_t		 piece;			/* octets of what the server says, and of content, at once */
	size_t		 content_piece;
	struct smtp_client_rules rules;
	struct smtp_client *c;
	struct buf	 out, in, words;
	size_t		 compared;		/* octets of out that the script has seen */
	struct smtp_client_mail mail;
	struct smtp_client_rcpt rcpts[8];
	enum smtp_client_wants wants;
	struct bytes	 content;
};

/* ---- scripts ---- */

#define EHLO(ext)	"S 220 mx.test ESMTP\nC EHLO me.test\nS 250-mx.test\n" ext "S 250 HELP\n"
#define PLAIN		EHLO("")
#define PIPE		EHLO("S 250-PIPELINING\n")
#define CHUNKS		EHLO("S 250-PIPELINING\nS 250-CHUNKING\n")
#define LHLO(ext)	"S 220 mx.test LMTP\nC LHLO me.test\nS 250-mx.test\n" ext "S 250 HELP\n"

#define MAIL1		"M a@x.test\nC MAIL FROM:<s@me.test>\n"
#define MAIL2		"M a@x.test b@x.test\nC MAIL FROM:<s@me.test>\n"
#define MAIL3		"M a@x.test b@x.test c@x.test\nC MAIL FROM:<s@me.test>\n"
#define RCPT_A		"C RCPT TO:<a@x.test>\n"
#define RCPT_B		"C RCPT TO:<b@x.test>\n"
#define RCPT_C		"C RCPT TO:<c@x.test>\n"
#define OK		"S 250 OK\n"
#define GO		"S 354 go ahead\n"
#define CONTENT		"C Subject: x\nC \nC hello\nC .\nc\n"

static const struct { const char *name; unsigned flags; const char *script; } cases[] = {
	/* ---- greeting and EHLO ---- */
	{ "greeting 554", 0, "S 554 no mail here\nC QUIT\nc\nW close\nF 5.3.2 greeting 554 no mail here\nG good\n" },
	{ "greeting 421", 0, "S 421 4.7.0 too many\nc\nW close\nF 4.7.0 greeting 421 4.7.0 too many\nG busy\n" },
	{ "greeting 450", 0, "S 450 later\nC QUIT\nc\nW close\nF 4.0.0 greeting 450 later\nG busy\n" },
	{ "greeting is garbage", 0, "S HTTP/1.1 400 Bad Request\nc\nW close\nF 4.5.0 greeting\nG failed\n" },
	{ "greeting without code", 0, "S\nc\nW close\nF 4.5.0 greeting\nG failed\n" },
	{ "greeting wants more", 0, "S 354 go\nW close\nF 4.5.0 greeting\nG failed\n" },
	{ "greeting lost", 0, "L\nW close\nF 4.4.2 greeting\nG failed\n" },
	{ "greeting in lines", 0, "S 220-mx.test\nS 220-welcome\nc\nS 220 go\nC EHLO me.test\nc\n" },
	{ "greeting of two codes", 0, "S 220-mx.test\nS 250 go\nc\nW close\nF 4.5.0 greeting\n" },
	{ "EHLO unknown", NEVER, "S 220 mx\nC EHLO me.test\nS 502 what?\nC HELO me.test\nS 250 mx\nW mail\n"
	    MAIL1 OK RCPT_A OK "C DATA\n" GO CONTENT "S 250 taken\nR D 2.0.0 content\n" },
	{ "EHLO and HELO unknown", 0, "S 220 mx\nC EHLO me.test\nS 502 what?\nC HELO me.test\nS 504 no\nC QUIT\nW close\n"
	    "F 5.5.4 HELO 504 no\nG good\n" },
	{ "EHLO later", 0, "S 220 mx\nC EHLO me.test\nS 451 later\nC QUIT\nc\nW close\nF 4.3.0 EHLO 451 later\nG busy\n" },
	{ "EHLO 421", 0, "S 220 mx\nC EHLO me.test\nS 421 bye\nc\nW close\nF 4.3.2 EHLO 421 bye\nG busy\n" },
	{ "LHLO unknown", LMTP, "S 220 mx\nC LHLO me.test\nS 500 what?\nC QUIT\nc\nW close\nF 5.5.2 LHLO 500 what?\n" },
	{ "a reply nobody asked for", 0, PLAIN "W mail\nS 250 OK\nc\nW close\nF 4.5.0 idle\n" },
	{ "421 while idle", 0, PLAIN "S 421 4.4.2 too long\nc\nW close\nF 4.4.2 idle 421 4.4.2 too long\nG busy\n" },
	{ "lost while idle", 0, PLAIN "L\nW close\nF 4.4.2 idle\n" },
	{ "QUIT", 0, PLAIN "Q\nC QUIT\nW input\nS 221 bye\nW close\nF none\n" },
	{ "QUIT, garbage", 0, PLAIN "Q\nC QUIT\nS 9\nW close\n" },
	{ "QUIT, lost", 0, PLAIN "Q\nC QUIT\nL\nW close\nF none\nG good\n" },

	/* ---- line ends ---- */
	{ "LF alone, always", 0, "s 220 mx\\n\nC EHLO me.test\ns 250-mx\\n250 PIPELINING\\n\nW mail\n"
	    MAIL1 RCPT_A "C DATA\ns 250 ok\\n250 ok\\n354 go\\r\\n\n" CONTENT "s 250 taken\\n\nR D 2.0.0 content\n" },
	{ "LF alone behind CRLF", 0, PLAIN MAIL1 "s 250 ok\\n250 ok\\r\\n\nW close\nF 4.5.0 MAIL\nR L 4.5.0 MAIL\n" },
	{ "CR in a line", 0, PLAIN MAIL1 "s 550 a\\rb\\r\\r\\n\nR B 5.0.0 MAIL 550 a?b?\n" },
	{ "NUL, 8-bit, controls", 0, PLAIN MAIL1 "s 550 \\x01\\0\\x1b[2J\\xff\xc3\xa4\\r\\n\nR B 5.0.0 MAIL 550 ???[2J?\xc3\xa4\n" },
	{ "CVE-2020-8794", 0, PLAIN MAIL1 "s 550-a\\r\\n550-type: mda\\r\\n550 x\\r\\n\nR B 5.0.0 MAIL 550-a/550-type: mda/550 x\n" },
	{ "CVE-2026-43964", 0, PLAIN MAIL1 "S 550 5.7.2\nR B 5.7.2 MAIL 550 5.7.2\n" },
	{ "status of another class", 0, PLAIN MAIL1 "S 450 5.7.2 no\nR L 4.0.0 MAIL 450 5.7.2 no\n" },
	{ "code alone", 0, PLAIN MAIL1 "S 550\nR B 5.0.0 MAIL 550\n" },
	{ "status in the second line", 0, PLAIN MAIL1 "S 550-no\nS 550 5.7.1 no\nR B 5.7.1 MAIL 550-no/550 5.7.1 no\n" },

	/* ---- STARTTLS ---- */
	{ "STARTTLS", 0, EHLO("S 250-STARTTLS\nS 250-PIPELINING\nS 250-AUTH PLAIN\n") "C STARTTLS\nc\nS 220 go\nW tls\nT\n"
	    "C EHLO me.test\nS 250 mx.test\nW mail\n" MAIL1 "c\n" },	/* PIPELINING is forgotten */
	{ "not announced, may", 0, PLAIN "W mail\n" },
	{ "not announced, must", MUST, PLAIN "C QUIT\nc\nW close\nF 4.7.4 EHLO\nG good\n" },
	{ "announced, never", NEVER, EHLO("S 250-STARTTLS\n") "c\nW mail\n" },
	{ "refused, may", 0, EHLO("S 250-STARTTLS\n") "C STARTTLS\nS 454 4.7.0 no\nc\nW mail\n" },
	{ "refused, must", MUST, EHLO("S 250-STARTTLS\n") "C STARTTLS\nS 554 5.7.0 no\nC QUIT\nc\nW close\n"
	    "F 4.7.4 STARTTLS 554 5.7.0 no\n" },
	{ "421", 0, EHLO("S 250-STARTTLS\n") "C STARTTLS\nS 421 bye\nc\nW close\nF 4.3.2 STARTTLS 421 bye\nG busy\n" },
	{ "CVE-2021-38371", 0, EHLO("S 250-STARTTLS\n") "C STARTTLS\ns 220 go\\r\\n250-mx\\r\\n\nW close\nF 4.5.0 STARTTLS\n" },
	{ "half a line behind it", 0, EHLO("S 250-STARTTLS\n") "C STARTTLS\ns 220 go\\r\\n2\nW close\nF 4.5.0 STARTTLS\n" },
	{ "handshake fails", 0, EHLO("S 250-STARTTLS\n") "C STARTTLS\nS 220 go\nL\nW close\nF 4.7.5 STARTTLS\n" },
	{ "EHLO, must, HELO only", MUST, "S 220 mx\nC EHLO me.test\nS 500 no\nC HELO me.test\nS 250 mx\nC QUIT\nW close\n"
	    "F 4.7.4 HELO\n" },
	{ "STARTTLS again after it", MUST, EHLO("S 250-STARTTLS\n") "C STARTTLS\nS 220 go\nT\nC EHLO me.test\nS 250-mx\n"
	    "S 250 STARTTLS\nc\nW mail\n" },

	/* ---- AUTH ---- */
	{ "RFC 4954 4.1, PLAIN", LOGIN, EHLO("S 250-AUTH PLAIN\n") "c\nW login\nA PLAIN tim\nC AUTH PLAIN dGlt\nc\nW input\n"
	    "S 235 2.7.0 Authentication successful\nW mail\nG good\n" MAIL1 "c\n" },
	{ "no initial response", LOGIN, PLAIN "A LOGIN -\nC AUTH LOGIN\nc\nS 334 VXNlcm5hbWU6\nW response\nD Username:\nP tim\nC dGlt\n"
	    "S 334 UGFzc3dvcmQ6\nD Password:\nP x\nC eA==\nS 235 ok\nW mail\n" },
	{ "empty initial response", LOGIN, PLAIN "A EXTERNAL \nC AUTH EXTERNAL =\nS 235 ok\nW mail\n" },
	{ "empty challenge and response", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS 334 \nW response\nD \nP \nC \nS 235 ok\nW mail\n" },
	{ "334 alone", LOGIN, PLAIN "A X -\nC AUTH X\nS 334\nD \nP a\nC YQ==\nS 235 ok\nW mail\n" },
	{ "534", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS 534 5.7.9 weak\nC QUIT\nc\nW close\nF 4.7.9 AUTH 534 5.7.9 weak\nG failed\n" },
	{ "535", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS 535 5.7.8 no\nC QUIT\nc\nW close\nF 4.7.8 AUTH 535 5.7.8 no\nG failed\n" },
	{ "538", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS 538 TLS\nC QUIT\nW close\nF 4.7.11 AUTH 538 TLS\nG failed\n" },
	{ "504", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS 504 5.5.4 X?\nC QUIT\nW close\nF 4.7.8 AUTH 504 5.5.4 X?\nG failed\n" },
	{ "454", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS 454 4.7.0 later\nC QUIT\nW close\nF 4.7.0 AUTH 454 4.7.0 later\nG busy\n" },
	{ "432", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS 432 4.7.12 once\nC QUIT\nW close\nF 4.7.12 AUTH 432 4.7.12 once\nG busy\n" },
	{ "421 to AUTH", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS 421 4.7.0 out\nc\nW close\nF 4.7.0 AUTH 421 4.7.0 out\nG busy\n" },
	{ "354 to AUTH", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS 354 go\nc\nW close\nF 4.5.0 AUTH\nG failed\n" },
	{ "lost in AUTH", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nL\nW close\nF 4.4.2 AUTH\nG failed\n" },
	{ "garbage in AUTH", LOGIN, PLAIN "A X a\nC AUTH X YQ==\nS x\nW close\nF 4.5.0 AUTH\nG failed\n" },
	{ "535 to a response", LOGIN, PLAIN "A X -\nC AUTH X\nS 334 \nP a\nC YQ==\nS 535 5.7.8 no\nC QUIT\nW close\n"
	    "F 4.7.8 AUTH 535 5.7.8 no\n" },
	{ "235 too early", LOGIN, PLAIN "A !X a\nC AUTH X YQ==\nS 235 ok\nC QUIT\nc\nW close\nF 4.7.8 AUTH\nG failed\n" },
	{ "235 too early, later", LOGIN, PLAIN "A !X a\nC AUTH X YQ==\nS 334 YQ==\nP !b\nC Yg==\nS 235 ok\nC QUIT\nW close\nF 4.7.8 AUTH\n" },
	{ "235 in time", LOGIN, PLAIN "A !X a\nC AUTH X YQ==\nS 334 YQ==\nP !b\nC Yg==\nS 334 Yw==\nD c\nP \nC \nS 235 ok\nW mail\n" },
	{ "no base64", LOGIN, PLAIN "A X -\nC AUTH X\nS 334 what is it?\nC *\nc\nW input\nS 501 5.7.0 cancelled\nC QUIT\nW close\n"
	    "F 4.7.8 AUTH\nG failed\n" },
	{ "two lines of 334", LOGIN, PLAIN "A X -\nC AUTH X\nS 334-YQ==\nS 334 YQ==\nC *\nS 501 ok\nC QUIT\nW close\nF 4.7.8 AUTH\n" },
	{ "235 to a cancel", LOGIN, PLAIN "A X -\nC AUTH X\nS 334 YQ==\nX\nC *\nc\nS 235 ok\nC QUIT\nW close\nF 4.7.8 AUTH\n" },
	{ "334 to a cancel", LOGIN, PLAIN "A X -\nC AUTH X\nS 334 YQ==\nX\nC *\nS 334 YQ==\nC QUIT\nW close\nF 4.7.8 AUTH\n" },
	{ "235 behind 334", LOGIN | WHOLE, PLAIN "A X -\nC AUTH X\ns 334 YQ==\\r\\n235 ok\\r\\n\nc\nW close\nF 4.5.0 AUTH\n" },
	{ "what nobody asked before AUTH", LOGIN, PLAIN "W login\nS 235 ok\nW close\nF 4.5.0 AUTH\n" },
	{ "will not log in", LOGIN, PLAIN "N\nC QUIT\nc\nW close\nF 4.7.8 AUTH\nG failed\n" },
	/* "AUTH X " and CRLF leave 503 octets: 500 of base64, 375 of response */
	{ "a command of 509 octets", LOGIN, PLAIN "A X @375\no AUTH X eHh4\nS 235 ok\nW mail\n" },
	{ "one that would have 513", LOGIN, PLAIN "A X @376\nC AUTH X\nc\nS 334 \no eHh4\nW input\nS 235 ok\nW mail\n" },
	{ "a response that was not asked for", LOGIN, PLAIN "A X @376\nC AUTH X\nS 235 ok\nC QUIT\nW close\nF 4.7.8 AUTH\n" },
	{ "the longest response", LOGIN, PLAIN "A X @9213\nC AUTH X\nS 334 \nW input\nS 235 ok\nW mail\n" },
	{ "AUTH of before TLS", LOGIN, EHLO("S 250-STARTTLS\nS 250-AUTH PLAIN\n") "C STARTTLS\nS 220 go\nT\nC EHLO me.test\nS 250 mx.test\n"
	    "W login\n" },

	/* ---- one by one ---- */
	{ "plain", 0, PLAIN MAIL2 "c\n" OK RCPT_A "c\n" OK RCPT_B "c\n" OK "C DATA\nc\n" GO CONTENT "S 250 2.6.0 queued as 1\nW mail\n"
	    "R D 2.6.0 content 250 2.6.0 queued as 1; D 2.6.0 content 250 2.6.0 queued as 1\nG good\n"
	    "M a@x.test\nC MAIL FROM:<s@me.test>\nc\n" },
	{ "null sender", NULL_SENDER, PLAIN "M a@x.test\nC MAIL FROM:<>\n" },
	{ "MAIL 451", 0, PLAIN MAIL2 "S 451 later\nc\nW mail\nR L 4.3.0 MAIL; L 4.3.0 MAIL\nG good\n"
	    "M a@x.test\nC MAIL FROM:<s@me.test>\nc\n" },
	{ "MAIL 550", 0, PLAIN MAIL1 "S 550 no\nc\nW mail\nR B 5.0.0 MAIL\n" },
	{ "MAIL 421", 0, PLAIN MAIL1 "S 421 no\nc\nW close\nR L 4.3.2 MAIL\nG busy\n" },
	{ "MAIL 354", 0, PLAIN MAIL1 GO "c\nW close\nR L 4.5.0 MAIL\nG failed\n" },
	{ "MAIL lost", 0, PLAIN MAIL1 "L\nW close\nR L 4.4.2 MAIL\nG failed\n" },
	{ "MAIL garbage", 0, PLAIN MAIL1 "S hello\nc\nW close\nR L 4.5.0 MAIL\nG failed\n" },
	{ "RCPT 450", 0, PLAIN MAIL2 OK RCPT_A "S 450 4.2.1 busy\n" RCPT_B OK "C DATA\n" GO CONTENT "S 250 OK\nW mail\n"
	    "R L 4.2.1 RCPT 450 4.2.1 busy; D 2.0.0 content\n" },
	{ "RCPT 550", 0, PLAIN MAIL2 OK RCPT_A OK RCPT_B "S 550 5.1.1 none\nC DATA\n" GO CONTENT "S 250 OK\nW mail\n"
	    "R D 2.0.0 content; B 5.1.1 RCPT 550 5.1.1 none\nM c@x.test\nC MAIL FROM:<s@me.test>\n" },
	{ "RCPT 251", 0, PLAIN MAIL1 OK RCPT_A "S 251 forwarded\nC DATA\n" GO CONTENT "S 250 OK\nR D 2.0.0 content\n" },
	{ "all RCPT refused", 0, PLAIN MAIL2 OK RCPT_A "S 550 no\n" RCPT_B "S 450 no\nc\nW mail\nR B 5.0.0 RCPT; L 4.2.0 RCPT\n"
	    "M a@x.test\nC RSET\nc\nS 250 OK\nC MAIL FROM:<s@me.test>\n" },
	{ "RCPT 421", 0, PLAIN MAIL3 OK RCPT_A OK RCPT_B "S 421 bye\nc\nW close\nR L 4.3.2 RCPT; L 4.3.2 RCPT; L 4.3.2 RCPT\nG busy\n" },
	{ "RCPT lost", 0, PLAIN MAIL2 OK RCPT_A "S 550 no\n" RCPT_B "L\nW close\nR B 5.0.0 RCPT; L 4.4.2 RCPT\nG failed\n" },
	{ "RCPT garbage", 0, PLAIN MAIL1 OK RCPT_A "S 25\nW close\nR L 4.5.0 RCPT\n" },
	{ "DATA 451", 0, PLAIN MAIL2 OK RCPT_A "S 550 no\n" RCPT_B OK "C DATA\nS 451 4.3.0 no\nc\nW mail\n"
	    "R B 5.0.0 RCPT; L 4.3.0 DATA\nM a@x.test\nC RSET\n" },
	{ "DATA 554", 0, PLAIN MAIL1 OK RCPT_A OK "C DATA\nS 554 5.7.1 no\nc\nW mail\nR B 5.7.1 DATA\n" },
	{ "DATA 421", 0, PLAIN MAIL1 OK RCPT_A OK "C DATA\nS 421 no\nc\nW close\nR L 4.3.2 DATA\nG busy\n" },
	{ "DATA 250", 0, PLAIN MAIL1 OK RCPT_A OK "C DATA\nS 250 taken\nc\nW close\nR L 4.5.0 DATA\nG failed\n" },
	{ "DATA lost", 0, PLAIN MAIL1 OK RCPT_A OK "C DATA\nL\nW close\nR L 4.4.2 DATA\n" },
	{ "content 452", 0, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO CONTENT "S 452 full\nW mail\nR L 4.3.1 content\nM a@x.test\n"
	    "C MAIL FROM:<s@me.test>\n" },
	{ "content 554", 0, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO CONTENT "S 554 5.6.0 spam\nW mail\nR B 5.6.0 content\n" },
	{ "content 421", 0, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO CONTENT "S 421 no\nW close\nR L 4.3.2 content\nG busy\n" },
	{ "content 354", 0, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO CONTENT GO "W close\nR L 4.5.0 content uncertain\n" },
	{ "content lost", 0, PLAIN MAIL2 OK RCPT_A OK RCPT_B "S 550 no\nC DATA\n" GO CONTENT "L\nW close\n"
	    "R L 4.4.2 content uncertain; B 5.0.0 RCPT\nG failed\n" },
	{ "content garbage", 0, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO CONTENT "S OK\nW close\nR L 4.5.0 content uncertain\n" },
	{ "lost before the end", HUNGRY, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO "c\nW content\nL\nW close\nR L 4.4.2 content\n" },
	{ "250 behind 354", HUNGRY, PLAIN MAIL1 OK RCPT_A OK "C DATA\ns 354 go\\r\\n250 taken\\r\\n\nW close\nR L 4.5.0 content\n" },
	{ "half a 250 behind 354", WHOLE, PLAIN MAIL1 OK RCPT_A OK "C DATA\ns 354 go\\r\\n2\n" "s 50 taken\\r\\n\nW close\n"
	    "R L 4.5.0 content uncertain\n" },
	{ "552 before the end", HUNGRY, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO "S 552 5.3.4 big\nc\nW close\nR B 5.3.4 content\nG good\n" },
	{ "421 before the end", HUNGRY, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO "S 421 no\nc\nW close\nR L 4.3.2 content\nG busy\n" },
	{ "content cannot be read", HUNGRY, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO "Z\nc\nW close\nR L 4.3.0 content\nG none\n" },
	{ "RSET refused", 0, PLAIN MAIL1 OK RCPT_A "S 550 no\nM b@x.test\nC RSET\nS 500 no\nc\nW close\nR L 4.5.0 RSET 500 no\nG failed\n" },
	{ "RSET 421", 0, PLAIN MAIL1 OK RCPT_A "S 550 no\nM b@x.test\nC RSET\nS 421 no\nc\nW close\nR L 4.3.2 RSET\nG busy\n" },
	{ "dots", DOTS, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO "C ..\nC ...\nC ..a\nC b.\nC .\nc\n" },
	{ "bare CR and LF", BARE, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO "C a\nC ..\nC b\nC c\nC ..\nC .\nc\n" },

	/* ---- pipelined ---- */
	{ "pipelined", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\nc\n" OK OK OK "c\n" GO CONTENT "S 250 OK\nW mail\n"
	    "R D 2.0.0 content; D 2.0.0 content\n" },
	{ "all replies at once", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\nc\ns 250 a\\r\\n250 b\\r\\n550 c\\r\\n354 d\\r\\n\n" CONTENT
	    "S 250 OK\nR D 2.0.0 content; B 5.0.0 RCPT 550 c\n" },
	{ "pipelined, MAIL refused", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\nS 550 5.7.1 no\nS 503 5.5.1 x\nS 503 x\nW input\nS 503 x\nc\n"
	    "W mail\nR B 5.7.1 MAIL 550 5.7.1 no; B 5.7.1 MAIL 550 5.7.1 no\nM c@x.test\nC RSET\nC MAIL FROM:<s@me.test>\n" RCPT_C
	    "C DATA\nc\n" OK OK OK GO CONTENT "S 250 OK\nR D 2.0.0 content\n" },
	{ "pipelined, RCPTs refused", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\n" OK "S 550 a\nS 450 b\nS 554 no valid recipients\nc\n"
	    "W mail\nR B 5.0.0 RCPT 550 a; L 4.2.0 RCPT 450 b\n" },
	{ "RFC 2920 3.1: the single dot", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\n" OK "S 550 a\nS 450 b\n" GO "C .\nc\nW input\n"
	    "S 554 nobody\nW mail\nR B 5.0.0 RCPT 550 a; L 4.2.0 RCPT 450 b\nM a@x.test\nC RSET\n" },
	{ "the single dot, taken", 0, PIPE MAIL1 RCPT_A "C DATA\n" OK "S 550 a\n" GO "C .\nc\n" OK "W mail\nR B 5.0.0 RCPT\n" },
	{ "the single dot, lost", 0, PIPE MAIL1 RCPT_A "C DATA\n" OK "S 550 a\n" GO "C .\nc\nL\nW close\nR B 5.0.0 RCPT\n" },
	{ "MAIL refused, 354", 0, PIPE MAIL1 RCPT_A "C DATA\nS 550 no\nS 550 no\n" GO "C .\nc\nS 554 no\nW mail\nR B 5.0.0 MAIL\n" },
	{ "MAIL refused, RCPT taken, 354", 0, PIPE MAIL1 RCPT_A "C DATA\nS 450 no\n" OK GO "c\nW close\nR L 4.0.0 MAIL\nG failed\n" },
	{ "LMTP, RCPT refused, 354", LMTP, LHLO("S 250-PIPELINING\n") MAIL1 RCPT_A "C DATA\n" OK "S 550 no\n" GO "c\nW close\n"
	    "R B 5.0.0 RCPT\nG failed\n" },
	{ "pipelined, DATA refused", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\n" OK OK "S 550 b\nS 451 no\nW mail\nR L 4.3.0 DATA; B 5.0.0 RCPT\n" },
	{ "pipelined, 421 at RCPT", 0, PIPE MAIL3 RCPT_A RCPT_B RCPT_C "C DATA\n" OK "S 550 a\nS 421 bye\nc\nW close\n"
	    "R B 5.0.0 RCPT 550 a; L 4.3.2 RCPT 421 bye; L 4.3.2 RCPT 421 bye\nG busy\n" },
	{ "pipelined, lost", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\n" OK OK "L\nW close\nR L 4.4.2 RCPT; L 4.4.2 RCPT\n" },
	{ "pipelined, garbage", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\n" OK "S x\nW close\nR L 4.5.0 RCPT; L 4.5.0 RCPT\n" },
	{ "pipelined, one reply too many", 0, PIPE MAIL1 RCPT_A "C DATA\ns 250 a\\r\\n250 b\\r\\n250 c\\r\\n\nW close\nR L 4.5.0 DATA\n" },
	{ "a reply behind 250", 0, PIPE MAIL1 RCPT_A "C DATA\n" OK OK GO CONTENT "s 250 a\\r\\n250 b\\r\\n\nW close\nR D 2.0.0 content\n" },

	/* ---- too many recipients ---- */
	{ "452 4.5.3", 0, PLAIN MAIL3 OK RCPT_A OK RCPT_B "S 452 4.5.3 too many\nC DATA\n" GO CONTENT "S 250 OK\nW mail\n"
	    "R D 2.0.0 content; L 4.5.3 RCPT 452 4.5.3 too many again; L 4.5.3 RCPT 452 4.5.3 too many again\n"
	    "M b@x.test c@x.test\nC MAIL FROM:<s@me.test>\n" OK RCPT_B OK "C DATA\n" GO CONTENT
	    "S 250 OK\nR D 2.0.0 content; L 4.5.3 MAIL again\n" },
	{ "452 pipelined", 0, PIPE MAIL3 RCPT_A RCPT_B RCPT_C "C DATA\n" OK OK "S 452 too many\nS 452 too many\n" GO CONTENT "S 250 OK\n"
	    "R D 2.0.0 content; L 4.5.3 RCPT 452 too many again; L 4.5.3 RCPT 452 too many again\n" },
	{ "552 as 452", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\n" OK OK "S 552 too many\n" GO CONTENT "S 250 OK\n"
	    "R D 2.0.0 content; L 4.5.3 RCPT 552 too many again\n" },
	{ "552 of a mailbox", 0, PIPE MAIL2 RCPT_A RCPT_B "C DATA\n" OK OK "S 552 5.2.2 full\n" GO CONTENT "S 250 OK\n"
	    "R D 2.0.0 content; B 5.2.2 RCPT 552 5.2.2 full\n" },
	{ "552 of the first", 0, PLAIN MAIL1 OK RCPT_A "S 552 full\nR B 5.2.2 RCPT 552 full\n" },
	{ "552 5.5.3 of the first", 0, PLAIN MAIL1 OK RCPT_A "S 552 5.5.3 full\nR L 4.5.3 RCPT 552 5.5.3 full\n" },
	{ "452 of the first", 0, PLAIN MAIL1 OK RCPT_A "S 452 4.5.3 full\nR L 4.5.3 RCPT 452 4.5.3 full\n" },
	{ "452 of the disk", 0, PLAIN MAIL3 OK RCPT_A OK RCPT_B "S 452 4.3.1 disk\n" RCPT_C OK "C DATA\n" GO CONTENT "S 250 OK\n"
	    "R D 2.0.0 content; L 4.3.1 RCPT 452 4.3.1 disk; D 2.0.0 content\n" },
	{ "RCPTMAX", 0, EHLO("S 250-PIPELINING\nS 250-LIMITS RCPTMAX=2\n") MAIL3 RCPT_A RCPT_B "C DATA\nc\n" OK OK OK GO CONTENT "S 250 OK\n"
	    "R D 2.0.0 content; D 2.0.0 content; L 4.5.3 MAIL again\n" },
	{ "RCPTDOMAINMAX", 0, EHLO("S 250-LIMITS RCPTDOMAINMAX=1\n") "M a@x.test b@y.test c@X.TEST\nC MAIL FROM:<s@me.test>\n" OK RCPT_A OK
	    RCPT_C OK "C DATA\n" GO CONTENT "S 250 OK\nR D 2.0.0 content; L 4.5.3 MAIL again; D 2.0.0 content\n"
	    "M b@x.test\nC MAIL FROM:<s@me.test>\n" OK RCPT_B OK "C DATA\n" GO CONTENT "S 250 OK\nR D 2.0.0 content\n"
	    "M b@y.test c@z.test\nC QUIT\nc\nW close\nR L 4.5.3 MAIL again; L 4.5.3 MAIL again\nG good\n" },
	{ "RCPTDOMAINMAX, and who cannot be sent", 0, EHLO("S 250-LIMITS RCPTDOMAINMAX=1\n") MAIL1 OK RCPT_A OK "C DATA\n" GO CONTENT
	    "S 250 OK\nM \xc3\xa4@x.test b@y.test\nC QUIT\nc\nW close\nR B 5.6.7 MAIL; L 4.5.3 MAIL again\nG good\n" },
	{ "MAILMAX", 0, EHLO("S 250-LIMITS MAILMAX=1\n") MAIL1 "S 550 no\nR B 5.0.0 MAIL\nM b@x.test c@x.test\nC QUIT\nc\nW close\n"
	    "R L 4.5.0 MAIL again; L 4.5.0 MAIL again\nG good\n" },

	/* ---- chunks ---- */
	{ "BDAT", 0, CHUNKS MAIL2 RCPT_A RCPT_B "c\n" OK OK "c\nS 550 b\nC BDAT 21 LAST\nC Subject: x\nC \nC hello\nc\nS 250 OK\nW mail\n"
	    "R D 2.0.0 content; B 5.0.0 RCPT\nM c@x.test\nC MAIL FROM:<s@me.test>\n" },
	{ "BDAT, one by one", 0, EHLO("S 250-CHUNKING\n") MAIL1 OK RCPT_A OK "C BDAT 21 LAST\nC Subject: x\nC \nC hello\nc\nS 552 5.3.4 big\n"
	    "W mail\nR B 5.3.4 content\nM c@x.test\nC RSET\nc\n" },
	{ "BDAT, RCPTs refused", 0, CHUNKS MAIL2 RCPT_A RCPT_B OK "S 550 a\nS 550 b\nc\nW mail\nR B 5.0.0 RCPT 550 a; B 5.0.0 RCPT 550 b\n"
	    "M c@x.test\nC RSET\nC MAIL FROM:<s@me.test>\n" RCPT_C "c\n" },
	{ "BDAT, MAIL refused, RCPT taken", 0, CHUNKS MAIL1 RCPT_A "S 550 no\n" OK "c\nW mail\nR B 5.0.0 MAIL\n" },
	{ "BDAT, lost", 0, CHUNKS MAIL1 RCPT_A OK OK "C BDAT 21 LAST\nC Subject: x\nC \nC hello\nc\nL\nW close\nR L 4.4.2 content uncertain\n" },
	{ "BDAT, 421", 0, CHUNKS MAIL1 RCPT_A OK OK "C BDAT 21 LAST\nC Subject: x\nC \nC hello\nc\nS 421 no\nW close\nR L 4.3.2 content\n" },
	{ "BDAT, dots stay", DOTS, CHUNKS MAIL1 RCPT_A OK OK "C BDAT 15 LAST\nC .\nC ..\nC .a\nC b.\nc\n" },
	{ "BDAT, bare CR and LF", BARE, CHUNKS MAIL1 RCPT_A OK OK "C BDAT 15 LAST\nC a\nC .\nC b\nC c\nC .\nc\n" },
	{ "binary", BINARY | BARE, EHLO("S 250-CHUNKING\nS 250-BINARYMIME\n") "M a@x.test\nC MAIL FROM:<s@me.test> BODY=BINARYMIME\n" OK RCPT_A OK
	    "C BDAT 11 LAST\no a\\n.\\nb\\rc\\r\\n.\\r\nc\nS 250 OK\nR D 2.0.0 content\n" },
	{ "binary, no BINARYMIME", BINARY, CHUNKS "M a@x.test b@x.test\nc\nW mail\nR B 5.6.3 MAIL; B 5.6.3 MAIL\nG good\n" },
	{ "binary, no CHUNKING", BINARY, EHLO("S 250-BINARYMIME\n") "M a@x.test\nc\nW mail\nR B 5.6.3 MAIL\n" },

	/* ---- LMTP ---- */
	{ "LMTP", LMTP, LHLO("S 250-PIPELINING\n") MAIL3 RCPT_A RCPT_B RCPT_C "C DATA\nc\n" OK OK "S 550 5.1.1 b\n" OK GO CONTENT
	    "S 250 2.1.5 a\nW input\nS 452 4.2.2 c\nW mail\n"
	    "R D 2.1.5 content 250 2.1.5 a; B 5.1.1 RCPT 550 5.1.1 b; L 4.2.2 content 452 4.2.2 c\nG good\n" },
	{ "LMTP, lost between", LMTP, LHLO("") MAIL2 OK RCPT_A OK RCPT_B OK "C DATA\n" GO CONTENT "S 250 a\nL\nW close\n"
	    "R D 2.0.0 content; L 4.4.2 content uncertain\n" },
	{ "LMTP, 421 between", LMTP, LHLO("") MAIL3 OK RCPT_A OK RCPT_B OK RCPT_C OK "C DATA\n" GO CONTENT "S 250 a\nS 421 b\nW close\n"
	    "R D 2.0.0 content; L 4.3.2 content 421 b; L 4.3.2 content 421 b uncertain\nG busy\n" },
	{ "LMTP, one reply too many", LMTP, LHLO("") MAIL1 OK RCPT_A OK "C DATA\n" GO CONTENT "s 250 a\\r\\n250 b\\r\\n\nW close\n"
	    "R D 2.0.0 content\n" },
	{ "LMTP, BDAT", LMTP, LHLO("S 250-PIPELINING\nS 250-CHUNKING\n") MAIL2 RCPT_A RCPT_B OK OK OK
	    "C BDAT 21 LAST\nC Subject: x\nC \nC hello\nc\nS 250 a\nS 550 b\nW mail\nR D 2.0.0 content 250 a; B 5.0.0 content 550 b\n" },

	/* ---- what a message needs ---- */
	{ "8BITMIME", EIGHT, EHLO("S 250-8BITMIME\n") "M a@x.test\nC MAIL FROM:<s@me.test> BODY=8BITMIME\n" },
	{ "no 8BITMIME", EIGHT, PIPE "M a@x.test b@x.test\nc\nW mail\nR B 5.6.3 MAIL; B 5.6.3 MAIL\nG good\n" },
	{ "SMTPUTF8", UTF8, EHLO("S 250-SMTPUTF8\n") "M \xc3\xa4@x.test\nC MAIL FROM:<s@me.test> SMTPUTF8\n" OK "C RCPT TO:<\xc3\xa4@x.test>\n" },
	{ "no SMTPUTF8", UTF8, PIPE "M a@x.test\nc\nR B 5.6.7 MAIL\n" },
	{ "an address alone needs it", 0, PIPE "M \xc3\xa4@x.test a@x.test\nC MAIL FROM:<s@me.test>\n" RCPT_A "C DATA\nc\n" OK OK GO CONTENT
	    "S 250 OK\nR B 5.6.7 MAIL; D 2.0.0 content\n" },
	{ "an address alone, offered", 0, EHLO("S 250-SMTPUTF8\n") "M \xc3\xa4@x.test\nC MAIL FROM:<s@me.test> SMTPUTF8\n" },
	{ "REQUIRETLS, no TLS", REQTLS, EHLO("S 250-REQUIRETLS\n") "M a@x.test\nc\nR B 5.7.10 MAIL\n" },
	{ "REQUIRETLS, not offered", REQTLS, EHLO("S 250-STARTTLS\n") "C STARTTLS\nS 220 go\nT\nC EHLO me.test\nS 250 mx\nM a@x.test\nc\n"
	    "R B 5.7.30 MAIL\n" },
	{ "REQUIRETLS", REQTLS, EHLO("S 250-STARTTLS\n") "C STARTTLS\nS 220 go\nT\nC EHLO me.test\nS 250-mx\nS 250 REQUIRETLS\nM a@x.test\n"
	    "C MAIL FROM:<s@me.test> REQUIRETLS\nc\n" },
	{ "REQUIRETLS of a notification", REQTLS | NULL_SENDER, EHLO("S 250-STARTTLS\n") "C STARTTLS\nS 220 go\nT\nC EHLO me.test\nS 250-mx\n"
	    "S 250 REQUIRETLS\nM a@x.test\nC MAIL FROM:<> REQUIRETLS\nc\n" },
	{ "the same, not offered", REQTLS | NULL_SENDER, EHLO("S 250-STARTTLS\n") "C STARTTLS\nS 220 go\nT\nC EHLO me.test\nS 250 mx\nM a@x.test\n"
	    "C MAIL FROM:<>\nc\n" },
	{ "the same, no TLS", REQTLS | NULL_SENDER, EHLO("S 250-REQUIRETLS\n") "M a@x.test\nC MAIL FROM:<>\nc\n" },
	{ "SIZE", 0, EHLO("S 250-SIZE 21\n") "M a@x.test\nC MAIL FROM:<s@me.test> SIZE=21\n" },
	{ "SIZE, one more", BIG, EHLO("S 250-SIZE 21\n") "M a@x.test\nc\nW mail\nR B 5.3.4 MAIL\n" },
	{ "SIZE without limit", BIG, EHLO("S 250-SIZE 0\n") "M a@x.test\nC MAIL FROM:<s@me.test> SIZE=22\n" },
	{ "MT-PRIORITY", PRIORITY, EHLO("S 250-MT-PRIORITY\n") "M a@x.test\nC MAIL FROM:<s@me.test> MT-PRIORITY=-3\n" },
	{ "no MT-PRIORITY", PRIORITY, PLAIN MAIL1 },
	{ "DSN", DSN, EHLO("S 250-DSN\n") "M a@x.test b@x.test c@x.test\nC MAIL FROM:<s@me.test> RET=HDRS ENVID=QQ+2B+3D1\n" OK
	    "C RCPT TO:<a@x.test> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;o+2Bo@me.test\n" OK
	    "C RCPT TO:<b@x.test> NOTIFY=NEVER ORCPT=utf-8;\\\\x{E4}@me.test\n" OK "C RCPT TO:<c@x.test>\n" OK "C DATA\n" GO CONTENT
	    "S 250 OK\nR D 2.0.0 content dsn; D 2.0.0 content dsn; D 2.0.0 content dsn\n" },
	{ "no DSN", DSN, PLAIN MAIL1 OK RCPT_A OK "C DATA\n" GO CONTENT "S 250 OK\nR D 2.0.0 content\n" },

	/* ---- addresses ---- */
	{ "quotes", 0, PLAIN "M \"a@x.test a%sb@x.test\nC MAIL FROM:<s@me.test>\n" OK "C RCPT TO:<\"a b\"@x.test>\n" },
	{ "no address", 0, PLAIN "M @ @x.test a@ a@<x> a%nb@x.test a@x%nRSET\nc\nW mail\n"
	    "R B 5.1.3 MAIL; B 5.1.3 MAIL; B 5.1.3 MAIL; B 5.1.3 MAIL; B 5.1.3 MAIL; B 5.1.3 MAIL\n" },
	{ "Postmaster", 0, PLAIN "M Postmaster\nC MAIL FROM:<s@me.test>\n" OK "C RCPT TO:<Postmaster>\n" },
	{ "> in a local part", 0, PLAIN "M a>b@x.test\nC MAIL FROM:<s@me.test>\n" OK "C RCPT TO:<\"a>b\"@x.test>\n" },
};

/* ---- the runner ---- */

static unsigned faults;

static void
bad(const struct play *p, const char *what, struct bytes got, struct bytes want)
{
	print_error("%s (pieces of %zu): %s: got \"%.*s\", want \"%.*s\"\n", p->name, p->piece, what, BYTES_FMT(got),
	    BYTES_FMT(want));
	faults++;
}

static void
same(const struct play *p, const char *what, struct bytes got, struct bytes want)
{
	if (!bytes_eq(got, want))
		bad(p, what, got, want);
}

static void
answer(struct play *p)
{
	for (;;) {
		if (p->wants == SMTP_CLIENT_WANTS_LOGIN && (p->flags & LOGIN) == 0) {
			p->wants = smtp_client_no_login(p->c);
		} else if (p->wants == SMTP_CLIENT_WANTS_CONTENT && (p->flags & HUNGRY) == 0) {
			struct bytes piece = bytes_head(p->content, p->content_piece);

			p->content = bytes_skip(p->content, piece.n);
			p->wants = smtp_client_content(p->c, piece, p->content.n == 0);
		} else {
			return;
		}
	}
}

static void
server_says(struct play *p, struct bytes octets)
{
	do {
		struct bytes in;

		buf_add(&p->in, bytes_head(octets, p->piece));
		octets = bytes_skip(octets, p->piece);
		in = buf_bytes(&p->in);
		p->wants = smtp_client_input(p->c, &in);
		buf_drop(&p->in, p->in.n - in.n);
		answer(p);
	} while (octets.n > 0);
}

/* "\\r" and so on, as the two characters that the table has. */
static void
unescape(struct bytes s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\\' || i + 1 == s.n) {
			buf_char(out, s.p[i]);
			continue;
		}
		switch (s.p[++i]) {
		case 'r':	buf_char(out, '\r'); break;
		case 'n':	buf_char(out, '\n'); break;
		case '0':	buf_char(out, '\0'); break;
		case 'x':
			if (s.n - i > 2 && s.p[i + 1] != '{') {
				char hex[3] = { (char)s.p[i + 1], (char)s.p[i + 2], 0 };

				buf_char(out, (unsigned char)strtoul(hex, NULL, 16));
				i += 2;
				break;
			}
			/* fall through */
		default:	buf_char(out, s.p[i]); break;
		}
	}
}

/* The addresses of an M line; %s is a space in one, %n a line end. */
static void
do_mail(struct play *p, struct bytes names)
{
	buf_clear(&p->words);
	memset(p->rcpts, 0, sizeof p->rcpts);
	for (size_t i = 0; i < names.n; i++)
		if (names.p[i] == '%' && i + 1 < names.n)
			buf_char(&p->words, names.p[++i] == 's' ? ' ' : '\n');
		else
			buf_char(&p->words, names.p[i] == ' ' ? '\0' : names.p[i]);
	names = buf_bytes(&p->words);
	for (p->mail.nrcpts = 0; names.n > 0;) {
		struct smtp_client_rcpt *r = &p->rcpts[p->mail.nrcpts++];

		assert_true(p->mail.nrcpts <= LEN(p->rcpts));
		r->address = bytes_cut(&names, '\0');
		if ((p->flags & DSN) && p->mail.nrcpts == 1) {
			r->notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY;
			r->orcpt = text("rfc822;o+o@me.test");
		} else if ((p->flags & DSN) && p->mail.nrcpts == 2) {
			r->notify = NOTIFY_NEVER;
			r->orcpt = text("rfc822;\xc3\xa4@me.test");
		}
	}
	p->content = p->flags & DOTS ? text(".\r\n..\r\n.a\r\nb.\r\n") : p->flags & BARE ? text("a\n.\nb\rc\r\n.\r")
	    : text(SHORT);
	p->wants = smtp_client_mail(p->c, &p->mail);
	answer(p);
}

/* "4.5.0 MAIL", and what the server said, its lines joined by '/'. */
static void
put_said(const struct smtp_client_said *s, bool whole, struct buf *out)
{
	buf_add(out, s->status);
	buf_fmt(out, " %s", s->command);
	if (!whole || s->said.n == 0)
		return;
	buf_char(out, ' ');
	for (size_t i = 0; i < s->said.n; i++)
		buf_char(out, s->said.p[i] == '\n' ? '/' : s->said.p[i]);
}

static void
result(const struct play *p, size_t i, bool whole, struct buf *out)
{
	const struct smtp_client_rcpt *r = &p->rcpts[i];

	buf_clear(out);
	assert_true(r->settled);
	buf_text(out, r->outcome == DELIVERED ? "D " : r->outcome == BOUNCE ? "B " : "L ");
	put_said(smtp_client_said(p->c, r->said), whole, out);
	buf_text(out, r->uncertain ? " uncertain" : "");
	buf_text(out, r->again ? " again" : "");
	buf_text(out, r->dsn ? " dsn" : "");
	assert_true(r->outcome != DELIVERED || (!r->uncertain && !r->again));
}

/* With what the server said, or without it. */
static void
expect_results(struct play *p, struct bytes want)
{
	struct buf got;

	buf_init(&got, 10000);
	for (size_t i = 0; i < p->mail.nrcpts; i++) {
		struct bytes one = bytes_trim(bytes_cut(&want, ';'));

		result(p, i, true, &got);
		if (!bytes_eq(buf_bytes(&got), one)) {
			result(p, i, false, &got);
			same(p, "result", buf_bytes(&got), one);
		}
	}
	same(p, "results", want, text(""));
	buf_fini(&got);
}

static void
expect_fault(struct play *p, struct bytes want)
{
	const struct smtp_client_said *f = smtp_client_fault(p->c);
	struct buf got;

	buf_init(&got, 10000);
	if (f) {
		put_said(f, true, &got);
		if (!bytes_eq(buf_bytes(&got), want)) {
			buf_clear(&got);
			put_said(f, false, &got);
		}
		assert_true(f->reply.n > 0);
	}
	same(p, "fault", f ? buf_bytes(&got) : text("none"), want);
	buf_fini(&got);
}

static void
expect_line(struct play *p, struct bytes want)
{
	struct bytes rest = bytes_skip(buf_bytes(&p->out), p->compared), got;
	size_t n = bytes_find(rest, '\r');

	while (n + 1 < rest.n && rest.p[n + 1] != '\n')
		n += 1 + bytes_find(bytes_skip(rest, n + 1), '\r');
	got = bytes_head(rest, n);
	same(p, "client", got, want);
	same(p, "its line end", bytes_head(bytes_skip(rest, n), 2), text("\r\n"));
	p->compared += n + 2;
}

static void
expect_octets(struct play *p, struct bytes want)
{
	struct bytes got = bytes_head(bytes_skip(buf_bytes(&p->out), p->compared), want.n);

	same(p, "client", got, want);
	p->compared += got.n;
}

static bool
cut_enough(struct bytes *words)
{
	bool enough = words->n == 0 || words->p[0] != '!';

	*words = bytes_skip(*words, enough ? 0 : 1);
	return enough;
}

/* "@n" for a response of n octets. */
static void
put_response(struct bytes words, struct buf *out)
{
	uint64_t n;

	buf_init(out, 20000);
	if (words.n > 1 && words.p[0] == '@' && bytes_u64(bytes_skip(words, 1), 10000, &n))
		while (n-- > 0)
			buf_char(out, 'x');
	else
		buf_add(out, words);
}

static void
do_auth(struct play *p, struct bytes words)
{
	bool enough = cut_enough(&words);
	struct bytes mechanism = bytes_cut(&words, ' '), initial;
	char name[32];
	struct buf b;

	assert_true(bytes_to_text(mechanism, name, sizeof name));
	put_response(words, &b);
	initial = buf_bytes(&b);
	p->wants = smtp_client_auth(p->c, name, bytes_eq(words, text("-")) ? NULL : &initial, enough);
	buf_fini(&b);
}

static void
do_respond(struct play *p, struct bytes words)
{
	bool enough = cut_enough(&words);
	struct buf b;

	put_response(words, &b);
	p->wants = smtp_client_respond(p->c, buf_bytes(&b), enough);
	buf_fini(&b);
}

static void
do_line(struct play *p, struct bytes line)
{
	static const char *const wants[] = { "input", "tls", "login", "response", "mail", "content", "close" };
	static const char *const contacts[] = { "none", "good", "busy", "failed" };
	struct bytes rest = bytes_skip(line, 2);
	struct buf raw;

	buf_init(&raw, 10000);
	unescape(rest, &raw);
	switch (line.p[0]) {
	case 'S':	buf_text(&raw, "\r\n");
			/* fall through */
	case 's':	server_says(p, buf_bytes(&raw)); break;
	case 'C':	expect_line(p, buf_bytes(&raw)); break;
	case 'o':	expect_octets(p, buf_bytes(&raw)); break;
	case 'c':	same(p, "client", bytes_skip(buf_bytes(&p->out), p->compared), text("")); break;
	case 'M':	do_mail(p, rest); break;
	case 'T':	p->wants = smtp_client_secured(p->c); break;
	case 'Q':	p->wants = smtp_client_quit(p->c); break;
	case 'L':	smtp_client_lost(p->c, "lost"); p->wants = smtp_client_wants(p->c); break;
	case 'Z':	smtp_client_content_lost(p->c, "unreadable"); p->wants = smtp_client_wants(p->c); break;
	case 'A':	do_auth(p, rest); break;
	case 'P':	do_respond(p, rest); break;
	case 'D':	same(p, "challenge", smtp_client_challenge(p->c), rest); break;
	case 'X':	p->wants = smtp_client_cancel(p->c, "cannot be answered"); break;
	case 'N':	p->wants = smtp_client_refuse_login(p->c, "not here"); break;
	case 'R':	expect_results(p, rest); break;
	case 'W':	same(p, "wants", text(wants[p->wants]), rest); break;
	case 'F':	expect_fault(p, rest); break;
	case 'G':	same(p, "contact", text(contacts[smtp_client_contact(p->c)]), rest); break;
	default:	bad(p, "script", line, text(""));
	}
	assert_int_equal(p->wants, smtp_client_wants(p->c));
	if (p->out.n < p->compared)		/* it was closed: what was not sent is gone */
		p->compared = 0;
	buf_fini(&raw);
}

static void
play_begin(struct play *p)
{
	p->rules = (struct smtp_client_rules){ .hostname = "me.test", .lmtp = p->flags & LMTP,
	    .tls = p->flags & MUST ? SMTP_TLS_MUST : p->flags & NEVER ? SMTP_TLS_NEVER : SMTP_TLS_MAY };
	p->mail = (struct smtp_client_mail){ .sender = text(p->flags & NULL_SENDER ? "" : "s@me.test"),
	    .body = p->flags & EIGHT ? BODY_8BITMIME : p->flags & BINARY ? BODY_BINARYMIME : BODY_7BIT,
	    .smtputf8 = p->flags & UTF8, .requiretls = p->flags & REQTLS, .octets = p->flags & BIG ? 22 : 21,
	    .mt_priority = p->flags & PRIORITY ? -3 : 0, .rcpts = p->rcpts,
	    .ret = p->flags & DSN ? RET_HDRS : RET_UNSAID, .envid = text(p->flags & DSN ? "QQ+=1" : "") };
	buf_init(&p->out, SMTP_CLIENT_OUT);
	buf_init(&p->in, SMTP_CLIENT_REPLY_MAX + 10);
	buf_init(&p->words, 10000);
	p->compared = 0;
	p->wants = SMTP_CLIENT_WANTS_INPUT;
	if (p->content_piece == 0)
		p->content_piece = 10000;
	p->c = smtp_client_new(&p->rules, &p->out);
}

static void
play_end(struct play *p)
{
	assert_false(p->out.full);
	smtp_client_free(&p->c);
	assert_null(p->c);
	buf_fini(&p->out);
	buf_fini(&p->in);
	buf_fini(&p->words);
}

static void
play(struct play *p, const char *script)
{
	struct bytes rest = text(script);

	play_begin(p);
	while (rest.n > 0)
		do_line(p, bytes_cut(&rest, '\n'));
	play_end(p);
}

static void
test_conversations(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(cases); i++)
		for (unsigned how = 0; how < 4; how++) {
			struct play p = { .name = cases[i].name, .flags = cases[i].flags, .piece = how & 1 ? 1 : 10000,
			    .content_piece = how & 2 ? 1 : 10000 };

			if (p.piece > 1 || (p.flags & WHOLE) == 0)
				play(&p, cases[i].script);
		}
	assert_int_equal(faults, 0);
}

/* ---- every reply, and everything that can come instead of it ---- */

enum instead { LATER, NEVER_EVER, CLOSES, LOST, GARBAGE, MORE, INSTEADS };
enum { R_GREETING, R_EHLO, R_MAIL, R_RCPT_A, R_RCPT_B, R_DATA, R_CONTENT_A, R_CONTENT_B, REPLIES };

static void
say(struct play *p, const char *line)
{
	server_says(p, text(line));
	server_says(p, text("\r\n"));
}

/* A recipient of the matrix below, by the rules of the RFCs. */
static void
expect_rcpt(const struct play *p, unsigned at, enum instead what, bool b)
{
	const struct smtp_client_rcpt *r = &p->rcpts[b];
	bool closes = what == CLOSES || what == LOST || what == GARBAGE || (what == MORE && at != R_DATA);
	bool concerned = at == R_MAIL || at == R_DATA || (at == R_CONTENT_A && (p->flags & LMTP) == 0)
	    || at == (b ? R_RCPT_B : R_RCPT_A) || at == (b ? R_CONTENT_B : R_CONTENT_A)
	    || (closes && at < R_CONTENT_A) || (closes && at == R_CONTENT_A && b);
	enum outcome want = !concerned || (what == MORE && at == R_DATA) ? DELIVERED : what == NEVER_EVER ? BOUNCE : TRY_LATER;
	bool said_by_name = what == CLOSES && (at == (b ? R_CONTENT_B : R_CONTENT_A) || (p->flags & LMTP) == 0);

	assert_true(r->settled);
	assert_row_int(p->name, r->outcome, want);
	assert_row_int(p->name, r->uncertain, want == TRY_LATER && closes && at >= R_CONTENT_A && !said_by_name);
}

static void
matrix_one(struct play *p, unsigned at, enum instead what)
{
	static const char *const good[REPLIES] = { "220 mx", "250-mx\r\n250 X", "250 ok", "250 ok", "250 ok", "354 go", "250 ok",
		"250 ok" };
	static const char *const pipelining = "250-mx\r\n250 PIPELINING";
	static const char *const wrong[INSTEADS] = { "451 x", "550 x", "421 x", NULL, "x", "354 x" };
	unsigned replies = p->flags & LMTP ? REPLIES : REPLIES - 1;

	for (unsigned i = 0; i < replies && p->wants != SMTP_CLIENT_WANTS_CLOSE; i++) {
		if (i == at && what == LOST) {
			smtp_client_lost(p->c, "lost");
			p->wants = smtp_client_wants(p->c);
		} else if (i == at) {
			say(p, wrong[what]);
		} else {
			say(p, i == R_EHLO && p->content_piece == 1 ? pipelining : good[i]);
		}
		if (i == R_EHLO && p->wants == SMTP_CLIENT_WANTS_MAIL)
			do_mail(p, text("a@x.test b@x.test"));
		if (i > R_EHLO && p->wants == SMTP_CLIENT_WANTS_MAIL)
			break;				/* refused: the rest is of no interest */
	}
	for (unsigned b = 0; at > R_EHLO && b < 2; b++)
		expect_rcpt(p, at, what, b);
	if (what >= CLOSES && !(what == MORE && at == R_DATA))
		assert_int_equal(p->wants, SMTP_CLIENT_WANTS_CLOSE);
}

static void
test_matrix(void **state)
{
	char name[64];

	(void)state;
	for (unsigned i = 0; i < 4 * REPLIES * INSTEADS; i++) {
		unsigned at = i / 4 % REPLIES, what = i / 4 / REPLIES;
		struct play p = { .name = name, .flags = i & 1 ? LMTP : 0, .piece = 10000, .content_piece = i & 2 ? 1 : 10000 };

		snprintf(name, sizeof name, "%s%s, instead of reply %u: %u", i & 1 ? "LMTP" : "SMTP", i & 2 ? " pipelined" : "", at,
		    what);
		if (at == R_CONTENT_B && (i & 1) == 0)
			continue;
		play_begin(&p);
		matrix_one(&p, at, what);
		play_end(&p);
	}
}

/* ---- limits ---- */

static void
begin_with(struct play *p, const char *extensions)
{
	play_begin(p);
	say(p, "220 mx");
	server_says(p, text("250-mx\r\n"));
	server_says(p, text(extensions));
	say(p, "250 HELP");
	assert_int_equal(p->wants, SMTP_CLIENT_WANTS_MAIL);
}

/* A reply of so many octets in one line. */
static enum smtp_client_wants
long_reply(struct play *p, size_t octets)
{
	static unsigned char line[SMTP_CLIENT_REPLY_MAX + 10];

	memset(line, 'x', sizeof line);
	memcpy(line, "550 5.7.1 ", 10);
	memcpy(line + octets - 2, "\r\n", 2);
	begin_with(p, "");
	do_mail(p, text("a@x.test"));
	server_says(p, bytes_of(line, octets));
	return p->wants;
}

static void
test_long_replies(void **state)
{
	struct play p = { .name = "long replies", .piece = 100000 };
	static char lines[200 * 10];

	(void)state;
	assert_int_equal(long_reply(&p, SMTP_CLIENT_REPLY_MAX), SMTP_CLIENT_WANTS_MAIL);
	assert_int_equal(p.rcpts[0].outcome, BOUNCE);
	assert_int_equal(smtp_client_said(p.c, 0)->said.n, SMTP_CLIENT_SAID_MAX);
	assert_int_equal(smtp_client_said(p.c, 0)->reply.n, SMTP_CLIENT_WORDS_MAX);
	assert_bytes_equal(smtp_client_said(p.c, 0)->status, text("5.7.1"));
	play_end(&p);
	assert_int_equal(long_reply(&p, SMTP_CLIENT_REPLY_MAX + 1), SMTP_CLIENT_WANTS_CLOSE);
	assert_int_equal(p.rcpts[0].outcome, TRY_LATER);
	play_end(&p);

	/* As many lines as there may be, and one more. */
	for (unsigned n = SMTP_REPLY_LINES_MAX; n <= SMTP_REPLY_LINES_MAX + 1; n++) {
		lines[0] = '\0';
		for (unsigned i = 1; i < n; i++)
			strcat(lines, "550-x\r\n");	/* lint: a test, and there is room */
		strcat(lines, "550 x\r\n");		/* lint: likewise */
		begin_with(&p, "");
		do_mail(&p, text("a@x.test"));
		server_says(&p, text(lines));
		assert_int_equal(p.rcpts[0].outcome, n > SMTP_REPLY_LINES_MAX ? TRY_LATER : BOUNCE);
		play_end(&p);
	}
}

/* A line without end, octet by octet or not, takes no more memory than one with. */
static void
test_endless_line(void **state)
{
	struct play p = { .name = "endless", .piece = 100000 };
	static unsigned char x[65536];

	(void)state;
	memset(x, '2', sizeof x);
	play_begin(&p);
	for (unsigned i = 0; i < 16; i++)
		server_says(&p, bytes_of(x, sizeof x));
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_CLOSE);
	assert_int_equal(smtp_client_contact(p.c), CONTACT_FAILED);
	play_end(&p);
}

/* Recipients without end: what is in flight stays small, and all get their replies. */
static void
test_many_recipients(void **state)
{
	enum { MANY = 1000 };
	static struct smtp_client_rcpt rcpts[MANY];
	static char names[MANY][24];
	struct play p = { .name = "many", .piece = 100000, .flags = HUNGRY };
	size_t commands = 0, most = 0;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof names[i], "user%zu@x.test", i);
		rcpts[i] = (struct smtp_client_rcpt){ .address = text(names[i]) };
	}
	begin_with(&p, "250-PIPELINING\r\n");
	p.mail.rcpts = rcpts;
	p.mail.nrcpts = MANY;
	buf_clear(&p.out);
	p.wants = smtp_client_mail(p.c, &p.mail);
	while (p.wants == SMTP_CLIENT_WANTS_INPUT) {
		size_t n = 0;

		for (struct bytes rest = buf_bytes(&p.out); rest.n > 0; n++)
			bytes_cut(&rest, '\n');
		most = p.out.n > most ? p.out.n : most;
		buf_clear(&p.out);
		assert_true(n > 0);
		for (; n > 0; n--, commands++)
			say(&p, commands == MANY + 1 ? "354 go" : commands % 3 == 2 ? "550 no" : "250 ok");
	}
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_CONTENT);
	assert_int_equal(commands, MANY + 2);
	assert_in_range(most, 8000, 8192 + 40);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(rcpts[i].settled, (i + 1) % 3 == 2);
	smtp_client_lost(p.c, "lost");
	for (size_t i = 0; i < MANY; i++)
		assert_true(rcpts[i].settled);
	play_end(&p);
}

/* Different words for each of many recipients: all are kept, though not all of them whole. */
static void
test_much_is_said(void **state)
{
	enum { MANY = 500 };
	static struct smtp_client_rcpt rcpts[MANY];
	struct play p = { .name = "much", .piece = 100000 };
	static char line[1100];
	size_t kept = 0;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		rcpts[i] = (struct smtp_client_rcpt){ .address = text("a@x.test") };
	begin_with(&p, "");
	p.mail.rcpts = rcpts;
	p.mail.nrcpts = MANY;
	p.wants = smtp_client_mail(p.c, &p.mail);
	say(&p, "250 ok");
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(line, sizeof line, "550 5.1.1 %u %01000u", i, i);
		say(&p, line);
	}
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_MAIL);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(line, sizeof line, "550 5.1.1 %zu ", i);
		assert_true(bytes_starts(smtp_client_said(p.c, rcpts[i].said)->said, text(line)));
		kept += smtp_client_said(p.c, rcpts[i].said)->said.n;
	}
	assert_true(kept > 65536 && kept < 65536 + MANY * 200 + 2048);
	play_end(&p);
}

/* ---- chunks ---- */

/* Gives pieces of x until no more is wanted, or n were given. */
static unsigned
give(struct play *p, unsigned n)
{
	static unsigned char x[SMTP_CLIENT_PIECE];
	unsigned given = 0;

	memset(x, 'x', sizeof x);
	x[sizeof x - 2] = '\r';
	x[sizeof x - 1] = '\n';
	while (given < n && p->wants == SMTP_CLIENT_WANTS_CONTENT) {
		p->wants = smtp_client_content(p->c, bytes_of(x, sizeof x), ++given == n);
		assert_false(p->out.full);
	}
	return given;
}

static void
to_content(struct play *p, const char *extensions)
{
	begin_with(p, extensions);
	do_mail(p, text("a@x.test b@x.test"));
	say(p, "250 ok");
	say(p, "250 ok");
	say(p, "250 ok");
	if (p->wants == SMTP_CLIENT_WANTS_INPUT)
		say(p, "354 go");
	assert_int_equal(p->wants, SMTP_CLIENT_WANTS_CONTENT);
	buf_clear(&p->out);
}

static void
test_chunks_one_by_one(void **state)
{
	struct play p = { .name = "chunks", .piece = 10000, .flags = HUNGRY };

	(void)state;
	to_content(&p, "250-CHUNKING\r\n");
	assert_int_equal(give(&p, 100), 8);		/* 64 KiB are under way, 64 KiB wait */
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_INPUT);
	assert_int_equal(p.out.n, strlen("BDAT 65536\r\n") + 65536);
	assert_string_equal(smtp_client_stage(p.c), "content");
	buf_clear(&p.out);
	say(&p, "250 chunk");
	assert_int_equal(p.out.n, strlen("BDAT 65536\r\n") + 65536);
	buf_clear(&p.out);
	assert_int_equal(give(&p, 1), 1);		/* the last, which waits for the reply to that before */
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_INPUT);
	assert_int_equal(p.out.n, 0);
	say(&p, "250 chunk");
	assert_int_equal(p.out.n, strlen("BDAT 16384 LAST\r\n") + 16384);
	assert_string_equal(smtp_client_stage(p.c), "end of content");
	say(&p, "250 2.0.0 taken");
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_MAIL);
	assert_int_equal(p.rcpts[1].outcome, DELIVERED);
	play_end(&p);
}

/* RFC 3030 section 2: no more of them behind one that failed; the replies to those under way are counted. */
static void
test_chunk_fails(void **state)
{
	struct play p = { .name = "chunk fails", .piece = 10000, .flags = HUNGRY };

	(void)state;
	to_content(&p, "250-CHUNKING\r\n250-PIPELINING\r\n");
	assert_int_equal(give(&p, 13), 13);
	assert_int_equal(p.out.n, 3 * (strlen("BDAT 65536\r\n") + 65536) + strlen("BDAT 16384 LAST\r\n") + 16384);
	buf_clear(&p.out);
	say(&p, "250 one");
	say(&p, "452 4.3.1 two");
	assert_int_equal(p.rcpts[0].outcome, TRY_LATER);
	assert_true(p.rcpts[0].settled && !p.rcpts[0].uncertain);
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_INPUT);
	say(&p, "503 three");
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_INPUT);
	say(&p, "250 taken");				/* it is not: the transaction has failed */
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_MAIL);
	assert_int_equal(p.rcpts[0].outcome, TRY_LATER);
	assert_int_equal(p.out.n, 0);
	do_mail(&p, text("a@x.test"));
	assert_true(bytes_starts(buf_bytes(&p.out), text("RSET\r\nMAIL FROM:<s@me.test>\r\n")));
	play_end(&p);

	/* While the driver still gives content. */
	to_content(&p, "250-CHUNKING\r\n250-PIPELINING\r\n");
	p.wants = smtp_client_wants(p.c);
	assert_int_equal(smtp_client_content(p.c, text("x\r\n"), false), SMTP_CLIENT_WANTS_CONTENT);
	p.wants = SMTP_CLIENT_WANTS_CONTENT;
	for (unsigned i = 0; i < 8; i++) {
		static unsigned char x[SMTP_CLIENT_PIECE];

		p.wants = smtp_client_content(p.c, bytes_of(x, sizeof x), false);
		buf_clear(&p.out);
	}
	say(&p, "552 5.3.4 big");
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_INPUT);
	assert_int_equal(smtp_client_content(p.c, text("y\r\n"), true), SMTP_CLIENT_WANTS_INPUT);	/* too late: ignored */
	assert_int_equal(p.out.n, 0);
	say(&p, "552 5.3.4 big");
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_MAIL);
	assert_int_equal(p.rcpts[0].outcome, BOUNCE);
	play_end(&p);

	/* LMTP, with the last one under way: nobody knows how many replies come. */
	p.flags |= LMTP;
	to_content(&p, "250-CHUNKING\r\n250-PIPELINING\r\n");
	give(&p, 5);
	say(&p, "451 x");
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_CLOSE);
	assert_int_equal(p.rcpts[1].outcome, TRY_LATER);
	assert_false(p.rcpts[1].uncertain);
	play_end(&p);

	/* 421 to a chunk: the last one was not taken, whatever was sent. */
	p.flags = HUNGRY;
	to_content(&p, "250-CHUNKING\r\n250-PIPELINING\r\n");
	give(&p, 5);
	say(&p, "421 x");
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_CLOSE);
	assert_false(p.rcpts[1].uncertain);
	play_end(&p);
}

/* A server that answers no chunk: at some time no more is sent. */
static void
test_chunks_without_reply(void **state)
{
	struct play p = { .name = "chunks without reply", .piece = 10000, .flags = HUNGRY };
	unsigned given = 0;

	(void)state;
	to_content(&p, "250-CHUNKING\r\n250-PIPELINING\r\n");
	while (p.wants == SMTP_CLIENT_WANTS_CONTENT && given < 10000) {
		static unsigned char x[SMTP_CLIENT_PIECE];

		p.wants = smtp_client_content(p.c, bytes_of(x, sizeof x), false);
		buf_clear(&p.out);
		given++;
	}
	assert_int_equal(given, 128 * 4);
	say(&p, "250 one");
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_CONTENT);
	play_end(&p);
}

/* ---- the rest ---- */

/* A driver that gives content only while at most half of out is full never fills it, whatever the content. */
static void
test_out_is_enough(void **state)
{
	static unsigned char x[SMTP_CLIENT_PIECE];

	(void)state;
	memset(x, '\n', sizeof x);		/* becomes twice as much */
	for (unsigned chunking = 0; chunking < 2; chunking++) {
		struct play p = { .name = "out", .piece = 10000, .flags = HUNGRY };

		to_content(&p, chunking ? "250-CHUNKING\r\n250-PIPELINING\r\n" : "250-PIPELINING\r\n");
		for (unsigned i = 0; i < 1000; i++) {
			if (p.out.n > p.out.max / 2)
				buf_drop(&p.out, p.out.n - p.out.max / 2);
			smtp_client_content(p.c, bytes_of(x, sizeof x), i == 999);
			assert_false(p.out.full);
			if (chunking && i % 8 == 0)
				say(&p, "250 chunk");
		}
		assert_true(smtp_client_mended(p.c));
		play_end(&p);
	}
}

static void
test_what_it_knows(void **state)
{
	struct play p = { .name = "knows", .piece = 1 };

	(void)state;
	begin_with(&p, "250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n250-LIMITS RCPTMAX=7 MAILMAX=2\r\n250-PIPELINING\r\n");
	assert_int_equal(smtp_client_extensions(p.c), SMTP_EXT_SIZE | SMTP_EXT_AUTH | SMTP_EXT_LIMITS | SMTP_EXT_PIPELINING);
	assert_int_equal(smtp_client_size_max(p.c), 1000);
	assert_int_equal(smtp_client_rcpt_max(p.c), 7);
	assert_int_equal(smtp_client_mails_left(p.c), 2);
	assert_bytes_equal(smtp_client_auth_mechanisms(p.c), text("PLAIN LOGIN"));
	do_mail(&p, text("a@x.test b@x.test"));
	say(&p, "250 ok");
	say(&p, "250 ok");
	say(&p, "452 too many");
	assert_int_equal(smtp_client_rcpt_max(p.c), 1);
	assert_int_equal(smtp_client_mails_left(p.c), 1);
	p.rules.ignore = ~0u;
	assert_int_equal(smtp_client_extensions(p.c), 0);
	assert_int_equal(smtp_client_size_max(p.c), 0);
	assert_int_equal(smtp_client_rcpt_max(p.c), 1);
	assert_int_equal(smtp_client_mails_left(p.c), SIZE_MAX);
	assert_int_equal(smtp_client_auth_mechanisms(p.c).n, 0);
	p.rules.ignore = 0;
	play_end(&p);
}

/* TLS from the first octet, RFC 8314 section 3: STARTTLS is not asked for. */
static void
test_implicit_tls(void **state)
{
	struct play p = { .name = "implicit TLS", .piece = 1, .flags = MUST };

	(void)state;
	play_begin(&p);
	assert_int_equal(smtp_client_secured(p.c), SMTP_CLIENT_WANTS_INPUT);
	say(&p, "220 mx");
	say(&p, "250-mx\r\n250 STARTTLS");
	assert_int_equal(p.wants, SMTP_CLIENT_WANTS_MAIL);
	play_end(&p);
}

/* Those who were too many, given again as they are. */
static void
test_again(void **state)
{
	struct play p = { .name = "again", .piece = 1 };

	(void)state;
	begin_with(&p, "250-PIPELINING\r\n250-LIMITS RCPTMAX=1\r\n");
	do_mail(&p, text("a@x.test b@x.test c@x.test"));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(p.wants, SMTP_CLIENT_WANTS_INPUT);
		say(&p, "250 ok");
		say(&p, "250 ok");
		say(&p, "354 go");
		say(&p, "250 taken");
		assert_int_equal(p.wants, SMTP_CLIENT_WANTS_MAIL);
		assert_int_equal(p.rcpts[i].outcome, DELIVERED);
		for (unsigned k = 0; k < 3; k++) {
			assert_int_equal(p.rcpts[k].again, k > i);
			if (k > i)
				p.rcpts[k].settled = false;
		}
		p.content = text(SHORT);
		if (i < 2)
			p.wants = smtp_client_mail(p.c, &p.mail);
	}
	play_end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conversations),
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_long_replies),
		cmocka_unit_test(test_endless_line),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_much_is_said),
		cmocka_unit_test(test_chunks_one_by_one),
		cmocka_unit_test(test_chunk_fails),
		cmocka_unit_test(test_chunks_without_reply),
		cmocka_unit_test(test_out_is_enough),
		cmocka_unit_test(test_what_it_knows),
		cmocka_unit_test(test_implicit_tls),
		cmocka_unit_test(test_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
