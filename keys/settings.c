/* SPDX-License-Identifier: ISC */
/*
 * keys/settings.c - nothing can be set but what all who use TLS share: mail/tls_settings.h.
 */
#include <stddef.h>

#include "keys/keys.h"

const struct setting keys_settings[] = { SET_END };
