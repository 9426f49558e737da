/* SPDX-License-Identifier: ISC */
/* Apart from account.c: who only wants to know whether there is a directory needs no tables. */
#include "config.h"

#include <stdio.h>

#include "mail/account.h"

const char *const account_formats[] = { "maildir", "mbox", NULL };
const char *const account_directories[] = { "", "ldap", "sqlite", "postgresql", NULL };

bool
account_is_sasldb(const char *value, char *why, size_t cap)
{
#ifndef HAVE_BDB
	if (value[0] != '\0') {
		snprintf(why, cap, "this build has no Berkeley DB (Debian package libdb-dev), which the file is of; right would be \"\"");
		return false;
	}
#endif
	return setting_is_path_or_empty(value, why, cap);
}
