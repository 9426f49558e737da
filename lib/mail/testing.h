/* SPDX-License-Identifier: ISC */
/*
 * mail/testing.h - what the unit tests of this folder share, beside base/testing.h: a folder
 * of its own for each test.
 */
#ifndef MAIL_TESTING_H
#define MAIL_TESTING_H

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/testing.h"

static char test_dir[64];

/* 0, or -1: for a setup of cmocka's. In memory a thousand syncs take a tenth of the time. */
static inline int
test_dir_make(const char *name, bool in_memory)
{
	snprintf(test_dir, sizeof test_dir, "%s/%s-test.XXXXXX",
	    in_memory && access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp", name);
	return mkdtemp(test_dir) ? 0 : -1;
}

static inline int
test_dir_remove_one(const char *name, const struct stat *st, int type, struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(name);
}

/* A teardown of cmocka's. */
static inline int
test_dir_remove(void **state)
{
	(void)state;
	return nftw(test_dir, test_dir_remove_one, 20, FTW_DEPTH | FTW_PHYS);
}

#endif
