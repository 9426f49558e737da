/* SPDX-License-Identifier: ISC */
#include "mail/charset_tables.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <locale.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wctype.h>

#include "base/log.h"
#include "base/mem.h"
#include "proto/utf8.h"

const unsigned char charset_accents[CHARSET_ACCENTS] = { 0xcc, 0xd2, 0xde, 0xec, 0xf2 };

static struct charset_tables unshared;		/* when they cannot be shared */
const struct charset_tables *charset_tables = &unshared;

/* The one character that some octets are; REPLACEMENT: none, or more. */
static uint32_t
character_of(iconv_t cd, const unsigned char *octets, size_t n)
{
	unsigned char utf8[16];
	char *in = (char *)(uintptr_t)octets, *out = (char *)utf8;
	size_t out_n = sizeof utf8;
	uint32_t c;

	iconv(cd, NULL, NULL, NULL, NULL);
	if (iconv(cd, &in, &n, &out, &out_n) == (size_t)-1 || iconv(cd, NULL, NULL, &out, &out_n) == (size_t)-1)
		return REPLACEMENT;
	n = utf8_take(bytes_of(utf8, sizeof utf8 - out_n), &c);
	return n > 0 && n == sizeof utf8 - out_n ? c : REPLACEMENT;
}

/* As it stands in a table that has 0 for none. */
static uint16_t
entry_of(iconv_t cd, const unsigned char *octets, size_t n)
{
	uint32_t c = character_of(cd, octets, n);

	return c == REPLACEMENT || c > UINT16_MAX ? 0 : (uint16_t)c;
}

/* All characters of it at once; false: it is not ASCII and 128 others. */
static bool
read_octets(iconv_t cd, uint16_t row[128])
{
	for (unsigned i = 0; i < 256; i++) {
		unsigned char octet = (unsigned char)i;
		uint32_t c = character_of(cd, &octet, 1);

		if (i < 128 ? c != i : c < 128 || c > UINT16_MAX)
			return false;
		if (i >= 128)
			row[i - 128] = (uint16_t)c;
	}
	return true;
}

static void
read_pairs(iconv_t cd, struct charset_tables *t, enum charset_pairs which)
{
	for (unsigned i = 0; i < 128 * 256; i++) {
		const unsigned char pair[] = { (unsigned char)(128 + i / 256), (unsigned char)(i % 256) };
		uint32_t c = character_of(cd, pair, 2);

		if (c == REPLACEMENT || (c > UINT16_MAX && c >> 16 != 2))
			continue;
		t->pairs[which].character[i / 256][i % 256] = (uint16_t)c;
		if (c > UINT16_MAX)
			t->pairs[which].high[i / 256][i % 256 / 8] |= (unsigned char)(1u << i % 8);
	}
	t->pairs[which].read = true;
}

static void
read_four(iconv_t cd, uint16_t table[GB_BMP])
{
	for (unsigned i = 0; i < GB_BMP; i++) {
		const unsigned char four[] = { (unsigned char)(0x81 + i / 12600), (unsigned char)(0x30 + i / 1260 % 10),
			(unsigned char)(0x81 + i / 10 % 126), (unsigned char)(0x30 + i % 10) };

		table[i] = entry_of(cd, four, 4);
	}
}

static void
read_joined(iconv_t cd, uint16_t table[CHARSET_ACCENTS][256])
{
	for (unsigned i = 0; i < CHARSET_ACCENTS * 256; i++) {
		const unsigned char pair[] = { (unsigned char)(i % 256), charset_accents[i / 256] };

		table[i / 256][i % 256] = entry_of(cd, pair, 2);
	}
}

static bool
has_octets(enum charset_how how)
{
	return how == OCTET || how == VIETNAMESE || how == PAIRS || how == BIG5 || how == GB18030;
}

/* Tables of that one charset stay 0 if it cannot be read. */
static void
read_charset(const struct charset *c, struct charset_tables *t)
{
	uint16_t *row = t->above[c->row];
	iconv_t cd;

	if (!has_octets(c->how))
		return;
	cd = iconv_open("UTF-8", c->converter != NULL ? c->converter : c->name);
	if (cd == (iconv_t)-1)
		return;
	if (!read_octets(cd, row)) {
		memset(row, 0, sizeof t->above[0]);
	} else if (c->how == VIETNAMESE) {
		read_joined(cd, t->joined);
	} else if (c->how != OCTET && !t->pairs[c->pairs].read) {
		read_pairs(cd, t, c->pairs);
		if (c->how == GB18030)
			read_four(cd, t->four);
	}
	iconv_close(cd);
}

/* Where its sets are as they are in ISO 2022, but for the eighth bit. */
static const struct { const char *converter; unsigned char shift; } sources[SETS] = {
	[JISX0208] = { "EUC-JP", 0 },
	[JISX0212] = { "EUC-JP", 0x8f },
	[GB2312]   = { "EUC-CN", 0 },
	[KSC5601]  = { "EUC-KR", 0 },
};

static void
read_set(enum charset_set set, uint16_t table[ROW * ROW])
{
	iconv_t cd = iconv_open("UTF-8", sources[set].converter);
	size_t skip = sources[set].shift == 0 ? 1 : 0;

	if (cd == (iconv_t)-1)
		return;
	for (unsigned i = 0; i < ROW * ROW; i++) {
		const unsigned char s[] = { sources[set].shift, (unsigned char)(0xa1 + i / ROW),
			(unsigned char)(0xa1 + i % ROW) };

		table[i] = entry_of(cd, s + skip, sizeof s - skip);
	}
	iconv_close(cd);
}

static void
read_letters(uint16_t lower[65536])
{
	static const char *const names[] = { "C.UTF-8", "C.utf8", "en_US.UTF-8" };
	locale_t l = (locale_t)0;

	for (size_t i = 0; i < LEN(names) && l == (locale_t)0; i++)
		l = newlocale(LC_CTYPE_MASK, names[i], (locale_t)0);
	if (l == (locale_t)0) {
		log_warn("this host has no locale C.UTF-8: searches tell capital from small letters, but in ASCII");
		return;
	}
	for (uint32_t c = 128; c <= UINT16_MAX; c++) {
		wint_t folded = towlower_l(towupper_l((wint_t)c, l), l);

		if (folded >= 128 && folded <= UINT16_MAX && (c < 0xd800 || c > 0xdfff)
		    && (folded < 0xd800 || folded > 0xdfff))
			lower[c] = (uint16_t)folded;
	}
	freelocale(l);
}

static void
read_tables(const struct charset *list, size_t n, struct charset_tables *t)
{
	for (size_t i = 0; i < n; i++)
		read_charset(&list[i], t);
	for (enum charset_set set = 0; set < SETS; set++)
		read_set(set, t->sets[set]);
	read_letters(t->lower);
}

static bool
ended_well(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static _Noreturn void
write_tables(int fd, const struct charset *list, size_t n)
{
	struct charset_tables *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (t == MAP_FAILED)
		_exit(1);
	read_tables(list, n, t);
	_exit(0);
}

/*
 * By a fork: glibc keeps the last converters mapped though they are closed, 5 mappings each; those of a fork go with
 * it, and who forks a process for each session pays for none of them. Nor for the tables: what is shared is not copied.
 * Once sealed nobody can write them, nor make that they can be written.
 */
static bool
share_tables(int fd, const struct charset *list, size_t n)
{
	void *shared;
	pid_t pid;

	if (ftruncate(fd, sizeof unshared) == -1)
		return false;
	pid = fork();
	if (pid == 0)
		write_tables(fd, list, n);
	if (pid == -1 || !ended_well(pid)
	    || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
		return false;
	shared = mmap(NULL, sizeof unshared, PROT_READ, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		return false;
	charset_tables = shared;
	return true;
}

void
charset_tables_open(const struct charset *list, size_t n)
{
	int fd = memfd_create("charsets", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(n <= CHARSETS_MAX);
	if (fd == -1 || !share_tables(fd, list, n)) {
		log_warn("tables of charsets cannot be shared: processes will be larger");
		read_tables(list, n, &unshared);
	}
	if (fd != -1)
		close(fd);
}
