/* SPDX-License-Identifier: ISC */
/*
 * mail/mailbox_keyword.c - which keyword each of the letters a to z in a Maildir's file
 * names stands for: STEM.keywords, a line each, "a NAME". doc/ledger-format.md has it.
 *
 * A letter is in the file, on disk, before any message has it. With all 26 in use, those that
 * no message has are given anew.
 */
#include "mail/mailbox_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define KEYWORD_NAME_MAX	255
#define KEYWORDS_FILE_MAX	16384
#define FORWARDED		"$Forwarded"

static int
file_name(const struct mailbox *m, char name[256])
{
	const char *stem;
	int dir = mailbox_state_dir(m, &stem);

	snprintf(name, 256, "%s.keywords", stem);
	return dir;
}

/* What would break a line of the file or of a protocol is no name; another program may have written it. */
static bool
name_ok(struct bytes s)
{
	if (s.n == 0 || s.n > KEYWORD_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("(){%*\"\\]", s.p[i]))
			return false;
	return true;
}

static void
take_line(struct keywords *k, struct bytes line)
{
	unsigned i;

	if (line.n < 3 || line.p[0] < 'a' || line.p[0] > 'z' || line.p[1] != ' ' || !name_ok(bytes_skip(line, 2)))
		return;
	i = line.p[0] - 'a';
	if (k->name[i].n == 0)
		k->name[i] = bytes_skip(line, 2);
}

void
keywords_parse(struct keywords *k, struct bytes file)
{
	memset(k->name, 0, sizeof k->name);
	while (file.n > 0)
		take_line(k, bytes_cut(&file, '\n'));
}

static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec
	    && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool
keywords_none(int fault)
{
	return fault == ENOENT || fault == ELOOP || fault == EINVAL || fault == EFBIG || fault == ENXIO || fault == EISDIR;
}

/* What is no file has no keywords; letters stay in the names of messages. */
bool
keywords_load(struct mailbox *m)
{
	struct keywords *k = &m->keywords;
	int dir, fault = 0, told = k->fault;
	char name[256];
	struct stat st;

	dir = file_name(m, name);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		memset(&st, 0, sizeof st);
	if (k->read && k->fault == 0 && same(&st, &k->st))
		return true;
	if (!k->text.max)
		buf_init(&k->text, KEYWORDS_FILE_MAX);
	buf_clear(&k->text);
	if (st.st_ino != 0 && !file_slurp(dir, name, &k->text)) {
		fault = errno;
		if (fault != told)
			log_errno("mailbox %s: cannot read the names of keywords", mailbox_what(m));
	}
	keywords_parse(k, buf_bytes(&k->text));
	k->fault = keywords_none(fault) ? 0 : fault;
	k->st = st;
	k->read = true;
	return true;
}

void
keywords_fini(struct keywords *k)
{
	if (k->text.max)
		buf_fini(&k->text);
	*k = (struct keywords){ 0 };
}

struct bytes
mailbox_keyword(const struct mailbox *m, unsigned i)
{
	must(i < MAIL_KEYWORDS);
	return m->keywords.name[i];
}

uint32_t
mailbox_keyword_flag(const struct mailbox *m, struct bytes name)
{
	if (bytes_case_eq(name, text(FORWARDED)))
		return MAIL_FORWARDED;
	for (unsigned i = 0; name.n > 0 && i < MAIL_KEYWORDS; i++)
		if (bytes_case_eq(m->keywords.name[i], name))
			return (uint32_t)MAIL_KEYWORD << i;
	return 0;
}

/* ---- a new one ---- */

static bool
write_names(struct mailbox *m, const struct bytes *names)
{
	char name[256], tmp[256 + 4];
	int dir = file_name(m, name);
	struct buf out;
	bool good;

	buf_init(&out, KEYWORDS_FILE_MAX);
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++)
		if (names[i].n > 0) {
			buf_char(&out, (unsigned char)('a' + i));
			buf_char(&out, ' ');
			buf_add(&out, names[i]);
			buf_char(&out, '\n');
		}
	must(!out.full);
	snprintf(tmp, sizeof tmp, "%s.new", name);
	good = file_replace_locked(dir, name, tmp, buf_bytes(&out), 0600);
	buf_fini(&out);
	return good;
}

/* MAIL_KEYWORDS: none is free, and every one is in use. Letters without a name that messages have are
 * another program's. */
static unsigned
free_letter(const struct mailbox *m, uint32_t used)
{
	for (size_t i = 0; i < m->n; i++)
		used |= m->item[i].mail.flags;
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++)
		if (m->keywords.name[i].n == 0 && !(used & (uint32_t)MAIL_KEYWORD << i))
			return i;
	for (unsigned i = 0; i < MAIL_KEYWORDS; i++)
		if (!(used & (uint32_t)MAIL_KEYWORD << i))
			return i;
	return MAIL_KEYWORDS;
}

static uint32_t
make_locked(struct mailbox *m, struct bytes name, uint32_t keep)
{
	struct bytes names[MAIL_KEYWORDS];
	uint32_t flag;
	unsigned i;

	if (!mailbox_look(m) || !keywords_load(m))
		return 0;
	if ((flag = mailbox_keyword_flag(m, name)) != 0)
		return flag;		/* another session was quicker */
	if (m->keywords.fault != 0) {	/* which would be written over */
		errno = m->keywords.fault;
		return 0;
	}
	i = free_letter(m, keep);
	if (i == MAIL_KEYWORDS) {
		errno = EMLINK;
		return 0;
	}
	memcpy(names, m->keywords.name, sizeof names);
	names[i] = name;
	if (!write_names(m, names) || !keywords_load(m))
		return 0;
	return (uint32_t)MAIL_KEYWORD << i;
}

/* 0 with errno 0: there is none yet. */
static uint32_t
look_up(struct mailbox *m, struct bytes name)
{
	uint32_t flag;

	keywords_load(m);		/* another session may have given its letter to another name */
	flag = mailbox_keyword_flag(m, name);
	errno = flag == 0 && !name_ok(name) ? EINVAL : 0;
	return flag;
}

uint32_t
keyword_make(struct mailbox *m, struct bytes name, uint32_t keep)
{
	uint32_t flag = look_up(m, name);

	return flag != 0 || errno != 0 ? flag : make_locked(m, name, keep);
}

bool
keywords_named(struct mailbox *m, struct bytes names, bool make, uint32_t keep, uint32_t *flags)
{
	while (names.n > 0) {
		struct bytes name = bytes_cut(&names, ' ');
		uint32_t flag = make ? keyword_make(m, name, keep | *flags) : look_up(m, name);

		if (make && flag == 0)
			return false;
		*flags |= flag;
	}
	return true;
}

uint32_t
mailbox_keyword_make(struct mailbox *m, struct bytes name, uint32_t keep)
{
	uint32_t flag = look_up(m, name);

	if (flag != 0 || errno != 0 || !mailbox_lock(m))
		return flag;
	flag = make_locked(m, name, keep);
	mailbox_unlock(m);
	return flag;
}
