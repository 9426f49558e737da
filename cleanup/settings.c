/* SPDX-License-Identifier: ISC */
#include <stddef.h>

#include "cleanup/cleanup.h"

#define S struct cleanup_settings

const struct setting cleanup_settings[] = {
	SET_SIZE("queue_minfree", S, minfree_octets, "64M", 0, 0),
	SET_SIZE("queue_minfree_submission", S, minfree_submission, "32M", 0, 0),
	SET_SIZE("queue_minfree_notice", S, minfree_notice, "8M", 0, 0),
	SET_NUMBER("queue_minfree_files", S, minfree_inodes, "1000", 0, 0),
	SET_NUMBER("cleanup_drafts", S, drafts, "5000", 1, 100000),
	SET_TIME("early_delivery_time", S, early_ms, "2s", 0, 60000),
	SET_WORD("queue_sync_directory", S, sync_directory, "auto", queue_sync_words),
	SET_END
};
