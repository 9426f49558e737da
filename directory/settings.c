/* SPDX-License-Identifier: ISC */
/*
 * directory/settings.c - what can be set about accounts from LDAP and SQL; mail/directory_settings.h says what makes sense together.
 */
#include "directory/directory.h"

#include <stddef.h>

const struct setting directory_settings[] = {
	DIRECTORY_SETTINGS(struct directory_settings),
	SET_END
};
