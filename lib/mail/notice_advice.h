/* SPDX-License-Identifier: ISC */
/*
 * mail/notice_advice.h - what an enhanced status code means, in plain words, and what a sender can do about it.
 * RFC 3463, and the codes registered since (RFC 4954, 5248, 6710, 7372, 7505, 8689). Pure.
 */
#ifndef MAIL_NOTICE_ADVICE_H
#define MAIL_NOTICE_ADVICE_H

#include <stdbool.h>

/* For "class.subject.detail". here: this host says so itself, and no other. Never NULL. */
const char	*notice_advice(const unsigned status[3], bool here);

#endif
