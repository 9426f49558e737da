/* SPDX-License-Identifier: ISC */
/*
 * pam/settings.c - what can be set about asking PAM.
 */
#include "pam/pam.h"

#include <stddef.h>

#define S struct pam_settings

static bool
is_directory(const char *value, char *why, size_t cap)
{
	return value[0] == '\0' || setting_is_path(value, why, cap);
}

const struct setting pam_settings[] = {
	SET_TEXT_IF("pam_directory",	S, pam_directory, "", is_directory),
	SET_NUMBER("pam_processes",	S, pam_processes, "20", 1, 500),
	SET_TIME("pam_timeout",		S, pam_timeout_ms, "30s", 1000, 35000),
	SET_END
};
