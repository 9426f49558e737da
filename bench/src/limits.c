/* SPDX-License-Identifier: ISC */
/* limits: what this machine can do at best, so that results can be read as a fraction of it.
 *
 *   limits DIR SECONDS        prints one JSON object per line: {"name":..., "per_s":...}   */
#include "util.h"
#include <sys/wait.h>

static double secs;
static const char *dir;
static char block[4096];
enum mode { FSYNC, FSYNC_DIR, CREATE_ONLY, MAILDIR, LOG_APPEND, LOG_PREALLOC };
static struct job { enum mode mode; int id; long ops; } jobs[64];

/* One writer thread: repeats one kind of durable write until the time is up. */
static void *writer(void *arg)
{
    struct job *j = arg;
    char p[512], q[512];
    int dfd, log = -1;
    double end = now() + secs;
    snprintf(p, sizeof p, "%s/w%d", dir, j->id);
    mkdir(p, 0700);
    dfd = open(p, O_RDONLY | O_DIRECTORY);
    if (j->mode >= LOG_APPEND) {
        snprintf(p, sizeof p, "%s/w%d/log", dir, j->id);
        log = open(p, O_CREAT | O_RDWR | O_TRUNC, 0600);
        if (j->mode == LOG_PREALLOC) {  /* written once, so that no metadata changes later */
            for (int i = 0; i < 16384; i++) if (pwrite(log, block, 4096, i * 4096L) < 0) die("pwrite");
            fsync(log);
        }
    }
    for (; now() < end; j->ops++) {
        if (j->mode >= LOG_APPEND) {
            if (pwrite(log, block, 4096, j->mode == LOG_PREALLOC ? j->ops % 16384 * 4096 : j->ops * 4096) < 0) die("pwrite");
            if (fdatasync(log)) die("fdatasync");
            continue;
        }
        snprintf(p, sizeof p, "%s/w%d/%ld", dir, j->id, j->ops);
        int fd = open(p, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd < 0 || write(fd, block, 4096) != 4096) die("write %s", p);
        if (j->mode != CREATE_ONLY && fsync(fd)) die("fsync");
        close(fd);
        if (j->mode == MAILDIR) {       /* tmp name -> final name, as Maildir delivery does */
            snprintf(q, sizeof q, "%s/w%d/n%ld", dir, j->id, j->ops);
            if (rename(p, q)) die("rename");
        }
        if ((j->mode == FSYNC_DIR || j->mode == MAILDIR) && fsync(dfd)) die("fsync dir");
    }
    if (log >= 0) close(log);
    close(dfd);
    return NULL;
}

static void disk(const char *name, enum mode mode, int n)
{
    pthread_t th[64];
    long ops = 0;
    char cmd[600];
    double t = now();
    for (int i = 0; i < n; i++) {
        jobs[i] = (struct job){ mode, i, 0 };
        pthread_create(&th[i], NULL, writer, &jobs[i]);
    }
    for (int i = 0; i < n; i++) { pthread_join(th[i], NULL); ops += jobs[i].ops; }
    printf("{\"name\":\"%s_%dw\",\"per_s\":%.1f}\n", name, n, ops / (now() - t));
    fflush(stdout);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'/w*", dir);
    if (system(cmd)) die("rm");
    sync();
}

static void rtt(int tcp)                /* one byte there and back between two processes */
{
    int fd, peer, one = 1;
    char c = 0;
    long ops = 0;
    if (tcp) {
        struct sockaddr_in a = { .sin_family = AF_INET };
        socklen_t al = sizeof a;
        int l = socket(AF_INET, SOCK_STREAM, 0);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(l, (void *)&a, al) || listen(l, 1) || getsockname(l, (void *)&a, &al)) die("listen");
        fd = dial(ntohs(a.sin_port));
        peer = accept(l, NULL, NULL);
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        close(l);
    } else {
        int sv[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv)) die("socketpair");
        fd = sv[0]; peer = sv[1];
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(fd);
        while (read(peer, &c, 1) == 1) if (write(peer, &c, 1) != 1) break;
        _exit(0);
    }
    close(peer);
    double t = now(), end = t + secs;
    for (; now() < end; ops++) if (write(fd, &c, 1) != 1 || read(fd, &c, 1) != 1) die("rtt");
    printf("{\"name\":\"%s_roundtrip\",\"per_s\":%.1f}\n", tcp ? "tcp_loopback" : "unix_socket", ops / (now() - t));
    fflush(stdout);
    close(fd);
    waitpid(pid, NULL, 0);
}

static void connects(void)              /* connect + accept + close, one process */
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t al = sizeof a;
    long ops = 0;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    struct linger lg = { 1, 0 };        /* RST: leaves no TIME_WAIT behind */
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(l, (void *)&a, al) || listen(l, 16) || getsockname(l, (void *)&a, &al)) die("listen");
    double t = now(), end = t + secs;
    for (; now() < end; ops++) {
        int fd = dial(ntohs(a.sin_port)), p = accept(l, NULL, NULL);
        if (fd < 0 || p < 0) die("connect");
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
        close(fd); close(p);
    }
    printf("{\"name\":\"tcp_connect_accept\",\"per_s\":%.1f}\n", ops / (now() - t));
    close(l);
}

static void forks(int do_exec)
{
    long ops = 0;
    double t = now(), end = t + secs;
    for (; now() < end; ops++) {
        pid_t pid = fork();
        if (pid == 0) { if (do_exec) execl("/bin/true", "true", (char *)0); _exit(0); }
        if (pid < 0 || waitpid(pid, NULL, 0) != pid) die("fork");
    }
    printf("{\"name\":\"fork%s_wait\",\"per_s\":%.1f}\n", do_exec ? "_exec" : "", ops / (now() - t));
}

int main(int argc, char **argv)
{
    if (argc != 3) die("usage: limits DIR SECONDS");
    dir = argv[1]; secs = atof(argv[2]);
    memset(block, 'x', sizeof block);
    disk("create_write", CREATE_ONLY, 1);
    disk("file_fsync", FSYNC, 1);
    disk("file_fsync", FSYNC, 20);
    disk("file_fsync_dirfsync", FSYNC_DIR, 1);
    disk("file_fsync_dirfsync", FSYNC_DIR, 20);
    disk("maildir_fsync_rename_dirfsync", MAILDIR, 20);
    disk("log_append_fdatasync", LOG_APPEND, 1);
    disk("log_append_fdatasync", LOG_APPEND, 20);
    disk("log_prealloc_fdatasync", LOG_PREALLOC, 1);
    disk("log_prealloc_fdatasync", LOG_PREALLOC, 20);
    rtt(1); rtt(0); connects(); forks(0); forks(1);
    return 0;
}
