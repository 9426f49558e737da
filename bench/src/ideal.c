/* SPDX-License-Identifier: ISC */
/* ideal: the cheapest server that keeps the durability of 250, as the yardstick of what is possible on a machine.
 *
 *   ideal PORT MAILROOT QUEUEDIR WORKERS [-q]
 *
 * WORKERS processes accept, speak just enough SMTP for smtpload, write uN@... into MAILROOT/uN/Maildir, fsync once, then say 250.
 * With -q each message also goes through a queue file first (unnamed, linked, fsynced; removed after delivery): two fsyncs,
 * as servers do that queue before they deliver.  It checks nothing, logs nothing and drops no privilege: no server can be cheaper.
 */
#include "util.h"
#include <netinet/in.h>
#include <sys/wait.h>

static int mailroot, queuedir, queued;
static unsigned long serial;

static void put(int fd, const char *p, size_t n)
{
    if (write(fd, p, n) != (ssize_t)n || fsync(fd) == -1) die("write");
}

static void deliver(unsigned user, const char *p, size_t n)
{
    char tmp[96], new[96], self[32], q[48] = "";
    int fd;

    serial++;
    if (queued) {
        snprintf(q, sizeof q, "%d.%lu", getpid(), serial);
        if ((fd = openat(queuedir, ".", O_TMPFILE | O_WRONLY, 0600)) == -1) die("queue");
        snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        if (linkat(AT_FDCWD, self, queuedir, q, AT_SYMLINK_FOLLOW) == -1) die("link");
        put(fd, p, n);
        close(fd);
    }
    snprintf(tmp, sizeof tmp, "u%u/Maildir/tmp/%lu.%d.ideal", user, serial, getpid());
    snprintf(new, sizeof new, "u%u/Maildir/new/%lu.%d.ideal", user, serial, getpid());
    if ((fd = openat(mailroot, tmp, O_CREAT | O_EXCL | O_WRONLY, 0600)) == -1) die("%s", tmp);
    put(fd, p, n);
    close(fd);
    if (renameat(mailroot, tmp, mailroot, new) == -1) die("rename");
    if (queued) unlinkat(queuedir, q, 0);
}

static void say(int s, const char *line)
{
    if (write(s, line, strlen(line)) == -1) return;
}

static void session(int s)
{
    static char buf[1 << 20];
    size_t have = 0, at = 0;
    unsigned rcpt[256], nrcpt = 0;
    int data = 0;

    say(s, "220 ideal ESMTP\r\n");
    for (;;) {
        ssize_t r = read(s, buf + have, sizeof buf - have);
        if (r <= 0) return;
        have += r;
        for (;;) {
            char *line = buf + at, *end = data ? memmem(line, have - at, "\r\n.\r\n", 5) : memchr(line, '\n', have - at);
            if (!end) break;
            at = end + (data ? 5 : 1) - buf;
            if (data) {
                for (unsigned i = 0; i < nrcpt; i++) deliver(rcpt[i], line, end + 2 - line);
                nrcpt = data = 0;
                say(s, "250 2.0.0 delivered\r\n");
            } else if (!strncasecmp(line, "EHLO", 4)) {
                say(s, "250-ideal\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
            } else if (!strncasecmp(line, "RCPT TO:<u", 10)) {
                if (nrcpt < 256) rcpt[nrcpt++] = atoi(line + 10);
                say(s, "250 2.1.5 ok\r\n");
            } else if (!strncasecmp(line, "DATA", 4)) {
                data = 1;
                say(s, "354 go on\r\n");
            } else if (!strncasecmp(line, "QUIT", 4)) {
                say(s, "221 bye\r\n");
                return;
            } else {
                say(s, "250 2.0.0 ok\r\n");
            }
        }
        memmove(buf, buf + at, have - at);
        have -= at;
        at = 0;
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);

    if (argc < 5) die("usage: ideal PORT MAILROOT QUEUEDIR WORKERS [-q]");
    a.sin_port = htons(atoi(argv[1]));
    mailroot = open(argv[2], O_DIRECTORY);
    queuedir = open(argv[3], O_DIRECTORY);
    queued = argc > 5;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (mailroot == -1 || queuedir == -1 || bind(l, (void *)&a, sizeof a) == -1 || listen(l, 1024) == -1) die("start");
    for (int i = atoi(argv[4]); i > 0; i--)
        if (fork() == 0)
            for (;;) {
                int s = accept(l, NULL, NULL);
                if (s == -1) continue;
                setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                session(s);
                close(s);
            }
    while (wait(NULL) > 0) ;
    return 0;
}
