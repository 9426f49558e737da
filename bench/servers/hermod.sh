#!/bin/sh
# SPDX-License-Identifier: ISC
# Hermod, out of the build folder that HERMOD_BUILD names. Every process has the numeric uid that an
# installation would give it by name; nothing of its confinement or durability is switched off.
# HERMOD_EXTRA: further lines of hermod.conf. No tickets: each connection of mta-tls shakes hands whole.
set -eu
B=${HERMOD_BUILD:-.}
C=${BENCH_DIR:-.}/hermod.conf
case $1 in
caps)    echo "local relay tls imap pop3" ;;
fronts)  echo "tls imap-login" ;;
version) "$B/bin/hermod" version 2>/dev/null || echo "hermod not built in $B" ;;
setup)
    mkdir -p "$BENCH_DIR/queue" "$BENCH_DIR/run" "$BENCH_DIR/log" "$BENCH_DIR/tables"
    chmod 755 "$BENCH_DIR" "$BENCH_DIR/tables"
    cat > "$C" <<EOF2
hostname = "mx.bench.test"
local_domains = {"local.test"}
listen_smtp = {"127.0.0.1:$SMTP_PORT"}
listen_submission = {}
listen_submissions = {}
listen_pop3 = {"127.0.0.1:$POP3_PORT"}
listen_pop3s = {$([ "$BENCH_TLS" = no ] || echo "\"127.0.0.1:$POP3S_PORT\"")}
listen_imap = {"127.0.0.1:$IMAP_PORT"}
listen_imaps = {$([ "$BENCH_TLS" = no ] || echo "\"127.0.0.1:$IMAPS_PORT\"")}
tls_certificates = {"$TLS_CERT:$TLS_KEY"}
tls_ticket_time = 0
submission_messages_per_hour = 0
submission_recipients_per_hour = 0
program_directory = "$B/libexec/hermod"
queue_directory = "$BENCH_DIR/queue"
auth_directory = "$BENCH_DIR/auth"
dns_directory = "$BENCH_DIR/dns"
mta_sts_directory = "$BENCH_DIR/mta-sts"
tls_report_directory = "$BENCH_DIR/tls-report"
run_directory = "$BENCH_DIR/run"
mail_directory = "$BENCH_MAIL"
log_file = "$BENCH_DIR/log/hermod.log"
pid_file = "$BENCH_DIR/run/master.pid"
alias_map = "text:$BENCH_DIR/tables/aliases"
account_map = "text:$BENCH_DIR/tables/accounts"
allow_plain_passwords = yes
system_accounts = no
uid_base = 61000
first_uid = 1000
mail_uid = $BENCH_UID
mail_gid = $BENCH_GID
local_concurrency = $WORKERS
routes = {"relay.test smtp:[127.0.0.1]:$SINK_PORT", "dead.test smtp:[127.0.0.1]:$DEAD_PORT"}
smtp_concurrency = $WORKERS
smtp_destination_concurrency = $WORKERS
smtpd_client_sessions = 0
smtpd_client_rate = 0
login_client_sessions = 0
login_client_rate = 0
tls_client_sessions = 0
tls_client_rate = 0
${HERMOD_EXTRA:-}
EOF2
    echo "postmaster: u1@local.test" > "$BENCH_DIR/tables/aliases"
    # The harness logs in as uI; mail comes for uI@local.test.
    i=1
    while [ $i -le "$BENCH_USERS" ]; do
        for name in u$i@local.test u$i; do
            printf '%s password={PLAIN}%s\n mailbox=maildir:%s\n uid=%s\n gid=%s\n' "$name" \
                "$BENCH_PASS" "$BENCH_MAIL/u$i/Maildir" "$BENCH_UID" "$BENCH_GID"
        done
        i=$((i + 1))
    done > "$BENCH_DIR/tables/accounts"
    chmod 644 "$BENCH_DIR/tables/accounts" ;;
start)  "$B/bin/hermod" -c "$C" start ;;
stop)   "$B/bin/hermod" -c "$C" stop ;;
pids)
    m=$(cat "$BENCH_DIR/run/master.pid")
    echo "$m $(ps -o pid= --ppid "$m" | tr '\n' ' ')" ;;
esac
