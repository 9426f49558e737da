#!/bin/sh
# SPDX-License-Identifier: ISC
# OpenSMTPD, stock, in a chroot of its own ($BENCH_ROOTS/root-opensmtpd; see README.md how to make one).
# TLS is left out: its handshake failed in this chroot (cause not looked into).
# It runs in the foreground mode (-d), so that it logs to a file rather than to syslog.
set -eu
R=${BENCH_ROOTS:-${TMPDIR:-/tmp}}/root-opensmtpd
case $1 in
caps)    [ -x "$R/usr/sbin/smtpd" ] && echo "local relay" || echo "" ;;
version) [ -x "$R/usr/sbin/smtpd" ] && chroot "$R" smtpd -h 2>&1 | sed -n 's/^version: /opensmtpd /p' ;;
setup)
    mkdir -p "$BENCH_DIR/log" "$R/bench"
    rm -rf "$R/var/spool/smtpd"         # a fresh queue
    { i=1; while [ $i -le "$BENCH_USERS" ]; do echo "u$i $BENCH_UID:$BENCH_GID:/mail/u$i"; i=$((i + 1)); done; } > "$BENCH_DIR/userbase"
    chmod 600 "$TLS_KEY"
    cat > "$BENCH_DIR/smtpd.conf" <<EOF
pki "mx" cert "/cert.pem"
pki "mx" key "/key.pem"
table users file:/bench/userbase
queue ttl 1d
smtp max-message-size 100M
listen on 127.0.0.1 port $SMTP_PORT tls pki "mx" hostname "mx.bench.test"
action "local" maildir "/mail/%{user.username}/Maildir" userbase <users>
action "relay" relay host "smtp://127.0.0.1:$SINK_PORT"
action "dead" relay host "smtp://127.0.0.1:$DEAD_PORT"
match from any for domain "local.test" action "local"
match from any for domain "relay.test" action "relay"
match from any for domain "dead.test" action "dead"
EOF
    ;;
start)
    # mounts in a private namespace: they vanish with the processes
    unshare -m sh -c '
        mkdir -p "$1/mail"; mount --bind "$BENCH_MAIL" "$1/mail"; mount --bind "$BENCH_DIR" "$1/bench"
        mount -t proc proc "$1/proc" 2>/dev/null || :
        [ -c "$1/dev/urandom" ] || mount --bind /dev "$1/dev"
        cp "$TLS_CERT" "$1/cert.pem"; cp "$TLS_KEY" "$1/key.pem"; chmod 600 "$1/key.pem" "$1/cert.pem"
        exec chroot "$1" smtpd -d -f /bench/smtpd.conf' sh "$R" > "$BENCH_DIR/log/mail.log" 2>&1 &
    echo $! > "$BENCH_DIR/pid"
    sleep 2
    kill -0 "$(cat "$BENCH_DIR/pid")" || { cat "$BENCH_DIR/log/mail.log"; exit 1; } ;;
stop)    kill "$(cat "$BENCH_DIR/pid")"; sleep 1 ;;
pids)
    m=$(cat "$BENCH_DIR/pid")
    echo "$m $(ps -o pid= --ppid "$m" | tr '\n' ' ')" ;;
esac
