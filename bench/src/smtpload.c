/* SPDX-License-Identifier: ISC */
/* smtpload: SMTP load generator (plain, STARTTLS, AUTH PLAIN), one thread per session.
 *
 *   smtpload -p PORT [-n messages] [-s sessions] [-l bytes] [-r rcpts/message] [-m messages/connection]
 *            [-u users] [-d domain] [-T] [-a user:password] [-P]
 *
 * Recipients are u1@domain .. uN@domain in turn.  -T: STARTTLS, a full handshake on every
 * connection (no session is ever resumed).  -P: pipeline MAIL, RCPT.., DATA in one write.
 * Prints one JSON object.  t0 is CLOCK_MONOTONIC of the first connect. */
#include "util.h"
#include <openssl/ssl.h>

static int port = 25, nmsg = 2000, nsess = 20, msglen = 4096, nrcpt = 1, perconn = 1, users = 50, use_tls, pipeline;
static const char *domain = "local.test", *auth;
static char *body;
static size_t bodylen;
static atomic_int next_msg, accepted, errors, handshakes, stalls;
static double *lat;
static SSL_CTX *ctx;

struct conn { int fd; SSL *ssl; char buf[8192]; int have; };

static int wr(struct conn *c, const char *p, size_t n)
{
    while (n) {
        ssize_t k = c->ssl ? SSL_write(c->ssl, p, n) : write(c->fd, p, n);
        if (k <= 0) return -1;
        p += k; n -= k;
    }
    return 0;
}

/* Read one (multiline) reply, return its code or -1. */
static int reply(struct conn *c)
{
    for (;;) {
        char *nl;
        while ((nl = memchr(c->buf, '\n', c->have))) {
            int len = nl + 1 - c->buf, last = len >= 4 && c->buf[3] != '-', code = atoi(c->buf);
            memmove(c->buf, c->buf + len, c->have -= len);
            if (last) return code;
        }
        if (c->have == sizeof c->buf) return -1;
        ssize_t k = c->ssl ? SSL_read(c->ssl, c->buf + c->have, sizeof c->buf - c->have)
                           : read(c->fd, c->buf + c->have, sizeof c->buf - c->have);
        if (k <= 0) return -1;
        c->have += k;
    }
}

static int cmd(struct conn *c, const char *s) { return wr(c, s, strlen(s)) ? -1 : reply(c); }

static int fail(const char *where)      /* say it once or twice, not thousands of times */
{
    static atomic_int said;
    if (said++ < 3) fprintf(stderr, "smtpload: failed at %s (%s)\n", where, strerror(errno));
    return -1;
}

/* QUIT, then a half close, then read to the end: like a client that does not wait for the answer to
 * QUIT, but without a reset.  (Exim delays that answer by 200 ms unless the client closes.) */
static void hangup(struct conn *c)
{
    char junk[512];
    if (c->fd < 0) return;
    wr(c, "QUIT\r\n", 6);
    shutdown(c->fd, SHUT_WR);
    while (read(c->fd, junk, sizeof junk) > 0) ;
    if (c->ssl) SSL_free(c->ssl);
    close(c->fd);
    c->fd = -1; c->ssl = NULL; c->have = 0;
}

static int open_session(struct conn *c)
{
    struct timeval shortly = { 3, 0 }, long_time = { 120, 0 };
    for (int try = 0; ; try++) {        /* no greeting within 3 s (lost by a full listen queue): connect again */
        c->ssl = NULL; c->have = 0;
        if ((c->fd = dial(port)) < 0) return fail("connect");
        setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &shortly, sizeof shortly);
        if (reply(c) == 220) break;
        if (try == 5) return fail("greeting");
        stalls++;
        close(c->fd);
    }
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &long_time, sizeof long_time);
    if (cmd(c, "EHLO client.test\r\n") != 250) return fail("EHLO");
    if (use_tls) {
        if (cmd(c, "STARTTLS\r\n") != 220) return fail("STARTTLS");
        c->ssl = SSL_new(ctx);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1 || SSL_session_reused(c->ssl)) return fail("TLS handshake");
        handshakes++;
        if (cmd(c, "EHLO client.test\r\n") != 250) return -1;
    }
    if (auth) {
        char raw[256], b64[400] = "", line[500];
        const char *colon = strchr(auth, ':');
        int ul = colon - auth, n = snprintf(raw, sizeof raw, "%c%.*s%c%s", 0, ul, auth, 0, colon + 1);
        EVP_EncodeBlock((unsigned char *)b64, (unsigned char *)raw, n);
        snprintf(line, sizeof line, "AUTH PLAIN %s\r\n", b64);
        if (cmd(c, line) != 235) return fail("AUTH");
    }
    return 0;
}

static int send_message(struct conn *c, int idx)
{
    char env[16384], head[512];
    int n = snprintf(env, sizeof env, "MAIL FROM:<sender@src.test>\r\n"), ok = 0;
    if (!pipeline && cmd(c, env) != 250) return fail("MAIL");
    for (int r = 0; r < nrcpt; r++) {
        int at = pipeline ? n : 0;
        n = at + snprintf(env + at, sizeof env - at, "RCPT TO:<u%d@%s>\r\n", (idx * nrcpt + r) % users + 1, domain);
        if (!pipeline && cmd(c, env) / 10 != 25) return fail("RCPT");
    }
    if (pipeline) {
        snprintf(env + n, sizeof env - n, "DATA\r\n");
        if (wr(c, env, strlen(env))) return -1;
        for (int r = 0; r <= nrcpt; r++) ok += reply(c) == 250;
        if (reply(c) != 354 || ok != nrcpt + 1) return fail("MAIL, RCPT, DATA");
    } else if (cmd(c, "DATA\r\n") != 354) return fail("DATA");
    int h = snprintf(head, sizeof head, "From: Sender <sender@src.test>\r\nTo: <list@%s>\r\nSubject: benchmark message %d\r\n"
        "Date: Mon, 01 Jan 2024 00:00:00 +0000\r\nMessage-ID: <%d.%d@src.test>\r\n\r\n", domain, idx, idx, (int)getpid());
    memcpy(env, head, h);               /* header and first part of the body leave in one segment */
    size_t first = bodylen < sizeof env - h ? bodylen : sizeof env - h;
    memcpy(env + h, body, first);
    if (wr(c, env, h + first) || wr(c, body + first, bodylen - first)) return -1;
    return reply(c) == 250 ? 0 : fail("end of data");
}

static void *session(void *arg)
{
    struct conn c = { .fd = -1 };
    int idx, used = 0;
    while ((idx = next_msg++) < nmsg) {
        double t = now();
        if (c.fd < 0) {
            used = 0;
            if (open_session(&c)) { errors++; if (c.fd >= 0) close(c.fd); c.fd = -1; continue; }
        }
        if (send_message(&c, idx)) { errors++; hangup(&c); continue; }
        lat[accepted++] = now() - t;
        if (++used >= perconn) hangup(&c);
    }
    hangup(&c);
    return NULL;
}

int main(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "p:n:s:l:r:m:u:d:Ta:P")) != -1) switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'n': nmsg = atoi(optarg); break;
        case 's': nsess = atoi(optarg); break;
        case 'l': msglen = atoi(optarg); break;
        case 'r': nrcpt = atoi(optarg); break;
        case 'm': perconn = atoi(optarg); break;
        case 'u': users = atoi(optarg); break;
        case 'd': domain = optarg; break;
        case 'T': use_tls = 1; break;
        case 'a': auth = optarg; break;
        case 'P': pipeline = 1; break;
        default: die("usage: see the head of smtpload.c");
    }
    if (nsess < 1 || nsess > 1000 || nmsg < 1 || nrcpt > 250) die("bad parameters");
    if (use_tls && !(ctx = SSL_CTX_new(TLS_client_method()))) die("SSL_CTX_new");
    if (ctx) SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    body = malloc(msglen + 200);
    for (int i = 0; i < msglen; i++) {
        int col = i % 72;
        body[i] = col == 70 ? '\r' : col == 71 ? '\n' : 'a' + (i / 7) % 26;
    }
    bodylen = msglen - msglen % 72;
    memcpy(body + bodylen, ".\r\n", 3);
    bodylen += 3;
    lat = calloc(nmsg, sizeof *lat);
    pthread_t th[1000];
    double t0 = now();
    for (int i = 0; i < nsess; i++) pthread_create(&th[i], NULL, session, NULL);
    for (int i = 0; i < nsess; i++) pthread_join(th[i], NULL);
    double t1 = now();
    int n = accepted;
    qsort(lat, n, sizeof *lat, cmp_double);
    printf("{\"t0\":%.6f,\"accept_s\":%.6f,\"accepted\":%d,\"errors\":%d,\"handshakes\":%d,\"stalls\":%d,\"lat_p50_ms\":%.3f,\"lat_p99_ms\":%.3f}\n",
           t0, t1 - t0, n, errors, handshakes, stalls, n ? lat[n / 2] * 1e3 : 0, n ? lat[n * 99 / 100] * 1e3 : 0);
    return errors != 0;
}
