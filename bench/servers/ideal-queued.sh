#!/bin/sh
# SPDX-License-Identifier: ISC
# ideal with a queue file in between: two fsyncs a message.
IDEAL=-q exec sh "$(dirname "$0")/ideal.sh" "$@"
