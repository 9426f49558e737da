/* SPDX-License-Identifier: ISC */
/*
 * become/settings.c - whom nobody may become.
 */
#include "become/become.h"

#include <stddef.h>

#define S struct become_settings

const struct setting become_settings[] = {
	SET_NUMBER("first_uid",		S, first_uid, "1000", 1, 4294967294),
	SET_NUMBER("first_gid",		S, first_gid, "100", 1, 4294967294),
	SET_NUMBER("uid_base",		S, uid_base, "0", 0, 4000000000),
	SET_NUMBER("become_processes",	S, processes, "4000", 1, 100000),
	SET_END
};
