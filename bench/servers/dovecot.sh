#!/bin/sh
# SPDX-License-Identifier: ISC
# Dovecot IMAP and POP3, stock settings: one login process per connection (high-security mode), maildir,
# mail_fsync = optimized.  DOVECOT_EXTRA: further configuration (see dovecot-tuned.sh).
set -eu
C=${BENCH_DIR:-.}/dovecot.conf
case $1 in
caps)    echo "imap pop3" ;;
version) echo "dovecot $(dovecot --version)" ;;
setup)
    mkdir -p "$BENCH_DIR/run" "$BENCH_DIR/log"
    if [ "$BENCH_TLS" = yes ]; then
        ssl="ssl = yes
ssl_cert = <$TLS_CERT
ssl_key = <$TLS_KEY
ssl_options = no_ticket"
        imaps=$IMAPS_PORT pop3s=$POP3S_PORT
    else
        ssl="ssl = no" imaps=0 pop3s=0
    fi
    cat > "$C" <<EOF
base_dir = $BENCH_DIR/run
state_dir = $BENCH_DIR/run
instance_name = bench
log_path = $BENCH_DIR/log/mail.log
protocols = imap pop3
listen = 127.0.0.1
$ssl
disable_plaintext_auth = no
auth_mechanisms = plain login
default_process_limit = 1500
default_client_limit = 4000
default_vsz_limit = 2G
mail_fsync = optimized
mail_location = maildir:$BENCH_MAIL/%n/Maildir
mail_uid = $BENCH_UID
mail_gid = $BENCH_GID
first_valid_uid = 1
mail_max_userip_connections = 2000
namespace inbox {
  inbox = yes
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN $BENCH_DIR/users
}
userdb {
  driver = static
  args = uid=$BENCH_UID gid=$BENCH_GID home=$BENCH_MAIL/%n
}
service imap-login {
  inet_listener imap {
    port = $IMAP_PORT
  }
  inet_listener imaps {
    port = $imaps
    ssl = yes
  }
  process_limit = 1500
}
service pop3-login {
  inet_listener pop3 {
    port = $POP3_PORT
  }
  inet_listener pop3s {
    port = $pop3s
    ssl = yes
  }
}
service imap {
  process_limit = 2000
}
${DOVECOT_EXTRA:-}
EOF
    i=1
    while [ $i -le "$BENCH_USERS" ]; do echo "u$i:$BENCH_PASS"; i=$((i + 1)); done > "$BENCH_DIR/users"
    chmod 755 "$BENCH_DIR"; chmod 644 "$BENCH_DIR/users" ;;
start)  dovecot -c "$C" ;;
stop)   doveadm -c "$C" stop ;;
pids)
    m=$(cat "$BENCH_DIR/run/master.pid")
    echo "$m $(ps -o pid= --ppid "$m" | tr '\n' ' ')" ;;
esac
