#!/bin/sh
# SPDX-License-Identifier: ISC
# Postfix with what its TUNING_README recommends for throughput: no in_flow_delay, processes live on.
export POSTFIX_EXTRA='in_flow_delay = 0
initial_destination_concurrency = 20
max_use = 1000
qmgr_message_active_limit = 40000
qmgr_message_recipient_limit = 40000'
exec sh "$(dirname "$0")/postfix.sh" "$@"
