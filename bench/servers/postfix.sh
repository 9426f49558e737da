#!/bin/sh
# SPDX-License-Identifier: ISC
# Postfix, stock settings (upstream master.cf, no chroot), log to a file through postlogd.
# POSTFIX_EXTRA: further main.cf lines (see postfix-tuned.sh).
set -eu
C=${BENCH_DIR:-.}/etc
case $1 in
caps)    echo "local relay tls" ;;
version) echo "postfix $(postconf -d -h mail_version 2>/dev/null)" ;;
setup)
    mkdir -p "$C" "$BENCH_DIR/spool" "$BENCH_DIR/data" "$BENCH_DIR/log"
    chmod 755 "$BENCH_DIR"
    chown postfix "$BENCH_DIR/data"
    cat > "$C/main.cf" <<EOF
compatibility_level = 3.6
queue_directory = $BENCH_DIR/spool
data_directory = $BENCH_DIR/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = $BENCH_DIR/log/mail.log
maillog_file_prefixes = $BENCH_DIR
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.bench.test
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtputf8_enable = no
disable_dns_lookups = yes
smtpd_peername_lookup = no
alias_maps =
alias_database =
virtual_mailbox_domains = local.test
virtual_mailbox_base = $BENCH_MAIL
virtual_mailbox_maps = hash:$C/users
virtual_uid_maps = static:$BENCH_UID
virtual_gid_maps = static:$BENCH_GID
transport_maps = inline:{ { relay.test = smtp:[127.0.0.1]:$SINK_PORT }, { dead.test = smtp:[127.0.0.1]:$DEAD_PORT } }
default_destination_concurrency_limit = $WORKERS
smtpd_tls_security_level = may
smtpd_tls_chain_files = $TLS_KEY, $TLS_CERT
tls_ssl_options = no_ticket
${POSTFIX_EXTRA:-}
EOF
    cat > "$C/master.cf" <<EOF
127.0.0.1:$SMTP_PORT inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
EOF
    i=1
    while [ $i -le "$BENCH_USERS" ]; do echo "u$i@local.test u$i/Maildir/"; i=$((i + 1)); done > "$C/users"
    postmap -c "$C" "hash:$C/users" ;;
start)
    postfix -c "$C" start >> "$BENCH_DIR/log/start" 2>&1 ;;
stop)
    postfix -c "$C" stop >> "$BENCH_DIR/log/start" 2>&1 ;;
pids)
    m=$(tr -d ' ' < "$BENCH_DIR/spool/pid/master.pid")
    echo "$m $(ps -o pid= --ppid "$m" | tr '\n' ' ')" ;;
esac
