/* SPDX-License-Identifier: ISC */
/*
 * submission/settings.c - what can be set about mail from the host's own users.
 */
#include "submission/submission.h"

#include <stddef.h>

#define S struct submission_settings

const struct setting submission_settings[] = {
	SET_NUMBER("submission_recipient_limit", S, recipients, "1000", 100, 50000),
	SET_NUMBER("login_failures",	S, auth_failures, "3", 1, 100),
	SET_BOOL("allow_insecure_auth",	S, insecure_auth, "no"),
	SET_BOOL("submission_hide_client", S, hide_client, "no"),
	SET_NUMBER("submission_messages_per_hour", S, messages_per_hour, "500", 0, 10000000),
	SET_NUMBER("submission_recipients_per_hour", S, recipients_per_hour, "2500", 0, 10000000),
	SET_NUMBER("submission_sessions", S, sessions, "1000", 4, 50000),
	SET_NUMBER("submission_client_sessions", S, client_sessions, "50", 0, 50000),
	SET_NUMBER("submission_client_rate", S, client_rate, "1000", 0, 10000000),
	SET_END
};
