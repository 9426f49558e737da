/* SPDX-License-Identifier: ISC */
/*
 * tools/sendmail_aliases.c - newaliases, sendmail -bi.
 */
#include "tools/sendmail.h"

#include <stdio.h>
#include <sysexits.h>

#include "mail/alias.h"

int
rebuild_aliases(const char *alias_map)
{
	struct buf report;
	bool good;

	buf_init(&report, 4096);
	good = alias_build(alias_map, &report);
	fprintf(good ? stdout : stderr, "%s%.*s\n", good ? "" : "newaliases: ", BYTES_FMT(buf_bytes(&report)));
	buf_fini(&report);
	return good ? EX_OK : EX_DATAERR;
}
