/* SPDX-License-Identifier: ISC */
/*
 * auth/penalty.c - wrong passwords cost time: 250 ms, then double, to 2 s; counted for the client's address and for
 * the name that it claims, whichever waits longer. Whether there is such an account is not asked, and the wait begins with
 * the question, not with what became of it, so that nothing can be read off the time. The right password is never made to wait: an address may be that of many (a webmail
 * server, an office), and an account's name is known to everybody.
 *
 * Who gets it right takes back what he has got wrong, the failures of this address at this account; not what others
 * of the address have, or what somebody else tries at the account.
 *
 * An attacker with very many addresses pushes out others' counts, and gains what he had with one. From each he has one try that ranks
 * as that of somebody who comes for the first time: so whoever has been let in from where he is now, and has not failed there since,
 * is before all these.
 */
#include "auth/auth.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/mem.h"
#include "daemon/clients.h"

#define FIRST_MS	250
#define FORGET_S	3600		/* without a failure */
#define KNOWN_S		2592000		/* 30 days without a login */
#define KNOWN_AGAIN_S	86400		/* a login within a day of the last changes nothing */
#define MOST		1000000		/* failures that are told apart */
#define NAME_MAX_USED	320		/* octets of a name that count */
#define BEGIN_S		86400		/* the clock begins here: what is kept may be older than the host has been up */

/* Further tallies, under address and account: failures, and whether there was a login. */
enum { BY_BOTH = PENALTY_KINDS, LOGINS };

_Static_assert(PENALTY_TALLIES == LOGINS + 1, "as master makes them");
_Static_assert(PENALTY_NAME == TALLY_NAME && PENALTY_ROWS == PENALTY_KINDS * TALLY_NAMES, "all of them can be kept");

struct penalties { struct tallies *tallies; };

/* Both under their names, which are in a buffer of the caller's. */
struct names {
	char		 address[64];
	unsigned char	 both[64 + 1 + NAME_MAX_USED];
	struct bytes	 name[BY_BOTH + 1];
};

struct failure { uint32_t now_s, n, most; };

struct penalties *
penalties_new(int shared)
{
	struct penalties *p = mem_alloc(sizeof *p);

	p->tallies = tallies_new(shared, PENALTY_TALLIES);
	return p;
}

void
penalties_free(struct penalties **p)
{
	tallies_free(&(*p)->tallies);
	mem_free(*p);
	*p = NULL;
}

struct tallies *
penalties_tallies(struct penalties *p)
{
	return p->tallies;
}

/* ---- names ---- */

/* An IPv6 client has a /64 to choose from. */
static void
name_address(struct bytes client, char dst[64])
{
	char words[CLIENT_TEXT_MAX], net[INET6_ADDRSTRLEN];
	unsigned char key[16];

	if (!client_named(client, words, key))
		(void)bytes_to_text(bytes_head(client, 63), dst, 64);
	else if (strchr(words, ':') == NULL || inet_ntop(AF_INET6, key, net, sizeof net) == NULL)
		snprintf(dst, 64, "%s", words);
	else
		snprintf(dst, 64, "%s/64", net);
}

static void
name_both(struct names *n, struct bytes client, struct bytes user)
{
	size_t at;

	name_address(client, n->address);
	at = strlen(n->address);
	memcpy(n->both, n->address, at);
	n->both[at++] = '\0';
	user = bytes_head(user, NAME_MAX_USED);
	for (size_t i = 0; i < user.n; i++)
		n->both[at + i] = ascii_lower(user.p[i]);
	n->name[PENALTY_ADDRESS] = text(n->address);
	n->name[PENALTY_ACCOUNT] = bytes_of(n->both + at, user.n);
	n->name[BY_BOTH] = bytes_of(n->both, at + user.n);
}

/* ---- counts ---- */

static uint32_t
seconds(uint64_t now_ms)
{
	return (uint32_t)(now_ms / 1000 + BEGIN_S);
}

static bool
forgotten(struct tally_count c, uint32_t now_s)
{
	return c.time_s + FORGET_S < now_s;
}

static struct tally_count
one_more(struct tally_count was, const void *arg)
{
	uint32_t now_s = ((const struct failure *)arg)->now_s;
	uint32_t n = forgotten(was, now_s) ? 0 : was.n;

	return (struct tally_count){ .time_s = now_s > was.time_s ? now_s : was.time_s, .n = n < MOST ? n + 1 : n };
}

/* An address's at one account are not more than all of the address, or of the account: of either some may have been cleared. */
static struct tally_count
one_more_of_both(struct tally_count was, const void *arg)
{
	const struct failure *f = arg;
	struct tally_count c = one_more(was, arg);

	c.n = c.n < f->most ? c.n : f->most;
	return c;
}

static struct tally_count
so_many_less(struct tally_count was, const void *arg)
{
	const struct failure *f = arg;

	if (was.n <= f->n || forgotten(was, f->now_s))
		return (struct tally_count){ 0 };
	was.n -= f->n;
	return was;
}

/* What is known from before, beside what has come since. */
static struct tally_count
so_many_more(struct tally_count was, const void *arg)
{
	const struct failure *f = arg;

	return (struct tally_count){ .time_s = f->now_s > was.time_s ? f->now_s : was.time_s,
	    .n = was.n + f->n < MOST ? was.n + f->n : MOST };
}

/* The nth failure in a row, from 0. */
static uint64_t
wait_of(uint32_t n)
{
	uint64_t wait = FIRST_MS;

	while (n-- > 0 && wait < PENALTY_MAX_MS)
		wait *= 2;
	return wait < PENALTY_MAX_MS ? wait : PENALTY_MAX_MS;
}

/* How many there were before. */
static uint32_t
count_one(struct penalties *p, enum penalty_of of, const struct names *n, const struct failure *f)
{
	struct tally_count was = tally_change(p->tallies, of, n->name[of], one_more, f);

	return forgotten(was, f->now_s) ? 0 : was.n;
}

uint64_t
penalty_failed(struct penalties *p, struct bytes client, struct bytes user, uint64_t now_ms)
{
	struct failure f = { .now_s = seconds(now_ms) };
	uint32_t address, account;
	struct names n;

	name_both(&n, client, user);
	address = count_one(p, PENALTY_ADDRESS, &n, &f);
	if (user.n == 0)			/* what was said was no name and password */
		return wait_of(address);
	account = count_one(p, PENALTY_ACCOUNT, &n, &f);
	f.most = 1 + (address < account ? address : account);
	tally_change(p->tallies, BY_BOTH, n.name[BY_BOTH], one_more_of_both, &f);
	return wait_of(address > account ? address : account);
}

static struct tally_count
logged_in(struct tally_count was, const void *arg)
{
	uint32_t now_s = ((const struct failure *)arg)->now_s;

	return was.n > 0 && now_s < was.time_s + KNOWN_AGAIN_S ? was : (struct tally_count){ .time_s = now_s, .n = 1 };
}

void
penalty_passed(struct penalties *p, struct bytes client, struct bytes user, uint64_t now_ms)
{
	struct failure f = { .now_s = seconds(now_ms) };
	struct tally_count own;
	struct names n;

	name_both(&n, client, user);
	tally_change(p->tallies, LOGINS, n.name[BY_BOTH], logged_in, &f);
	own = tally_get(p->tallies, BY_BOTH, n.name[BY_BOTH]);
	if (own.n == 0 || forgotten(own, f.now_s))
		return;
	f.n = own.n;
	tally_clear(p->tallies, BY_BOTH, n.name[BY_BOTH]);
	tally_change(p->tallies, PENALTY_ADDRESS, n.name[PENALTY_ADDRESS], so_many_less, &f);
	tally_change(p->tallies, PENALTY_ACCOUNT, n.name[PENALTY_ACCOUNT], so_many_less, &f);
}

static uint32_t
failures(struct penalties *p, enum penalty_of of, const struct names *n, uint32_t now_s)
{
	struct tally_count c = tally_get(p->tallies, of, n->name[of]);

	return forgotten(c, now_s) ? 0 : c.n;
}

/* Has he been let in, and not failed since? */
static bool
is_known(struct penalties *p, const struct names *n, uint32_t now_s)
{
	struct tally_count login = tally_get(p->tallies, LOGINS, n->name[BY_BOTH]), failed;

	if (login.n == 0 || now_s > login.time_s + KNOWN_S)
		return false;
	failed = tally_get(p->tallies, BY_BOTH, n->name[BY_BOTH]);
	return failed.n == 0 || forgotten(failed, now_s);
}

uint64_t
penalty_rank(struct penalties *p, struct bytes client, struct bytes user, uint64_t now_ms)
{
	uint32_t now_s = seconds(now_ms);
	struct names n;

	name_both(&n, client, user);
	if (user.n > 0 && is_known(p, &n, now_s))
		return 0;
	return PENALTY_STRANGER | (uint64_t)failures(p, PENALTY_ADDRESS, &n, now_s) << 32
	    | (user.n > 0 ? failures(p, PENALTY_ACCOUNT, &n, now_s) : 0);
}

uint64_t
penalty_left(uint64_t wait_ms, uint64_t took_us)
{
	const uint64_t first = FIRST_MS * 1000;
	uint64_t all = took_us > wait_ms * 1000 ? took_us : wait_ms * 1000;

	return (all + first - 1) / first * first - took_us;
}

/* ---- for people, and for the file ---- */

bool
penalty_next(struct penalties *p, enum penalty_of of, uint32_t *at, uint64_t now_ms, struct penalty_seen *out)
{
	uint32_t now_s = seconds(now_ms);

	while (tally_next(p->tallies, of, at, &out->row)) {
		struct tally_count c = out->row.count;

		if (forgotten(c, now_s) || out->row.name_n == 0)
			continue;
		out->age_s = now_s > c.time_s ? now_s - c.time_s : 0;
		out->wait_ms = (uint32_t)wait_of(c.n);
		return true;
	}
	return false;
}

void
penalty_restore(struct penalties *p, const struct penalty *kept, int64_t age_s, uint64_t now_ms)
{
	struct failure f = { .now_s = seconds(now_ms), .n = kept->failures };

	if (age_s > FORGET_S)
		return;
	f.now_s -= age_s > 0 ? (uint32_t)age_s : 0;	/* the clock was set back: it was just now */
	tally_change(p->tallies, kept->of, bytes_of(kept->name, kept->name_n), so_many_more, &f);
}

/* An address as it is listed ends in "/64" where it is IPv6. */
uint32_t
penalty_clear(struct penalties *p, struct bytes name)
{
	struct bytes address = bytes_ends(name, text("/64")) ? bytes_head(name, name.n - 3) : name;
	uint32_t cleared = 0;
	struct names n;

	name_both(&n, address, name);
	for (unsigned of = 0; of < PENALTY_KINDS; of++) {
		cleared += tally_get(p->tallies, of, n.name[of]).n > 0;
		tally_clear(p->tallies, of, n.name[of]);
	}
	return cleared;
}

uint32_t
penalty_clear_all(struct penalties *p)
{
	uint32_t cleared = 0;

	for (unsigned by = 0; by <= BY_BOTH; by++) {
		uint32_t n = tally_clear_all(p->tallies, by);

		cleared += by < PENALTY_KINDS ? n : 0;
	}
	return cleared;
}
