#!/bin/sh
# SPDX-License-Identifier: ISC
# Exim, in a chroot of its own ($BENCH_ROOTS/root-exim; see README.md how to make one): one process per
# connection, immediate delivery by a forked process (its normal mode), split spool.
set -eu
R=${BENCH_ROOTS:-${TMPDIR:-/tmp}}/root-exim
case $1 in
caps)    [ -x "$R/usr/sbin/exim4" ] && echo "local relay tls" || echo "" ;;
version) [ -x "$R/usr/sbin/exim4" ] && chroot "$R" exim4 -bV 2>/dev/null | sed -n '1s/^Exim version \([^ ]*\).*/exim \1/p' ;;
setup)
    mkdir -p "$BENCH_DIR/log" "$BENCH_DIR/spool" "$R/bench" "$R/mail"
    u=$(awk -F: '$1 == "Debian-exim" { print $3 ":" $4 }' "$R/etc/passwd")
    chown "$u" "$BENCH_DIR/log" "$BENCH_DIR/spool"
    { i=1; while [ $i -le "$BENCH_USERS" ]; do echo "u$i: u$i"; i=$((i + 1)); done; } > "$BENCH_DIR/users"
    cp "$TLS_CERT" "$R/etc/exim4/cert.pem"; cp "$TLS_KEY" "$R/etc/exim4/key.pem"
    chown "$u" "$R/etc/exim4/key.pem" "$R/etc/exim4/cert.pem"
    cat > "$R/etc/exim4/exim4.conf" <<EOF
primary_hostname = mx.bench.test
spool_directory = /bench/spool
log_file_path = /bench/log/%slog
split_spool_directory
domainlist local_domains = local.test
hostlist relay_from = 127.0.0.0/8
acl_smtp_rcpt = acl_rcpt
host_lookup =
rfc1413_hosts =
smtp_accept_max = 200
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
tls_advertise_hosts = *
tls_certificate = /etc/exim4/cert.pem
tls_privatekey = /etc/exim4/key.pem
tls_resumption_hosts =
daemon_smtp_ports = $SMTP_PORT
local_interfaces = 127.0.0.1
never_users = root
begin acl
acl_rcpt:
  accept hosts = +relay_from
begin routers
local:
  driver = accept
  domains = +local_domains
  local_parts = lsearch;/bench/users
  transport = maildir
relay:
  driver = manualroute
  domains = relay.test
  route_data = 127.0.0.1
  self = send
  transport = relay
dead:
  driver = manualroute
  domains = dead.test
  route_data = 127.0.0.1
  self = send
  transport = dead
begin transports
maildir:
  driver = appendfile
  directory = /mail/\$local_part_data/Maildir
  maildir_format
  user = $BENCH_UID
  group = $BENCH_GID
  delivery_date_add
  envelope_to_add
  return_path_add
relay:
  driver = smtp
  port = $SINK_PORT
  hosts_try_fastopen =
  allow_localhost
dead:
  driver = smtp
  port = $DEAD_PORT
  hosts_try_fastopen =
  allow_localhost
begin retry
* * F,2h,15m; G,16h,1h,1.5
EOF
    ;;
start)
    unshare -m sh -c '
        mount --bind "$BENCH_MAIL" "$1/mail"; mount --bind "$BENCH_DIR" "$1/bench"
        mount -t proc proc "$1/proc" 2>/dev/null || :
        exec chroot "$1" exim4 -bdf -q30m' sh "$R" > "$BENCH_DIR/start.log" 2>&1 &
    echo $! > "$BENCH_DIR/pid"
    sleep 2
    kill -0 "$(cat "$BENCH_DIR/pid")" || { cat "$BENCH_DIR/start.log"; exit 1; } ;;
stop)    kill "$(cat "$BENCH_DIR/pid")"; sleep 1 ;;
pids)
    m=$(cat "$BENCH_DIR/pid")
    echo "$m $(ps -o pid= --ppid "$m" | tr '\n' ' ')" ;;
esac
