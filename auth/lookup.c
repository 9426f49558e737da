/* SPDX-License-Identifier: ISC */
/*
 * auth/lookup.c - whose account it is, and whether what the client has shown opens it. What only the directory knows is
 * answered later (mail/account_memo.h).
 */
#include "auth/exchange.h"

#include "base/log.h"
#include "base/mem.h"

#define PAM_MS		40000	/* pam itself gives up after 30 s */
#define TURN_MS		45000	/* until a password is hashed or judged: login waits no longer than a minute */

/* ---- accounts ---- */

void
lookup_known(void *arg)
{
	struct exchange *e = arg;
	struct accounts *a = e->all->accounts;
	enum verdict v;
	bool wanted;

	accounts_remember(a, &e->lookup.memo);
	v = e->find(e);
	wanted = v == NOT_SURE && accounts_want(a);
	accounts_remember(a, NULL);
	if (wanted)
		lookup_begin(&e->lookup);
	else
		e->found(e, v);
}

void
exchange_find(struct exchange *e, enum verdict (*find)(struct exchange *), void (*found)(struct exchange *, enum verdict))
{
	e->find = find;
	e->found = found;
	lookup_known(e);
}

/* Nobody acts for another account; but one may be written in several ways: so both are looked up. */
enum verdict
lookup_named(struct exchange *e, struct bytes name, struct bytes wanted)
{
	enum verdict v = accounts_get(e->all->accounts, name, e->arena, &e->account), other;
	struct account own;

	if (v == NO || wanted.n == 0 || bytes_eq(wanted, name))
		return v;
	other = accounts_get(e->all->accounts, wanted, e->arena, &own);
	if (v == YES && other == YES && !bytes_eq(own.name, e->account.name))
		return NO;
	return v == YES ? other : v;
}

static enum verdict
find_user(struct exchange *e)
{
	return lookup_named(e, e->user, e->wanted);
}

/* By the name that the mechanism has. */
static void
find_mech_user(struct exchange *e, void (*found)(struct exchange *, enum verdict))
{
	e->user = arena_copy(e->arena, mech_user(e->mech));
	e->wanted = arena_copy(e->arena, mech_wanted(e->mech));
	exchange_find(e, find_user, found);
}

/* ---- the password --------------------------------------------------------------------------- */

static void
ask_turn(struct exchange *e, struct turns *t, void (*run)(void *arg))
{
	e->turns = t;
	timer_set(&e->timer, TURN_MS);
	turn_ask(t, &e->turn, e->client, exchange_spelling(e), run, e);
}

/* Who is asked about passwords may know users who have no mailbox here. */
static void
decide_asked(struct exchange *e, enum verdict v)
{
	turn_leave(e->turns, &e->turn);
	exchange_decided(e, v == YES && (!e->known || e->account.state != ACCOUNT_ACTIVE) ? NO : v);
}

static void
on_pam(void *arg, struct ipc_in *in)
{
	struct exchange *e = arg;
	struct ipc_pam_answer a;
	enum verdict v = NOT_SURE;

	e->call = 0;
	if (in && in->type == IPC_pam_answer && ipc_get_pam_answer(in, &a))
		v = a.verdict == YES ? YES : a.verdict == NO ? NO : NOT_SURE;
	decide_asked(e, v);
}

static void
on_turn_at_pam(void *arg)
{
	struct exchange *e = arg;

	ipc_put_pam_check(&e->all->out, 0, &(struct ipc_pam_check){ .user = e->known ? e->account.name : e->user /* it may be in upper case */,
	    .password = mech_password(e->mech), .service = text(e->all->s->pam_service), .client = e->client });
	e->asked = e->all->pam;
	e->call = peers_call(e->asked, &e->all->out, PAM_MS, on_pam, e);
	buf_wipe(&e->all->out.frame);
}

static void
ask_pam(struct exchange *e)
{
	struct bytes password = mech_password(e->mech);

	if (e->user.n > 256 || bytes_find(password, '\0') < password.n)
		exchange_failed(e);
	else
		ask_turn(e, e->all->by_pam, on_turn_at_pam);
}

static void
on_checked(void *arg, enum verdict v)
{
	struct exchange *e = arg;

	e->check = 0;
	decide_asked(e, v);
}

static void
on_turn_at_directory(void *arg)
{
	struct exchange *e = arg;
	struct bytes name;

	must(accounts_directory_name(e->user, e->arena, &name));
	e->check = directory_check(e->all->directory, name, mech_password(e->mech), e->client, on_checked, e);
}

/* An LDAP server takes an empty password for no login at all, and says that it went well (RFC 4513 section 5.1.2). */
static void
ask_directory(struct exchange *e)
{
	struct bytes password = mech_password(e->mech), name;

	if (password.n == 0 || bytes_find(password, '\0') < password.n || !accounts_directory_name(e->user, e->arena, &name))
		exchange_failed(e);
	else
		ask_turn(e, e->all->by_directory, on_turn_at_directory);
}

static void
on_turn(void *arg)
{
	struct exchange *e = arg;

	if (e->known && e->account.secret.n > 0)
		exchange_decided(e, account_check_secret(&e->account, mech_password(e->mech)));
	else
		exchange_decided(e, account_check_password(e->known ? &e->account : NULL, mech_password(e->mech),
		    e->all->s->account.allow_plain_passwords));
}

/* A name that nobody has costs as much as one with a wrong password; of system users PAM is asked
 * in either case, and the directory where it judges passwords itself. */
static void
check_password(struct exchange *e, enum verdict v)
{
	const struct account_settings *s = &e->all->s->account;

	e->known = v == YES;
	if (v == NOT_SURE)
		exchange_unavailable(e);
	else if (e->all->pam && bytes_find(e->user, '@') == e->user.n && (!e->known || e->account.system))
		ask_pam(e);
	else if (e->known ? e->account.checked_elsewhere : e->lookup.memo.checks)
		ask_directory(e);
	else if (e->known && s->allow_plain_passwords && bytes_starts(e->account.password, text("{PLAIN}")))
		on_turn(e);			/* it costs nothing */
	else {
		if (e->known && bytes_starts(e->account.password, text("{PLAIN}")))
			log_warn("account %s: its password is {PLAIN}, which counts only with "
			    "allow_plain_passwords = yes", log_text(e->account.name));
		ask_turn(e, e->all->hashes, on_turn);
	}
}

void
look_for_password(struct exchange *e)
{
	find_mech_user(e, check_password);
}

/* ---- keys, for mechanisms that show no password --------------------------------------------- */

/* The password itself, where it is known and counts; else empty. */
static struct bytes
plain_secret(const struct exchange *e)
{
	const struct account *a = &e->account;

	if (!e->known || a->secret.n > 0)
		return e->known ? a->secret : text(NULL);
	return e->all->s->account.allow_plain_passwords && !a->checked_elsewhere && bytes_starts(a->password, text("{PLAIN}"))
	    ? bytes_skip(a->password, strlen("{PLAIN}")) : text(NULL);
}

/* Where some have to be made, as much is done for every name. */
static bool
makes_keys(const struct exchange *e)
{
	const struct account_settings *s = &e->all->s->account;

	return (s->sasldb_file[0] != '\0' || s->allow_plain_passwords) && bytes_case_starts(e->mechanism, text("SCRAM-"));
}

/* A name that nobody has, and one that has no keys, get some that look like others' and fit nothing. */
static enum mech_result
give_keys(struct exchange *e, struct bytes *challenge)
{
	struct mech_keys keys = { e->account.scram_sha_1, e->account.scram_sha_256, text(NULL) };
	struct bytes secret = plain_secret(e);
	struct account nobody = { 0 }, ignored = { 0 };
	uint64_t iterations = e->all->s->account.scram_iterations;
	struct bytes name = exchange_spelling(e);	/* that somebody has, too, has one salt however it is written */

	account_fake_keys(e->all->secret, name, iterations, e->arena, &nobody);
	if (makes_keys(e))
		account_make_keys(e->all->secret, name, secret.n > 0 ? secret : text("nobody"),
		    bytes_case_starts(e->mechanism, text("SCRAM-SHA-256")), iterations, e->arena, secret.n > 0 ? &nobody : &ignored);
	if (!e->known || keys.scram_sha_1.n == 0)
		keys.scram_sha_1 = nobody.scram_sha_1;
	if (!e->known || keys.scram_sha_256.n == 0)
		keys.scram_sha_256 = nobody.scram_sha_256;
	keys.password = secret.n > 0 ? secret : nobody.scram_sha_256;
	return mech_go_on(e->mech, &keys, challenge);
}

static void
hand_keys(void *arg)
{
	struct exchange *e = arg;
	struct bytes challenge;
	enum mech_result r = give_keys(e, &challenge);

	timer_set(&e->timer, EXCHANGE_MS);
	if (r == MECH_BROKEN && e->known)
		log_warn("account %s: its keys for SCRAM cannot be used; %s", log_text(e->account.name), e->account.from_directory
		    ? "they are the directory's" : "`hermod account password` makes new ones");
	exchange_go_on(e, r, challenge);
}

/* To make keys takes CPU as a hash does, and costs the client nothing: he may begin again and again. */
static void
use_keys(struct exchange *e, enum verdict v)
{
	e->known = v == YES && !e->account.system && e->account.state == ACCOUNT_ACTIVE;
	if (v == NOT_SURE)
		exchange_unavailable(e);
	else if (makes_keys(e))
		ask_turn(e, e->all->hashes, hand_keys);
	else
		hand_keys(e);
}

void
look_for_keys(struct exchange *e)
{
	find_mech_user(e, use_keys);
}

/* ---- who he is, is shown; is he somebody here? -------------------------------------------------- */

static void
let_identified(struct exchange *e, enum verdict v)
{
	e->known = v == YES && !e->account.system;
	exchange_decided(e, v == YES && (!e->known || e->account.state != ACCOUNT_ACTIVE) ? NO : v);
}

void
look_for_identified(struct exchange *e)
{
	find_mech_user(e, let_identified);
}

/* ---- a certificate, which tls has verified ---------------------------------------------------- */

static enum verdict
find_certified(struct exchange *e)
{
	return certificate_account(e->all->accounts, e->addresses, e->user, e->arena, &e->account);
}

static void
let_certified(struct exchange *e, enum verdict v)
{
	struct bytes rest = e->addresses;
	bool bad = false;

	e->known = v == YES;
	if (e->known)
		e->user = e->account.name;
	else if (e->user.n == 0)
		e->user = ipc_cut_text(&rest, &bad);
	exchange_decided(e, e->known && e->account.state != ACCOUNT_ACTIVE ? NO : v);
}

void
look_at_certificate(struct exchange *e)
{
	e->user = arena_copy(e->arena, mech_user(e->mech));
	exchange_find(e, find_certified, let_certified);
}
