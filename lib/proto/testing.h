/* SPDX-License-Identifier: ISC */
/*
 * proto/testing.h - what the unit tests of this folder share: assertions that
 * say which row of a table failed.
 */
#ifndef PROTO_TESTING_H
#define PROTO_TESTING_H

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

/* The whole of tests/vectors/NAME; the folder is found from where this source is. */
#define vector(name)	read_vector(__FILE__, (name))

static inline struct bytes
read_vector(const char *source, const char *name)
{
	static unsigned char content[1 << 20];
	const char *folder = strstr(source, "lib/proto/");
	char path[1024];
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%.*stests/vectors/%s", folder != NULL ? (int)(folder - source) : 0,
	    source, name);
	if ((f = fopen(path, "re")) == NULL) {
		print_error("no vector %s\n", path);
		_fail(source, 0);
	}
	n = fread(content, 1, sizeof content, f);
	fclose(f);
	return bytes_of(content, n);
}

#endif
