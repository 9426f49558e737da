#!/bin/sh
# SPDX-License-Identifier: ISC
# What is possible: the cheapest program with the durability of 250 (src/ideal.c), one fsync a message. IDEAL=-q: two, through a queue file.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
case $1 in
caps)    echo "local" ;;
version) echo "ideal ${IDEAL:-one fsync}" ;;
setup)   mkdir -p "$BENCH_DIR/queue" ;;
start)   "$here/build/ideal" "$SMTP_PORT" "$BENCH_MAIL" "$BENCH_DIR/queue" "$WORKERS" ${IDEAL:-} > "$BENCH_DIR/log" 2>&1 &
         echo $! > "$BENCH_DIR/pid"; sleep 0.3 ;;
stop)    p=$(cat "$BENCH_DIR/pid"); kill $(ps -o pid= --ppid "$p") "$p" ;;
pids)    p=$(cat "$BENCH_DIR/pid"); echo "$p" $(ps -o pid= --ppid "$p") ;;
esac
