/* SPDX-License-Identifier: ISC */
/*
 * base/mem.h - memory and broken promises. Allocation that fails stops the
 * process, and so does must(): nothing tests for NULL (master starts another;
 * any process may be killed between any two lines and no mail is lost).
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void	*mem_alloc(size_t n);			/* zeroed, never NULL */
void	*mem_resize(void *p, size_t n);		/* what is new is not zeroed */
void	*mem_array(size_t count, size_t each);	/* zeroed; product checked */
char	*mem_text(const char *s);		/* a copy */
void	 mem_free(void *p);

/* Our own bug when false: says where, then abort(). On in every build. */
#define must(cond)	((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__))
_Noreturn void	must_failed(const char *cond, const char *file, int line);

#endif
