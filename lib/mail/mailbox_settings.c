/* SPDX-License-Identifier: ISC */
#include "mail/mailbox_settings.h"

#include <stddef.h>

const struct setting mailbox_settings[] = {
	SET_TIME("expunge_keep", struct mailbox_settings, expunge_keep_ms, "0", 0, 31622400000),	/* 366 days */
	SET_END
};
