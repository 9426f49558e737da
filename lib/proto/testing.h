/* SPDX-License-Identifier: ISC */
/*
 * proto/testing.h - what the unit tests of this folder share, beside base/testing.h: the
 * vectors.
 */
#ifndef PROTO_TESTING_H
#define PROTO_TESTING_H

#include "base/testing.h"

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
