/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "base/mem.h"
#include "become/become.h"

void
ticket_free(struct ticket **t)
{
	if (*t)
		explicit_bzero(*t, sizeof **t);
	mem_free(*t);
	*t = NULL;
}

static void
unlink_ticket(struct tickets *t, struct ticket **at)
{
	struct ticket *k = *at;

	*at = k->next;
	k->next = NULL;
	t->n--;
}

void
tickets_expire(struct tickets *t, uint64_t now_ms)
{
	struct ticket **at = &t->first;

	while (*at) {
		struct ticket *k = *at;

		if (k->until_ms <= now_ms) {
			unlink_ticket(t, at);
			ticket_free(&k);
		} else
			at = &k->next;
	}
}

void
tickets_wipe(struct tickets *t)
{
	tickets_expire(t, UINT64_MAX);
}

/* All of them are compared, whole: how long it takes says nothing of what is there. */
static struct ticket **
find(struct tickets *t, struct bytes secret)
{
	struct ticket **found = NULL;

	for (struct ticket **at = &t->first; *at; at = &(*at)->next)
		if (bytes_eq_secret(bytes_of((*at)->secret, TICKET_OCTETS), secret))
			found = at;
	return found;
}

int
tickets_keep(struct tickets *t, struct bytes secret, struct bytes account, struct bytes protocol,
    struct owner owner, struct bytes mailbox, uint64_t now_ms)
{
	struct ticket *k;

	tickets_expire(t, now_ms);
	if (secret.n != TICKET_OCTETS)
		return EINVAL;
	if (t->n >= TICKETS_MAX)
		return EAGAIN;
	if (find(t, secret))
		return EEXIST;
	k = mem_alloc(sizeof *k);
	k->until_ms = now_ms + TICKET_MS;
	k->owner = owner;
	memcpy(k->secret, secret.p, TICKET_OCTETS);
	if (account.n == 0 || protocol.n == 0 || !bytes_to_text(account, k->account, sizeof k->account)
	    || !bytes_to_text(protocol, k->protocol, sizeof k->protocol)
	    || !bytes_to_text(mailbox, k->mailbox, sizeof k->mailbox)) {
		ticket_free(&k);
		return EINVAL;
	}
	k->next = t->first;
	t->first = k;
	t->n++;
	return 0;
}

struct ticket *
tickets_take(struct tickets *t, struct bytes secret, struct bytes protocol, uint64_t now_ms)
{
	struct ticket **at, *k;

	tickets_expire(t, now_ms);
	if (secret.n != TICKET_OCTETS || !(at = find(t, secret)))
		return NULL;
	k = *at;
	unlink_ticket(t, at);		/* used once, rightly or not */
	if (!bytes_eq(protocol, text(k->protocol)))
		ticket_free(&k);
	return k;
}
