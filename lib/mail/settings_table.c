/* SPDX-License-Identifier: ISC */
/* Apart from settings.c: who names no table links none of the libraries behind them. */
#include <stdio.h>

#include "mail/settings.h"
#include "mail/table.h"

bool
setting_is_table(const char *value, char *why, size_t cap)
{
	struct bytes path = text(value), type = bytes_cut(&path, ':');

	if (value[0] == '\0')		/* no table */
		return true;
	if (type.n == strlen(value) || !table_type_known(type)) {
		snprintf(why, cap, "not a table; right would be TYPE:/PATH, TYPE one of %s", table_types());
		return false;
	}
	return setting_is_path((const char *)path.p, why, cap);
}
