#!/bin/sh
# SPDX-License-Identifier: ISC
# Dovecot in its high-performance login mode, processes reused, IDLE connections hibernated.
export DOVECOT_EXTRA='service imap-login {
  service_count = 0
  process_min_avail = 2
  process_limit = 2
}
service pop3-login {
  service_count = 0
  process_min_avail = 2
  process_limit = 2
}
service imap {
  service_count = 1000
  process_min_avail = 4
  idle_kill = 3s
  unix_listener imap-master {
    user = dovecot
  }
}
service pop3 {
  service_count = 1000
  process_min_avail = 4
}
service imap-hibernate {
  unix_listener imap-hibernate {
    mode = 0666
  }
}
imap_hibernate_timeout = 2s'
exec sh "$(dirname "$0")/dovecot.sh" "$@"
