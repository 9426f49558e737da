/* SPDX-License-Identifier: ISC */
/* imapload: IMAP and POP3 load generator.
 *
 *   imapload script PORT USER PASS < script     timed commands on one connection, see run_script()
 *   imapload logins PORT USERS PASS N CONC      N sessions LOGIN + SELECT + LOGOUT, CONC at a time
 *   imapload idle   PORT USERS PASS N           N connections in IDLE; prints "ready", holds until EOF on stdin
 *   imapload greeted PORT USERS PASS N          the same with N that have not logged in
 *   imapload pop3   PORT USERS PASS N CONC      N sessions USER/PASS, STAT, LIST, RETR all, QUIT
 *   imapload pop3one PORT K PASS N CONC         the same, all of them for user uK
 *   imapload poplogins PORT USERS PASS N CONC   N sessions USER/PASS + STAT + QUIT
 * logins, poplogins, idle and greeted with -tls behind their names: over TLS from the start, a whole handshake each time.
 *
 * Results are JSON objects, one per line.  USERS: u1..uUSERS in turn. */
#include "util.h"
#include <openssl/ssl.h>
#include <signal.h>

struct conn { int fd; SSL *ssl; int pos, len; uint64_t bytes; char buf[1 << 18]; };
static int port, users, total, conc, only;
static const char *pass;
static atomic_int next_job, done, failed;
static atomic_llong bytes, messages;
static double *lat;
static SSL_CTX *ctx;            /* NULL: in clear */

static int fill(struct conn *c)
{
    c->pos = 0;
    c->len = c->ssl ? SSL_read(c->ssl, c->buf, sizeof c->buf) : read(c->fd, c->buf, sizeof c->buf);
    if (c->len <= 0) { c->len = 0; return -1; }
    c->bytes += c->len;
    return 0;
}

static int put(struct conn *c, const char *p, size_t n)
{
    while (n) {
        ssize_t k = c->ssl ? SSL_write(c->ssl, p, n) : write(c->fd, p, n);
        if (k <= 0) return -1;
        p += k; n -= k;
    }
    return 0;
}

/* Read responses (skipping literals) until one starts with `tag`.  Returns 1 for OK, 0 for NO/BAD,
 * 2 for a continuation request, -1 for a lost connection.  *lines counts the untagged responses. */
static int await(struct conn *c, const char *tag, long *lines)
{
    char head[32], tail[24];
    int hl = 0, tl = 0, taglen = strlen(tag);
    for (;;) {
        if (c->pos == c->len && fill(c)) return -1;
        char *p = c->buf + c->pos, *nl = memchr(p, '\n', c->len - c->pos);
        int n = nl ? nl + 1 - p : c->len - c->pos, k;
        k = n < 31 - hl ? n : 31 - hl;
        memcpy(head + hl, p, k); hl += k; head[hl] = 0;
        k = n < 23 ? n : 23;                            /* the last 23 bytes of the line so far */
        int keep = tl < 23 - k ? tl : 23 - k;
        memmove(tail, tail + tl - keep, keep);
        memcpy(tail + keep, p + n - k, k); tl = keep + k; tail[tl] = 0;
        c->pos += n;
        if (!nl) continue;
        char *brace = strrchr(tail, '{');
        if (brace && tl > 3 && tail[tl - 3] == '}') {   /* literal: skip it, same response goes on */
            long lit = atol(brace + 1);
            while (lit > 0) {
                if (c->pos == c->len && fill(c)) return -1;
                long k = c->len - c->pos < lit ? c->len - c->pos : lit;
                c->pos += k; lit -= k;
            }
            tl = 0;
            continue;
        }
        if (!strncmp(head, tag, taglen) && head[taglen] == ' ') return !strncmp(head + taglen + 1, "OK", 2);
        if (head[0] == '+') return 2;
        ++*lines;
        hl = tl = 0;
    }
}

static int imap(struct conn *c, const char *command, long *lines)
{
    char line[4096];
    int n = snprintf(line, sizeof line, "a1 %s\r\n", command);
    *lines = 0;
    return put(c, line, n) ? -1 : await(c, "a1", lines);
}

static void drop(struct conn *c)
{
    if (c->ssl) SSL_free(c->ssl);
    close(c->fd); free(c);
}

/* NULL: there is no connection, or no TLS. */
static struct conn *begin(void)
{
    struct conn *c = malloc(sizeof *c);
    c->pos = c->len = c->bytes = 0;
    c->ssl = NULL;
    if ((c->fd = dial(port)) < 0) { free(c); return NULL; }
    if (!ctx) return c;
    c->ssl = SSL_new(ctx);
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_connect(c->ssl) == 1 && !SSL_session_reused(c->ssl)) return c;
    drop(c);
    return NULL;
}

static struct conn *imap_login(const char *user)
{
    struct conn *c = begin();
    char line[256];
    long l = 0;
    if (!c) return NULL;
    snprintf(line, sizeof line, "LOGIN %s %s", user, pass);
    if (await(c, "*", &l) == 1 && imap(c, line, &l) == 1) return c;     /* greeting "* OK" */
    drop(c);
    return NULL;
}

/* stdin: LABEL<TAB>COMMAND.  COMMAND is an IMAP command, or "@append N SIZE MAILBOX" (N APPENDs, one by one),
 * or "@reconnect". */
static int run_script(const char *user)
{
    char in[4096], line[512];
    struct conn *c = imap_login(user);
    if (!c) die("login failed");
    while (fgets(in, sizeof in, stdin)) {
        char *cmd = strchr(in, '\t'), mbox[200];
        int n, size, ok = 1;
        long lines = 0;
        if (!cmd) continue;
        *cmd++ = 0;
        cmd[strcspn(cmd, "\n")] = 0;
        double t = now();
        uint64_t b = c->bytes;
        if (!strcmp(cmd, "@reconnect")) {
            imap(c, "LOGOUT", &lines);
            drop(c);
            if (!(c = imap_login(user))) die("reconnect failed");
            continue;
        } else if (sscanf(cmd, "@append %d %d %199s", &n, &size, mbox) == 3) {
            char *msg = malloc(size + 300);
            int h = sprintf(msg, "From: <a@src.test>\r\nTo: <u1@local.test>\r\nSubject: appended\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\n\r\n");
            for (int i = h; i < size; i++) msg[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : 'y';
            for (int i = 0; i < n && ok == 1; i++) {
                snprintf(line, sizeof line, "a1 APPEND %s (\\Seen) {%d}\r\n", mbox, size);
                ok = put(c, line, strlen(line)) ? -1 : await(c, "a1", &lines);
                if (ok != 2) { ok = -1; break; }
                ok = put(c, msg, size) || put(c, "\r\n", 2) ? -1 : await(c, "a1", &lines);
            }
            free(msg);
        } else
            ok = imap(c, cmd, &lines);
        printf("{\"label\":\"%s\",\"s\":%.6f,\"bytes\":%llu,\"untagged\":%ld,\"ok\":%s}\n", in, now() - t,
               (unsigned long long)(c->bytes - b), lines, ok == 1 ? "true" : "false");
        fflush(stdout);
        if (ok < 0) die("connection lost or protocol error in: %s", cmd);
    }
    return 0;
}

/* N connections, as far as the mode says; held until EOF on stdin. */
static int hold(const char *mode)
{
    int in = !strncmp(mode, "idle", 4);
    for (int i = 0; i < total; i++) {
        char user[32];
        struct conn *c;
        long l = 0;
        snprintf(user, sizeof user, "u%d", i % users + 1);
        if (!in && (!(c = begin()) || await(c, "*", &l) != 1)) die("connection %d got no greeting", i);
        if (in && (!(c = imap_login(user)) || imap(c, "SELECT INBOX", &l) != 1 || imap(c, "IDLE", &l) != 2))
            die("IDLE connection %d failed", i);
    }
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) ;
    return 0;
}

static int imap_session(const char *user)
{
    long l;
    struct conn *c = imap_login(user);
    if (!c) return -1;
    int ok = imap(c, "SELECT INBOX", &l) == 1 && imap(c, "LOGOUT", &l) == 1;
    drop(c);
    return ok ? 0 : -1;
}

/* One POP3 line into `line`, or -1. */
static int pop_line(struct conn *c, char *line, int size)
{
    int n = 0;
    for (;;) {
        if (c->pos == c->len && fill(c)) return -1;
        char *p = c->buf + c->pos, *nl = memchr(p, '\n', c->len - c->pos);
        int k = nl ? nl + 1 - p : c->len - c->pos, room = size - 1 - n;
        memcpy(line + n, p, k < room ? k : room);
        n += k < room ? k : room;
        c->pos += k;
        if (nl) { line[n] = 0; return n; }
    }
}

static int pop(struct conn *c, const char *cmd, char *line, int size, int multi)
{
    if (cmd && put(c, cmd, strlen(cmd))) return -1;
    if (pop_line(c, line, size) < 0 || line[0] != '+') return -1;
    char body[1024];
    while (multi) {
        int n = pop_line(c, body, sizeof body);
        if (n < 0) return -1;
        if (body[0] == '.' && n <= 3) break;
    }
    return 0;
}

static int retrieve = 1;

static int pop_session(const char *user)
{
    struct conn *c = begin();
    char cmd[256], line[1024];
    int n = 0, rc = -1;
    if (!c) return -1;
    if (pop(c, NULL, line, sizeof line, 0)) goto out;
    snprintf(cmd, sizeof cmd, "USER %s\r\n", user);
    if (pop(c, cmd, line, sizeof line, 0)) goto out;
    snprintf(cmd, sizeof cmd, "PASS %s\r\n", pass);
    if (pop(c, cmd, line, sizeof line, 0)) goto out;
    if (pop(c, "STAT\r\n", line, sizeof line, 0)) goto out;
    n = retrieve ? atoi(line + 4) : 0;
    if (retrieve && pop(c, "LIST\r\n", line, sizeof line, 1)) goto out;
    for (int i = 1; i <= n; i++) {
        snprintf(cmd, sizeof cmd, "RETR %d\r\n", i);
        if (pop(c, cmd, line, sizeof line, 1)) goto out;
        messages++;
    }
    rc = pop(c, "QUIT\r\n", line, sizeof line, 0);
out:
    bytes += c->bytes;
    drop(c);
    return rc;
}

static int (*session)(const char *user);

static void *worker(void *arg)
{
    int i;
    while ((i = next_job++) < total) {
        char user[32];
        double t = now();
        snprintf(user, sizeof user, "u%d", only ? only : i % users + 1);
        if (session(user)) failed++;
        else lat[done++] = now() - t;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 5) die("usage: see the head of imapload.c");
    port = atoi(argv[2]); users = atoi(argv[3]); pass = argv[4];
    total = argc > 5 ? atoi(argv[5]) : 0;
    conc = argc > 6 ? atoi(argv[6]) : 1;
    if (!strcmp(argv[1], "script")) return run_script(argv[3]);
    if (strstr(argv[1], "-tls")) {
        signal(SIGPIPE, SIG_IGN);
        if (!(ctx = SSL_CTX_new(TLS_client_method()))) die("SSL_CTX_new");
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    }
    if (!strncmp(argv[1], "idle", 4) || !strncmp(argv[1], "greeted", 7)) return hold(argv[1]);
    if (!strcmp(argv[1], "pop3one")) only = users;
    session = !strncmp(argv[1], "pop", 3) ? pop_session : imap_session;
    retrieve = strncmp(argv[1], "poplogins", 9) != 0;
    if (conc < 1 || conc > 500 || total < 1) die("bad parameters");
    lat = calloc(total, sizeof *lat);
    pthread_t th[500];
    double t0 = now();
    for (int i = 0; i < conc; i++) pthread_create(&th[i], NULL, worker, NULL);
    for (int i = 0; i < conc; i++) pthread_join(th[i], NULL);
    double s = now() - t0;
    int n = done;
    qsort(lat, n, sizeof *lat, cmp_double);
    printf("{\"s\":%.6f,\"sessions\":%d,\"failed\":%d,\"messages\":%lld,\"bytes\":%lld,\"lat_p50_ms\":%.3f,\"lat_p99_ms\":%.3f}\n",
           s, n, failed, messages, bytes, n ? lat[n / 2] * 1e3 : 0, n ? lat[n * 99 / 100] * 1e3 : 0);
    return failed != 0;
}
