/* SPDX-License-Identifier: ISC */
/*
 * directory/row.c - what a server has of a name, as a row of the account table (mail/account.h), by whose rules it is judged:
 * what would be malformed there is worth no guess here. Pure.
 */
#include "directory/directory.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"

#define FOUND_ARENA	(DIRECTORY_FIELDS * (ACCOUNT_ROW_MAX + 64u) + 2 * FOUND_DN_MAX)

void
found_init(struct found *f)
{
	*f = (struct found){ .verdict = NO, .arena = arena_new(FOUND_ARENA) };
}

void
found_fini(struct found *f)
{
	if (f->arena)
		arena_wipe(f->arena);
	arena_free(&f->arena);
}

void
words_tidy(char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f)
			s[i] = ' ';
		else if (s[i] == '"' || s[i] == '\\')
			s[i] = '\'';
	while (n > 0 && s[n - 1] == ' ')
		s[--n] = '\0';
}

void
found_unsure(struct found *f, const char *fmt, ...)
{
	va_list ap;

	f->verdict = NOT_SURE;
	va_start(ap, fmt);
	vsnprintf(f->why, sizeof f->why, fmt, ap);
	va_end(ap);
	words_tidy(f->why);
}

void
found_add(struct found *f, enum directory_field field, struct bytes value)
{
	if (f->verdict == NOT_SURE || value.n == 0)
		return;
	if (f->has[field])
		found_unsure(f, "there is more than one %s", directory_fields[field]);
	else if (value.n > ACCOUNT_ROW_MAX)
		found_unsure(f, "its %s is too long", directory_fields[field]);
	else if (bytes_has_control(value))
		found_unsure(f, "its %s holds a control character", directory_fields[field]);
	else {
		f->has[field] = true;
		f->value[field] = arena_copy(f->arena, value);
	}
}

/* "{CRYPT}$y$..." as LDAP has it, RFC 2307; without a scheme: a hash of crypt(3). False: of another scheme, or too costly. */
static bool
take_password(struct bytes s, struct buf *row)
{
	struct bytes scheme = s;
	bool plain = false;

	if (s.n > 0 && s.p[0] == '{') {
		if (bytes_find(s, '}') == s.n)
			return false;
		s = bytes_skip(s, 1);
		scheme = bytes_cut(&s, '}');
		plain = bytes_case_eq(scheme, text("PLAIN")) || bytes_case_eq(scheme, text("CLEARTEXT"));
		if (!plain && !bytes_case_eq(scheme, text("CRYPT")))
			return false;
	}
	if (!plain && !hash_is_bearable(s))
		return false;
	buf_text(row, plain ? "password={PLAIN}" : "password=");
	buf_add(row, s);
	buf_char(row, '\n');
	return true;
}

bool
row_is_secret(enum directory_field field)
{
	return field == DIRECTORY_PASSWORD || field == DIRECTORY_SCRAM_SHA_1 || field == DIRECTORY_SCRAM_SHA_256;
}

/* The account table has a dash where columns have an underscore. */
static void
put_field(unsigned field, struct bytes value, struct buf *row)
{
	for (const char *p = directory_fields[field]; *p; p++)
		buf_char(row, *p == '_' ? '-' : (unsigned char)*p);
	buf_char(row, '=');
	buf_add(row, value);
	buf_char(row, '\n');
}

/* Those that account_decode knows more of than that it is a text. */
static const char *
what_is_wrong(const struct found *f)
{
	struct buf row;
	const char *why = "it does not make an account";

	buf_init(&row, ACCOUNT_ROW_MAX + 64);
	for (unsigned i = DIRECTORY_MAILBOX; i <= DIRECTORY_NAME; i++) {
		static const char *const words[DIRECTORY_FIELDS] = {
			[DIRECTORY_MAILBOX] = "its mailbox is not like maildir:/path or mbox:/path",
			[DIRECTORY_UID] = "its uid is no number above 0", [DIRECTORY_GID] = "its gid is no number above 0",
			[DIRECTORY_STATE] = "its state is neither active nor disabled",
			[DIRECTORY_NAME] = "its name is too long, or holds a space",
		};
		struct arena *arena = arena_new(2 * ACCOUNT_ROW_MAX);
		struct account account;

		buf_clear(&row);
		if (f->has[i])
			put_field(i, f->value[i], &row);
		if (!account_decode(buf_bytes(&row), arena, &account))
			why = words[i];
		arena_free(&arena);
	}
	buf_fini(&row);
	return why;
}

bool
row_make(const struct found *f, bool secrets, struct buf *row, bool *odd, const char **why)
{
	struct arena *arena = arena_new(2 * ACCOUNT_ROW_MAX);
	struct account account;
	bool good, too_long;

	*odd = false;
	*why = "";
	buf_clear(row);
	for (unsigned i = 0; i < DIRECTORY_FIELDS; i++) {
		if (!f->has[i] || (row_is_secret(i) && !secrets))
			continue;
		if (i == DIRECTORY_PASSWORD)
			*odd = !take_password(f->value[i], row);
		else
			put_field(i, f->value[i], row);
	}
	too_long = row->full;
	good = !too_long && account_decode(buf_bytes(row), arena, &account);
	buf_clear(row);
	if (good)
		account_encode(&account, row);
	too_long = too_long || row->full;
	good = good && !too_long;
	if (!good)
		*why = too_long ? "it is too long" : what_is_wrong(f);
	arena_wipe(arena);
	arena_free(&arena);
	return good;
}

bool
row_is_disabled(const struct found *f)
{
	return f->has[DIRECTORY_STATE] && !bytes_eq(f->value[DIRECTORY_STATE], text("active"));
}
