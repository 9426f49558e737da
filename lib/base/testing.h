/* SPDX-License-Identifier: ISC */
/*
 * base/testing.h - what unit tests share: assertions that say which row of a table
 * failed.
 */
#ifndef BASE_TESTING_H
#define BASE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/bytes.h"

/* A string constant with its length: it may hold NUL. */
#define OCTETS(literal)	bytes_of(literal, sizeof(literal) - 1)

#define assert_bytes_equal(got, want)		check_bytes((got), (want), "", __FILE__, __LINE__)
#define assert_row_bytes(row, got, want)	check_bytes((got), (want), (row), __FILE__, __LINE__)
#define assert_row_int(row, got, want)		\
	check_int((long long)(got), (long long)(want), (row), __FILE__, __LINE__)

static inline void
check_bytes(struct bytes got, struct bytes want, const char *row, const char *file, int line)
{
	if (bytes_eq(got, want))
		return;
	print_error("%s: got \"%.*s\", want \"%.*s\"\n", row, BYTES_FMT(got), BYTES_FMT(want));
	_fail(file, line);
}

static inline void
check_int(long long got, long long want, const char *row, const char *file, int line)
{
	if (got == want)
		return;
	print_error("%s: got %lld, want %lld\n", row, got, want);
	_fail(file, line);
}

#endif
