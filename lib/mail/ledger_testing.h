/* SPDX-License-Identifier: ISC */
/* mail/ledger_testing.h - what the tests of mail/ledger share: a folder, and ledgers in it as a test wants them. */
#ifndef MAIL_LEDGER_TESTING_H
#define MAIL_LEDGER_TESTING_H

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/little.h"
#include "base/testing.h"
#include "mail/ledger.h"
#include "mail/mailbox.h"

static char dir_name[64];
static int dir;

static inline int
make_dir(void **state)
{
	(void)state;
	snprintf(dir_name, sizeof dir_name, "/tmp/ledger-test.XXXXXX");
	if (!mkdtemp(dir_name))
		return -1;
	dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir == -1 ? -1 : 0;
}

static const char *const files[] = { "m.ledger", "m.ledger2", "m.lock", "m.ledger.new", "m.ledger2.new", "copy" };

static inline int
drop_dir(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(files); i++)
		if (unlinkat(dir, files[i], 0) == -1 && errno == EISDIR)
			unlinkat(dir, files[i], AT_REMOVEDIR);
	close(dir);
	return rmdir(dir_name);
}

static inline struct ledger *
opened(void)
{
	struct ledger *l = ledger_new(dir, "m", "test");

	assert_true(ledger_lock(l, 100));
	assert_true(ledger_load(l) && ledger_keep(l));
	return l;
}

static inline void
give(struct ledger *l, const char *prefix, unsigned n, uint32_t first)
{
	struct bytes name[100] = { { NULL, 0 } };
	char octets[100][32];
	uint32_t uid[100];

	for (unsigned i = 0; i < n; i++) {
		snprintf(octets[i], sizeof octets[i], "%s%u", prefix, i);
		name[i] = text(octets[i]);
	}
	assert_true(ledger_give(l, name, n, uid));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(uid[i], first + i);
}

static inline uint32_t
uid_of(struct ledger *l, const char *name)
{
	return ledger_find(l, text(name), NULL);
}

static inline void
slurp(const char *name, struct buf *out)
{
	buf_init(out, 1 << 20);
	assert_true(file_slurp(dir, name, out));
}

/* In place: the file keeps its inode. */
static inline void
overwrite(const char *name, struct bytes content)
{
	int fd = openat(dir, name, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, content));
	close(fd);
}

static inline void
overwrite_new(const char *name, struct bytes content)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, content));
	close(fd);
}

/* The same, as if it had been written to this very file. */
static inline void
overwrite_at_home(const char *name, struct bytes content)
{
	unsigned char header[LEDGER_HEADER];
	struct stat st;
	int fd;

	overwrite(name, content);
	memcpy(header, content.p, sizeof header);
	fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	little_put_u64(header + 24, st.st_ino);
	little_put_u32(header + 60, crc32_of(0, bytes_of(header, 60)));
	assert_true(file_pwrite(fd, bytes_of(header, sizeof header), 0));
	close(fd);
}

/* Both copies, as a test wants them. */
static inline void
write_copies(const struct ledger_header *given, const struct ledger_record *r, size_t n, bool second)
{
	for (int i = 0; i < 1 + second; i++) {
		int fd = openat(dir, files[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		struct ledger_header h = *given;
		struct stat st;
		uint32_t chain;
		struct buf b;

		assert_int_not_equal(fd, -1);
		assert_int_equal(fstat(fd, &st), 0);
		h.inode = st.st_ino;
		buf_init(&b, 1000);
		chain = ledger_put_header(&b, &h);
		for (size_t k = 0; k < n; k++)
			chain = ledger_put_record(&b, chain, &r[k]);
		assert_true(file_write(fd, buf_bytes(&b)));
		buf_fini(&b);
		close(fd);
	}
}

#define T(t) cmocka_unit_test_setup_teardown(t, make_dir, drop_dir)

#endif
