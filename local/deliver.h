/* SPDX-License-Identifier: ISC */
/*
 * local/deliver.h - the deliver worker: one process for one mailbox, forked by
 * become, running as the mailbox's owner. It takes jobs from local until local closes
 * the channel.
 */
#ifndef LOCAL_DELIVER_H
#define LOCAL_DELIVER_H

#include "base/bytes.h"

#define DELIVER_BATCH	16	/* jobs whose deliveries share the sync of a directory */

/*
 * The whole life of the worker, after the process has become the owner: opens the
 * mailbox, confines itself, delivers. channel is the end that came with MSG(worker),
 * blocking; it is closed. mailbox as in MSG(worker); name is the account, for the
 * journal. Returns the exit status.
 */
int	deliver_run(int channel, struct bytes mailbox, const char *name);

/* True when the header section that begins the joined message (mail/segments.h) has a Delivered-To
 * of this recipient: the message has been here before. */
bool	deliver_loops(int fd, struct bytes segments, struct bytes recipient);

#endif
