/* SPDX-License-Identifier: ISC */
#include "daemon/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

int
shared_memory_make(const char *name, size_t octets, struct bytes head)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), saved;

	if (fd != -1 && ftruncate(fd, (off_t)octets) == 0 && file_pwrite(fd, head, 0)
	    && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	saved = errno;
	fd_close(&fd);
	errno = saved;
	return -1;
}

bool
shared_memory_map(struct shared_memory *m, int fd, size_t octets, size_t most)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1)
		return false;
	if ((size_t)st.st_size < octets || (size_t)st.st_size > most) {
		errno = EINVAL;
		return false;
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return false;
	*m = (struct shared_memory){ .p = p, .octets = (size_t)st.st_size };
	return true;
}

void
shared_memory_alone(struct shared_memory *m, size_t octets)
{
	*m = (struct shared_memory){ .p = mem_alloc(octets), .octets = octets, .alone = true };
}

void
shared_memory_free(struct shared_memory *m)
{
	if (m->alone)
		mem_free(m->p);
	else if (m->p)
		munmap(m->p, m->octets);
	*m = (struct shared_memory){ 0 };
}
