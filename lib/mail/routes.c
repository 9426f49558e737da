/* SPDX-License-Identifier: ISC */
/*
 * mail/routes.c - recipients out of the router's answer.
 */
#include "mail/routes.h"

#include "mail/ipc.h"

static bool
add_one(struct envelope *e, size_t *cap, struct arena *a, const struct recipient *asked,
    const struct ipc_route *r)
{
	struct recipient *new;

	for (size_t i = 0; i < e->nrcpts; i++)
		if (bytes_eq(e->rcpts[i].final, r->final))
			return true;
	if (e->nrcpts == ENVELOPE_RCPTS)
		return false;
	if (e->nrcpts == *cap) {
		*cap = *cap ? *cap * 2 : 4;
		new = arena_array(a, *cap, sizeof *new);
		if (e->nrcpts)
			memcpy(new, e->rcpts, e->nrcpts * sizeof *new);
		e->rcpts = new;
	}
	new = &e->rcpts[e->nrcpts++];
	*new = *asked;
	new->final = arena_copy(a, r->final);
	new->transport = arena_copy(a, r->transport);
	new->nexthop = arena_copy(a, r->nexthop);
	new->mailbox = arena_copy(a, r->mailbox);
	new->uid = r->uid;
	new->gid = r->gid;
	return true;
}

bool
routes_add(struct envelope *e, size_t *cap, struct arena *a, const struct recipient *asked,
    struct bytes routes)
{
	size_t before = e->nrcpts, n = 0;
	bool bad = false;

	while (routes.n > 0 && !bad) {
		struct bytes body = ipc_cut_text(&routes, &bad);
		struct ipc_in in;
		struct ipc_route r;

		if (bad)
			break;
		ipc_in_bytes(&in, body);
		bad = !ipc_get_route(&in, &r) || !add_one(e, cap, a, asked, &r);
		n++;
	}
	if (!bad && n > 0)
		return true;
	e->nrcpts = before;
	return false;
}
