/* SPDX-License-Identifier: ISC */
#include "mail/account_memo.h"

#include "base/mem.h"
#include "mail/account.h"

struct account_known {
	struct account_known *next;
	struct bytes	 name;
	bool		 answered;
	enum verdict	 verdict;
	struct account	 account;	/* YES */
};

#define NAME_OCTETS	(sizeof(struct account_known) + ACCOUNT_NAME_MAX + 64)

void
account_memo_init(struct account_memo *m)
{
	*m = (struct account_memo){ 0 };
}

void
account_memo_fini(struct account_memo *m)
{
	if (m->arena)
		arena_wipe(m->arena);
	arena_free(&m->arena);
	account_memo_init(m);
}

static void
want(struct account_memo *m, struct bytes name)
{
	struct account_known *k;

	if (!m->arena)
		m->arena = arena_new(ACCOUNT_MEMO_NAMES * NAME_OCTETS + 2 * ACCOUNT_MEMO_OCTETS);
	k = arena_alloc(m->arena, sizeof *k);
	k->name = arena_copy(m->arena, name);
	*(m->last ? &m->last->next : &m->first) = k;
	m->last = k;
	if (!m->next)
		m->next = k;
	m->n++;
	m->wanted++;
}

enum verdict
account_memo_get(struct account_memo *m, struct bytes name, struct account *out)
{
	struct account_known *k = m->first;

	while (k && !bytes_eq(k->name, name))
		k = k->next;
	if (k && k->verdict == YES)
		*out = k->account;
	else if (!k && !m->closed && m->n < ACCOUNT_MEMO_NAMES && name.n <= ACCOUNT_NAME_MAX)
		want(m, name);
	return k ? k->verdict : NOT_SURE;
}

struct account_known *
account_memo_next(struct account_memo *m, struct bytes *name)
{
	struct account_known *k = m->next;

	if (k) {
		*name = k->name;
		m->next = k->next;
	}
	return k;
}

static bool
take_row(struct account_memo *m, struct account_known *k, struct bytes row, bool checks)
{
	if (row.n > ACCOUNT_ROW_MAX || m->octets + row.n > ACCOUNT_MEMO_OCTETS)
		return false;
	m->octets += row.n;
	if (!account_decode(row, m->arena, &k->account))
		return false;
	k->account.from_directory = true;
	k->account.checked_elsewhere = checks;
	return true;
}

bool
account_memo_answer(struct account_memo *m, struct account_known *k, enum verdict v, struct bytes row, bool checks)
{
	bool good = v == YES ? take_row(m, k, row, checks) : row.n == 0 && (v == NO || v == NOT_SURE);

	must(!k->answered);
	k->answered = true;
	k->verdict = good ? v : NOT_SURE;
	m->wanted--;
	m->checks |= good && checks;
	return good;
}

void
account_memo_close(struct account_memo *m)
{
	for (struct account_known *k = m->first; k; k = k->next)
		k->answered = true;
	m->next = NULL;
	m->wanted = 0;
	m->closed = true;
}
