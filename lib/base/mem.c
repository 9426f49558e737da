/* SPDX-License-Identifier: ISC */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

static _Noreturn void
no_memory(size_t n)
{
	log_fatal("out of memory: %zu octets were asked for", n);
}

void *
mem_alloc(size_t n)
{
	return mem_array(1, n);
}

void *
mem_resize(void *p, size_t n)
{
	void *q = realloc(p, n > 0 ? n : 1);	/* of 0 octets: would free, or not */

	if (!q)
		no_memory(n);
	return q;
}

void *
mem_array(size_t count, size_t each)
{
	void *p;

	if (count == 0 || each == 0)
		count = each = 1;
	p = calloc(count, each);		/* refuses a product that overflows */
	if (!p)
		no_memory(count > SIZE_MAX / each ? SIZE_MAX : count * each);
	return p;
}

char *
mem_text(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(mem_resize(NULL, n), s, n);
}

void
mem_free(void *p)
{
	free(p);
}

void
must_failed(const char *cond, const char *file, int line)
{
	static bool again;	/* the log has broken its own promise */

	if (!again) {
		again = true;
		log_warn("bug: must(%s) at %s:%d", cond, file, line);
		log_flush();
	}
	abort();
}
