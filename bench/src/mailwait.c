/* SPDX-License-Identifier: ISC */
/* mailwait: tells when the N-th message has appeared in a set of Maildirs, without polling them.
 *
 *   mailwait N TIMEOUT_S DIR...      (DIR = .../Maildir/new)
 *
 * Prints "ready" when the watches are in place; at the end one JSON object with the time
 * (CLOCK_MONOTONIC) of the last delivery.  A file counts when it is created in, linked into
 * or renamed into DIR. */
#include "util.h"
#include <poll.h>
#include <sys/inotify.h>

int main(int argc, char **argv)
{
    if (argc < 4) die("usage: mailwait N TIMEOUT_S DIR...");
    int want = atoi(argv[1]), seen = 0, fd = inotify_init1(0);
    double deadline = now() + atof(argv[2]), last = now();
    for (int i = 3; i < argc; i++)
        if (inotify_add_watch(fd, argv[i], IN_CREATE | IN_MOVED_TO) < 0) die("watch %s", argv[i]);
    puts("ready");
    fflush(stdout);
    while (seen < want && now() < deadline) {
        char buf[65536] __attribute__((aligned(8)));
        struct pollfd p = { fd, POLLIN, 0 };
        if (poll(&p, 1, 1000) < 1) continue;
        ssize_t n = read(fd, buf, sizeof buf);
        last = now();
        for (char *q = buf; q < buf + n; ) {
            struct inotify_event *e = (struct inotify_event *)q;
            if (e->mask & IN_Q_OVERFLOW) die("inotify queue overflow");
            seen++;
            q += sizeof *e + e->len;
        }
    }
    printf("{\"t_last\":%.6f,\"count\":%d}\n", last, seen);
    return seen < want;
}
