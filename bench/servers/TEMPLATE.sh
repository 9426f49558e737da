#!/bin/sh
# SPDX-License-Identifier: ISC
# TEMPLATE: copy to servers/NAME.sh to bring a server into the benchmark.  NAME is then a server for `bench`.
#
#   sh servers/NAME.sh caps     print what it can do, of: local relay tls imap pop3
#   sh servers/NAME.sh setup    create everything below $BENCH_DIR (an empty scratch directory)
#   sh servers/NAME.sh start    start it and return when it answers.  Every process it forks is accounted
#                               to the server (the harness calls this inside a cgroup of its own)
#   sh servers/NAME.sh stop     stop it, by the pid that `start` has noted
#   sh servers/NAME.sh pids     (only used where there is no cgroup) the pids of all server processes
#   sh servers/NAME.sh version  one line
#   sh servers/NAME.sh fronts   (nothing where there are none) names of the processes, as /proc/PID/comm has them, that a client over TLS
#                               has to do with before it has logged in, and that serve many of them
#
# Environment given by the harness:
#   BENCH_DIR      scratch directory: configuration, queue, logs.  Ours alone, empty before `setup`
#   BENCH_MAIL     mail root: user uI has its Maildir in $BENCH_MAIL/uI/Maildir (cur new tmp exist already,
#                  possibly filled).  The directories belong to BENCH_UID:BENCH_GID
#   BENCH_UID, BENCH_GID    numeric owner of all mailboxes
#   BENCH_USERS, BENCH_PASS users u1..uBENCH_USERS, all with this plain text password (stored as {PLAIN})
#   SMTP_PORT IMAP_PORT POP3_PORT   listen here, on 127.0.0.1 only
#   SINK_PORT      mail for *@relay.test goes by SMTP to 127.0.0.1:SINK_PORT
#   DEAD_PORT      mail for *@dead.test goes to 127.0.0.1:DEAD_PORT, where nobody listens: it must stay queued
#                  (retries may be as rare as the server likes)
#   TLS_CERT, TLS_KEY       PEM files for TLS
#   BENCH_TLS      yes: also listen at IMAPS_PORT and POP3S_PORT, TLS from the start, without tickets
#   WORKERS        at most this many concurrent deliveries (and at least so many allowed)
#
# Mail: uI@local.test is delivered into the Maildir of uI.  Clients from 127.0.0.0/8 may relay.
# Rules: everything durable before the server says 250 / before it drops its queue copy (fsync on); log to a
# file below $BENCH_DIR, at the server's usual level; no rate limits; no DNS.
set -eu
case $1 in
caps)    echo "local relay tls imap pop3" ;;
version) echo "template 0" ;;
setup)   : ;;
start)   : ;;
stop)    : ;;
pids)    : ;;
fronts)  : ;;
esac
